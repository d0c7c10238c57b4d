"""MPNet: post-norm layers, with an attention of its own that adds to its scores what lies between two tokens."""

from __future__ import annotations

from dataclasses import replace

from tuneworth.models.families.base import MODULES, Family
from tuneworth.models.families.bert import BERT

FAMILY = Family(
    types=("mpnet",),
    stacks=(
        replace(
            BERT,
            query="attention.attn.q",
            key="attention.attn.k",
            value="attention.attn.v",
            attention_dense="attention.attn.o",
            attention_out="attention.dropout",
            attention_norm="attention.LayerNorm",
        ),
    ),
    norm="post",
    head_reads="first",
    fast=MODULES,
)
