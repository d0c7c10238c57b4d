"""A stream that is killed, anywhere, ends with the numbers of one that was not."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from test_study import run_here, start
from tuneworth.spec import TrialRecord
from tuneworth.store import open_store
from tuneworth.study import Study

Make = Callable[..., Study]

STREAMS: dict[str, dict[str, Any]] = {
    "data": {"kind": "data", "chunk": 16, "buffer": 20, "drift": "noise-burst"},
    "tasks": {"kind": "tasks", "mode": ["sequential", "joint"]},
}


def numbers(records: list[TrialRecord]) -> dict[str, Any]:
    """All that a stream measured, but times."""
    found = {}
    for record in records:
        assert record.result is not None, record.error
        result = record.result.model_dump(include={"score", "metrics", "validation_score", "steps", "examples_seen"})
        chunks = [chunk.model_dump(exclude={"train_seconds", "eval_seconds"}) for chunk in record.result.chunks]
        stages = [stage.model_dump(exclude={"train_seconds", "eval_seconds"}) for stage in record.result.stages]
        found[record.trial.key] = (result, chunks, stages)
    return found


@pytest.mark.parametrize("kind", STREAMS)
def test_kills_at_random_moments_change_nothing(
    make_study: Make, two_tasks: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """Five kills -9 of each kind of stream, ten in all; every step is checkpointed, so most of them hit mid-stream."""
    tasks = two_tasks if kind == "tasks" else {}
    budget = "50steps" if kind == "tasks" else "15steps"
    recipe = {"full": {"batch_size": 8}}
    spec = make_study(
        methods=["full"], recipe=recipe, budgets=[budget], seeds=1, name="killed", stream=STREAMS[kind], **tasks
    ).spec
    whole = Study(spec, str(tmp_path / "whole.db"))
    run_here(whole)
    store, rng, killed = tmp_path / "killed.db", random.Random(kind), 0
    checkpoints = tmp_path / "killed.files" / "checkpoints" / "killed"
    for _ in range(5):
        process = start(spec, store, 1, tmp_path)
        deadline = time.monotonic() + 60
        while process.poll() is None and not list(checkpoints.glob("*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 1.0))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed >= 3, "the stream ended before it could be killed often enough to mean something"
    assert start(spec, store, 1, tmp_path).wait() == 0
    assert numbers(open_store(str(store)).records("killed")) == numbers(whole.store.records("killed"))
    assert list(checkpoints.glob("*.safetensors")) == []
