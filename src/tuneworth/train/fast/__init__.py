"""The parts of a model that a CPU runs slowly as they come, done faster. docs/performance.md has the measurements.

Each part has a file. A model gets those that its family declares (models/families), as far as the model itself bears it out; one
of no family that is named stays as transformers made it.
TUNEWORTH_PLAIN=1 in the environment leaves every model as transformers made it: the path to check this one against.
"""

from __future__ import annotations

import functools
import os

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tuneworth.models.families import Part, family_of, why_unknown
from tuneworth.spec import Precision
from tuneworth.train.device import cast_frozen
from tuneworth.train.fast import compiled, int8
from tuneworth.train.fast.attention import attention
from tuneworth.train.fast.dropout import ByteDropout
from tuneworth.train.fast.gelu import CompiledGELU, exact
from tuneworth.train.fast.last_layer import first_token_only
from tuneworth.train.fast.linear import PackedLinear, TrainedLinear, packable, trainable
from tuneworth.train.fast.lora import FusedLora, fusable
from tuneworth.train.fast.norm import CompiledNorm, replaceable
from tuneworth.train.fast.packing import PACKING, pack, packs

NAME = "tuneworth_cpu"
LOW = frozenset({"bf16", "int8"})
"""Precisions in which what is no product of integers is in bf16."""
AT_ONCE = 6 * 2**20
"""Tokens x hidden size x layers that go through a model at once: fewer are slower, more cost memory alone (docs/log.md)."""


def lay_out(model: PreTrainedModel, device: torch.device, precision: Precision, shared: bool = False) -> None:
    """Make a tuned model ready for `device`, for training and for prediction alike. `shared`: other models are made from its
    modules, which therefore stay what they are, weights included."""
    model.to(device)
    fast = device.type == "cpu" and not plain()
    if fast:
        speed_up(model, shared, precision)
    if precision in LOW:
        cast_frozen(model)


def kernels(model: PreTrainedModel) -> str:
    """What of this comes to bear on a model that was laid out: recorded with its trial, so the report says it once."""
    if plain():
        return "plain, as TUNEWORTH_PLAIN asks"
    if model.device.type != "cpu":
        return "plain"
    if reason := why_unknown(model):
        return f"plain, for it {reason}"
    family, lacking = model.config.model_type, []
    if "attention" not in parts(model):
        shares = f"{family} shares key heads, so " if _shares_keys(model) else ""
        lacking.append(f"{shares}attention is left to transformers")
    elif not any(hasattr(module, PACKING) for module in model.modules()):
        lacking.append(f"{family} works on padded batches")
    if isinstance(found := compiled.library(), str):
        lacking = [f"nothing is compiled ({found})"]
    kept = sum(type(module) is PackedLinear for module in model.modules())
    if kept and any(isinstance(module, int8.Int8Linear) for module in model.modules()):
        lacking.append(
            f"{kept} layers kept in bf16, since int8 would change their outputs by more than {int8.LIMIT:.0%}"
        )
    return "; ".join(["fast", *lacking])


def tokens_at_once(model: PreTrainedModel) -> int | None:
    """How many tokens of a batch to train on at once; None: all. In parts, where few parameters are trained, since each
    part adds to every gradient."""
    hidden, layers = (getattr(model.config, name, None) for name in ("hidden_size", "num_hidden_layers"))
    if plain() or model.device.type != "cpu" or not hidden or not layers:
        return None
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    few = 10 * trained < sum(p.numel() for p in model.parameters())
    return max(1, AT_ONCE // (hidden * layers)) if few else None


def plain() -> bool:
    """Whether the user asked for the plain path."""
    return os.environ.get("TUNEWORTH_PLAIN", "") not in ("", "0")


def speed_up(model: PreTrainedModel, shared: bool = False, precision: Precision = "fp32") -> None:
    """Replace the slow parts of a model on a CPU, and narrow its last layer, as far as `parts` goes."""
    taken = parts(model)
    if "attention" in taken:
        _register()
        model.set_attn_implementation(NAME)
        if "packing" in taken and not shared and packs(model):
            pack(model)
        elif "last_layer" in taken:
            first_token_only(model)
    dtype = torch.bfloat16 if precision in LOW else torch.float32
    for module in model.modules():  # in place: methods hang their hooks on these very modules
        if "dropout" in taken and type(module) is nn.Dropout:
            module.__class__ = ByteDropout
        elif "norm" in taken and compiled.there() and replaceable(module):
            module.__class__ = CompiledNorm
        elif "gelu" in taken and compiled.there() and exact(module):
            module.__class__ = CompiledGELU
        elif "linear" not in taken:
            continue
        elif not shared and precision == "int8" and packable(module, dtype):
            module.__class__ = int8.Int8Linear
        elif not shared and packable(module, dtype):
            module.__class__ = PackedLinear
            module.packed_for = dtype
        elif not shared and precision in LOW and compiled.there() and trainable(module):
            module.__class__ = TrainedLinear
        elif fusable(module):
            module.__class__ = FusedLora
    if precision == "int8":
        int8.exact_where_it_suffers(model)


def parts(model: PreTrainedModel) -> frozenset[Part]:
    """What of this `model` takes: what its family declares, less what the model itself is not made for."""
    family = family_of(model)
    if family is None:
        return frozenset()
    taken = family.fast
    if _shares_keys(model):
        taken -= {"attention", "last_layer", "packing"}
    if not type(model).__name__.endswith("ForSequenceClassification"):  # its head reads every token
        taken -= {"last_layer", "packing"}
    return taken


def _shares_keys(model: PreTrainedModel) -> bool:
    """Whether several heads look at one head of keys, which `attention` has no way to do."""
    config = model.config.get_text_config()
    grouped = getattr(config, "num_key_value_heads", None)
    return grouped not in (None, getattr(config, "num_attention_heads", None))


@functools.cache
def _register() -> None:
    ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, eager_mask)
