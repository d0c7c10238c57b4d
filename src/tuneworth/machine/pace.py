"""What a time limit is enough for: real steps on this machine say how long a study's trials take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneworth.machine.throughput import TOKENS, Rate
from tuneworth.machine.workers import race, room
from tuneworth.prepare import Prepared
from tuneworth.spec import TrialSpec
from tuneworth.tasks import Examples, TaskData

__all__ = ["Pace", "batch_size", "measure"]

FIRM = 0.85
"""Share of a time limit to plan for: steps of a second are no promise for minutes."""
START = 8.0
"""Seconds before the first step, and behind the last one."""
FEWEST = 0.5
"""Epochs: with less than half of the data seen, more time is the better advice."""
VALIDATION = 0.1
"""Share of a trial's examples that are set aside (`tasks.splits.take`)."""
SMALLEST = 8
"""Examples in a batch, at least: fewer make gradients noisy, and slow steps down."""
ON_FEATURES = 0.02
"""What a step of `head` on kept features takes, of one through the whole model (docs/log.md)."""
SAMPLE = 200
"""Examples whose length is taken for that of all."""


@dataclass(frozen=True)
class Pace:
    """Seconds that one epoch of every trial takes, and those of their evaluations, with this many workers."""

    epoch_seconds: float
    evaluation_seconds: float
    workers: int

    def seconds(self, epochs: float) -> float:
        return START + self.evaluation_seconds + epochs * self.epoch_seconds

    def epochs(self, limit: float, most: float) -> float:
        """How many fit into `limit` seconds: tenths, from FEWEST to `most`."""
        fit = (FIRM * limit - self.seconds(0)) / self.epoch_seconds
        return max(FEWEST, min(most, math.floor(10 * fit) / 10))


def batch_size(usual: int, share: float) -> int:
    """The batch for a `share` of the usual epochs: the power of two with which about the usual number of steps is taken,
    from SMALLEST to the usual. Where time is short it is steps that are missing: one epoch of 3,000
    pairs of MRPC's in 68 steps of 32 teaches no method anything, in 270 of 8 two of three (docs/log.md)."""
    wanted = max(1.0, usual * share)
    return min(usual, max(SMALLEST, 1 << math.floor(math.log2(wanted))))


def measure(prepared: Prepared, data: TaskData, workers: int | str) -> Pace:
    """The pace of all trials of a study with one task on this machine's CPU. Takes some ten seconds.

    An evaluated example counts half of a trained one, the forward pass of two that cost alike; that is too much for
    methods that need a third pass, the gradients of weights. `head` goes through the model once for each example, whatever
    its epochs (`train.features`), and has no other pass. Races of learning rates take what they would at the trials' budget.
    """
    sources, seeds = prepared.model_sources, prepared.tuning.seeds
    trials = [trial for trial in prepared.candidates if trial.seed in seeds]
    tuned = 1 / (1 - max(map(prepared.tuning.share, trials)))
    kinds = {_kind(trial): trial for trial in trials}
    several = room(trials, sources) if workers == "auto" else int(workers)
    tokens = mean_length(Path(sources[trials[0].model]), data.train, trials[0].max_length)
    rates = dict(zip(kinds, race(list(kinds.values()), sources, several, tokens), strict=True))

    def seconds(rate: Callable[[Rate], float], examples: Callable[[TrialSpec], float]) -> float:
        return sum(examples(trial) / max(rate(rates[_kind(trial)]), 1e-9) for trial in trials)

    def trained(trial: TrialSpec) -> float:
        share = ON_FEATURES if trial.kind == "head" else 1.0
        return share * tuned * (1 - VALIDATION) * trial.fraction * len(data.train)

    def evaluated(trial: TrialSpec) -> float:
        seen = trial.fraction * len(data.train)
        if trial.kind == "head":
            return seen + len(data.test)
        return (trial.evaluations * VALIDATION * seen + len(data.test)) / 2

    ways: list[tuple[int, Callable[[Rate], float]]] = [(several, lambda rate: rate.several)]
    if workers == "auto":
        ways.append((1, lambda rate: rate.one))
    paces = [Pace(seconds(rate, trained), seconds(rate, evaluated), count) for count, rate in ways]
    return min(paces, key=lambda pace: pace.epoch_seconds)


def mean_length(source: Path, examples: Examples, max_length: int) -> int:
    """Tokens an example has, on average over some of them; TOKENS where the model has no tokenizer.json."""
    from tokenizers import Tokenizer

    file = source / "tokenizer.json"
    if not file.is_file():
        return min(TOKENS, max_length)
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    some = range(0, len(examples), max(1, len(examples) // SAMPLE))
    texts: Sequence[str | tuple[str, str]] = [
        examples.texts[i] if examples.pairs is None else (examples.texts[i], examples.pairs[i]) for i in some
    ]
    lengths = [min(len(encoded.ids), max_length) for encoded in tokenizer.encode_batch(list(texts))]
    return max(1, round(sum(lengths) / len(lengths)))


def _kind(trial: TrialSpec) -> tuple[str, str, int]:
    """What decides how fast a trial is trained."""
    return trial.model, trial.method, trial.recipe.batch_size
