"""A delta that lies on another machine, or no longer where it was."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import tuneworth
from conftest import silent
from tuneworth import load_delta
from tuneworth.errors import DeltaError
from tuneworth.study import Study


def test_who_made_a_delta_is_said_where_it_is_not(
    make_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(methods=["head"], seeds=1)
    study.run(workers=1, watch=silent)
    (row,) = study.rows()
    assert row["host"] == socket.gethostname()
    delta = Path(row["delta_path"])
    delta.rename(tmp_path / "moved")
    for command in ("predict", "merge", "export", "push"):
        last = {"predict": ["-i", "x.csv", "-o", "y.csv"], "export": ["--to", "bf16", "-o", "z"], "push": ["a/b"],
                "merge": ["-o", "z"]}[command]  # fmt: skip
        said = tuneworth(command, delta, *last, "--store", study.store_url)
        assert said.code == 2
        assert "made on this machine, and is there no more" in said.err
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")
    said = tuneworth("predict", delta, "-i", "x.csv", "-o", "y.csv", "--store", study.store_url)
    assert f"was made on {row['host']!r}, and this is 'laptop'" in said.err
    assert "copy the directory here" in said.err
    with pytest.raises(DeltaError, match=r"on this machine \('laptop'\)") as found:
        load_delta(delta)
    assert "`host` in tuneworth results" in found.value.remedy
