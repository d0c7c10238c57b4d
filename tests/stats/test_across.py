import numpy as np
import pytest
from scipy import stats as scipy_stats

from tuneworth.stats import (
    Estimate,
    average_rank,
    interquartile_mean,
    normalised,
    over_seeds,
    over_tasks,
    performance_profile,
    stratified_interval,
)

SCORES = {
    "mrpc": {"full": [86.0, 84.0], "bitfit": [83.0, 83.0], "head": [81.0, 81.0]},
    "cola": {"full": [20.0, 22.0], "bitfit": [0.0, 21.0], "head": [0.0, 0.0]},
    "dead": {"full": [0.0], "bitfit": [0.0], "head": [0.0]},
}
BASELINES = {"mrpc": 81.0, "cola": 0.0, "dead": 0.0}


def test_the_baseline_is_0_and_the_best_mean_is_1() -> None:
    found = normalised(SCORES, BASELINES)
    assert found["full"]["mrpc"] == pytest.approx([1.25, 0.75])
    assert found["bitfit"]["mrpc"] == pytest.approx([0.5, 0.5])
    assert found["head"]["cola"] == pytest.approx([0.0, 0.0])
    assert "dead" not in found["full"]


def test_a_scale_of_its_own_does_not_matter() -> None:
    scaled = {t: {m: [3 * v + 5 for v in values] for m, values in ms.items()} for t, ms in SCORES.items()}
    one, other = normalised(SCORES, BASELINES), normalised(scaled, {t: 3 * b + 5 for t, b in BASELINES.items()})
    for method, by_task in one.items():
        for task, values in by_task.items():
            assert other[method][task] == pytest.approx(values)


def test_the_interval_draws_within_tasks() -> None:
    generator = np.random.default_rng(0)
    apart = {"a": np.full(6, 0.2), "b": np.full(6, 0.8)}
    assert stratified_interval(apart, generator) == pytest.approx((0.5, 0.5)), "between tasks nothing is drawn"
    values = generator.normal(size=40)
    low, high = stratified_interval({"a": values}, generator, resamples=4000)
    expected = scipy_stats.bootstrap(
        (values,), lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis), method="percentile", rng=generator
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.06)
    assert low < interquartile_mean(values) < high
    with pytest.raises(ValueError, match="no task"):
        stratified_interval({}, generator)


def test_a_profile_is_a_share_above() -> None:
    found = performance_profile({"a": [0.1, 0.9], "b": [0.5, 0.6, 0.7, 0.8]}, [0.0, 0.5, 0.85, 1.0])
    assert found == pytest.approx([1.0, (0.5 + 0.75) / 2, 0.25, 0.0])


def test_ranks_are_averaged_over_complete_tasks() -> None:
    assert average_rank(SCORES) == pytest.approx({"full": (1 + 1 + 2) / 3, "bitfit": (2 + 2 + 2) / 3, "head": 8 / 3})
    assert average_rank({**SCORES, "half": {"head": [99.0]}}) == average_rank(SCORES)
    with pytest.raises(ValueError, match="no task"):
        average_rank({"a": {"full": [1.0]}, "b": {"head": [1.0]}})


def test_alike_tasks_give_student_s_t_of_their_means() -> None:
    """Equal variances weigh equally, and Hartung and Knapp's error is then the plain one."""
    estimates = [Estimate(value, 0.4, 4, 5) for value in (1.0, 2.5, 0.2, 1.3)]
    found, plain = over_tasks(estimates), over_seeds([one.value for one in estimates])
    assert found
    assert plain
    assert (found.value, found.error, found.freedom) == pytest.approx((plain.value, plain.error, plain.freedom))
    assert over_tasks(estimates[:1]) is None


def test_what_is_known_better_weighs_more() -> None:
    sharp, blurred = Estimate(0.0, 0.1, 40, 41), Estimate(3.0, 2.0, 40, 41)
    found = over_tasks([sharp, sharp, blurred])
    assert found
    assert 0 < found.value < 0.5
    apart = over_tasks([Estimate(value, error, 40, 41) for value, error in ((0.0, 0.1), (10.0, 0.1), (20.0, 2.0))])
    assert apart
    assert apart.value == pytest.approx(10, abs=0.5), "where tasks differ much more than seeds, each counts alike"


def test_means_over_tasks_hold_as_often_as_they_say() -> None:
    """Few seeds and no difference between tasks: with each task's own variance as weight, 78 of 100 hold at 20 tasks."""
    generator = np.random.default_rng(0)
    held = []
    for _ in range(300):
        spread = np.exp(generator.uniform(np.log(0.5), np.log(3), 20))
        tasks = [over_seeds(one * generator.normal(size=3)) for one in spread]
        found = over_tasks([one for one in tasks if one])
        interval = found.interval(0.95) if found else None
        assert interval
        held.append(interval[0] <= 0 <= interval[1])
    assert 0.92 <= np.mean(held) <= 0.985
