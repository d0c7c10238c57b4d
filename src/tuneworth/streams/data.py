"""A data stream: every chunk is predicted first and trained on then, by one model that goes on from chunk to chunk.

The prequential, or test-then-train, estimate (Dawid, "The prequential approach", JRSS A 147, 1984; Gama, Sebastiao and
Rodrigues, "On evaluating stream learning algorithms", Machine Learning 90, 2013): each example is scored once, by a
model that has seen only what came before it. The whole stream is one run of the training loop, whose optimizer, clock
and checkpoints thus carry over from chunk to chunk.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuneworth.events import Event, Finished, Job, Progress
from tuneworth.kinds import Meaning, evaluate, get_kind
from tuneworth.spec import Chunk, TrialResult
from tuneworth.streams import stream_of
from tuneworth.streams.arrivals import Arrivals, arrange
from tuneworth.streams.chunks import ChunkBatches, allotments, partition
from tuneworth.streams.model import ready_model, tokens_of
from tuneworth.tasks import Task
from tuneworth.tasks.planned import planned_task
from tuneworth.train import device as devices
from tuneworth.train import rng
from tuneworth.train.checkpoint import Checkpointer, LoopState
from tuneworth.train.clock import Clock
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import kernels
from tuneworth.train.loop import Training, Validation, train

PROGRESS_SECONDS = 0.1


def run_data_stream(job: Job, device: torch.device) -> Iterator[Event]:
    """Run one data stream. Yields Progress, and Finished at its end. Raises TrialError.

    The learning rate warms up within the first chunk and stays constant then: it cannot fall to zero at the end of what
    has no known end. The codec is fitted to the first chunk, all that is known when training begins.
    """
    started = time.perf_counter()
    trial, stream = job.trial, stream_of(job)
    devices.reset_peak_memory(device)
    precision = devices.resolve_precision(trial.precision, device)
    name = stream.tasks[0]
    task, data = planned_task(name, job.stream_tasks.get(name), job.data_dir, trial.task_fingerprint)

    arrivals = arrange(data.train, task.kind, stream, trial.seed)
    chunks = partition(len(arrivals.which), stream.chunk)
    codec = data.codec(task.kind, arrivals.labels[arrivals.which[chunks[0]]])
    tuned = ready_model(job, codec.outputs, task.kind, device, precision)
    tokens = tokens_of(job, tuned.tokenizer, trial.task_fingerprint, "train", data.train)

    batches = ChunkBatches(tokens.lengths[arrivals.which], chunks, trial.recipe.batch_size,
                           rng.stream_seed(trial.seed, "order"), stream.buffer)  # fmt: skip
    whole, ends = allotments(trial.budget, batches)
    recipe = trial.recipe.model_copy(update={"warmup": trial.recipe.warmup * ends[0] / ends[-1]})
    clock = Clock(whole, 1, device)
    checkpointer = Checkpointer(job.checkpoint_path, job.checkpoint_seconds)
    scores = Prequential(task, chunks, arrivals, data.train.labels, data.meaning(task.kind, whole=False))
    state, said = LoopState(), 0.0

    def test(chunk: int) -> dict[str, Any]:
        start = time.perf_counter()
        which = arrivals.which[chunks[chunk]]
        predictions = codec.decode(logits(tuned.model, tokens, which, precision))
        return {"steps": clock.steps, "seconds": clock.seconds, "predictions": predictions.tolist(),
                "eval_seconds": time.perf_counter() - start}  # fmt: skip

    run = Training(tuned.model, codec, tokens, tokens.readable(codec.encode(arrivals.labels)), arrivals.which,
                   lambda: Validation(scores.so_far(state.chunks)[task.metrics[0]]), recipe, clock, batches, tuned.cost,
                   len(chunks), precision, checkpointer)  # fmt: skip
    torch.manual_seed(rng.stream_seed(trial.seed, "dropout"))
    setup_seconds = time.perf_counter() - started
    for state in train(run):
        arrived = min(bisect_right(ends, clock.spent * (1 + 1e-9)), len(chunks) - 1)
        for chunk in range(len(state.chunks), arrived + 1):
            state.chunks.append(test(chunk))
        batches.begin(arrived, state.chunks[arrived]["steps"])
        if clock.steps and time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            yield Progress(trial.key, clock.share, clock.examples / clock.seconds)

    metrics = scores.so_far(state.chunks)
    baseline = scores.baselines()
    trained = tuned.parts([*tuned.body, *tuned.head])
    yield Finished(trial.key, TrialResult(
        metric=task.metrics[0], score=metrics[task.metrics[0]], metrics=metrics,
        validation_score=metrics[task.metrics[0]], baseline_score=baseline[-1], curve=tuple(state.curve),
        train_seconds=clock.seconds, eval_seconds=sum(c["eval_seconds"] for c in state.chunks),
        setup_seconds=setup_seconds, steps=clock.steps, examples_seen=clock.examples, train_flops=clock.flops,
        trainable_parameters=sum(t.numel() for t in trained.values()),
        total_parameters=sum(p.numel() for p in tuned.model.parameters()),
        peak_memory_bytes=devices.peak_memory(device), delta_bytes=sum(t.numel() * t.element_size() for t in trained.values()),
        delta_path=None, micro_batch=state.micro_batch, notes=tuple(state.notes),
        environment={**devices.environment(device, precision), "kernels": kernels(tuned.model)}, data=job.data,
        chunks=scores.table(state.chunks, clock, baseline)))  # fmt: skip


@dataclass(frozen=True)
class Prequential:
    """Scores of the chunks' predictions, against the true labels: `labels` has the shape of the training split."""

    task: Task
    chunks: list[NDArray[np.int64]]
    arrivals: Arrivals
    labels: NDArray[Any]
    meaning: Meaning = Meaning()

    def so_far(self, tested: list[dict[str, Any]]) -> dict[str, float]:
        """Every metric over all predictions of the chunks tested so far."""
        return self._score(0, [entry["predictions"] for entry in tested])

    def baselines(self) -> list[float]:
        """After each chunk, what is scored by answering the majority, or the mean, of the labels that came before; the
        first chunk gets its own, more than any learner can know, so that to beat the baseline means something."""
        answers: list[list[Any]] = []
        table, kind = [], get_kind(self.task.kind)
        for number, chunk in enumerate(self.chunks):
            seen = self.arrivals.labels[self.arrivals.which[: chunk[0] or len(chunk)]]
            answers.append([kind.constant(seen, "", self.meaning)] * len(chunk))
            table.append(self._score(0, answers[: number + 1])[self.task.metrics[0]])
        return table

    def table(self, tested: list[dict[str, Any]], clock: Clock, baselines: list[float]) -> tuple[Chunk, ...]:
        metric = self.task.metrics[0]
        ends = [*tested[1:], {"steps": clock.steps, "seconds": clock.seconds}]
        return tuple(
            Chunk(examples=len(self.chunks[k]), score=self._score(k, [entry["predictions"]])[metric],
                  cumulative=self.so_far(tested[: k + 1])[metric], baseline=baselines[k],
                  train_seconds=end["seconds"] - entry["seconds"], eval_seconds=entry["eval_seconds"],
                  steps=end["steps"] - entry["steps"])
            for k, (entry, end) in enumerate(zip(tested, ends, strict=True))
        )  # fmt: skip

    def _score(self, first: int, predictions: list[list[Any]]) -> dict[str, float]:
        """Of the predictions of consecutive chunks, from number `first` on."""
        which = self.arrivals.which[np.concatenate(self.chunks[first : first + len(predictions)])]
        return evaluate(self.task.metrics, np.concatenate(predictions), self.labels[which], self.meaning)
