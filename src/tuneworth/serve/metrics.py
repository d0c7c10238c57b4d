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
        here = {"namespace": "tuneworth", "registry": self.registry}
        self.responses = Counter("responses", "HTTP responses by status.", ["status"], **here)
        self.examples = Counter("examples", "Examples answered, by task.", ["task"], **here)
        self.batch_size = Histogram("batch_examples", "Examples in a batch.", buckets=_COUNTS, **here)
        self.batch_tasks = Histogram("batch_tasks", "Different tasks in a batch.", buckets=_COUNTS, **here)
        self.batch_seconds = Histogram("batch_seconds", "Computing time of a batch.", buckets=_SECONDS, **here)
        self.predict_seconds = Histogram(
            "predict_seconds", "Time to answer /v1/predict, waiting included.", buckets=_SECONDS, **here
        )
        self._waiting = Gauge("waiting_examples", "Examples that wait for a batch.", **here)
        self._tasks = Gauge("tasks", "Tasks that are served.", **here)

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
