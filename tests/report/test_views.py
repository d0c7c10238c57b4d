"""What the page computes from a report: against closed forms, and the functions of stats on the same numbers."""

from __future__ import annotations

from statistics import stdev
from typing import Any

import numpy as np
import pytest
from scipy import stats as oracle

from synthetic import make, measure
from tuneworth import words
from tuneworth.report import Report, build
from tuneworth.report.charts import chart_data, charts
from tuneworth.report.value import LARGE, key_of
from tuneworth.report.views.across import across
from tuneworth.report.views.comparisons import family
from tuneworth.report.views.learning import crossovers, reached, targets
from tuneworth.report.views.stability import disagreement, stability
from tuneworth.report.views.summaries import COSTS, summaries
from tuneworth.results.rows import Row, cell_of, rows
from tuneworth.spec import CurvePoint, TrialSpec
from tuneworth.stats import Answers, wilson

NOISE = (0.3, -0.2, 0.1, -0.3, 0.2, -0.1, 0.25, -0.25)


def report(state: Any = "done", answers: Any = None, **study: Any) -> Report:
    made = make(state, **study)
    table = rows(made, made.spec.name)
    return build(table, made.spec, answers(table) if answers else None)


def answered(table: list[Row]) -> dict[Any, Answers]:
    """Made-up predictions on 200 examples, right as often as the method's name is long."""
    found: dict[Any, Answers] = {}
    targets = np.arange(200) % 2
    for cell in {cell_of(row): None for row in table}:
        seeds = [row["seed"] for row in table if cell_of(row) == cell]
        wrong = {s: np.random.default_rng([s, len(cell[1])]).random(200) < 0.1 * len(cell[1]) / 4 for s in seeds}
        found[cell] = Answers("accuracy", targets, {s: np.where(wrong[s], 1 - targets, targets) for s in seeds})
    return found


def test_comparisons_are_advices_pairs_with_both_intervals() -> None:
    made = report(answers=answered, methods=["full", "bitfit", "head"], seeds=8)
    shown = family(made)
    assert shown.size == len(made.advice[0].comparisons)
    for one, pair in zip(shown.by_advice[0], made.advice[0].comparisons, strict=True):
        assert one.pair is pair
        assert pair.new_low <= pair.low < pair.high <= pair.new_high  # type: ignore[operator]
        assert one.rising == ()


def test_holms_correction_is_over_both_questions_of_every_comparison() -> None:
    def state(trial: TrialSpec) -> Any:
        level, noise = {"full": (90.0, 0), "bitfit": (85.5, 20), "houlsby": (70.0, 3), "head": (60.0, 2)}[trial.method]
        return measure(trial, score=level + noise * NOISE[trial.seed], baseline_score=50.0)

    made = report(state, methods=["full", "bitfit", "houlsby", "head"], seeds=8)
    shown = family(made).by_advice[0]
    assert made.advice[0].recommendation
    values = sorted(p for one in shown for p in (one.pair.p_value, one.pair.p_equivalent))
    steps = [p * (len(values) - i) for i, p in enumerate(values)]
    rejected = values[: next((i for i, step in enumerate(steps) if step > 0.05), len(values))]
    assert [one.holds for one in shown] == [
        one.pair.verdict == "equivalent" or (one.pair.verdict != "undecided" and one.pair.p_value in rejected)
        for one in shown
    ]  # fmt: skip
    assert {one.holds for one in shown if one.pair.verdict != "undecided"} == {True, False}, "else nothing is tested"


def test_a_method_that_still_learns_is_flagged_in_its_comparisons() -> None:
    def state(trial: TrialSpec) -> Any:
        rising = trial.method == "bitfit"
        points = [(i, 60.0 + (4 + 0.1 * trial.seed) * i if rising else 80.0) for i in range(1, 6)]
        curve = [CurvePoint(step=20 * i, seconds=i, examples=i, loss=1.0, score=score) for i, score in points]
        return measure(trial, curve=tuple(curve))

    made = report(state, methods=["full", "bitfit", "head"], seeds=4)
    flags = {(one.pair.a, one.pair.b): one.rising for one in family(made).by_advice[0]}
    assert flags
    assert all(("bitfit" in pair) == (rising == ("bitfit",)) for pair, rising in flags.items())


def test_new_data_is_only_spoken_of_with_predictions() -> None:
    def against_full(made: Report) -> list[Any]:
        return [cell.against_full for group in made.groups for cell in group.cells if cell.against_full]

    assert [found.wide for found in against_full(report(methods=["full", "bitfit"], seeds=4))] == [None]
    found = against_full(report(answers=answered, methods=["full", "bitfit"], seeds=4, fractions=[0.3, 1.0]))
    assert len(found) == 2
    assert all(one.wide[0] <= one.interval[0] < one.interval[1] <= one.wide[1] for one in found)


def crossing(trial: TrialSpec) -> Any:
    """Curves straight along fraction^-0.2: bitfit starts 2 ahead and ends 2 behind; noise that does not cancel."""
    far = (0.1**-0.2 - trial.fraction**-0.2) / (0.1**-0.2 - 1)
    ahead = 2 - 4 * far if trial.method == "bitfit" else 0.0
    own = NOISE[trial.seed] if trial.method == "bitfit" else 0.0
    return measure(trial, score=80 + 10 * far + ahead + own, curve=())


def test_who_overtakes_whom_and_who_reaches_what() -> None:
    [found] = crossovers(report(crossing, methods=["full", "bitfit"], fractions=[0.1, 0.4, 0.7, 1.0], seeds=8))
    assert (found.model, found.task, found.budget, found.unclear) == ("minilm", "glue/mrpc", "3epochs", 0)
    overtakes, reaches = found.sentences
    half, fifth = ((0.1**-0.2 - far * (0.1**-0.2 - 1)) ** -5 for far in (0.5, 0.2))
    assert overtakes.startswith(f"full overtakes bitfit at about {words.share(half)} of the data (95%: 2")
    # bitfit at 10%: 80 + 2, which full has a fifth of the way on.
    assert reaches.startswith(
        f"bitfit at 10% reaches what full reaches at about {words.share(fifth)} of the data (95%: 1"
    )


def test_means_that_cross_by_chance_are_counted_and_not_told() -> None:
    def state(trial: TrialSpec) -> Any:
        swing = 30 * NOISE[trial.seed] if trial.method == "bitfit" else 0.0
        ahead = 0.2 if trial.fraction < 0.5 and trial.method == "bitfit" else -0.2
        return measure(trial, score=80 + ahead * (trial.method == "bitfit") + swing, curve=())

    [found] = crossovers(report(state, methods=["full", "bitfit"], fractions=[0.1, 0.4, 0.7, 1.0], seeds=8))
    assert (found.sentences, found.unclear) == ((), 1)


def test_one_fraction_has_no_crossing() -> None:
    assert crossovers(report(seeds=3)) == ()


def test_time_to_a_good_score_is_the_middle_seed() -> None:
    def state(trial: TrialSpec) -> Any:
        pace = {"full": 10.0, "bitfit": 4.0 + trial.seed, "head": 1.0}[trial.method]
        scores = [70, 75, 85, 86] if trial.method != "head" else [70, 70, 70, 70]
        curve = [CurvePoint(step=i, seconds=pace * i, examples=i, loss=1.0, score=s) for i, s in enumerate(scores, 1)]
        return measure(trial, curve=tuple(curve))

    [target] = targets(report(state, methods=["full", "bitfit", "head"], seeds=7))
    assert target.score == 85.0
    assert target.times == (("full", 30.0, (30.0, 30.0)), ("bitfit", 21.0, (12.0, 30.0)), ("head", None, None))
    assert [reached(*times) for _, *times in target.times] == [
        "30 s (30 s to 30 s)",
        "21 s (12 s to 30 s)",
        "not reached by most seeds",
    ]
    assert reached(24.0, (13.0, float("inf"))) == "24 s (13 s or more)"


def test_stability_counts_failures_and_collapses() -> None:
    def state(trial: TrialSpec) -> Any:
        if trial.method == "houlsby" and trial.seed == 0:
            return "Diverged: the loss is nan"
        collapsed = trial.method == "houlsby" and trial.seed == 1
        factor = {"full": 1.0, "houlsby": 1.0, "bitfit": 0.05}[trial.method]
        return measure(trial, score=81.2 if collapsed else 86 + factor * NOISE[trial.seed])

    made = report(state, methods=["full", "houlsby", "bitfit"], seeds=8)
    full, houlsby, bitfit = stability(made, made.featured[0])
    assert houlsby.collapsed == (2, wilson(2, 8))
    assert houlsby.worst == pytest.approx(81.2)
    assert houlsby.spread == pytest.approx(stdev([81.2, 81.2, *(86 + NOISE[seed] for seed in range(2, 8))]))
    assert (full.ruling, houlsby.ruling, bitfit.ruling) == (None, "not clear", "varies less"), (
        "two of eight may be chance"
    )
    assert bitfit.ratio == pytest.approx((0.05, 0.05)), "each distance is a twentieth of the other"


def test_seeds_that_all_agree_leave_the_spread_open() -> None:
    made = report(lambda trial: measure(trial, score=86.0), methods=["full"], seeds=4)
    [one] = stability(made, made.featured[0])
    assert (one.spread, one.spread_interval) == (0.0, None)


def test_a_front_is_where_nothing_scores_as_much_for_less() -> None:
    def state(trial: TrialSpec) -> Any:
        level = {"full": 90.0, "bitfit": 85.0, "houlsby": 80.0}[trial.method]
        return measure(trial, score=level + NOISE[trial.seed])

    made = report(state, methods=["full", "bitfit", "houlsby"], seeds=5)
    for one in summaries(made):
        dominated = one.cell.method == "houlsby"
        for cost in ("trainable_parameters", "delta_bytes"):
            assert (one.fronts[cost].on, one.fronts[cost].sure) == (not dominated, float(not dominated))
    [few] = {one.fronts["delta_bytes"].sure for one in summaries(report(state, methods=["full", "bitfit"], seeds=2))}
    assert few is None


def test_across_tasks_is_the_share_of_the_way_to_the_best() -> None:
    def state(trial: TrialSpec) -> Any:
        base, best = {"glue/mrpc": (81.2, 86.2), "glue/cola": (0.0, 40.0), "glue/stsb": (0.0, 0.0)}[trial.task]
        share = {"full": 1.0, "bitfit": 0.8}[trial.method]
        return measure(trial, score=base + share * (best - base))

    [one] = across(report(state, methods=["full", "bitfit"], tasks=["glue/mrpc", "glue/cola", "glue/stsb"], seeds=4))
    assert (one.tasks, one.left_out) == (("glue/mrpc", "glue/cola"), ("glue/stsb",))
    assert [(s.method, s.rank) for s in one.standings] == [("full", 1.0), ("bitfit", 2.0)]
    assert [s.middle for s in one.standings] == pytest.approx([1.0, 0.8])


def test_one_method_for_all_tasks_is_less_sure_than_for_each() -> None:
    """1, 2 and 3 points behind, hardly any chance within a task: between tasks there is, and other tasks may differ more."""

    def state(trial: TrialSpec) -> Any:
        behind = {"glue/mrpc": 1.0, "glue/cola": 2.0, "glue/stsb": 3.0}[trial.task] + 0.01 * trial.seed
        return measure(trial, score=90 - behind * (trial.method == "bitfit"), baseline_score=50.0)

    [one] = across(report(state, methods=["full", "bitfit"], tasks=["glue/mrpc", "glue/cola", "glue/stsb"], seeds=4))
    first, second = one.standings
    assert first.apart is None
    assert second.apart
    interval = second.apart.interval(0.95)
    assert interval
    assert second.apart.value == pytest.approx(-2.0, abs=0.1)
    assert interval == pytest.approx((-4.5, 0.5), abs=0.1)  # t(2) = 4.3, a spread of 1 over 3 tasks


def test_one_task_is_nothing_across() -> None:
    assert across(report(seeds=3)) == ()


def test_charts_hold_every_cell_and_as_many_seeds_as_a_page_bears() -> None:
    made = report(methods=["full", "bitfit"], fractions=[0.3, 1.0], budgets=["2epochs", "20s"], seeds=3)
    cells = summaries(made)
    data = chart_data(made, cells)
    assert {name: len(table["values"]) for name, table in data.items()} == {
        "trials": 24, "cells": 8, "progress": 40, "curves": 120,
    }  # fmt: skip
    values = dict(zip(data["cells"]["fields"], data["cells"]["values"][0], strict=True))
    first = cells[0]
    low, high = oracle.t.interval(0.95, 2, first.cell.mean, oracle.sem(list(first.cell.scores.values())))
    assert (values["low"], values["high"]) == pytest.approx((low, high), rel=1e-5)
    assert list(charts(made)) == ["overview", "data", "spread", "budgets", "progress", "cost"]
    assert [spec.removeprefix("cost-") for spec in charts(made)["cost"].specs] == list(COSTS)
    assert key_of(first.group, first.cell.method) == ("minilm", "full", "glue/mrpc", 0.3, "2epochs")


def test_two_seeds_draw_no_band() -> None:
    made = report(methods=["full", "bitfit"], fractions=[0.3, 1.0], seeds=2)
    data = chart_data(made, summaries(made))
    for name, ends in (("cells", ("low", "high", "spread_low", "spread_high")), ("progress", ("low", "high"))):
        at = [data[name]["fields"].index(end) for end in ends]
        assert {row[i] for row in data[name]["values"] for i in at} == {None}


def test_a_large_study_shows_intervals_in_place_of_seeds() -> None:
    made = report(methods=["full", "bitfit"], fractions=[i / 100 for i in range(1, 101)], seeds=11)
    assert len(made.trials) > LARGE
    data = chart_data(made, summaries(made))
    assert (data["trials"]["values"], data["curves"]["values"]) == ([], [])
    assert len(data["cells"]["values"]) == 200


def test_two_seeds_disagree_where_their_answers_differ() -> None:
    targets = np.array([0, 1, 1, 0])
    given = {0: targets, 1: np.array([0, 1, 1, 1]), 2: np.array([1, 1, 1, 1])}
    assert disagreement(Answers("accuracy", targets, given)) == pytest.approx((1 + 2 + 1) / (3 * 4))
    assert disagreement(Answers("accuracy", targets, {0: targets})) is None
    assert disagreement(Answers("pearson", targets.astype(float), {s: v + 0.5 for s, v in given.items()})) is None
    assert disagreement(None) is None
