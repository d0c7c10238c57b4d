import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneworth.stats import (
    Estimate,
    area_under,
    crossover,
    learning_curve,
    mean_interval,
    reaches,
    score_at,
    time_to,
)

FRACTIONS = (0.1, 0.3, 0.6, 1.0)


def along(fraction: float) -> float:
    """From 0 at a tenth of the data to 1 at the whole, along fraction^-0.2: where learning curves are straight."""
    return float((0.1**-0.2 - fraction**-0.2) / (0.1**-0.2 - 1))


def line(intercept: float, slope: float, luck: list[float]) -> dict[float, dict[int, float]]:
    return {f: {seed: intercept + slope * along(f) + value for seed, value in enumerate(luck)} for f in FRACTIONS}


LUCK = [-0.5, 0.0, 0.2, 0.3]


def test_a_curve_s_points_are_means_with_their_intervals() -> None:
    scores = {1.0: {0: 84.0, 1: 86.0}, 0.1: {0: 70.0}}
    small, whole = learning_curve(scores)
    assert (small.fraction, small.mean, small.interval, small.seeds) == (0.1, 70.0, None, 1)
    assert (whole.mean, whole.interval, whole.seeds) == (85.0, mean_interval([84.0, 86.0]), 2)


def test_the_area_is_the_mean_height() -> None:
    found = area_under({f: {seed: 70 + 10 * f + luck for seed, luck in enumerate(LUCK)} for f in FRACTIONS})
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(70 + 10 * 0.55)
    assert area_under({0.5: {0: 80.0}}) == 80.0
    assert area_under({0.5: {0: 80.0}, 1.0: {1: 80.0}}) is None


@settings(max_examples=30, deadline=None)
@given(st.floats(0.15, 0.95), st.permutations(range(4)))
def test_straight_lines_cross_where_they_should(where: float, order: list[int]) -> None:
    luck = [LUCK[i] for i in order]
    first, second = line(80 - 20 * along(where), 20, luck), line(80, 0, [0.0] * 4)
    found = crossover(first, second)
    assert found.fraction == pytest.approx(where, abs=1e-6)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.fraction <= found.high
    assert crossover(second, first).fraction is None, "the other one never overtakes"


def test_the_interval_is_fieller_s() -> None:
    """Difference of slope 20 at luck of sd s: 0 lies in its t-interval within t * s / sqrt(n) / 20 of the crossing."""
    interval = mean_interval(LUCK)
    assert interval is not None
    half = (interval[1] - interval[0]) / 2 / 20
    found = crossover(line(70, 20, LUCK), line(80, 0, [0.0] * 4))
    assert found.low is not None
    assert found.high is not None
    assert (along(found.low), along(found.high)) == pytest.approx((0.5 - half, 0.5 + half), abs=0.001)


def test_its_interval_covers_the_crossing_of_power_laws() -> None:
    """Errors fall as b n^-c, b and c of each method its own; three fractions, ten seeds. Interpolated in the fraction itself
    the interval holds half of the crossings."""
    rng, covered, tried = np.random.default_rng(0), 0, 0
    grid = np.geomspace(0.1, 1, 2001)
    while tried < 200:
        top, steep, fall = rng.normal(100, 5, 2), rng.uniform(5, 30, 2), rng.uniform(0.07, 0.35, 2)
        ahead = (top[0] - steep[0] * grid ** -fall[0]) - (top[1] - steep[1] * grid ** -fall[1])
        [*roots] = grid[:-1][np.diff(np.sign(ahead)) > 0]
        if len(roots) != 1 or ahead[-1] < 0 or not 0.12 < roots[0] < 0.9:
            continue
        tried += 1
        curves = [{f: dict(enumerate(top[i] - steep[i] * f ** -fall[i] + rng.normal(0, 1, 10))) for f in (0.1, 0.3, 1.0)}
                  for i in (0, 1)]  # fmt: skip
        found = crossover(*curves)
        covered += found.low is not None and found.high is not None and found.low <= roots[0] <= found.high
    assert covered / tried == pytest.approx(0.94, abs=0.045)


def test_what_bitfit_has_at_30_percent_full_reaches_at_half() -> None:
    bitfit, full = line(74, 4, LUCK), line(70, (4 + 4 * along(0.3)) / along(0.5), LUCK)
    found = reaches(bitfit, 0.3, full)
    assert found.fraction == pytest.approx(0.5, abs=1e-6)


def test_curves_that_do_not_meet_have_no_crossing() -> None:
    found = crossover(line(90, 1, LUCK), line(70, 1, [0.0] * 4))
    assert (found.fraction, found.low, found.high) == (None, None, None)
    assert crossover({1.0: {0: 1.0}}, {1.0: {0: 2.0}}).fraction is None


def test_scores_at_a_time_and_times_to_a_score() -> None:
    curves = {0: [(10.0, 70.0), (20.0, 80.0)], 1: [(12.0, 75.0), (25.0, 85.0)], 2: [(30.0, 60.0)]}
    assert score_at(curves, 20.0) == {0: 80.0, 1: 75.0}
    assert time_to(curves, 75.0) == (20.0, None)
    assert time_to(curves, 99.0) == (None, None)
    assert time_to({}, 1.0) == (None, None)
    many = {seed: [(float(seed + 1), 80.0)] for seed in range(8)}
    assert time_to(many, 80.0) == (4.5, (1.0, 8.0))
