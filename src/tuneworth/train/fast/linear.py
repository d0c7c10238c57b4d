"""Linear layers. Weights that never change are packed once as oneDNN's products want them, for the way forward and back: a
product packs its weights at every call otherwise, which costs the more the fewer tokens there are (docs/log.md).
Trained weights are rounded to bf16 once a step.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd import Function

from tuneworth.train.fast import compiled


class PackedLinear(nn.Linear):
    """y = x Wᵀ + b with W frozen; the bias may be trained, and its gradient is summed in float32.

    The parameters stay as they were, W where it is mapped from its file: what is packed is beside them.
    """

    packed_for: torch.dtype
    """Products in this precision; one in another (a trial's model that is used without autocast, say) goes as ever."""
    there: torch.Tensor | None = None
    back: torch.Tensor | None = None
    """W and Wᵀ, packed when they are first wanted: a model that only predicts needs no way back."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if _of_product(x) != self.packed_for:
            return super().forward(x)
        y: torch.Tensor = _Linear.apply(x.to(self.packed_for), self.bias, self)  # type: ignore[no-untyped-call]
        return y

    def packed(self) -> torch.Tensor:
        if self.there is None:
            self.there = _pack(self.weight.data, self.packed_for)
        return self.there

    def packed_back(self) -> torch.Tensor:
        if self.back is None:
            self.back = _pack(self.weight.data.T, self.packed_for)
        return self.back


class TrainedLinear(nn.Linear):
    """y = x Wᵀ + b with W trained, in bf16 under autocast. W is rounded once, not at every use: CompiledAdamW, which has it in
    hand, leaves the copy. Its gradient stays in bf16, as the product gives it; those of a batch's parts add up in float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if _of_product(x) != torch.bfloat16:
            return super().forward(x)
        y: torch.Tensor = _Trained.apply(x.to(torch.bfloat16), self.weight, self.bias)  # type: ignore[no-untyped-call]
        return y


def copy_of(weight: torch.Tensor) -> torch.Tensor | None:
    """The bf16 copy that goes with a trained weight, if there is one that is not out of date."""
    copy: _Copy | None = getattr(weight, _COPY, None)
    return copy.tensor if copy is not None and copy.version == weight._version else None


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """`copy_of(weight)`, made where there is none."""
    copy = copy_of(weight)
    if copy is None:
        copy = weight.detach().to(torch.bfloat16)
        setattr(weight, _COPY, _Copy(copy, weight._version))
    return copy


_COPY = "tuneworth_bf16"


@dataclass(frozen=True)
class _Copy:
    tensor: torch.Tensor
    version: int
    """Of the weight: PyTorch counts the changes that it makes. CompiledAdamW's are not counted, for it changes both."""


def packable(module: nn.Module, dtype: torch.dtype) -> bool:
    """Whether `module` is a frozen Linear layer, and this PyTorch can pack it for products in `dtype`."""
    return type(module) is nn.Linear and not module.weight.requires_grad and _can_pack(dtype)


def trainable(module: nn.Module) -> bool:
    return type(module) is nn.Linear and module.weight.requires_grad and module.weight.dtype == torch.float32


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bias: torch.Tensor | None, module: PackedLinear) -> torch.Tensor:
        ctx.module = module
        return no_view(_product(x, module.packed(), bias))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_input, of_bias, _ = ctx.needs_input_grad
        return (
            _product(gradient, ctx.module.packed_back(), None) if of_input else None,
            compiled.column_sums(gradient) if of_bias else None,
            None,
        )


class _Trained(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        copy = rounded(weight)
        ctx.save_for_backward(x)
        ctx.weight, ctx.copy = weight, copy
        return no_view(nn.functional.linear(x, copy, None if bias is None else bias.to(x.dtype)))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_input, of_weight, of_bias = ctx.needs_input_grad
        (x,) = ctx.saved_tensors
        found = None
        if of_weight:
            found = gradient.flatten(0, -2).T @ x.flatten(0, -2)
            if ctx.weight.grad is not None:
                ctx.weight.grad, found = ctx.weight.grad.float().add_(found), None
        return gradient @ ctx.copy if of_input else None, found, compiled.column_sums(gradient) if of_bias else None


def no_view(y: torch.Tensor) -> torch.Tensor:
    """The same memory as a tensor of its own. PyTorch lets nobody write in place to a view that a Function answers with, and
    models do: Longformer scales its queries so."""
    return y.new_empty(0).set_(y) if y._is_view() else y  # type: ignore[call-overload]


def _pack(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """From (outputs, inputs); the layout serves any number of rows alike."""
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), None)
    return packed


def _product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return y


def _of_product(x: torch.Tensor) -> torch.dtype:
    """The precision that a product with x has here."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


@functools.cache
def _can_pack(dtype: torch.dtype) -> bool:
    """The operators are PyTorch's own, those of its compiler: tried out, since no version promises them."""
    try:
        product = _product(torch.ones(2, 4, dtype=dtype), _pack(torch.ones(3, 4), dtype), torch.ones(3))
    except (RuntimeError, AttributeError):
        return False
    return product.tolist() == [[5.0] * 3] * 2
