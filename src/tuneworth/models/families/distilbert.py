"""DistilBERT."""

from __future__ import annotations

from tuneworth.models.families.base import FAST, Block, Family

FAMILY = Family(
    types=("distilbert",),
    stacks=(
        Block(
            layers="transformer.layer.*",
            query="attention.q_lin",
            key="attention.k_lin",
            value="attention.v_lin",
            attention_dense="attention.out_lin",
            attention_out="attention.out_lin",
            attention_norm="sa_layer_norm",
            ffn_in=("ffn.lin1",),
            ffn_reads="ffn.lin1",
            ffn_dense="ffn.lin2",
            ffn_out="ffn.dropout",
            ffn_norm="output_layer_norm",
        ),
    ),
    norm="post",
    head_reads="first",
    fast=FAST,
)
