"""Files are written whole or not at all, with the permissions of any new file, and never in the place of a device."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tuneworth.errors import WriteError
from tuneworth.writing import disk_problem, whole_directory, whole_file


@pytest.fixture(params=[0o022, 0o007], ids=["022", "007"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_has_the_permissions_of_any_new_file_whoever_wrote_it(tmp_path: Path, umask: int) -> None:
    with whole_file(tmp_path / "tensors") as scratch:
        save_file({"x": torch.zeros(3)}, scratch)
    assert _mode(tmp_path / "tensors") == 0o666 & ~umask
    with whole_directory(tmp_path / "delta") as scratch:
        save_file({"x": torch.zeros(3)}, scratch / "tensors")
        (scratch / "below").mkdir()
        save_file({"x": torch.zeros(3)}, scratch / "below" / "tensors")
    assert _mode(tmp_path / "delta" / "tensors") == _mode(tmp_path / "delta" / "below" / "tensors") == 0o666 & ~umask
    assert _mode(tmp_path / "delta") == _mode(tmp_path / "delta" / "below") == 0o777 & ~umask


def test_a_file_that_is_replaced_leaves_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    file.chmod(0o640)
    with whole_file(file) as scratch:
        scratch.write_text("new")
    assert (file.read_text(), _mode(file)) == ("new", 0o640)


@pytest.mark.parametrize("there", [True, False], ids=["there", "not yet there"])
def test_a_link_stays_a_link(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(target)
    with whole_file(link) as scratch:
        assert scratch.parent == target.parent, "a rename does not cross file systems"
        scratch.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null, but one that may be lost
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize(
    ("make", "kind"),
    [(_device, "a device"), (os.mkfifo, "a pipe"), (Path.mkdir, "is a directory"), (lambda _: None, "no directory")],
    ids=["device", "pipe", "directory", "nowhere"],
)
def test_what_is_no_file_is_refused_and_stays(tmp_path: Path, make: object, kind: str) -> None:
    place = tmp_path / "place"
    make(place)  # type: ignore[operator]
    before = place.lstat().st_mode if place.exists() else None
    (tmp_path / "link").symlink_to(place if before else tmp_path / "nowhere" / "file")
    with pytest.raises(WriteError, match=kind), whole_file(tmp_path / "link") as scratch:
        scratch.write_text("never")
    assert sorted(os.listdir(tmp_path)) == ["link", "place"][: 2 if before else 1]
    assert before is None or place.lstat().st_mode == before


@pytest.mark.parametrize("writer", [lambda path: save_file({"x": torch.zeros(10**5)}, path), lambda p: p.write_bytes(bytes(10**5))],
                         ids=["safetensors", "python"])  # fmt: skip
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, writer: object) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**4, limit[1]))
    try:
        with pytest.raises(WriteError) as found, whole_file(file) as scratch:
            writer(scratch)  # type: ignore[operator]
        with pytest.raises(WriteError), whole_directory(tmp_path / "new") as scratch:
            writer(scratch / "x")  # type: ignore[operator]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert found.value.problem == f"cannot write {str(file)!r}: File too large"
    assert "ulimit" in found.value.remedy
    assert os.listdir(tmp_path) == ["file"]
    assert file.read_text() == "old"


def test_what_the_disk_said_is_found_behind_other_errors() -> None:
    raised = ValueError("unreadable")
    raised.__cause__ = OSError(5, "Input/output error", "/data/x.csv")
    said = disk_problem(raised)
    assert said is not None
    assert said.problem == "cannot read or write '/data/x.csv': Input/output error"
    assert disk_problem(FileNotFoundError(2, "No such file", "x")) is None
    assert disk_problem(ValueError("no file at all")) is None


@pytest.mark.parametrize("whole", ["file", "directory"])
def test_what_a_killed_writer_left_is_removed_and_a_living_one_s_is_not(tmp_path: Path, whole: str) -> None:
    write = f"""
import sys, time
from pathlib import Path
from tuneworth.writing import whole_{whole}
with whole_{whole}(Path("target")) as scratch:
    print(scratch.name, flush=True)
    time.sleep(60)
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", write], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    killed, living = (tmp_path / writer.stdout.readline().strip() for writer in writers if writer.stdout)
    writers[0].kill()
    writers[0].communicate()
    new = tmp_path / ".0123456789ab"  # its maker may not have come to hold it
    new.touch()
    for scratch in (killed, living):
        assert scratch.exists()
        os.utime(scratch, (0, 0))
    with whole_file(tmp_path / "other") as path:
        path.write_text("x")
    assert (killed.exists(), living.exists(), new.exists()) == (False, True, True)
    writers[1].kill()
    writers[1].communicate()
