"""Batches without padding: a padded batch goes in, its tokens lie end to end within the model, its logits come out as ever.

Attention knows where a sequence begins and ends; all other modules treat tokens one by one anyway. So does what methods hang
on them. And the last layer works on each sequence's first token alone, as in `last_layer`; where its keys and values are plain
projections, these are not even made: a query's products with all keys W_k x are those of W_kᵀ q with all x, and a mean of values
W_v x is W_v times the mean of x. (What is added to all keys alike changes no weight: their bias gets no gradient here.)

The number of rows is rounded up a little: then few shapes occur, and PyTorch's library, which builds code for each shape of
a product that it meets, soon has them all (docs/log.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from transformers import PreTrainedModel

from tuneworth.models.families import layers
from tuneworth.models.positions import AFTER_PADDING
from tuneworth.train.fast import compiled
from tuneworth.train.fast.compiled import Dropout, Sequences
from tuneworth.train.fast.dropout import draw_seed, scale, threshold

PACKING = "tuneworth_packing"
"""Set on the self-attention modules of a packed model."""


def packs(model: PreTrainedModel) -> bool:
    """Whether `model`, of a family that allows it, can work without padding here: a compiler, layers that are modules of their
    own, heads of an even width."""
    config = model.config
    if not compiled.there():
        return False
    one_each = len(list(layers(model, "the fast path"))) == config.num_hidden_layers
    return one_each and bool(config.hidden_size // config.num_attention_heads % 2 == 0)


def pack(model: PreTrainedModel) -> None:
    """Have `model`, one that `packs`, work on the tokens of its sequences alone, whatever padding it is given."""
    packing, found = Packing(), list(layers(model, "the fast path"))
    if any(hasattr(module, PACKING) for module in model.modules()):
        return  # laid out before
    if model.config.model_type in AFTER_PADDING:
        packing.counted_from = model.get_input_embeddings().padding_idx
    for layer, block in found:
        setattr(layer.get_submodule(block.query.rpartition(".")[0]), PACKING, packing)
    layer, block = found[-1]
    key, value = (layer.get_submodule(path) for path in (block.key, block.value))
    if isinstance(key, nn.Linear) and isinstance(value, nn.Linear) and _untouched(key) and _untouched(value):
        packing.projections = (key, value)
        for module in packing.projections:
            module.__class__ = _NotMade
            module.packing = packing  # type: ignore[assignment]
    packing.last = layer.get_submodule(block.query.rpartition(".")[0])
    layer.get_submodule(block.query).register_forward_pre_hook(packing.first_alone)
    layer.get_submodule(block.query).register_forward_hook(packing.keep_query)
    layer.get_submodule(block.attention_dense).register_forward_pre_hook(packing.take_context)
    layer.get_submodule(block.attention_out).register_forward_hook(packing.among_all)
    layer.get_submodule(block.attention_norm).register_forward_pre_hook(packing.first_to_batch)
    model.register_forward_pre_hook(packing.enter, with_kwargs=True)
    model.register_forward_hook(packing.leave, always_call=True)


class Packing:
    """What a packed model's modules know of the batch in hand; `now` is None between batches. Its methods are their hooks."""

    now: Sequences | None = None
    first: torch.Tensor
    """The row of each sequence's first token."""
    counted_from: int | None = None
    """The padding token's number, where positions count from behind it; None: from 0."""
    last: nn.Module
    """The last layer's self-attention. Its queries and its context are of first tokens alone, while the model's own code
    counts on a row a token: they pass it by, here."""
    query: torch.Tensor | None = None
    context: torch.Tensor | None = None
    projections: tuple[nn.Linear, nn.Linear] | None = None
    """The last layer's keys and values, where they are not made, and `hidden`, what they would have read."""
    hidden: torch.Tensor | None = None

    def enter(self, model: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Forward pre-hook of the model: its tokens, end to end. Inputs in other words than ours stay as they are."""
        ids = kwargs.get("input_ids")
        if args or ids is None or kwargs.get("position_ids") is not None:
            return None
        mask = kwargs.get("attention_mask")
        mask = torch.ones_like(ids) if mask is None else mask
        if mask.ndim != 2 or not bool(mask.any(1).all()):
            return None
        kept = mask.bool()
        starts = torch.zeros(len(mask) + 1, dtype=torch.int64)
        starts[1:] = kept.sum(1).cumsum(0)
        rows = _rounded(int(starts[-1]))

        def flat(x: torch.Tensor, rest: int) -> torch.Tensor:
            out = x.new_full((1, rows), rest)
            out[0, : starts[-1]] = x[kept]
            return out

        self.now, self.first = Sequences(starts, rows), starts[:-1]
        packed = {
            "input_ids": flat(ids, model.config.pad_token_id),
            "position_ids": flat(self._positions(ids, kept), 0),
            "attention_mask": ids.new_zeros((1, 1, 1, 1), dtype=torch.float32),  # of four axes: is passed on as it is
        }
        if kwargs.get("token_type_ids") is not None:
            packed["token_type_ids"] = flat(kwargs["token_type_ids"], 0)
        return args, {**kwargs, **packed}

    def _positions(self, ids: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """As the model itself has it: fairseq's way passes a padding token by, also one that is written in a text."""
        if self.counted_from is None:
            return kept.cumsum(1) - 1
        counted = kept & (ids != self.counted_from)
        return counted.cumsum(1) * counted + self.counted_from

    def leave(self, *_: Any) -> None:
        self.now = self.query = self.context = self.hidden = None

    def attend(
        self, module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, factor: float, p: float
    ) -> torch.Tensor:
        """What the model's code expects of attention: (1, heads, rows, width) -> (1, rows, heads, width)."""
        assert self.now is not None
        _, heads, rows, width = key.shape
        if module is not self.last:
            context = _attention(_by_row(query), _by_row(key), _by_row(value), heads, factor, self.now, p)
            return context.view(1, rows, heads, width)
        assert self.query is not None
        if self.projections is None:
            of = Sequences(self.now.starts, rows, queries=1)
            context = _attention(self.query.to(key.dtype), _by_row(key), _by_row(value), heads, factor, of, p)
        else:
            context = self._attend_to_input(heads, factor, p)
        self.context = context[:, None]
        return context.new_zeros(()).expand(1, rows, heads, width)

    def _attend_to_input(self, heads: int, factor: float, p: float) -> torch.Tensor:
        """The last layer's context, (sequences, hidden), by what its keys and values would have been made of."""
        assert self.now is not None
        assert self.query is not None
        assert self.hidden is not None
        assert self.projections is not None
        key, value = self.projections
        of = Sequences(self.now.starts, self.now.rows, queries=heads)
        count, size = self.query.shape
        by_head = self.query.view(count, heads, -1).transpose(0, 1)  # (heads, sequences, width)
        q = torch.bmm(by_head, key.weight.view(heads, -1, size)).transpose(0, 1).reshape(count * heads, size)
        # a column of ones beside x: its mean, 1 but for dropout, is what the values' bias counts
        x = F.pad(self.hidden[0].to(q.dtype), (0, 1), value=1.0)
        bias = value.weight.new_zeros(len(value.weight)) if value.bias is None else value.bias
        w = torch.cat([value.weight, bias[:, None]], 1)
        x, w = (F.pad(t, (0, 1)) for t in (x, w))  # an even width, for pairs
        mean = _attention(F.pad(q, (0, 2)), x, x, 1, factor, of, p).view(count, heads, -1)
        by_head = torch.bmm(mean.transpose(0, 1), w.view(heads, -1, size + 2).mT.to(mean.dtype))
        return by_head.transpose(0, 1).reshape(count, size)

    def first_alone(self, _module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        """Forward pre-hook: (1, rows, hidden) -> (1, sequences, hidden)."""
        return None if self.now is None else (inputs[0].index_select(1, self.first),)

    def keep_query(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> Any:
        """Forward hook of the last layer's queries: `query`, and in its place nothing of the size that is expected."""
        if self.now is None:
            return None
        self.query = output[0]
        return output.new_zeros(()).expand(1, self.now.rows, output.shape[-1])

    def take_context(self, _module: nn.Module, _inputs: Any) -> Any:
        """Forward pre-hook of what reads the last layer's context: (sequences, 1, hidden)."""
        return None if self.now is None else (self.context,)

    def among_all(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> Any:
        """Forward hook of what is added to all tokens: (sequences, 1, hidden) -> (1, rows, hidden), zeros but for first tokens."""
        if self.now is None:
            return None
        return output.new_zeros(1, self.now.rows, output.shape[-1]).index_copy(1, self.first, output.transpose(0, 1))

    def first_to_batch(self, _module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        """Forward pre-hook: (1, rows, hidden) -> (sequences, 1, hidden)."""
        return None if self.now is None else (inputs[0].index_select(1, self.first).transpose(0, 1),)


class _NotMade(nn.Linear):
    """A projection of the last layer whose result nobody reads while a packed batch is in hand."""

    packing: Packing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.packing.now is None:
            return super().forward(x)
        self.packing.hidden = x
        return x.new_zeros(()).expand(*x.shape[:-1], self.out_features)


def _attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, factor: float, of: Sequences, p: float
) -> torch.Tensor:
    context: torch.Tensor = _Attention.apply(q, k, v, heads, factor, of, p)  # type: ignore[no-untyped-call]
    return context


class _Attention(Function):
    """attention.cpp as a function that is differentiated: (rows, hidden) each."""

    @staticmethod
    def forward(
        ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, factor: float, of: Sequences, p: float
    ) -> torch.Tensor:
        dropout = Dropout(draw_seed() if threshold(p) else 0, threshold(p), scale(p))
        q, k, v = (x.contiguous() for x in (q, k, v))
        context, weights = compiled.attention(q, k, v, heads, factor, of, dropout)
        ctx.save_for_backward(q, k, v, weights)
        ctx.rest = (heads, factor, of, dropout)
        return context

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (
            *compiled.attention_backward(gradient.contiguous(), *ctx.saved_tensors, *ctx.rest),
            None,
            None,
            None,
            None,
        )


def _untouched(module: nn.Module) -> bool:
    return type(module) is nn.Linear and not module._forward_hooks and not module._forward_pre_hooks


def _by_row(x: torch.Tensor) -> torch.Tensor:
    """(1, heads, rows, width), a view of rows, as (rows, heads * width)."""
    return x.transpose(1, 2).reshape(x.shape[2], -1)


def _rounded(tokens: int) -> int:
    """Up to a multiple of a sixteenth of the power of two below it, and of 32."""
    step = max(32, 1 << max(0, tokens.bit_length() - 5))
    return -(-tokens // step) * step
