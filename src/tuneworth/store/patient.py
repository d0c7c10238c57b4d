"""A store that may be away for a while, as a run sees it: it waits, says so, and nothing is written twice."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tuneworth.errors import StoreAway
from tuneworth.results.predictions import Predictions
from tuneworth.spec import TrialRecord, TrialResult

if TYPE_CHECKING:
    from tuneworth.store import Store

PATIENCE = 120.0
"""Seconds that a database server may be away: a restart takes some ten, a restart of its machine one or two minutes."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between two tries; the last one over and over."""

T = TypeVar("T")


def patient(store: Store, say: Callable[[str], None], until: float = math.inf) -> Store:
    """The store, waited for where it is away: see PatientStore."""
    return cast("Store", PatientStore(store, say, until))


class PatientStore:
    """Every call to a Store that is away is made again until it answers, for `patience` seconds, or until the clock
    `time.monotonic` shows `until`. Raises StoreAway then.

    `say` gets one line when the waiting begins, and an empty one when it is over. A call whose answer was lost may have
    been carried out: `claim` gives back what its owner does not know of, and `finish` looks whether its result is there.
    """

    def __init__(
        self, store: Store, say: Callable[[str], None], until: float = math.inf, patience: float = PATIENCE
    ) -> None:
        self._store, self._say, self._until, self._patience = store, say, until, patience
        self._held: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        return lambda *given, **named: self._ask(lambda: call(*given, **named))

    def claim(
        self, study: str, owner: str, lease_seconds: float, keys: Iterable[str] | None = None
    ) -> TrialRecord | None:
        def give_back() -> None:
            self._store.release(study, owner, keep=self._held)

        record = self._ask(lambda: self._store.claim(study, owner, lease_seconds, keys), give_back)
        if record is not None:
            self._held.add(record.trial.key)
        return record

    def finish(
        self, study: str, key: str, owner: str, result: TrialResult, predictions: Predictions | None = None
    ) -> bool:
        asked: list[bool] = []
        done = self._ask(
            lambda: self._store.finish(study, key, owner, result, predictions), again=lambda: asked.append(True)
        )
        self._held.discard(key)
        return done or (bool(asked) and self._ask(lambda: self._recorded(study, key, result)))

    def fail(self, study: str, key: str, owner: str, error: str) -> bool:
        self._held.discard(key)
        return self._ask(lambda: self._store.fail(study, key, owner, error))

    def release_one(self, study: str, key: str, owner: str, died: bool = False) -> None:
        self._held.discard(key)
        self._ask(lambda: self._store.release_one(study, key, owner, died))

    def _recorded(self, study: str, key: str, result: TrialResult) -> bool:
        """Whether that very result is there: its seconds are no other run's. As text, in which NaN equals NaN."""
        records = self._store.records(study)
        there = [record.result for record in records if record.trial.key == key and record.state == "done"]
        return [one and one.model_dump_json() for one in there] == [result.model_dump_json()]

    def _ask(self, call: Callable[[], T], again: Callable[[], object] | None = None) -> T:
        """The call's answer; `again` goes before every further try."""
        began, tries = time.monotonic(), 0
        patience = max(0.0, min(self._patience, self._until - began))
        while True:
            try:
                if tries and again:
                    again()
                answer = call()
            except StoreAway as away:
                waited = time.monotonic() - began
                if waited >= patience:
                    raise _gone(away, waited) from away
                if tries == 0:
                    self._say(f"{away.problem}; waiting for it, up to {patience:.0f} s")
                time.sleep(min(PAUSES[min(tries, len(PAUSES) - 1)], patience - waited))
                tries += 1
            else:
                if tries:
                    self._say("")
                return answer


def _gone(away: StoreAway, waited: float) -> StoreAway:
    return StoreAway(f"{away.problem}; waited for {waited:.0f} s",
                     "finished trials are kept; when it answers again, run the same command: it goes on")  # fmt: skip
