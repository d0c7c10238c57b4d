"""A study: a named grid of trials in a store, to run, to read and to ask. Running it again goes on where it stopped."""

from __future__ import annotations

import math
import os
import shlex
import time
from contextlib import ExitStack
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneworth import words
from tuneworth.errors import SpecError, StoreError
from tuneworth.machine.workers import worker_count
from tuneworth.plan import as_begun
from tuneworth.prepare import Prepared, prepare
from tuneworth.progress import Board, Watch
from tuneworth.run import ENDING, LAST_SECONDS, Run
from tuneworth.set_aside import set_aside
from tuneworth.spec import StudySpec, TrialRecord, parse_seconds
from tuneworth.store import Counts, Store, files_dir, open_store
from tuneworth.until_decided import Question, check, decisions, possible_seeds

if TYPE_CHECKING:
    import pandas as pd

    from tuneworth.advice import Advice, Judged
    from tuneworth.report import Report
    from tuneworth.report.streams import StreamReport
    from tuneworth.results.rows import CellKey
    from tuneworth.stats import Answers, Decision
    from tuneworth.until_decided import GroupKey

DEFAULT_STORE = "tuneworth.db"


class Study:
    """A named grid of trials in a store."""

    def __init__(self, spec: StudySpec, store: str | None = None, data_dir: str | Path | None = None) -> None:
        self.spec = spec
        self.store_url = store_url(store)
        self.data_dir = Path(data_dir) if data_dir else None
        self.said: tuple[str, ...] = ()
        """What was decided on the way to this study; a run says it first, and so does a plan."""
        self.files = files_dir(self.store_url).absolute()
        self._store: Store | None = None

    @classmethod
    def from_toml(cls, path: str | Path, store: str | None = None, data_dir: str | Path | None = None) -> Study:
        """The study that a TOML file describes. Raises SpecError."""
        return cls(StudySpec.from_toml(path), store, data_dir)

    @classmethod
    def open(cls, name: str, store: str | None = None, data_dir: str | Path | None = None) -> Study:
        """A study that a store already holds. Raises StoreError."""
        url = store_url(store)
        opened = open_store(url, create=False)
        study = cls(opened.get_study(name), url, data_dir)
        study._store = opened
        return study

    def __repr__(self) -> str:
        from tuneworth.store.shown import shown

        return f"<Study {self.spec.name!r} in {shown(self.store_url)}: {self._done()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: how far the study is, and what it says so far."""
        title = f"<p><b>{escape(self.spec.name)}</b>: {self._done()}</p>"
        if self.spec.stream is not None or not self.known_keys():
            return title
        return title + self.summary()._repr_html_()

    def _done(self) -> str:
        known = self.known_spec()
        if known is None:
            return "not run yet"
        counts = self.store.counts(self.spec.name)
        failed = f", {counts.failed} failed" if counts.failed else ""
        return f"{counts.done} of {words.several(counts.total, 'trial')} done{failed}"

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
            check(self.spec)
        earlier = self._records()
        begun = self.store.get_study(self.spec.name) if earlier else self.spec
        added = {r.trial.key: r.trial for r in earlier if r.trial.seed not in begun.seeds}  # by a run until decided
        asked = {*self.spec.seeds, *(trial.seed for trial in added.values())}
        seeds = tuple(s for s in possible_seeds(self.spec.seeds) if until_decided or s in asked)
        spec = as_begun(self.spec, begun, [record.trial for record in earlier]).model_copy(update={"seeds": seeds})
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
            slots = worker_count(workers, device, missing, prepared.model_sources)
            self.store.put_study(self.spec, prepared.trials)
            if retry_failed:
                self.store.retry_failed(self.spec.name)
            aside = set_aside(self.store, self.spec.name, store_flag(self.store_url))
            watch(Board(self.store.counts(self.spec.name), notice="\n".join([*prepared.said, *self.said, *aside])))
            if not missing:
                return self.store.counts(self.spec.name)
            run = Run(self, prepared, slots, watch, device, checkpoint_seconds, allow_pickle, deadline)
            stack.callback(run.close)
            while run.to_the_end() and run.grow(question):
                pass
        return self.store.counts(self.spec.name)

    def decisions(self, question: Question | None = None) -> dict[GroupKey, Decision]:
        """By model, task, fraction and budget: which methods are inside the margin of the best one, outside, or open.

        Groups without a finished trial are missing. See `until_decided.decisions`.
        """
        return decisions(self.rows(), question or Question(), self.answers())

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
        from tuneworth.results.rows import rows

        return rows(self.store, self.spec.name)

    def answers(self) -> dict[CellKey, Answers]:
        """By cell (as `results.rows.cell_of` gives it), what the selected recipe's trials answered on the test split; cells
        with a trial whose predictions an older version did not keep are missing."""
        from tuneworth.results.answers import by_cell

        return by_cell(self.rows(), self.store.predictions(self.spec.name))

    def results(self) -> pd.DataFrame:
        """One row a trial, with the columns of `rows`."""
        from tuneworth.results.rows import frame

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

    def recommended_delta(self) -> Path:
        """Where the delta lies that this study's advice recommends. Raises SpecError where it recommends none, or several."""
        found = self.advise()
        if len(found) > 1:
            raise SpecError(f"{self.spec.name!r} is advised on {len(found)} tasks or models, each with a delta of its own",
                            "give the directory of one: `tuneworth advise` names them")  # fmt: skip
        chosen = found[0].recommendation
        if chosen is None:
            raise SpecError(f"{self.spec.name!r} recommends no method yet",
                            "strengthen its evidence (tuneworth advise says how), or give the directory of a delta, as in its "
                            "results")  # fmt: skip
        if chosen.delta_path is None:
            raise SpecError(f"{self.spec.name!r} recommends {chosen.method!r}, of which no delta was kept",
                            'deltas = "best" in its study file keeps one')  # fmt: skip
        return Path(chosen.delta_path)

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
        command = advice.next_command and advice.next_command.within(store_named(self.store_url))
        return advice.model_copy(update={"next_command": command})

    def report(self, path: str | Path, question: Question | None = None) -> Path:
        """Write the report, one self-contained HTML file."""
        if self.spec.stream is not None:
            from tuneworth.report.stream_html import write_streams

            return write_streams(self.streams(), Path(path))
        from tuneworth.report import write_html

        return write_html(self.summary(question), Path(path))


def store_url(given: str | None) -> str:
    """Where studies live: what was given, else TUNEWORTH_STORE, else a file in the working directory."""
    return given or os.environ.get("TUNEWORTH_STORE") or DEFAULT_STORE


def store_flag(url: str) -> str:
    """What finds the same store again in the next command; a password must be given in another way there."""
    named = store_named(url)
    return "" if named is None else f" --store {shlex.quote(named)}"


def store_named(url: str) -> str | None:
    """The store as a command names it, without a password; None where commands find it by themselves."""
    from tuneworth.store.shown import shown

    return None if url == os.environ.get("TUNEWORTH_STORE", DEFAULT_STORE) else shown(url)
