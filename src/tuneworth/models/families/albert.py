"""ALBERT: its layers share one module, so what is added to it is shared as well, and the last one is no module of its own."""

from __future__ import annotations

from tuneworth.models.families.base import FAST, Block, Family

FAMILY = Family(
    types=("albert",),
    stacks=(
        Block(
            layers="encoder.albert_layer_groups.*.albert_layers.*",
            query="attention.query",
            key="attention.key",
            value="attention.value",
            attention_dense="attention.dense",
            attention_out="attention.output_dropout",
            attention_norm="attention.LayerNorm",
            ffn_in=("ffn",),
            ffn_reads="ffn",
            ffn_dense="ffn_output",
            ffn_out="ffn_output",
            ffn_norm="full_layer_layer_norm",
        ),
    ),
    norm="post",
    head_reads="first",
    fast=FAST - {"last_layer", "packing"},
)
