"""What can go wrong, as a tree.

TuneworthError
|-- UserError           the caller's mistake: found before any training, shown in two lines, exit code 2
|   |-- SpecError       a study file, an option, a name, a fraction, a budget
|   |-- DataError       a training or test file, a column, a label
|   |-- ModelError      a model directory or hub name
|   |-- StoreError      a store that is absent, locked, no database, or from a newer version
|   |   `-- StoreAway   a store that may well answer in a moment: its server restarts, another program locks it
|   |-- WriteError      a file that cannot be written: a full disk, a read-only place, a device; it ends the run, never a trial
|   |-- DeltaError      a delta that is truncated, made for another model, or asked for what its method cannot give
|   |-- HubError        the model hub cannot be reached, or refuses
|   `-- ServeError      a server that cannot start: nothing to serve, a port that is taken
`-- TrialError          what ends one trial; recorded with its reason, the study goes on
    `-- Diverged        loss not finite, or blown up
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TuneworthError(Exception):
    """Root of every error this package raises on purpose."""


class UserError(TuneworthError):
    """A mistake the user can mend: `problem` names it with its value, `remedy` says what to do."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        return type(self), (self.problem, self.remedy)


class SpecError(UserError):
    pass


class DataError(UserError):
    pass


class ModelError(UserError):
    pass


class StoreError(UserError):
    pass


class StoreAway(StoreError):
    pass


class WriteError(UserError):
    pass


class DeltaError(UserError):
    pass


class HubError(UserError):
    pass


class ServeError(UserError):
    pass


class TrialError(TuneworthError):
    """Ends one trial, whose reason is kept as a result."""


class Diverged(TrialError):
    pass


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none is known here"
