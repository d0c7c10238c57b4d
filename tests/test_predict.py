"""Predictions for new texts: the same that the trial's model makes, in the file's order; and every way to be refused."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commands import Said, tuneworth
from families import make_model_dir
from tuneworth.deltas import Predictor

TEXTS = ["a lovely film", "dull, and poor", 'quite "fine"\nthough long', "ünïcode is great", "awful"]


@dataclass(frozen=True)
class Tuned:
    """Deltas of one study each: labels of single texts, labels of pairs, numbers."""

    single: Path
    pair: Path
    number: Path
    model: Path


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    place = tmp_path_factory.mktemp("tuned")
    rng = random.Random(0)
    lines = [
        "first,second,same,grade",
        *(f"film {i} is fine,film {i} is dull,{'yes' if i % 2 else 'no'},{rng.random():.3f}" for i in range(40)),
    ]
    train = place / "films.csv"
    train.write_text("\n".join(lines) + "\n")

    def tune(name: str, *columns: str) -> Path:
        said = tuneworth(
            "compare", "--train", train, "--model", tiny_model, "--methods", "full", "--budget", "4steps", "--seeds", "1",
            "--tune", "1", "--workers", "1", "--store", place / "s.db", "--name", name, *columns,
        )  # fmt: skip
        assert said.code == 0, said
        (row,) = json.loads(tuneworth("results", name, "--format", "json", "--store", place / "s.db").out)
        return Path(row["delta_path"])

    return Tuned(
        single=tune("single", "--text", "first", "--label", "same"),
        pair=tune("pair", "--text", "first", "--text-pair", "second", "--label", "same"),
        number=tune("number", "--text", "first", "--label", "grade"),
        model=tiny_model,
    )


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


def predict(delta: Path, source: Path, target: Path, *more: str) -> Said:
    return tuneworth("predict", delta, "--input", source, "--output", target, *more)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_labels_for_every_row_in_order(tuned: Tuned, tmp_path: Path, suffix: str) -> None:
    source = write(tmp_path / "new.csv", [{"id": str(i), "first": text} for i, text in enumerate(TEXTS)])
    target = tmp_path / f"out.{suffix}"
    said = predict(tuned.single, source, target)
    assert said.code == 0, said
    assert said.out.splitlines()[0] == f"5 predictions: {target}"
    expected = Predictor(tuned.single).predict(TEXTS)
    found = read(target)
    assert [list(row) for row in found] == 5 * [["id", "first", "label", "confidence"]]
    assert [row["id"] for row in found] == list("01234")
    assert [row["first"] for row in found] == TEXTS
    assert [row["label"] for row in found] == [answer["label"] for answer in expected]
    assert [float(row["confidence"]) for row in found] == [answer["score"] for answer in expected]
    assert sorted(tmp_path.iterdir()) == sorted([source, target])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_column_for_the_probability_of_each_class(tuned: Tuned, tmp_path: Path, suffix: str) -> None:
    source, target = write(tmp_path / "new.jsonl", [{"first": text} for text in TEXTS]), tmp_path / f"out.{suffix}"
    assert predict(tuned.single, source, target, "--probabilities").code == 0
    for row in read(target):
        assert list(row) == ["first", "label", "confidence", "probability_no", "probability_yes"]
        probabilities = {name: float(row[f"probability_{name}"]) for name in ("no", "yes")}
        assert sum(probabilities.values()) == pytest.approx(1)
        assert float(row["confidence"]) == max(probabilities.values()) == probabilities[row["label"]]


def test_a_number_has_no_probabilities(tuned: Tuned, tmp_path: Path) -> None:
    source = write(tmp_path / "new.jsonl", [{"first": "a"}])
    refused(predict(tuned.number, source, tmp_path / "out.csv", "--probabilities"), "leave out --probabilities")
    assert predict(tuned.number, source, tmp_path / "out.jsonl").code == 0
    assert list(read(tmp_path / "out.jsonl")[0]) == ["first", "label"]


def test_columns_that_the_input_has_are_not_overwritten(tuned: Tuned, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", [{"label": "gold", "first": "a", "Confidence": "high"}])
    said = predict(tuned.single, source, tmp_path / "out.csv")
    (row,) = read(tmp_path / "out.csv")
    assert list(row) == ["label", "first", "Confidence", "predicted_label", "predicted_confidence"]
    assert (row["label"], row["Confidence"]) == ("gold", "high")
    assert "predicted_label, predicted_confidence: the input has" in said.out
    assert predict(tuned.single, source, tmp_path / "text.jsonl", "--text", "label").code == 0
    assert read(tmp_path / "text.jsonl")[0]["label"] == "gold"
    assert predict(tuned.single, tmp_path / "out.csv", tmp_path / "again.csv").code == 0
    assert len(read(tmp_path / "again.csv")[0]) == 7


def test_values_keep_their_types_where_the_format_has_them(tuned: Tuned, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    given = pa.table(
        {"id": pa.array([7, None], pa.int16()), "first": ["a", "b"], "tags": [["x", "é"], []], "raw": [b"\0", b""]}
    )
    source = tmp_path / "new.parquet"
    pq.write_table(given, source)
    assert predict(tuned.single, source, tmp_path / "out.parquet").code == 0
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.select(given.column_names).cast(given.schema) == given
    assert out.select(given.column_names).schema.types == given.schema.types
    for suffix in ("csv", "jsonl"):
        refused(predict(tuned.single, source, tmp_path / f"out.{suffix}"), "holds bytes", ".parquet")
    pq.write_table(given.drop_columns("raw"), source)
    assert predict(tuned.single, source, tmp_path / "out.csv").code == 0
    assert [(row["id"], row["tags"]) for row in read(tmp_path / "out.csv")] == [("7", '["x", "é"]'), ("", "[]")]
    assert predict(tuned.single, source, tmp_path / "out.jsonl").code == 0
    assert [(row["id"], row["tags"]) for row in read(tmp_path / "out.jsonl")] == [(7, ["x", "é"]), (None, [])]


def test_json_objects_keep_their_keys(tuned: Tuned, tmp_path: Path) -> None:
    source = tmp_path / "new.jsonl"
    source.write_text(
        '{"first": "a", "id": 1, "meta": {"x": [1.50, null]}}\n\n{"id": "two", "first": "b", "half": "\\ud83d"}\n'
    )
    said = predict(tuned.single, source, tmp_path / "out.jsonl")
    assert said.code == 0, said
    rows = [list(row.items())[:3] for row in read(tmp_path / "out.jsonl")]
    assert rows[0] == [("first", "a"), ("id", 1), ("meta", {"x": [1.5, None]})]
    assert rows[1] == [("first", "b"), ("id", "two"), ("half", "\ud83d")]
    refused(predict(tuned.single, source, tmp_path / "out.csv"), "half", "emoji", ".jsonl")
    refused(predict(tuned.single, source, tmp_path / "out.parquet"), "Parquet cannot hold", ".jsonl")
    assert not (tmp_path / "out.csv").exists()


def test_rows_without_a_text_stay_and_get_no_label(tuned: Tuned, tmp_path: Path) -> None:
    source = write(
        tmp_path / "gap.csv", [{"id": "0", "first": "a"}, {"id": "1", "first": " "}, {"id": "2", "first": "c"}]
    )
    for suffix in ("csv", "jsonl", "parquet"):
        said = predict(tuned.single, source, tmp_path / f"out.{suffix}", "--probabilities")
        assert said.out.startswith("2 predictions: ")
        assert "1 of 3 rows (line 3) without a text: no label there" in said.out
        found = read(tmp_path / f"out.{suffix}")
        assert [row["id"] for row in found] == ["0", "1", "2"]
        assert [bool(row["label"]) and bool(row["probability_yes"]) for row in found] == [True, False, True]
    refused(
        predict(tuned.single, write(tmp_path / "none.csv", [{"id": "0", "first": ""}]), tmp_path / "n.csv"),
        "no text in 'first'",
    )


def test_every_line_of_a_file_with_stray_quotes_is_a_row(tuned: Tuned, tmp_path: Path) -> None:
    source, target = tmp_path / "quotes.tsv", tmp_path / "out.tsv"
    texts = [f"visit {i}" for i in range(12)]
    texts[3], texts[8] = '"visit 3', 'visit 8"'
    source.write_text("id\tfirst\n" + "".join(f"{i}\t{text}\n" for i, text in enumerate(texts)))
    said = predict(tuned.single, source, target)
    assert [row["first"] for row in read(target)] == texts
    assert "quotes.tsv: quotes were read as characters" in said.out
    assert "8 predictions" not in predict(tuned.single, source, tmp_path / "o.csv", "--quoting", "none").out
    assert predict(tuned.single, source, tmp_path / "o.csv", "--quoting", "double").out.startswith("7 predictions")


def test_columns_of_one_name_are_kept_where_the_format_has_them(tuned: Tuned, tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text(",n,first,n\n0,1,a,2\n")
    assert predict(tuned.single, source, tmp_path / "out.csv").code == 0
    assert (tmp_path / "out.csv").read_text().startswith(",n,first,n,label,confidence\n0,1,a,2,")
    refused(predict(tuned.single, source, tmp_path / "out.jsonl"), "'n' more than once", ".csv or .tsv")


def test_pairs(tuned: Tuned, tmp_path: Path) -> None:
    rows = [{"first": text, "second": other} for text, other in zip(TEXTS, reversed(TEXTS), strict=True)]
    source = write(tmp_path / "new.jsonl", rows)
    assert predict(tuned.pair, source, tmp_path / "out.csv").code == 0
    expected = Predictor(tuned.pair).predict(TEXTS, TEXTS[::-1])
    found = read(tmp_path / "out.csv")
    assert [(row["first"], row["second"]) for row in found] == [tuple(row.values()) for row in rows]
    assert [row["label"] for row in found] == [answer["label"] for answer in expected]


def test_numbers_are_on_the_scale_of_the_training_targets(tuned: Tuned, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", [{"words": text} for text in TEXTS])
    assert predict(tuned.number, source, tmp_path / "out.csv", "--text", "words").code == 0
    found = read(tmp_path / "out.csv")
    assert [float(row["label"]) for row in found] == [row["label"] for row in Predictor(tuned.number).predict(TEXTS)]
    assert all(-1 < float(row["label"]) < 2 for row in found)  # the targets are uniform on (0, 1)


def test_more_rows_than_fit_into_one_go(tuned: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "new.csv", [{"first": text} for text in TEXTS])
    assert predict(tuned.single, source, tmp_path / "whole.jsonl").code == 0
    monkeypatch.setattr("tuneworth.predict.CHUNK", 2)
    assert predict(tuned.single, source, tmp_path / "parts.jsonl").code == 0
    whole, parts = read(tmp_path / "whole.jsonl"), read(tmp_path / "parts.jsonl")
    assert [row["label"] for row in whole] == [row["label"] for row in parts]
    assert [row["confidence"] for row in whole] == pytest.approx(
        [row["confidence"] for row in parts], abs=0.01
    )  # bf16: padding


def test_a_base_model_that_moved_is_found_with_an_option(tuned: Tuned, tmp_path: Path) -> None:
    delta, moved = tmp_path / "delta", shutil.copytree(tuned.model, tmp_path / "moved")
    shutil.copytree(tuned.single, delta)
    info = json.loads((delta / "delta.json").read_text())
    (delta / "delta.json").write_text(json.dumps({**info, "base": str(tmp_path / "nowhere")}))
    source = write(tmp_path / "new.csv", [{"first": text} for text in TEXTS])
    refused(predict(delta, source, tmp_path / "out.csv"), "nowhere")
    assert predict(delta, source, tmp_path / "out.csv", "--model", str(moved)).code == 0


def refused(said: Said, *words: str) -> None:
    assert said.code == 2, said
    lines = said.err.strip().splitlines()
    assert len(lines) == 2, said.err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in said.err


def test_columns_that_are_missing(tuned: Tuned, tmp_path: Path) -> None:
    source, target = write(tmp_path / "new.csv", [{"frist": "a", "b": "b"}]), tmp_path / "out.csv"
    refused(predict(tuned.single, source, target), "no column 'first'", "did you mean 'frist'")
    refused(predict(tuned.single, source, target, "--text", "a"), "no column 'a'")
    refused(predict(tuned.pair, source, target, "--text", "frist"), "no column 'second'")
    refused(predict(tuned.pair, source, target, "--text", "b", "--text-pair", "b"), "'b' is used for two things")
    assert not target.exists()


def test_a_second_text_for_a_delta_of_single_texts(tuned: Tuned, tmp_path: Path) -> None:
    source, target = write(tmp_path / "new.csv", [{"first": "a", "b": "b"}]), tmp_path / "out.csv"
    refused(predict(tuned.single, source, target, "--text-pair", "b"), "single texts", "--text-pair")


def test_a_delta_of_a_registered_task_does_not_know_the_columns(tuned: Tuned, tmp_path: Path) -> None:
    delta = Path(shutil.copytree(tuned.pair, tmp_path / "delta"))
    info = json.loads((delta / "delta.json").read_text())
    (delta / "delta.json").write_text(json.dumps({**info, "columns": []}))
    source, target = write(tmp_path / "new.csv", [{"a": "a", "b": "b"}]), tmp_path / "out.csv"
    refused(predict(delta, source, target), "which column holds the texts?", "--text and --text-pair")
    refused(predict(delta, source, target, "--text", "a"), "second texts", "--text-pair")
    assert predict(delta, source, target, "--text", "a", "--text-pair", "b").code == 0


def test_input_files(tuned: Tuned, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    refused(predict(tuned.single, tmp_path / "no.csv", target), "no.csv")
    (tmp_path / "empty.csv").touch()
    refused(predict(tuned.single, tmp_path / "empty.csv", target), "empty.csv' is empty")
    (tmp_path / "latin.csv").write_bytes(b"first\ncaf\xe9\n")
    refused(predict(tuned.single, tmp_path / "latin.csv", target), "not UTF-8", "line 2")
    (tmp_path / "half.jsonl").write_text('{"first": "a"}\n{"first": "cut \\ud83d"}\n')
    refused(predict(tuned.single, tmp_path / "half.jsonl", target), "'first' holds half a character", "(line 2)")
    assert not target.exists()


def test_output_files(tuned: Tuned, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", [{"first": "a"}])
    refused(predict(tuned.single, source, tmp_path / "out.xlsx"), "'.xlsx'", ".csv, .tsv, .jsonl, .parquet or .conll")
    refused(predict(tuned.single, source, tmp_path / "no" / "out.csv"), "no directory", "make it first")
    (tmp_path / "folder.csv").mkdir()
    refused(predict(tuned.single, source, tmp_path / "folder.csv"), "folder.csv' is a directory")
    assert predict(tuned.single, source, tmp_path / "OUT.CSV").code == 0
    if os.getuid() != 0:  # root may write everywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        refused(predict(tuned.single, source, tmp_path / "closed" / "out.csv"), "cannot write")


def test_an_input_is_not_overwritten_by_a_mistake(tuned: Tuned, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", [{"first": "a"}])
    refused(predict(tuned.single, source, source), "is the input", "another")
    assert read(source) == [{"first": "a"}]


def test_no_delta(tuned: Tuned, tmp_path: Path) -> None:
    source, target = write(tmp_path / "new.csv", [{"first": "a"}]), tmp_path / "out.csv"
    refused(predict(tmp_path / "nowhere", source, target), "there is no directory", "nowhere'", socket.gethostname())
    refused(predict(tuned.model, source, target), "is no delta", "delta_path")


@pytest.mark.parametrize("name", ["delta.safetensors", "delta.json"])
@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_delta(tuned: Tuned, tmp_path: Path, name: str, size: int) -> None:
    delta = Path(shutil.copytree(tuned.single, tmp_path / "delta"))
    content = (delta / name).read_bytes()
    (delta / name).write_bytes(content.rstrip()[:size])
    source = write(tmp_path / "new.csv", [{"first": "a"}])
    refused(predict(delta, source, tmp_path / "out.csv"), name)
    assert not (tmp_path / "out.csv").exists()


def test_a_delta_for_another_base_model(tuned: Tuned, tmp_path: Path) -> None:
    other = make_model_dir("bert", tmp_path / "other", seed=1)
    source = write(tmp_path / "new.csv", [{"first": "a"}])
    refused(predict(tuned.single, source, tmp_path / "out.csv", "--model", str(other)),
            "was made for", "not for", "the right base with --model")  # fmt: skip


def test_an_unknown_device(tuned: Tuned, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", [{"first": "a"}])
    refused(predict(tuned.single, source, tmp_path / "out.csv", "--device", "gpu"), "unknown device 'gpu'")
