"""The report of a stream study in a terminal: one table a stream, then the advice. Times are of training, a chunk or task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneworth import words
from tuneworth.report.streams import DataPanel, StreamReport, TaskPanel
from tuneworth.terminal import Fitted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["show_streams"]


def show_streams(report: StreamReport, console: Console) -> None:
    from rich.text import Text

    for panel in report.data:
        console.print(Text(f"{panel.title}, prequential {panel.metric} in chunks of {panel.chunk}; baseline "
                           f"{words.points(panel.baseline[-1])}", style="bold"))  # fmt: skip
        console.print(Fitted(_data_table(panel)), Text())
    for stream in report.tasks:
        console.print(Text(f"{stream.title}; baseline {words.points(sum(stream.baselines) / len(stream.baselines))}",
                           style="bold"))  # fmt: skip
        console.print(Fitted(_task_table(stream)), Text())
    for caution in report.base.cautions:
        console.print(Text(f"! {caution}", style="yellow"))
    for failure in report.base.failures[:5]:
        console.print(Text(f"  {failure.trial}: {failure.error}"))
    for sentence in report.advice:
        console.print(Text(sentence, style="bold"), soft_wrap=True)  # or a long name of a model would be broken


def _data_table(panel: DataPanel) -> Table:
    table = _table("method", panel.metric, "last chunk", "seeds", "trained", "time")
    for cell in panel.cells:
        table.add_row(cell.method, words.spread(cell.mean, cell.deviation), words.points(cell.points[-1].score),
                      str(cell.seeds), words.share(cell.trained), words.seconds(cell.seconds))  # fmt: skip
    return table


def _task_table(panel: TaskPanel) -> Table:
    table = _table("method", "mode", "average", "forgetting", "transfer", "seeds", "stored", "time")
    for cell in panel.cells:
        table.add_row(cell.method, cell.mode, words.spread(cell.mean, cell.deviation), words.points(cell.forgetting),
                      words.NOTHING if cell.transfer is None else words.change(cell.transfer), str(cell.seeds),
                      words.size(cell.stored[-1]), words.seconds(cell.seconds))  # fmt: skip
    return table


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in ("method", "mode") else "right", no_wrap=True)
    return table
