"""Where the user's machine keeps what can be made again."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

__all__ = ["cache_dir"]


def cache_dir() -> Path:
    """XDG_CACHE_HOME, or ~/.cache, and the product's own folder in there, made if need be.

    Where that cannot be written (a container's user without a home), a folder among the temporary files that only this
    user can write: code is loaded from it. It need not be there where that fails, too.
    """
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tuneworth"
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        pass
    return _private()


def _private() -> Path:
    try:
        place = Path(tempfile.gettempdir()) / f"tuneworth-{os.getuid()}"
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return place
    except OSError:
        pass
    return Path(os.devnull) / "tuneworth"  # nothing can be made there
