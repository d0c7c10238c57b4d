import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import (
    interquartile_interval,
    interquartile_mean,
    mean,
    mean_interval,
    median,
    median_interval,
    standard_deviation,
)

scores = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@given(scores, st.floats(0.5, 0.99))
def test_interval_is_scipys(values: list[float], confidence: float) -> None:
    spread = float(np.std(values, ddof=1))
    if spread < 1e-9:
        return
    expected = scipy_stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=spread / math.sqrt(len(values))
    )
    assert mean_interval(values, confidence) == pytest.approx(expected, rel=1e-7, abs=1e-7)


@given(scores)
def test_interval_holds_the_mean_and_grows_with_confidence(values: list[float]) -> None:
    narrow, wide = mean_interval(values, 0.8), mean_interval(values, 0.99)
    assert narrow is not None
    assert wide is not None
    assert wide[0] <= narrow[0] <= mean(values) <= narrow[1] <= wide[1]


@given(scores, st.floats(-50, 50))
def test_a_shift_moves_the_mean_and_leaves_the_spread(values: list[float], shift: float) -> None:
    moved = [value + shift for value in values]
    assert mean(moved) == pytest.approx(mean(values) + shift, abs=1e-9)
    assert standard_deviation(moved) == pytest.approx(standard_deviation(values), abs=1e-6)


def test_standard_deviation_divides_by_n_minus_1() -> None:
    assert standard_deviation([84.0, 86.0]) == pytest.approx(math.sqrt(2))


def test_one_value_has_no_spread_and_no_interval() -> None:
    assert mean([86.6]) == 86.6
    assert standard_deviation([86.6]) is None
    assert mean_interval([86.6]) is None


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, math.nan], [math.inf]])
def test_what_cannot_be_averaged_is_refused(values: list[float]) -> None:
    for function in (mean, standard_deviation, mean_interval):
        with pytest.raises(ValueError, match="value"):
            function(values)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    inside = 0
    for sample in generator.normal(80, 2, size=(2000, 5)):
        low, high = mean_interval(sample) or (0, 0)
        inside += low <= 80 <= high
    assert 0.935 < inside / 2000 < 0.965


def test_confidence_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        mean_interval([1.0, 2.0], confidence=95)


@given(scores, st.randoms(use_true_random=False))
def test_the_middle_half_is_scipys_trimmed_mean(values: list[float], chance) -> None:  # type: ignore[no-untyped-def]
    mixed = list(values)
    chance.shuffle(mixed)
    assert interquartile_mean(mixed) == pytest.approx(scipy_stats.trim_mean(values, 0.25), abs=1e-9)
    assert median(mixed) == pytest.approx(np.median(values))


def test_its_interval_is_the_trimmed_t_test_s() -> None:
    """Tukey and McLaughlin's error, from scipy's winsorised sample."""
    values = np.random.default_rng(0).normal(80, 2, 10)
    low, high = interquartile_interval(values) or (0, 0)
    winsorised = scipy_stats.mstats.winsorize(values, (0.2, 0.2)).data  # floor(10 / 4) = 2 of 10
    expected = scipy_stats.t.ppf(0.975, 5) * np.sqrt(9 * winsorised.var(ddof=1) / (6 * 5))
    assert (low, high) == pytest.approx((interquartile_mean(values) - expected, interquartile_mean(values) + expected))
    assert interquartile_interval([80.0, 81.0, 82.0]) == pytest.approx(mean_interval([80.0, 81.0, 82.0]))
    assert interquartile_interval([80.0]) is None


def test_the_median_s_interval_has_the_binomial_s_coverage() -> None:
    values = list(range(10))
    assert median_interval(values) == (1, 8)  # 1 - 2 * (1 + 10) / 1024 = 0.979; the next one has 0.891
    assert median_interval(values, 0.98) == (0, 9)
    assert median_interval(values[:5]) is None
    assert median_interval(values[:6]) == (0, 5)
    assert median_interval([1, 2, 3, 4, 5, math.inf])[1] == math.inf  # type: ignore[index]
