from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, label_ranking_average_precision_score

from tuneworth.errors import DataError, SpecError, UserError
from tuneworth.kinds import Meaning, baseline, evaluate, get_kind, pseudo_values
from tuneworth.kinds.multilabel import LabelSets
from tuneworth.spec import FileTask
from tuneworth.tasks import fingerprint
from tuneworth.tasks.files import from_files
from tuneworth.tasks.splits import take, test_split

KIND, MEANING = get_kind("multilabel"), Meaning("multilabel")
COLOURS = ("blue", "green", "red")


def rows(count: int = 60) -> list[tuple[str, list[str]]]:
    """Texts that name their labels; every tenth has none."""
    rng = np.random.default_rng(0)
    sets = [[c for c in COLOURS if rng.random() < 0.5] if i % 10 else [] for i in range(count)]
    return [(f"thing {i} is {' and '.join(labels) or 'plain'}", labels) for i, labels in enumerate(sets)]


def json_lines(path: Path, some: list[tuple[str, Any]]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "tags": labels}) + "\n" for text, labels in some))
    return path


def csv(path: Path, some: list[tuple[str, list[str]]], between: str = ";") -> Path:
    path.write_text("text,tags\n" + "".join(f"{text},{between.join(labels)}\n" for text, labels in some))
    return path


def declared(path: Path, **more: Any) -> Any:
    return from_files("things", FileTask(train=path, text="text", label="tags", **more))


def test_lists_and_texts_with_a_separator_are_read_alike(tmp_path: Path) -> None:
    lists = declared(json_lines(tmp_path / "a.jsonl", rows()))
    texts = declared(csv(tmp_path / "b.csv", rows()), label_separator=";")
    assert (lists.kind, texts.kind) == ("multilabel", "multilabel")
    one, other = lists.load(None), texts.load(None)
    assert one.label_names == other.label_names == COLOURS
    assert lists.metrics == ("micro_f1", "macro_f1", "subset_accuracy", "lrap")
    np.testing.assert_array_equal(one.train.labels, other.train.labels)
    assert fingerprint(lists, one) == fingerprint(texts, other), "how labels are written is no part of the task"
    wanted = {text: set(labels) for text, labels in rows()}
    for text, labels in zip(one.test.texts, one.test.labels, strict=True):
        assert {COLOURS[i] for i in np.flatnonzero(labels)} == wanted[text]
    assert any("several labels a text" in note for note in one.notes)
    assert any("no label in" in note and "an answer like any other" in note for note in one.notes)
    tuned = declared(tmp_path / "b.csv", label_separator=";", threshold="tuned")
    assert fingerprint(tuned, tuned.load(None)) != fingerprint(texts, other)


@pytest.mark.parametrize(
    ("some", "more", "said"),
    [
        ([("a", ["x"]), ("b", "y"), ("c", ["y"])], {}, r"line 2: the labels 'tags' are 'y', a text and no list"),
        ([("a", ["x"]), ("b", "['x', 'y']"), ("c", ["y"])], {}, r"line 2: .*a list written as text"),
        ([("a", ["x"]), ("b", [{"x": 1}])], {}, r"line 2: \{'x': 1\} in the labels 'tags' is no label"),
        ([("a", "x"), ("b", "y z")], {"label_separator": ","}, r"the separator ',' never occurs in 'tags'"),
        ([("a", ["x"]), ("b", ["x"])], {}, "every row has the same labels"),
        ([("a", ["x"]), ("b", 3)], {}, "line 2: the labels 'tags' are 3, no list"),
    ],
)
def test_labels_that_are_no_sets_are_refused_with_their_line(
    tmp_path: Path, some: list[tuple[str, Any]], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        declared(json_lines(tmp_path / "a.jsonl", some), kind="multilabel", **more).load(None)


def test_a_label_in_test_only_and_an_unfit_metric_are_refused(tmp_path: Path) -> None:
    train = json_lines(tmp_path / "a.jsonl", rows())
    test = json_lines(tmp_path / "b.jsonl", [("x", ["red"]), ("y", ["pink", "red"])])
    with pytest.raises(DataError, match="line 2: the label 'pink' is in test only"):
        declared(train, test=test).load(None)
    with pytest.raises(SpecError, match=r"metric 'accuracy' is for classification(.|\n)*micro_f1, macro_f1"):
        declared(train, kind="multilabel", metric="accuracy")
    with pytest.raises(SpecError, match="no positive class 'red'"):
        declared(train, positive="red").load(None)
    with pytest.raises((UserError, ValueError)):
        FileTask(train=train, text="text", label="tags", threshold=1.5)


def test_splits_keep_the_labels_frequencies() -> None:
    rng = np.random.default_rng(1)
    labels = rng.random((2000, 6)) < [0.5, 0.3, 0.1, 0.05, 0.02, 0.01]
    share = labels.mean(0)
    train, test = test_split(labels, "multilabel", 0.2, 3)
    assert len(test) == pytest.approx(400, abs=20)
    assert not set(train) & set(test)
    np.testing.assert_allclose(labels[test].mean(0), share, atol=0.01)
    whole, half = (take(labels, "multilabel", fraction, 5) for fraction in (1.0, 0.5))
    assert len(half.train) + len(half.validation) == 1000
    assert half.train.tolist() == whole.train[: len(half.train)].tolist(), "fractions are nested"
    assert half.validation.tolist() == whole.validation[: len(half.validation)].tolist()
    assert len(whole.validation) == pytest.approx(200, abs=10)
    for part in (half.train, half.validation, whole.validation):
        np.testing.assert_allclose(labels[part].mean(0), share, atol=0.03)


Sets = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


@st.composite
def answered(draw: st.DrawFn) -> Sets:
    """Labels, and the predictions of two trials as the codec makes them."""
    n, c = draw(st.integers(2, 8)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    codec = LabelSets(labels=tuple("abcd"[:c]))
    return rng.random((n, c)) < 0.4, np.stack([codec.decode(rng.normal(size=(n, c))) for _ in range(2)])


@settings(max_examples=25)
@given(answered())
def test_scores_are_scikit_learns_and_pseudo_values_what_leaving_out_gives(case: Sets) -> None:
    labels, trials = case
    for predictions in trials:
        scores = evaluate(tuple(KIND.metrics), predictions, labels, MEANING)
        for average in ("micro", "macro"):
            expected = f1_score(labels, predictions > 0, average=average, zero_division=0.0)
            assert scores[f"{average}_f1"] == pytest.approx(100 * expected)
        assert scores["lrap"] == pytest.approx(100 * label_ranking_average_precision_score(labels, predictions))
        assert scores["subset_accuracy"] == pytest.approx(100 * ((predictions > 0) == labels).all(1).mean())
    n = len(labels)
    for name in KIND.metrics:
        values = pseudo_values(name, labels, trials, MEANING)
        for predictions, found in zip(trials, values, strict=True):
            whole = evaluate((name,), predictions, labels, MEANING)[name]
            for i in range(n):
                left = evaluate((name,), np.delete(predictions, i, 0), np.delete(labels, i, 0), MEANING)[name]
                assert found[i] == pytest.approx(n * whole - (n - 1) * left, abs=1e-6)


def test_the_codec_says_sets_and_rankings() -> None:
    codec = LabelSets(labels=COLOURS)
    outputs = np.array([[2.0, -1.0, 0.5], [-3.0, -1.0, -2.0]], dtype=np.float32)
    assert codec.decode(outputs).tolist() == [[2, 0, 1], [-2, 0, -1]]
    first, second = codec.answers(outputs)
    assert (first["label"], second["label"]) == (["blue", "red"], [])
    assert first["score"] == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert second["probabilities"]["green"] == pytest.approx(1 / (1 + np.e))
    written = LabelSets(labels=COLOURS, separator=";").columns([first, None, second], probabilities=True)
    assert written["label"] == ["blue;red", None, ""]
    assert list(written) == ["label", "confidence", "probability_blue", "probability_green", "probability_red"]
    labels = torch.from_numpy(outputs).double()
    targets = codec.encode(np.array([[1, 0, 1], [0, 0, 0]]))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(labels, targets.double())
    assert codec.loss(labels, targets.double()).item() == pytest.approx(expected.item())


def test_a_tuned_threshold_is_the_best_on_what_it_is_shown() -> None:
    rng = np.random.default_rng(2)
    labels = rng.random((200, 3)) < 0.2
    outputs = (rng.normal(size=(200, 3)) + 2.0 * labels - 3.0).astype(np.float32)  # far too shy
    codec = LabelSets(labels=COLOURS, tuned=True)
    assert codec.settles
    settled = codec.settled(outputs, labels, KIND.metrics["micro_f1"], MEANING)
    assert settled.threshold < 0.3
    score = [evaluate(("micro_f1",), one.decode(outputs), labels, MEANING)["micro_f1"] for one in (codec, settled)]
    assert score[1] > score[0] + 10


@pytest.mark.parametrize("name", list(KIND.metrics))
def test_the_baseline_is_the_best_single_answer(name: str, tmp_path: Path) -> None:
    """Of all sets and of the rankings by frequency, none does better on what it is made from."""
    task = declared(json_lines(tmp_path / "a.jsonl", rows(40)), metric=name)
    data = task.load(None)
    labels = data.train.labels
    answer = KIND.constant(labels, name, MEANING)

    def score(one: Any) -> float:
        return evaluate((name,), np.broadcast_to(one, labels.shape), labels, MEANING)[name]

    for sets in range(8):
        given = np.array([sets >> i & 1 for i in range(3)])
        assert score(answer) >= score(given) - 1e-9
    assert KIND.one_answer(np.broadcast_to(answer, labels.shape), labels)
    assert set(baseline(task, data)) == set(task.metrics)
