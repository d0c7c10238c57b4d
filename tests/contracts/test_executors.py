"""What every executor promises: jobs in, events out, failures as events."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tuneworth.events import Died, Event, Failed, Finished, Job, Progress
from tuneworth.executors import Executor
from tuneworth.executors.inline import InlineExecutor
from tuneworth.executors.processes import ProcessExecutor
from tuneworth.study import Study

MAKERS: dict[str, Callable[[], Executor]] = {
    "inline": lambda: InlineExecutor(1),
    "one process": lambda: ProcessExecutor(1, 1),
    "two processes": lambda: ProcessExecutor(2, 1),
}


@pytest.fixture(params=list(MAKERS))
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made = MAKERS[request.param]()
    yield made
    made.close()


@pytest.fixture
def jobs(make_study: Callable[..., Study], tmp_path: Path) -> list[Job]:
    study = make_study()
    prepared = study.prepare()
    return [
        Job(
            trial,
            prepared.model_sources[trial.model],
            study.spec.task["reviews"],
            None,
            tmp_path / "files",
            "reviews",
            "cpu",
        )
        for trial in prepared.trials
    ]


def drain(executor: Executor, jobs: list[Job]) -> list[Event]:
    waiting, flying, events = list(jobs), 0, []
    while waiting or flying:
        while waiting and flying < executor.slots:
            executor.submit(waiting.pop(0))
            flying += 1
        for event in executor.poll(5.0):
            events.append(event)
            flying -= not isinstance(event, Progress)
    return events


def test_every_job_ends_in_one_event_and_the_same_numbers_everywhere(executor: Executor, jobs: list[Job]) -> None:
    events = drain(executor, jobs)
    finished = {event.key: event.result for event in events if isinstance(event, Finished)}
    assert set(finished) == {job.trial.key for job in jobs}
    assert all(0 <= event.share <= 1 and event.rate > 0 for event in events if isinstance(event, Progress))
    plain = InlineExecutor(1)
    plain.submit(jobs[0])
    (expected,) = [event.result for event in plain.poll(0) if isinstance(event, Finished)]
    assert finished[jobs[0].trial.key].score == expected.score
    assert [p.loss for p in finished[jobs[0].trial.key].curve] == [p.loss for p in expected.curve]


def test_a_trial_that_fails_is_an_event_with_its_reason_and_the_executor_goes_on(
    executor: Executor, jobs: list[Job]
) -> None:
    changed = jobs[0].trial.model_copy(update={"task_fingerprint": "0" * 16})
    bad = Job(**{**vars(jobs[0]), "trial": changed})
    events = [event for event in drain(executor, [bad, jobs[1]]) if not isinstance(event, Progress)]
    by_key = {event.key: event for event in events}
    failed = by_key[bad.trial.key]
    assert isinstance(failed, Failed)
    assert "changed after the study was planned" in failed.error
    assert isinstance(by_key[jobs[1].trial.key], Finished)


def test_a_killed_worker_is_an_event_and_a_new_one_takes_its_place(jobs: list[Job]) -> None:
    executor = ProcessExecutor(1, 1)
    try:
        executor.submit(jobs[0])
        event: Event = next(iter(executor.poll(60)))
        worker = executor._workers[0]
        assert isinstance(event, Progress)
        assert worker is not None
        os.kill(int(worker.process.pid or 0), signal.SIGKILL)
        last = [*executor.poll(60)][-1]
        assert isinstance(last, (Died, Finished))  # it may have been done just before
        if isinstance(last, Died):
            assert "SIGKILL" in last.reason
        assert isinstance(drain(executor, [jobs[1]])[-1], Finished)
    finally:
        executor.close()


def test_closing_leaves_no_process_behind(jobs: list[Job]) -> None:
    executor = ProcessExecutor(2, 1)
    for job in jobs[:2]:
        executor.submit(job)
    processes = [worker.process for worker in executor._workers if worker]
    assert all(process.is_alive() for process in processes)
    executor.close()
    assert not any(process.is_alive() for process in processes)


def test_after_the_first_trial_libraries_are_out_of_the_collector_s_sight_until_the_end(jobs: list[Job]) -> None:
    executor = InlineExecutor(1)
    drain(executor, jobs[:1])
    assert gc.get_freeze_count() > 100_000
    executor.close()
    assert gc.get_freeze_count() == 0
