"""What a store keeps of a study and its present plan leaves out: since when, how much, and how to see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tuneworth.spec import TrialRecord, TrialSpec, engine_of

if TYPE_CHECKING:
    from tuneworth.store import Store

__all__ = ["left_out", "set_aside", "why"]


def left_out(earlier: Iterable[TrialRecord], plan: Sequence[TrialSpec]) -> list[TrialSpec]:
    """The trials that ended and that `plan` does not ask for."""
    keys = {trial.key for trial in plan}
    return [record.trial for record in earlier if record.state in ("done", "failed") and record.trial.key not in keys]


def why(old: Iterable[TrialSpec], plan: Sequence[TrialSpec]) -> str:
    """What changed between trials that were left out and the plan that did it."""
    data = {trial.task: trial.task_fingerprint for trial in plan}
    models = {trial.model: trial.model_fingerprint for trial in plan}
    reasons: dict[str, None] = {}
    for trial in old:
        if data.get(trial.task, trial.task_fingerprint) != trial.task_fingerprint:
            reasons[f"the data of {trial.task!r} changed since"] = None
        if models.get(trial.model, trial.model_fingerprint) != trial.model_fingerprint:
            reasons[f"the model {trial.model!r} changed since"] = None
        now = engine_of(trial.budget, trial.kind, trial.stream is not None)
        if trial.engine != now:
            reasons[f"this version trains otherwise (engine {trial.engine}, now {now})"] = None
    return ", ".join(reasons) or "the study asks for other trials since"


def set_aside(store: Store, study: str, store_flag: str) -> list[str]:
    """A sentence for each plan that the store keeps beside the present one, with trials that are in that one no more.

    Under its name (`results NAME`) a plan shows its own trials alone, so that no mean is ever over two versions of a thing.
    """
    kept = store.set_aside(study)
    plan = [record.trial for record in store.records(study)] if kept else []
    said = []
    for name in kept:
        old = left_out(store.records(name), plan)
        count = "1 earlier trial is" if len(old) == 1 else f"{len(old)} earlier trials are"
        see = f"to see them: tuneworth results {name}{store_flag}"
        said.append(f"{why(old, plan)}: {count} kept as {name}, not shown; {see}")
    return said
