"""Does a study go faster with a worker a core, or with one worker on all cores? Whole studies, in turn.

    python benchmarks/workers.py            # {full, bitfit, houlsby, lora} on MRPC, 40 steps, two seeds, three turns
    python benchmarks/workers.py --quick    # one seed, 15 steps, one turn: about two minutes

Each run is a new study in a new store, by the library as the command line uses it: the start of workers, set-up, evaluation and
the store count. Examples a second: those trained on, over the wall clock from the first line to the last. A memory figure
is the sum of the workers' peaks, shared pages counted in each. What `--workers auto` expected is the race in
`tuneworth.machine.throughput`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runs import data_dir

METHODS = ("full", "bitfit", "houlsby", "lora")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/workers.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--task", default="glue/mrpc")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--workers", nargs="+", type=int, default=[2, 1], help="what is compared; the last is the base")
    parser.add_argument("--steps", type=int, help="(40; --quick: 15)")
    parser.add_argument("--seeds", type=int, help="(2; --quick: 1)")
    parser.add_argument("--repeats", type=int, help="turns (3; --quick: 1)")
    parser.add_argument("--data-dir", type=Path, help="GLUE's files; else TUNEWORTH_DATA, else ../shared/glue")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(argv)
    for name, usual, quick in (("steps", 40, 15), ("seeds", 2, 1), ("repeats", 3, 1)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: nothing would run")
    options.data_dir = data_dir(options.data_dir)
    return options


def run(options: argparse.Namespace, workers: int) -> tuple[float, list[dict[str, Any]]]:
    """Examples a second of one whole study, and its rows."""
    from tuneworth.spec import StudySpec
    from tuneworth.study import Study

    spec = StudySpec.parse({
        "name": "race", "models": [options.model], "methods": options.methods, "tasks": [options.task],
        "seeds": options.seeds, "budgets": [f"{options.steps}steps"], "evaluations": 1,
    })  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        study = Study(spec, f"{folder}/race.db", data_dir=options.data_dir)
        counts = study.run(workers=workers, watch=lambda _: None)
        wall = time.perf_counter() - start
        if counts.done != counts.total:
            sys.exit(f"{counts.total - counts.done} trials failed")
        rows = study.rows()
    return sum(row["examples_seen"] for row in rows) / wall, rows


def main(argv: Sequence[str]) -> dict[int, float]:
    options = parse(argv)
    load = os.getloadavg()[0]
    speeds: dict[int, list[float]] = {workers: [] for workers in options.workers}
    peaks: dict[int, float] = {}
    machine: dict[str, Any] = {}
    for turn in range(options.repeats):
        for workers in options.workers:
            print(f"turn {turn + 1} of {options.repeats}: workers {workers}", file=sys.stderr)
            speed, rows = run(options, workers)
            speeds[workers].append(speed)
            peaks[workers] = workers * max(row["peak_memory_bytes"] for row in rows)
            machine = rows[0]["environment"]
    medians = {workers: statistics.median(found) for workers, found in speeds.items()}
    base = medians[options.workers[-1]]
    print(f"{'workers':>7}{'examples/s':>12}{'slowest':>9}{'fastest':>9}{'ratio':>7}{'peaks MB':>10}")
    for workers, found in speeds.items():
        print(f"{workers:>7}{medians[workers]:>12.1f}{min(found):>9.1f}{max(found):>9.1f}{medians[workers] / base:>7.2f}"
              f"{peaks[workers] / 1e6:>10.0f}")  # fmt: skip
    print(json.dumps({"command": shlex.join(["python", "benchmarks/workers.py", *argv]), "speeds": speeds, "peaks": peaks,
                      "machine": machine, "load_before": load}))  # fmt: skip
    return {workers: median / base for workers, median in medians.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
