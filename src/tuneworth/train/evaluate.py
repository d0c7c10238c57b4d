"""Predictions over a split, in large batches of like length, without gradients."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tuneworth.spec import Precision
from tuneworth.train.batches import Inputs, Tokens, forward
from tuneworth.train.device import autocast

BATCH_TOKENS = 2048
"""Tokens a batch. On a CPU larger ones are slower, since activations leave the cache (docs/log.md)."""


def logits(
    model: PreTrainedModel, tokens: Inputs, which: NDArray[np.int64], precision: Precision
) -> NDArray[np.float32]:
    """Shape (len(which), outputs), or (len(which), most words, outputs) with -inf where a word was not read; in the order of
    `which`. Batches depend on the lengths alone: repeatable."""
    was_training = model.training
    model.eval()
    order = np.argsort(tokens.lengths[which], kind="stable")
    out: NDArray[np.float32] | None = None
    with torch.inference_mode(), autocast(model.device, precision):
        for rows in by_tokens(tokens.lengths[which], order):
            values = forward(model, tokens, which[rows]).cpu().numpy()
            if out is None:
                most = tokens.words.shape[1:] if isinstance(tokens, Tokens) and tokens.words is not None else ()
                out = np.full((len(which), *most, values.shape[-1]), -np.inf, dtype=np.float32)
            if values.ndim < 3:
                out[rows] = values
            else:
                out[rows, : values.shape[1]] = values
    model.train(was_training)
    assert out is not None, "a split is never empty"
    return out


def by_tokens(lengths: NDArray[np.int64], order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut `order` (ascending lengths) so that examples x longest stays within BATCH_TOKENS."""
    batches, start = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > BATCH_TOKENS:
            batches.append(order[start:end])
            start = end
    return batches
