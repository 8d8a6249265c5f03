"""Parquet files of other people's columns, as blocks of numpy columns: bounded memory, and errors that name the row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter, open_file

ROWS_AT_ONCE = 65_536
Columns = dict[str, NDArray[Any]]
# What pyarrow raises for a file of any content, names of columns that are no text among it.
_DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)


def names_in(path: Path) -> list[str]:
    """The names of the file's columns. Raises DataError when it is missing, empty, or damaged."""
    open_file(path).close()
    try:
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names)
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def blocks(
    path: Path, wanted: Mapping[str, type[np.generic]], *, meter: ProgressMeter | None = None, what: str = ""
) -> Iterator[tuple[int, Columns]]:
    """Yields (number of the first row from 0, the wanted columns as arrays of the type asked for), ROWS_AT_ONCE each.

    Whole numbers may be asked for as int64, and any numbers as float64. Raises DataError for a column that is missing
    or of another kind, an empty cell, or a damaged file.
    """
    open_file(path).close()
    try:
        with pq.ParquetFile(path) as file:
            _check(path, file.schema_arrow, wanted)
            first, rows, size = 0, file.metadata.num_rows, path.stat().st_size
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(wanted)):
                if batch.num_rows == 0:
                    continue
                yield first, {name: _column(path, batch, name, kind, first) for name, kind in wanted.items()}
                first += batch.num_rows
                if meter is not None:
                    meter.at(what or str(path), size * first // max(rows, 1))
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _check(path: Path, schema: pa.Schema, wanted: Mapping[str, type[np.generic]]) -> None:
    for name, kind in wanted.items():
        if name not in schema.names:
            raise DataError(
                path, None, f"column {name} is missing, expected {', '.join(wanted)}, give a file that has them"
            )
        found = schema.field(name).type
        fits = pa.types.is_integer(found) or (kind is np.float64 and pa.types.is_floating(found))
        if not fits:
            expected = "numbers" if kind is np.float64 else "whole numbers"
            raise DataError(path, f"column {name}", f"it holds {found}, expected {expected}, write the file again")


def _column(path: Path, batch: pa.RecordBatch, name: str, kind: type[np.generic], first_row: int) -> NDArray[Any]:
    column = batch.column(name)
    if column.null_count:
        row = first_row + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(path, f"row {row}", f"column {name} is empty, expected a number, drop the row")
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(kind)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        path, None, f"the Parquet file is damaged or cut off ({error}), expected a whole one, download it again"
    )
