import random
import re
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scored import BASELINE, answered, normal, rising, table
from tuneworth.advice import Advice, Limits, advise, advise_each
from tuneworth.advice.show import overall
from tuneworth.errors import SpecError
from tuneworth.report.plain import plain as in_plain_words
from tuneworth.results.rows import Row

METHODS = {"head": 70.0, "full": 86.0, "bitfit": 85.9, "houlsby": 84.0}


def test_what_every_trial_of_a_method_noted_is_said() -> None:
    rows = table(normal(METHODS, 3))
    for row in rows:
        row["notes"] = ("zeros are added",) if row["method"] == "bitfit" else ("halved",) if row["seed"] == 0 else ()
    assert [text for text in advise(rows).cautions if "zeros" in text or "halved" in text] == [
        "bitfit: zeros are added."
    ]


def test_the_cheapest_of_the_methods_as_good_as_the_best() -> None:
    advice = advise(table(normal(METHODS, 10)))
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert advice.recommendation.recipe["learning_rate"] == 1e-3
    assert advice.evidence == "moderate"
    assert advice.undecided == ()
    status = {one.method: one.status for one in advice.candidates}
    assert status == {"full": "inside", "bitfit": "inside", "houlsby": "outside", "head": "outside"}
    assert [one.method for one in advice.runners_up] == ["full"]
    assert re.match(
        r"Use bitfit \(lr 0.001\) on reviews at 100% of the data and 3 epochs \(minilm\): equivalent to full within 1 point of "
        r"accuracy \(difference .0\.\d, 95% CI .*, 10 paired seeds\)", advice.sentence)  # fmt: skip
    assert (
        "0.18% of the parameters, 161 kB a task, 1.6x faster than full. Evidence: moderate, for these"
        in advice.sentence
    )
    assert any("no predictions" in caution for caution in advice.cautions)
    [against_full] = [pair for pair in advice.comparisons if pair.b == "full"]
    assert (against_full.a, against_full.verdict, against_full.seeds) == ("bitfit", "equivalent", 10)
    assert str(advice.next_command) == "tuneworth run STUDY.toml --store fresh.db"


def test_strong_needs_new_data_too() -> None:
    scores, answers = answered({"full": 0.90, "bitfit": 0.90, "head": 0.7}, seeds=10, examples=4000)
    advice = advise(table(scores), answers=answers)
    assert advice.evidence == "strong", advice
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert advice.next_command is None
    assert advise(table(scores)).evidence == "moderate"
    few, their = answered({"full": 0.90, "bitfit": 0.90, "head": 0.7}, seeds=10, examples=100, own=0.2)
    small = advise(table(few), answers=their, margin=3.0)
    assert small.evidence == "moderate", small
    assert any("More test examples" in caution for caution in small.cautions)
    assert str(small.next_command) == "tuneworth run STUDY.toml  # with about 536 test examples"


@pytest.mark.parametrize("doubt", ["rising", "failed", "mixed"])
def test_a_doubt_keeps_evidence_from_being_strong(doubt: str) -> None:
    scores, answers = answered({"full": 0.90, "bitfit": 0.90}, seeds=10, examples=4000)
    rows = table(scores, curve=rising()) if doubt == "rising" else table(scores)
    if doubt == "failed":
        rows = table(scores, {("full", 10): "out of memory"})
    if doubt == "mixed":
        rows[0]["environment"] = {**rows[0]["environment"], "torch": "1.0"}
    advice = advise(rows, answers=answers)
    assert advice.evidence == "moderate"
    said = {"rising": "Still learning", "failed": "Trials failed: full", "mixed": "unlike hardware or versions"}[doubt]
    assert any(said in caution for caution in advice.cautions)
    command = {"rising": 'budgets = ["6epochs"]', "failed": "--retry-failed", "mixed": "--store fresh.db"}[doubt]
    assert command in str(advice.next_command)


@pytest.mark.parametrize("method", ["full", "head"])
def test_unequal_tuning_keeps_evidence_from_being_strong(method: str) -> None:
    """Of a beaten method too: it may be the one that was not tuned."""
    scores, answers = answered({"full": 0.90, "bitfit": 0.90, "head": 0.7}, seeds=10, examples=4000)
    race = [
        {"learning_rate": rate, "budget": "0.3epochs", "state": "done", "train_seconds": 2.0, "validation_loss": 0.5,
         "validation_score": score}
        for rate, score in ((1e-3, 80.0), (3e-3, 84.0), (3e-4, 76.0))
    ]  # fmt: skip
    rows = table(scores)
    for row in rows:
        row["tuning"] = race if row["method"] != method else None
    advice = advise(rows, answers=answers)
    assert advice.evidence == "moderate"
    assert any(f"{method} 1" in caution and "at most moderate" in caution for caution in advice.cautions)
    assert "tune = 3" in str(advice.next_command)
    [tuned] = [one for one in advice.candidates if one.method == "bitfit"]
    assert (tuned.recipes_tried, tuned.tuning_seconds) == (3, 6.0)
    assert tuned.expected_validation == pytest.approx((80.0, 82.666667, 84.0)), (
        "the means of all, of the best of pairs, the best"
    )
    for row in rows:
        row["tuning"] = [*race, {**race[0], "learning_rate": 9e-3}] if row["method"] == method else race
    assert advise(rows, answers=answers).evidence == "strong", "one rate beyond the edge is the same rule for all"


def test_a_collapse_costs_a_trial_and_not_the_comparison() -> None:
    """bitfit is as good as full when it trains, and one run in ten does not: it is advised, and said to collapse."""
    scores = normal(METHODS, 10)
    scores["bitfit"][4] = BASELINE
    advice = advise(table(scores))
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert advice.evidence == "moderate"
    bitfit = next(one for one in advice.candidates if one.method == "bitfit")
    assert (bitfit.seeds, bitfit.collapsed) == (10, 1)
    assert bitfit.score == pytest.approx(fmean(score for seed, score in scores["bitfit"].items() if seed != 4))
    assert "equivalent to full" in advice.sentence
    assert "9 paired seeds" in advice.sentence
    assert any("Collapsed trials, one answer for all: bitfit 1 of 10." in text for text in advice.cautions)
    assert any("told by scores that equal the baseline" in text for text in advice.cautions), "no answers were kept"
    assert "1 of its runs learnt nothing" in in_plain_words(advice).why


def test_what_often_collapses_gives_way_to_what_does_not() -> None:
    scores = normal(METHODS, 12)
    scores["bitfit"] |= dict.fromkeys((0, 3, 7), BASELINE)
    advice = advise(table(scores))
    assert {one.method: one.status for one in advice.candidates}["bitfit"] == "inside"
    assert advice.recommendation
    assert advice.recommendation.method == "full"


def test_what_hardly_ever_trains_is_judged_by_all_its_trials() -> None:
    scores = normal(METHODS, 10)
    scores["bitfit"] |= dict.fromkeys(range(8), BASELINE)
    advice = advise(table(scores))
    assert {one.method: one.status for one in advice.candidates}["bitfit"] == "outside"


def test_two_seeds_carry_nothing() -> None:
    advice = advise(table(normal(METHODS, 2)))
    assert (advice.recommendation, advice.evidence) == (None, "none")
    assert set(advice.undecided) == set(METHODS)
    assert "2 paired seeds can carry no recommendation" in advice.sentence
    assert str(advice.next_command) == "tuneworth run first --until-decided --margin 1"


def test_one_seed_has_differences_and_no_intervals() -> None:
    advice = advise(table(normal(METHODS, 1)))
    assert advice.evidence == "none"
    assert len(advice.comparisons) == 6
    assert {(pair.low, pair.verdict, pair.seeds) for pair in advice.comparisons} == {(None, "undecided", 1)}


def test_undecided_is_never_a_coin_toss() -> None:
    advice = advise(table(normal({"full": 86.0, "bitfit": 85.8, "head": 30.0}, 4, spread=6.0, chance=1)))
    assert advice.recommendation is None
    assert set(advice.undecided) == {"full", "bitfit"}
    assert advice.sentence.startswith("Undecided between full and bitfit")
    assert "the surest is" in advice.sentence


def test_weak_evidence_leans() -> None:
    found = [advise(table(normal({"full": 86.0, "bitfit": 85.9}, 5, spread=1.0, chance=n))) for n in range(40)]
    weak = [advice for advice in found if advice.evidence == "weak"]
    assert weak
    for advice in weak:
        assert advice.recommendation
        assert advice.sentence.startswith("Lean to ")
        assert set(advice.undecided) == {"full", "bitfit"}
        hopeless = any("not even 20 seeds" in caution for caution in advice.cautions)
        assert ("advise first --margin" if hopeless else "--until-decided") in str(advice.next_command)
    strict = [advice for advice in found if advice.evidence in ("moderate", "strong")]
    assert all(min(c.behind[1] for c in a.candidates if c.behind[1] is not None) > 1 for a in weak)
    assert all(any(c.behind[1] is not None and c.behind[1] <= 1 for c in a.candidates) for a in strict)


def test_a_method_that_has_learnt_nothing_is_never_recommended() -> None:
    constant = {method: dict.fromkeys(range(6), 50.0) for method in ("head", "full")}
    advice = advise(table(constant))
    assert (advice.recommendation, advice.undecided) == (None, ())
    assert "no method is clearly above the baseline of 50.0" in advice.sentence
    assert 'budgets = ["6epochs"]' in str(advice.next_command)
    better = {**constant, "full": {seed: 50.5 + 0.01 * seed for seed in range(6)}}
    chosen = advise(table(better)).recommendation
    assert chosen
    assert chosen.method == "full"  # head is within a point of it, and has learnt nothing


def test_limits_exclude_and_say_so() -> None:
    rows = table(normal(METHODS, 10))
    advice = advise(rows, Limits.parse(max_trainable="0.1%", max_delta_size="1MB"))
    assert advice.recommendation
    assert advice.recommendation.method == "head"
    assert "the only method that keeps your limits" in advice.sentence
    assert {(one.method, one.limit) for one in advice.excluded} == {
        ("full", "max_trainable_share"), ("full", "max_delta_size"), ("bitfit", "max_trainable_share"),
        ("houlsby", "max_trainable_share"), ("houlsby", "max_delta_size"),
    }  # fmt: skip
    nothing = advise(rows, Limits.parse(max_memory="1kB"))
    assert (nothing.recommendation, nothing.evidence) == (None, "none")
    assert "the least is 300 MB (head), the limit 1.0 kB" in nothing.sentence


def test_what_was_not_measured_keeps_no_limit() -> None:
    rows = table(normal(METHODS, 5))
    for row in rows:
        row["peak_memory_bytes"] = None
    advice = advise(rows, Limits(max_memory=1e12))
    assert {(one.method, one.value) for one in advice.excluded} == {(method, None) for method in METHODS}


def test_no_result_and_one_method() -> None:
    nothing = advise(table({"full": {}, "head": {}}, {("full", 0): "pending"}))
    assert "no trial has a result yet" in nothing.sentence
    assert str(nothing.next_command) == "tuneworth run first"
    alone = advise(table(normal({"full": 80.0}, 5)))
    assert alone.recommendation is None
    assert "only full has a result, 8" in alone.sentence


def test_unequal_seeds_are_compared_over_those_that_both_have() -> None:
    scores = normal({"full": 86.0, "bitfit": 85.9, "head": 70.0}, 10)
    scores["head"] = {seed: score for seed, score in scores["head"].items() if seed < 3}  # beaten, and stopped early
    advice = advise(table(scores))
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert any("unlike numbers of seeds (full 10, bitfit 10 and head 3)" in caution for caution in advice.cautions)
    assert {pair.b: pair.seeds for pair in advice.comparisons} == {"full": 10, "head": 3}


def test_the_longest_budget_within_the_limits_and_the_most_data() -> None:
    rows = table(normal(METHODS, 3), budgets=["20s", "60s"], fractions=[0.3, 1.0])
    assert [(one.fraction, one.budget) for one in advise_each(rows)] == [(1.0, "60s")]
    within = advise(rows, Limits.parse(max_train_seconds="30s"))
    assert (within.fraction, within.budget, within.excluded) == (1.0, "20s", ())
    asked = advise(rows, fraction=0.3, budget="1m")
    assert (asked.fraction, asked.budget) == (0.3, "60s")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"task": "review"}, "did you mean 'reviews'"),
        ({"model": "minlm"}, "did you mean 'minilm'"),
        ({"fraction": 0.5}, "no fraction 0.5\nit has 1"),
        ({"budget": "5epochs"}, "no budget '5epochs'\nit has 3epochs"),
        ({"budget": "long"}, "cannot read the budget 'long'"),
        ({"margin": -1.0}, "margin -1"),
        ({"margin": float("nan")}, "margin nan"),
        ({"confidence": 95.0}, "confidence 95"),
    ],
)
def test_requests_that_are_wrong(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)):
        advise(table(normal(METHODS, 3)), **wrong)


def test_several_tasks_have_an_advice_each_and_a_word_over_all() -> None:
    rows = table(normal(METHODS, 10), tasks=["glue/mrpc", "glue/cola"])
    found = advise_each(rows)
    assert [advice.task for advice in found] == ["glue/mrpc", "glue/cola"]
    assert overall(found) == "Overall: bitfit is recommended everywhere, on glue/mrpc (minilm) and glue/cola (minilm)."
    with pytest.raises(SpecError, match="2 questions"):
        advise(rows)
    assert advise(rows, task="glue/cola") == found[1]


scores_of = st.dictionaries(
    st.sampled_from(["head", "full", "bitfit", "houlsby", "pfeiffer"]),
    st.dictionaries(st.integers(0, 6), st.floats(40, 95), min_size=0, max_size=7), min_size=1,
).filter(lambda scores: any(scores.values()))  # fmt: skip
costs = st.one_of(st.none(), st.floats(0.5, 1e9))
limits_of = st.builds(
    Limits, max_train_seconds=st.one_of(st.none(), st.floats(1, 100)), max_memory=costs, max_trainable=costs,
    max_trainable_share=st.one_of(st.none(), st.floats(1e-6, 1)), max_delta_size=costs,
)  # fmt: skip
MEASURED = {"max_train_seconds": "train_seconds", "max_memory": "peak_memory_bytes", "max_trainable": "trainable_parameters",
            "max_delta_size": "delta_bytes"}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(scores=scores_of, limits=limits_of, shares=st.lists(st.floats(0.01, 1), min_size=5, max_size=5))
def test_tightening_a_limit_adds_no_method_and_no_limit_is_broken(
    scores: dict[str, dict[int, float]], limits: Limits, shares: list[float]
) -> None:
    rows = table(scores)
    tighter = replace(limits, **{
        limit: None if (most := getattr(limits, limit)) is None else most * share
        for limit, share in zip((*MEASURED, "max_trainable_share"), shares, strict=True)
    })  # fmt: skip
    wide, narrow = advise(rows, limits), advise(rows, tighter)
    assert {one.method for one in narrow.candidates} <= {one.method for one in wide.candidates}
    for advice, asked in ((wide, limits), (narrow, tighter)):
        if advice.recommendation:
            assert_within(rows, advice.recommendation.method, asked)
            assert advice.evidence != "none"
        else:
            assert advice.evidence == "none"
        assert {one.method for one in advice.excluded}.isdisjoint(one.method for one in advice.candidates)


def assert_within(rows: list[Row], method: str, limits: Limits) -> None:
    """From the rows themselves: every trial of the method costs no more than the limits."""
    for row in rows:
        if row["method"] == method and row["state"] == "done":
            for limit, key in MEASURED.items():
                most = getattr(limits, limit)
                assert most is None or row[key] <= most
            share = limits.max_trainable_share
            assert share is None or row["trainable_parameters"] <= share * row["total_parameters"]


@settings(max_examples=40, deadline=None)
@given(scores=scores_of, chance=st.integers(0, 999))
def test_neither_the_order_of_rows_nor_the_names_of_seeds_matter(
    scores: dict[str, dict[int, float]], chance: int
) -> None:
    names = random.Random(chance).sample(range(100, 200), 7)
    shuffled = table(scores)
    random.Random(chance).shuffle(shuffled)
    assert plain(advise(shuffled)) == plain(advise(table(scores)))
    renamed = {method: {names[seed]: score for seed, score in given.items()} for method, given in scores.items()}
    assert plain(advise(table(renamed))) == plain(advise(table(scores)))


def plain(advice: Advice) -> dict[str, Any]:
    """Without what lists methods in the study's order."""
    data = advice.model_dump()
    pairs = {frozenset((pair.a, pair.b)): round(abs(pair.difference), 9) for pair in advice.comparisons}
    return {"recommendation": data["recommendation"], "evidence": data["evidence"], "undecided": set(advice.undecided),
            "behind": {one.method: [end and round(end, 6) for end in one.behind] for one in advice.candidates},
            "pairs": pairs}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(scores=scores_of, limits=limits_of)
def test_json_reads_back_as_it_was(scores: dict[str, dict[int, float]], limits: Limits) -> None:
    advice = advise(table(scores), limits)
    text = advice.model_dump_json()
    assert "Infinity" not in text
    assert "NaN" not in text
    assert Advice.model_validate_json(text) == advice
