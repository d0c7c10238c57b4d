"""A study and its resumable run loop. The same command on the same store goes on where it stopped."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tuneworth.errors import SpecError, StoreError
from tuneworth.events import Died, Event, Failed, Finished, Job, Progress
from tuneworth.executors import Executor, make_executor
from tuneworth.prepare import Prepared, prepare
from tuneworth.spec import StudySpec, TrialRecord
from tuneworth.store import Counts, Store, files_dir, open_store

if TYPE_CHECKING:
    import pandas as pd

    from tuneworth.report.streams import StreamReport

DEFAULT_STORE = "tuneworth.db"
LEASE_SECONDS = 600.0
"""How long a trial stays with an owner that gives no sign of life; a dead one on this host is noticed at once."""
MAX_DEATHS = 3
"""A trial whose worker dies this often is recorded as failed: it would kill the next one too."""


@dataclass
class Board:
    """What is going on, for a progress display: counts of the study, trials running here, their last progress."""

    counts: Counts
    running: dict[str, TrialRecord] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)


Watch = Callable[[Board], None]


class Study:
    """A named grid of trials in a store."""

    def __init__(self, spec: StudySpec, store: str | None = None, data_dir: str | Path | None = None) -> None:
        self.spec = spec
        self.store_url = store or os.environ.get("TUNEWORTH_STORE") or DEFAULT_STORE
        self.data_dir = Path(data_dir) if data_dir else None
        self.files = files_dir(self.store_url).absolute()
        self._store: Store | None = None

    @classmethod
    def from_toml(cls, path: str | Path, store: str | None = None, data_dir: str | Path | None = None) -> Study:
        """The study that a TOML file describes. Raises SpecError."""
        return cls(StudySpec.from_toml(path), store, data_dir)

    @classmethod
    def open(cls, name: str, store: str | None = None, data_dir: str | Path | None = None) -> Study:
        """A study that a store already holds. Raises StoreError."""
        url = store or os.environ.get("TUNEWORTH_STORE") or DEFAULT_STORE
        opened = open_store(url, create=False)
        study = cls(opened.get_study(name), url, data_dir)
        study._store = opened
        return study

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = open_store(self.store_url)
        return self._store

    def prepare(self, allow_pickle: bool = False) -> Prepared:
        """Check everything and plan the trials; trains nothing and writes nothing."""
        return prepare(self.spec, self.data_dir, self.files, allow_pickle)

    def run(
        self, workers: int | str = "auto", device: str = "auto", retry_failed: bool = False, allow_pickle: bool = False,
        checkpoint_seconds: float = 30.0, watch: Watch | None = None,
    ) -> Counts:  # fmt: skip
        """Run what is missing and return the study's counts.

        `watch` is called with a Board whenever something changed; by default a progress display shows it. Raises
        UserError before any training. Ctrl-C passes through once everything in flight was given back to the store.
        """
        prepared = self.prepare(allow_pickle)
        slots = worker_count(workers, device)
        self.store.put_study(self.spec, prepared.trials)
        if retry_failed:
            self.store.retry_failed(self.spec.name)
        with ExitStack() as stack:
            if watch is None:
                from tuneworth.display import Display

                watch = stack.enter_context(Display(self.spec.name))
            run = _Run(self, prepared, slots, watch, device, checkpoint_seconds, allow_pickle)
            stack.callback(run.close)
            run.to_the_end()
        return self.store.counts(self.spec.name)

    def known_keys(self) -> set[str]:
        """Keys of the study's finished trials; a store or a study that is not there yet has none."""
        try:
            records = open_store(self.store_url, create=False).records(self.spec.name)
        except StoreError:
            return set()
        return {record.trial.key for record in records if record.state == "done"}

    def rows(self) -> list[dict[str, Any]]:
        """One dict a trial, as `tuneworth results --format json` prints them."""
        from tuneworth.results import rows

        return rows(self.store, self.spec.name)

    def results(self) -> pd.DataFrame:
        """One row a trial, with the columns of `rows`."""
        from tuneworth.results import frame

        return frame(self.rows())

    def streams(self) -> StreamReport:
        """What is shown of a study with a stream."""
        from tuneworth.report.streams import build_streams
        from tuneworth.streams.advice import advise

        rows = self.rows()
        return build_streams(rows, self.spec, advise(rows))

    def report(self, path: str | Path) -> Path:
        """Write the report, one self-contained HTML file."""
        if self.spec.stream is not None:
            from tuneworth.report.stream_html import write_streams

            return write_streams(self.streams(), Path(path))
        from tuneworth.report import build, write_html

        return write_html(build(self.rows(), self.spec), Path(path))


class _Run:
    """One process's work on a study: claim, submit, record, until nothing is left."""

    def __init__(
        self, study: Study, prepared: Prepared, slots: int, watch: Watch, device: str, checkpoint_seconds: float, allow_pickle: bool
    ) -> None:  # fmt: skip
        self.study, self.prepared, self.slots = study, prepared, slots
        self.store, self.name, self.watch = study.store, study.spec.name, watch
        self.device, self.checkpoint_seconds, self.allow_pickle = device, checkpoint_seconds, allow_pickle
        self.owner = owner_name()
        self.board = Board(self.store.counts(self.name))
        self.keeper = _DeltaKeeper(study)
        self.executor: Executor | None = None
        self.timed = False
        self.held: TrialRecord | None = None  # claimed, but must wait until the executor for its kind is free
        self.renewed = time.monotonic()

    def to_the_end(self) -> None:
        self._take_over_from_the_dead()
        while True:
            self._submit()
            if not self.board.running:
                counts = self.board.counts = self.store.counts(self.name)
                if not counts.pending and not counts.running:
                    return
                self.watch(self.board)
                time.sleep(0.5)  # another process holds the rest; should it die, its trials are ours
                self._take_over_from_the_dead()
                continue
            for event in self._poll():
                self._record(event)
                self._renew()
                self.watch(self.board)
            self._renew()
            self.watch(self.board)

    def close(self) -> None:
        if self.executor:
            self.executor.close()
        self.store.release(self.name, self.owner)

    def _submit(self) -> None:
        """Fill the free slots. A trial with a budget in seconds waits until it can have the machine alone."""
        while True:
            slots = 1 if self.timed else self.slots
            if self.executor is not None and len(self.board.running) >= slots:
                return
            record = self.held or self.store.claim(self.name, self.owner, LEASE_SECONDS)
            self.held = None
            if record is None:
                return
            timed = record.trial.budget.timed
            if self.executor is None or timed != self.timed:
                if self.board.running:
                    self.held = record
                    return
                self._switch(timed)
            self.board.running[record.trial.key] = record
            self._executor.submit(self._job(record))
            self.board.counts = self.store.counts(self.name)
            self.watch(self.board)

    @property
    def _executor(self) -> Executor:
        assert self.executor is not None, "chosen before the first trial is submitted"
        return self.executor

    def _switch(self, timed: bool) -> None:
        if self.executor:
            self.executor.close()
        workers, cores = (1 if timed else self.slots), len(cores_here())
        self.executor, self.timed = make_executor(workers, max(1, cores // workers)), timed

    def _job(self, record: TrialRecord) -> Job:
        spec = self.study.spec
        return Job(
            trial=record.trial, model_source=self.prepared.model_sources[record.trial.model],
            task=spec.task.get(record.trial.task), data_dir=self.study.data_dir, files=self.study.files, study=self.name,
            device=self.device, checkpoint_seconds=self.checkpoint_seconds, keep_delta=spec.deltas != "none",
            allow_pickle=self.allow_pickle, stream_tasks=spec.task if spec.stream else {},
        )  # fmt: skip

    def _poll(self) -> Iterator[Event]:
        return self._executor.poll(timeout=1.0)

    def _record(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.board.progress[event.key] = event
            return
        record = self.board.running.pop(event.key)
        self.board.progress.pop(event.key, None)
        if isinstance(event, Finished):
            if self.store.finish(self.name, event.key, self.owner, event.result):
                self.keeper.finished(record, event)
        elif isinstance(event, Failed):
            self.store.fail(self.name, event.key, self.owner, event.error)
        elif record.attempt >= MAX_DEATHS:
            self.store.fail(self.name, event.key, self.owner, f"{event.reason}, {record.attempt} times")
        else:
            self.store.release_one(self.name, event.key, self.owner)
        if not isinstance(event, Died):
            self._job(record).checkpoint_path.unlink(missing_ok=True)
        self.board.counts = self.store.counts(self.name)

    def _renew(self) -> None:
        if time.monotonic() - self.renewed > LEASE_SECONDS / 10:
            self.renewed = time.monotonic()
            held = [self.held.trial.key] if self.held else []
            self.store.renew(self.name, [*self.board.running, *held], self.owner, LEASE_SECONDS)

    def _take_over_from_the_dead(self) -> None:
        for owner in self.store.owners(self.name):
            if owner != self.owner and is_dead(owner):
                self.store.release(self.name, owner)


class _DeltaKeeper:
    """Keeps one delta a recipe and cell, that of the best validation score, unless the study wants all of them."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.best: dict[Any, tuple[float, str]] = {}
        for record in study.store.records(study.spec.name):
            if record.result and record.result.delta_path:
                self._better(record, record.result.validation_score)

    def finished(self, record: TrialRecord, event: Finished) -> None:
        if self.study.spec.deltas == "best" and event.result.delta_path:
            loser = self._better(record, event.result.validation_score)
            if loser:
                import shutil

                self.study.store.forget_delta(self.study.spec.name, loser)
                shutil.rmtree(self.study.files / "deltas" / self.study.spec.name / loser, ignore_errors=True)

    def _better(self, record: TrialRecord, score: float) -> str | None:
        """Note a delta; returns the key of the one that is no longer the best, if any."""
        cell = (*record.trial.cell, record.trial.recipe)
        old = self.best.get(cell)
        if old and old[0] >= score:
            return record.trial.key
        self.best[cell] = (score, record.trial.key)
        return old[1] if old else None


def worker_count(workers: int | str, device: str) -> int:
    """How many trials run at once. `auto`: on a CPU one a core, since small models gain little from a second thread
    (docs/log.md has the figures) while there are 3 GB for each; on an accelerator one. Raises SpecError."""
    if workers != "auto":
        if not str(workers).isdigit() or not 1 <= int(workers) <= 1024:
            raise SpecError(f"workers = {workers!r} is not a number from 1 to 1024", "give a number, or auto")
        if device in ("auto", "cpu"):
            return int(workers)
    from tuneworth.train.device import pick

    kind = pick(device).type  # a device that is not there is found here, once, not by every worker
    if workers != "auto":
        return int(workers)
    if kind != "cpu":
        return 1
    import psutil

    return max(1, min(len(cores_here()), int(psutil.virtual_memory().available // 3e9)))


def cores_here() -> set[int]:
    """The cores this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def owner_name() -> str:
    """host/pid/start: names one process, also after its pid is used again."""
    import psutil

    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}/{uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the owner was a process of this host that is no more; owners elsewhere keep their leases."""
    import psutil

    host, pid, start, *_ = owner.split("/")
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != start or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
