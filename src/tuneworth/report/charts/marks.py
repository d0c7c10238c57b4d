"""What all charts are made of: the same colour and shape for a method, the same axes, bands, dots and tooltips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuneworth.report.palette import colours, shapes
from tuneworth.report.value import Report

if TYPE_CHECKING:
    import altair as alt

__all__ = ["bars", "base", "baseline", "dots", "faded", "finish", "line", "points", "points_axis", "score", "tip"]

PARAMETERS = (
    "low",
    "high",
    "baseline",
    "curve_low",
    "curve_high",
    "spread_high",
    "asked_budget",
    "asked_fraction",
    "recommended",
)


def base(report: Report, data: str, *filters: str) -> alt.Chart:
    """A chart of one data set, of what the reader has chosen (`filters`: budget, fraction)."""
    import altair as alt

    chart = alt.Chart(alt.NamedData(name=data)).encode(color=_colour(report))
    for name in filters:
        chart = chart.transform_filter(f"datum.{name} == {name}")
    return chart


def score(field: str = "mean", title: str = "Test score", ends: tuple[str, str] = ("low", "high")) -> alt.Y:
    import altair as alt

    scale = alt.Scale(domainMin=alt.ExprRef(ends[0]), domainMax=alt.ExprRef(ends[1]), zero=False)
    return alt.Y(f"{field}:Q", title=title, scale=scale, axis=points_axis())


def points_axis() -> alt.Axis:
    """Of scores: there is room above 100 for marks, but nothing to label."""
    import altair as alt

    beyond = "datum.value > 100"
    return alt.Axis(
        labelExpr=f"{beyond} ? '' : datum.label", gridOpacity=alt.condition(beyond, alt.value(0), alt.value(1))
    )


def bars(chart: alt.Chart, x: alt.X, y: alt.Y) -> alt.Chart:
    return _between(chart, y).mark_rule(strokeWidth=1.5, clip=True).encode(x=x, y2="high_end:Q", opacity=faded(0.75))


def _between(chart: alt.Chart, y: alt.Y) -> alt.Chart:
    """From the interval's low to its high end; where there is none (one seed), both are the value itself."""
    field = y.shorthand.removesuffix(":Q")
    low, high = ("low", "high") if field == "mean" else (f"{field}_low", f"{field}_high")
    ends = {
        f"{end}_end": f"isValid(datum.{name}) ? datum.{name} : datum.{field}"
        for end, name in (("low", low), ("high", high))
    }
    lower = y.copy()
    lower.shorthand = "low_end:Q"
    return chart.transform_calculate(**ends).encode(y=lower)


def line(chart: alt.Chart, x: alt.X, y: alt.Y, order: str) -> alt.Chart:
    return chart.mark_line(strokeWidth=2, clip=True).encode(x=x, y=y, order=order, opacity=faded(0.9))


def points(chart: alt.Chart, report: Report, x: Any, y: alt.Y, tips: list[Any], size: int = 80) -> alt.Chart:
    marks = chart.mark_point(filled=True, size=size, clip=True)
    return marks.encode(x=x, y=y, shape=shape(report), opacity=faded(1), tooltip=["method:N", *tips, "seeds:Q"])


def dots(report: Report, x: Any, *filters: str) -> alt.Chart:
    """One small mark a seed, at its test score."""
    tips = ["method:N", "seed:N", tip("score"), tip("fraction", "training data", "~%"), "budget:N"]
    marks = base(report, "trials", *filters).mark_point(filled=True, size=22, strokeWidth=0, clip=True)
    return marks.encode(x=x, y=score("score"), shape=shape(report), opacity=faded(0.45), tooltip=tips)


def tip(field: str, title: str | None = None, form: str = ".1f") -> alt.Tooltip:
    import altair as alt

    return alt.Tooltip(f"{field}:Q", title=title or field, format=form)


def shape(report: Report) -> alt.Shape:
    import altair as alt

    methods = list(report.methods)
    return alt.Shape("method:N", sort=methods, scale=alt.Scale(domain=methods, range=shapes(methods)))


def baseline() -> list[alt.Chart]:
    """A dashed line at the score of one answer for all, which the panel's subtitle names."""
    import altair as alt

    chart = alt.Chart(alt.InlineData(values=[{}])).transform_calculate(at="baseline").encode(y=score("at"))
    return [chart.mark_rule(strokeDash=[5, 4], strokeWidth=1.5, clip=True, opacity=0.75)]


def finish(
    report: Report, layers: list[alt.Chart], *choices: str, height: int = 270, named: bool = False
) -> dict[str, Any]:
    """The specification; `choices` are the parameters that the reader sets; `named`: its title says where the baseline is."""
    import altair as alt

    first = report.featured[0]
    chosen = {"budget": first.budget, "fraction": first.fraction}
    size = alt.AutoSizeParams(type="fit-x", contains="padding")
    chart = (
        alt.layer(*layers)
        .properties(usermeta={"baseline": named})
        .properties(width="container", height=height, autosize=size)
    )
    chart = chart.add_params(*(alt.param(name=name, value=chosen[name]) for name in choices))
    chart = chart.add_params(
        *(alt.param(name=name, value=0) for name in PARAMETERS), alt.param(name="picked", value=[])
    )
    return dict(chart.to_dict(validate=False))  # the schema is checked in a browser test, not in every report: seconds


def _colour(report: Report) -> alt.Color:
    import altair as alt

    methods = list(report.methods)
    width = 30 + 7 * max(len(name) for name in methods)
    # As many columns as fit, so that the legend wraps on a phone. They follow the container, since fitting the chart
    # into it changes `width` after the height is set, and a row more would then be cut off; 75 is about the axis.
    legend = alt.Legend(
        title=None,
        orient="bottom",
        columns=alt.ExprRef(f"max(1, floor((width ? containerSize()[0] - 75 : 0) / {width}))"),
        symbolLimit=0,
        symbolSize=70,
        symbolOpacity=1,
    )
    return alt.Color("method:N", sort=methods, legend=legend, scale=alt.Scale(domain=methods, range=colours(methods)))


def faded(opacity: float, otherwise: float = 0.08) -> Any:
    """Full strength for the methods that the reader has picked; for all, where none is."""
    import altair as alt

    return alt.condition(
        "length(picked) == 0 || indexof(picked, datum.method) >= 0", alt.value(opacity), alt.value(otherwise)
    )
