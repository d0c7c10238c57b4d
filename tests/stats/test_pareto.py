import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneworth.stats import front, front_probability

points = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6
)


@given(points)
def test_the_front_is_what_nobody_beats(given_: dict[str, tuple[int, int]]) -> None:
    found = front({m: float(s) for m, (s, _) in given_.items()}, {m: float(c) for m, (_, c) in given_.items()})

    def beaten(name: str) -> bool:
        score, cost = given_[name]
        return any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in given_.values())

    assert set(found) == {name for name in given_ if not beaten(name)}
    assert found
    assert [given_[name][1] for name in found] == sorted(given_[name][1] for name in found)


def test_certain_members_are_certain_and_a_coin_is_a_coin() -> None:
    generator = np.random.default_rng(0)
    scores = {
        "cheap": dict.fromkeys(range(10), 80.0),
        "best": dict.fromkeys(range(10), 90.0),
        "bad": dict.fromkeys(range(10), 70.0),
        "maybe": {seed: 80.0 + (1 if seed % 2 else -1) for seed in range(10)},
    }
    costs = {name: dict.fromkeys(range(10), cost) for name, cost in
             {"cheap": 1.0, "best": 9.0, "bad": 5.0, "maybe": 2.0}.items()}  # fmt: skip
    found = front_probability(scores, costs, generator)
    assert (found["cheap"], found["best"], found["bad"]) == (1.0, 1.0, 0.0)
    # More than half of ten draws are odd seeds: P(Binomial(10, 1/2) > 5) = 0.377.
    assert found["maybe"] == pytest.approx(0.377, abs=0.03)


def test_the_generator_decides_and_seeds_must_be_shared() -> None:
    generator = np.random.default_rng(1)
    scores = {name: dict(enumerate(generator.normal(80, 1, 6))) for name in "ab"}
    costs = {"a": dict.fromkeys(range(6), 1.0), "b": dict.fromkeys(range(6), 2.0)}
    one, same = (front_probability(scores, costs, np.random.default_rng(5)) for _ in range(2))
    assert one == same
    with pytest.raises(ValueError, match="no seed"):
        front_probability({"a": {0: 1.0}, "b": {1: 1.0}}, costs, generator)
