"""The parts of an encoder that a CPU runs slowly as they come, done faster. docs/performance.md has the measurements.

Each part has a file and replaces one kind of module, whatever the family; what it does not know stays as it is.
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

from tuneworth.spec import Precision
from tuneworth.train.device import cast_frozen
from tuneworth.train.fast import compiled
from tuneworth.train.fast.attention import attention
from tuneworth.train.fast.dropout import ByteDropout
from tuneworth.train.fast.gelu import CompiledGELU, exact
from tuneworth.train.fast.last_layer import first_token_only
from tuneworth.train.fast.linear import PackedLinear, TrainedLinear, packable, trainable
from tuneworth.train.fast.lora import FusedLora, fusable
from tuneworth.train.fast.norm import CompiledNorm, replaceable
from tuneworth.train.fast.packing import PACKING, pack, packs

NAME = "tuneworth_cpu"
ADDING = frozenset({"gemma2", "gemma3", "gemma3_text", "gpt_oss", "mt5", "t5", "t5gemma", "t5gemma2", "umt5"})
"""Model types whose attention has learnt biases by distance, a cap or sinks beside what every attention has."""
AT_ONCE = 6 * 2**20
"""Tokens x hidden size x layers that go through a model at once: fewer are slower, more cost memory alone (docs/log.md)."""


def lay_out(model: PreTrainedModel, device: torch.device, precision: Precision, shared: bool = False) -> None:
    """Make a tuned model ready for `device`, for training and for prediction alike. `shared`: other models are made from its
    modules, which therefore stay what they are, weights included."""
    model.to(device)
    fast = device.type == "cpu" and not plain()
    if fast:
        speed_up(model, shared, precision)
    if precision == "bf16":
        cast_frozen(model)


def kernels(model: PreTrainedModel) -> str:
    """What of this comes to bear on a model that was laid out: recorded with its trial, so the report says it once."""
    if plain():
        return "plain, as TUNEWORTH_PLAIN asks"
    if model.device.type != "cpu":
        return "plain"
    family, lacking = model.config.model_type, []
    if model.config._attn_implementation != NAME:
        lacking.append(f"{family} {_needs_more(model)}, so attention is left to transformers")
    elif not any(hasattr(module, PACKING) for module in model.modules()):
        lacking.append(f"{family} works on padded batches")
    if isinstance(found := compiled.library(), str):
        lacking = [f"nothing is compiled ({found})"]
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
    """Replace the slow parts of a model on a CPU, and narrow its last layer. Models whose attention needs more than `attention`
    has keep their own, and their last layer."""
    if not _needs_more(model):
        _register()
        model.set_attn_implementation(NAME)
        if not shared and packs(model):
            pack(model)
        else:
            first_token_only(model)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    for module in model.modules():  # in place: methods hang their hooks on these very modules
        if type(module) is nn.Dropout:
            module.__class__ = ByteDropout
        elif compiled.there() and replaceable(module):
            module.__class__ = CompiledNorm
        elif compiled.there() and exact(module):
            module.__class__ = CompiledGELU
        elif not shared and packable(module, dtype):
            module.__class__ = PackedLinear
            module.packed_for = dtype
        elif not shared and precision == "bf16" and compiled.there() and trainable(module):
            module.__class__ = TrainedLinear
        elif fusable(module):
            module.__class__ = FusedLora


def _needs_more(model: PreTrainedModel) -> str:
    """What a model's attention has that `attention` lacks, in words; "" where there is nothing."""
    config = model.config.get_text_config()
    grouped = getattr(config, "num_key_value_heads", None)
    if grouped not in (None, getattr(config, "num_attention_heads", None)):
        return "shares key heads"
    return "adds to its scores" if config.model_type in ADDING else ""


@functools.cache
def _register() -> None:
    ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, eager_mask)
