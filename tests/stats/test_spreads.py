"""Spreads are told apart by what swapping the names, seed by seed, could have shown."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tuneworth.stats import spread_ratio, wilson


def pairs(
    rng: np.random.Generator, n: int, ratio: float = 1.0, collapse: float = 0.0, ahead: float = 0.0
) -> list[np.ndarray]:
    shared, both = rng.normal(size=n), rng.normal(size=(2, n))
    scores = [86 + ahead + ratio * (shared + both[0]), 86 + shared + both[1]]
    return [np.where(rng.random(n) < collapse, 70.0, one) for one in scores]


def test_p_values_count_every_way_to_swap_the_names() -> None:
    x, y = pairs(np.random.default_rng(0), 7, 2.0, ahead=3.0)
    a, b = (np.abs(values - np.median(values)) for values in (x, y))
    found = spread_ratio(x, y)
    assert found is not None
    assert found.value == pytest.approx(a.sum() / b.sum())
    for ratio in (0.5, 1.0, 3.0):
        apart = a / ratio - b
        swapped = [float(np.dot(signs, apart)) for signs in product([1, -1], repeat=7)]
        assert found.p_larger(ratio) == pytest.approx(np.mean([one >= apart.sum() - 1e-12 for one in swapped]))
        assert found.p_smaller(ratio) == pytest.approx(np.mean([one <= apart.sum() + 1e-12 for one in swapped]))


@pytest.mark.parametrize("n", [8, 14])
def test_the_interval_ends_where_the_test_begins_to_reject(n: int) -> None:
    found = spread_ratio(*pairs(np.random.default_rng(3), n, 1.7))
    assert found is not None
    low, high = found.interval(0.9) or (0.0, 0.0)
    assert low < found.value < high
    assert found.p_larger(low - 1e-9) <= 0.05 < found.p_larger(low)
    assert found.p_smaller(high + 1e-9) <= 0.05 < found.p_smaller(high)


def test_it_errs_as_seldom_as_it_says_also_where_runs_collapse() -> None:
    """Two equal methods with 10% collapses and 10 seeds; Pitman and Morgan's t finds a difference in half of such pairs."""
    rng = np.random.default_rng(1)
    for collapse, ahead in ((0.1, 0.0), (0.0, 4.0)):
        found = [spread_ratio(*pairs(rng, 10, collapse=collapse, ahead=ahead)) for _ in range(1000)]
        for side in ("p_larger", "p_smaller"):
            wrong = sum(getattr(one, side)(1.0) <= 0.05 for one in found)
            assert wilson(wrong, 1000, 0.99)[0] <= 0.05
    power = [spread_ratio(*pairs(rng, 10, 3.0)).p_larger(1.0) <= 0.05 for _ in range(1000)]  # type: ignore[union-attr]
    assert np.mean(power) == pytest.approx(0.84, abs=0.04)


def test_its_interval_covers() -> None:
    rng = np.random.default_rng(2)
    found = [spread_ratio(*pairs(rng, 10, 2.0)).interval() for _ in range(1000)]  # type: ignore[union-attr]
    assert np.mean([low <= 2.0 <= high for low, high in filter(None, found)]) == pytest.approx(0.95, abs=0.02)


def test_what_does_not_vary_has_no_ratio() -> None:
    assert spread_ratio([80.0] * 6, [80.0] * 6) is None
    still = spread_ratio(range(80, 90), [81.2] * 10)
    assert still is not None
    assert (still.interval(), still.p_larger(1.0) <= 0.05) == (None, True)
    with pytest.raises(ValueError, match="5 pairs"):
        spread_ratio(range(4), range(4))
