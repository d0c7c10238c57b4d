"""The progress display of a run: trials done, what trains now and how fast, time left. Plain lines where no one watches."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from tuneworth.progress import Board
    from tuneworth.spec import TrialSpec


class _Note(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("note", "")), style="dim", no_wrap=True)


class Display:
    """Call it with each Board; use it as a context, so that the terminal is left clean."""

    def __init__(self, study: str, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr)
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.percentage:>3.0f}%"), _Note(),
            console=self.console, transient=True, disable=not self.console.is_terminal, refresh_per_second=5,
        )  # fmt: skip
        self.whole = self.progress.add_task(f"[bold]{study}", total=None, note="getting ready")
        self.rows: dict[str, TaskID] = {}
        self.started = time.monotonic()
        self.first_done: int | None = None
        self.said = (-1, -1)
        self.notice = ""

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, board: Board) -> None:
        if board.notice != self.notice:
            self.notice = board.notice
            if self.notice:
                self.console.print(self.notice, markup=False, highlight=False, soft_wrap=True)
        counts = board.counts
        ended = counts.done + counts.failed
        if self.first_done is None:
            self.first_done, self.started = ended, time.monotonic()
        shares = sum(event.share for event in board.progress.values())
        here = ended - self.first_done + shares
        left = self._left(here, counts.total - ended - shares)
        note = f"{ended}/{counts.total} trials" + (f", {counts.failed} failed" if counts.failed else "")
        note += f", groups still open: {board.open_groups}" if board.open_groups else ""
        note += left
        self.progress.update(self.whole, total=counts.total, completed=ended + shares, note=note)
        self._show_running(board)
        if not self.console.is_terminal and (counts.done, counts.failed) != self.said:
            self.said = (counts.done, counts.failed)
            self.console.print(note, highlight=False)

    def _show_running(self, board: Board) -> None:
        for key in [key for key in self.rows if key not in board.running]:
            self.progress.remove_task(self.rows.pop(key))
        for key, record in board.running.items():
            if key not in self.rows:
                self.rows[key] = self.progress.add_task(
                    "  " + escape(describe(record.trial)), total=1.0, note="loading"
                )
            event = board.progress.get(key)
            if event:
                note = f"{event.rate:.0f} examples/s" if event.rate else "waiting for the device"
                self.progress.update(self.rows[key], completed=event.share, note=note)

    def _left(self, done_here: float, left: float) -> str:
        if done_here < 0.5 or left <= 0:
            return ""
        seconds = (time.monotonic() - self.started) / done_here * left
        return f", about {duration(seconds)} left"


def describe(trial: TrialSpec) -> str:
    return f"{trial.method} {trial.task} {trial.fraction:.0%} {trial.budget} seed {trial.seed}"


def duration(seconds: float) -> str:
    """Two units at most: 42 s, 3 min, 1 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
