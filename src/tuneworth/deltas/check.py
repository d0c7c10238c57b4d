"""What leaves this package is checked on the way out: the copy answers as the delta does, to one text and to several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuneworth.deltas.load import Tuned
from tuneworth.errors import DeltaError
from tuneworth.train.batches import collate, tokenize

if TYPE_CHECKING:
    from tuneworth.deltas.files import DeltaInfo

TOLERANCE = 1e-4
"""The largest difference of a logit in float32, absolute, or relative to the largest logit where that is above 1; of a
delta of numbers, in deviations of the training targets."""
ROUNDING = 1e-3
"""The coarsest steps that float32 may have where a delta's numbers lie, in deviations of the training targets."""

Batch = dict[str, torch.Tensor]
Copy = Callable[[Batch], NDArray[Any]]
Reader = Callable[[Sequence[str], Sequence[str] | None], Batch]
"""How a copy's own tokenizer makes a padded batch of texts, or text pairs."""
_TEXTS = [
    "It works.",
    "A second text is longer than the first, so that the first one is padded.",
    "1, 2, 3: so it goes.",
]


def batch(tuned: Tuned) -> Batch:
    """The texts of the check as the delta itself reads them: (3, longest)."""
    return _read(tuned, _TEXTS)


def answers(tuned: Tuned) -> NDArray[Any]:
    """What the delta answers to each text of the check by itself: logits, or values in the unit of the training targets;
    (texts, outputs), or (all tokens, outputs)."""
    each, codec = [run(tuned.model)(_read(tuned, [text])) for text in _TEXTS], tuned.info.codec
    if each[0].ndim > 2:  # one a token
        return np.concatenate([values[0] for values in each])
    values = np.concatenate(each)
    return values if codec.unit is None else codec.decode(values)[:, None]


def run(model: torch.nn.Module) -> Copy:
    def answer(batch: Batch) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = model(**batch).logits.float().numpy()
        return logits

    return answer


def reader(directory: Path, max_length: int) -> Reader:
    """Of the tokenizer that was saved in `directory`, used as transformers would."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)

    def read(texts: Sequence[str], pairs: Sequence[str] | None) -> Batch:
        return dict(tokenizer(texts, pairs, padding=True, truncation=True, max_length=max_length, return_tensors="pt"))

    return read


def check_same(tuned: Tuned, expected: NDArray[Any], copy: Copy, what: str, read: Reader | None = None) -> None:
    """Raises DeltaError where `copy` answers otherwise than `expected`, which `answers` gave: to the texts in one batch, the
    short ones padded, and to one alone. `read`: the copy's own tokenizer; None: it has none, and reads as the delta does."""
    info = tuned.info
    mean, scale = info.codec.unit or (0.0, 1.0)
    most = TOLERANCE * scale * max(1.0, float(np.abs((expected - mean) / scale).max()))
    for count in (len(_TEXTS), 1):
        texts = _TEXTS[:count]
        given = read(texts, _pairs(tuned, texts)) if read else _read(tuned, texts)
        found = copy(given)
        if found.ndim > 2:  # one a token, and none of padding
            found = found[given["attention_mask"].bool().numpy()]
        gap = float(np.abs(found - expected[: len(found)]).max())
        if not gap <= most + (2 * _step(info) if found.dtype == np.float32 else 0.0):
            raise DeltaError(f"{what} would answer otherwise than the delta of {info.method!r}: a logit differs by "
                             f"{gap:.2g}", "nothing was written; please report this, with the model's name")  # fmt: skip


def check_holds(info: DeltaInfo, where: str) -> None:
    """Raises DeltaError where float32 is too coarse for the numbers that a delta answers with: `where` has nothing better."""
    if info.codec.unit is None:
        return
    mean, scale = info.codec.unit
    if not _step(info) <= ROUNDING * scale:
        raise DeltaError(
            f"{where} answers in float32, which cannot hold the targets of this delta: they lie around {mean:g} "
            f"and vary by {scale:.2g}, and its steps there are {_step(info):.2g}",
            "export it with --to onnx, whose answers are in float64; or subtract a constant from the targets (or rescale "
            "them) and tune again",
        )


def _step(info: DeltaInfo) -> float:
    """Between neighbours in float32 where a delta's numbers lie; infinite where it ends, or thins out."""
    if info.codec.unit is None:
        return 0.0
    limits, (mean, scale) = np.finfo(np.float32), info.codec.unit
    size = abs(mean) + 3 * scale
    if size > float(limits.max) or scale * TOLERANCE < float(limits.tiny):
        return float("inf")
    return float(np.spacing(np.float32(size)))


def _read(tuned: Tuned, texts: Sequence[str]) -> Batch:
    tokens = tokenize(tuned.tokenizer, texts, _pairs(tuned, texts), tuned.info.max_length)
    return collate(tokens, np.arange(len(texts)), torch.device("cpu"))


def _pairs(tuned: Tuned, texts: Sequence[str]) -> Sequence[str] | None:
    """Each text's partner does not depend on how many are read at once."""
    return [_TEXTS[-1 - _TEXTS.index(text)] for text in texts] if tuned.info.pairs else None
