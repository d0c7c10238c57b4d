"""What a terminal shows: every sign in any encoding, every word of help and tables at any width."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from typer.main import get_command

from commands import tuneworth
from synthetic import make
from tuneworth import words
from tuneworth.cli import app
from tuneworth.report import build, terminal
from tuneworth.results.rows import rows
from tuneworth.terminal import Fitted, forgive

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
BOX = re.compile(r"[│╭╮╰╯─]")


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "-3.0 to +0.4, 84.1 +- 0.6, cafe ?"),
        ("latin-1", "-3.0 to +0.4, 84.1 ± 0.6, café ?"),
        ("cp1252", "-3.0 to +0.4, 84.1 ± 0.6, café ?"),
        ("utf-8", "−3.0 to +0.4, 84.1 ± 0.6, café 語"),
    ],
)
def test_signs_that_an_encoding_lacks_become_the_nearest(encoding: str, shown: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    forgive(stream)
    print("−3.0 to +0.4, 84.1 ± 0.6, café 語", file=stream, end="", flush=True)
    assert raw.getvalue().decode(encoding) == shown


def test_half_a_character_of_a_file_name_is_no_traceback() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    forgive(stream)
    print("donn\udcc3es.csv", file=stream, end="", flush=True)
    assert raw.getvalue() == b"donn?es.csv"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_shows_every_word_of_its_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = " ".join(BOX.sub(" ", tuneworth(command, "--help").out).split())
    for parameter in COMMANDS[command].params:
        if parameter.name == "help":
            continue
        said = " ".join((parameter.help or "").replace("\\[", "[").split())
        assert said, f"{command} {parameter.name} has no help"
        assert said in shown, f"{command} {parameter.name}"
    assert "[default: None]" not in shown
    assert " ".join((COMMANDS[command].help or "").split()) in shown


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("command", ["tasks", "methods"])
def test_no_word_of_a_table_is_broken(command: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = tuneworth(command)
    assert "…" not in said.out
    for word in ("acceptability", "classification", "regression") if command == "tasks" else ("houlsby", "bitfit"):
        assert word in said.out


@pytest.mark.parametrize("width", [40, 60, 80])
def test_results_are_whole_at_any_width(width: int) -> None:
    study = make(methods=["full", "bitfit"], tasks=["glue/mrpc"], seeds=3)
    report = build(rows(study, "first"), study.spec)
    shown = _printed(terminal.results(report), width)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    scores = [words.spread(cell.mean, cell.deviation) for cell in report.groups[0].cells]
    for part in ("bitfit", "method" if width == 80 else "against full: ", *scores):
        assert part in shown


def test_a_table_that_does_not_fit_is_stacked() -> None:
    table = Table("study", "done")
    table.add_row("a-very-long-name", "12")
    assert _printed(Fitted(table), 60).splitlines()[-2:] == _printed(table, 60).splitlines()[-2:]
    assert _printed(Fitted(table), 20) == "a-very-long-name\n  done: 12\n"


def test_a_column_that_is_not_folded_is_never_cut() -> None:
    table = Table(box=None, pad_edge=False)
    for header in ("method", "behind best", "within 1?"):
        table.add_column(header, no_wrap=True)
    table.add_row("bitfit", "0.0 to 0.0", "yes")
    whole = len("method  behind best  within 1?")
    assert "within 1?" in _printed(Fitted(table), whole)
    assert _printed(Fitted(table), whole - 1) == "bitfit\n  behind best: 0.0 to 0.0\n  within 1?: yes\n"


def _printed(thing: object, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(thing)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_every_answer_is_printed_whole_in_any_encoding(encoding: str, accented: Path) -> None:
    for command in (["status"], ["results", "données"], ["advise", "données"], ["claims", "données"], ["doctor"]):
        said = (
            _piped(encoding, *command, "--store", str(accented)) if command != ["doctor"] else _piped(encoding, "tasks")
        )
        assert said.returncode == 0, said.stderr
        assert said.stderr == b""
    said = _piped(encoding, "results", "données", "--format", "json", "--store", str(accented))
    assert {row["study"] for row in json.loads(said.stdout)} == {"données"}
    said = _piped(encoding, "results", "données", "--format", "csv", "--store", str(accented))
    assert "données" in said.stdout.decode("cp1252" if encoding == "cp1252" else "utf-8")


@pytest.fixture(scope="module")
def accented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a study whose name is not ASCII."""
    from tuneworth.store import open_store

    path = tmp_path_factory.mktemp("store") / "s.db"
    study = make(seeds=3)
    store = open_store(str(path))
    spec = study.spec.model_copy(update={"name": "données"})
    store.put_study(spec, [record.trial for record in study.trials])
    while claimed := store.claim("données", "me", 60):
        result = next(record.result for record in study.trials if record.trial.key == claimed.trial.key)
        assert result is not None
        store.finish("données", claimed.trial.key, "me", result)
    store.close()
    return path


def test_an_argument_that_is_no_text_is_refused() -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = Path(sys.executable).with_name("tuneworth")
    said = subprocess.run(
        [program, "results", "données"], capture_output=True, env=environment, check=False, encoding="ascii"
    )
    assert said.returncode == 2
    assert "LC_ALL=C.UTF-8" in said.stderr
    assert "Traceback" not in said.stderr


def _piped(encoding: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "60"}
    program = Path(sys.executable).with_name("tuneworth")
    return subprocess.run([str(program), *arguments], capture_output=True, env=environment, check=False)
