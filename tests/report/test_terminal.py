import io
from typing import Any

import pytest
from rich.console import Console

from synthetic import make
from tuneworth.report import build, terminal
from tuneworth.results.rows import rows

LONG = "a-rather-long-name-of-a-variant"


def lines(what: Any, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(what)
    return out.getvalue().splitlines()


@pytest.fixture(scope="module")
def report() -> Any:
    study = make(
        lambda trial: "Diverged: the loss is nan" if trial.method == "bitfit" and trial.seed < 2 else "done",
        methods=["head", "full", "bitfit", LONG], method={LONG: {"kind": "houlsby"}}, fractions=[0.3, 1.0],
        budgets=["2epochs", "200s"], seeds=3,
    )  # fmt: skip
    return build(rows(study, "first"), study.spec)


def test_results_fit_80_columns_and_keep_every_number(report: Any) -> None:
    text = lines(terminal.results(report))
    assert max(len(line) for line in text) <= 80
    assert "…" not in "\n".join(text)
    [full] = [line for line in text[: len(text) // 4] if line.startswith("full")]
    cell = report.groups[0].cells[1]
    assert full.split()[1:] == [f"{cell.mean:.1f}", "±", f"{cell.deviation:.1f}", "3", "–", "100%", "7.8", "s"]
    folded = [line[:15].strip() for line in text if line.startswith((LONG[:15], LONG[15:30], LONG[30:] + " "))]
    assert "".join(folded[:3]) == LONG


def test_every_group_has_its_title(report: Any) -> None:
    titles = [line for line in lines(terminal.results(report)) if line.startswith("glue/mrpc, ")]
    assert titles[0] == "glue/mrpc, 30% of the training data, 2 epochs; baseline 81.2"
    assert len(titles) == 4


def test_summary_has_advice_cautions_and_reasons(report: Any) -> None:
    text = " ".join(" ".join(lines(terminal.summary(report))).split())
    assert f"{report.plain[0].sentence} Evidence: " in text
    for caution in report.cautions:
        assert caution in text
    assert "seed 0 (minilm): Diverged: the loss is nan" in text
    assert "and 3 more; the report has them all" in text


def test_names_are_not_read_as_markup() -> None:
    study = make(methods=["[red]x", "full"], method={"[red]x": {"kind": "bitfit"}}, tasks=["[bold]t"], seeds=1)
    text = "\n".join(lines(terminal.results(build(rows(study, "first"), study.spec))))
    assert "[red]x" in text
    assert "[bold]t" in text


def test_nothing_finished_yet_is_said() -> None:
    study = make("pending")
    text = " ".join(" ".join(lines(terminal.summary(build(rows(study, "first"), study.spec)))).split())
    assert "no trial has a result yet." in text


def test_show_prints_tables_and_advice(report: Any) -> None:
    out = io.StringIO()
    terminal.show(report, Console(file=out, width=80))
    assert " ".join(out.getvalue().split()).endswith(report.plain[-1].meaning)
    assert out.getvalue().count("against full") == 4
