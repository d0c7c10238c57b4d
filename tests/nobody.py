"""What a user without root's rights may do, also where the tests run as root."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read and write anywhere, so that a read-only file is none to it."""
    if os.geteuid() != 0:
        yield
        return
    codecs.lookup("utf-8-sig")  # loaded when first used, from where Python lies, which may be closed to nobody
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
