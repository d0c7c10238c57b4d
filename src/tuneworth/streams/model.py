"""A model tuned by a trial's method, and its parts that a stream carries on or exchanges: the body and the head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from tuneworth.events import Job
from tuneworth.spec import Precision
from tuneworth.tasks import Examples
from tuneworth.train.batches import Tokens, tokenize_cached
from tuneworth.train.fast import lay_out
from tuneworth.train.flops import FlopModel
from tuneworth.tuned import Tuned, training_cost, tuned_model

__all__ = ["Ready", "put", "ready_model", "size", "tokens_of"]


@dataclass(frozen=True)
class Ready(Tuned):
    """A tuned model, laid out on its device, and what a step of it takes."""

    cost: FlopModel


def ready_model(job: Job, outputs: int, kind: str, device: torch.device, precision: Precision) -> Ready:
    """The pre-trained model with a fresh head, tuned by the trial's method: where every ordinary trial starts too."""
    tuned = tuned_model(job.trial, job.model_source, outputs, kind, job.allow_pickle)
    cost = training_cost(job.trial, tuned, outputs)
    lay_out(tuned.model, device, precision)
    return Ready(tuned.model, tuned.tokenizer, tuned.names, tuned.head, cost)


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
