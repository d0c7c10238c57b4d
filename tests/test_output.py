"""Where a command's output goes: a full disk, a reader that went away, a place that is no file, an option left empty."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import tuneworth

PROGRAM = str(Path(sys.executable).with_name("tuneworth"))


@pytest.mark.parametrize("command", ["preset paper", "methods", "--help"])
def test_a_full_disk_is_one_line(command: str) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full")
    with full.open("w") as out:
        ended = subprocess.run([PROGRAM, *command.split()], stdout=out, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert lines[0] == "error: cannot write: No space left on device"
    assert len(lines) == 2, "and its remedy"


@pytest.mark.parametrize("command", ["preset paper", "methods", "--help"])
def test_a_reader_that_is_gone_ends_it_in_silence(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([PROGRAM, *command.split()], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, ""), "as the shell reports any program: 128 + SIGPIPE"


def test_without_an_output_at_all_nothing_breaks() -> None:
    ended = subprocess.run(f"{PROGRAM} preset paper >&-", shell=True, stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "flag", [["--name", ""], ["--name="], ["--store", ""], ["--methods", ""], ["--budget="], ["-o", ""]]
)
def test_an_option_without_a_value_is_refused(flag: list[str]) -> None:
    said = tuneworth("compare", "--train", "x.csv", *flag, "--text", "text", "--label", "label")
    assert said.code == 2
    assert f"{flag[0].rstrip('=')} is empty" in said.err
