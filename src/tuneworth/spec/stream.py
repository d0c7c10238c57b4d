"""Data or tasks that arrive one after another: `[stream]` of a study file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tuneworth.errors import SpecError
from tuneworth.spec.base import Frozen, several

Drift = Literal["none", "label-shift", "topic-order", "noise-burst"]
Mode = Literal["separate", "sequential", "joint"]


class DataStream(Frozen):
    """`[stream]` with kind = "data": the examples of each task arrive in chunks; each is predicted, then trained on.

    `length`: how many examples arrive in all (None: the whole training split). `drift` and `buffer` (examples kept for
    replay; 0: none) may list several values, which are compared.
    """

    kind: Literal["data"]
    chunk: Annotated[int, Field(ge=1)]
    length: Annotated[int, Field(ge=1)] | None = None
    order: Literal["seeded", "file"] = "seeded"
    drift: tuple[Drift, ...] = ("none",)
    buffer: tuple[Annotated[int, Field(ge=0)], ...] = (0,)

    @field_validator("drift", "buffer", mode="before")
    @classmethod
    def _lists(cls, value: Any, info: Any) -> Any:
        return several(value, f"stream.{info.field_name}")

    @model_validator(mode="after")
    def _one_order(self) -> DataStream:
        for drift in self.drift:
            if self.order == "file" and drift in ("label-shift", "topic-order"):
                raise SpecError(f"stream.drift = {drift!r} is an order of its own, stream.order = 'file' another",
                                "leave out one of the two")  # fmt: skip
        return self


class TaskStream(Frozen):
    """`[stream]` with kind = "tasks": the study's tasks arrive one after another, each with its budget.

    `length`: training examples of each task (None: all). `head`: each task has its own, or all share one. Modes:
    `separate` tunes the pre-trained model anew for each task, `sequential` tunes one model on and on, `joint` tunes one
    on all tasks at once, which a stream does not allow: it is the bound.
    """

    kind: Literal["tasks"]
    length: Annotated[int, Field(ge=1)] | None = None
    mode: tuple[Mode, ...] = ("separate", "sequential", "joint")
    head: Literal["own", "shared"] = "own"

    @field_validator("mode", mode="before")
    @classmethod
    def _lists(cls, value: Any, info: Any) -> Any:
        return several(value, f"stream.{info.field_name}")


STREAMS: dict[str, type[DataStream] | type[TaskStream]] = {"data": DataStream, "tasks": TaskStream}


class StreamTrial(Frozen):
    """The stream that one trial runs: one choice of each thing that `[stream]` may list."""

    kind: Literal["data", "tasks"]
    tasks: tuple[str, ...]
    """Their names, in order; one for a data stream. Labels, so no part of the trial's key."""
    length: int | None
    chunk: int = 0
    order: Literal["seeded", "file"] = "seeded"
    drift: Drift = "none"
    buffer: int = 0
    mode: Mode | None = None
    head: Literal["own", "shared"] = "own"
