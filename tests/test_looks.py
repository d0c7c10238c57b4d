"""How a plan grows: deterministic, never a trial twice, seeds where the question is open and nowhere else."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import Ledger, measure
from tuneworth.errors import SpecError
from tuneworth.plan import expand
from tuneworth.report import build
from tuneworth.report.decided import decided
from tuneworth.results.rows import Row, rows
from tuneworth.spec import StudySpec, TrialRecord, TrialSpec
from tuneworth.stats import LOOKS
from tuneworth.until_decided import Question, check, decisions, grow, possible_seeds

WORSE = 0.0123
"""A learning rate that costs 10 points."""
PLACE = ("minilm", "glue/mrpc", 1.0, "3epochs")


@dataclass(frozen=True)
class World:
    """What every trial would score: a mean and a spread by method, luck of its own for every trial; some fail."""

    means: dict[str, float]
    spread: float
    failing: frozenset[tuple[str, int]] = frozenset()

    def record(self, trial: TrialSpec) -> TrialRecord:
        if (trial.method, trial.seed) in self.failing:
            return TrialRecord(study="first", trial=trial, state="failed", attempt=1, error="diverged")
        # the same luck whatever the engine's number is
        same = TrialSpec.model_validate({**trial.model_dump(), "engine": 4})
        luck = np.random.default_rng(int(same.key, 16)).normal(0, self.spread, 2)
        score, validation = self.means[trial.method] + luck - 10 * (trial.recipe.learning_rate == WORSE)
        result = measure(trial, score=score, validation_score=validation, baseline_score=40.0)
        return TrialRecord(study="first", trial=trial, state="done", attempt=1, result=result)


def spec_of(world: World, **changes: Any) -> StudySpec:
    return StudySpec.parse({"name": "first", "tasks": ["glue/mrpc"], "methods": list(world.means), **changes})


def candidates_of(spec: StudySpec) -> list[TrialSpec]:
    whole = spec.model_copy(update={"seeds": possible_seeds(spec.seeds)})
    return expand(whole, dict.fromkeys(spec.models, "m"), {task: task for task in spec.tasks})


def table_of(world: World, plan: list[TrialSpec], spec: StudySpec) -> list[Row]:
    return rows(Ledger(spec, [world.record(trial) for trial in plan]), "first")


def grown(world: World, spec: StudySpec, question: Question) -> list[list[TrialSpec]]:
    """The plan after each look, until nothing is added any more."""
    candidates = candidates_of(spec)
    plans = [[trial for trial in candidates if trial.seed in spec.seeds]]
    while True:
        table = table_of(world, plans[-1], spec)
        plan = grow(candidates, table, decisions(table, question))
        if len(plan) == len(plans[-1]):
            return plans
        plans.append(plan)


WORLDS = st.builds(
    World,
    st.fixed_dictionaries({name: st.sampled_from([50.0, 60.0, 61.0, 80.0]) for name in ("head", "full", "bitfit")}),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.frozensets(st.tuples(st.sampled_from(["head", "full", "bitfit"]), st.integers(0, 8)), max_size=4),
)
SPECS = st.fixed_dictionaries(
    {
        "seeds": st.sampled_from([1, 3, 4, [7, 2], 25]),
        "fractions": st.sampled_from([[1.0], [0.3, 1.0]]),
        "budgets": st.sampled_from([["3epochs"], ["5s", "3epochs"]]),
        "recipe": st.sampled_from([{}, {"full": {"learning_rate": [1e-3, WORSE]}}]),
    }
)


@settings(max_examples=40, deadline=None)
@given(WORLDS, SPECS)
def test_plans_grow_the_same_way_every_time_and_never_hold_a_trial_twice(world: World, changes: dict[str, Any]) -> None:
    spec, question = spec_of(world, **changes), Question(1.5)
    plans = grown(world, spec, question)
    assert plans == grown(world, spec, question)
    order = {trial.key: place for place, trial in enumerate(candidates_of(spec))}
    for plan in plans:
        places = [order[trial.key] for trial in plan]
        assert places == sorted(set(places)), "in the order of the candidates, each once"
    for smaller, larger in itertools.pairwise(plans):
        keys = {trial.key for trial in smaller}
        new = [trial for trial in larger if trial.key not in keys]
        assert keys < {trial.key for trial in larger}
        table = table_of(world, smaller, spec)
        outside = {
            (*place[:3], place[3], name)
            for place, found in decisions(table, question).items()
            for name in found.outside
        }
        chosen = {
            (row["method"], row["fraction"], row["budget"], str(row["recipe"])) for row in table if row["selected"]
        }
        for trial in new:
            place = (trial.model, trial.task, trial.fraction, str(trial.budget))
            assert (*place, trial.method) not in outside, "a beaten method goes on"
            assert (trial.method, *place[2:], str(trial.recipe.model_dump())) in chosen, "a losing recipe goes on"
            assert trial.seed > max(spec.seeds)
    assert len({trial.seed for trial in plans[-1]}) <= max(len(spec.seeds), LOOKS[-1])


@settings(max_examples=20, deadline=None)
@given(WORLDS, st.integers(0, 99))
def test_what_is_decided_does_not_depend_on_how_the_seeds_came_in(world: World, chance: int) -> None:
    """Trials of the last plan, in any order and as far as they may be: a status once given is kept."""
    spec, question = spec_of(world), Question(1.5)
    last = grown(world, spec, question)[-1]
    table = table_of(world, last, spec)
    whole = decisions(table, question)
    random.Random(chance).shuffle(table)
    again = decisions(table, question)
    for place, found in whole.items():
        assert set(found.outside) == set(again[place].outside)
        assert found.wanted == again[place].wanted == {}


def test_a_beaten_method_stops_and_close_ones_go_on() -> None:
    world = World({"head": 50.0, "full": 80.0, "bitfit": 80.0}, spread=1.0)
    plans = grown(world, spec_of(world), Question(0.2))
    seeds = {m: sum(trial.method == m for trial in plans[-1]) for m in world.means}
    assert seeds == {"head": 3, "full": 20, "bitfit": 20}
    assert [max(trial.seed for trial in plan) + 1 for plan in plans] == list(LOOKS)


def test_seeds_go_on_one_by_one_over_all_open_groups() -> None:
    world = World({"full": 80.0, "bitfit": 80.0}, spread=1.0)
    _, plan, *_ = grown(world, spec_of(world, fractions=[0.3, 1.0]), Question(0.2))
    new = [(trial.seed, trial.fraction, trial.method) for trial in plan if trial.seed > 2]
    assert new == [(seed, f, m) for seed in (3, 4) for f in (0.3, 1.0) for m in ("full", "bitfit")]


def test_seeds_go_on_where_the_study_s_own_end() -> None:
    assert possible_seeds((0, 1, 2)) == tuple(range(20))
    assert possible_seeds((42, 7)) == (42, 7, *range(43, 61))
    assert possible_seeds(tuple(range(30))) == tuple(range(30))


def test_a_failed_trial_counts_as_the_baseline_would() -> None:
    steady = World({"full": 80.0, "bitfit": 80.0}, spread=0.01)
    spec = spec_of(steady, seeds=7)
    plan = [trial for trial in candidates_of(spec) if trial.seed < 7]
    assert decisions(table_of(steady, plan, spec), Question())[PLACE].inside == ("full", "bitfit")
    failing = World(steady.means, steady.spread, frozenset(("full", seed) for seed in range(7)))
    found = decisions(table_of(failing, plan, spec), Question())[PLACE]
    assert (found.inside, found.outside) == (("bitfit",), ("full",))


def test_a_group_in_which_everything_failed_has_no_answer_and_gets_no_seeds() -> None:
    names = ("full", "bitfit")
    world = World(dict.fromkeys(names, 80.0), 1.0, frozenset((name, seed) for name in names for seed in range(3)))
    table = table_of(world, grown(world, spec_of(world), Question())[-1], spec_of(world))
    assert decisions(table, Question()) == {}
    assert len(table) == 6
    assert decided(table, {}, Question()) == ["glue/mrpc, 100% of the training data, 3 epochs: no trial has a result"]


def test_a_winning_recipe_that_fails_at_an_added_seed_stays_the_winner() -> None:
    """Else the seeds of a run until decided would change what they are spent on."""
    world = World({"full": 80.0, "bitfit": 80.0}, 1.0, frozenset({("full", 3)}))
    spec = spec_of(world, recipe={"full": {"learning_rate": [1e-3, WORSE]}})
    table = table_of(world, grown(world, spec, Question(0.2))[-1], spec)
    assert [r["state"] for r in table if r["method"] == "full" and r["seed"] == 3] == ["failed"]
    assert {r["recipe"]["learning_rate"] for r in table if r["selected"] and r["method"] == "full"} == {1e-3}


def test_the_answer_in_words() -> None:
    world = World({"head": 50.0, "full": 80.0, "bitfit": 80.0}, spread=1.0)
    spec = spec_of(world)
    question = Question(0.2)
    title = "glue/mrpc, 100% of the training data, 3 epochs: "
    first, *_, last = (table_of(world, plan, spec) for plan in grown(world, spec, question))
    assert decided(first, decisions(first, question), question) == [
        f"{title}open; the next look is at 5 seeds",
        "  beaten by more than 0.2: head (3 seeds)",
        "  open: full (3 seeds), bitfit (3 seeds)",
    ]
    assert decided(last, decisions(last, question), question) == [
        f"{title}open after 20 seeds, the last look; a wider margin may decide it",
        "  beaten by more than 0.2: head (3 seeds)",
        "  open: full (20 seeds), bitfit (20 seeds)",
    ]
    wide = Question(5.0)
    assert decided(last, decisions(last, wide), wide)[:2] == [
        f"{title}decided",
        "  within 5 of the best: full (20 seeds), bitfit (20 seeds)",
    ]


def test_a_report_counts_the_seeds_of_each_method_and_compares_over_those_they_share() -> None:
    world = World({"full": 80.0, "bitfit": 80.0, "head": 50.0}, spread=1.0)
    spec = spec_of(world)
    report = build(table_of(world, grown(world, spec, Question(0.2))[-1], spec), spec)
    [group] = report.groups
    assert {cell.method: len(cell.scores) for cell in group.cells} == {"full": 20, "bitfit": 20, "head": 3}
    assert [cell.planned for cell in group.cells] == [20, 20, 3]
    assert {cell.method: cell.against_full.seeds for cell in group.cells if cell.against_full} == {
        "bitfit": 20,
        "head": 3,
    }
    assert dict(report.asked)["Seeds"] == "0, 1 and 2, and up to 17 more where the question was open"
    assert report.progress.missing == 0


@pytest.mark.parametrize("margin", [0, -1, float("nan"), float("inf")])
def test_a_margin_that_cannot_be(margin: float) -> None:
    with pytest.raises(SpecError, match="is not more than nothing"):
        Question(margin)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.1, float("nan")])
def test_a_confidence_that_cannot_be(confidence: float) -> None:
    with pytest.raises(SpecError, match=r"outside \(0, 1\)"):
        Question(confidence=confidence)


def test_one_method_is_no_question() -> None:
    with pytest.raises(SpecError, match="one method, 'full'"):
        check(StudySpec(name="first", tasks=("glue/mrpc",), methods=("full",)))
