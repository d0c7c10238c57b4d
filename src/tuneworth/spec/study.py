"""A named grid of trials, as a study file or the command line asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from tuneworth.errors import SpecError, did_you_mean
from tuneworth.spec.base import Frozen, distinct, refuse_many
from tuneworth.spec.budget import Budget
from tuneworth.spec.claim import Claim, check_claim
from tuneworth.spec.stream import STREAMS, DataStream, TaskStream
from tuneworth.spec.task import FileTask
from tuneworth.spec.trial import Precision
from tuneworth.words import brief

MAX_FILE = 4_000_000
"""Bytes of a study file. Reading that much TOML takes some seconds."""


class MethodVariant(Frozen):
    """`[method.NAME]`: a registered method (`kind`, by default NAME itself) with options of the user's own."""

    kind: str
    options: Mapping[str, Any] = {}


class StudySpec(Frozen):
    """A named grid: models x methods x tasks x fractions x budgets x seeds."""

    name: str
    models: tuple[str, ...] = ("minilm",)
    methods: tuple[str, ...] = ("head", "full", "bitfit", "houlsby")
    tasks: tuple[str, ...]
    fractions: tuple[float, ...] = (1.0,)
    budgets: tuple[Budget, ...] = (Budget(amount=3, unit="epochs"),)
    seeds: tuple[int, ...] = (0, 1, 2)
    tune: Annotated[int, Field(ge=1, le=9)] = 1
    """Learning rates that each method tries before it is compared (`tuning`); 1: its recipe's alone."""
    recipe: Mapping[str, Mapping[str, Any]] = {}
    method: Mapping[str, MethodVariant] = {}
    task: Mapping[str, FileTask] = {}
    claim: Mapping[str, Claim] = {}
    stated: Mapping[str, int] = {}
    """Set by the store: how many trials had finished when each claim was first stated as it is."""
    max_length: int | Literal["auto"] = "auto"
    """Tokens at which texts are cut. `auto`: see tasks.lengths.choose."""
    evaluations: Annotated[int, Field(ge=1)] = 5
    precision: Precision = "auto"
    deltas: Literal["best", "all", "none"] = "best"
    stream: Annotated[DataStream | TaskStream, Field(discriminator="kind")] | None = None

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        if not re.fullmatch(r"[\w.+-]{1,100}", name) or name.startswith(("-", ".")):
            raise SpecError(f"a study cannot be named {name!r}", "use letters, digits, '_', '-', '.' (at most 100)")
        return name

    @field_validator("models", "methods", "tasks", "fractions", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, (str, float, int)) else value

    @field_validator("models", "methods", "tasks", mode="after")
    @classmethod
    def _names(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        return tuple(distinct(list(value), info.field_name))

    @field_validator("max_length", mode="before")
    @classmethod
    def _length(cls, value: Any) -> Any:
        if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 8):
            raise SpecError(f"max_length = {value!r} is no number of tokens, 8 or more", "or 'auto'")
        return value

    @field_validator("fractions", mode="after")
    @classmethod
    def _fractions(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for fraction in value:
            if not 0 < fraction <= 1:
                raise SpecError(f"fraction {fraction:g} is outside (0, 1]", "0.1 means 10% of the training split")
        return tuple(distinct(list(value), "fractions"))

    @field_validator("budgets", mode="before")
    @classmethod
    def _budgets(cls, value: Any) -> Any:
        if isinstance(value, (str, float, int)):
            value = [value]
        if isinstance(value, (list, tuple)):
            return distinct([v if isinstance(v, (Budget, dict)) else Budget.parse(v) for v in value], "budgets")
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                raise SpecError(f"seeds = {value}: no trial would run", "3 or more let the report say something")
            refuse_many(value, "seeds")
            return tuple(range(value))
        if isinstance(value, (list, tuple)):
            refuse_many(len(value), "seeds")
            for seed in value:
                if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
                    raise SpecError(f"seed {seed!r} is not a whole number from 0 to 2147483647", "seeds = 5, or a list")
            return distinct(list(value), "seeds")
        return value

    @field_validator("method", mode="before")
    @classmethod
    def _variants(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: _variant(name, table) for name, table in value.items()}

    @field_validator("stream", mode="before")
    @classmethod
    def _stream_kind(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("kind") not in STREAMS:
            said = f"is {value['kind']!r}" if "kind" in value else "is missing"
            raise SpecError(f"stream.kind {said}", "kind = 'data' for examples in chunks, kind = 'tasks' for tasks")
        return value

    @model_validator(mode="after")
    def _stream_fits(self) -> StudySpec:
        if self.stream is None:
            return self
        if self.tune > 1:
            raise SpecError(
                f"tune = {self.tune}: a stream sets nothing aside to choose a learning rate on",
                "leave it out; tune in an ordinary study first",
            )
        if self.fractions != (1.0,):
            raise SpecError(
                "a stream has no fractions", "leave them out; [stream] length says how many examples arrive"
            )
        if self.stream.kind == "tasks" and len(self.tasks) < 2:
            raise SpecError(
                f"a stream of tasks with one task, {self.tasks[0]!r}", "name two tasks or more, in their order"
            )
        return self

    @model_validator(mode="after")
    def _tables_are_used(self) -> StudySpec:
        for table, names, key in (
            (self.recipe, self.methods, "recipe"), (self.method, self.methods, "method"), (self.task, self.tasks, "task"),
        ):  # fmt: skip
            known = set(names)
            for name in table:
                if name not in known:
                    raise SpecError(f"[{key}.{name}] is for a {key if key != 'recipe' else 'method'} that the study "
                                    f"does not run: {name!r}", did_you_mean(name, names))  # fmt: skip
        return self

    @model_validator(mode="after")
    def _claims_are_about_cells(self) -> StudySpec:
        for name, claim in self.claim.items():
            check_claim(name, claim, self)
        return self

    def stating(self, before: StudySpec | None, finished: int) -> StudySpec:
        """This study, as a store keeps it after `before`: each claim dated by the results it could have been made from.

        A claim that `before` holds unchanged keeps its date; any other is stated now, after `finished` trials.
        """
        old = before.stated if before else {}
        same = {name for name in old if before and before.claim.get(name) == self.claim.get(name)}
        dates = {name: old[name] if name in same else finished for name in self.claim}
        return self.model_copy(update={"stated": dates})

    @classmethod
    def parse(cls, data: Mapping[str, Any], source: str = "the study") -> StudySpec:
        """Validate plain data (a TOML document, say). Raises SpecError with problem, value and remedy."""
        if "stated" in data:
            raise SpecError(f"{source} has an unknown key 'stated'", "leave it out: the store dates claims itself")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise _readable(error, source) from None

    @classmethod
    def from_toml(cls, path: str | Path) -> StudySpec:
        """Read a study file. Paths in it are relative to the file. Raises SpecError."""
        import tomllib

        path = Path(path)
        try:
            if (size := path.stat().st_size) > MAX_FILE:
                raise SpecError(
                    f"{str(path)!r} has {size:,} bytes, a study file at most {MAX_FILE:,}", "is it the right file?"
                )
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else [])
            raise SpecError(f"there is no study file {str(path)!r}", near) from None
        except OSError as error:
            raise SpecError(f"cannot read {str(path)!r}: {error.strerror}", "give the path of a TOML file") from None
        except UnicodeDecodeError:
            raise SpecError(f"{str(path)!r} is not UTF-8 text", "save the study file as UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{str(path)!r} is not TOML: {error}", "see docs/first-study.md for an example") from None
        except RecursionError:
            raise SpecError(f"{str(path)!r} is nested too deeply", "see docs/first-study.md for an example") from None
        for table in data.get("task", {}).values() if isinstance(data.get("task"), dict) else ():
            for key in ("train", "test"):
                if isinstance(table, dict) and isinstance(table.get(key), str):
                    table[key] = str(path.parent / Path(table[key]).expanduser())
        return cls.parse(data, str(path))

    def dumps(self) -> str:
        """Canonical JSON; `StudySpec.loads` reads it back."""
        return self.model_dump_json(exclude_defaults=False)

    @classmethod
    def loads(cls, text: str) -> StudySpec:
        return cls.model_validate_json(text)


def _variant(name: str, table: Any) -> Any:
    """`[method.NAME]` holds `kind` beside the options; a stored spec holds them apart already."""
    if not isinstance(table, Mapping) or set(table) == {"kind", "options"}:
        return table
    return {"kind": table.get("kind", name), "options": {k: v for k, v in table.items() if k != "kind"}}


def _readable(error: ValidationError, source: str) -> SpecError:
    """The first of pydantic's complaints, in our form; a misspelt key before the right one that is then missing."""
    first = min(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
    loc = first["loc"]
    where = ".".join(str(part) for part in (loc[:1] + loc[2:] if loc[0] == "stream" else loc))
    if first["type"] == "extra_forbidden":
        parents: dict[str, type[BaseModel]] = {"task": FileTask, "claim": Claim}
        parent = parents.get(str(loc[0]), StudySpec)
        if loc[0] == "stream" and len(loc) > 1:
            parent = STREAMS[str(loc[1])]
        return SpecError(f"{source} has an unknown key {where!r}", did_you_mean(str(loc[-1]), parent.model_fields))
    if first["type"] == "missing":
        return SpecError(f"{source} lacks {where!r}", "add it; docs/first-study.md shows a whole study file")
    said = (
        re.sub(" or instance of .*", "", first["msg"].lower()).replace("dictionary", "table").replace("tuple", "list")
    )
    return SpecError(f"{source}: {brief(where)} = {brief(repr(first['input']))}: {said}", "correct it and run again")
