from itertools import combinations

import numpy as np
import pytest

from tuneworth.stats import decide, over_seeds
from tuneworth.stats.best import by_seeds
from tuneworth.stats.estimate import Estimate
from tuneworth.stats.moderate import WEIGHT, moderated, prior


def estimates(variances: np.ndarray, seeds: int, generator: np.random.Generator) -> list[Estimate]:
    found = [over_seeds(np.sqrt(one) * generator.normal(size=seeds)) for one in variances]
    return [one for one in found if one]


def test_the_prior_that_variances_were_drawn_from_is_found_again() -> None:
    """Variances s0^2 d0 / chi-squared(d0), as Smyth's model has them."""
    generator = np.random.default_rng(0)
    variances = 4.0 * 6 / generator.chisquare(6, 20_000)
    freedom, usual = prior(estimates(variances, 4, generator), methods=1000)
    assert freedom == pytest.approx(6 * WEIGHT, rel=0.1)
    assert usual == pytest.approx(4.0, rel=0.05)


def test_equal_variances_are_worth_what_the_methods_have_together() -> None:
    """No more scatter than chance: the prior would be endless, and is worth as much as other methods' seeds."""
    [one] = estimates(np.ones(1), 5, np.random.default_rng(0))
    freedom, usual = prior([one] * 10, methods=5)
    assert freedom == WEIGHT * 3 * 4
    assert 1 < usual / (5 * one.error**2) < 1.5  # the mean of log s^2 lies below the log of its mean


def test_a_moderated_estimate_lies_between_its_own_spread_and_the_usual_one() -> None:
    found = moderated(Estimate(1.0, 0.2, 4, 5), (6.0, 1.0))
    assert found.value == 1.0
    assert found.freedom == 10
    assert found.error**2 == pytest.approx((6 * 1.0 / 5 + 4 * 0.2**2) / 10)


def test_two_methods_have_nobody_to_borrow_from() -> None:
    scores = {"a": {0: 80.0, 1: 81.0, 2: 83.0}, "b": {0: 79.0, 1: 81.5, 2: 80.0}}
    assert by_seeds(scores)["a", "b"] == over_seeds([1.0, -0.5, 3.0])


def test_seeds_that_agree_lend_nothing_and_borrow_nothing() -> None:
    luck = dict(enumerate([0.3, -0.2, 0.9]))
    scores = {"a": {s: 80.0 + x for s, x in luck.items()}, "b": {s: 70.0 + x for s, x in luck.items()},
              "c": {0: 75.0, 1: 76.5, 2: 75.2}, "d": {0: 71.0, 1: 71.2, 2: 73.0}}  # fmt: skip
    found = by_seeds(scores)
    agree, other = found["a", "b"], found["a", "c"]
    assert agree
    assert other
    assert agree.error == 0
    assert other.freedom > 2


def groups(times: float, number: int, gaps: np.ndarray) -> list[dict[str, dict[int, float]]]:
    """Five methods around 80 less their gaps; the second spreads `times` as much as the others, 0.7 points."""
    generator = np.random.default_rng(0)
    sd = 0.7 * np.where(np.arange(5) == 1, times, 1.0)[:, None]
    drawn = (80 - gaps[:, None] + sd * generator.normal(size=(number, 5, 20))).tolist()
    return [{name: dict(enumerate(row)) for name, row in zip("abcde", one, strict=True)} for one in drawn]


def test_a_clear_lead_takes_a_fifth_of_the_trials() -> None:
    spent = []
    for group in groups(1.0, 40, np.array([0.0, 5.0, 7.0, 9.0, 11.0])):
        have = dict.fromkeys(group, 3)
        while more := decide({m: {s: group[m][s] for s in range(n)} for m, n in have.items()}, 1.0).wanted:
            have |= more
        spent.append(sum(have.values()) / 100)
    assert np.mean(spent) < 0.2


@pytest.mark.parametrize("best", ["a", "b"])
def test_one_method_of_five_times_the_spread_is_not_told_wrongly(best: str) -> None:
    """The hardest margins: b, which spreads most, is behind by just the margin; or it is the best, and all others are."""
    groups_of = groups(5.0, 100, 2.0 - 2.0 * (np.array(list("abcde")) == best))
    behind = set("abcde") - {best}
    outside = sum(bool(behind & {*decide(group, 2.0).outside}) for group in groups_of)
    inside = sum(bool(behind & {*decide(group, 2.0 - 1e-9).inside}) for group in groups_of)
    assert max(outside, inside) <= 5


def test_every_pair_of_a_group_is_answered_both_ways() -> None:
    [group] = groups(1.0, 1, np.zeros(5))
    found = by_seeds(group)
    for first, second in combinations(group, 2):
        one, other = found[first, second], found[second, first]
        assert one
        assert other == one.turned
