"""The page's charts as files: SVG, PDF or PNG, drawn by vl-convert from the same specifications."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tuneworth.report.charts import chart_data, charts, panels
from tuneworth.report.value import Report
from tuneworth.report.views.summaries import summaries
from tuneworth.writing import make_directory, whole_file

__all__ = ["FigureFormat", "filled", "write_figures"]

FigureFormat = Literal["svg", "pdf", "png"]
WIDTH = 460


def write_figures(report: Report, directory: Path, format: FigureFormat = "svg") -> list[Path]:
    """A file a chart and panel, as the page shows it first. Raises WriteError where one cannot be written."""
    import vl_convert

    draw: Any = {
        "svg": vl_convert.vegalite_to_svg,
        "pdf": vl_convert.vegalite_to_pdf,
        "png": vl_convert.vegalite_to_png,
    }[format]
    make_directory(directory)
    written = []
    for name, spec in filled(report):
        drawn = draw(json.dumps(spec), **({"scale": 2} if format == "png" else {}))
        with whole_file(path := directory / f"{name}.{format}") as scratch:
            scratch.write_bytes(drawn.encode() if isinstance(drawn, str) else drawn)
        written.append(path)
    return written


def filled(report: Report) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each chart of each panel by a name for its file, with its numbers in it: what page.js does in the browser."""
    cells = summaries(report)
    data = chart_data(report, cells)
    for number, panel in enumerate(panels(report, cells)):
        tables = {
            name: [dict(zip(one["fields"], row, strict=True)) for row in one["values"] if row[0] == number]
            for name, one in data.items()
        }
        for chart in charts(report).values():
            for name, spec in chart.specs.items():
                spec = copy.deepcopy(spec) | {
                    "width": WIDTH,
                    "background": "white",
                    "config": {"view": {"stroke": None}},
                }
                for param in spec["params"]:
                    param["value"] = panel.get(param["name"], param.get("value"))
                said = panel["baseline_said"] if spec["usermeta"]["baseline"] else ""
                spec["title"] = {"text": panel["title"], "subtitle": panel["subtitle"] + said, "anchor": "start"}
                spec["datasets"] = {**spec.get("datasets", {}), **tables}
                file = re.sub(r"[^\w.-]+", "-", f"{name}-{panel['title']}").strip("-")
                # The page asks the browser how wide it is; here the width is known.
                yield file, json.loads(json.dumps(spec).replace("containerSize()[0]", str(WIDTH + 75)))
