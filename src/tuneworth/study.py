"""A study and its resumable run loop. The same command on the same store goes on where it stopped."""

from __future__ import annotations

import math
import os
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneworth import looks, machine, results
from tuneworth.deltas.keeper import DeltaKeeper
from tuneworth.errors import StoreAway, StoreError
from tuneworth.events import Died, Event, Failed, Finished, Halted, Job, Progress
from tuneworth.executors import Executor, make_executor
from tuneworth.looks import Question
from tuneworth.prepare import Prepared, prepare
from tuneworth.progress import Board, Watch
from tuneworth.set_aside import set_aside
from tuneworth.spec import StudySpec, TrialRecord, parse_seconds
from tuneworth.store import Counts, Store, files_dir, open_store
from tuneworth.store.patient import patient

if TYPE_CHECKING:
    import pandas as pd

    from tuneworth.advice import Advice, Judged
    from tuneworth.report import Report
    from tuneworth.report.streams import StreamReport
    from tuneworth.results import Cell
    from tuneworth.stats import Answers, Decision

DEFAULT_STORE = "tuneworth.db"
LEASE_SECONDS = 600.0
"""How long a trial stays with an owner that gives no sign of life; a dead one on this host is noticed at once."""
MAX_DEATHS = 3
"""A trial whose worker dies this often is recorded as failed: it would kill the next one too."""
LAST_SECONDS = 5.0
"""How long trials in flight may go on when no new one starts any more, before they are given back to the store."""
ENDING = 3.0
"""Seconds that a command takes beside its run: to load what it needs, to end its workers, to show what was found."""


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

    def prepare(self, allow_pickle: bool = False, until_decided: bool = False) -> Prepared:
        """Check everything and plan the trials; trains nothing and writes nothing.

        The plan is the spec's grid, as far as its learning rates are chosen (`tuning`), and the trials that earlier runs until
        decided added to it. With `until_decided` the candidates reach to the last look.
        """
        if until_decided:
            looks.check(self.spec)
        earlier = self._records()
        planned = self.store.get_study(self.spec.name).seeds if earlier else ()
        added = {r.trial.key: r.trial for r in earlier if r.trial.seed not in planned}  # by a run until decided
        asked = {*self.spec.seeds, *(trial.seed for trial in added.values())}
        seeds = tuple(s for s in looks.possible_seeds(self.spec.seeds) if until_decided or s in asked)
        spec = self.spec.model_copy(update={"seeds": seeds})
        whole = prepare(spec, self.data_dir, self.files, allow_pickle, earlier)
        whole = replace(whole, tuning=replace(whole.tuning, seeds=self.spec.seeds))
        tuned = whole.tuning.grow(whole.candidates, earlier)
        compared = [t for t in tuned.of(whole.candidates) if t.seed in self.spec.seeds or t.key in added]
        return replace(whole, trials=[*tuned.trials, *compared])

    def run(
        self, workers: int | str = "auto", device: str = "auto", retry_failed: bool = False, allow_pickle: bool = False,
        checkpoint_seconds: float = 30.0, watch: Watch | None = None, until_decided: Question | bool = False,
        time_limit: str | float | None = None,
    ) -> Counts:  # fmt: skip
        """Run what is missing and return the study's counts.

        `watch` is called with a Board whenever something changed; by default a progress display shows it. Raises
        UserError before any training. Ctrl-C passes through once everything in flight was given back to the store.

        `until_decided` (a Question; True for its defaults) adds seeds, look by look, to the groups of methods that the
        question is open in, for the methods that are not yet clearly beaten; `decisions` says what came out. Shortly before
        `time_limit` (seconds, or text like `2h`) nothing new starts any more, and what does not end within LAST_SECONDS
        is given back to the store with its checkpoint, so that the limit holds. Calling it again goes on from there.
        """
        limit = math.inf if time_limit is None else parse_seconds(time_limit)
        deadline = time.monotonic() + limit - min(LAST_SECONDS + ENDING, limit / 10)
        question = Question() if until_decided is True else until_decided or None
        with ExitStack() as stack:
            if watch is None:
                from tuneworth.display import Display

                watch = stack.enter_context(Display(self.spec.name))
            prepared = self.prepare(allow_pickle, question is not None)
            missing = prepared.candidates if question else prepared.missing(retry_failed)
            slots = machine.worker_count(workers, device, missing, prepared.model_sources)
            self.store.put_study(self.spec, prepared.trials)
            if retry_failed:
                self.store.retry_failed(self.spec.name)
            aside = set_aside(self.store, self.spec.name, store_flag(self.store_url))
            watch(Board(self.store.counts(self.spec.name), notice="\n".join([*prepared.said, *aside])))
            if not missing:
                return self.store.counts(self.spec.name)
            run = _Run(self, prepared, slots, watch, device, checkpoint_seconds, allow_pickle, deadline)
            stack.callback(run.close)
            while run.to_the_end() and run.grow(question):
                pass
        return self.store.counts(self.spec.name)

    def decisions(self, question: Question | None = None) -> dict[looks.Place, Decision]:
        """By model, task, fraction and budget: which methods are inside the margin of the best one, outside, or open.

        Groups without a finished trial are missing. See `looks.decisions`.
        """
        return looks.decisions(self.rows(), question or Question())

    def known_spec(self) -> StudySpec | None:
        """The study as the store knows it; None where it does not yet."""
        store = self._earlier()
        return store.get_study(self.spec.name) if store else None

    def known_keys(self) -> set[str]:
        """Keys of the study's finished trials; a store or a study that is not there yet has none."""
        return {record.trial.key for record in self._records() if record.state == "done"}

    def _records(self) -> list[TrialRecord]:
        """The study's trials, where the store has some; never makes one."""
        store = self._earlier()
        return store.records(self.spec.name) if store else []

    def _earlier(self) -> Store | None:
        """The store, where it is there and knows the study; never makes one."""
        try:
            self._store = self._store or open_store(self.store_url, create=False)
        except StoreError:
            return None
        return self._store if self.spec.name in self._store.study_names() else None

    def rows(self) -> list[dict[str, Any]]:
        """One dict a trial, as `tuneworth results --format json` prints them."""
        from tuneworth.results import rows

        return rows(self.store, self.spec.name)

    def answers(self) -> dict[Cell, Answers]:
        """By cell (as `results.cell_of` gives it), what the selected recipe's trials answered on the test split; cells
        with a trial whose predictions an older version did not keep are missing."""
        from tuneworth.answers import by_cell

        return by_cell(self.rows(), self.store.predictions(self.spec.name))

    def results(self) -> pd.DataFrame:
        """One row a trial, with the columns of `rows`."""
        from tuneworth.results import frame

        return frame(self.rows())

    def advise(
        self, task: str | None = None, fraction: float | None = None, budget: str | None = None, model: str | None = None,
        margin: float = 1.0, confidence: float = 0.95, **limits: str | float | None,
    ) -> list[Advice]:  # fmt: skip
        """One recommendation for each model and task: see `advice.advise_each`; `limits` are those of `Limits.parse`."""
        from tuneworth.advice import Limits, advise_each

        given = Limits.parse(**limits)
        spec = self.store.get_study(self.spec.name)
        found = advise_each(self.rows(), given, task, fraction, budget, margin, confidence, self.answers(), model, spec)
        return [self._found_again(advice) for advice in found]

    def claims(self, confidence: float = 0.95) -> list[Judged]:
        """The claims of the study file, judged: see `advice.claims`."""
        from tuneworth.advice import judge_claims

        return list(judge_claims(self.rows(), self.store.get_study(self.spec.name), confidence, self.answers()))

    def summary(self, question: Question | None = None) -> Report:
        """Everything that is shown of the study, as one value: see `report.build`."""
        from tuneworth.report import build

        built = build(self.rows(), self.store.get_study(self.spec.name), self.answers(), question)
        return replace(built, advice=tuple(self._found_again(advice) for advice in built.advice))

    def streams(self) -> StreamReport:
        """The same of a study with a stream: see `report.streams`."""
        from tuneworth.report.streams import build_streams

        return build_streams(self.rows(), self.store.get_study(self.spec.name))

    def _found_again(self, advice: Advice) -> Advice:
        """The advice whose next command finds this store."""
        named = rf"(tuneworth (?:\w+ {re.escape(shlex.quote(self.spec.name))}(?=\s|$)|compare))"
        command = advice.next_command and re.sub(
            named, lambda match: match[1] + store_flag(self.store_url), advice.next_command, count=1
        )
        return advice.model_copy(update={"next_command": command})

    def report(self, path: str | Path, question: Question | None = None) -> Path:
        """Write the report, one self-contained HTML file."""
        if self.spec.stream is not None:
            from tuneworth.report.stream_html import write_streams

            return write_streams(self.streams(), Path(path))
        from tuneworth.report import write_html

        return write_html(self.summary(question), Path(path))


def store_flag(url: str) -> str:
    """What finds the same store again in the next command; a password must be given in another way there."""
    from tuneworth.store.shown import shown

    return "" if url == os.environ.get("TUNEWORTH_STORE", DEFAULT_STORE) else f" --store {shlex.quote(shown(url))}"


class _Run:
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
        self.board = Board(study.store.counts(self.name))
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
        records, rows = self.store.records(self.name), results.rows(self.store, self.name)
        tuned = self.prepared.tuning.grow(self.prepared.candidates, records)
        candidates, present = tuned.of(self.prepared.candidates), {row["key"] for row in rows}
        compared = [t for t in candidates if t.seed in self.study.spec.seeds or t.key in present]
        if question and not tuned.open and {t.key for t in compared} == present:
            decisions = looks.decisions(rows, question)
            compared = looks.grow(candidates, rows, decisions)
            self.board.open_groups = sum(bool(decision.wanted) for decision in decisions.values())
        plan = [*tuned.trials, *compared]
        if {t.key for t in plan} == {record.trial.key for record in records}:
            return False
        self.store.put_study(self.study.spec, plan)
        return True

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
            self.board.running[record.trial.key] = record
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
            self.board.progress[event.key] = event
            return
        if isinstance(event, Halted):  # `close` gives back what runs
            kept = "what is finished is kept, and the same command goes on from there"
            raise type(event.error)(event.error.problem, f"{event.error.remedy}; {kept}")
        record = self.board.running.pop(event.key)
        self.board.progress.pop(event.key, None)
        if isinstance(event, Finished):
            if self.store.finish(self.name, event.key, self.owner, event.result, event.predictions):
                self.keeper.finished(record, event.result)
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
