"""The progress display of a run: trials done, what trains now and how fast, time left. Plain lines where no one watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from tuneworth import words
from tuneworth.progress import Board

if TYPE_CHECKING:
    from tuneworth.spec import TrialSpec


class _Note(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("note", "")), style="dim", no_wrap=True)


class _Bars(Progress):
    """Bars under a line in words, which is folded rather than cut where the terminal is narrow."""

    line = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.line:
            yield Text(self.line)
        yield self.make_tasks_table(self.tasks)


class Display:
    """Call it with each Board; use it as a context, so that the terminal is left clean."""

    def __init__(self, study: str, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr)
        bar = 20 if self.console.width >= 100 else 8
        self.progress = _Bars(
            TextColumn("{task.description}"), BarColumn(bar_width=bar), TextColumn("{task.percentage:>3.0f}%"), _Note(),
            console=self.console, transient=True, disable=not self.console.is_terminal, refresh_per_second=5,
        )  # fmt: skip
        self.whole = self.progress.add_task(f"[bold]{escape(study)}", total=None, note="getting ready")
        self.rows: dict[str, TaskID] = {}
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
        shares = sum(event.share for event in board.progress.values())
        done = f"{ended}/{counts.total} trials" + (f", {counts.failed} failed" if counts.failed else "")
        said = ", ".join([done, *_open(board), *_time_left(board)])
        self.progress.update(self.whole, total=counts.total, completed=ended + shares, note="")
        self.progress.line = said
        self._show_running(board)
        if not self.console.is_terminal and (counts.done, counts.failed) != self.said:
            self.said = (counts.done, counts.failed)
            self.console.print(said, highlight=False, soft_wrap=True)

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


def _open(board: Board) -> list[str]:
    return [f"groups still open: {board.open_groups}"] if board.open_groups else []


def _time_left(board: Board) -> list[str]:
    """What is planned, or the time limit where that comes first; a run until decided may plan more."""
    left, limit = board.seconds_left, board.seconds_to_limit
    if limit < (left if left is not None else inf):
        return [f"stops in {words.duration(max(0.0, limit))}"]
    if not left:
        return []
    return [f"about {words.duration(left)} " + ("to the next look" if board.growing else "left")]


def describe(trial: TrialSpec) -> str:
    return f"{trial.method} {trial.task} {trial.fraction:.0%} {trial.budget} seed {trial.seed}"
