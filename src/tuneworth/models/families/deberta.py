"""DeBERTa v2 and v3: BERT's layers, with an attention of their own that adds to its scores what lies between two tokens."""

from __future__ import annotations

from dataclasses import replace

from tuneworth.models.families.base import MODULES, Family
from tuneworth.models.families.bert import BERT

FAMILY = Family(
    types=("deberta-v2",),
    stacks=(
        replace(
            BERT, query="attention.self.query_proj", key="attention.self.key_proj", value="attention.self.value_proj"
        ),
    ),
    norm="post",
    head_reads="first",
    fast=MODULES,
)
