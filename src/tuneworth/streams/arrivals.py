"""In which order examples arrive, and with which labels: the seeded order, or one of the drift scenarios.

Pure functions of the data and the trial's seed, so that every method sees one stream, and a resumed one goes on in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.kinds import get_kind
from tuneworth.spec import StreamTrial
from tuneworth.tasks import Examples
from tuneworth.tasks.splits import order

__all__ = ["NOISE_SHARE", "NOISY", "TOPICS", "Arrivals", "arrange"]

TOPICS = 5
"""Clusters of texts that arrive one after another under `topic-order`."""
NOISY = (0.4, 0.6)
"""Where, as shares of the stream, the burst of `noise-burst` begins and ends."""
NOISE_SHARE = 0.5
"""The share of the labels within the burst that is wrong."""

_DRIFT = 0x5EED03
"""Keeps this stream of chance apart from the others of the same seed."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Arrivals:
    """`which`, shape (n,): indices into the training split in the order of arrival. `labels`, shape (training split,):
    what is trained on, wrong where a burst of noise says so; predictions are scored against the true ones."""

    which: Indices
    labels: NDArray[Any]


def arrange(examples: Examples, kind: str, stream: StreamTrial, seed: int) -> Arrivals:
    """The stream's first `length` examples in the file's order, or in the seeded one, every part of which is stratified.

    The drift scenarios reorder the same examples (`label-shift`, `topic-order`) or spoil labels (`noise-burst`).
    """
    size = min(stream.length or len(examples), len(examples))
    which = np.arange(len(examples)) if stream.order == "file" else order(examples.labels, kind, seed)
    which, labels = which[:size], examples.labels
    rng = np.random.default_rng([seed, _DRIFT])
    if stream.drift == "label-shift":
        which = which[_label_shift(labels[which], kind, rng)]
    elif stream.drift == "topic-order":
        which = which[_topic_order(examples, which, rng)]
    elif stream.drift == "noise-burst":
        labels = _noise_burst(labels, which, kind, rng)
    return Arrivals(which, labels)


def _label_shift(labels: NDArray[Any], kind: str, rng: np.random.Generator) -> Indices:
    """Prior probability shift (Moreno-Torres et al. 2012, section 4.2): half of the labels (`Kind.late`) is rare at first
    and common at last.

    Arrival times have density 2(1 - t) for early classes and 2t for late ones, so that the share of late examples at t
    is t where both are equally many.
    """
    late = get_kind(kind).late(labels)
    times = np.where(late, rng.beta(2, 1, len(labels)), rng.beta(1, 2, len(labels)))
    return np.argsort(times, kind="stable")


def _topic_order(examples: Examples, which: Indices, rng: np.random.Generator) -> Indices:
    """Topics (k-means over TF-IDF of the texts, TOPICS clusters) one after another, in an order of the seed."""
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    features = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit_transform(_texts(examples, which))
    topic = KMeans(min(TOPICS, len(which)), n_init=1, random_state=0).fit_predict(features)
    turn = rng.permutation(TOPICS)
    return np.argsort(turn[topic], kind="stable")


def _texts(examples: Examples, which: Indices) -> Sequence[str]:
    pairs = examples.pairs
    return [examples.texts[i] if pairs is None else f"{examples.texts[i]} {pairs[i]}" for i in which]


def _noise_burst(labels: NDArray[Any], which: Indices, kind: str, rng: np.random.Generator) -> NDArray[Any]:
    """Within the burst, NOISE_SHARE of the examples get a wrong label (`Kind.spoiled`)."""
    start, end = (round(share * len(which)) for share in NOISY)
    struck = rng.permutation(which[start:end])[: round(NOISE_SHARE * (end - start))]
    noisy = labels.copy()
    if len(struck):
        noisy[struck] = get_kind(kind).spoiled(labels, struck, rng)
    return noisy
