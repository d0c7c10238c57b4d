"""What a study asks and what a trial answers: frozen values, validated once, when they are made.

Names (methods, tasks, models) are checked against their registries by `plan`; everything that can be said
without a registry is said here. Light on purpose: `tuneworth --help` and every mistake answer within a second.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from tuneworth.errors import SpecError, did_you_mean
from tuneworth.words import brief

ENGINE = 5
"""Part of every trial key. Raise it when a change of the engine changes numbers: old results then stay apart."""

SHORTEST = 128
"""Tokens: the shortest length at which `max_length = "auto"` cuts texts, and what it always was before."""
MAX_TRIALS = 100_000
"""Of one study. At a second each they would take a day; planning them takes two seconds and 190 MB."""
MAX_FILE = 4_000_000
"""Bytes of a study file. Reading that much TOML takes some seconds."""

Precision = Literal["auto", "bf16", "fp32"]
Kind = Literal["classification", "regression"]
Quoting = Literal["double", "backslash", "none"]
State = Literal["pending", "running", "done", "failed"]
Unit = Literal["epochs", "steps", "seconds", "flops"]
ClaimTest = Literal["equivalent", "better", "no-worse", "spread-no-larger", "spread-larger", "inconsistent-gain"]
Drift = Literal["none", "label-shift", "topic-order", "noise-burst"]
Mode = Literal["separate", "sequential", "joint"]

_SUFFIX: dict[str, tuple[Unit, float]] = {
    "epoch": ("epochs", 1), "epochs": ("epochs", 1), "step": ("steps", 1), "steps": ("steps", 1),
    "s": ("seconds", 1), "m": ("seconds", 60), "h": ("seconds", 3600), "flops": ("flops", 1),
}  # fmt: skip


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Budget(Frozen):
    """What a trial may spend on training. Written `3epochs`, `500steps`, `60s` (also `2m`, `1h`), `2e14flops`."""

    amount: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Budget:
        match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]+)\s*", str(text).lower())
        remedy = "write it like 3epochs, 500steps, 60s or 2e14flops"
        if match is None or match[2] not in _SUFFIX:
            raise SpecError(f"cannot read the budget {text!r}", remedy)
        unit, factor = _SUFFIX[match[2]]
        try:
            amount = float(match[1]) * factor
        except ValueError:
            raise SpecError(f"cannot read the budget {text!r}", remedy) from None
        if not 0 < amount < float("inf"):
            raise SpecError(f"budget {text!r} is not more than nothing", remedy)
        if unit == "steps" and amount != int(amount):
            raise SpecError(f"budget {text!r} is not a whole number of steps", "write it like 500steps")
        return cls(amount=amount, unit=unit)

    def __str__(self) -> str:
        number = f"{self.amount:.12g}".replace("e+", "e")
        return number + ("s" if self.unit == "seconds" else self.unit)

    @property
    def timed(self) -> bool:
        """Measured in seconds, so the trial must have the machine to itself."""
        return self.unit == "seconds"


def parse_seconds(text: str | float) -> float:
    """A length of time in seconds: `90s`, `10m`, `2h`, or a number of seconds. Raises SpecError."""
    try:
        budget = Budget.parse(text if isinstance(text, str) else f"{text}s")
    except SpecError:
        budget = None
    if budget is None or not budget.timed:
        raise SpecError(f"{text!r} is no time limit", "write it like 90s, 10m or 2h")
    return budget.amount


class Recipe(Frozen):
    """A method's training hyper-parameters. `warmup` is a share of the budget; `gradient_clip` a global 2-norm."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    batch_size: Annotated[int, Field(ge=1)] = 32
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0


def _delimiter(value: Any) -> Any:
    sign = {"tab": "\t", "\\t": "\t"}.get(value, value)  # what can be typed in a shell
    if not isinstance(sign, str) or len(sign) != 1 or sign in '"\r\n\0':
        raise SpecError(f"{value!r} cannot separate columns", "give one character, like ';' or 'tab'")
    return sign


Delimiter = Annotated[str, BeforeValidator(_delimiter)]


class Form(Frozen):
    """How CSV and TSV files are written; None: as reading them shows.

    `delimiter` separates the columns. A quote is `double` (RFC 4180: doubled inside a quoted field), `backslash` (after one
    there) or `none` (a character like any other, and each line is a row).
    """

    delimiter: Delimiter | None = None
    quoting: Quoting | None = None


class FileTask(Frozen):
    """A task in the user's own files: `[task.NAME]` in a study file, or the flags of `tuneworth compare`."""

    train: Path
    test: Path | None = None
    text: str
    text_pair: str | None = None
    label: str
    kind: Kind | None = None
    metric: str | None = None
    positive: str | None = None
    """The class that F1 is of; else, of two, the rarer one in train."""
    drop_duplicates: bool = False
    """Leave out training rows that repeat another one, or whose text stands in test."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    delimiter: Delimiter | None = None
    quoting: Quoting | None = None
    """As in Form."""
    skip_empty: bool = False
    """Leave out the rows without a text or without a label, instead of refusing the file."""

    @property
    def form(self) -> Form:
        return Form(delimiter=self.delimiter, quoting=self.quoting)


class MethodVariant(Frozen):
    """`[method.NAME]`: a registered method (`kind`, by default NAME itself) with options of the user's own."""

    kind: str
    options: Mapping[str, Any] = {}


class Claim(Frozen):
    """`[claim.NAME]`: what the study's author expects of some of its cells, stated before they are run.

    Of each of `method` against `against`, in every cell of the named models, tasks, fractions and budgets (none named: all
    of the study's). `margin` is in points, `ratio` is one of standard deviations; advice.claims says what each test means.
    """

    says: str
    test: ClaimTest
    method: tuple[str, ...]
    against: str
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    fractions: tuple[float, ...] = ()
    budgets: tuple[Budget, ...] = ()

    @field_validator("method", "models", "tasks", "fractions", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, (str, float, int)) else value

    @field_validator("budgets", mode="before")
    @classmethod
    def _budgets(cls, value: Any) -> Any:
        value = [value] if isinstance(value, str) else value
        return (
            [Budget.parse(v) if isinstance(v, str) else v for v in value] if isinstance(value, (list, tuple)) else value
        )

    @field_validator("test", mode="before")
    @classmethod
    def _test(cls, value: Any) -> Any:
        if value not in get_args(ClaimTest):
            raise SpecError(f"a claim cannot be tested by {value!r}", did_you_mean(str(value), get_args(ClaimTest)))
        return value


class DataStream(Frozen):
    """`[stream]` with kind = "data": the examples of each task arrive in chunks; each is predicted, then trained on.

    `length`: how many examples arrive in all (None: the whole training split). `drift` and `buffer` (examples kept for
    replay; 0: none) may list several values, which are compared.
    """

    kind: Literal["data"]
    chunk: Annotated[int, Field(ge=1)]
    length: Annotated[int, Field(ge=1)] | None = None
    order: Literal["seeded", "file"] = "seeded"
    drift: tuple[Drift, ...] = ("none",)
    buffer: tuple[Annotated[int, Field(ge=0)], ...] = (0,)

    @field_validator("drift", "buffer", mode="before")
    @classmethod
    def _lists(cls, value: Any, info: Any) -> Any:
        return _several(value, f"stream.{info.field_name}")

    @model_validator(mode="after")
    def _one_order(self) -> DataStream:
        for drift in self.drift:
            if self.order == "file" and drift in ("label-shift", "topic-order"):
                raise SpecError(f"stream.drift = {drift!r} is an order of its own, stream.order = 'file' another",
                                "leave out one of the two")  # fmt: skip
        return self


class TaskStream(Frozen):
    """`[stream]` with kind = "tasks": the study's tasks arrive one after another, each with its budget.

    `length`: training examples of each task (None: all). `head`: each task has its own, or all share one. Modes:
    `separate` tunes the pre-trained model anew for each task, `sequential` tunes one model on and on, `joint` tunes one
    on all tasks at once, which a stream does not allow: it is the bound.
    """

    kind: Literal["tasks"]
    length: Annotated[int, Field(ge=1)] | None = None
    mode: tuple[Mode, ...] = ("separate", "sequential", "joint")
    head: Literal["own", "shared"] = "own"

    @field_validator("mode", mode="before")
    @classmethod
    def _lists(cls, value: Any, info: Any) -> Any:
        return _several(value, f"stream.{info.field_name}")


STREAMS: dict[str, type[DataStream] | type[TaskStream]] = {"data": DataStream, "tasks": TaskStream}


class StreamTrial(Frozen):
    """The stream that one trial runs: one choice of each thing that `[stream]` may list."""

    kind: Literal["data", "tasks"]
    tasks: tuple[str, ...]
    """Their names, in order; one for a data stream. Labels, so no part of the trial's key."""
    length: int | None
    chunk: int = 0
    order: Literal["seeded", "file"] = "seeded"
    drift: Drift = "none"
    buffer: int = 0
    mode: Mode | None = None
    head: Literal["own", "shared"] = "own"


def _several(value: Any, what: str) -> Any:
    return _distinct(list(value), what) if isinstance(value, (list, tuple)) else [value]


def _distinct(values: list[Any], what: str) -> list[Any]:
    if not values:
        raise SpecError(f"{what} is empty", f"name at least one in {what}")
    _refuse_many(len(values), what)
    seen: set[Hashable] = set()
    for value in values:
        key = value if isinstance(value, Hashable) else str(value)
        if key in seen:
            raise SpecError(f"{what} names {value!s} twice", "name it once")
        seen.add(key)
    return values


def _refuse_many(count: int, what: str) -> None:
    if count > MAX_TRIALS:
        raise SpecError(f"{what} lists {count:,} values, and a study has at most {MAX_TRIALS:,} trials", "list fewer")


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
        return tuple(_distinct(list(value), info.field_name))

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
        return tuple(_distinct(list(value), "fractions"))

    @field_validator("budgets", mode="before")
    @classmethod
    def _budgets(cls, value: Any) -> Any:
        if isinstance(value, (str, float, int)):
            value = [value]
        if isinstance(value, (list, tuple)):
            return _distinct([v if isinstance(v, (Budget, dict)) else Budget.parse(v) for v in value], "budgets")
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                raise SpecError(f"seeds = {value}: no trial would run", "3 or more let the report say something")
            _refuse_many(value, "seeds")
            return tuple(range(value))
        if isinstance(value, (list, tuple)):
            _refuse_many(len(value), "seeds")
            for seed in value:
                if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
                    raise SpecError(f"seed {seed!r} is not a whole number from 0 to 2147483647", "seeds = 5, or a list")
            return _distinct(list(value), "seeds")
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
            _check_claim(name, claim, self)
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


def _check_claim(name: str, claim: Claim, study: StudySpec) -> None:
    """Raises SpecError for a claim about cells that the study does not have, or with a number that its test does not use."""
    for key, asked, known in (
        ("method", claim.method, study.methods), ("against", (claim.against,), study.methods),
        ("models", claim.models, study.models), ("tasks", claim.tasks, study.tasks),
        ("fractions", claim.fractions, study.fractions), ("budgets", claim.budgets, study.budgets),
    ):  # fmt: skip
        there = set(known)
        for value in asked:
            if value not in there:
                raise SpecError(f"[claim.{name}] {key} = {str(value)!r} is not in the study",
                                did_you_mean(str(value), [str(one) for one in known]))  # fmt: skip
    if not claim.method or claim.against in claim.method:
        raise SpecError(f"[claim.{name}] sets {claim.against!r} against itself or nothing", "name two methods")
    spread = claim.test.startswith("spread")
    unused = claim.margin if spread else claim.ratio
    if unused is not None:
        key, used = ("margin", "ratio") if spread else ("ratio", "margin")
        raise SpecError(
            f"[claim.{name}] {key} = {unused:g}: {claim.test} does not use it", f"give {used}, or leave it out"
        )


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


def engine_of(budget: Budget) -> int:
    """One more for seconds and FLOPs, whose first and last steps once had a learning rate of 0."""
    return ENGINE + (budget.unit in ("seconds", "flops"))


class TrialSpec(Frozen):
    """One cell at one seed, with every default filled in: all that decides its numbers, and nothing else."""

    model: str
    model_fingerprint: str
    method: str
    kind: str
    options: Mapping[str, Any]
    recipe: Recipe
    task: str
    task_fingerprint: str
    fraction: float
    budget: Budget
    seed: int
    max_length: int
    evaluations: int
    precision: Precision
    engine: int = Field(default_factory=lambda known: engine_of(known["budget"]))
    stream: StreamTrial | None = None
    tunes: Budget | None = None
    """The budget of the cell that this trial helps to choose a learning rate for; None: it is compared itself."""

    @cached_property
    def key(self) -> str:
        """16 hex digits over what decides the numbers; names (of model, method, task) are labels and stay out."""
        stream: Any = {"tasks"} if self.stream else True  # what is no stream has the key it had before there were any
        out: dict[str, Any] = {"model": True, "method": True, "task": True, "stream": stream}
        content = self.model_dump(mode="json", exclude=out if self.tunes else {**out, "tunes": True})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def cell(self) -> tuple[str, str, str, float, str]:
        """What a report compares within: everything but seed and recipe. Of a trial that tunes, the cell that it tunes."""
        return self.model, self.method, self.task, self.fraction, str(self.tunes or self.budget)


class CurvePoint(Frozen):
    """One intermediate evaluation. `score` is the primary metric on the validation split, in points; `loss` the mean over the
    training batches since the last evaluation."""

    step: int
    seconds: float
    examples: int
    loss: float
    score: float
    validation_loss: float | None = None
    """The mean loss on the validation split; None where it was not kept (streams, and older versions)."""


class Chunk(Frozen):
    """One chunk of a data stream: tested, then trained on.

    `score` is that of the chunk, predicted before any training on it; `cumulative` that of all predictions so far;
    `baseline` the same of always answering the majority, or the mean, of the chunks before (the first one's own at first).
    """

    examples: int
    score: float
    cumulative: float
    baseline: float
    train_seconds: float
    eval_seconds: float
    steps: int


class TaskScore(Frozen):
    """A task's primary metric on its test split, and what one answer for all would get, in points."""

    task: str
    metric: str
    score: float
    baseline: float


class Stage(Frozen):
    """One stage of a task stream: the tasks tuned on in it, and how every task seen so far scores after it."""

    learned: tuple[str, ...]
    scores: tuple[TaskScore, ...]
    train_seconds: float
    eval_seconds: float
    steps: int
    stored_bytes: int
    """Trained parameters that must be kept to serve every task seen so far, heads included."""


class TrialResult(Frozen):
    """What one trial measured. Scores are in points (100 x the metric), seconds are wall-clock."""

    metric: str
    score: float
    metrics: Mapping[str, float]
    validation_score: float
    validation_loss: float | None = None
    """The mean loss on the validation split at the end; None as in `CurvePoint`."""
    baseline_score: float
    curve: tuple[CurvePoint, ...]
    train_seconds: float
    eval_seconds: float
    setup_seconds: float
    steps: int
    examples_seen: int
    train_flops: float
    trainable_parameters: int
    total_parameters: int
    peak_memory_bytes: int
    delta_bytes: int
    delta_path: str | None
    host: str = ""
    """The machine that `delta_path` is a path of; empty: the trial ran before this was kept, or left no delta."""
    micro_batch: int
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any]
    data: Mapping[str, Any] | None = None
    """What was read, as numbers (rows, classes, cut texts, duplicates); None: the trial ran before this was kept."""
    chunks: tuple[Chunk, ...] = ()
    """Of a data stream; `score` is then the prequential one, over all chunks."""
    stages: tuple[Stage, ...] = ()
    """Of a task stream; `score` is then the mean over tasks after the last stage."""


class TrialRecord(Frozen):
    """A trial as a store keeps it."""

    study: str
    trial: TrialSpec
    state: State = "pending"
    attempt: int = 0
    """How often it was claimed."""
    deaths: int = 0
    """How often its worker died."""
    result: TrialResult | None = None
    error: str | None = None
