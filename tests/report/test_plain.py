"""The words that a report opens with."""

from __future__ import annotations

import re
from typing import Any

import pytest

from synthetic import make, measure
from tuneworth.advice import Advice, Limits, advise
from tuneworth.report.plain import MEANING, Plain, plain
from tuneworth.results.rows import rows
from tuneworth.spec import TrialResult, TrialSpec

SEEDS = 6
CALM = (0.1, -0.1, 0.05, -0.05, 0.0, 0.02)
LOUD = (4.0, -4.0, 3.0, -3.0, 2.0, -2.0)


def advised(levels: dict[str, float], noise: tuple[float, ...] = CALM, seeds: int = SEEDS, **more: Any) -> Advice:
    def state(trial: TrialSpec) -> TrialResult:
        own = noise[trial.seed] if trial.method != "full" else 0.1 * noise[trial.seed - 1]
        score = levels[trial.method] + own
        return measure(trial, score=score, validation_score=score, curve=())

    made = make(state, methods=list(levels), seeds=seeds, budgets=[more.pop("budget", "3epochs")])
    return advise(rows(made, "first"), **more)


def test_an_equal_method_that_trains_less_is_named_with_what_it_saves() -> None:
    said = plain(advised({"full": 86.0, "bitfit": 85.9}))
    assert said == Plain(
        "glue/mrpc, 100% of the training data, 3 epochs",
        "Use bitfit.",
        "It scores as well as full: 85.9 (F1) against 86.0, and less than 1 point apart counts as equal. It trains 0.18% of "
        "the parameters and stores 161 kB a task, with 16 s of training against 26 s for full. Learning rate: 0.001.",
        "moderate",
        MEANING["moderate"],
    )
    assert said.sentence == f"{said.act} {said.why}"


def test_the_largest_is_set_against_the_best_of_the_others() -> None:
    said = plain(advised({"full": 86.0, "bitfit": 80.0, "houlsby": 83.0}))
    assert said.sentence.startswith(
        "Use full. It scores better than houlsby: 86.0 (F1) against 83.0. It trains 100% of"
    )


def test_a_budget_in_seconds_saves_no_time() -> None:
    assert "of training against" not in plain(advised({"full": 86.0, "bitfit": 85.9}, budget="20s")).why


def test_weak_evidence_only_leans() -> None:
    noise = tuple(0.5 * value for value in LOUD)
    said = plain(advised({"full": 85.2, "bitfit": 86.0}, noise, margin=0.2))
    assert (said.act, said.grade) == ("Lean towards bitfit.", "weak")


def test_noise_is_undecided_by_name() -> None:
    said = plain(advised({"full": 86.0, "bitfit": 86.0}, LOUD))
    assert said.act == "Undecided between full and bitfit."
    assert said.why == "After 6 seeds none of them is shown to be within 1 point of the best."


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "1 seed: too few to recommend."), (2, "2 seeds: too few to recommend.")]
)
def test_few_seeds_recommend_nothing(seeds: int, words: str) -> None:
    assert plain(advised({"full": 86.0, "bitfit": 85.9}, seeds=seeds)).act == words


def test_without_a_common_seed_nothing_is_compared() -> None:
    made = make(
        lambda t: "done" if (t.method == "full") == (t.seed < 3) else "pending", methods=["full", "bitfit"], seeds=6
    )
    assert plain(advise(rows(made, "first"))).act == "No seed in common to compare."


def test_what_cannot_be_advised_is_said_as_advice_says_it() -> None:
    alone = advised({"full": 86.0})
    assert plain(alone).sentence == alone.sentence.removesuffix(" Evidence: none.")
    none = advised({"full": 86.0, "bitfit": 85.9}, limits=Limits(max_trainable=1.0))
    assert plain(none).act.startswith("No method keeps your limits")


def test_no_sentence_has_a_word_that_needs_a_textbook() -> None:
    for levels, noise in (({"full": 86.0, "bitfit": 85.9}, CALM), ({"full": 86.0, "bitfit": 86.0}, LOUD)):
        said = plain(advised(levels, noise))
        assert not re.search(r"CI|interval|paired|bootstrap|p-value|confidence", f"{said.sentence} {said.meaning}")
