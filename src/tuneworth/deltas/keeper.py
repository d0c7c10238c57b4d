"""Which deltas stay on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tuneworth.spec import StudySpec, TrialRecord, TrialResult
from tuneworth.store import Store


class DeltaKeeper:
    """Keeps one delta a recipe and cell, that of the best validation score, unless the study wants all of them."""

    def __init__(self, spec: StudySpec, store: Store, files: Path) -> None:
        self.spec, self.store, self.files = spec, store, files
        self.best: dict[Any, tuple[float, str]] = {}
        for record in store.records(spec.name):
            if record.result and record.result.delta_path:
                self._better(record, record.result.validation_score)

    def finished(self, record: TrialRecord, result: TrialResult) -> None:
        """Take note of a recorded result; remove what it beats, or its own delta."""
        if self.spec.deltas == "best" and result.delta_path:
            loser = self._better(record, result.validation_score)
            place = self.files / "deltas" / self.spec.name / (loser or "")
            # One that lies elsewhere is left, and named still: an earlier version's directory may be another store's too.
            if loser and place.is_dir():
                self.store.forget_delta(self.spec.name, loser)
                shutil.rmtree(place, ignore_errors=True)

    def _better(self, record: TrialRecord, score: float) -> str | None:
        """Note a delta; returns the key of the one that is no longer the best, if any."""
        cell = (*record.trial.cell, record.trial.recipe)
        old = self.best.get(cell)
        if old and old[0] >= score:
            return record.trial.key
        self.best[cell] = (score, record.trial.key)
        return old[1] if old else None
