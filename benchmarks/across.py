"""One method for all tasks: how often the interval of a difference's mean over tasks holds the truth, and how wide it is.

    python benchmarks/across.py           # some seconds on one core

Each of so many tasks has its own true difference, normal around the mean of all tasks there might be, and is measured over a few
seeds whose spread differs from task to task, from 0.5 to 3 points.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tuneworth.stats import Estimate, over_seeds, over_tasks

Array = NDArray[np.float64]
TASKS, SEEDS, BETWEEN = (3, 5, 10, 20), (3, 10), (0.0, 0.5, 2.0)


def measure(worlds: int, seed: int) -> list[dict[str, float]]:
    generator, found = np.random.default_rng(seed), []
    for between in BETWEEN:
        for seeds in SEEDS:
            for tasks in TASKS:
                spread = np.exp(generator.uniform(np.log(0.5), np.log(3), (worlds, tasks, 1)))
                true = between * generator.normal(size=(worlds, tasks, 1))
                drawn = true + spread * generator.normal(size=(worlds, tasks, seeds))
                row: dict[str, float] = {"between": between, "seeds": seeds, "tasks": tasks}
                for name, one in (("plain t", _plain), ("hierarchical", _pooled)):
                    intervals = np.array([one(world).interval(0.95) for world in drawn])
                    low, high = intervals.T
                    row[f"{name}, %"] = round(100 * float(((low <= 0) & (high >= 0)).mean()), 1)
                    row[f"{name}, half width"] = round(float(np.median(high - low)) / 2, 2)
                found.append(row)
    return found


def _plain(world: Array) -> Estimate:
    found = over_seeds(world.mean(1))
    assert found
    return found


def _pooled(world: Array) -> Estimate:
    estimates = [over_seeds(task) for task in world]
    found = over_tasks([one for one in estimates if one])
    assert found
    return found


def main(argv: list[str] | None = None) -> list[dict[str, float]]:
    parser = argparse.ArgumentParser(description="coverage of means over tasks")
    parser.add_argument("--worlds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    rows = measure(options.worlds, options.seed)
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=130).print(table)
    print(json.dumps(rows))
    return rows


if __name__ == "__main__":
    main()
