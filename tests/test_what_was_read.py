"""What was read of the data is said alike by every command, and decides where texts are cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands import tuneworth
from conftest import silent
from tuneworth.study import Study


@pytest.fixture
def long_and_rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """40 texts, of which a quarter are fraud, and as many are longer than 128 tokens of the tiny model."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{'x ' * (140 if i % 4 == 0 else 9)}{i},{'fraud' if i % 4 == 1 else 'legit'}" for i in range(40)]
    Path("cases.csv").write_text("text,label\n" + "\n".join([*rows, rows[1], rows[2]]) + "\n")
    return Path("cases.csv")


def test_dry_run_run_results_report_and_predict_say_it(tiny_model: Path, long_and_rare: Path) -> None:
    asked = ("compare", "--train", long_and_rare, "--text", "text", "--label", "label", "--model", tiny_model, "--methods",
             "bitfit", "--metric", "f1", "--budget", "1steps", "--seeds", "1", "--workers", "1")  # fmt: skip
    line = "cases: 34 rows to train on and 8 to test on, classification, 2 classes (smallest 11), F1 is of 'fraud'"
    planned = tuneworth(*asked, "--dry-run")
    assert line in planned.out, planned.err
    assert "none cut at 160" in planned.out, "the shortest length that cuts few, within the model's 160 positions"
    cut = tuneworth(*asked, "--max-length", "128", "--drop-duplicates", "--positive", "legit", "--dry-run").out
    assert "F1 is of 'legit'" in cut
    assert "10 cut at 128" in cut
    assert "10 of 40 texts are longer than 128 tokens and are cut there: --max-length 160" in cut
    assert "left out of train: 2 rows that repeat another, and 0 whose text stands in test" in cut
    for value in ("7", "long", "-3"):
        refused = tuneworth(*asked, "--max-length", value)
        assert (refused.code, f"max_length = {value}" in refused.err.replace("'", "")) == (2, True), refused.err

    ran = tuneworth(*asked)
    assert ran.code == 0, ran.err
    assert line in ran.err + ran.out
    (row,) = json.loads(tuneworth("results", "cases", "--format", "json").out)
    assert {key: row["data"][key] for key in ("train", "test", "cut", "max_length", "positive", "classes")} == {
        "train": 34, "test": 8, "cut": 0, "max_length": 160, "positive": "fraud", "classes": {"fraud": 11, "legit": 31},
    }  # fmt: skip
    assert "f1 of 'fraud'" in tuneworth("results", "cases").out
    assert tuneworth("report", "cases").code == 0
    page = Path("report.html").read_text()
    assert line.replace("'", "&#39;") in page
    assert "f1 of &#39;fraud&#39;" in page

    info = Path(row["delta_path"], "delta.json")
    info.write_text(info.read_text().replace('"max_length": 160', '"max_length": 128'))
    said = tuneworth("predict", row["delta_path"], "--input", long_and_rare, "--output", "out.csv")
    assert "10 of 42 texts are longer than 128 tokens and were cut there" in said.err + said.out


def test_data_that_fits_keeps_the_keys_of_128(make_study: Callable[..., Study]) -> None:
    auto, fixed = make_study(), make_study(max_length=128)
    assert [trial.key for trial in auto.prepare().trials] == [trial.key for trial in fixed.prepare().trials]


def test_a_stream_of_tasks_says_each_and_reads_them_at_one_length(
    make_study: Callable[..., Study], two_tasks: dict[str, Any], tmp_path: Path
) -> None:
    long = tmp_path / "long.csv"
    long.write_text("text,label\n" + "".join(f"{'x ' * 140}{i},{'ab'[i % 2]}\n" for i in range(40)))
    tasks = {"reviews": two_tasks["task"]["reviews"], "long": {"train": long, "text": "text", "label": "label"}}
    study = make_study(
        tasks=list(tasks), task=tasks, methods=["bitfit"], seeds=1, budgets=["1steps"],
        stream={"kind": "tasks", "mode": ["separate"], "length": 20},
    )  # fmt: skip
    prepared = study.prepare()
    assert {trial.max_length for trial in prepared.trials} == {160}
    assert [line.split(":")[0] for line in prepared.said] == ["reviews", "long"]
    study.run(workers=1, watch=silent)
    (row,) = study.rows()
    assert {name: part["max_length"] for name, part in row["data"]["tasks"].items()} == {"reviews": 160, "long": 160}
    assert study.streams().read == tuple(prepared.said)


def test_trials_of_another_file_are_set_aside_and_said(tiny_model: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{'good' if number % 2 else 'bad'} film {number},{'ab'[number % 2]}" for number in range(40)]
    Path("films.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    command = ["compare", "--train", "films.csv", "--text", "text", "--label", "label", "--model", str(tiny_model), "--tune", "1",
               "--methods", "head", "--budget", "1steps", "--seeds", "1", "--workers", "1", "--store", "s.db"]  # fmt: skip
    assert tuneworth(*command).code == 0
    Path("films.csv").write_text("\n".join(["text,label", *rows, "a new one,a", "another,b"]) + "\n")
    kept = "the data of 'films' changed since: 1 earlier trial"
    assert "films' changed since: 1 of its earlier trials will be kept" in tuneworth(*command, "--dry-run").out
    again = tuneworth(*command)
    assert again.code == 0
    assert f"{kept} is kept as films@1, not shown; to see them: tuneworth results films@1 --store s.db" in again.err
    assert kept in tuneworth("status", "--store", "s.db").out
    assert len(json.loads(tuneworth("results", "films@1", "--format", "json", "--store", "s.db").out)) == 1
