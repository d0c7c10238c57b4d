"""The tasks of a task stream, as one trial knows them: their data, the share of it that is trained on, their targets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from tuneworth.events import Job
from tuneworth.kinds import Codec
from tuneworth.streams import stream_of
from tuneworth.streams.model import tokens_of
from tuneworth.tasks import Task, TaskData
from tuneworth.tasks.planned import planned_task
from tuneworth.tasks.splits import Split, take
from tuneworth.train.batches import Tokens
from tuneworth.train.loop import Objective

__all__ = ["Known", "Lesson", "known_tasks", "lesson"]


@dataclass(frozen=True)
class Known:
    """One task. Its split is that of an ordinary trial with the same examples and seed."""

    name: str
    fingerprint: str
    task: Task
    data: TaskData
    split: Split
    codec: Codec


@dataclass(frozen=True)
class Lesson:
    """What one stage of a stream trains on: one task, or several at once.

    `columns[i]`: which of the model's outputs are task i's. `targets`: as `objective` wants them.
    """

    tasks: tuple[Known, ...]
    tokens: Tokens
    targets: torch.Tensor
    train: NDArray[np.int64]
    validation: tuple[NDArray[np.int64], ...]
    columns: tuple[slice, ...]
    objective: Objective


@dataclass(frozen=True)
class Mixed:
    """Several tasks at once, each on outputs of its own. Targets: (n, 1 + the most that a task's has), the task's number
    before its target."""

    codecs: tuple[Codec, ...]
    columns: tuple[slice, ...]
    shapes: tuple[tuple[int, ...], ...]
    """Of a task's target of one example."""

    @property
    def chance(self) -> float:
        return math.log(self.columns[-1].stop)

    def terms(self, targets: torch.Tensor) -> int:
        return len(targets)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean over a batch of each example's own loss, on the outputs of its own task."""
        total = outputs.new_zeros(())
        for number, (codec, columns, shape) in enumerate(zip(self.codecs, self.columns, self.shapes, strict=True)):
            mine = targets[:, 0] == number
            wanted = targets[mine, 1 : 1 + math.prod(shape)].reshape(-1, *shape)
            total = total + codec.loss(outputs[mine][:, columns], wanted, reduction="sum")
        return total / len(targets)

    @classmethod
    def of(
        cls, tasks: list[Known], encoded: list[torch.Tensor], columns: tuple[slice, ...]
    ) -> tuple[Mixed, torch.Tensor]:
        """And all targets, one task's after another's."""
        width = max(one[0].numel() for one in encoded)
        rows = [
            torch.cat([torch.full((len(one), 1), float(number)), F.pad(flat, (0, width - flat.shape[1]))], dim=1)
            for number, one in enumerate(encoded) for flat in [one.reshape(len(one), -1).float()]
        ]  # fmt: skip
        return cls(tuple(known.codec for known in tasks), columns, tuple(one.shape[1:] for one in encoded)), torch.cat(
            rows
        )


def known_tasks(job: Job) -> list[Known]:
    """In the stream's order. Raises TrialError where data changed since the study was planned."""
    stream, trial = stream_of(job), job.trial
    found = []
    for name, fingerprint in zip(stream.tasks, trial.task_fingerprint.split("+"), strict=True):
        task, data = planned_task(name, job.stream_tasks.get(name), job.data_dir, fingerprint)
        labels = data.train.labels
        split = take(labels, task.kind, min(1.0, (stream.length or len(labels)) / len(labels)), trial.seed)
        found.append(Known(name, fingerprint, task, data, split,
                           data.codec(task.kind, labels[split.train])))  # fmt: skip
    return found


def lesson(tasks: list[Known], shared_head: bool, job: Job, tokenizer: PreTrainedTokenizerBase) -> Lesson:
    """All training data of `tasks`, one after another; with one task, just what an ordinary trial trains on."""
    parts = [tokens_of(job, tokenizer, known.fingerprint, "train", known.data.train) for known in tasks]
    encoded = [known.codec.encode(known.data.train.labels) for known in tasks]
    starts = np.cumsum([0, *(len(part.lengths) for part in parts)])[:-1]
    mixed = len(tasks) > 1 and not shared_head
    ends = np.cumsum([known.codec.outputs for known in tasks])
    columns = tuple(slice(int(end) - known.codec.outputs, int(end)) for known, end in zip(tasks, ends, strict=True))
    objective, targets = Mixed.of(tasks, encoded, columns) if mixed else (tasks[0].codec, torch.cat(encoded))
    return Lesson(
        tasks=tuple(tasks), tokens=_join(parts), targets=targets,
        train=np.concatenate([start + known.split.train for start, known in zip(starts, tasks, strict=True)]),
        validation=tuple(start + known.split.validation for start, known in zip(starts, tasks, strict=True)),
        columns=columns if mixed else (slice(None),) * len(tasks), objective=objective,
    )  # fmt: skip


def _join(parts: list[Tokens]) -> Tokens:
    if len(parts) == 1:
        return parts[0]
    lengths = np.concatenate([part.lengths for part in parts])
    types = [part.types for part in parts if part.types is not None]
    return Tokens(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate(types) if types else None,
        parts[0].padding,
    )
