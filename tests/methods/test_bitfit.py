"""BitFit: what it trains at BERT-base's size, its subset, and biases that a model lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from families import ENCODERS, WITHOUT_BIASES, make_config, make_model_dir
from tuneworth.errors import ModelError
from tuneworth.methods import get_method, method_options, settled
from tuneworth.methods.apply import tune
from tuneworth.models import has_biases
from tuneworth.models.load import Loaded, load


def bitfit(loaded: Loaded, **options: Any) -> list[str]:
    method = get_method("bitfit")
    return tune(loaded, method, method_options(method, options), torch.Generator())


def tiny(family: str, path: Path) -> Loaded:
    return load(str(make_model_dir(family, path)), 2, "classification", torch.Generator().manual_seed(0))


def test_bert_base() -> None:
    """A layer has 4·768 (q, k, v, o) + 3072 + 768 (FFN) + 2·768 (norms) = 8448 biases; there are 12 layers.

    Beside them: 768 of the embeddings' norm, 768 of the pooler, and the head's 768·2 + 2 parameters.
    """
    from transformers import AutoModelForSequenceClassification, BertConfig

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(BertConfig())
    names = bitfit(Loaded(model, None, frozenset({"classifier.weight", "classifier.bias"})))  # type: ignore[arg-type]
    parameters = dict(model.named_parameters())
    biases = [n for n in names if not n.startswith("classifier")]
    assert sum(parameters[n].numel() for n in biases) == 12 * 8448 + 768 + 768 == 102_912
    assert sum(parameters[n].numel() for n in names) == 102_912 + 1538


@pytest.mark.parametrize("family", ENCODERS)
def test_subset(family: str, tmp_path: Path) -> None:
    loaded = tiny(family, tmp_path)
    names = set(bitfit(loaded, subset="query+intermediate")) - loaded.head
    ends = {
        "distilbert": ("attention.q_lin.bias", "ffn.lin1.bias"),
        "albert": ("attention.query.bias", "albert_layers.0.ffn.bias"),
    }.get(family, ("attention.self.query.bias", "intermediate.dense.bias"))
    assert len(names) == (2 if family == "albert" else 4)
    assert all(name.endswith(ends) for name in names)
    parameters = dict(loaded.model.named_parameters())
    assert sum(parameters[n].numel() for n in names) == len(names) // 2 * (32 + 64)


@pytest.mark.parametrize("subset", ["query+intermediate", "value"])
@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "phi3", "modernbert"])
def test_of_a_fused_projection_the_part_that_is_named_is_trained(family: str, subset: str, tmp_path: Path) -> None:
    """A key's bias changes no softmax, and no gradient reaches it: what moves beside that is what the subset names."""
    loaded = tiny(family, tmp_path)
    names = set(bitfit(loaded, subset=subset)) - loaded.head
    projection = {"gpt2": "c_attn", "gpt_neox": "query_key_value", "phi3": "qkv_proj", "modernbert": "Wqkv"}[family]
    (first, *_) = sorted(name for name in names if projection in name)
    assert len(names) == (4 if subset == "query+intermediate" else 2)
    tokens = torch.randint(5, 60, (3, 9), generator=torch.Generator().manual_seed(0))
    loaded.model.train()(tokens).logits.square().sum().backward()
    moved = loaded.model.get_parameter(first).grad != 0  # type: ignore[operator]
    if family == "gpt_neox":  # (heads, query key value, width)
        moved = moved.view(4, 3, 8)[:, 0 if subset.startswith("query") else 2].all(-1)
        assert moved.all()
    else:
        thirds = moved.view(3, -1)
        assert thirds[0 if subset.startswith("query") else 2].all()
    rest = loaded.model.get_parameter(first).grad.count_nonzero()  # type: ignore[union-attr]
    assert rest == len(loaded.model.get_parameter(first)) // 3


def test_the_subset_needs_a_family_whose_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="query\\+intermediate"):
        bitfit(tiny("xlnet", tmp_path), subset="query+intermediate", add_missing=True)


@pytest.mark.parametrize("family", WITHOUT_BIASES)
def test_a_model_without_biases_needs_add_missing(family: str, tmp_path: Path) -> None:
    for subset in ("all", "value"):
        with pytest.raises(ModelError, match=family) as caught:
            bitfit(tiny(family, tmp_path), add_missing=False, subset=subset)
        assert "add_missing = true" in caught.value.remedy


@pytest.mark.parametrize("family", [*ENCODERS, "llama", "modernbert", "t5", "gemma", "qwen2", "gpt2"])
def test_biases_are_added_by_themselves_where_there_are_none_at_all(family: str, tmp_path: Path) -> None:
    source = str(make_model_dir(family, tmp_path))
    none = family in ("llama", "modernbert", "t5", "gemma")
    method = get_method("bitfit")
    options = settled(method, method_options(method, {}), source)
    assert options.said() == {"subset": "all", "add_missing": none}
    assert settled(method, method_options(method, {"add_missing": not none}), source).said()["add_missing"] is not none
    loaded = load(source, 2, "classification", torch.Generator().manual_seed(0))
    before = {name for name, _ in loaded.model.named_parameters()}
    bitfit(loaded)
    assert ({name for name, _ in loaded.model.named_parameters()} > before) is none


def test_a_heads_bias_is_no_bias_of_the_base_model(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    source = make_model_dir("modernbert", tmp_path)
    AutoModelForMaskedLM.from_pretrained(source).save_pretrained(source)
    assert not has_biases(str(source))


def test_pickled_weights_are_looked_into_too(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    for family in ("bert", "llama"):
        source = make_model_dir(family, tmp_path / family)
        torch.save(load_file(source / "model.safetensors"), source / "pytorch_model.bin")
        (source / "model.safetensors").unlink()
        assert has_biases(str(source)) is (family == "bert")


@pytest.mark.parametrize("family", WITHOUT_BIASES)
def test_added_biases_start_at_nothing_and_merge_into_a_plain_model(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    plain, loaded = tiny(family, tmp_path / "plain"), tiny(family, tmp_path / "plain")
    tokens = torch.randint(5, 60, (3, 9))
    before = plain.model.eval()(tokens).logits
    names = bitfit(loaded, add_missing=True)
    assert torch.equal(loaded.model.eval()(tokens).logits, before)

    added = [name for name in names if name.endswith("bias") and name not in loaded.head]
    hosts = [m for m in loaded.model.base_model.modules() if isinstance(m, torch.nn.Linear | torch.nn.LayerNorm)]
    assert len(added) == len(hosts) > 0
    for name in added:
        torch.nn.init.normal_(loaded.model.get_parameter(name), std=0.5)
    tuned = loaded.model(tokens).logits
    assert not torch.allclose(tuned, before)

    loaded.model.save_pretrained(tmp_path / "merged")
    merged, report = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not report["unexpected_keys"]
    assert set(report["missing_keys"]) <= {"head.norm.bias"}  # ModernBERT's head has a norm; its bias stays 0
    torch.testing.assert_close(merged.eval()(tokens).logits, tuned)


def test_merging_is_copying(tmp_path: Path) -> None:
    plain, loaded = tiny("bert", tmp_path), tiny("bert", tmp_path)
    names = bitfit(loaded)
    for name in names:
        loaded.model.get_parameter(name).data.normal_()
    plain.model.load_state_dict(loaded.model.state_dict())  # strict: not a name is new
    tokens = torch.randint(5, 60, (3, 9))
    assert torch.equal(plain.model.eval()(tokens).logits, loaded.model.eval()(tokens).logits)


def test_add_missing_leaves_complete_models_alone() -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(make_config("bert"))
    before = [name for name, _ in model.named_parameters()]
    bitfit(Loaded(model, None, frozenset()), add_missing=True)  # type: ignore[arg-type]
    assert [name for name, _ in model.named_parameters()] == before
