"""Packaged study files: they parse, plan and promise what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import tuneworth
from tuneworth import plan
from tuneworth.presets import preset_names, preset_path
from tuneworth.report import to_toml
from tuneworth.spec import StudySpec

PAPER = StudySpec.from_toml(preset_path("paper"))


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_plans(name: str) -> None:
    spec = StudySpec.from_toml(preset_path(name))
    assert spec.name == name
    assert plan.expand(spec, dict.fromkeys(spec.models, "m"), {task: task for task in spec.tasks})


def test_the_paper_is_whole_and_fair() -> None:
    assert PAPER.methods == ("head", "full", "bitfit", "houlsby", "pfeiffer")
    assert PAPER.tasks == ("glue/mrpc", "glue/cola", "glue/stsb")
    assert PAPER.fractions == tuple(n / 10 for n in range(1, 11))
    assert [budget.unit for budget in PAPER.budgets] == ["epochs", "seconds", "seconds"]
    assert len(PAPER.claim) == 5
    trials = plan.expand(PAPER, {"minilm": "m"}, {task: task for task in PAPER.tasks})
    recipes = {method: {t.recipe for t in trials if t.method == method} for method in PAPER.methods}
    assert {len(tried) for tried in recipes.values()} == {3}
    text = preset_path("paper").read_text()
    hours = sum(trial.budget.amount for trial in trials if trial.budget.timed) / 3600
    assert f"{len(trials):,} trials, {hours:.0f} hours of them" in text


def test_claims_do_not_enter_trial_keys() -> None:
    without = PAPER.model_copy(update={"claim": {}})
    prints = {"minilm": "m"}, {task: task for task in PAPER.tasks}
    assert [trial.key for trial in plan.expand(PAPER, *prints)] == [
        trial.key for trial in plan.expand(without, *prints)
    ]


def test_print_copy_and_change(tmp_path: Path) -> None:
    listed, printed = tuneworth("preset"), tuneworth("preset", "paper")
    assert listed.code == printed.code == 0
    assert listed.out.splitlines()[0] == "paper"
    (tmp_path / "my.toml").write_text(printed.out)
    assert StudySpec.from_toml(tmp_path / "my.toml") == PAPER


def test_the_json_that_a_store_keeps_reads_back() -> None:
    assert StudySpec.loads(PAPER.dumps()) == PAPER
    assert json.loads(PAPER.dumps())["claim"]["bitfit-stable-at-30"]["fractions"] == [0.3]


def test_the_report_s_study_file_states_the_claims_too(tmp_path: Path) -> None:
    (tmp_path / "again.toml").write_text(to_toml(PAPER), encoding="utf-8")
    assert StudySpec.from_toml(tmp_path / "again.toml") == PAPER
