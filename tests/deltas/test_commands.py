"""merge and export from the command line: what they say and leave, and every way to be refused."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from commands import Said, tuneworth
from conftest import silent
from families import make_config, make_model_dir
from tuneworth.deltas import DeltaInfo, Predictor, read_info, save_delta
from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.load import Loaded
from tuneworth.study import Study

TEXTS = ["a lovely film", "dull, and poor", "film 3 is awful indeed"]


@pytest.fixture
def tuned(make_study: Callable[..., Study]) -> Callable[[str], Path]:
    def make(method: str) -> Path:
        study = make_study(methods=[method], seeds=1)
        study.run(workers=1, device="cpu", watch=silent)
        return Path(study.rows()[0]["delta_path"])

    return make


@pytest.fixture
def info(tuned: Callable[[str], Path]) -> DeltaInfo:
    return read_info(tuned("head"))


def refused(said: Said, *words: str) -> None:
    assert said.code == 2, said
    lines = said.err.strip().splitlines()
    assert len(lines) == 2, said.err
    for word in words:
        assert word in said.err


def test_a_merged_directory_serves_as_a_pipeline(tuned: Callable[[str], Path], tmp_path: Path) -> None:
    from transformers import pipeline

    delta, merged = tuned("bitfit"), tmp_path / "merged"
    said = tuneworth("merge", delta, "-o", merged)
    assert said.code == 0, said
    assert "next: load it with AutoModelForSequenceClassification.from_pretrained" in said.out
    found = pipeline("text-classification", str(merged), device="cpu")(TEXTS)
    expected = Predictor(delta, device="cpu").predict(TEXTS)
    assert [answer["label"] for answer in found] == [answer["label"] for answer in expected]
    assert [answer["score"] for answer in found] == pytest.approx([answer["score"] for answer in expected], abs=1e-4)


def test_a_merged_model_is_a_base_for_the_next_study(
    tuned: Callable[[str], Path], tmp_path: Path, reviews: Path
) -> None:
    tuneworth("merge", tuned("bitfit"), "-o", tmp_path / "merged")
    said = tuneworth("compare", "--train", reviews, "--text", "text", "--label", "label", "--model", tmp_path / "merged",
                     "--methods", "head", "--budget", "2steps", "--seeds", "1", "--tune", "1", "--workers", "1",
                     "--store", tmp_path / "s.db")  # fmt: skip
    assert said.code == 0, said


def test_what_cannot_be_merged_or_exported(tuned: Callable[[str], Path], tmp_path: Path) -> None:
    adapters = tuned("houlsby")
    refused(tuneworth("merge", adapters, "-o", tmp_path / "m"), "'houlsby' cannot be merged", "--to onnx")
    refused(tuneworth("export", adapters, "--to", "peft", "-o", tmp_path / "p"), "no place", "'houlsby'", "--to onnx")
    assert not [path.name for path in tmp_path.iterdir() if path.name in ("m", "p") or path.name.startswith(".")]


def test_outputs_that_cannot_be(tuned: Callable[[str], Path], tmp_path: Path) -> None:
    delta, full = tuned("head"), tmp_path / "full"
    full.mkdir()
    (full / "precious").touch()
    merge, export = ["merge", delta], ["export", delta, "--to"]
    refused(tuneworth(*merge, "-o", full), "full' is there already", "new or empty")
    refused(tuneworth(*merge, "-o", full / "precious"), "is there already")
    refused(tuneworth(*merge, "-o", tmp_path / "no" / "m"), "no directory", "make it first")
    refused(tuneworth(*export, "peft", "-o", full), "is there already")
    refused(tuneworth(*export, "bf16", "-o", full), "is there already")
    refused(tuneworth(*export, "onnx", "-o", tmp_path / "model"), "no name for an ONNX file", "model.onnx")
    refused(tuneworth(*export, "onnx", "-o", tmp_path / "no" / "m.onnx"), "no directory")
    assert list(full.iterdir()) == [full / "precious"]
    if os.getuid() != 0:  # root may write everywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        refused(tuneworth(*merge, "-o", tmp_path / "closed" / "m"), "cannot write into")


def test_deltas_that_are_none(tuned: Callable[[str], Path], tmp_path: Path) -> None:
    delta = tuned("head")
    other = make_model_dir("bert", tmp_path / "other", seed=9)
    for rest in (
        ["merge", "-o", tmp_path / "m"],
        *(["export", "--to", to, "-o", tmp_path / "m.onnx"] for to in ("peft", "onnx")),
    ):
        command, *options = rest
        refused(tuneworth(str(command), tmp_path, *options), "is no delta", "delta_path")
        refused(tuneworth(str(command), delta, *options, "--model", str(other)), "was made for", "--model")
    spoilt = json.loads((delta / "delta.json").read_text()) | {"base_fingerprint": "0" * 16}
    (delta / "delta.json").write_text(json.dumps(spoilt))
    refused(tuneworth("merge", delta, "-o", tmp_path / "m"), "was made for", "0000000000000000")
    (delta / "delta.json").write_text(json.dumps(spoilt | {"labels": 3}))
    refused(tuneworth("merge", delta, "-o", tmp_path / "m"), "delta.json' cannot be read")


def test_onnx_without_its_packages(
    tuned: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delta, find = tuned("head"), importlib.util.find_spec
    monkeypatch.setattr("tuneworth.deltas.onnx.find_spec", lambda name: None if name == "onnxruntime" else find(name))
    refused(tuneworth("export", delta, "--to", "onnx", "-o", tmp_path / "m.onnx"),
            "onnxruntime, which is not installed", "pip install 'tuneworth[onnx]'")  # fmt: skip


def test_onnx_speaks_of_its_next_step_and_leaves_two_files(tuned: Callable[[str], Path], tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    said = tuneworth("export", tuned("pfeiffer"), "--to", "onnx", "-o", place / "model.onnx")
    assert said.code == 0, said
    assert said.err.strip() == ""
    assert "next: load it with onnxruntime" in said.out
    assert {path.name for path in place.iterdir()} == {"model.onnx", "model.tokenizer.json"}
    import onnxruntime

    metadata = onnxruntime.InferenceSession(str(place / "model.onnx")).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["labels"]) == ["bad", "good"]
    assert metadata["method"] == "pfeiffer"


def test_bf16_halves_what_is_on_disk(tuned: Callable[[str], Path], tmp_path: Path) -> None:
    delta = tuned("full")
    assert tuneworth("export", delta, "--to", "bf16", "-o", tmp_path / "half").code == 0
    assert {t.dtype for t in load_file(tmp_path / "half" / "delta.safetensors").values()} == {torch.bfloat16}
    assert {t.dtype for t in load_file(delta / "delta.safetensors").values()} == {torch.float32}
    shutil.rmtree(delta)
    assert len(Predictor(tmp_path / "half", device="cpu").predict(TEXTS)) == 3


def test_bitfit_on_bert_base_takes_less_than_half_a_megabyte(info: DeltaInfo, tmp_path: Path) -> None:
    """102,912 biases: 12 layers x (4·768 + 3,072 + 768 + 2·768), the embeddings' norm and the pooler 768 each; 2·768 + 2 head."""
    from transformers import BertForSequenceClassification

    shape = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    with torch.device("meta"):  # shapes alone
        model = BertForSequenceClassification(make_config("bert", **shape))
    method = get_method("bitfit")
    head = frozenset({"classifier.weight", "classifier.bias"})
    names = tune(Loaded(model, None, head), method, method_options(method, {}), torch.Generator())  # type: ignore[arg-type]
    tensors = {name: torch.zeros(p.shape) for name, p in model.named_parameters() if name in names}
    assert sum(t.numel() for name, t in tensors.items() if name not in head) == 102_912
    assert sum(t.numel() for name, t in tensors.items() if name in head) == 2 * 768 + 2
    size = save_delta(tmp_path / "delta", tensors, info)
    assert 4 * (102_912 + 1_538) < size <= 500_000
