"""A delta that is not where it is said to be: a store is read on many machines, a delta lies on the one that made it."""

from __future__ import annotations

import socket
from pathlib import Path

from tuneworth.errors import DeltaError, StoreError

__all__ = ["not_here"]


def not_here(directory: Path, store_url: str | None = None) -> DeltaError:
    """Why there is no delta at `directory`, with the machine that made it where the store at `store_url` knows that."""
    here, there = socket.gethostname(), _made_on(directory, store_url) if store_url else None
    if there and there != here:
        return DeltaError(
            f"{str(directory)!r} was made on {there!r}, and this is {here!r}",
            "run this there, or copy the directory here and give its new path",
        )
    if there:
        return DeltaError(
            f"{str(directory)!r} was made on this machine, and is there no more", "give the path that it was moved to"
        )
    return DeltaError(
        f"there is no directory {str(directory)!r} on this machine ({here!r})",
        "a delta lies on the machine that made it (`host` in tuneworth results STUDY --format json): run this there, or copy "
        "it here and give its new path",
    )


def _made_on(directory: Path, store_url: str) -> str | None:
    """The host that a trial's result names beside this very path."""
    from tuneworth.store import open_store

    try:
        store = open_store(store_url, create=False)
        for study in store.study_names():
            for record in store.records(study):
                if record.result and record.result.delta_path == str(directory.absolute()):
                    return record.result.host or None
    except StoreError:
        pass
    return None
