"""A disk that is full or cannot be written ends the run with a sentence; trials are given back, none has failed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import silent
from tuneworth.errors import WriteError
from tuneworth.progress import Board
from tuneworth.study import Study


@pytest.fixture
def place(make_study: Callable[..., Study]) -> Iterator[Path]:
    """Where the study of `make_study` keeps its files: a file system of its own."""
    files = make_study().files
    files.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(files)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root mounts file systems")
    yield files
    subprocess.run(["umount", "-l", str(files)], check=True)


def _fill(place: Path) -> None:
    with suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**10))


def _remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def _free(place: Path) -> None:
    _remount(place, "rw")
    (place / "filler").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("spoil", "training", "workers", "said"),
    [
        (_fill, False, 1, "No space left"),
        (_fill, True, 1, "No space left"),
        (_fill, False, 2, "No space left"),
        (lambda place: _remount(place, "ro"), False, 1, "Read-only"),
    ],
    ids=["full at first", "full in training", "full in a worker", "read-only"],
)
def test_the_disk_ends_the_run_and_no_trial(
    make_study: Callable[..., Study],
    place: Path,
    spoil: Callable[[Path], None],
    training: bool,
    workers: int,
    said: str,
) -> None:
    study, spoilt = make_study(methods=["bitfit"]), False

    def watch(board: Board) -> None:
        nonlocal spoilt
        if not spoilt and (board.progress or not training):
            spoil(place)
            spoilt = True

    with pytest.raises(WriteError, match=said) as found:
        study.run(workers=workers, checkpoint_seconds=0.0, watch=watch)
    assert "the same command goes on" in found.value.remedy
    counts = study.store.counts("reviews")
    assert (counts.failed, counts.running, counts.pending) == (0, 0, 2)
    _free(place)
    assert not list(place.rglob(".*")), "half a file was left"
    assert study.run(workers=1, watch=silent).done == 2


def test_too_little_space_is_said_before_training_in_a_unit_that_tells_something(
    make_study: Callable[..., Study], place: Path
) -> None:
    _fill(place)
    with pytest.raises(WriteError, match=r"has 0 B free, a trial may need [\d.]+ [kM]B"):
        make_study().prepare()
