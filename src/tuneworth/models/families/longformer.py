"""Longformer: BERT's layers, with attention within a window. Its global attention has projections of its own beside these."""

from __future__ import annotations

from tuneworth.models.families.base import MODULES, Family
from tuneworth.models.families.bert import BERT

FAMILY = Family(
    types=("longformer",),
    stacks=(BERT,),
    norm="post",
    head_reads="first",
    fast=MODULES,
)
