"""What the documents say can be typed, and does what they say."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from documents import PAGES, ROOT, blocks, tuneworth_commands
from tuneworth.cli import app

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
import dataclasses, tuneworth.models as models
alias = models._ALIASES["minilm"]
models._ALIASES["minilm"] = dataclasses.replace(alias, package="tiny_minilm", sha256={sha256!r})
"""


@pytest.mark.timeout(600)
def test_the_first_study_runs_as_it_is_typed(tiny_model: Path, tmp_path: Path) -> None:
    """Every command of the page in one shell, as copied from its source; with a tiny model, shorter limits, and no install."""
    package = tmp_path / "path" / "tiny_minilm"
    shutil.copytree(tiny_model, package / "model")
    (package / "__init__.py").touch()
    weights = hashlib.sha256((package / "model" / "model.safetensors").read_bytes()).hexdigest()
    (tmp_path / "path" / "sitecustomize.py").write_text(PATCH.format(sha256=weights))
    page = list(blocks(ROOT / "docs" / "first-study.md"))
    (study,) = [block.text for block in page if block.language == "toml"]
    (script,) = [block.text for block in page if block.language == "python"]
    (tmp_path / "first.toml").write_text(study.replace('"2s"', '"0.1s"').replace("seeds = 3 ", "seeds = 1 "))
    (tmp_path / "first.py").write_text(script)
    typed = [
        block.text for block in page if block.language == "sh" and not re.search(r"make demo|activate", block.text)
    ]
    assert len(typed) > 5
    shell = "\n".join([*typed, "python first.py"]).replace("10m", "10s").replace("predict reviews", "predict $DELTA")
    shell = shell.replace("tuneworth predict", "DELTA=$(ls -d *.files/deltas/reviews/* | head -1); tuneworth predict")
    environment = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path / "path"),
        "TUNEWORTH_PLAIN": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", shell],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    for made in ("reviews.html", "reviews-trials.csv", "labelled.csv", "first.html"):
        assert (tmp_path / made).stat().st_size > 500, made
    assert (tmp_path / "labelled.csv").read_text().startswith("review,verdict,label,confidence\n")
