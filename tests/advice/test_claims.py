from typing import Any

import numpy as np
import pytest

from scored import BASELINE, normal, table
from synthetic import make, measure
from tuneworth.advice import Judged, judge_claims
from tuneworth.errors import SpecError
from tuneworth.results.rows import Row
from tuneworth.spec import StudySpec
from tuneworth.store import open_store

PLACES = {"fractions": [0.3, 1.0]}


def spec(methods: list[str], places: dict[str, Any] | None = None, **claim: Any) -> StudySpec:
    stated = {"says": "it does", "method": "bitfit", "against": "full", **claim}
    study = {"name": "first", "tasks": ["reviews"], "methods": methods, **(places or {})}
    return StudySpec.parse({**study, "claim": {"it": stated}})


def judge(rows: list[Row], places: dict[str, Any] | None = None, **claim: Any) -> Judged:
    [judged] = judge_claims(rows, spec(list(dict.fromkeys(row["method"] for row in rows)), places, **claim))
    return judged


@pytest.mark.parametrize(
    ("gap", "test", "margin", "ruling"),
    [
        (-0.1, "equivalent", 1.0, "supported"),
        (-3.0, "equivalent", 1.0, "contradicted"),
        (-1.0, "equivalent", 1.0, "undecided"),
        (2.0, "better", None, "supported"),
        (2.0, "better", 3.0, "contradicted"),
        (-2.0, "better", None, "contradicted"),
        (-0.2, "no-worse", 1.0, "supported"),
        (2.0, "no-worse", 1.0, "supported"),
        (-2.0, "no-worse", 1.0, "contradicted"),
    ],
)
def test_differences_with_a_known_truth(gap: float, test: str, margin: float | None, ruling: str) -> None:
    rows = table(normal({"full": 80.0, "bitfit": 80.0 + gap}, 10, spread=0.2), **PLACES)
    judged = judge(rows, PLACES, test=test, **({} if margin is None else {"margin": margin}))
    assert judged.ruling == ruling
    assert len(judged.cells) == 2
    assert {cell.ruling for cell in judged.cells} == {ruling}
    for cell in judged.cells:
        assert cell.low is not None
        assert cell.high is not None
        assert cell.low < cell.value < cell.high  # type: ignore[operator]
        assert abs(cell.value - gap) < 0.5  # type: ignore[operator]


@pytest.mark.parametrize(
    ("spreads", "test", "ratio", "ruling"),
    [
        ({"full": 0.5, "bitfit": 4.0}, "spread-larger", None, "supported"),
        ({"full": 4.0, "bitfit": 0.5}, "spread-larger", None, "contradicted"),
        ({"full": 4.0, "bitfit": 0.5}, "spread-no-larger", None, "supported"),
        ({"full": 0.5, "bitfit": 4.0}, "spread-no-larger", None, "contradicted"),
        ({"full": 1.0, "bitfit": 1.0}, "spread-larger", None, "undecided"),
        ({"full": 1.0, "bitfit": 1.2}, "spread-no-larger", 20.0, "supported"),
    ],
)
def test_spreads_with_a_known_truth(spreads: dict[str, float], test: str, ratio: float | None, ruling: str) -> None:
    rng = np.random.default_rng(6)
    scores = {method: dict(enumerate(map(float, 80 + rng.normal(0, sd, 12)))) for method, sd in spreads.items()}
    judged = judge(table(scores), test=test, **({} if ratio is None else {"ratio": ratio}))
    assert judged.ruling == ruling
    [cell] = judged.cells
    assert cell.low < cell.value < cell.high  # type: ignore[operator]


def test_every_cell_has_to_hold_and_one_failure_contradicts() -> None:
    here, there = normal({"full": 80.0, "bitfit": 80.0}, 8), normal({"full": 80.0, "bitfit": 70.0}, 8)
    rows = [*table(here, fractions=[0.3]), *table(there, fractions=[1.0])]
    judged = judge(rows, PLACES, test="equivalent")
    assert [cell.ruling for cell in judged.cells] == ["supported", "contradicted"]
    assert judged.ruling == "contradicted"
    assert judged.sentence.startswith(
        "it does: contradicted (holds in 1, fails in 1 of 2 cells). Stated before any result."
    )
    assert judge(rows, PLACES, test="equivalent", fractions=[0.3]).ruling == "supported"


@pytest.mark.parametrize(
    ("gains", "ruling"),
    [((5.0, 0.0), "supported"), ((5.0, 5.0), "contradicted"), ((0.0, 0.0), "contradicted"), ((5.0, 1.0), "undecided")],
)
def test_an_inconsistent_gain_is_one_here_and_none_there(gains: tuple[float, float], ruling: str) -> None:
    rows = []
    for fraction, gain in zip((0.3, 1.0), gains, strict=True):
        rows += table(normal({"full": 80.0, "bitfit": 80.0 + gain}, 8, chance=4), fractions=[fraction])
    assert judge(rows, PLACES, test="inconsistent-gain", margin=1.0).ruling == ruling


def test_what_too_few_seeds_or_nothing_learnt_can_say() -> None:
    few = judge(table(normal({"full": 80.0, "bitfit": 80.0}, 2)), test="equivalent")
    assert (few.ruling, few.cells[0].note) == ("undecided", "2 paired seeds say nothing")
    flat = {method: dict.fromkeys(range(8), BASELINE) for method in ("full", "bitfit")}
    for test in ("equivalent", "spread-no-larger"):
        nothing = judge(table(flat), test=test)
        assert nothing.ruling == "undecided"
        assert nothing.cells[0].note
    [absent] = judge_claims([], spec(["full", "bitfit"], test="equivalent"))
    assert (absent.ruling, absent.cells) == ("undecided", ())
    assert "none of its cells has a trial yet" in absent.sentence


def test_below_five_seeds_nothing_is_said_of_spreads() -> None:
    moving = {
        "full": {seed: 80.0 + 0.1 * seed for seed in range(4)},
        "bitfit": {seed: 80.0 + 9 * seed for seed in range(4)},
    }
    [cell] = judge(table(moving), test="spread-larger").cells
    assert (cell.value, cell.ruling, cell.note) == (None, "undecided", "4 paired seeds say nothing of spreads")


def test_a_score_that_never_moves_is_no_unit_of_spread_and_not_above_an_equal_baseline() -> None:
    """The mean of ten 81.2 is a little more than that, and their spread more than 0, by floating point."""
    still = dict.fromkeys(range(10), 81.2)
    moving = {seed: 90.0 + seed % 3 for seed in range(10)}
    [cell] = judge(table({"full": still, "bitfit": moving}, baseline_score=81.2), test="spread-no-larger").cells
    assert (cell.value, cell.ruling, cell.note) == (None, "undecided", "not both above the baseline")


def test_wrong_rulings_are_rare() -> None:
    """At the border of the margin neither the claim nor its opposite is true: each is found in at most 5% of worlds."""
    found = []
    for chance in range(200):
        rows = table(normal({"full": 80.0, "bitfit": 79.0}, 5, chance=chance), **PLACES)
        found.append(judge(rows, PLACES, test="equivalent", margin=1.0).ruling)
    assert found.count("supported") <= 0.05 * 200 + 6
    assert found.count("contradicted") <= 0.05 * 200 + 6


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"test": "equivalnt"}, "did you mean 'equivalent'"),
        ({"test": "equivalent", "method": "bitft"}, "did you mean 'bitfit'"),
        ({"test": "equivalent", "against": "ful"}, "did you mean 'full'"),
        ({"test": "equivalent", "against": "bitfit"}, "'bitfit' against itself"),
        ({"test": "equivalent", "fractions": [0.5]}, "fractions = '0.5' is not in the study"),
        ({"test": "equivalent", "tasks": ["review"]}, "did you mean 'reviews'"),
        ({"test": "equivalent", "budgets": ["60s"]}, "budgets = '60s' is not in the study"),
        ({"test": "equivalent", "ratio": 2.0}, "does not use it"),
        ({"test": "spread-larger", "margin": 2.0}, "does not use it"),
        ({"test": "equivalent", "margn": 2.0}, "did you mean 'margin'"),
        ({"test": "equivalent", "margin": -1.0}, "margin"),
    ],
)
def test_claims_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said.replace("(", r"\(")):
        spec(["full", "bitfit"], **wrong)


def test_dates_are_the_store_s_to_set() -> None:
    with pytest.raises(SpecError, match="unknown key 'stated'"):
        StudySpec.parse({"name": "first", "tasks": ["reviews"], "stated": {"it": 0}})


def test_a_claim_changed_after_results_is_dated_anew(tmp_path: Any) -> None:
    first, changed = (
        spec(["full", "bitfit"], test="equivalent"),
        spec(["full", "bitfit"], test="equivalent", margin=2.0),
    )
    trials = [record.trial for record in make(methods=["full", "bitfit"], tasks=["reviews"], seeds=3).trials]
    for url in ("memory:", str(tmp_path / "s.db")):
        store = open_store(url)
        store.put_study(first, trials)
        for _ in range(4):
            taken = store.claim("first", "me", 60)
            assert taken
            store.finish("first", taken.trial.key, "me", measure(taken.trial))
        store.put_study(first, trials)
        assert store.get_study("first").stated == {"it": 0}
        assert store.get_study("first").claim == first.claim
        store.put_study(changed, trials)
        assert store.get_study("first").stated == {"it": 4}
        store.put_study(first, trials)  # going back does not bring the old date back
        assert store.get_study("first").stated == {"it": 4}
        store.close()
