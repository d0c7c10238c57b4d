"""The last layer for the first token alone: all that a task head of these families reads.

Keys and values of that layer still come from every token, and so do its queries, since families shape them by hand. What
is left out is three quarters of the layer: an eighth of a six-layer encoder's work, forward and backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from tuneworth.models.places import PLACES, layers

FIRST_ONLY = "tuneworth_first_token_only"
"""Set on a self-attention module: `attention` then answers the first token's query alone."""


def first_token_only(model: PreTrainedModel) -> None:
    """Narrow the last layer of `model` to the first token. Families that are not in the table, and encoders whose layers
    share one module, stay as they are."""
    if model.config.model_type not in PLACES:
        return
    found = list(layers(model, "the fast path"))
    if len(found) != model.config.num_hidden_layers:
        return
    layer, places = found[-1]
    attention = layer.get_submodule(places.query.rpartition(".")[0])
    if hasattr(attention, FIRST_ONLY):
        return
    setattr(attention, FIRST_ONLY, True)
    layer.get_submodule(places.attention_dense).register_forward_pre_hook(narrow)
    # before the norm, where the narrow output was added to the whole residual
    layer.get_submodule(places.attention_norm).register_forward_pre_hook(narrow)


def narrow(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """Forward pre-hook: (batch, length, hidden) -> (batch, 1, hidden)."""
    return (inputs[0][:, :1],)
