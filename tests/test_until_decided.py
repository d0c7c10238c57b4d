"""Runs until decided, with real trials: early stops, the last look, kills, time limits, and what the commands say."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import tuneworth
from killable import ended, start
from test_study import numbers, run_here
from tuneworth.errors import SpecError
from tuneworth.results.answers import by_cell
from tuneworth.results.rows import cell_of
from tuneworth.spec import StudySpec
from tuneworth.store import open_store
from tuneworth.study import Study
from tuneworth.until_decided import Question

Make = Callable[..., Study]

QUESTION = Question(margin=2.0)
CLEAR: dict[str, Any] = {
    "methods": ["head", "full"], "budgets": ["40steps"], "seeds": 3, "evaluations": 1,
    "recipe": {"full": {"learning_rate": 5e-3}, "head": {"learning_rate": 5e-3}}, "deltas": "none",
}  # fmt: skip
"""The tiny model's full fine-tuning learns the reviews; its head alone does not."""


def wait_until_done(store: Path, count: int, process: BaseProcess) -> None:
    for _ in range(3000):
        if store.exists() and process.is_alive():
            opened = open_store(str(store))
            if opened.study_names() and opened.counts("reviews").done >= count:
                return
        assert process.is_alive(), "it ended before it could be killed"
        time.sleep(0.05)
    raise AssertionError("nothing happened for minutes")


@pytest.fixture(scope="module")
def clear(tiny_model: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that was run until decided, without a break."""
    task = {"reviews": {"train": reviews, "text": "text", "label": "label"}}
    plain = {"name": "reviews", "models": [str(tiny_model)], "tasks": ["reviews"], "precision": "fp32", "task": task}
    study = Study(StudySpec.parse({**plain, **CLEAR}), str(tmp_path_factory.mktemp("whole") / "whole.db"))
    run_here(study, until_decided=QUESTION)
    return study


def test_a_clearly_beaten_method_ends_the_study_early(clear: Study) -> None:
    [decision] = clear.decisions(QUESTION).values()
    assert (decision.inside, decision.outside, decision.open) == (("full",), ("head",), ())
    records = clear.store.records("reviews")
    assert 6 <= len(records) < 40, "head collapses often, which takes seeds; 20 of each is where it would end anyway"
    assert {record.state for record in records} == {"done"}
    pairs = [(record.trial.seed, record.trial.method) for record in records]
    assert pairs == [(seed, method) for seed in range(len(pairs) // 2) for method in ("head", "full")], "seed by seed"


def test_methods_that_stay_close_get_seeds_up_to_the_last_look(make_study: Make) -> None:
    rates = {"head": {"learning_rate": 5e-3}, "bitfit": {"learning_rate": 4e-3}}
    study = make_study(budgets=["4steps"], seeds=14, evaluations=1, deltas="none", recipe=rates)
    run_here(study, until_decided=Question(margin=1e-3))
    counts = {row["method"]: 0 for row in study.rows()}
    for row in study.rows():
        counts[row["method"]] += 1
    [decision] = study.decisions(Question(margin=1e-3)).values()
    assert decision.open, "the test needs methods that differ by more than nothing, and unclearly"
    assert (set(counts.values()), decision.wanted) == ({20}, {})


def test_answers_are_those_of_every_finished_trial(clear: Study) -> None:
    answers, rows = clear.answers(), clear.rows()
    assert set(answers) == {cell_of(row) for row in rows}
    for row in rows:
        told = answers[cell_of(row)]
        assert told.metric == row["metric"] == "accuracy"
        right = np.mean(told.predictions[row["seed"]] == told.targets)
        assert 100 * right == pytest.approx(row["score"])
        assert len(told.targets) == 24
    kept = clear.store.predictions("reviews")
    lost = next(row for row in rows if row["method"] == "head")
    older = {key: one for key, one in kept.items() if key != lost["key"]}
    assert set(by_cell(rows, older)) == set(answers) - {cell_of(lost)}, "a cell with a hole"


def test_kill_9_in_the_middle_and_resume_give_the_same_trials(clear: Study, tmp_path: Path) -> None:
    whole = clear.store.records("reviews")
    store = tmp_path / "killed.db"
    for done in (2, len(whole) - 2):  # within the first look, and within the last one
        process = start(clear.spec, store, until_decided=QUESTION)
        wait_until_done(store, done, process)
        process.kill()
        process.join()
    assert ended(start(clear.spec, store, until_decided=QUESTION)) == 0
    resumed = open_store(str(store)).records("reviews")
    assert [record.trial.key for record in resumed] == [record.trial.key for record in whole]
    assert numbers(resumed) == numbers(whole)


def test_added_seeds_stay_in_the_plan_until_the_study_is_another(clear: Study) -> None:
    keys = [record.trial.key for record in clear.store.records("reviews")]
    for options in ({}, {"until_decided": QUESTION}, {"time_limit": "1h"}):
        run_here(clear, **options)
        records = clear.store.records("reviews")
        assert [record.trial.key for record in records] == keys, "a plain run took seeds away, or added some"
        assert {record.attempt for record in records} == {1}
    fewer = Study(clear.spec.model_copy(update={"methods": ("full",), "recipe": clear.spec.recipe}), clear.store_url)
    assert {trial.key for trial in fewer.prepare().trials} < set(keys)
    assert len(fewer.prepare().trials) == len(keys) // 2, (
        "the seeds that were added to a method that is still asked for"
    )


def test_time_limits_in_a_row_give_the_same_trials(clear: Study, tmp_path: Path) -> None:
    study = Study(clear.spec, str(tmp_path / "limited.db"))
    ended: list[int] = []
    for _ in range(200):
        run_here(study, until_decided=QUESTION, time_limit=2)
        ended.append(study.store.counts("reviews").done)
        if ended[-1] == len(clear.store.records("reviews")):
            break
    run_here(study, until_decided=QUESTION)
    assert ended == sorted(ended)
    assert numbers(study.store.records("reviews")) == numbers(clear.store.records("reviews"))


def test_when_the_time_is_up_a_trial_is_given_back_with_its_checkpoint(
    make_study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneworth.run.LAST_SECONDS", 0.0)
    study = make_study(methods=["full"], budgets=["100000steps"], seeds=2, evaluations=1)
    study.prepare()
    started = time.monotonic()
    while not list((study.files / "checkpoints").rglob("*.safetensors")):
        run_here(study, time_limit=3.0, checkpoint_seconds=0.0)
        assert time.monotonic() - started < 120, "no trial began in time"
    first, second = study.store.records("reviews")
    assert (first.state, second.state, second.attempt) == ("pending", "pending", 0)
    assert first.attempt >= 1
    assert study.store.owners("reviews") == []


def test_nothing_starts_after_the_time_is_up(make_study: Make) -> None:
    study = make_study()
    run_here(study, time_limit=1e-6, workers=2, until_decided=True)
    assert {(record.state, record.attempt) for record in study.store.records("reviews")} == {("pending", 0)}


def test_one_method_is_refused_before_any_work(make_study: Make) -> None:
    study = make_study(methods=["full"])
    with pytest.raises(SpecError, match="nothing to decide"):
        run_here(study, until_decided=True)
    assert not Path(study.store_url).exists()


def comparison(model: Path, train: Path, store: Path, *more: str) -> list[str]:
    return [
        "compare", "--train", str(train), "--text", "text", "--label", "label", "--model", str(model), "--methods",
        "head,bitfit", "--budget", "1steps", "--tune", "1", "--workers", "1", "--store", str(store), *more,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "problem", "remedy"),
    [
        (["--until-decided", "--margin", "0"], "margin 0 is not more than nothing", "points of score"),
        (["--until-decided", "--margin", "nan"], "margin nan", "points of score"),
        (["--until-decided", "--confidence", "95"], "confidence 95 is outside (0, 1)", "0.95 means 95%"),
        (["--until-decided", "--methods", "full"], "nothing to decide", "two methods"),
        (["--until-decided", "--time-limit", "soon"], "'soon' is no time limit", "10m"),
        (["--time-limit", "3epochs"], "'3epochs' is no time limit", "10m"),
        (["--time-limit", "0s"], "'0s' is no time limit", "10m"),
        (["--margin", "1"], "--margin is for a run that decides", "--until-decided"),
        (["--confidence", "0.9"], "--confidence is for a run that decides", "--until-decided"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_bad_flags(
    tiny_model: Path, reviews: Path, tmp_path: Path, flags: list[str], problem: str, remedy: str, dry: list[str]
) -> None:
    said = tuneworth(*comparison(tiny_model, reviews, tmp_path / "s.db", *flags, *dry))
    assert said.code == 2
    assert problem in said.err
    assert remedy in said.err
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_says(
    tiny_model: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    command = comparison(tiny_model, reviews, tmp_path / "s.db", "--until-decided", "--margin", "30")
    monkeypatch.setattr("sys.argv", ["tuneworth", *command])
    dry = tuneworth(*command, "--dry-run")
    assert "6 trials in 2 cells, 0 there already" in dry.out
    assert "seeds are added, up to 20, where it is open which methods are within 30 of the best" in dry.out
    assert "take 3 seeds of each to be shown so" in " ".join(dry.out.split())
    short = tuneworth(*command, "--time-limit", "0.001s")
    assert short.code == 0
    assert "open; the next look is at 3 seeds" not in short.out  # no trial has a result, so that nothing can be said
    assert "time is up" in short.out
    assert "--until-decided --margin 30" in short.out
    said = tuneworth(*command)
    assert said.code == 0
    assert "reviews, 100% of the training data, 1 step: decided" in said.out
    assert "within 30 of the best: head (" in said.out
    assert "time is up" not in said.out
    assert f"next: tuneworth advise reviews --margin 30 --store {tmp_path / 's.db'}" in said.out
