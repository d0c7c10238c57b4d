"""A collapse is one answer for all; scores tell it only where no answers were kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import Answers, collapsed, trained_ones

TARGETS = np.arange(40) % 2


def test_a_collapse_to_any_class_is_one_and_an_honest_tie_is_none() -> None:
    tie = np.where(np.arange(40) < 20, TARGETS, 1 - TARGETS)
    answers = Answers("accuracy", TARGETS, {0: np.zeros(40, int), 1: np.ones(40, int), 2: tie})
    assert (tie == TARGETS).mean() == 0.5
    assert collapsed({0: 50.6, 1: 49.4, 2: 50.6}, 50.6, answers) == {0, 1}
    assert collapsed({0: 50.6, 1: 49.4, 2: 50.6}, 50.6) == {0, 2}, "all that scores can tell"
    assert collapsed({0: 50.6, 3: 50.6}, 50.6, answers) == {0, 3}, "a seed without answers is told by its score"


@pytest.mark.parametrize(("spread", "one"), [(0.0, True), (2**-9, True), (0.009, True), (0.05, False), (1.0, False)])
def test_numbers_are_one_answer_where_they_hardly_vary(spread: float, one: bool) -> None:
    targets = np.random.default_rng(0).normal(3.0, 1.5, 500)
    answers = Answers("pearson", targets, {0: 3.0 + spread * (targets - targets.mean())})
    assert answers.one_answer(0) == one


def test_methods_are_judged_by_the_trials_that_trained() -> None:
    found = trained_ones({0: 81.2, 1: 86.0, 2: 87.0, 3: 81.0, 4: math.nan, 5: 81.2 + 1e-13, 6: 86.5}, baseline=81.2)
    assert {seed for seed, score in found.items() if math.isnan(score)} == {0, 4, 5}
    assert (found[1], found[2], found[3]) == (86.0, 87.0, 81.0)
    assert trained_ones({0: 81.2}, baseline=None) == {0: 81.2}


def test_where_answers_say_what_collapsed_ties_stay_and_agreeing_seeds_are_no_doubt() -> None:
    found = trained_ones({0: 49.4, 1: 100.0, 2: 100.0, 3: 50.6}, 50.6, seen={0})
    assert math.isnan(found.pop(0))
    assert found == {1: 100.0, 2: 100.0, 3: 50.6}
    nothing = {0: 50.6, 1: 50.6, 2: 51.0}
    assert trained_ones(nothing, 50.6, seen={0, 1}) == nothing, "to learn nothing is what the method does"


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
