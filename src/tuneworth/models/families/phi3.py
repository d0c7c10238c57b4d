"""Phi 3: Llama's layers with fused projections."""

from __future__ import annotations

from dataclasses import replace

from tuneworth.models.families.base import MODULES, Family
from tuneworth.models.families.llama import LLAMA

FAMILY = Family(
    types=("phi3",),
    stacks=(
        replace(
            LLAMA,
            query="self_attn.qkv_proj",
            key="self_attn.qkv_proj",
            value="self_attn.qkv_proj",
            fused="blocks",
            attention_out="resid_attn_dropout",
            ffn_in=("mlp.gate_up_proj",),
            ffn_out="resid_mlp_dropout",
        ),
    ),
    norm="pre",
    head_reads="last",
    fast=MODULES | {"attention"},
)
