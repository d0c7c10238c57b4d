"""GPT-NeoX (Pythia): pre-norm, a fused projection, and attention and FFN side by side unless its config says otherwise."""

from __future__ import annotations

from tuneworth.models.families.base import MODULES, Block, Family

FAMILY = Family(
    types=("gpt_neox",),
    stacks=(
        Block(
            layers="layers.*",
            query="attention.query_key_value",
            key="attention.query_key_value",
            value="attention.query_key_value",
            fused="heads",
            attention_dense="attention.dense",
            attention_out="post_attention_dropout",
            attention_norm="input_layernorm",
            ffn_in=("mlp.dense_h_to_4h",),
            ffn_reads="post_attention_layernorm",
            ffn_dense="mlp.dense_4h_to_h",
            ffn_out="post_mlp_dropout",
            ffn_norm="post_attention_layernorm",
        ),
    ),
    norm="pre",
    head_reads="last",
    fast=MODULES | {"attention"},
)
