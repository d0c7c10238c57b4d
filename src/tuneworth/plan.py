"""From a study to its trials, in the order in which they run. Pure: what is outside comes in as arguments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tuneworth.errors import SpecError, did_you_mean
from tuneworth.methods import get_method, method_options, recipe_for, settled
from tuneworth.spec import MAX_TRIALS, SHORTEST, MethodVariant, Recipe, StreamTrial, StudySpec, TrialSpec


def expand(
    spec: StudySpec, models: Mapping[str, str], tasks: Mapping[str, str], lengths: Mapping[tuple[str, str], int] | None = None,
    sources: Mapping[str, str] | None = None,
) -> list[TrialSpec]:  # fmt: skip
    """Every trial of the study. `models` and `tasks`: name -> content fingerprint. `lengths`: by model and task, the tokens
    at which texts are cut where the study leaves that to the data (SHORTEST where nothing is known of it). `sources`: model ->
    directory, for options that depend on what the model is like.

    Order: seeds outermost, so that an interrupted study has whole seeds for every method rather than every seed of a
    few; trials with a budget in seconds last, since each needs the machine to itself. Raises SpecError.
    """
    _refuse_too_many(spec)
    methods = {
        (model, name): _tuning(name, spec, (sources or {}).get(model)) for model in spec.models for name in spec.methods
    }
    budgets = sorted(spec.budgets, key=lambda budget: budget.timed)
    trials = [
        TrialSpec(
            model=model, model_fingerprint=models[model], method=name, kind=methods[model, name][0],
            options=methods[model, name][1],
            recipe=recipe, task=task, task_fingerprint=fingerprint, fraction=fraction, budget=budget, seed=seed,
            max_length=_length(spec, lengths or {}, model, stream.tasks[0] if stream else task),
            evaluations=spec.evaluations, precision=spec.precision, stream=stream,
        )
        for timed in (False, True)
        for seed in spec.seeds
        for budget in budgets
        if budget.timed == timed
        for model, (task, fingerprint, stream), fraction, name in itertools.product(
            spec.models, _columns(spec, tasks), spec.fractions, spec.methods
        )
        for recipe in methods[model, name][2]
    ]  # fmt: skip
    _refuse_twins(trials)
    return trials


def as_begun(spec: StudySpec, before: StudySpec, planned: Sequence[TrialSpec]) -> StudySpec:
    """The study with the learning rates that it began with: a default that another version changed must not train again what is
    there. `before`: the study as the store has it, with its `planned` trials, of which a method's first has its default."""
    kept: dict[str, Mapping[str, Any]] = {}
    for trial in planned:
        asked, was = spec.recipe.get(trial.method, {}), before.recipe.get(trial.method, {})
        if trial.method in spec.methods and "learning_rate" not in {**asked, **was}:
            kept.setdefault(trial.method, {**asked, "learning_rate": trial.recipe.learning_rate})
    return spec.model_copy(update={"recipe": {**spec.recipe, **kept}})


def _length(spec: StudySpec, lengths: Mapping[tuple[str, str], int], model: str, task: str) -> int:
    return spec.max_length if spec.max_length != "auto" else lengths.get((model, task), SHORTEST)


def _columns(spec: StudySpec, prints: Mapping[str, str]) -> list[tuple[str, str, StreamTrial | None]]:
    """(label, fingerprint, stream) of whatever the methods are compared on: tasks, or streams of data or of tasks."""
    asked = spec.stream
    if asked is None:
        return [(task, prints[task], None) for task in spec.tasks]
    if asked.kind == "data":
        return [
            (task + (f", {drift}" if drift != "none" else "") + (f", buffer {buffer}" if buffer else ""), prints[task],
             StreamTrial(kind="data", tasks=(task,), length=asked.length, chunk=asked.chunk, order=asked.order,
                         drift=drift, buffer=buffer))
            for task, drift, buffer in itertools.product(spec.tasks, asked.drift, asked.buffer)
        ]  # fmt: skip
    return [
        (f"{' > '.join(spec.tasks)}, {mode}", "+".join(prints[task] for task in spec.tasks),
         StreamTrial(kind="tasks", tasks=spec.tasks, length=asked.length, mode=mode, head=asked.head))
        for mode in asked.mode
    ]  # fmt: skip


def check(spec: StudySpec) -> None:
    """Raises SpecError for too many trials, an unknown method, option or recipe key, or a value that cannot be; and for two
    methods that tuning would make one."""
    _refuse_too_many(spec)
    same: dict[str, str] = {}
    for name in spec.methods:
        kind, options, recipes = _tuning(name, spec)
        if spec.tune > 1 and len(recipes) == 1:
            alike = repr((kind, options, recipes[0].model_dump(exclude={"learning_rate"})))
            twin = same.setdefault(alike, name)
            if twin != name:
                raise SpecError(f"{twin!r} and {name!r} differ in their learning rates alone, which tune = {spec.tune} chooses",
                                "leave one of them out, or tune = 1")  # fmt: skip


def _refuse_too_many(spec: StudySpec) -> None:
    """Raises SpecError with the product, before any of it is built."""
    recipes = sum(
        math.prod(len(value) for value in spec.recipe.get(name, {}).values() if isinstance(value, (list, tuple)))
        for name in spec.methods
    )
    factors = {"models": len(spec.models), "methods": len(spec.methods), "tasks": len(spec.tasks)}
    if recipes > len(spec.methods):
        factors["recipes of all methods"] = recipes
        del factors["methods"]
    factors |= {"fractions": len(spec.fractions), "budgets": len(spec.budgets), "seeds": len(spec.seeds)}
    if spec.stream is not None and spec.stream.kind == "data":
        factors |= {"drifts": len(spec.stream.drift), "buffers": len(spec.stream.buffer)}
    elif spec.stream is not None:
        factors |= {"tasks": 1, "modes": len(spec.stream.mode)}
    count = math.prod(factors.values())
    if count > MAX_TRIALS:
        product = " x ".join(f"{number:,} {name}" for name, number in factors.items() if number > 1)
        raise SpecError(f"{product} are {count:,} trials, and a study has at most {MAX_TRIALS:,}", "ask less at once")


def _tuning(name: str, spec: StudySpec, source: str | None = None) -> tuple[str, dict[str, Any], list[Recipe]]:
    """(registered method, its options filled in, the recipes to try) of one of the study's methods, for the model in the
    directory `source`."""
    variant = spec.method.get(name, MethodVariant(kind=name))
    method = get_method(variant.kind)
    options = settled(method, method_options(method, dict(variant.options)), source).said()
    recipes = sweep(recipe_for(method, source), spec.recipe.get(name, {}), name)
    return variant.kind, options, recipes if spec.stream is None else [_stream_recipe(recipes, name, spec)]


def _stream_recipe(recipes: list[Recipe], name: str, spec: StudySpec) -> Recipe:
    """The one recipe of a method in a stream. A data stream's learning rate stays constant after its warm-up: who does
    not know when the stream ends cannot fall to zero by then. Raises SpecError."""
    if len(recipes) > 1:
        raise SpecError(f"[recipe.{name}] lists {len(recipes)} recipes, and a stream sets nothing aside to choose one on",
                        "give one value; sweep in an ordinary study first")  # fmt: skip
    if spec.stream is None or spec.stream.kind == "tasks":
        return recipes[0]
    asked = spec.recipe.get(name, {}).get("schedule", "constant")
    if asked != "constant":
        raise SpecError(f"[recipe.{name}] schedule = {asked!r}: the end of a data stream is not known to the learner",
                        "leave it out: the learning rate stays constant after its warm-up")  # fmt: skip
    return recipes[0].model_copy(update={"schedule": "constant"})


def sweep(default: Recipe, changes: Mapping[str, Any], name: str) -> list[Recipe]:
    """The recipes that `[recipe.NAME]` asks for: every combination of its lists. Raises SpecError."""
    for key in changes:
        if key not in Recipe.model_fields:
            raise SpecError(f"[recipe.{name}] has an unknown key {key!r}", did_you_mean(key, Recipe.model_fields))
    choices = [value if isinstance(value, (list, tuple)) else [value] for value in changes.values()]
    for key, choice in zip(changes, choices, strict=True):
        if not choice:
            raise SpecError(f"[recipe.{name}] {key} is an empty list", "give one value, or several to try")
    recipes: dict[Recipe, None] = {}
    for values in itertools.product(*choices):
        try:
            recipe = Recipe.model_validate({**default.model_dump(), **dict(zip(changes, values, strict=True))})
        except ValidationError as error:
            first = error.errors()[0]
            raise SpecError(f"[recipe.{name}] {first['loc'][0]} = {first['input']!r}: {first['msg'].lower()}",
                            f"the default is {getattr(default, str(first['loc'][0]))!r}") from None  # fmt: skip
        recipes[recipe] = None
    return list(recipes)


def _refuse_twins(trials: list[TrialSpec]) -> None:
    """Two names for one thing (a task, a model, a method and its variant) would compare it with itself."""
    seen: dict[str, TrialSpec] = {}
    for trial in trials:
        twin = seen.setdefault(trial.key, trial)
        if twin is not trial:
            names = next(
                (a, b)
                for a, b in ((twin.model, trial.model), (twin.task, trial.task), (twin.method, trial.method))
                if a != b
            )
            raise SpecError(f"{names[0]!r} and {names[1]!r} are the same thing under two names", "name it once")
