"""Every way in which a SQL store can be unusable is said in two lines: what is wrong, and what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from nobody import as_nobody
from store.ledger import STUDY, plan
from tuneworth.errors import StoreError
from tuneworth.store import open_store
from tuneworth.store.sql import SqlStore


def make_store(path: Path) -> Path:
    with closing(open_store(str(path))) as store:
        store.put_study(STUDY, plan(2))
    return path


def problem_of(url: str | Path, create: bool = True) -> StoreError:
    with pytest.raises(StoreError) as caught:
        open_store(str(url), create=create)
    assert caught.value.remedy
    return caught.value


def test_paths_and_urls_name_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "odd name ?%25.db")
    monkeypatch.chdir(tmp_path)
    for url in ("odd name ?%25.db", f"sqlite:///{tmp_path}/odd name ?%25.db", "sqlite:///odd name ?%25.db"):
        with closing(open_store(url, create=False)) as store:
            monkeypatch.chdir("/")  # a store stays where it was when it was opened
            assert store.counts("first").pending == 2
            monkeypatch.chdir(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["odd name ?%25.db"]


def test_an_absent_store(tmp_path: Path) -> None:
    error = problem_of(tmp_path / "no.db", create=False)
    assert error.problem == f"no store at {tmp_path}/no.db"
    assert error.remedy == "run a study first, or give --store"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_an_absent_store_and_can_become_one(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    assert problem_of(path, create=False).problem.startswith("no store at ")
    make_store(path)


def test_an_absent_directory(tmp_path: Path) -> None:
    error = problem_of(tmp_path / "a" / "b.db")
    assert f"no directory '{tmp_path}/a'" in error.problem
    assert "mkdir" in error.remedy


def test_a_directory(tmp_path: Path) -> None:
    assert "is a directory" in problem_of(tmp_path).problem


@pytest.mark.parametrize("content", [b"not a database", b"text,label\nhello,1\n" * 1000], ids=["short", "long"])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    assert problem_of(path).problem.endswith("train.csv is no database")
    assert path.read_bytes() == content


def test_a_damaged_database(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|no database"):
        open_store(str(path)).records("first")


@pytest.mark.parametrize("table", ["people", "alembic_version", "studies"])
def test_another_applications_database_is_left_alone(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"CREATE TABLE {table} (name TEXT)")
    content = path.read_bytes()
    error = problem_of(path)
    assert f"another application's tables ({table})" in error.problem
    assert path.read_bytes() == content


def test_a_store_of_a_newer_version(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    error = problem_of(path)
    assert "made by a newer version" in error.problem
    assert "--upgrade" in error.remedy


def test_a_study_that_a_newer_version_wrote(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("""UPDATE trials SET spec = replace(spec, '{"model"', '{"new": 1, "model"')""")
        connection.commit()
    with closing(open_store(str(path))) as store:
        with pytest.raises(StoreError, match="holds a TrialSpec that this version of tuneworth cannot read"):
            store.records("first")


@pytest.mark.parametrize("exists", [True, False])
def test_a_locked_store(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "store.db"
    if exists:
        make_store(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError) as caught:
            SqlStore(str(path), busy_seconds=0.2)
    assert caught.value.problem == f"the store at {path} is locked: another program holds it"


def test_a_store_that_gets_locked_while_it_is_open(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    with closing(SqlStore(str(path), busy_seconds=0.2)) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds it"):
            store.claim("first", "me", 60.0)
        assert store.counts("first").pending == 2, "a writer must not block readers"
        other.rollback()
        assert store.claim("first", "me", 60.0) is not None


def test_a_full_disk_loses_nothing_that_was_there(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    with closing(SqlStore(str(path))) as store:
        with store.engine.connect() as connection:
            [(pages,)] = connection.exec_driver_sql("PRAGMA page_count").all()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="no space left") as caught:
            store.put_study(STUDY, plan(100))
        assert "free some space" in caught.value.remedy
        assert store.counts("first").total == 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_read_only_and_unreadable_stores() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = make_store(Path(folder) / "store.db")
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        with as_nobody(), pytest.raises(StoreError, match="read-only"):
            with closing(SqlStore(str(path))) as store:
                store.put_study(STUDY, plan(3))
        with as_nobody(), closing(open_store(str(path), create=False)) as store:
            assert (store.study_names(), store.counts("first").pending) == (["first"], 2)
            assert [record.trial for record in store.records("first")] == plan(2)
            with pytest.raises(StoreError, match="read-only"):
                store.claim("first", "me", 60.0)
        assert [file.name for file in Path(folder).iterdir()] == ["store.db"]
        with as_nobody(), pytest.raises(StoreError, match="cannot be opened"):
            SqlStore(str(path.with_name("new.db")))
        path.chmod(0)
        with as_nobody(), pytest.raises(StoreError, match="cannot be opened"):
            SqlStore(str(path))
        Path(folder).chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_read_only_directory_with_a_writer_s_log_or_an_older_store() -> None:
    """What the log holds is seen or the store is refused, never silently left out; an older store is migrated in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = make_store(Path(folder) / "store.db")
        for file in ("old.db", "cut.db"):
            shutil.copy(path, path.with_name(file))
        with closing(sqlite3.connect(path.with_name("old.db"))) as old:
            old.executescript("ALTER TABLE trials DROP deaths; DROP TABLE plans")
            old.executescript("UPDATE alembic_version SET version_num = '0002'")
        with closing(open_store(str(path))) as writer:
            writer.put_study(STUDY, plan(5))
            assert path.with_name("store.db-wal").stat().st_size
            shutil.copy(path.with_name("store.db-wal"), path.with_name("cut.db-wal"))  # as a kill leaves it
            for file in Path(folder).iterdir():
                file.chmod(0o644)
            Path(folder).chmod(0o555)
            with as_nobody(), closing(open_store(str(path), create=False)) as store:
                assert len(store.records("first")) == 5
            with as_nobody(), pytest.raises(StoreError, match="cannot be opened"):
                open_store(str(path.with_name("cut.db")), create=False)
            with as_nobody(), closing(open_store(str(path.with_name("old.db")), create=False)) as store:
                assert [record.deaths for record in store.records("first")] == [0, 0]
            Path(folder).chmod(0o755)


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "sqlite://", "sqlite:///", ":memory:", "postgresql://host:port/db", ""]
)
def test_a_url_that_names_no_store(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "sqlite:///path" in problem_of(url).remedy
    assert list(tmp_path.iterdir()) == []


def test_postgres_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    error = problem_of("postgresql://me:secret@127.0.0.1/db")
    assert error.remedy == "pip install 'tuneworth[postgres]'"
    assert "secret" not in str(error)


def test_postgres_that_does_not_answer() -> None:
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    error = problem_of("postgresql://me:secret@127.0.0.1:1/db")
    assert "does not work" in error.problem
    assert "secret" not in str(error)
