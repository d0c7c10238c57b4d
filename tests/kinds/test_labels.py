"""Labels are read as a person reads them; what could be meant otherwise is said, with how to say so."""

from __future__ import annotations

import datetime
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tuneworth.errors import DataError
from tuneworth.spec import FileTask
from tuneworth.tasks.files import from_files


def load(path: Path, labels: list[Any], **declared: Any) -> Any:
    """The task of these labels, as JSON lines hold them, or else as Parquet does."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"text": [f"text {i}" for i in range(len(labels))], "label": labels}), path)
    else:
        rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = from_files("mine", FileTask(**{"train": path, "text": "text", "label": "label", **declared}))
    return made, made.load(None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.jsonl"


def targets(data: Any) -> list[float]:
    return sorted({*data.train.labels.tolist(), *data.test.labels.tolist()})


@pytest.mark.parametrize(
    ("labels", "kind", "note"),
    [
        ([i % 77 for i in range(616)], "classification", "77 different whole numbers .* classes; .* --kind regression"),
        ([str(1 + i % 30) for i in range(300)], "classification", "30 different whole numbers .*--kind regression"),
        ([i % 77 for i in range(77 * 4)], "regression", "77 different whole numbers .*--kind classification"),
        (
            [18 + i % 60 for i in range(600)],
            "regression",
            "60 different .* a number to predict; .*--kind classification",
        ),
        ([2 * (i % 40) for i in range(400)], "regression", "40 different"),
        ([min(i % 100, 30) for i in range(1000)], "classification", "31 different"),
        ([i % 26 if i >= 250 else 3 for i in range(300)], "regression", "26 different"),
        ([1 + i % 5 for i in range(50)], "classification", "5 different whole numbers"),
        ([i % 2 for i in range(50)], "classification", None),
        ([0.5 + i % 7 for i in range(50)], "regression", None),
    ],
)
def test_whole_numbers_are_classes_where_they_look_it(
    path: Path, labels: list[Any], kind: str, note: str | None
) -> None:
    task, data = load(path, labels)
    assert task.kind == kind
    if note is None:
        assert data.notes == ()
    else:
        (said,) = data.notes
        assert re.search(note, said)


@pytest.mark.parametrize(
    ("labels", "numbers", "note"),
    [
        (["1,5", "2,0", "3", "1.234,5"], [1.5, 2, 3, 1234.5], "commas were read as decimal points"),
        (
            ["0.5", "37.5", "1,234.5", "12,345,678"],
            [0.5, 37.5, 1234.5, 12345678],
            "commas were read as separators of thousands",
        ),
        (["1.234.567", "1.234", "12.345.678"], [1234, 1234567, 12345678], "points as separators of thousands"),
        (["45%", "5 %", "7.5%"], [5, 7.5, 45], "percentages: 45% was read as 45"),
        (["4,5%", "7,25%"], [4.5, 7.25], "decimal points"),
        (["1 234,5", "12\u202f000,25", "3,5"], [3.5, 1234.5, 12000.25], "decimal points"),
        (["1.234", "2.500", "7.125"], [1.234, 2.5, 7.125], "decimal point: 1.234 as a little more than 1"),
        ([" 1.5 ", "\u22122.5", "1e3", ".5"], [-2.5, 0.5, 1.5, 1000], None),
    ],
)
def test_numbers_as_people_write_them(path: Path, labels: list[str], numbers: list[float], note: str | None) -> None:
    task, data = load(path, labels * 6)
    assert task.kind == "regression"
    assert targets(data) == pytest.approx(sorted(numbers))
    assert len([said for said in data.notes if note and note in said]) == (note is not None)


def test_a_comma_that_can_mean_two_numbers_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match=r"is '1,234' in 'label' 1234 or 1\.234\?\n.*kind = .classification"):
        load(path, ["1,234", "2,500", "17"] * 5)
    assert load(path, ["1,234", "2,500"] * 5, kind="classification")[1].label_names == ("1,234", "2,500")


@pytest.mark.parametrize("odd", ["1_0", "nan", "inf", "-Infinity", "\u0663", "0x10", "1e999"])
def test_what_only_python_takes_for_a_number_is_none(path: Path, odd: str) -> None:
    with pytest.raises(DataError, match=r"no number|not a finite number"):
        load(path, [i + 0.5 for i in range(30)] + [odd])
    task, data = load(path, [f"{odd} {i % 2}".replace(" ", "_") for i in range(10)])
    assert (task.kind, len(data.label_names)) == ("classification", 2)


def test_names_that_look_like_numbers_are_said(path: Path) -> None:
    task, data = load(path, [f"1_{10 + i % 25}" for i in range(100)])
    assert (task.kind, len(data.label_names)) == ("classification", 25)
    assert "labels like '1_10' in 'label' were taken for the names of 25 classes, not for numbers" in data.notes


def test_whole_numbers_with_and_without_decimals_are_one_class(path: Path) -> None:
    _, data = load(path, ["4", "4.0", "2.0", "3"] * 6)
    assert data.label_names == ("2", "3", "4")
    assert "'4' and '4.0' in 'label' were taken for one class" in data.notes
    _, same = load(path, ["4.0", "2.0"] * 6)
    assert same.label_names == ("2.0", "4.0")  # one spelling stays: studies of it keep their keys
    _, versions = load(path, ["v 1.10", "v 1.1", "1.10", "1.1"] * 6, kind="classification")
    assert len(versions.label_names) == 4
    _, codes = load(path, ["01", "1"] * 6, kind="classification")
    assert codes.label_names == ("01", "1")


def test_the_test_file_may_spell_a_class_otherwise(path: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps({"text": "x", "label": label}) + "\n" for label in ("4.0", 2.0, "2.0")))
    _, data = load(path, ["4", "2"] * 6, test=test)
    assert (data.label_names, data.test.labels.tolist()) == (("2", "4"), [1, 0, 0])


def test_spellings_that_look_alike_are_one_class(path: Path) -> None:
    _, data = load(
        path, ["caf\u00e9", "cafe\u0301", "very good", "very\u00a0good", "very  good", "\ufeffvery good"] * 4
    )
    assert data.label_names == ("caf\u00e9", "very good")
    (note,) = data.notes
    assert note.startswith("'caf\u00e9', 'very good' in 'label': spellings that look alike")


def test_names_that_differ_in_case_alone_are_said(path: Path) -> None:
    _, data = load(path, ["Good", "good", "bad"] * 4)
    assert data.label_names == ("Good", "bad", "good")
    assert data.notes == (
        "'Good' and 'good' in 'label' differ in case alone and were taken for 2 classes; if they are one, spell them alike",
    )


def test_names_that_mean_nothing_to_programs_are_classes(path: Path) -> None:
    _, data = load(path, ["EU", "NA", "None", "null"] * 4)
    assert data.label_names == ("EU", "NA", "None", "null")
    assert data.notes == ("'label' holds 'NA', 'None', 'null', taken for the name of a class, not for a missing label",)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([True, False], ("false", "true")),
        ([1.0, 0.0], ("0", "1")),
        ([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)], ("2024-01-01", "2024-01-02")),
        ([Decimal("1.50"), Decimal("2.50")], None),
    ],
)
def test_values_that_parquet_types(tmp_path: Path, labels: list[Any], names: tuple[str, ...] | None) -> None:
    assert load(tmp_path / "t.parquet", labels * 6)[1].label_names == names


@pytest.mark.parametrize("label", [b"a", {"a": 1}])
def test_labels_that_are_no_one_value_are_refused(tmp_path: Path, label: Any) -> None:
    with pytest.raises(
        DataError, match=f"row 1: the label 'label' is .*, which is a {type(label).__name__}\ngive each row one"
    ):
        load(tmp_path / "t.parquet", [label] * 6)


def test_a_column_of_categories_has_their_names(tmp_path: Path) -> None:
    import pyarrow as pa

    assert load(tmp_path / "t.parquet", pa.array(["b", "a"] * 6).dictionary_encode())[1].label_names == ("a", "b")
    with pytest.raises(DataError, match="missing in 12 of 12"):
        load(tmp_path / "u.parquet", pa.nulls(12))


def test_what_is_wrong_is_said_with_how_the_file_was_read(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text('text\tlabel\nx\ta\n"y\ta\nz"\tb\n' + "w\ta\n" * 9)
    with pytest.raises(DataError, match=r"'b' is seen once only \(line 4\)\n.*--quoting double"):
        from_files("mine", FileTask(train=path, text="text", label="label")).load(None)
