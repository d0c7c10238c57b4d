"""The charts: four Vega-Lite specifications made with Altair, drawn once a panel (a model and a task).

A specification names its data (`trials`, `curves`) and its parameters (`budget`, `fraction`, `low`, `high`,
`baseline`); the page fills both in, panel by panel, so that the file holds every number once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuneworth.report.palette import colours, shapes
from tuneworth.report.value import Report
from tuneworth.results import Row

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Chart", "chart_data", "charts", "panels"]

TRIAL_FIELDS = ("panel", "method", "fraction", "budget", "seed", "score", "train_seconds", "trainable_parameters")
CURVE_FIELDS = ("panel", "method", "fraction", "budget", "seed", "point", "step", "seconds", "examples", "score")
NOWHERE = -1e9
"""A baseline that is not to be drawn: clipped, being far below every score."""


@dataclass(frozen=True)
class Chart:
    name: str
    title: str
    explanation: str
    spec: dict[str, Any]


def charts(report: Report) -> tuple[Chart, ...]:
    """The four charts of a report; none where no trial has finished."""
    if not report.trials:
        return ()
    made = [
        Chart("fraction", "Score against training data",
              "Each small mark is one seed, the large mark their mean. Methods stand side by side.",
              _by_fraction(report)),
        Chart("time", "Score against training time",
              "Each small mark is one trial, under any of the budgets; large marks are means over seeds, joined from "
              "the shorter to the longer budget. Evaluation and set-up are not in the time.", _by_time(report)),
        Chart("parameters", "Score against trained parameters",
              "How much a method changes, against what it scores. The horizontal axis is logarithmic.",
              _by_parameters(report)),
    ]  # fmt: skip
    if any(row["curve"] for row in report.trials):
        text = (
            "Scores on the validation split, which is cut from the training data, while training went on. "
            "Thin lines are seeds, thick lines their mean."
        )
        made.insert(2, Chart("learning", "Learning curves", text, _learning(report)))
    return tuple(made)


def panels(report: Report) -> list[dict[str, Any]]:
    """One a model and task with a finished trial: its title, its baseline, and the score range that is shown."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in report.trials:
        found.setdefault((row["model"], row["task"]), []).append(row)
    return [_panel(model, task, rows, len({m for m, _ in found}) > 1) for (model, task), rows in found.items()]


def chart_data(report: Report) -> dict[str, Any]:
    """The numbers behind all charts: a list of field names and a list of lists each, for trials and curves."""
    places = list(dict.fromkeys((row["model"], row["task"]) for row in report.trials))
    index = {place: number for number, place in enumerate(places)}
    trials, points = [], []
    for row in report.trials:
        head = [index[row["model"], row["task"]], row["method"], row["fraction"], row["budget"], row["seed"]]
        trials.append([*head, row["score"], row["train_seconds"], row["trainable_parameters"]])
        for number, point in enumerate(row["curve"] or ()):
            if point["score"] is not None:
                measured = [point["step"], round(point["seconds"], 3), point["examples"], round(point["score"], 4)]
                points.append([*head, number, *measured])
    return {
        "trials": {"fields": TRIAL_FIELDS, "values": trials},
        "curves": {"fields": CURVE_FIELDS, "values": points},
    }


def _panel(model: str, task: str, rows: list[Row], several_models: bool) -> dict[str, Any]:
    metric, baseline = rows[0]["metric"], rows[0]["baseline_score"]
    low, high = _range([row["score"] for row in rows])
    if baseline is not None and low - (high - low) / 2 < baseline < low:
        low = baseline - 0.06 * (high - baseline)
    curve_low, curve_high = _range([p["score"] for row in rows for p in row["curve"] or () if p["score"] is not None])
    times = [row["train_seconds"] for row in rows if row["train_seconds"]]
    return {
        "title": f"{task}, {model}" if several_models else task, "subtitle": f"{metric}, in points",
        "baseline": NOWHERE if baseline is None else baseline,
        "low": low, "high": high, "curve_low": curve_low, "curve_high": curve_high,
        "time_low": 0.87 * min(times, default=1.0), "time_high": 1.15 * max(times, default=1.0),
    }  # fmt: skip


def _range(scores: list[float]) -> tuple[float, float]:
    """The scores' range with a margin; never narrower than one point, so that noise does not look like a gap."""
    low, high = min(scores, default=0.0), max(scores, default=100.0)
    margin = max(0.06 * (high - low), (1 - (high - low)) / 2)
    return low - margin, high + margin


def _wide_times(rows: Sequence[Row]) -> bool:
    times = [row["train_seconds"] for row in rows if row["train_seconds"]]
    return bool(times) and max(times) > 20 * min(times)


def _by_fraction(report: Report) -> dict[str, Any]:
    import altair as alt

    base = _base(report, "trials", "budget")
    x = alt.X("fraction:O", title="Share of the training data", axis=alt.Axis(labelAngle=0, format="~%", grid=False))
    offset = alt.XOffset("method:N", sort=list(report.methods), scale=alt.Scale(domain=list(report.methods)))
    seeds = _seeds(base, report).encode(x=x, xOffset=offset, y=_score())
    means = _means(base, "fraction").encode(x=x, xOffset=offset, y=_score("mean_score"))
    return _finish(report, [*_baseline(), _line(means), seeds, _points(means, report)], "budget")


def _by_time(report: Report) -> dict[str, Any]:
    import altair as alt

    wide = _wide_times(report.trials)
    ends: dict[str, Any] = {"domainMin": alt.ExprRef("time_low"), "domainMax": alt.ExprRef("time_high")}
    scale = alt.Scale(type="log", **ends) if wide else alt.Scale(zero=False, nice=False, **ends)
    axis = alt.Axis(grid=False, tickCount=5, format="~r")
    title = "Training time in seconds" + (", logarithmic" if wide else "")
    base = _base(report, "trials", "fraction")
    seeds = _seeds(base, report).encode(x=alt.X("train_seconds:Q", title=title, scale=scale, axis=axis), y=_score())
    means = _means(base, "budget").encode(
        x=alt.X("mean_seconds:Q", title=title, scale=scale, axis=axis), y=_score("mean_score"), order="mean_seconds:Q"
    )
    return _finish(report, [*_baseline(), _line(means), seeds, _points(means, report)], "fraction")


def _by_parameters(report: Report) -> dict[str, Any]:
    import altair as alt

    x: dict[str, Any] = {
        "title": "Trained parameters, logarithmic",
        "scale": alt.Scale(type="log", nice=False, padding=16),
        "axis": alt.Axis(format="~s", tickCount=4, grid=False),
    }
    base = _base(report, "trials", "budget", "fraction").transform_filter("datum.trainable_parameters > 0")
    seeds = _seeds(base, report).encode(x=alt.X("trainable_parameters:Q", **x), y=_score())
    means = _means(base, "fraction").encode(x=alt.X("mean_parameters:Q", **x), y=_score("mean_score"))
    return _finish(report, [*_baseline(), seeds, _points(means, report)], "budget", "fraction")


def _learning(report: Report) -> dict[str, Any]:
    import altair as alt

    base = _base(report, "curves", "budget", "fraction")
    scale = alt.Scale(zero=True, nice=False, padding=8)
    x: dict[str, Any] = {"title": "Training time in seconds", "axis": alt.Axis(grid=False, tickCount=5), "scale": scale}
    y: dict[str, Any] = {
        "title": "Validation score",
        "scale": alt.Scale(domainMin=alt.ExprRef("curve_low"), domainMax=alt.ExprRef("curve_high"), zero=False),
    }
    tips = ["method:N", "seed:N", "step:Q", "examples:Q", _tip("seconds", "training seconds", ".1f"), _tip("score")]
    seeds = base.mark_line(strokeWidth=1, clip=True).encode(
        x=alt.X("seconds:Q", **x), y=alt.Y("score:Q", **y), detail="seed:N", opacity=_faded(0.4), tooltip=tips
    )
    means = base.transform_aggregate(
        mean_seconds="mean(seconds)", mean_score="mean(score)", seeds="count()", groupby=["method", "point"]
    ).encode(
        x=alt.X("mean_seconds:Q", **x), y=alt.Y("mean_score:Q", **y), order="mean_seconds:Q",
        tooltip=["method:N", _tip("mean_seconds", "training seconds", ".1f"), _tip("mean_score", "mean score"),
                 "seeds:Q"],
    )  # fmt: skip
    return _finish(report, [seeds, _line(means), _points(means, report)], "budget", "fraction")


def _base(report: Report, data: str, *filters: str) -> alt.Chart:
    import altair as alt

    base = alt.Chart(alt.NamedData(name=data)).encode(color=_colour(report))
    for name in filters:
        base = base.transform_filter(f"datum.{name} == {name}")
    return base


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
    )
    return alt.Color("method:N", sort=methods, legend=legend, scale=alt.Scale(domain=methods, range=colours(methods)))


def _shape(report: Report) -> alt.Shape:
    import altair as alt

    methods = list(report.methods)
    return alt.Shape("method:N", sort=methods, scale=alt.Scale(domain=methods, range=shapes(methods)))


def _score(field: str = "score") -> alt.Y:
    import altair as alt

    scale = alt.Scale(domainMin=alt.ExprRef("low"), domainMax=alt.ExprRef("high"), zero=False)
    return alt.Y(f"{field}:Q", title="Test score", scale=scale)


def _seeds(base: alt.Chart, report: Report) -> alt.Chart:
    tips = [
        "method:N", "seed:N", _tip("score"), _tip("fraction", "training data", "~%"), "budget:N",
        _tip("train_seconds", "training seconds", ".1f"), _tip("trainable_parameters", "trained parameters", ","),
    ]  # fmt: skip
    marks = base.mark_point(filled=True, size=32, strokeWidth=0, clip=True)
    return marks.encode(shape=_shape(report), opacity=_faded(0.55), tooltip=tips)


def _means(base: alt.Chart, by: str) -> alt.Chart:
    means = base.transform_aggregate(
        mean_score="mean(score)", spread="stdev(score)", mean_seconds="mean(train_seconds)",
        mean_parameters="mean(trainable_parameters)", seeds="count()", groupby=["method", by],
    )  # fmt: skip
    where = _tip("fraction", "training data", "~%") if by == "fraction" else "budget:N"
    return means.encode(
        tooltip=["method:N", _tip("mean_score", "mean score"), _tip("spread", "standard deviation"), "seeds:Q", where,
                 _tip("mean_seconds", "training seconds", ".1f")],
    )  # fmt: skip


def _line(means: alt.Chart) -> alt.Chart:
    return means.mark_line(strokeWidth=2, clip=True).encode(opacity=_faded(0.8))


def _points(means: alt.Chart, report: Report) -> alt.Chart:
    return means.mark_point(filled=True, size=95, clip=True).encode(shape=_shape(report), opacity=_faded(1))


def _faded(opacity: float) -> Any:
    """Full strength for the methods picked in the legend (at first, all of them)."""
    import altair as alt

    return alt.condition(_pick(), alt.value(opacity), alt.value(0.08))


def _pick() -> alt.Parameter:
    import altair as alt

    return alt.selection_point(name="pick", fields=["method"], bind="legend")


def _tip(field: str, title: str | None = None, form: str = ".1f") -> alt.Tooltip:
    import altair as alt

    return alt.Tooltip(f"{field}:Q", title=title or field, format=form)


def _baseline() -> list[alt.Chart]:
    import altair as alt

    base = alt.Chart(alt.InlineData(values=[{}])).transform_calculate(at="baseline").encode(y=_score("at"))
    rule = base.mark_rule(strokeDash=[5, 4], strokeWidth=1.5, clip=True, opacity=0.75)
    words = alt.ExprRef("'baseline ' + format(baseline, '.1f')")
    return [rule, base.mark_text(align="left", dx=4, dy=-7, x=0, clip=True, text=words)]


def _finish(report: Report, layers: list[alt.Chart], *choices: str) -> dict[str, Any]:
    import altair as alt

    first = report.featured[0]
    chosen = {"budget": first.budget, "fraction": first.fraction}
    numbers = ("low", "high", "baseline", "curve_low", "curve_high", "time_low", "time_high")
    size = alt.AutoSizeParams(type="fit-x", contains="padding")
    chart = alt.layer(*layers[:-1], layers[-1].add_params(_pick()))
    chart = chart.properties(width="container", height=270, autosize=size)
    chart = chart.add_params(*(alt.param(name=name, value=chosen[name]) for name in choices))
    chart = chart.add_params(*(alt.param(name=name, value=0) for name in numbers))
    return dict(chart.to_dict())
