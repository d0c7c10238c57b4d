"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tuneworth.errors import Diverged
from tuneworth.spec import CurvePoint, Precision, Recipe
from tuneworth.train.batches import Inputs, Order, forward
from tuneworth.train.checkpoint import Checkpointer, LoopState
from tuneworth.train.clock import Clock
from tuneworth.train.device import autocast, is_out_of_memory, keep_pages
from tuneworth.train.fast import tokens_at_once
from tuneworth.train.flops import FlopModel
from tuneworth.train.optim import learning_rate, make_optimizer


class Validation(NamedTuple):
    """The primary metric on the validation split, in points, the mean loss there, and whether all answers were one; None: not
    measured."""

    score: float
    loss: float | None = None
    one_answer: bool | None = None


class Objective(Protocol):
    """What is minimised: a task's codec (`kinds`), or several tasks' together."""

    @property
    def chance(self) -> float:
        """The loss of a model that knows nothing."""
        ...

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean over a batch."""
        ...

    def terms(self, targets: torch.Tensor) -> int:
        """How many losses that mean is over."""
        ...


@dataclass
class Training:
    """One training run. `targets`: shape (n, ...), as `objective` wants them, beside the n token sequences."""

    model: PreTrainedModel
    objective: Objective
    tokens: Inputs
    targets: torch.Tensor
    train: NDArray[np.int64]
    validate: Callable[[], Validation]
    recipe: Recipe
    clock: Clock
    batches: Order
    flops: FlopModel
    evaluations: int
    precision: Precision
    checkpointer: Checkpointer
    tokens_at_once: int | None = field(init=False)
    """A batch of more, padding included, goes through the model in parts. None: whole, while memory lasts."""

    def __post_init__(self) -> None:
        self.tokens_at_once = tokens_at_once(self.model)


def train(run: Training) -> Iterator[LoopState]:
    """Train until the budget is spent. Yields its state before the first step (which a checkpoint may have moved to the
    end already) and after each; the curve is in there. Raises Diverged."""
    keep_pages()
    optimizer = make_optimizer(run.model, run.recipe)
    state = run.checkpointer.load(run.model, optimizer, run.clock)
    if state is None:
        state = LoopState(micro_batch=run.recipe.batch_size)
    run.model.train()
    yield state
    while not run.clock.finished:
        which = run.train[run.batches.at(run.clock.steps)]
        length = int(run.tokens.lengths[which].max())
        cost = run.flops.batch(len(which), length)
        rate = learning_rate(run.recipe, run.clock.mid_step(cost))
        with run.clock.step(len(which), cost):
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = _gradients(run, which, state)
            norm = optimizer.clipped_step(run.recipe.gradient_clip)
            optimizer.zero_grad(set_to_none=True)
        _check(loss, norm, run, state)
        if run.clock.share >= (len(state.curve) + 1) / run.evaluations - 1e-9:
            _evaluate(run, state)
        if run.checkpointer.due():
            run.checkpointer.save(run.model, optimizer, run.clock, state)
        yield state


def _gradients(run: Training, which: NDArray[np.int64], state: LoopState) -> float:
    """Fill the gradients for one batch and return its loss; where memory runs out, halve the micro-batch and retry."""
    longest = int(run.tokens.lengths[which].max())
    while True:
        size = state.micro_batch
        if run.tokens_at_once:
            most = min(size, max(1, run.tokens_at_once // longest))
            size = -(-len(which) // -(-len(which) // most))  # even parts
        try:
            whole = run.objective.terms(run.targets[torch.from_numpy(which)])
            return sum(_micro_step(run, which[start : start + size], whole) for start in range(0, len(which), size))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or state.micro_batch == 1:
                raise
        # Outside the handler, whose traceback would keep the failed step's activations alive.
        run.model.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        state.micro_batch = -(-state.micro_batch // 2)
        state.notes.append(f"out of memory: micro-batch halved to {state.micro_batch} at step {run.clock.steps}")


def _micro_step(run: Training, which: NDArray[np.int64], whole: int) -> float:
    """Forward and backward; the loss counts by its share of the batch's `whole` terms, so that micro-batches add up to it."""
    targets = run.targets[torch.from_numpy(which)].to(run.model.device)
    with autocast(run.model.device, run.precision):
        outputs = forward(run.model, run.tokens, which)
    loss = run.objective.loss(outputs, targets) * (run.objective.terms(targets) / max(1, whole))
    torch.autograd.backward(loss)
    return float(loss.detach())


def _check(loss: float, norm: float, run: Training, state: LoopState) -> None:
    """Raise Diverged where loss or gradient is not finite, or the loss has blown up.

    Blown up: its moving average (over some 10 steps) exceeds ten times the larger of its start and chance level.
    """
    if not (math.isfinite(loss) and math.isfinite(norm)):
        what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient norm is {norm}"
        raise Diverged(f"diverged: {what} at step {run.clock.steps}")
    state.loss_sum += loss
    state.loss_steps += 1
    if len(state.first_losses) < 5:
        state.first_losses.append(loss)
    average = loss if state.loss_average is None else 0.9 * state.loss_average + 0.1 * loss
    state.loss_average = average
    limit = 10 * max(run.objective.chance, float(np.median(state.first_losses)))
    if average > limit:
        raise Diverged(f"diverged: loss blew up to {average:.3g} (limit {limit:.3g}) at step {run.clock.steps}")


def _evaluate(run: Training, state: LoopState) -> None:
    start = time.perf_counter()
    found = run.validate()
    state.eval_seconds += time.perf_counter() - start
    state.curve.append(
        CurvePoint(step=run.clock.steps, seconds=run.clock.seconds, examples=run.clock.examples,
                   loss=state.loss_sum / state.loss_steps, score=found.score, validation_loss=found.loss,
                   one_answer=found.one_answer)
    )  # fmt: skip
    state.loss_sum, state.loss_steps = 0.0, 0
