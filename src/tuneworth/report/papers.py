"""The grid of a study as a table for a paper, a page or a spreadsheet: LaTeX, Markdown, HTML, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html import escape
from typing import Literal, get_args

from tuneworth import words
from tuneworth.report.value import Report
from tuneworth.report.views.grid import Entry, Grid, grids
from tuneworth.report.views.summaries import summaries

__all__ = ["FORMATS", "Format", "table"]

Format = Literal["markdown", "latex", "html", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)


def table(report: Report, format: Format = "markdown") -> str:
    """One table a model and task; in CSV one for all, a row a cell. Bold is the highest mean, = what is shown to be within the
    margin of the best (see `views.grid`); in brackets stands the interval of the mean."""
    found = grids(report, summaries(report))
    if format == "csv":
        return _csv(found)
    write = {"markdown": _markdown, "latex": _latex, "html": _html}[format]
    return "\n".join(write(one, _caption(one, report)) for one in found)


def _caption(grid: Grid, report: Report) -> str:
    sure = f"{100 * report.question.confidence:g}%"
    return (f"{words.metric(grid.metric)} on {grid.task} ({grid.model}), in points: mean over seeds and its {sure} interval. "
            f"Bold: the highest mean. =: shown to be within {report.question.margin:g} of the best.")  # fmt: skip


def _heads(grid: Grid) -> list[str]:
    return [f"{words.fraction(fraction)}, {words.budget(budget)}" for fraction, budget in grid.columns]


def _said(entry: Entry | None, bold: Callable[[str], str], small: Callable[[str], str], equal: str) -> str:
    if entry is None:
        return words.NOTHING
    mean = words.points(entry.mean)
    low_high = f"({words.points(entry.interval[0])} to {words.points(entry.interval[1])})" if entry.interval else ""
    marked = (bold(mean) if entry.best else mean) + (equal if entry.equal else "")
    return f"{marked} {small(low_high)}" if low_high else marked


def _markdown(grid: Grid, caption: str) -> str:
    def plain(text: str) -> str:
        return text.replace("|", "\\|")

    rows = [["method", *_heads(grid)], ["---", *["---:"] * len(grid.columns)]]
    rows += [
        [plain(method), *(_said(entry, lambda text: f"**{text}**", str, " =") for entry in entries)]
        for method, entries in grid.entries.items()
    ]
    return "\n".join([caption, "", *("| " + " | ".join(row) + " |" for row in rows), ""])


def _html(grid: Grid, caption: str) -> str:
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in ("method", *_heads(grid)))
    rows = []
    for method, entries in grid.entries.items():
        said = (
            _said(entry, lambda text: f"<b>{text}</b>", lambda text: f"<small>{text}</small>", " =")
            for entry in entries
        )
        rows.append(f'<tr><th scope="row">{escape(method)}</th>{"".join(f"<td>{one}</td>" for one in said)}</tr>')
    body = "\n".join(rows)
    return f"<table>\n<caption>{escape(caption)}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", words.MINUS: "$-$", "²": "$^2$",
          words.NOTHING: "--"} | {sign: f"\\{sign}" for sign in "&%$#_{}"}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def _latex(grid: Grid, caption: str) -> str:
    """With booktabs."""
    rows = [
        [_tex(method),
         *(_said(entry, lambda text: rf"\textbf{{{_tex(text)}}}", lambda text: rf"{{\scriptsize {_tex(text)}}}", "$^{=}$")
           if entry else "--" for entry in entries)]
        for method, entries in grid.entries.items()
    ]  # fmt: skip
    label = re.sub(r"[^A-Za-z0-9]+", "-", f"{grid.task}-{grid.model}").strip("-")
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{_tex(caption)}}}", rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{l{'r' * len(grid.columns)}}}", r"\toprule",
        " & ".join(["method", *map(_tex, _heads(grid))]) + r" \\", r"\midrule",
        *(" & ".join(row).replace(words.MINUS, "$-$") + r" \\" for row in rows),
        r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def _csv(found: tuple[Grid, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["model", "task", "metric", "method", "fraction", "budget", "seeds", "mean", "low", "high", "best", "equal"]
    )
    for grid in found:
        for method, entries in grid.entries.items():
            for (fraction, budget), entry in zip(grid.columns, entries, strict=True):
                if entry:
                    low, high = entry.interval or ("", "")
                    writer.writerow([grid.model, grid.task, grid.metric, method, fraction, budget, entry.seeds, entry.mean,
                                     low, high, int(entry.best), int(entry.equal)])  # fmt: skip
    return text.getvalue()
