"""A study's name stands for the delta that its advice recommends."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from commands import tuneworth
from made_deltas import make_delta
from synthetic import make, measure
from tuneworth.errors import SpecError
from tuneworth.store import open_store
from tuneworth.study import Study


def store_of(path: Path, delta: Path | None, seeds: int) -> str:
    """A store with the study `first`, whose every trial kept `delta`."""
    kept = None if delta is None else str(delta)
    study = make(lambda trial: measure(trial, delta_path=kept), methods=["full", "bitfit"], seeds=seeds)
    results = {record.trial.key: record.result for record in study.trials}
    store = open_store(str(path))
    store.put_study(study.spec, [record.trial for record in study.trials])
    while claimed := store.claim("first", "me", 60):
        result = results[claimed.trial.key]
        assert result is not None
        store.finish("first", claimed.trial.key, "me", result)
    store.close()
    return str(path)


def test_predict_takes_the_recommended_delta_of_a_study(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_delta(tmp_path / "kept", tiny_model, "bitfit", 2, seed=1)
    store = store_of(tmp_path / "s.db", tmp_path / "kept", seeds=10)
    advised = tuneworth("advise", "first", "--store", store)
    assert f"to use it: tuneworth predict {tmp_path / 'kept'} --input NEW.csv" in advised.out
    (tmp_path / "new.csv").write_text("text\na fine film\na dull one\n")
    said = tuneworth("predict", "first", "-i", "new.csv", "-o", "out.csv", "--text", "text", "--store", store)
    assert said.code == 0, said
    assert f"the delta that first recommends: {tmp_path / 'kept'}" in said.out
    assert [row["text"] for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines())] == [
        "a fine film",
        "a dull one",
    ]
    assert tuneworth("merge", "first", "-o", "merged", "--store", store).code == 0


@pytest.mark.parametrize(
    ("seeds", "kept", "said"), [(2, True, "recommends no method yet"), (10, False, "no delta was kept")]
)
def test_what_a_study_cannot_recommend_is_said(seeds: int, kept: bool, said: str, tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.db", tmp_path / "kept" if kept else None, seeds)
    with pytest.raises(SpecError, match=said):
        Study.open("first", store).recommended_delta()


def test_neither_a_directory_nor_a_study(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.db", None, 2)
    said = tuneworth("predict", "frist", "-i", "new.csv", "-o", "out.csv", "--store", store)
    assert said.code == 2
    assert "there is no directory 'frist'" in said.err
