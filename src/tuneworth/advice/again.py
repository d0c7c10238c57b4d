"""The `tuneworth compare` that goes on with a study, for those whose study has no file."""

from __future__ import annotations

from itertools import chain

from tuneworth.advice.command import Command
from tuneworth.spec import FileTask, StudySpec

__all__ = ["compare_command"]

DEFAULTS = {name: field.default for name, field in StudySpec.model_fields.items()}
COMPARED = (
    "name",
    "models",
    "methods",
    "tasks",
    "fractions",
    "budgets",
    "seeds",
    "tune",
    "task",
    "stated",
    "max_length",
    "precision",
)
"""What `compare` can set (a study that goes on keeps its `tune` unsaid), and what the store does."""


def compare_command(spec: StudySpec, **flags: str) -> Command | None:
    """The command that names this study, with `flags` on top. None for a study that `compare` could not have made.

    Without --budget among the flags it goes on with the study's own budgets and batches, as `compare` does by itself.
    """
    (task, *others), (model, *models) = spec.tasks, spec.models
    file = spec.task.get(task)
    batches = [set(recipe) for recipe in spec.recipe.values()]  # of a time limit, the one thing that compare sets there
    if others or models or file is None or task != file.train.stem or any(keys != {"batch_size"} for keys in batches):
        return None
    if (file.test_fraction, file.split_seed) != (
        FileTask.model_fields["test_fraction"].default, FileTask.model_fields["split_seed"].default,
    ):  # fmt: skip
        return None
    for name, default in DEFAULTS.items():
        if name not in (*COMPARED, "recipe") and getattr(spec, name) != default:
            return None
    if spec.seeds != tuple(range(len(spec.seeds))):
        return None
    given = {
        "train": str(file.train), "test": str(file.test) if file.test else None, "text": file.text, "text-pair": file.text_pair,
        "label": file.label, "kind": file.kind, "label-separator": file.label_separator,
        "threshold": str(file.threshold), "metric": file.metric, "positive": file.positive,
        "max-length": str(spec.max_length), "precision": spec.precision, "model": model, "methods": ",".join(spec.methods),
        "fractions": ",".join(map(str, spec.fractions)), "seeds": str(len(spec.seeds)),
        "name": spec.name, "delimiter": "tab" if file.delimiter == "\t" else file.delimiter, "quoting": file.quoting,
        "skip-empty": "" if file.skip_empty else None, "drop-duplicates": "" if file.drop_duplicates else None,
    }  # fmt: skip
    unsaid = {
        "max-length": DEFAULTS["max_length"], "precision": DEFAULTS["precision"],
        "model": DEFAULTS["models"][0], "methods": ",".join(DEFAULTS["methods"]),
        "fractions": "1.0", "threshold": str(FileTask.model_fields["threshold"].default), "seeds": str(len(DEFAULTS["seeds"])),
        "name": task,
    }  # fmt: skip
    said = {name: value for name, value in given.items() if value is not None and value != unsaid.get(name)} | flags
    arguments = ((f"--{name}", value) if value else (f"--{name}",) for name, value in said.items())
    return Command(arguments=("compare", *chain.from_iterable(arguments)))
