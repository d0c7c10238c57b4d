"""What leaves this package is checked on the way out: the copy answers as the delta does, on two small batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuneworth.deltas.load import Tuned
from tuneworth.errors import DeltaError
from tuneworth.train.batches import collate, tokenize
from tuneworth.train.targets import Targets

TOLERANCE = 1e-4
"""The largest difference of a logit in float32, absolute, or relative to the largest logit where that is above 1."""

Batch = dict[str, torch.Tensor]
_TEXTS = [
    "It works.",
    "A second text is longer than the first, so that the first one is padded.",
    "1, 2, 3: so it goes.",
]


def batches(tuned: Tuned) -> list[Batch]:
    """Unlike in size and in length: (3, longest) and (1, short)."""
    return [_batch(tuned, _TEXTS), _batch(tuned, _TEXTS[:1])]


def _batch(tuned: Tuned, texts: list[str]) -> Batch:
    pairs = texts[::-1] if tuned.info.pairs else None
    tokens = tokenize(tuned.tokenizer, texts, pairs, tuned.info.max_length)
    return collate(tokens, np.arange(len(texts)), tuned.model.config.pad_token_id, torch.device("cpu"))


def answers(tuned: Tuned) -> list[NDArray[Any]]:
    """What the delta answers to each batch: logits, or values in the unit of the training targets; (batch, outputs)."""
    targets = Targets(tuned.info.task_kind, tuned.info.target_mean, tuned.info.target_scale)
    found = [run(tuned.model)(batch) for batch in batches(tuned)]
    return [values if targets.kind == "classification" else targets.decode(values)[:, None] for values in found]


def run(model: torch.nn.Module) -> Callable[[Batch], NDArray[np.float32]]:
    def answer(batch: Batch) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = model(**batch).logits.float().numpy()
        return logits

    return answer


def check_same(
    tuned: Tuned, expected: list[NDArray[Any]], copy: Callable[[Batch], NDArray[np.float32]], what: str
) -> None:
    """Raises DeltaError where `copy` answers otherwise than `expected`, which `answers` gave."""
    for values, batch in zip(expected, batches(tuned), strict=True):
        gap = float(np.abs(copy(batch) - values).max())
        if not gap <= TOLERANCE * max(1.0, float(np.abs(values).max())):
            raise DeltaError(f"{what} would answer otherwise than the delta of {tuned.info.method!r}: a logit differs by "
                             f"{gap:.2g}", "nothing was written; please report this, with the model's name")  # fmt: skip
