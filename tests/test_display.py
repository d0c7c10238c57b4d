"""The progress display: bars where someone watches, a line a change where no one does."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from synthetic import make
from tuneworth.display import Display, describe, duration
from tuneworth.events import Progress
from tuneworth.spec import TrialRecord
from tuneworth.store import Counts
from tuneworth.study import Board


@pytest.fixture
def records() -> list[TrialRecord]:
    return make(methods=["full", "bitfit"], tasks=["glue/mrpc", "[bold]odd[/x]"], seeds=1, fractions=[0.3]).trials


def board(records: list[TrialRecord], shares: dict[int, float], **counts: int) -> Board:
    progress = {records[i].trial.key: Progress(records[i].trial.key, share, 120.4) for i, share in shares.items()}
    return Board(Counts(**counts), {key: r for r in records if (key := r.trial.key) in progress}, progress)


def display(terminal: bool) -> tuple[Display, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, color_system=None)
    return Display("first", console), file


def rows(shown: Display) -> list[tuple[str, Any]]:
    return [(str(task.description), task.fields["note"]) for task in shown.progress.tasks]


def test_a_log_gets_one_line_a_change(records: list[TrialRecord]) -> None:
    shown, file = display(terminal=False)
    with shown:
        shown(board(records, {}, pending=4))
        shown(board(records, {0: 0.2}, pending=3, running=1))
        shown(board(records, {0: 0.6}, pending=3, running=1))
        shown(board(records, {}, pending=3, done=1))
        shown(board(records, {1: 0.1}, pending=2, running=1, done=1))
        shown(board(records, {}, pending=2, done=1, failed=1))
    lines = file.getvalue().splitlines()
    assert [line.split(", about")[0] for line in lines] == ["0/4 trials", "1/4 trials", "2/4 trials, 1 failed"]


def test_a_terminal_shows_what_trains_now(records: list[TrialRecord]) -> None:
    shown, file = display(terminal=True)
    with shown:
        shown(board(records, {0: 0.25, 2: 0.5}, pending=2, running=2))
        assert [note for _, note in rows(shown)] == ["0/4 trials, about 0 s left", "120 examples/s", "120 examples/s"]
        assert shown.progress.tasks[0].completed == 0.75
        assert shown.progress.tasks[1].completed == 0.25
        shown(board(records, {2: 0.9}, pending=2, running=1, done=1))
        assert [note for _, note in rows(shown)][1:] == ["120 examples/s"]
        shown.progress.refresh()
        shown(board(records, {}, pending=2, done=2))
        assert len(rows(shown)) == 1
    text = file.getvalue()
    assert "full glue/mrpc 30% 3epochs seed 0" in text
    assert "full [bold]odd[/x] 30% 3epochs seed 0" in text  # a name is never read as markup


def test_a_trial_that_waits_or_loads_says_so(records: list[TrialRecord]) -> None:
    shown, _ = display(terminal=True)
    key = records[0].trial.key
    with shown:
        shown(Board(Counts(running=1), {key: records[0]}))
        assert rows(shown)[1][1] == "loading"
        shown(Board(Counts(running=1), {key: records[0]}, {key: Progress(key, 0.0, 0.0)}))
        assert rows(shown)[1][1] == "waiting for the device"


def test_the_time_left_counts_this_run_alone(records: list[TrialRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tuneworth.display.time.monotonic", lambda: now[0])
    shown, _ = display(terminal=True)
    with shown:
        shown(board(records, {}, pending=6, done=4))  # four were done before: they took no time here
        assert rows(shown)[0][1] == "4/10 trials"
        now[0] += 60
        shown(board(records, {0: 0.5}, pending=4, running=1, done=5))
        assert rows(shown)[0][1] == "5/10 trials, about 3 min left"  # 1.5 trials a minute, 4.5 to go
        now[0] += 180
        shown(board(records, {}, done=10))
        assert rows(shown)[0][1] == "10/10 trials"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (42.4, "42 s"), (89.4, "89 s"), (90, "2 min"), (3540, "59 min"), (3600, "1 h 0 min"), (4830, "1 h 20 min"),
     (3599, "1 h 0 min"), (90_000, "25 h 0 min")],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_trial_in_a_few_words(records: list[TrialRecord]) -> None:
    assert describe(records[0].trial) == "full glue/mrpc 30% 3epochs seed 0"
