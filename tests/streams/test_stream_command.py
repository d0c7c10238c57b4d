"""`tuneworth stream` from end to end, with a tiny model: both kinds, and every scenario."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import tuneworth

STUDY = """
name = "flow"
models = ["{model}"]
methods = ["head", "bitfit"]
tasks = ["reviews"{more}]
budgets = ["{budget}"]
seeds = 1
recipe = {{ head = {{ batch_size = 8 }}, bitfit = {{ batch_size = 8 }} }}

[task.reviews]
train = "{train}"
text = "text"
label = "label"

[stream]
"""
DATA = 'kind = "data"\nchunk = 24\nlength = 72\ndrift = ["none", "label-shift", "topic-order", "noise-burst"]\nbuffer = [0, 20]\n'
TASKS = 'kind = "tasks"\nlength = 60\n'


def stream(place: Path, model: Path, train: Path, table: str, budget: str, more: str = "") -> list[dict[str, object]]:
    file = place / "stream.toml"
    file.write_text(STUDY.format(model=model, train=train, budget=budget, more=more) + table)
    flags = ("--store", place / "s.db", "--workers", "1")
    plan = tuneworth("stream", file, "--dry-run", *flags)
    assert (plan.code, plan.err) == (0, ""), plan
    said = tuneworth("stream", file, *flags)
    assert said.code == 0, said.err
    assert "next: tuneworth report flow" in said.out
    assert tuneworth("results", "flow", "--store", place / "s.db").out in said.out
    page = tuneworth("report", "flow", "-o", place / "s.html", "--store", place / "s.db")
    assert page.code == 0
    assert (place / "s.html").stat().st_size > 100_000
    advice = tuneworth("advise", "flow", "--store", place / "s.db")
    assert advice.code == 0
    assert advice.out
    sentences = advice.out.split("\nnext:")[0]
    assert " ".join(sentences.split()) in " ".join(said.out.split())
    refused = tuneworth("advise", "flow", "--store", place / "s.db", "--max-memory", "2GB")
    assert refused.code == 2
    assert "--max-memory 2GB does not apply to a study of streams" in refused.err
    rows: list[dict[str, object]] = json.loads(
        tuneworth("results", "flow", "--format", "json", "--store", place / "s.db").out
    )
    assert {row["state"] for row in rows} == {"done"}
    return rows


@pytest.mark.parametrize("budget", ["2steps", "1epochs", "0.05s"])
def test_a_data_stream(tmp_path: Path, tiny_model: Path, reviews: Path, budget: str) -> None:
    table = DATA if budget == "2steps" else DATA.replace('"none", "label-shift", "topic-order", ', "")
    rows = stream(tmp_path, tiny_model, reviews, table, budget)
    assert len(rows) == (16 if budget == "2steps" else 4)
    for row in rows:
        chunks = row["chunks"]
        assert isinstance(chunks, list)
        assert [chunk["examples"] for chunk in chunks] == [24, 24, 24]
        assert chunks[-1]["cumulative"] == row["score"]
        assert sum(chunk["steps"] for chunk in chunks) == row["steps"]
        if budget == "2steps":
            assert [chunk["steps"] for chunk in chunks] == [2, 2, 2]
    assert len({str(row["task"]) for row in rows}) == len(rows) / 2


def test_a_task_stream(tmp_path: Path, tiny_model: Path, reviews: Path) -> None:
    rows = stream(tmp_path, tiny_model, reviews, TASKS, "3steps", more=', "demo/paraphrase", "demo/similarity"')
    assert [row["task"] for row in rows[::2]] == [
        f"reviews > demo/paraphrase > demo/similarity, {mode}" for mode in ("separate", "sequential", "joint")
    ]
    sizes: dict[object, int] = {}
    for row in rows:
        stages = row["stages"]
        assert isinstance(stages, list)
        joint = str(row["task"]).endswith("joint")
        assert [len(stage["scores"]) for stage in stages] == ([3] if joint else [1, 2, 3])
        assert sum(stage["steps"] for stage in stages) == row["steps"] == 9
        sizes[row["method"], str(row["task"]).rpartition(" ")[2]] = stages[-1]["stored_bytes"]
    assert sizes["bitfit", "separate"] > sizes["bitfit", "sequential"] == sizes["bitfit", "joint"]
