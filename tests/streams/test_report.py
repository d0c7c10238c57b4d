"""The report of a stream study: its numbers, its page without a network, its terminal tables."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_streams import DATA, TASKS, table

from tuneworth.report.stream_html import render_streams, write_streams
from tuneworth.report.stream_terminal import show_streams
from tuneworth.report.streams import StreamReport, build_streams
from tuneworth.report.toml import to_toml
from tuneworth.spec import StudySpec, TrialSpec
from tuneworth.stats import mean_interval


def score(trial: TrialSpec) -> float:
    return 70.0 + trial.seed + (2.0 if trial.kind == "full" else 0.0)


def report(stream: dict[str, object], **study: object) -> StreamReport:
    rows, spec = table(stream, score, **study)
    return replace(build_streams(rows, spec), advice=("Use <b>it</b>.",))


def test_curves_are_means_over_seeds_with_their_intervals() -> None:
    made = report(DATA)
    assert [panel.title for panel in made.data] == ["glue/mrpc", "glue/cola"]
    full, bitfit = made.data[0].cells
    assert (full.method, full.seeds, full.mean, full.deviation) == ("full", 3, 73.0, 1.0)
    assert bitfit.points[1].cumulative == 71.0
    assert bitfit.points[1].cumulative_interval == mean_interval([70.0, 71.0, 72.0])
    assert full.seconds == 4.0


def test_what_was_asked_names_the_stream() -> None:
    asked = dict(report({**DATA, "drift": ["none", "noise-burst"], "buffer": [0, 500], "length": 300}).asked)
    assert asked["Drift"] == "none and noise-burst"
    assert asked["Replay"] == "none and 500"
    assert asked["Examples"] == "300 of each task"
    assert asked["Budget a chunk"] == "3 epochs"
    assert dict(report(TASKS).asked)["Mode"] == "separate, sequential and joint"


def test_tasks_are_a_matrix_a_method_and_mode() -> None:
    [panel] = report(TASKS).tasks
    assert [(cell.method, cell.mode) for cell in panel.cells] == [
        (method, mode) for mode in ("separate", "sequential", "joint") for method in ("full", "bitfit")
    ]
    cell = panel.cells[2]
    assert (cell.forgetting, cell.transfer, cell.matrix) == (1.5, -1.5, ((73.0,), (73.0, 73.0)))
    assert panel.cells[4].forgetting is None


@pytest.mark.parametrize("stream", [DATA, TASKS])
def test_the_page_is_whole_escaped_and_needs_no_network(stream: dict[str, object], tmp_path: Path) -> None:
    text = write_streams(report(stream), tmp_path / "s.html").read_text(encoding="utf-8")
    assert "Use &lt;b&gt;it&lt;/b&gt;." in text
    body = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="https?:', body)
    page = json.loads(re.search(r'<script id="page" type="application/json">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert len(page["panels"]) == (2 if stream is DATA else 1)
    for chart in page["charts"].values():
        assert chart["params"]
    fields = page["tables"]["curves"]["fields"]
    assert all(len(row) == len(fields) for row in page["tables"]["curves"]["values"])


@pytest.mark.parametrize("stream", [DATA, TASKS])
def test_a_study_with_no_result_yet_has_a_report(stream: dict[str, object]) -> None:
    _, spec = table(stream, score)
    assert "No trial of this study has a result yet." in render_streams(build_streams([], spec))


@pytest.mark.parametrize(
    ("stream", "words"),
    [(DATA, ["prequential f1", "73.0 ± 1.0", "4.0 s"]), (TASKS, ["sequential", "−1.5", "180 MB"])],
)
def test_the_terminal_fits_80_columns(stream: dict[str, object], words: list[str]) -> None:
    out = io.StringIO()
    show_streams(report(stream), Console(file=out, width=80))
    assert all(len(line) <= 80 for line in out.getvalue().splitlines())
    assert all(word in out.getvalue() for word in words), out.getvalue()


@pytest.mark.parametrize(
    "stream", [{**DATA, "drift": ["none", "noise-burst"], "buffer": 500, "length": 300}, {**TASKS, "head": "shared"}]
)
def test_the_study_file_is_read_back(stream: dict[str, object], tmp_path: Path) -> None:
    _, spec = table(stream, score)
    (tmp_path / "s.toml").write_text(to_toml(spec))
    assert StudySpec.from_toml(tmp_path / "s.toml") == spec
