"""Dropout whose chance is cheap: a mask is a function of a seed and the place, drawn anew where a backward pass needs it.

PyTorch's own draws a random number an element, serially, and keeps the mask: 13 ns each on a core where this takes 0.4
(docs/log.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd import Function

from tuneworth.train.fast import compiled


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


def draw_seed() -> int:
    """From PyTorch's global stream: one stream for all chance, and the one that a checkpoint keeps."""
    return int(torch.randint(2**63 - 1, ()))


def dropped(x: torch.Tensor, seed: int, p: float) -> torch.Tensor:
    """x with the dropout of that seed; in float64 or where nothing is compiled, by NumPy, with the same mask."""
    if x.dtype in compiled.SUFFIX and compiled.there():
        return compiled.dropout(x, seed, threshold(p), scale(p))
    mask = torch.from_numpy(kept(seed, x.numel(), p).view(np.uint8)).view(x.shape)
    return torch.addcmul(x.new_zeros(()), x, mask.to(x.dtype), value=scale(p))


def kept(seed: int, size: int, p: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of `size` elements stay. Element i: whether byte i % 8 (the lowest is first) of word i // 8 is at least the
    threshold; word j is the j-th of splitmix64 (Steele, Lea and Flood 2014). kernels.cpp draws the same."""
    z = np.arange(1, -(-size // 8) + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(seed)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return z.astype("<u8", copy=False).view(np.uint8)[:size] >= threshold(p)


class _Dropout(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float) -> torch.Tensor:
        ctx.seed, ctx.p = draw_seed(), p
        return dropped(x, ctx.seed, p)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return dropped(gradient, ctx.seed, ctx.p), None
