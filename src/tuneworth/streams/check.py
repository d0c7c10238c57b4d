"""What can be wrong with a stream, found before any training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuneworth.errors import SpecError
from tuneworth.kinds import get_kind
from tuneworth.spec import DataStream, StudySpec, TaskStream, TrialSpec
from tuneworth.tasks import Task, TaskData
from tuneworth.tasks.splits import take

__all__ = ["check_stream", "check_trials"]


def check_stream(spec: StudySpec, tasks: Mapping[str, tuple[Task, TaskData]]) -> None:
    """Raises SpecError for a stream that does not fit the data of its tasks."""
    asked = spec.stream
    for name, (task, data) in tasks.items():
        there = len(data.train)
        if asked is not None and asked.length and asked.length > there:
            raise SpecError(f"stream.length = {asked.length}, but {name!r} has {there:,} training examples",
                            f"at most {there}; leave it out for all of them")  # fmt: skip
        if isinstance(asked, DataStream) and asked.chunk > (asked.length or there):
            raise SpecError(f"stream.chunk = {asked.chunk} is more than the {asked.length or there} examples of {name!r}",
                            "make the chunk smaller, or the stream longer")  # fmt: skip
        kind = get_kind(task.kind)
        if data.codec(task.kind, data.train.labels).settles:
            raise SpecError(
                f"{name!r}: a stream sets nothing aside to choose the threshold on", "give a number: threshold = 0.5"
            )
        if isinstance(asked, DataStream) and (odd := sorted({*asked.drift} - kind.drifts)):
            raise SpecError(f"stream.drift = {odd[0]!r} has no meaning for {kind.noun}, as {name!r} is",
                            f"choose among {', '.join(sorted(kind.drifts))}")  # fmt: skip
        if isinstance(asked, TaskStream) and not kind.in_task_streams:
            raise SpecError(f"{name!r} is {kind.noun}, whose model has another head than that of texts: it cannot be one of a "
                            "stream of tasks", "leave it out, or compare methods on it by itself")  # fmt: skip
        if isinstance(asked, TaskStream):
            for seed in spec.seeds:
                take(data.train.labels, task.kind, min(1.0, (asked.length or there) / there), seed)
    if isinstance(asked, TaskStream) and asked.head == "shared":
        _need_one_label_set(tasks)


def check_trials(trials: Iterable[TrialSpec]) -> None:
    """Raises SpecError where a chunk cannot fill a batch."""
    for trial in trials:
        if trial.stream and trial.stream.kind == "data" and trial.stream.chunk < trial.recipe.batch_size:
            raise SpecError(f"stream.chunk = {trial.stream.chunk} is smaller than a batch of {trial.method!r}: "
                            f"{trial.recipe.batch_size} examples",
                            f"make the chunk larger, or set batch_size in [recipe.{trial.method}]")  # fmt: skip


def _need_one_label_set(tasks: Mapping[str, tuple[Task, TaskData]]) -> None:
    first, *rest = tasks.items()
    for name, (task, data) in rest:
        if (task.kind, data.label_names) != (first[1][0].kind, first[1][1].label_names):
            raise SpecError(f"stream.head = 'shared', but {first[0]!r} has {_labels(*first[1])} and {name!r} has "
                            f"{_labels(task, data)}", "head = 'own' gives each task a head of its own")  # fmt: skip


def _labels(task: Task, data: TaskData) -> str:
    if data.label_names is None:
        return task.kind
    names = ", ".join(data.label_names[:5])
    return f"the labels {names}" + (f" and {len(data.label_names) - 5} more" if len(data.label_names) > 5 else "")
