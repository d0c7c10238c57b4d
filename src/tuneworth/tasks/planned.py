"""A task's data as it was when the study was planned, read once a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tuneworth.errors import TrialError
from tuneworth.spec import FileTask
from tuneworth.tasks import Task, TaskData, fingerprint, get_task

__all__ = ["load_task", "planned_task"]


@lru_cache(maxsize=8)
def load_task(name: str, declared: FileTask | None, data_dir: Path | None) -> tuple[Task, TaskData]:
    """A task and its data. Raises DataError, SpecError."""
    task = get_task(name, {name: declared} if declared else {})
    return task, task.load(data_dir)


def planned_task(name: str, declared: FileTask | None, data_dir: Path | None, planned: str) -> tuple[Task, TaskData]:
    """The task whose fingerprint was `planned`; files that changed since are read anew, and refused if they are still
    others. Raises TrialError."""
    for _ in range(2):
        if _fingerprint(name, declared, data_dir) == planned:
            return load_task(name, declared, data_dir)
        load_task.cache_clear()
        _fingerprint.cache_clear()
    raise TrialError(f"the data of {name!r} changed after the study was planned; run the study again")


@lru_cache(maxsize=8)
def _fingerprint(name: str, declared: FileTask | None, data_dir: Path | None) -> str:
    """Of what `load_task` keeps: content that does not change is hashed once."""
    return fingerprint(*load_task(name, declared, data_dir))
