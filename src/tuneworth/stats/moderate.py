"""Methods lend one another their spread: variances of paired differences, drawn towards what is usual in their group."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import exp, inf, log

import numpy as np

from tuneworth.stats.estimate import Estimate

__all__ = ["WEIGHT", "Prior", "moderated", "prior"]

WEIGHT = 0.5
"""The share of the prior's degrees of freedom, as estimated, that is used. With all of them, a group in which one method
spreads five times as much as the others is too often told wrongly (docs/evidence.md)."""
Prior = tuple[float, float]
"""Degrees of freedom, and the variance of one difference, in squared points."""


def prior(estimates: Collection[Estimate], methods: int) -> Prior:
    """What is usual among the `estimates` of a group's pairs, each over its own seeds; (0, 0) below 3 methods.

    Smyth (Statistical Applications in Genetics and Molecular Biology 3, 2004, section 6.2): if variances s^2 with d degrees of
    freedom scatter around a scaled inverse chi-squared prior (d0, s0^2), then e = log s^2 - digamma(d/2) + log(d/2) has the mean
    log s0^2 - digamma(d0/2) + log(d0/2) and the variance trigamma(d/2) + trigamma(d0/2). Where the variances scatter by more than
    chance they tell little of one another, and d0 is small. Pairs share methods, so that all of them have no more than
    (methods - 1) d degrees of freedom together, which no moderated estimate exceeds.
    """
    from scipy.special import digamma, polygamma

    if methods < 3 or len(estimates) < 3:
        return 0.0, 0.0
    known = sorted(
        (one.seeds * one.error**2, one.freedom) for one in estimates
    )  # sums to the last bit, whatever the order
    variance, freedom = np.array(known).T
    e = np.log(variance) - digamma(freedom / 2) + np.log(freedom / 2)
    half = _trigamma_inverse(float(e.var(ddof=1) - polygamma(1, freedom / 2).mean()))
    usual = exp(float(e.mean()) + (0.0 if half == inf else float(digamma(half)) - log(half)))
    return WEIGHT * min(2 * half, (methods - 2) * float(freedom.min())), usual


def moderated(estimate: Estimate, usual: Prior) -> Estimate:
    """The estimate with the variance (d0 s0^2 + d s^2) / (d0 + d) on d0 + d degrees of freedom (Smyth 2004, section 4)."""
    d0, s0 = usual
    d = estimate.freedom
    variance = (d0 * s0 / estimate.seeds + d * estimate.error**2) / (d0 + d)
    return replace(estimate, error=float(np.sqrt(variance)), freedom=d0 + d)


def _trigamma_inverse(value: float) -> float:
    """inf where `value` is not positive: chance alone explains more scatter than there is."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    least, most = 1e-3, 1e6
    if value <= polygamma(1, most):
        return inf
    return float(brentq(lambda x: polygamma(1, x) - value, least, most)) if value < polygamma(1, least) else least
