"""Chunks of a data stream, what of earlier ones is kept for replay, and the batches made of both."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tuneworth.spec import Budget
from tuneworth.train.batches import Batches

__all__ = ["ChunkBatches", "allotments", "partition", "reservoirs"]

Places = NDArray[np.int64]
"""Places in the stream, counted from 0."""

_REPLAY, _RESERVOIR = 0x5EED04, 0x5EED05


def partition(examples: int, chunk: int) -> list[Places]:
    """Consecutive places, `chunk` at a time. A rest smaller than a chunk joins the last one; there is always one."""
    starts = [chunk * i for i in range(max(1, examples // chunk))]
    return [np.arange(start, end) for start, end in zip(starts, [*starts[1:], examples], strict=True)]


def reservoirs(chunks: list[Places], size: int, seed: int) -> list[Places]:
    """For each chunk, `size` of all places before it (or as many as there are), every one equally likely.

    Algorithm R (Vitter, "Random sampling with a reservoir", ACM TOMS 11, 1985): the i-th example replaces one of the
    reservoir with probability size / i.
    """
    rng = np.random.default_rng([seed, _RESERVOIR])
    kept: list[int] = []
    before = []
    for chunk in chunks:
        before.append(np.array(sorted(kept), dtype=np.int64))
        for place in chunk.tolist():
            if len(kept) < size:
                kept.append(place)
            elif (at := int(rng.integers(place + 1))) < size:
                kept[at] = place
    return before


class ChunkBatches:
    """What each step of a data stream trains on: a function of seed, chunk and step within it, so resuming is exact.

    With replay, half of a batch comes from the reservoir, as in experience replay (Chaudhry et al. 2019, arXiv
    1902.10486), but a batch keeps its size: steps then cost the same with and without replay.
    """

    def __init__(self, lengths: Places, chunks: list[Places], batch_size: int, seed: int, buffer: int = 0) -> None:
        """`lengths`: tokens of each example, in the order of the stream."""
        self.chunks = chunks
        self.memories = reservoirs(chunks, buffer, seed) if buffer else [np.empty(0, dtype=np.int64)] * len(chunks)
        self.replayed = [min(batch_size // 2, len(memory)) for memory in self.memories]
        self.seed = seed
        self._batches = [
            Batches(lengths[chunk], batch_size - replayed, seed + number)
            for number, (chunk, replayed) in enumerate(zip(chunks, self.replayed, strict=True))
        ]
        self._now = self._start = 0

    def steps_per_epoch(self, chunk: int) -> int:
        return self._batches[chunk].steps_per_epoch

    def begin(self, chunk: int, step: int) -> None:
        """From now on train on `chunk`, whose first step is number `step` of the whole stream."""
        self._now, self._start = chunk, step

    def at(self, step: int) -> Places:
        now, within = self._now, step - self._start
        own = self.chunks[now][self._batches[now].at(within)]
        if not self.replayed[now]:
            return own
        rng = np.random.default_rng([self.seed, _REPLAY, now, within])
        return np.concatenate([own, rng.choice(self.memories[now], self.replayed[now], replace=False)])


def allotments(budget: Budget, batches: ChunkBatches) -> tuple[Budget, list[float]]:
    """The budget of the whole stream, where `budget` is that of a chunk, and what is spent of it when each chunk ends.

    Epochs of a chunk are counted in whole steps, since chunks may differ in size.
    """
    each: list[float]
    if budget.unit == "epochs":
        each = [math.ceil(budget.amount * batches.steps_per_epoch(k) - 1e-9) for k in range(len(batches.chunks))]
        unit = Budget(amount=sum(each), unit="steps")
    else:
        each = [budget.amount] * len(batches.chunks)
        unit = Budget(amount=sum(each), unit=budget.unit)
    return unit, np.cumsum(each, dtype=np.float64).tolist()
