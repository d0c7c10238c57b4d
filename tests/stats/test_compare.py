import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuneworth.stats import Answers, Estimate, compare, holm, over_seeds, over_training_data

MIRROR = {"better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided"}
point = st.integers(0, 1000).map(lambda number: number / 10)
by_seed = st.dictionaries(st.integers(0, 8), point, max_size=9)


@given(by_seed, by_seed, st.floats(0, 5))
def test_turning_the_pair_round_turns_the_answer_round(
    first: dict[int, float], second: dict[int, float], margin: float
) -> None:
    forth, back = compare(first, second, margin), compare(dict(reversed(second.items())), first, margin)
    if not first.keys() & second.keys():
        assert forth is None
        assert back is None
        return
    assert forth is not None
    assert back is not None
    assert back.difference == pytest.approx(-forth.difference, abs=1e-9)
    assert back.probability == pytest.approx(1 - forth.probability)
    assert back.verdict == MIRROR[forth.verdict]
    assert (back.p_value, back.p_equivalent) == pytest.approx((forth.p_value, forth.p_equivalent))
    if forth.interval:
        assert back.interval == pytest.approx((-forth.interval[1], -forth.interval[0]), abs=1e-9)


@given(by_seed, by_seed, st.floats(0.1, 5), st.floats(0.6, 0.99))
def test_the_verdict_is_what_the_intervals_say(
    first: dict[int, float], second: dict[int, float], margin: float, confidence: float
) -> None:
    found = compare(first, second, margin, confidence)
    if found is None or found.interval is None or found.seeds < 3 or np.ptp(found.interval) < 1e-6:
        return
    narrow = compare(first, second, margin, 2 * confidence - 1) if confidence > 0.5 else None
    assert narrow is not None
    assert narrow.interval is not None
    low, high = found.interval
    if -margin < narrow.interval[0] and narrow.interval[1] < margin:
        assert found.verdict == "equivalent"
    elif low > 0:
        assert found.verdict == "better"
    elif high < 0:
        assert found.verdict == "worse"
    else:
        assert found.verdict == "undecided"


def test_p_values_are_scipys() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.normal(84, 1, 8), generator.normal(84.3, 1, 8)
    found = compare(dict(enumerate(a)), dict(enumerate(b)), margin=1.5)
    assert found is not None
    assert found.p_value == pytest.approx(scipy_stats.ttest_rel(a, b).pvalue)
    sides = [
        scipy_stats.ttest_1samp(a - b, -1.5, alternative="greater").pvalue,
        scipy_stats.ttest_1samp(a - b, 1.5, alternative="less").pvalue,
    ]
    assert found.p_equivalent == pytest.approx(max(sides))
    assert found.probability == np.mean(a > b)


def test_two_seeds_decide_nothing_however_clear() -> None:
    found = compare({0: 90.0, 1: 90.1}, {0: 10.0, 1: 10.1}, margin=1.0)
    assert found is not None
    assert found.verdict == "undecided"
    one = compare({0: 90.0}, {0: 10.0}, margin=1.0)
    assert one is not None
    assert (one.interval, one.p_value, one.verdict, one.wide_verdict) == (None, None, "undecided", None)


def test_a_small_clear_difference_is_equivalent() -> None:
    found = compare(dict(enumerate([80.2, 81.3, 79.25, 84.2])), dict(enumerate([80.0, 81.0, 79.0, 84.0])), margin=1.0)
    assert found is not None
    assert found.p_value is not None
    assert found.p_value < 0.05
    assert found.verdict == "equivalent"


def test_what_has_no_score_is_left_out() -> None:
    whole = compare({0: 80.0, 1: 82.0, 2: 81.0}, {0: 79.0, 1: 80.5, 2: 79.0}, 1.0)
    given = compare({0: 80.0, 1: 82.0, 2: 81.0, 3: math.nan, 4: 1.0}, {0: 79.0, 1: 80.5, 2: 79.0, 3: 9.0}, 1.0)
    assert given == whole


def test_new_data_are_less_sure_than_these_examples() -> None:
    generator = np.random.default_rng(5)
    targets = generator.integers(0, 2, 200)
    answers = [
        Answers("accuracy", targets, {s: np.where(generator.random(200) < p, targets, 1 - targets) for s in range(8)})
        for p in (0.9, 0.85)
    ]
    scores = [{s: 100 * float((given == targets).mean()) for s, given in each.predictions.items()} for each in answers]
    found = compare(*scores, margin=1.0, answers=(answers[0], answers[1]))
    assert found is not None
    assert found.interval is not None
    assert found.wide is not None
    assert np.ptp(found.wide) > np.ptp(found.interval)
    assert found.wide_verdict in MIRROR


@pytest.mark.parametrize(("margin", "confidence"), [(-1.0, 0.95), (math.nan, 0.95), (1.0, 95.0), (1.0, 0.0)])
def test_nonsense_is_refused(margin: float, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"margin|confidence"):
        compare({0: 1.0}, {0: 2.0}, margin, confidence)


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1, then never below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_steps_reject(p_values: list[float], level: float) -> None:
    rejected = set()
    for step, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - step) > level:
            break
        rejected.add(i)
    adjusted = holm(p_values)
    assert {i for i, p in enumerate(adjusted) if p <= level} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))


@pytest.mark.parametrize("share", [0.27, 0.9])
def test_over_other_training_data_the_interval_covers_what_seeds_alone_do_not(share: float) -> None:
    """Scores that are means of what was trained on: the exact case, of which the correlation of two seeds is their share."""
    rng, n, held = np.random.default_rng(0), 200, {"seeds": 0, "corrected": 0}
    for _ in range(400):
        file = rng.normal(size=n)
        own = over_seeds([file[rng.permutation(n)[: round(share * n)]].mean() for _ in range(10)])
        assert own is not None
        for name, estimate in (("seeds", own), ("corrected", over_training_data(own, share))):
            low, high = estimate.interval(0.95)  # type: ignore[union-attr,misc]
            held[name] += low <= 0 <= high
    assert held["corrected"] / 400 == pytest.approx(0.95, abs=0.03)
    assert held["seeds"] / 400 < 0.8


def test_nothing_is_known_of_other_training_data_where_all_is_shared_or_all_agree() -> None:
    with pytest.raises(ValueError, match="in common"):
        over_training_data(Estimate(1.0, 0.5, 4, 5), 1.0)
    assert over_training_data(Estimate(1.0, 0.0, 4, 5), 0.5) is None
