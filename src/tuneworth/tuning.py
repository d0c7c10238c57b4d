"""Learning rates, tuned alike: which trials choose a method's rate, and which one they chose. Pure: records in, trials out.

In each cell of a study with `tune = N`, N rates race: the default, a third of it, three times it, and so on outward. A *heat*
gives every rate that is left one trial at a part of the cell's budget, with a schedule of its own; the better half, by
validation loss, goes into the next one, three times as long and on the next seed, until two have raced (successive halving:
Jamieson and Talwalkar 2016, arXiv 1502.07943). Where the best of the last heat lies at the edge of what was tried, one rate
more on that side joins that heat: in the longest one, since the shorter the training, the larger the rate that is best in it.
A rate that failed in any heat, or gave one answer for all where a smaller one had learnt, is out. The test split is not read.
A tie goes to the rate nearest to the default.

Short heats cannot show what only a long training does: a rate that is large for it collapses later (docs/log.md). So a winner
that is not the default proves itself at the whole budget, on the first seed, before the others follow: the comparison's own
trial. Where that one fails or ends with one answer for all on the validation split, the next best rate takes its place.

Where the budget is too small for two heats of some length, one races; where it is too small even for that, the race takes more
than its share, and `share` says how much before it starts.

Nothing but recorded trials decides, so the same records give the same race, wherever it was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tuneworth.spec import Budget, CellKey, Recipe, TrialRecord, TrialSpec

__all__ = ["QUARTER", "STEPS", "Tuned", "Tuning", "effort"]

FACTOR = 3.0
"""From one rate to the next: three rates then span what learning rates are swept over, a factor of ten."""
LONGER = 3.0
"""How many times as long the next heat is."""
MOST = 1 / 3
"""Of the training time of a cell's seeds, what its race may take."""
QUARTER = MOST / (1 + MOST)
"""That is, of the training time of the whole."""
SEEDS = 3
"""Seeds beyond which a race gets no longer, so that more seeds make its share smaller, and change no rate."""
STEPS = 20
"""Steps of a heat, at least (or the whole budget, where that is less): before, no rate has shown what it can do."""
ROUNDED = 1.05
"""A heat is cut to whole steps, and its length written with three digits: so much more than its share is not counted."""
TIE = 0.01
"""Of the loss: as much as two runs of one rate differ by."""


@dataclass(frozen=True)
class Tuned:
    """What the records ask for and what they decide."""

    trials: list[TrialSpec] = field(default_factory=list)
    """Of all races so far, those that have ended included."""
    recipes: Mapping[CellKey, Recipe] = field(default_factory=dict)
    """Of the races that have ended."""
    open: frozenset[CellKey] = frozenset()
    """The cells whose race goes on."""
    ahead: Sequence[TrialSpec] = ()
    """What open races will ask for besides, as far as can be told: as if all that has not ended yet ended alike."""

    def of(self, candidates: Sequence[TrialSpec]) -> list[TrialSpec]:
        """The same trials with the rates that were chosen; without those whose rate is not chosen yet."""
        return [self._with_its_recipe(trial) for trial in candidates if trial.cell not in self.open]

    def _with_its_recipe(self, trial: TrialSpec) -> TrialSpec:
        return _changed(trial, recipe=self.recipes.get(trial.cell, trial.recipe))


@dataclass(frozen=True)
class Tuning:
    """How a study is tuned: `rates` a method (1: not at all), on the first of its `seeds`. `examples`: of the training split,
    by task; a task that is missing has no least length of a heat."""

    rates: int = 1
    seeds: tuple[int, ...] = (0,)
    examples: Mapping[str, int] = field(default_factory=dict)

    def grow(self, candidates: Sequence[TrialSpec], records: Iterable[TrialRecord]) -> Tuned:
        """From the trials to be compared, with their default recipes, and what is recorded. Cells in which the user listed
        recipes of his own are left to those."""
        if self.rates < 2:
            return Tuned()
        ended = {record.trial.key: record for record in records if record.state in ("done", "failed")}
        cells: dict[CellKey, list[TrialSpec]] = {}
        for trial in candidates:
            cells.setdefault(trial.cell, []).append(trial)
        trials: list[TrialSpec] = []
        ahead: list[TrialSpec] = []
        recipes: dict[CellKey, Recipe] = {}
        raced = {cell: some[0] for cell, some in cells.items() if all(one.recipe == some[0].recipe for one in some)}
        for cell, trial in raced.items():
            mine, chosen = self._race(trial, ended)
            trials += mine
            if chosen is not None:
                recipes[cell] = chosen
            else:
                ahead += self._race(trial, ended, foresee=True)[0][len(mine) :]
        trials.sort(key=lambda trial: trial.budget.timed)  # those need the machine to themselves
        return Tuned(trials, recipes, frozenset(raced.keys() - recipes.keys()), ahead)

    def share(self, trial: TrialSpec) -> float:
        """Of the training of the trial's cell, its race included, what the race takes at most."""
        race = self._cost(self._heats(trial)) / trial.budget.amount if self.rates > 1 else 0.0
        return race / (race + len(self.seeds))

    def _race(
        self, trial: TrialSpec, ended: Mapping[str, TrialRecord], foresee: bool = False
    ) -> tuple[list[TrialSpec], Recipe | None]:
        """One cell's trials so far, and its recipe once the race is over. `foresee`: all of them, as `Tuned.ahead` has it."""
        asked: list[TrialSpec] = []
        left = tried = places(self.rates)
        out: set[int] = set()
        heats = self._heats(trial)
        for number, (budget, keep) in enumerate(heats):
            seed = self.seeds[number % len(self.seeds)]

            def run(place: int, budget: Budget = budget, seed: int = seed) -> TrialSpec:
                return _changed(trial, recipe=_recipe(trial.recipe, place), seed=seed, budget=budget, tunes=trial.budget,
                                evaluations=1)  # fmt: skip

            heat = {place: run(place) for place in left}
            while True:
                asked += [one for one in heat.values() if one not in asked]
                found = {place: ended.get(one.key) for place, one in heat.items()}
                if None in found.values() and not foresee:
                    return asked, None
                out |= _fallen(found)
                losses = {place: _loss(record) for place, record in found.items() if place not in out}
                losses = losses or dict.fromkeys(found, math.inf)
                beyond = _beyond(losses, tried) if number == len(heats) - 1 else None
                if beyond is None or beyond in heat:
                    break
                heat[beyond] = run(beyond)
            left = _best(losses, keep)
        for place in _best(losses, len(losses)):
            proof = _changed(trial, recipe=_recipe(trial.recipe, place), seed=self.seeds[0])
            record = ended.get(proof.key)
            if place == 0 or foresee or (record and not _collapsed(record, found[place])):
                return asked, proof.recipe
            asked.append(proof)
            if record is None:
                return asked, None
        return asked, trial.recipe

    def _heats(self, trial: TrialSpec) -> list[tuple[Budget, int]]:
        """(budget, how many go on) of each heat. One that would be no longer than the one before is left out."""
        sizes = _sizes(self.rates)
        cost = sum(size * LONGER**k for k, size in enumerate(sizes)) + LONGER ** (len(sizes) - 1)  # one beyond the edge
        most = effort(self.rates, len(self.seeds))
        heats: list[tuple[Budget, int]] = []
        for k, keep in enumerate([*sizes[1:], 1]):
            budget = self._part(trial, most / cost * LONGER**k)
            if heats and budget.amount <= heats[-1][0].amount:
                heats[-1] = (heats[-1][0], keep)
            else:
                heats.append((budget, keep))
        if self._cost(heats) > ROUNDED * most * trial.budget.amount:
            return [(self._part(trial, most / (self.rates + 1)), 1)]
        return heats

    def _cost(self, heats: Sequence[tuple[Budget, int]]) -> float:
        """In the budget's unit, one rate beyond the edge included."""
        sizes = [self.rates, *(keep for _, keep in heats[:-1])]
        return sum(size * budget.amount for size, (budget, _) in zip(sizes, heats, strict=True)) + heats[-1][0].amount

    def _part(self, trial: TrialSpec, share: float) -> Budget:
        whole = trial.budget
        least = 0.0
        if whole.unit == "steps":
            least = STEPS
        elif whole.unit == "epochs" and trial.task in self.examples:
            least = STEPS * trial.recipe.batch_size / max(1.0, trial.fraction * self.examples[trial.task])
        amount = float(f"{max(share * whole.amount, least):.3g}")
        if whole.unit == "steps":
            amount = max(1, math.floor(amount))
        return Budget(amount=min(whole.amount, amount), unit=whole.unit)


def effort(rates: int, seeds: int) -> float:
    """What a race takes at most, as a share of the budget of one of the cell's trials; heats of the least length aside."""
    return MOST * min(seeds, SEEDS) if rates > 1 else 0.0


def places(rates: int) -> list[int]:
    """Where the first heat's rates stand, in factors from the default: 0, 1, -1, 2, -2, ..."""
    return [(k + 1) // 2 * (1 if k % 2 else -1) for k in range(rates)]


def _sizes(rates: int) -> list[int]:
    """How many rates each heat begins with."""
    sizes = [rates]
    while sizes[-1] > 2:
        sizes.append(math.ceil(sizes[-1] / 2))
    return sizes


def _recipe(default: Recipe, place: int) -> Recipe:
    """Two digits: a rate that one can read and write."""
    if place == 0:
        return default
    return default.model_copy(update={"learning_rate": float(f"{default.learning_rate * FACTOR**place:.2g}")})


def _fallen(heat: Mapping[int, TrialRecord | None]) -> set[int]:
    """The places that failed or diverged, and those that gave one answer for all on the validation split where a smaller rate
    had learnt more: they were too large, and to do better on another seed would be luck."""
    losses = {place: _loss(record) for place, record in heat.items()}
    points = {place: record.result.curve[-1] for place, record in heat.items() if record and record.result}
    learnt = [place for place, point in points.items() if point.one_answer is False]

    def too_large(place: int) -> bool:
        return any(other < place and losses[other] * (1 + TIE) < losses[place] for other in learnt)

    collapsed = {place for place, point in points.items() if point.one_answer and too_large(place)}
    return collapsed | {place for place, loss in losses.items() if math.isinf(loss)}


def _collapsed(record: TrialRecord, heat: TrialRecord | None) -> bool:
    """Whether a trial failed, or gave one answer for all where its rate had learnt more in the heat."""
    if record.result is None:
        return True
    learnt = heat is not None and heat.result is not None and heat.result.curve[-1].one_answer is False
    return learnt and record.result.curve[-1].one_answer is True


def _loss(record: TrialRecord | None) -> float:
    """On the validation split; inf where the trial failed or diverged, 0 where it has not ended."""
    if record is None:
        return 0.0
    found = record.result.validation_loss if record.result else None
    return math.inf if found is None or math.isnan(found) else found


def _best(losses: Mapping[int, float], number: int) -> list[int]:
    """The best places, best first. Where all have failed, those nearest to the default."""
    best: list[int] = []
    left = dict(losses)
    while left and len(best) < number:
        least = min(left.values())
        tied = [place for place, loss in left.items() if loss <= least + TIE * abs(least)]
        best.append(min(tied, key=lambda place: (abs(place), left[place], place)))
        del left[best[-1]]
    return best


def _beyond(losses: Mapping[int, float], tried: Sequence[int]) -> int | None:
    """The next place outward, where the best is the outermost on its side of all that were tried."""
    [best] = _best(losses, 1)
    if math.isinf(losses[best]):
        return None
    if best == max(tried):
        return best + 1
    return best - 1 if best == min(tried) else None


def _changed(trial: TrialSpec, **changes: object) -> TrialSpec:
    """Not `model_copy`, which would keep the key."""
    if all(getattr(trial, name) == value for name, value in changes.items()):
        return trial
    return TrialSpec.model_validate({name: getattr(trial, name) for name in TrialSpec.model_fields} | changes)
