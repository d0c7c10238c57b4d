"""Every kind's head under every method: before the first step it answers as the plain model, on the fast path and off it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tuneworth.kinds import get_kind
from tuneworth.kinds.tokens import words_in
from tuneworth.methods import all_methods
from tuneworth.models.load import load
from tuneworth.train import rng
from tuneworth.train.batches import tokenize
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import lay_out
from tuneworth.tuned import tuned_model

TEXTS = ["ann went to rome", "it works", "bob and ann were in oslo, and then they were not"]
HEADS = {"classification": 3, "regression": 1, "multilabel": 4, "tokens": 5}


METHODS = [name for name in all_methods() if not name.startswith("peft/") or name == "peft/ia3"]
"""Peft's are injected alike."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["tokens", "multilabel"])
def test_the_first_answers_are_the_plain_models(kind: str, method: str, tiny_model: Path) -> None:
    asked = SimpleNamespace(kind=method, options={}, seed=3)
    tuned = tuned_model(asked, str(tiny_model), HEADS[kind], kind)
    plain = load(str(tiny_model), HEADS[kind], kind, rng.generator(3, "head"))
    words = [words_in(text) for text in TEXTS] if get_kind(kind).reads == "tokens" else None
    tokens = tokenize(tuned.tokenizer, TEXTS, None, 64, words)
    wanted = logits(plain.model.eval(), tokens, np.arange(3), "fp32")
    lay_out(tuned.model, torch.device("cpu"), "fp32")
    found = logits(tuned.model, tokens, np.arange(3), "fp32")
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert found.shape == ((3, 12, 5) if words else (3, 4))
    if words:
        assert np.isneginf(found[1, 2:]).all()
        assert np.isfinite(found[1, :2]).all()
    assert tuned.head
    assert any(name.endswith(("weight", "bias")) for name in tuned.names)
