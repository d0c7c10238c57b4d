"""Tuneworth: which fine-tuning is worth it, on your model, your data, your budget?"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuneworth.deltas import Predictor, load_delta
    from tuneworth.errors import TuneworthError, UserError
    from tuneworth.own_data import compare
    from tuneworth.spec import Budget, Recipe, StudySpec, TrialResult, TrialSpec
    from tuneworth.study import Study
    from tuneworth.until_decided import Question

__all__ = [
    "Budget", "Predictor", "Question", "Recipe", "Study", "StudySpec", "TrialResult", "TrialSpec", "TuneworthError", "UserError",
    "compare", "load_delta",
]  # fmt: skip

_HOMES = {
    "Predictor": "deltas",
    "compare": "own_data",
    "load_delta": "deltas",
    "Question": "until_decided",
    "Study": "study",
    "TuneworthError": "errors",
    "UserError": "errors",
}


def __getattr__(name: str) -> Any:
    """Public names load their module on first use, so that `import tuneworth` stays instant."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'spec')}"), name)
