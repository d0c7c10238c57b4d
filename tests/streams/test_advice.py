"""Advice on streams follows its stated rule, and says how much there is to go by."""

from __future__ import annotations

import pytest
from synthetic_streams import DATA, TASKS, table

from tuneworth.spec import TrialSpec
from tuneworth.streams.advice import advise


def scores(full: float, bitfit: float) -> object:
    return lambda trial: {"full": full, "bitfit": bitfit}[trial.kind] + 0.1 * trial.seed


def test_within_a_point_of_the_best_the_smallest_is_used() -> None:
    rows, _ = table({**TASKS, "mode": "separate"}, scores(70.9, 70.0))  # type: ignore[arg-type]
    [said] = advise(rows)
    assert said == (
        "For a stream of small tasks use bitfit, tuned separately: 70.1 on average over 2 tasks, 50.0 kB stored a task; "
        "the best, full, tuned separately, scores 71.0 at 45.0 MB a task (3 paired seeds)."
    )


def test_further_behind_it_is_not() -> None:
    rows, _ = table({**TASKS, "mode": "separate"}, scores(71.1, 70.0))  # type: ignore[arg-type]
    assert "use full, tuned separately: 71.2" in advise(rows)[0]
    assert "nothing scores higher" in advise(rows)[0]


def test_the_joint_model_is_no_choice() -> None:
    def score(trial: TrialSpec) -> float:
        assert trial.stream is not None
        return 99.0 if trial.stream.mode == "joint" else 70.0

    rows, _ = table(TASKS, score)
    assert "99" not in advise(rows)[0]


def test_a_stream_of_data_is_judged_by_training_time() -> None:
    rows, _ = table(DATA, scores(70.0, 69.5))  # type: ignore[arg-type]
    first, second = advise(rows)
    assert "stream of data like glue/mrpc use bitfit: 69.6 prequential f1, 2.0 s of training a chunk" in first
    assert "glue/cola" in second


def test_what_does_not_beat_the_baseline_is_not_advised() -> None:
    rows, _ = table({**TASKS, "mode": "separate"}, scores(49.0, 48.0))  # type: ignore[arg-type]
    assert advise(rows)[0].startswith("On this stream of tasks nothing beats the baseline of 50.0")


@pytest.mark.parametrize("stream", [DATA, TASKS])
def test_few_seeds_are_said_out_loud(stream: dict[str, object]) -> None:
    rows, _ = table(stream, scores(70.0, 60.0), seeds=2)  # type: ignore[arg-type]
    assert "(2 paired seeds: too few to rely on)" in advise(rows)[0]


def test_nothing_done_nothing_said() -> None:
    assert advise([]) == ()


def test_an_unfinished_study_is_compared_over_shared_seeds() -> None:
    rows, _ = table({**TASKS, "mode": "separate"}, scores(70.0, 60.0))  # type: ignore[arg-type]
    part = [row for row in rows if row["method"] == "bitfit" or row["seed"] != 2]
    assert "use full, tuned separately: 70.0" in advise(part)[0]
    assert "(2 paired seeds: too few" in advise(part)[0]
    assert advise([row for row in rows if (row["method"], row["seed"]) in {("full", 0), ("bitfit", 1)}]) == ()
