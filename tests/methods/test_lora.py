"""LoRA through peft: its formula, its targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from families import UNNAMED, make_model_dir
from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.load import Loaded, load


def tuned(family: str, path: Path, **options: Any) -> tuple[Loaded, list[str]]:
    loaded = load(str(make_model_dir(family, path)), 2, "classification", torch.Generator().manual_seed(0))
    method = get_method("lora")
    return loaded, tune(loaded, method, method_options(method, options), torch.Generator().manual_seed(0))


def targets(names: list[str]) -> set[str]:
    return {name.split(".lora_")[0] for name in names if ".lora_" in name}


def test_it_adds_a_scaled_product_to_the_weights(tmp_path: Path) -> None:
    loaded, names = tuned("bert", tmp_path, r=4, alpha=12)
    plain = load(str(tmp_path), 2, "classification", torch.Generator().manual_seed(0)).model.eval()
    for target in targets(names):
        a, b = (loaded.model.get_parameter(f"{target}.lora_{side}.default.weight") for side in "AB")
        b.data.normal_()
        assert a.shape == (4, 32)
        plain.get_parameter(f"{target}.weight").data += 12 / 4 * b.data @ a.data
    tokens = torch.randint(5, 60, (3, 9))
    torch.testing.assert_close(loaded.model.eval()(tokens).logits, plain(tokens).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "ends"),
    [("distilbert", ("q_lin", "v_lin")), ("albert", ("query", "value")), ("llama", ("q_proj", "v_proj"))],
)
def test_targets_are_queries_and_values(family: str, ends: tuple[str, str], tmp_path: Path) -> None:
    found = targets(tuned(family, tmp_path)[1])
    assert len(found) == (2 if family == "albert" else 4)
    assert all(name.endswith(ends) for name in found)


def test_every_linear_layer_of_the_base_model_and_none_of_the_head(tmp_path: Path) -> None:
    loaded, names = tuned("bert", tmp_path, targets="all-linear")
    assert len(targets(names)) == 2 * 6 + 1  # with the pooler
    assert loaded.head <= set(names)


def test_families_with_unknown_projections_get_every_linear_layer(tmp_path: Path) -> None:
    assert len(targets(tuned(UNNAMED, tmp_path)[1])) == 2 * 2  # xlnet's attention has none that is a module


def test_a_fused_projection_is_one_target(tmp_path: Path) -> None:
    assert len(targets(tuned("modernbert", tmp_path)[1])) == 2


def test_it_keeps_the_models_class(tmp_path: Path) -> None:
    assert type(tuned("bert", tmp_path)[0].model).__name__ == "BertForSequenceClassification"
