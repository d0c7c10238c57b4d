"""BitFit: what it trains at BERT-base's size, its subset, and biases that a model lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from families import ENCODERS, WITHOUT_BIASES, make_config, make_model_dir
from tuneworth.errors import ModelError
from tuneworth.methods import get_method, method_options
from tuneworth.methods._tune import tune
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


def test_the_subset_needs_a_family_whose_places_are_known(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="query\\+intermediate"):
        bitfit(tiny("modernbert", tmp_path), subset="query+intermediate", add_missing=True)


@pytest.mark.parametrize("family", WITHOUT_BIASES)
def test_a_model_without_biases_needs_add_missing(family: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=family) as caught:
        bitfit(tiny(family, tmp_path))
    assert "add_missing = true" in caught.value.remedy


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
