"""The layout that DESIGN promises: imports point one way, public names are there, every command is documented."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import tuneworth
from tuneworth.cli import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tuneworth"

LAYERS = [
    {"cache", "errors", "terminal", "words"},
    {"spec", "writing"},
    {"kinds"},
    {"models", "stats"},
    {"methods", "tasks"},
    {"results"},
    {"events", "store"},
    {"fits", "plan", "presets", "progress", "set_aside", "train", "tuning", "until_decided"},
    {"advice", "tuned"},
    {"streams"},
    {"deltas", "prepare", "report"},
    {"machine", "predict", "serve", "trial"},
    {"executors"},
    {"display"},
    {"run"},
    {"study"},
    {"demo", "own_data"},
    {"cli"},
]
"""Bottom first. A part may import from lower layers only, at the top of a file or inside a function."""
NEVER = {
    "trial": {"store"},  # workers never touch the store
    "executors": {"store"},
    "train": {"methods"},
    "streams": {"store"},
    "report": {"store", "study"},  # made from plain rows
    "advice": {"store", "methods", "tasks", "models"},  # pure
    "plan": {"store", "tasks", "models"},  # pure
    "cli": {"trial", "train", "executors"},
}


def modules() -> list[tuple[str, Path]]:
    """(part, file): the part of `store/sql.py` is store."""
    files = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
    return [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in files]


def imported(path: Path) -> set[str]:
    """The parts of the package that a file imports when it runs; what is for the type checker alone is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "tuneworth":
                found |= {alias.name for alias in node.names}
            elif node.module:
                found |= _part(node.module)
        elif isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in _part(alias.name)}
    return found


def _part(module: str) -> set[str]:
    first, _, rest = module.partition(".")
    return {rest.partition(".")[0]} if first == "tuneworth" and rest else set()


def test_every_part_has_its_layer() -> None:
    assert {part for part, _ in modules()} == set().union(*LAYERS), "give a new part its layer in LAYERS"
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))


@pytest.mark.parametrize(("part", "path"), modules(), ids=lambda value: str(value).rpartition("tuneworth/")[2])
def test_imports_point_one_way(part: str, path: Path) -> None:
    level = next(i for i, layer in enumerate(LAYERS) if part in layer)
    lower = set().union(*LAYERS[:level]) | {part}
    assert imported(path) <= lower - NEVER.get(part, set())


def test_imports_are_really_found() -> None:
    found = set().union(*(imported(path) for part, path in modules() if part == "study"))
    assert {"errors", "run", "prepare", "store", "display", "report"} <= found  # the last two inside functions


@pytest.mark.parametrize("name", tuneworth.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(tuneworth, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Stduy'"):
        _ = tuneworth.Stduy


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, tuneworth; print(sorted({'torch', 'numpy', 'pydantic', 'rich', 'typer'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_documented(command: str) -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert re.search(rf"tuneworth {command}\b", "\n".join(page.read_text(encoding="utf-8") for page in pages))
