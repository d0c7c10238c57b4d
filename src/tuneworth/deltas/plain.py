"""From a tuned model to a plain one: what a method added goes into the parameters that the architecture has anyway."""

from __future__ import annotations

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from tuneworth.deltas.load import Tuned
from tuneworth.errors import DeltaError
from tuneworth.words import first_line


def make_plain(tuned: Tuned) -> None:
    """Change `tuned.model` in place. Raises DeltaError where the architecture has no place for what the method added."""
    unwrap(tuned.model)
    fold_unit(tuned)
    _fit(tuned)
    if (names := tuned.info.codec.names) is not None:
        tuned.model.config.id2label = dict(enumerate(names))
        tuned.model.config.label2id = {name: number for number, name in enumerate(names)}


def unwrap(model: PreTrainedModel) -> None:
    """Put what peft's layers learnt into the layers they wrap, and these back in their place. Raises DeltaError for a tuner that
    peft cannot merge."""
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            try:
                module.merge(safe_merge=True)
            except (NotImplementedError, ValueError) as error:
                raise DeltaError(f"peft cannot merge it: {first_line(error)}",
                                 "tuneworth export DELTA --to onnx -o model.onnx keeps it") from error  # fmt: skip
            model.set_submodule(name, module.get_base_layer())


def fold_unit(tuned: Tuned) -> None:
    """Numbers: the head answers s (W x + b) + m = (s W) x + (s b + m), m and s the mean and deviation of the targets."""
    if tuned.info.codec.unit is None:
        return
    mean, scale = tuned.info.codec.unit
    last = [
        m for name, m in tuned.model.named_modules() if f"{name}.weight" in tuned.head and isinstance(m, nn.Linear)
    ][-1]
    if last.bias is None:
        raise DeltaError(f"the head of a {type(tuned.model).__name__} has no bias that could hold the mean of the targets",
                         "tuneworth export DELTA --to onnx -o model.onnx keeps it")  # fmt: skip
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.copy_(last.bias.double() * scale + mean)


def _fit(tuned: Tuned) -> None:
    """What the architecture builds from its config alone must have the very parameters that the tuned model has.

    Biases that bitfit's `add_missing` did not add, but that the config's switches bring along, are zero.
    """
    with torch.device("meta"):
        plain = type(tuned.model)(tuned.model.config)
    wanted = {name: parameter.shape for name, parameter in plain.named_parameters()}
    own = {name for name, _ in tuned.model.named_parameters()}
    for name in sorted(wanted.keys() - own):
        path, _, last = name.rpartition(".")
        if last == "bias":
            tuned.model.get_submodule(path).register_parameter(last, nn.Parameter(torch.zeros(wanted[name])))
            own.add(name)
    extra = sorted(wanted.keys() ^ own)
    if extra:
        raise DeltaError(f"a delta of {tuned.info.method!r} cannot be merged: a plain {type(plain).__name__} has no place "
                         f"for {extra[0]!r}", "tuneworth export DELTA --to onnx -o model.onnx keeps it")  # fmt: skip
