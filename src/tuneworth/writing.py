"""Files written whole or not at all, with the permissions of any new file, and never in the place of a device."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tuneworth.errors import WriteError

__all__ = ["check_file", "check_parent", "disk_problem", "make_directory", "whole_directory", "whole_file", "writing"]

LEFT = 3600.0
"""Seconds after which what nobody writes any more counts as left behind."""
_SCRATCH = re.compile(r"\.[0-9a-f]{12}")
_REMEDIES = {
    errno.ENOSPC: "free some space, or give another place",
    errno.EDQUOT: "free some space, or give another place",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or give another place",
    errno.EIO: "check the disk, or give another place",
    errno.EROFS: "give a place that can be written",
}
"""By the error's number: what a disk says, whatever is asked of it. It is no fault of who asked."""
_OTHERWISE = "give a place that can be written"
_KINDS = {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to: what lies there takes its place when the block ends well, else it vanishes.

    A symbolic link stays one: what it names is replaced. A file that is replaced leaves its permissions, a new one has
    those of the umask. Raises WriteError.
    """
    target = check_file(path)
    scratch = _beside(target)
    try:
        with writing(path):
            scratch.touch()
            mode = stat.S_IMODE((target if target.exists() else scratch).stat().st_mode)
            with _held(scratch):
                yield scratch
            scratch.chmod(mode)  # safetensors and tempfile make files that nobody else may read
            os.replace(scratch, target)
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


@contextmanager
def whole_directory(directory: Path) -> Iterator[Path]:
    """`whole_file` for a directory; an older one is replaced with all that is in it. Raises WriteError."""
    target = Path(os.path.realpath(directory))
    scratch = _beside(target)
    try:
        with writing(directory):
            scratch.mkdir(parents=True)
            with _held(scratch):
                yield scratch
            mode = stat.S_IMODE(scratch.stat().st_mode) & 0o666
            for file in scratch.rglob("*"):
                if file.is_file():
                    file.chmod(mode)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_file(path: Path) -> Path:
    """Where a file that is written to `path` comes to lie. Raises WriteError where none can."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise _problem(path, error) from error
    else:
        if stat.S_ISDIR(mode):
            raise WriteError(f"{str(path)!r} is a directory", "name a file in it")
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            raise WriteError(f"{str(path)!r} is no file but {kind}", "give the path of a file")
    target = Path(os.path.realpath(path))
    check_parent(target)
    return target


def check_parent(path: Path) -> None:
    """Raises WriteError where nothing can be made beside `path`."""
    parent = path.absolute().parent
    if not parent.is_dir():
        raise WriteError(f"there is no directory {str(parent)!r}", "make it first")
    if not os.access(parent, os.W_OK):
        raise WriteError(f"cannot write into {str(parent)!r}", _OTHERWISE)


def make_directory(path: Path) -> None:
    """Make `path` and what leads to it, where they are not there. Raises WriteError."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise what goes wrong with a file in the block as a WriteError about `path`."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise _problem(path, error) from error


def disk_problem(error: BaseException) -> WriteError | None:
    """The WriteError that is behind an error: itself, or what the disk said to whom it was raised for; else None."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, WriteError):
            return seen
        if isinstance(seen, OSError) and seen.errno in _REMEDIES:
            return _problem(seen.filename, seen, "read or write" if seen.filename else "write")
        seen = seen.__cause__ or seen.__context__
    return None


def _problem(path: Path | str | None, error: Exception, verb: str = "write") -> WriteError:
    number = _number(error)
    reason = os.strerror(number) if number else (str(error).strip() or type(error).__name__).splitlines()[0]
    what = f" {str(path)!r}" if path else ""  # none: standard output
    return WriteError(f"cannot {verb}{what}: {reason}", _REMEDIES.get(number, _OTHERWISE))


def _number(error: Exception) -> int:
    """The system's number of an error; safetensors, written in Rust, has it in words alone."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else 0


def _beside(target: Path) -> Path:
    """A name of its own in the same directory; hidden, and short where the target's own is as long as names may be.

    What writers that were killed have left there is removed.
    """
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if _SCRATCH.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > LEFT:
                _remove_left(Path(entry.path))
    return target.with_name(f".{uuid4().hex[:12]}")


@contextmanager
def _held(scratch: Path) -> Iterator[None]:
    """The system knows, until this process ends, that somebody writes there."""
    descriptor = os.open(scratch, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network's file system may know no locks: then age alone tells
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_left(scratch: Path) -> None:
    """Nothing that somebody still writes."""
    with suppress(OSError):
        descriptor = os.open(scratch, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if scratch.is_dir():
                shutil.rmtree(scratch)
            else:
                scratch.unlink()
        finally:
            os.close(descriptor)
