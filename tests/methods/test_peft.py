"""peft's tuners by peft's names: each on one family or another starts from the plain model, learns, comes back and merges."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from families import UNNAMED, make_model_dir
from made_deltas import Asked, make_delta
from tuneworth.deltas import load_delta, merge_delta
from tuneworth.errors import DeltaError, ModelError, SpecError
from tuneworth.methods import all_methods, get_method, method_options
from tuneworth.methods.peft import NOT_HERE
from tuneworth.models.load import load
from tuneworth.train import rng
from tuneworth.tuned import tuned_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning"),  # frod's products
    pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning"),  # adalora's scale
]
TUNERS = [name for name in all_methods() if name.startswith("peft/")]
FAMILIES = ("bert", "llama", "modernbert", "deberta-v2", "t5")
SMALL = {
    "miss": {"r": 8},
    "shira": {"r": 4},
    "waveft": {"n_frequency": 64},
    "fourierft": {"n_frequency": 64},
    "psoft": {"r": 8},
}
"""What peft's defaults are too large for in models so small."""
OFF = {"unilora": 1e-2, "vblora": 1e-2}
"""Tuners that do not start from the plain model, and by how much at most: their papers draw both factors at random."""
UNMERGED = ("lily", "beft")
"""The first has no merged form; the second needs a bias there, and this family's model has none."""

Bases = Callable[[str], Path]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    return cache(lambda family: make_model_dir(family, tmp_path_factory.mktemp(family)))


def inputs() -> torch.Tensor:
    ids = torch.randint(5, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    ids[:, -1] = 3
    return ids


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=inputs(), attention_mask=torch.ones_like(inputs())).logits
    return found


@pytest.mark.parametrize(("name", "row"), [(name, row) for row, name in enumerate(TUNERS)])
def test_a_tuner_starts_learns_comes_back_and_merges(bases: Bases, name: str, row: int, tmp_path: Path) -> None:
    base, tuner = bases(FAMILIES[row % len(FAMILIES)]), name.removeprefix("peft/")
    options = SMALL.get(tuner, {})
    plain = load(str(base), 3, "classification", rng.generator(3, "head")).model
    torch.manual_seed(row)  # nothing may come of the global stream
    tuned = tuned_model(Asked(name, options, 3), str(base), 3, "classification")
    assert tuned.body
    torch.testing.assert_close(logits(tuned.model), logits(plain), rtol=0, atol=OFF.get(tuner, 5e-6))
    tuned.model.train()(input_ids=inputs(), attention_mask=torch.ones_like(inputs())).logits.square().sum().backward()
    assert any(tuned.model.get_parameter(n).grad.abs().max() > 0 for n in tuned.body)  # type: ignore[union-attr]

    delta = make_delta(tmp_path / "delta", base, name, 3, seed=5, options=options)
    torch.manual_seed(99)
    answers = logits(load_delta(delta)[0])
    torch.manual_seed(98)
    assert torch.equal(logits(load_delta(delta)[0]), answers)
    if tuner in UNMERGED:
        with pytest.raises(DeltaError, match="cannot merge"):
            merge_delta(delta, tmp_path / "merged")
        return
    merge_delta(delta, tmp_path / "merged")
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    torch.testing.assert_close(logits(merged), answers, rtol=0, atol=1e-4)


@pytest.mark.parametrize("tuner", sorted(NOT_HERE))
def test_what_cannot_be_put_into_a_model_says_why(tuner: str) -> None:
    with pytest.raises(SpecError, match=f"'peft/{tuner}': peft's {tuner}"):
        get_method(f"peft/{tuner}")
    with pytest.raises(SpecError, match="unknown method 'peft/nothing'"):
        get_method("peft/nothing")


def test_options_are_pefts_own_and_what_nobody_set_is_not_kept() -> None:
    method = get_method("peft/vera")
    assert method_options(method, {"r": 16}).said() == {"r": 16}
    assert method_options(method, {}).said() == {}
    with pytest.raises(SpecError, match=r"no option 'rr'(.|\n)*did you mean 'r'"):
        method_options(method, {"rr": 16})
    with pytest.raises(SpecError, match="no option 'modules_to_save'"):
        method_options(method, {"modules_to_save": ["classifier"]})


def test_what_peft_refuses_is_the_users_to_mend(bases: Bases) -> None:
    for options in ({"target_modules": ["nowhere"]}, {"r": -1}):
        with pytest.raises(ModelError, match=r"peft cannot put vera into this model(.|\n)*\[method.NAME\]"):
            tuned_model(Asked("peft/vera", options, 3), str(bases("bert")), 3, "classification")


def test_frozen_projections_are_those_of_the_trials_seed(bases: Bases, tmp_path: Path) -> None:
    """RandLoRA's and VeRA's come of a key of their own, SHiRA's mask of the seed: a delta is worth nothing beside another."""
    delta = make_delta(tmp_path / "delta", bases("bert"), "peft/shira", 3, seed=5, options={"r": 4})
    asked = tuned_model(Asked("peft/shira", {"r": 4}, 5), str(bases("bert")), 3, "classification")
    other = tuned_model(Asked("peft/shira", {"r": 4}, 6), str(bases("bert")), 3, "classification")
    masks = [
        torch.cat([b.flatten().float() for n, b in one.named_buffers() if "shira" in n] or [torch.zeros(1)])
        for one in (load_delta(delta)[0], asked.model, other.model)
    ]
    assert torch.equal(masks[0], masks[1])


def test_an_unnamed_type_gets_every_linear_layer(bases: Bases) -> None:
    assert tuned_model(Asked("peft/loha", {}, 3), str(bases(UNNAMED)), 3, "classification").body
