"""ModernBERT: pre-norm, rotary positions, a gated FFN, hardly a bias. Its head reads the first token, or the mean of all."""

from __future__ import annotations

from tuneworth.models.families.base import MODULES, Block, Family

FAMILY = Family(
    types=("modernbert",),
    stacks=(
        Block(
            layers="layers.*",
            query="attn.Wqkv",
            key="attn.Wqkv",
            value="attn.Wqkv",
            fused="blocks",
            attention_dense="attn.Wo",
            attention_out="attn.out_drop",
            attention_norm="attn_norm",
            ffn_in=("mlp.Wi",),
            ffn_reads="mlp_norm",
            ffn_dense="mlp.Wo",
            ffn_out="mlp.Wo",
            ffn_norm="mlp_norm",
        ),
    ),
    norm="pre",
    head_reads="all",
    fast=MODULES | {"attention"},
    bias_switches=("attention_bias", "mlp_bias", "norm_bias"),
)
