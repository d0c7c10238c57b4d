"""The benchmark runs from end to end; what it measures is for a quiet machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "serve.py"


def test_it_measures_every_figure(tiny_model: Path) -> None:
    small = ("--quick", "--model", tiny_model, "--tasks", 5, "--steps", 2, "--examples", 20, "--texts", 20, "--rounds", 1,
             "--in-flight", 8, "--clients", 2, "--seconds", 1)  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, FILE, *map(str, small)], capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    *table, last = ended.stdout.splitlines()
    found = json.loads(last)
    assert found["fp32"]["largest_difference"] <= 1e-4
    assert found["fp32"]["methods"] == ["bitfit", "head", "houlsby", "lora", "parallel", "pfeiffer"]
    assert set(found["throughput"]["8"]) == {"alone", "mixed", "swapped"}
    assert min(found["throughput"]["8"].values()) > 0
    assert found["load"]["lost"] == 0
    assert found["load"]["requests"] > 0
    assert found["load"]["admin"] == [200, 200, 204]
    assert found["load"]["exit_code"] == 0
    assert sum(">= 0.80" in line for line in table) == 1
