from __future__ import annotations

import re

import numpy as np
import pytest

from tuneworth.tasks import fingerprint
from tuneworth.tasks._lexicon import TEST, TRAIN, Lexicon
from tuneworth.tasks.generated import TASKS, TEST_SIZE, GeneratedTask

BY_NAME = {task.name.removeprefix("demo/"): task for task in TASKS}
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)

CONTENT = {
    "demo/acceptability": "bf32c06efe2e9af7",
    "demo/paraphrase": "09e9f40aaae1786a",
    "demo/similarity": "d7e2c0c23116dd3e",
}
"""A change of words or grammar makes another task: scores before and after it must not be compared."""


def content_words(words: Lexicon) -> set[str]:
    pairs = [concept for topic in words.topics for part in topic for concept in part]
    pairs += [concept for verb in words.verbs for concept in verb]
    forms = [form for group in (words.intransitives, words.transitives) for word in group for form in word]
    return {*(word for pair in pairs for word in pair), *forms, *words.nouns, *words.adjectives}


@every_task
def test_the_content_is_the_same_everywhere(task: GeneratedTask) -> None:
    assert fingerprint(task, task.load(None)) == CONTENT[task.name]


@every_task
def test_sizes_lengths_and_no_doubles(task: GeneratedTask) -> None:
    data = task.load(None)
    assert (len(data.train), len(data.test)) == (task.train_size, TEST_SIZE)
    for part in (data.train, data.test):
        rows = list(zip(part.texts, part.pairs or part.texts, strict=True))
        assert len(set(rows)) == len(rows)
        assert max(len(text.split()) for row in rows for text in row) <= 16


def test_train_and_test_share_no_content_word() -> None:
    train, test = content_words(TRAIN), content_words(TEST)
    assert not train & test
    for task in TASKS:
        data = task.load(None)
        for part, foreign in ((data.train, test), (data.test, train)):
            said = set(re.findall(r"[a-z]+", " ".join([*part.texts, *(part.pairs or ())]).lower()))
            assert not said & foreign


@every_task
def test_no_answer_is_a_good_answer(task: GeneratedTask) -> None:
    labels = task.load(None).train.labels
    if task.kind == "classification":
        assert 0.45 < labels.mean() < 0.6
    else:
        assert (labels.min(), labels.max()) == (0, 5)
        assert np.unique(labels, return_counts=True)[1].max() < 0.25 * len(labels)


def test_similarity_counts_the_parts_that_differ() -> None:
    data = BY_NAME["similarity"].load(None)
    same = {concept: i for i, topic in enumerate(TRAIN.topics) for part in topic for pair in part for concept in pair}
    for text, pair, score in zip(data.train.texts, data.train.pairs or (), data.train.labels, strict=True):
        topics = [{same[word] for word in re.findall(r"[a-z]+", side) if word in same} for side in (text, pair)]
        assert len(topics[0]) == 1
        assert (len(topics[1] | topics[0]) == 1) or score < 5


@pytest.mark.parametrize("name", ["paraphrase", "similarity"])
def test_both_sentences_of_a_pair_differ(name: str) -> None:
    data = BY_NAME[name].load(None)
    assert all(text != pair for text, pair in zip(data.train.texts, data.train.pairs or (), strict=True))
