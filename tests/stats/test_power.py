import numpy as np
import pytest
from scipy import stats as scipy_stats

from tuneworth.stats import compare, decide, examples_needed, look_needed, seeds_needed
from tuneworth.stats.examples import crossed
from tuneworth.stats.power import decided_probability


@pytest.mark.parametrize(("n", "difference"), [(5, 1.0), (12, 0.6), (40, 0.3)])
def test_without_a_margin_it_is_the_t_test_s_power(n: int, difference: float) -> None:
    limit, shift = scipy_stats.t.ppf(0.975, n - 1), difference * np.sqrt(n)
    expected = scipy_stats.nct.sf(limit, n - 1, shift) + scipy_stats.nct.cdf(-limit, n - 1, shift)
    assert decided_probability([n], difference, 1.0, 0.0)[0] == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(("n", "difference", "spread", "margin"), [(5, 0.2, 1.0, 1.0), (10, 0.5, 0.8, 1.0)])
def test_it_is_how_often_compare_decides(n: int, difference: float, spread: float, margin: float) -> None:
    generator = np.random.default_rng(0)
    decided = 0
    for sample in generator.normal(difference, spread, size=(2000, n)):
        found = compare(dict(enumerate(sample)), dict.fromkeys(range(n), 0.0), margin)
        decided += found is not None and found.verdict != "undecided"
    assert decided_probability([n], difference, spread, margin)[0] == pytest.approx(decided / 2000, abs=0.03)


def test_the_seeds_reach_the_power_and_one_less_does_not() -> None:
    sample = np.array([0.9, -0.4, 1.3, 0.2])
    more = seeds_needed(sample, margin=0.2)
    assert more is not None
    assert more > 0
    reached, before = decided_probability([4 + more, 3 + more], sample.mean(), sample.std(ddof=1), 0.2)
    assert before < 0.8 <= reached


def test_clear_needs_none_and_hopeless_has_no_number() -> None:
    assert seeds_needed([10.0, 10.1, 9.9, 10.0], margin=1.0) == 0
    assert seeds_needed([1.0 + wobble for wobble in (-40.0, 40.0, -30.0, 30.0)], margin=1.0) is None
    assert seeds_needed([0.01, -0.01, 0.0], margin=5.0) == 0
    with pytest.raises(ValueError, match="2 differences"):
        seeds_needed([1.0], margin=1.0)


def test_the_sign_and_the_order_do_not_matter() -> None:
    sample = [0.9, -0.4, 1.3, 0.2]
    assert seeds_needed(sample, 0.3) == seeds_needed([-value for value in reversed(sample)], 0.3)


def test_so_many_examples_are_as_often_enough_as_promised() -> None:
    """Methods of 4 seeds that differ on some examples, by nothing on average; 80% of test sets of that size show it."""
    generator = np.random.default_rng(1)

    def drawn(examples: int) -> np.ndarray:
        shift = generator.choice([-100.0, 0.0, 100.0], size=examples, p=[0.03, 0.94, 0.03])
        return np.tile(shift, (4, 1)) * (generator.random((4, examples)) < 0.8)

    needed = [examples_needed(drawn(20_000) + 0.2, margin=2.0, level=0.05) for _ in range(5)]
    number = int(np.median([each or 0 for each in needed]))
    shown = np.mean([crossed(drawn(number) + 0.2).upper(0.05) <= 2.0 for _ in range(400)])
    assert shown == pytest.approx(0.8, abs=0.07)


def test_examples_where_no_answer_differs_or_none_would_do() -> None:
    assert examples_needed(np.zeros((3, 80)), margin=1.0, level=0.05) == 368  # 0.99^368 <= 0.025
    assert examples_needed(np.full((3, 80), 2.0) + np.arange(80) % 3, margin=1.0, level=0.05) is None
    seeds = np.repeat([[-9.0], [9.0], [0.0]], 80, axis=1) + np.arange(80) % 2
    assert examples_needed(seeds, margin=1.0, level=0.05) is None, "more seeds are what is missing"


def test_before_any_trial_the_ordinary_spread_says_what_a_margin_takes() -> None:
    assert look_needed(1.0, methods=5, spread=1.9) is None, "open after the last look"
    assert [look_needed(margin, methods=5) for margin in (1.0, 2.0, 3.0)] == [20, 10, 7]
    assert look_needed(1.0, methods=2) == 14, "fewer rivals, fewer seeds"


def test_the_look_needed_is_where_most_groups_are_decided() -> None:
    """Two methods that differ in nothing: at the look that is named, four in five are inside."""
    look = look_needed(2.0, methods=2, spread=1.0)
    assert look == 7
    generator = np.random.default_rng(0)
    luck = generator.normal(0, 1.0 / np.sqrt(2), (400, 2, look))
    groups = [{name: dict(enumerate(map(float, one))) for name, one in zip("ab", pair, strict=True)} for pair in luck]
    inside = np.mean(["a" in decide(group, 2.0).inside for group in groups])
    assert 0.8 < inside < 0.97  # earlier looks help a little
