"""Studies in processes of their own, to be killed: forked from one that has torch loaded, so that they start at once."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tuneworth.machine.starter import starter
from tuneworth.spec import StudySpec


def start(spec: StudySpec, store: Path, workers: int = 1, **options: Any) -> BaseProcess:
    """Run the study on the CPU, with checkpoints every tenth of a second; `options` are those of `Study.run`."""
    process = starter().Process(target=_run, args=(spec.dumps(), str(store), workers, options))
    process.start()
    return process


def kill_at_random(process: BaseProcess, checkpoints: Path, rng: random.Random) -> bool:
    """kill -9, at once in one of three cases, else some time after a checkpoint was written into the folder.

    Returns whether it was still running.
    """
    begun, patience = time.time(), time.monotonic() + 60
    if rng.randrange(3):
        while process.is_alive() and time.monotonic() < patience and not _newer(checkpoints, begun):
            time.sleep(0.01)
    time.sleep(rng.uniform(0.0, 1.0))
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


def _newer(folder: Path, than: float) -> bool:
    for file in folder.glob("*"):
        with suppress(FileNotFoundError):  # it gave way to the next one
            if file.stat().st_mtime > than:
                return True
    return False


def ended(process: BaseProcess) -> int | None:
    """Its exit code, once it has ended by itself."""
    process.join()
    return process.exitcode


def _run(spec: str, store: str, workers: int, options: dict[str, Any]) -> None:
    from conftest import silent
    from tuneworth.study import Study

    Study(StudySpec.loads(spec), store).run(workers, "cpu", watch=silent, **{"checkpoint_seconds": 0.1, **options})
