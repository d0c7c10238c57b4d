from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneworth.serve.batcher import Batcher, Overloaded
from tuneworth.serve.engine import Example


def example(length: int, task: str = "") -> Example:
    """The batcher looks at lengths, and at whether tasks are the same; no task is needed."""
    return Example(task, np.zeros(length, dtype=np.int32), None)  # type: ignore[arg-type]


class Recorder:
    """Answers with the example's length; can be held back, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()

    def __call__(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        self.began.set()
        assert self.go.wait(30)
        lengths = [len(e.ids) for e in examples]
        self.batches.append(lengths)
        if 13 in lengths:
            raise RuntimeError("out of luck")
        return [{"length": length} for length in lengths]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.go.set()


def busy(batcher: Batcher, recorder: Recorder) -> Future[dict[str, Any]]:
    """Hold the worker in a batch of one, so that what comes next waits."""
    recorder.go.clear()
    (first,) = batcher.submit([example(1)])
    assert recorder.began.wait(30)
    return first


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 100).filter(lambda n: n != 13), min_size=1, max_size=40))
def test_every_answer_comes_to_its_example_in_batches_that_fit(lengths: list[int]) -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, max_wait=0.0, max_queue=1000, max_tokens=200)
    busy(batcher, recorder)
    answers = batcher.submit([example(n) for n in lengths])
    recorder.go.set()
    assert [answer.result(30)["length"] for answer in answers] == lengths
    batcher.close()
    assert [n for batch in recorder.batches[1:] for n in batch] == lengths, "the oldest first"
    for batch, after in zip(recorder.batches[1:], [*recorder.batches[2:], [10**6]], strict=True):
        assert len(batch) * max(batch) <= 200
        assert (len(batch) + 1) * max(*batch, after[0]) > 200, "no batch is smaller than it need be"


def test_over_the_bound_all_or_nothing_is_refused(recorder: Recorder) -> None:
    batcher = Batcher(recorder, max_wait=0.0, max_queue=3)
    busy(batcher, recorder)
    kept = batcher.submit([example(2), example(2)])
    with pytest.raises(Overloaded) as refused:
        batcher.submit([example(3), example(3)])
    assert refused.value.retry_after >= 1
    assert len(batcher) == 2
    recorder.go.set()
    assert all(answer.result(30) for answer in kept)
    assert not any(3 in batch for batch in recorder.batches)
    batcher.close()


def test_a_text_waits_for_others_but_not_for_long(recorder: Recorder) -> None:
    batcher = Batcher(recorder, max_wait=0.3, max_queue=100)
    started = time.monotonic()
    first = batcher.submit([example(5)])
    second = batcher.submit([example(6)])
    assert [answer.result(30)["length"] for answer in first + second] == [5, 6]
    assert recorder.batches == [[5, 6]]
    assert 0.3 <= time.monotonic() - started < 10
    batcher.close()


def test_a_full_batch_does_not_wait(recorder: Recorder) -> None:
    batcher = Batcher(recorder, max_wait=1000.0, max_queue=100, max_tokens=10)
    full = batcher.submit([example(5), example(5), example(5)])
    assert full[0].result(30)
    assert full[1].result(30)
    assert not full[2].done()
    batcher.close()
    assert full[2].result(0), "closing answers what waits, at once"


def test_closing_answers_what_was_taken_and_takes_no_more(recorder: Recorder) -> None:
    batcher = Batcher(recorder, max_wait=0.0, max_queue=100)
    first = busy(batcher, recorder)
    rest = batcher.submit([example(7)])
    closing = threading.Thread(target=batcher.close)
    closing.start()
    recorder.go.set()
    closing.join(30)
    assert first.result(0)
    assert rest[0].result(0)
    with pytest.raises(Overloaded):
        batcher.submit([example(1)])


def test_a_batch_that_fails_fails_alone(recorder: Recorder) -> None:
    batcher = Batcher(recorder, max_wait=0.0, max_queue=100)
    (broken,) = batcher.submit([example(13)])
    with pytest.raises(RuntimeError, match="out of luck"):
        broken.result(30)
    assert batcher.submit([example(4)])[0].result(30)["length"] == 4
    batcher.close()


def test_a_batch_that_fails_is_computed_again_by_task(recorder: Recorder) -> None:
    batcher = Batcher(recorder, max_wait=0.0, max_queue=100)
    busy(batcher, recorder)
    tasks = {4: "a", 13: "b", 5: "a", 6: "b", 7: "c"}
    answers = batcher.submit([example(n, task) for n, task in tasks.items()])
    recorder.go.set()
    for answer, n in zip(answers, tasks, strict=True):
        if tasks[n] == "b":
            with pytest.raises(RuntimeError, match="out of luck"):
                answer.result(30)
        else:
            assert answer.result(30)["length"] == n
    batcher.close()
    assert recorder.batches[1:] == [[4, 13, 5, 6, 7], [4, 5], [13, 6], [7]]


def test_who_gave_up_is_not_computed(recorder: Recorder) -> None:
    batcher = Batcher(recorder, max_wait=0.0, max_queue=100)
    busy(batcher, recorder)
    gone, here = batcher.submit([example(8), example(9)])
    assert gone.cancel()
    recorder.go.set()
    assert here.result(30)["length"] == 9
    batcher.close()
    assert recorder.batches == [[1], [9]]
