"""Three small tasks made by a seeded grammar: for the demo, for tests, and for a first look without any data.

Train and test share function words only: every noun, verb and adjective of the test split is absent from train. What
carries over is what words mean, which a pre-trained encoder knows and a randomly initialised one cannot learn here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tuneworth.kinds.regression import Regression
from tuneworth.tasks import Examples, TaskData
from tuneworth.tasks._lexicon import TEST, TRAIN, Concept, Lexicon

TEST_SIZE = 200

Row = tuple[str, str | None, float]
Grammar = Callable[[random.Random, Lexicon], Row]


@dataclass(frozen=True)
class GeneratedTask:
    """Registered task whose `grammar` draws one example from a lexicon. `seed` is part of the task, not of a trial."""

    name: str
    summary: str
    kind: str
    metrics: tuple[str, ...]
    label_names: tuple[str, ...] | None
    grammar: Grammar
    train_size: int = 600
    seed: int = 1

    def load(self, data_dir: Path | None) -> TaskData:  # noqa: ARG002 (no data is read)
        """`train_size` training and 200 test examples, the same on every machine."""
        return TaskData(self._draw(TRAIN, self.train_size), self._draw(TEST, TEST_SIZE), self.label_names)

    def _draw(self, lexicon: Lexicon, size: int) -> Examples:
        rng = random.Random(f"{self.seed} {self.name} {lexicon.name}")
        rows = list(islice(_distinct(lambda: self.grammar(rng, lexicon)), size))
        pairs = None if rows[0][1] is None else [str(pair) for _, pair, _ in rows]
        labels = np.array([label for *_, label in rows], dtype=np.int64 if self.label_names else np.float64)
        return Examples([text for text, _, _ in rows], pairs, labels)


def _distinct(draw: Callable[[], Row]) -> Iterator[Row]:
    seen: set[tuple[str, str | None]] = set()
    while True:
        row = draw()
        if row[:2] not in seen:
            seen.add(row[:2])
            yield row


# --- acceptability: one clause, right, or with one violation that only knowledge of its words shows


def acceptability(rng: random.Random, words: Lexicon) -> Row:
    good = rng.random() < 0.5
    text = rng.choice(_CLAUSES)(rng, words, good)
    return text[0].upper() + text[1:] + ".", None, float(good)


def _auxiliary(rng: random.Random, words: Lexicon, good: bool) -> str:
    """`the cook will sleep` / `the cook will slept`."""
    noun, verb = rng.choice(words.nouns), rng.choice(words.intransitives)
    auxiliary = rng.choice(("will", "must", "did not", "could never"))
    return f"the {noun} {auxiliary} {verb.base if good else verb.past} {rng.choice(_WHEN)}"


def _object(rng: random.Random, words: Lexicon, good: bool) -> str:
    """A verb that takes no object, with one: `the nurse inspected the lamp` / `the nurse slept the lamp`."""
    noun, thing = rng.choice(words.nouns), rng.choice(words.things)
    verb = rng.choice(words.transitives if good else words.intransitives)
    return f"the {_maybe(rng, words)}{noun} {verb.past} the {thing} {rng.choice(_WHEN)}"


def _order(rng: random.Random, words: Lexicon, good: bool) -> str:
    """`the tired nurse slept` / `the nurse tired slept`, or noun and verb exchanged."""
    noun, verb, adjective = rng.choice(words.nouns), rng.choice(words.intransitives), rng.choice(words.adjectives)
    right = [adjective, noun, verb.past]
    wrong = rng.choice(([noun, adjective, verb.past], [adjective, verb.past, noun]))
    return f"the {' '.join(right if good else wrong)} {rng.choice(_WHEN)}"


_CLAUSES = (_auxiliary, _object, _order)
_WHEN = ("every day", "last night", "at home", "in the rain", "again and again", "for hours", "all week")


def _maybe(rng: random.Random, words: Lexicon) -> str:
    return f"{rng.choice(words.adjectives)} " if rng.random() < 0.5 else ""


# --- pairs: who did what to what, and where, in two wordings


@dataclass(frozen=True)
class Event:
    agent: Concept
    verb: Concept
    thing: Concept
    place: Concept


_SYNTAX = (
    "The {agent} {verb} the {thing} in the {place}.",
    "The {thing} was {verb} by the {agent} in the {place}.",
    "In the {place}, the {agent} {verb} the {thing}.",
    "It was the {agent} who {verb} the {thing} in the {place}.",
    "What the {agent} {verb} in the {place} was the {thing}.",
)


def paraphrase(rng: random.Random, words: Lexicon) -> Row:
    """Two wordings of one event; or, in a near-miss, of two events that differ in two of their four parts."""
    parts = _parts(rng, words)
    same = rng.random() < 0.55
    changed = () if same else rng.sample(range(len(parts)), 2)
    other = Event(*(part[rng.choice((1, 2, 2)) if i in changed else 0] for i, part in enumerate(parts)))
    return *_say(rng, Event(*(part[0] for part in parts)), other), float(same)


def similarity(rng: random.Random, words: Lexicon) -> Row:
    """5 x the mean over the four parts of: 1 the same or a synonym, 0.5 of the same topic, 0 of another topic."""
    parts, change = _parts(rng, words), rng.random()
    steps = [rng.choice((1, 2, 2)) if rng.random() < change else 0 for _ in parts]
    other = Event(*(part[step] for part, step in zip(parts, steps, strict=True)))
    score = 5 * (1 - sum(steps) / (2 * len(parts)))
    return *_say(rng, Event(*(part[0] for part in parts)), other), score


def _parts(rng: random.Random, words: Lexicon) -> list[tuple[Concept, Concept, Concept]]:
    """Agent, verb, thing, place: each with another one of its topic (for a verb, its opposite), and one of another."""
    here, there = rng.sample(words.topics, 2)
    agent, thing, place = (
        (concept := rng.choice(own), rng.choice([c for c in own if c != concept]), rng.choice(others))
        for own, others in ((here.agents, there.agents), (here.things, there.things), (here.places, there.places))
    )
    verb, other = rng.sample(words.verbs, 2)
    return [agent, (*(verb if rng.random() < 0.5 else verb[::-1]), rng.choice(other)), thing, place]


def _say(rng: random.Random, event: Event, other: Event) -> tuple[str, str]:
    """Two sentences of different syntax; a word that both need is a synonym in the second three times in four."""
    first, second = rng.sample(_SYNTAX, 2)
    said, again = {}, {}
    for part in ("agent", "verb", "thing", "place"):
        variant = rng.randrange(2)
        said[part] = getattr(event, part)[variant]
        again[part] = getattr(other, part)[1 - variant if rng.random() < 0.75 else variant]
    return first.format(**said), second.format(**again)


TASKS = (
    GeneratedTask("demo/acceptability", "generated: is the sentence good English?", "classification",
                  ("matthews", "accuracy"), ("unacceptable", "acceptable"), acceptability,
                  train_size=1000),
    GeneratedTask("demo/paraphrase", "generated: do two sentences say the same?", "classification",
                  ("f1", "accuracy"), ("different", "same"), paraphrase),
    GeneratedTask("demo/similarity", "generated: how alike are two sentences, from 0 to 5?", Regression.name,
                  ("pearson", "spearman"), None, similarity),
)  # fmt: skip
