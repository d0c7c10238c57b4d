"""Plans: every cell at every seed once, in an order that serves whoever interrupts the run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneworth.errors import SpecError
from tuneworth.methods import get_method, recipe_for
from tuneworth.plan import check, expand, sweep
from tuneworth.spec import Budget, Recipe, StudySpec, TrialSpec

BASE = {"name": "first", "models": ["a"], "methods": ["full"], "tasks": ["x"]}
BUDGETS = ["1epochs", "20steps", "60s", "1e12flops", "5s"]


def study(**changes: Any) -> StudySpec:
    return StudySpec.parse({**BASE, **changes})


def plan(spec: StudySpec) -> list[TrialSpec]:
    return expand(spec, {name: f"model {name}" for name in spec.models}, {name: f"task {name}" for name in spec.tasks})


def some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


@st.composite
def studies(draw: st.DrawFn) -> StudySpec:
    methods = draw(some(["head", "full", "bitfit", "houlsby", "lora"]))
    rates = st.lists(st.sampled_from([1e-4, 1e-3, 1e-2]), min_size=1, max_size=3)
    return study(
        models=draw(some(["a", "b"])), tasks=draw(some(["x", "y"])), methods=methods, budgets=draw(some(BUDGETS)),
        fractions=draw(some([0.1, 0.3, 1.0])), seeds=draw(some(list(range(4)))),
        recipe=draw(st.dictionaries(st.sampled_from(methods), st.fixed_dictionaries({"learning_rate": rates}))),
    )  # fmt: skip


@given(studies())
def test_every_combination_is_there_once(spec: StudySpec) -> None:
    trials = plan(spec)
    rates = {name: set(spec.recipe.get(name, {}).get("learning_rate", [None])) for name in spec.methods}
    cells = len(spec.models) * len(spec.tasks) * len(spec.fractions) * len(spec.budgets)
    assert len(trials) == cells * len(spec.seeds) * sum(len(tried) for tried in rates.values())
    assert len({trial.key for trial in trials}) == len(trials)
    assert {trial.cell for trial in trials} == {
        (model, method, task, fraction, str(budget))
        for model in spec.models
        for method in spec.methods
        for task in spec.tasks
        for fraction in spec.fractions
        for budget in spec.budgets
    }
    assert trials == plan(spec)


@given(studies())
def test_trials_that_need_the_machine_come_last_and_seeds_change_slowest(spec: StudySpec) -> None:
    trials = plan(spec)
    place = {seed: i for i, seed in enumerate(spec.seeds)}
    order = [(trial.budget.timed, place[trial.seed]) for trial in trials]
    assert order == sorted(order)


@given(studies())
def test_one_more_seed_only_adds_trials(spec: StudySpec) -> None:
    more = spec.model_copy(update={"seeds": (*spec.seeds, 99)})
    before, after = plan(spec), plan(more)
    keys = {trial.key for trial in before}
    assert [trial for trial in after if trial.key in keys] == before


def test_the_order_of_a_small_plan() -> None:
    trials = plan(study(methods=["full", "head"], budgets=["5s", "2epochs"], seeds=[3, 1], fractions=[1, 0.5]))
    shown = [(t.seed, str(t.budget), t.fraction, t.method) for t in trials]
    grid = [(1.0, "full"), (1.0, "head"), (0.5, "full"), (0.5, "head")]
    assert shown == [(seed, budget, *cell) for budget in ("2epochs", "5s") for seed in (3, 1) for cell in grid]


def test_defaults_are_filled_in() -> None:
    (trial,) = plan(study(methods=["bitfit"], seeds=[0]))
    assert trial.recipe == get_method("bitfit").recipe
    assert trial.options == {"subset": "all", "add_missing": False}
    assert (trial.model_fingerprint, trial.task_fingerprint) == ("model a", "task x")
    assert trial.budget == Budget(amount=3, unit="epochs")


def test_a_default_that_is_spelt_out_changes_no_key() -> None:
    default = get_method("bitfit").recipe
    spelt = study(methods=["bitfit"], recipe={"bitfit": default.model_dump()}, method={"bitfit": {"subset": "all"}})
    assert [t.key for t in plan(spelt)] == [t.key for t in plan(study(methods=["bitfit"]))]


def test_a_variant_is_its_own_method() -> None:
    trials = plan(study(
        methods=["bitfit", "half"], seeds=1, method={"half": {"kind": "bitfit", "subset": "query+intermediate"}},
        recipe={"half": {"learning_rate": 0.1}},
    ))  # fmt: skip
    assert [(t.method, t.kind, t.options["subset"]) for t in trials] == [
        ("bitfit", "bitfit", "all"), ("half", "bitfit", "query+intermediate"),
    ]  # fmt: skip
    assert trials[1].recipe.learning_rate == 0.1


@given(
    rates=st.lists(st.floats(1e-6, 1), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 64), min_size=1, max_size=3),
)
def test_lists_are_combined_and_nothing_is_tried_twice(rates: list[float], sizes: list[int]) -> None:
    default = Recipe(learning_rate=0.5, warmup=0.2)
    tried = sweep(default, {"learning_rate": rates, "batch_size": sizes, "schedule": "cosine"}, "full")
    expected = [(rate, size) for rate in dict.fromkeys(rates) for size in dict.fromkeys(sizes)]
    assert [(recipe.learning_rate, recipe.batch_size) for recipe in tried] == expected
    assert {(recipe.schedule, recipe.warmup) for recipe in tried} == {("cosine", 0.2)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ["ful"]}, "unknown method 'ful'\ndid you mean 'full'"),
        ({"methods": ["mine"], "method": {"mine": {"kind": "lroa"}}}, "unknown method 'lroa'\ndid you mean 'lora'"),
        (
            {"methods": ["bitfit"], "method": {"bitfit": {"subsets": "all"}}},
            "no option 'subsets'\ndid you mean 'subset'",
        ),
        ({"methods": ["bitfit"], "method": {"bitfit": {"subset": "few"}}}, "option subset = 'few'"),
        ({"recipe": {"full": {"lr": 1e-3}}}, r"\[recipe.full\] has an unknown key 'lr'\nknown: batch_size"),
        ({"recipe": {"full": {"batch_size": 0}}}, r"\[recipe.full\] batch_size = 0: .*\nthe default is \d+"),
        ({"recipe": {"full": {"batch_size": 1.5}}}, r"batch_size = 1.5"),
        ({"recipe": {"full": {"schedule": ["linear", "step"]}}}, "schedule = 'step': .*'cosine'"),
        ({"recipe": {"full": {"learning_rate": float("inf")}}}, "learning_rate = inf"),
        ({"recipe": {"full": {"gradient_clip": float("nan")}}}, "gradient_clip = nan"),
        ({"recipe": {"full": {"warmup": 1}}}, "warmup = 1"),
    ],
)
def test_mistakes_are_found_without_a_model_or_data(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check(study(**changes))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"models": ["a", "b"]}, "'a' and 'b'"),
        ({"tasks": ["x", "y"]}, "'x' and 'y'"),
        ({"methods": ["bitfit", "same"], "method": {"same": {"kind": "bitfit"}}}, "'bitfit' and 'same'"),
    ],
)
def test_nothing_is_compared_with_itself(changes: dict[str, Any], names: str) -> None:
    spec = study(**changes)
    with pytest.raises(SpecError, match=f"{names} are the same thing under two names"):
        expand(spec, dict.fromkeys(spec.models, "m"), dict.fromkeys(spec.tasks, "t"))


def test_seeds_of_one_cell_differ_in_nothing_else() -> None:
    trials = plan(study(seeds=3))
    for one, other in pairwise(trials):
        assert one.model_copy(update={"seed": other.seed}) == other


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ["full", "head"], "seeds": 60_000}, "2 methods x 60,000 seeds are 120,000 trials"),
        (
            {"models": ["a", "b"], "fractions": [n / 500 for n in range(1, 501)], "budgets": ["1s", "2s"], "seeds": 100},
            "2 models x 500 fractions x 2 budgets x 100 seeds are 200,000 trials, and a study has at most 100,000",
        ),
        (
            {"methods": ["full", "head"], "recipe": {"full": {"learning_rate": [n / 1e6 for n in range(1, 10_001)],
                                                              "batch_size": list(range(1, 10_001))}}},
            "100,000,001 recipes of all methods x 3 seeds are 300,000,003 trials",
        ),
        (
            {"seeds": 60_000, "stream": {"kind": "data", "chunk": 10, "drift": ["none", "noise-burst"]}},
            "60,000 seeds x 2 drifts are 120,000 trials",
        ),
    ],
)  # fmt: skip
def test_a_study_beyond_all_bounds_is_refused_by_its_product_before_it_is_planned(
    changes: dict[str, Any], said: str
) -> None:
    for refuse in (check, plan):
        with pytest.raises(SpecError, match=said):
            refuse(study(**changes))
    assert len(plan(study(seeds=2000, methods=["full", "head"]))) == 4000


@pytest.mark.parametrize(("config", "rate"), [
    ({"hidden_size": 384}, 1.5e-4), ({"hidden_size": 32}, 1.5e-4), ({"hidden_size": 768}, 7.5e-5), ({"d_model": 512}, 1.1e-4),
    ({"text_config": {"hidden_size": 3072}}, 1.9e-5), ({}, 1.5e-4),
])  # fmt: skip
def test_a_default_rate_falls_with_the_model_s_width(config: dict[str, Any], rate: float, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert recipe_for(get_method("full"), str(tmp_path)).learning_rate == rate
    assert recipe_for(get_method("full"), None) == get_method("full").recipe
    spec = study(recipe={"full": {"learning_rate": 3e-5}})
    trial = expand(spec, {"a": "model a"}, {"x": "task x"}, sources={"a": str(tmp_path)})[0]
    assert trial.recipe.learning_rate == 3e-5, "what the user says is as he says it"
