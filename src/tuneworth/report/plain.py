"""Advice in everyday words: what a report opens with and `tuneworth results` ends with."""

from __future__ import annotations

from dataclasses import dataclass

from tuneworth import words
from tuneworth.advice import Advice, Candidate, Grade
from tuneworth.advice.evidence import FEW
from tuneworth.spec import Budget

__all__ = ["MEANING", "Plain", "plain"]

MEANING: dict[Grade, str] = {
    "strong": "Expect the same with other random starts, and on new data of this kind, after training on these examples.",
    "moderate": "Expect the same with other random starts, trained and tested on the same examples. On new data it is less sure.",
    "weak": "The results point this way, but chance could still explain them. Take it as a first guess.",
    "none": "The results so far do not support a choice.",
}
"""What each grade of evidence (defined in advice.evidence) means for a person who acts on it."""


@dataclass(frozen=True)
class Plain:
    """`act`: what to do, in a few words; `why`: a sentence or two, empty where `act` says it all."""

    where: str
    act: str
    why: str
    grade: Grade
    meaning: str

    @property
    def sentence(self) -> str:
        return f"{self.act} {self.why}".strip()


def plain(advice: Advice) -> Plain:
    act, why = _recommended(advice) if advice.recommendation else _nothing(advice)
    where = f"{advice.task}, {words.fraction(advice.fraction)} of the training data, {words.budget(advice.budget)}"
    return Plain(where, act, why, advice.evidence, MEANING[advice.evidence])


def _recommended(advice: Advice) -> tuple[str, str]:
    assert advice.recommendation is not None
    method = advice.recommendation.method
    lean = "Lean towards" if advice.evidence == "weak" else "Use"
    chosen = next(one for one in advice.candidates if one.method == method)
    rate = advice.recommendation.recipe["learning_rate"]
    said = [_scores(advice, chosen), _costs(advice, chosen), f"Learning rate: {rate:g}."]
    if chosen.collapsed:
        runs = words.several(chosen.collapsed, "of its runs", "of its runs")
        said.append(f"{runs} learnt nothing: where the score on validation stays at the baseline, train again.")
    return f"{lean} {method}.", " ".join(said)


def _scores(advice: Advice, chosen: Candidate) -> str:
    """Against the largest of the other methods, on which one saves; against the best one where `chosen` is the largest."""
    others = [one for one in advice.candidates if one.method != chosen.method]
    if not others:
        return (
            f"It scores {words.points(chosen.score)} ({words.metric(advice.metric)}), with nothing to compare it with."
        )
    rival = max(others, key=_size)
    if _size(rival) < _size(chosen):
        rival = max(others, key=lambda one: one.score)
    verdict = next((pair.verdict for pair in advice.comparisons if pair.b == rival.method), "undecided")
    metric, ours, theirs = words.metric(advice.metric), words.points(chosen.score), words.points(rival.score)
    numbers = f"{ours} ({metric}) against {theirs}"
    apart = f"{advice.margin:g} {'point' if advice.margin == 1 else 'points'}"
    if verdict == "equivalent":
        return f"It scores as well as {rival.method}: {numbers}, and less than {apart} apart counts as equal."
    if verdict == "better":
        return f"It scores better than {rival.method}: {numbers}."
    sure = "probably" if advice.evidence == "weak" else "shown to be"
    return f"It scores {numbers} for {rival.method}, and is {sure} at most {apart} below the best."


def _costs(advice: Advice, chosen: Candidate) -> str:
    costs = f"It trains {words.share(chosen.trainable_share)} of the parameters and stores {words.size(chosen.delta_bytes)} a task"
    largest = max(advice.candidates, key=_size)
    if largest is chosen or Budget.parse(advice.budget).timed or not (chosen.train_seconds and largest.train_seconds):
        return f"{costs}."
    return (f"{costs}, with {words.seconds(chosen.train_seconds)} of training against "
            f"{words.seconds(largest.train_seconds)} for {largest.method}.")  # fmt: skip


def _nothing(advice: Advice) -> tuple[str, str]:
    if not advice.undecided:
        return advice.sentence.removesuffix(" Evidence: none."), ""
    seeds = _paired(advice)
    names = words.listed(list(advice.undecided))
    if seeds < FEW:
        runs = f"{words.several(seeds, 'seed')}: too few to recommend." if seeds else "No seed in common to compare."
        enough = min(one.seeds for one in advice.candidates) >= FEW
        if enough and any(one.collapsed for one in advice.candidates):
            runs = f"Collapsed runs leave too few to recommend ({words.several(seeds, 'seed')} in common)."
        return runs, f"From {FEW} on, a real difference can be told from luck; until then it is open between {names}."
    apart = f"{advice.margin:g} {'point' if advice.margin == 1 else 'points'}"
    return f"Undecided between {names}.", (f"After {words.several(seeds, 'seed')} none of them is shown to be within {apart} "
                                          "of the best.")  # fmt: skip


def _paired(advice: Advice) -> int:
    """The fewest seeds that two undecided methods share; a pair that is not there shares none."""
    open_pairs = len(advice.undecided) * (len(advice.undecided) - 1) // 2
    if len(advice.comparisons) < open_pairs:
        return 0
    return min(pair.seeds for pair in advice.comparisons)


def _size(one: Candidate) -> float:
    return one.trainable_share or 0.0
