"""Does Tuneworth's engine learn what transformers.Trainer learns? Paired seeds, and the project's own equivalence test.

    python benchmarks/same_learning.py --into same.jsonl        # {full, bitfit} x MRPC, CoLA, STS-B, five seeds: hours
    python benchmarks/same_learning.py --into small.jsonl --fraction 0.25 --epochs 2 --tasks glue/mrpc    # a smaller one

Both sides start from the packaged encoder and the seed's head, with the seed's training examples in the same batches in the
same order, and the same recipe; dropout's masks and rounding are each side's own (--no-dropout: rounding alone). Scores are
the task's first metric on its test split, in points, of the model as training leaves it. "equivalent": two one-sided tests
find the mean difference within the margin, each comparison at 95% (stats/compare.py). Every finished run is kept in the file,
so that the same command goes on where it was stopped, and a change of the engine's number repeats Tuneworth's runs alone.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from runs import Ledger, Measurement, data_dir, installed, ours, plan, test_score, theirs, without_dropout
from tuneworth.errors import UserError
from tuneworth.spec import TrialSpec
from tuneworth.stats.compare import compare

Scores = dict[tuple[str, str], dict[str, dict[int, float]]]
"""By task and method: side -> seed -> score in points."""
SIDES = ("tuneworth", "trainer")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/same_learning.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--into", type=Path, required=True, help="a file of JSON lines for finished runs")
    parser.add_argument("--methods", nargs="+", default=["full", "bitfit"])
    parser.add_argument("--tasks", nargs="+", default=["glue/mrpc", "glue/cola", "glue/stsb"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the training split")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--margin", type=float, default=1.0, help="in points")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="a later run with both takes what "
                        "is in the file")  # fmt: skip
    parser.add_argument("--model", default="minilm")
    parser.add_argument(
        "--no-dropout", action="store_true", help="on both sides: what is left is rounding, so fewer seeds decide"
    )
    parser.add_argument("--data-dir", type=Path, help="GLUE's files; else TUNEWORTH_DATA, else ../shared/glue")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error(f"--seeds {options.seeds}: nothing would run")
    options.data_dir = data_dir(options.data_dir)
    return options


def runs(options: argparse.Namespace) -> Iterator[tuple[str, str, int, str, float]]:
    """(task, method, seed, side, score), seeds outermost: what is there after an interruption has whole seeds."""
    ledger, asked = (
        Ledger(options.into),
        list(product(range(options.seeds), options.tasks, options.methods, options.sides)),
    )
    with tempfile.TemporaryDirectory() as folder:
        model = options.model
        if options.no_dropout:
            model = str(without_dropout(model, Path(folder) / "without-dropout"))
        for number, (seed, task, method, side) in enumerate(asked):
            print(f"run {number + 1} of {len(asked)}: seed {seed}, {task}, {method}, {side}", file=sys.stderr)
            job = plan(model, method, task, options.data_dir, Path(folder), options.device,
                       fraction=options.fraction, seed=seed, epochs=options.epochs)  # fmt: skip

            def make(job: Any = job, side: str = side) -> dict[str, Any]:
                one = ours(job) if side == SIDES[0] else theirs(side, job, test=True)
                score = one.score if one.outputs is None else test_score(job, np.array(one.outputs))
                return {"task": job.trial.task, "method": job.trial.method, "seed": job.trial.seed, "side": side,
                        **asdict(one), "score": score, "outputs": None}  # fmt: skip

            kept = ledger.once(key_of(job.trial, side), make)
            yield (
                task,
                method,
                seed,
                side,
                Measurement(**{k: kept[k] for k in Measurement.__annotations__}).score or 0.0,
            )


def key_of(trial: TrialSpec, side: str) -> str:
    """What a finished run is kept under. The engine's number is part of a trial's key; a change of it is nothing to the Trainer."""
    if side != SIDES[0]:
        trial = TrialSpec.model_validate({**trial.model_dump(), "engine": 0})  # not model_copy: a copy keeps the key
    return f"{trial.key} {side}"


def summary(scores: Mapping[tuple[str, str], Mapping[str, Mapping[int, float]]], margin: float) -> list[dict[str, Any]]:
    """A row a task and method; None where no interval can be given."""
    rows = []
    for (task, method), sides in scores.items():
        mine, other = (sides.get(side, {}) for side in SIDES)
        found = compare(mine, other, margin)
        if found is None:
            continue
        rows.append({
            "task": task, "method": method, "seeds": found.seeds, "tuneworth": float(np.mean(list(mine.values()))),
            "trainer": float(np.mean(list(other.values()))), "difference": found.difference,
            "interval": None if found.interval is None else list(found.interval),
            "p_equivalent": found.p_equivalent, "verdict": found.verdict,
        })  # fmt: skip
    return rows


def show(rows: Sequence[Mapping[str, Any]], margin: float) -> None:
    print(f"{'task':<18}{'method':<9}{'seeds':>5}{'tuneworth':>11}{'trainer':>9}{'difference':>12}{'95% interval':>18}  "
          f"within {margin:g}")  # fmt: skip
    for row in rows:
        low_high = "" if row["interval"] is None else "{:+.2f} to {:+.2f}".format(*row["interval"])
        sure = "" if row["p_equivalent"] is None else f" (p {row['p_equivalent']:.3f})"
        print("{task:<18}{method:<9}{seeds:>5}{tuneworth:>11.2f}{trainer:>9.2f}{difference:>+12.2f}".format(**row)
              + f"{low_high:>18}  {row['verdict']}{sure}")  # fmt: skip


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    if not installed(sys.executable, ["accelerate"]):
        sys.exit("transformers.Trainer needs accelerate: pip install accelerate")
    scores: Scores = defaultdict(lambda: {side: {} for side in SIDES})
    try:
        for task, method, seed, side, score in runs(options):
            scores[task, method][side][seed] = score
    except UserError as error:
        sys.exit(str(error))
    rows = summary(scores, options.margin)
    show(rows, options.margin)
    print(json.dumps({"command": shlex.join(["python", "benchmarks/same_learning.py", *argv]), "margin": options.margin,
                      "rows": rows, "scores": [{"task": task, "method": method, **sides}
                                               for (task, method), sides in scores.items()]}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
