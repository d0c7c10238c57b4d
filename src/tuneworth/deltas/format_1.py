"""delta.json of before kinds: labels, and the mean and scale of targets, stood beside everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["upgraded"]

_NUMBERS = {"target_mean": "mean", "target_scale": "scale"}


def upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same in format 2. Raises ValueError where labels and kind of task contradict each other."""
    kept = {name: value for name, value in data.items() if name not in ("labels", *_NUMBERS)}
    labels, kind = data.get("labels"), data.get("task_kind")
    if (labels is None) == (kind != "regression"):
        raise ValueError(f"a {kind} task {'without' if labels is None else 'with'} labels")
    numbers = {new: data[old] for old, new in _NUMBERS.items() if old in data}
    return {**kept, "format": 2, "codec": numbers if labels is None else {"labels": labels}}
