"""What can be made again has a place, also for a user without a home; never one that others write."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tuneworth.cache import cache_dir


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "tuneworth"


def test_without_a_home_it_is_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no directory").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no directory"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = cache_dir()
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o777 == 0o700
    place.chmod(0o777)  # as one that somebody else has made, to have code of theirs loaded
    assert cache_dir() != place
    assert not cache_dir().exists()
