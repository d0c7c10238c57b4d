"""Phi 1 and 2: attention and FFN side by side behind one norm, and one dropout module for both: what hangs acts before it."""

from __future__ import annotations

from tuneworth.models.families.base import MODULES, Block, Family

FAMILY = Family(
    types=("phi",),
    stacks=(
        Block(
            layers="layers.*",
            query="self_attn.q_proj",
            key="self_attn.k_proj",
            value="self_attn.v_proj",
            attention_dense="self_attn.dense",
            attention_out="self_attn.dense",
            attention_norm="input_layernorm",
            ffn_in=("mlp.fc1",),
            ffn_reads="input_layernorm",
            ffn_dense="mlp.fc2",
            ffn_out="mlp.fc2",
            ffn_norm="input_layernorm",
        ),
    ),
    norm="pre",
    head_reads="last",
    fast=MODULES | {"attention"},
)
