from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from families import make_model_dir
from made_deltas import make_delta
from tuneworth.errors import DeltaError, ModelError, ServeError
from tuneworth.serve.found import choose_base, find, find_named


def test_every_delta_below_is_found_by_its_directory_s_name(delta_root: Path) -> None:
    (delta_root / ".mood.17").mkdir()  # as a delta is while it is being written
    (delta_root / ".mood.17" / "delta.json").write_text("{")
    (delta_root / "notes").mkdir()
    assert [delta.name for delta in find(delta_root)] == ["mood", "pairs", "stars", "whole"]


def test_a_trial_s_key_is_no_name(delta_root: Path) -> None:
    (delta_root / "mood").rename(delta_root / "0123456789abcdef")
    assert [delta.name for delta in find(delta_root)] == ["made-bitfit", "pairs", "stars", "whole"]
    found = find_named(delta_root, "made-bitfit")
    assert found is not None
    assert found.directory.name == "0123456789abcdef"
    assert find_named(delta_root, "0123456789abcdef") is None


def test_two_of_one_name_are_refused(delta_root: Path) -> None:
    shutil.copytree(delta_root / "mood", delta_root / "below" / "mood")
    with pytest.raises(ServeError, match=r"two deltas have the name 'mood'.*below/mood"):
        find(delta_root)
    with pytest.raises(DeltaError, match="2 deltas have the name 'mood'"):
        find_named(delta_root, "mood")
    assert find_named(delta_root, "stars") is not None, "other names are not affected"


@pytest.mark.parametrize("name", ["delta.json", "delta.safetensors"])
def test_a_link_that_leads_outside_is_not_followed(delta_root: Path, tmp_path: Path, name: str) -> None:
    elsewhere = (delta_root / "mood" / name).rename(tmp_path / name)
    (delta_root / "mood" / name).symlink_to(elsewhere)
    found = find_named(delta_root, "mood")
    assert found is not None
    assert found.info is None
    assert f"{name}' is a link to outside of the served directory" in found.problem
    elsewhere.rename(delta_root / "blob")
    (delta_root / "mood" / name).unlink()
    (delta_root / "mood" / name).symlink_to("../blob")
    assert [delta.problem for delta in find(delta_root)] == [""] * 4, "within it, links are fine"
    (tmp_path / "link").symlink_to(delta_root)
    assert [delta.problem for delta in find(tmp_path / "link")] == [""] * 4


def test_nothing_to_serve_is_said(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="there is no delta below"):
        find(tmp_path)
    with pytest.raises(ServeError, match="there is no directory"):
        find(tmp_path / "absent")


def test_the_backbone_is_that_of_most_deltas(delta_root: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = make_model_dir("bert", tmp_path / "other", seed=7)
    make_delta(delta_root / "a-stranger", other, "head")
    assert choose_base(find(delta_root), None, False).source == str(tiny_model)
    assert choose_base(find(delta_root), str(other), False).source == str(other)


def test_a_backbone_that_changed_is_refused(delta_root: Path, tiny_model: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(tiny_model, tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}))
    for path in delta_root.rglob("delta.json"):
        path.write_text(path.read_text().replace(str(tiny_model), str(moved)))
    with pytest.raises(ModelError, match="has changed since most of these deltas"):
        choose_base(find(delta_root), None, False)


def test_a_delta_that_cannot_be_read_is_kept_with_its_problem(delta_root: Path) -> None:
    (delta_root / "mood" / "delta.json").write_text("{")
    damaged = find(delta_root)[0]
    assert damaged.info is None
    assert "cannot be read" in damaged.problem
