"""Everything that can be wrong is found here, before any training: names, data, fractions, models, device, disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneworth import fits, models, plan
from tuneworth.errors import StoreError
from tuneworth.models.positions import check_length
from tuneworth.spec import StudySpec, TrialRecord, TrialSpec
from tuneworth.streams.check import check_stream, check_trials
from tuneworth.tasks import fingerprint, get_task
from tuneworth.tasks.splits import take


@dataclass(frozen=True)
class Prepared:
    """A study that can run: its trials in order, and where its models are found on this machine."""

    trials: list[TrialSpec]
    model_sources: dict[str, str]
    candidates: list[TrialSpec]
    """`trials` and those that a run until decided may add, in plan order."""
    earlier: Sequence[TrialRecord] = ()
    """What earlier runs left in the store."""

    def missing(self, retry_failed: bool) -> list[TrialSpec]:
        """The trials that have neither finished nor failed; with `retry_failed` also those that failed."""
        over = ("done",) if retry_failed else ("done", "failed")
        ended = {record.trial.key for record in self.earlier if record.state in over}
        return [trial for trial in self.trials if trial.key not in ended]


def prepare(
    spec: StudySpec, data_dir: Path | None, files: Path, allow_pickle: bool = False, earlier: Sequence[TrialRecord] = (),
) -> Prepared:  # fmt: skip
    """Raises SpecError, DataError, ModelError or StoreError: the first mistake, with its remedy.

    Where methods are known to fit their models there is nothing to try, and torch, whose start takes most of the time
    here, stays out.
    """
    tasks = {name: get_task(name, spec.task) for name in spec.tasks}
    plan.check(spec)  # the cheap mistakes first: methods, options, recipes
    refs = {name: models.resolve(name, allow_pickle) for name in spec.models}
    loaded = {name: (task, task.load(data_dir)) for name, task in tasks.items()}
    prints = {name: fingerprint(task, data) for name, (task, data) in loaded.items()}
    trials = plan.expand(spec, {name: ref.fingerprint for name, ref in refs.items()}, prints)
    if spec.stream is not None:
        check_stream(spec, loaded)
        check_trials(trials)
    else:
        for task, data in loaded.values():
            for seed in spec.seeds:
                take(data.train.labels, task.kind, min(spec.fractions), seed)
    for name, length in {(trial.model, trial.max_length): None for trial in trials}:
        check_length(name, refs[name].source, length)
    _check_places(trials, refs, allow_pickle)
    _need_space(files, [ref.source for ref in refs.values()])
    return Prepared(trials, {name: ref.source for name, ref in refs.items()}, trials, earlier)


def _check_places(trials: Sequence[TrialSpec], refs: Mapping[str, models.ModelRef], allow_pickle: bool) -> None:
    """Apply each method to its model: an architecture that offers no place for one is a ModelError now, not later."""
    asked = {(t.model_fingerprint, t.kind, repr(t.options)): t for t in trials}
    new = {fits.fit_of(trial): trial for trial in asked.values()}
    for shown in fits.known().intersection(new):
        del new[shown]
    if not new:
        return
    import torch

    from tuneworth.methods import get_method, method_options
    from tuneworth.methods._tune import tune
    from tuneworth.models.load import load

    for trial in new.values():
        method = get_method(trial.kind)
        chance = torch.Generator().manual_seed(0)
        model = load(refs[trial.model].source, 2, "classification", chance, allow_pickle)
        tune(model, method, method_options(method, dict(trial.options)), chance)
    fits.remember(new)


def _need_space(files: Path, sources: list[str]) -> None:
    """Room for a checkpoint of full fine-tuning (weights and two moments) and the delta after it, of the largest model."""
    weights = [sum(f.stat().st_size for f in Path(s).glob("*.safetensors")) for s in sources if Path(s).is_dir()]
    there = files.absolute()
    while not there.exists():
        there = there.parent
    need, free = 4 * max(weights, default=0), shutil.disk_usage(there).free
    if free < need:
        raise StoreError(f"no space left: {str(there)!r} has {free / 1e9:.1f} GB free, a trial may need {need / 1e9:.1f} GB",
                         "free some space, or give another place with --store")  # fmt: skip
