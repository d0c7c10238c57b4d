"""The command line, run inside the test or as a process of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from tuneworth.cli import main


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def tuneworth(*arguments: str | Path) -> Said:
    """Run a command in this process: fast, since what is imported stays imported."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
    finally:
        signal.signal(signal.SIGTERM, before)
    return Said(ended.value.code, out.getvalue(), err.getvalue())  # type: ignore[arg-type]


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start the installed program, as a user does."""
    program = Path(sys.executable).with_name("tuneworth")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    return subprocess.Popen(
        [str(program), *map(str, arguments)],
        cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
