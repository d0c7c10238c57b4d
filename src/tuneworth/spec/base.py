"""What all values of a specification share: frozen, with no unknown key; lists without doubles and within bounds."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pydantic import BaseModel, ConfigDict

from tuneworth.errors import SpecError

MAX_TRIALS = 100_000
"""Of one study. At a second each they would take a day; planning them takes two seconds and 190 MB."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


def several(value: Any, what: str) -> Any:
    return distinct(list(value), what) if isinstance(value, (list, tuple)) else [value]


def distinct(values: list[Any], what: str) -> list[Any]:
    if not values:
        raise SpecError(f"{what} is empty", f"name at least one in {what}")
    refuse_many(len(values), what)
    seen: set[Hashable] = set()
    for value in values:
        key = value if isinstance(value, Hashable) else str(value)
        if key in seen:
            raise SpecError(f"{what} names {value!s} twice", "name it once")
        seen.add(key)
    return values


def refuse_many(count: int, what: str) -> None:
    if count > MAX_TRIALS:
        raise SpecError(f"{what} lists {count:,} values, and a study has at most {MAX_TRIALS:,} trials", "list fewer")
