"""The migrations lead from every older revision to the tables that the code uses."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from store.ledger import STUDY, answered, plan, result, trial
from tuneworth.store.engine import make_engine, parse_url
from tuneworth.store.migrate import known_revisions, upgrade
from tuneworth.store.sql import SqlStore
from tuneworth.store.tables import metadata


@pytest.mark.parametrize("revision", ["base", *known_revisions()])
def test_every_older_revision_becomes_the_newest(tmp_path: Path, revision: str) -> None:
    path = str(tmp_path / "store.db")
    if revision != "base":
        engine = make_engine(parse_url(path)[0], path, 1.0)
        with engine.execution_options(write=True).begin() as connection:
            upgrade(connection, revision)
        engine.dispose()
    with closing(SqlStore(path)) as store:
        with store.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
            assert found == known_revisions()[-1]
        assert store.put_study(STUDY, plan(2)) == 2


def test_a_store_of_the_first_version_keeps_its_trials_which_have_no_predictions(tmp_path: Path) -> None:
    """The first revision's tables, filled as that version filled them."""
    path = str(tmp_path / "store.db")
    engine = make_engine(parse_url(path)[0], path, 1.0)
    with engine.execution_options(write=True).begin() as connection:
        upgrade(connection, "0001")
        studies = text("INSERT INTO studies VALUES (1, 'first', :spec, 0)")
        connection.execute(studies, {"spec": STUDY.dumps()})
        for seed, state in enumerate(("done", "pending")):
            trials = text("INSERT INTO trials (study_id, key, position, spec, state, attempt, result, updated) "
                          "VALUES (1, :key, :position, :spec, :state, 0, :result, 0)")  # fmt: skip
            connection.execute(trials, {
                "key": trial(seed).key, "position": seed, "spec": trial(seed).model_dump_json(), "state": state,
                "result": result().model_dump_json() if state == "done" else None,
            })  # fmt: skip
    engine.dispose()
    with closing(SqlStore(path)) as store:
        assert [record.result for record in store.records("first")] == [result(), None]
        assert store.predictions("first") == {}
        taken = store.claim("first", "me", 60.0)
        assert taken is not None
        assert store.finish("first", taken.trial.key, "me", result(), answered(1))
        assert list(store.predictions("first")) == [trial(1).key]


def test_an_interrupted_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    engine = make_engine(parse_url(path)[0], path, 1.0)
    with engine.execution_options(write=True).connect() as connection:
        transaction = connection.begin()
        upgrade(connection, "head")
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        transaction.rollback()
    engine.dispose()
    with closing(SqlStore(path)) as store:
        assert store.study_names() == []


def test_processes_that_make_one_store_at_once_all_succeed(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    code = (
        "import sys, alembic.command, sqlalchemy; from tuneworth.store.sql import SqlStore;"
        "print('ready', flush=True); sys.stdin.readline(); print(SqlStore(sys.argv[1]).study_names())"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", code, path], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    assert [maker.communicate(timeout=60)[0] for maker in makers] == ["[]\n"] * 3


def test_opening_an_up_to_date_store_needs_no_alembic(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    SqlStore(path).close()
    code = (
        "import sys; from tuneworth.store import open_store; open_store(sys.argv[1], create=False).study_names();"
        "print([name for name in ('alembic', 'torch', 'sqlalchemy.dialects.postgresql') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
