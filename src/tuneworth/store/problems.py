"""What a database complains about, as a StoreError with a remedy. The one place where SQL errors are translated."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from tuneworth.errors import StoreAway, StoreError

_ELSEWHERE = "give --store another path"
_FREE = "free some space and run the same command again: finished trials are kept"

# The first part of SQLite's error names (SQLITE_BUSY_SNAPSHOT -> BUSY): problem after "<path> ", and remedy.
_SQLITE = {
    "BUSY": ("is locked: another program holds it", "close that program, or try again later"),
    "LOCKED": ("is locked: another program holds it", "close that program, or try again later"),
    "NOTADB": ("is no database", _ELSEWHERE),
    "CORRUPT": ("is a damaged database", f"restore a copy, or {_ELSEWHERE}"),
    "READONLY": ("cannot be written: it or its directory is read-only", f"make both writable, or {_ELSEWHERE}"),
    "PERM": ("cannot be opened: permission denied", f"make it readable and writable, or {_ELSEWHERE}"),
    "CANTOPEN": ("cannot be opened", f"make it and its directory readable and writable, or {_ELSEWHERE}"),
    "FULL": ("cannot be written: no space left", _FREE),
    "IOERR": ("cannot be read or written", f"check the disk, or {_ELSEWHERE}"),
}
# PostgreSQL's SQLSTATE codes.
_POSTGRES = {
    "53100": ("cannot be written: no space left", _FREE),
    "25006": ("cannot be written: it is read-only", "connect to the primary server"),
    "42501": ("cannot be used: permission denied", "grant the user the right to create and change tables"),
}
# What a server, libpq or psycopg say of a connection that no waiting helps, for which psycopg knows no code; a server whose
# messages are not in English is taken to be away.
_POSTGRES_REFUSED = {
    r"password authentication failed|no password supplied|authentication failed": (
        "refuses the user or the password", "give the right user in --store, and the password in PGPASSWORD or a passfile"
    ),
    r'role ".*" does not exist': ("has no such user", "give --store another user, or make that one"),
    r'database ".*" does not exist': ("has no such database", "make it first, with createdb, or give --store another one"),
    r"no pg_hba\.conf entry": ("does not let this user or machine in", "have the server's pg_hba.conf name both"),
    r"failed to resolve host|could not translate host name": (
        "has a host whose name is unknown here", "check the host in --store, and the network"
    ),
}  # fmt: skip
# What a server says while it stops or starts, or has too many guests; without a code: no connection.
_POSTGRES_AWAY = ("08", "57P01", "57P02", "57P03", "53300")


@contextmanager
def store_errors(where: str) -> Iterator[None]:
    """Raise every database error inside as a StoreError about the store at `where`."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise translate(error, where) from error


def translate(error: Exception, where: str) -> StoreError:
    """The StoreError for a database's error; a StoreAway where the same may go well in a moment."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    name = getattr(cause, "sqlite_errorname", "").removeprefix("SQLITE_").split("_")[0]
    if name == "IOERR" and _disk_is_full(where):
        name = "FULL"
    found = _SQLITE.get(name) or _POSTGRES.get(getattr(cause, "sqlstate", None) or "")
    reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
    refused = _refused(error)
    if found is None and refused is not None:
        found = (f"{refused[0]}: {reason.rpartition('FATAL:')[2].strip()}", refused[1])
    away = name in ("BUSY", "LOCKED") or (refused is None and _postgres_is_away(error))
    kind = StoreAway if away else StoreError
    if found is not None:
        return kind(f"the store at {where} {found[0]}", found[1])
    return kind(f"the store at {where} does not work: {reason}", "check --store and try again")


def _refused(error: Exception) -> tuple[str, str] | None:
    """Problem and remedy where a server could not be entered by what the URL says of it."""
    if not isinstance(error, OperationalError) or isinstance(error.orig, sqlite3.Error):
        return None
    return next((found for said, found in _POSTGRES_REFUSED.items() if re.search(said, str(error.orig))), None)


def _postgres_is_away(error: Exception) -> bool:
    """psycopg raises an OperationalError for the server's own troubles, without a code where it lost, or never got, it."""
    if not isinstance(error, OperationalError) or isinstance(error.orig, sqlite3.Error):
        return False
    code = getattr(error.orig, "sqlstate", None)
    return code is None or code.startswith(_POSTGRES_AWAY)


def cannot_be_written(error: StoreError) -> bool:
    """Whether a SQLite file, or the directory of its write-ahead log, is closed to this process's writing."""
    cause = error.__cause__
    orig = cause.orig if isinstance(cause, DBAPIError) else cause
    return getattr(orig, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN"))


def read_only(where: str) -> StoreError:
    return StoreError(f"the store at {where} {_SQLITE['READONLY'][0]}", _SQLITE["READONLY"][1])


def _disk_is_full(where: str) -> bool:
    """Whether that is behind an input/output error: SQLite can run out of space before it writes the data itself."""
    try:
        return shutil.disk_usage(Path(where).expanduser().absolute().parent).free < 2**20
    except OSError:
        return False
