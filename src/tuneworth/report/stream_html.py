"""The report of a stream study as one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from tuneworth.report.html import _asset, _library, _script_json, _templates, write_page
from tuneworth.report.palette import DARK_PAGE, LIGHT_PAGE, colours
from tuneworth.report.stream_charts import stream_charts, stream_page
from tuneworth.report.streams import StreamReport

__all__ = ["render_streams", "write_streams"]


def write_streams(report: StreamReport, path: str | Path) -> Path:
    """Write the report to `path`, whole or not at all. Raises SpecError where that cannot be."""
    return write_page(render_streams(report), Path(path))


def render_streams(report: StreamReport) -> str:
    """The page as text."""
    drawn, page = stream_charts(report), stream_page(report)
    methods = report.base.methods
    return _templates().get_template("streams.html.j2").render(
        report=report, base=report.base, charts=drawn, panels=page["panels"],
        colour=dict(zip(methods, colours(methods), strict=True)), script=_asset("page.js"), tables_script=_asset("tables.js"),
        style=_asset("page.css").replace("LIGHT_PAGE", LIGHT_PAGE).replace("DARK_PAGE", DARK_PAGE),
        library=_library() if drawn else "", page=_script_json(page),
        study_link="data:text/plain;charset=utf-8," + quote(report.base.study_file),
    )  # fmt: skip
