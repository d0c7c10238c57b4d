"""Where the user's machine keeps what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir"]


def cache_dir() -> Path:
    """XDG_CACHE_HOME, or ~/.cache, and the product's own folder in there; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tuneworth"
