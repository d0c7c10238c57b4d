"""Workers start from wherever a study is run: a script without a guard, standard input, a thread; or say that they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import silent
from tuneworth.errors import UserError
from tuneworth.executors import processes
from tuneworth.study import Study


@pytest.mark.parametrize("how", ["a script", "standard input"])
def test_no_worker_runs_the_user_s_script_again(make_study: Callable[..., Study], tmp_path: Path, how: str) -> None:
    study = make_study(methods=["head"])
    script = tmp_path / "script.py"
    script.write_text(
        "from tuneworth.spec import StudySpec\nfrom tuneworth.study import Study\nprint('begun')\n"
        f"print(Study(StudySpec.loads({study.spec.dumps()!r}), {study.store_url!r}).run(workers=2, device='cpu'))\n"
    )
    given = [str(script)] if how == "a script" else ["-"]
    ended = subprocess.run(
        [sys.executable, *given], input=script.read_text(), cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["begun", "Counts(pending=0, running=0, done=2, failed=0)"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="nothing to make the start fail with")
def test_workers_that_cannot_start_end_the_run_and_no_trial(
    make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_cores", lambda *_: {10**4})  # no machine has that core: the worker's own error
    study = make_study(methods=["head"])
    with pytest.raises(UserError, match="worker processes cannot start"):
        study.run(workers=2, device="cpu", watch=silent)
    counts = study.store.counts("reviews")
    assert (counts.pending, counts.failed) == (2, 0)
