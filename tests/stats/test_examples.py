import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneworth.kinds import Meaning, evaluate, get_kind, pseudo_values
from tuneworth.stats import Answers, over_seeds, over_seeds_and_examples, score_on_new_data
from tuneworth.stats.examples import crossed

METRICS = get_kind("classification").metrics | get_kind("regression").metrics


@pytest.mark.parametrize("name", METRICS)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_pseudo_values_are_what_leaving_each_example_out_gives(name: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 12))
    many = 2 if METRICS[name].classes == 2 else 4  # few values, so that ties and constant answers occur
    row = st.lists(st.integers(0, many - 1), min_size=n, max_size=n)
    targets, predictions = np.array(data.draw(row)), np.array(data.draw(st.lists(row, min_size=1, max_size=3)))
    meaning = Meaning(classes=data.draw(st.sampled_from([0, 5])), positive=data.draw(st.integers(0, 1)))
    found = pseudo_values(name, targets, predictions, meaning)
    for given_, values in zip(predictions, found, strict=True):
        whole = evaluate([name], given_, targets, meaning)[name]
        for i in range(n):
            without = evaluate([name], np.delete(given_, i), np.delete(targets, i), meaning)[name]
            assert values[i] == pytest.approx(n * whole - (n - 1) * without, abs=1e-6)


@given(st.integers(2, 6), st.integers(2, 9), st.integers(0, 99))
def test_the_components_are_those_of_a_two_way_layout(seeds: int, examples: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(seeds, examples))
    estimate, (a, b, c) = crossed(values), mean_squares(values)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.error**2 == pytest.approx(max(a + b - c, a, b) / values.size)
    assert estimate.freedom >= seeds - 1
    assert crossed(values[::-1, ::-1]).error == pytest.approx(estimate.error)


def test_without_chance_from_examples_what_is_left_is_students() -> None:
    by_seed = np.array([1.0, 3.0, 2.0, 6.0])
    estimate, student = crossed(np.repeat(by_seed[:, None], 50, 1)), over_seeds(by_seed)
    assert student is not None
    assert (estimate.error, estimate.freedom) == pytest.approx((student.error, student.freedom))


@pytest.mark.parametrize("metric", ["pearson", "spearman", "r2"])
def test_one_number_for_all_correlates_with_nothing(metric: str) -> None:
    """The mean of many 0.1 is not quite 0.1, and one target more or less does not make it so."""
    targets = np.random.default_rng(0).normal(size=50)
    if metric != "r2":
        given = {0: np.full(50, 0.1), 1: np.full(50, np.float64(np.float32(0.1)))}
        assert (Answers(metric, targets, given).values([0, 1]) == 0).all()
    flat = Answers(metric, np.full(50, 0.1), {0: targets, 1: targets[::-1]}).values([0, 1])
    assert (flat == 0).all()


def test_the_variance_is_right_where_seeds_and_examples_are_drawn_anew() -> None:
    generator = np.random.default_rng(1)
    means, claimed = [], []
    for _ in range(1500):
        values = generator.normal(size=(6, 1)) + 3 * generator.normal(size=(1, 40)) + 2 * generator.normal(size=(6, 40))
        means.append(values.mean())
        claimed.append(crossed(values).error ** 2)
    truth = 1 / 6 + 9 / 40 + 4 / 240
    assert np.var(means) == pytest.approx(truth, rel=0.12)
    assert np.mean(claimed) == pytest.approx(truth, rel=0.06)


def test_a_pigeonhole_bootstrap_gives_what_owen_says_it_does() -> None:
    """By brute force: F1 of resampled examples, over resampled seeds. Its variance is that of `crossed` and twice C."""
    generator = np.random.default_rng(4)
    targets, ease = generator.integers(0, 2, 300), generator.normal(size=(2, 300))
    first, second = (
        {s: np.where(generator.normal(size=300) + 2 * likes > -skill, targets, 1 - targets) for s in range(12)}
        for skill, likes in zip((2.4, 1.9), ease, strict=True)
    )
    answers = Answers("f1", targets, first), Answers("f1", targets, second)
    found = over_seeds_and_examples(*answers)
    assert found is not None
    resampled = []
    for _ in range(400):
        which, seeds = generator.integers(0, 300, 300), generator.integers(0, 12, 12)
        scores = [[_f1(targets[which], given[s][which]) for s in seeds] for given in (first, second)]
        resampled.append(np.mean(scores[0]) - np.mean(scores[1]))
    _, _, c = mean_squares(answers[0].values(list(range(12))) - answers[1].values(list(range(12))))
    assert found.value == pytest.approx(np.mean(resampled), abs=0.5)
    assert np.var(resampled) == pytest.approx(found.error**2 + 2 * c / (12 * 300), rel=0.25)


def test_a_score_s_interval_for_new_data_holds_the_score() -> None:
    generator = np.random.default_rng(0)
    targets = generator.normal(size=100)
    answers = Answers("pearson", targets, {s: targets + generator.normal(size=100) for s in range(4)})
    interval = score_on_new_data(answers)
    assert interval is not None
    scores = [evaluate(["pearson"], given, targets)["pearson"] for given in answers.predictions.values()]
    assert interval[0] < np.mean(scores) < interval[1]


def test_twenty_seeds_of_1500_examples_take_a_fifth_of_a_second() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 1500)
    answers = [Answers("f1", targets, {s: generator.integers(0, 2, 1500) for s in range(20)}) for _ in range(2)]
    took = []
    for _ in range(3):
        start = time.process_time()
        over_seeds_and_examples(*answers)
        took.append(time.process_time() - start)
    assert min(took) < 0.2


def test_other_examples_cannot_be_paired() -> None:
    one, other = (Answers("f1", np.array(targets), {0: np.array([0, 1])}) for targets in ([0, 1], [1, 1]))
    with pytest.raises(ValueError, match="same test examples"):
        over_seeds_and_examples(one, other)
    with pytest.raises(ValueError, match="one shape"):
        Answers("f1", np.array([0, 1]), {0: np.array([1])})
    with pytest.raises(ValueError, match="known: accuracy"):
        pseudo_values("bleu", np.zeros(2), np.zeros((1, 2)))


def _f1(targets: np.ndarray, given: np.ndarray) -> float:
    return 200 * float((targets & given).sum()) / float(targets.sum() + given.sum())


def mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Of seeds, of examples, and of what is left, by the definition."""
    seeds, examples = values.shape
    whole, rows, columns = values.mean(), values.mean(1), values.mean(0)
    rest = sum((values[s, e] - rows[s] - columns[e] + whole) ** 2 for s in range(seeds) for e in range(examples))
    return (
        examples * float(((rows - whole) ** 2).sum()) / (seeds - 1),
        seeds * float(((columns - whole) ** 2).sum()) / (examples - 1),
        float(rest) / ((seeds - 1) * (examples - 1)),
    )
