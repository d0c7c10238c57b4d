"""BART: an encoder and a decoder, post-norm. The head reads the decoder's state at the end mark. Its dropout is no module: what
hangs on a projection acts before it."""

from __future__ import annotations

from dataclasses import replace

from tuneworth.models.families.base import MODULES, Block, Family

_ENCODER = Block(
    layers="encoder.layers.*",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    attention_dense="self_attn.out_proj",
    attention_out="self_attn.out_proj",
    attention_norm="self_attn_layer_norm",
    ffn_in=("fc1",),
    ffn_reads="fc1",
    ffn_dense="fc2",
    ffn_out="fc2",
    ffn_norm="final_layer_norm",
)
FAMILY = Family(
    types=("bart",),
    stacks=(_ENCODER, replace(_ENCODER, layers="decoder.layers.*")),
    norm="post",
    head_reads="last",
    fast=MODULES | {"attention"},
)
