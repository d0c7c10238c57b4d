"""`tuneworth.compare`: from Python as from the shell, on files and on tables."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.main import get_command

import tuneworth as tw
from tuneworth.cli import app
from tuneworth.errors import SpecError
from tuneworth.own_data import OPTIONS, compare
from tuneworth.spec import FileTask, StudySpec

SHELL = {"dry_run", "verbose", "help", "margin", "confidence", "checkpoint_every"}
"""Flags of the shell alone: Python has `Study.prepare`, logging and a Question for them, and says checkpoint_seconds."""
SHORT: dict[str, Any] = {
    "methods": ["head"],
    "budget": "1steps",
    "seeds": 1,
    "tune": 1,
    "workers": 1,
    "watch": lambda _: None,
}


@pytest.fixture
def rows(reviews: Path) -> pd.DataFrame:
    return pd.read_csv(reviews)


def test_every_flag_of_the_command_is_a_keyword() -> None:
    flags = {parameter.name for parameter in get_command(app).commands["compare"].params}  # type: ignore[attr-defined]
    keywords = set(inspect.signature(compare).parameters) | OPTIONS
    assert flags - SHELL <= keywords, "the shell has what Python has not"


def test_every_other_key_of_a_study_file_is_one_too() -> None:
    assert set(FileTask.model_fields) <= OPTIONS | set(inspect.signature(compare).parameters)
    written = {"models": "model", "budgets": "budget"}
    named = {written.get(key, key) for key in StudySpec.model_fields} - {"task", "tasks", "stated", "stream"}
    assert named <= OPTIONS | set(inspect.signature(compare).parameters)


def test_a_file_is_compared_and_the_same_call_goes_on(tiny_model: Path, reviews: Path) -> None:
    study = tw.compare(reviews, "text", "label", model=str(tiny_model), store="mine.db", max_length=16, **SHORT)
    (row,) = study.rows()
    assert (row["state"], row["method"], row["budget"]) == ("done", "head", "1steps")
    assert study.spec.name == reviews.stem
    more = {**SHORT, "methods": ["head", "bitfit"]}
    again = tw.compare(reviews, "text", "label", model=str(tiny_model), store="mine.db", max_length=16, **more)
    assert {row["method"]: row["attempt"] for row in again.rows()} == {"head": 1, "bitfit": 1}
    assert len(again.advise()) == 1


@pytest.mark.parametrize("form", ["pandas", "columns", "rows", "dataset", "categories"])
def test_a_table_is_compared(form: str, tiny_model: Path, rows: pd.DataFrame) -> None:
    from datasets import Dataset

    made = {
        "pandas": lambda: rows, "columns": lambda: rows.to_dict("list"), "rows": lambda: rows.to_dict("records"),
        "dataset": lambda: Dataset.from_pandas(rows), "categories": lambda: rows.astype({"label": "category"}),
    }[form]()  # fmt: skip
    study = tw.compare(
        made, "text", "label", test=rows.head(12), model=str(tiny_model), store="mine.db", name="t", **SHORT
    )
    (row,) = study.rows()
    assert row["state"] == "done"
    assert (row["data"]["train"]["rows"] if isinstance(row["data"]["train"], dict) else row["data"]["train"]) == len(
        rows
    )
    assert tw.Study.open("t", "mine.db").spec.task["t"].train == Path("mine.db.files/tables/t.parquet").absolute()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"metrik": "f1"}, "no option 'metrik'"),
        ({"stream": {}}, "no option 'stream'"),
        ({"train": 3}, "a int is no training data"),
        ({"train": {"text": ["a"], "label": [1, 2]}}, "the columns make no table"),
        ({"label": "lable"}, "lable"),
        ({"budget": "soon"}, "cannot read the budget 'soon'"),
        ({"name": "a b"}, "cannot be named"),
    ],
)
def test_a_mistake_is_said_before_anything_trains(
    asked: dict[str, Any], said: str, reviews: Path, tiny_model: Path
) -> None:
    given = {"train": reviews, "text": "text", "label": "label", "model": str(tiny_model), **SHORT, **asked}
    with pytest.raises(tw.UserError, match=said):
        tw.compare(**given)


def test_a_misspelt_option_is_answered_with_the_right_one(reviews: Path) -> None:
    with pytest.raises(SpecError) as error:
        compare(reviews, "text", "label", metrik="f1")
    assert "metric" in str(error.value.remedy)
