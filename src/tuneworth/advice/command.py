"""A command that a user may type next, kept as data: it becomes text where it is shown, with what finds its store again."""

from __future__ import annotations

import shlex
from typing import Any

from pydantic import model_serializer, model_validator

from tuneworth.spec import Frozen

__all__ = ["Command"]

_CHANGE = "  # with "


class Command(Frozen):
    """`tuneworth` and its arguments. `change`: what must be changed first, in the study's file or in the data. As data it is
    the text that is pasted into a shell."""

    arguments: tuple[str, ...]
    change: str | None = None

    def plus(self, *arguments: str) -> Command:
        return self.model_copy(update={"arguments": (*self.arguments, *arguments)})

    def within(self, store: str | None) -> Command:
        """The same, of a study in that store (None: where commands look by themselves); one that names a store keeps it."""
        return self.plus("--store", store) if store and "--store" not in self.arguments else self

    @model_serializer
    def __str__(self) -> str:
        typed = shlex.join(["tuneworth", *self.arguments])
        return f"{typed}{_CHANGE}{self.change}" if self.change else typed

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        typed, _, change = value.partition(_CHANGE)
        return {"arguments": shlex.split(typed)[1:], "change": change or None}
