"""Which revision a database has, and bringing it to the newest. Alembic, slow to import, is loaded only to migrate."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tuneworth.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x74756E65
"""Number of the advisory lock that keeps two processes from migrating one PostgreSQL database at once."""


def known_revisions() -> list[str]:
    """Revisions in order, read off the file names (`0001_what_it_does.py`); the last is the newest."""
    return sorted(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current_revision(connection: Connection, where: str) -> str | None:
    """The database's revision; None for an empty one. Raises StoreError where it belongs to something else."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if not {"alembic_version", "studies", "trials"} <= tables:
        raise StoreError(
            f"{where} holds another application's tables ({', '.join(sorted(tables)[:3])})",
            "give --store a path or a database of its own",
        )
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found not in known_revisions():
        raise StoreError(
            f"the store at {where} was made by a newer version of tuneworth (revision {found})",
            "run `pip install --upgrade tuneworth`, or give --store another path",
        )
    return found


def migrate(connection: Connection, where: str) -> None:
    """Bring the database to the newest revision, in the writing transaction that `connection` is in.

    The revision is read again under the lock: another process may have been first.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
    if current_revision(connection, where) != known_revisions()[-1]:
        upgrade(connection, "head")


def upgrade(connection: Connection, revision: str) -> None:
    """Run Alembic up to `revision`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
