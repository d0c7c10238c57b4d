"""Llama and what is built like it: pre-norm by RMSNorm, rotary positions, a gated FFN, no dropout, few biases or none."""

from __future__ import annotations

from tuneworth.models.families.base import MODULES, Block, Family

LLAMA = Block(
    layers="layers.*",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    attention_dense="self_attn.o_proj",
    attention_out="self_attn.o_proj",
    attention_norm="input_layernorm",
    ffn_in=("mlp.gate_proj", "mlp.up_proj"),
    ffn_reads="post_attention_layernorm",
    ffn_dense="mlp.down_proj",
    ffn_out="mlp.down_proj",
    ffn_norm="post_attention_layernorm",
)
FAMILY = Family(
    types=("gemma", "llama", "mistral", "qwen2", "qwen3", "smollm3"),
    stacks=(LLAMA,),
    norm="pre",
    head_reads="last",
    fast=MODULES | {"attention"},
    bias_switches=("attention_bias", "mlp_bias"),
)
