"""What a grade may say, in worlds where it once said too much: few test examples, undertrained rivals, agreeing seeds, busy
machines, leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scored import flat, normal, table
from tuneworth.advice import Advice, Limits, advise, judge_claims
from tuneworth.advice.advise import advise_each
from tuneworth.errors import SpecError
from tuneworth.report.plain import plain
from tuneworth.results.rows import CellKey, Row
from tuneworth.spec import StudySpec
from tuneworth.stats import Answers, seeds_needed

Scores = dict[str, dict[int, float]]


def right(shares: Mapping[str, Sequence[int]], examples: int) -> tuple[Scores, dict[CellKey, Answers]]:
    """By method, how many of the first test examples each seed answers rightly; targets are balanced at random."""
    targets = np.random.default_rng(0).permutation(np.arange(examples) % 2)
    scores: Scores = {}
    answers = {}
    for method, numbers in shares.items():
        given = {seed: np.where(np.arange(examples) < n, targets, 1 - targets) for seed, n in enumerate(numbers)}
        scores[method] = {seed: 100 * n / examples for seed, n in enumerate(numbers)}
        answers["minilm", method, "reviews", 1.0, "3epochs"] = Answers("accuracy", targets, given)
    return scores, answers


def changed(rows: list[Row], **changes: Any) -> list[Row]:
    """Rows with some values set by (method, seed)."""
    return [{**row, **{key: value(row["method"], row["seed"]) for key, value in changes.items()}} for row in rows]


def curve_of(gain: float, seed: int) -> list[dict[str, float]]:
    return [{**point, "score": 60 + gain * i + 0.1 * (seed * i % 3)} for i, point in enumerate(flat(), 1)]


def test_twenty_test_examples_are_never_strong() -> None:
    """One method is far ahead on these 20; new ones could turn it around, and no number of seeds tells."""
    flips = [int(seed % 3 == 0) for seed in range(10)]
    scores, answers = right({"full": [15 + flip for flip in flips], "bitfit": [18 - flip for flip in flips]}, 20)
    advice = advise(table(scores), answers=answers)
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert advice.evidence == "moderate"
    assert advice.sentence.endswith("Evidence: moderate.")
    scores, answers = right({"full": [17 + flip for flip in flips], "bitfit": [18 + flip for flip in flips]}, 20)
    advice = advise(table(scores), answers=answers)
    assert advice.evidence == "weak"
    assert advice.sentence.endswith("Evidence: weak, for these 20 test examples.")
    assert any("points behind the best. More test examples narrow that" in caution for caution in advice.cautions)


def test_the_advice_says_how_many_test_examples_are_missing() -> None:
    numbers = {"full": [180] * 10, "bitfit": [180 + seed % 2 for seed in range(10)]}
    scores, answers = right(numbers, 200)
    swapped = answers["minilm", "bitfit", "reviews", 1.0, "3epochs"]
    moved = {seed: np.roll(given == swapped.targets, 4) for seed, given in swapped.predictions.items()}  # other ones
    given = {seed: np.where(ok, swapped.targets, 1 - swapped.targets) for seed, ok in moved.items()}
    answers["minilm", "bitfit", "reviews", 1.0, "3epochs"] = Answers("accuracy", swapped.targets, given)
    advice = advise(table(scores), answers=answers)
    assert advice.evidence == "moderate"
    assert advice.next_command
    assert str(advice.next_command).startswith("tuneworth run STUDY.toml  # with about ")
    number = str(advice.next_command).split("about ")[1].split()[0]
    assert any(f"More test examples narrow that (about {number} would do)" in caution for caution in advice.cautions)
    assert 800 < int(number.replace(",", "")) < 10_000


def test_the_advice_says_how_many_seeds_are_missing() -> None:
    scores = normal({"full": 86.0, "bitfit": 86.0}, 5, spread=1.0, chance=8)
    advice = advise(table(scores), margin=0.7)
    assert advice.evidence in ("weak", "none")
    more = seeds_needed([scores["full"][seed] - scores["bitfit"][seed] for seed in range(5)], 0.7)
    assert more
    assert f"At the spread seen so far, about {5 + more} seeds in all would probably decide." in advice.cautions
    assert str(advice.next_command) == "tuneworth run first --until-decided --margin 0.7"
    hopeless = advise(table(normal({"full": 86.0, "bitfit": 86.0}, 5, spread=9.0, chance=3)))
    assert any("not even 20 seeds" in caution for caution in hopeless.cautions)
    assert str(hopeless.next_command).startswith("tuneworth advise first --margin ")


def rival(gain: float, behind: float, seeds: int = 10) -> Advice:
    """head wins by far on many test examples; full lies `behind` and gains `gain` points a fifth of the budget."""
    numbers = {"head": [3600 + seed % 2 for seed in range(seeds)],
               "full": [3600 - int(40 * behind) + seed % 3 for seed in range(seeds)]}  # fmt: skip
    scores, answers = right(numbers, 4000)
    rows = changed(table(scores), curve=lambda method, seed: curve_of(gain * (method == "full"), seed))
    return advise(rows, answers=answers)


def test_a_rival_that_still_rises_caps_the_grade_and_is_named() -> None:
    advice = rival(gain=5.0, behind=5.0)
    assert {one.method: one.status for one in advice.candidates}["full"] == "outside"
    assert advice.evidence == "moderate"
    assert "still learning when the budget ended: full (+10.1 points in the last third)" in advice.sentence
    assert str(advice.next_command) == 'tuneworth run STUDY.toml  # with budgets = ["6epochs"] in it'
    assert rival(gain=0.0, behind=5.0).evidence == "strong"
    assert rival(gain=0.5, behind=30.0).evidence == "strong", "at that pace it would not catch up"


def test_two_seeds_do_not_show_that_a_method_rises() -> None:
    assert not any("Still learning" in caution for caution in rival(5.0, 5.0, seeds=2).cautions)


def tutorial(seeds: int) -> tuple[list[Row], dict[CellKey, Answers]]:
    scores, answers = right(
        {"head": [63] * seeds, "full": [80] * seeds, "bitfit": [80] * seeds, "houlsby": [80] * seeds}, 80
    )
    return table(scores, baseline_score=50.0), answers


@pytest.mark.parametrize("seeds", [3, 4, 5])
def test_methods_that_answer_everything_alike_are_a_choice_by_cost(seeds: int) -> None:
    rows, answers = tutorial(seeds)
    advice = advise(rows, answers=answers)
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert advice.evidence == "weak"
    assert f"the same answer as full to every test example, at {seeds} seeds" in advice.sentence
    assert {one.method: one.status for one in advice.candidates}["head"] == "outside"
    assert not any("baseline" in caution and "never recommended" in caution for caution in advice.cautions)
    assert "budgets" not in str(advice.next_command)
    assert plain(advice).act == "Lean towards bitfit."


@pytest.mark.parametrize("wrong", [(1, 0, 0), (3, 1, 2)])
def test_so_are_the_best_of_them_beside_one_that_varies(wrong: tuple[int, ...]) -> None:
    """The tutorial: three methods answer everything rightly, the head alone errs now and then."""
    shares = {"head": [80 - w for w in wrong], "full": [80] * 3, "bitfit": [80] * 3, "houlsby": [80] * 3}
    scores, answers = right(shares, 80)
    advice = advise(table(scores, baseline_score=50.0), answers=answers)
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert advice.evidence == "weak"
    assert "the same answer as full to every test example, at 3 seeds" in advice.sentence


def test_seeds_that_agree_are_tested_over_the_examples() -> None:
    """95 and 60 of 100 at each of three seeds: no seed shows any chance, and the examples show the difference."""
    scores, answers = right({"head": [60] * 3, "full": [95] * 3}, 100)
    advice = advise(table(scores), answers=answers)
    assert advice.recommendation
    assert advice.recommendation.method == "full"
    assert "better than head (difference +35.0, 95% CI" in advice.sentence
    [claim] = judge_claims(table(scores, claim=BETTER), CLAIMED, answers=answers)
    assert claim.ruling == "supported"
    [blind] = judge_claims(table(scores, claim=BETTER), CLAIMED)
    assert blind.ruling == "undecided"
    luck, theirs = right({"head": [54] * 3, "full": [55] * 3}, 100)
    assert advise(table(luck), answers=theirs).recommendation is None, "5 of 100 above the baseline may be chance"


BETTER = {"it": {"says": "full is better", "test": "better", "method": "full", "against": "head"}}
CLAIMED = StudySpec.parse({"name": "first", "tasks": ["glue/mrpc"], "methods": ["head", "full"], "claim": BETTER})


@pytest.mark.parametrize(
    ("state", "command"),
    [("pending", "tuneworth run first"), (None, "tuneworth run first --until-decided --margin 1")],
)
@pytest.mark.parametrize(("level", "grade"), [(80.0, "moderate"), (88.0, "weak")])
def test_one_sparse_method_does_not_block_the_others(state: str | None, command: str, level: float, grade: str) -> None:
    """houlsby has 2 seeds of 4, the rest still to run or not even planned: the others are compared, and it is named."""
    scores = normal({"head": 70.0, "full": 86.0, "bitfit": 85.9, "houlsby": level}, 4, spread=0.1)
    del scores["houlsby"][2], scores["houlsby"][3]
    rows = table(scores)
    if state is None:
        rows = [row for row in rows if row["state"] == "done"]
    advice = advise(rows)
    assert advice.recommendation
    assert advice.recommendation.method == "bitfit"
    assert advice.evidence == grade
    ahead = ", ahead so far" if grade == "weak" else ""
    assert f"houlsby (2 seeds{ahead}) cannot be compared yet" in advice.sentence
    assert str(advice.next_command) == command


def test_a_method_whose_trials_collapsed_does_not_block_the_others() -> None:
    scores = normal({"head": 70.0, "full": 86.0, "bitfit": 85.9, "houlsby": 84.0}, 3, spread=0.05)
    scores["houlsby"][1] = 50.0
    advice = advise(table(scores))
    assert advice.recommendation
    assert "houlsby (2 seeds that trained) cannot be compared yet" in advice.sentence


def test_two_methods_that_share_no_seeds_leave_nothing_to_advise() -> None:
    scores = normal({"full": 86.0, "bitfit": 85.9}, 6)
    scores["full"] = {seed: score for seed, score in scores["full"].items() if seed < 3}
    scores["bitfit"] = {seed: score for seed, score in scores["bitfit"].items() if seed >= 3}
    advice = advise(table(scores))
    assert (advice.recommendation, advice.undecided) == (None, ("full", "bitfit"))


def test_equivalent_is_said_of_nothing_that_would_have_been_the_choice() -> None:
    """With many methods, a pair may be shown equivalent by itself where the cheaper of the two is not shown to be near the
    best of all."""
    for chance in range(60):
        means = {"bitfit": 85.6, "full": 86.1, "houlsby": 86.2, "pfeiffer": 86.0, "lora": 86.0}
        advice = advise(table(normal(means, 5, spread=0.6, chance=chance)))
        status = {one.method: one.status for one in advice.candidates}
        sizes = {one.method: one.trainable_share or 0.0 for one in advice.candidates}
        if advice.recommendation:
            chosen = advice.recommendation.method
            for pair in advice.comparisons:
                if pair.verdict == "equivalent":
                    assert status[pair.b] == status[chosen] == "inside"
                    assert sizes[chosen] < sizes[pair.b]


def costly(prefer: str) -> Advice:
    rows = table(normal({"full": 86.0, "bitfit": 86.0, "houlsby": 86.0}, 10, spread=0.2))
    seconds, memory = {"full": 20.0, "bitfit": 180.0, "houlsby": 60.0}, {"full": 5e8, "bitfit": 8e8, "houlsby": 2e8}
    rows = changed(rows, train_seconds=lambda m, _: seconds[m], peak_memory_bytes=lambda m, _: memory[m])
    return advise(rows, Limits.parse(prefer=prefer))


@pytest.mark.parametrize(
    ("prefer", "chosen", "worse"),
    [
        ("size", "bitfit", ["9.0x slower than full", "4.0x the memory of houlsby"]),
        ("time", "full", ["2.5x the memory of houlsby", "x the size of bitfit"]),
        ("memory", "houlsby", ["3.0x slower than full", "15x the size of bitfit"]),
    ],
)
def test_what_is_preferred_is_saved_and_what_gets_worse_is_said(prefer: str, chosen: str, worse: list[str]) -> None:
    advice = costly(prefer)
    assert advice.recommendation
    assert advice.recommendation.method == chosen
    for words in worse:
        assert words in advice.sentence


def test_only_what_has_a_cost_can_be_preferred() -> None:
    with pytest.raises(SpecError, match="cannot prefer 'tme'\ndid you mean 'time'"):
        Limits.parse(prefer="tme")


def test_limits_are_kept_by_the_time_that_repeats() -> None:
    """full takes 30 s, but for two seeds that met a busy machine; head takes 13 s, and once 55."""
    rows = table(normal({"full": 90.0, "head": 65.0}, 5))
    times = {"full": (30.0, 31.0, 30.5, 90.0, 120.0), "head": (13.0, 13.2, 55.0, 13.1, 14.0)}
    rows = changed(rows, train_seconds=lambda method, seed: times[method][seed])
    advice = advise(rows, Limits.parse(max_train_seconds="40s"))
    assert advice.recommendation
    assert advice.recommendation.method == "full"
    [busy] = [caution for caution in advice.cautions if "the machine was busy" in caution]
    assert "full 30 s to 2 min 00 s and head 13 s to 55 s" in busy
    tight = advise(rows, Limits.parse(max_train_seconds="20s"))
    assert tight.recommendation
    assert tight.recommendation.method == "head"
    assert "your limits cost 2" in tight.sentence
    assert "points against full" in tight.sentence
    steady = changed(rows, train_seconds=lambda _, seed: 10.0 + seed)
    assert not any("busy" in caution for caution in advise(steady).cautions)


def test_a_limit_is_held_against_the_fastest_seed_of_a_busy_machine() -> None:
    """Two of three seeds of full were slowed: the middle of the faster two is beyond a limit that full keeps."""
    rows = table(normal({"full": 90.0, "head": 65.0}, 3))
    times = {"full": (30.0, 75.0, 90.0), "head": (13.0, 13.2, 13.1)}
    rows = changed(rows, train_seconds=lambda method, seed: times[method][seed])
    advice = advise(rows, Limits.parse(max_train_seconds="40s"))
    assert advice.recommendation
    assert advice.recommendation.method == "full"
    [busy] = [caution for caution in advice.cautions if "the machine was busy" in caution]
    assert busy.endswith("a limit is held against the fastest.")
    assert [one.method for one in advise(rows, Limits.parse(max_train_seconds="29s")).excluded] == ["full"]


@pytest.mark.parametrize(("shared", "grade"), [(10, "strong"), (400, "moderate")])
def test_test_texts_in_the_training_data_cap_the_grade(shared: int, grade: str) -> None:
    numbers = {"head": [2000 + seed % 2 for seed in range(10)], "full": [3600 + seed % 2 for seed in range(10)]}
    scores, answers = right(numbers, 4000)
    rows = changed(table(scores), data=lambda *_: {"test": 4000, "test_in_train": shared})
    advice = advise(rows, answers=answers)
    assert advice.evidence == grade
    said = any(
        "10% of the test texts stand in the training data too" in text for text in (advice.sentence, *advice.cautions)
    )
    assert said == (grade == "moderate")
    if grade == "moderate":
        assert str(advice.next_command) == "tuneworth run STUDY.toml  # with no test text among its training texts"
    else:
        assert any("for this training data" in caution for caution in advice.cautions)


def test_the_next_command_takes_leaked_texts_out(tmp_path: Path) -> None:
    numbers = {"head": [2000 + seed % 2 for seed in range(10)], "full": [3600 + seed % 2 for seed in range(10)]}
    scores, answers = right(numbers, 4000)
    rows = changed(table(scores), data=lambda *_: {"test": 4000, "test_in_train": 100, "near_test_in_train": 300})
    task = rows[0]["task"]
    plain = {"train": tmp_path / f"{task}.csv", "text": "text", "label": "label"}
    spec = {"name": "s", "models": [rows[0]["model"]], "methods": ["head", "full"], "tasks": [task], "seeds": 10}
    (made,) = advise_each(rows, answers=answers, spec=StudySpec.parse({**spec, "task": {task: plain}}))
    assert made.evidence == "moderate"
    assert str(made.next_command).startswith(f"tuneworth compare --train {tmp_path}/{task}.csv")
    assert " --drop-duplicates" in str(made.next_command)
    (made,) = advise_each(
        rows, answers=answers, spec=StudySpec.parse({**spec, "evaluations": 2, "task": {task: plain}})
    )
    assert str(made.next_command) == f"tuneworth run STUDY.toml  # with drop_duplicates = true in its [task.{task}]"
