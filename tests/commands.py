"""The command line, run inside the test or as a process of its own."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from tuneworth.cli import main


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def tuneworth(*arguments: str | Path) -> Said:
    """Run a command in this process: fast, since what is imported stays imported.

    Trials see one core: threads that wait for each other on a busy machine are slow beyond measure.
    """
    out, err = io.StringIO(), io.StringIO()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            patch("tuneworth.machine.workers.cores_here", lambda: {0}),
            pytest.raises(SystemExit) as ended,
        ):
            main([str(argument) for argument in arguments])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return Said(ended.value.code, out.getvalue(), err.getvalue())  # type: ignore[arg-type]


def start(*arguments: str | Path, cwd: Path, cores: int = 1) -> subprocess.Popen[str]:
    """Start the installed program, as a user does; on few cores, for the same reason."""
    here = sorted(os.sched_getaffinity(0))
    chosen = random.sample(here, min(cores, len(here)))
    program = Path(sys.executable).with_name("tuneworth")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    return subprocess.Popen(
        [str(program), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C for it and its children alone
        preexec_fn=lambda: os.sched_setaffinity(0, chosen),
    )
