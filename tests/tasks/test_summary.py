"""What is said of the data before anything trains: lengths, duplicates, classes that test cannot judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.glue_data import real_glue
from tuneworth.errors import DataError, SpecError
from tuneworth.models.positions import positions
from tuneworth.spec import FileTask
from tuneworth.tasks import Examples, TaskData, fingerprint
from tuneworth.tasks.files import from_files
from tuneworth.tasks.glue import TASKS
from tuneworth.tasks.lengths import Lengths, Part, choose, measure
from tuneworth.tasks.summary import Summary, said, summarise


def read(path: Path, rows: list[tuple[str, Any]], test: list[tuple[str, Any]] | None = None, **more: Any) -> TaskData:
    return declared(path, rows, test, **more).load(None)


def declared(path: Path, rows: list[tuple[str, Any]], test: list[tuple[str, Any]] | None = None, **more: Any) -> Any:
    def write(name: str, rows: list[tuple[str, Any]]) -> Path:
        (path / name).write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
        return path / name

    files = {"train": write("train.csv", rows), **({"test": write("test.csv", test)} if test else {})}
    return from_files("mine", FileTask(text="text", label="label", **files, **more))


def lengths(train: list[int], test: list[int] | None = None) -> Lengths:
    return Lengths(*(Part(max(1, len(part)), np.array(part, dtype=int), 1.0) for part in (train, test or [])), 9)


def summary(task: Any, model: Path, **more: Any) -> Summary:
    data = task.load(None)
    return summarise(task, data, measure(model, data), more.get("max_length", 128), positions(model))


def test_the_line_says_what_a_person_would_ask(tmp_path: Path, tiny_model: Path) -> None:
    train = [(f"film {i}", "good" if i % 3 else "bad") for i in range(30)] + [("Film  1", "good"), ("film 2", "bad")]
    found = summary(declared(tmp_path, train, [("FILM 4", "good"), ("new", "bad"), ("x " * 140, "good")]), tiny_model)
    assert (found.train, found.test, found.cut, found.positive) == (32, 3, 1, "bad")
    assert (found.duplicates_in_train, found.test_in_train, found.contradictory) == (2, 1, 1)
    assert found.classes == {"bad": 12, "good": 23}
    assert list(said("films", found.row)) == [
        "films: 32 rows to train on and 3 to test on, classification, 2 classes (smallest 12), F1 is of 'bad', texts of "
        f"{found.median_tokens} tokens at the median, 1 cut at 128; 1 test text also stands in train; 2 training texts "
        "repeat another; 1 text has two labels"
    ]
    assert Summary.of_row({**found.row, "of a later version": 1}).line == found.line


def test_many_cut_texts_come_with_the_remedy(tmp_path: Path, tiny_model: Path) -> None:
    task = declared(tmp_path, [("y " * 150 + str(i), i % 2) for i in range(10)])
    (note,) = summary(task, tiny_model).notes
    assert note == (
        "10 of 10 texts are longer than 128 tokens and are cut there: --max-length 160, or max_length = 160 in a study "
        "file, reads more of them"
    )
    (note,) = summary(
        declared(tmp_path, [("y " * 200 + str(i), i % 2) for i in range(10)]), tiny_model, max_length=160
    ).notes
    assert note.endswith("cut there, which is all that the model reads")


@pytest.mark.parametrize(
    ("train", "bound", "chosen"),
    [
        ([], 512, 128),
        ([100] * 99 + [300], 512, 128),  # one in a hundred may be cut
        ([100] * 90 + [200] * 10, 512, 256),
        ([600] * 100, 512, 512),
        ([600] * 100, 700, 700),
        ([600] * 100, 8192, 1024),
        ([600] * 100, None, 512),
        ([60] * 100, 64, 128),  # everything fits, and trials keep their keys
        ([100] * 100, 64, 64),
    ],
)
def test_auto_is_the_shortest_length_that_cuts_few(train: list[int], bound: int | None, chosen: int) -> None:
    assert choose(lengths(train), bound) == chosen


def test_the_test_split_has_no_say_in_the_length() -> None:
    assert choose(lengths([100] * 99 + [200], [500] * 50), 512) == 128


def test_what_is_short_in_characters_is_not_tokenized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneworth.tasks.lengths._slow", lambda _: pytest.fail("loaded a tokenizer"))
    part = Examples(["short"] * 100, None, np.zeros(100))
    found = measure("/nowhere", TaskData(part, part, ("a",)))
    assert (found.cut(128), found.median) == (0, None)


def test_of_many_long_texts_some_are_measured(tiny_model: Path) -> None:
    part = Examples([("z " * (150 if i % 4 else 125)) for i in range(8_000)], None, np.zeros(8_000))
    found = measure(tiny_model, TaskData(part, part.only(np.arange(4)), ("a",)))
    assert found.sampled
    assert found.cut(128) == pytest.approx(6_003, abs=120)


def test_what_differs_in_punctuation_alone_is_counted_and_dropped(tmp_path: Path, tiny_model: Path) -> None:
    train = [(f"film {i}", "good" if i % 3 else "bad") for i in range(30)]
    train += [("Film 1!", "good"), ("film 1", "good"), (":-)", "good"), (":-(", "bad"), ("ﬁlm - 7", "bad")]
    test = [("film... 4", "good"), ("film 5", "good"), ("new", "bad"), ("का", "good")]
    found = summary(declared(tmp_path, train, test), tiny_model)
    assert (found.duplicates_in_train, found.near_in_train) == (1, 2)
    assert (found.test_in_train, found.near_test_in_train) == (1, 1)
    assert "1 test text also stands in train; 1 test text stands in train but for punctuation; " in found.line
    assert "1 training text repeats another; 2 training texts repeat another but for punctuation" in found.line
    data = read(tmp_path, [*train, ("की", "bad")], test, drop_duplicates=True)
    assert len(data.train) == 36 - 2 - 2
    assert {":-)", ":-(", "ﬁlm - 7", "की"} <= set(data.train.texts), "signs alone, two labels, another vowel"
    assert not {"film 4", "film 5", "Film 1!"} & {*data.train.texts}


def test_drop_duplicates_leaves_no_text_on_both_sides(tmp_path: Path) -> None:
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(20)] * 3 + [("text 1", "a")]
    data = read(tmp_path, rows, drop_duplicates=True)
    assert (len(data.train) + len(data.test)) in (20, 21)
    assert not set(data.train.texts) & set(data.test.texts)
    assert data.notes[0].startswith("left out of train: 40 rows that repeat another")
    given = read(tmp_path, rows[:20], [("TEXT  3", "b"), ("new", "a")], drop_duplicates=True)
    assert "text 3" not in given.train.texts
    assert (len(given.train), len(given.test)) == (19, 2)
    with pytest.raises(DataError, match="no training example of 'b'"):
        read(tmp_path, [*rows[:20:2], ("z", "b"), ("z", "b")], [("z", "b"), ("y", "a")], drop_duplicates=True)
    assert len(read(tmp_path, rows).train) == 49, "off unless asked for"


def test_f1_is_of_the_rarer_class_of_the_one_asked_for_or_of_the_second(tmp_path: Path) -> None:
    fraud = [(f"case {i}", "fraud" if i % 10 == 0 else "legit") for i in range(40)]
    even = [(f"case {i}", "ab"[i % 2]) for i in range(40)]
    assert read(tmp_path, fraud).positive == 0
    assert read(tmp_path, [(text, {"fraud": "x", "legit": "a"}[label]) for text, label in fraud]).positive == 1
    assert read(tmp_path, even).positive == 1
    assert read(tmp_path, fraud, positive="legit").positive == 1
    with pytest.raises(SpecError, match=r"no class 'fruad'"):
        read(tmp_path, fraud, positive="fruad")
    with pytest.raises(SpecError, match="a task of 3 classes has no positive class 'b'"):
        read(tmp_path, [(f"{i}", "abc"[i % 3]) for i in range(30)], positive="b")


def test_a_task_s_fingerprint_changes_only_where_its_score_does(tmp_path: Path) -> None:
    fraud = [(f"case {i}", "fraud" if i % 10 == 0 else "legit") for i in range(40)]

    def of(**more: Any) -> str:
        task = declared(tmp_path, fraud, **more)
        return fingerprint(task, task.load(None))

    assert of() == of(positive="legit"), "accuracy has no positive class, and its trials keep their keys"
    assert of(metric="f1") != of(metric="f1", positive="legit")
    assert of(metric="f1") == of(metric="f1", positive="fraud")


def test_a_class_without_test_examples_is_said(tmp_path: Path, tiny_model: Path) -> None:
    rows = [(f"text {i}", "abc"[i % 3]) for i in range(30)]
    task = declared(tmp_path, rows, [("one", "a"), ("two", "b")], metric="macro_f1")
    assert summary(task, tiny_model).notes == ("no test example is of the 1 class 'c'; macro F1 counts it with 0",)


def test_a_constant_test_target_is_refused(tmp_path: Path) -> None:
    rows = [(f"text {i}", i / 7) for i in range(30)]
    with pytest.raises(DataError, match=r"test\.csv.*every target"):
        read(tmp_path, rows, [("one", 3.5), ("two", 3.5)])
    with pytest.raises(DataError, match="every target of the test part is 0"):
        read(tmp_path, [("rare", 5.0), *((f"text {i}", 0) for i in range(30))], kind="regression")


@pytest.mark.parametrize("name", ["MRPC", "CoLA", "STS-B"])
def test_glue_stays_at_128_tokens(name: str) -> None:
    from tuneworth import models

    folder = real_glue(name)
    if folder is None:
        pytest.skip(f"no {name} in TUNEWORTH_DATA or ../shared/glue")
    task = next(task for task in TASKS if task.directory == name)
    source = models.resolve("minilm").source
    assert choose(measure(source, task.load(folder)), positions(source)) == 128
