"""The two parts of an encoder that a CPU runs slowly as they come, done faster. docs/log.md has the measurements.

Attention: PyTorch's fused kernel recomputes the scores in its backward pass, which on short sequences costs more than
it saves; two batched products and a softmax are quicker. Dropout: a mask needs one random number an element, and the
CPU's generator is serial; here one 64-bit draw makes eight of them.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tuneworth.spec import Precision
from tuneworth.train.device import cast_frozen

NAME = "tuneworth_cpu"


class ByteDropout(nn.Dropout):
    """Inverted dropout (Srivastava et al. 2014) whose rate is rounded to a 256th: 0.1 becomes 26/256 = 0.1016.

    The outputs are scaled by the rounded rate, so their expectation is exact.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return byte_dropout(x, self.p) if self.training else x


def byte_dropout(x: torch.Tensor, p: float) -> torch.Tensor:
    """Zero a share `p`, rounded to a 256th, of the elements of `x`, and scale the others up. Draws from the global stream."""
    threshold = min(255, round(p * 256))
    if threshold == 0:
        return x
    draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    mask = (draws.view(torch.uint8)[: x.numel()] >= threshold).view(x.shape)
    return x * (mask.to(x.dtype) * (256 / (256 - threshold)))


def attention(
    _module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
    scaling: float | None = None, dropout: float = 0.0, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1): (batch, heads, length, width) -> (batch, length, heads, width)."""
    scores = torch.matmul(query * (scaling or query.shape[-1] ** -0.5), key.transpose(2, 3))
    if attention_mask is not None:
        scores = scores + attention_mask.to(scores.dtype)
    weights = byte_dropout(scores.softmax(dim=-1), dropout) if dropout else scores.softmax(dim=-1)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


@functools.cache
def _register() -> None:
    ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, eager_mask)


def lay_out(model: PreTrainedModel, device: torch.device, precision: Precision) -> None:
    """Make a tuned model ready for `device`, for training and for prediction alike."""
    model.to(device)
    if precision == "bf16":
        cast_frozen(model)
    if device.type == "cpu":
        speed_up(model)


def speed_up(model: PreTrainedModel) -> None:
    """Replace attention and dropout of a model on a CPU. Models with grouped key heads keep their own attention."""
    heads = getattr(model.config, "num_key_value_heads", None)
    if heads in (None, getattr(model.config, "num_attention_heads", None)):
        _register()
        model.set_attn_implementation(NAME)
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = ByteDropout  # in place: methods hang their hooks on these very modules
