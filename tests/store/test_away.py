"""A store that is away for a while is waited for, and what was being written is written once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from postgres import Server
from store.ledger import STUDY, plan, result
from tuneworth.errors import StoreAway, StoreError
from tuneworth.events import Died
from tuneworth.progress import Board
from tuneworth.run import MAX_DEATHS, Run
from tuneworth.store import Store, open_store
from tuneworth.store.patient import PatientStore
from tuneworth.study import Study


class Unheard:
    """A store whose answers are lost: each call is carried out, and the first time its caller hears of no answer."""

    def __init__(self, store: Store) -> None:
        self.store, self.lost = store, 0

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            answer = getattr(self.store, name)(*given, **named)
            if name in ("claim", "finish") and self.lost % 2 == 0:
                self.lost += 1
                raise StoreAway("the store at x does not work: server closed the connection")
            self.lost += name in ("claim", "finish")
            return answer

        return call


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with closing(open_store(str(tmp_path / "s.db"))) as opened:
        opened.put_study(STUDY, plan(3))
        yield opened


def test_what_was_carried_out_without_an_answer_is_not_done_twice(store: Store) -> None:
    said: list[str] = []
    patient = PatientStore(Unheard(store), said.append)  # type: ignore[arg-type]
    first, second = (patient.claim("first", "me", 600.0) for _ in range(2))
    assert first is not None
    assert second is not None
    assert [record.trial.seed for record in (first, second)] == [0, 1]
    assert [record.state for record in store.records("first")] == ["running", "running", "pending"]
    told = result(math.nan)
    assert patient.finish("first", first.trial.key, "me", told)
    assert [line[:41] for line in said] == ["the store at x does not work: server clos", ""] * 3
    store.release("first", "me")
    assert not patient.finish("first", second.trial.key, "me", result()), "it holds the trial no more"
    assert [record.state for record in store.records("first")] == ["done", "pending", "pending"]


def test_patience_ends_with_a_sentence_and_at_a_time_limit() -> None:
    class Gone:
        def counts(self, study: str) -> None:
            raise StoreAway(f"no {study}")

    for limits in ({"patience": 0.3}, {"until": 0.0}):
        with pytest.raises(StoreAway, match=r"no first; waited for 0 s\nfinished trials are kept.*the same command"):
            PatientStore(Gone(), lambda _: None, **limits).counts("first")  # type: ignore[arg-type]


def test_a_server_that_restarts_is_waited_for(postgres: Server) -> None:
    said: list[str] = []
    with postgres.database("stores") as url, closing(open_store(url)) as store:
        store.put_study(STUDY, plan(2))
        patient = PatientStore(store, said.append)
        record = patient.claim("first", "me", 600.0)
        assert record is not None
        postgres.stop()
        back = threading.Timer(0.5, postgres.start)
        back.start()
        assert patient.finish("first", record.trial.key, "me", result())
        back.join()
        assert said[0].startswith("the store at postgresql://tests@")
        assert (said[0].endswith("waiting for it, up to 120 s"), said[1:]) == (True, [""])
        assert (store.counts("first").done, store.counts("first").pending) == (1, 1)


def test_a_run_goes_on_when_its_server_does(
    make_study: Callable[..., Study], postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the files of a store on a server lie
    stopped: list[bool] = []
    notices: list[str] = []

    def watch(board: Board) -> None:
        if board.counts.done == 1 and not stopped:
            stopped.append(True)
            postgres.stop()
            threading.Timer(0.5, postgres.start).start()
        notices.append(board.notice)

    with postgres.database("stores") as url, closing(open_store(url)) as store:
        study = Study(make_study(budgets=["3steps"]).spec, url)
        study._store = store
        assert study.run(1, "cpu", watch=watch).done == 4
        assert [record.attempt for record in store.records("reviews")] == [1] * 4
        assert any("waiting for it" in notice for notice in notices)
        assert notices[-1] == ""


def test_a_run_counts_deaths_not_interruptions(make_study: Callable[..., Study]) -> None:
    study = make_study(methods=["head"], seeds=1)
    prepared = study.prepare()
    study.store.put_study(study.spec, prepared.trials)
    run = Run(study, prepared, 1, lambda _: None, "cpu", 30.0, False, math.inf)

    def claimed() -> str:
        record = study.store.claim("reviews", run.owner, 600.0)
        assert record is not None
        run.board.begins(record)
        return record.trial.key

    for _ in range(MAX_DEATHS):
        claimed()
        study.store.release("reviews", run.owner)  # as Ctrl-C and a time limit do
    for deaths in range(1, MAX_DEATHS):
        run._record(Died(claimed(), "killed"))
        [record] = study.store.records("reviews")
        assert (record.state, record.deaths) == ("pending", deaths)
    run._record(Died(claimed(), "killed"))
    [record] = study.store.records("reviews")
    assert (record.state, record.error, record.attempt) == ("failed", "killed, 3 times", 6)


@pytest.mark.parametrize(
    ("change", "password", "said", "remedy"),
    [
        ({}, "", "refuses the user or the password", "PGPASSWORD"),
        ({}, "wrong", "refuses the user or the password", "PGPASSWORD"),
        ({"user": "nobody-here"}, "", "has no such user", "another user"),
        ({"user": "tests", "database": "nothing-here"}, "", "has no such database", "createdb"),
        ({"host": "nowhere.invalid"}, "", "has a host whose name is unknown here", "the network"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_url_is_said_and_not_waited_for(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], password: str, said: str, remedy: str
) -> None:
    parts = {"user": "guarded", "database": "stores", "host": str(postgres.folder), **change}
    if password:
        monkeypatch.setenv("PGPASSWORD", password)
    with guarded(postgres), pytest.raises(StoreError, match=said) as caught:
        open_store(f"postgresql://{parts['user']}@/{parts['database']}?host={parts['host']}")
    assert not isinstance(caught.value, StoreAway)
    assert remedy in caught.value.remedy


@contextmanager
def guarded(postgres: Server) -> Iterator[None]:
    """A user `guarded` who needs a password, for a while."""
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        rules.write_text(f"local all guarded scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            while connection.execute(
                "SELECT count(*) FROM pg_hba_file_rules WHERE 'guarded' = ANY(user_name)"
            ).fetchone() == (0,):
                time.sleep(0.01)
            yield
        finally:
            connection.execute("DROP ROLE guarded")
            rules.write_text(before)
            connection.execute("SELECT pg_reload_conf()")
