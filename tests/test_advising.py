"""A few worlds of the evidence about advice; `benchmarks/evidence.py` draws enough of them for the rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def test_advice_in_simulated_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    import advising
    import evidence

    tally = evidence.Tally()
    for _ in advising.advice(np.random.default_rng(0), 12, tally):
        pass
    rows = tally.rows()
    [broken] = [row for row in rows if row.question == "advice breaks a limit"]
    assert (broken.percent, broken.met) == (0, True)
    wrong = [row for row in rows if row.question.startswith("graded strong and wrong")]
    assert wrong
    assert {row.percent for row in wrong} == {0}
    graded = sum(row.percent * row.cases / 100 for row in rows if row.question.startswith("advice graded"))
    assert graded == pytest.approx(12 * 5, abs=0.5)  # every question has one grade
