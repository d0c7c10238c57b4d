"""Every store has a directory of files of its own, so that none removes what another one names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import silent
from store.ledger import STUDY, result, trial
from tuneworth.deltas.keeper import DeltaKeeper
from tuneworth.store import files_dir, open_store
from tuneworth.study import Study


def test_the_whole_file_name_names_the_directory() -> None:
    assert files_dir("runs/x.db") == Path("runs/x.db.files")
    assert files_dir("sqlite:////data/x.db") == Path("/data/x.db.files")
    assert files_dir("~/x").is_absolute()
    assert len({files_dir(url) for url in ("x.db", "x.sqlite", "x", "memory:", "tuneworth.db", "tuneworth")}) == 6


def test_each_postgres_database_has_one_whatever_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:secret@host/db"
    same = (
        "postgres://me@host/db",
        "postgresql+psycopg://me:other@host/db",
        "postgresql://me@/db?host=host&password=x",
    )
    assert {files_dir(one) for one in same} == {files_dir(url)}
    others = ("postgresql://me@host/other", "postgresql://me@host2/db", "postgresql://me@host:5433/db",
              "postgresql://me@host/db?options=-csearch_path%3Dmine", "postgresql://me@host")  # fmt: skip
    assert len({files_dir(one) for one in (url, *others)}) == 6
    before = files_dir("postgresql://")
    monkeypatch.setenv("PGDATABASE", "mine")
    assert files_dir("postgresql://") != before
    assert "secret" not in str(files_dir(url))


def test_two_stores_side_by_side_keep_their_deltas(make_study: Callable[..., Study], tmp_path: Path) -> None:
    """The second one finds a better delta of the same cell; that of the first is still there."""
    spec = make_study(methods=["bitfit"], seeds=1).spec
    stores = [tmp_path / "x.db", tmp_path / "x.sqlite"]
    for store, seeds in zip(stores, (1, 3), strict=True):
        Study(spec.model_copy(update={"seeds": tuple(range(seeds))}), str(store)).run(1, "cpu", watch=silent)
    for store in stores:
        named = [row["delta_path"] for row in Study.open("reviews", str(store)).rows() if row["delta_path"]]
        assert len(named) == 1
        assert Path(named[0], "delta.safetensors").is_file()
        assert Path(named[0]).is_relative_to(f"{store}.files")


def test_a_delta_in_an_earlier_version_s_directory_is_never_removed(tmp_path: Path) -> None:
    """`x.files` may be another store's as well. What is left there is still named."""
    store, files = open_store("memory:"), tmp_path / "x.db.files"
    store.put_study(STUDY, [trial(0), trial(1), trial(2)])
    places = [tmp_path / "x.files", files, files]
    for seed, place in enumerate(places):
        delta = place / "deltas" / "first" / trial(seed).key
        delta.mkdir(parents=True)
        told = result().model_copy(update={"validation_score": float(seed), "delta_path": str(delta)})
        keeper = DeltaKeeper(STUDY, store, files)
        record = store.claim("first", "me", 60.0)
        assert record is not None
        store.finish("first", record.trial.key, "me", told)
        keeper.finished(record, told)
    named = [record.result and record.result.delta_path for record in store.records("first")]
    assert [bool(path) for path in named] == [True, False, True]
    assert all(Path(path).is_dir() for path in named if path)
    assert len(list(files.glob("deltas/first/*"))) == 1
