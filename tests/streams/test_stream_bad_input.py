"""What cannot be a stream is refused before any work: problem, value, remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands import tuneworth
from tuneworth.errors import SpecError
from tuneworth.study import Study

Make = Callable[..., Study]
DATA: dict[str, Any] = {"kind": "data", "chunk": 32}
TASKS: dict[str, Any] = {"kind": "tasks"}


@pytest.mark.parametrize(
    ("stream", "study", "said"),
    [
        ({"chunk": 32}, {}, "stream.kind is missing\nkind = 'data'"),
        ({"kind": "dat"}, {}, "stream.kind is 'dat'"),
        ({"kind": "data"}, {}, "lacks 'stream.chunk'"),
        ({**DATA, "chnk": 3}, {}, "unknown key 'stream.chnk'\ndid you mean 'chunk'"),
        ({**TASKS, "chunk": 32}, {}, "unknown key 'stream.chunk'\nknown: head, kind, length, mode"),
        ({**TASKS, "moed": "joint"}, {}, "did you mean 'mode'"),
        ({**DATA, "drift": "label-shft"}, {}, "label-shft.*'noise-burst'"),
        ({**DATA, "drift": ["none", "none"]}, {}, "stream.drift names none twice"),
        ({**DATA, "drift": []}, {}, "stream.drift is empty"),
        ({**DATA, "buffer": -1}, {}, "stream.buffer.0 = -1"),
        ({**DATA, "chunk": 0}, {}, "stream.chunk = 0"),
        ({**DATA, "order": "file", "drift": "topic-order"}, {}, "'topic-order' is an order of its own"),
        (DATA, {"fractions": [0.5]}, "a stream has no fractions\n.*length"),
        (DATA, {"recipe": {"head": {"learning_rate": [1e-3, 1e-2]}}}, r"\[recipe.head\] lists 2 recipes"),
        (DATA, {"recipe": {"head": {"schedule": "linear"}}}, r"\[recipe.head\] schedule = 'linear'"),
        (DATA, {"recipe": {"head": {"batch_size": 33}}}, "stream.chunk = 32 is smaller than a batch of 'head': 33"),
        ({**DATA, "length": 97}, {}, "stream.length = 97, but 'reviews' has 96 training examples\nat most 96"),
        ({**DATA, "chunk": 64, "length": 50}, {}, "stream.chunk = 64 is more than the 50 examples of 'reviews'"),
        (TASKS, {}, "a stream of tasks with one task, 'reviews'"),
    ],
)
def test_refused(make_study: Make, stream: dict[str, Any], study: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        make_study(stream=stream, **study).prepare()
    assert caught.value.remedy


def test_one_head_for_tasks_of_unlike_labels(make_study: Make, two_tasks: dict[str, Any]) -> None:
    stream = {**TASKS, "head": "shared"}
    with pytest.raises(
        SpecError, match=r"'reviews' has the labels bad, good and 'lengths' has regression\nhead = 'own'"
    ):
        make_study(stream=stream, **two_tasks).prepare()


def test_too_few_examples_of_a_task(make_study: Make, two_tasks: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="too small"):
        make_study(stream={**TASKS, "length": 2}, **two_tasks).prepare()


def test_a_study_without_a_stream_is_not_streamed(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('name = "s"\ntasks = ["demo/paraphrase"]\n')
    said = tuneworth("stream", file)
    assert said.code == 2
    assert "has no [stream] table" in said.err
    assert "tuneworth run" in said.err
