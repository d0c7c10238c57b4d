import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from synthetic import ENVIRONMENT, make, measure
from tuneworth.advice import advise_each
from tuneworth.report import Report, build, render_html, terminal
from tuneworth.report.plain import plain
from tuneworth.results.rows import rows
from tuneworth.spec import TrialResult, TrialSpec
from tuneworth.until_decided import Question


def report(state: Any = "done", sweep: Any = None, **study: Any) -> Report:
    made = make(state, sweep, **study)
    return build(rows(made, made.spec.name), made.spec)


def fixed(scores: dict[str, list[float]]) -> Any:
    """Trials whose test score is given by method and seed; validation follows test."""

    def state(trial: TrialSpec) -> TrialResult:
        score = scores[trial.method][trial.seed]
        return measure(trial, score=score, validation_score=score)

    return state


def test_a_report_opens_with_the_advice_on_every_task() -> None:
    made = report(methods=["full", "bitfit"], tasks=["glue/mrpc", "glue/stsb"], seeds=5)
    assert [advice.task for advice in made.advice] == ["glue/mrpc", "glue/stsb"]
    assert made.advice == advise_each(
        rows(*_study(methods=["full", "bitfit"], tasks=["glue/mrpc", "glue/stsb"], seeds=5))
    )
    assert made.plain == tuple(plain(advice) for advice in made.advice)


def _study(**study: Any) -> Any:
    made = make(**study)
    return made, made.spec.name


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_give_no_verdict_and_say_so(seeds: int) -> None:
    scores = {"full": [86.0, 86.1], "bitfit": [70.0, 70.1]}
    made = report(fixed(scores), methods=["full", "bitfit"], seeds=seeds)
    assert made.plain[0].act == f"{seeds} seed{'s' * (seeds > 1)}: too few to recommend."
    assert made.plain[0].grade == "none"
    assert any("Fewer than 3 seeds in 2 of 2 cells" in caution for caution in made.cautions)


def test_the_margin_and_the_confidence_asked_for_are_those_of_all_advice() -> None:
    scores = {"full": [86.0, 86.1, 86.2], "bitfit": [84.1, 84.2, 84.3]}
    made = make(fixed(scores), methods=["full", "bitfit"])
    strict, loose = (build(rows(made, "first"), made.spec, question=Question(margin, 0.9)) for margin in (1.0, 3.0))
    assert [one.advice[0].recommendation.method for one in (strict, loose) if one.advice[0].recommendation] == [
        "full",
        "bitfit",
    ]
    assert {one.advice[0].confidence for one in (strict, loose)} == {0.9}


def test_what_is_featured_is_what_advice_is_about() -> None:
    made = report(methods=["full", "bitfit"], fractions=[1.0, 0.3], budgets=["2epochs", "90s", "20s"])
    assert [(group.fraction, group.budget) for group in made.featured] == [(1.0, "90s")]
    assert (made.advice[0].fraction, made.advice[0].budget) == (1.0, "90s")


def test_without_full_nothing_is_said_against_it() -> None:
    made = report(methods=["head", "bitfit"])
    assert made.reference is None
    assert all(cell.against_full is None for group in made.groups for cell in group.cells)


def test_a_variant_of_full_is_the_reference() -> None:
    assert report(methods=["bitfit", "mine"], method={"mine": {"kind": "full"}}).reference == "mine"


def test_only_seeds_that_both_finished_are_paired() -> None:
    def state(trial: TrialSpec) -> str:
        return "diverged" if (trial.method, trial.seed) in {("full", 0), ("bitfit", 3)} else "done"

    [group] = report(state, methods=["full", "bitfit"], seeds=4).groups
    bitfit = group.cells[1]
    assert set(bitfit.scores) == {0, 1, 2}
    assert bitfit.failed == 1
    assert bitfit.against_full is not None
    assert bitfit.against_full.seeds == 2


def test_mixed_environments_are_said_out_loud_and_marked() -> None:
    def state(trial: TrialSpec) -> TrialResult:
        torch = "2.6.0" if trial.method == "bitfit" and trial.seed == 1 else "2.13.0"
        return measure(trial, environment={**ENVIRONMENT, "torch": torch})

    made = report(state, methods=["full", "bitfit", "head"])
    assert any("unlike environments (torch differs)" in caution for caution in made.cautions)
    assert [cell.mixed for cell in made.groups[0].cells] == [False, True, False]
    assert {fact.key: fact.values for fact in made.environment}["torch"] == (("2.13.0", 8), ("2.6.0", 1))
    assert ">mixed</abbr>" in render_html(made)


def test_one_environment_gives_no_caution() -> None:
    assert report(seeds=3).cautions == ()


def test_unfinished_and_failed_trials_are_counted_and_listed() -> None:
    def state(trial: TrialSpec) -> str:
        return {0: "done", 1: "Diverged: the loss is nan", 2: "pending"}[trial.seed]

    made = report(state, methods=["full", "bitfit"])
    assert (made.progress.done, made.progress.failed, made.progress.missing) == (2, 2, 2)
    assert [failure.error for failure in made.failures] == ["Diverged: the loss is nan"] * 2
    assert any("unfinished: 2 trials of 6" in caution for caution in made.cautions)
    assert any("2 trials failed" in caution for caution in made.cautions)


def test_swept_recipes_show_the_winner_and_charge_for_all() -> None:
    made = report(sweep={"bitfit": (1e-3, 2e-3)}, methods=["full", "bitfit"])
    full, bitfit = made.groups[0].cells
    assert (full.recipes_tried, bitfit.recipes_tried, bitfit.planned) == (1, 2, 3)
    assert bitfit.tuning_seconds == pytest.approx(3 * 26.0 * 0.62)
    assert (full.swept, bitfit.swept) == ((), ("learning_rate",))
    assert [(one.recipe, one.failed) for one in bitfit.tried] == [
        ({"learning_rate": rate}, False) for rate in (1e-3, 2e-3)
    ]
    assert (full.tried, full.expected) == ((), ())
    assert len(bitfit.expected) == 2
    page = render_html(made)
    assert "learning rate 0.001" in page
    assert 'id="tuning"' in page
    assert len(made.trials) == 6
    assert any("recipes tried: full 1 and bitfit 2" in caution for caution in made.cautions)


def test_equal_tuning_is_no_caution() -> None:
    made = report(sweep={"full": (1e-5, 5e-5), "bitfit": (1e-3, 2e-3)}, methods=["full", "bitfit"])
    assert made.swept
    assert made.cautions == ()


def test_peak_memory_is_the_largest_and_time_that_of_the_faster_half() -> None:
    def state(trial: TrialSpec) -> TrialResult:
        return measure(trial, peak_memory_bytes=100 * (trial.seed + 1), train_seconds=10.0 * (trial.seed + 1))

    [cell] = report(state, methods=["full"]).groups[0].cells
    assert (cell.peak_memory_bytes, cell.train_seconds) == (300, pytest.approx(15.0))


@st.composite
def odd_studies(draw: st.DrawFn) -> Report:
    """Any mixture of states, odd scores, missing baselines and names."""
    methods = draw(st.lists(st.sampled_from(["head", "full", "bitfit", "houlsby", "<b>"]), min_size=1, unique=True))
    variants = {"<b>": {"kind": "lora"}} if "<b>" in methods else {}
    tasks = draw(st.lists(st.sampled_from(["glue/mrpc", "a<script>b", "stars"]), min_size=1, max_size=2, unique=True))
    states = st.sampled_from(["done", "pending", "running", "<i>lost</i>", "odd"])
    odd = st.sampled_from([0.0, -12.5, 100.0, float("nan"), float("inf"), 86.0])
    trained = st.sampled_from([0, 1, 10**10])

    def state(trial: TrialSpec) -> Any:
        chosen = draw(states)
        if chosen != "odd":
            return chosen
        score = draw(odd)
        return measure(trial, score=score, validation_score=score, baseline_score=draw(odd), curve=(),
                       trainable_parameters=draw(trained), train_seconds=draw(st.sampled_from([0.0, 5.0])))  # fmt: skip

    return report(state, methods=methods, method=variants, tasks=tasks, seeds=draw(st.integers(1, 3)),
                  fractions=draw(st.sampled_from([[1.0], [0.025, 1.0]])))  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd_studies())
def test_any_study_can_be_shown(made: Report) -> None:
    assert len(made.plain) == len(made.advice) == len({(group.model, group.task) for group in made.groups})
    cells = [cell for group in made.groups for cell in group.cells]
    assert sum(len(cell.scores) for cell in cells) == made.progress.done
    assert len(made.failures) == made.progress.failed
    if any(len(cell.scores) < 3 for cell in cells if cell.scores):
        assert any("Fewer than 3 seeds" in caution for caution in made.cautions)
    assert all(one.grade == "none" for one in made.plain) or made.progress.done >= 3
    Console(width=80, quiet=True).print(terminal.results(made), terminal.summary(made))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd_studies())
def test_any_study_makes_a_page_without_its_names_as_markup(made: Report) -> None:
    page = render_html(made)
    assert page.rstrip().endswith("</html>")
    assert "a<script>b" not in page
    assert "<i>lost</i>" not in page


def test_ten_thousand_trials_take_seconds() -> None:
    study = make(methods=["head", "full", "bitfit", "houlsby", "lora"], tasks=["glue/mrpc", "glue/cola"],
                 fractions=[i / 100 for i in range(1, 101)], seeds=10)  # fmt: skip
    start = time.process_time()
    made = build(rows(study, "first"), study.spec)
    page = render_html(made)
    assert time.process_time() - start < 15
    assert len(made.groups) == 200
    assert len(page.encode()) < 5_000_000
