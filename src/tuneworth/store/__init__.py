"""Stores: where studies live. `open_store(url)` gives one; every Store passes the suite in tests/contracts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tuneworth.errors import StoreError
from tuneworth.results.predictions import Predictions
from tuneworth.spec import StudySpec, TrialRecord, TrialResult, TrialSpec
from tuneworth.store.places import files_dir

__all__ = ["Counts", "Store", "files_dir", "open_store"]


@dataclass(frozen=True)
class Counts:
    """Trials of a study by state."""

    pending: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        return self.pending + self.running + self.done + self.failed


class Store(Protocol):
    """A ledger of studies and trials. Every method is one transaction: it happened whole, or not at all."""

    def put_study(self, spec: StudySpec, trials: Iterable[TrialSpec]) -> int:
        """Make or update a study and add its trials in order; known keys stay untouched. Returns how many were new.

        Trials of earlier plans that the new spec no longer asks for are kept, but are no longer part of the study's
        plan: `claim`, `records` and `counts` leave them out until a later spec asks for them again. Where some of those were
        begun, the plan that they belong to is kept, to be read as `NAME@1` (see `set_aside`). The spec is kept as
        `spec.stating` dates its claims: by how many trials of the study, of any plan, had finished before. Raises
        StoreError for a spec that is such a kept plan's.
        """
        ...

    def get_study(self, name: str) -> StudySpec:
        """Raises StoreError, with the nearest name, for an unknown study. A kept plan's spec is named `NAME@1`."""
        ...

    def set_aside(self, study: str) -> list[str]:
        """The study's kept plans, `NAME@1`, ..., that hold trials which ended and which its present plan leaves out.

        `get_study`, `records`, `predictions` and `counts` take such a name, of which nothing is set aside; nothing else
        does. A plan that grew has its number still.
        """
        ...

    def study_names(self) -> list[str]:
        """In the order in which they were made."""
        ...

    def claim(
        self, study: str, owner: str, lease_seconds: float, keys: Iterable[str] | None = None
    ) -> TrialRecord | None:
        """Take the first pending trial (of `keys`, where given), or one whose lease ran out, in plan order.

        Its state becomes `running`, its attempt goes up by one, its lease lasts `lease_seconds` from now. No two callers
        ever hold one trial. None: nothing can be taken now.
        """
        ...

    def renew(self, study: str, keys: Iterable[str], owner: str, lease_seconds: float) -> None:
        """Prolong the leases that `owner` holds."""
        ...

    def release(self, study: str, owner: str, keep: Iterable[str] = ()) -> int:
        """Return the running trials of `owner` but those of `keep` to pending. Returns how many. Attempt numbers stay."""
        ...

    def release_one(self, study: str, key: str, owner: str, died: bool = False) -> None:
        """Return one running trial of `owner` to pending; `died`: its worker did, which is counted in `deaths`."""
        ...

    def owners(self, study: str) -> list[str]:
        """Who holds running trials of the study."""
        ...

    def finish(
        self, study: str, key: str, owner: str, result: TrialResult, predictions: Predictions | None = None
    ) -> bool:
        """Record a result and what was predicted. False, and nothing recorded, where `owner` no longer holds the trial."""
        ...

    def fail(self, study: str, key: str, owner: str, error: str) -> bool:
        """Record why a trial failed. False, and nothing recorded, where `owner` no longer holds the trial."""
        ...

    def forget_delta(self, study: str, key: str) -> None:
        """Set delta_path of a finished trial to None: its delta was removed from disk."""
        ...

    def retry_failed(self, study: str) -> int:
        """Return failed trials of the study's plan to pending, their deaths forgotten. Returns how many."""
        ...

    def records(self, study: str) -> list[TrialRecord]:
        """Every trial of the study's plan, in plan order."""
        ...

    def predictions(self, study: str) -> dict[str, Predictions]:
        """By key, those of the study's plan that were recorded, in plan order. One array of targets serves a whole task."""
        ...

    def counts(self, study: str) -> Counts:
        """How many trials are in which state; cheap."""
        ...

    def close(self) -> None: ...


def open_store(url: str, create: bool = True) -> Store:
    """Open the store at `url`: a path or `sqlite:///path`, `postgresql://...`, or `memory:`.

    Raises StoreError where it is no store, is locked, was made by a newer version, or is absent and not `create`.
    """
    if url == "memory:":
        from tuneworth.store.memory import MemoryStore

        return MemoryStore()
    from tuneworth.store.sql import SqlStore

    return SqlStore(url, create=create)


def kept_plan(name: str) -> tuple[str, int | None]:
    """(study, number) of a kept plan's name, `NAME@1`; (name, None) of a study's."""
    study, at, number = name.rpartition("@")
    return (study, int(number)) if at and number.isdecimal() else (name, None)


def check_present(name: str) -> None:
    """Raises StoreError for the name of a kept plan, which can be read only."""
    study, number = kept_plan(name)
    if number is not None:
        raise StoreError(f"{name} is what the study {study} was before: it can be read, not run",
                         f"to go on with it, run {study} again on the data and with the settings of that time")  # fmt: skip
