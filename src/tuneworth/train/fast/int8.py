"""Linear layers whose products are of 8-bit integers: twice the rate of bf16 on processors with VNNI, for a rounding that
training bears (SwitchBack: Wortsman et al. 2023, arXiv 2304.13013; docs/performance.md has ours).

Frozen weights become integers once, by the largest value of each output channel; rows of activations, and of gradients on the
way back, by their own largest value, as they come. Sums are exact. What is no product stays in bf16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd import Function
from transformers import PreTrainedModel

from tuneworth.train.fast import compiled
from tuneworth.train.fast.linear import PackedLinear, no_view

__all__ = ["Int8Linear", "Weights", "exact_where_it_suffers", "quantise", "there"]

PANEL = 64
"""Output channels that int8.cpp works on at once."""
LIMIT = 0.04
"""Relative error of a layer's outputs beyond which it stays in bf16. Rounding alone, of values without outliers, costs some
0.01; a column of activations twenty times the others, as LLM.int8() describes them (Dettmers et al. 2022, arXiv 2208.07339),
makes it 0.05 to 0.1."""


@dataclass(frozen=True)
class Weights:
    """A matrix (outputs, inputs) as int8.cpp wants it."""

    values: torch.Tensor
    """Panels of PANEL outputs, each (inputs / 4, PANEL, 4), int8; 64-byte aligned; what is padded is 0."""
    factors: torch.Tensor
    """Of each output: what its integers are to be multiplied by; float32."""
    shifts: torch.Tensor
    """128 times the sum of each output's integers, which activations shifted by 128 add to a sum; int32."""
    outputs: int
    inputs: int


def there() -> bool:
    """Whether this processor and its compiler have products of bytes."""
    return compiled.int8_there()


def quantise(weight: torch.Tensor) -> Weights:
    """Symmetric, by output channel: w / (largest |w| of its row / 127), to the nearest."""
    outputs, inputs = weight.shape
    rows, depth = -(-outputs // PANEL) * PANEL, -(-inputs // 4) * 4
    scale = weight.float().abs().amax(1) / 127
    integers = torch.zeros(rows, depth, dtype=torch.int8)
    integers[:outputs, :inputs] = torch.round(weight.float() / scale.clamp_min(1e-38)[:, None]).to(torch.int8)
    factors = torch.zeros(rows)
    factors[:outputs] = scale
    values = _aligned(integers.numel())
    values.view(rows // PANEL, depth // 4, PANEL, 4).copy_(
        integers.view(rows // PANEL, PANEL, depth // 4, 4).transpose(1, 2)
    )
    return Weights(values, factors, 128 * integers.sum(1, dtype=torch.int32), outputs, inputs)


def product(x: torch.Tensor, weights: Weights, bias: torch.Tensor | None) -> torch.Tensor:
    """x Wᵀ + bias for x of shape (..., inputs), in its dtype."""
    return compiled.int8_product(x, weights.values, weights.factors, weights.shifts, bias, weights.outputs)


class Int8Linear(nn.Linear):
    """y = x Wᵀ + b with W frozen. The bias may be trained, and its gradient is summed in float32.

    The parameters stay as they were, W where it is mapped from its file: what is quantised is beside them.
    """

    ahead: Weights | None = None
    back: Weights | None = None
    """W and Wᵀ, quantised when they are first wanted."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        y: torch.Tensor = _Product.apply(x.to(torch.bfloat16), self.bias, self)  # type: ignore[no-untyped-call]
        return y

    def weights(self) -> Weights:
        if self.ahead is None:
            self.ahead = quantise(self.weight.data)
        return self.ahead

    def weights_back(self) -> Weights:
        if self.back is None:
            self.back = quantise(self.weight.data.T)
        return self.back


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bias: torch.Tensor | None, module: Int8Linear) -> torch.Tensor:
        ctx.module = module
        return no_view(product(x, module.weights(), bias))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_input, of_bias, _ = ctx.needs_input_grad
        return (
            product(gradient, ctx.module.weights_back(), None) if of_input else None,
            compiled.column_sums(gradient) if of_bias else None,
            None,
        )


def exact_where_it_suffers(model: PreTrainedModel) -> None:
    """Give back to bf16 each layer whose outputs int8 changes by more than LIMIT, on tokens from all over the vocabulary.

    What a model does at a layer, outliers included, shows on any tokens; the model alone decides, so that every trial of
    it has the same layers in int8.
    """
    found = [module for module in model.modules() if isinstance(module, Int8Linear)]
    inputs = dict(model.dummy_inputs)
    size = model.config.get_text_config().vocab_size
    spread = torch.linspace(0, size - 1, 8 * 32).long().view(8, 32)
    inputs = {name: spread if name.endswith("input_ids") else value for name, value in inputs.items()}
    if not found or any(value.shape != spread.shape for value in inputs.values() if isinstance(value, torch.Tensor)):
        return
    errors: dict[Int8Linear, float] = {}

    def compare(module: nn.Module, args: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        assert isinstance(module, Int8Linear)
        right = nn.functional.linear(args[0].float(), module.weight.float(), None)
        off = product(args[0].to(torch.bfloat16), module.weights(), None).float() - right
        errors[module] = float(off.norm() / right.norm().clamp_min(1e-30))

    hooks = [module.register_forward_hook(compare) for module in found]
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model(**inputs)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    for module, error in errors.items():
        if not error <= LIMIT:
            module.__class__ = PackedLinear  # type: ignore[assignment]
            module.packed_for = torch.bfloat16  # type: ignore[assignment]


def _aligned(size: int) -> torch.Tensor:
    """Bytes from a 64-byte boundary on, as loads of whole vectors want them."""
    room = torch.empty(size + 63, dtype=torch.int8)
    start = -room.data_ptr() % 64
    return room[start : start + size]
