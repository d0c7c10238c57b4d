"""Self-attention as two batched products and a softmax, with a backward pass of its own.

PyTorch's fused kernel recomputes the scores in its backward pass, which on short sequences costs more than it saves.
Here the scale goes into the products, the weights are kept once, and the mask of their dropout a byte an element.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd import Function

from tuneworth.train.fast.dropout import keep_mask, masked, scale, threshold
from tuneworth.train.fast.last_layer import FIRST_ONLY


def attention(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
    scaling: float | None = None, dropout: float = 0.0, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1): (batch, heads, length, width) -> (batch, length, heads, width).

    `attention_mask`: added to the scores, of a shape that broadcasts to (batch, heads, length, length); None: nothing is.
    """
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    length = query.shape[2]
    if getattr(module, FIRST_ONLY, False):
        query = query[:, :, :1]
        attention_mask = None if attention_mask is None else attention_mask[:, :, :1]
    context = _Attention.apply(query, key, value, attention_mask, factor, dropout)  # type: ignore[no-untyped-call]
    return context.expand(-1, length, -1, -1), None  # what follows wants every token; it takes the first again


class _Attention(Function):
    """softmax(factor · q kᵀ + bias), dropped out, times v. All products in the precision of q, k and v.

    Backward, with w the weights, d = w ∘ m / (1 - p) the dropped ones and g the gradient of d v:
    dv = dᵀ g; dw = (g vᵀ) ∘ m / (1 - p); ds = w ∘ (dw - rowsum(dw ∘ w)); dq = factor · ds k; dk = factor · dsᵀ q.
    """

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None,
        factor: float, p: float,
    ) -> torch.Tensor:  # fmt: skip
        batch, heads, length, width = query.shape
        q, k, v = (x.reshape(batch * heads, -1, width) for x in (query, key, value))
        with torch.autocast(query.device.type, enabled=False):
            scores = _product(q, k.mT, factor)
            if bias is not None:
                scores.view(batch, heads, length, -1).add_(bias)
            weights = scores.softmax(dim=-1, dtype=torch.float32).to(q.dtype)
            mask = keep_mask(weights.shape, p) if threshold(p) else None
            dropped = weights if mask is None else masked(weights, mask, scale(p))
            context = torch.bmm(dropped, v).view(batch, heads, length, width)
        ctx.save_for_backward(q, k, v, weights, dropped, mask)
        ctx.factor, ctx.p = factor, p
        return context.transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, weights, dropped, mask = ctx.saved_tensors
        batch, length, heads, width = gradient.shape
        g = gradient.transpose(1, 2).reshape(batch * heads, length, width)
        into_value = torch.bmm(dropped.mT, g)
        into_weights = _product(g, v.mT, 1.0 if mask is None else scale(ctx.p))
        if mask is not None:
            into_weights.mul_(mask.to(into_weights.dtype))
        into_scores = torch._softmax_backward_data(into_weights, weights, -1, weights.dtype)
        into_query, into_key = _product(into_scores, k, ctx.factor), _product(into_scores.mT, q, ctx.factor)
        shaped = (x.view(batch, heads, -1, width) for x in (into_query, into_key, into_value))
        return (*shaped, None, None, None)


def _product(a: torch.Tensor, b: torch.Tensor, factor: float) -> torch.Tensor:
    """factor · a b, the factor inside the product: no pass of its own."""
    out = a.new_empty((a.shape[0], a.shape[1], b.shape[2]))
    return out.baddbmm_(a, b, beta=0, alpha=factor)
