"""The report in a terminal of 80 columns: `tuneworth results`, and the end of `run` and `demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneworth import words
from tuneworth.report.plain import Plain
from tuneworth.report.value import Report
from tuneworth.results.cells import Cell, Group
from tuneworth.terminal import Fitted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.console import Group as Lines
    from rich.table import Table
    from rich.text import Text

__all__ = ["results", "show", "summary"]

SHOWN = 5
"""Failures that a terminal lists; a study may have thousands."""


def show(report: Report, console: Console) -> None:
    """Print `results`."""
    console.print(results(report))


def results(report: Report) -> Lines:
    """Every group of the study as a table, what one must know to read them, and the advice."""
    return _lines(report, report.groups)


def summary(report: Report) -> Lines:
    """The same with the featured groups alone, where the whole study would fill many screens."""
    return _lines(report, report.featured)


def _lines(report: Report, groups: tuple[Group, ...]) -> Lines:
    from rich.console import Group as Lines
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = []
    width = max((len(cell.method) for group in groups for cell in group.cells), default=0)
    for group in groups:
        parts += [_title(group, report), Fitted(_table(group, report, min(max(width, 8), 15))), *_tuned(group), Text()]
    parts += [Text(f"! {caution}", style="yellow") for caution in report.cautions]
    parts += [Text(f"  {failure.trial}: {failure.error}") for failure in report.failures[:SHOWN]]
    if len(report.failures) > SHOWN:
        parts.append(Text(f"  and {len(report.failures) - SHOWN} more; the report has them all"))
    if report.cautions:
        parts.append(Text())
    parts += [Padding(_advice(advice, several=len(report.plain) > 1), (0, 0, 1, 0)) for advice in report.plain]
    return Lines(*parts)


def _tuned(group: Group) -> list[RenderableType]:
    """What each method's learning rate was chosen from, and what that cost."""
    from rich.text import Text

    each = [
        f"{cell.method} {cell.recipe['learning_rate']:g} ({cell.recipes_tried} tried, {words.seconds(cell.tuning_seconds)})"
        for cell in group.cells if cell.tried
    ]  # fmt: skip
    return [Text(f"chosen on validation: {', '.join(each)}", style="dim")] if each else []


def _advice(advice: Plain, several: bool) -> Text:
    """The words that the report opens with; where there are several, each says what it is about."""
    from rich.text import Text

    text = Text(f"{advice.where}: " if several else "")
    text.append(advice.act, style="bold")
    text.append(f" {advice.why}" if advice.why else "")
    return text.append(f" Evidence: {advice.grade}. {advice.meaning}")


def _title(group: Group, report: Report) -> RenderableType:
    from rich.text import Text

    title = Text(group.task, style="bold")
    if len({one.model for one in report.groups}) > 1:
        title.append(f" with {group.model}")
    title.append(
        f", {words.fraction(group.fraction)} of the training data, {words.budget(group.budget)}", style="not bold"
    )
    if group.baseline is not None:
        title.append(f"; baseline {words.points(group.baseline)}", style="dim not bold")
    return title


def _table(group: Group, report: Report, method_width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    table.add_column("method", width=method_width, overflow="fold")
    table.add_column(words.metric(group.metric), justify="right", min_width=11, no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    if report.reference:
        table.add_column(f"against {report.reference}", justify="right", min_width=21)
    table.add_column("trained", justify="right", min_width=7, no_wrap=True)
    table.add_column("time", justify="right", min_width=10, no_wrap=True)
    for cell in group.cells:
        table.add_row(*(Text(text) for text in _row(cell, report)))
    return table


def _row(cell: Cell, report: Report) -> list[str]:
    score = words.spread(cell.mean, cell.deviation) if cell.scores else "failed" if cell.failed else "not run"
    done, planned = len(cell.scores), cell.planned
    row = [cell.method, score, str(done) if done == planned else f"{done}/{planned}"]
    if report.reference:
        row.append(_difference(cell))
    return [*row, words.share(cell.trainable_share), words.seconds(cell.train_seconds)]


def _difference(cell: Cell) -> str:
    pair = cell.against_full
    if pair is None:
        return words.NOTHING
    if pair.interval is None:
        return f"{words.change(pair.difference)} ({words.agreeing(pair.seeds)})"
    return f"{words.change(pair.difference)} ({words.between(pair.interval)})"
