"""What a study costs beside its training: a trial's set-up and evaluation, planning, resuming, and the report.

    python benchmarks/overhead.py            # 200 trials of 10 steps, and a study of 10,000 trials
    python benchmarks/overhead.py --quick    # 40 trials, and a study of 2,000: about a minute

The first part runs a real study with the packaged encoder, on four tasks of three label counts and with five methods, in
the order that `plan` gives; the tasks are small, so that evaluation is. Counted is all the time that is not in the
trials' `train_seconds`: the start of torch, the check of the study, and the store too. With several workers, each
worker's idle time counts. The second part times commands in processes of their own, start of the interpreter included:
planning, resuming a finished study (its results are made up and put in through the store), and writing its report.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASKS = ("colours", "sizes", "numbers", "pairs")
METHODS = ("head", "full", "bitfit", "houlsby", "lora")
FRACTIONS = tuple(round(0.1 * i, 1) for i in range(1, 11))
SECONDS_A_TRIAL, SECONDS_TO_PLAN, SECONDS_TO_REPORT = 0.3, 3.0, 15.0
"""The aims, for 200 trials and for 10,000."""


@dataclass(frozen=True)
class Row:
    """One figure, in seconds, and what it should not exceed."""

    what: str
    seconds: float
    aim: float | None = None


def write_tasks(folder: Path, examples: int = 240) -> dict[str, dict[str, Any]]:
    """Four small file tasks, a fifth of each for the test: three classes, two, a number, two texts."""
    draw = random.Random(0)
    nouns, colours, sizes = ("car", "house", "coat", "bird"), ("red", "green", "blue"), ("small", "large")
    rows = [(draw.choice(nouns), i % 3, draw.randrange(2), i, draw.choice(nouns)) for i in range(examples)]
    lines = {
        "colours": [f"the {noun} number {i} is {colours[colour]},,{colour}" for noun, colour, _, i, _ in rows],
        "sizes": [f"number {i} is a {sizes[size]} {noun},,{size}" for noun, _, size, i, _ in rows],
        "numbers": [f"there are {i} of the {noun},,{i / 7}" for noun, _, _, i, _ in rows],
        "pairs": [f"the {noun} of {i} came,it was the {other},{int(noun == other)}" for noun, _, _, i, other in rows],
    }
    for name, table in lines.items():
        (folder / f"{name}.csv").write_text("\n".join(["text,other,label", *table]) + "\n")
    return {
        name: {"train": folder / f"{name}.csv", "text": "text", "label": "label"}
        | ({"text_pair": "other"} if name == "pairs" else {})
        for name in lines
    }


def make_study(folder: Path, name: str, fractions: Sequence[float], seeds: int, batch_size: int) -> Any:
    """20 trials a fraction and seed."""
    from tuneworth.spec import StudySpec
    from tuneworth.study import Study

    spec = StudySpec.parse({
        "name": name, "models": ["minilm"], "methods": METHODS, "tasks": TASKS, "fractions": list(fractions), "seeds": seeds,
        "budgets": ["10steps"], "evaluations": 1, "recipe": {method: {"batch_size": batch_size} for method in METHODS},
        "task": write_tasks(folder),
    })  # fmt: skip
    return Study(spec, str(folder / f"{name}.db"))


def trials(folder: Path, options: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """A study that is really run; seconds a trial, on average, and the machine as the trials saw it."""
    start = time.perf_counter()
    study = make_study(folder, "small", (0.5,), options.trials // 20, options.batch_size)
    counts = study.run(workers=options.workers, device=options.device, watch=lambda _: None)
    wall = (time.perf_counter() - start) * options.workers
    if counts.done != counts.total:
        sys.exit(f"{counts.total - counts.done} trials failed")
    rows = study.rows()
    n = len(rows)
    train, evaluation, setup = (sum(row[f"{part}_seconds"] for row in rows) / n for part in ("train", "eval", "setup"))
    outside = wall / n - train
    return [
        Row("outside training", outside, SECONDS_A_TRIAL), Row("  set-up", setup), Row("  evaluation", evaluation),
        Row("  the rest", outside - setup - evaluation), Row("training", train),
    ], rows[0]["environment"]  # fmt: skip


def commands(folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    """A large study: planned, resumed once it is finished, reported."""
    study = make_study(folder, "large", FRACTIONS, options.large // 200, 32)
    again = f"""
from pathlib import Path
import overhead
study = overhead.make_study(Path({str(folder)!r}), 'large', overhead.FRACTIONS, {options.large // 200}, 32)
"""
    plan = again + "print(len(study.prepare().trials) - len(study.known_keys()))"
    resume = again + "print(study.run(watch=lambda _: None).pending)"
    with tempfile.TemporaryDirectory() as cache:
        yield Row("plan, methods new to this machine", _timed(plan, str(options.large), XDG_CACHE_HOME=cache))
        yield Row("plan", _timed(plan, str(options.large), XDG_CACHE_HOME=cache), SECONDS_TO_PLAN)
    made_up(study)
    yield Row("plan, all finished", _timed(plan, "0"), SECONDS_TO_PLAN)
    yield Row("resume, all finished", _timed(resume, "0"), SECONDS_TO_PLAN)
    report = again + f"print(study.report(Path({str(folder)!r}, 'report.html')).name)"
    yield Row("report", _timed(report, "report.html"), SECONDS_TO_REPORT)


def made_up(study: Any) -> None:
    """Finish every trial of a study with a result that looks like one."""
    import numpy as np

    from tuneworth.results.predictions import Predictions
    from tuneworth.spec import CurvePoint, TrialResult

    study.store.put_study(study.spec, study.prepare().trials)
    truth: dict[str, Any] = {}
    while (record := study.store.claim("large", "benchmark", 600.0)) is not None:
        trial = record.trial
        luck = np.random.default_rng([trial.seed, int(trial.key, 16)])
        metric = "pearson" if trial.task == "numbers" else "accuracy"
        score = 70 + 10 * trial.fraction + METHODS.index(trial.method) + luck.normal()
        point = CurvePoint(step=10, seconds=1.0, examples=320, loss=0.6, score=score)
        result = TrialResult(
            metric=metric, score=score, metrics={metric: score}, validation_score=score, baseline_score=50.0,
            curve=(point,), train_seconds=1.0, eval_seconds=0.1, setup_seconds=0.1, steps=10, examples_seen=320,
            train_flops=1e12, trainable_parameters=1000, total_parameters=22_000_000, peak_memory_bytes=10**9,
            delta_bytes=4000, delta_path=None, micro_batch=32, environment={"device": "cpu: made up"},
        )  # fmt: skip
        true = truth.setdefault(trial.task, np.random.default_rng(0).integers(0, 2, 200))
        right = luck.random(200) < score / 100
        answered = np.where(right, true, 1 - true)
        if metric == "pearson":
            answered, true = answered + luck.normal(size=200), true.astype(float)
        study.store.finish("large", trial.key, "benchmark", result,
                           Predictions.compact(answered, true, trial.task_fingerprint))  # fmt: skip


def _timed(code: str, expected: str, **environment: str) -> float:
    """Wall-clock seconds of a Python process that runs `code`, and prints `expected` last."""
    start = time.perf_counter()
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent,
                           env={**os.environ, **environment})  # fmt: skip
    seconds = time.perf_counter() - start
    if child.returncode or child.stdout.split()[-1:] != [expected]:
        sys.exit(f"expected {expected}:\n{child.stdout}{child.stderr}")
    return seconds


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/overhead.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, help="of the study that is run, a multiple of 20 (200; --quick: 40)")
    parser.add_argument(
        "--large", type=int, help="of the study that is planned, a multiple of 200 (10,000; --quick: 2,000)"
    )
    parser.add_argument("--batch-size", type=int, default=8, help="of the study that is run")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=("trials", "commands"), help="one of the two parts")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(argv)
    options.trials = (40 if options.quick else 200) if options.trials is None else options.trials
    options.large = (2000 if options.quick else 10000) if options.large is None else options.large
    if options.trials < 20 or options.trials % 20 or options.large < 200 or options.large % 200:
        parser.error("--trials is a multiple of 20, --large of 200")
    return options


def main(argv: Sequence[str]) -> list[Row]:
    options = parse(argv)
    load = os.getloadavg()[0]
    rows: list[Row] = []
    machine: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        if options.only != "trials":
            rows += commands(Path(scratch), options)
        if options.only != "commands":
            measured, machine = trials(Path(scratch), options)
            rows += measured
    print(f"{'':<24}{'seconds':>9}{'aim':>7}")
    for row in rows:
        print(f"{row.what:<24}{row.seconds:>9.3f}{'' if row.aim is None else f'{row.aim:g}':>7}")
    print(f"a trial, mean of {options.trials}; a command, with {options.large} trials\n")
    print(json.dumps({"command": shlex.join(["python", "benchmarks/overhead.py", *argv]),
                      "rows": [vars(row) for row in rows], "machine": machine, "load_before": load}))  # fmt: skip
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
