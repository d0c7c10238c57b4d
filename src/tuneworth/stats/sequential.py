"""More seeds only where the question is open: looks at set seed counts, and an error that holds over all of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tuneworth.stats.best import Regret, beaten, by_seeds
from tuneworth.stats.collapse import trained_ones

__all__ = ["LOOKS", "Decision", "decide", "level", "next_look"]

LOOKS = (3, 5, 7, 10, 14, 20)
"""Seed counts at which a group is looked at; after the last one, what is open stays open."""


@dataclass(frozen=True)
class Decision:
    """Which methods are as good as the best within the margin (`inside`), beaten by more (`outside`), or `open`.

    `wanted`: method -> how many seeds it should have next; empty where the group is decided or out of looks.
    """

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    open: tuple[str, ...]
    wanted: Mapping[str, int] = field(default_factory=dict)


def next_look(seeds: int) -> int | None:
    """The first look at more than `seeds` seeds; None after the last."""
    return next((look for look in LOOKS if look > seeds), None)


def level(seeds: int, confidence: float) -> float:
    """The confidence to use at the look at `seeds`, so that all looks together err at most 1 - confidence.

    Up to a look at n seeds (1 - confidence) * sqrt(n / 20) is spent: the spending function a * t^rho of Kim & DeMets
    (Biometrika 74, 1987), with rho = 1/2 because an early end saves most trials (docs/evidence.md). What the looks spend
    is added up (Boole's inequality), which holds for every statistic and every dependence between looks. Raises
    ValueError where `seeds` is no look.
    """
    if seeds not in LOOKS:
        raise ValueError(f"{seeds} seeds are no look; looks are at {LOOKS}")
    before = max((look for look in LOOKS if look < seeds), default=0)
    return 1 - (1 - confidence) * (math.sqrt(seeds / LOOKS[-1]) - math.sqrt(before / LOOKS[-1]))


def decide(
    scores: Mapping[str, Mapping[int, float]], margin: float, confidence: float = 0.95, baseline: float | None = None,
    seen: Mapping[str, Collection[int]] | None = None,
) -> Decision:  # fmt: skip
    """Go through the looks that `scores` (method -> seed -> points) allow, and say what they decide.

    A pure replay: the look at n uses the n lowest seeds alone, so it does not matter when and how often one asks. A trial
    that is NaN counts as run and has no score. At each look the methods not yet outside are compared, at
    `level`; bounds of several looks hold together, so the tightest count, and a status once given is kept. The group of
    k methods stays a family of k when some have left, since which ones leave depends on the data. With a `baseline`,
    methods are compared by the trials that trained (`stats.trained_ones`, of the seeds of that look); `seen`: the seeds that
    collapsed, of each method whose answers say so.
    """
    if not margin >= 0:
        raise ValueError(f"margin {margin} is negative")
    seeds = sorted(set().union(*scores.values()))
    bounds = dict.fromkeys(scores, Regret(0.0, 0.0 if len(scores) == 1 else math.inf))
    status = {method: regret.status(margin) for method, regret in bounds.items()}
    for look in LOOKS:
        running = [method for method in scores if status[method] != "outside"]
        if "open" not in status.values():
            break
        if len(seeds) < look or any(not scores[method].keys() >= set(seeds[:look]) for method in running):
            return _decision(status, dict.fromkeys(running, look))
        so_far = {method: {seed: scores[method][seed] for seed in seeds[:look]} for method in running}
        given = {method: trained_ones(mine, baseline, (seen or {}).get(method)) for method, mine in so_far.items()}
        for method, regret in beaten(given, by_seeds(given), margin, level(look, confidence), len(scores)).items():
            old = bounds[method]
            bounds[method] = Regret(max(old.low, regret.low), min(old.high, regret.high))
            if status[method] == "open":
                status[method] = bounds[method].status(margin)
    return _decision(status, {})


def _decision(status: Mapping[str, str], wanted: Mapping[str, int]) -> Decision:
    inside, outside, still = (
        tuple(method for method, found in status.items() if found == kind) for kind in ("inside", "outside", "open")
    )
    return Decision(inside, outside, still, dict(wanted))
