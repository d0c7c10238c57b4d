"""Seeds that agree exactly: bounds and tests from the answers that differ."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tuneworth.stats import Answers, above_one_answer, by_seeds, compare, on_new_data, over_seeds_or_examples
from tuneworth.stats.agreeing import Agreeing


def right(*shares: int, examples: int = 100, metric: str = "accuracy", seeds: int = 3) -> Any:
    """Methods that answer the first so many examples rightly, at every seed; every second target is 1."""
    targets = np.arange(examples) % 2
    return tuple(
        Answers(metric, targets, {s: np.where(np.arange(examples) < share, targets, 1 - targets) for s in range(seeds)})
        for share in shares
    )


def test_the_test_of_no_difference_is_mcnemars() -> None:
    found = over_seeds_or_examples([6.0, 6.0, 6.0], [0, 1, 2], right(90, 84))
    assert isinstance(found, Agreeing)
    assert found.value == pytest.approx(6)
    assert found.p_above(0.0) == pytest.approx(scipy_stats.binomtest(6, 6, 0.5, alternative="greater").pvalue)
    both = Agreeing(5.0, 0.0, 2, 3, ((9, 2), (10, 3)), 100)
    assert both.p_above(0.0) == pytest.approx(scipy_stats.binomtest(10, 13, 0.5, alternative="greater").pvalue)
    assert both.p_below(0.0) == 1.0
    assert both.turned.p_below(0.0) == both.p_above(0.0)


def test_the_bounds_are_clopper_and_pearsons() -> None:
    found = Agreeing(7.0, 0.0, 2, 3, ((10, 3),), 100)
    b, c = (scipy_stats.binomtest(count, 100).proportion_ci(0.9) for count in (10, 3))
    assert (found.lower(0.1), found.upper(0.1)) == pytest.approx((100 * (b.low - c.high), 100 * (b.high - c.low)))
    level = found.p_above(-3.0)
    assert 0 < level < 0.2
    assert found.lower(level) == pytest.approx(-3.0, abs=1e-6)


def test_many_seeds_are_sure_of_these_examples_and_not_of_new_ones() -> None:
    same = right(100, 100, seeds=10)
    scores = {name: dict.fromkeys(range(10), 100.0) for name in "ab"}
    answers = dict(zip("ab", same, strict=True))
    here, there = by_seeds(scores, answers)["a", "b"], on_new_data(scores, answers)["a", "b"]
    assert here
    assert there
    assert here.upper(0.05) == 0
    assert there.upper(0.05) == pytest.approx(100 * (1 - 0.025**0.01))  # none of 100 differed
    few = by_seeds({name: dict.fromkeys(range(3), 100.0) for name in "ab"}, answers)["b", "a"]
    assert few
    assert few.upper(0.05) == there.upper(0.05)


def test_where_seeds_differ_or_a_seed_has_no_answers_it_is_students_t() -> None:
    answers = right(90, 84)
    differing = over_seeds_or_examples([6.0, 5.0, 7.0], [0, 1, 2], answers)
    failed = over_seeds_or_examples([6.0, 6.0, 6.0], [0, 1, 9], answers)
    assert differing
    assert differing.error > 0
    assert not isinstance(failed, Agreeing)


def test_without_an_exact_test_nothing_is_shown() -> None:
    scores = {name: dict.fromkeys(range(10), 100.0) for name in "ab"}
    same = dict(zip("ab", right(100, 100, metric="f1", seeds=10), strict=True))
    estimate = on_new_data(scores, same)["a", "b"]
    assert estimate
    assert estimate.upper(0.05) == math.inf
    differ = over_seeds_or_examples([33.0] * 3, [0, 1, 2], right(100, 60, metric="f1"))
    assert differ
    assert differ.p_above(0.0) < 1e-6


def test_comparing_seeds_that_agree() -> None:
    scores = dict.fromkeys(range(3), 95.0), dict.fromkeys(range(3), 60.0)
    alone, found = compare(*scores, 1.0), compare(*scores, 1.0, answers=right(95, 60))
    assert alone
    assert (alone.interval, alone.verdict) == (None, "undecided")
    assert found
    assert found.verdict == found.wide_verdict == "better"
    assert found.interval
    assert found.interval[0] > 20


def test_one_answer_for_all_is_tested_example_by_example() -> None:
    (method,) = right(79)
    found = above_one_answer(method, 50.0, [0, 1, 2])
    wins, losses = 39, 10  # among the first 79: 39 ones, which "always 0" misses; among the rest, 10 zeros
    assert found.p_above(0.0) == pytest.approx(scipy_stats.binomtest(wins, wins + losses, alternative="greater").pvalue)
    assert above_one_answer(right(51)[0], 50.0, [0, 1, 2]).p_above(0.0) > 0.05
    assert above_one_answer(right(79, metric="f1")[0], 66.7, [0, 1, 2]).p_above(0.0) < 0.05
