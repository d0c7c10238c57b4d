"""A frozen encoder runs once over the data: where the head alone is trained, what it reads of each example is kept.

`Frozen` stands in the base model's place within the whole model, so that the code around it, the head's own dropout
included, runs as transformers wrote it: on tokens through the encoder, with its dropout off, or on features of before.

A trial is charged for its pass (seconds and FLOPs of the training examples that it sees) before its first step, whether it
made the pass itself or found the features of a trial before it. Where a budget holds less than two passes, few examples or
none would be met twice: the encoder then runs at every step.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from tuneworth.models.families import family_of
from tuneworth.spec import Precision
from tuneworth.tasks.splits import Split
from tuneworth.train.batches import Batches, Tokens
from tuneworth.train.clock import Clock
from tuneworth.train.device import autocast
from tuneworth.train.evaluate import by_tokens
from tuneworth.train.flops import FlopModel

__all__ = ["Features", "Frozen"]

PASS = 0.5
"""Of a budget in seconds or FLOPs, what a pass over the data may cost: with less left there are few steps to take."""
FIRST = 0.05
"""Of a pass, after which the rest of it is foreseen."""
KEPT_BYTES = 2**28
"""Of features that a process keeps for the trials to come: of one model and data set they are the same."""


@dataclass(frozen=True)
class Features:
    """What the head reads of some examples, in the place of `Tokens`. `values`: (kept, hidden size), float32; `place`: (n,), the
    row of example i, or -1."""

    values: torch.Tensor
    place: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """A row each, whatever the text."""
        return np.ones(len(self.place), dtype=np.int64)

    def batch(self, which: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
        return {"inputs_embeds": self.values[torch.from_numpy(self.place[which])][:, None].to(device)}


@dataclass(frozen=True)
class _Pass:
    """Features of some examples and what they cost: `seconds` an example, in the same order as `values`."""

    values: torch.Tensor
    seconds: NDArray[np.float64]


_passes: dict[Hashable, _Pass] = {}


class Frozen(nn.Module):
    """A base model that is not trained, in its own place, always in evaluation mode. A new pooler in it is trained."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = (model,)  # not a module of this one, which is one of its
        self.base = model.base_model.eval()
        pooler = getattr(self.base, "pooler", None)
        self.trained = pooler is not None and any(p.requires_grad for p in pooler.parameters())
        family = family_of(model)
        self.reads_first = family is not None and family.head_reads == "first"
        self.read: torch.Tensor | None = None
        setattr(model, model.base_model_prefix, self)

    def give_back(self) -> None:
        """Leave the model as it was found, its head trained."""
        setattr(self.model[0], self.model[0].base_model_prefix, self.base)

    def train(self, mode: bool = True) -> Frozen:  # noqa: ARG002
        return self

    def forward(self, *args: Any, inputs_embeds: torch.Tensor | None = None, **inputs: Any) -> Any:
        """`inputs_embeds`: features, (batch, 1, hidden size)."""
        if inputs_embeds is None:
            output = self.base(*args, **inputs)
            pooled = None if self.trained else getattr(output, "pooler_output", None)
            self.read = output[0][:, 0] if pooled is None else pooled
            return output
        pooled = self.base.pooler(inputs_embeds) if self.trained else inputs_embeds[:, 0]
        return BaseModelOutputWithPooling(last_hidden_state=inputs_embeds, pooler_output=pooled)

    @property
    def keepable(self) -> bool:
        """Whether all that the head reads is one vector a text: the first token, or what a pooler makes of it. ALBERT's pooler
        is no module of its own, and Longformer's own code wants the tokens, to mark the first."""
        no_module = self.trained and isinstance(self.base.pooler, nn.Linear)
        return self.reads_first and not no_module and self.model[0].config.model_type != "longformer"

    def features(
        self, tokens: Tokens, batches: Batches, split: Split, cost: FlopModel, clock: Clock, precision: Precision,
        alike: Hashable,
    ) -> tuple[Features, FlopModel] | None:  # fmt: skip
        """Features of what a trial will train and validate on, and the FLOPs of a step on them; `clock` is charged for the
        pass. None: they are not to be kept, and nothing was charged but what was tried. `alike` names the model and the tokens.
        """
        if tokens.words is not None or not self.keepable:
            return None
        head = FlopModel(self._head_flops(), 0, 0)
        seen = np.sort(split.train[_seen(batches, clock)])
        flops = sum(cost.batch(1, int(n)) for n in tokens.lengths[seen]) - head.batch(len(seen), 1)
        if clock.budget.unit == "flops" and flops > PASS * clock.budget.amount:
            return None
        which = np.union1d(seen, split.validation)
        key = alike, precision, str(self.model[0].device), hashlib.sha256(which.tobytes()).digest()
        limit = PASS * clock.budget.amount if clock.budget.timed else np.inf
        done = _passes.get(key)
        if done is None:
            start = time.perf_counter()
            done = self._run(tokens, which, precision, limit)
            if done is None:
                clock.seconds += time.perf_counter() - start
                return None
            _keep(key, done)
        share = float(done.seconds[np.isin(which, seen)].sum())
        if share > limit:
            return None
        clock.seconds += share
        clock.flops += flops
        place = np.full(len(tokens.lengths), -1, dtype=np.int64)
        place[which] = np.arange(len(which))
        return Features(done.values, place), head

    def _run(self, tokens: Tokens, which: NDArray[np.int64], precision: Precision, limit: float) -> _Pass | None:
        """One pass over `which`; None as soon as it is foreseen to take more than `limit` seconds."""
        model = self.model[0]
        lengths = tokens.lengths[which]
        order = np.argsort(lengths, kind="stable")
        values, seconds = torch.empty(0), np.zeros(len(which))
        spent, through, training = 0.0, 0, model.training
        model.eval()
        with torch.no_grad(), autocast(model.device, precision):
            for rows in by_tokens(lengths, order):
                start = time.perf_counter()
                model(**tokens.batch(which[rows], model.device))
                assert self.read is not None
                found = self.read.float().cpu()
                if not len(values):
                    values = torch.empty(len(which), found.shape[1])
                values[torch.from_numpy(rows)] = found
                took = time.perf_counter() - start
                seconds[rows] = took * lengths[rows] / lengths[rows].sum()
                spent, through = spent + took, through + int(lengths[rows].sum())
                if through >= FIRST * lengths.sum() and spent / through * lengths.sum() > limit:
                    values = torch.empty(0)
                    break
        model.train(training)
        self.read = None
        return _Pass(values, seconds) if len(values) else None

    def _head_flops(self) -> int:
        """Of a training step on one example's features."""
        model = self.model[0]
        training = model.training
        model.eval()  # no dropout: the count must not draw from the trial's random stream
        size = model.config.hidden_size
        with FlopCounterMode(display=False) as counter:
            model(inputs_embeds=torch.zeros(1, 1, size, device=model.device)).logits.float().sum().backward()
        model.zero_grad(set_to_none=True)
        model.train(training)
        return int(counter.get_total_flops())


def _seen(batches: Batches, clock: Clock) -> NDArray[np.int64]:
    """Places of the examples that a budget in steps or epochs reaches; all, where it is one of another kind."""
    amount = clock.budget.amount
    steps = {"steps": amount, "epochs": amount * batches.steps_per_epoch}.get(clock.budget.unit, np.inf)
    if steps >= batches.steps_per_epoch:
        return np.arange(len(batches.lengths))
    return np.concatenate([batches.at(step) for step in range(int(np.ceil(steps - 1e-9)))])


def _keep(key: Hashable, done: _Pass) -> None:
    """For trials to come, the oldest given up where there is too much."""
    _passes[key] = done
    while len(_passes) > 1 and sum(4 * one.values.numel() for one in _passes.values()) > KEPT_BYTES:
        del _passes[next(iter(_passes))]
