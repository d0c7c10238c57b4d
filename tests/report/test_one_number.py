"""A figure has one number, wherever it is shown: tables, chart data, advice as data, sentences, looks."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from scored import table
from tuneworth.advice import judge_claims
from tuneworth.report import Report, build
from tuneworth.report.charts import chart_data
from tuneworth.report.html import render_html
from tuneworth.report.terminal import show
from tuneworth.report.views.comparisons import family
from tuneworth.report.views.stability import stability
from tuneworth.report.views.summaries import summaries
from tuneworth.results.rows import CellKey, Row
from tuneworth.spec import StudySpec
from tuneworth.stats import Answers
from tuneworth.until_decided import Question, decisions

EXAMPLES, SEEDS = 400, 10
METHODS = {"full": 0.90, "houlsby": 0.89, "bitfit": 0.80}


def study() -> tuple[list[Row], dict[CellKey, Answers]]:
    """houlsby collapses twice, once to either class; bitfit ties with the baseline once, honestly."""
    rng = np.random.default_rng(5)
    targets = (np.arange(EXAMPLES) % 100 < 51).astype(int)
    answers, scores = {}, {}
    for method, share in METHODS.items():
        given = {seed: np.where(rng.random(EXAMPLES) < share, targets, 1 - targets) for seed in range(SEEDS)}
        if method == "houlsby":
            given |= {2: np.ones(EXAMPLES, int), 7: np.zeros(EXAMPLES, int)}
        if method == "bitfit":
            given[4] = np.where(np.arange(EXAMPLES) < 204, targets, 1 - targets)
        answers["minilm", method, "reviews", 1.0, "3epochs"] = Answers("accuracy", targets, given)
        scores[method] = {seed: 100 * float((one == targets).mean()) for seed, one in given.items()}
    return table(scores, baseline_score=51.0), answers


@pytest.fixture(scope="module")
def made() -> Report:
    rows, answers = study()
    spec = StudySpec.parse({"name": "first", "tasks": ["reviews"], "methods": list(METHODS), "seeds": SEEDS})
    return build(rows, spec, answers)


def shown(report: Report) -> tuple[str, str]:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    show(report, console)
    return render_html(report), console.file.getvalue()  # type: ignore[attr-defined]


def test_each_method_has_one_score(made: Report) -> None:
    page, terminal = shown(made)
    [group] = made.featured
    drawn = chart_data(made, summaries(made))["cells"]
    charted = {
        row[drawn["fields"].index("method")]: dict(zip(drawn["fields"], row, strict=True)) for row in drawn["values"]
    }
    [advice] = made.advice
    for cell in group.cells:
        trained = [
            score for seed, score in cell.scores.items() if (cell.method, seed) not in {("houlsby", 2), ("houlsby", 7)}
        ]
        assert cell.mean == pytest.approx(np.mean(trained))
        assert [one.score for one in advice.candidates if one.method == cell.method] == [cell.mean]
        assert charted[cell.method]["mean"] == pytest.approx(cell.mean, abs=1e-3)
        assert f"<b>{cell.mean:.1f}</b> <small>± {cell.deviation:.1f}</small>" in page
        assert f"{cell.mean:.1f} ± {cell.deviation:.1f}" in terminal
    assert "<small>2 collapsed</small>" in page
    said = "2 trials collapsed to one answer for all (houlsby 2): scores and differences are those of the others."
    for text in (page, terminal):
        assert said in re.sub(r"\s+", " ", text)
    chosen, *others = sorted(group.cells, key=lambda cell: cell.method != advice.recommendation.method)  # type: ignore[union-attr]
    assert any(f"{chosen.mean:.1f} (accuracy) against {other.mean:.1f}" in page for other in others)


def test_each_difference_has_one_number_and_new_data_is_never_narrower(made: Report) -> None:
    page, terminal = shown(made)
    [group], [advice] = made.featured, made.advice
    assert advice.comparisons
    tabled = [one.pair for one in family(made).by_advice[0]]
    assert tabled == list(advice.comparisons)
    against = {cell.method: cell.against_full for cell in group.cells if cell.against_full}
    for pair in advice.comparisons:
        assert pair.new_low <= pair.low < pair.high <= pair.new_high  # type: ignore[operator]
        assert pair.redrawn_low < pair.low < pair.high < pair.redrawn_high  # type: ignore[operator]
        found, sign = (
            (against[pair.a], 1) if pair.b == "full" else (against[pair.b], -1) if pair.a == "full" else (None, 0)
        )
        if found:
            ends = sorted(sign * end for end in (*found.interval, *found.wide))  # type: ignore[misc]
            assert ends == pytest.approx([pair.new_low, pair.low, pair.high, pair.new_high])
            assert sign * found.difference == pytest.approx(pair.difference)
        if f"against {pair.b} " in advice.sentence or f"than {pair.b} (" in advice.sentence:
            assert f"difference {pair.difference:+.1f}".replace("-", "−") in advice.sentence
    for cell in group.cells:
        if cell.against_full:
            low, high = cell.against_full.interval or (0.0, 0.0)
            text = f"{low:+.1f} to {high:+.1f}".replace("-", "−")
            assert text in page
            assert text in re.sub(r"\s+", " ", terminal)


def test_each_spread_and_collapse_has_one_number(made: Report) -> None:
    drawn = chart_data(made, summaries(made))["cells"]
    charted = {
        row[drawn["fields"].index("method")]: dict(zip(drawn["fields"], row, strict=True)) for row in drawn["values"]
    }
    collapsed = {one.method: one.collapsed for one in made.advice[0].candidates}
    for one in stability(made, made.featured[0]):
        assert charted[one.cell.method]["spread"] == pytest.approx(one.spread, rel=1e-5)
        assert (charted[one.cell.method]["spread_low"] is None) == (one.spread_interval is None)
        assert one.collapsed is not None
        assert one.collapsed[0] == collapsed[one.cell.method] == {"full": 0, "houlsby": 2, "bitfit": 0}[one.cell.method]


def test_looks_and_claims_see_the_answers_too() -> None:
    rows, answers = study()
    blind = [{**row, "baseline_score": 50.0} for row in rows]  # now no collapse ties with it
    claim: dict[str, Any] = {
        "says": "it does",
        "test": "no-worse",
        "method": "houlsby",
        "against": "full",
        "margin": 6.0,
    }
    spec = StudySpec.parse({"name": "first", "tasks": ["reviews"], "methods": list(METHODS), "claim": {"it": claim}})
    assert [one.ruling for one in judge_claims(blind, spec, answers=answers)] == ["supported"]
    assert [one.ruling for one in judge_claims(blind, spec)] == ["undecided"]
    [seen], [not_seen] = (decisions(blind, Question(margin=6.0), given).values() for given in (answers, None))
    assert {"full", "houlsby"} <= set(seen.inside)
    assert "houlsby" not in not_seen.inside


@pytest.mark.parametrize("baseline", [0.0, 200 * 0.2 / 1.2])
def test_always_yes_is_never_learnt(baseline: float) -> None:
    """F1 of a positive class of 20%: answering yes to everything scores 33, where an older version said 0."""
    rng = np.random.default_rng(0)
    targets = (np.arange(200) % 5 == 0).astype(int)
    honest = {seed: np.where(rng.random(200) < 0.6, targets, 1 - targets) for seed in range(6)}
    yes = dict.fromkeys(range(6), np.ones(200, int))
    answers = {
        ("minilm", method, "reviews", 1.0, "3epochs"): Answers("f1", targets, given)
        for method, given in (("bitfit", yes), ("head", yes), ("full", honest))
    }
    f1 = {method: {s: 200 * (p & targets).sum() / (p.sum() + targets.sum()) for s, p in given.predictions.items()}
          for (_, method, *_), given in answers.items()}  # fmt: skip
    rows = table(f1, metric="f1", baseline_score=float(baseline))
    spec = StudySpec.parse({"name": "first", "tasks": ["reviews"], "methods": list(f1), "seeds": 6})
    [advice] = build(rows, spec, answers).advice
    assert {one.method: one.collapsed for one in advice.candidates} == {"bitfit": 6, "head": 6, "full": 0}
    assert advice.recommendation is None or advice.recommendation.method == "full"
