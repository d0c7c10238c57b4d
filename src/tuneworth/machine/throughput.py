"""A short race on this machine's CPU: several workers of few threads, or one worker of all.

Neither wins everywhere: a second thread helps large products, and two processes share memory and caches. So real
steps of the study's own trials decide, forward, backward and update, on a batch of random tokens; data, schedule
and evaluation, which cost both sides alike, stay out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING, NamedTuple

from tuneworth.machine.starter import start, starter

if TYPE_CHECKING:
    from tuneworth.spec import TrialSpec

__all__ = ["TOKENS", "Rate", "probe"]

SECONDS = 1.0
"""Of each side of each trial."""
TOKENS = 48
"""Length of the examples where nothing better is known: near that of a batch of sentence pairs."""
PATIENCE = 120.0
"""Seconds until a racer that does not come to the start is given up."""


class Rate(NamedTuple):
    """Examples a second: of several workers together, each on its share of the cores, and of one on all of them."""

    several: float
    one: float


def probe(trials: Sequence[tuple[TrialSpec, str]], workers: int, cores: int, tokens: int = TOKENS) -> list[Rate]:
    """How fast each of the trials is trained, by `workers` processes at once and by one with all `cores`.

    `trials`: each with the directory of its model. Where a racer fails (for lack of memory, say), one worker wins
    everywhere: (0, 1).
    """
    context = starter()
    barrier = context.Barrier(workers)
    pipes = [context.Pipe(duplex=False) for _ in range(workers)]
    racers = [
        context.Process(target=_race, args=(trials, tokens, place, workers, cores, barrier, pipe[1]), daemon=True)
        for place, pipe in enumerate(pipes)
    ]
    for racer in racers:
        start(racer)
    for _, theirs in pipes:
        theirs.close()
    try:
        found: list[list[Rate]] = [ours.recv() for ours, _ in pipes]
    except EOFError:
        return [Rate(0.0, 1.0)] * len(trials)
    finally:
        for racer in racers:
            racer.kill()
            racer.join()
    return [Rate(sum(rate.several for rate in rates), rates[0].one) for rates in zip(*found, strict=True)]


def _race(
    trials: Sequence[tuple[TrialSpec, str]], tokens: int, place: int, workers: int, cores: int, barrier: Barrier,
    result: Connection,
) -> None:  # fmt: skip
    try:
        result.send(_rates(trials, tokens, place, workers, cores, barrier))
    except BaseException:
        barrier.abort()  # the others need not wait for this one
        raise


def _rates(
    trials: Sequence[tuple[TrialSpec, str]], tokens: int, place: int, workers: int, cores: int, barrier: Barrier
) -> list[Rate]:
    import torch

    here = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    share = max(1, cores // workers)
    rates = []
    for trial, source in trials:
        step = _stepper(trial, source, tokens)
        if here:
            os.sched_setaffinity(0, here[place * share : (place + 1) * share])
        torch.set_num_threads(share)
        several = _rate(step, trial.recipe.batch_size, barrier)
        if here:
            os.sched_setaffinity(0, here)
        alone = 0.0
        if place == 0:
            torch.set_num_threads(cores)
            alone = _rate(step, trial.recipe.batch_size, None)
        barrier.wait(PATIENCE)  # the one that goes on alone must be alone
        rates.append(Rate(several, alone))
    return rates


def _rate(step: Callable[[], None], examples: int, barrier: Barrier | None) -> float:
    """Examples a second, after one step to warm up, and from when all are ready on."""
    step()
    if barrier:
        barrier.wait(PATIENCE)
    start, steps = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < SECONDS:
        step()
        steps += 1
    rate = steps * examples / spent
    if barrier:
        barrier.wait(PATIENCE)  # nobody's last step has the machine to itself
    return rate


def _stepper(trial: TrialSpec, source: str, length: int) -> Callable[[], None]:
    """A training step of the trial's model as the trial lays it out."""
    import torch

    from tuneworth.train import device as devices
    from tuneworth.train.batches import stand_in
    from tuneworth.train.fast import lay_out
    from tuneworth.train.optim import make_optimizer
    from tuneworth.tuned import tuned_model

    cpu = torch.device("cpu")
    precision = devices.resolve_precision(trial.precision, cpu)
    tuned = tuned_model(trial, source, 2, "classification", allow_pickle=True)  # the study was refused if it may not
    lay_out(tuned.model, cpu, precision)
    model = tuned.model.train()
    optimizer = make_optimizer(model, trial.recipe)
    batch = stand_in(tuned.tokenizer, trial.recipe.batch_size, min(length, trial.max_length))

    def step() -> None:
        with devices.autocast(cpu, precision):
            loss = model(**batch).logits.float().square().mean()
        torch.autograd.backward(loss)
        optimizer.clipped_step(trial.recipe.gradient_clip)
        optimizer.zero_grad(set_to_none=True)

    return step
