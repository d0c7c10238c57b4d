from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import (
    expected_best_of,
    spread_interval,
    wilson,
    worst_of,
)

scores = st.lists(st.integers(0, 1000).map(lambda number: number / 10), min_size=3, max_size=10)


def test_spread_interval_is_the_chi_squared_one_and_covers() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(80, 2, 9)
    bounds = scipy_stats.chi2.ppf([0.975, 0.025], 8)
    assert spread_interval(values) == pytest.approx(tuple(np.sqrt(8 * values.var(ddof=1) / bounds)))
    found = [spread_interval(sample) for sample in generator.normal(80, 2, size=(1500, 5))]
    assert np.mean([low <= 2 <= high for low, high in filter(None, found)]) == pytest.approx(0.95, abs=0.02)
    assert spread_interval([80.0]) is None


@given(st.integers(1, 30), st.data(), st.floats(0.5, 0.99))
def test_wilson_is_scipys(of: int, data: st.DataObject, confidence: float) -> None:
    count = data.draw(st.integers(0, of))
    expected = scipy_stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    assert wilson(count, of, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)
    if count == 0:
        assert wilson(count, of, confidence)[0] == 0


@given(scores, st.data())
def test_best_and_worst_of_k_are_means_over_all_choices(values: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(values)))
    chosen = list(combinations(values, k))
    assert expected_best_of(values, k) == pytest.approx(np.mean([max(some) for some in chosen]))
    assert worst_of(values, k) == pytest.approx(np.mean([min(some) for some in chosen]))


def test_more_than_there_are_is_unknown() -> None:
    with pytest.raises(ValueError, match="best of 3"):
        expected_best_of([80.0, 81.0], 3)
