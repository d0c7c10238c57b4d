import csv
import io
import json
import math
from collections.abc import Callable

import pytest

from synthetic import make, measure
from tuneworth.results.rows import KEYS, cell_of, frame, rows, to_csv, tuning_seconds
from tuneworth.spec import TrialResult, TrialSpec
from tuneworth.store import open_store

UNMEASURED = ("score", "metric", "metrics", "curve", "train_seconds", "environment", "validation_score", "notes")


def test_every_row_has_the_documented_keys_in_plan_order() -> None:
    study = make(methods=["full", "bitfit"], fractions=[0.3, 1.0], seeds=2)
    table = rows(study, "first")
    assert [tuple(row) for row in table] == [KEYS] * 8
    assert [row["key"] for row in table] == [record.trial.key for record in study.trials]
    assert table[0]["budget"] == "3epochs"
    assert table[0]["recipe"]["learning_rate"] == 1e-3
    assert set(table[0]["curve"][0]) == {
        "step",
        "seconds",
        "examples",
        "loss",
        "score",
        "validation_loss",
        "one_answer",
    }


def test_a_real_store_gives_the_same_rows() -> None:
    study = make(seeds=2)
    store = open_store("memory:")
    store.put_study(study.spec, [record.trial for record in study.trials])
    while (taken := store.claim("first", "me", 60)) is not None:
        assert store.finish("first", taken.trial.key, "me", measure(taken.trial))
    assert rows(store, "first") == rows(study, "first")


def test_what_an_unfinished_or_failed_trial_has_not_measured_is_null() -> None:
    study = make(lambda trial: ("pending", "running", "out of memory")[trial.seed], methods=["full"])
    table = rows(study, "first")
    assert [row["state"] for row in table] == ["pending", "running", "failed"]
    assert [row["error"] for row in table] == [None, None, "out of memory"]
    assert all(row[key] is None for row in table for key in UNMEASURED)


def test_numbers_that_json_cannot_hold_become_null() -> None:
    study = make(lambda trial: measure(trial, score=math.nan, metrics={"f1": math.inf}), methods=["full"], seeds=1)
    [row] = rows(study, "first")
    json.dumps(row, allow_nan=False)
    assert row["score"] is None
    assert row["metrics"] == {"f1": None}


def test_csv_holds_what_the_rows_hold() -> None:
    table = rows(make(lambda trial: "pending" if trial.seed else "done", seeds=2), "first")
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    back = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert [row["key"] for row in back] == [row["key"] for row in table]
    assert json.loads(back[0]["recipe"]) == table[0]["recipe"]
    assert float(back[0]["score"]) == table[0]["score"]
    assert back[1]["score"] == ""
    assert back[0]["selected"] == "true"


def test_frame_has_a_column_a_key() -> None:
    table = rows(make(seeds=2), "first")
    data = frame(table)
    assert list(data.columns) == list(KEYS)
    assert data.groupby("method")["score"].count().to_dict() == dict.fromkeys(["head", "full", "bitfit", "houlsby"], 2)
    assert list(frame([]).columns) == list(KEYS)


def validation(scores: dict[tuple[float, int], float | str]) -> Callable[[TrialSpec], str | TrialResult]:
    """Trials whose validation score, or state, depends on learning rate and seed; their test scores are all alike."""

    def state(trial: TrialSpec) -> str | TrialResult:
        found = scores[trial.recipe.learning_rate, trial.seed]
        return found if isinstance(found, str) else measure(trial, validation_score=found, score=50.0)

    return state


@pytest.mark.parametrize(
    ("scores", "winner"),
    [
        ({(1, 0): 80.0, (1, 1): 82.0, (2, 0): 83.0, (2, 1): 84.0}, 2),
        ({(1, 0): 80.0, (1, 1): 82.0, (2, 0): 79.0, (2, 1): 82.0}, 1),
        # A recipe that failed loses, however well its other seed did.
        ({(1, 0): 80.0, (1, 1): 80.0, (2, 0): 99.0, (2, 1): "diverged"}, 1),
        ({(1, 0): "diverged", (1, 1): 80.0, (2, 0): 70.0, (2, 1): 71.0}, 2),
        # Only the seed that both finished counts.
        ({(1, 0): 80.0, (1, 1): 10.0, (2, 0): 79.0, (2, 1): "pending"}, 1),
        # A tie goes to the first in plan order, and so does a cell without a shared seed.
        ({(1, 0): 80.0, (1, 1): 80.0, (2, 0): 80.0, (2, 1): 80.0}, 1),
        ({(1, 0): "pending", (1, 1): "pending", (2, 0): 80.0, (2, 1): 80.0}, 1),
        ({(1, 0): "lost", (1, 1): "lost", (2, 0): "lost", (2, 1): "lost"}, 1),
    ],
)  # fmt: skip
def test_the_winning_recipe_is_chosen_on_validation(scores: dict, winner: int) -> None:
    table = rows(make(validation(scores), sweep={"bitfit": (1.0, 2.0)}, methods=["bitfit"], seeds=2), "first")
    assert {row["recipe"]["learning_rate"] for row in table if row["selected"]} == {winner}
    assert sum(row["selected"] for row in table) == 2


def test_the_test_split_decides_nothing() -> None:
    def better_on_test(trial: TrialSpec) -> TrialResult:
        rate = trial.recipe.learning_rate
        return measure(trial, score=40.0 * rate, validation_score=90.0 - rate)

    table = rows(make(better_on_test, sweep={"bitfit": (1.0, 2.0)}, methods=["bitfit"]), "first")
    assert {row["recipe"]["learning_rate"] for row in table if row["selected"]} == {1.0}


def test_tuning_is_charged_for_every_recipe_tried() -> None:
    table = rows(make(sweep={"bitfit": (1e-3, 2e-3, 3e-3)}, methods=["full", "bitfit"], seeds=2), "first")
    spent = tuning_seconds(table)
    for row in table:
        lost = [o["train_seconds"] for o in table if cell_of(o) == cell_of(row) and not o["selected"]]
        assert len(lost) == (0 if row["method"] == "full" else 4)
        assert spent[cell_of(row)] == pytest.approx(sum(lost)), "beside the trials that are compared"
