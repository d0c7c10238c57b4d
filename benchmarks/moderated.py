"""Would fewer seeds decide, if methods lent one another their spread? Ways to bound regrets and to estimate a difference's
variance, in groups of five methods with normal scores, by the looks of `stats.sequential`.

    python benchmarks/moderated.py           # two minutes on one core
    python benchmarks/moderated.py --quick   # some seconds; noisy

A moderated t (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3) replaces the variance s^2 of a pair's
differences, d degrees of freedom, by (d0 s0^2 + d s^2) / (d0 + d), with d0 + d: what d0 and s0 are is estimated from all pairs of
the group, by the mean and the variance of log s^2. Everything is computed for all groups at once; a test checks that the way of
`stats.decide` is one of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import digamma, polygamma, stdtrit

from tuneworth.stats import LOOKS, level

Array = NDArray[np.float64]
METHODS, MARGIN, LEAST = 5, 1.0, 0.1
SEEDS = LOOKS[-1]


@dataclass(frozen=True)
class Groups:
    """`scores`: shape (groups, methods, seeds), `truth`: (groups, methods), in points."""

    scores: Array
    truth: Array
    odd: NDArray[np.int64]
    """The method of another spread, where one has it."""


def clear(generator: np.random.Generator, n: int, methods: int = METHODS, times: float = 1.0) -> Groups:
    """One method is ahead by 4 to 12 points, seeds spread by 0.5 to 1.5; one of five, whichever, `times` as much."""
    gaps = np.concatenate([np.zeros((n, 1)), generator.uniform(4, 12, (n, methods - 1))], axis=1)
    return _drawn(generator, gaps, (0.5, 1.5), times)


def close(generator: np.random.Generator, n: int, methods: int = METHODS, times: float = 1.0) -> Groups:
    """Differences of 0, the margin, up to 3 or up to 10 points; seeds spread by 0.5 to 3."""
    kinds = generator.integers(0, 4, (n, methods - 1))
    drawn = [np.zeros(kinds.shape), np.full(kinds.shape, MARGIN), generator.uniform(0, 3, kinds.shape),
             generator.uniform(2, 10, kinds.shape)]  # fmt: skip
    gaps = np.concatenate([np.zeros((n, 1)), np.choose(kinds, drawn)], axis=1)
    return _drawn(generator, gaps, (0.5, 3.0), times)


def _drawn(generator: np.random.Generator, gaps: Array, spread: tuple[float, float], times: float) -> Groups:
    gaps = generator.permuted(gaps, axis=1)
    sd = generator.uniform(*spread, gaps.shape)
    odd = generator.integers(0, gaps.shape[1], (len(sd), 1))
    if times != 1:
        sd = np.broadcast_to(sd.mean(1, keepdims=True) / 2, gaps.shape).copy()
        np.put_along_axis(sd, odd, times * sd[:, :1], axis=1)
    together = generator.uniform(0, 0.6, (len(gaps), 1, 1))
    luck = np.sqrt(together) * generator.normal(size=(len(gaps), 1, SEEDS))
    luck = luck + np.sqrt(1 - together) * generator.normal(size=(*gaps.shape, SEEDS))
    return Groups(80 - gaps[..., None] + sd[..., None] * luck, 80 - gaps, odd[:, 0])


Spread = Callable[[Array, NDArray[np.bool_], int], tuple[Array, Array]]
"""From the variances of pairs, shape (groups, methods, methods), which of them are of running methods, and their degrees of
freedom: the variances to use, and theirs."""


def own(variance: Array, _: NDArray[np.bool_], d: int) -> tuple[Array, Array]:
    return variance, np.full(variance.shape, float(d))


def smyth(
    variance: Array, among: NDArray[np.bool_], d: int, weight: float = 1.0, upward: bool = False
) -> tuple[Array, Array]:
    """`weight`: of the prior's degrees of freedom as estimated. `upward`: a variance above the prior's stays as it is, with
    its own degrees of freedom. Never more degrees of freedom than all pairs have together, (methods - 1) d."""
    e = np.log(variance, where=among, out=np.zeros_like(variance)) - digamma(d / 2) + np.log(d / 2)
    count = np.maximum(among.sum((1, 2), keepdims=True), 1)
    centre = e.sum((1, 2), keepdims=True, where=among) / count
    apart = np.square(e - centre).sum((1, 2), keepdims=True, where=among) / np.maximum(count - 1, 1)
    d0 = np.minimum(2 * _trigamma_inverse(apart - polygamma(1, d / 2)), 1e6)
    s0 = np.exp(centre + digamma(d0 / 2) - np.log(d0 / 2))
    methods = among.any(2).sum(1)[:, None, None]
    d0 = weight * np.minimum(d0, np.maximum(methods - 2, 0) * d)
    shrunk, freedom = (d0 * s0 + d * variance) / (d0 + d), d + d0
    keep = (shrunk < variance) & upward
    return np.where(keep, variance, shrunk), np.where(keep, float(d), np.broadcast_to(freedom, variance.shape))


def weak(variance: Array, among: NDArray[np.bool_], d: int, d0: float = 2.0) -> tuple[Array, Array]:
    """A prior that is fixed, and worth 2 degrees of freedom: the spread of the middle pair."""
    known = np.sort(np.where(among, variance, np.inf).reshape(len(variance), -1), axis=1)
    middle = np.maximum(among.sum((1, 2)) - 1, 0)[:, None] // 2
    s0 = np.take_along_axis(known, middle, axis=1)[:, :, None]
    s0 = np.where(np.isfinite(s0), s0, 1.0)
    return (d0 * s0 + d * variance) / (d0 + d), np.full(variance.shape, d + d0)


def _trigamma_inverse(value: Array) -> Array:
    """By Newton's method (Smyth 2004, appendix); inf where `value` is not positive."""
    safe = np.maximum(value, 1e-12)
    y = 0.5 + 1 / safe
    for _ in range(20):
        slope = polygamma(1, y)
        y = y + slope * (1 - slope / safe) / polygamma(2, y)
    return np.where(value <= 1e-6, 1e12, y)


def decide(
    groups: Groups, margin: Array, spread: Spread, bounds: str, looks: tuple[int, ...] = LOOKS
) -> dict[str, Array]:
    """What `stats.decide` does, for all groups: wrong statements, and the share of 20 seeds a method that it took. `bounds`, the
    lower ones: of all ordered pairs; "step by step", those that leave no longer paid for (Holm); or of who may be the
    best ("Gupta": Technometrics 7, 1965). One look alone may err in 5%."""
    n, k = groups.truth.shape
    high = np.full((n, k), np.inf)
    status = np.zeros((n, k), dtype=int)  # 1 inside, 2 outside
    used = np.zeros((n, k))
    for look in looks:
        undecided = (status == 0).any(1)
        if not undecided.any():
            break
        running = (status != 2) & undecided[:, None]
        used[running] = look
        alpha = 1 - (level(look, 0.95) if len(looks) > 1 else 0.95)
        given = groups.scores[:, :, :look]
        apart = given[:, :, None, :] - given[:, None, :, :]  # [g, j, i]: of j over i
        value, variance = apart.mean(-1), apart.var(-1, ddof=1)
        among = running[:, :, None] & running[:, None, :] & ~np.eye(k, dtype=bool)
        variance, freedom = spread(variance, among, look - 1)
        bound = partial(_bound, value, np.sqrt(variance / look), freedom)
        for _ in range(k if bounds == "step by step" else 1):
            among &= running[:, :, None] & running[:, None, :]
            if bounds == "Gupta":
                lower = bound(alpha / (2 * (k - 1)), -1)
                unbeaten = running & (np.where(among, lower, -np.inf).max(1) <= 0)
                least = np.where(among & unbeaten[:, :, None], lower, np.inf).min(1)
                low = np.where(unbeaten | ~np.isfinite(least), 0.0, least)
            else:
                family = np.maximum(running.sum(1), 2)[:, None, None] if bounds == "step by step" else k
                low = np.where(among, bound(alpha / (family * (k - 1)), -1), -np.inf).max(1)
            leaves = running & (status == 0) & (low > margin[:, None])
            status[leaves] = 2
            running = running & ~leaves
        upper = np.where(among & running[:, :, None] & running[:, None, :], bound(alpha / (k - 1), 1), -np.inf).max(1)
        high = np.where(running, np.minimum(high, np.maximum(upper, 0)), high)
        status = np.where(running & (status == 0) & (high <= margin[:, None]), 1, status)
    regret = groups.truth.max(1, keepdims=True) - groups.truth
    slack = 1e-9
    return {
        "inside": ((status == 1) & (regret > margin[:, None] - slack)).any(1),
        "outside": ((status == 2) & (regret <= margin[:, None] + slack)).any(1),
        "trials": used.mean(1) / SEEDS,
        "left open": (status == 0).any(1),
    }


def _bound(value: Array, error: Array, freedom: Array, level: Array | float, sign: float) -> Array:
    return np.asarray(value + sign * stdtrit(freedom, 1 - np.asarray(level)) * error)


WAYS: dict[str, tuple[Spread, str]] = {
    "own variance": (own, "all pairs"),
    "own variance, step by step": (own, "step by step"),
    "own variance, Gupta's bounds": (own, "Gupta"),
    "moderated, step by step": (smyth, "step by step"),
    "half the weight, all pairs": (partial(smyth, weight=0.5), "all pairs"),
    "half the weight, step by step": (partial(smyth, weight=0.5), "step by step"),
    "upward alone, step by step": (partial(smyth, upward=True), "step by step"),
    "fixed weak prior, step by step": (weak, "step by step"),
}
WORLDS: dict[str, Callable[[np.random.Generator, int, int], Groups]] = {
    "clear lead": clear,
    "clear lead, one of 5 times the spread": partial(clear, times=5.0),
    "close": close,
    "close, one of 5 times the spread": partial(close, times=5.0),
    "close, one of a fifth of the spread": partial(close, times=0.2),
}


def measure(groups: int, seed: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for methods in (METHODS, 3):
        for world, draw in WORLDS.items():
            drawn = draw(np.random.default_rng(seed), groups, methods)
            regret = drawn.truth.max(1, keepdims=True) - drawn.truth
            second, odd = np.sort(regret, axis=1)[:, 1], np.take_along_axis(regret, drawn.odd[:, None], axis=1)[:, 0]
            # A margin of nothing would leave no wrong answer: the best is rightly inside.
            second = np.where(second < LEAST, MARGIN, second)
            odd = np.where(odd < LEAST, second, odd)
            for way, (spread, bounds) in WAYS.items():
                usual = decide(drawn, np.full(groups, MARGIN), spread, bounds)
                row: dict[str, object] = {"methods": methods, "world": world, "way": way}
                row |= {name: _percent(usual[name]) for name in ("trials", "left open")}
                for label, looks in (("looks", LOOKS), ("3", (3,)), ("5", (5,)), ("10", (10,))):
                    hardest = [decide(drawn, margin, spread, bounds, looks) for margin in (second, odd)]
                    wrong = [max(_percent(one[name]) for one in hardest) for name in ("inside", "outside")]
                    row[label] = "/".join(f"{share:.1f}" for share in wrong)
                found.append(row)
    return found


def _percent(share: Array) -> float:
    return round(100 * float(share.mean()), 1)


def main(argv: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description="bounds and variances for groups of methods")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    rows = measure(300 if options.quick else 1_000, options.seed)
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=130).print(table)
    print(json.dumps(rows))
    return rows


if __name__ == "__main__":
    main()
