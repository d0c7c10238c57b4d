"""Worlds that advice has been wrong in: few test examples, a rare positive class, rivals that still rise, collapses to the other
class, learners hardly above one answer for all, a busy clock, rates to choose. Rows for evidence.py.

Each world's trials are rows and answers as a store gives them; the advice code does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from advising import ENVIRONMENT, MARGIN, NAMES, TRAINED, Tally
from tuneworth.advice import Advice, Limits, advise
from tuneworth.results.cells import group_trials
from tuneworth.results.rows import KEYS, CellKey, Row, select
from tuneworth.stats import Answers
from tuneworth.until_decided import Question, decisions
from worlds import SEEDS, Array, World, draw

COUNTS = (3, 5, 10)
ERRS, COVERED, A_FIFTH = (0.0, 5.0), (93.0, 97.0), (0.0, 20.0)
RATES = (1e-4, 3e-4, 1e-3)
SECONDS = dict(zip(NAMES, (5.0, 10.0, 14.0, 20.0, 30.0), strict=True))
"""Of training, on a quiet machine."""
PLACE = ("simulated", "simulated", 1.0, "3epochs")


@dataclass(frozen=True, eq=False)
class Hard:
    """A world of the methods `NAMES`, each at as many `rates` in turn, with what else there is to a trial.

    `limits` as the user gives them; `within`: the methods that truly keep them. By the world's methods and seeds:
    `seconds`, scores on `validation`, and `curves` of those, shape (methods, seeds, evaluations). `later`: what twice the
    budget adds to each method's score.
    """

    world: World
    limits: Limits = field(default_factory=Limits)
    within: tuple[str, ...] = tuple(NAMES)
    rates: int = 1
    seconds: Array | None = None
    validation: Array | None = None
    curves: Array | None = None
    later: Array | None = None

    def rows(self, seeds: Mapping[str, int]) -> list[Row]:
        table = [self._row(method, rate, seed)
                 for method in NAMES for rate in range(self.rates) for seed in range(seeds[method])]  # fmt: skip
        select(table)
        return table

    def chosen(self, table: list[Row]) -> dict[str, int]:
        """Of each method the number, among the world's, of the one at the rate that was selected."""
        rates = {row["method"]: RATES.index(row["recipe"]["learning_rate"]) for row in table if row["selected"]}
        return {method: NAMES.index(method) * self.rates + rate for method, rate in rates.items()}

    def answers(self, table: list[Row], seeds: Mapping[str, int]) -> dict[CellKey, Answers]:
        model, *rest = PLACE
        chosen = self.chosen(table)
        return {(model, method, *rest): self.world.answers(chosen[method], seeds[method]) for method in chosen}  # type: ignore[misc]

    def truth(self, table: list[Row], seeds: Mapping[str, int]) -> tuple[dict[str, float], dict[str, float]]:
        """Each method's expected score on these test examples and on new data, by the trials that it is compared by: those that
        trained, or all, where most collapsed."""
        world = self.world
        found: tuple[dict[str, float], dict[str, float]] = ({}, {})
        for method, i in self.chosen(table).items():
            most = world.collapsed[i, : seeds[method]].mean() > 0.5
            truths = (world.here, world.anywhere) if most else (world.trained_here, world.trained_anywhere)
            for each, truth in zip(found, truths, strict=True):
                each[method] = float(truth[i])
        return found

    def _row(self, method: str, rate: int, seed: int) -> Row:
        i, trained = NAMES.index(method) * self.rates + rate, TRAINED[method]
        scores = () if self.curves is None else self.curves[i, seed].tolist()
        model, task, fraction, budget = PLACE
        known: Row = {
            "study": "simulated", "key": f"{method}-{rate}-{seed}", "model": model, "method": method, "task": task,
            "fraction": fraction, "budget": budget, "seed": seed, "recipe": {"learning_rate": RATES[rate]}, "state": "done",
            "metric": self.world.metric, "score": float(self.world.scores[i, seed]),
            "baseline_score": self.world.baseline, "steps": max(1, len(scores)),
            "curve": [{"step": step, "score": score} for step, score in enumerate(scores, 1)],
            "validation_score": 0.0 if self.validation is None else float(self.validation[i, seed]),
            "train_seconds": SECONDS[method] if self.seconds is None else float(self.seconds[i, seed]),
            "trainable_parameters": trained, "total_parameters": TRAINED["full"], "peak_memory_bytes": 3e8 + 12 * trained,
            "delta_bytes": 4 * trained, "environment": ENVIRONMENT, "notes": [], "selected": True,
        }  # fmt: skip
        return {key: known.get(key) for key in KEYS}


def few(generator: np.random.Generator) -> Hard:
    """20 to 200 test examples."""
    return Hard(draw(generator, _gaps(generator), _none(), examples=(20, 200)))


def minority(generator: np.random.Generator) -> Hard:
    """F1 of a class that 8 to 30% of the examples are of; some methods collapse, to either class."""
    rates = _collapse(generator)
    return Hard(
        draw(generator, _gaps(generator), rates, *_size(generator), metrics=["f1"], positives=(0.08, 0.3), other=0.8)
    )


def rising(generator: np.random.Generator) -> Hard:
    """One method in ten, or every second one, gained 1 to 8 points in the last third of the budget; each third more would bring
    0.3 to 1 times what the one before did. Scores on validation are known to 0.3 to 1.5 points."""
    world = draw(generator, _gaps(generator), _none(), *_size(generator))
    k = len(NAMES)
    gain = generator.uniform(1, 8, k) * (generator.random(k) < generator.choice([0.1, 0.5]))
    fades, noise = generator.uniform(0.3, 1, k), generator.uniform(0.3, 1.5)
    missing = gain[:, None] * np.array([2.5, 2.0, 1.5, 1.0, 0.5, 0.0])  # two evaluations a third
    curves = world.trained_anywhere[:, None, None] - missing[:, None] + noise * generator.normal(size=(k, SEEDS, 6))
    return Hard(world, curves=curves, later=gain * (fades + fades**2 + fades**3))


def other_class(generator: np.random.Generator) -> Hard:
    """Collapses of which half answer the rarer class."""
    return Hard(
        draw(generator, _gaps(generator), _collapse(generator), *_size(generator), metrics=["accuracy"], other=0.5)
    )


def weak(generator: np.random.Generator) -> Hard:
    """The best method is 0.5 to 6 points above one answer for all, the others up to 3 below it."""
    gaps = generator.permutation([0.0, *generator.uniform(0, 3, len(NAMES) - 1)])
    return Hard(draw(generator, gaps, _none(), *_size(generator), above=(0.5, 6.0)))


def busy(generator: np.random.Generator) -> Hard:
    """A limit of seconds, and half of all trials were slowed, up to threefold, by what else the machine did."""
    world = draw(generator, _gaps(generator), _none(), *_size(generator))
    slow = np.where(generator.random((len(NAMES), SEEDS)) < 0.5, generator.uniform(1, 3, (len(NAMES), SEEDS)), 1.0)
    quiet = np.array(list(SECONDS.values()))
    most = float(generator.choice([7.0, 12.0, 17.0, 25.0]))
    within = tuple(method for method in NAMES if SECONDS[method] <= most)
    seconds = quiet[:, None] * slow * generator.uniform(1.0, 1.05, slow.shape)
    return Hard(world, Limits(max_train_seconds=most), within, seconds=seconds)


def rates(generator: np.random.Generator) -> Hard:
    """Three rates a method, up to 6 points apart, the best on validation taken: 60 to 300 examples, with which the luck of a seed
    goes along."""
    gaps = np.repeat(_gaps(generator), len(RATES)) + generator.uniform(0, 6, len(NAMES) * len(RATES))
    world = draw(generator, gaps - gaps.min(), np.zeros(len(gaps)), *_size(generator))
    noise = 40 / np.sqrt(generator.uniform(60, 300))
    luck = world.scores - world.trained_here[:, None]
    validation = world.trained_anywhere[:, None] + luck + noise * generator.normal(size=luck.shape)
    return Hard(world, rates=len(RATES), validation=validation)


WORLDS: dict[str, Callable[[np.random.Generator], Hard]] = {
    "few test examples": few,
    "rare positives": minority,
    "rising rivals": rising,
    "collapses to either class": other_class,
    "weak learners": weak,
    "busy clock": busy,
    "rates to choose": rates,
}


def hard(generator: np.random.Generator, worlds: int, tally: Tally) -> Iterator[None]:
    """As many worlds of each kind. Wrong: a statement "inside" or "outside" that is false of these test examples; advice where a
    method that truly keeps the limits is better than the recommended one by more than the margin, by trials that train."""
    for _ in range(worlds):
        for name, drawn in WORLDS.items():
            world = drawn(generator)
            for n in COUNTS:
                _judge(world, dict.fromkeys(NAMES, n), tally, name, n)
            _judge(world, _until_decided(world)[0], tally, name, "until decided")
            yield


def clear(generator: np.random.Generator, worlds: int, tally: Tally) -> Iterator[None]:
    """Trials to a decision where the best method leads by 4 points or more on these test examples, and seeds of the trials that
    train spread by 1.5 points or less."""
    kinds: dict[str, dict[str, object]] = {
        "few test examples": {"examples": (20, 200)},
        "rare positives": {"metrics": ["f1"], "positives": (0.08, 0.3)},
        "collapses to either class": {"metrics": ["accuracy"], "other": 0.5},
        "weak learners": {"above": (5.0, 14.0)},
    }
    for _ in range(worlds):
        for name, how in kinds.items():
            seeds, decided = _until_decided(_led(generator, how))
            tally.add("trials used, of 20 seeds a method", f"clear lead, {name}", "3-20", _spent(seeds), A_FIFTH)
            tally.add("groups left open", f"clear lead, {name}", "3-20", not decided)
            yield


def _led(generator: np.random.Generator, how: Mapping[str, object]) -> Hard:
    while True:
        gaps = generator.permutation([0.0, *generator.uniform(4, 12, len(NAMES) - 1)])
        collapse = _collapse(generator) / 3 if "other" in how else _none()
        world = draw(generator, gaps, collapse, **{"spread": (0.5, 1.5), **how})  # type: ignore[arg-type]
        best, second = np.sort(world.trained_here)[:-3:-1]
        spread = np.where(world.collapsed, np.nan, world.scores)
        if best - second >= 4 and float(np.nanstd(spread, axis=1, ddof=1).mean()) <= 1.5:
            return Hard(world)


def _judge(hard: Hard, seeds: Mapping[str, int], tally: Tally, name: str, label: object) -> None:
    table = hard.rows(seeds)
    answers = hard.answers(table, seeds)
    found = advise(table, hard.limits, margin=MARGIN, answers=answers)
    here, anywhere = hard.truth(table, seeds)
    wrong = _statements(found, here)
    for status, is_wrong in wrong.items():
        tally.add(f"wrong '{status}'", name, label, is_wrong, ERRS)
    for grade in ("strong", "moderate", "weak", "none"):
        tally.add(f"advice graded {grade}", name, label, found.evidence == grade)
    if found.recommendation and len(hard.within) > 1:
        truths = {"these examples": here, "new data": anywhere}
        if hard.later is not None:
            later = dict(zip(NAMES, hard.later, strict=True))
            truths["twice the budget"] = {method: anywhere[method] + float(later[method]) for method in NAMES}
        target = ERRS if found.evidence == "strong" else None
        for place, truth in truths.items():
            best = max(truth[method] for method in hard.within)
            missed = best - truth[found.recommendation.method] > MARGIN
            tally.add(f"of {found.evidence} advice, wrong, {place}", name, label, missed, target)
        if hard.limits != Limits():
            tally.add("advice breaks a limit", name, label, found.recommendation.method not in hard.within, (0.0, 0.0))
    if label != "until decided":  # where one stops depends on what one saw, and so do intervals taken then
        _cover(table, answers, here, anywhere, tally, name, label)


def _statements(found: Advice, truth: Mapping[str, float]) -> dict[str, bool]:
    compared = [
        one for one in found.candidates if one.behind[1] is not None
    ]  # those left out are named, and not judged
    best = max((truth[one.method] for one in compared), default=0.0)
    behind = {one.method: best - truth[one.method] for one in found.candidates}
    return {"inside": any(one.status == "inside" and behind[one.method] > MARGIN for one in found.candidates),
            "outside": any(one.status == "outside" and behind[one.method] <= MARGIN for one in found.candidates)}  # fmt: skip


def _cover(
    table: list[Row], answers: Mapping[CellKey, Answers], here: Mapping[str, float], anywhere: Mapping[str, float],
    tally: Tally, name: str, label: object,
) -> None:  # fmt: skip
    """The 95% intervals of every other method less full: of one world a share, since they are not independent."""
    [group] = group_trials(table, "full", answers=answers)
    target = COVERED if label != COUNTS[0] else None
    pairs = [(cell.method, cell.against_full) for cell in group.cells if cell.against_full]
    for place, of, truth in (("these examples", "interval", here), ("new data", "wide", anywhere)):
        known = [(method, getattr(found, of)) for method, found in pairs if getattr(found, of)]
        held = [low <= truth[method] - truth["full"] <= high for method, (low, high) in known]
        if held:
            tally.add(f"95% interval, {place}", name, label, sum(held) / len(held), target)


def _until_decided(hard: Hard) -> tuple[dict[str, int], bool]:
    """The seeds that `--until-decided` gives each method, which knows of no limits; whether all is decided then."""
    have = dict.fromkeys(NAMES, 3)
    while True:
        table = hard.rows(have)
        [decision] = decisions(table, Question(MARGIN), hard.answers(table, have)).values()
        if not decision.wanted:
            return have, not decision.open
        have |= decision.wanted


def _spent(seeds: Mapping[str, int]) -> float:
    return sum(seeds.values()) / (SEEDS * len(seeds))


def _none() -> Array:
    return np.zeros(len(NAMES))


def _collapse(generator: np.random.Generator) -> Array:
    return np.where(generator.random(len(NAMES)) < 0.5, generator.uniform(0, 0.3, len(NAMES)), 0.0)


def _gaps(generator: np.random.Generator) -> Array:
    kinds = [generator.choice([0.0, MARGIN, generator.uniform(0, 3), generator.uniform(2, 10)]) for _ in NAMES[1:]]
    return np.asarray(generator.permutation([0.0, *kinds]))


def _size(generator: np.random.Generator) -> tuple[tuple[float, float], tuple[int, int]]:
    """How far seeds spread, and how many test examples there are. Every second world is one in which evidence can be strong."""
    return ((0.2, 0.8), (1500, 4000)) if generator.random() < 0.5 else ((0.5, 3.0), (100, 1500))
