"""How a delimited file is written is decided by reading it: no row is lost, and what was decided is said."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from commands import tuneworth
from tuneworth.errors import DataError, SpecError
from tuneworth.spec import FileTask, Form
from tuneworth.tasks.tables import Table, read_table

GOOD = [f"Visit {i}: the soup was {'superb' if i % 2 else 'stale'}.\t{'good' if i % 2 else 'bad'}" for i in range(60)]


def read(path: Path, content: str | bytes, *names: str, **form: Any) -> Table:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, names or ("text", "label"), Form(**form))


def stray(first: int, last: int) -> str:
    """A line whose text begins with a quote, and one whose text ends with one."""
    lines = list(GOOD)
    lines[first] = f'"Never again, {lines[first]}'
    lines[last] = lines[last].replace(".\t", '. they said"\t')
    return "text\tlabel\n" + "\n".join(lines) + "\n"


def test_stray_quotes_join_no_rows(tmp_path: Path) -> None:
    table = read(tmp_path / "tweets.tsv", stray(10, 31))
    assert len(table.where) == 60
    assert table.columns["text"][10] == '"Never again, Visit 10: the soup was stale.'
    assert table.columns["text"][31] == 'Visit 31: the soup was superb. they said"'
    (note,) = table.notes
    assert note.startswith(
        "tweets.tsv: quotes were read as characters of the texts and each line as a row, since line 12 has"
    )
    assert "--quoting double" in note


@pytest.mark.parametrize(
    "more", ['"Great!" he said\tgood\n', '"never closed\tbad\n', 'so "so"\tbad\n"Good"\tgood\n', "C:\\dir\tgood\n"]
)
def test_lines_of_tabs_with_quotes_in_any_place_are_rows(tmp_path: Path, more: str) -> None:
    for content in (stray(3, 8) + more, "text\tlabel\n" + "\n".join(GOOD) + "\n" + more):
        table = read(tmp_path / "t.tsv", content)
        assert len(table.where) == content.count("\n") - 1
        assert set(table.columns["label"]) == {"good", "bad"}


def test_a_quoting_that_is_said_is_taken(tmp_path: Path) -> None:
    assert len(read(tmp_path / "t.tsv", stray(10, 31), quoting="double").where) == 39
    plain = read(tmp_path / "t.csv", 'text,label\n"x",a\n"y",b\n', quoting="none")
    assert (plain.columns["text"], plain.notes) == (['"x"', '"y"'], ())


def test_a_ragged_row_is_named_where_it_is_among_stray_quotes(tmp_path: Path) -> None:
    lines = stray(10, 31).splitlines()
    lines[20] += "\tthird"
    with pytest.raises(DataError, match="line 21: 3 fields, the header has 2"):
        read(tmp_path / "t.tsv", "\n".join(lines))


def test_texts_over_several_lines_are_one_row_and_said(tmp_path: Path) -> None:
    content = 'text,label\n"one, two\nthree",a\n"a ""quoted"" word, and more",b\n'
    table = read(tmp_path / "t.csv", content)
    assert table.columns["text"] == ["one, two\nthree", 'a "quoted" word, and more']
    assert table.notes == (
        "t.csv: 1 row goes over several lines, inside quotes (line 2); --quoting none takes each line for a row",
    )
    assert read(tmp_path / "u.csv", '"text","label"\n"Well, hello\nworld","a"\n').columns["text"] == [
        "Well, hello\nworld"
    ]
    assert read(tmp_path / "v.csv", 'text\n"two\nlines"\n', "text").columns["text"] == ["two\nlines"]
    assert read(tmp_path / "v.tsv", 'text\n"two\nlines"\n', "text").columns["text"] == ['"two', 'lines"']


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_what_a_csv_writer_wrote_is_read_back(tmp_path: Path, suffix: str, quoting: Any) -> None:
    rng = random.Random(1)
    signs = ["a", "b", " ", '"', ",", "\t", "\n", "\\", "é", "'"]
    for round_ in range(20):
        rows = [["".join(rng.choices(signs, k=12)) + "x", rng.choice(["no", "yes"])] for _ in range(30)]
        path = tmp_path / f"{round_}{suffix}"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="," if suffix == ".csv" else "\t", quoting=quoting)
            writer.writerows([["text", "label"], *rows])
        assert read_table(path, ["text", "label"]).columns["text"] == [text for text, _ in rows]


def test_backslashes_before_quotes(tmp_path: Path) -> None:
    content = 'text,label\n"he said \\"hi\\", then left",a\n"C:\\new, a path",b\n"ends so \\\\",a\n'
    table = read(tmp_path / "t.csv", content)
    assert table.columns["text"] == ['he said "hi", then left', "C:\\new, a path", "ends so \\"]
    assert "backslash" in table.notes[0]


def test_a_document_may_be_a_field(tmp_path: Path) -> None:
    long = "word, " * 50_000
    assert read(tmp_path / "t.csv", f'text,label\n"{long}",a\n').columns["text"] == [long]


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("t.csv", "text;label\nx, y;a\n", "separated by ';'"),
        ("t.csv", "sep=;\r\ntext;label\r\nx, y;a\r\n", "separated by ';'"),
        ("t.csv", "text\tlabel\nx, y\ta\n", "separated by '\\t'"),
        ("t.tsv", 'text,label\n"x, y",a\n', "separated by ','"),
        ("t.csv", "text|label\nx, y|a\n", "separated by '|'"),
    ],
)
def test_the_delimiter_is_seen_from_the_header(tmp_path: Path, name: str, content: str, note: str) -> None:
    table = read(tmp_path / name, content)
    assert table.columns == {"text": ["x, y"], "label": ["a"]}
    assert note in table.notes[0]
    assert table.where == [content.count("\n")]


def test_the_delimiter_can_be_said(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", "text:label\nx, y:a\n", delimiter=":").columns["text"] == ["x, y"]
    assert Form(delimiter="tab") == Form(delimiter="\\t") == Form(delimiter="\t")
    for wrong in ("", ",,", '"', "\n"):
        with pytest.raises(SpecError, match="cannot separate columns"):
            FileTask(train=Path("t.csv"), text="text", label="label", delimiter=wrong)
    with pytest.raises(DataError, match="no delimiters"):
        read(tmp_path / "t.jsonl", '{"text": "x", "label": "a"}\n', delimiter=";")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_with_a_mark_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    content = f"text,label{end}café,a{end}".encode(encoding)
    content = content if not encoding.endswith("le") else b"\xff\xfe" + content
    assert read(tmp_path / "t.csv", content).columns == {"text": ["café"], "label": ["a"]}


def test_blanks_after_delimiters_and_columns_without_a_use(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", 'text, label\n"x, y", "a"\n')
    assert table.columns == {"text": ["x, y"], "label": ["a"]}
    assert read(tmp_path / "u.csv", ",text,label,\n0,x,a,\n").columns == {"text": ["x"], "label": ["a"]}
    with pytest.raises(DataError, match="'label' more than once"):
        read(tmp_path / "v.csv", "text,label,label\nx,a,a\n")
    assert read(tmp_path / "w.csv", "text,n,n,label\nx,1,2,a\n").columns["label"] == ["a"]


def test_a_header_with_quotes_that_are_not_those_of_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: 3 fields"):
        read(tmp_path / "t.csv", '"te"xt,label\nx,a\n"y, z",b\n', "label")


def test_compare_takes_what_is_said_of_a_file(tiny_model: Path, tmp_path: Path) -> None:
    train = tmp_path / "t.csv"
    train.write_text("text#label\n" + '"x#a\ny"#b\n' * 10 + "#a\n")
    asked = ["compare", "--train", train, "--text", "text", "--label", "label", "--model", tiny_model, "--dry-run"]
    form = ["--delimiter", "#", "--quoting", "none"]
    assert "--skip-empty" in tuneworth(*asked, *form).err
    assert tuneworth(*asked, *form, "--skip-empty", "--methods", "head").code == 0
    said = tuneworth(*asked, "--delimiter", "##")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: '##' cannot separate columns")
