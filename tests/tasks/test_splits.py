from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tuneworth.errors import SpecError
from tuneworth.kinds.strata import BINS
from tuneworth.tasks.splits import order, take, test_split

Data = tuple[NDArray[Any], str]


@st.composite
def data(draw: st.DrawFn) -> Data:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    if draw(st.booleans()):
        return rng.normal(size=draw(st.integers(1, 400))), "regression"
    sizes = draw(st.lists(st.integers(1, 120), min_size=1, max_size=8))
    return rng.permutation(np.repeat(np.arange(len(sizes)), sizes)), "classification"


SEEDS = st.integers(0, 2**31 - 1)
FRACTIONS = st.floats(0.01, 1)


@given(data(), SEEDS)
def test_order_is_a_repeatable_permutation(given_data: Data, seed: int) -> None:
    labels, kind = given_data
    found = order(labels, kind, seed)
    assert sorted(found) == list(range(len(labels)))
    assert np.array_equal(found, order(labels, kind, seed))


@given(data(), SEEDS)
def test_every_prefix_is_stratified(given_data: Data, seed: int) -> None:
    labels, kind = given_data
    found = order(labels, kind, seed)
    bins = min(BINS, len(labels))
    strata = labels if kind == "classification" else np.argsort(np.argsort(labels)) * bins // len(labels)
    names, sizes = np.unique(strata, return_counts=True)
    for name, size in zip(names, sizes, strict=True):
        share = size / len(labels)
        seen = np.cumsum(strata[found] == name)
        expected = share * np.arange(1, len(labels) + 1)
        assert np.abs(seen - expected).max() <= 0.5 + share * max(0, len(names) - 2) / 2 + 0.5


@given(data(), SEEDS, FRACTIONS, FRACTIONS)
def test_fractions_are_nested_disjoint_and_of_the_right_size(given_data: Data, seed: int, a: float, b: float) -> None:
    labels, kind = given_data
    try:
        small, large = (take(labels, kind, fraction, seed) for fraction in sorted((a, b)))
    except SpecError:
        assume(False)
    for few, many in zip(small, large, strict=True):
        assert np.array_equal(few, many[: len(few)])
    seen = np.concatenate(large)
    assert len(seen) == round(max(a, b) * len(labels)) == len(set(seen.tolist()))
    assert set(seen.tolist()) == set(order(labels, kind, seed)[: len(seen)].tolist())


@given(data(), SEEDS, FRACTIONS)
def test_train_and_validation_hold_what_they_must(given_data: Data, seed: int, fraction: float) -> None:
    labels, kind = given_data
    try:
        split = take(labels, kind, fraction, seed)
    except SpecError as error:
        works = re.search(r"works is ([\d.]+)", error.remedy)
        if works is None:
            return
        fraction = float(works[1])
        split = take(labels, kind, fraction, seed)
    assert len(split.train)
    assert len(split.validation)
    if kind == "classification":
        assert set(labels[split.train]) == set(labels)
        names, seen = np.unique(labels[np.concatenate(split)], return_counts=True)
        for name, count in zip(names, seen, strict=True):
            held = int(np.sum(labels[split.validation] == name))
            assert held == (0 if count < 3 else 1 + (count - 3) // 10)
    else:
        n = len(split.train) + len(split.validation)
        assert abs(len(split.validation) - n / 10) <= BINS / 2 + 1


def test_seeds_differ_and_kinds_of_chance_are_apart() -> None:
    labels = np.arange(200) % 2
    assert not np.array_equal(order(labels, "classification", 0), order(labels, "classification", 1))
    _, test = test_split(labels, "classification", 0.5, 0)
    assert set(test.tolist()) != set(order(labels, "classification", 0)[:100].tolist())


def test_about_a_tenth_is_held_for_validation() -> None:
    for labels, kind in ((np.arange(1000) % 3, "classification"), (np.linspace(0, 1, 1000), "regression")):
        for fraction in (0.1, 0.5, 1.0):
            split = take(labels, kind, fraction, 7)
            assert len(split.validation) / (1000 * fraction) == pytest.approx(0.1, abs=0.021)


def test_too_small_a_fraction_names_the_one_that_works() -> None:
    labels = np.array([0] * 990 + [1] * 10)
    with pytest.raises(SpecError, match=r"fraction 0.01 of 1000 examples is too small to hold every class") as caught:
        take(labels, "classification", 0.01, 3)
    works = float(caught.value.remedy.rsplit(" ", 1)[1])
    assert set(labels[take(labels, "classification", works, 3).train]) == {0, 1}
    with pytest.raises(SpecError):
        take(labels, "classification", works - 0.002, 3)


def test_two_examples_are_too_few_at_any_fraction() -> None:
    with pytest.raises(SpecError, match="2 examples are too few"):
        take(np.array([0, 1]), "classification", 1.0, 0)


@given(data(), SEEDS, st.floats(0.01, 0.99))
def test_a_test_split_has_its_size_and_leaves_every_class_in_train(given_data: Data, seed: int, share: float) -> None:
    labels, kind = given_data
    spare = len(labels) - (len(set(labels.tolist())) if kind == "classification" else 1)
    assume(spare > 0)
    train, test = test_split(labels, kind, share, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert len(test) == min(spare, max(1, round(share * len(labels))))
    if kind == "classification":
        assert set(labels[train].tolist()) == set(labels.tolist())


def test_four_hundred_thousand_examples_take_a_moment() -> None:
    from time import process_time

    labels = np.random.default_rng(0).integers(0, 3, 400_000)
    started = process_time()
    take(labels, "classification", 0.5, 0)
    assert process_time() - started < 1
