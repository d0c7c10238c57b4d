"""A store in memory: the same semantics, nothing kept. For tests, and for runs whose records need not last."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tuneworth.errors import StoreError, did_you_mean
from tuneworth.results.predictions import Predictions
from tuneworth.spec import State, StudySpec, TrialRecord, TrialResult, TrialSpec
from tuneworth.store import Counts, check_present, kept_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class _Trial:
    trial: TrialSpec
    state: State = "pending"
    attempt: int = 0
    deaths: int = 0
    owner: str | None = None
    lease_expires: float = 0.0
    result: TrialResult | None = None
    predictions: Predictions | None = None
    error: str | None = None

    def free(self, state: State) -> None:
        self.state, self.owner = state, None

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed")

    def claimable(self) -> bool:
        return self.state == "pending" or (self.state == "running" and self.lease_expires < time.time())


@dataclass
class _Study:
    spec: StudySpec
    trials: dict[str, _Trial] = field(default_factory=dict)
    plan: list[_Trial] = field(default_factory=list)
    kept: dict[int, tuple[StudySpec, list[str]]] = field(default_factory=dict)

    def keep_plan(self, new: Iterable[str]) -> None:
        keys = [trial.trial.key for trial in self.plan]
        if all(trial.state == "pending" or trial.trial.key in new for trial in self.plan):
            return
        if any(set(old) >= set(keys) for _, old in self.kept.values()):
            return
        grown = (number for number, (_, old) in self.kept.items() if set(old) < set(keys))
        self.kept[next(grown, max(self.kept, default=0) + 1)] = (self.spec, keys)


class MemoryStore:
    """A Store for one process, whose threads may share it. Raises StoreError for an unknown study."""

    def __init__(self) -> None:
        self._studies: dict[str, _Study] = {}
        self._targets: dict[str, NDArray[Any]] = {}
        self._lock = threading.RLock()

    def put_study(self, spec: StudySpec, trials: Iterable[TrialSpec]) -> int:
        check_present(spec.name)
        plan = {trial.key: trial for trial in trials}
        with self._lock:
            before = self._studies.get(spec.name)
            study = self._studies.setdefault(spec.name, _Study(spec))
            new = plan.keys() - study.trials.keys()
            finished = sum(trial.state == "done" for trial in study.trials.values())
            study.keep_plan(plan)
            study.spec = spec.stating(before.spec if before else None, finished)
            study.trials.update({key: _Trial(trial) for key, trial in plan.items() if key in new})
            study.plan = [study.trials[key] for key in plan]
            return len(new)

    def get_study(self, name: str) -> StudySpec:
        with self._lock:
            return self._plan(name)[0]

    def set_aside(self, study: str) -> list[str]:
        with self._lock:
            if kept_plan(study)[1] is not None:
                return []
            found = self._study(study)
            present = {trial.trial.key for trial in found.plan}
            outside = {key for key, trial in found.trials.items() if trial.ended and key not in present}
            return [f"{study}@{number}" for number, (_, old) in sorted(found.kept.items()) if outside.intersection(old)]

    def study_names(self) -> list[str]:
        with self._lock:
            return list(self._studies)

    def claim(
        self, study: str, owner: str, lease_seconds: float, keys: Iterable[str] | None = None
    ) -> TrialRecord | None:
        wanted = None if keys is None else set(keys)
        with self._lock:
            for trial in self._study(study).plan:
                if trial.claimable() and (wanted is None or trial.trial.key in wanted):
                    trial.state, trial.owner, trial.attempt = "running", owner, trial.attempt + 1
                    trial.lease_expires = time.time() + lease_seconds
                    return _record(study, trial)
        return None

    def renew(self, study: str, keys: Iterable[str], owner: str, lease_seconds: float) -> None:
        wanted = set(keys)
        with self._lock:
            for trial in self._held(study, owner):
                if trial.trial.key in wanted:
                    trial.lease_expires = time.time() + lease_seconds

    def release(self, study: str, owner: str, keep: Iterable[str] = ()) -> int:
        kept = set(keep)
        with self._lock:
            held = [trial for trial in self._held(study, owner) if trial.trial.key not in kept]
            for trial in held:
                trial.free("pending")
            return len(held)

    def release_one(self, study: str, key: str, owner: str, died: bool = False) -> None:
        with self._lock:
            for trial in self._held(study, owner, key):
                trial.deaths += died
                trial.free("pending")

    def owners(self, study: str) -> list[str]:
        with self._lock:
            return sorted({trial.owner for trial in self._study(study).trials.values() if trial.owner is not None})

    def finish(
        self, study: str, key: str, owner: str, result: TrialResult, predictions: Predictions | None = None
    ) -> bool:
        with self._lock:
            held = self._held(study, owner, key)
            for trial in held:
                trial.result, trial.predictions, trial.error = result, self._sharing_targets(predictions), None
                trial.free("done")
            return bool(held)

    def fail(self, study: str, key: str, owner: str, error: str) -> bool:
        with self._lock:
            held = self._held(study, owner, key)
            for trial in held:
                trial.error = error
                trial.free("failed")
            return bool(held)

    def forget_delta(self, study: str, key: str) -> None:
        with self._lock:
            trial = self._study(study).trials.get(key)
            if trial is not None and trial.result is not None:
                trial.result = trial.result.model_copy(update={"delta_path": None})

    def retry_failed(self, study: str) -> int:
        with self._lock:
            failed = [trial for trial in self._study(study).plan if trial.state == "failed"]
            for trial in failed:
                trial.state, trial.error, trial.deaths = "pending", None, 0
            return len(failed)

    def records(self, study: str) -> list[TrialRecord]:
        with self._lock:
            return [_record(study, trial) for trial in self._plan(study)[1]]

    def predictions(self, study: str) -> dict[str, Predictions]:
        with self._lock:
            plan = self._plan(study)[1]
            return {trial.trial.key: trial.predictions for trial in plan if trial.predictions is not None}

    def counts(self, study: str) -> Counts:
        with self._lock:
            states = [trial.state for trial in self._plan(study)[1]]
        return Counts(**{state: states.count(state) for state in set(states)})

    def close(self) -> None:
        pass

    def _sharing_targets(self, predictions: Predictions | None) -> Predictions | None:
        if predictions is None:
            return None
        known = self._targets.setdefault(predictions.task_fingerprint, predictions.targets)
        return replace(predictions, targets=known)

    def _plan(self, name: str) -> tuple[StudySpec, list[_Trial]]:
        """The spec and the trials of a study's present plan, or of a kept one."""
        name_of_study, number = kept_plan(name)
        study = self._study(name_of_study)
        if number is None:
            return study.spec, study.plan
        if number not in study.kept:
            known = [name_of_study, *(f"{name_of_study}@{kept}" for kept in study.kept)]
            raise StoreError(f"unknown study {name!r}", did_you_mean(name, known))
        spec, keys = study.kept[number]
        return spec.model_copy(update={"name": name}), [study.trials[key] for key in keys]

    def _study(self, name: str) -> _Study:
        if name not in self._studies:
            raise StoreError(f"unknown study {name!r}", did_you_mean(name, self._studies))
        return self._studies[name]

    def _held(self, study: str, owner: str, key: str | None = None) -> list[_Trial]:
        held = [t for t in self._study(study).trials.values() if t.state == "running" and t.owner == owner]
        return [trial for trial in held if key in (None, trial.trial.key)]


def _record(study: str, trial: _Trial) -> TrialRecord:
    return TrialRecord(
        study=study, trial=trial.trial, state=trial.state, attempt=trial.attempt, deaths=trial.deaths, result=trial.result,
        error=trial.error,
    )  # fmt: skip
