"""The charts: Vega-Lite specifications made with Altair, drawn once a panel (a model and a task).

A specification names its data (`trials`, `cells`, `progress`, `curves`) and its parameters (`budget`, `fraction`, `low`,
`high`, `baseline`, ...); the page fills both in, panel by panel, so that the file holds every number once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuneworth.report.charts import draw
from tuneworth.report.charts.data import chart_data, panels
from tuneworth.report.value import Report
from tuneworth.report.views.summaries import COSTS

__all__ = ["Chart", "chart_data", "charts", "panels"]


@dataclass(frozen=True)
class Chart:
    """`specs`: by name; where there are several, the reader chooses one."""

    name: str
    explanation: str
    specs: dict[str, dict[str, Any]]


def charts(report: Report) -> dict[str, Chart]:
    """By name; none where no trial has finished, and none that the study has nothing to show in."""
    if not report.trials:
        return {}
    dots = "" if report.large else ", each dot a seed"
    sure = f"{100 * report.question.confidence:g}%"
    band = f"Lines are means over seeds{dots}; a band is the {sure} interval of the mean, point by point."
    if len({row["fraction"] for row in report.trials}) > 1:
        made = [Chart("data", band, {"data": draw.by_fraction(report)})]
        if any(cell.deviation is not None for group in report.groups for cell in group.cells):
            text = "How far apart the seeds of a method score: their standard deviation, with its interval. Lower is steadier."
            made.append(Chart("spread", text, {"spread": draw.spread_by_fraction(report)}))
    else:
        text = f"The large mark is the mean{dots}; the bar is the mean's {sure} interval."
        made = [Chart("data", text, {"data": draw.by_method(report)})]
    if len({row["budget"] for row in report.trials}) > 1:
        text = (
            "From the shorter to the longer budget; evaluation and set-up are not in the time. A band is the mean's "
            f"{sure} interval."
        )
        made.append(Chart("budgets", text, {"budgets": draw.by_budget(report)}))
    if any(len(row["curve"] or ()) > 1 for row in report.trials):
        text = (
            "Scores on the validation split, which is cut from the training data, while training went on. The line is the "
            "mean over seeds, the band its interval" + ("." if report.large else "; thin lines are seeds.")
        )
        made.append(Chart("progress", text, {"progress": draw.progress(report)}))
    text = (
        "Up and to the left is better. Filled marks are on the front: no other method scores as much at no more cost. Hollow "
        "ones are beaten on both counts. Bars are intervals of the mean score."
    )
    specs = {
        f"cost-{cost}": draw.by_cost(report, cost, name) for cost, name in COSTS.items() if _measured(report, cost)
    }
    if specs:
        made.append(Chart("cost", text, specs))
    return {chart.name: chart for chart in made}


def _measured(report: Report, cost: str) -> bool:
    return any(row[cost] for row in report.trials)
