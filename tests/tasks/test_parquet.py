"""What a Parquet file unfolds to is bounded before it does."""

from __future__ import annotations

import resource
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tuneworth.errors import DataError
from tuneworth.tasks.parquet import read_bounded
from tuneworth.tasks.tables import read_table


def repeated(value: object, times: int, kind: pa.DataType) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([value], kind))


def test_texts_numbers_gaps_and_row_groups_come_as_they_are(tmp_path: Path) -> None:
    rows = {
        "text": ["a", "b", None, "a", ""] * 3,
        "label": [1, 2, None, 4, 5] * 3,
        "raw": [b"x", None, b"", b"y", b"x"] * 3,
        "parts": [["a"], [], None, ["b", "c"], [None]] * 3,
        "many": ["one", "two", "one", None, "one"] * 3,
    }
    table = pa.table(rows)
    table = table.set_column(4, "many", table["many"].dictionary_encode()).append_column(
        "big", table["text"].cast("large_string")
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    again = read_bounded(tmp_path / "a.parquet", None)
    assert again.to_pydict() == {**rows, "big": rows["text"]}
    assert read_table(tmp_path / "a.parquet", ["label", "text"]).columns == {
        "label": rows["label"],
        "text": rows["text"],
    }
    assert pa.types.is_string(again.schema.field("text").type)


def test_a_bomb_is_refused_by_what_it_says(tmp_path: Path) -> None:
    bombs = {
        "rows": (pa.table({"text": repeated("x", 5_000_001, pa.string())}), "5,000,001 rows"),
        "one long text, often": (pa.table({"text": repeated("x" * 1_000_000, 3000, pa.string())}), "3.0 GB of values"),
        "large": (pa.table({"text": repeated("x" * 1_000_000, 3000, pa.large_string())}), "3.0 GB of values"),
        "raw": (pa.table({"text": repeated(b"x" * 1_000_000, 3000, pa.binary())}), "3.0 GB of values"),
    }
    once = pa.ListArray.from_arrays(pa.array(range(3001), pa.int32()), repeated("x" * 1_000_000, 3000, pa.string()))
    pairs = pa.MapArray.from_arrays(pa.array(range(3001), pa.int32()), pa.array(["k"] * 3000), once.values)
    bombs |= {
        "in lists": (pa.table({"text": once}), "3.0 GB of values"),
        "in a map": (pa.table({"text": pairs}), "3.0 GB of values"),
        "in a struct": (pa.table({"text": pa.StructArray.from_arrays([once], ["a"])}), "3.0 GB of values"),
    }
    for name, (table, said) in bombs.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path, compression="zstd")
        assert path.stat().st_size < 2_000_000
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(DataError, match=f"unpacks to {said}; at most"):
            read_table(path, ["text"])
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, name
