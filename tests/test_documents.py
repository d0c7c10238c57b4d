"""What the documents say can be typed, and does what they say."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from commands import tuneworth
from documents import PAGES, ROOT, blocks, tuneworth_commands
from tasks.glue_data import write_glue
from tuneworth import methods, models
from tuneworth.cli import app
from typed import NOT_RUN, Reader, smaller

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(("page", "line"), tuneworth_commands())
def test_a_command_has_the_options_that_a_page_gives_it(page: str, line: str) -> None:
    """Parsed as the program would: an unknown option, a missing one, a value that cannot be, ends it."""
    _, command, *arguments = shlex.split(line)
    assert command in COMMANDS, page
    COMMANDS[command].make_context(command, arguments)


def test_benchmarks_that_a_page_names_are_there() -> None:
    named = {name for page in PAGES for name in re.findall(r"benchmarks/\w+\.py", page.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


PATCH = """
import dataclasses, tuneworth.methods, tuneworth.models as models
alias = models._ALIASES["minilm"]
models._ALIASES["minilm"] = dataclasses.replace(alias, package="tiny_minilm", sha256={sha256!r})
tuneworth.methods.__path__.append({methods!r})
"""
MADE_ELSEWHERE = """
import csv, random
rng = random.Random(0)
good, bad = ["delicious", "wonderful", "superb"], ["stale", "rude", "bland"]
reviews = [(f"The {thing} was {rng.choice(good if stars > 3 else bad)}, {n}.", "good" if stars > 3 else "bad", stars)
           for n in range(60) for stars in [rng.randint(1, 5)] for thing in ["soup"]]
for name, header, rows in [
    ("reviews.csv", ["review", "verdict", "stars"], reviews), ("new.csv", ["review"], [row[:1] for row in reviews[:9]]),
    ("pairs.csv", ["first", "second", "label"], [(a[0], b[0], a[1] == b[1]) for a, b in zip(reviews, reviews[::-1])]),
]:
    with open(name, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
"""
"""The files that a page takes from another page, or that are the reader's own."""
STUDY = """
name = "STUDY"
methods = ["head", "full", "bitfit"]
tasks = ["glue/mrpc", "reviews"]
fractions = [0.3, 1.0]
budgets = ["3epochs"]
seeds = 3
task.reviews = { train = "reviews.csv", text = "review", label = "verdict" }
"""
"""What advice.md calls STUDY."""
RECOMMENDED = {"predict reviews": "predict tuneworth.db.files/deltas/reviews/*"}
"""Two steps recommend nothing; then the directory of a delta is to be given, the pages say."""
GLUE = {"GLUE_DIRECTORY": "glue", "glue/ ": "glue "}


@pytest.fixture
def minilm(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model is what the name minilm stands for, in this process and in those that it starts; GLUE's files are made up."""
    package = tmp_path / "path" / "tiny_minilm"
    shutil.copytree(tiny_model, package / "model")
    (package / "__init__.py").touch()
    weights = hashlib.sha256((package / "model" / "model.safetensors").read_bytes()).hexdigest()
    here = tmp_path / "here"
    patch = PATCH.format(sha256=weights, methods=str(here / "src/tuneworth/methods"))
    (tmp_path / "path" / "sitecustomize.py").write_text(patch)
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TUNEWORTH_PLAIN", "1")
    monkeypatch.setattr("tuneworth.models._ALIASES", dict(models._ALIASES))
    monkeypatch.setattr(methods, "__path__", [*methods.__path__])
    here.mkdir()
    monkeypatch.chdir(here)
    exec(patch, {})
    write_glue(here / "glue", train=80)
    exec(MADE_ELSEWHERE, {})
    (here / "docs").mkdir()
    for study in (ROOT / "docs").glob("*.toml"):
        (here / "docs" / study.name).write_text(smaller(study.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.fixture
def reader(minilm: None) -> Iterator[Reader]:  # noqa: ARG001 - its pages speak of it
    reading = Reader({**RECOMMENDED, **GLUE})
    yield reading
    reading.close()
    methods.all_methods.cache_clear()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_as_it_is_typed(page: Path, reader: Reader) -> None:
    read = blocks(page)
    if page.name == "advice.md":
        reader.write(STUDY + next(block.text for block in read if block.language == "toml"))
        reader.type("tuneworth run STUDY.toml --data-dir glue", "")
        read = [block for block in read if block.language != "toml"]
    for block in read:
        reader.do(block)
        if page.name == "deltas.md":  # "stand for the three directories"
            for delta in Path().glob("*.files/deltas/reviews/*/delta.json"):
                shutil.copytree(delta.parent, json.loads(delta.read_text())["method"], dirs_exist_ok=True)
    if page.name == "advice.md":
        assert tuneworth("claims", "STUDY").code == 0


def test_what_is_not_typed_stands_in_a_page() -> None:
    typed = {re.split(r"\s+#\s", command)[0] for page in PAGES for block in blocks(page) for command in block.commands}
    assert NOT_RUN.keys() <= typed
