"""The pictures of a stream study, drawn by page.js: prequential curves, and storage against the number of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuneworth import words
from tuneworth.report.charts.marks import faded
from tuneworth.report.palette import colours
from tuneworth.report.streams import DataPanel, StreamReport, TaskPanel

if TYPE_CHECKING:
    import altair as alt

__all__ = ["stream_charts", "stream_page"]


CURVE_FIELDS = (
    "panel",
    "method",
    "chunk",
    "score_so_far",
    "low_so_far",
    "high_so_far",
    "score",
    "low_score",
    "high_score",
)
STORED_FIELDS = ("panel", "method", "mode", "tasks", "megabytes")


@dataclass(frozen=True)
class StreamChart:
    name: str
    title: str
    explanation: str
    spec: dict[str, Any]


def stream_charts(report: StreamReport) -> tuple[StreamChart, ...]:
    """None where no trial has finished."""
    methods = report.base.methods
    last = max([len(panel.baseline) for panel in report.data] + [len(panel.tasks) for panel in report.tasks], default=0)
    if report.data:
        return (
            StreamChart("so-far", "Prequential score so far", "Each example is predicted before it is trained on; the score is "
                  "over all predictions so far. Bands: 95% intervals of the mean over seeds. Dashed: the baseline.",
                  _curves(methods, last, "score_so_far", "low_so_far", "high_so_far", baseline=True)),
            StreamChart("by-chunk", "Score of each chunk", "The predictions of one chunk alone, made before training on it. Bands "
                  "as above; a chunk is small, so the curve is rough.", _curves(methods, last, "score", "low_score", "high_score")),
        )  # fmt: skip
    if report.tasks:
        return (
            StreamChart("storage", "Storage against the number of tasks", "Trained parameters that must be kept to serve all "
                  "tasks so far. The vertical axis is logarithmic.",
                  _storage(methods, last, [cell.mode for panel in report.tasks for cell in panel.cells])),
        )  # fmt: skip
    return ()


def stream_page(report: StreamReport) -> dict[str, Any]:
    """What page.js draws from: the charts, a panel a stream, and the numbers."""
    baselines = [[i, k + 1, value] for i, panel in enumerate(report.data) for k, value in enumerate(panel.baseline)]
    points = [
        [i, cell.method, k + 1, p.cumulative, *_ends(p.cumulative_interval), p.score, *_ends(p.score_interval)]
        for i, panel in enumerate(report.data) for cell in panel.cells for k, p in enumerate(cell.points)
    ]  # fmt: skip
    stored = [
        [i, cell.method, cell.mode, tasks, size / 1e6]
        for i, panel in enumerate(report.tasks) for cell in panel.cells
        for tasks, size in zip(_counts(len(panel.tasks), len(cell.stored)), cell.stored, strict=True)
    ]  # fmt: skip
    panels = [
        {"title": p.title, "subtitle": f"{words.metric(p.metric)}, in points", "says": _says(p), **_range(p)}
        for p in report.data
    ]
    panels += [{"title": p.title, "subtitle": "one point a stage", "says": _says(p)} for p in report.tasks]
    return {
        "charts": {chart.name: chart.spec for chart in stream_charts(report)}, "panels": panels,
        "tables": {
            "baselines": {"fields": ("panel", "chunk", "baseline"), "values": baselines},
            "curves": {"fields": CURVE_FIELDS, "values": points} if report.data
            else {"fields": STORED_FIELDS, "values": stored},
        },
    }  # fmt: skip


def _says(panel: DataPanel | TaskPanel) -> str:
    """Its scores in one sentence, for those who see no chart."""
    return f"scores are {words.listed([f'{cell.method} {words.points(cell.mean)}' for cell in panel.cells])}"


def _counts(tasks: int, stages: int) -> Sequence[int]:
    """How many tasks are known after each stage; a joint model learns them all in one."""
    return range(1, tasks + 1) if stages == tasks else (tasks,)


def _ends(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return interval or (None, None)


def _range(panel: DataPanel) -> dict[str, float]:
    """What the axis shows: curves and baseline, a margin, and never less than a point; wide bands are cut off."""
    scores = [v for cell in panel.cells for p in cell.points for v in (p.cumulative, p.score)]
    low, high = min([*scores, *panel.baseline]), max([*scores, *panel.baseline])
    margin = max(0.06 * (high - low), (1 - (high - low)) / 2)
    return {"low": low - margin, "high": high + margin}


def _curves(
    methods: Sequence[str], last: int, score: str, low: str, high: str, baseline: bool = False
) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(alt.NamedData(name="curves")).encode(
        color=_colour(methods), x=alt.X("chunk:Q", title="Chunk", axis=_whole(last))
    )
    scale = alt.Scale(domainMin=alt.ExprRef("low"), domainMax=alt.ExprRef("high"), zero=False)
    tips = ["method:N", "chunk:Q", *(alt.Tooltip(f"{name}:Q", format=".1f") for name in (score, low, high))]
    band = base.mark_area(clip=True).encode(
        y=alt.Y(f"{low}:Q", title="Score", scale=scale), y2=f"{high}:Q", opacity=faded(0.12)
    )
    line = base.mark_line(clip=True, strokeWidth=2, point=True).encode(
        y=alt.Y(f"{score}:Q", title="Score", scale=scale), opacity=faded(1), tooltip=tips
    )
    rule = alt.Chart(alt.NamedData(name="baselines")).mark_line(strokeDash=[5, 4], clip=True, color="#808080").encode(
        x="chunk:Q", y=alt.Y("baseline:Q", scale=scale)
    )  # fmt: skip
    return _finish([band, *([rule] if baseline else []), line], "low", "high")


def _storage(methods: Sequence[str], last: int, modes: Iterable[str]) -> dict[str, Any]:
    import altair as alt

    dash = alt.StrokeDash("mode:N", sort=list(dict.fromkeys(modes)), legend=alt.Legend(title=None, orient="bottom"))
    line = (
        alt.Chart(alt.NamedData(name="curves")).mark_line(strokeWidth=2, point=True)
        .encode(color=_colour(methods), strokeDash=dash, opacity=faded(1),
                x=alt.X("tasks:Q", title="Tasks", axis=_whole(last)),
                y=alt.Y("megabytes:Q", title="Megabytes", scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=5, format="~r")),
                tooltip=["method:N", "mode:N", "tasks:Q", alt.Tooltip("megabytes:Q", format=".3~r")])
    )  # fmt: skip
    return _finish([line])


def _whole(last: int) -> alt.Axis:
    """Whole numbers from 1 on, no more than some ten of them."""
    import altair as alt

    return alt.Axis(grid=False, values=list(range(1, last + 1, -(-last // 10))), format="d")


def _colour(methods: Sequence[str]) -> alt.Color:
    import altair as alt

    scale = alt.Scale(domain=list(methods), range=colours(methods))
    return alt.Color(
        "method:N",
        scale=scale,
        legend=alt.Legend(title=None, orient="bottom", columns=4, symbolLimit=0, symbolOpacity=1),
    )


def _finish(layers: list[alt.Chart], *numbers: str) -> dict[str, Any]:
    import altair as alt

    chart = alt.layer(*layers).properties(
        width="container", height=270, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )
    return dict(
        chart.add_params(
            *(alt.param(name=name, value=0) for name in ("panel_number", *numbers)), alt.param(name="picked", value=[])
        ).to_dict()
    )
