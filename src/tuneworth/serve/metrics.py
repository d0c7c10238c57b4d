"""What a server counts, in Prometheus' form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tuneworth.serve.engine import Example

_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """A registry of its own, so that two servers in one process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.responses = Counter("tuneworth_responses", "HTTP responses by status.", ["status"], registry=own)
        self.examples = Counter("tuneworth_examples", "Examples answered, by task.", ["task"], registry=own)
        self.batch_size = Histogram("tuneworth_batch_examples", "Examples in a batch.", buckets=_COUNTS, registry=own)
        self.batch_tasks = Histogram(
            "tuneworth_batch_tasks", "Different tasks in a batch.", buckets=_COUNTS, registry=own
        )
        self.batch_seconds = Histogram(
            "tuneworth_batch_seconds", "Computing time of a batch.", buckets=_SECONDS, registry=own
        )
        self.predict_seconds = Histogram(
            "tuneworth_predict_seconds", "Time to answer /v1/predict, waiting included.", buckets=_SECONDS, registry=own
        )
        self._waiting = Gauge("tuneworth_waiting_examples", "Examples that wait for a batch.", registry=own)
        self._tasks = Gauge("tuneworth_tasks", "Tasks that are served.", registry=own)

    def watch(self, waiting: Callable[[], float], tasks: Callable[[], float]) -> None:
        self._waiting.set_function(waiting)
        self._tasks.set_function(tasks)

    def observe(self, examples: Sequence[Example], seconds: float) -> None:
        self.batch_size.observe(len(examples))
        self.batch_tasks.observe(len({example.task for example in examples}))
        self.batch_seconds.observe(seconds)
        for example in examples:
            self.examples.labels(example.task.name).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
