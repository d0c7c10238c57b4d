"""From the rows of a stream study to one StreamReport value; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tuneworth import words
from tuneworth.advice.streams import advise_stream
from tuneworth.report.build import build
from tuneworth.report.value import Report
from tuneworth.results.cells import quiet
from tuneworth.results.rows import Row
from tuneworth.spec import StudySpec
from tuneworth.stats import Interval, mean_interval, standard_deviation
from tuneworth.tasks.summary import metric_of, said

__all__ = ["DataCell", "DataPanel", "StreamReport", "TaskCell", "TaskPanel", "build_streams"]


@dataclass(frozen=True)
class ChunkPoint:
    """Means over seeds, with the 95% interval of each mean (None for one seed)."""

    cumulative: float
    cumulative_interval: Interval | None
    score: float
    score_interval: Interval | None


@dataclass(frozen=True)
class DataCell:
    """One method on one data stream. Scores are prequential, in points; seconds are of training, a chunk."""

    method: str
    seeds: int
    mean: float
    deviation: float | None
    points: tuple[ChunkPoint, ...]
    seconds: float
    trained: float


@dataclass(frozen=True)
class DataPanel:
    title: str
    metric: str
    chunk: int
    baseline: tuple[float, ...]
    """After each chunk, the mean over seeds."""
    cells: tuple[DataCell, ...]


@dataclass(frozen=True)
class TaskCell:
    """One method in one mode. `matrix[i][j]`: score on task j after stage i, the mean over seeds."""

    method: str
    mode: str
    seeds: int
    mean: float
    deviation: float | None
    forgetting: float | None
    transfer: float | None
    matrix: tuple[tuple[float, ...], ...]
    stored: tuple[float, ...]
    """Bytes after each stage."""
    seconds: float
    """Of training, a task."""


@dataclass(frozen=True)
class TaskPanel:
    title: str
    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    baselines: tuple[float, ...]
    cells: tuple[TaskCell, ...]


@dataclass(frozen=True)
class StreamReport:
    """`base` holds what every study's report says too: progress, cautions, failures, environment, the study file."""

    base: Report
    asked: tuple[tuple[str, str], ...]
    """What the study compares, and on which stream: (label, words)."""
    advice: tuple[str, ...]
    data: tuple[DataPanel, ...]
    tasks: tuple[TaskPanel, ...]
    read: tuple[str, ...]
    """What was read of the tasks, in lines."""


def build_streams(table: Sequence[Row], spec: StudySpec) -> StreamReport:
    """Everything that the report of a stream study shows, from `results.rows` and the study."""
    done = [row for row in table if row["state"] == "done" and row["score"] is not None]
    several = len(spec.models) > 1, len(spec.budgets) > 1
    data = tuple(
        _data_panel(rows, several)
        for rows in _groups(done, lambda row: (row["model"], row["task"], row["budget"])) if rows[0]["chunks"]
    )  # fmt: skip
    tasks = tuple(
        _task_panel(rows, several)
        for rows in _groups(done, lambda row: (row["model"], row["budget"])) if rows[0]["stages"]
    )  # fmt: skip
    base = build(table, spec)
    read = tuple(dict.fromkeys(line for row in done for line in said(row["stream"]["tasks"][0], row["data"])))
    return StreamReport(
        base,
        _asked(base, spec),
        advise_stream(table) or ("No trial of this study has a result yet.",),
        data,
        tasks,
        read,
    )


def _asked(base: Report, spec: StudySpec) -> tuple[tuple[str, str], ...]:
    stream = spec.stream
    assert stream is not None, "made for stream studies alone"
    each = "chunk" if stream.kind == "data" else "task"
    asked = [(f"{label} a {each}" if label.startswith("Budget") else label, text)
             for label, text in base.asked if label != "Training data"]  # fmt: skip
    asked.append(("Examples", f"{stream.length:,} of each task" if stream.length else "the whole training split"))
    if stream.kind == "data":
        asked += [("Chunk", str(stream.chunk)), ("Drift", words.listed(list(stream.drift)))]
        asked.append(("Replay", words.listed([str(size) if size else "none" for size in stream.buffer])))
    else:
        asked += [("Mode", words.listed(list(stream.mode))), ("Head", stream.head)]
    return tuple(asked)


def _data_panel(rows: list[Row], several: tuple[bool, bool]) -> DataPanel:
    chunks = range(len(rows[0]["chunks"]))
    return DataPanel(
        title=_title(rows[0]["task"], rows[0], several), metric=metric_of(rows[0]) or "score", chunk=rows[0]["stream"]["chunk"],
        baseline=tuple(fmean(row["chunks"][k]["baseline"] for row in rows) for k in chunks),
        cells=tuple(_data_cell(of_method) for of_method in _groups(rows, lambda row: (row["method"],))),
    )  # fmt: skip


def _data_cell(rows: list[Row]) -> DataCell:
    scores = [row["score"] for row in rows]
    points = []
    for each in zip(*(row["chunks"] for row in rows), strict=True):
        cumulative, score = [chunk["cumulative"] for chunk in each], [chunk["score"] for chunk in each]
        points.append(ChunkPoint(fmean(cumulative), mean_interval(cumulative), fmean(score), mean_interval(score)))
    return DataCell(
        method=rows[0]["method"], seeds=len(rows), mean=fmean(scores), deviation=standard_deviation(scores),
        points=tuple(points), seconds=quiet([row["train_seconds"] for row in rows]) / len(points),
        trained=rows[0]["trainable_parameters"] / rows[0]["total_parameters"],
    )  # fmt: skip


def _task_panel(rows: list[Row], several: tuple[bool, bool]) -> TaskPanel:
    last, read = rows[0]["stages"][-1]["scores"], (rows[0]["data"] or {}).get("tasks", {})
    metrics = [metric_of({"metric": score["metric"], "data": read.get(score["task"])}) for score in last]
    return TaskPanel(
        title=_title(" > ".join(rows[0]["stream"]["tasks"]), rows[0], several),
        tasks=tuple(score["task"] for score in last), metrics=tuple(metric or "score" for metric in metrics),
        baselines=tuple(score["baseline"] for score in last),
        cells=tuple(_task_cell(cell) for cell in _groups(rows, lambda row: (row["method"], row["stream"]["mode"]))),
    )  # fmt: skip


def _task_cell(rows: list[Row]) -> TaskCell:
    scores = [row["score"] for row in rows]
    matrix = tuple(
        tuple(fmean(seeds) for seeds in zip(*([s["score"] for s in stage["scores"]] for stage in stages), strict=True))
        for stages in zip(*(row["stages"] for row in rows), strict=True)
    )
    return TaskCell(
        method=rows[0]["method"], mode=rows[0]["stream"]["mode"], seeds=len(rows), mean=fmean(scores),
        deviation=standard_deviation(scores), forgetting=_metric(rows, "forgetting"),
        transfer=_metric(rows, "backward_transfer"), matrix=matrix,
        stored=tuple(stage["stored_bytes"] for stage in rows[0]["stages"]),
        seconds=quiet([row["train_seconds"] for row in rows]) / len(rows[0]["stream"]["tasks"]),
    )  # fmt: skip


def _metric(rows: list[Row], name: str) -> float | None:
    values = [row["metrics"][name] for row in rows if name in row["metrics"]]
    return fmean(values) if values else None


def _title(text: str, row: Row, several: tuple[bool, bool]) -> str:
    """With the model and the budget, where there are several."""
    return ", ".join([text, *(row[key] for key, many in zip(("model", "budget"), several, strict=True) if many)])


def _groups(rows: Iterable[Row], key: Callable[[Row], tuple[str, ...]]) -> list[list[Row]]:
    """Rows of equal keys, in the order in which they come."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())
