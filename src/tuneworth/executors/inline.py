"""Trials in this process, one at a time: the simplest executor, and the one to debug in."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from tuneworth.events import Event, Job
from tuneworth.executors.settle import settle


class InlineExecutor:
    slots = 1

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._job: Job | None = None
        self._settled = False

    def submit(self, job: Job) -> None:
        self._job = job

    def poll(self, timeout: float) -> Iterator[Event]:  # noqa: ARG002 - events come as fast as the trial makes them
        import torch

        from tuneworth.trial import run_trial

        if self._threads:
            torch.set_num_threads(self._threads)
        job, self._job = self._job, None
        if job is not None:
            yield from run_trial(job)
            if not self._settled:
                settle()
                self._settled = True

    def close(self) -> None:
        self._job = None
        if self._settled:
            gc.unfreeze()
            self._settled = False
