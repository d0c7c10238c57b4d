"""From a delta and its base model to the tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tuneworth import methods, models
from tuneworth.deltas.files import DeltaInfo, read_info, read_tensors
from tuneworth.errors import DeltaError
from tuneworth.methods._tune import tune
from tuneworth.models.load import Loaded, load


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

    Raises DeltaError for a damaged delta or another base model, ModelError where the base cannot be found. A regression
    model answers on the standardised scale it was trained on; `Predictor` and a merged model answer in the user's unit.
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
    # Initial values are drawn, then replaced; the seed only has to be some seed.
    loaded = load(ref.source, len(info.labels or ("",)), info.task_kind, torch.Generator().manual_seed(0), allow_pickle)
    names = put(loaded, directory, info, tensors)
    return Tuned(info, loaded.model.eval(), loaded.tokenizer, tuple(names), loaded.head, ref.source)


def put(loaded: Loaded, directory: Path, info: DeltaInfo, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Tune `loaded.model` as the delta's method does and give it what was learnt. Returns the trained parameters' names.

    The trained parameters get memory of their own, in float32; all others keep theirs, which other models may share.
    Raises DeltaError where the tensors do not fit.
    """
    method = methods.get_method(info.kind)
    names = tune(loaded, method, methods.method_options(method, dict(info.options)), torch.Generator().manual_seed(0))
    parameters = dict(loaded.model.named_parameters())
    wrong = sorted(set(names) ^ set(tensors)) or [n for n in names if parameters[n].shape != tensors[n].shape]
    if wrong:
        raise DeltaError(f"{str(directory)!r} does not fit its method {info.method!r}: {wrong[0]!r} is missing, extra "
                         "or of another shape", "copy the delta again, or tune again")  # fmt: skip
    for name in names:
        parameters[name].data = tensors[name].to(parameters[name].device, torch.float32, copy=True)
    return names
