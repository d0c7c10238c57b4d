"""The clock of a trial: what was spent, and which share of the budget that is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from tuneworth.spec import Budget
from tuneworth.train.device import synchronize


@dataclass
class Clock:
    """Counts synchronised training steps only; evaluation, set-up and data preparation stay outside `step`.

    Units: `seconds` wall-clock, `examples` sequences, `flops` floating-point operations (a multiply-add is two).
    """

    budget: Budget
    steps_per_epoch: int
    device: torch.device
    steps: int = 0
    seconds: float = 0.0
    examples: int = 0
    flops: float = 0.0

    @property
    def spent(self) -> float:
        """In the budget's unit."""
        if self.budget.unit == "epochs":
            return self.steps / self.steps_per_epoch
        return float(getattr(self, self.budget.unit))

    @property
    def share(self) -> float:
        """Share of the budget used, in [0, 1]."""
        return min(1.0, self.spent / self.budget.amount)

    @property
    def finished(self) -> bool:
        # Tolerance: the budget 0.1epochs of 10 steps is one step, though 1/10 < 0.1 in some roundings.
        return self.spent >= self.budget.amount * (1 - 1e-9)

    def mid_step(self, step_flops: float) -> float:
        """The share at the middle of the step to come: what its learning rate is read at.

        Known ahead for epochs, steps and FLOPs; for seconds the step is taken to last as long as the mean so far, and the
        first one a hundredth of the budget. Of a last step that seconds or FLOPs do not hold whole, the middle of the part
        that they do: at a share of 1 the rate is 0, and the step would be for nothing.
        """
        unit, amount = self.budget.unit, self.budget.amount
        cost = {
            "epochs": 1 / self.steps_per_epoch, "steps": 1.0, "flops": step_flops,
            "seconds": self.seconds / self.steps if self.steps else amount / 100,
        }[unit]  # fmt: skip
        if unit in ("seconds", "flops"):
            cost = min(cost, amount - self.spent)
        return min(1.0, (self.spent + cost / 2) / amount)

    @contextmanager
    def step(self, examples: int, flops: float) -> Iterator[None]:
        synchronize(self.device)
        start = time.perf_counter()
        yield
        synchronize(self.device)
        self.seconds += time.perf_counter() - start
        self.steps += 1
        self.examples += examples
        self.flops += flops
