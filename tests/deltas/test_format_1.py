"""Deltas of before kinds had a codec are read as they were: their delta.json was written by that version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from made_deltas import edit_info, make_delta
from tuneworth.deltas import Predictor, read_info
from tuneworth.errors import DeltaError

KEPT = Path(__file__).parent / "format_1"


def as_it_was(name: str, delta: Path) -> None:
    """Give a delta of today the description that the old version wrote of its like."""
    now, old = (json.loads(path.read_text()) for path in (delta / "delta.json", KEPT / f"{name}.json"))
    same = {key: now[key] for key in ("base", "base_fingerprint", "sha256")}
    (delta / "delta.json").write_text(json.dumps({**old, **same}))


@pytest.mark.parametrize(
    ("name", "method", "labels", "seed", "codec"),
    [
        ("classes", "bitfit", 3, 1, {"labels": ("label-0", "label-1", "label-2")}),
        ("number", "houlsby", 0, 3, {"mean": 3.0, "scale": 2.0}),
    ],
)
def test_a_delta_of_format_1_answers_as_it_did(
    tmp_path: Path, tiny_model: Path, name: str, method: str, labels: int, seed: int, codec: dict[str, Any]
) -> None:
    delta = make_delta(tmp_path / "delta", tiny_model, method, labels, seed=seed)
    before = Predictor(delta, device="cpu").predict(["a cat sat"])
    info = read_info(delta)
    as_it_was(name, delta)
    assert json.loads((delta / "delta.json").read_text())["format"] == 1
    kept = {"options": info.options, "recipe": info.recipe}  # whose defaults have changed since
    assert read_info(delta).model_copy(update=kept) == info
    assert info.codec.model_dump() == codec
    assert Predictor(delta, device="cpu").predict(["a cat sat"]) == before


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("classes", {"labels": None}, "a classification task without labels"),
        ("number", {"labels": ["a", "b"]}, "a regression task with labels"),
        ("number", {"target_scale": 0}, "codec.*scale"),
        ("classes", {"task_kind": "rankings"}, "the kind 'rankings' need the package"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, tiny_model: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    delta = make_delta(tmp_path / "delta", tiny_model, "head", 3)
    as_it_was(name, delta)
    edit_info(delta, **changes)
    with pytest.raises(DeltaError, match=f"cannot be read: .*{said}"):
        read_info(delta)
