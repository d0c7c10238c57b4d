"""Linear layers whose weights never change: packed once as oneDNN's bf16 products want them, for the way forward and back.

A product packs its weights at every call otherwise, which costs the more the fewer tokens there are (docs/log.md).
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.autograd import Function

from tuneworth.train.fast import compiled


class PackedLinear(nn.Linear):
    """y = x Wᵀ + b with W frozen, in bf16 under autocast; the bias may be trained, and its gradient is summed in float32.

    The parameters stay as they were, W where it is mapped from its file: what is packed is beside them.
    """

    there: torch.Tensor | None = None
    back: torch.Tensor | None = None
    """W and Wᵀ, packed when they are first wanted: a model that only predicts needs no way back."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
            return super().forward(x)
        y: torch.Tensor = _Linear.apply(x.to(torch.bfloat16), self.bias, self)  # type: ignore[no-untyped-call]
        return y

    def packed(self) -> torch.Tensor:
        if self.there is None:
            self.there = _pack(self.weight.data)
        return self.there

    def packed_back(self) -> torch.Tensor:
        if self.back is None:
            self.back = _pack(self.weight.data.T)
        return self.back


def packable(module: nn.Module) -> bool:
    """Whether `module` is a frozen Linear layer, and this PyTorch can pack it."""
    return type(module) is nn.Linear and not module.weight.requires_grad and _can_pack()


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bias: torch.Tensor | None, module: PackedLinear) -> torch.Tensor:
        ctx.module = module
        return _product(x, module.packed(), bias)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_input, of_bias, _ = ctx.needs_input_grad
        return (
            _product(gradient, ctx.module.packed_back(), None) if of_input else None,
            compiled.column_sums(gradient) if of_bias else None,
            None,
        )


def _pack(weight: torch.Tensor) -> torch.Tensor:
    """From (outputs, inputs); the layout serves any number of rows alike."""
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.to(torch.bfloat16), None)
    return packed


def _product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return y


@functools.cache
def _can_pack() -> bool:
    """The operators are PyTorch's own, those of its compiler: tried out, since no version promises them."""
    try:
        product = _product(torch.ones(2, 4, dtype=torch.bfloat16), _pack(torch.ones(3, 4)), torch.ones(3))
    except (RuntimeError, AttributeError):
        return False
    return product.tolist() == [[5.0] * 3] * 2
