"""The tasks of a task stream, as one trial knows them: their data, the share of it that is trained on, their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from tuneworth.events import Job
from tuneworth.spec import Kind
from tuneworth.streams import stream_of
from tuneworth.streams.model import tokens_of
from tuneworth.tasks import Task, TaskData
from tuneworth.tasks.planned import planned_task
from tuneworth.tasks.splits import Split, take
from tuneworth.train.batches import Tokens
from tuneworth.train.targets import Targets

__all__ = ["Known", "Lesson", "known_tasks", "lesson"]


@dataclass(frozen=True)
class Known:
    """One task. Its split is that of an ordinary trial with the same examples and seed."""

    name: str
    fingerprint: str
    task: Task
    data: TaskData
    split: Split
    targets: Targets

    @property
    def outputs(self) -> int:
        return len(self.data.label_names or ("",))


@dataclass(frozen=True)
class Lesson:
    """What one stage of a stream trains on: one task, or several at once.

    `columns[i]`: which of the model's outputs are task i's. `targets`: as `Training` wants them, or, where tasks have
    heads of their own, shape (n, 2): the task's number and its target.
    """

    tasks: tuple[Known, ...]
    tokens: Tokens
    targets: torch.Tensor
    train: NDArray[np.int64]
    validation: tuple[NDArray[np.int64], ...]
    columns: tuple[slice, ...]
    kind: Kind
    mixed: bool

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean over a batch of each example's own loss, on the outputs of its own task."""
        total = logits.new_zeros(())
        for number, (known, columns) in enumerate(zip(self.tasks, self.columns, strict=True)):
            mine = targets[:, 0] == number
            own, wanted = logits[mine][:, columns], targets[mine, 1]
            if known.task.kind == "classification":
                total = total + F.cross_entropy(own, wanted.long(), reduction="sum")
            else:
                total = total + F.mse_loss(own.squeeze(-1), wanted, reduction="sum")
        return total / len(targets)


def known_tasks(job: Job) -> list[Known]:
    """In the stream's order. Raises TrialError where data changed since the study was planned."""
    stream, trial = stream_of(job), job.trial
    found = []
    for name, fingerprint in zip(stream.tasks, trial.task_fingerprint.split("+"), strict=True):
        task, data = planned_task(name, job.stream_tasks.get(name), job.data_dir, fingerprint)
        labels = data.train.labels
        split = take(labels, task.kind, min(1.0, (stream.length or len(labels)) / len(labels)), trial.seed)
        found.append(Known(name, fingerprint, task, data, split, Targets.fit(task.kind, labels[split.train])))
    return found


def lesson(tasks: list[Known], shared_head: bool, job: Job, tokenizer: PreTrainedTokenizerBase) -> Lesson:
    """All training data of `tasks`, one after another; with one task, just what an ordinary trial trains on."""
    parts = [tokens_of(job, tokenizer, known.fingerprint, "train", known.data.train) for known in tasks]
    encoded = [known.targets.encode(known.data.train.labels) for known in tasks]
    starts = np.cumsum([0, *(len(part.lengths) for part in parts)])[:-1]
    mixed = len(tasks) > 1 and not shared_head
    if mixed:
        encoded = [torch.stack([torch.full(e.shape, i), e], dim=1).float() for i, e in enumerate(encoded)]
    ends = np.cumsum([known.outputs for known in tasks])
    columns = [slice(int(end) - known.outputs, int(end)) for known, end in zip(tasks, ends, strict=True)]
    return Lesson(
        tasks=tuple(tasks), tokens=_join(parts), targets=torch.cat(encoded),
        train=np.concatenate([start + known.split.train for start, known in zip(starts, tasks, strict=True)]),
        validation=tuple(start + known.split.validation for start, known in zip(starts, tasks, strict=True)),
        columns=tuple(columns) if mixed else (slice(None),) * len(tasks),
        kind="classification" if mixed else tasks[0].task.kind, mixed=mixed,
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
