"""The grid as tables for papers, and the charts as files."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from synthetic import make
from tuneworth.report import Report, build
from tuneworth.report.figures import write_figures
from tuneworth.report.papers import FORMATS, table
from tuneworth.report.sources import SOURCES, bibtex
from tuneworth.results.rows import rows


@pytest.fixture(scope="module")
def report() -> Report:
    study = make(
        methods=["head", "full", "odd_&|"], method={"odd_&|": {"kind": "bitfit"}}, fractions=[0.3, 1.0], seeds=5
    )
    return build(rows(study, "first"), study.spec)


def test_csv_has_a_row_a_cell_with_the_scores_of_the_report(report: Report) -> None:
    found = list(csv.DictReader(io.StringIO(table(report, "csv"))))
    assert len(found) == 3 * 2
    means = {(group.fraction, cell.method): cell.mean for group in report.groups for cell in group.cells}
    assert {(float(one["fraction"]), one["method"]): float(one["mean"]) for one in found} == pytest.approx(means)
    assert all(float(one["low"]) < float(one["mean"]) < float(one["high"]) for one in found)


def test_what_is_best_and_what_equals_it_is_what_the_advice_says(report: Report) -> None:
    inside = {one.method for one in report.advice[0].candidates if one.status == "inside"}
    found = [one for one in csv.DictReader(io.StringIO(table(report, "csv"))) if one["fraction"] == "1.0"]
    assert {one["method"] for one in found if one["equal"] == "1"} == inside
    best = max(found, key=lambda one: float(one["mean"]))
    assert [one["method"] for one in found if one["best"] == "1"] == [best["method"]]


def test_every_format_marks_the_best_and_escapes_names(report: Report) -> None:
    bold = {"markdown": "**86.6**", "latex": r"\textbf{86.6}", "html": "<b>86.6</b>"}
    names = {"markdown": "odd_&\\|", "latex": r"odd\_\&|", "html": "odd_&amp;|"}
    for format in FORMATS:
        if format != "csv":
            text = table(report, format)
            assert bold[format] in text
            assert names[format] in text
    body = table(report, "latex").partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    assert {line.count("&") - line.count(r"\&") for line in body.strip().splitlines()} == {2}


@pytest.mark.parametrize(("format", "begins"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_figures_are_the_charts_of_the_page(report: Report, tmp_path: Path, format: Any, begins: bytes) -> None:
    written = write_figures(report, tmp_path / "figures", format)
    assert {"overview-glue-mrpc", "data-glue-mrpc"} <= {path.stem for path in written}
    assert all(path.read_bytes().startswith(begins) for path in written)
    if format == "svg":
        overview = next(path for path in written if path.stem.startswith("overview")).read_text(encoding="utf-8")
        assert ">glue/mrpc<" in overview
        assert ">full<" in overview


def test_sources_are_cited_whole() -> None:
    assert all(one.url.startswith("https://") and one.year > 1900 for one in SOURCES)
    assert bibtex().count("@article{") == len(SOURCES)


def test_a_notebook_shows_what_to_do_and_the_grid(report: Report) -> None:
    shown = report._repr_html_()
    assert f"<b>{report.plain[0].act}</b>" in shown
    assert "<b>86.6</b>" in shown
    advice = report.advice[0]._repr_html_()
    assert report.advice[0].sentence.replace("&", "&amp;") in advice
    assert advice.count("<tr>") == 1 + len(report.advice[0].candidates)
    assert "odd_&amp;|" in advice
