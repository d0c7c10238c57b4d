"""What many tests share: a tiny model, a small file of examples, a study over both."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import util
from pathlib import Path
from typing import Any

# Tiny models gain nothing from threads, and tests run beside other work: one thread, here and in every child.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Each worker of pytest-xdist has a core of its own; its parent has all, since workers inherit what it may use.
if hasattr(os, "sched_setaffinity") and "PYTEST_XDIST_WORKER" in os.environ:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) % len(cores)]})
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import settings

import postgres as postgres_server
from families import make_model_dir
from tuneworth.spec import StudySpec
from tuneworth.study import Study

settings.register_profile("untimed", deadline=None)  # a shared machine says nothing by a test's time
settings.load_profile("untimed")
# What a shell starts in the background ignores Ctrl-C, and so would every child: tests of interrupts need it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and what nohup starts, a closed terminal
# Budgets in seconds want the machine alone, by a lock in the temporary directory: a real run beside the tests would keep
# them waiting, so each worker of pytest has a directory, and thus locks, of its own, and its children have it too.
PLACE = os.environ.get("PYTEST_XDIST_WORKER", "alone")
if os.environ.get("TUNEWORTH_TESTS") != PLACE:
    os.environ["TUNEWORTH_TESTS"] = PLACE
    os.environ["TMPDIR"] = os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="tuneworth-tests-")
    os.chmod(os.environ["TMPDIR"], 0o755)  # some tests run as nobody
    tempfile.tempdir = None
    # After multiprocessing's own end (-100), which has files there.
    util.Finalize(None, shutil.rmtree, [os.environ["TMPDIR"]], {"ignore_errors": True}, exitpriority=-200)

LONG = ("test_study.py", "test_until_decided.py", "test_resume.py")
"""Files with tests of up to two minutes: kills, resumed runs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that two workers end together."""
    items.sort(key=lambda item: item.path.name not in LONG)


GOOD, BAD = ("good", "fine", "great", "lovely"), ("bad", "poor", "awful", "dull")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir("bert", tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server of this session's own; `database("stores")` copies an empty store."""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(postgres_server.server())
        except LookupError as absent:
            pytest.skip(str(absent))
        yield made


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 short texts labelled good or bad by a word in them."""
    rng = random.Random(0)
    rows = ["text,label"]
    for number in range(120):
        label = ("good", "bad")[number % 2]
        word = rng.choice(GOOD if label == "good" else BAD)
        rows.append(f"film {number} is {word} {'indeed ' * rng.randrange(4)},{label}")
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def make_study(tiny_model: Path, reviews: Path, tmp_path: Path) -> Callable[..., Study]:
    """A study of the tiny model on the reviews, with a store of its own; keywords change the spec."""

    def make(**changes: Any) -> Study:
        plain: dict[str, Any] = {
            "name": "reviews", "models": [str(tiny_model)], "methods": ["head", "bitfit"], "tasks": ["reviews"],
            "budgets": ["6steps"], "seeds": 2, "evaluations": 2, "precision": "fp32",
            "task": {"reviews": {"train": reviews, "text": "text", "label": "label"}},
        }  # fmt: skip
        return Study(StudySpec.parse({**plain, **changes}), str(tmp_path / "store.db"))

    return make


@pytest.fixture
def two_tasks(reviews: Path, tmp_path: Path) -> dict[str, Any]:
    """The reviews, and the length of their texts as a regression: the part of a study that declares them."""
    rows = [line.rsplit(",", 1) for line in reviews.read_text().splitlines()[1:]]
    lengths = tmp_path / "lengths.csv"
    lengths.write_text("text,size\n" + "".join(f"{text},{len(text) / 7:.3f}\n" for text, _ in rows))
    return {
        "tasks": ["reviews", "lengths"],
        "task": {"reviews": {"train": reviews, "text": "text", "label": "label"},
                 "lengths": {"train": lengths, "text": "text", "label": "size"}},
    }  # fmt: skip


@pytest.fixture
def delta_root(tiny_model: Path, tmp_path: Path) -> Path:
    """Deltas to serve. mood: 3 labels by bitfit; pairs: 2 by lora; stars: a regression by houlsby; whole: 2 by full."""
    from made_deltas import make_delta  # here, since it imports torch, which many tests do without

    make_delta(tmp_path / "tasks" / "mood", tiny_model, "bitfit", 3, seed=1)
    make_delta(tmp_path / "tasks" / "pairs", tiny_model, "lora", 2, seed=2, pairs=True)
    make_delta(tmp_path / "tasks" / "below" / "stars", tiny_model, "houlsby", 0, seed=3)
    make_delta(tmp_path / "tasks" / "whole", tiny_model, "full", 2, seed=4)
    return tmp_path / "tasks"


def silent(_: object) -> None:
    """A watch that shows nothing."""
