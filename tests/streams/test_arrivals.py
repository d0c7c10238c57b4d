"""The order of arrival, drift, chunks and the reservoir: properties that hold for any data and seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from tuneworth.spec import Budget, StreamTrial
from tuneworth.streams.arrivals import NOISE_SHARE, arrange
from tuneworth.streams.chunks import ChunkBatches, allotments, partition, reservoirs
from tuneworth.tasks import Examples

WORDS = ("soup", "bread", "train", "rail", "actor", "film", "goal", "match", "court", "law")


def examples(size: int, kind: str, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 4)) + f" {i}" for i in range(size)]
    labels: Any = rng.permutation(np.arange(size) % 3) if kind == "classification" else rng.normal(size=size)
    return Examples(texts, None, labels)


def stream(**changes: Any) -> StreamTrial:
    return StreamTrial(**{"kind": "data", "tasks": ("t",), "length": None, "chunk": 10, **changes})


kinds = st.sampled_from(["classification", "regression"])
seeds = st.integers(0, 2**31 - 1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(12, 80),
    st.none() | st.integers(1, 100),
    kinds,
    seeds,
    st.sampled_from(["none", "label-shift", "noise-burst"]),
)
def test_a_drift_keeps_the_examples_that_arrive(
    size: int, length: int | None, kind: str, seed: int, drift: Any
) -> None:
    data = examples(size, kind)
    calm, drifting = (arrange(data, kind, stream(length=length, drift=d), seed) for d in ("none", drift))
    assert len(set(calm.which)) == len(calm.which) == min(size, length or size)
    assert set(drifting.which) == set(calm.which)
    again = arrange(data, kind, stream(length=length, drift=drift), seed)
    assert (again.which == drifting.which).all()
    assert (again.labels == drifting.labels).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 120), kinds, seeds)
def test_a_noise_burst_spoils_its_share_of_labels_within_it_and_nowhere_else(size: int, kind: str, seed: int) -> None:
    data = examples(size, kind)
    seen = arrange(data, kind, stream(drift="noise-burst"), seed)
    spoilt = np.flatnonzero(seen.labels[seen.which] != data.labels[seen.which])
    start, end = round(0.4 * size), round(0.6 * size)
    struck = round(NOISE_SHARE * (end - start))
    assert ((start <= spoilt) & (spoilt < end)).all()
    if kind == "classification":
        assert len(spoilt) == struck
    else:
        assert len(spoilt) <= struck
        assert sorted(seen.labels) == sorted(data.labels)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_share_of_late_labels_rises_as_it_is_documented(kind: str) -> None:
    labels: Any = np.arange(6000) % 2 if kind == "classification" else np.arange(6000) / 7.0
    seen = arrange(Examples(["x"] * 6000, None, labels), kind, stream(drift="label-shift"), 3)
    late = labels[seen.which] > np.median(labels)
    for fifth in range(5):
        share = late[1200 * fifth : 1200 * (fifth + 1)].mean()
        assert abs(share - (fifth + 0.5) / 5) < 0.05


def test_topics_arrive_one_after_another_and_all_of_them() -> None:
    topics = ("soup bread kitchen", "goal match team", "court law judge", "film actor scene", "train rail station")
    texts = [f"{topics[i % 5]} {topics[i % 5].split()[i % 3]}" for i in range(100)]
    data = Examples(texts, None, np.arange(100) % 2)
    seen = arrange(data, "classification", stream(drift="topic-order"), 1)
    assert sorted(seen.which) == list(range(100))
    changes = np.count_nonzero(np.diff(seen.which % 5))
    assert changes == 4
    other = arrange(data, "classification", stream(drift="topic-order"), 2)
    assert list(other.which) != list(seen.which)


def test_the_file_s_order_is_kept() -> None:
    assert list(arrange(examples(20, "regression"), "regression", stream(order="file", length=7), 5).which) == list(
        range(7)
    )


@given(st.integers(1, 400), st.integers(1, 100))
def test_chunks_partition_the_stream(size: int, chunk: int) -> None:
    parts = partition(size, chunk)
    assert np.concatenate(parts).tolist() == list(range(size))
    assert all(len(part) == chunk for part in parts[:-1])
    assert len(parts[-1]) >= min(chunk, size)


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 200), st.integers(5, 20), st.integers(1, 60), seeds)
def test_a_reservoir_holds_as_many_as_it_can_of_what_came_before(size: int, chunk: int, buffer: int, seed: int) -> None:
    parts = partition(size, chunk)
    for part, kept in zip(parts, reservoirs(parts, buffer, seed), strict=True):
        assert len(set(kept)) == len(kept) == min(buffer, part[0])
        assert (kept < part[0]).all()


def test_a_reservoir_is_uniform() -> None:
    """Each of 60 earlier examples is among the 12 kept equally often, by a chi-square test at 0.1%."""
    parts = partition(80, 20)
    counts = np.zeros(60)
    for seed in range(2000):
        counts[reservoirs(parts, 12, seed)[3]] += 1
    assert chisquare(counts).pvalue > 0.001


@settings(max_examples=30, deadline=None)
@given(st.integers(40, 120), st.sampled_from([4, 8]), st.sampled_from([0, 10, 50]), seeds)
def test_an_epoch_of_a_chunk_is_the_whole_chunk_and_replay_comes_from_before(
    size: int, batch: int, buffer: int, seed: int
) -> None:
    parts = partition(size, 20)
    batches = ChunkBatches(np.full(size, 9), parts, batch, seed, buffer)
    whole, ends = allotments(Budget(amount=1, unit="epochs"), batches)
    assert whole.unit == "steps"
    assert whole.amount == ends[-1]
    start = 0
    for number, (part, end) in enumerate(zip(parts, ends, strict=True)):
        batches.begin(number, start)
        taken = [batches.at(step) for step in range(start, int(end))]
        assert all(len(set(places)) == len(places) <= batch for places in taken)
        seen = np.concatenate(taken)
        assert sorted(seen[seen >= part[0]]) == part.tolist()
        replayed = seen[seen < part[0]]
        assert (len(replayed) > 0) == (buffer > 0 and number > 0)
        assert set(replayed) <= set(batches.memories[number])
        start = int(end)
