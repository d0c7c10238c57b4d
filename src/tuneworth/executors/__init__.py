"""Executors: who runs trials. Jobs go in, events come out; an executor never touches the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tuneworth.events import Event, Job

__all__ = ["Executor", "make_executor"]


class Executor(Protocol):
    slots: int
    """How many jobs it runs at once."""

    def submit(self, job: Job) -> None:
        """Start a job, or hold it until `poll` runs it. At most `slots` may be in flight."""
        ...

    def poll(self, timeout: float) -> Iterator[Event]:
        """Events as they happen; ends when none came for `timeout` seconds, or when a slot became free."""
        ...

    def close(self) -> None:
        """Stop workers at once; jobs in flight are lost."""
        ...


def make_executor(workers: int, threads: int) -> Executor:
    """This process for one worker, else `workers` local processes of `threads` threads, each on cores of its own."""
    if workers == 1:
        from tuneworth.executors.inline import InlineExecutor

        return InlineExecutor(threads)
    from tuneworth.executors.processes import ProcessExecutor

    return ProcessExecutor(workers, threads)
