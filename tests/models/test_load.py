"""Loading: the head is new and seeded, the rest is the checkpoint, the caller's random state is his own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from families import ENCODERS, WITHOUT_BIASES, make_config, make_model_dir, make_tokenizer
from tuneworth.errors import ModelError
from tuneworth.models.load import Loaded, load


def start(path: Path, seed: int = 0, labels: int = 2, kind: Any = "classification", **options: Any) -> Loaded:
    return load(str(path), labels, kind, torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("family", [*ENCODERS, *WITHOUT_BIASES])
def test_the_base_is_the_checkpoint_and_the_head_is_new(family: str, tmp_path: Path) -> None:
    loaded = start(make_model_dir(family, tmp_path), labels=3)
    saved = load_file(tmp_path / "model.safetensors")
    prefix = f"{loaded.model.base_model_prefix}."
    for name, parameter in loaded.model.named_parameters():
        assert (name in loaded.head) == (not name.startswith(prefix))
        assert parameter.dtype == torch.float32
        if name not in loaded.head:
            assert torch.equal(parameter, saved[name.removeprefix(prefix)])
        elif name.endswith("bias"):
            assert not parameter.any()
        elif parameter.ndim == 2:
            assert 0.05 < parameter.std() < 0.15  # initializer_range of the tiny models is 0.1
    batch = loaded.tokenizer(["a cat", "two black dogs"], padding=True, return_tensors="pt")
    assert loaded.model.eval()(**batch).logits.shape == (2, 3)


def test_the_head_depends_on_the_seed_alone(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    torch.manual_seed(1)
    first = start(tmp_path)
    torch.manual_seed(2)
    stream = torch.get_rng_state()
    again, other = start(tmp_path), start(tmp_path, seed=1)
    assert torch.equal(torch.get_rng_state(), stream)
    assert torch.equal(first.model.classifier.weight, again.model.classifier.weight)
    assert not torch.equal(first.model.classifier.weight, other.model.classifier.weight)


def test_trials_do_not_see_each_other(tmp_path: Path) -> None:
    first = start(make_model_dir("bert", tmp_path))
    for parameter in first.model.parameters():
        parameter.data.zero_()
    assert start(tmp_path).model.bert.embeddings.word_embeddings.weight.any()


def test_regression_has_one_output(tmp_path: Path) -> None:
    loaded = start(make_model_dir("bert", tmp_path), labels=1, kind="regression")
    assert loaded.model.config.problem_type == "regression"
    assert loaded.model.classifier.weight.shape == (1, 32)


def test_what_the_checkpoint_lacks_belongs_to_the_head(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    tensors = {k: v for k, v in load_file(tmp_path / "model.safetensors").items() if not k.startswith("pooler")}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    loaded, other = start(tmp_path), start(tmp_path, seed=1)
    assert {"bert.pooler.dense.weight", "bert.pooler.dense.bias"} < loaded.head
    assert not torch.equal(loaded.model.bert.pooler.dense.weight, other.model.bert.pooler.dense.weight)


@pytest.mark.parametrize("labels", [2, 5])
def test_a_head_in_the_checkpoint_is_not_used(labels: int, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    tuned = AutoModelForSequenceClassification.from_config(make_config("bert", num_labels=5))
    tuned.save_pretrained(tmp_path)
    make_tokenizer("bert").save_pretrained(tmp_path)
    loaded = start(tmp_path, labels=labels)
    assert loaded.head == {"classifier.weight", "classifier.bias"}
    assert loaded.model.classifier.weight.shape == (labels, 32)
    assert torch.equal(loaded.model.bert.pooler.dense.weight, tuned.bert.pooler.dense.weight)
    assert labels != 5 or not torch.equal(loaded.model.classifier.weight, tuned.classifier.weight)


def test_a_missing_pad_token_is_replaced_by_the_end_token(tmp_path: Path) -> None:
    loaded = start(make_model_dir("llama", tmp_path))
    assert loaded.tokenizer.pad_token == loaded.tokenizer.eos_token
    assert loaded.model.config.pad_token_id == loaded.tokenizer.eos_token_id


def test_pickled_weights_are_read_only_when_trusted(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    expected = start(tmp_path).model.state_dict()
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="pickled"):
        start(tmp_path)
    trusted = start(tmp_path, allow_pickle=True).model.state_dict()
    assert all(torch.equal(trusted[name], tensor) for name, tensor in expected.items())


class Payload:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("1 / 0",)


def test_a_trusted_pickle_still_runs_no_code(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({"embeddings": Payload()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="more than tensors"):
        start(tmp_path, allow_pickle=True)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    save_file({"something.else": torch.zeros(2)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="do not belong"):
        start(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda name: None if "layer.1." in name else name, "bert.encoder.layer.1"),
        (lambda name: name.replace("LayerNorm", "layer_norm"), "bert.embeddings.LayerNorm"),
        (lambda name: None if name == "embeddings.word_embeddings.weight" else name, "bert.embeddings.word_embeddings"),
        (lambda name: None if "value.bias" in name and "layer.0." in name else name, "bert.encoder.layer.0"),
    ],
    ids=["a layer", "norms by foreign names", "embeddings", "one bias"],
)
def test_nothing_but_the_pooler_may_be_missing(change: Any, named: str, tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    tensors = {change(name): tensor for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    save_file({k: v for k, v in tensors.items() if k}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=re.escape(named)):
        start(tmp_path)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_checkpoint_of_another_depth_is_refused(layers: int, tmp_path: Path) -> None:
    """Of more layers than config.json says, and of fewer."""
    make_model_dir("bert", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}))
    with pytest.raises(ModelError, match=r"encoder\.layer\.[12]"):
        start(tmp_path)


def test_norms_by_their_old_names_load(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    expected = start(tmp_path).model.state_dict()
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = {}
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        last = ".".join(name.split(".")[-2:])
        tensors[name.removesuffix(last) + old.get(last, last)] = tensor
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    found = start(tmp_path)
    assert found.head == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(found.model.state_dict()[name], tensor) for name, tensor in expected.items())


def test_heads_of_pre_training_may_be_there(tmp_path: Path) -> None:
    """And buffers that older versions saved."""
    make_model_dir("bert", tmp_path)
    more = {
        "cls.predictions.bias": torch.zeros(9),
        "cls.seq.0.weight": torch.zeros(2),
        "embeddings.position_ids": torch.zeros(1, 5),
    }
    save_file({**load_file(tmp_path / "model.safetensors"), **more}, tmp_path / "model.safetensors", {"format": "pt"})
    assert start(tmp_path).head == {"classifier.weight", "classifier.bias"}


def test_tokens_without_an_embedding_are_refused(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    tokenizer = make_tokenizer("bert")
    tokenizer.add_tokens(["[PRODUCT]", "[PLACE]"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"'\[PRODUCT\]', '\[PLACE\]'"):
        start(tmp_path)


@pytest.mark.parametrize(("model", "token"), [(3, "[SEP]"), (-1, "[PAD]"), (999, "[PAD]"), (None, "[PAD]")])
def test_model_and_tokenizer_pad_with_one_token(model: int | None, token: str, tmp_path: Path) -> None:
    """The model's, where it is one: a head that looks for it has no use for another."""
    make_model_dir("gpt2", tmp_path)
    make_tokenizer("bert").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "pad_token_id": model}))
    loaded = start(tmp_path)
    assert loaded.tokenizer.pad_token == token
    assert loaded.model.config.pad_token_id == loaded.tokenizer.pad_token_id


def test_padding_is_on_the_side_that_the_model_s_places_allow(tmp_path: Path) -> None:
    """A tokenizer saved for generation pads on the left, where GPT-2 would count the padding as places."""
    make_model_dir("gpt2", tmp_path)
    tokenizer = make_tokenizer("gpt2")
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(tmp_path)
    assert start(tmp_path).tokenizer.padding_side == "right"
    assert start(make_model_dir("xlnet", tmp_path / "xlnet")).tokenizer.padding_side == "left"


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    make_model_dir("bert", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(ModelError, match="another shape"):
        start(tmp_path)


def test_it_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_model_dir("bert", tmp_path)
    capfd.readouterr()
    start(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_weights_lie_in_the_mapped_file_and_the_file_is_never_changed(tmp_path: Path) -> None:
    before = (make_model_dir("bert", tmp_path) / "model.safetensors").read_bytes()
    loaded = start(tmp_path)
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(tmp_path / "model.safetensors") in maps.read_text(), "frozen weights are to be shared by all workers"
    for parameter in loaded.model.parameters():
        parameter.data.add_(1)
    assert (tmp_path / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("wish", "granted"),
    [("flash_attention_2", "sdpa"), ("flex_attention", "sdpa"), ("no such thing", "sdpa"), ("eager", "eager")],
)
@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_the_attention_is_ours_to_choose(wish: str, granted: str, key: str, tmp_path: Path) -> None:
    config = json.loads((make_model_dir("bert", tmp_path) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, key: wish, "experts_implementation": "deepgemm"}))
    if key.endswith("_internal"):
        granted = "sdpa"  # no key of transformers' own; it is not read
    assert start(tmp_path).model.config._attn_implementation == granted
