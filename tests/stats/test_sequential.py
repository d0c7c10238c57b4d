import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneworth.stats import LOOKS, compare, decide, level, next_look


def drawn(generator: np.random.Generator, means: list[float], seeds: int = 20) -> dict[str, dict[int, float]]:
    return {f"m{i}": dict(enumerate((mean + generator.normal(size=seeds)).tolist())) for i, mean in enumerate(means)}


def first(scores: dict[str, dict[int, float]], have: dict[str, int]) -> dict[str, dict[int, float]]:
    return {name: {seed: s for seed, s in by_seed.items() if seed < have[name]} for name, by_seed in scores.items()}


def test_looks_go_from_3_to_20() -> None:
    assert (LOOKS[0], LOOKS[-1]) == (3, 20)
    assert [next_look(seeds) for seeds in (0, 3, 4, 19, 20, 30)] == [3, 5, 5, 20, None, None]


@given(st.floats(0.5, 0.999))
def test_all_looks_together_spend_what_there_is(confidence: float) -> None:
    spent = [1 - level(look, confidence) for look in LOOKS]
    assert all(part > 0 for part in spent)
    assert sum(spent) == pytest.approx(1 - confidence)


def test_between_looks_there_is_no_level() -> None:
    with pytest.raises(ValueError, match="no look"):
        level(4, 0.95)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.sampled_from([80.0, 80.5, 83.0, 95.0]), min_size=2, max_size=4))
def test_asking_often_and_asking_once_give_the_same_answer(seed: int, means: list[float]) -> None:
    scores = drawn(np.random.default_rng(seed), means)
    have = dict.fromkeys(scores, 0)
    while True:
        decision = decide(first(scores, have), margin=1.0)
        if not decision.wanted:
            break
        assert not set(decision.wanted) & set(decision.outside)
        assert any(have[name] < number for name, number in decision.wanted.items()), "or a run would never end"
        have |= decision.wanted
    assert decide(scores, margin=1.0) == decision
    assert sorted((*decision.inside, *decision.outside, *decision.open)) == sorted(scores)
    assert not decision.open or max(have.values()) == LOOKS[-1]


def test_a_beaten_method_stops_early_and_the_rest_goes_on() -> None:
    generator = np.random.default_rng(0)
    scores = drawn(generator, [86.0, 85.8, 40.0])
    have = dict.fromkeys(scores, 5)
    decision = decide(first(scores, have), margin=0.3)
    assert decision.outside == ("m2",)
    assert decision.wanted == {"m0": 7, "m1": 7}
    assert decide(first(scores, {"m0": 7, "m1": 7, "m2": 5}), margin=0.3).outside == ("m2",)


def test_before_the_first_look_everyone_is_wanted() -> None:
    assert decide({"full": {}, "head": {0: 1.0}}, 1.0).wanted == {"full": 3, "head": 3}
    assert decide({"full": {}}, 1.0).inside == ("full",)
    assert decide({}, 1.0).wanted == {}


def test_a_trial_without_a_score_counts_as_run() -> None:
    generator = np.random.default_rng(1)
    scores = drawn(generator, [80.0, 80.0])
    scores["m0"][2] = math.nan
    assert decide(first(scores, {"m0": 3, "m1": 3}), 0.5).wanted == {"m0": 5, "m1": 5}
    del scores["m0"][2]
    assert decide(first(scores, {"m0": 3, "m1": 3}), 0.5).wanted == {"m0": 3, "m1": 3}


def test_peeking_costs_nothing_here_and_much_without_it() -> None:
    """Two equal methods: how often is one called worse than the other, over all looks?"""
    generator = np.random.default_rng(7)
    guarded = unguarded = 0
    for _ in range(300):
        scores = drawn(generator, [80.0, 80.0])
        guarded += bool(decide(scores, 0.0, confidence=0.9).outside)
        looks = (compare(*first(scores, dict.fromkeys(scores, n)).values(), 0.0, 0.9) for n in LOOKS)
        unguarded += any(found is not None and found.verdict != "undecided" for found in looks)
    assert guarded / 300 < 0.1 + 0.035
    assert unguarded / 300 > 0.15


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        decide({"full": {0: 1.0}}, -1.0)
