"""One function a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuneworth.report.charts.data import decades, log_fractions
from tuneworth.report.charts.marks import (
    bars,
    base,
    baseline,
    dots,
    faded,
    finish,
    line,
    points,
    points_axis,
    score,
    shape,
    tip,
)
from tuneworth.report.value import Report
from tuneworth.report.views.summaries import COSTS
from tuneworth.spec import Budget

if TYPE_CHECKING:
    import altair as alt

__all__ = ["by_budget", "by_cost", "by_fraction", "by_method", "overview", "progress", "spread_by_fraction"]


def by_fraction(report: Report) -> dict[str, Any]:
    """Learning curves: test score against the share of the training data."""
    cells, y = base(report, "cells", "budget"), score()
    x = _fraction(report)
    tips = [*_mean_tips(), tip("fraction", "training data", "~%")]
    layers = [*baseline(), bars(cells, x, y), dots(report, x, "budget"), line(cells, x, y, "fraction:Q")]
    return finish(report, [*layers, points(cells, report, x, y, tips)], "budget", named=True)


def by_method(report: Report) -> dict[str, Any]:
    """Test scores side by side, where there is one fraction."""
    import altair as alt

    cells, y = base(report, "cells", "budget"), score()
    axis = alt.Axis(labelAngle=0, labelLimit=90, labelOverlap=True, grid=False)
    x = alt.X("method:N", title=None, sort=list(report.methods), axis=axis)
    layers = [*baseline(), bars(cells, x, y), dots(report, x, "budget")]
    return finish(report, [*layers, points(cells, report, x, y, _mean_tips())], "budget", named=True)


def spread_by_fraction(report: Report) -> dict[str, Any]:
    """The standard deviation over seeds against the share of the training data."""
    import altair as alt

    cells, x = base(report, "cells", "budget"), _fraction(report)
    scale = alt.Scale(domainMin=0, domainMax=alt.ExprRef("spread_high"))
    y = alt.Y("spread:Q", title="Spread over seeds, in points", scale=scale)
    tips = [tip("spread", "standard deviation", ".2f"), tip("spread_low", "from", ".2f"), tip("spread_high", "to", ".2f"),
            tip("fraction", "training data", "~%")]  # fmt: skip
    layers = [bars(cells, x, y), line(cells, x, y, "fraction:Q")]
    return finish(report, [*layers, points(cells, report, x, y, tips)], "budget")


def by_budget(report: Report) -> dict[str, Any]:
    """Test score against training time, joined from budget to budget."""
    import altair as alt

    wide = decades(row["train_seconds"] or 0 for row in report.trials) > 1.3
    scale = _scale(wide, 18)
    axis = alt.Axis(grid=False, tickCount=5, format="~r")
    title = "Training time in seconds" + (", logarithmic" if wide else "")
    x, y = alt.X("train_seconds:Q", title=title, scale=scale, axis=axis), score()
    cells = base(report, "cells", "fraction")
    tips = [*_mean_tips(), "budget:N", tip("train_seconds", "training seconds")]
    layers = [*baseline(), bars(cells, x, y), line(cells, x, y, "train_seconds:Q")]
    return finish(report, [*layers, points(cells, report, x, y, tips)], "fraction", named=True)


def progress(report: Report) -> dict[str, Any]:
    """Validation score against training time within the budget."""
    import altair as alt

    means = base(report, "progress", "budget", "fraction")
    scale = alt.Scale(zero=True, nice=False, padding=8)
    x = alt.X("seconds:Q", title="Training time in seconds", axis=alt.Axis(grid=False, tickCount=5), scale=scale)
    y = score("mean", "Validation score", ("curve_low", "curve_high"))
    each = base(report, "curves", "budget", "fraction").mark_line(strokeWidth=0.8, clip=True, opacity=0.25)
    seeds = each.encode(x=x, y=score("score", "Validation score", ("curve_low", "curve_high")), detail="seed:N")
    tips = [*_mean_tips()[:3], tip("seconds", "training seconds")]
    layers = [seeds, bars(means, x, y), line(means, x, y, "seconds:Q")]
    return finish(report, [*layers, points(means, report, x, y, tips, 45)], "budget", "fraction")


def by_cost(report: Report, cost: str, name: str) -> dict[str, Any]:
    """Test score against one cost, with the front."""
    import altair as alt

    wide = max(decades(getattr(cell, cost) or 0 for cell in group.cells) for group in report.featured) > 1
    scale = _scale(wide, 24)
    axis = alt.Axis(grid=False, tickCount=4, labelExpr=_label(cost), labelOverlap=True)
    x = alt.X(f"{cost}:Q", title=name + (", logarithmic" if wide else ""), scale=scale, axis=axis)
    y = alt.Y("mean:Q", title="Test score", scale=alt.Scale(zero=False, padding=8), axis=points_axis())
    cells = base(report, "cells", "budget", "fraction").transform_filter(f"datum.{cost} > 0")
    on = cells.transform_filter(f"datum.on_{cost}")
    edge = alt.Chart(alt.NamedData(name="cells")).transform_filter(
        f"datum.budget == budget && datum.fraction == fraction && datum.{cost} > 0 && datum.on_{cost}"
    )
    front = edge.mark_line(interpolate="step-after", strokeDash=[4, 4], strokeWidth=1.5, clip=True)
    front = front.encode(x=x, y=y, order=f"{cost}:Q", color=alt.value("gray"))
    tips = [
        "method:N",
        *_mean_tips(),
        tip(cost, name.lower(), ".3~s"),
        tip(f"sure_{cost}", "on the front", ".0%"),
        "seeds:Q",
    ]
    hollow = cells.mark_point(filled=False, size=110, strokeWidth=2, clip=True)
    hollow = hollow.encode(x=x, y=y, shape=shape(report), tooltip=tips)
    return finish(
        report, [front, bars(cells, x, y), hollow, points(on, report, x, y, tips[1:-1], 110)], "budget", "fraction"
    )


def overview(report: Report) -> dict[str, Any]:
    """Of the group that advice is about: test score against what it costs, with intervals, the recommended method marked."""
    import altair as alt

    cost = overview_cost(report)
    name = COSTS[cost]
    wide = max(decades(getattr(cell, cost) or 0 for cell in group.cells) for group in report.featured) > 1
    axis = alt.Axis(grid=False, tickCount=4, labelExpr=_label(cost), labelOverlap=True)
    x = alt.X(f"{cost}:Q", title=name + (", logarithmic" if wide else ""), scale=_scale(wide, 24), axis=axis)
    y = alt.Y("mean:Q", title="Test score", scale=alt.Scale(zero=False, padding=14), axis=points_axis())
    asked = f"datum.budget == asked_budget && datum.fraction == asked_fraction && datum.{cost} > 0"
    cells = base(report, "cells").transform_filter(asked)
    is_it = "datum.method == recommended"
    ring = cells.mark_point(size=520, strokeWidth=2, filled=False, shape="circle").encode(
        x=x, y=y, opacity=alt.condition(is_it, alt.value(1), alt.value(0))
    )
    label = cells.transform_calculate(label=f"{is_it} ? datum.method : ''").mark_text(
        dy=-20, fontWeight=600, fontSize=12
    )
    label = label.encode(x=x, y=y, text="label:N")
    layers = [bars(cells, x, y), ring, label]
    if cost == "train_seconds":
        span = cells.mark_rule(strokeWidth=1.5, clip=True).encode(
            x=alt.X("least_seconds:Q", scale=_scale(wide, 24)), x2="most_seconds:Q", y=y, opacity=faded(0.75)
        )
        layers.insert(0, span)
    tips = [*_mean_tips(), tip(cost, name.lower(), ".3~s")]
    return finish(report, [*layers, points(cells, report, x, y, tips, 110)], height=230)


def overview_cost(report: Report) -> str:
    """Training time; the size of a delta where budgets are times, which all methods spend alike."""
    timed = all(Budget.parse(group.budget).timed for group in report.featured)
    return "delta_bytes" if timed else "train_seconds"


def _scale(wide: bool, padding: int) -> alt.Scale:
    """Logarithmic where the values are wide apart."""
    import altair as alt

    kind: dict[str, Any] = {"type": "log"} if wide else {"zero": False}
    return alt.Scale(nice=False, padding=padding, **kind)


def _label(cost: str) -> str:
    """Axis labels in the unit of the cost: 12, 40MB, 1M."""
    unit = {"train_seconds": " s", "trainable_parameters": ""}.get(cost, "B")
    form = "~r" if cost == "train_seconds" else ".2~s"
    return f"format(datum.value, '{form}') + '{unit}'"


def _fraction(report: Report) -> alt.X:
    """Methods stand side by side."""
    import altair as alt

    values = sorted({row["fraction"] for row in report.trials})
    shown = values if len(values) <= 10 else None
    wide = log_fractions(report)
    scale = _scale(wide, 14)
    axis = alt.Axis(format="~%", grid=False, labelOverlap=True, **({"values": shown} if shown else {"tickCount": 6}))
    return alt.X("x:Q", title="Share of the training data", scale=scale, axis=axis)


def _mean_tips() -> list[alt.Tooltip]:
    return [tip("mean", "mean score"), tip("low", "from"), tip("high", "to")]
