"""Dropout whose masks are cheap: one 64-bit draw makes eight of them, and a kept mask takes a byte an element.

PyTorch's own draws a random number an element, serially: 13 ns each on a core where this takes 1.5 (docs/log.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd import Function


class ByteDropout(nn.Dropout):
    """Inverted dropout (Srivastava et al. 2014) whose rate is rounded to a 256th: 0.1 becomes 26/256 = 0.1016.

    The outputs are scaled by the rounded rate, so their expectation is exact.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return byte_dropout(x, self.p) if self.training else x


def byte_dropout(x: torch.Tensor, p: float) -> torch.Tensor:
    """Zero a share `p`, rounded to a 256th, of the elements of `x`, and scale the others up. Draws from the global stream."""
    if threshold(p) == 0:
        return x
    y: torch.Tensor = _Dropout.apply(x, p)  # type: ignore[no-untyped-call]
    return y


def threshold(p: float) -> int:
    """Of the 256 values of a byte, how many drop an element; never all."""
    return min(255, round(p * 256))


def scale(p: float) -> float:
    """What the kept elements are multiplied by."""
    return 256 / (256 - threshold(p))


def keep_mask(shape: torch.Size, p: float) -> torch.Tensor:
    """uint8 of that shape on the CPU: 1 where an element stays, 0 where it is dropped.

    The bytes are NumPy's (SFC64, three times quicker than PyTorch's Mersenne Twister), its seed is a draw of PyTorch's
    global stream: one stream for all chance, and the one that a checkpoint keeps.
    """
    seed = int(torch.randint(2**63 - 1, ()))
    draws = np.random.SFC64(seed).random_raw(-(-shape.numel() // 8)).view(np.uint8)[: shape.numel()]
    # compared in NumPy, and kept as uint8: PyTorch compares bytes, and reads bools, ten times slower
    return torch.from_numpy((draws >= threshold(p)).view(np.uint8)).view(shape)


def masked(x: torch.Tensor, mask: torch.Tensor, factor: float) -> torch.Tensor:
    """factor · x · mask in one pass; `mask` is uint8."""
    return torch.addcmul(x.new_zeros(()), x, mask.to(x.dtype), value=factor)


class _Dropout(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float) -> torch.Tensor:
        mask = keep_mask(x.shape, p)
        ctx.save_for_backward(mask)
        ctx.factor = scale(p)
        return masked(x, mask, ctx.factor)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (mask,) = ctx.saved_tensors
        return masked(gradient, mask, ctx.factor), None
