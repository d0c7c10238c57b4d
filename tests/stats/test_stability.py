import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import (
    brown_forsythe,
    collapse_rate,
    expected_best_of,
    pitman_morgan,
    spread_interval,
    spread_ratio,
    trained_ones,
    wilson,
    worst_of,
)

scores = st.lists(st.integers(0, 1000).map(lambda number: number / 10), min_size=3, max_size=10)


def pairs(seed: int = 0, ratio: float = 1.0, n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=n)
    return ratio * (shared + generator.normal(size=n)), shared + generator.normal(size=n)


def test_spread_interval_is_the_chi_squared_one_and_covers() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(80, 2, 9)
    bounds = scipy_stats.chi2.ppf([0.975, 0.025], 8)
    assert spread_interval(values) == pytest.approx(tuple(np.sqrt(8 * values.var(ddof=1) / bounds)))
    found = [spread_interval(sample) for sample in generator.normal(80, 2, size=(1500, 5))]
    assert np.mean([low <= 2 <= high for low, high in filter(None, found)]) == pytest.approx(0.95, abs=0.02)
    assert spread_interval([80.0]) is None


def test_pitman_morgan_is_the_correlation_of_sums_and_differences() -> None:
    x, y = pairs(1, 2.0)
    found = pitman_morgan(x, y)
    assert found is not None
    expected = scipy_stats.pearsonr(x + y, x - y, alternative="greater")
    assert found.value == pytest.approx(expected.statistic)
    assert found.p_above(0.0) == pytest.approx(expected.pvalue)


@given(scores, st.integers(0, 99))
def test_pitman_morgan_turns_with_its_arguments(values: list[float], seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=len(values))
    forth, back = pitman_morgan(values, other), pitman_morgan(other, values)
    if forth is None or back is None:
        return
    assert forth.value == pytest.approx(-back.value, abs=1e-9)
    assert forth.p_above(0.0) == pytest.approx(back.p_below(0.0), abs=1e-9)


def test_the_ratio_s_interval_ends_where_pitman_morgan_begins_to_reject() -> None:
    x, y = pairs(3, 1.7)
    interval = spread_ratio(x, y, 0.9)
    assert interval is not None
    assert interval[0] < x.std() / y.std() < interval[1]
    for end in interval:
        found = pitman_morgan(x / end, y)
        assert found is not None
        assert 2 * min(found.p_above(0.0), found.p_below(0.0)) == pytest.approx(0.1)


def test_the_paired_test_errs_as_seldom_as_it_says() -> None:
    p_values = [found.p_above(0.0) for seed in range(1000) if (found := pitman_morgan(*pairs(seed, 1.0, 8)))]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.02)


def test_what_does_not_vary_has_no_test() -> None:
    assert pitman_morgan([80.0] * 4, [80.0] * 4) is None
    assert spread_ratio([80.0] * 4, [80.0, 81.0, 82.0, 80.0]) is None
    assert brown_forsythe([80.0] * 4, [81.0] * 5) is None
    with pytest.raises(ValueError, match="3 pairs"):
        pitman_morgan([1.0, 2.0], [1.0, 3.0])


def test_brown_forsythe_is_an_analysis_of_variance_of_distances() -> None:
    x, y = pairs(5, 3.0)
    expected = scipy_stats.f_oneway(np.abs(x - np.median(x)), np.abs(y - np.median(y))).pvalue
    assert brown_forsythe(x, y) == pytest.approx(expected)


@given(st.integers(1, 30), st.data(), st.floats(0.5, 0.99))
def test_wilson_is_scipys(of: int, data: st.DataObject, confidence: float) -> None:
    count = data.draw(st.integers(0, of))
    expected = scipy_stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    assert wilson(count, of, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)
    if count == 0:
        assert wilson(count, of, confidence)[0] == 0


def test_a_collapse_is_a_trial_no_better_than_one_answer_for_all() -> None:
    rate, interval = collapse_rate([81.2, 81.2 + 1e-13, 79.0, 86.0, 87.0], baseline=81.2)
    assert rate == 0.6
    assert interval == wilson(3, 5)


def test_methods_are_judged_by_the_trials_that_trained() -> None:
    found = trained_ones({0: 81.2, 1: 86.0, 2: 87.0, 3: 81.0, 4: math.nan, 5: 81.2 + 1e-13, 6: 86.5}, baseline=81.2)
    assert {seed for seed, score in found.items() if math.isnan(score)} == {0, 4, 5}
    assert (found[1], found[2], found[3]) == (86.0, 87.0, 81.0)
    assert trained_ones({0: 81.2}, baseline=None) == {0: 81.2}


@given(st.dictionaries(st.integers(0, 19), st.sampled_from([0.0, 40.0, 50.0, 60.0, 61.0]), max_size=20))
def test_only_what_else_trains_is_judged_without_its_collapses(scores: dict[int, float]) -> None:
    found = trained_ones(scores, 50.0)
    assert found.keys() == scores.keys()
    lost = [seed for seed, score in scores.items() if score == 50.0]
    others = [score for score in scores.values() if score != 50.0]
    if len(set(others)) > 1:  # where all are equal, Student's t would be sure of anything
        trains = scipy_stats.ttest_1samp(others, 50.0, alternative="greater").pvalue <= 0.05
    else:
        trains = len(others) > 4 and others[0] > 50.0
    trains = trains and len(lost) <= len(others)
    assert [seed for seed in found if math.isnan(found[seed])] == (lost if trains else [])
    assert all(found[seed] == scores[seed] for seed in scores if not (trains and seed in lost))


@given(scores, st.data())
def test_best_and_worst_of_k_are_means_over_all_choices(values: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(values)))
    chosen = list(combinations(values, k))
    assert expected_best_of(values, k) == pytest.approx(np.mean([max(some) for some in chosen]))
    assert worst_of(values, k) == pytest.approx(np.mean([min(some) for some in chosen]))


def test_more_than_there_are_is_unknown() -> None:
    with pytest.raises(ValueError, match="best of 3"):
        expected_best_of([80.0, 81.0], 3)
