"""Deltas: what a trial changed, as safetensors plus a small JSON; saved here, loaded here, used here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuneworth.deltas.files import DeltaInfo, read_info, save_delta

if TYPE_CHECKING:
    from tuneworth.deltas.load import Predictor, load_delta

__all__ = ["DeltaInfo", "Predictor", "load_delta", "read_info", "save_delta"]


def __getattr__(name: str) -> Any:
    """What needs torch loads on first use, so that a wrong directory or column is said at once."""
    if name in ("Predictor", "load_delta"):
        from tuneworth.deltas import load

        return getattr(load, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
