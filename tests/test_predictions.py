"""Per-example predictions: packed small, unpacked exactly, and those of a real trial give its scores again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conftest import silent
from tuneworth.kinds import evaluate
from tuneworth.results.predictions import Predictions, pack, unpack
from tuneworth.study import Study

CLASSES = st.integers(1, 70_000).flatmap(
    lambda classes: arrays.arrays(np.int64, st.integers(0, 50), elements=st.integers(0, classes - 1))
)
VALUES = arrays.arrays(np.float64, st.integers(0, 50), elements=st.floats(-1e30, 1e30))


@given(CLASSES)
def test_class_numbers_survive_in_the_fewest_bytes(labels: np.ndarray) -> None:
    kept = Predictions.compact(labels, labels, "task").predicted
    assert np.array_equal(unpack(pack(kept)), labels)
    assert kept.dtype.itemsize == (1 if labels.max(initial=0) < 256 else 2 if labels.max() < 65_536 else 4)


@given(arrays.arrays(np.int64, st.integers(0, 50), elements=st.integers(-70_000, 70_000)))
def test_numbers_below_0_survive_too(numbers: np.ndarray) -> None:
    """No tag is -1, and what ranks below the given labels is less."""
    kept = Predictions.compact(numbers, numbers, "task").predicted
    assert np.array_equal(unpack(pack(kept)), numbers)


@given(VALUES)
def test_values_survive_with_seven_digits(values: np.ndarray) -> None:
    kept = Predictions.compact(values, values, "task")
    assert (kept.predicted.dtype, kept.targets.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(unpack(pack(kept.predicted)), values, rtol=1e-7, atol=1e-37)
    assert np.array_equal(unpack(pack(kept.targets)), values)


def test_1500_answers_to_a_question_of_two_classes_are_small() -> None:
    answers = np.random.default_rng(0).integers(0, 2, 1500)
    assert len(pack(Predictions.compact(answers, answers, "task").predicted)) < 400


@pytest.mark.parametrize("damaged", [b"", b"no zlib", pack(np.arange(9))[:-3], pack(np.arange(9))[:20]])
def test_damaged_bytes_are_a_value_error(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(damaged)


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    """80 texts with a number of stars from 1 to 5."""
    path = tmp_path / "stars.csv"
    lines = [f"{'good ' * (number % 5)}film {number},{1 + number % 5}.5" for number in range(80)]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return path


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_kept_predictions_give_the_recorded_scores(
    make_study: Callable[..., Study], stars: Path, kind: str, workers: int
) -> None:
    file: dict[str, Any] = {"reviews": {"train": stars, "text": "text", "label": "label", "kind": kind}}
    study = make_study(**({"task": file} if kind == "regression" else {}), budgets=["20steps"])
    study.run(workers=workers, device="cpu", watch=silent)
    kept = study.store.predictions("reviews")
    for row in study.rows():
        one = kept[row["key"]]
        assert one.predicted.dtype == (np.uint8 if kind == "classification" else np.float32)
        again = evaluate(tuple(row["metrics"]), one.predicted, one.targets)
        # Seven digits of nearly constant answers, which is what a tiny model gives, leave fewer of their correlation.
        assert again == pytest.approx(row["metrics"], abs=0.01 if kind == "regression" else 1e-12)
