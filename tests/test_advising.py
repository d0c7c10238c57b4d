"""A few worlds of the evidence about advice; `benchmarks/evidence.py` draws enough of them for the rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def test_advice_in_simulated_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    import advising

    counted: dict[str, list[float]] = {}

    class Tally:
        def add(
            self, question: str, world: str, seeds: object, share: float, target: tuple[float, float] | None = None
        ) -> None:
            counted.setdefault(question, []).append(float(share))

    for _ in advising.advice(np.random.default_rng(0), 12, Tally()):
        pass
    assert sum(counted["advice breaks a limit"]) == 0
    assert sum(counted["advice graded strong"]) > 0
    assert sum(counted["strong advice is wrong, new data"]) == 0
    grades = [counted[f"advice graded {grade}"] for grade in ("strong", "moderate", "weak", "none")]
    assert {sum(each) for each in zip(*grades, strict=True)} == {1.0}
