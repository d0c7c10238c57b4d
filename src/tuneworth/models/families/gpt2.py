"""GPT-2: pre-norm, fused projections that keep their weights transposed."""

from __future__ import annotations

from tuneworth.models.families.base import MODULES, Block, Family

FAMILY = Family(
    types=("gpt2",),
    stacks=(
        Block(
            layers="h.*",
            query="attn.c_attn",
            key="attn.c_attn",
            value="attn.c_attn",
            fused="blocks",
            attention_dense="attn.c_proj",
            attention_out="attn.resid_dropout",
            attention_norm="ln_1",
            ffn_in=("mlp.c_fc",),
            ffn_reads="ln_2",
            ffn_dense="mlp.c_proj",
            ffn_out="mlp.dropout",
            ffn_norm="ln_2",
        ),
    ),
    norm="pre",
    head_reads="last",
    fast=MODULES | {"attention"},
)
