"""A text has one answer, whoever asks: alone or among longer ones, by the fast or the plain path, or by transformers itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from families import NAMED, UNNAMED, make_model_dir
from tuneworth.models.load import load
from tuneworth.spec import Precision
from tuneworth.train.batches import collate, tokenize
from tuneworth.train.device import autocast
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import lay_out
from tuneworth.train.flops import count

CPU = torch.device("cpu")
TEXTS = ["a cat", "two black dogs bark " * 4, "it [PAD] was [PAD]", "so [SEP] it ends [SEP]", "x"]
"""Of 1 to 69 tokens; some hold the very marks that pad and end."""
FAMILIES = (*NAMED, UNNAMED)
Made = Callable[[str], Path]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A tiny model of a family, made once."""
    root = tmp_path_factory.mktemp("families")

    def make(family: str) -> Path:
        return root / family if (root / family).exists() else make_model_dir(family, root / family)

    return make


def start(source: Path) -> Any:
    return load(str(source), 2, "classification", torch.Generator().manual_seed(0))


def transformers_own(source: Path) -> NDArray[Any]:
    """The texts in one batch, padded by a tokenizer as it is saved with the family's models."""
    from transformers import AutoTokenizer

    model = start(source).model.eval()
    family = model.config.model_type
    tokenizer = AutoTokenizer.from_pretrained(source, split_special_tokens=family in ("bart", "t5"))
    assert tokenizer.padding_side == ("left" if family == "xlnet" else "right")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    with torch.inference_mode():
        found: NDArray[Any] = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy()
    return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_has_one_answer(family: str, precision: Precision, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = transformers_own(made(family))
    spread = float(np.ptp(expected, axis=0).max())
    assert spread > 0.02, "texts that are answered alike would show nothing"
    for plain in ("1", ""):
        monkeypatch.setenv("TUNEWORTH_PLAIN", plain)
        loaded = start(made(family))
        lay_out(loaded.model, CPU, precision)
        tokens = tokenize(loaded.tokenizer, TEXTS, None, 128)
        together = logits(loaded.model, tokens, np.arange(len(TEXTS)), precision)
        alone = np.concatenate([logits(loaded.model, tokens, np.array([n]), precision) for n in range(len(TEXTS))])
        close = 1e-5 if precision == "fp32" else 0.1 * spread
        np.testing.assert_allclose(together, expected, rtol=0, atol=close)
        np.testing.assert_allclose(alone, expected, rtol=0, atol=close)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_counted_and_every_gradient_of_a_padded_batch_is_finite(
    family: str, precision: Precision, made: Made
) -> None:
    loaded = start(made(family))
    assert count(loaded.model, loaded.tokenizer).linear >= 0
    lay_out(loaded.model.train(), CPU, precision)
    tokens = tokenize(loaded.tokenizer, TEXTS, None, 128)
    with autocast(CPU, precision):
        loaded.model(**collate(tokens, np.arange(len(TEXTS)), CPU)).logits.float().square().sum().backward()
    for name, parameter in loaded.model.named_parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all()), name
