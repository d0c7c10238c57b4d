"""Self-attention over padded batches, as two batched products and a softmax, with a backward pass of its own.

PyTorch's fused kernel recomputes the scores in its backward pass, which on short sequences costs more than it saves.
Here the scale goes into the products, and of what the softmax makes the weights alone are kept: their dropout is drawn anew.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd import Function

from tuneworth.train.fast.dropout import draw_seed, dropped, threshold
from tuneworth.train.fast.last_layer import FIRST_ONLY
from tuneworth.train.fast.linear import no_view
from tuneworth.train.fast.packing import PACKING, Packing


def attention(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
    scaling: float | None = None, dropout: float = 0.0, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1): (batch, heads, length, width) -> (batch, length, heads, width).

    `attention_mask`: added to the scores, of a shape that broadcasts to (batch, heads, length, length); None: nothing is.
    """
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    if attention_mask is not None and attention_mask.dtype == torch.bool:  # True: may be looked at
        attention_mask = torch.zeros(()).masked_fill(~attention_mask, -torch.inf)
    packing: Packing | None = getattr(module, PACKING, None)
    if packing is not None and packing.now is not None:
        return packing.attend(module, query, key, value, factor, dropout), None
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
        q, k, v = (x.contiguous() for x in (query, key, value))
        seed = draw_seed() if threshold(p) else 0
        with torch.autocast(query.device.type, enabled=False):
            weights = _product(q, k.mT, factor)
            if bias is not None:
                weights.add_(bias)
            weights.copy_(weights.softmax(dim=-1, dtype=torch.promote_types(weights.dtype, torch.float32)))
            if bias is not None:
                weights.masked_fill_(_keyless(bias), 0.0)
            context = _product(_dropped(weights, seed, p), v)
        ctx.save_for_backward(q, k, v, weights)
        ctx.factor, ctx.p, ctx.seed = factor, p, seed
        return no_view(context.transpose(1, 2).contiguous())

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, weights = ctx.saved_tensors
        g = gradient.transpose(1, 2).contiguous()
        into_value = _product(_dropped(weights, ctx.seed, ctx.p).mT, g)
        into_weights = _dropped(_product(g, v.mT), ctx.seed, ctx.p)
        into_scores = torch._softmax_backward_data(into_weights, weights, -1, weights.dtype)
        into_query, into_key = _product(into_scores, k, ctx.factor), _product(into_scores.mT, q, ctx.factor)
        return into_query, into_key, into_value, None, None, None


def _keyless(bias: torch.Tensor) -> torch.Tensor:
    """Rows that may look at no key, which get zeros: softmax would make NaN of them where float32's least number becomes -inf,
    in bf16, and an even mean of what they may not see elsewhere. (..., length, keys) -> (..., length, 1)."""
    return bias.amax(-1, keepdim=True) <= torch.finfo(bias.dtype).min


def _product(a: torch.Tensor, b: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """factor · a b over (batch, heads, ..., ...), the factor inside the product: no pass of its own."""
    out = a.new_empty((*a.shape[:-1], b.shape[-1]))
    out.flatten(0, 1).baddbmm_(a.flatten(0, 1), b.flatten(0, 1), beta=0, alpha=factor)
    return out


def _dropped(x: torch.Tensor, seed: int, p: float) -> torch.Tensor:
    return dropped(x, seed, p) if threshold(p) else x
