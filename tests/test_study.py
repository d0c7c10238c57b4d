"""The run loop: resuming, kills, two runs at once, what is kept on disk."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import silent
from families import UNNAMED, make_model_dir
from killable import ended, kill_at_random, start
from tuneworth.errors import ModelError
from tuneworth.machine.workers import is_dead, owner_name
from tuneworth.methods import get_method
from tuneworth.spec import TrialRecord
from tuneworth.store import open_store
from tuneworth.study import Study

Make = Callable[..., Study]


def run_here(study: Study, **options: Any) -> None:
    study.run(**{"workers": 1, "device": "cpu", "watch": silent, **options})


def numbers(records: list[TrialRecord]) -> dict[str, Any]:
    return {
        r.trial.key: (r.state, r.result and (r.result.score, r.result.metrics, [p.loss for p in r.result.curve]))
        for r in records
    }


def test_running_again_does_only_what_is_missing(make_study: Make) -> None:
    study = make_study()
    run_here(study)
    before = study.store.records("reviews")
    assert [r.state for r in before] == ["done"] * 4
    assert [r.attempt for r in before] == [1] * 4
    run_here(study)
    assert study.store.records("reviews") == before
    run_here(make_study(seeds=3))
    after = study.store.records("reviews")
    assert len(after) == 6
    assert numbers(after).items() >= numbers(before).items()
    assert {r.attempt for r in after} == {1}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_seed_gives_the_same_numbers_in_another_store(make_study: Make, tmp_path: Path, workers: int) -> None:
    """To the bit, at one number of threads; another number adds in another order."""
    study = make_study(methods=["full", "houlsby", "lora"])
    run_here(study, workers=workers)
    other = Study(study.spec, str(tmp_path / "other.db"))
    run_here(other, workers=workers)
    assert numbers(other.store.records("reviews")) == numbers(study.store.records("reviews"))


def test_methods_at_one_seed_are_paired_and_seeds_differ(make_study: Make) -> None:
    study = make_study(methods=["head", "full"], deltas="all")
    run_here(study)
    frame = study.results()
    assert frame.groupby("seed")["examples_seen"].nunique().max() == 1
    assert (frame["trainable_parameters"] <= frame["total_parameters"]).all()
    assert frame["score"].between(0, 100).all()
    losses = {(r["method"], r["seed"]): r["curve"][0]["loss"] for r in study.rows()}
    assert losses["head", 0] != losses["head", 1]


def test_diverged_trials_are_results_and_are_run_again_when_asked(make_study: Make) -> None:
    study = make_study(methods=["head", "full"], recipe={"full": {"learning_rate": 1e9}}, budgets=["60steps"])
    run_here(study)
    by_method = {r.trial.method: r for r in study.store.records("reviews")}
    assert by_method["head"].state == "done"
    assert by_method["full"].state == "failed"
    assert "diverged" in str(by_method["full"].error)
    run_here(study)
    assert {r.trial.method: r.attempt for r in study.store.records("reviews")} == {"head": 1, "full": 1}
    run_here(study, retry_failed=True)
    assert {r.trial.method: r.attempt for r in study.store.records("reviews")} == {"head": 1, "full": 2}


def test_one_delta_a_cell_is_kept_the_best_by_validation(make_study: Make) -> None:
    study = make_study(methods=["bitfit"], seeds=4)
    run_here(study)
    records = study.store.records("reviews")
    kept = [r for r in records if r.result and r.result.delta_path]
    assert len(kept) == 1
    assert kept[0].result is not None
    best = max(r.result.validation_score for r in records if r.result)
    assert kept[0].result.validation_score == best
    assert [p.name for p in (study.files / "deltas" / "reviews").iterdir()] == [kept[0].trial.key]
    assert list((study.files / "checkpoints").rglob("*.safetensors")) == []


@pytest.mark.parametrize(("setting", "count"), [("all", 4), ("none", 0)])
def test_every_delta_or_none_where_the_study_says_so(make_study: Make, setting: str, count: int) -> None:
    study = make_study(deltas=setting)
    run_here(study)
    folder = study.files / "deltas" / "reviews"
    assert (len(list(folder.iterdir())) if folder.exists() else 0) == count


def test_seconds_are_spent_alone_and_to_the_step(make_study: Make) -> None:
    study = make_study(methods=["head"], budgets=["0.5s", "3steps"], seeds=2)
    run_here(study, workers=2)
    records = study.store.records("reviews")
    assert [r.trial.budget.timed for r in records] == [False, False, True, True]
    for record in records[2:]:
        assert record.result is not None
        assert record.result.train_seconds >= 0.5
        assert record.result.train_seconds < 0.5 + 5 * record.result.train_seconds / record.result.steps + 0.5


def test_a_sweep_runs_every_recipe_and_chooses_on_validation(make_study: Make) -> None:
    study = make_study(methods=["full"], recipe={"full": {"learning_rate": [1e-6, 5e-3]}}, budgets=["40steps"], seeds=2)
    run_here(study)
    rows = study.rows()
    assert len(rows) == 4
    mean = {lr: sum(r["validation_score"] for r in rows if r["recipe"]["learning_rate"] == lr) for lr in (1e-6, 5e-3)}
    chosen = {r["recipe"]["learning_rate"] for r in rows if r["selected"]}
    assert chosen == {max(mean, key=lambda lr: mean[lr])}


def test_a_default_that_another_version_changed_trains_nothing_again(
    make_study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study keeps the learning rates that it began with, in its races too; one that its author names is his."""
    begun = {
        name: make_study(name=name, methods=["full"], seeds=1, tune=tune) for name, tune in (("once", 1), ("raced", 3))
    }
    for study in begun.values():
        study.store.put_study(study.spec, study.prepare().trials)
    before = {name: [trial.key for trial in study.prepare().trials] for name, study in begun.items()}
    full = type(get_method("full"))
    monkeypatch.setattr(full, "recipe", full.recipe.model_copy(update={"learning_rate": 7e-5}))
    assert {name: [trial.key for trial in study.prepare().trials] for name, study in begun.items()} == before
    fresh = make_study(name="fresh", methods=["full"], seeds=1, tune=1).prepare().trials
    assert [trial.recipe.learning_rate for trial in fresh] == [7e-5]
    asked = make_study(name="once", methods=["full"], seeds=1, recipe={"full": {"learning_rate": 9e-5}})
    assert [trial.recipe.learning_rate for trial in asked.prepare().trials] == [9e-5]
    asked.store.put_study(asked.spec, asked.prepare().trials)
    assert [t.recipe.learning_rate for t in make_study(name="once", methods=["full"], seeds=1).prepare().trials] == [
        7e-5
    ]


def test_data_that_changes_under_a_study_is_noticed(make_study: Make, tmp_path: Path, reviews: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_text(reviews.read_text())
    task = {"reviews": {"train": copy, "text": "text", "label": "label"}}
    first = make_study(task=task)
    keys = {t.key for t in first.prepare().trials}
    copy.write_text(reviews.read_text().replace("film 3 ", "movie 3 "))
    from tuneworth.tasks.planned import kept

    kept.cache_clear()
    assert keys.isdisjoint(t.key for t in make_study(task=task).prepare().trials)


@pytest.mark.parametrize(("workers", "kills"), [(1, 7), (2, 3)])
def test_kills_at_random_moments_change_nothing(make_study: Make, tmp_path: Path, workers: int, kills: int) -> None:
    """Ten kills -9 in all, to the run and, by it, to its workers; then the same command until the end."""
    spec = make_study(methods=["head", "bitfit", "full"], budgets=["120steps"], seeds=2, name="killed").spec
    whole = Study(spec, str(tmp_path / "whole.db"))
    run_here(whole, workers=workers)
    store, rng = tmp_path / "killed.db", random.Random(workers)
    checkpoints = tmp_path / "killed.db.files" / "checkpoints" / "killed"
    killed = [kill_at_random(start(spec, store, workers), checkpoints, rng) for _ in range(kills)]
    assert sum(killed) >= kills - 2, "the study ended before it could be killed often enough to mean something"
    assert ended(start(spec, store, workers)) == 0
    assert numbers(open_store(str(store)).records("killed")) == numbers(whole.store.records("killed"))


def test_two_runs_at_once_share_the_work_and_never_a_trial(make_study: Make, tmp_path: Path) -> None:
    spec = make_study(budgets=["100steps"], seeds=5, name="shared").spec
    store = tmp_path / "shared.db"
    first, second = (start(spec, store) for _ in range(2))
    assert (ended(first), ended(second)) == (0, 0)
    records = open_store(str(store)).records("shared")
    assert {r.state for r in records} == {"done"}
    assert {r.attempt for r in records} == {1}


def test_a_dead_owner_is_told_from_a_living_one() -> None:
    assert not is_dead(owner_name())
    gone = subprocess.run([sys.executable, "-c", "from tuneworth.machine.workers import owner_name; print(owner_name())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    assert is_dead(gone)
    assert not is_dead("another-host/1/0.00/x"), "only its lease can tell"
    host, pid, start, random, space = gone.split("/")
    assert is_dead(f"{host}/{pid}/{start}/{random}"), "as versions before named it"
    for other in (space + "0", f"0{space}"):
        assert not is_dead(f"{host}/{pid}/{start}/{random}/{other}"), "a container or a machine with this one's name"


def test_rows_are_plain_json(make_study: Make) -> None:
    study = make_study()
    run_here(study)
    assert json.loads(json.dumps(study.rows(), allow_nan=False)) == study.rows()


def test_a_method_that_the_model_has_no_place_for_is_refused_before_any_training(
    make_study: Make, tmp_path: Path
) -> None:
    study = make_study(models=[str(make_model_dir(UNNAMED, tmp_path / UNNAMED))], methods=["head", "houlsby"])
    with pytest.raises(ModelError, match="houlsby"):
        run_here(study)
    assert not Path(study.store_url).exists()
    biased = make_study(
        models=[str(make_model_dir("llama", tmp_path / "llama"))],
        methods=["head", "bitfit"],
        method={"bitfit": {"add_missing": True}},
    )
    run_here(biased)
    assert {r.state for r in biased.store.records("reviews")} == {"done"}


def test_torch_stays_out_where_nothing_is_trained_and_methods_are_known_to_fit(
    make_study: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study = make_study(seeds=1)
    run_here(study)
    other = study.spec.model_copy(update={"name": "other", "methods": ("head", "bitfit", "full")})
    steps = [
        (study.spec, "run(1, 'cpu', watch=lambda _: None)", False),  # all finished
        (other, "prepare()", True),  # full was never tried on this model
        (other, "prepare()", False),  # now it was
    ]
    for spec, verb, loaded in steps:
        code = f"""
import sys
from tuneworth.spec import StudySpec
from tuneworth.study import Study
Study(StudySpec.loads({spec.dumps()!r}), {study.store_url!r}).{verb}
print("torch" in sys.modules)
"""
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert said.split() == [str(loaded)]
