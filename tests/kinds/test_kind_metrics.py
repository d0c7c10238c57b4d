from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneworth.errors import Diverged, SpecError
from tuneworth.kinds import Meaning, baseline, check_metric, evaluate, get_kind
from tuneworth.tasks import Examples, TaskData, get_task

CLASSES, TARGETS = (list(get_kind(name).metrics) for name in ("classification", "regression"))


@settings(deadline=None)  # the first example imports scikit-learn
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_two_class_metrics_equal_their_definitions(pairs: list[tuple[int, int]]) -> None:
    predictions, labels = (np.array(column) for column in zip(*pairs, strict=True))
    tp, fp, fn, tn = (pairs.count(cell) for cell in ((1, 1), (1, 0), (0, 1), (0, 0)))
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    scores = evaluate(["accuracy", "f1", "matthews"], predictions, labels)
    assert scores["accuracy"] == pytest.approx(100 * (tp + tn) / len(pairs))
    assert scores["f1"] == pytest.approx(200 * tp / (2 * tp + fp + fn) if tp else 0.0)
    assert scores["matthews"] == pytest.approx(100 * (tp * tn - fp * fn) / root if root else 0.0, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=1, max_size=30))
def test_regression_metrics_stay_in_range(pairs: list[tuple[float, float]]) -> None:
    predictions, labels = (np.array(column) for column in zip(*pairs, strict=True))
    scores = evaluate(TARGETS, predictions, labels)
    assert all(-100.000001 <= scores[name] <= 100.000001 for name in ("pearson", "spearman"))
    assert scores["r2"] <= 100


def test_regression_metrics_by_hand() -> None:
    scores = evaluate(TARGETS, np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    assert scores["spearman"] == pytest.approx(100)
    assert scores["pearson"] == pytest.approx(100 * 3 / math.sqrt(2 * 14 / 3))
    assert scores["r2"] == pytest.approx(50)


def test_macro_f1_is_the_mean_over_classes() -> None:
    scores = evaluate(["macro_f1"], np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    assert scores["macro_f1"] == pytest.approx(100 * (1 + 2 / 3 + 2 / 3) / 3)


@pytest.mark.parametrize("name", ["matthews", "pearson", "spearman"])
def test_a_constant_prediction_is_worth_nothing(name: str) -> None:
    labels = np.array([0, 1, 1, 0]) if name in CLASSES else np.array([0.5, 1.0, 2.0, 3.0])
    assert evaluate([name], np.full(4, labels[1]), labels) == {name: 0.0}


def test_a_prediction_that_is_not_finite_is_divergence() -> None:
    with pytest.raises(Diverged):
        evaluate(["pearson"], np.array([1.0, np.nan]), np.array([1.0, 2.0]))


def _data(train: list[float], test: list[float], names: tuple[str, ...] | None) -> TaskData:
    dtype = np.int64 if names else np.float64
    parts = [Examples(["x"] * len(part), None, np.array(part, dtype=dtype)) for part in (train, test)]
    return TaskData(parts[0], parts[1], names)


def test_baseline_answers_the_majority_class_of_train() -> None:
    task = get_task("glue/mrpc", {})
    assert baseline(task, _data([1, 1, 0], [1, 0, 0, 0], ("a", "b"))) == {"f1": pytest.approx(40), "accuracy": 25}
    tie = _data([1, 0], [0, 0, 1], ("a", "b"))
    assert baseline(task, tie)["accuracy"] == pytest.approx(200 / 3), "a tie goes to the lowest class"
    rare = baseline(task, _data([0, 0, 0, 1], [1, 0, 0, 0], ("a", "b")))
    assert rare == {"f1": pytest.approx(40), "accuracy": 75}, "by F1 the best answer for all is yes, however rare"


def test_baseline_of_regression_is_without_correlation() -> None:
    assert baseline(get_task("glue/stsb", {}), _data([1, 2], [1, 3], None)) == {"pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("acuracy",), "did you mean 'accuracy'"),
        (("pearson", "classification"), "metric 'pearson' is for regression, the task is classification"),
        (("f1", "classification", Meaning(classes=3)), "metric 'f1' is for 2 classes, the task has 3"),
    ],
)
def test_unfit_metrics_are_refused(arguments: tuple[str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_metric(*arguments)


def test_defaults_suit_their_kind() -> None:
    for kind, classes in (("classification", 2), ("classification", 3), ("regression", 0)):
        meaning = Meaning(classes=classes)
        for name in get_kind(kind).default_metrics(meaning):
            check_metric(name, kind, meaning)


def test_macro_f1_is_over_all_classes_of_the_task() -> None:
    """As scikit-learn's with `labels` given; without the number of classes, over those that occur."""
    answers = np.array([0, 1, 1, 0])
    assert evaluate(["macro_f1"], answers, answers) == {"macro_f1": 100.0}
    assert evaluate(["macro_f1"], answers, answers, Meaning(classes=3))["macro_f1"] == pytest.approx(200 / 3)
    assert evaluate(["macro_f1"], np.array([0, 1, 2, 0]), answers, Meaning(classes=3)) == evaluate(
        ["macro_f1"], np.array([0, 1, 2, 0]), answers
    ), "a class that is predicted occurs"


def test_f1_of_a_rare_class_that_is_never_found_is_nothing() -> None:
    labels, legit = np.array([0, *[1] * 19]), np.ones(20, dtype=int)
    assert evaluate(["f1"], legit, labels, Meaning(positive=0)) == {"f1": 0.0}
    assert evaluate(["f1"], legit, labels)["f1"] > 97
