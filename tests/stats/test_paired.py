import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import paired_difference

by_seed = st.dictionaries(st.integers(0, 8), st.floats(0, 100), max_size=9)


@given(by_seed, by_seed)
def test_only_shared_seeds_count_and_order_turns_the_sign(first: dict[int, float], second: dict[int, float]) -> None:
    forth, back = paired_difference(first, second), paired_difference(second, first)
    if not first.keys() & second.keys():
        assert forth is None
        assert back is None
        return
    assert forth is not None
    assert back is not None
    assert forth.n == len(first.keys() & second.keys())
    assert forth.mean == pytest.approx(-back.mean, abs=1e-9)
    assert (forth.interval is None) == (forth.n == 1)


def test_interval_and_scipys_paired_t_test_agree() -> None:
    generator = np.random.default_rng(3)
    first = dict(enumerate(generator.normal(84, 1, 6)))
    second = dict(enumerate(generator.normal(86, 1, 6)))
    expected = scipy_stats.ttest_rel(list(first.values()), list(second.values())).confidence_interval(0.95)
    found = paired_difference(first, second)
    assert found is not None
    assert found.interval == pytest.approx((expected.low, expected.high))


def test_what_a_seed_adds_to_both_cancels() -> None:
    luck = {0: -3.0, 1: 0.0, 2: 4.0}
    full = {seed: 86 + value for seed, value in luck.items()}
    bitfit = {seed: 84 + value for seed, value in luck.items()}
    found = paired_difference(bitfit, full)
    assert found is not None
    assert found.mean == pytest.approx(-2)
    assert found.interval == pytest.approx((-2, -2))
