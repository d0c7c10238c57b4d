"""From a delta and its base model to the tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tuneworth import models
from tuneworth.deltas.files import DeltaInfo, read_info, read_tensors
from tuneworth.errors import DeltaError
from tuneworth.models.load import Loaded, load
from tuneworth.models.positions import positions
from tuneworth.train import rng
from tuneworth.tuned import apply_to, shapes_of
from tuneworth.words import first_line


@dataclass(frozen=True)
class Tuned:
    """A delta in its base model: float32, on the CPU, ready to answer, with the architecture as transformers runs it."""

    info: DeltaInfo
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    names: tuple[str, ...]
    """Of the trained parameters."""
    head: frozenset[str]
    """Of the task head's parameters."""
    source: str
    """The directory of the base model."""


def load_delta(
    directory: str | Path, model: str | None = None, allow_pickle: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The tuned model and its tokenizer; `model` says where the base is, if not where it was at training.

    Raises DeltaError for a damaged delta or another base model, ModelError where the base cannot be found. A model
    of numbers answers on the standardised scale it was trained on; `Predictor` and a merged model answer in the user's unit.
    """
    tuned = load_tuned(Path(directory), model, allow_pickle)
    return tuned.model, tuned.tokenizer


def load_tuned(directory: Path, model: str | None = None, allow_pickle: bool = False) -> Tuned:
    """`load_delta`, with what is known about the result."""
    info = read_info(directory)
    tensors = read_tensors(directory, info)
    ref = models.resolve(model or info.base, allow_pickle)
    if ref.fingerprint != info.base_fingerprint:
        raise DeltaError(f"{str(directory)!r} was made for {info.base!r} (content {info.base_fingerprint}), not for "
                         f"{ref.name!r} (content {ref.fingerprint})", "name the right base with --model")  # fmt: skip
    check_length(directory, info, ref.source)
    chance = rng.generator(info.seed, "head")  # drawn, then replaced
    loaded = load(ref.source, info.codec.outputs, info.task_kind, chance, allow_pickle)
    names = put(loaded, directory, info, tensors)
    return Tuned(info, loaded.model.eval(), loaded.tokenizer, tuple(names), loaded.head, ref.source)


def check_length(directory: Path, info: DeltaInfo, source: str) -> None:
    """Raises DeltaError where it asks for longer texts than its base model, in the directory `source`, can read."""
    most = positions(source)
    if most is not None and info.max_length > most:
        raise DeltaError(f"{str(directory)!r} has max_length {info.max_length:,}, and its base model can read {most:,} tokens",
                         "copy the delta again, or tune again")  # fmt: skip


def put(loaded: Loaded, directory: Path, info: DeltaInfo, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Tune `loaded.model` as the delta's method does, by its own seed, and give it what was learnt. Returns the trained
    parameters' names.

    The trained parameters get memory of their own, in float32; all others keep theirs, which other models may share.
    Raises DeltaError where the tensors do not fit, before anything of their method's size is built.
    """
    _compare(directory, info, shapes_of(loaded, info), tensors)
    try:
        names = apply_to(loaded, info)
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise DeltaError(f"{str(directory)!r}: its method {info.method!r} cannot be built: {first_line(error)}",
                         "copy the delta again, or tune again") from error  # fmt: skip
    parameters = {name: loaded.model.get_parameter(name) for name in names}
    _compare(directory, info, {name: parameter.shape for name, parameter in parameters.items()}, tensors)
    for name, parameter in parameters.items():
        parameter.data = tensors[name].to(parameter.device, torch.float32, copy=True)
    return names


def _compare(
    directory: Path, info: DeltaInfo, wanted: Mapping[str, torch.Size] | None, tensors: Mapping[str, torch.Tensor]
) -> None:
    if wanted is None:
        return
    given = {name: tensor.shape for name, tensor in tensors.items()}
    wrong = sorted(name for name in {*wanted, *given} if wanted.get(name) != given.get(name))
    if wrong:
        raise DeltaError(f"{str(directory)!r} does not fit its method {info.method!r}: {wrong[0]!r} is missing, extra "
                         "or of another shape", "copy the delta again, or tune again")  # fmt: skip
