"""Splits of a data set from the Hugging Face hub (or its cache, or a local directory), through `datasets`."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from tuneworth.errors import DataError

__all__ = ["load_columns"]

CONNECT_SECONDS = 3.0


def load_columns(path: str, config: str | None, split: str, columns: list[str], remedy: str) -> dict[str, list[Any]]:
    """The named columns of one split. `path` is a hub name, or a directory. Raises DataError with `remedy`.

    Without a network what the hub's cache holds is used; where it holds nothing, the error comes at once.
    """
    what = f"{path}/{config}" if config else path
    if not Path(path).is_dir() and _offline():
        if not _cached(path):
            raise DataError(f"cannot get {what!r}: the hub cannot be reached, and its cache does not hold it", remedy)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # else it is tried again and again, for half a minute
    import datasets

    try:
        data = datasets.load_dataset(path, config, split=split)
    except Exception as error:  # the hub, the network, the cache and the files each fail in ways of their own
        first = (str(error).strip().splitlines() or ["no message"])[0]
        raise DataError(f"cannot get {what!r} ({split}): {first}", remedy) from None
    missing = [name for name in columns if name not in data.column_names]
    if missing:
        raise DataError(f"{what!r} has no column {missing[0]!r}, but {', '.join(data.column_names)}", remedy)
    return {name: list(data[name]) for name in columns}


def _offline() -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return True
    if getproxies():  # then only the proxy can say
        return False
    url = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        socket.create_connection((url.hostname or "", url.port or 443), timeout=CONNECT_SECONDS).close()
    except OSError:
        return True
    return False


def _cached(path: str) -> bool:
    """Whether the cache of `datasets` knows the data set: it keeps `owner/name` in a folder `owner___name`."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    folder = Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets"))
    return (folder / path.replace("/", "___")).is_dir()
