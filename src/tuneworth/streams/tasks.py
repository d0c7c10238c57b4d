"""A task stream: tasks one after another, tuned `separate`ly, on one model `sequential`ly, or, as the bound, `joint`ly.

A stage is one run of the training loop with an optimizer, a budget and a learning-rate schedule of its own. In the mode
`separate` a stage is an ordinary trial of its task, to the bit. In `sequential` the trained parameters go on from where
the stage before left them; each task has a head of its own, drawn anew, unless all share one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from tuneworth.events import Event, Finished, Job, Progress
from tuneworth.kinds import baseline, evaluate
from tuneworth.spec import Budget, Precision, Stage, StreamTrial, TaskScore, TrialResult
from tuneworth.stats.transfer import average_score, backward_transfer, forgetting
from tuneworth.streams import stream_of
from tuneworth.streams.known import Known, Lesson, known_tasks, lesson
from tuneworth.streams.model import Ready, put, ready_model, size, tokens_of
from tuneworth.streams.past import Past
from tuneworth.train import device as devices
from tuneworth.train import rng
from tuneworth.train.batches import Batches
from tuneworth.train.checkpoint import Checkpointer, LoopState
from tuneworth.train.clock import Clock
from tuneworth.train.evaluate import logits
from tuneworth.train.loop import Training, Validation, train

PROGRESS_SECONDS = 0.1


def run_task_stream(job: Job, device: torch.device) -> Iterator[Event]:
    """Run one task stream. Yields Progress, and Finished at its end. Raises TrialError."""
    trial, stream = job.trial, stream_of(job)
    devices.reset_peak_memory(device)
    precision = devices.resolve_precision(trial.precision, device)
    tasks = known_tasks(job)
    stages = [tasks] if stream.mode == "joint" else [[known] for known in tasks]
    past = Past.load(job.checkpoint_path)
    for number in range(len(past.stages), len(stages)):
        try:
            for share, rate in _stage(job, stages[number], tasks, past, device, precision):
                yield Progress(trial.key, (number + share) / len(stages), rate)
            past.save(job.checkpoint_path)
        except Exception:
            _within(job, number).unlink(missing_ok=True)  # a failure is final, what is killed goes on from it
            raise
        _within(job, number).unlink(missing_ok=True)
    result = _result(past, stream, devices.peak_memory(device), devices.environment(device, precision))
    yield Finished(trial.key, result.model_copy(update={"data": job.data}))


def _stage(
    job: Job, now: list[Known], tasks: list[Known], past: Past, device: torch.device, precision: Precision
) -> Iterator[tuple[float, float]]:
    """Tune on the tasks `now`, score what has been seen, and add both to `past`. Yields (share of the budget, rate)."""
    started, said = time.perf_counter(), 0.0
    trial, stream, number = job.trial, stream_of(job), len(past.stages)
    shared = stream.head == "shared"
    outputs = now[0].codec.outputs if shared else sum(known.codec.outputs for known in now)
    tuned = ready_model(job, outputs, now[0].task.kind, device, precision)
    put(tuned.model, {**past.body, **(past.heads[-1] if shared and past.heads else {})})
    taught = lesson(now, shared, job, tuned.tokenizer)
    batches = Batches(
        taught.tokens.lengths[taught.train], trial.recipe.batch_size, rng.stream_seed(trial.seed, "order")
    )
    clock = Clock(_budget(trial.budget, len(now)), batches.steps_per_epoch, device)
    run = Training(tuned.model, taught.objective, taught.tokens, taught.targets, taught.train,
                   lambda: Validation(_validate(tuned, taught, precision)), trial.recipe, clock, batches, tuned.cost, 1, precision,
                   Checkpointer(_within(job, number), job.checkpoint_seconds))  # fmt: skip
    torch.manual_seed(rng.stream_seed(trial.seed, "dropout"))
    setup_seconds, state = time.perf_counter() - started, LoopState()
    for state in train(run):  # noqa: B007 - the last one is used below
        if clock.steps and time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            yield clock.share, clock.examples / clock.seconds

    started = time.perf_counter()
    body, head = tuned.parts(tuned.body), tuned.parts(tuned.head)
    fresh = tuple(
        _score(job, tuned, known, columns, precision) for known, columns in zip(now, taught.columns, strict=True)
    )
    if stream.mode == "sequential":
        past.body, past.heads = body, [head] if shared else [*past.heads, head]
        scores = (*_earlier(job, tuned, tasks[:number], past, precision), *fresh)
        stored = size(body) + sum(map(size, past.heads))
    else:
        scores = (*(past.stages[-1].scores if past.stages else ()), *fresh)
        stored = (past.stages[-1].stored_bytes if past.stages else 0) + size(body) + size(head)
    past.spent.add(clock, state, setup_seconds, sum(t.numel() for t in [*body.values(), *head.values()]),
                   sum(p.numel() for p in tuned.model.parameters()))  # fmt: skip
    past.stages.append(
        Stage(learned=tuple(known.name for known in now), scores=scores, train_seconds=clock.seconds,
              eval_seconds=state.eval_seconds + time.perf_counter() - started, steps=clock.steps, stored_bytes=stored)
    )  # fmt: skip


def _earlier(job: Job, tuned: Ready, tasks: list[Known], past: Past, precision: Precision) -> list[TaskScore]:
    """The earlier tasks' scores with the body as it is now; changes the head of the model."""
    scores = []
    for number, known in enumerate(tasks):
        if len(past.heads) > 1:
            put(tuned.model, past.heads[number])
        scores.append(_score(job, tuned, known, slice(None), precision))
    return scores


def _score(job: Job, tuned: Ready, known: Known, columns: slice, precision: Precision) -> TaskScore:
    """On the test split, which decides nothing."""
    tokens = tokens_of(job, tuned.tokenizer, known.fingerprint, "test", known.data.test)
    outputs = logits(tuned.model, tokens, np.arange(len(known.data.test)), precision)[:, columns]
    metric = known.task.metrics[0]
    answers, data = known.codec.decode(outputs), known.data
    score = evaluate((metric,), answers, data.test.labels, data.meaning(known.task.kind))[metric]
    return TaskScore(task=known.name, metric=metric, score=score, baseline=baseline(known.task, data)[metric])


def _validate(tuned: Ready, taught: Lesson, precision: Precision) -> float:
    """The mean of the tasks' primary metrics on their validation splits."""
    scores = []
    for known, which, columns in zip(taught.tasks, taught.validation, taught.columns, strict=True):
        predictions = known.codec.decode(logits(tuned.model, taught.tokens, which, precision)[:, columns])
        labels = known.data.train.labels[known.split.validation]
        metric = known.task.metrics[0]
        scores.append(
            evaluate((metric,), predictions, labels, known.data.meaning(known.task.kind, whole=False))[metric]
        )
    return sum(scores) / len(scores)


def _budget(budget: Budget, tasks: int) -> Budget:
    """Of a stage with so many tasks; an epoch of several tasks' data is longer by itself."""
    return budget if budget.unit == "epochs" else Budget(amount=budget.amount * tasks, unit=budget.unit)


def _within(job: Job, number: int) -> Path:
    """The checkpoint within a stage; its number keeps it from being taken for another's."""
    return job.checkpoint_path.with_suffix(f".{number}.safetensors")


def _result(past: Past, stream: StreamTrial, peak_memory: int, environment: dict[str, object]) -> TrialResult:
    stages, spent = past.stages, past.spent
    last = stages[-1].scores
    metrics = {"average": sum(score.score for score in last) / len(last)}
    if stream.mode != "joint":
        matrix = [[score.score for score in stage.scores] for stage in stages]
        metrics["average"] = average_score(matrix)
        metrics |= {name: value for name, value in (("forgetting", forgetting(matrix)),
                    ("backward_transfer", backward_transfer(matrix))) if value is not None}  # fmt: skip
    return TrialResult(
        metric="average", score=metrics["average"], metrics=metrics, validation_score=spent.validation / len(stages),
        baseline_score=sum(score.baseline for score in last) / len(last), curve=(),
        train_seconds=sum(stage.train_seconds for stage in stages), eval_seconds=sum(s.eval_seconds for s in stages),
        setup_seconds=spent.setup_seconds, steps=spent.steps, examples_seen=spent.examples, train_flops=spent.flops,
        trainable_parameters=spent.trainable, total_parameters=spent.total, peak_memory_bytes=peak_memory,
        delta_bytes=stages[-1].stored_bytes, delta_path=None, micro_batch=spent.micro_batch, notes=tuple(spent.notes),
        environment=environment, stages=tuple(stages))  # fmt: skip
