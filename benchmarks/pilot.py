"""Which learning rate should each method start from? Pilot studies on GLUE's training data, the ground of the default recipes.

    python benchmarks/pilot.py --into pilots/                 # 7 methods x 3 rates, MRPC, CoLA, STS-B, 3 settings: 189 trials
    python benchmarks/pilot.py --into pilots/ --show          # what is there so far, as the table of docs/log.md

Of each task's training split SEEN examples may be trained on: a third of them for three epochs, all of them for one and for
three (one epoch of 400 is twelve steps, from which nobody would choose a rate); HELD more are held out and scored. GLUE's dev
sets, which are Tuneworth's test splits, are never read. The studies lie in a store in --into, so that the same command goes on
where it was stopped; the cheap settings come first.

A method's default is the rate whose *loss of points*, against the best rate of the same method in each setting, is least on
average over all settings. Compared are only settings in which every rate of the method has ended.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cut import write
from tuneworth.results.rows import Row
from tuneworth.spec import StudySpec
from tuneworth.study import Study
from tuneworth.tasks import TaskData, get_task
from tuneworth.tasks.splits import order

TASKS = {"cola": "matthews", "stsb": "spearman", "mrpc": "accuracy"}
RATES: dict[str, tuple[float, ...]] = {
    "full": (5e-5, 1.5e-4, 4.5e-4),
    "bitfit": (4e-3, 1.2e-2, 3.6e-2),
    "houlsby": (1e-3, 3e-3, 9e-3),
    "lora": (1e-3, 3e-3, 9e-3),
    "pfeiffer": (1e-3, 3e-3, 9e-3),
    "parallel": (1e-3, 3e-3, 9e-3),
    "head": (5e-2, 1.5e-1, 5e-1),
}
SETTINGS = ((0.333, "3epochs"), (1.0, "3epochs"), (1.0, "1epochs"))
SEEN = 1200
"""Training examples of each task that may be trained on; the settings' fractions are of these."""
HELD = 800
"""Examples of the rest that are scored: accuracies of two rates then differ by chance by one point."""

Setting = tuple[str, float, str]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/pilot.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--into", type=Path, required=True, help="a directory for the store and the files that are cut")
    parser.add_argument("--methods", nargs="+", choices=list(RATES), default=list(RATES))
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--time-limit", help="90s, 10m, 2h: then stop; the same command goes on")
    parser.add_argument("--data-dir", type=Path, help="GLUE's files; else TUNEWORTH_DATA, else ../shared/glue")
    parser.add_argument("--show", action="store_true", help="train nothing")
    return parser.parse_args(argv)


def cut(name: str, data_dir: Path | None, into: Path) -> dict[str, Any]:
    """The task's declaration, over two files that are cut from its training split."""
    task = get_task(f"glue/{name}", {})
    data: TaskData = task.load(data_dir)
    shuffled = order(data.train.labels, task.kind, seed=0)
    parts = {"train": shuffled[:SEEN], "held": shuffled[SEEN : SEEN + HELD]}
    for part, which in parts.items():
        write(into / f"{name}-{part}.csv", data.train, which, data.label_names)
    pair = {"text_pair": "second"} if data.train.pairs is not None else {}
    return {"train": into / f"{name}-train.csv", "test": into / f"{name}-held.csv", "text": "first", "label": "label",
            "kind": task.kind, "metric": TASKS[name], **pair}  # fmt: skip


def studies(options: argparse.Namespace) -> list[Study]:
    """One a setting."""
    into = options.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    data_dir = options.data_dir or (None if "TUNEWORTH_DATA" in os.environ else Path("../shared/glue"))
    files = {name: cut(name, data_dir, into) for name in options.tasks}
    specs = [
        StudySpec.parse({
            "name": f"pilot-{SEEN * fraction:.0f}-{budget}", "models": [options.model], "methods": options.methods,
            "tasks": options.tasks, "fractions": [fraction], "budgets": [budget], "seeds": options.seeds, "deltas": "none",
            "evaluations": 1, "recipe": {method: {"learning_rate": list(RATES[method])} for method in options.methods},
            "task": files,
        })
        for fraction, budget in SETTINGS
    ]  # fmt: skip
    return [Study(spec, str(into / "pilot.db")) for spec in specs]


def regrets(table: Sequence[Row]) -> dict[str, dict[float, dict[Setting, float]]]:
    """Method -> rate -> setting -> points below the method's best rate there, by the mean over seeds. A failed trial scores
    what one answer for all does."""
    scores: dict[str, dict[Setting, dict[float, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    whole: dict[tuple[str, Setting], bool] = defaultdict(lambda: True)
    baselines = {row["task"]: row["baseline_score"] for row in table if row["baseline_score"] is not None}
    for row in table:
        setting = row["task"], row["fraction"], row["budget"]
        whole[row["method"], setting] &= row["state"] in ("done", "failed")
        score = row["score"] if row["score"] is not None else baselines.get(row["task"], 0.0)
        scores[row["method"]][setting][row["recipe"]["learning_rate"]].append(score)
    found: dict[str, dict[float, dict[Setting, float]]] = defaultdict(lambda: defaultdict(dict))
    for method, settings in scores.items():
        for setting, rates in settings.items():
            if whole[method, setting]:
                means = {rate: float(np.mean(values)) for rate, values in rates.items()}
                for rate, mean in means.items():
                    found[method][rate][setting] = max(means.values()) - mean
    return found


def show(found: Mapping[str, Mapping[float, Mapping[Setting, float]]]) -> None:
    """Markdown: a line a method and rate; the default that follows is marked."""
    groups = sorted({key for rates in found.values() for settings in rates.values() for key in settings})
    titles = [f"{task} {fraction * SEEN:.0f}, {budget}" for task, fraction, budget in groups]
    print("| method | rate | mean | worst | " + " | ".join(titles) + " |")
    print("|---|--:|--:|--:|" + "--:|" * len(groups))
    for method, rates in found.items():
        best = min(rates, key=lambda rate: np.mean(list(rates[rate].values())))
        for rate, settings in rates.items():
            mark = "**" if rate == best else ""
            values = list(settings.values())
            cells = [f"{settings[group]:.1f}" if group in settings else "" for group in groups]
            print(
                f"| {method} | {mark}{rate:g}{mark} | {np.mean(values):.1f} | {max(values):.1f} | {' | '.join(cells)} |"
            )


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    table: list[Row] = []
    for study in studies(options):
        if not options.show:
            study.run(workers=options.workers, time_limit=options.time_limit)
        if study.known_spec() is not None:
            table += study.rows()
    show(regrets(table))


if __name__ == "__main__":
    main(sys.argv[1:])
