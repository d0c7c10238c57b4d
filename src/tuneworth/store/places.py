"""Where the files of a store lie: a directory of its own, so that no store can remove another one's deltas."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

_DEFAULTS = {"host": "PGHOST", "port": "PGPORT", "database": "PGDATABASE", "username": "PGUSER", "service": "PGSERVICE"}
"""What a PostgreSQL URL may leave out, and the variable that its driver then reads."""
_SECRET = ("password", "sslpassword")


def files_dir(url: str) -> Path:
    """Where deltas, checkpoints and tokens of the store at `url` live.

    `x.db` -> `x.db.files` beside it. PostgreSQL: `tuneworth-HASH.files` in the working directory, with 10 hex digits over
    what names the database; the password is no part of that. `memory:` -> `memory.files`, which the next such run takes over.

    Up to version 0.1 it was `x.files`, which `x.sqlite` had too, and `tuneworth.files` for every PostgreSQL database.
    Results name their deltas by path, so that those there are found; nothing is removed there any more.
    """
    path = url.removeprefix("sqlite:///")
    if path == "memory:":
        return Path("memory.files")
    if "://" in path:
        return Path(f"tuneworth-{_name(url)}.files")
    place = Path(path).expanduser()
    return place.parent / f"{place.name}.files"


def _name(url: str) -> str:
    from tuneworth.store.engine import parse_url

    parsed, _ = parse_url(url)
    query = {key: value for key, value in parsed.query.items() if key not in _SECRET}
    parts = {key: getattr(parsed, key, None) or query.pop(key, None) for key in _DEFAULTS}
    named = {key: value or os.environ.get(_DEFAULTS[key]) for key, value in parts.items()}
    text = json.dumps([{key: str(value) for key, value in named.items() if value}, sorted(query.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:10]
