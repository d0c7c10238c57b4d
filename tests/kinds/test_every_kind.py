"""Every kind through the product: trained, kept, predicted, merged, exported, served; on one path of code."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from kinds.made_tasks import run, study, task
from tuneworth import models
from tuneworth.deltas import Predictor, export_delta, merge_delta
from tuneworth.deltas.card import write_card
from tuneworth.deltas.files import read_info
from tuneworth.events import Finished
from tuneworth.kinds import all_kinds, evaluate, get_kind
from tuneworth.predict import predict_file
from tuneworth.results.answers import by_cell
from tuneworth.serve.engine import Engine
from tuneworth.serve.found import find
from tuneworth.tasks.planned import load_task

KINDS = ["classification", "regression", "multilabel", "tokens"]
every_kind = pytest.mark.parametrize("kind", KINDS)
Trained = Callable[[str], tuple[Path, Finished, Path]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Trained:
    """A delta of each kind, what its trial said, and the file it was trained on."""

    @cache
    def make(kind: str) -> tuple[Path, Finished, Path]:
        folder = tmp_path_factory.mktemp(kind)
        asked = study(kind, tiny_model, folder)
        [(job, last)] = run(asked, folder)
        return job.delta_path, last, folder / f"{kind}.jsonl"

    return make


def test_the_list_is_whole() -> None:
    assert set(KINDS) == set(all_kinds())


@every_kind
def test_a_trial_learns_and_its_delta_answers_as_it_was_scored(trained: Trained, kind: str, tmp_path: Path) -> None:
    delta, last, _ = trained(kind)
    result = last.result
    assert result.score > result.baseline_score + 20
    assert result.data is not None
    assert result.data["kind"] == kind
    made = task(kind, tmp_path)
    from tuneworth.spec import FileTask

    asked, data = load_task(kind, FileTask(**made), None)
    answers = Predictor(delta, device="cpu").predict(data.test.texts, words=data.test.words)
    codec = read_info(delta).codec
    if kind == "tokens":
        given = np.full(data.test.labels.shape, -1)
        for row, answer in enumerate(answers):
            given[row, : len(answer["tags"])] = [codec.labels.index(tag) for tag in answer["tags"]]
    elif kind == "multilabel":
        given = np.array([[name in answer["label"] for name in codec.labels] for answer in answers]).astype(int)
    elif kind == "classification":
        given = np.array([codec.labels.index(answer["label"]) for answer in answers])
    else:
        given = np.array([answer["label"] for answer in answers])
    again = evaluate((asked.metrics[0],), given, data.test.labels, data.meaning(kind))[asked.metrics[0]]
    assert again == pytest.approx(result.score, abs=1e-4)


@every_kind
def test_predict_writes_what_the_kind_says(trained: Trained, kind: str, tmp_path: Path) -> None:
    delta, _, file = trained(kind)
    predict_file(delta, file, tmp_path / "out.jsonl", device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    new = {
        "classification": "predicted_label",
        "regression": "predicted_label",
        "multilabel": "predicted_label",
        "tokens": "spans",
    }
    right = [row[new[kind]] for row in rows]
    if kind == "tokens":
        bare = [[{key: span[key] for key in ("start", "end", "label")} for span in spans] for spans in right]
        assert np.mean([found == row["label"] for found, row in zip(bare, rows, strict=True)]) > 0.8
    elif kind == "multilabel":
        assert np.mean([set(found) == set(row["label"]) for found, row in zip(right, rows, strict=True)]) > 0.5
    else:
        assert len(right) == len(rows)
    predict_file(delta, file, tmp_path / "out.csv", device="cpu")
    predict_file(delta, file, tmp_path / "out.parquet", device="cpu")


def test_words_are_given_back_with_their_tags(trained: Trained, tmp_path: Path) -> None:
    delta = trained("tokens")[0]
    (tmp_path / "in.conll").write_text("ann\nwent\nto\nrome\n\nbob\n".replace("\n", "\tx\n").replace("\n\tx\n", "\n\n"))
    predict_file(delta, tmp_path / "in.conll", tmp_path / "out.conll", text="0", device="cpu")
    written = (tmp_path / "out.conll").read_text().split("\n\n")
    assert [line.split("\t")[0] for line in written[0].splitlines()] == ["ann", "went", "to", "rome"]
    assert written[0].splitlines()[0] == "ann\tx\tB-person"
    (tmp_path / "in.jsonl").write_text('{"words": ["ann", "went"]}\n')
    predict_file(delta, tmp_path / "in.jsonl", tmp_path / "out.jsonl", text="words", device="cpu")
    assert json.loads((tmp_path / "out.jsonl").read_text())["tags"] == ["B-person", "O"]


@every_kind
def test_a_merged_model_is_of_the_kinds_class(trained: Trained, kind: str, tmp_path: Path) -> None:
    delta = trained(kind)[0]
    merge_delta(delta, tmp_path / "merged")
    wanted = getattr(transformers, get_kind(kind).auto_class)
    model = wanted.from_pretrained(tmp_path / "merged")
    names = read_info(delta).codec.names
    assert names is None or tuple(model.config.id2label.values()) == names
    assert model.config.problem_type == get_kind(kind).problem_type
    assert get_kind(kind).pipeline in write_card(read_info(delta), "me/it")


@pytest.mark.parametrize("kind", ["multilabel", "tokens"])
def test_onnx_answers_as_the_delta(trained: Trained, kind: str, tmp_path: Path) -> None:
    """The export checks that itself, alone and in a batch."""
    pytest.importorskip("onnxscript")
    export_delta(trained(kind)[0], "onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size > 1000


@pytest.mark.parametrize("kind", ["multilabel", "tokens"])
def test_peft_gets_the_kinds_task_type(kind: str, tiny_model: Path, tmp_path: Path) -> None:
    recipe = {"lora": {"learning_rate": 0.01, "batch_size": 8}}
    [(job, _)] = run(study(kind, tiny_model, tmp_path, methods=["lora"], budgets=["2steps"], recipe=recipe), tmp_path)
    export_delta(job.delta_path, "peft", tmp_path / "peft")
    assert json.loads((tmp_path / "peft" / "adapter_config.json").read_text())["task_type"] == get_kind(kind).peft_type


def test_all_kinds_are_served_together_and_answer_as_the_predictor(
    trained: Trained, tiny_model: Path, tmp_path: Path
) -> None:
    for kind in KINDS:
        (tmp_path / "root").mkdir(exist_ok=True)
        (tmp_path / "root" / kind).symlink_to(trained(kind)[0])
    import shutil

    for kind in KINDS:
        (tmp_path / "root" / kind).unlink()
        shutil.copytree(trained(kind)[0], tmp_path / "root" / kind)
    engine = Engine(models.resolve(str(tiny_model)), torch.device("cpu"), "fp32")
    texts = ["ann went to rome", "a red thing"]
    examples, expected = [], []
    for found in find(tmp_path / "root"):
        mine = engine.load(found)
        examples += engine.encode(mine, texts, None)
        expected += Predictor(found.directory, device="cpu").predict(texts)
    assert engine.tasks["tokens"].alone
    for found_answer, answer in zip(engine.run(examples), expected, strict=True):
        assert _rounded(found_answer) == _rounded(answer)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 2) if isinstance(value, float) else value


@every_kind
def test_a_data_stream_of_each_kind(kind: str, tiny_model: Path, tmp_path: Path) -> None:
    stream = {"kind": "data", "chunk": 20, "length": 40}
    asked = study(
        kind,
        tiny_model,
        tmp_path,
        stream=stream,
        budgets=["2steps"],
        methods=["bitfit"],
        recipe={"bitfit": {"batch_size": 8}},
    )
    [(_, last)] = run(asked, tmp_path)
    assert len(last.result.chunks) == 2


@every_kind
def test_two_trials_of_a_kind_are_compared_on_new_data(kind: str, trained: Trained) -> None:
    """From what a store keeps."""
    from tuneworth.results.predictions import pack, unpack
    from tuneworth.stats import score_on_new_data

    _, last, _ = trained(kind)
    kept = last.predictions
    assert kept is not None
    kept = type(kept)(unpack(pack(kept.predicted)), unpack(pack(kept.targets)), kept.task_fingerprint)
    rows = [
        {"selected": True, "state": "done", "model": "m", "method": "full", "task": kind, "fraction": 1.0, "budget": "1epochs",
         "seed": seed, "key": str(seed), "metric": last.result.metric, "data": last.result.data} for seed in (0, 1)
    ]  # fmt: skip
    [answers] = by_cell(rows, {"0": kept, "1": kept}).values()
    found = answers.values([0, 1])
    assert found.shape == (2, len(kept.targets))
    assert found.mean() == pytest.approx(last.result.score, abs=3.0), "the score, but for a bias of order 1/n"
    assert not answers.one_answer(0)
    interval = score_on_new_data(answers)
    certain = bool((found == found[0, 0]).all())  # all right: no chance is seen
    assert certain or (interval is not None and interval[0] < last.result.score < interval[1])
