"""What every family promises: each kind of method finds its place in it, starts from the plain model, and comes back from disk.

The encoders of BERT's shape are met by every method in test_methods.py; here each other family is met by bitfit, lora and one
adapter, in turn, and the methods that look for no place by some."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from families import ENCODERS, NAMED, UNNAMED, make_config, make_model_dir
from made_deltas import Asked, make_delta
from tuneworth.deltas import load_delta, merge_delta
from tuneworth.errors import DeltaError, ModelError
from tuneworth.methods import get_method, method_options
from tuneworth.methods._adapter import Bottleneck
from tuneworth.models.families import Block, Family, all_families, family_of, layers
from tuneworth.models.load import load
from tuneworth.train import rng
from tuneworth.train.fast import kernels, speed_up
from tuneworth.tuned import Tuned, tuned_model

ADAPTERS = ("houlsby", "pfeiffer", "parallel")
FAMILIES = [family for family in NAMED if family not in ENCODERS]
PAIRS = [
    (family, method)
    for row, family in enumerate(FAMILIES)
    for method in ("bitfit", "lora", ADAPTERS[row % 3], ("full", "head", "lora")[row % 3])
]
PLAIN_PLACES = {"llama", "modernbert", "smollm3"}
"""Families whose config has a switch for each kind of bias that bitfit may add."""

Bases = Callable[[str], Path]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    return cache(lambda family: make_model_dir(family, tmp_path_factory.mktemp(family)))


def tuned(base: Path, method: str, **options: Any) -> Tuned:
    return tuned_model(Asked(method, options, 3), str(base), 3, "classification")


def inputs() -> dict[str, torch.Tensor]:
    """Two texts, the shorter one padded; each ends in the mark that some heads look for."""
    ids = torch.randint(5, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    ids[0, -1] = ids[1, 5] = 3
    ids[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(**inputs()).logits
    return found


def test_every_file_of_a_family_is_met() -> None:
    alike = {"camembert": "roberta", "xlm-roberta": "roberta"}
    assert {alike.get(kind, kind) for kind in all_families()} == set(NAMED)


@pytest.mark.parametrize(("family", "method"), PAIRS)
def test_a_method_starts_from_the_plain_model_and_trains_what_it_says(bases: Bases, family: str, method: str) -> None:
    plain = load(str(bases(family)), 3, "classification", rng.generator(3, "head")).model
    model = tuned(bases(family), method, **({"bottleneck": 8} if method in ADAPTERS else {}))
    torch.testing.assert_close(logits(model.model), logits(plain), rtol=0, atol=1e-6)
    assert model.head
    before = {name: p.clone() for name, p in model.model.named_parameters()}
    reached = dict.fromkeys(model.names, 0.0)
    optimizer = torch.optim.AdamW([p for p in model.model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        torch.nn.functional.cross_entropy(model.model.train()(**inputs()).logits, torch.tensor([0, 2])).backward()
        for name in model.names:
            gradient = model.model.get_parameter(name).grad
            reached[name] = max(reached[name], 0.0 if gradient is None else float(gradient.abs().max()))
        optimizer.step()
        optimizer.zero_grad()
    unread = {
        "relative_attention_bias",
        "position_embeddings",
        "_global",
        "wpe",
        "embed_positions",
        "pooler",
        "k_proj.bias",
    }
    unread.add("longformer.encoder.layer.1.attention.self")  # its first token, all that is read, looks globally there
    assert not [name for name, most in reached.items() if most == 0 and not any(part in name for part in unread)]
    for name, parameter in model.model.named_parameters():
        assert torch.equal(parameter, before[name]) or name in model.names, name


@pytest.mark.parametrize(("family", "method"), [pair for pair in PAIRS if pair[1] not in ("full", "head")])
def test_a_delta_comes_back_from_disk_and_into_a_plain_model(
    bases: Bases, family: str, method: str, tmp_path: Path
) -> None:
    delta = make_delta(tmp_path / "delta", bases(family), method, 3)
    model, tokenizer = load_delta(delta)
    answers = logits(model)
    assert (
        answers - logits(load(str(bases(family)), 3, "classification", rng.generator(0, "head")).model)
    ).abs().max() > 1e-3
    again, _ = load_delta(delta)
    assert torch.equal(logits(again), answers)
    assert tokenizer.pad_token is not None
    bare = method == "bitfit" and not any("bias" in name for name in _names(bases(family)))
    if method in ADAPTERS or (bare and family not in PLAIN_PLACES):
        with pytest.raises(DeltaError, match="cannot be merged"):
            merge_delta(delta, tmp_path / "merged")
    else:
        merge_delta(delta, tmp_path / "merged")
        merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", dtype=torch.float32)
        torch.testing.assert_close(logits(merged), answers, rtol=0, atol=1e-4)


def _names(base: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(base / "model.safetensors", "pt") as file:
        return [name for name in file.keys() if name.endswith("bias")]  # noqa: SIM118 - no mapping


@pytest.mark.parametrize("family", [*FAMILIES, "bert"])
def test_an_adapter_reads_and_writes_where_its_formula_says(bases: Bases, family: str) -> None:
    """With f a constant c: behind the first layer's FFN there is c more than in the plain model, before a norm that follows."""
    constant, model = 0.5, tuned(bases(family), "pfeiffer").model
    plain = load(str(bases(family)), 3, "classification", rng.generator(3, "head")).model
    (adapter, *_) = [module for module in model.modules() if isinstance(module, Bottleneck)]
    with torch.no_grad():
        adapter.up.bias.fill_(constant)
    sums = []
    for one in (model, plain):
        layer, block = next(layers(one, "this test"))
        found: list[torch.Tensor] = []
        kind = family_of(one)
        assert kind is not None
        if kind.norm == "post":
            layer.get_submodule(block.ffn_norm).register_forward_hook(
                lambda _, args, __, found=found: found.append(args[0])
            )
        else:
            layer.get_submodule(block.ffn_out).register_forward_hook(lambda _, __, out, found=found: found.append(out))
        logits(one)
        sums.append(found[0])
    torch.testing.assert_close(sums[0] - sums[1], torch.full_like(sums[0], constant), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ADAPTERS)
def test_a_type_that_nobody_has_named_takes_no_adapter_and_says_what_it_takes(bases: Bases, method: str) -> None:
    with pytest.raises(ModelError, match=f"'{UNNAMED}'(.|\n)*full, head, bitfit, lora and peft's") as caught:
        tuned(bases(UNNAMED), method)
    assert "modernbert" in caught.value.remedy
    for other in ("full", "head", "bitfit", "lora"):
        assert tuned(bases(UNNAMED), other).names


def test_a_model_that_is_unlike_its_family_is_none_of_it() -> None:
    config = make_config("opt", do_layer_norm_before=False)
    model = AutoModelForSequenceClassification.from_config(config)
    assert family_of(model) is None
    with pytest.raises(ModelError, match="norms behind the sub-layers"):
        next(layers(model, "this test"))
    wrong = AutoModelForSequenceClassification.from_config(make_config("bert"))
    del wrong.bert.encoder.layer[1].output.dropout
    assert family_of(wrong) is None


def test_a_family_whose_head_reads_more_than_packing_leaves_is_refused() -> None:
    block: Block = all_families()["bert"].stacks[0]
    with pytest.raises(ValueError, match="reads more than the first token"):
        Family(
            types=("mine",), stacks=(block,), norm="post", head_reads="all", fast=frozenset({"attention", "packing"})
        )


def test_the_page_on_adding_a_family_is_true_to_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file, in a package of one's own: one file and one entry point, and adapters and the fast path know the model."""
    page = (Path(__file__).parents[2] / "docs" / "add-a-family.md").read_text(encoding="utf-8")
    (tmp_path / "new_family.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    (tmp_path / "new_family-1.0.dist-info").mkdir()
    (tmp_path / "new_family-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: new-family\nVersion: 1.0\n"
    )
    (tmp_path / "new_family-1.0.dist-info" / "entry_points.txt").write_text(
        "[tuneworth.families]\ndata2vec = new_family:FAMILY\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = {k: v for k, v in make_config("roberta").to_dict().items() if k != "model_type"}
    config = AutoConfig.for_model("data2vec-text", **settings)
    ids = inputs()
    all_families.cache_clear()
    try:
        assert "data2vec-text" in all_families()
        model = AutoModelForSequenceClassification.from_config(config).eval()
        expected = model(**ids).logits
        speed_up(model)
        assert kernels(model) == "fast" or "nothing is compiled" in kernels(model)
        torch.testing.assert_close(model(**ids).logits, expected, rtol=0, atol=1e-5)
        fresh = AutoModelForSequenceClassification.from_config(config)
        get_method("houlsby").apply(fresh, method_options(get_method("houlsby"), {}), torch.Generator().manual_seed(0))
        assert sum(isinstance(module, Bottleneck) for module in fresh.modules()) == 4
    finally:
        all_families.cache_clear()
