"""Trials in local worker processes, each with its own cores. The libraries load once, then a worker serves trial after trial."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tuneworth.errors import UserError
from tuneworth.events import Died, Event, Halted, Job, Progress
from tuneworth.executors.settle import settle
from tuneworth.machine.starter import start, starter


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Job | None = None
    ready: bool = False


class ProcessExecutor:
    """`workers` processes of `threads` threads. A pipe for each: one that dies can leave no lock behind."""

    def __init__(self, workers: int, threads: int) -> None:
        self.slots = workers
        self._context = starter()
        self._threads = threads
        self._workers: list[_Worker | None] = [None] * workers

    def submit(self, job: Job) -> None:
        place = next(i for i, worker in enumerate(self._workers) if worker is None or worker.job is None)
        worker = self._workers[place] or self._start(place)
        worker.job = job
        with suppress(BrokenPipeError):  # it died since: `poll` finds the pipe closed and says so
            worker.connection.send(job)

    def poll(self, timeout: float) -> Iterator[Event]:
        while busy := {w.connection: (i, w) for i, w in enumerate(self._workers) if w and w.job}:
            ready = wait(list(busy), timeout)
            if not ready:
                return
            freed = False
            for connection in ready:
                place, worker = busy[connection]  # type: ignore[index]
                event = self._receive(place, worker)
                if event is not None:
                    freed |= not isinstance(event, Progress)
                    yield event
            if freed:
                return

    def close(self) -> None:
        for worker in self._workers:
            if worker:
                worker.process.kill()
        for worker in self._workers:
            if worker:
                worker.process.join()
                worker.connection.close()
        self._workers = [None] * self.slots

    def _start(self, place: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._threads, _cores(place, self._threads)), daemon=True
        )
        start(process)
        theirs.close()
        worker = _Worker(process, ours)
        self._workers[place] = worker
        return worker

    def _receive(self, place: int, worker: _Worker) -> Event | None:
        """What a worker says; None where that is only that it is ready. One that is gone has Died, except where it ended
        of its own accord before it was ready: so will the next, and the trial is given back."""
        assert worker.job is not None, "only busy workers are polled"
        try:
            event: Event | None = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            worker.connection.close()
            self._workers[place] = None
            key, code = worker.job.trial.key, worker.process.exitcode
            if worker.ready or code is None or code < 0:
                return Died(key, _cause(code))
            return Halted(
                key, UserError("worker processes cannot start", "what stands above says why; --workers 1 does without")
            )
        worker.ready = True
        if not isinstance(event, Progress | None):
            worker.job = None
        return event


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"its worker was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"its worker ended with exit code {code}"


def _cores(place: int, threads: int) -> set[int] | None:
    """The cores of worker number `place`, disjoint from the others' while there are enough; None leaves it free."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    mine = cores[place * threads : (place + 1) * threads]
    return set(mine) if len(mine) == threads else None


def _serve(connection: Connection, threads: int, cores: set[int] | None) -> None:
    """A worker's life: jobs in, events out, until the pipe closes."""
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C and a closed terminal are for the parent, which ends its workers itself
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if cores is not None:
        os.sched_setaffinity(0, cores)
    import torch

    from tuneworth.trial import run_trial

    torch.set_num_threads(threads)
    settled = False
    try:
        connection.send(None)  # ready
        while True:
            for event in run_trial(connection.recv()):
                connection.send(event)
            if not settled:
                settle()
                settled = True
    except (EOFError, BrokenPipeError):
        return


def _die_with_parent() -> None:
    """A killed parent's workers must not train on beside the run that takes up its trials."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
