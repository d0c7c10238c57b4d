"""Is the advice right? Whole advice, from rows to grade, in the worlds of worlds.py. Rows for evidence.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from tuneworth.advice import Advice, Limits, advise
from tuneworth.results.rows import KEYS, Row
from tuneworth.stats import Answers, decide
from worlds import World, draw

MARGIN = 1.0
COUNTS = (3, 5, 10, 20)
TRAINED = {"head": 770, "bitfit": 26_882, "pfeiffer": 113_810, "houlsby": 236_834, "full": 22_713_986}
NAMES = list(TRAINED)
ENVIRONMENT = {"device": "simulated"}


class Tally(Protocol):
    def add(
        self, question: str, world: str, seeds: object, share: float, target: tuple[float, float] | None = None
    ) -> None: ...


def advice(generator: np.random.Generator, worlds: int, tally: Tally) -> Iterator[None]:
    """Advice under limits drawn at random, with a set number of seeds and where seeds were added until it was decided.

    Wrong: the recommended method's true mean score, of trials that train, lies more than the margin below that of the best
    method within the limits; on these test examples, or on new data, which strong evidence speaks for too. "Graded strong
    and wrong" is a share of all advice; "of strong advice, wrong" of that grade alone, where several methods were within the
    limits.
    """
    for _ in range(worlds):
        gaps = generator.permutation([0.0, *(_gap(generator) for _ in NAMES[1:])])
        collapse = np.where(generator.random(len(NAMES)) < 0.5, generator.uniform(0, 0.3, len(NAMES)), 0.0)
        steady = generator.random() < 0.5
        # Half of the worlds are as favourable to strong evidence as data gets, since elsewhere it is rare.
        easy = generator.random() < 0.5
        spread, examples = ((0.2, 0.8), (1500, 6000)) if easy else ((0.5, 3.0), (100, 1500))
        world = draw(generator, gaps, collapse * (not steady), spread, examples)
        limits = _limits(generator)
        yield
        name = "steady" if steady else "collapsing"
        for n in COUNTS:
            _judge(world, dict.fromkeys(NAMES, n), limits, tally, name, n)
        _judge(world, _until_decided(world), limits, tally, name, "until decided")


def _judge(world: World, seeds: Mapping[str, int], limits: Limits, tally: Tally, name: str, label: object) -> None:
    rows = [_row(world, method, seed) for method in NAMES for seed in range(seeds[method])]
    answers = {
        ("simulated", method, "simulated", 1.0, "3epochs"): _answers(world, method, seeds[method]) for method in NAMES
    }
    found = advise(rows, limits, margin=MARGIN, answers=answers)
    for grade in ("strong", "moderate", "weak", "none"):
        tally.add(f"advice graded {grade}", name, label, found.evidence == grade)
    wrong = _wrong(world, found)
    for place, is_wrong in wrong.items():
        tally.add(f"graded strong and wrong, {place}", name, label, found.evidence == "strong" and is_wrong, (0.0, 5.0))
        if (
            found.recommendation and len(found.candidates) > 1
        ):  # one alone was chosen by the limits, and cannot be wrong
            target = (0.0, 5.0) if found.evidence == "strong" else None
            tally.add(f"of {found.evidence} advice, wrong, {place}", name, label, is_wrong, target)
    if found.recommendation:
        tally.add("advice breaks a limit", "all", "all", _breaks(found, limits), (0.0, 0.0))


def _wrong(world: World, found: Advice) -> dict[str, bool]:
    """Whether a method within the limits is truly better than the recommended one, by more than the margin."""
    within = [NAMES.index(one.method) for one in found.candidates]
    truths = {"these examples": world.trained_here, "new data": world.trained_anywhere}
    if found.recommendation is None:
        return dict.fromkeys(truths, False)
    chosen = NAMES.index(found.recommendation.method)
    return {place: float(truth[within].max() - truth[chosen]) > MARGIN for place, truth in truths.items()}


def _breaks(found: Advice, limits: Limits) -> bool:
    assert found.recommendation is not None
    cost = _costs(found.recommendation.method)
    return any(most is not None and cost[limit] > most for limit, most in vars(limits).items() if limit in cost)


def _costs(method: str) -> dict[str, float]:
    trained = TRAINED[method]
    return {"max_train_seconds": 10 + np.log10(trained), "max_memory": 3e8 + 12 * trained, "max_trainable": trained,
            "max_trainable_share": trained / TRAINED["full"], "max_delta_size": 4 * trained}  # fmt: skip


def _limits(generator: np.random.Generator) -> Limits:
    """Each limit in one world of four; somewhere between the cheapest and the dearest method."""
    chosen: dict[str, Any] = {}
    for limit, least in _costs("head").items():
        if generator.random() < 0.25:
            chosen[limit] = float(np.exp(generator.uniform(np.log(least), np.log(_costs("full")[limit]))))
    return Limits(**chosen)


def _row(world: World, method: str, seed: int) -> Row:
    cost, trained = _costs(method), TRAINED[method]
    known: Row = {
        "study": "simulated", "key": f"{method}-{seed}", "model": "simulated", "method": method, "task": "simulated",
        "fraction": 1.0, "budget": "3epochs", "seed": seed, "recipe": {"learning_rate": 1e-3}, "state": "done",
        "metric": world.metric, "score": float(world.scores[NAMES.index(method), seed]), "baseline_score": world.baseline,
        "validation_score": 0.0, "curve": [], "train_seconds": cost["max_train_seconds"], "trainable_parameters": trained,
        "total_parameters": TRAINED["full"], "peak_memory_bytes": cost["max_memory"], "delta_bytes": cost["max_delta_size"],
        "environment": ENVIRONMENT, "steps": 1, "selected": True, "notes": [],
    }  # fmt: skip
    return {key: known.get(key) for key in KEYS}


def _answers(world: World, method: str, seeds: int) -> Answers:
    return world.answers(NAMES.index(method), seeds)


def _until_decided(world: World) -> dict[str, int]:
    """The seeds that `tuneworth run --until-decided` gives each method; it knows of no limits."""
    have = dict.fromkeys(NAMES, 0)
    while True:
        scores = {m: world.by_seed(NAMES.index(m), n) for m, n in have.items()}
        wanted = decide(scores, MARGIN, baseline=world.baseline).wanted
        if not wanted:
            return have
        have |= wanted


def _gap(generator: np.random.Generator) -> float:
    return float(generator.choice([0.0, MARGIN, generator.uniform(0, 3), generator.uniform(2, 10)]))
