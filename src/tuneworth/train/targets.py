"""Labels as the loss wants them, and the model's outputs as the metrics want them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tuneworth.spec import Kind

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The mean loss of a batch from its logits, shape (n, outputs), and its targets as `Targets.encode` gives them."""


def _squared_error(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(logits.squeeze(-1), targets)


LOSSES: dict[Kind, Loss] = {"classification": F.cross_entropy, "regression": _squared_error}


def mean_loss(kind: Kind, logits: NDArray[np.float32], targets: torch.Tensor) -> float:
    """The kind's loss of all examples: `logits` of shape (n, outputs), `targets` as `Targets.encode` gives them."""
    return float(LOSSES[kind](torch.from_numpy(logits), targets))


@dataclass(frozen=True)
class Targets:
    """Regression targets are standardised by the mean and deviation of what the trial trains on.

    So one learning rate serves stars from 1 to 5 and prices in the millions; `decode` gives the user's own unit.
    """

    kind: Kind
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, kind: Kind, labels: NDArray[Any]) -> Targets:
        if kind == "classification":
            return cls(kind)
        return cls(kind, float(labels.mean()), float(labels.std()) or 1.0)

    def encode(self, labels: NDArray[Any]) -> torch.Tensor:
        """Shape (n,): int64 class numbers, or standardised float32."""
        if self.kind == "classification":
            return torch.from_numpy(labels.astype(np.int64))
        return torch.from_numpy(((labels - self.mean) / self.scale).astype(np.float32))

    def decode(self, logits: NDArray[np.float32]) -> NDArray[Any]:
        """(n, outputs) -> shape (n,): class numbers, or values in the unit of the labels."""
        if self.kind == "classification":
            return np.asarray(logits.argmax(axis=1))
        return logits[:, 0].astype(np.float64) * self.scale + self.mean
