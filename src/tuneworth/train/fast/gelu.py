"""GELU in one compiled pass each way: the way forward keeps the slope, so that the way back is a product."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd import Function
from transformers.activations import GELUActivation

from tuneworth.train.fast import compiled


class CompiledGELU(nn.Module):
    """x Φ(x), by the error function (Hendrycks and Gimpel 2016)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype not in compiled.SUFFIX:
            return nn.functional.gelu(x)
        y: torch.Tensor = _GELU.apply(x)  # type: ignore[no-untyped-call]
        return y


def exact(module: nn.Module) -> bool:
    """Whether `module` is the GELU by the error function, not one of its approximations."""
    return type(module) is GELUActivation or (type(module) is nn.GELU and module.approximate == "none")


class _GELU(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y, slope = compiled.gelu(x, ctx.needs_input_grad[0])
        if slope is not None:
            ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (slope,) = ctx.saved_tensors
        into_input: torch.Tensor = gradient * slope
        return into_input
