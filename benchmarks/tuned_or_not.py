"""Is advice better where learning rates were tuned first? Real tasks, one time limit for both, and fresh seeds to judge by.

    python benchmarks/tuned_or_not.py --into tuned/ --time-limit 5m          # MRPC, CoLA, STS-B
    python benchmarks/tuned_or_not.py --into tuned/ --time-limit 5m --train moods.csv --test moods-test.csv --text text --label mood
    python benchmarks/tuned_or_not.py --into tuned/ --show                   # the table of what is there so far

For each task `tuneworth compare` runs twice under --time-limit: with tuning, its default, and with `--tune 1`. What each of them
advises (where it is undecided, the method with the highest mean) is then trained anew, with its learning rate, batch size and
budget, at FRESH seeds that neither saw, and scored on the test split. GLUE's tasks are cut: 30% of the training split, ROWS at
most, and HELD examples of the dev set at most. Each command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cut import write
from tuneworth.advice import Advice, advise
from tuneworth.spec import Budget, StudySpec
from tuneworth.study import Study
from tuneworth.tasks import TaskData, get_task
from tuneworth.tasks.splits import order

TASKS = {"mrpc": "accuracy", "cola": "matthews", "stsb": "pearson"}
FRACTION, ROWS, HELD = 0.3, 1500, 600
FRESH = 100
"""The first of the seeds that judge; those of `compare` begin at 0."""
WAYS = {"tuned": "3", "defaults": "1"}


@dataclass(frozen=True)
class Case:
    """Files and columns, as `compare` takes them."""

    name: str
    train: Path
    test: Path | None
    text: str
    label: str
    text_pair: str | None = None
    metric: str | None = None

    @property
    def flags(self) -> list[str]:
        given = {"train": self.train, "test": self.test, "text": self.text, "text-pair": self.text_pair, "label": self.label,
                 "metric": self.metric}  # fmt: skip
        return [part for flag, value in given.items() if value for part in (f"--{flag}", str(value))]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/tuned_or_not.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--into", type=Path, required=True, help="a directory for the store and the files that are cut")
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--train", type=Path, help="a file of your own, in place of --tasks")
    parser.add_argument("--test", type=Path, help="else a part of --train is split off")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--time-limit", default="5m")
    parser.add_argument("--budget", help="3epochs, 200steps: with tuning; without it a third more, which is what races take. On a "
                        "busy machine, instead of --time-limit")  # fmt: skip
    parser.add_argument("--methods", default="head,full,bitfit,houlsby")
    parser.add_argument("--fresh", type=int, default=5, help="fresh seeds")
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--data-dir", type=Path, help="GLUE's files; else TUNEWORTH_DATA, else ../shared/glue")
    parser.add_argument("--show", action="store_true", help="train nothing")
    return parser.parse_args(argv)


def cases(options: argparse.Namespace) -> Iterator[Case]:
    if options.train:
        yield Case(options.train.stem, options.train, options.test, options.text, options.label)
        return
    data_dir = options.data_dir or (None if "TUNEWORTH_DATA" in os.environ else Path("../shared/glue"))
    for name in options.tasks:
        task = get_task(f"glue/{name}", {})
        data: TaskData = task.load(data_dir)
        paths = {part: options.into / f"{name}-{part}.csv" for part in ("train", "test")}
        for part, examples, most in (
            ("train", data.train, min(ROWS, round(FRACTION * len(data.train)))),
            ("test", data.test, HELD),
        ):
            which = order(examples.labels, task.kind, seed=0)[:most]
            write(paths[part], examples, which, data.label_names)
        pair = "second" if data.train.pairs is not None else None
        yield Case(name, paths["train"], paths["test"], "first", "label", pair, TASKS[name])


def compare(case: Case, way: str, options: argparse.Namespace) -> None:
    command = [sys.executable, "-c", "from tuneworth.cli import app; app()", "compare", *case.flags]
    command += [
        "--model",
        options.model,
        "--methods",
        options.methods,
        "--tune",
        WAYS[way],
        "--workers",
        options.workers,
    ]
    command += ["--budget", _budget(way, options)] if options.budget else ["--time-limit", options.time_limit]
    command += ["--name", f"{case.name}-{way}", "--store", _store(options)]
    subprocess.run(command, check=True)


def advised(case: Case, way: str, options: argparse.Namespace) -> tuple[Study, Advice] | None:
    """The study and its advice; None where it has no result."""
    study = Study.open(f"{case.name}-{way}", _store(options))
    rows = [row for row in study.rows() if row["score"] is not None]
    return (study, advise(study.rows(), answers=study.answers())) if rows else None


def choice(study: Study, advice: Advice) -> tuple[str, float]:
    """The method that one would train, and its learning rate."""
    method = advice.recommendation.method if advice.recommendation else advice.candidates[0].method
    (rate,) = {row["recipe"]["learning_rate"] for row in study.rows() if row["method"] == method}
    return method, rate


def fresh(case: Case, study: Study, advice: Advice, options: argparse.Namespace) -> Study:
    """What is advised, at seeds of its own. Ways that advise the same share its trials."""
    method, rate = choice(study, advice)
    recipe = next(row["recipe"] for row in study.rows() if row["method"] == method)
    budget = study.spec.budgets[0]
    spec = StudySpec.parse({
        "name": f"{case.name}-{method}-{rate:g}-{budget}-{recipe['batch_size']}", "models": list(study.spec.models),
        "methods": [method], "tasks": list(study.spec.tasks), "budgets": [str(budget)], "deltas": "none", "evaluations": 1,
        "seeds": [FRESH + i for i in range(options.fresh)], "recipe": {method: recipe},
        "task": {name: task.model_dump(exclude_none=True) for name, task in study.spec.task.items()},
    })  # fmt: skip
    return Study(spec, _store(options))


def show(options: argparse.Namespace, found: Sequence[Case]) -> None:
    print("| task | way | advice | its rate | budget | score, fresh seeds |")
    print("|---|---|---|--:|---|--:|")
    for case in found:
        for way in WAYS:
            there = advised(case, way, options)
            if there is None:
                continue
            study, advice = there
            method, rate = choice(study, advice)
            judged = fresh(case, study, advice, options)
            scores = [row["score"] for row in judged.rows() if row["score"] is not None] if judged.known_spec() else []
            said = (
                f"{np.mean(scores):.1f} ({min(scores):.1f} to {max(scores):.1f}, {len(scores)} seeds)" if scores else ""
            )
            grade = advice.evidence if not advice.undecided else "undecided"
            print(f"| {case.name} | {way} | {method}, {grade} | {rate:g} | {study.spec.budgets[0]} | {said} |")


def _budget(way: str, options: argparse.Namespace) -> str:
    tuned = Budget.parse(options.budget)
    return str(tuned if way == "tuned" else Budget(amount=round(4 / 3 * tuned.amount, 1), unit=tuned.unit))


def _store(options: argparse.Namespace) -> str:
    return str(options.into / "tuned.db")


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    options.into = options.into.resolve()
    options.into.mkdir(parents=True, exist_ok=True)
    found = list(cases(options))
    for case in () if options.show else found:
        for way in WAYS:
            compare(case, way, options)
            there = advised(case, way, options)
            if there is not None:
                fresh(case, *there, options).run(workers=options.workers)
    show(options, found)


if __name__ == "__main__":
    main(sys.argv[1:])
