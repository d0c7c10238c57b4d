"""The charts: Vega-Lite specifications made with Altair, drawn once a panel (a model and a task).

A specification names its data (`trials`, `cells`, `progress`, `curves`) and its parameters (`budget`, `fraction`, `low`,
`high`, `baseline`, ...); the page fills both in, panel by panel, so that the file holds every number once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuneworth.advice.evidence import FEW
from tuneworth.report.charts import draw
from tuneworth.report.charts.data import chart_data, panels, places
from tuneworth.report.value import Report
from tuneworth.report.views.summaries import COSTS

__all__ = ["Chart", "chart_data", "charts", "panels", "places"]


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
    made = [Chart("overview", _overview(report), {"overview": draw.overview(report)})]
    dots = "" if report.large else ", each dot a seed"
    sure = f"{100 * report.question.confidence:g}%"
    bar = f"Lines are means over seeds{dots}; a bar is the {sure} interval of the mean, from {FEW} seeds on, cut off at the edge."
    if len({row["fraction"] for row in report.trials}) > 1:
        made.append(Chart("data", bar, {"data": draw.by_fraction(report)}))
        if any(cell.deviation is not None for group in report.groups for cell in group.cells):
            text = "How far apart the seeds of a method score: their standard deviation, with its interval. Lower is steadier."
            made.append(Chart("spread", text, {"spread": draw.spread_by_fraction(report)}))
    else:
        text = f"The large mark is the mean{dots}; the bar is the mean's {sure} interval, from {FEW} seeds on."
        made.append(Chart("data", text, {"data": draw.by_method(report)}))
    if len({row["budget"] for row in report.trials}) > 1:
        text = (
            "From the shorter to the longer budget; evaluation and set-up are not in the time. A bar is the mean's "
            f"{sure} interval."
        )
        made.append(Chart("budgets", text, {"budgets": draw.by_budget(report)}))
    if any(len(row["curve"] or ()) > 1 for row in report.trials):
        text = (
            "Scores on the validation split, which is cut from the training data, while training went on. The line is the "
            "mean over seeds, a bar its interval" + ("." if report.large else "; thin lines are seeds.")
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


def _overview(report: Report) -> str:
    sure = f"{100 * report.question.confidence:g}%"
    times = draw.overview_cost(report) == "train_seconds"
    sideways = ", sideways the least to the most training time of its seeds" if times else ""
    return f"Up and to the left is better. Bars: upwards where the mean score may lie ({sure} sure){sideways}. Ringed: recommended."


def _measured(report: Report, cost: str) -> bool:
    return any(row[cost] for row in report.trials)
