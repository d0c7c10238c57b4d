"""Which interval for a few seeds? Coverage of candidates at n = 3, 5, 10 and 20, by simulation; one core, a minute or two.

    python benchmarks/intervals.py

Seeds alone: a mean (and the interquartile mean, the median and the standard deviation, for their own truths) of normal,
skewed and collapsing scores. Seeds and test examples: the variance of a mean over both. What was chosen, and why: docs/evidence.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import ndtri, stdtrit

from tuneworth.stats import interquartile_interval, mean_interval, median_interval, spread_interval
from tuneworth.stats.examples import crossed
from worlds import draw

Array = NDArray[np.float64]
Sampler = Callable[[np.random.Generator, tuple[int, ...]], Array]
Ends = tuple[float, float] | None
COUNTS = (3, 5, 10, 20)
RESAMPLES = 999


def collapsing(rate: float) -> Sampler:
    """Normal, sd 1, and at `rate` a collapse by about 10 points."""
    return lambda generator, shape: generator.normal(size=shape) - 10 * (generator.random(shape) < rate)


SCORES: dict[str, Sampler] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "skewed": lambda generator, shape: -generator.gamma(2.0, size=shape),  # skewness -1.4: a longer tail below
    "collapse 5%": collapsing(0.05),
    "collapse 20%": collapsing(0.2),
}


def percentile(values: Array, generator: np.random.Generator) -> Ends:
    means = generator.choice(values, (RESAMPLES, len(values))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def bootstrap_t(values: Array, generator: np.random.Generator) -> Ends:
    """Efron & Tibshirani 1993, section 12.5; resamples without spread are left out."""
    draws = generator.choice(values, (RESAMPLES, len(values)))
    spread = draws.std(1, ddof=1)
    kept = spread > 0
    low, high = np.quantile((draws.mean(1) - values.mean())[kept] / spread[kept], [0.025, 0.975])
    return float(values.mean() - high * values.std(ddof=1)), float(values.mean() - low * values.std(ddof=1))


def johnson(values: Array, generator: np.random.Generator) -> Ends:  # noqa: ARG001
    """Student's interval, moved for skewness: Johnson, JASA 73 (1978)."""
    n, spread = len(values), float(values.std(ddof=1))
    skew = float(np.mean((values - values.mean()) ** 3)) / (6 * spread**2 * n)
    half = float(stdtrit(n - 1, 0.975)) * spread / n**0.5
    return float(values.mean()) + skew - half, float(values.mean()) + skew + half


def seeds_alone(generator: np.random.Generator, repeats: int) -> Table:
    table = Table(
        "scores", "interval", *(f"n = {n}" for n in COUNTS), box=None, title="Seeds: % covered (median width)"
    )
    for name, sample in track(SCORES.items(), console=Console(stderr=True), transient=True, description="seeds"):
        many = np.sort(sample(generator, (1_000_000,)))
        truths = {
            "mean": many.mean(),
            "middle": many[250_000:750_000].mean(),
            "median": np.median(many),
            "sd": many.std(),
        }
        candidates: dict[str, tuple[str, Callable[[Array, np.random.Generator], Ends]]] = {
            "Student's t (chosen)": ("mean", lambda values, _: mean_interval(values)),
            "percentile bootstrap": ("mean", percentile),
            "bootstrap-t": ("mean", bootstrap_t),
            "Johnson's modified t": ("mean", johnson),
            "interquartile mean, winsorised t": ("middle", lambda values, _: interquartile_interval(values)),
            "median, order statistics": ("median", lambda values, _: median_interval(values)),
            "standard deviation, chi-squared": ("sd", lambda values, _: spread_interval(values)),
        }
        for label, (truth, interval) in candidates.items():
            cells = []
            for n in COUNTS:
                found = [interval(values, generator) for values in sample(generator, (repeats, n))]
                cells.append(_cell([ends for ends in found if ends], float(truths[truth])))
            table.add_row(name, label, *cells)
    return table


def seeds_and_examples(generator: np.random.Generator, worlds: int) -> Table:
    """Differences of two methods in steady worlds, on new data."""
    found: dict[str, dict[int, list[tuple[Ends, float]]]] = {}
    for _ in track(range(worlds), console=Console(stderr=True), transient=True, description="seeds and examples"):
        world = draw(generator, generator.permutation([0.0, generator.uniform(0, 3)]), np.zeros(2))
        whole = world.answers(0).values(list(range(20))) - world.answers(1).values(list(range(20)))
        for n in COUNTS:
            values, truth = whole[:n], float(world.anywhere[0] - world.anywhere[1])
            resampled = pigeonhole(values, generator)
            centre, student = float(values.mean()), float(stdtrit(n - 1, 0.975))
            sd = float(resampled.std())
            for label, ends in {
                "variance components (chosen)": crossed(values).interval(0.95),
                "pigeonhole bootstrap, percentiles": tuple(map(float, np.quantile(resampled, [0.025, 0.975]))),
                "pigeonhole bootstrap, t with n - 1": (centre - student * sd, centre + student * sd),
                "pigeonhole bootstrap, normal": (centre + float(ndtri(0.025)) * sd, centre - float(ndtri(0.025)) * sd),
            }.items():
                found.setdefault(label, {}).setdefault(n, []).append((ends, truth))  # type: ignore[arg-type]
    table = Table(
        "interval", *(f"n = {n}" for n in COUNTS), box=None, title="Seeds and examples: % covered (median width)"
    )
    for label, by_count in found.items():
        table.add_row(label, *(_cells(by_count[n]) for n in COUNTS))
    return table


def pigeonhole(values: Array, generator: np.random.Generator, resamples: int = 400) -> Array:
    """Means of `values` (seeds, examples), both drawn anew with replacement: Owen 2007."""
    seeds, examples = values.shape
    rows = generator.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    columns = generator.multinomial(examples, np.full(examples, 1 / examples), resamples) / examples
    return np.asarray(np.einsum("be,be->b", rows @ values, columns))


def _cell(found: list[tuple[float, float]], truth: float) -> str:
    return _cells([(ends, truth) for ends in found])


def _cells(found: list[tuple[Ends, float]]) -> str:
    given = [(ends, truth) for ends, truth in found if ends]
    if not given:
        return "none"
    covered = np.mean([low <= truth <= high for (low, high), truth in given])
    return f"{100 * covered:.1f} ({np.median([high - low for (low, high), _ in given]):.2f})"


def main(scale: float = 1.0) -> None:
    generator = np.random.default_rng(0)
    console = Console(width=120)
    console.print(seeds_alone(generator, max(2, round(3000 * scale))))
    console.print(seeds_and_examples(generator, max(2, round(1000 * scale))))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
