"""The report as one self-contained HTML file: no network, light and dark, readable on a phone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tuneworth import words
from tuneworth.report.charts import chart_data, charts, panels, places
from tuneworth.report.palette import DARK_PAGE, LIGHT_PAGE, colours
from tuneworth.report.plain import MEANING
from tuneworth.report.sources import SOURCES, bibtex
from tuneworth.report.value import Report, key_of
from tuneworth.report.views.across import across
from tuneworth.report.views.comparisons import family
from tuneworth.report.views.errors import mistakes
from tuneworth.report.views.grid import grids
from tuneworth.report.views.learning import crossovers, reached, targets
from tuneworth.report.views.stability import stability
from tuneworth.report.views.summaries import COSTS, Front, Summary, summaries
from tuneworth.results.cells import left_out
from tuneworth.results.rows import CellKey
from tuneworth.writing import whole_file

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["render_html", "write_html", "write_page"]


def write_html(report: Report, path: str | Path) -> Path:
    """Write the report to `path`, whole or not at all. Raises WriteError where that cannot be."""
    return write_page(render_html(report), Path(path))


def write_page(text: str, path: Path) -> Path:
    """Write a page to `path`, whole or not at all. Raises WriteError where that cannot be."""
    with whole_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8", errors="replace")
    return path


def render_html(report: Report) -> str:
    """The page as text."""
    drawn = charts(report)
    cells = summaries(report)
    shown = panels(report, cells)
    specs = {name: spec for chart in drawn.values() for name, spec in chart.specs.items()}
    page = {"charts": specs, "panels": shown, "tables": chart_data(report, cells)}
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            report=report,
            charts=drawn,
            panels=shown,
            panel_of={place: number for number, place in enumerate(places(report))},
            tables=_tables(report),
            choices=_choices(report),
            costs=COSTS,
            summary={key_of(one.group, one.cell.method): one for one in cells},
            key_of=key_of,
            grids={(one.model, one.task): one for one in grids(report, cells) if len(one.columns) > 1},
            family=family(report),
            on_new_data=any(c.against_full and c.against_full.wide for group in report.groups for c in group.cells),
            left_out=left_out,
            crossovers=crossovers(report),
            targets=targets(report),
            reached=reached,
            stability=lambda group: stability(report, group),
            across=across(report),
            sources=SOURCES,
            bibtex=bibtex(),
            front_columns=_front_columns(report, cells),
            meanings=MEANING,
            mistakes=mistakes(report),
            several_models=len({group.model for group in report.groups}) > 1,
            several_fractions=len({row["fraction"] for row in report.trials}) > 1,
            colour=dict(zip(report.methods, colours(report.methods), strict=True)),
            style=_asset("page.css").replace("LIGHT_PAGE", LIGHT_PAGE).replace("DARK_PAGE", DARK_PAGE),
            script=_asset("page.js"),
            tables_script=_asset("tables.js"),
            library=_library() if drawn else "",
            page=_script_json(page),
            study_link="data:text/plain;charset=utf-8," + quote(report.study_file),
        )
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    names = (
        "points",
        "change",
        "between",
        "spread",
        "share",
        "fraction",
        "seconds",
        "size",
        "count",
        "several",
        "metric",
        "budget",
    )
    environment.globals["zip"] = zip
    environment.filters |= {name: getattr(words, name) for name in (*names, "agreeing")} | {
        "place": _place,
        "capital": _capital,
    }
    return environment


@cache
def _asset(name: str) -> str:
    return files("tuneworth.report").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _library() -> Markup:
    """Vega, Vega-Lite and Vega-Embed as one script, from vl-convert."""
    import vl_convert
    from markupsafe import Markup

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return Markup(script.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _script_json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _tables(report: Report) -> list[dict[str, Any]]:
    """One table a model and task: `first` what advice is about, `rest` the other groups, and everything where nothing has
    finished. `low` and `high` span the scores of its seeds and baselines."""
    tables = []
    for (model, task), members in groupby(report.groups, key=lambda group: (group.model, group.task)):
        parts = list(members)
        first = [group for group in parts if group in report.featured] or parts
        scores = [score for group in parts for cell in group.cells for score in cell.scores.values()]
        low, high = min(scores, default=0.0), max(scores, default=1.0)
        metric = next((group.metric for group in parts if group.metric), "Score")
        rest = [group for group in parts if group not in first]
        tables.append(
            {"model": model, "task": task, "metric": metric, "first": first, "rest": rest, "low": low, "high": high}
        )
    return tables


def _front_columns(report: Report, cells: Sequence[Summary]) -> list[tuple[str, dict[CellKey, str]]]:
    """What is said of each cell's place on the front, by cost; costs that order the methods alike share a column."""
    found: dict[tuple[str, ...], list[str]] = {}
    shown = [one for one in cells if one.group in report.featured]
    for cost, name in COSTS.items():
        found.setdefault(tuple(_on_front(one.fronts.get(cost)) for one in shown), []).append(name)
    keys = [key_of(one.group, one.cell.method) for one in shown]
    return [
        (_capital(words.listed([name.lower() for name in names])), dict(zip(keys, said, strict=True)))
        for said, names in found.items()
    ]


def _on_front(front: Front | None) -> str:
    if front is None:
        return words.NOTHING
    if front.sure is None:
        return f"{'on it' if front.on else 'not on it'}, too few seeds"
    return f"{100 * front.sure:.0f}%"


def _place(value: float, low: float, high: float) -> float:
    """Where a score lies on a strip of 112 units with a margin of 4."""
    return round(4 + 104 * (value - low) / (high - low), 1) if high > low else 56.0


def _capital(text: str) -> str:
    """With a capital first: Accuracy; the rest as it is, as in F1."""
    return text[:1].upper() + text[1:]


def _choices(report: Report) -> list[dict[str, Any]]:
    """What the reader may choose for all charts: a budget and a fraction, where there is more than one."""
    if not report.trials:
        return []
    first = report.featured[0]
    budgets = list(dict.fromkeys(row["budget"] for row in report.trials))
    fractions = sorted({row["fraction"] for row in report.trials})
    found: list[dict[str, Any]] = [
        {"name": "budget", "label": "Budget", "now": first.budget, "options": [(b, words.budget(b)) for b in budgets]},
        {"name": "fraction", "label": "Data", "now": first.fraction,
         "options": [(f, words.fraction(f)) for f in fractions]},
    ]  # fmt: skip
    return [choice for choice in found if len(choice["options"]) > 1]
