from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import silent
from families import ENCODERS, OWN_METHODS, make_model_dir
from made_deltas import edit_info, make_delta
from tuneworth.deltas import Predictor, load_delta, read_info
from tuneworth.errors import DataError, DeltaError, UserError
from tuneworth.kinds import evaluate
from tuneworth.study import Study

Make = Callable[..., Study]


def tuned(make_study: Make, **changes: object) -> tuple[Study, Path]:
    study = make_study(**{"methods": ["bitfit"], "seeds": 1, "budgets": ["30steps"], **changes})
    study.run(workers=1, device="cpu", watch=silent)
    (row,) = study.rows()
    return study, Path(row["delta_path"])


@pytest.mark.parametrize("method", OWN_METHODS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loaded_delta_scores_what_the_trial_scored(make_study: Make, method: str, precision: str) -> None:
    """The score in the store came from the model in memory; here it comes from the files, to the last digit."""
    study, path = tuned(make_study, methods=[method], precision=precision)
    from tuneworth.tasks.planned import load_task

    task, data = load_task("reviews", study.spec.task["reviews"], None)
    answers = Predictor(path, device="cpu").predict(data.test.texts)
    names = list(data.label_names or ())
    assert (
        evaluate(task.metrics, np.array([names.index(a["label"]) for a in answers]), data.test.labels)
        == study.rows()[0]["metrics"]
    )
    assert all(
        sum(a["probabilities"].values()) == pytest.approx(1) and a["score"] == max(a["probabilities"].values())
        for a in answers
    )


@pytest.mark.parametrize("family", ENCODERS)
def test_every_family_makes_the_round_trip(make_study: Make, tmp_path: Path, family: str) -> None:
    source = make_model_dir(family, tmp_path / family)
    study, path = tuned(make_study, models=[str(source)], methods=["houlsby"])
    model, tokenizer = load_delta(path)
    assert not model.training
    assert tokenizer("a film")["input_ids"]
    assert read_info(path).score == study.rows()[0]["score"]


def test_regression_answers_in_the_users_unit(make_study: Make, tmp_path: Path) -> None:
    rows = [(f"film {i} has {'x ' * (i % 7)}", 1000.0 * (i % 7) + 1) for i in range(100)]
    source = tmp_path / "prices.csv"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    _, path = tuned(make_study, tasks=["prices"], methods=["full"], budgets=["60steps"],
                    task={"prices": {"train": source, "text": "text", "label": "label", "kind": "regression"}})  # fmt: skip
    answers = Predictor(path, device="cpu").predict([text for text, _ in rows])
    assert answers[0]["probabilities"] is None
    assert 1000 < np.mean([a["score"] for a in answers]) < 5000


def test_a_bitfit_delta_is_small_and_holds_what_was_trained_alone(make_study: Make) -> None:
    study, path = tuned(make_study)
    row = study.rows()[0]
    assert 4 * row["trainable_parameters"] < row["delta_bytes"] < 4 * row["trainable_parameters"] + 20_000
    assert sum(file.stat().st_size for file in path.iterdir()) == row["delta_bytes"]
    assert json.loads((path / "delta.json").read_text())["method"] == "bitfit"


def test_predictions_do_not_depend_on_their_neighbours(make_study: Make) -> None:
    _, path = tuned(make_study)
    predictor = Predictor(path, device="cpu")
    texts = ["film 3 is good", "film 10 is awful indeed indeed", "x"]
    together = [answer["score"] for answer in predictor.predict(texts)]
    assert together == pytest.approx([predictor.predict([text])[0]["score"] for text in texts], abs=1e-5)
    assert predictor.predict([]) == []
    with pytest.raises(DataError, match="single texts"):
        predictor.predict(texts, texts)


def test_what_is_wrong_with_a_delta_is_said(make_study: Make, tmp_path: Path) -> None:
    _, path = tuned(make_study)
    other = make_model_dir("bert", tmp_path / "other", seed=9)
    with pytest.raises(DeltaError, match="was made for"):
        load_delta(path, model=str(other))
    tensors = path / "delta.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-50])
    with pytest.raises(DeltaError, match="damaged"):
        load_delta(path)
    tensors.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DeltaError, match="its content is not what"):
        load_delta(path)
    from safetensors.torch import load, save

    kept = load(whole)
    name = next(iter(kept))
    tensors.write_bytes(save({**kept, name: torch.zeros(3, 3)}))
    info = json.loads((path / "delta.json").read_text())
    (path / "delta.json").write_text(json.dumps({**info, "sha256": None}))
    with pytest.raises(DeltaError, match="does not fit"):
        load_delta(path)
    (path / "delta.json").write_text(json.dumps({**info, "format": 99}))
    with pytest.raises(DeltaError, match="cannot be read"):
        load_delta(path)
    with pytest.raises(DeltaError, match="is no delta"):
        load_delta(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_length", -5), ("max_length", 0), ("max_length", 2**31), ("max_length", 1e30), ("seed", -1), ("seed", 2**63),
        ("fraction", 0), ("fraction", 2), ("fraction", math.nan), ("codec", {"labels": []}), ("codec", {"labels": None}),
        ("codec", {}), ("codec", None), ("codec", {"labels": ["a", "b", "c"], "more": 1}),
        ("task", "x" * 1001), ("base", "x" * 10_000), ("method", "m" * 2000), ("task_kind", "regression"), ("format", 0),
    ],
)  # fmt: skip
def test_every_number_of_a_foreign_delta_is_bounded_as_it_is_read(
    tmp_path: Path, tiny_model: Path, field: str, value: object
) -> None:
    delta = make_delta(tmp_path / "delta", tiny_model, "head")
    assert read_info(delta).max_length == 32
    edit_info(delta, **{field: value})
    with pytest.raises(
        DeltaError, match=rf"delta.json' cannot be read: .*{'codec' if field == 'task_kind' else field}"
    ) as said:
        read_info(delta)
    assert len(str(said.value)) < 1000


def test_a_foreign_delta_s_description_may_not_be_huge_or_deep(tmp_path: Path, tiny_model: Path) -> None:
    delta = make_delta(tmp_path / "delta", tiny_model, "head")
    edit_info(delta, environment={"": "x" * 17_000_000})
    with pytest.raises(DeltaError, match=r"cannot be read: 17,\d+,\d+ bytes"):
        read_info(delta)
    (delta / "delta.json").write_text('{"options":' + "[" * 100_000)
    with pytest.raises(DeltaError, match="cannot be read"):
        read_info(delta)


@pytest.mark.parametrize("options", [{"r": 10**12}, {"r": 3 * 10**7}, {"bottleneck": 8}, {"alpha": "big"}])
def test_a_foreign_delta_s_options_are_no_traceback(
    tmp_path: Path, tiny_model: Path, options: dict[str, object]
) -> None:
    delta = make_delta(tmp_path / "delta", tiny_model, "lora")
    edit_info(delta, options=options)
    with pytest.raises(UserError):
        load_delta(delta)
