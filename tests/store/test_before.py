"""A store as an earlier version left it opens, goes on, and its deltas are found."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands import tuneworth
from conftest import silent
from made_deltas import make_delta
from store.before import DUMP, make_base, make_data, study
from tuneworth.spec import ENGINE, StudySpec
from tuneworth.study import Study

LABELS = {"model", "method", "task", "stream"}
"""What is no part of a trial's key."""


def made_by_this_engine(dump: str) -> str:
    """The dump, as if its numbers were this engine's: a newer one trains anew by design. The key's formula is written out."""
    for spec in re.findall(r"""INSERT INTO "trials" VALUES\(1,'\w+',\d+,'(.*?)','""", dump):
        told = json.loads(spec)
        old, new = (
            hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
            for engine in (told["engine"], ENGINE + (told["kind"] == "head"))
            for content in [{**{key: told[key] for key in told if key not in LABELS}, "engine": engine}]
        )
        assert old in dump, "the key is another one"
        now = re.sub(r'"engine":\d+', f'"engine":{ENGINE + (told["kind"] == "head")}', spec)
        dump = dump.replace(old, new).replace(spec, now)
    return dump


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store, in the working directory, with its base model, its data and the deltas that it names."""
    monkeypatch.chdir(tmp_path)
    base = make_base(tmp_path / "base")
    make_data(tmp_path / "films.csv")
    dump = made_by_this_engine(DUMP.read_text()).replace("FOLDER", str(tmp_path))
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(dump)
    for method, folder in re.findall(r'"method":"(\w+)".*?"delta_path": "([^"]+)"', dump.replace(");\n", "\0")):
        make_delta(Path(folder), base, method)
    assert len(list(tmp_path.glob("old.files/deltas/old/*"))) == 2
    return tmp_path / "old.db"


def test_a_store_of_revision_0002_goes_on_and_nothing_is_trained_twice(old: Path) -> None:
    before = Study.open("old", str(old)).rows()
    assert [row["state"] for row in before] == ["done"] * 5 + ["pending"]
    deltas = [Path(row["delta_path"]) for row in before if row["delta_path"]]
    assert len(deltas) == 2
    assert tuneworth("predict", deltas[0], "--input", "films.csv", "--text", "text", "-o", "said.csv").code == 0

    rate = {"recipe": {"head": {"learning_rate": 5e-3}}}  # head's default in that version
    again = Study(StudySpec.parse({**study(old.parent), **rate}), str(old))
    assert len(again.prepare().missing(retry_failed=False)) == 1
    again.run(1, "cpu", watch=silent)
    after = again.rows()
    assert [row["state"] for row in after] == ["done"] * 6
    assert after[:5] == before[:5]
    assert [row["attempt"] for row in after] == [1] * 6
    assert all(delta.is_dir() for delta in deltas)
    assert again.store.set_aside("old") == []

    flag = ("--store", str(old))
    assert "bitfit" in tuneworth("results", "old", *flag).out
    assert tuneworth("advise", "old", *flag).code == 0
    assert tuneworth("report", "old", *flag, "-o", "r.html").code == 0
