"""BERT and what is built like it."""

from __future__ import annotations

from tuneworth.models.families.base import FAST, Block, Family

BERT = Block(
    layers="encoder.layer.*",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_dense="attention.output.dense",
    attention_out="attention.output.dropout",
    attention_norm="attention.output.LayerNorm",
    ffn_in=("intermediate.dense",),
    ffn_reads="intermediate.dense",
    ffn_dense="output.dense",
    ffn_out="output.dropout",
    ffn_norm="output.LayerNorm",
)
FAMILY = Family(
    types=("bert", "camembert", "electra", "roberta", "xlm-roberta"),
    stacks=(BERT,),
    norm="post",
    head_reads="first",
    fast=FAST,
)
