"""What every registered task keeps to. A new task is covered by being registered."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tasks.glue_data import real_glue, write_glue
from tuneworth.kinds import baseline, check_metric, evaluate
from tuneworth.tasks import Task, TaskData, all_tasks, fingerprint, get_task
from tuneworth.tasks.glue import GlueTask
from tuneworth.tasks.splits import take

TASKS = list(all_tasks().values())
REAL = [task for task in TASKS if isinstance(task, GlueTask) and real_glue(task.directory)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_glue(tmp_path_factory.mktemp("glue"))


@cache
def load(task: Task, folder: Path | None) -> TaskData:
    return task.load(folder)


CASES = [(task, False) for task in TASKS] + [(task, True) for task in REAL]
with_data = pytest.mark.parametrize(
    ("task", "real"), CASES, ids=[f"{task.name}{'-real' * real}" for task, real in CASES]
)
"""Every task, GLUE's from made-up files in its layout, and from its real files too where they are here."""


@pytest.fixture
def data(task: Task, real: bool, written: Path) -> TaskData:
    if not isinstance(task, GlueTask):
        return load(task, None)
    return load(task, real_glue(task.directory) if real else written)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_is_declared_in_full(task: Task) -> None:
    assert get_task(task.name, {}) is task
    assert task.summary.strip()
    assert task.metrics
    for metric in task.metrics:
        check_metric(metric, task.kind)


@with_data
def test_its_data_is_sound(task: Task, data: TaskData) -> None:
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
            check_metric(metric, task.kind, data.meaning(task.kind))
    else:
        assert data.label_names is None
        assert all(
            part.labels.dtype == np.float64 and np.isfinite(part.labels).all() for part in (data.train, data.test)
        )


@with_data
def test_its_fingerprint_follows_the_content_alone(task: Task, data: TaskData) -> None:
    mark = fingerprint(task, data)
    assert mark == fingerprint(task, data)
    other = replace(data.train, texts=[data.train.texts[0] + "!", *data.train.texts[1:]])
    assert mark != fingerprint(task, replace(data, train=other))
    assert mark != fingerprint(task, replace(data, train=replace(data.train, labels=data.train.labels[::-1])))


@with_data
def test_its_scores_are_points(task: Task, data: TaskData) -> None:
    floor = baseline(task, data)
    assert tuple(floor) == task.metrics
    assert all(-100 <= score <= 100 for score in floor.values())
    right = evaluate(task.metrics, data.test.labels, data.test.labels)
    assert all(score == pytest.approx(100) for score in right.values())
    assert floor[task.metrics[0]] < 100


@with_data
def test_it_can_be_split(task: Task, data: TaskData) -> None:
    split = take(data.train.labels, task.kind, 0.3, seed=0)
    assert len(split.train) + len(split.validation) == round(0.3 * len(data.train))
    names = [task.metrics[0]]
    truth = data.train.labels[split.validation]
    assert evaluate(names, truth, truth)[names[0]] == pytest.approx(100), "validation can tell right from wrong"
