"""The last layer for the first token alone: all that a classifier's head reads, in families that say so.

Keys and values of that layer still come from every token, and so do its queries, since families shape them by hand. What
is left out is three quarters of the layer: an eighth of a six-layer encoder's work, forward and backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from tuneworth.models.families import layers

FIRST_ONLY = "tuneworth_first_token_only"
"""Set on a self-attention module: `attention` then answers the first token's query alone."""


def first_token_only(model: PreTrainedModel) -> None:
    """Narrow the last layer of `model`, of a family that allows it, to the first token; where its layers share one module, it
    stays as it is."""
    found = list(layers(model, "the fast path"))
    if len(found) != model.config.num_hidden_layers:
        return
    layer, block = found[-1]
    attention = layer.get_submodule(block.query.rpartition(".")[0])
    if hasattr(attention, FIRST_ONLY):
        return
    setattr(attention, FIRST_ONLY, True)
    layer.get_submodule(block.attention_dense).register_forward_pre_hook(narrow)
    # before the norm, where the narrow output was added to the whole residual
    layer.get_submodule(block.attention_norm).register_forward_pre_hook(narrow)


def narrow(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """Forward pre-hook: (batch, length, hidden) -> (batch, 1, hidden)."""
    return (inputs[0][:, :1],)
