"""A short race on this machine's CPU: several workers of few threads, or one worker of all.

Neither wins everywhere: a second thread helps large products, and two processes share memory and caches. So real
steps of one of the study's own trials decide, forward, backward and update, on a batch of random tokens; data, schedule
and evaluation, which cost both sides alike, stay out.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuneworth.spec import TrialSpec

__all__ = ["probe"]

SECONDS = 1.0
"""Of each side."""
TOKENS = 48
"""Length of the examples: near that of a batch of sentence pairs."""
PATIENCE = 120.0
"""Seconds until a racer that does not come to the start is given up."""


def probe(trial: TrialSpec, source: str, workers: int, cores: int) -> tuple[float, float]:
    """Examples a second of `workers` processes together, each on its share of the `cores`, and of one on all of them.

    `source`: the model's directory. Where a racer fails (for lack of memory, say), one worker wins: (0, 1).
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers)
    pipes = [context.Pipe(duplex=False) for _ in range(workers)]
    racers = [
        context.Process(target=_race, args=(trial, source, place, workers, cores, barrier, pipe[1]), daemon=True)
        for place, pipe in enumerate(pipes)
    ]
    for racer in racers:
        racer.start()
    for _, theirs in pipes:
        theirs.close()
    try:
        rates = [ours.recv() for ours, _ in pipes]
    except EOFError:
        return 0.0, 1.0
    finally:
        for racer in racers:
            racer.kill()
            racer.join()
    return sum(several for several, _ in rates), rates[0][1]


def _race(
    trial: TrialSpec, source: str, place: int, workers: int, cores: int, barrier: Barrier, result: Connection
) -> None:
    import torch

    step = _stepper(trial, source)
    here = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    share = max(1, cores // workers)
    if here:
        os.sched_setaffinity(0, here[place * share : (place + 1) * share])
    torch.set_num_threads(share)
    several = _rate(step, trial.recipe.batch_size, barrier)
    alone = 0.0
    if place == 0:
        if here:
            os.sched_setaffinity(0, here)
        torch.set_num_threads(cores)
        alone = _rate(step, trial.recipe.batch_size, None)
    result.send((several, alone))


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
        barrier.wait(PATIENCE)  # the one that goes on alone must be alone
    return rate


def _stepper(trial: TrialSpec, source: str) -> Callable[[], None]:
    """A training step of the trial's model as the trial lays it out."""
    import torch

    from tuneworth.methods import get_method, method_options
    from tuneworth.methods._tune import tune
    from tuneworth.models.load import load
    from tuneworth.train import device as devices
    from tuneworth.train.fast import lay_out
    from tuneworth.train.optim import make_optimizer

    cpu, chance = torch.device("cpu"), torch.Generator().manual_seed(0)
    precision = devices.resolve_precision(trial.precision, cpu)
    method = get_method(trial.kind)
    loaded = load(source, 2, "classification", chance, allow_pickle=True)  # the study was refused if it may not
    tune(loaded, method, method_options(method, dict(trial.options)), chance)
    lay_out(loaded.model, cpu, precision)
    model = loaded.model.train()
    optimizer = make_optimizer(model, trial.recipe)
    shape = (trial.recipe.batch_size, min(TOKENS, trial.max_length))
    tokens = torch.randint(model.config.vocab_size, shape, generator=chance)

    def step() -> None:
        with devices.autocast(cpu, precision):
            loss = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits.float().square().mean()
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
