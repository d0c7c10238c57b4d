"""Where each encoder family keeps the parts that papers speak of: the one table that methods and the fast path share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tuneworth.errors import ModelError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Places:
    """Module paths. `layers` is a pattern below the base model; all others are relative to one layer.

    In these families a layer is post-norm: a = attention_norm(x + attention_out(..)), then ffn_norm(a + ffn_out(..)),
    and ffn_in reads a. attention_dense mixes the heads; what attention_out and ffn_out give is the sub-layer's output
    after its dropout.
    """

    layers: str
    query: str
    key: str
    value: str
    attention_dense: str
    attention_out: str
    attention_norm: str
    ffn_in: str
    ffn_out: str
    ffn_norm: str


_BERT = Places(
    layers="encoder.layer.*",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_dense="attention.output.dense",
    attention_out="attention.output.dropout",
    attention_norm="attention.output.LayerNorm",
    ffn_in="intermediate.dense",
    ffn_out="output.dropout",
    ffn_norm="output.LayerNorm",
)
_DISTILBERT = Places(
    layers="transformer.layer.*",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attention_dense="attention.out_lin",
    attention_out="attention.out_lin",
    attention_norm="sa_layer_norm",
    ffn_in="ffn.lin1",
    ffn_out="ffn.dropout",
    ffn_norm="output_layer_norm",
)
_ALBERT = Places(  # layers that ALBERT shares are one module: what is added to it is shared as well
    layers="encoder.albert_layer_groups.*.albert_layers.*",
    query="attention.query",
    key="attention.key",
    value="attention.value",
    attention_dense="attention.dense",
    attention_out="attention.output_dropout",
    attention_norm="attention.LayerNorm",
    ffn_in="ffn",
    ffn_out="ffn_output",
    ffn_norm="full_layer_layer_norm",
)

PLACES = {
    "albert": _ALBERT,
    "bert": _BERT,
    "camembert": _BERT,
    "distilbert": _DISTILBERT,
    "electra": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}
"""By `config.model_type`."""


def layers(model: PreTrainedModel, what: str) -> Iterator[tuple[nn.Module, Places]]:
    """Each encoder layer of `model`, first to last, with its row of the table.

    Raises ModelError, saying `what` found no place, for other families.
    """
    family = model.config.model_type
    if family not in PLACES:
        raise ModelError(f"{what} has no place in a model of type {family!r}",
                         f"supported: {', '.join(PLACES)}; other methods take any model")  # fmt: skip
    places = PLACES[family]
    depth = places.layers.count(".")
    for name, module in model.base_model.named_modules():
        if name.count(".") == depth and fnmatchcase(name, places.layers):
            yield module, places
