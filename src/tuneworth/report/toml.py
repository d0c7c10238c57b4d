"""A StudySpec as the text of a study file, every default written out: later defaults then change nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tuneworth.spec import StudySpec

__all__ = ["to_toml"]

_LISTS = ("models", "methods", "tasks", "fractions")
_SINGLE = ("tune", "max_length", "evaluations", "precision", "deltas")


def to_toml(spec: StudySpec) -> str:
    """A study file that `StudySpec.from_toml` reads back as `spec`.

    Paths stand as they were resolved: absolute, or relative to the directory in which the study was run.
    """
    lines = [f"name = {_value(spec.name)}"]
    lines += [f"{key} = {_value(getattr(spec, key))}" for key in _LISTS]
    lines.append(f"budgets = {_value([str(budget) for budget in spec.budgets])}")
    lines.append(f"seeds = {_value(spec.seeds)}")
    lines += [f"{key} = {_value(getattr(spec, key))}" for key in _SINGLE]
    if spec.stream is not None:
        lines += _table("stream", None, spec.stream.model_dump(mode="json"))
    for name, recipe in spec.recipe.items():
        lines += _table("recipe", name, recipe)
    for name, variant in spec.method.items():
        lines += _table("method", name, {"kind": variant.kind, **variant.options})
    for name, task in spec.task.items():
        lines += _table("task", name, task.model_dump(mode="json"))
    for name, claim in spec.claim.items():
        named = {key: value for key, value in claim.model_dump(mode="json").items() if value not in (None, [])}
        lines += _table("claim", name, named | ({"budgets": [str(b) for b in claim.budgets]} if claim.budgets else {}))
    return "\n".join(lines) + "\n"


def _table(kind: str, name: str | None, entries: Mapping[str, Any]) -> list[str]:
    # TOML has no null: an entry that is None is left out, which means the same in every table here.
    pairs = [f"{_key(key)} = {_value(value)}" for key, value in entries.items() if value is not None]
    return ["", f"[{kind}]" if name is None else f"[{kind}.{_key(name)}]", *pairs]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(str(key))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(item) for item in value if item is not None)}]"
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None]
        return f"{{{', '.join(pairs)}}}"
    # A TOML basic string is a JSON string, but for the delete character, which JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
