from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from families import make_model_dir
from made_deltas import make_delta
from tuneworth.errors import DeltaError, ModelError, ServeError
from tuneworth.serve.found import choose_base, find, find_named


def test_every_delta_below_is_found_by_its_directory_s_name(root: Path) -> None:
    (root / ".mood.17").mkdir()  # as a delta is while it is being written
    (root / ".mood.17" / "delta.json").write_text("{")
    (root / "notes").mkdir()
    assert [delta.name for delta in find(root)] == ["mood", "pairs", "stars", "whole"]


def test_a_trial_s_key_is_no_name(root: Path) -> None:
    (root / "mood").rename(root / "0123456789abcdef")
    assert [delta.name for delta in find(root)] == ["made-bitfit", "pairs", "stars", "whole"]
    found = find_named(root, "made-bitfit")
    assert found is not None
    assert found.directory.name == "0123456789abcdef"
    assert find_named(root, "0123456789abcdef") is None


def test_two_of_one_name_are_refused(root: Path) -> None:
    shutil.copytree(root / "mood", root / "below" / "mood")
    with pytest.raises(ServeError, match=r"two deltas have the name 'mood'.*below/mood"):
        find(root)
    with pytest.raises(DeltaError, match="2 deltas have the name 'mood'"):
        find_named(root, "mood")
    assert find_named(root, "stars") is not None, "other names are not affected"


def test_nothing_to_serve_is_said(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="there is no delta below"):
        find(tmp_path)
    with pytest.raises(ServeError, match="there is no directory"):
        find(tmp_path / "absent")


def test_the_backbone_is_that_of_most_deltas(root: Path, base: Path, tmp_path: Path) -> None:
    other = make_model_dir("bert", tmp_path / "other", seed=7)
    make_delta(root / "a-stranger", other, "head")
    assert choose_base(find(root), None, False).source == str(base)
    assert choose_base(find(root), str(other), False).source == str(other)


def test_a_backbone_that_changed_is_refused(root: Path, base: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(base, tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}))
    for path in root.rglob("delta.json"):
        path.write_text(path.read_text().replace(str(base), str(moved)))
    with pytest.raises(ModelError, match="has changed since most of these deltas"):
        choose_base(find(root), None, False)


def test_a_delta_that_cannot_be_read_is_kept_with_its_problem(root: Path) -> None:
    (root / "mood" / "delta.json").write_text("{")
    damaged = find(root)[0]
    assert damaged.info is None
    assert "cannot be read" in damaged.problem
