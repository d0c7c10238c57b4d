"""T5: an encoder and a decoder, pre-norm by RMSNorm, no biases; scores have a learnt term by distance. The head reads the
decoder's state at the end mark. A tagger has the encoder alone."""

from __future__ import annotations

from dataclasses import replace

from tuneworth.models.families.base import MODULES, Block, Family

_ENCODER = Block(
    layers="encoder.block.*",
    query="layer.0.SelfAttention.q",
    key="layer.0.SelfAttention.k",
    value="layer.0.SelfAttention.v",
    attention_dense="layer.0.SelfAttention.o",
    attention_out="layer.0.dropout",
    attention_norm="layer.0.layer_norm",
    ffn_in=("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wi_1"),
    ffn_reads="layer.1.layer_norm",
    ffn_dense="layer.1.DenseReluDense.wo",
    ffn_out="layer.1.dropout",
    ffn_norm="layer.1.layer_norm",
)
_DECODER = replace(
    _ENCODER,
    layers="decoder.block.*",
    ffn_in=("layer.2.DenseReluDense.wi", "layer.2.DenseReluDense.wi_0", "layer.2.DenseReluDense.wi_1"),
    ffn_reads="layer.2.layer_norm",
    ffn_dense="layer.2.DenseReluDense.wo",
    ffn_out="layer.2.dropout",
    ffn_norm="layer.2.layer_norm",
)
FAMILY = Family(
    types=("t5",),
    stacks=(_ENCODER, _DECODER),
    norm="pre",
    head_reads="last",
    fast=MODULES,
)
