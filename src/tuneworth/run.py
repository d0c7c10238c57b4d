"""The run loop: claim a trial, submit it, record what comes back, until nothing is left; then see what the results ask for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from tuneworth import until_decided
from tuneworth.deltas.keeper import DeltaKeeper
from tuneworth.errors import StoreAway
from tuneworth.events import Died, Event, Failed, Finished, Halted, Job, Progress
from tuneworth.executors import Executor, make_executor
from tuneworth.machine import workers as machine
from tuneworth.prepare import Prepared
from tuneworth.progress import Board, Watch
from tuneworth.results.answers import by_cell
from tuneworth.results.rows import rows as rows_of
from tuneworth.spec import TrialRecord
from tuneworth.store.patient import patient
from tuneworth.tuning import Tuned
from tuneworth.until_decided import Question

if TYPE_CHECKING:
    from tuneworth.study import Study

__all__ = ["ENDING", "LAST_SECONDS", "Run"]

LEASE_SECONDS = 600.0
"""How long a trial stays with an owner that gives no sign of life; a dead one on this host is noticed at once."""
MAX_DEATHS = 3
"""A trial whose worker dies this often is recorded as failed: it would kill the next one too."""
LAST_SECONDS = 5.0
"""How long trials in flight may go on when no new one starts any more, before they are given back to the store."""
ENDING = 3.0
"""Seconds that a command takes beside its run: to load what it needs, to end its workers, to show what was found."""


class Run:
    """One process's work on a study: claim, submit, record, until nothing is left."""

    def __init__(
        self, study: Study, prepared: Prepared, slots: int, watch: Watch, device: str, checkpoint_seconds: float,
        allow_pickle: bool, deadline: float,
    ) -> None:  # fmt: skip
        self.study, self.prepared, self.slots = study, prepared, slots
        self.name, self.watch = study.spec.name, watch
        self.device, self.checkpoint_seconds, self.allow_pickle = device, checkpoint_seconds, allow_pickle
        self.deadline = deadline
        self.owner = machine.owner_name()
        self.board = Board(study.store.counts(self.name), slots=slots, deadline=deadline)
        self.board.plan(study.store.records(self.name))
        for record in prepared.earlier:
            if record.result is not None and record.result.score is not None:
                self.board.scored(record.trial, record.result.score)
        self._look_ahead(prepared.tuning.grow(prepared.candidates, prepared.earlier))
        self.store = patient(study.store, self._notice, deadline + LAST_SECONDS)
        self.keeper = DeltaKeeper(study.spec, self.store, study.files)
        self.executor: Executor | None = None
        self.timed = False
        self.held: TrialRecord | None = None  # claimed, but must wait until the executor for its kind is free
        self.renewed = time.monotonic()

    def to_the_end(self) -> bool:
        """Run until nothing of the plan is left (True), or until the time is up (False)."""
        self._take_over_from_the_dead()
        while not self._time_is_up():
            self._submit()
            if not self.board.running:
                counts = self.board.counts = self.store.counts(self.name)
                if not counts.pending and not counts.running:
                    return True
                self.watch(self.board)
                time.sleep(0.5)  # another process holds the rest; should it die, its trials are ours
                self._take_over_from_the_dead()
                continue
            for event in self._poll():
                self._record(event)
                self._renew()
                self.watch(self.board)
                if self._time_is_up():
                    break
            self._renew()
            self.watch(self.board)
        return False

    def grow(self, question: Question | None) -> bool:
        """Add what the recorded results ask for: the next heat of a race of learning rates, the trials of a rate that is
        chosen, then the next look's seeds, where the question is open. False: nothing was to be added."""
        records, rows = self.store.records(self.name), rows_of(self.store, self.name)
        tuned = self.prepared.tuning.grow(self.prepared.candidates, records)
        candidates, present = tuned.of(self.prepared.candidates), {row["key"] for row in rows}
        compared = [t for t in candidates if t.seed in self.study.spec.seeds or t.key in present]
        if question and not tuned.open and {t.key for t in compared} == present - {t.key for t in tuned.trials}:
            decisions = until_decided.decisions(rows, question, by_cell(rows, self.store.predictions(self.name)))
            compared = until_decided.grow(candidates, rows, decisions)
            self.board.open_groups = sum(bool(decision.wanted) for decision in decisions.values())
        plan = [*tuned.trials, *compared]
        if {t.key for t in plan} == {record.trial.key for record in records}:
            return False
        self.store.put_study(self.study.spec, plan)
        self.board.plan(self.store.records(self.name))
        self.board.growing = question is not None
        self._look_ahead(tuned)
        return True

    def _look_ahead(self, tuned: Tuned) -> None:
        """The rest of open races, and the trials whose rate they choose."""
        compared = [t for t in self.prepared.candidates if t.cell in tuned.open and t.seed in self.study.spec.seeds
                    and t.key not in self.board.waiting]  # fmt: skip
        self.board.ahead = [*tuned.ahead, *compared]

    def close(self) -> None:
        if self.executor:
            self.executor.close()
        with suppress(StoreAway):  # then they go to whoever finds this process gone, or their leases over
            self.study.store.release(self.name, self.owner)

    def _notice(self, text: str) -> None:
        self.board.notice = text
        self.watch(self.board)

    def _submit(self) -> None:
        """Fill the free slots. A trial with a budget in seconds waits until it can have the machine alone."""
        while True:
            slots = 1 if self.timed else self.slots
            if self.executor is not None and len(self.board.running) >= slots:
                return
            if time.monotonic() > self.deadline:
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
            self.board.begins(record)
            self._executor.submit(self._job(record))
            self.board.counts = self.store.counts(self.name)
            self.watch(self.board)

    @property
    def _executor(self) -> Executor:
        assert self.executor is not None, "chosen before the first trial is submitted"
        return self.executor

    def _time_is_up(self) -> bool:
        return time.monotonic() > self.deadline + (LAST_SECONDS if self.board.running else 0.0)

    def _switch(self, timed: bool) -> None:
        if self.executor:
            self.executor.close()
        workers, cores = (1 if timed else self.slots), len(machine.cores_here())
        self.executor, self.timed = make_executor(workers, max(1, cores // workers)), timed

    def _job(self, record: TrialRecord) -> Job:
        spec = self.study.spec
        return Job(
            trial=record.trial, model_source=self.prepared.model_sources[record.trial.model],
            task=spec.task.get(record.trial.task), data_dir=self.study.data_dir, files=self.study.files, study=self.name,
            device=self.device, checkpoint_seconds=self.checkpoint_seconds,
            keep_delta=spec.deltas != "none" and record.trial.tunes is None,
            allow_pickle=self.allow_pickle, stream_tasks=spec.task if spec.stream else {},
            data=self.prepared.data_of(record.trial),
        )  # fmt: skip

    def _poll(self) -> Iterator[Event]:
        return self._executor.poll(timeout=1.0)

    def _record(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.board.goes_on(event)
            return
        if isinstance(event, Halted):  # `close` gives back what runs
            kept = "what is finished is kept, and the same command goes on from there"
            raise type(event.error)(event.error.problem, f"{event.error.remedy}; {kept}")
        record = self.board.ends(event.key, for_good=not isinstance(event, Died))
        if isinstance(event, Finished):
            if self.store.finish(self.name, event.key, self.owner, event.result, event.predictions):
                self.keeper.finished(record, event.result)
                if event.result.score is not None:
                    self.board.scored(record.trial, event.result.score)
        elif isinstance(event, Failed):
            self.store.fail(self.name, event.key, self.owner, event.error)
        elif record.deaths + 1 >= MAX_DEATHS:
            self.store.fail(self.name, event.key, self.owner, f"{event.reason}, {record.deaths + 1} times")
        else:
            self.store.release_one(self.name, event.key, self.owner, died=True)
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
            if owner != self.owner and machine.is_dead(owner):
                self.store.release(self.name, owner)
