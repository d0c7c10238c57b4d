"""The progress display of a run: trials done, what trains now and how fast, time left. Plain lines where no one watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from html import escape as escape_html
from math import inf
from statistics import fmean
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from tuneworth import words
from tuneworth.progress import Board

if TYPE_CHECKING:
    from tuneworth.spec import TrialSpec

LEADERS = 8
"""Methods that a run shows while it goes on."""


class _Note(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("note", "")), style="dim", no_wrap=True)


class _Bars(Progress):
    """Lines in words, which are folded rather than cut where the terminal is narrow; bars; what is known so far."""

    lines: tuple[str, ...] = ()
    known: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from map(Text, self.lines)
        yield self.make_tasks_table(self.tasks)
        if self.known is not None:
            yield self.known


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
        self.cell = _notebook_cell() if self.console.is_jupyter else None

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
        self.progress.lines = tuple(
            filter(None, (", ".join([done, *_rate(board)]), ", ".join([*_open(board), *_time_left(board)])))
        )
        self.progress.known = _leaderboard(board)
        if self.cell is not None:
            self.cell.update(_html(said, ended + shares, counts.total, board))
            return
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


def _rate(board: Board) -> list[str]:
    return [] if board.rate is None else [f"{board.rate:.1f} a minute"]


def _leaders(board: Board) -> tuple[str, list[tuple[str, str, int]]]:
    """Where the last trial finished, and there the methods: name, mean score, seeds; best first. Nothing is known at first."""
    if not board.scores:
        return "", []
    model, task, fraction, budget = list(board.scores)[-1]
    methods = sorted(board.scores[model, task, fraction, budget].items(), key=lambda one: -fmean(one[1]))
    where = f"{task}, {words.fraction(fraction)} of the training data, {words.budget(budget)}"
    return where, [(method, words.points(fmean(scores)), len(scores)) for method, scores in methods[:LEADERS]]


def _leaderboard(board: Board) -> RenderableType | None:
    where, leaders = _leaders(board)
    if not leaders:
        return None
    table = Table(box=None, show_header=False, pad_edge=False)
    for method, mean, seeds in leaders:
        table.add_row(Text(method), mean, Text(words.several(seeds, "seed"), style="dim"))
    return Group(Text(f"so far: {where}", style="dim"), table)


def _notebook_cell() -> Any:
    """Where a notebook shows the run: one output that is replaced."""
    from IPython.display import HTML, display

    return display(HTML("getting ready"), display_id=True)


def _html(said: str, ended: float, total: int, board: Board) -> Any:
    from IPython.display import HTML

    where, leaders = _leaders(board)
    rows = "".join(
        f"<tr><td>{escape_html(m)}</td><td>{mean}</td><td>{words.several(n, 'seed')}</td></tr>"
        for m, mean, n in leaders
    )
    table = f"<table><caption>so far: {escape_html(where)}</caption>{rows}</table>" if rows else ""
    return HTML(f'<progress value="{ended:.2f}" max="{max(1, total)}"></progress> {escape_html(said)}{table}')


def _open(board: Board) -> list[str]:
    return [f"groups still open: {board.open_groups}"] if board.open_groups else []


def _time_left(board: Board) -> list[str]:
    """What is planned, or the time limit where that comes first; a run until decided may plan more."""
    left, limit = board.seconds_left, board.seconds_to_limit
    if limit < (left if left is not None else inf):
        return [f"stops in {words.duration(max(0.0, limit))}, at {_clock(limit)}"]
    if not left:
        return []
    return [f"about {words.duration(left)} " + ("to the next look" if board.growing else "left")]


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M", time.localtime(time.time() + max(0.0, seconds)))


def describe(trial: TrialSpec) -> str:
    return f"{trial.method} {trial.task} {trial.fraction:.0%} {words.budget(trial.budget)} seed {trial.seed}"
