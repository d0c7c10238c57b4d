"""A store's URL as people may see it: in messages, in commands to copy, in a report. It holds no secret."""

from __future__ import annotations

import re

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tuneworth.errors import StoreError

__all__ = ["FORMS", "has_secret", "postgres_url", "shown"]

FORMS = "give --store a path, sqlite:///path, or postgresql://user@host/database"
_POSTGRES = re.compile(r"(postgres(?:ql)?)(\+\w+)?:/", re.IGNORECASE)
_SECRET = re.compile(r"pas(?!sfile)|pw|secret|token|_key", re.IGNORECASE)
"""What names a secret among a URL's parameters: at least those that libpq never displays (dispchar "*" in PQconninfoOptions,
fe-connect.c), and a password whose name is misspelt. A passfile is a path, and says where the password is."""


def shown(url: str) -> str:
    """`url` without its secrets: the same database, for who gives the password in another way (PGPASSWORD, a passfile).

    What cannot be read is cut down to its scheme, since anything in it may be the secret.
    """
    try:
        parsed = postgres_url(url)
    except StoreError:
        return f"{url.partition(':')[0]}://..."
    if parsed is None:
        scheme, separator, _ = url.partition("://")
        return f"{scheme}://..." if separator and scheme != "sqlite" else url
    query = {name: value for name, value in parsed.query.items() if not _SECRET.search(name)}
    kept = URL.create("postgresql", parsed.username, None, parsed.host, parsed.port, parsed.database, query)
    return kept.render_as_string()


def has_secret(url: str) -> bool:
    """Whether `shown` leaves something out that opening the store takes."""
    try:
        parsed = postgres_url(url)
    except StoreError:
        return False
    return parsed is not None and (parsed.password is not None or any(map(_SECRET.search, parsed.query)))


def postgres_url(url: str) -> URL | None:
    """The URL of a PostgreSQL database; None for what is none. Raises StoreError, which repeats nothing of it."""
    found = _POSTGRES.match(url)
    if found is None:
        return None
    scheme = found[1]
    # SQLAlchemy ends a password at the first '@', and would show the rest of it as the host.
    if url.partition(":")[2].partition(":")[2].count("@") > 1:
        raise StoreError(
            f"the store's URL {scheme}://... has more than one '@'",
            "write an '@' of the password as %40, or leave the password out and set PGPASSWORD",
        )
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(f"the store's URL {scheme}://... cannot be read", FORMS) from None
    return parsed.set(drivername="postgresql+psycopg")
