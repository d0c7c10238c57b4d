"""Families of models: one file a family says where the parts that papers speak of are, and what the fast path may do.

Other packages add families through the entry-point group `tuneworth.families`; those of this folder enter by the same door, and
a new file here is found by itself. Family files must not import torch.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Literal

from tuneworth.errors import ModelError
from tuneworth.models.families.base import FAST, MODULES, Block, Family, Part

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

__all__ = [
    "FAST",
    "MODULES",
    "Block",
    "Family",
    "Part",
    "all_families",
    "family_of",
    "layers",
    "norms",
    "spans",
    "why_unknown",
]

GROUP = "tuneworth.families"


@cache
def all_families() -> Mapping[str, Family]:
    """Every family by model type, in alphabetical order; the later of two that name one type counts."""
    own = [
        EntryPoint(module.name, f"{__name__}.{module.name}:FAMILY", GROUP)
        for module in pkgutil.iter_modules(__path__)
        if module.name != "base"
    ]
    found: dict[str, Family] = {}
    for entry in (*own, *entry_points(group=GROUP)):
        family: Family = entry.load()
        found |= dict.fromkeys(family.types, family)
    return dict(sorted(found.items()))


def family_of(model: PreTrainedModel) -> Family | None:
    """The family that `model` is of, after a look at its config and its modules; None: none that is named."""
    return None if why_unknown(model) else all_families()[_type(model)]


def why_unknown(model: PreTrainedModel) -> str:
    """Why `model` is of no family that is named, to be said after "it"; "" where it is of one."""
    family = all_families().get(_type(model))
    if family is None:
        return f"is of type {_type(model)!r}, whose parts nobody has named (docs/add-a-family.md)"
    if unlike := family.unlike(model.config.get_text_config()):
        return unlike
    found = list(_found(model, family))
    if not found:
        return f"has no layers at {family.stacks[0].layers!r}"
    for layer, block in found:
        for path in (block.query, block.key, block.value, block.attention_dense, block.attention_out, block.ffn_reads,
                     block.ffn_dense, block.ffn_out, block.ffn_norm):  # fmt: skip
            try:
                layer.get_submodule(path)
            except AttributeError:
                return f"has no {path!r} in its layers"
    return ""


def layers(model: PreTrainedModel, what: str) -> Iterator[tuple[nn.Module, Block]]:
    """Each layer of `model`, first to last, encoder before decoder, with where its parts are.

    Raises ModelError, saying `what` found no place, for a model of no family that is named.
    """
    if reason := why_unknown(model):
        raise ModelError(
            f"{what} has no place in this model: it {reason}",
            f"full, head, bitfit, lora and peft's methods take any model; this one takes {', '.join(all_families())}",
        )
    yield from _found(model, all_families()[_type(model)])


def norms(model: PreTrainedModel) -> Iterator[nn.Module]:
    """Every LayerNorm and RMSNorm of the base model; each family has classes of its own for the latter."""
    from torch import nn

    for module in model.base_model.modules():
        if isinstance(module, nn.LayerNorm | nn.RMSNorm) or type(module).__name__.endswith(("LayerNorm", "RMSNorm")):
            yield module


def spans(block: Block, config: PreTrainedConfig, size: int, of: Literal["query", "key", "value"]) -> list[slice]:
    """The outputs of a projection, of `size` outputs, that are queries, keys or values."""
    if block.fused is None:
        return [slice(0, size)]
    config = config.get_text_config()
    heads = config.num_attention_heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    width, place = size // (heads + 2 * shared), ("query", "key", "value").index(of)
    if block.fused == "heads":
        return [slice((3 * head + place) * width, (3 * head + place + 1) * width) for head in range(heads)]
    ends = [0, heads * width, (heads + shared) * width, size]
    return [slice(ends[place], ends[place + 1])]


def _found(model: PreTrainedModel, family: Family) -> Iterator[tuple[nn.Module, Block]]:
    for block in family.stacks:
        depth = block.layers.count(".")
        for name, module in model.base_model.named_modules():
            if name.count(".") == depth and fnmatchcase(name, block.layers):
                yield module, block


def _type(model: PreTrainedModel) -> str:
    kind: str = model.config.model_type
    return kind
