import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import Answers, Regret, beaten, by_seeds, regrets

point = st.integers(0, 1000).map(lambda number: number / 10)
group = st.lists(st.lists(point, min_size=4, max_size=4), min_size=2, max_size=4)


def named(rows: list[list[float]]) -> dict[str, dict[int, float]]:
    return {f"m{i}": dict(enumerate(row)) for i, row in enumerate(rows)}


@settings(max_examples=50, deadline=None)
@given(group, st.permutations(range(4)))
def test_names_and_orders_do_not_matter(rows: list[list[float]], order: list[int]) -> None:
    found = regrets(named(rows))
    turned = {name: {seed: scores[seed] for seed in order} for name, scores in reversed(named(rows).items())}
    assert regrets(turned) == found
    for regret in found.values():
        assert 0 <= regret.low <= regret.high
    means = {name: np.mean(list(scores.values())) for name, scores in named(rows).items()}
    for name, regret in found.items():
        assert regret.low <= max(means.values()) - means[name] + 1e-9 <= regret.high + 2e-9


def test_two_methods_by_hand() -> None:
    a, b = [84.0, 85.0, 86.5, 84.5], [82.0, 83.5, 83.0, 82.0]
    difference = np.subtract(a, b)
    error = scipy_stats.sem(difference)
    found = regrets(named([a, b]), confidence=0.9)
    # Upper bounds at 0.1 / (2 - 1), lower bounds at 0.1 / (2 * 1).
    high = difference.mean() + scipy_stats.t.ppf(0.9, 3) * error
    low = difference.mean() - scipy_stats.t.ppf(0.95, 3) * error
    assert (found["m1"].low, found["m1"].high) == pytest.approx((low, high))
    assert found["m0"] == Regret(0.0, 0.0)


def test_statuses() -> None:
    assert Regret(0.0, 1.0).status(1.0) == "inside"
    assert Regret(1.1, 3.0).status(1.0) == "outside"
    assert Regret(0.5, 1.5).status(1.0) == "open"


def test_a_lone_method_is_the_best_and_few_seeds_say_nothing() -> None:
    assert regrets({"full": {0: 80.0}}) == {"full": Regret(0.0, 0.0)}
    assert regrets({}) == {}
    few = regrets({"full": {0: 80.0, 1: 81.0, 2: math.nan}, "head": {0: 10.0, 1: 11.0, 2: 12.0}})
    assert set(few.values()) == {Regret(0.0, math.inf)}


def test_more_methods_in_the_family_make_bounds_wider() -> None:
    scores = named([[80.0, 81.0, 82.5], [70.0, 71.5, 72.0]])
    two, five = regrets(scores), regrets(scores, family=5)
    assert five["m1"].low < two["m1"].low < two["m1"].high < five["m1"].high


def test_new_data_need_everyone_s_answers() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 200)
    predictions = {
        name: {s: np.where(generator.random(200) < skill, targets, 1 - targets) for s in range(6)}
        for name, skill in (("full", 0.9), ("head", 0.6))
    }
    scores = {
        name: {s: 100 * float((given == targets).mean()) for s, given in by_seed.items()}
        for name, by_seed in predictions.items()
    }
    answers = {name: Answers("accuracy", targets, by_seed) for name, by_seed in predictions.items()}
    here, anywhere = regrets(scores), regrets(scores, answers=answers)
    assert 0 < anywhere["head"].low < here["head"].high
    assert anywhere["head"].high < math.inf
    assert regrets(scores, answers={"full": answers["full"]})["head"] == Regret(0.0, math.inf)


def test_the_family_errs_as_seldom_as_it_says() -> None:
    generator = np.random.default_rng(3)
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    upper = lower = 0
    for _ in range(800):
        rows = (truth + generator.normal(size=(6, 4))).T
        found = regrets(named(rows.tolist()), confidence=0.9)
        upper += any(found[f"m{i}"].high < 1 - truth[i] for i in range(4))
        lower += any(found[f"m{i}"].low > 1 - truth[i] for i in range(4))
    assert upper / 800 < 0.1 + 0.025
    assert lower / 800 < 0.1 + 0.025
    assert upper + lower > 8, "bounds that never err are too wide to be of use"


def test_what_is_beaten_is_no_longer_paid_for() -> None:
    """Three methods fall at once; the fourth is beaten only where two are left to be told apart."""
    luck = np.array([0.0, 0.5, -0.4, 0.2, -0.3])
    rows = named([(80 + luck).tolist(), (76.4 - luck).tolist(), *((60 + k * luck).tolist() for k in (2, -1, 3))])
    differences, together = by_seeds(rows), regrets(rows)
    margin = together["m1"].low + 1e-3
    steps = beaten(rows, differences, margin)
    assert together["m1"].status(margin) == "open"
    assert steps["m1"].status(margin) == "outside"
    assert steps["m0"].status(margin) == "inside"
    assert steps["m3"] == together["m3"], "what leaves keeps the bounds of its last step"


def test_steps_err_as_seldom_as_they_say() -> None:
    """Two methods are behind by just the margin; two far behind, so that they leave and are no longer paid for."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):
        rows = named(generator.normal([[80.0], [78.0], [78.0], [50.0], [50.0]], 1.0, (5, 5)).tolist())
        found = beaten(rows, by_seeds(rows), 2.0)
        wrong += any(found[name].status(2.0) == "outside" for name in ("m1", "m2"))
    assert wrong <= 0.05 * 300
