"""What a time limit is enough for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import tuneworth
from tuneworth.machine import pace
from tuneworth.machine.pace import Pace
from tuneworth.machine.throughput import Rate
from tuneworth.store import open_store
from tuneworth.study import Study
from tuneworth.tasks import Examples
from tuneworth.tasks.planned import load_task

Make = Callable[..., Study]
seconds = st.floats(0.1, 1e5)


@given(seconds, seconds, seconds, seconds)
def test_what_is_planned_fits_and_more_time_never_means_less(
    epoch: float, evaluation: float, limit: float, more: float
) -> None:
    found = Pace(epoch, evaluation, 1)
    epochs = found.epochs(limit, most=3.0)
    assert pace.FEWEST <= epochs <= 3.0
    assert epochs == pace.FEWEST or found.seconds(epochs) <= limit
    assert epochs == 3.0 or found.seconds(epochs + 0.11) > pace.FIRM * limit, "it could have been more"
    assert found.epochs(limit + more, most=3.0) >= epochs


def test_the_pace_is_that_of_real_steps(make_study: Make) -> None:
    study = make_study(methods=["head", "full"])
    _, data = load_task("reviews", study.spec.task["reviews"], None)
    one = pace.measure(study.prepare(), data, "1")
    more = pace.measure(make_study(methods=["head", "full"], seeds=20).prepare(), data, "1")
    assert one.workers == 1
    assert 0 < one.epoch_seconds < 60
    assert more.epoch_seconds / one.epoch_seconds == pytest.approx(10, rel=0.9), "ten times as many seeds"


def test_races_and_kept_features_are_part_of_the_pace(make_study: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """One example a second: 120 of them, of which a fifth is the test split and a tenth of the rest for validation."""
    monkeypatch.setattr(pace, "race", lambda trials, *_: [Rate(1.0, 1.0)] * len(trials))

    def found(method: str, tune: int, budget: str) -> Pace:
        study = make_study(methods=[method], seeds=1, tune=tune, budgets=[budget], evaluations=1)
        return pace.measure(study.prepare(), load_task("reviews", study.spec.task["reviews"], None)[1], "1")

    assert found("full", 1, "90epochs").epoch_seconds == pytest.approx(0.9 * 96)
    assert found("full", 3, "900epochs").epoch_seconds == pytest.approx(0.9 * 96 * 4 / 3, rel=0.01)
    assert found("full", 3, "6epochs").epoch_seconds == pytest.approx(0.9 * 96 * 5, rel=0.1), "four rates, whole"
    head = found("head", 1, "90epochs")
    assert head.epoch_seconds == pytest.approx(0.02 * 0.9 * 96)
    assert head.evaluation_seconds == 120


@given(st.integers(1, 512), st.floats(0.01, 1))
def test_a_smaller_batch_keeps_about_the_number_of_steps(usual: int, share: float) -> None:
    batch = pace.batch_size(usual, share)
    assert min(usual, pace.SMALLEST) <= batch <= usual
    assert batch in (usual, pace.SMALLEST) or 1 <= share * usual / batch < 2
    assert pace.batch_size(usual, 1.0) in (usual, 2 ** (usual.bit_length() - 1), pace.SMALLEST)


def test_lengths_are_those_of_the_model_s_tokenizer(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    texts, pairs = ["a good film " * 3, "bad"], ["indeed", "a film"]
    examples = Examples(texts, pairs, np.zeros(2))
    encoded = AutoTokenizer.from_pretrained(tiny_model)(texts, pairs)["input_ids"]
    assert pace.mean_length(tiny_model, examples, 512) == round(np.mean([len(ids) for ids in encoded]))
    assert pace.mean_length(tiny_model, examples, 4) == 4
    assert pace.mean_length(tmp_path, examples, 512) == pace.TOKENS, "no tokenizer.json"


def test_without_a_budget_the_time_limit_decides_once(tiny_model: Path, reviews: Path, tmp_path: Path) -> None:
    """Half an epoch is the least; the budget stays when the study goes on, with another limit or with none."""
    store = tmp_path / "s.db"
    command = ["compare", "--train", reviews, "--text", "text", "--label", "label", "--model", tiny_model, "--methods",
               "head,full", "--seeds", "1", "--store", store]  # fmt: skip
    short = tuneworth(*command, "--tune", "1", "--time-limit", "1s")
    assert short.code == 0
    assert "each gets 0.5epochs, in batches of 8, which keeps the number of steps (a budget of your own" in short.err
    for limit in (["--time-limit", "10m"], []):
        again = tuneworth(*command, *limit)
        assert again.code == 0
        assert "each gets" not in again.out
    trials = [record.trial for record in open_store(str(store)).records("reviews")]
    assert {str(trial.budget) for trial in trials} == {"0.5epochs"}
    assert {trial.recipe.batch_size for trial in trials} == {8}
    assert len(trials) == 2


def test_a_limit_that_is_long_enough_leaves_the_default(tiny_model: Path, reviews: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    said = tuneworth("compare", "--train", reviews, "--text", "text", "--label", "label", "--model", tiny_model,
                     "--methods", "head,bitfit", "--seeds", "1", "--tune", "1", "--store", store,
                     "--time-limit", "10m")  # fmt: skip
    assert said.code == 0
    assert "epochs (--budget" not in said.out
    assert {str(record.trial.budget) for record in open_store(str(store)).records("reviews")} == {"3epochs"}
