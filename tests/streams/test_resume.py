"""A stream that is killed, anywhere, ends with the numbers of one that was not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from killable import ended, kill_at_random, start
from test_study import run_here
from tuneworth.spec import Stage, TrialRecord
from tuneworth.store import open_store
from tuneworth.streams.past import Past, Spent
from tuneworth.study import Study

Make = Callable[..., Study]

STREAMS: dict[str, dict[str, Any]] = {
    "data": {"kind": "data", "chunk": 16, "buffer": 20, "drift": "noise-burst"},
    "tasks": {"kind": "tasks", "mode": ["separate", "sequential", "joint"]},
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


@pytest.mark.parametrize("carried", [True, False])
def test_the_past_is_read_back_as_it_was(tmp_path: Path, carried: bool) -> None:
    stage = Stage(learned=("a",), scores=(), train_seconds=1.0, eval_seconds=0.5, steps=3, stored_bytes=8)
    past = Past([stage], Spent(steps=3, notes=["halved"]))
    if carried:
        past.body, past.heads = {"w": torch.ones(2, 3)}, [{"h": torch.zeros(1)}, {"h": torch.ones(4)}]
    past.save(tmp_path / "deep" / "k.safetensors")
    back = Past.load(tmp_path / "deep" / "k.safetensors")
    assert (back.stages, back.spent, len(back.heads)) == (past.stages, past.spent, len(past.heads))
    for before, after in zip([past.body, *past.heads], [back.body, *back.heads], strict=True):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_past_that_was_cut_short_is_none(tmp_path: Path) -> None:
    (tmp_path / "k.safetensors").write_bytes(b"\x10")
    assert Past.load(tmp_path / "k.safetensors") == Past.load(tmp_path / "absent.safetensors") == Past()


@pytest.mark.parametrize("kind", STREAMS)
def test_kills_at_random_moments_change_nothing(
    make_study: Make, two_tasks: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """Five kills -9 of each kind of stream, ten in all; every step is checkpointed, so most of them hit mid-stream."""
    tasks = two_tasks if kind == "tasks" else {}
    budget = "30steps" if kind == "tasks" else "15steps"
    recipe = {"full": {"batch_size": 8}}
    spec = make_study(
        methods=["full"], recipe=recipe, budgets=[budget], seeds=1, name="killed", stream=STREAMS[kind], **tasks
    ).spec
    whole = Study(spec, str(tmp_path / "whole.db"))
    run_here(whole)
    store, rng = tmp_path / "killed.db", random.Random(kind)
    checkpoints = tmp_path / "killed.db.files" / "checkpoints" / "killed"
    killed = [kill_at_random(start(spec, store, checkpoint_seconds=0.0), checkpoints, rng) for _ in range(5)]
    assert sum(killed) >= 3, "the stream ended before it could be killed often enough to mean something"
    assert ended(start(spec, store)) == 0
    assert numbers(open_store(str(store)).records("killed")) == numbers(whole.store.records("killed"))
    assert list(checkpoints.glob("*.safetensors")) == []
