"""A task's data as it was when the study was planned, read once a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tuneworth.errors import TrialError
from tuneworth.spec import FileTask
from tuneworth.tasks import Task, TaskData, fingerprint, get_task

__all__ = ["load_task", "planned_task"]


def load_task(name: str, declared: FileTask | None, data_dir: Path | None) -> tuple[Task, TaskData]:
    """A task and its data. Raises DataError, SpecError."""
    task, data, _ = kept(name, declared, data_dir)
    return task, data


def planned_task(name: str, declared: FileTask | None, data_dir: Path | None, planned: str) -> tuple[Task, TaskData]:
    """The task whose fingerprint was `planned`; files that changed since are read anew, and refused if they are still
    others. Raises TrialError."""
    for _ in range(2):
        task, data, found = kept(name, declared, data_dir)
        if found == planned:
            return task, data
        kept.cache_clear()
    raise TrialError(f"the data of {name!r} changed after the study was planned; run the study again")


@lru_cache(maxsize=8)
def kept(name: str, declared: FileTask | None, data_dir: Path | None) -> tuple[Task, TaskData, str]:
    """A task, its data and their fingerprint: what is read once is hashed once. Raises DataError, SpecError."""
    task = get_task(name, {name: declared} if declared else {})
    data = task.load(data_dir)
    return task, data, fingerprint(task, data)
