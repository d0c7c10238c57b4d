"""Labels as the loss wants them, and the model's outputs as the metrics want them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuneworth.spec import Kind


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
