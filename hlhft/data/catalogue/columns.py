"""Events as Parquet columns and back, without loss.

All kinds of events have the same columns, the fields of the event record under their own names; its `kind` is called
`event`, because kind is the partition. What a column of the record never needs is not kept: `market` is the part's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from hlhft.data.catalogue.layout import BOOK, FILL
from hlhft.data.catalogue.records import fill_records
from hlhft.data.merge import Events, put_rows
from hlhft.events import EVENT_DTYPE

# Small, so that reading streams and what is being converted stays in the processor's cache.
ROW_GROUP_ROWS = 65_536
COLUMNS: dict[str, tuple[str, pa.DataType]] = {
    # Column: the record's field, and the narrowest type that holds whatever a record of market data holds.
    "ts_exch_ns": ("ts_exch_ns", pa.int64()),
    "ts_local_ns": ("ts_local_ns", pa.int64()),
    "event": ("kind", pa.uint8()),
    "flags": ("flags", pa.uint8()),
    "side": ("side", pa.int8()),
    "price_ticks": ("price_ticks", pa.int32()),
    "size_lots": ("size_lots", pa.int64()),
    "order_id": ("order_id", pa.int64()),
    "aux0": ("aux0", pa.int64()),
    "aux1": ("aux1", pa.int64()),
}
EVENTS_SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, (_, kind) in COLUMNS.items()])

# Chosen by measurement (docs/catalogue.md): of the encodings that every reader knows, the smallest that is also among
# the fastest. Pictures repeat a time forty times over, which zstd sees at once; lone messages do not.
_DICTIONARY = "dictionary"
_BOOK_ENCODINGS = {
    "ts_exch_ns": "PLAIN",
    "ts_local_ns": "PLAIN",
    "event": "PLAIN",
    "flags": "PLAIN",
    "side": "PLAIN",
    "price_ticks": "DELTA_BINARY_PACKED",
    "size_lots": "DELTA_BINARY_PACKED",
    "order_id": _DICTIONARY,
    "aux0": _DICTIONARY,
    "aux1": "DELTA_BINARY_PACKED",
}
_OTHER_ENCODINGS = {
    **_BOOK_ENCODINGS,
    "ts_exch_ns": "DELTA_BINARY_PACKED",
    "ts_local_ns": "DELTA_BINARY_PACKED",
    "order_id": "DELTA_BINARY_PACKED",
    "aux0": "DELTA_BINARY_PACKED",
}
_ZSTD_LEVEL = 3
_BLOCK_ROWS = 2_048  # of records, whose cache lines all columns share
_FIELD_RANGES = (("kind", 0, 255), ("flags", 0, 255), ("price_ticks", -(2**31), 2**31 - 1))


def writing_options(kind: str) -> dict[str, Any]:
    """Arguments of pyarrow.parquet.ParquetWriter for parts of that kind.

    Checksums let reading notice a damaged page.
    """
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": _ZSTD_LEVEL,
        "write_page_checksum": True,
        "store_schema": False,
    }
    if kind == FILL:
        return options
    encodings = _BOOK_ENCODINGS if kind == BOOK else _OTHER_ENCODINGS
    return {
        **options,
        "use_dictionary": [name for name, encoding in encodings.items() if encoding == _DICTIONARY],
        "column_encoding": {name: encoding for name, encoding in encodings.items() if encoding != _DICTIONARY},
    }


class Columns:
    """Room for one row group, filled from records and emptied as a batch."""

    def __init__(self) -> None:
        self._arrays = {
            name: np.zeros(ROW_GROUP_ROWS, dtype=kind.to_pandas_dtype()) for name, (_, kind) in COLUMNS.items()
        }
        self.rows = 0

    def take(self, events: Events) -> int:
        """Takes the first of these rows, as many as there is room for; returns how many. `market` is left out.

        Raises ValueError for what no record of market data holds: kind and flags above 255, a price outside 32 bits.
        """
        taken = min(len(events), ROW_GROUP_ROWS - self.rows)
        for start in range(0, taken, _BLOCK_ROWS):
            block = events[start : min(start + _BLOCK_ROWS, taken)]
            for field, low, high in _FIELD_RANGES:
                if not low <= int(block[field].min()) <= int(block[field].max()) <= high:
                    raise ValueError(f"a {field} is outside {low} to {high}, as no market data's is")
            begin, end = self.rows + start, self.rows + start + len(block)
            for name, (field, _) in COLUMNS.items():
                self._arrays[name][begin:end] = block[field]
        self.rows += taken
        return taken

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another row."""
        return self.rows == ROW_GROUP_ROWS

    def batch(self) -> pa.RecordBatch:
        """The rows as EVENTS_SCHEMA, valid until the next `take`; the room is empty again."""
        arrays = [pa.array(array[: self.rows]) for array in self._arrays.values()]
        self.rows = 0
        return pa.RecordBatch.from_arrays(arrays, schema=EVENTS_SCHEMA)


def events_of(batch: pa.RecordBatch, market: int = 0, *, before: Events | None = None) -> Events:
    """The columns as event records of `market`, behind those of `before`; the inverse of `Columns`."""
    begin = 0 if before is None else len(before)
    events = np.empty(begin + batch.num_rows, dtype=EVENT_DTYPE)
    if before is not None:
        put_rows(events, before)
    fill_records(
        events, begin, market, *(batch.column(name).to_numpy(zero_copy_only=True) for name in EVENTS_SCHEMA.names)
    )
    return events
