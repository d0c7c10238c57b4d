"""Does the cost of an example depend on how many there are? One trial for each size of data set, in a fresh process.

    python benchmarks/scaling.py            # 1,000, 10,000 and 50,000 examples, three runs each, in turn
    python benchmarks/scaling.py --quick    # 1,000 and 50,000, 20 steps, one run each: two minutes

Every trial takes the same number of steps of the same length, on sentences of the same lengths. Shown are
medians: examples a second of training (the trial's clock), set-up and evaluation, and the process's peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPREAD = 0.15
"""The aim: the slowest size within this share of the fastest; for memory too."""
TEST = 200


def one(options: argparse.Namespace, examples: int, folder: Path) -> dict[str, Any]:
    """A trial on `examples` training examples. Tokens are cached by the first run and mapped by the later ones."""
    from tuneworth.spec import StudySpec
    from tuneworth.study import Study

    spec = StudySpec.parse({
        "name": f"n{examples}", "models": [options.model], "methods": [options.method], "tasks": ["made"], "seeds": 1,
        "budgets": [f"{options.steps}steps"], "evaluations": 1, "deltas": "none",
        "task": {"made": {"train": folder / f"{examples}.csv", "test": folder / "test.csv", "text": "text", "label": "label"}},
    })  # fmt: skip
    study = Study(spec, "memory:")
    study.files = folder / "files"
    counts = study.run(workers=1, watch=lambda _: None)
    (row,) = study.rows()
    if not counts.done:
        sys.exit(f"the trial failed: {row['error']}")
    return {"examples": examples, "rate": row["examples_seen"] / row["train_seconds"],
            "setup_seconds": row["setup_seconds"], "eval_seconds": row["eval_seconds"],
            "peak_memory_mb": row["peak_memory_bytes"] / 1e6, "machine": row["environment"]}  # fmt: skip


def write(path: Path, examples: int, seed: int) -> None:
    """Sentences of 4 to 12 words out of 400, of two classes."""
    draw = random.Random(seed)
    words = [f"{a}{b}" for a in ("over", "under", "out", "up", "in", "fore", "back", "down") for b in
             ("run", "take", "look", "come", "turn", "set", "put", "go", "stand", "see") * 5]  # fmt: skip
    with path.open("w") as file:
        file.write("text,label\n")
        for i in range(examples):
            file.write(f"{' '.join(draw.choices(words, k=draw.randint(4, 12)))},{i % 2}\n")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/scaling.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--method", default="bitfit")
    parser.add_argument("--sizes", nargs="+", type=int, help="training examples (1,000 10,000 50,000)")
    parser.add_argument("--steps", type=int, help="of 32 examples (50; --quick: 20)")
    parser.add_argument("--repeats", type=int, help="(3; --quick: 1)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "FOLDER"), help="one run, in this process: a line of JSON")
    options = parser.parse_args(argv)
    options.sizes = options.sizes or ([1000, 50000] if options.quick else [1000, 10000, 50000])
    options.steps = options.steps or (20 if options.quick else 50)
    options.repeats = options.repeats or (1 if options.quick else 3)
    return options


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    if options.one:
        print(json.dumps(one(options, int(options.one[0]), Path(options.one[1]))))
        return
    load, start = os.getloadavg()[0], time.perf_counter()
    runs: dict[int, list[dict[str, Any]]] = {size: [] for size in options.sizes}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "test.csv"), TEST, 1)
        for size in options.sizes:
            write(Path(folder, f"{size}.csv"), size, 0)
        for turn in range(-1, options.repeats):  # the first turn makes the tokens' files, and is not counted
            for size, measured in runs.items():
                print(f"{size} examples, {'first' if turn < 0 else turn + 1}", file=sys.stderr)
                command = [sys.executable, __file__, *argv, "--one", str(size), folder]
                child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
                if child.returncode:
                    sys.exit(f"failed with {size} examples")
                found = json.loads(child.stdout.splitlines()[-1])
                if turn >= 0:
                    measured.append(found)
    columns = ("rate", "setup_seconds", "eval_seconds", "peak_memory_mb")
    rows = [{"examples": size, **{c: statistics.median(one[c] for one in measured) for c in columns}}
            for size, measured in runs.items()]  # fmt: skip
    print(f"{'examples':>10}{'examples/s':>12}{'set-up s':>10}{'evaluation s':>14}{'peak MB':>9}")
    for row in rows:
        print(
            "{examples:>10,}{rate:>12.1f}{setup_seconds:>10.2f}{eval_seconds:>14.2f}{peak_memory_mb:>9.0f}".format(
                **row
            )
        )
    rates, peaks = [row["rate"] for row in rows], [row["peak_memory_mb"] for row in rows]
    slower, larger = 1 - min(rates) / max(rates), max(peaks) / min(peaks) - 1
    print(f"slowest {slower:.1%} below the fastest, largest peak {larger:.1%} above the smallest; aim {SPREAD:.0%}\n")
    print(json.dumps({"command": shlex.join(["python", "benchmarks/scaling.py", *argv]), "rows": rows, "slower": slower,
                      "larger": larger, "machine": runs[options.sizes[0]][0]["machine"], "load_before": load,
                      "seconds": time.perf_counter() - start}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
