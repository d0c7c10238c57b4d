from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuneworth.errors import DataError, SpecError
from tuneworth.kinds.values import texts_of
from tuneworth.spec import FileTask
from tuneworth.tasks import fingerprint, get_task
from tuneworth.tasks.files import from_files
from tuneworth.tasks.tables import read_table

Rows = list[dict[str, Any]]


def rows(n: int = 20, labels: tuple[Any, ...] = ("no", "yes")) -> Rows:
    return [{"text": f"text {i}", "other": f"other, {i}", "label": labels[i % len(labels)]} for i in range(n)]


def write(path: Path, rows: Rows) -> Path:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix in {".csv", ".tsv"}:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), dialect="excel" if suffix == ".csv" else "excel-tab")
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def task(train: Path, **declared: Any) -> Any:
    return from_files("mine", FileTask(**{"train": train, "text": "text", "label": "label", **declared}))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "ndjson", "parquet", "CSV"])
def test_every_format_gives_the_same_task(tmp_path: Path, suffix: str) -> None:
    odd = rows()
    odd[3]["text"] = 'a "quoted", text\nwith\ttwo lines \u2028 and ünïcode'
    first = task(write(tmp_path / "reference.jsonl", odd), text_pair="other")
    other = task(write(tmp_path / f"train.{suffix}", odd), text_pair="other")
    data = other.load(None)
    assert fingerprint(other, data) == fingerprint(first, first.load(None))
    assert (len(data.train), len(data.test)) == (16, 4)
    assert data.label_names == ("no", "yes")
    assert sorted(data.test.labels) == [0, 0, 1, 1]
    assert other.metrics == ("accuracy", "macro_f1", "matthews", "f1")
    for part in (data.train, data.test):
        for text, pair, label in zip(part.texts, part.pairs or (), part.labels, strict=True):
            assert {"text": text, "other": pair, "label": data.label_names[label]} in odd


def test_a_test_file_of_its_own_is_kept_whole(tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.csv", rows(20)), write(tmp_path / "test.jsonl", rows(6, ("yes", "no")))
    data = task(train, test=test).load(None)
    assert (len(data.train), len(data.test)) == (20, 6)
    assert data.test.labels.tolist() == [1, 0, 1, 0, 1, 0]


def test_the_split_has_a_seed_and_a_size(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", rows(40))
    first, again, other = (task(train, test_fraction=0.25, split_seed=seed).load(None) for seed in (1, 1, 2))
    assert len(first.test) == 10
    assert first.test.texts == again.test.texts != other.test.texts
    assert not set(first.test.texts) & set(first.train.texts)


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (("b", "a"), "classification", ("a", "b")),
        ((10, 9, 1), "classification", ("1", "9", "10")),
        (("10", "9", "more"), "classification", ("10", "9", "more")),
        ((1.0, 2.0), "classification", ("1", "2")),
        ((True, False), "classification", ("false", "true")),
        ((0.5, 1.0, 2.5), "regression", None),
        (tuple(range(40)), "regression", None),
    ],
)
def test_kind_is_read_from_the_labels(tmp_path: Path, labels: tuple[Any, ...], kind: str, names: Any) -> None:
    made = task(write(tmp_path / "train.jsonl", rows(120, labels)))
    assert (made.kind, made.load(None).label_names) == (kind, names)
    assert made.load(None).train.labels.dtype == (np.float64 if kind == "regression" else np.int64)


def test_kind_and_metric_can_be_said(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", rows(30, (1, 2, 3)))
    assert task(train).metrics == ("accuracy", "macro_f1", "matthews")
    assert task(train, kind="regression", metric="spearman").metrics == ("spearman", "pearson", "r2")
    assert task(train, metric="matthews").metrics == ("matthews", "accuracy", "macro_f1")


def test_a_declared_task_is_found_by_name(tmp_path: Path) -> None:
    declared = FileTask(train=write(tmp_path / "train.csv", rows()), text="text", label="label")
    assert get_task("mine", {"mine": declared}).summary == "'label' from train.csv"


def test_a_byte_order_mark_and_blank_lines_are_no_content(tmp_path: Path) -> None:
    lines = "\r\n".join(f"text {i},{i % 2}" for i in range(8))
    (tmp_path / "train.csv").write_bytes(b"\xef\xbb\xbf" + f"text,label\r\n\r\n{lines}\r\n\r\n".encode())
    data = task(tmp_path / "train.csv").load(None)
    assert len(data.train) + len(data.test) == 8


HEAD = "text,label\n"
NUMBERS = "".join(f"t{i},{i}.5\n" for i in range(30))
GOOD = "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(8))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"\xef\xbb\xbf", "is empty"),
        ("t.csv", HEAD.encode(), "no data rows"),
        ("t.csv", f"{HEAD}x,a\nna\xefve,b\n".encode("latin-1"), "is not UTF-8 text \\(line 3\\)"),
        ("t.csv", f"{HEAD}x,a\n\0,b\n".encode(), "NUL character \\(line 3\\)"),
        ("t.csv", f"{HEAD}x,a\nx,y,b\n".encode(), "line 3: 3 fields, the header has 2"),
        ("t.csv", f'{HEAD}"two\nlines",a\nb\n'.encode(), "line 4: 1 fields, the header has 2"),
        ("t.csv", f'{HEAD}"x, or y",a\n"open,b\n'.encode(), "line 3: .*quote left open"),
        ("t.csv", b"# exported\ntext,label\nx,a\n", "no column 'text'\nits first line must name the columns"),
        ("t.csv", f"{HEAD}x,a\n(2 rows)\n".encode(), "line 3: 1 fields, the header has 2\nis that line a row"),
        ("t.csv", b"text,label,text\nx,a,y\n", "names column 'text' more than once"),
        ("t.csv", b"txt,label\nx,a\n", "no column 'text'\ndid you mean 'txt'"),
        ("t.csv", f"{HEAD}{GOOD}  ,a\n,b\n".encode(), "'text' is empty in 2 of 10 rows \\(lines 10 and 11\\)"),
        ("t.csv", f"{HEAD}{GOOD}x,\n".encode(), "label 'label' is missing in 1 of 9 rows \\(line 10\\)"),
        ("t.csv", f"{HEAD}{GOOD}x,c\n".encode(), "the label 'c' is seen once only \\(line 10\\)"),
        ("t.csv", f"{HEAD}x,a\ny,a\n".encode(), "every label 'label' is 'a'"),
        ("t.csv", f"{HEAD}{NUMBERS}x,many\n".encode(), "line 32: .*'many', no number"),
        ("t.csv", f"{HEAD}{NUMBERS}x,nan\n".encode(), "line 32: .*'nan', not a fin"),
        ("t.csv", (HEAD + "t,0.5\n" * 5).encode(), "every target 'label' is '0.5'"),
        ("t.jsonl", b'{"text": "x", "label": 1}\n{"text": \n', "line 2 is not JSON: Expecting value"),
        ("t.jsonl", b'\n["x", 1]\n', "line 2 is no JSON object\n`jq"),
        ("t.jsonl", b'{\n"text": "x"\n}\n', "line 1 is not JSON: .*\nwrite one JSON object a line: `jq"),
        ("t.jsonl", b'{"text": "\\ud83d", "label": 1}\n{"text": "x", "label": 1}\n', "half a character .*\\(line 1\\)"),
        ("t.jsonl", b'{"text": "x", "label": 1}\n{"text": "x", "label": "\\udc00"}\n', "line 2: .*half a character"),
        ("t.jsonl", b'{"text": "x", "label": 1}\n{"text": "x", "label": [1, 2]}\n', "line 2: .*which is a list"),
        ("t.jsonl", b'{"text": "x", "label": {"a": 1}}\n{"text": "x", "label": 1}\n', "line 1: .*which is a dict"),
        ("t.jsonl", b'{"text": "x", "label": 1}\n{"text": "x", "labl": 1}\n', "line 2: no key .*\ndid you mean 'labl'"),
        ("t.jsonl", b'{"text": null, "label": 1}\n{"text": "x", "label": 1}\n', "'text' is empty in 1 of 2 rows"),
        ("t.jsonl", b'{"text": 7, "label": 1}\n{"text": "x", "label": 1}\n', "line 1: 'text' is 7, not a text"),
        ("t.jsonl", b'{"text": "x", "label": Infinity}\n{"text": "x", "label": 1}\n', "line 1: .*inf, not a finite"),
        ("t.jsonl", b'{"text": "x", "label": NaN}\n{"text": "x", "label": 1}\n', "missing in 1 of 2 rows \\(line 1"),
        ("t.parquet", b"", "is empty"),
        ("t.parquet", b"PAR1 is not enough", "cannot be read as Parquet"),
        ("t.json", b"[]", "'.json' is not supported\n.*jq -c"),
        ("t.docx", b"x", "'.docx' is not supported\ngive one of .csv"),
        ("t", b"x", "suffix '' is not supported"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        task(path).load(None)
    assert str(path) in caught.value.problem
    assert caught.value.remedy


def test_parquet_columns_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", rows())
    with pytest.raises(DataError, match="no column 'texts'\ndid you mean 'text'"):
        task(path, text="texts").load(None)
    binary = write(tmp_path / "b.parquet", [{"text": b"x", "label": "a"}, {"text": b"y", "label": "b"}])
    with pytest.raises(DataError, match=r"row 1: 'text' is b'x', not a text"):
        task(binary).load(None)
    nothing = write(tmp_path / "u.parquet", [{"text": None, "label": "a"}, {"text": "x", "label": "b"}])
    with pytest.raises(DataError, match=r"empty in 1 of 2 rows \(row 1\)"):
        task(nothing).load(None)


def test_a_label_in_test_only_is_named(tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.csv", rows()), write(tmp_path / "test.csv", rows(3, ("no", "maybe")))
    with pytest.raises(DataError, match=r"test.csv', line 3: the label 'maybe' is in test only\ntrain has 'no', 'yes'"):
        task(train, test=test).load(None)


def test_paths_that_are_no_file_are_named(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", rows())
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"there is no file .*trian.csv'\ndid you mean 'train.csv'"):
        task(tmp_path / "trian.csv").load(None)
    with pytest.raises(DataError, match="is a directory"):
        task(tmp_path / "folder.csv").load(None)
    with pytest.raises(DataError, match="both train and test"):
        task(tmp_path / "train.csv", test=tmp_path / "train.csv").load(None)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"metric": "mathews"}, "unknown metric 'mathews'\ndid you mean 'matthews'"),
        ({"metric": "pearson"}, "metric 'pearson' is for regression, the task is classification"),
        ({"metric": "f1"}, "metric 'f1' is for 2 classes, the task has 3"),
        ({"text_pair": "text"}, "column 'text' is used for two things"),
        ({"text": "label"}, "column 'label' is used for two things"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(tmp_path: Path, declared: dict[str, str], said: str) -> None:
    path = write(tmp_path / "train.csv", rows(30, ("a", "b", "c")))
    with pytest.raises(SpecError, match=said):
        task(path, **declared).load(None)


def test_columns_of_texts_are_checked(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "in.csv", rows(2)), ["text", "other"])
    assert texts_of(table, "other") == ["other, 0", "other, 1"]
    with pytest.raises(
        DataError, match=r"'text' is empty in 1 of 2 rows \(line 3\)\nfill in those rows, or .* --skip-empty"
    ):
        texts_of(read_table(write(tmp_path / "gap.csv", [*rows(1), {"text": " ", "other": "x"}]), ["text"]), "text")


def test_rows_without_text_or_label_are_left_out_and_counted(tmp_path: Path) -> None:
    gaps = [
        {"text": "", "other": "x", "label": "no"},
        {"text": "y", "other": " ", "label": "no"},
        {"text": "z", "other": "z"},
    ]
    train = write(tmp_path / "train.jsonl", [*rows(20), *gaps[:2], {**gaps[2], "label": None}])
    whole, data = (task(train, text_pair="other", skip_empty=skip) for skip in (False, True))
    with pytest.raises(DataError, match="--skip-empty"):
        whole.load(None)
    assert (len(data.load(None).train) + len(data.load(None).test), data.load(None).left_out) == (20, 3)
    same = task(write(tmp_path / "same.jsonl", rows(20)), text_pair="other")
    assert fingerprint(same, same.load(None)) == fingerprint(data, data.load(None))
    with pytest.raises(DataError, match="no row with all of 'text', 'label'"):
        task(write(tmp_path / "none.jsonl", gaps[:1]), skip_empty=True).load(None)


def test_texts_in_which_there_is_nothing_to_see_are_kept_and_said(tmp_path: Path) -> None:
    odd = rows()
    odd[2]["text"], odd[4]["text"], odd[6]["text"], odd[7]["text"] = "nan", "\u200b \u2060", "שלום", "\U0001f600"
    data = task(write(tmp_path / "train.csv", odd)).load(None)
    assert len(data.train) + len(data.test) == 20
    assert data.notes == (
        "train.csv: the text 'text' is 'nan' or the like in 1 of 20 rows (line 4): is it missing there?",
        "train.csv: the text 'text' holds nothing that can be seen in 1 of 20 rows (line 6)",
    )
