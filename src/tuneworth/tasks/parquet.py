"""Parquet, which packs equal values into nothing: how much a file unfolds to is looked at before it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tuneworth.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 5_000_000
"""Of a file; as Python values, two columns of so many rows take some 2 GB."""
MAX_BYTES = 2_000_000_000
"""Of the columns that are read, unpacked."""


def read_bounded(path: Path, columns: list[str] | None) -> pa.Table:
    """The named columns (None: all). Raises DataError where they are too large, pyarrow's errors where they are damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    if file.metadata.num_rows > MAX_ROWS:
        raise _too_large(path, f"{file.metadata.num_rows:,} rows", f"{MAX_ROWS:,}")
    wanted = set(columns or file.schema_arrow.names)
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    chunks = [chunk for group in groups for chunk in map(group.column, range(group.num_columns))]
    chunks = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in wanted]
    _check_bytes(path, sum(max(chunk.total_uncompressed_size, chunk.num_values) for chunk in chunks))
    leaves = [file.schema.column(number) for number in range(len(file.schema.names))]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.logical_type.type != "DECIMAL"]
    # Each different text once, as it lies in the file, so that one text a million times is measured before it is made; those
    # in lists too.
    packed, read, size = pq.ParquetFile(path, read_dictionary=texts), [], 0
    for number in range(len(groups)):  # pyarrow gives such lists of one group at a time alone
        table = packed.read_row_group(number, columns=columns)
        size += sum(_unfolded(part) for column in table.columns for part in column.chunks)
        _check_bytes(path, size)
        read.append(table.cast(pa.schema([file.schema_arrow.field(name) for name in table.column_names])))
    return pa.concat_tables(read) if read else file.read(columns=columns)


def _unfolded(array: pa.Array) -> int:
    """Bytes of its values, each written out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_struct(kind):
        return sum(map(_unfolded, array.flatten()))
    if pa.types.is_nested(kind):  # lists of all kinds, and maps, which are lists of pairs
        return 8 * len(array) + _unfolded(array.values)
    if not pa.types.is_dictionary(kind):
        return int(array.nbytes)
    return pc.sum(pc.binary_length(array.dictionary).cast("int64").take(array.indices)).as_py() or 0


def _check_bytes(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise _too_large(path, f"{size / 1e9:,.1f} GB of values", f"{MAX_BYTES / 1e9:.0f} GB")


def _too_large(path: Path, has: str, most: str) -> DataError:
    return DataError(f"{str(path)!r} unpacks to {has}; at most {most} are read", "give a sample of its rows")
