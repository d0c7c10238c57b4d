"""Specs: what is written is what is read, and a trial's key covers what decides its numbers, and nothing else."""

from __future__ import annotations

import contextlib
import math
import pickle
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneworth.errors import SpecError
from tuneworth.plan import check
from tuneworth.spec import Budget, FileTask, Recipe, StreamTrial, StudySpec, TrialSpec

BASE = {"name": "first", "tasks": ["glue/mrpc"]}


def study(**changes: Any) -> StudySpec:
    return StudySpec.parse({**BASE, **changes}, "first.toml")


@pytest.mark.parametrize(
    ("text", "amount", "unit", "shown"),
    [
        ("3epochs", 3, "epochs", "3epochs"),
        ("1 epoch", 1, "epochs", "1epochs"),
        ("0.5epochs", 0.5, "epochs", "0.5epochs"),
        ("500steps", 500, "steps", "500steps"),
        ("1e3steps", 1000, "steps", "1000steps"),
        (" 60S ", 60, "seconds", "60s"),
        ("2m", 120, "seconds", "120s"),
        ("1.5h", 5400, "seconds", "5400s"),
        ("2e14flops", 2e14, "flops", "2e14flops"),
        ("2E+14 FLOPs", 2e14, "flops", "2e14flops"),
    ],
)
def test_budgets_are_read_and_shown(text: str, amount: float, unit: str, shown: str) -> None:
    budget = Budget.parse(text)
    assert (budget.amount, budget.unit, str(budget)) == (amount, unit, shown)
    assert budget.timed == (unit == "seconds")


@given(
    digits=st.integers(1, 10**9),
    power=st.integers(-6, 12),
    suffix=st.sampled_from(["epochs", "steps", "s", "flops"]),
)
def test_a_budget_is_read_back_as_it_is_shown(digits: int, power: int, suffix: str) -> None:
    text = f"{digits}e{power}{suffix}"
    if suffix == "steps" and Decimal(digits).scaleb(power) % 1:
        with pytest.raises(SpecError, match="whole number"):
            Budget.parse(text)
        return
    budget = Budget.parse(text)
    assert math.isclose(budget.amount, float(f"{digits}e{power}"))
    assert Budget.parse(str(budget)) == budget


@given(st.text(max_size=12) | st.from_regex(r"[0-9.e+-]{0,8} ?(epochs?|steps?|s|m|h|flops)", fullmatch=True))
def test_any_other_text_is_refused_kindly(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert 0 < Budget.parse(text).amount < math.inf
        return
    with pytest.raises(SpecError) as caught:
        Budget.parse(text)
    assert repr(text) in caught.value.problem
    assert caught.value.remedy.startswith("write it like ")


@pytest.mark.parametrize(
    "text", ["", "3", "epochs", "-3epochs", "0steps", "1e999s", "3.4.5s", "nans", "3 days", "1e-999s"]
)
def test_budgets_that_are_none(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        Budget.parse(text)
    assert repr(text) in caught.value.problem


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
budgets = st.builds(Budget, amount=st.integers(1, 1000), unit=st.sampled_from(["epochs", "steps", "seconds", "flops"]))
scalars = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | st.text(max_size=5)
tables = st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=3)
paths = st.from_regex(r"[\w/. -]{1,20}\.csv", fullmatch=True).map(Path)
file_tasks = st.builds(
    FileTask,
    train=paths, test=st.none() | paths, text=names, text_pair=st.none() | names, label=names,
    kind=st.sampled_from([None, "classification", "regression"]), metric=st.none() | names,
    test_fraction=st.floats(0.01, 0.99), split_seed=st.integers(0, 2**31), delimiter=st.sampled_from([None, ";", "\t"]),
    quoting=st.sampled_from([None, "double", "backslash", "none"]), skip_empty=st.booleans(),
)  # fmt: skip


@st.composite
def studies(draw: st.DrawFn) -> StudySpec:
    methods, tasks = (draw(st.lists(names, min_size=1, max_size=3, unique=True)) for _ in range(2))
    some = lambda keys, values: draw(st.dictionaries(st.sampled_from(keys), values, max_size=2))  # noqa: E731
    return StudySpec.parse(
        {
            "name": draw(st.from_regex(r"[a-z_][\w.+-]{0,20}", fullmatch=True)),
            "models": draw(st.lists(names, min_size=1, max_size=2, unique=True)),
            "methods": methods,
            "tasks": tasks,
            "fractions": draw(st.lists(st.floats(0, 1, exclude_min=True), min_size=1, max_size=3, unique=True)),
            "budgets": draw(st.lists(budgets, min_size=1, max_size=3, unique_by=str)),
            "seeds": draw(st.integers(1, 5) | st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4, unique=True)),
            "recipe": some(methods, tables),
            "method": some(methods, tables),
            "task": some(tasks, file_tasks),
            "max_length": draw(st.integers(8, 512) | st.just("auto")),
            "precision": draw(st.sampled_from(["auto", "bf16", "fp32"])),
            "deltas": draw(st.sampled_from(["best", "all", "none"])),
        }
    )


@given(studies())
def test_a_study_is_stored_and_read_back(spec: StudySpec) -> None:
    again = StudySpec.loads(spec.dumps())
    assert again == spec
    assert again.dumps() == spec.dumps()


def test_the_study_file_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text("""
        name = "first"
        models = ["minilm"]
        methods = ["head", "full", "bitfit", "half"]
        tasks = ["glue/mrpc", "reviews"]
        fractions = [0.1, 1]
        budgets = ["3epochs", "1m"]
        seeds = 5
        [recipe.bitfit]
        learning_rate = [5e-4, 2e-3]
        [method.half]
        kind = "bitfit"
        subset = "query+intermediate"
        [task.reviews]
        train = "reviews.csv"
        test = "/data/test.csv"
        text = "review"
        label = "stars"
        kind = "regression"
    """)
    spec = StudySpec.from_toml(tmp_path / "first.toml")
    assert spec.seeds == (0, 1, 2, 3, 4)
    assert spec.fractions == (0.1, 1.0)
    assert spec.budgets == (Budget(amount=3, unit="epochs"), Budget(amount=60, unit="seconds"))
    assert spec.recipe == {"bitfit": {"learning_rate": [5e-4, 2e-3]}}
    assert (spec.method["half"].kind, spec.method["half"].options) == ("bitfit", {"subset": "query+intermediate"})
    assert (spec.task["reviews"].train, spec.task["reviews"].test) == (tmp_path / "reviews.csv", Path("/data/test.csv"))


def test_a_single_value_is_a_list_of_one() -> None:
    one = study(models="minilm", methods="full", tasks="glue/mrpc", fractions=1, budgets="3epochs")
    assert one == study(models=["minilm"], methods=["full"], tasks=["glue/mrpc"], fractions=[1.0], budgets=["3epochs"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "cannot be named ''"),
        ({"name": "../up"}, "cannot be named '../up'"),
        ({"name": ".hidden"}, "cannot be named '.hidden'"),
        ({"name": "a" * 101}, "at most 100"),
        ({"methods": []}, "methods is empty"),
        ({"methods": ["full", "full"]}, "methods names full twice"),
        ({"fractions": [0.5, 0.5]}, "fractions names 0.5 twice"),
        ({"fractions": [-0.5]}, "fraction -0.5 is outside"),
        ({"seeds": [0, 2**31]}, "seed 2147483648 is not"),
        ({"seeds": [True]}, "seed True is not"),
        ({"seeds": 10**9}, "seeds lists 1,000,000,000 values, and a study has at most 100,000 trials"),
        ({"seeds": list(range(100_001))}, "seeds lists 100,001 values"),
        ({"fractions": [n / 10**6 for n in range(1, 200_000)]}, "fractions lists 199,999 values"),
        ({"budgets": [f"{n}steps" for n in range(1, 100_002)]}, "budgets lists 100,001 values"),
        ({"seeds": "x" * 10**6}, r"seeds = 'x{190,200}\.\.\.:"),
        ({"task": {"glue/mrpc": {"train": "a", "text": "t", "label": "l", "split_seed": -1}}}, "split_seed = -1"),
        ({"seeds": 1.5}, "seeds = 1.5: .* list"),
        ({"max_length": 1}, "max_length = 1"),
        ({"evaluations": 0}, "evaluations = 0"),
        ({"precision": "fp16"}, "precision = 'fp16': .*'bf16'"),
        ({"mthods": ["full"]}, "unknown key 'mthods'\ndid you mean 'methods'"),
        ({"task": {"glue/mrpc": {"trian": "t.csv"}}}, "unknown key 'task.glue/mrpc.trian'\ndid you mean 'train'"),
        ({"task": {"glue/mrpc": "t.csv"}}, "task.glue/mrpc = 't.csv': input should be a valid table\n"),
        ({"method": {"full": 3}}, "method.full = 3: input should be a valid table\n"),
        (
            {"recipe": {"ful": {}}},
            r"\[recipe.ful\] is for a method that the study does not run: 'ful'\ndid you mean 'full'",
        ),
    ],
)
def test_a_mistake_names_its_value_and_its_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        study(**changes)
    assert caught.value.remedy


def test_large_studies_are_read_in_time_that_is_linear() -> None:
    """A count of each value among all, a search of each name among all: minutes, where these take a second."""
    began = time.process_time()
    names = [f"m{n}" for n in range(30_000)]
    fractions = [n / 60_000 for n in range(1, 30_001)]
    claim = {"says": "s", "test": "better", "method": names[1:], "against": "m0", "fractions": fractions}
    study(
        methods=names,
        fractions=fractions,
        seeds=list(range(100_000)),
        recipe={n: {} for n in names},
        claim={"c": claim},
    )
    assert time.process_time() - began < 15


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("#" * 4_000_001, "has 4,000,053 bytes, a study file at most 4,000,000"),
        ("[method.full]\nx = " + "[" * 300 + "]" * 300, "unknown key|nested too deeply|no option 'x'"),
    ],
    ids=["lists", "size", "options"],
)
def test_a_study_file_out_of_bounds(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "study.toml").write_text('name = "n"\ntasks = ["glue/mrpc"]\nmethods = ["full"]\n' + text)
    with pytest.raises(SpecError, match=said):
        check(StudySpec.from_toml(tmp_path / "study.toml"))


def test_errors_cross_process_boundaries_whole() -> None:
    error = pickle.loads(pickle.dumps(SpecError("a problem", "a remedy")))
    assert (type(error), error.problem, error.remedy) == (SpecError, "a problem", "a remedy")


TRIAL: dict[str, Any] = {
    "model": "minilm", "model_fingerprint": "m" * 16, "method": "half", "kind": "bitfit",
    "options": {"subset": "all", "add_missing": False}, "recipe": Recipe(learning_rate=1e-3), "task": "glue/mrpc",
    "task_fingerprint": "t" * 16, "fraction": 0.3, "budget": Budget(amount=3, unit="epochs"), "seed": 7,
    "max_length": 128, "evaluations": 5, "precision": "auto", "engine": 1, "stream": None,
    "tunes": None,
}  # fmt: skip
STREAM: dict[str, Any] = {"kind": "data", "tasks": ("glue/mrpc",), "length": 800, "chunk": 100}
DECIDES: dict[str, Any] = {
    "model_fingerprint": "n" * 16, "kind": "full", "options": {"subset": "all", "add_missing": True},
    "recipe": Recipe(learning_rate=2e-3), "task_fingerprint": "u" * 16, "fraction": 0.30000001,
    "budget": Budget(amount=3, unit="steps"), "seed": 8, "max_length": 64, "evaluations": 4, "precision": "fp32",
    "engine": 2, "stream": StreamTrial(**STREAM), "tunes": Budget(amount=9, unit="epochs"),
}  # fmt: skip
NAMES = {"model": "./minilm", "method": "bitfit", "task": "mine"}


def test_every_field_of_a_trial_is_known_to_decide_its_numbers_or_not() -> None:
    assert set(DECIDES) | set(NAMES) == set(TrialSpec.model_fields) == set(TRIAL)


@pytest.mark.parametrize(
    "change", [{"length": None}, {"chunk": 50}, {"drift": "noise-burst"}, {"buffer": 9}, {"order": "file"}]
)
def test_what_a_stream_is_made_of_decides_and_its_tasks_names_do_not(change: dict[str, Any]) -> None:
    key = TrialSpec(**{**TRIAL, "stream": StreamTrial(**STREAM)}).key
    assert TrialSpec(**{**TRIAL, "stream": StreamTrial(**{**STREAM, **change})}).key != key
    assert TrialSpec(**{**TRIAL, "stream": StreamTrial(**{**STREAM, "tasks": ("mine",)})}).key == key


@pytest.mark.parametrize("field", DECIDES)
def test_the_key_changes_with_what_decides_the_numbers(field: str) -> None:
    assert TrialSpec(**{**TRIAL, field: DECIDES[field]}).key != TrialSpec(**TRIAL).key


@pytest.mark.parametrize("field", Recipe.model_fields)
def test_the_key_changes_with_every_part_of_the_recipe(field: str) -> None:
    recipe = TRIAL["recipe"]
    value = getattr(recipe, field)
    changed = recipe.model_copy(update={field: "cosine" if field == "schedule" else value + 1})
    assert changed != recipe
    assert TrialSpec(**{**TRIAL, "recipe": changed}).key != TrialSpec(**TRIAL).key


@pytest.mark.parametrize("field", NAMES)
def test_names_do_not_change_the_key(field: str) -> None:
    assert TrialSpec(**{**TRIAL, field: NAMES[field]}).key == TrialSpec(**TRIAL).key


def test_the_key_is_the_same_in_every_process_and_version() -> None:
    """Stored results are found again by it. Should this number change, raise ENGINE and say so in the changelog."""
    turned = {**TRIAL, "options": dict(reversed(TRIAL["options"].items())), "budget": Budget.parse("3epochs")}
    assert TrialSpec(**turned).key == TrialSpec(**TRIAL).key == "dac59d6d1572514d"
    assert TrialSpec.model_validate_json(TrialSpec(**TRIAL).model_dump_json()).key == TrialSpec(**TRIAL).key
