"""What to use for a stream, by a stated rule, from the rows of its study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from tuneworth import words
from tuneworth.results import Row

__all__ = ["FEW", "TOLERANCE", "advise"]

TOLERANCE = 1.0
"""Points of mean score that are given up for the cheaper choice."""
FEW = 3
"""With fewer seeds there is no advice."""

Choices = dict[str, dict[int, Row]]
"""What may be chosen, by name, each with its rows by seed: the same seeds for all."""


def advise(rows: Sequence[Row]) -> tuple[str, ...]:
    """One sentence a stream. The rule: among the choices whose score is within TOLERANCE of the best one's, in the mean
    over the seeds that both have, the one that costs least: stored bytes in a stream of tasks, training time in a stream
    of data. The joint model, which no stream allows, is no choice."""
    done = [row for row in rows if row["state"] == "done" and row["score"] is not None and row["stream"]]
    tasks = [row for row in done if row["stream"]["kind"] == "tasks" and row["stream"]["mode"] != "joint"]
    said = [(_on_tasks, _choices(group, True)) for group in _by(tasks, lambda row: row["model"])]
    data = [row for row in done if row["stream"]["kind"] == "data"]
    said += [(_on_data, _choices(group, False)) for group in _by(data, lambda row: f"{row['model']} {row['task']}")]
    return tuple(say(choices) for say, choices in said if all(choices.values()))


def choose(choices: Choices, cost: str) -> tuple[str, str]:
    """(the best by mean score, the cheapest within TOLERANCE of it); `cost` is the row's key that is to be small."""
    best = max(choices, key=lambda name: _mean(choices, name, "score"))
    near = [name for name in choices if _mean(choices, best, "score") - _mean(choices, name, "score") <= TOLERANCE]
    return best, min(near, key=lambda name: _mean(choices, name, cost))


def _on_tasks(choices: Choices) -> str:
    best, chosen = choose(choices, "delta_bytes")
    row = next(iter(choices[chosen].values()))
    number = len(row["stream"]["tasks"])
    if lost := _below_baseline(choices, best, "this stream of tasks"):
        return lost
    text = (f"For a stream of small tasks use {chosen}: {_score(choices, chosen)} on average over {number} tasks, "
            f"{words.size(row['delta_bytes'] / number)} stored a task")  # fmt: skip
    price = f"{words.size(_mean(choices, best, 'delta_bytes') / number)} a task"
    return text + _against(choices, best, chosen, price)


def _on_data(choices: Choices) -> str:
    best, chosen = choose(choices, "train_seconds")
    row = next(iter(choices[chosen].values()))
    number = len(row["chunks"])
    if lost := _below_baseline(choices, best, f"the stream {row['task']}"):
        return lost
    text = (f"For a stream of data like {row['task']} use {chosen}: {_score(choices, chosen)} prequential {row['metric']}, "
            f"{words.seconds(_mean(choices, chosen, 'train_seconds') / number)} of training a chunk")  # fmt: skip
    price = f"{words.seconds(_mean(choices, best, 'train_seconds') / number)} a chunk"
    return text + _against(choices, best, chosen, price)


def _below_baseline(choices: Choices, best: str, where: str) -> str:
    baseline = _mean(choices, best, "baseline_score")
    if _mean(choices, best, "score") > baseline:
        return ""
    return (f"On {where} nothing beats the baseline of {words.points(baseline)}, always answering the majority or the "
            f"mean; the best, {best}, scores {_score(choices, best)}{_seeds(choices)}.")  # fmt: skip


def _against(choices: Choices, best: str, chosen: str, price: str) -> str:
    if best == chosen:
        return f"; nothing scores higher{_seeds(choices)}."
    return f"; the best, {best}, scores {_score(choices, best)} at {price}{_seeds(choices)}."


def _seeds(choices: Choices) -> str:
    """How much there is to go by."""
    seeds = len(next(iter(choices.values())))
    return f" ({words.several(seeds, 'paired seed')}{': too few to rely on' if seeds < FEW else ''})"


def _score(choices: Choices, name: str) -> str:
    return words.points(_mean(choices, name, "score"))


def _mean(choices: Choices, name: str, key: str) -> float:
    return fmean(row[key] for row in choices[name].values())


def _choices(rows: Sequence[Row], with_mode: bool) -> Choices:
    found: Choices = {}
    for row in rows:
        mode = {"separate": ", tuned separately", "sequential": ", one model tuned on and on"}.get(
            row["stream"]["mode"]
        )
        found.setdefault(row["method"] + (mode or "" if with_mode else ""), {})[row["seed"]] = row
    shared = set.intersection(*(set(by_seed) for by_seed in found.values()))
    return {name: {seed: by_seed[seed] for seed in sorted(shared)} for name, by_seed in found.items()}


def _by(rows: Sequence[Row], key: Callable[[Row], str]) -> list[list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())
