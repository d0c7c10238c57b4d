"""The progress display: bars where someone watches, a line a change where no one does."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
from rich.console import Console

from synthetic import make
from tuneworth.display import Display, describe
from tuneworth.events import Progress
from tuneworth.progress import Board, Forecast
from tuneworth.spec import Budget, TrialRecord, TrialSpec
from tuneworth.store import Counts
from tuneworth.words import duration


@pytest.fixture
def records() -> list[TrialRecord]:
    return make(methods=["full", "bitfit"], tasks=["glue/mrpc", "[bold]odd[/x]"], seeds=1, fractions=[0.3]).trials


def board(records: list[TrialRecord], shares: dict[int, float], took: float = 60.0, **changes: Any) -> Board:
    """Trials of `shares` are running; any that ended took `took` seconds each; more in `changes`."""
    counts = Counts(**{name: changes.pop(name) for name in Counts.__dataclass_fields__ if name in changes})
    progress = {records[i].trial.key: Progress(records[i].trial.key, share, 120.4) for i, share in shares.items()}
    shown = Board(counts, {key: r for r in records if (key := r.trial.key) in progress}, progress, **changes)
    waiting = records[: counts.pending + counts.running]
    shown.waiting = {record.trial.key: record.trial for record in waiting}
    if counts.done:
        shown.forecast.took(records[-1].trial, took)
    return shown


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
        assert shown.progress.lines == ("0/4 trials",)
        assert [note for _, note in rows(shown)] == ["", "120 examples/s", "120 examples/s"]
        assert shown.progress.tasks[0].completed == 0.75
        assert shown.progress.tasks[1].completed == 0.25
        shown(board(records, {2: 0.9}, pending=2, running=1, done=1))
        assert [note for _, note in rows(shown)][1:] == ["120 examples/s"]
        shown.progress.refresh()
        shown(board(records, {}, pending=2, done=2))
        assert len(rows(shown)) == 1
    text = file.getvalue()
    assert "full glue/mrpc 30% 3 epochs seed 0" in text
    assert "full [bold]odd[/x] 30% 3 epochs seed 0" in text  # a name is never read as markup


def test_a_trial_that_waits_or_loads_says_so(records: list[TrialRecord]) -> None:
    shown, _ = display(terminal=True)
    key = records[0].trial.key
    with shown:
        shown(Board(Counts(running=1), {key: records[0]}))
        assert rows(shown)[1][1] == "loading"
        shown(Board(Counts(running=1), {key: records[0]}, {key: Progress(key, 0.0, 0.0)}))
        assert rows(shown)[1][1] == "waiting for the device"


def test_the_time_left_follows_what_trials_alike_took(records: list[TrialRecord]) -> None:
    full, bitfit = records[0].trial, records[1].trial
    assert (full.kind, bitfit.kind) == ("full", "bitfit")
    forecast = Forecast()
    assert forecast.left([full], {}, 1) is None
    forecast.going(full, 0.05, 3.0)
    assert forecast.left([full], {}, 1) is None  # too little to tell
    forecast.going(full, 0.5, 20.0)
    assert forecast.left([full], {full.key: 0.5}, 1) == 20.0
    for seconds in (70.0, 30.0, 30.0):  # the first one started torch
        forecast.took(full, seconds)
    assert forecast.of(full) == forecast.of(bitfit) == 30.0
    forecast.took(bitfit, 10.0)
    assert forecast.of(bitfit) == 10.0
    assert forecast.left([full, bitfit], {}, 2) == 20.0


def test_races_of_learning_rates_and_what_follows_them_are_part_of_the_time_left(records: list[TrialRecord]) -> None:
    """A heat of a tenth tells how long the trials that it chooses a rate for will take."""
    whole = records[0].trial
    heat = TrialSpec.model_validate({**whole.model_dump(), "budget": Budget.parse("0.3epochs"), "tunes": whole.budget})
    here = Board(Counts(pending=1, done=1), ahead=[whole, whole])
    here.waiting = {heat.key: heat}
    assert here.seconds_left is None
    here.forecast.took(heat, 6.0)
    assert here.seconds_left == pytest.approx(6.0 + 2 * 60.0)


def test_trials_with_a_budget_in_seconds_run_one_by_one(records: list[TrialRecord]) -> None:
    timed = records[0].trial.model_copy(update={"budget": Budget.parse("10s")})
    forecast = Forecast()
    forecast.took(timed, 14.0)
    assert forecast.left([timed, timed], {}, 2) == 28.0


def test_the_time_left_names_the_limit_where_it_comes_first(records: list[TrialRecord]) -> None:
    shown, file = display(terminal=False)
    with shown:
        shown(board(records, {}, pending=2, done=1))
        shown(board(records, {}, pending=2, done=2, deadline=time.monotonic() + 30))
        shown(board(records, {}, pending=2, done=3, growing=True, open_groups=1, deadline=time.monotonic() + 3600))
        shown(board(records, {}, done=4))
    said = re.sub(r", at \d\d:\d\d", ", at 12:34", file.getvalue())
    assert said.splitlines() == [
        "1/3 trials, about 2 min left", "2/4 trials, stops in 30 s, at 12:34",
        "3/5 trials, groups still open: 1, about 2 min to the next look", "4/4 trials",
    ]  # fmt: skip


def test_a_leaderboard_says_what_is_known_so_far(records: list[TrialRecord]) -> None:
    shown, _ = display(terminal=True)
    here = board(records, {0: 0.25}, pending=2, running=1, done=3)
    for ended, (trial, score) in enumerate(
        ((records[0].trial, 80.0), (records[1].trial, 82.0), (records[0].trial, 81.0))
    ):
        here.scored(trial, score)
        here.ended.append(30.0 * ended)
    with shown:
        shown(here)
        assert shown.progress.lines[0] == "3/6 trials, 2.0 a minute"
        text = io.StringIO()
        Console(file=text, width=60, color_system=None).print(shown.progress.known)
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert lines == ["so far: glue/mrpc, 30% of the training data, 3 epochs", "bitfit 82.0 1 seed", "full 80.5 2 seeds"]


def test_a_race_of_learning_rates_is_no_score(records: list[TrialRecord]) -> None:
    trial = records[0].trial
    here = Board(Counts())
    here.scored(TrialSpec.model_validate({**trial.model_dump(), "tunes": trial.budget}), 99.0)
    assert here.scores == {}


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_no_word_of_the_time_left_is_cut_off(records: list[TrialRecord], width: int) -> None:
    file = io.StringIO()
    shown = Display("a-study-with-a-long-name", Console(file=file, force_terminal=True, width=width, color_system=None))
    with shown:
        shown(board(records, {0: 0.25}, pending=50, running=1, done=69, failed=2, open_groups=3))
        shown.progress.refresh()
    assert "left" in " ".join(file.getvalue().split())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (42.4, "42 s"), (89.4, "89 s"), (90, "2 min"), (3540, "59 min"), (3600, "1 h 0 min"), (4830, "1 h 20 min"),
     (3599, "1 h 0 min"), (90_000, "25 h 0 min")],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_trial_in_a_few_words(records: list[TrialRecord]) -> None:
    assert describe(records[0].trial) == "full glue/mrpc 30% 3 epochs seed 0"
