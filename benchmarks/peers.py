"""Training speed and peak memory beside other libraries, each run in a fresh process, peers and Tuneworth in turn.

    python benchmarks/peers.py --adapters-python PATH            # all cells, five turns: some hours
    python benchmarks/peers.py --quick --adapters-python PATH    # fewer cells, turns and steps: under 10 minutes

A cell is a model, a task and a method: {full, bitfit, houlsby, lora} x {the packaged encoder, BERT-base's shape} x {MRPC,
CoLA, STS-B}. Peers: `trainer` is transformers.Trainer at its best settings (lora through peft), `adapters` AdapterHub's
library for houlsby, in an environment of its own (it pins an older transformers; skipped where none is given), and
`defaults` what run_glue.py leaves as it is (fp32, padded to the full length), for bitfit on MRPC.

What is alike on all sides: the head to start from; every batch, as Tuneworth groups the whole data set by length, and their order;
longest length, learning rate and schedule, optimiser, gradient clipping, and which parameters are trained; precision too, but for
`defaults`. The run ends with an error where examples, steps or the number of trained parameters differ. What is timed: the later
half of the steps, without set-up, tokenising, evaluation or saving; the first half warms up on the very batches that are timed.
Peak memory is the process's on a CPU, what is allocated on a GPU; Tuneworth's holds its evaluations too. `share`: the FLOPs
that the trial counts for the timed steps, over their seconds, over the rate of matrix products of the model's shape, which is
measured in each turn.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

from runs import (
    BERT_BASE,
    Ledger,
    Measurement,
    Rate,
    bert_base,
    data_dir,
    hidden_size,
    installed,
    matrix_rate,
    mean_length,
    ours,
    plan,
    theirs,
)
from tuneworth.errors import UserError
from tuneworth.events import Job
from tuneworth.spec import Precision

METHODS = ("full", "bitfit", "houlsby", "lora")
TASKS = ("glue/mrpc", "glue/cola", "glue/stsb")
FIRST = "tuneworth"
PEERS = ("trainer", "adapters", "defaults")
STEPS = {"minilm": 24, BERT_BASE: 10}
QUICK_STEPS = {"minilm": 12, BERT_BASE: 6}
"""Timed steps, so that a run takes seconds; OTHER_STEPS for other models."""
OTHER_STEPS = 12


class Cell(NamedTuple):
    model: str
    task: str
    method: str


Runs = dict[tuple[Cell, str], list[Measurement]]
"""By cell and side: FIRST or a peer."""


@dataclass(frozen=True)
class Row:
    """One side of a cell. `ratio`: Tuneworth's median speed over this one's. `share`: of the matrix-rate bound."""

    model: str
    task: str
    method: str
    peer: str
    examples_per_second: float
    slowest: float
    fastest: float
    ratio: float
    peak_memory_mb: float
    memory_ratio: float
    """Tuneworth's peak over this one's: below 1 Tuneworth needs less."""
    share: float | None = None


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/peers.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--models", nargs="+", default=["minilm", BERT_BASE], help="an alias, bert-base or a directory")
    parser.add_argument("--tasks", nargs="+", help="all three; --quick: MRPC")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--adapters-python", help="the Python of an environment with adapters and accelerate")
    parser.add_argument("--data-dir", type=Path, help="GLUE's files; else TUNEWORTH_DATA, else ../shared/glue")
    parser.add_argument("--steps", type=int, help="that are timed; 24 for MiniLM, 10 for BERT-base (--quick: 12, 6)")
    parser.add_argument("--repeats", type=int, help="turns (5; --quick: 3)")
    parser.add_argument("--minutes", type=float, help="no turn begins that would end later (--quick: 9)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="auto", help="auto: bf16 where the device has it"
    )
    parser.add_argument("--into", type=Path, help="a file for finished runs: the same command goes on from there; for "
                        "another version of the code take another file")  # fmt: skip
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(argv)
    options.tasks = options.tasks or list(TASKS[:1] if options.quick else TASKS)
    options.repeats = (3 if options.quick else 5) if options.repeats is None else options.repeats
    options.minutes = (9.0 if options.quick else math.inf) if options.minutes is None else options.minutes
    if options.repeats < 1:
        parser.error(f"--repeats {options.repeats}: nothing would run")
    if options.steps is not None and options.steps < 1:
        parser.error(f"--steps {options.steps}: nothing would be timed")
    options.data_dir = data_dir(options.data_dir)
    return options


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    """`--quick`: of BERT-base's shape bitfit alone, whose memory is asked about."""
    for model in options.models:
        for task in options.tasks:
            for method in options.methods:
                if not (options.quick and model == BERT_BASE and method != "bitfit"):
                    yield Cell(model, task, method)


def peers_of(cell: Cell, options: argparse.Namespace) -> list[str]:
    """Which peers can run it. `defaults` only where it is asked about: it takes long."""
    able = ["adapters"] if cell.method == "houlsby" else ["trainer"]
    if cell.method == "bitfit" and cell.task == TASKS[0] and not (options.quick and cell.model == BERT_BASE):
        able.append("defaults")
    return [peer for peer in able if peer in options.peers]


def present(options: argparse.Namespace) -> dict[str, str]:
    """peer -> its Python, of those that are installed; what is missing is said."""
    pythons = {"trainer": sys.executable, "defaults": sys.executable, "adapters": options.adapters_python or ""}
    needs = {"adapters": ["adapters", "accelerate"]}
    found = {}
    for peer in options.peers:
        if installed(pythons[peer], needs.get(peer, ["accelerate"])):
            found[peer] = pythons[peer]
        elif peer == "adapters" and not options.adapters_python:
            print("peer adapters is skipped: no --adapters-python; houlsby has no peer then", file=sys.stderr)
        else:
            print(f"peer {peer} is skipped: {pythons[peer]!r} lacks {' or '.join(needs.get(peer, ['accelerate']))}",
                  file=sys.stderr)  # fmt: skip
    return found


def jobs(options: argparse.Namespace, folder: Path) -> dict[Cell, Job]:
    """Every cell's trial."""
    made = str(bert_base(folder / "bert-base")) if BERT_BASE in options.models else ""
    defaults = QUICK_STEPS if options.quick else STEPS
    planned = {}
    for cell in cells(options):
        planned[cell] = plan(
            made if cell.model == BERT_BASE else cell.model, cell.method, cell.task, options.data_dir, folder,
            options.device, timed_steps=options.steps or defaults.get(cell.model, OTHER_STEPS),
            batch_size=options.batch_size, max_length=options.max_length, precision=options.precision,
        )  # fmt: skip
    return planned


def compare(options: argparse.Namespace, planned: dict[Cell, Job]) -> tuple[Runs, dict[str, list[Rate]]]:
    """Turn by turn, A B A B, so that what else the machine does falls on all alike; the matrix rate of each model too."""
    pythons, ledger = present(options), Ledger(options.into)
    started, longest = time.monotonic(), 0.0
    runs: Runs = {
        (cell, side): []
        for cell in planned
        for side in (FIRST, *(peer for peer in peers_of(cell, options) if peer in pythons))
    }
    rates: dict[str, list[Rate]] = {cell.model: [] for cell in planned}
    for turn in range(options.repeats):
        begun = time.monotonic()
        if begun - started + longest > 60 * options.minutes:
            print(f"the time is up after {turn} turns of {options.repeats}", file=sys.stderr)
            break
        for model in rates:
            job = next(job for cell, job in planned.items() if cell.model == model)
            key = f"{turn} rate {model} {options.batch_size} {job.device}"
            rates[model].append(Rate(**ledger.once(key, partial(_rate, job))))
        for cell, side in runs:
            print(f"turn {turn + 1} of {options.repeats}: {' '.join(cell)}, {side}", file=sys.stderr)
            job = planned[cell]
            key = f"{turn} {job.trial.key} {side} {job.device}"
            one = Measurement(**ledger.once(key, partial(_run, side, job, pythons)))
            check(cell, side, one, runs)
            runs[cell, side].append(one)
        longest = max(longest, time.monotonic() - begun)
    return runs, rates


def _run(side: str, job: Job, pythons: dict[str, str]) -> dict[str, Any]:
    return asdict(ours(job) if side == FIRST else theirs(side, job, pythons[side]))


def _rate(job: Job) -> dict[str, Any]:
    tokens = round(job.trial.recipe.batch_size * mean_length(job))
    return asdict(matrix_rate(job.device, tokens, hidden_size(job), job.trial.precision))


def check(cell: Cell, side: str, one: Measurement, runs: Runs) -> None:
    """End here where a side trained on other examples, in other steps, or other parameters than the first."""
    first = next((r[0] for (other, _), r in runs.items() if other == cell and r), one)
    if (one.examples, one.steps, one.trainable) != (first.examples, first.steps, first.trainable):
        sys.exit(f"not comparable, {' '.join(cell)}: {side} gives\n{one}\nand the first side\n{first}")


def summary(runs: Runs, rates: dict[str, list[Rate]]) -> list[Row]:
    """A row a cell and side, from medians; runs of one cell have the same examples."""
    rows = []
    for (cell, side), measured in runs.items():
        speeds = [one.speed for one in measured]
        mine = runs[cell, FIRST]
        peak = statistics.median(one.peak_memory_bytes for one in measured)
        share = None
        if side == FIRST and rates.get(cell.model):
            rate = statistics.median(one.flops for one in rates[cell.model])
            share = statistics.median(one.flops / one.seconds for one in measured) / rate
        rows.append(Row(
            *cell, side, statistics.median(speeds), min(speeds), max(speeds),
            statistics.median(one.speed for one in mine) / statistics.median(speeds), peak / 1e6,
            statistics.median(one.peak_memory_bytes for one in mine) / peak, share,
        ))  # fmt: skip
    return rows


def totals(rows: Sequence[Row]) -> dict[str, Any]:
    """What the rows come to. `best`: by cell, the ratio against the fastest peer at its best settings."""
    best: dict[Cell, float] = {}
    for row in rows:
        if row.peer not in (FIRST, "defaults"):
            cell = Cell(row.model, row.task, row.method)
            best[cell] = min(row.ratio, best.get(cell, math.inf))
    worst = min(best, key=lambda cell: best[cell]) if best else None
    return {
        "cells": len({(row.model, row.task, row.method) for row in rows}),
        "cells_with_a_peer": len(best),
        "geometric_mean": statistics.geometric_mean(best.values()) if best else None,
        "smallest": best[worst] if worst else None,
        "smallest_at": " ".join(worst) if worst else None,
        "against_defaults": {row.model: row.ratio for row in rows if row.peer == "defaults"},
        "memory_bitfit_bert_base": {
            row.task: row.memory_ratio
            for row in rows
            if (row.model, row.method, row.peer) == (BERT_BASE, "bitfit", "trainer")
        },
    }


def show(rows: Sequence[Row], found: dict[str, Any], rates: dict[str, list[Rate]], turns: int) -> None:
    width = max(len(_short(row.model)) for row in rows) + 2
    print(f"{'model':<{width}}{'task':<18}{'method':<9}{'peer':<11}{'examples/s':>10}{'slowest':>9}{'fastest':>9}"
          f"{'ratio':>7}{'peak MB':>9}{'ratio':>7}{'share':>7}")  # fmt: skip
    for row in rows:
        share = "" if row.share is None else f"{row.share:7.0%}"
        print(f"{_short(row.model):<{width}}{row.task:<18}{row.method:<9}{row.peer:<11}{row.examples_per_second:>10.1f}"
              f"{row.slowest:>9.1f}{row.fastest:>9.1f}{row.ratio:>7.2f}{row.peak_memory_mb:>9.0f}"
              f"{row.memory_ratio:>7.2f}{share}")  # fmt: skip
    print(f"\nmedians of {turns}; the first ratio: tuneworth's examples/s over the peer's, above 1 tuneworth is faster;"
          " the second: its peak memory over the peer's, below 1 it needs less")  # fmt: skip
    for model, measured in rates.items():
        rate = statistics.median(one.flops for one in measured)
        shape = " x ".join(str(size) for size in measured[0].shape)
        print(f"matrix rate for {_short(model)}: {rate / 1e12:.3f} TFLOP/s ({measured[0].precision}, {shape})")
    if found["geometric_mean"] is not None:
        print(f"against the best peer: geometric mean {found['geometric_mean']:.2f} over {found['cells_with_a_peer']} of "
              f"{found['cells']} cells, smallest {found['smallest']:.2f} ({found['smallest_at']})")  # fmt: skip
    for model, ratio in found["against_defaults"].items():
        print(f"against run_glue's defaults, bitfit on MRPC, {_short(model)}: {ratio:.2f}")
    for task, ratio in found["memory_bitfit_bert_base"].items():
        print(f"peak memory of bitfit on BERT-base's shape, {task}: {ratio:.0%} of the Trainer's")


def _short(model: str) -> str:
    return Path(model).name


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    load = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory() as folder:
            runs, rates = compare(options, jobs(options, Path(folder)))
    except UserError as error:
        sys.exit(str(error))
    rows = summary(runs, rates)
    found = totals(rows)
    turns = min(len(measured) for measured in runs.values())
    show(rows, found, rates, turns)
    machine = {name: value for (_, side), measured in runs.items() if side == FIRST
               for name, value in measured[0].environment.items()}  # fmt: skip
    versions = {side: measured[0].environment for (_, side), measured in runs.items() if side != FIRST}
    print(json.dumps({
        "command": shlex.join(["python", "benchmarks/peers.py", *argv]), "turns": turns, **found,
        "rows": [asdict(row) for row in rows], "rates": {name: [asdict(r) for r in each] for name, each in rates.items()},
        "machine": machine, "peers": versions, "load_before": load,
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
