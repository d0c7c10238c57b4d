"""A store in a SQL database: SQLite (a file) or PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import JSON, ColumnElement, Connection, Text, cast, func, literal, or_, select, update

from tuneworth.errors import StoreError, did_you_mean
from tuneworth.results.predictions import Predictions, pack, unpack
from tuneworth.spec import StudySpec, TrialRecord, TrialResult, TrialSpec
from tuneworth.store import Counts, check_present, kept_plan
from tuneworth.store.engine import (
    check_path,
    make_engine,
    no_store,
    parse_url,
    read_only_copy,
    use_write_ahead_log,
)
from tuneworth.store.migrate import current_revision, known_revisions, migrate
from tuneworth.store.problems import cannot_be_written, read_only, store_errors
from tuneworth.store.tables import plans, studies, targets, trials
from tuneworth.store.tables import predictions as predictions_table
from tuneworth.store.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import URL, Engine

T = TypeVar("T", bound=BaseModel)

_RECORD = (trials.c.spec, trials.c.state, trials.c.attempt, trials.c.deaths, trials.c.result, trials.c.error)
_FREE: dict[str, Any] = {"owner": None, "lease_expires": None}


class SqlStore:
    """The Store over SQLAlchemy. Threads and processes may share one database; threads may share one SqlStore.

    `busy_seconds`: how long to wait for another program's lock. Every method, opening included, raises StoreError
    where the database fails. A SQLite file that can be read but not written is read from a copy of it in memory.
    """

    def __init__(self, url: str, create: bool = True, busy_seconds: float = 10.0) -> None:
        parsed, self.where = parse_url(url)
        self._sqlite = parsed.get_backend_name() == "sqlite"
        if self._sqlite:
            check_path(Path(parsed.database or ""), self.where, create)
        self.engine = make_engine(parsed, self.where, busy_seconds)
        # A command opens stores where it needs them: they are closed when nobody refers to them, or with the process.
        self._closing = weakref.finalize(self, self.engine.dispose)
        self._writing: Engine | None = self.engine.execution_options(write=True)
        try:
            self._open(create, busy_seconds)
        except StoreError as error:
            self.close()
            if not cannot_be_written(error):
                raise
            self._open_copy(parsed, error)
        except BaseException:
            self.close()
            raise

    def _open(self, create: bool, busy_seconds: float) -> None:
        with self._read() as connection:
            revision = current_revision(connection, self.where)
        if revision is None and not create:
            raise no_store(self.where)
        if self._sqlite:
            with store_errors(self.where):
                use_write_ahead_log(self.engine, busy_seconds)
        if revision != known_revisions()[-1]:
            with self._write() as connection:
                migrate(connection, self.where)

    def _open_copy(self, url: URL, error: StoreError) -> None:
        try:
            self.engine = read_only_copy(url)
        except (OSError, sqlite3.Error):
            raise error from None
        self._closing = weakref.finalize(self, self.engine.dispose)
        self._writing = None
        with store_errors(self.where), self.engine.begin() as connection:
            if current_revision(connection, self.where) is None:
                raise no_store(self.where)
            migrate(connection, self.where)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """One transaction that only reads."""
        with uninterrupted(), store_errors(self.where), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """One transaction that may write: committed at the end, rolled back when anything is raised."""
        if self._writing is None:
            raise read_only(self.where)
        with uninterrupted(), store_errors(self.where), self._writing.begin() as connection:
            yield connection

    def put_study(self, spec: StudySpec, trials: Iterable[TrialSpec]) -> int:
        check_present(spec.name)
        plan = list({trial.key: trial for trial in trials}.values())
        with self._write() as connection:
            return self._put(connection, spec, plan)

    def _put(self, connection: Connection, spec: StudySpec, plan: list[TrialSpec]) -> int:
        insert = self._insert()
        now = time.time()
        if spec.claim:
            spec = self._date_claims(connection, spec)
        self._keep_plan(connection, spec.name, {trial.key for trial in plan})
        study = insert(studies).values(name=spec.name, spec=spec.dumps(), created=now)
        study = study.on_conflict_do_update(index_elements=["name"], set_={"spec": study.excluded.spec})
        study_id = connection.execute(study.returning(studies.c.id)).scalar_one()
        known = set(connection.scalars(select(trials.c.key).where(trials.c.study_id == study_id)))
        connection.execute(update(trials).where(trials.c.study_id == study_id).values(position=None))
        rows = [
            {"study_id": study_id, "key": trial.key, "position": position, "spec": trial.model_dump_json(),
             "state": "pending", "attempt": 0, "updated": now}
            for position, trial in enumerate(plan)
        ]  # fmt: skip
        if rows:
            trial_rows = insert(trials)
            connection.execute(
                trial_rows.on_conflict_do_update(
                    index_elements=["study_id", "key"], set_={"position": trial_rows.excluded.position}
                ),
                rows,
            )
        return sum(trial.key not in known for trial in plan)

    def _date_claims(self, connection: Connection, spec: StudySpec) -> StudySpec:
        this = studies.c.name == spec.name
        text = connection.scalar(select(studies.c.spec).where(this).with_for_update())
        done = select(func.count()).select_from(trials.join(studies)).where(this, trials.c.state == "done")
        return spec.stating(self._parse(StudySpec, text) if text else None, connection.scalar(done) or 0)

    def _keep_plan(self, connection: Connection, name: str, plan: set[str]) -> None:
        """Keep the study's present plan, where `plan` leaves out trials of it that were begun.

        A kept plan that this one grew from gives way to it; one that has all of it is enough.
        """
        this = select(studies.c.id, studies.c.spec).where(studies.c.name == name).with_for_update()
        study = connection.execute(this).one_or_none()
        if study is None:
            return
        mine = trials.c.study_id == study.id
        present = select(trials.c.key, trials.c.state).where(mine, trials.c.position.is_not(None))
        rows = connection.execute(present.order_by(trials.c.position)).all()
        if all(row.state == "pending" or row.key in plan for row in rows):
            return
        keys = [row.key for row in rows]
        kept = {number: set(old) for number, _, old in _kept(connection, study.id)}
        if any(old >= set(keys) for old in kept.values()):
            return
        number = next((n for n, old in kept.items() if old < set(keys)), max(kept, default=0) + 1)
        values = {"spec": study.spec, "keys": json.dumps(keys)}
        row = self._insert()(plans).values(study_id=study.id, number=number, **values)
        connection.execute(row.on_conflict_do_update(index_elements=["study_id", "number"], set_=values))

    def get_study(self, name: str) -> StudySpec:
        with self._read() as connection:
            study_id, plan = _plan(connection, name)
            if plan is not None:
                return self._parse(StudySpec, plan.spec).model_copy(update={"name": name})
            spec = connection.scalar(select(studies.c.spec).where(studies.c.id == study_id))
        return self._parse(StudySpec, str(spec))

    def set_aside(self, study: str) -> list[str]:
        with self._read() as connection:
            study_id, plan = _plan(connection, study)
            if plan is not None:
                return []
            outside = (trials.c.study_id == study_id) & trials.c.position.is_(None)
            ended = select(trials.c.key).where(outside, trials.c.state.in_(("done", "failed")))
            keys = set(connection.scalars(ended))
            return [f"{study}@{number}" for number, _, old in _kept(connection, study_id) if keys.intersection(old)]

    def study_names(self) -> list[str]:
        with self._read() as connection:
            return list(connection.scalars(select(studies.c.name).order_by(studies.c.id)))

    def claim(
        self, study: str, owner: str, lease_seconds: float, keys: Iterable[str] | None = None
    ) -> TrialRecord | None:
        wanted = None if keys is None else self._among(keys)
        with self._write() as connection:
            now = time.time()  # after the wait for the lock
            mine = trials.c.study_id == _study_id(connection, study)
            expired = (trials.c.state == "running") & (trials.c.lease_expires < now)
            first = select(trials.c.key).where(
                mine, trials.c.position.is_not(None), or_(trials.c.state == "pending", expired)
            )
            if wanted is not None:
                first = first.where(wanted)
            first = first.order_by(trials.c.position).limit(1).with_for_update(skip_locked=True)
            taken = (
                update(trials)
                .where(mine, trials.c.key == first.scalar_subquery())
                .values(
                    state="running",
                    attempt=trials.c.attempt + 1,
                    owner=owner,
                    lease_expires=now + lease_seconds,
                    updated=now,
                )
                .returning(*_RECORD)
            )
            row = connection.execute(taken).one_or_none()
            return None if row is None else self._record(study, row)

    def renew(self, study: str, keys: Iterable[str], owner: str, lease_seconds: float) -> None:
        wanted = self._among(keys)
        with self._write() as connection:
            held = _held(_study_id(connection, study, lock=True), owner)
            connection.execute(update(trials).where(held, wanted).values(lease_expires=time.time() + lease_seconds))

    def release(self, study: str, owner: str, keep: Iterable[str] = ()) -> int:
        kept = self._among(keep)
        with self._write() as connection:
            held = _held(_study_id(connection, study, lock=True), owner)
            return _change(connection, held & ~kept, state="pending", **_FREE)

    def release_one(self, study: str, key: str, owner: str, died: bool = False) -> None:
        with self._write() as connection:
            held = _held(_study_id(connection, study), owner, key)
            _change(connection, held, state="pending", deaths=trials.c.deaths + int(died), **_FREE)

    def owners(self, study: str) -> list[str]:
        with self._read() as connection:
            mine = trials.c.study_id == _study_id(connection, study)
            rows = connection.scalars(select(trials.c.owner).where(mine, trials.c.state == "running").distinct())
            return sorted(rows)

    def finish(
        self, study: str, key: str, owner: str, result: TrialResult, predictions: Predictions | None = None
    ) -> bool:
        text = _dump_result(result)
        packed = None if predictions is None else (pack(predictions.predicted), pack(predictions.targets))
        with self._write() as connection:
            study_id = _study_id(connection, study)
            held = _held(study_id, owner, key)
            if _change(connection, held, state="done", result=text, error=None, **_FREE) == 0:
                return False
            if predictions is not None and packed is not None:
                task = {"task_fingerprint": predictions.task_fingerprint}
                insert = self._insert()
                connection.execute(insert(targets).values(**task, packed=packed[1]).on_conflict_do_nothing())
                connection.execute(
                    insert(predictions_table).values(study_id=study_id, key=key, **task, packed=packed[0])
                )
            return True

    def fail(self, study: str, key: str, owner: str, error: str) -> bool:
        # No database holds NUL characters or half of a surrogate pair; an error's text may quote a file that has them.
        text = error.replace("\0", "").encode("utf-8", "backslashreplace").decode()
        with self._write() as connection:
            held = _held(_study_id(connection, study), owner, key)
            return _change(connection, held, state="failed", error=text, **_FREE) == 1

    def forget_delta(self, study: str, key: str) -> None:
        with self._write() as connection:
            this = (trials.c.study_id == _study_id(connection, study)) & (trials.c.key == key)
            text = connection.scalar(select(trials.c.result).where(this).with_for_update())
            if text is not None:
                result = self._parse(TrialResult, text).model_copy(update={"delta_path": None})
                _change(connection, this, result=_dump_result(result))

    def retry_failed(self, study: str) -> int:
        with self._write() as connection:
            mine = trials.c.study_id == _study_id(connection, study, lock=True)
            failed = mine & (trials.c.state == "failed") & trials.c.position.is_not(None)
            return _change(connection, failed, state="pending", error=None, deaths=0)

    def records(self, study: str) -> list[TrialRecord]:
        with self._read() as connection:
            planned, order = self._planned(connection, study)
            rows = connection.execute(select(*_RECORD, trials.c.key, trials.c.position).where(planned)).all()
        return [self._record(study, row) for row in sorted(rows, key=order)]

    def predictions(self, study: str) -> dict[str, Predictions]:
        kept = predictions_table
        with self._read() as connection:
            planned, order = self._planned(connection, study)
            of_trial = (kept.c.study_id == trials.c.study_id) & (kept.c.key == trials.c.key)
            plan = select(kept.c.key, trials.c.position, kept.c.task_fingerprint, kept.c.packed).join(trials, of_trial)
            rows = sorted(connection.execute(plan.where(planned)).all(), key=order)
            tasks = {row.task_fingerprint for row in rows}
            truth = select(targets).where(targets.c.task_fingerprint.in_(tasks))
            packed = {row.task_fingerprint: row.packed for row in connection.execute(truth)}
        true = {task: self._unpack(array) for task, array in packed.items()}
        return {
            row.key: Predictions(self._unpack(row.packed), true[row.task_fingerprint], row.task_fingerprint)
            for row in rows
        }

    def counts(self, study: str) -> Counts:
        with self._read() as connection:
            planned, _ = self._planned(connection, study)
            states = select(trials.c.state, func.count()).where(planned)
            return Counts(**dict(connection.execute(states.group_by(trials.c.state)).all()))

    def close(self) -> None:
        self._closing()

    def _insert(self) -> Any:
        """The dialect's own INSERT, which has ON CONFLICT; the other dialect stays unimported, it takes 0.1 s."""
        if self._sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        return insert

    def _planned(self, connection: Connection, name: str) -> tuple[ColumnElement[bool], Callable[[Any], int]]:
        """The trials of the plan of that name, and what sorts their rows (`key`, `position`) in its order."""
        study_id, plan = _plan(connection, name)
        mine = trials.c.study_id == study_id
        if plan is None:
            return mine & trials.c.position.is_not(None), lambda row: int(row.position)
        place = {key: number for number, key in enumerate(plan.keys)}
        return mine & self._among(plan.keys), lambda row: place[row.key]

    def _among(self, keys: Iterable[str]) -> ColumnElement[bool]:
        """The trial is one of `keys`, sent as one JSON text: databases limit the number of parameters."""
        text = json.dumps(list(keys))
        each = func.json_each(text) if self._sqlite else func.json_array_elements_text(cast(literal(text, Text), JSON))
        return trials.c.key.in_(select(each.table_valued("value").c.value))

    def _record(self, study: str, row: Any) -> TrialRecord:
        return TrialRecord(
            study=study,
            trial=self._parse(TrialSpec, row.spec),
            state=row.state,
            attempt=row.attempt,
            deaths=row.deaths,
            result=None if row.result is None else self._parse(TrialResult, row.result),
            error=row.error,
        )

    def _unpack(self, packed: bytes) -> NDArray[Any]:
        try:
            return unpack(packed)
        except ValueError as error:
            raise StoreError(
                f"the store at {self.where} holds predictions that cannot be read", "restore a copy of the store"
            ) from error

    def _parse(self, model: type[T], text: str) -> T:
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            raise StoreError(
                f"the store at {self.where} holds a {model.__name__} that this version of tuneworth cannot read",
                "it may come from a newer version: run `pip install --upgrade tuneworth`",
            ) from error


def _study_id(connection: Connection, name: str, lock: bool = False) -> int:
    """The study's id. Raises StoreError, with the nearest name, for an unknown study.

    `lock` is for changes of many trials at once: on PostgreSQL two of them, in different orders, could deadlock.
    """
    query = select(studies.c.id).where(studies.c.name == name)
    found: int | None = connection.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise StoreError(f"unknown study {name!r}", did_you_mean(name, connection.scalars(select(studies.c.name))))
    return found


class _Kept(NamedTuple):
    """A plan of before: its number, its spec as JSON, its keys in order."""

    number: int
    spec: str
    keys: list[str]


def _kept(connection: Connection, study_id: int) -> list[_Kept]:
    query = select(plans.c.number, plans.c.spec, plans.c["keys"]).where(plans.c.study_id == study_id)
    return [_Kept(n, spec, json.loads(keys)) for n, spec, keys in connection.execute(query.order_by(plans.c.number))]


def _plan(connection: Connection, name: str) -> tuple[int, _Kept | None]:
    """The study's id, and the kept plan that the name is of: None for the present one. Raises StoreError."""
    study, number = kept_plan(name)
    study_id = _study_id(connection, study)
    if number is None:
        return study_id, None
    kept = _kept(connection, study_id)
    for plan in kept:
        if plan.number == number:
            return study_id, plan
    raise StoreError(f"unknown study {name!r}", did_you_mean(name, [study, *(f"{study}@{p.number}" for p in kept)]))


def _held(study_id: int, owner: str, key: str | None = None) -> ColumnElement[bool]:
    """Running trials that `owner` holds: all, or the one of that key."""
    held = (trials.c.study_id == study_id) & (trials.c.state == "running") & (trials.c.owner == owner)
    return held if key is None else held & (trials.c.key == key)


def _change(connection: Connection, which: ColumnElement[bool], **values: Any) -> int:
    """Change trials; returns how many there were."""
    return connection.execute(update(trials).where(which).values(**values, updated=time.time())).rowcount


def _dump_result(result: TrialResult) -> str:
    """JSON with NaN and Infinity as such: pydantic would write null for them, which could not be read back."""
    return json.dumps(result.model_dump(mode="json"))
