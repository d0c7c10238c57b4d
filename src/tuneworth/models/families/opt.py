"""OPT: pre-norm, but for the 350M model. Its dropout is no module: what hangs on a projection acts before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneworth.models.families.base import MODULES, Block, Family

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def _unlike(config: PreTrainedConfig) -> str | None:
    return None if config.do_layer_norm_before else "has its norms behind the sub-layers (do_layer_norm_before = false)"


FAMILY = Family(
    types=("opt",),
    stacks=(
        Block(
            layers="decoder.layers.*",
            query="self_attn.q_proj",
            key="self_attn.k_proj",
            value="self_attn.v_proj",
            attention_dense="self_attn.out_proj",
            attention_out="self_attn.out_proj",
            attention_norm="self_attn_layer_norm",
            ffn_in=("fc1",),
            ffn_reads="final_layer_norm",
            ffn_dense="fc2",
            ffn_out="fc2",
            ffn_norm="final_layer_norm",
        ),
    ),
    norm="pre",
    head_reads="last",
    fast=MODULES | {"attention"},
    unlike=_unlike,
)
