"""One GPU, one command: examples a second, share of its matrix rate, peak memory, and the time of the paper's grid.

    python benchmarks/gpu.py                        # both sizes, every method, then all 450 trials
    python benchmarks/gpu.py --grid-share 0.1       # a part of the grid; the rest is extrapolated, and said to be

Speed: each method on one task, a process a run, one warm-up epoch left out. Share: the FLOPs that the trial counts, over its
seconds, over the rate of matrix products of the model's shape, measured here. The grid is a study as a user runs it: MRPC,
CoLA, STS-B x full, bitfit, houlsby x 10 fractions x 5 seeds, 3 epochs, BERT-base's shape. Its time is wall-clock, planning and
start-up included. Where only a part ran, a line over the fractions is fitted to the trials' own seconds for each task and
method, and the wall-clock time grows as the sum of these does. `--device cpu` runs the same for a test.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runs import BERT_BASE, bert_base, data_dir, hidden_size, matrix_rate, mean_length, ours, plan
from tuneworth.errors import UserError
from tuneworth.spec import StudySpec
from tuneworth.study import Study

PAPER_METHODS = ("full", "bitfit", "houlsby")
PAPER_TASKS = ("glue/mrpc", "glue/cola", "glue/stsb")
FRACTIONS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))
SEEDS, EPOCHS = 5, 3
TARGET_MINUTES = 10


@dataclass(frozen=True)
class Speed:
    """One method on one model. `share`: of the matrix rate; medians over the repeats."""

    model: str
    method: str
    examples_per_second: float
    slowest: float
    fastest: float
    share: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Grid:
    """`seconds`: wall-clock of what ran; `whole_seconds`: of all trials, extrapolated where `ran` is less than `trials`."""

    trials: int
    ran: int
    failed: int
    seconds: float
    whole_seconds: float
    trial_seconds: float
    """What the trials that ran say they took, set-up, training and evaluation, added up."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=["minilm", BERT_BASE], help="for speed; the last one for the grid"
    )
    parser.add_argument("--methods", nargs="+", default=["full", "bitfit", "houlsby", "lora", "head"], help="for speed")
    parser.add_argument("--task", default="glue/mrpc", help="for speed")
    parser.add_argument("--steps", type=int, default=100, help="that are timed, behind as many that warm up")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--grid-tasks", nargs="+", default=list(PAPER_TASKS))
    parser.add_argument("--grid-methods", nargs="+", default=list(PAPER_METHODS))
    parser.add_argument("--grid-share", type=float, default=1.0, help="of the grid's trials, roughly; 0: no grid")
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--data-dir", type=Path, help="GLUE's files; else TUNEWORTH_DATA, else ../shared/glue")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(argv)
    if options.repeats < 0 or not 0 <= options.grid_share <= 1:
        parser.error("--repeats is 0 or more, --grid-share from 0 to 1")
    options.data_dir = data_dir(options.data_dir)
    return options


def speeds(options: argparse.Namespace, sources: dict[str, str], folder: Path) -> tuple[list[Speed], dict[str, Any]]:
    """Medians over the repeats, methods in turn; and what machine it was."""
    rows, machine = [], {}
    for model, source in sources.items():
        jobs = {
            method: plan(source, method, options.task, options.data_dir, folder, options.device,
                         timed_steps=options.steps, batch_size=options.batch_size, max_length=options.max_length)
            for method in options.methods
        }  # fmt: skip
        one = jobs[options.methods[0]]
        tokens = round(options.batch_size * mean_length(one))
        rate = matrix_rate(options.device, tokens, hidden_size(one))
        machine[f"matrix rate for {model}, TFLOP/s in {rate.precision}"] = rate.flops / 1e12
        found = defaultdict(list)
        for turn in range(options.repeats):
            for method, job in jobs.items():
                print(f"turn {turn + 1} of {options.repeats}: {model}, {method}", file=sys.stderr)
                found[method].append(ours(job))
        for method, measured in found.items():
            machine |= measured[0].environment
            each = [run.speed for run in measured]
            rows.append(Speed(
                model, method, statistics.median(each), min(each), max(each),
                statistics.median(run.flops / run.seconds for run in measured) / rate.flops,
                statistics.median(run.peak_memory_bytes for run in measured) / 1e6,
            ))  # fmt: skip
    return rows, machine


def part(share: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """(seeds, fractions) of about that share of the grid: whole seeds, or of one seed fractions from small to all."""
    seeds = max(1, round(share * SEEDS))
    count = len(FRACTIONS) if share * SEEDS >= 1 else max(2, round(share * SEEDS * len(FRACTIONS)))
    places = np.linspace(0, len(FRACTIONS) - 1, count).round().astype(int)
    return tuple(range(seeds)), tuple(FRACTIONS[place] for place in places)


def grid(options: argparse.Namespace, source: str, folder: Path) -> Grid:
    """Run the study, or the part of it that was asked for."""
    seeds, fractions = part(options.grid_share)
    spec = StudySpec.parse({
        "name": "grid", "models": [source], "methods": options.grid_methods, "tasks": options.grid_tasks,
        "fractions": fractions, "seeds": list(seeds), "budgets": [f"{EPOCHS}epochs"], "max_length": options.max_length,
        "recipe": {method: {"batch_size": options.batch_size} for method in options.grid_methods},
    })  # fmt: skip
    study = Study(spec, str(folder / "grid.db"), options.data_dir)
    workers = options.workers if options.workers == "auto" else int(options.workers)
    started = time.perf_counter()
    study.run(workers=workers, device=options.device)
    seconds = time.perf_counter() - started
    took: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    records = study.store.records("grid")
    for record in records:
        if record.result is not None:
            result = record.result
            spent = result.setup_seconds + result.train_seconds + result.eval_seconds
            took[record.trial.task, record.trial.method].append((record.trial.fraction, spent))
    failed = sum(record.result is None for record in records)
    return extrapolate(took, len(records), failed, seconds)


def extrapolate(took: dict[tuple[str, str], list[tuple[float, float]]], ran: int, failed: int, seconds: float) -> Grid:
    """`took`: (fraction, the trial's seconds) by task and method. Raises ValueError where none finished."""
    if not any(took.values()):
        raise ValueError("no trial of the grid finished")
    trials = len(took) * len(FRACTIONS) * SEEDS
    here = sum(spent for each in took.values() for _, spent in each)
    whole = seconds if ran >= trials else seconds * sum(map(_all_of, took.values())) / here
    return Grid(trials, ran, failed, seconds, whole, here)


def _all_of(points: Iterable[tuple[float, float]]) -> float:
    """Seconds of every fraction at every seed, from a line through those that ran."""
    fractions, spent = np.array(list(points)).T
    slope, start = np.polyfit(fractions, spent, 1)
    return float(SEEDS * (slope * np.array(FRACTIONS) + start).sum())


def show(rows: Sequence[Speed], found: Grid | None, machine: dict[str, Any]) -> None:
    if rows:
        print(f"{'model':<12}{'method':<9}{'examples/s':>11}{'slowest':>10}{'fastest':>10}{'share':>7}{'peak MB':>9}")
    for row in rows:
        print(f"{row.model:<12}{row.method:<9}{row.examples_per_second:>11.1f}{row.slowest:>10.1f}{row.fastest:>10.1f}"
              f"{row.share:>7.1%}{row.peak_memory_mb:>9.0f}")  # fmt: skip
    for name, value in machine.items():
        if name.startswith("matrix rate"):
            print(f"{name}: {value:.3g}")
    if found is not None:
        how = "measured" if found.ran >= found.trials else f"extrapolated from {found.ran} of {found.trials} trials"
        print(f"grid: {found.ran} trials in {found.seconds:.0f} s ({found.failed} failed); all {found.trials}: "
              f"{found.whole_seconds / 60:.1f} minutes, {how}; aim: {TARGET_MINUTES}")  # fmt: skip


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            sources = {
                Path(name).name: str(bert_base(folder / BERT_BASE)) if name == BERT_BASE else name
                for name in options.models
            }
            rows, machine = speeds(options, sources, folder) if options.repeats else ([], {})
            found = grid(options, list(sources.values())[-1], folder) if options.grid_share else None
    except UserError as error:
        sys.exit(str(error))
    show(rows, found, machine)
    print(json.dumps({"command": shlex.join(["python", "benchmarks/gpu.py", *argv]),
                      "speed": [asdict(row) for row in rows], "grid": asdict(found) if found else None,
                      "extrapolated": found is not None and found.ran < found.trials,
                      "machine": machine}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
