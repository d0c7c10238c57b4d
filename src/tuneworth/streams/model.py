"""A model tuned by a trial's method, and its parts that a stream carries on or exchanges: the body and the head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tuneworth.events import Job
from tuneworth.methods import get_method, method_options
from tuneworth.methods._tune import tune
from tuneworth.models.load import load
from tuneworth.spec import Precision
from tuneworth.tasks import Examples
from tuneworth.train import flops, rng
from tuneworth.train.batches import Tokens, tokenize_cached
from tuneworth.train.fast import lay_out

__all__ = ["Tuned", "put", "size", "tokens_of", "tuned_model"]

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Tuned:
    """A model ready to train. `body` and `head` name its trained parameters, those of the task head apart."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    body: tuple[str, ...]
    head: tuple[str, ...]
    cost: flops.FlopModel

    def parts(self, names: Iterable[str]) -> Tensors:
        """Copies on the CPU."""
        return {name: self.model.get_parameter(name).detach().cpu().clone() for name in names}


def tuned_model(job: Job, outputs: int, kind: str, device: torch.device, precision: Precision) -> Tuned:
    """The pre-trained model with a fresh head, tuned by the trial's method: where every ordinary trial starts too."""
    trial = job.trial
    loaded = load(job.model_source, outputs, kind, rng.generator(trial.seed, "head"), job.allow_pickle)
    heads = {id(p) for name, p in loaded.model.named_parameters() if name in loaded.head}
    method = get_method(trial.kind)
    options = method_options(method, dict(trial.options))
    names = tune(loaded, method, options, rng.generator(trial.seed, "delta"))
    head = tuple(name for name in names if id(loaded.model.get_parameter(name)) in heads)
    cost = flops.count(loaded.model, loaded.tokenizer, (trial.model_fingerprint, trial.kind, repr(options), outputs))
    lay_out(loaded.model, device, precision)
    return Tuned(loaded.model, loaded.tokenizer, tuple(n for n in names if n not in head), head, cost)


def put(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Set parameters by name, whatever shape they had: another task's head may have another number of outputs."""
    for name, tensor in tensors.items():
        old = model.get_parameter(name)
        if old.shape == tensor.shape:
            with torch.no_grad():
                old.copy_(tensor)
        else:
            path, _, last = name.rpartition(".")
            new = nn.Parameter(tensor.to(old.device, copy=True), requires_grad=old.requires_grad)
            setattr(model.get_submodule(path), last, new)


def size(tensors: Mapping[str, torch.Tensor]) -> int:
    """Bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def tokens_of(job: Job, tokenizer: PreTrainedTokenizerBase, fingerprint: str, part: str, examples: Examples) -> Tokens:
    """The tokens of a task's train or test part, from the same file that ordinary trials keep."""
    kept = f"{job.trial.model_fingerprint}-{fingerprint}-{job.trial.max_length}-{part}.safetensors"
    return tokenize_cached(job.files / "tokens" / kept, tokenizer, examples, job.trial.max_length)
