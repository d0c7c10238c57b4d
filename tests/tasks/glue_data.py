"""Where the real GLUE data is, if it is here at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def glue_dir(name: str) -> Path:
    """The directory that holds `name` (MRPC, say). Skips the test, with the reason, where there is none."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "glue"
    for root in (Path(os.environ.get("TUNEWORTH_DATA") or beside), beside):
        if (root / name).is_dir():
            return root
    pytest.skip(f"no {name} in TUNEWORTH_DATA or ../shared/glue")
