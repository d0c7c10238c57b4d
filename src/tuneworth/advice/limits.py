"""What a method may cost: the user's limits, and which of them a measured method breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tuneworth import words
from tuneworth.errors import SpecError, did_you_mean
from tuneworth.results.cells import Cell, Group
from tuneworth.spec import Budget

__all__ = ["NO_LIMITS", "Limits", "Prefer", "cost_in_words"]

Prefer = Literal["size", "time", "memory"]
"""Of methods that are as good: the fewest trained parameters, the least training time, the least peak memory."""

_UNITS = {"": 1.0, "B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
          "KIB": 2.0**10, "MIB": 2.0**20, "GIB": 2.0**30, "TIB": 2.0**40}  # fmt: skip
_TIMES = {"": 1.0, "S": 1.0, "M": 60.0, "H": 3600.0}
_COUNTS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "%": 0.01}


@dataclass(frozen=True)
class Limits:
    """What the chosen method may cost (None: no limit), and which cost to save first.

    Costs are measured, over the finished seeds: training time as the median of the faster half, or, where seeds took unlike
    times, as the fastest, since the machine was busy (under a budget in seconds: the budget, which is kept to within one
    step); memory as the worst of them, parameters and delta size as their mean.
    """

    max_train_seconds: float | None = None
    max_memory: float | None = None
    """Bytes."""
    max_trainable: float | None = None
    """Trained parameters."""
    max_trainable_share: float | None = None
    """Trained parameters as a share of all that the model then has."""
    max_delta_size: float | None = None
    """Bytes."""
    prefer: Prefer = "size"

    @classmethod
    def parse(
        cls, max_train_seconds: str | float | None = None, max_memory: str | float | None = None,
        max_trainable: str | float | None = None, max_delta_size: str | float | None = None, prefer: Any = "size",
    ) -> Limits:  # fmt: skip
        """Limits as a user writes them: 60s or 2m; 2GB or 512MiB; 1% or 100k; 0.5MB. A bare number is in seconds, bytes or
        parameters. `prefer`: see `Prefer`. Raises SpecError."""
        if prefer not in get_args(Prefer):
            raise SpecError(f"cannot prefer {prefer!r}", did_you_mean(prefer, list(get_args(Prefer))))
        time = "write it like 60s, 2m or 1h"
        size = "write it like 500kB, 0.5MB or 2GB"
        share = str(max_trainable or "").strip().endswith("%")
        trainable = _read("max-trainable", max_trainable, _COUNTS, "write it like 1% (of the model), 100000 or 100k")
        if share and trainable is not None and trainable > 1:
            raise SpecError(
                f"max-trainable {max_trainable!r} is more than the whole model", "write it like 1%, or leave it out"
            )
        return cls(
            max_train_seconds=_read("max-train-seconds", max_train_seconds, _TIMES, time),
            max_memory=_read("max-memory", max_memory, _UNITS, size),
            max_trainable=None if share else trainable,
            max_trainable_share=trainable if share else None,
            max_delta_size=_read("max-delta-size", max_delta_size, _UNITS, size),
            prefer=prefer,
        )  # fmt: skip

    def broken_by(self, cell: Cell, group: Group) -> list[tuple[str, float | None]]:
        """(limit, measured value) of every limit that the method breaks. What was not measured cannot keep a limit: None."""
        found = []
        for limit, cost in _COSTS.items():
            most, value = getattr(self, limit), cost(cell, group)
            if most is not None and (value is None or value > most):
                found.append((limit, value))
        return found


NO_LIMITS = Limits()


def cost_in_words(limit: str, value: float | None) -> str:
    """A cost in the unit of its limit: 41 s, 2.0 GB, 102,912 parameters, 1.2% of the parameters."""
    if value is None:
        return "not measured"
    if limit == "max_train_seconds":
        return words.seconds(value)
    if limit == "max_trainable":
        return f"{words.count(value)} trained parameters"
    return f"{words.share(value)} of the parameters" if limit == "max_trainable_share" else words.size(value)


def _train_seconds(cell: Cell, group: Group) -> float | None:
    budget = Budget.parse(group.budget)
    if budget.timed:
        return budget.amount
    return cell.unsteady[0] if cell.unsteady else cell.train_seconds


_COSTS: dict[str, Callable[[Cell, Group], float | None]] = {
    "max_train_seconds": _train_seconds,
    "max_memory": lambda cell, _: cell.peak_memory_bytes,
    "max_trainable": lambda cell, _: cell.trainable_parameters,
    "max_trainable_share": lambda cell, _: cell.trainable_share,
    "max_delta_size": lambda cell, _: cell.delta_bytes,
}


def _read(name: str, value: Any, units: dict[str, float], remedy: str) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-z%]*)\s*", str(value), re.IGNORECASE)
    if match is None or match[2].upper() not in units:
        raise SpecError(f"cannot read the limit {name} {str(value)!r}", remedy)
    number = float(match[1]) * units[match[2].upper()]
    if not 0 < number < float("inf"):
        raise SpecError(f"the limit {name} {str(value)!r} is not more than nothing", remedy)
    return number
