"""A scan as a table on disk, a row for each market: Parquet or CSV by the name, the same bytes for the same figures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hlhft.data.errors import DataError
from hlhft.report.scan_results import MarketResult
from hlhft.report.scan_words import flat

SUFFIXES = (".parquet", ".csv")


def write_scan(path: Path, results: Sequence[MarketResult]) -> None:
    """Writes every figure; the file appears when it is complete, an earlier one stays until then.

    `path` ends in one of SUFFIXES. Raises DataError when it cannot be written.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    assert path.suffix in SUFFIXES, "the name says the form"
    table = pa.Table.from_pylist(flat(results))
    partial = path.with_name(f".{path.name}.writing")
    try:
        if path.suffix == ".csv":
            csv.write_csv(table, partial)
        else:
            parquet.write_table(table, partial, compression="zstd")
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        raise DataError(
            path, None, f"the table cannot be written ({error.strerror or error}), give a name in a folder with room"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
