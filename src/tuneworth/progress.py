"""What is going on in a run, as one value for a display, and how long the rest will take."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuneworth.events import Progress
    from tuneworth.spec import Budget, TrialRecord, TrialSpec
    from tuneworth.store import Counts
    from tuneworth.until_decided import GroupKey

__all__ = ["Board", "Forecast", "Watch"]


class Forecast:
    """How long what is left will take, by what trials alike took here, from their start to their end."""

    def __init__(self) -> None:
        self._took: dict[tuple[object, ...], list[tuple[Budget, float]]] = {}
        self._going: dict[tuple[object, ...], tuple[Budget, float]] = {}

    def took(self, trial: TrialSpec, seconds: float) -> None:
        for alike in _alike(trial):
            self._took.setdefault(alike, []).append((trial.budget, seconds))

    def going(self, trial: TrialSpec, share: float, seconds: float) -> None:
        """A trial that is not over tells something too, from a tenth of it on."""
        if share >= 0.1:
            self._going.update(dict.fromkeys(_alike(trial), (trial.budget, seconds / share)))

    def of(self, trial: TrialSpec) -> float | None:
        """Seconds: the median over trials alike, of the nearest kind that there are some of, in proportion to their budgets;
        None where nothing tells yet. A median, since the first trial of each worker takes the start of torch as well."""
        for alike in _alike(trial):
            if alike in self._took:
                return statistics.median(_scaled(took, trial.budget) for took in self._took[alike])
            if alike in self._going:
                return _scaled(self._going[alike], trial.budget)
        return None

    def left(self, trials: Iterable[TrialSpec], shares: Mapping[str, float], slots: int) -> float | None:
        """Seconds until `trials` have ended, `slots` at a time (those with a budget in seconds one by one), of which
        `shares` of some are done, by key. None where nothing tells yet."""
        together, alone = 0.0, 0.0
        for trial in trials:
            seconds = self.of(trial)
            if seconds is None:
                return None
            rest = seconds * (1 - shares.get(trial.key, 0.0))
            if trial.budget.timed:
                alone += rest
            else:
                together += rest
        return together / max(1, slots) + alone


def _alike(trial: TrialSpec) -> list[tuple[object, ...]]:
    """From trials that differ in seed and recipe alone to any."""
    whole, unit = (trial.model, trial.fraction, trial.budget), (trial.model, trial.fraction, trial.budget.unit)
    near = [(*cost, *which) for which in ((trial.task, trial.kind), (trial.kind,), ()) for cost in (whole, unit)]
    return [*near, (trial.budget.unit,), ()]


def _scaled(took: tuple[Budget, float], budget: Budget) -> float:
    whole, seconds = took
    return seconds * budget.amount / whole.amount if whole.unit == budget.unit else seconds


@dataclass
class Board:
    """What is going on, for a progress display: counts of the study, trials running here, their last progress."""

    counts: Counts
    running: dict[str, TrialRecord] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    open_groups: int = 0
    """Groups that got more seeds in this run, since the question was open in them."""
    notice: str = ""
    """What people must see, in lines of its own, once: what was read, trials that are set aside, a store that is away."""
    waiting: dict[str, TrialSpec] = field(default_factory=dict)
    """What has not ended yet of the plan, by key."""
    ahead: Sequence[TrialSpec] = ()
    """What will be planned once races of learning rates have ended."""
    slots: int = 1
    deadline: float = float("inf")
    """On the monotonic clock: when nothing new starts any more."""
    growing: bool = False
    """More trials may follow, as the results ask for them."""
    forecast: Forecast = field(default_factory=Forecast)
    started: dict[str, float] = field(default_factory=dict)
    """When the trials running here began, on the monotonic clock."""
    ended: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    """When the last trials ended here, on the monotonic clock."""
    scores: dict[GroupKey, dict[str, list[float]]] = field(default_factory=dict)
    """Test scores in points of what has finished, by group and method: a leaderboard while it runs. The group of the last one
    that finished stands last."""

    def scored(self, trial: TrialSpec, score: float) -> None:
        """A trial that is compared has finished; one that chooses a learning rate is not."""
        if trial.tunes is None:
            place = (trial.model, trial.task, trial.fraction, str(trial.budget))
            methods = self.scores.pop(place, {})
            methods.setdefault(trial.method, []).append(score)
            self.scores[place] = methods

    def plan(self, records: Iterable[TrialRecord]) -> None:
        """What is to be run now, that which has ended included."""
        self.waiting = {one.trial.key: one.trial for one in records if one.state in ("pending", "running")}

    def begins(self, record: TrialRecord) -> None:
        self.running[record.trial.key] = record
        self.started[record.trial.key] = time.monotonic()

    def goes_on(self, event: Progress) -> None:
        self.progress[event.key] = event
        seconds = time.monotonic() - self.started[event.key]
        self.forecast.going(self.running[event.key].trial, event.share, seconds)

    def ends(self, key: str, for_good: bool) -> TrialRecord:
        """A trial that runs here no more; one that ended for good tells how long others will take."""
        record, seconds = self.running.pop(key), time.monotonic() - self.started.pop(key)
        self.progress.pop(key, None)
        if for_good:
            self.ended.append(time.monotonic())
            self.waiting.pop(key, None)
            self.forecast.took(record.trial, seconds)
        return record

    @property
    def rate(self) -> float | None:
        """Trials a minute, of the last that ended here; None before the third."""
        if len(self.ended) < 3:
            return None
        return 60 * (len(self.ended) - 1) / max(1e-9, self.ended[-1] - self.ended[0])

    @property
    def seconds_left(self) -> float | None:
        """Until what is planned and what is ahead has ended; None where nothing tells yet. Other processes may have ended some of
        what is planned."""
        shares = {key: event.share for key, event in self.progress.items()}
        seconds = self.forecast.left(self.waiting.values(), shares, self.slots)
        later = self.forecast.left(self.ahead, {}, self.slots)
        there = (self.counts.pending + self.counts.running) / max(1, len(self.waiting))
        return None if seconds is None or later is None else seconds * min(1.0, there) + later

    @property
    def seconds_to_limit(self) -> float:
        return self.deadline - time.monotonic()


Watch = Callable[[Board], None]
