"""LayerNorm with a compiled pass each way, whose output is in the precision that the next product wants.

Under autocast PyTorch's own answers in float32, and each Linear behind it casts that to bfloat16 once more.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd import Function

from tuneworth.train.fast import compiled


class CompiledNorm(nn.LayerNorm):
    """LayerNorm (Ba et al. 2016) over the last dimension, computed in float32; under autocast its output is in bfloat16."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype not in compiled.SUFFIX or self.weight.dtype != torch.float32 or self.bias is None:
            return super().forward(x)
        lower = torch.is_autocast_enabled("cpu")
        y: torch.Tensor = _Norm.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, self.eps, torch.get_autocast_dtype("cpu") if lower else x.dtype
        )
        return y


def replaceable(module: nn.Module) -> bool:
    return type(module) is nn.LayerNorm and len(module.normalized_shape) == 1 and module.bias is not None


class _Norm(Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float, dtype: torch.dtype
    ) -> torch.Tensor:
        x = x.contiguous()
        y, mean, rstd = compiled.norm(x, weight, bias, eps, dtype)
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        trained = any(ctx.needs_input_grad[1:3])
        return (*compiled.norm_backward(gradient, x, weight, mean, rstd, trained), None, None)
