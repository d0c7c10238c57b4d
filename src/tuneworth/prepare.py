"""Everything that can be wrong is found here, before any training: names, data, fractions, models, device, disk."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuneworth import fits, models, plan, words
from tuneworth.errors import SpecError, UserError, WriteError
from tuneworth.kinds import get_kind
from tuneworth.methods import note_of
from tuneworth.models.positions import check_length, positions
from tuneworth.spec import SHORTEST, StudySpec, TaskStream, TrialRecord, TrialSpec
from tuneworth.streams.check import check_stream, check_trials
from tuneworth.tasks import Task, TaskData, fingerprint, get_task
from tuneworth.tasks.lengths import choose, measure
from tuneworth.tasks.splits import take
from tuneworth.tasks.summary import Summary, said, summarise
from tuneworth.tuning import QUARTER, STEPS, Tuning
from tuneworth.words import first_line

DEAR = 1.1 * QUARTER
"""What races may take before it is said."""


@dataclass(frozen=True)
class Prepared:
    """A study that can run: its trials in order, and where its models are found on this machine."""

    trials: list[TrialSpec]
    model_sources: dict[str, str]
    candidates: list[TrialSpec]
    """The trials to be compared and those that a run until decided may add, in plan order, with their default recipes where
    `tuning` is yet to choose one."""
    earlier: Sequence[TrialRecord] = ()
    """What earlier runs left in the store."""
    tuning: Tuning = field(default_factory=Tuning)
    data: Mapping[tuple[str, str], Summary] = field(default_factory=dict)
    """What was read, by model and task."""

    @property
    def said(self) -> list[str]:
        """The lines that say what was read."""
        several = len(self.model_sources) > 1
        named = {f"{task}, {model}" if several else task: one for (model, task), one in self.data.items()}
        notes = dict.fromkeys(f"{t.method}: {note}" for t in self.trials if (note := note_of(t.kind, t.options)))
        return [*(line for name, one in named.items() for line in said(name, one.row)), *notes, *self._dear]

    @property
    def _dear(self) -> list[str]:
        """That races of learning rates will take more than a quarter of the training, where they are yet to be run."""
        share = max(map(self.tuning.share, self.candidates), default=0.0)
        if share <= DEAR or not self.tuning.grow(self.candidates, self.earlier).open:
            return []
        return [
            f"learning rates are tried for {STEPS} steps or the whole budget, else they tell nothing: with so few steps in all, "
            f"that takes up to {share:.0%} of the training instead of {QUARTER:.0%} (--tune 1 leaves each at its default)"
        ]

    def data_of(self, trial: TrialSpec) -> dict[str, Any]:
        """What its result says of the data: `TrialResult.data`."""
        names = trial.stream.tasks if trial.stream else (trial.task,)
        read = {name: self.data[trial.model, name].row for name in names}
        return {"tasks": read} if len(names) > 1 else read[names[0]]

    def missing(self, retry_failed: bool) -> list[TrialSpec]:
        """The trials that have neither finished nor failed; with `retry_failed` also those that failed."""
        over = ("done",) if retry_failed else ("done", "failed")
        ended = {record.trial.key for record in self.earlier if record.state in over}
        return [trial for trial in self.trials if trial.key not in ended]


def prepare(
    spec: StudySpec, data_dir: Path | None, files: Path, allow_pickle: bool = False, earlier: Sequence[TrialRecord] = (),
) -> Prepared:  # fmt: skip
    """Raises SpecError, DataError, ModelError or WriteError: the first mistake, with its remedy.

    Where methods are known to fit their models there is nothing to try, and torch, whose start takes most of the time
    here, stays out.
    """
    tasks = {name: get_task(name, spec.task) for name in spec.tasks}
    plan.check(spec)  # the cheap mistakes first: methods, options, recipes
    if spec.precision == "int8":
        from tuneworth.train import device as devices

        devices.resolve_precision(spec.precision, devices.pick("auto"))
    refs = {name: models.resolve(name, allow_pickle) for name in spec.models}
    if spec.max_length != "auto":
        for name, ref in refs.items():
            check_length(name, ref.source, spec.max_length)
    loaded = {name: (task, task.load(data_dir)) for name, task in tasks.items()}
    prints = {name: fingerprint(task, data) for name, (task, data) in loaded.items()}
    read = _read(spec, refs, loaded)
    sources = {name: ref.source for name, ref in refs.items()}
    trials = plan.expand(
        spec, {name: ref.fingerprint for name, ref in refs.items()}, prints, {at: one.max_length for at, one in read.items()},
        sources,
    )  # fmt: skip
    if spec.stream is not None:
        check_stream(spec, loaded)
        check_trials(trials)
    else:
        for task, data in loaded.values():
            for seed in spec.seeds:
                take(data.train.labels, task.kind, min(spec.fractions), seed)
    _check_places(trials, refs, {name: task.kind for name, task in tasks.items()}, allow_pickle)
    _need_space(files, list(sources.values()))
    sizes = {name: len(data.train) for name, (_, data) in loaded.items()}
    return Prepared(trials, sources, trials, earlier, Tuning(spec.tune, spec.seeds, sizes), read)


def _read(
    spec: StudySpec, refs: Mapping[str, models.ModelRef], loaded: Mapping[str, tuple[Task, TaskData]]
) -> dict[tuple[str, str], Summary]:
    """What was read, by model and task, and at how many tokens texts are cut: one model reads all tasks of a stream."""
    found = {}
    for name, ref in refs.items():
        bound = positions(ref.source)
        shortest = min(bound or SHORTEST, SHORTEST) if spec.max_length == "auto" else spec.max_length
        lengths = {task: measure(ref.source, data, shortest) for task, (_, data) in loaded.items()}
        cut = {task: choose(lengths[task], bound) if spec.max_length == "auto" else spec.max_length for task in loaded}
        if isinstance(spec.stream, TaskStream):
            cut = dict.fromkeys(cut, max(cut.values()))
        for task, (kind, data) in loaded.items():
            found[name, task] = summarise(kind, data, lengths[task], cut[task], bound)
    return found


def misfits(spec: StudySpec, allow_pickle: bool = False) -> dict[str, UserError]:
    """The study's methods that one of its models, or this machine, has no place for, each with what it would end with."""
    refs = {name: models.resolve(name, allow_pickle) for name in spec.models}
    one = spec.model_copy(
        update={"seeds": spec.seeds[:1], "budgets": spec.budgets[:1], "fractions": spec.fractions[:1]}
    )
    prints = {name: ref.fingerprint for name, ref in refs.items()}
    sources = {name: ref.source for name, ref in refs.items()}
    kinds = {name: get_task(name, spec.task).kind for name in spec.tasks}
    planned = plan.expand(one, prints, dict.fromkeys(spec.tasks, ""), None, sources)
    trials = {fits.fit_of(trial, _head(trial, kinds)): trial for trial in planned}
    found: dict[str, UserError] = {}
    fit = []
    for key, trial in trials.items():
        if key in fits.known():
            continue
        try:
            _check_fit(trial, sources[trial.model], _kind_of(trial, kinds), allow_pickle)
            fit.append(key)
        except UserError as error:
            found.setdefault(trial.method, error)
    fits.remember(fit)
    return found


def _check_places(
    trials: Sequence[TrialSpec], refs: Mapping[str, models.ModelRef], kinds: Mapping[str, str], allow_pickle: bool
) -> None:
    """Apply each method to its model: an architecture that offers no place for one is a ModelError now, not later."""
    asked = {(t.model_fingerprint, t.kind, repr(t.options), _head(t, kinds)): t for t in trials}
    new = {fits.fit_of(trial, _head(trial, kinds)): trial for trial in asked.values()}
    for shown in fits.known().intersection(new):
        del new[shown]
    if not new:
        return
    for trial in new.values():
        _check_fit(trial, refs[trial.model].source, _kind_of(trial, kinds), allow_pickle)
    fits.remember(new)


def _check_fit(trial: TrialSpec, source: str, kind: str, allow_pickle: bool) -> None:
    """Raises ModelError where the model in the directory `source` has no place for the trial's method, SpecError where the
    method cannot be built as its options ask."""
    import torch

    from tuneworth.models.load import load
    from tuneworth.tuned import apply_to, shapes_of

    loaded = load(source, 2, kind, torch.Generator().manual_seed(0), allow_pickle)
    _need_memory(trial, shapes_of(loaded, trial))
    try:
        apply_to(loaded, trial)
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:  # a size beyond what any tensor may have
        raise SpecError(f"method {trial.method!r} ({_said(trial)}) cannot be built for {trial.model!r}: {first_line(error)}",
                        "check its options") from error  # fmt: skip


def _kind_of(trial: TrialSpec, kinds: Mapping[str, str]) -> str:
    return kinds[trial.stream.tasks[0] if trial.stream else trial.task]


def _head(trial: TrialSpec, kinds: Mapping[str, str]) -> str:
    """The class of model that the trial's kind of task wants."""
    return get_kind(_kind_of(trial, kinds)).auto_class


def _need_memory(trial: TrialSpec, shapes: Mapping[str, Sequence[int]] | None) -> None:
    """What the method adds must fit into this machine's memory at all, before it is built."""
    import psutil

    need = 4 * sum(math.prod(shape) for shape in (shapes or {}).values())
    have = psutil.virtual_memory().total
    if need > have:
        raise SpecError(f"method {trial.method!r} ({_said(trial)}) trains {need / 4:.3g} parameters of {trial.model!r}: "
                        f"{need / 1e9:,.0f} GB, and this machine has {have / 1e9:.0f} GB", "make its options smaller")  # fmt: skip


def _said(trial: TrialSpec) -> str:
    return ", ".join(f"{key} = {value}" for key, value in trial.options.items())


def _need_space(files: Path, sources: list[str]) -> None:
    """Room for a checkpoint of full fine-tuning (weights and two moments) and the delta after it, of the largest model."""
    weights = [sum(f.stat().st_size for f in Path(s).glob("*.safetensors")) for s in sources if Path(s).is_dir()]
    there = files.absolute()
    while not there.exists():
        there = there.parent
    need, free = 4 * max(weights, default=0), shutil.disk_usage(there).free
    if free < need:
        raise WriteError(
            f"no space left: {str(there)!r} has {words.size(free)} free, a trial may need {words.size(need)}",
            "free some space, or give another place with --store",
        )
