"""A tiny backbone with a few tasks on it, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from families import make_model_dir
from made_deltas import make_delta


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir("bert", tmp_path_factory.mktemp("base") / "tiny-bert")


@pytest.fixture
def root(base: Path, tmp_path: Path) -> Path:
    """mood: 3 labels by bitfit; pairs: 2 by lora; stars: a regression by houlsby; whole: 2 by full."""
    make_delta(tmp_path / "tasks" / "mood", base, "bitfit", 3, seed=1)
    make_delta(tmp_path / "tasks" / "pairs", base, "lora", 2, seed=2, pairs=True)
    make_delta(tmp_path / "tasks" / "below" / "stars", base, "houlsby", 0, seed=3)
    make_delta(tmp_path / "tasks" / "whole", base, "full", 2, seed=4)
    return tmp_path / "tasks"
