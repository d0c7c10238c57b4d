"""What a stream shares with an ordinary trial, to the bit: one chunk, and one task tuned separately."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from conftest import silent
from tuneworth.spec import TrialResult
from tuneworth.study import Study
from tuneworth.tasks.splits import Split, order

Make = Callable[..., Study]


def results(study: Study) -> dict[tuple[str, str, int], TrialResult]:
    study.run(workers=1, device="cpu", watch=silent)
    found = {}
    for record in study.store.records(study.spec.name):
        assert record.result is not None, record.error
        found[record.trial.method, record.trial.task, record.trial.seed] = record.result
    return found


@pytest.mark.parametrize("budget", ["5steps", "2epochs"])
def test_one_chunk_is_trained_on_like_an_ordinary_trial(make_study: Make, budget: str) -> None:
    """Where both see the same examples; told apart by the losses of their training, which any difference would change."""

    def the_stream(labels: Any, kind: Any, fraction: float, seed: int) -> Split:  # noqa: ARG001
        whole = order(labels, kind, seed)[:64]
        return Split(whole, whole[:8])

    common: dict[str, Any] = {"methods": ["full", "lora"], "seeds": 1, "budgets": [budget], "evaluations": 1}
    stream = {"kind": "data", "chunk": 64, "length": 64}
    streamed = results(make_study(name="stream", stream=stream, **common))
    constant = {name: {"schedule": "constant"} for name in common["methods"]}
    with patch("tuneworth.trial.take", the_stream), patch("tuneworth.prepare.take"):
        ordinary = results(make_study(recipe=constant, **common))
    for cell, result in ordinary.items():
        assert [p.loss for p in streamed[cell].curve] == [p.loss for p in result.curve]
        assert streamed[cell].steps == result.steps
        assert len(streamed[cell].chunks) == 1


def test_a_task_tuned_separately_is_an_ordinary_trial(
    make_study: Make, two_tasks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where batches go through the model in parts."""
    monkeypatch.setattr("tuneworth.train.fast.AT_ONCE", 2**11)
    common: dict[str, Any] = {"methods": ["bitfit"], "seeds": 1, "evaluations": 1, **two_tasks}
    [streamed] = results(make_study(name="stream", stream={"kind": "tasks", "mode": "separate"}, **common)).values()
    ordinary = results(make_study(**common))
    last = {score.task: score.score for score in streamed.stages[-1].scores}
    assert last == {task: result.score for (_, task, _), result in ordinary.items()}
    assert streamed.validation_score == np.mean([result.validation_score for result in ordinary.values()])
    assert streamed.steps == sum(result.steps for result in ordinary.values())


def test_a_frozen_body_forgets_nothing(make_study: Make, two_tasks: dict[str, Any]) -> None:
    """With heads of their own, tuning only heads is the same one after another as apart."""
    by_mode = results(make_study(methods=["head"], seeds=1, stream={"kind": "tasks", "mode": ["separate", "sequential"]},
                                 **two_tasks))  # fmt: skip
    separate, sequential = by_mode.values()
    assert [s.scores for s in separate.stages] == [s.scores for s in sequential.stages]
    assert sequential.metrics["forgetting"] == sequential.metrics["backward_transfer"] == 0


@pytest.mark.parametrize("drift", ["none", "label-shift"])
def test_every_method_meets_the_first_chunk_untrained(make_study: Make, drift: str) -> None:
    stream = {"kind": "data", "chunk": 32, "drift": drift}
    found = results(make_study(methods=["head", "full", "houlsby"], seeds=1, budgets=["2steps"], stream=stream))
    assert len({result.chunks[0].score for result in found.values()}) == 1


def test_the_table_of_chunks_says_what_was_predicted(make_study: Make) -> None:
    """Majority by hand: the first chunk's own, then that of the chunks before."""
    stream = {"kind": "data", "chunk": 32, "drift": "label-shift"}
    study = make_study(methods=["head"], seeds=1, budgets=["2steps"], stream=stream)
    [result] = results(study).values()
    from tuneworth.streams.arrivals import arrange
    from tuneworth.tasks.planned import load_task

    [record] = study.store.records(study.spec.name)
    task, data = load_task("reviews", study.spec.task["reviews"], None)
    assert record.trial.stream is not None
    labels = data.train.labels[arrange(data.train, task.kind, record.trial.stream, 0).which]
    answers = np.concatenate([[np.bincount(labels[: max(32, k)]).argmax()] * 32 for k in (0, 32, 64)])
    for number, chunk in enumerate(result.chunks):
        end = 32 * (number + 1)
        assert chunk.baseline == pytest.approx(100 * np.mean(labels[:end] == answers[:end]))
    assert result.score == result.chunks[-1].cumulative == result.metrics["accuracy"]
    assert result.score == pytest.approx(np.mean([chunk.score for chunk in result.chunks]))
    assert [point.score for point in result.curve] == [chunk.cumulative for chunk in result.chunks]
