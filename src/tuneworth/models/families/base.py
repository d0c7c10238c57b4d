"""What a family says of itself: where its layers keep their parts, and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

__all__ = ["FAST", "MODULES", "Block", "Family", "Part"]

Part = Literal["attention", "dropout", "gelu", "last_layer", "linear", "norm", "packing"]
"""A part of the fast path: train/fast has a file for each."""
MODULES: frozenset[Part] = frozenset(("dropout", "gelu", "linear", "norm"))
"""Those that replace one module each: for a model that calls its modules, and writes into no result of theirs."""
FAST: frozenset[Part] = MODULES | {"attention", "last_layer", "packing"}


@dataclass(frozen=True)
class Block:
    """Where the layers of one stack keep their parts: module paths. `layers` is a pattern below the base model; all others are
    relative to one layer. A layer has two sub-layers, attention and FFN, each with a residual connection around it.

    `attention_out` and `ffn_out` give a sub-layer's output h, all that is added to its residual x; after its dropout, where that
    is a module of its own. `ffn_reads` reads the FFN's x: its first projection where norms follow (x is what they gave), its norm
    where they precede. `attention_dense` and `ffn_dense` are the sub-layers' last projections.
    """

    layers: str
    query: str
    key: str
    value: str
    attention_dense: str
    attention_out: str
    attention_norm: str
    ffn_in: tuple[str, ...]
    """The FFN's first projections, one or those of a gated FFN: of these, the ones that a layer has."""
    ffn_reads: str
    ffn_dense: str
    ffn_out: str
    ffn_norm: str
    fused: Literal["blocks", "heads"] | None = None
    """Where one projection makes queries, keys and values, which `query`, `key` and `value` then all name: all queries lie first,
    then all keys, then all values ("blocks"), or those of each head lie together ("heads")."""


@dataclass(frozen=True)
class Family:
    """Models of one shape. `stacks`: the kinds of layers, that of the encoder first.

    `norm`: "post", LN(x + h), or "pre", x + h where the sub-layer reads LN(x). `head_reads`: what the head of a classifier of
    whole texts reads of the last layer: the "first" token, the "last", or "all" of them. `fast`: the parts of the fast path that
    are right for it, which are taken after a look at the model itself. `bias_switches`: attributes of its config by which an
    architecture without biases has them.
    """

    types: tuple[str, ...]
    """Of `config.model_type`."""
    stacks: tuple[Block, ...]
    norm: Literal["post", "pre"]
    head_reads: Literal["first", "last", "all"]
    fast: frozenset[Part] = frozenset()
    bias_switches: tuple[str, ...] = ()
    unlike: Callable[[PreTrainedConfig], str | None] = lambda config: None  # noqa: ARG005
    """Why a model of these types is not of this shape after all, in a few words."""

    def __post_init__(self) -> None:
        if self.head_reads != "first" and self.fast & {"last_layer", "packing"}:
            raise ValueError(
                f"family {self.types[0]!r}: its head reads more than the first token, which is all that the parts "
                f"'last_layer' and 'packing' leave of the last layer"
            )
