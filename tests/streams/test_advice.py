"""Advice on streams has the rules and grades of all advice."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from synthetic_streams import DATA, TASKS, table

from tuneworth.advice.streams import advise_stream
from tuneworth.report.streams import build_streams
from tuneworth.spec import TrialSpec

SEPARATE = {**TASKS, "mode": "separate"}


def scores(full: float, bitfit: float, spread: float = 0.1, chance: int = 0) -> Any:
    def score(trial: TrialSpec) -> float:
        luck = np.random.default_rng([chance, trial.seed, len(trial.kind), len(trial.task)])
        return {"full": full, "bitfit": bitfit}[trial.kind] + 0.1 * trial.seed + float(luck.normal(0, spread))

    return score


def test_of_two_inside_the_margin_the_smallest_is_used() -> None:
    rows, _ = table(SEPARATE, scores(70.2, 70.0), seeds=5)
    [said] = advise_stream(rows)
    assert said.startswith(
        "For a stream of small tasks like glue/mrpc > glue/cola (minilm, 3epochs a task) use bitfit, tuned separately: 70."
    )
    assert "100 kB stored; the best, full, tuned separately, scores 70." in said
    assert re.search(
        r"at 90.0 MB stored \(difference .0\.\d, 95% CI .*, 5 paired seeds\)\. Evidence: moderate\.$", said
    )


def test_means_alone_are_no_advice() -> None:
    """Two points apart at a spread of 3 and three seeds: which one leads is luck in a third of such studies."""
    said = [advise_stream(table(SEPARATE, scores(70.0, 68.0, 3.0, chance))[0])[0] for chance in range(40)]
    graded = [one for one in said if "Evidence: moderate" in one or "Evidence: strong" in one]
    assert sum("use bitfit" in one for one in graded) <= 2
    assert len(graded) < 20
    assert not any("Evidence: strong" in one for one in said)


def test_further_behind_it_is_not() -> None:
    rows, _ = table(SEPARATE, scores(75.0, 70.0), seeds=5)
    assert "use full, tuned separately: 75." in advise_stream(rows)[0]
    assert "the next best, bitfit, tuned separately, scores 70." in advise_stream(rows)[0]


def test_the_joint_model_is_no_choice() -> None:
    def score(trial: TrialSpec) -> float:
        assert trial.stream is not None
        return 99.0 if trial.stream.mode == "joint" else 70.0

    rows, _ = table(TASKS, score)
    assert "99" not in advise_stream(rows)[0]


def test_a_stream_of_data_is_judged_by_training_time() -> None:
    rows, _ = table(DATA, scores(70.0, 69.9), seeds=5)
    first, second = advise_stream(rows)
    assert "stream of data like glue/mrpc (minilm, 3epochs a chunk) use bitfit: 70." in first
    assert "prequential f1, 2.0 s of training a chunk" in first
    assert "glue/cola" in second


def test_budgets_are_questions_of_their_own() -> None:
    rows, spec = table(DATA, scores(70.0, 60.0), budgets=["3epochs", "20steps"], seeds=4)
    assert [f"{budget} a chunk" in said for said in advise_stream(rows) for budget in ("3epochs", "20steps")] == (
        [True, False, False, True] * 2
    )
    panels = build_streams(rows, spec).data
    assert [panel.title for panel in panels][::2] == ["glue/mrpc, 3epochs", "glue/mrpc, 20steps"]
    assert {cell.seeds for panel in panels for cell in panel.cells} == {4}


def test_the_advice_has_the_table_s_numbers() -> None:
    rows, spec = table(DATA, scores(70.0, 60.0, 2.0), seeds=6)
    made = build_streams(rows, spec)
    for panel, said in zip(made.data, made.advice, strict=True):
        for cell in panel.cells:
            assert re.search(rf"{cell.method}(:|, scores) {cell.mean:.1f} ", said)


def test_what_does_not_beat_the_baseline_is_not_advised() -> None:
    rows, _ = table(SEPARATE, scores(49.0, 48.0))
    assert "nothing is clearly above the baseline of 50.0" in advise_stream(rows)[0]


@pytest.mark.parametrize("stream", [DATA, TASKS])
def test_few_seeds_are_said_out_loud(stream: dict[str, object]) -> None:
    rows, _ = table(stream, scores(70.0, 60.0), seeds=2)
    assert "2 paired seeds can carry no recommendation (from 3 on). Evidence: none." in advise_stream(rows)[0]


def test_one_choice_is_none() -> None:
    rows, _ = table(DATA, scores(70.0, 60.0), seeds=3)
    said = advise_stream([row for row in rows if row["method"] == "full"])
    assert all("only full has a result, 70." in one and one.endswith("Evidence: none.") for one in said)


def test_nothing_done_nothing_said() -> None:
    assert advise_stream([]) == ()


def test_an_unfinished_study_is_compared_over_shared_seeds() -> None:
    rows, _ = table(SEPARATE, scores(70.0, 60.0), seeds=4)
    part = [row for row in rows if row["method"] == "bitfit" or row["seed"] != 2]
    assert "use full, tuned separately: 70." in advise_stream(part)[0]
    assert "3 paired seeds" in advise_stream(part)[0]
    apart = [row for row in rows if (row["method"], row["seed"]) in {("full", 0), ("bitfit", 1)}]
    assert "0 paired seeds can carry no recommendation" in advise_stream(apart)[0]
