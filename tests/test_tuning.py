"""Races of learning rates: what they ask for, what they choose, and that none of it is ever taken for a score."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from commands import tuneworth
from killable import ended as ended_well
from killable import start
from synthetic import Ledger, measure
from test_study import run_here
from test_until_decided import wait_until_done
from tuneworth import words
from tuneworth.errors import SpecError
from tuneworth.plan import check, expand
from tuneworth.report import build, terminal
from tuneworth.report.html import render_html
from tuneworth.results.rows import rows, tuning_seconds
from tuneworth.spec import StudySpec, TrialRecord, TrialSpec
from tuneworth.stats import LOOKS
from tuneworth.store import open_store
from tuneworth.study import Study
from tuneworth.tuning import TIE, Tuning, effort, places
from tuneworth.until_decided import Question

Loss = Callable[[TrialSpec], float]
EXAMPLES = {"glue/mrpc": 3668}


def spec_of(**changes: Any) -> StudySpec:
    return StudySpec.parse(
        {"name": "first", "tasks": ["glue/mrpc"], "methods": ["full", "bitfit"], "tune": 3, **changes}
    )


def candidates_of(spec: StudySpec) -> list[TrialSpec]:
    return expand(spec, dict.fromkeys(spec.models, "m"), {task: task for task in spec.tasks})


def ended(trial: TrialSpec, loss: Loss) -> TrialRecord:
    if math.isinf(loss(trial)):
        return TrialRecord(study="first", trial=trial, state="failed", attempt=1, error="diverged")
    result = measure(trial, validation_loss=loss(trial), score=99.0, train_seconds=2.0)
    return TrialRecord(study="first", trial=trial, state="done", attempt=1, result=result)


def race(
    spec: StudySpec,
    loss: Loss,
    examples: dict[str, int] = EXAMPLES,
    record: Callable[[TrialSpec], TrialRecord] | None = None,
) -> tuple[list[list[TrialSpec]], dict[str, float]]:
    """The plan of the races after each round, until they are over; the rates that were chosen, by method."""
    tuning, candidates, plans = Tuning(spec.tune, spec.seeds, examples), candidates_of(spec), []
    records: list[TrialRecord] = []
    while True:
        tuned = tuning.grow(candidates, records)
        plans.append(tuned.trials)
        assert tuned == tuning.grow(candidates, list(reversed(records))), "the order of the records decides something"
        if not tuned.open:
            return plans, {trial.method: trial.recipe.learning_rate for trial in tuned.of(candidates)}
        assert len(plans) < 20
        known = {record.trial.key for record in records}
        records += [record(trial) if record else ended(trial, loss) for trial in tuned.trials if trial.key not in known]


def near(best: float) -> Loss:
    """Least at a rate of `best`."""
    return lambda trial: 0.5 + abs(math.log(trial.recipe.learning_rate / best))


@pytest.mark.parametrize(
    ("best", "chosen"), [(1.5e-4, 1.5e-4), (5e-5, 5e-5), (4.2e-4, 4.5e-4), (1.4e-3, 1.3e-3), (1e-2, 1.3e-3), (1e-9, 1.7e-5)]
)  # fmt: skip
def test_the_best_rate_wins_and_one_at_the_edge_earns_one_more(best: float, chosen: float) -> None:
    plans, rates = race(spec_of(methods=["full"]), near(best))
    assert rates == {"full": chosen}
    assert [len(plan) for plan in plans] == ([3, 5, 5] if chosen == 1.5e-4 else [3, 5, 6, 7, 6])


def test_a_tie_goes_to_the_default_and_failures_lose() -> None:
    assert race(spec_of(), lambda trial: 0.7 + TIE / 2 * (trial.recipe.learning_rate == 1.5e-4))[1] == {
        "full": 1.5e-4,
        "bitfit": 1.2e-2,
    }
    assert race(spec_of(), lambda _: math.inf)[1] == {"full": 1.5e-4, "bitfit": 1.2e-2}
    plans, rates = race(
        spec_of(methods=["full"]), lambda trial: math.inf if trial.recipe.learning_rate > 1.2e-4 else 0.6
    )
    assert rates == {"full": 5e-5}
    assert {trial.recipe.learning_rate for trial in plans[-1]} == {1.5e-4, 5e-5, 4.5e-4, 1.7e-5}


@given(st.integers(2, 9), st.integers(1, 20), st.sampled_from([1, 3, 50, 400]), st.randoms(use_true_random=False))
def test_effort_is_the_same_rule_for_all_and_bounded(rates: int, seeds: int, epochs: int, chance: Any) -> None:
    """At most a quarter of the training with three seeds or fewer, less with more; but where one heat of the least length is
    more than that, which is said."""
    spec = spec_of(tune=rates, seeds=seeds, budgets=[f"{epochs}epochs", "60s", f"{10 * epochs}steps"])
    plans, _ = race(spec, lambda _: chance.random())
    for budget in spec.budgets:
        for method in spec.methods:
            mine = [trial for trial in plans[-1] if trial.method == method and trial.tunes == budget]
            spent = sum(trial.budget.amount for trial in mine) / budget.amount
            least = 20 * 32 / 3668 / epochs if budget.unit == "epochs" else 20 / budget.amount
            few = (rates + 1) * min(1, least)
            assert spent <= max(effort(rates, seeds), few if budget.unit != "seconds" else 0) * 1.05
            tuning = Tuning(rates, spec.seeds, EXAMPLES)
            assert (
                spent / (spent + seeds)
                <= tuning.share(next(t for t in candidates_of(spec) if t.cell == mine[0].cell)) + 1e-9
            )
            assert effort(rates, seeds) / (effort(rates, seeds) + seeds) <= 0.25 + 1e-9
            assert {trial.recipe.learning_rate for trial in mine[:rates]} == {trial.recipe.learning_rate for trial in plans[0]
                    if trial.method == method and trial.tunes == budget}  # fmt: skip
            assert all(trial.evaluations == 1 and trial.seed in spec.seeds[:4] for trial in mine)


def loses(places: dict[float, str], loss: Loss, whole: bool = False) -> Callable[[TrialSpec], TrialRecord]:
    """Records in which the first trials of the rates in `places` "failed" or gave "one" answer for all; `whole`: at the whole
    budget, else in heats."""

    def record(trial: TrialSpec) -> TrialRecord:
        what = places.get(trial.recipe.learning_rate, "") if trial.seed == 0 and (trial.tunes is None) == whole else ""
        made = ended(trial, (lambda _: math.inf) if what == "failed" else loss)
        if made.result is None:
            return made
        last = made.result.curve[-1].model_copy(update={"one_answer": what == "one"})
        return made.model_copy(update={"result": made.result.model_copy(update={"curve": (last,)})})

    return record


@pytest.mark.parametrize("what", ["failed", "one"])
def test_a_rate_that_was_lost_in_one_heat_does_not_win_the_next_by_luck(what: str) -> None:
    """Of five rates three go on, and the lost one would be the best of them on the next seed."""
    spec = spec_of(methods=["full"], tune=5, budgets=["50epochs"])

    def loss(trial: TrialSpec) -> float:
        large = trial.recipe.learning_rate > 1.2e-3
        return (0.65 if trial.seed == 0 else 0.1) if large else 0.6 + (trial.recipe.learning_rate != 1.5e-4)

    assert race(spec, loss)[1] == {"full": 1.3e-3}, "without its loss it would win"
    assert race(spec, loss, record=loses({1.3e-3: what}, loss))[1] == {"full": 1.5e-4}


@pytest.mark.parametrize("what", ["failed", "one"])
def test_a_rate_that_collapses_over_the_whole_budget_gives_way_to_the_next(what: str) -> None:
    """Seen with adapters: the short heats' best, by far, ends at the majority's answer where it trains for longer."""
    spec = spec_of(methods=["full"])
    best = near(4.5e-4)

    record = loses(dict.fromkeys((4.5e-4, 1.3e-3), what), best, whole=True)
    plans, rates = race(spec, best, record=record)
    assert rates == {"full": 1.5e-4}
    lost = [trial for trial in plans[-1] if trial.tunes is None]
    assert {(str(trial.budget), trial.seed) for trial in lost} == {("3epochs", 0)}, "the first seed's alone"
    assert {trial.recipe.learning_rate for trial in lost} == {4.5e-4, 1.3e-3}
    trials = Tuning(3, spec.seeds, EXAMPLES).grow(candidates_of(spec), [record(t) for t in plans[-1]])
    assert all(trial in trials.trials for trial in lost), "it stays in the plan: its time is charged"


def test_one_answer_for_all_is_no_loss_before_smaller_rates_have_learnt() -> None:
    """A head that is still as it was drawn gives all kinds of answers, and a rate that has moved it the majority's."""
    spec = spec_of(methods=["full"])
    large = {4.5e-4: "one"}

    def slow(trial: TrialSpec) -> float:
        return 0.69 - (trial.recipe.learning_rate > 3e-4) * 0.04 - (trial.seed > 0) * 0.1

    assert race(spec, slow, record=loses(large, slow))[1] == {"full": 4.5e-4}


def test_a_race_that_takes_more_than_its_share_says_so_before(make_study: Callable[..., Study]) -> None:
    study = make_study(tune=3, budgets=["60steps"], seeds=1)
    (line,) = [line for line in study.prepare().said if "learning rates" in line]
    assert "up to 57% of the training instead of 25%" in line  # four trials of 20 steps beside one of 60
    assert not any("learning rates" in line for line in make_study(tune=1, budgets=["60steps"]).prepare().said)
    assert not any("learning rates" in line for line in make_study(tune=3, budgets=["300steps"]).prepare().said)


def test_what_races_are_sure_to_ask_for_is_foreseen() -> None:
    spec = spec_of(methods=["full"])
    tuning, candidates = Tuning(3, spec.seeds, EXAMPLES), candidates_of(spec)
    tuned = tuning.grow(candidates, [])
    plans, _ = race(spec, near(1.5e-4))
    assert [*tuned.trials, *tuned.ahead] == plans[-1]
    over = tuning.grow(candidates, [ended(trial, near(1.5e-4)) for trial in plans[-1]])
    assert not over.ahead


def test_a_budget_of_a_few_steps_is_raced_whole() -> None:
    plans, _ = race(spec_of(budgets=["3epochs"], methods=["full"]), near(1.5e-4), {"glue/mrpc": 200})
    assert {str(trial.budget) for trial in plans[-1]} == {"3epochs"}
    plans, _ = race(spec_of(budgets=["60steps"], methods=["full"]), near(1.5e-4), {})
    assert {str(trial.budget) for trial in plans[-1]} == {"20steps"}, "two heats of one length are one"


def test_rates_stand_outward_from_the_default() -> None:
    assert [places(rates) for rates in (1, 2, 3, 5)] == [[0], [0, 1], [0, 1, -1], [0, 1, -1, 2, -2]]


def test_a_user_s_own_list_is_left_to_it() -> None:
    spec = spec_of(recipe={"full": {"learning_rate": [1e-5, 2e-5]}, "bitfit": {"learning_rate": 1e-2}})
    plans, rates = race(spec, near(1e-2))
    assert {trial.method for trial in plans[-1]} == {"bitfit"}
    assert rates["bitfit"] == 1e-2, "one rate of the user's own is where the race starts"
    compared = Tuning(3, (0,), EXAMPLES).grow(candidates_of(spec), []).of(candidates_of(spec))
    assert {trial.method for trial in compared} == {"full"}, "it need not wait"


def test_keys_of_old_trials_stay_and_those_of_a_race_are_their_own() -> None:
    trial = candidates_of(spec_of(tune=1))[0]
    assert trial.key == TrialSpec.model_validate(trial.model_dump(exclude={"tunes"})).key
    raced = TrialSpec.model_validate({**trial.model_dump(), "tunes": trial.budget})
    other = TrialSpec.model_validate({**trial.model_dump(), "tunes": {"amount": 9, "unit": "epochs"}})
    assert len({trial.key, raced.key, other.key}) == 3
    assert raced.cell == trial.cell


def test_trials_of_a_race_are_no_rows() -> None:
    spec = spec_of(methods=["full"], seeds=2)
    plans, _ = race(spec, near(1.5e-4))
    compared = Tuning(3, spec.seeds, EXAMPLES).grow(candidates_of(spec), [ended(t, near(1.5e-4)) for t in plans[-1]])
    trials = [*compared.trials, *compared.of(candidates_of(spec))]
    table = rows(Ledger(spec, [ended(trial, near(1.5e-4)) for trial in trials]), "first")
    assert [row["seed"] for row in table] == [0, 1]
    assert {row["budget"] for row in table} == {"3epochs"}
    tried = [(trial["learning_rate"], trial["budget"], trial["validation_loss"]) for trial in table[0]["tuning"]]
    assert tried == [(t.recipe.learning_rate, str(t.budget), near(1.5e-4)(t)) for t in plans[-1]]
    assert list(tuning_seconds(table).values()) == [2.0 * len(plans[-1])]


def test_what_was_tried_is_shown_with_its_price() -> None:
    spec = spec_of(seeds=2)
    plans, _ = race(spec, near(1.5e-4))
    tuned = Tuning(3, spec.seeds, EXAMPLES).grow(
        candidates_of(spec), [ended(t, near(1.5e-4)) for plan in plans for t in plan]
    )
    trials = [*tuned.trials, *tuned.of(candidates_of(spec))]
    table = rows(Ledger(spec, [ended(trial, near(1.5e-4)) for trial in trials]), "first")
    made = build(table, spec)
    full, bitfit = made.groups[0].cells
    assert (full.recipes_tried, bitfit.recipes_tried) == (3, 4), "bitfit went beyond the edge"
    assert full.effort == bitfit.effort
    assert not any("same effort" in caution for caution in made.cautions)
    assert [one.recipe["learning_rate"] for one in full.tried] == [1.5e-4, 4.5e-4, 5e-5]
    assert len(full.expected) == 3
    spent = sum(cell.tuning_seconds for cell in made.groups[0].cells) + 2.0 * 4
    assert ("Training time", words.seconds(spent)) in [(label, number) for label, number, _ in made.key_numbers]
    page = render_html(made)
    assert "<b>0.00015</b>" in page
    with_console = Console(width=200, record=True, file=io.StringIO())
    terminal.show(made, with_console)
    assert "chosen on validation: full 0.00015 (3 tried, 10 s), bitfit" in with_console.export_text()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tune": 0}, "tune = 0"),
        ({"tune": 10}, "tune = 10"),
        ({"stream": {"kind": "data", "chunk": 64}}, "a stream sets nothing aside"),
        ({"methods": ["full", "more"], "method": {"more": {"kind": "full"}}, "recipe": {"more": {"learning_rate": 4.5e-4}}},
         "'full' and 'more' differ in their learning rates alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_tuned_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        check(spec_of(**changes))


TUNED: dict[str, Any] = {"methods": ["head", "full"], "budgets": ["4steps"], "seeds": 2, "tune": 3, "evaluations": 1}


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that was tuned and run without a break."""
    task = {"reviews": {"train": reviews, "text": "text", "label": "label"}}
    plain = {"name": "reviews", "models": [str(tiny_model)], "tasks": ["reviews"], "precision": "fp32", "task": task}
    study = Study(StudySpec.parse({**plain, **TUNED}), str(tmp_path_factory.mktemp("whole") / "whole.db"))
    run_here(study)
    return study


def test_a_study_is_tuned_first_and_then_compared_at_the_chosen_rates(tuned: Study) -> None:
    records = tuned.store.records("reviews")
    raced, compared = ([r for r in records if (r.trial.tunes is not None) == tunes] for tunes in (True, False))
    assert records == [*raced, *compared]
    assert {record.state for record in records} == {"done"}
    assert all(math.isnan(r.result.score) and r.result.delta_path is None for r in raced if r.result), (
        "the test split is not read"
    )
    assert tuned.store.predictions("reviews").keys() == {record.trial.key for record in compared}
    assert len(compared) == 4
    decided = tuned.prepare().tuning.grow(tuned.prepare().candidates, records)
    assert {(r.trial.cell, r.trial.recipe) for r in compared} == set(decided.recipes.items())
    for row in tuned.rows():
        assert row["validation_loss"] == row["curve"][-1]["validation_loss"] > 0
        assert row["recipe"]["learning_rate"] in [trial["learning_rate"] for trial in row["tuning"]]


def test_running_again_trains_nothing_and_more_seeds_keep_the_rate(tuned: Study) -> None:
    before = tuned.store.records("reviews")
    run_here(tuned)
    after = tuned.store.records("reviews")
    assert [(r.trial, r.attempt) for r in after] == [(r.trial, r.attempt) for r in before]
    assert tuned.prepare().missing(retry_failed=False) == []
    more = Study(tuned.spec.model_copy(update={"seeds": (0, 1, 2)}), tuned.store_url).prepare()
    assert [t for t in more.trials if t.seed < 2] == [r.trial for r in before], "4 steps are a race's least length"
    assert [t.seed for t in more.trials if t.tunes is None] == [0, 0, 1, 1, 2, 2]


def test_killed_anywhere_it_ends_with_the_same_trials(tuned: Study, tmp_path: Path) -> None:
    whole = tuned.store.records("reviews")
    store = tmp_path / "killed.db"
    for done in (2, len(whole) - 2):  # within a race, and within the comparison
        process = start(tuned.spec, store)
        wait_until_done(store, done, process)
        process.kill()
        process.join()
    assert ended_well(start(tuned.spec, store)) == 0
    resumed = open_store(str(store)).records("reviews")
    assert [record.trial.key for record in resumed] == [record.trial.key for record in whole]
    assert {r.trial.key: r.result.validation_loss for r in resumed if r.result} == {
        r.trial.key: r.result.validation_loss for r in whole if r.result
    }


def test_between_races_and_comparison_everything_can_be_shown(tuned: Study, tmp_path: Path) -> None:
    study = Study(tuned.spec, str(tmp_path / "begun.db"))
    prepared = study.prepare()
    assert {trial.tunes is None for trial in prepared.trials} == {False}
    study.store.put_study(study.spec, prepared.trials)
    assert study.rows() == []
    study.report(tmp_path / "report.html")
    said = tuneworth("results", "reviews", "--store", study.store_url)
    assert said.code == 0


def test_until_decided_adds_seeds_at_the_chosen_rate(tuned: Study) -> None:
    """The last test here: it adds to the study."""
    raced = [r.trial for r in tuned.store.records("reviews") if r.trial.tunes]
    run_here(tuned, until_decided=Question(margin=99.0))
    rows = tuned.rows()
    seeds = {row["seed"] for row in rows}
    assert len(seeds) in LOOKS
    assert len({(row["method"], row["recipe"]["learning_rate"]) for row in rows}) == 2
    assert raced == [r.trial for r in tuned.store.records("reviews") if r.trial.tunes]
    assert len(tuned.prepare().trials) == len(raced) + len(rows), "a plain run keeps them"
