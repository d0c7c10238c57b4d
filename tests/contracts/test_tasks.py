"""What every registered task keeps to. A new task is covered by being registered."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tasks.glue_data import glue_dir
from tuneworth.kinds import baseline, check_metric, evaluate
from tuneworth.tasks import Task, TaskData, all_tasks, fingerprint, get_task
from tuneworth.tasks.glue import GlueTask
from tuneworth.tasks.splits import take

TASKS = list(all_tasks().values())


@cache
def load(task: Task) -> TaskData:
    """Skips where the data is absent: nothing is downloaded for a test."""
    return task.load(glue_dir(task.directory) if isinstance(task, GlueTask) else None)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_is_declared_in_full(task: Task) -> None:
    assert get_task(task.name, {}) is task
    assert task.summary.strip()
    assert task.metrics
    for metric in task.metrics:
        check_metric(metric, task.kind)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_its_data_is_sound(task: Task) -> None:
    data = load(task)
    for part in (data.train, data.test):
        assert len(part) == len(part.labels) > 0
        assert all(isinstance(text, str) and text.strip() for text in [*part.texts, *(part.pairs or ())])
        assert part.pairs is None or len(part.pairs) == len(part)
    assert (data.train.pairs is None) == (data.test.pairs is None)
    if task.kind == "classification":
        assert data.label_names is not None
        for part in (data.train, data.test):
            assert part.labels.dtype == np.int64
            assert set(part.labels) <= set(range(len(data.label_names)))
        assert set(data.train.labels) == set(range(len(data.label_names)))
        for metric in task.metrics:
            check_metric(metric, task.kind, len(data.label_names))
    else:
        assert data.label_names is None
        assert all(
            part.labels.dtype == np.float64 and np.isfinite(part.labels).all() for part in (data.train, data.test)
        )


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_its_fingerprint_follows_the_content_alone(task: Task) -> None:
    data = load(task)
    mark = fingerprint(task, data)
    assert mark == fingerprint(task, data)
    other = replace(data.train, texts=[data.train.texts[0] + "!", *data.train.texts[1:]])
    assert mark != fingerprint(task, replace(data, train=other))
    assert mark != fingerprint(task, replace(data, train=replace(data.train, labels=data.train.labels[::-1])))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_its_scores_are_points(task: Task) -> None:
    data = load(task)
    floor = baseline(task, data)
    assert tuple(floor) == task.metrics
    assert all(-100 <= score <= 100 for score in floor.values())
    right = evaluate(task.metrics, data.test.labels, data.test.labels)
    assert all(score == pytest.approx(100) for score in right.values())
    assert floor[task.metrics[0]] < 100


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_it_can_be_split(task: Task) -> None:
    data = load(task)
    split = take(data.train.labels, task.kind, 0.3, seed=0)
    assert len(split.train) + len(split.validation) == round(0.3 * len(data.train))
    names = [task.metrics[0]]
    truth = data.train.labels[split.validation]
    assert evaluate(names, truth, truth)[names[0]] == pytest.approx(100), "validation can tell right from wrong"
