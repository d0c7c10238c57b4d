"""Gemma 2 and 3: Llama's layers with a second norm behind each sub-layer, before its residual; scores are capped."""

from __future__ import annotations

from dataclasses import replace

from tuneworth.models.families.base import MODULES, Family
from tuneworth.models.families.llama import LLAMA

FAMILY = Family(
    types=("gemma2", "gemma3_text"),
    stacks=(
        replace(
            LLAMA,
            attention_out="post_attention_layernorm",
            ffn_reads="pre_feedforward_layernorm",
            ffn_out="post_feedforward_layernorm",
            ffn_norm="pre_feedforward_layernorm",
        ),
    ),
    norm="pre",
    head_reads="last",
    fast=MODULES,
    bias_switches=("attention_bias",),
)
