"""Batches of whatever waits: a bounded queue, a bounded wait, one thread that computes."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tuneworth.serve.engine import Example, Task
from tuneworth.train.evaluate import BATCH_TOKENS

Run = Callable[[Sequence[Example]], list[dict[str, Any]]]
Observe = Callable[[Sequence[Example], float], None]
"""Told of each batch and the seconds it took."""


class Overloaded(Exception):
    """The queue is full, or the server is stopping. `retry_after`: seconds until there should be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass
class _Item:
    example: Example
    answer: Future[dict[str, Any]] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


def _by_task(batch: Sequence[_Item]) -> list[list[_Item]]:
    tasks: dict[Task, list[_Item]] = defaultdict(list)
    for item in batch:
        tasks[item.example.task].append(item)
    return list(tasks.values())


class Batcher:
    """Answers come as futures. A batch is what waits, oldest first, up to `max_tokens` with its padding.

    It starts when it is full, or when its oldest example has waited for `max_wait` seconds. One that fails is computed
    again task by task, so that only the examples of the task at fault get the error.
    """

    def __init__(
        self, run: Run, max_wait: float, max_queue: int, observe: Observe | None = None, max_tokens: int = BATCH_TOKENS
    ) -> None:
        self.run, self.observe = run, observe
        self.max_wait, self.max_queue, self.max_tokens = max_wait, max_queue, max_tokens
        self._waiting: deque[_Item] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._seconds_each = 0.0
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """How many examples wait."""
        return len(self._waiting)

    def submit(self, examples: Sequence[Example]) -> list[Future[dict[str, Any]]]:
        """All of them or none: raises Overloaded where they do not fit into the queue, or no more are taken."""
        items = [_Item(example) for example in examples]
        with self._wake:
            if self._closing or len(self._waiting) + len(items) > self.max_queue:
                raise Overloaded(max(1, math.ceil(len(self._waiting) * self._seconds_each)))
            self._waiting.extend(items)
            self._wake.notify()
        return [item.answer for item in items]

    def close(self) -> None:
        """Take no more, answer what was taken, then return."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            wanted = [item for item in batch if item.answer.set_running_or_notify_cancel()]
            if wanted:
                self._answer(wanted)

    def _answer(self, batch: list[_Item]) -> None:
        started = time.perf_counter()
        examples = [item.example for item in batch]
        try:
            answers = self.run(examples)
        except Exception as error:  # out of memory, say: the batch fails, the server goes on
            tasks = _by_task(batch)
            logging.getLogger(__name__).exception("a batch of %d examples of %d tasks failed", len(batch), len(tasks))
            if len(tasks) > 1:  # the fault of one is not the others'
                for items in tasks:
                    self._answer(items)
                return
            for item in batch:
                item.answer.set_exception(error)
            return
        seconds = time.perf_counter() - started
        self._seconds_each = seconds / len(batch)
        if self.observe is not None:
            self.observe(examples, seconds)
        for item, answer in zip(batch, answers, strict=True):
            item.answer.set_result(answer)

    def _next(self) -> list[_Item]:
        """The next batch; empty where there is nothing left to do."""
        with self._wake:
            while not self._waiting:
                if self._closing:
                    return []
                self._wake.wait()
            until = self._waiting[0].since + self.max_wait
            while (count := self._fitting()) == len(self._waiting) and not self._closing:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._wake.wait(left)
            return [self._waiting.popleft() for _ in range(count)]

    def _fitting(self) -> int:
        """How many of the oldest fit into one batch; at least one."""
        longest = 0
        for count, item in enumerate(self._waiting):
            longest = max(longest, len(item.example.ids))
            if count and (count + 1) * longest > self.max_tokens:
                return count
        return len(self._waiting)
