"""Deltas: what a trial changed, as safetensors plus a small JSON; saved, loaded, used, merged, exported and published."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tuneworth.deltas.files import DeltaInfo, read_info, save_delta

if TYPE_CHECKING:
    from tuneworth.deltas.export import export_delta
    from tuneworth.deltas.load import load_delta
    from tuneworth.deltas.merge import merge_delta
    from tuneworth.deltas.predictor import Predictor
    from tuneworth.deltas.push import push_delta

__all__ = [
    "DeltaInfo", "Predictor", "export_delta", "load_delta", "merge_delta", "push_delta", "read_info", "save_delta",
]  # fmt: skip

_HOMES = {
    "Predictor": "predictor",
    "export_delta": "export",
    "load_delta": "load",
    "merge_delta": "merge",
    "push_delta": "push",
}


def __getattr__(name: str) -> Any:
    """What needs torch loads on first use, so that a wrong directory or column is said at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
