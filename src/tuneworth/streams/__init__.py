"""Streams: data that arrives in chunks, and tasks that arrive one after another, run as the trials of a study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuneworth.spec import StreamTrial

if TYPE_CHECKING:
    import torch

    from tuneworth.events import Event, Job

__all__ = ["run_stream", "stream_of"]


def run_stream(job: Job, device: torch.device) -> Iterator[Event]:
    """Run one trial that is a stream: Progress as it goes on, Finished at its end. Raises TrialError."""
    from tuneworth.streams.data import run_data_stream
    from tuneworth.streams.tasks import run_task_stream

    return (run_data_stream if stream_of(job).kind == "data" else run_task_stream)(job, device)


def stream_of(job: Job) -> StreamTrial:
    assert job.trial.stream is not None, "ordinary trials are not run here"
    return job.trial.stream
