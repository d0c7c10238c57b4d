"""A new kind is one file: as docs/add-a-kind.md has it, in a package of its own, through compare, predict and serve."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-a-kind.md"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory to import from: the page's file, and the metadata that an installed package has."""
    [source] = re.findall(
        r"```python\n(\"\"\"One of several grades.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "site" / "grades-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "grades.py").write_text(source)
    (tmp_path / "site" / "grades-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: grades\nVersion: 1.0\n"
    )
    (tmp_path / "site" / "grades-1.0.dist-info" / "entry_points.txt").write_text(
        "[tuneworth.kinds]\ngrades = grades:Grades\n"
    )
    return tmp_path / "site"


def test_a_kind_of_another_package_is_compared_predicted_and_served(
    package: Path, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("poor", "fair", "good")
    rows = [{"text": f"the film is {words[i % 3]} {'indeed ' * (i % 4)}", "grade": i % 3 + 1} for i in range(60)]
    (tmp_path / "films.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code = f"""
import json, torch
from pathlib import Path
from typer.testing import CliRunner
from tuneworth import models
from tuneworth.cli import app
from tuneworth.serve.engine import Engine
from tuneworth.serve.found import find
from tuneworth.study import Study

def call(*arguments):
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    print(result.output)
    assert result.exit_code == 0, result.output

call("compare", "--train", "films.jsonl", "--text", "text", "--label", "grade", "--kind", "grades", "--model", {str(tiny_model)!r},
     "--methods", "full", "--seeds", "1", "--tune", "1", "--budget", "30steps", "--store", "store.db", "--device", "cpu")
[row] = Study.open("films", "store.db").rows()
print(row["metric"], row["score"], row["baseline_score"])
assert row["metric"] == "within_one" and row["data"]["kind"] == "grades"
call("predict", row["delta_path"], "--input", "films.jsonl", "--output", "out.jsonl", "--device", "cpu")
first = json.loads(Path("out.jsonl").read_text().splitlines()[0])
assert set(first) == {{"text", "grade", "label"}} and first["label"] in (1, 2, 3), first
engine = Engine(models.resolve({str(tiny_model)!r}), torch.device("cpu"), "fp32")
[found] = find(Path(row["delta_path"]).parent)
task = engine.load(found)
print(engine.run(engine.encode(task, ["the film is good"], None)))
"""
    paths = os.pathsep.join([str(package), str(ROOT / "src")])
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
