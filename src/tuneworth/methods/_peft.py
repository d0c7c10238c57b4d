"""What every method that goes through peft needs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from tuneworth.models.families import layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def chance(generator: torch.Generator) -> Iterator[None]:
    """peft draws from the global stream: within, that one is seeded by `generator`; after, it is what it was. Its warnings (of
    kernels that are not there, of weights that it turns) are for people who call it."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        torch.default_generator.manual_seed(int(seed))
        yield


def every_linear(model: PreTrainedModel) -> list[str]:
    """The names of all linear layers of the base model."""
    named = model.base_model.named_modules()
    return [f"{model.base_model_prefix}.{name}" for name, module in named if isinstance(module, nn.Linear | Conv1D)]


def query_and_value(model: PreTrainedModel) -> list[str]:
    """The last parts of their names, in a model of a family that is named."""
    found = [path for _, block in layers(model, "peft") for path in (block.query, block.value)]
    return list(dict.fromkeys(path.rpartition(".")[2] for path in found))


def transposed(model: PreTrainedModel, targets: Sequence[str]) -> bool:
    """Whether the modules that `targets` name (endings of names) keep their weights as (inputs, outputs), as GPT-2's do."""
    return any(
        isinstance(module, Conv1D) and any(name == target or name.endswith(f".{target}") for target in targets)
        for name, module in model.named_modules()
    )
