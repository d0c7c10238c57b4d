"""From the user's URL to a database engine whose transactions are safe with several processes."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from tuneworth.errors import StoreError
from tuneworth.store.shown import FORMS, postgres_url, shown

_ALIVE = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 50_000}
"""A server that vanishes without a word (its machine, the network) is noticed within 50 seconds, not after hours."""


def parse_url(url: str) -> tuple[URL, str]:
    """The database's URL, and how messages name it (a file by its absolute place; no password).

    Raises StoreError for what is no store's URL.
    """
    parsed = postgres_url(url)
    if parsed is not None:
        return parsed, shown(url)
    scheme, separator, _ = url.partition("://")
    if separator and not url.startswith("sqlite:///"):
        raise StoreError(f"a store cannot be kept at {scheme}://", FORMS)
    path = url.removeprefix("sqlite:///")
    if path in ("", ":memory:"):
        raise StoreError(f"the store {url!r} names no file", f"{FORMS}; memory: keeps nothing")
    place = str(Path(path).expanduser().absolute())
    return URL.create("sqlite", database=place), place


def check_path(path: Path, where: str, create: bool) -> None:
    """Say what is wrong with a SQLite store's path more clearly than SQLite does. Raises StoreError."""
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StoreError(f"the store at {where} cannot be opened: {error.strerror}",
                         "give --store a path that this user may read") from None  # fmt: skip
    if path.is_dir():
        raise StoreError(
            f"{where} is a directory, not a store", f"give --store a file, such as {path.name}/tuneworth.db"
        )
    if not path.exists():
        if not create:
            raise no_store(where)
        if not path.parent.is_dir():
            raise StoreError(
                f"there is no directory {str(path.parent)!r} for the store", "make it first, with mkdir -p"
            )


def no_store(where: str) -> StoreError:
    return StoreError(f"no store at {where}", "run a study first, or give --store")


def make_engine(url: URL, where: str, busy_seconds: float) -> Engine:
    """An engine; transactions with the execution option `write=True` may write. Raises StoreError without a driver."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, busy_seconds)
    arguments = {**_ALIVE, "connect_timeout": int(busy_seconds)}
    asked = {name: value for name, value in arguments.items() if name not in url.query}
    try:
        return create_engine(url, pool_pre_ping=True, connect_args=asked)
    except ImportError:
        raise StoreError(
            f"the store at {where} needs the PostgreSQL driver", "pip install 'tuneworth[postgres]'"
        ) from None


def read_only_copy(url: URL) -> Engine:
    """An engine on a copy in memory of the SQLite file at `url`, for a file that can be read only: its write-ahead log needs
    a directory that can be written. Raises sqlite3.Error, also where a log that was left behind would have to be read in.
    """
    path = Path(url.database or "")
    log = path.with_name(f"{path.name}-wal")
    # Without a log, nobody writes, and SQLite may be told so; with one, it may use what a living writer has beside it.
    left = log.exists() and log.stat().st_size > 0
    source = sqlite3.connect(f"{path.as_uri()}?mode=ro{'' if left else '&immutable=1'}", uri=True)
    copy = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    with closing(source):
        source.backup(copy)
    return create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)


def _sqlite_engine(url: URL, busy_seconds: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy_seconds})

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # Python opens no transactions behind our back; `_begin` does
        # With a write-ahead log, NORMAL survives a killed process but may lose the last commits when the power
        # fails. FULL keeps those too: a result can be worth hours of training, and costs one fsync.
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock before anything is read, so no two processes can pick the same trial.
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def use_write_ahead_log(engine: Engine, busy_seconds: float) -> None:
    """Switch a SQLite file to its write-ahead log, where readers and the writer do not block each other.

    SQLite does not always wait for other connections here, so this tries again for `busy_seconds`.
    """
    deadline = time.monotonic() + busy_seconds
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL").fetchall()
                return
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
    finally:
        connection.close()
