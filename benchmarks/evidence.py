"""Is the answer right? Intervals, verdicts and sequential decisions in simulated worlds whose truth is known.

    python benchmarks/evidence.py            # a few minutes on one core
    python benchmarks/evidence.py --quick    # some 10 seconds; its rows are noisy

Prints a table and one JSON line. docs/evidence.md says what each row means; worlds.py draws the worlds. To add rows, write
a function like those below and name it in SECTIONS.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from advising import advice
from hard import clear, hard
from tuneworth.stats import LOOKS, Comparison, Interval, compare, decide, mean_interval, trained_ones, wilson
from worlds import SEEDS, Array, World, draw

COUNTS = (3, 5, 10, 20)
MARGIN = 1.0
METHODS = 5
COVERED = (93.0, 97.0)
ERRS = (0.0, 5.0)
A_FIFTH = (0.0, 20.0)


@dataclass(frozen=True)
class Row:
    """`percent` of `cases`, and its 95% interval by the simulation's own chance. `target`: what it must lie in, None where the
    row only reports. Missed: not even the interval reaches it.
    """

    question: str
    world: str
    seeds: str
    percent: float
    cases: int
    low: float
    high: float
    target: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.low <= self.target[1] and self.high >= self.target[0]


class Tally:
    """Yes or no, by row: counted in whatever order the worlds come."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, str], list[float]] = {}
        self.targets: dict[tuple[str, str, str], tuple[float, float] | None] = {}

    def add(  # `share`: a truth value, or a share of its own
        self, question: str, world: str, seeds: object, share: float, target: tuple[float, float] | None = None
    ) -> None:
        key = question, world, str(seeds)
        self.counts.setdefault(key, []).append(float(share))
        self.targets[key] = target

    def rows(self) -> list[Row]:
        return [
            Row(*key, round(100 * float(np.mean(found)), 1), len(found), *_chance(found), self.targets[key])
            for key, found in self.counts.items()
        ]


def _chance(found: list[float]) -> tuple[float, float]:
    """The 95% interval, in percent, of a mean of truth values (Wilson's) or of shares (Student's)."""
    interval = wilson(round(sum(found)), len(found)) if set(found) <= {0.0, 1.0} else mean_interval(found)
    low, high = interval or (0.0, 1.0)
    return round(100 * low, 1), round(100 * high, 1)


def coverage(generator: np.random.Generator, worlds: int, tally: Tally) -> Iterator[None]:
    """How often the 95% intervals of a difference hold the truth, and Wilson's the collapse rate."""
    for name, world in _worlds(generator, worlds, methods=2):
        yield
        for n in COUNTS:
            for label, trained in _views(name):
                here, anywhere = _truth(world, trained)
                target = COVERED if n >= 5 and _promised(label) else None
                _cover(tally, label, n, _compared(world, n, trained), here, anywhere, target)
            low, high = wilson(int(world.collapsed[0, :n].sum()), n)
            if name != "steady":
                tally.add("covers the collapse rate", name, n, low <= world.collapse[0] <= high)


def claims(generator: np.random.Generator, worlds: int, tally: Tally) -> Iterator[None]:
    """Wrong verdicts of `compare` with a set number of seeds, at the hardest truth there is.

    "better" or "worse" between twins, which do not differ (margin 0, so that "equivalent" cannot come first);
    "equivalent" with the margin set to the true difference.
    """
    for name, world in _worlds(generator, worlds, methods=2, twins=True):
        yield
        for n in COUNTS:
            for label, trained in _views(name):
                found = _compared(world, n, trained, margin=0.0)
                if found:
                    for place, verdict in (("these examples", found.verdict), ("new data", found.wide_verdict)):
                        wrong = verdict in ("better", "worse")
                        tally.add(f"wrong 'better', {place}", label, n, wrong, ERRS if _promised(label) else None)
    for name, world in _worlds(generator, worlds, methods=2):
        yield
        for n in COUNTS:
            for label, trained in _views(name):
                here, anywhere = _truth(world, trained)
                for place, truth in (("these examples", here), ("new data", anywhere)):
                    margin = abs(float(truth[0] - truth[1]))
                    found = _compared(world, n, trained, margin)
                    if found and margin > 0.3:
                        verdict = found.verdict if place == "these examples" else found.wide_verdict
                        wrong = verdict == "equivalent"
                        tally.add(f"wrong 'equivalent', {place}", label, n, wrong, ERRS if _promised(label) else None)


def peeking(generator: np.random.Generator, worlds: int, tally: Tally) -> Iterator[None]:
    """The same errors where one looks again and again and stops at the first answer, in groups of five methods.

    An error is any wrong statement about any method of a group, at any look. Hardest: the margin is the true regret of one
    of the methods, so that "inside" and "outside" are both wrong for it, by a hair.
    """
    for name, world in _worlds(generator, worlds, methods=2, twins=True):
        yield
        for label, trained in _views(name):
            scores = {str(m): world.by_seed(m) for m in range(2)}
            beaten = bool(decide(scores, 0.0, baseline=world.baseline if trained else None).outside)
            tally.add("wrong 'better', looks", label, f"{LOOKS[0]}-{SEEDS}", beaten, ERRS if _promised(label) else None)
            naive = (_compared(world, n, trained, 0.0) for n in range(LOOKS[0], SEEDS + 1))
            wrong = any(found and found.verdict in ("better", "worse") for found in naive)
            tally.add("wrong 'better', unguarded peeking", label, f"{LOOKS[0]}-{SEEDS}", wrong)
    for name, world in _worlds(generator, worlds, methods=METHODS):
        yield
        for label, trained in _views(name):
            truth, _ = _truth(world, trained)
            regret = truth.max() - truth
            for hardest, margin in (("", MARGIN), (", hardest", float(np.sort(regret)[2]))):
                inside, outside, spent, is_open = _until_decided(world, margin, trained)
                looks = f"{LOOKS[0]}-{SEEDS}"
                slack = 1e-9 if hardest else 0.0
                target = ERRS if _promised(label) else None
                wrong_in = any(regret[m] > margin - slack for m in inside)
                wrong_out = any(regret[m] <= margin + slack for m in outside)
                tally.add("wrong 'inside'" + hardest, label, looks, wrong_in, target)
                tally.add("wrong 'outside'" + hardest, label, looks, wrong_out, target)
                if not hardest:
                    tally.add("trials used, of 20 seeds a method", label, looks, spent)
                    tally.add("groups left open", label, looks, is_open)


def effort(generator: np.random.Generator, worlds: int, tally: Tally) -> Iterator[None]:
    """Trials that sequential decisions need where one method is clearly ahead: by 4 points or more, seeds' sd 0.5 to 1.5."""
    for _ in range(worlds):
        gaps = generator.permutation([0.0, *generator.uniform(4, 12, METHODS - 1)])
        world = draw(generator, gaps, np.zeros(METHODS), spread=(0.5, 1.5))
        yield
        inside, outside, spent, is_open = _until_decided(world, MARGIN, trained=False)
        regret = world.here.max() - world.here
        looks = f"{LOOKS[0]}-{SEEDS}"
        tally.add("trials used, of 20 seeds a method", "clear lead", looks, spent, A_FIFTH)
        tally.add("groups left open", "clear lead", looks, is_open)
        wrong = any(regret[m] > MARGIN for m in inside) or any(regret[m] <= MARGIN for m in outside)
        tally.add("wrong 'inside' or 'outside'", "clear lead", looks, wrong, ERRS)


SECTIONS: dict[str, tuple[Callable[[np.random.Generator, int, Tally], Iterator[None]], int, int]] = {
    "coverage": (coverage, 4000, 80),
    "claims": (claims, 4000, 120),
    "peeking": (peeking, 2000, 80),
    "effort": (effort, 1000, 40),
    "advice": (advice, 1000, 8),
    "hard": (hard, 300, 1),
    "clear": (clear, 300, 3),
}


def _worlds(
    generator: np.random.Generator, worlds: int, methods: int, twins: bool = False
) -> Iterator[tuple[str, World]]:
    """As many worlds without collapses ("steady") as with ("collapsing": every second method, at a rate up to 0.3)."""
    for _ in range(worlds):
        gaps = generator.permutation([0.0, *(_gap(generator) for _ in range(methods - 1))])
        yield "steady", draw(generator, gaps * (not twins), np.zeros(methods), twins=twins)
        rates = np.where(generator.random(methods) < 0.5, generator.uniform(0, 0.3, methods), 0.0)
        yield "collapsing", draw(generator, gaps * (not twins), rates, twins=twins)


def _gap(generator: np.random.Generator) -> float:
    """None, the margin, some, or much."""
    return float(generator.choice([0.0, MARGIN, generator.uniform(0, 3), generator.uniform(2, 10)]))


def _views(name: str) -> list[tuple[str, bool]]:
    """Where trials collapse: the trials that trained, by which methods are judged, or the mean of all of them, of which
    nothing is promised: no rule sees a collapse that has not come yet."""
    return [(name, False)] if name == "steady" else [(f"{name}, trained ones", True), (f"{name}, all trials", False)]


def _promised(label: str) -> bool:
    return not label.endswith("all trials")


def _truth(world: World, trained: bool) -> tuple[Array, Array]:
    return (world.trained_here, world.trained_anywhere) if trained else (world.here, world.anywhere)


def _compared(world: World, n: int, trained: bool = False, margin: float = MARGIN) -> Comparison | None:
    both = (world.by_seed(method, n) for method in range(2))
    first, second = (trained_ones(scores, world.baseline if trained else None) for scores in both)
    return compare(first, second, margin, answers=(world.answers(0, n), world.answers(1, n)))


def _cover(
    tally: Tally, name: str, n: int, found: Comparison | None, here: Array, anywhere: Array,
    target: tuple[float, float] | None,
) -> None:  # fmt: skip
    def holds(interval: Interval, truth: Array) -> bool:
        return bool(interval[0] <= truth[0] - truth[1] <= interval[1])

    if found and found.interval:
        tally.add("95% interval, these examples", name, n, holds(found.interval, here), target)
        if name == "steady":
            tally.add("the same interval, taken for new data", name, n, holds(found.interval, anywhere))
    if found and found.wide:
        tally.add("95% interval, new data", name, n, holds(found.wide, anywhere), target)


def _until_decided(world: World, margin: float, trained: bool) -> tuple[list[int], list[int], float, bool]:
    """Add seeds as `decide` wants them; who is inside, who outside, the share of 20 seeds a method spent, if any is open."""
    have, baseline = dict.fromkeys(range(len(world.scores)), 0), world.baseline if trained else None
    while True:
        decision = decide({str(m): world.by_seed(m, n) for m, n in have.items()}, margin, baseline=baseline)
        if not decision.wanted:
            break
        have |= {int(m): n for m, n in decision.wanted.items()}
    inside, outside = ([int(m) for m in names] for names in (decision.inside, decision.outside))
    return inside, outside, sum(have.values()) / (SEEDS * len(have)), bool(decision.open)


def measure(options: argparse.Namespace) -> list[Row]:
    rows = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name, (section, full, quick) in SECTIONS.items():
            if options.only not in (None, name):
                continue
            worlds = max(1, round((quick if options.quick else full) * options.scale))
            tally = Tally()
            for _ in progress.track(section(np.random.default_rng(options.seed), worlds, tally), description=name):
                pass
            rows += tally.rows()
    return rows


def show(rows: list[Row]) -> None:
    table = Table("question", "world", "seeds", "%", "95% of it", "cases", "target", "", box=None)
    for row in rows:
        target = f"{row.target[0]:.0f} to {row.target[1]:.0f}" if row.target else ""
        met = {True: "met", False: "MISSED", None: ""}[row.met]
        table.add_row(
            row.question,
            row.world,
            row.seeds,
            f"{row.percent:.1f}",
            f"{row.low:.1f} to {row.high:.1f}",
            str(row.cases),
            target,
            met,
        )
    Console(width=130).print(table)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="coverage and errors in simulated worlds")
    parser.add_argument("--quick", action="store_true", help="fewer worlds: some 10 seconds")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of worlds")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str]) -> list[Row]:
    options = parse(argv)
    rows = measure(options)
    show(rows)
    command = shlex.join(["python", "benchmarks/evidence.py", *argv])
    print(json.dumps({"command": command, "rows": [asdict(row) | {"met": row.met} for row in rows]}))
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
