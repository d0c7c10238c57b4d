"""A delta at work, by the very path that scored the trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuneworth.deltas.files import DeltaInfo
from tuneworth.deltas.load import load_tuned
from tuneworth.errors import DataError
from tuneworth.train import device as devices
from tuneworth.train.batches import tokenize
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import lay_out
from tuneworth.train.targets import Targets


class Predictor:
    """A delta at work: `Predictor(directory).predict(texts)`."""

    def __init__(
        self, directory: str | Path, model: str | None = None, device: str = "auto", allow_pickle: bool = False
    ) -> None:
        tuned = load_tuned(Path(directory), model, allow_pickle)
        self.info, self.model, self.tokenizer = tuned.info, tuned.model, tuned.tokenizer
        where = devices.pick(device)
        self.precision = devices.resolve_precision(self.info.precision, where)
        lay_out(self.model, where, self.precision)

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """One `{"label", "score", "probabilities"}` a text.

        Classification: the label's name, its probability, and every label's by name. Regression: the value, in the unit
        of the training targets, as `label` and as `score`; `probabilities` is None. Raises DataError where pairs are given
        to a task of single texts, or the reverse.
        """
        if self.info.pairs != (pairs is not None):
            raise DataError(f"this delta was tuned on {'text pairs' if self.info.pairs else 'single texts'}",
                            "give a second text column" if self.info.pairs else "give one text column")  # fmt: skip
        if not texts:
            return []
        tokens = tokenize(self.tokenizer, texts, pairs, self.info.max_length)
        values = logits(self.model, tokens, np.arange(len(texts)), self.precision)
        return name_outputs(self.info, values)


def name_outputs(info: DeltaInfo, values: NDArray[np.float32]) -> list[dict[str, Any]]:
    """What the model's outputs, shape (n, outputs), say in the task's words: `predict` tells the form."""
    if info.labels is None:
        decoded = Targets(info.task_kind, info.target_mean, info.target_scale).decode(values)
        return [{"label": value, "score": value, "probabilities": None} for value in decoded.tolist()]
    probabilities = torch.from_numpy(values).double().softmax(dim=1).numpy()
    return [
        {
            "label": info.labels[best],
            "score": float(row[best]),
            "probabilities": dict(zip(info.labels, row.tolist(), strict=True)),
        }
        for best, row in zip(values.argmax(axis=1), probabilities, strict=True)
    ]
