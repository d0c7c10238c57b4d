import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import Estimate, over_seeds

values = st.lists(st.integers(-1000, 1000).map(lambda number: number / 10), min_size=2, max_size=20)


@given(values, st.floats(-50, 50))
def test_p_values_are_those_of_scipys_t_test(sample: list[float], threshold: float) -> None:
    estimate = over_seeds(sample)
    assert estimate is not None
    if estimate.error < 1e-6:
        return
    for found, alternative in ((estimate.p_above(threshold), "greater"), (estimate.p_below(threshold), "less")):
        expected = scipy_stats.ttest_1samp(sample, threshold, alternative=alternative).pvalue
        assert found == pytest.approx(expected, abs=1e-9)


@given(values, st.floats(0.001, 0.4))
def test_a_bound_is_where_the_p_value_meets_the_level(sample: list[float], level: float) -> None:
    estimate = over_seeds(sample)
    assert estimate is not None
    if estimate.error < 1e-6:
        return
    assert estimate.p_below(estimate.upper(level)) == pytest.approx(level, rel=1e-6)
    assert estimate.p_above(estimate.lower(level)) == pytest.approx(level, rel=1e-6)
    assert estimate.interval(1 - 2 * level) == pytest.approx((estimate.lower(level), estimate.upper(level)))


@given(values, st.randoms(use_true_random=False), st.floats(0.1, 10))
def test_order_does_not_matter_and_scale_does_what_it_should(sample: list[float], chance, scale: float) -> None:  # type: ignore[no-untyped-def]
    mixed = list(sample)
    chance.shuffle(mixed)
    one, other = over_seeds(sample), over_seeds([scale * value for value in mixed])
    assert one is not None
    assert other is not None
    assert other.value == pytest.approx(scale * one.value, abs=1e-9)
    assert other.error == pytest.approx(scale * one.error, abs=1e-6)


def test_seeds_that_agree_exactly_are_trusted_no_further_than_a_sign_test() -> None:
    for seeds in range(2, 9):
        estimate = over_seeds([2.0] * seeds)
        assert estimate == Estimate(2.0, 0.0, seeds - 1, seeds)
        expected = scipy_stats.binomtest(seeds, seeds, 0.5, alternative="greater").pvalue
        assert estimate.p_above(0.0) == pytest.approx(expected)
        assert estimate.p_below(0.0) == 1.0
        assert estimate.interval(0.95) == ((2.0, 2.0) if seeds >= 6 else None)
        assert estimate.upper(0.05) == (2.0 if seeds >= 5 else math.inf)


def test_rounding_is_no_spread() -> None:
    scores = np.array([81.1, 83.3, 86.7, 80.9])
    estimate = over_seeds((scores + 0.1) - scores)
    assert estimate is not None
    assert estimate.error == 0


def test_one_seed_is_no_estimate() -> None:
    assert over_seeds([80.0]) is None
