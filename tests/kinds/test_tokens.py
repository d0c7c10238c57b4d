from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.scheme import BILOU, IOB2, IOBES

from tuneworth.errors import DataError, SpecError
from tuneworth.kinds import Meaning, baseline, evaluate, get_kind, pseudo_values
from tuneworth.kinds.tags import BLANK, Scheme, names_of, scheme_of
from tuneworth.kinds.tokens import Tags, words_in
from tuneworth.spec import FileTask
from tuneworth.tasks import fingerprint
from tuneworth.tasks.files import from_files

KIND = get_kind("tokens")
SENTENCES = [
    (["Ann", "lives", "in", "New", "York"], ["B-person", "O", "O", "B-place", "I-place"]),
    (["Nobody", "sleeps"], ["O", "O"]),
    (["Bob", "saw", "Ann"], ["B-person", "O", "B-person"]),
    (["Oslo", "is", "cold", "."], ["B-place", "O", "O", "O"]),
]


def conll(path: Path, some: Any = SENTENCES, between: str = "\t", head: str = "") -> Path:
    path.write_text(
        head + "\n".join("".join(f"{w}{between}_{between}{t}\n" for w, t in zip(*one, strict=True)) for one in some)
    )
    return path


def json_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def spans_of(words: list[str], tags: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    at = 0
    for word, tag in zip(words, tags, strict=True):
        if tag[0] == "B":
            found.append({"start": at, "end": at + len(word), "label": tag[2:]})
        elif tag[0] == "I":
            found[-1]["end"] = at + len(word)
        at += len(word) + 1
    return found


def load(path: Path, **more: Any) -> Any:
    task = from_files("names", FileTask(train=path, test_fraction=0.3, **more))
    return task, task.load(None)


def test_columns_lists_and_spans_are_read_alike(tmp_path: Path) -> None:
    some = SENTENCES * 5
    first = load(conll(tmp_path / "a.conll", some, head="-DOCSTART- _ O\n\n# id 1\n"))
    blanks = load(conll(tmp_path / "b.conll", some, between=" "))
    lists = load(
        json_lines(tmp_path / "c.jsonl", [{"words": words, "tags": tags} for words, tags in some]),
        text="words",
        label="tags",
    )
    spans = load(
        json_lines(tmp_path / "d.jsonl", [{"text": " ".join(w), "spans": spans_of(w, t)} for w, t in some]),
        text="text",
        label="spans",
    )
    for task, data in (first, blanks, lists, spans):
        assert (task.kind, task.metrics) == ("tokens", ("entity_f1", "word_accuracy"))
        assert data.label_names == ("O", "B-person", "I-person", "B-place", "I-place")
        assert fingerprint(task, data) == fingerprint(*first)
        assert any("--kind tokens" in note for note in data.notes)
        assert any("the scheme BIO" in note for note in data.notes)
    data = first[1]
    row = data.train.texts.index("Ann lives in New York")
    assert [data.train.texts[row][a:b] for a, b in data.train.words[row]] == SENTENCES[0][0]
    assert data.train.labels[row].tolist() == [1, 0, 0, 3, 4]
    assert data.train.labels[data.train.texts.index("Nobody sleeps")].tolist() == [0, 0, *[BLANK] * 3]


def test_schemes_are_told_apart() -> None:
    for scheme in ("BIO", "BIOES", "BILOU"):
        assert scheme_of(names_of(scheme, ["x", "y"])) == scheme  # type: ignore[arg-type]
    assert scheme_of(["NN", "VB", "O"]) == "plain"
    assert scheme_of(["O"]) == "plain"
    assert scheme_of(["O", "I-x"]) == "BIO"


def test_entities_that_begin_with_i_are_counted_and_read_as_b(tmp_path: Path) -> None:
    old = [(["Ann", "Lee", "met", "Bob"], ["I-person", "I-person", "O", "I-person"]), *SENTENCES]
    _, data = load(conll(tmp_path / "a.conll", old * 3))
    assert any("6 entities in '-1' begin with I- after O" in note and "read as B-" in note for note in data.notes)
    row = list(data.train.texts).index("Ann Lee met Bob")
    assert data.train.labels[row].tolist()[:4] == [1, 2, 0, 1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": ["a", "b"], "label": ["O"]}], "line 1: 2 words in 'text', but 1 tag in 'label'"),
        ([{"text": ["a", ""], "label": ["O", "O"]}], "line 1: 'text' is a list with '' in it, which is no word"),
        ([{"text": ["a"], "label": ["O"]}, {"text": "b", "label": ["O"]}], "line 2: 'text' is 'b', no list of words"),
        ([{"text": ["a"], "label": "O"}], "line 1: the tags 'label' are 'O', no list of tags"),
        ([{"text": ["a"], "label": ["O"]}], "every tag 'label' is 'O'"),
        ([{"text": "New York", "label": [{"start": 0, "end": 5, "label": "x"}]}], r"0 to 5 \('New Y'\) cuts a word of 'New York'"),
        ([{"text": "New York", "label": [{"start": 0, "end": 8, "label": "x"}, {"start": 4, "end": 8, "label": "y"}]}],
         r"line 1: the span 4 to 8 \('York'\) overlaps another"),
        ([{"text": "New York", "label": [{"start": 0, "end": 9, "label": "x"}]}], "no span of the text's 8 characters"),
        ([{"text": "New York", "label": [{"start": 0, "label": "x"}]}], "no span of the text"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_line(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(json_lines(tmp_path / "a.jsonl", rows), text="text", label="label", kind="tokens")


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    train = conll(tmp_path / "a.conll", SENTENCES * 4)
    test = conll(tmp_path / "b.conll", [(["Ann"], ["B-person"]), (["Mars"], ["B-planet"])])
    with pytest.raises(DataError, match="line 3: the tag 'B-planet' is in test only"):
        load(train, test=test)
    (tmp_path / "c.conll").write_text("Ann\tB-x\nBob\n")
    with pytest.raises(DataError, match="line 2 has 1 columns, and others 2"):
        load(tmp_path / "c.conll")
    with pytest.raises(DataError, match="has no column '7': its columns are the numbers 0 to 2"):
        load(train, label="7")
    with pytest.raises(SpecError, match=r"metric 'f1' is for classification(.|\n)*entity_f1"):
        load(train, kind="tokens", metric="f1")
    with pytest.raises(SpecError, match=r"which column of 'c\.csv' holds the text"):
        FileTask(train=Path("c.csv"), label="x")
    plain = conll(tmp_path / "d.conll", [(["dogs", "bark"], ["NOUN", "VERB"]), (["go"], ["VERB"])] * 5)
    with pytest.raises(SpecError, match=r"'entity_f1' does not suit labels like 'NOUN'(.|\n)*word_accuracy"):
        load(plain, metric="entity_f1")
    assert load(plain)[0].metrics == ("word_accuracy",)


SCHEMES: dict[Scheme, Any] = {"BIO": IOB2, "BIOES": IOBES, "BILOU": BILOU}


@settings(max_examples=40)
@given(st.sampled_from(list(SCHEMES)), st.integers(0, 10**6))
def test_entity_f1_is_seqevals_and_pseudo_values_what_leaving_out_gives(scheme: Scheme, seed: int) -> None:
    """Of any tags, sound or not: strictly."""
    rng = np.random.default_rng(seed)
    names = names_of(scheme, ["x", "y"])
    lengths = rng.integers(1, 7, 6)
    there = np.arange(6) < lengths[:, None]
    labels = np.where(there, rng.integers(0, len(names), (6, 6)), BLANK)
    noisy = rng.random((2, 6, 6)) < 0.4
    trials = np.where(noisy, rng.integers(0, len(names), (2, 6, 6)), np.maximum(labels, 0))
    meaning = Meaning("tokens", len(names), names=names)
    true, *given_ = (
        [[names[t] for t in row[:n]] for row, n in zip(part, lengths, strict=True)] for part in (labels, *trials)
    )
    values = pseudo_values("entity_f1", labels, trials, meaning)
    for predictions, tags, found in zip(trials, given_, values, strict=True):
        whole = evaluate(("entity_f1",), predictions, labels, meaning)["entity_f1"]
        expected = f1_score(true, tags, mode="strict", scheme=SCHEMES[scheme], zero_division=0)
        assert whole == pytest.approx(100 * expected)
        for i in range(6):
            left = evaluate(("entity_f1",), np.delete(predictions, i, 0), np.delete(labels, i, 0), meaning)["entity_f1"]
            assert found[i] == pytest.approx(6 * whole - 5 * left, abs=1e-6)
    accuracy = pseudo_values("word_accuracy", labels, trials, meaning)
    for predictions, found in zip(trials, accuracy, strict=True):
        whole = evaluate(("word_accuracy",), predictions, labels, meaning)["word_accuracy"]
        left = evaluate(("word_accuracy",), predictions[1:], labels[1:], meaning)["word_accuracy"]
        assert found[0] == pytest.approx(6 * whole - 5 * left, abs=1e-6)


def test_answers_are_spans_with_offsets_and_unread_words_are_outside() -> None:
    codec = Tags(labels=("O", "B-place", "I-place"), scheme="BIO")
    text = "In New York, now"
    words = words_in(text)
    assert [text[a:b] for a, b in words] == ["In", "New", "York", ",", "now"]
    outputs = np.full((1, 5, 3), -np.inf, dtype=np.float32)
    outputs[0, :4] = [[3, 0, 0], [0, 4, 0], [0, 0, 5], [2, 0, 1]]
    assert codec.decode(outputs).tolist() == [[0, 1, 2, 0, 0]]
    [answer] = codec.answers(outputs, [words])
    assert answer["tags"] == ["O", "B-place", "I-place", "O", "O"]
    [span] = answer["label"]
    assert (text[span["start"] : span["end"]], span["label"]) == ("New York", "place")
    assert span["score"] == pytest.approx(np.exp(4) / (np.exp(4) + 2))
    assert codec.columns([answer, None]) == {"spans": [answer["label"], None]}
    targets = codec.encode(np.array([[0, 1, 2, 0, BLANK]]))
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(outputs[0, :4]), targets[0, :4])
    assert codec.loss(torch.from_numpy(outputs), targets).item() == pytest.approx(expected.item())
    assert codec.terms(targets) == 4


def test_the_baseline_finds_no_entity(tmp_path: Path) -> None:
    task, data = load(conll(tmp_path / "a.conll", SENTENCES * 5))
    found = baseline(task, data)
    assert found["entity_f1"] == 0
    there = data.test.labels[data.test.labels >= 0]
    assert found["word_accuracy"] == pytest.approx(100 * np.mean(there == 0))
