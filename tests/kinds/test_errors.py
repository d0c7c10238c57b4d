"""Where a method errs, by hand; and the examples that it answered most surely wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tuneworth.kinds import Meaning, get_kind
from tuneworth.kinds.classification import Classes
from tuneworth.kinds.multilabel import LabelSets
from tuneworth.kinds.regression import Numbers
from tuneworth.kinds.tags import names_of
from tuneworth.kinds.tokens import Tags, words_in


def test_classes_have_their_f1_and_a_table_of_what_is_taken_for_what() -> None:
    meaning = Meaning("classification", 2, names=("no", "yes"))
    answers = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    each, taken = get_kind("classification").errors(np.array([0, 0, 1, 1]), answers, meaning)
    assert each.rows == (("no", "100.0", "75.0", "85.7", "2"), ("yes", "80.0", "100.0", "88.9", "2"))
    assert taken.rows == (("no", "1.5", "0.5"), ("yes", "0", "2"))
    many = tuple(f"c{i:02}" for i in range(20))
    _, most = get_kind("classification").errors(np.array([0, 1]), np.array([[3, 1]]), Meaning("", 20, names=many))
    assert most.rows == (("c00", "c03", "1"),)


def test_labels_entities_and_numbers_have_theirs() -> None:
    [labels] = get_kind("multilabel").errors(
        np.array([[1, 0], [1, 1]]), np.array([[[2, 1], [1, 0]]]), Meaning("multilabel", 2, names=("a", "b"))
    )
    assert labels.rows == (("a", "100.0", "100.0", "100.0", "2"), ("b", "0.0", "0.0", "0.0", "1"))
    names = names_of("BIO", ["x", "y"])
    [types] = get_kind("tokens").errors(
        np.array([[1, 2, 3]]), np.array([[[1, 0, 3]]]), Meaning("tokens", 5, names=names)
    )
    assert types.rows == (("x", "0.0", "0.0", "0.0", "1"), ("y", "100.0", "100.0", "100.0", "1"))
    [fifths] = get_kind("regression").errors(np.arange(10.0), np.arange(10.0)[None] + 1, Meaning("regression"))
    assert [row[0] for row in fifths.rows] == ["0 to 1", "2 to 3", "4 to 5", "6 to 7", "8 to 9"]
    assert {row[2] for row in fifths.rows} == {"+1"}


def test_surprise_is_how_sure_a_wrong_answer_was() -> None:
    outputs = np.array([[0.0, 3.0], [1.0, 0.0]], dtype=np.float32)
    assert Classes(labels=("a", "b")).surprise(outputs, np.array([0, 0])) == pytest.approx([0.9526, 0.0], abs=1e-4)
    assert Numbers(mean=0.0, scale=2.0).surprise(outputs[:, :1], np.array([4.0, 2.0])) == pytest.approx([2.0, 0.0])
    sets = LabelSets(labels=("a", "b"))
    assert sets.surprise(outputs, np.array([[1, 0], [1, 1]])) == pytest.approx([0.9526, 0.0], abs=1e-4)
    tags = Tags(labels=names_of("BIO", ["x"]), scheme="BIO")
    found = tags.surprise(np.array([[[0.0, 3.0, 0.0], [-np.inf] * 3]], dtype=np.float32), np.array([[0, 0]]))
    assert found == pytest.approx([np.exp(3) / (np.exp(3) + 2)])
    text = "in New York"
    assert tags.told(np.array([0, 1, 2, -1]), text, words_in(text)) == "New York: x"
    assert sets.told(np.array([2, 0]), text, None) == "a"
