"""One trial, told from top to bottom: load, tune, train within the budget, evaluate, save what changed."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuneworth.deltas.files import DeltaInfo, save_delta
from tuneworth.errors import TrialError, UserError
from tuneworth.events import Event, Failed, Finished, Halted, Job, Progress
from tuneworth.kinds import Codec, baseline, evaluate, get_kind, get_metric
from tuneworth.methods import note_of
from tuneworth.results.predictions import Predictions
from tuneworth.spec import FileTask, SurestError, TrialResult
from tuneworth.streams import run_stream
from tuneworth.tasks import Examples, Task, TaskData
from tuneworth.tasks.planned import planned_task
from tuneworth.tasks.splits import take
from tuneworth.train import device as devices
from tuneworth.train import rng
from tuneworth.train.batches import Batches, Inputs, tokenize_cached
from tuneworth.train.checkpoint import Checkpointer, LoopState
from tuneworth.train.clock import Clock
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import kernels, lay_out
from tuneworth.train.features import Frozen
from tuneworth.train.loop import Training, Validation, train
from tuneworth.tuned import training_cost, tuned_model
from tuneworth.words import brief
from tuneworth.writing import disk_problem

PROGRESS_SECONDS = 0.1
SURE, CUT = 10, 300
"""How many examples a result names that were answered wrongly, and characters of their texts."""


def run_trial(job: Job) -> Iterator[Event]:
    """Run one trial. Yields Progress as it trains, and ends with Finished, Failed with the reason, or Halted.

    With a budget in seconds the device is this trial's alone while it runs, on the whole machine.
    """
    try:
        device = devices.pick(job.device)
        with devices.DeviceLock(device, alone=job.trial.budget.timed) as lock:
            while not lock.acquire():
                yield Progress(job.trial.key, 0.0, 0.0)
                time.sleep(0.5)
            yield from (run_stream if job.trial.stream else _run)(job, device)
    except TrialError as error:
        yield Failed(job.trial.key, str(error))
    except Exception as error:  # whatever ends a trial is its result: kept, counted, shown
        yield _ended(job.trial.key, error)


def _ended(key: str, error: Exception) -> Failed | Halted:
    disk = disk_problem(error)
    if disk:
        return Halted(key, disk)
    return Failed(key, "out of memory at micro-batch 1" if devices.is_out_of_memory(error) else _describe(error))


def _run(job: Job, device: torch.device) -> Iterator[Event]:
    started = time.perf_counter()
    trial = job.trial
    devices.reset_peak_memory(device)
    precision = devices.resolve_precision(trial.precision, device)
    task, data = planned_task(trial.task, job.task, job.data_dir, trial.task_fingerprint)

    # The share of the data that this trial may see, and the validation split cut from within it.
    split = take(data.train.labels, task.kind, trial.fraction, trial.seed)
    meaning, part = data.meaning(task.kind), data.meaning(task.kind, whole=False)
    codec = data.codec(task.kind, data.train.labels[split.train])

    # The model: pre-trained, with a fresh head, tuned by the method; what is frozen stays as it is.
    tuned = tuned_model(trial, job.model_source, codec.outputs, task.kind, job.allow_pickle)
    model, cost = tuned.model, training_cost(trial, tuned, codec.outputs)
    lay_out(model, device, precision)

    kept = f"{trial.model_fingerprint}-{trial.task_fingerprint}-{trial.max_length}"
    tokens, test_tokens = (
        tokenize_cached(job.files / "tokens" / f"{kept}-{name}.safetensors", tuned.tokenizer, part, trial.max_length)
        for name, part in (("train", data.train), ("test", data.test))
    )

    targets = tokens.readable(codec.encode(data.train.labels))

    def validate() -> Validation:
        outputs, which = logits(model, inputs, split.validation, precision), split.validation
        predictions, labels = settled(outputs).decode(outputs), data.train.labels[which]
        score = evaluate(task.metrics[:1], predictions, labels, part)[task.metrics[0]]
        loss = float(codec.loss(torch.from_numpy(outputs), targets[which]))
        return Validation(score, loss, get_kind(task.kind).one_answer(predictions, labels))

    def settled(outputs: NDArray[np.float32]) -> Codec:
        """With what the validation split decides about its answers, of the outputs there."""
        return codec.settled(outputs, data.train.labels[split.validation], get_metric(task.metrics[0], part), part)

    batches = Batches(tokens.lengths[split.train], trial.recipe.batch_size, rng.stream_seed(trial.seed, "order"))
    clock = Clock(trial.budget, batches.steps_per_epoch, device)
    checkpointer = Checkpointer(job.checkpoint_path, job.checkpoint_seconds)
    inputs: Inputs = tokens
    frozen = Frozen(model) if trial.kind == "head" and get_kind(task.kind).reads == "text" else None
    if frozen and (features := frozen.features(tokens, batches, split, cost, clock, precision, kept)):
        inputs, cost = features
    run = Training(model, codec, inputs, targets, split.train, validate, trial.recipe,
                   clock, batches, cost, trial.evaluations, precision, checkpointer)  # fmt: skip

    torch.manual_seed(rng.stream_seed(trial.seed, "dropout"))
    setup_seconds = time.perf_counter() - started
    state, said = LoopState(), 0.0
    for state in train(run):  # noqa: B007 - the last one is used below
        if clock.steps and time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            yield Progress(trial.key, clock.share, clock.examples / clock.seconds)

    # The test split, for the first and only time; never where a learning rate is still to be chosen.
    started = time.perf_counter()
    metrics, answers = {task.metrics[0]: nan}, None
    wrong: tuple[SurestError, ...] = ()
    if trial.tunes is None:
        if codec.settles:
            codec = settled(logits(model, inputs, split.validation, precision))
        outputs = logits(model, test_tokens, np.arange(len(data.test)), precision)
        predictions, wrong = codec.decode(outputs), surest_errors(codec, outputs, data.test)
        metrics = evaluate(task.metrics, predictions, data.test.labels, meaning)
        answers = Predictions.compact(predictions, data.test.labels, trial.task_fingerprint)
    eval_seconds = state.eval_seconds + time.perf_counter() - started

    if frozen:
        frozen.give_back()
    environment = {**devices.environment(device, precision), "kernels": kernels(model)}
    tensors = {name: p for name, p in model.named_parameters() if name in set(tuned.names)}
    size = sum(p.numel() * p.element_size() for p in tensors.values())
    if job.keep_delta:
        size = save_delta(job.delta_path, tensors, _info(job, task, data, codec, metrics, environment))
    result = TrialResult(
        metric=task.metrics[0], score=metrics[task.metrics[0]], metrics=metrics,
        validation_score=state.curve[-1].score, validation_loss=state.curve[-1].validation_loss,
        baseline_score=baseline(task, data)[task.metrics[0]],
        curve=tuple(state.curve), train_seconds=clock.seconds, eval_seconds=eval_seconds, setup_seconds=setup_seconds,
        steps=clock.steps, examples_seen=clock.examples, train_flops=clock.flops,
        trainable_parameters=sum(p.numel() for p in tensors.values()),
        total_parameters=sum(p.numel() for p in model.parameters()), peak_memory_bytes=devices.peak_memory(device),
        delta_bytes=size, delta_path=str(job.delta_path) if job.keep_delta else None,
        host=socket.gethostname() if job.keep_delta else "", micro_batch=state.micro_batch,
        notes=tuple(filter(None, (note_of(trial.kind, trial.options), *state.notes))), environment=environment,
        surest_errors=wrong, data=job.data)  # fmt: skip
    yield Finished(trial.key, result, answers)


def _info(
    job: Job, task: Task, data: TaskData, codec: Codec, metrics: dict[str, float], environment: dict[str, Any]
) -> DeltaInfo:
    """What a delta says of itself: how it was made, and what it takes to use it."""
    trial = job.trial
    return DeltaInfo(
        method=trial.method, kind=trial.kind, options=trial.options, base=_base_name(trial.model),
        base_fingerprint=trial.model_fingerprint, task=trial.task, task_kind=task.kind,
        codec=codec, metric=task.metrics[0], score=metrics[task.metrics[0]], metrics=metrics,
        positive=(job.data or {}).get("positive"), pairs=data.train.pairs is not None, columns=_columns(job.task),
        max_length=trial.max_length, precision=trial.precision, recipe=trial.recipe, fraction=trial.fraction,
        budget=str(trial.budget), seed=trial.seed, environment=environment,
    )  # fmt: skip


def surest_errors(codec: Codec, outputs: NDArray[np.float32], test: Examples) -> tuple[SurestError, ...]:
    """The examples that were answered most surely wrong, SURE at most."""
    surprise = codec.surprise(outputs, test.labels)
    worst = np.argsort(-surprise, kind="stable")[:SURE]
    predictions = codec.decode(outputs[worst])
    found = []
    for row, predicted in zip(worst.tolist(), predictions, strict=True):
        text, words = test.texts[row], None if test.words is None else test.words[row]
        whole = text if test.pairs is None else f"{text} | {test.pairs[row]}"
        right, answered = (brief(codec.told(one, text, words), CUT) for one in (test.labels[row], predicted))
        found.append(SurestError(text=brief(whole, CUT), right=right, answered=answered, surprise=float(surprise[row])))
    return tuple(one for one in found if one.surprise > 0)


def _columns(declared: FileTask | None) -> tuple[str, ...]:
    if declared is None:
        return ()
    return (declared.text, declared.text_pair) if declared.text_pair else (declared.text,)


def _base_name(model: str) -> str:
    """A directory by its full path, so that the delta finds its base from wherever it is used; else the name."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model


def _describe(error: Exception) -> str:
    """One line; a UserError's two lines become one."""
    if isinstance(error, UserError):
        return f"{error.problem}; {error.remedy}"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
