"""Events as Parquet columns and back, without loss.

All kinds of events have the same columns, the fields of the event record under their own names; its `kind` is called
`event`, because kind is the partition. What a column of the record never needs is not kept: `market` is the part's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from hlhft.data.merge import Events
from hlhft.events import EVENT_DTYPE

ROW_GROUP_ROWS = 262_144
COLUMNS: dict[str, tuple[str, pa.DataType]] = {
    # Column: the record's field, and the narrowest type that holds whatever a record of market data holds.
    "ts_exch_ns": ("ts_exch_ns", pa.int64()),
    "ts_local_ns": ("ts_local_ns", pa.int64()),
    "event": ("kind", pa.uint8()),
    "flags": ("flags", pa.uint8()),
    "side": ("side", pa.int8()),
    "price_ticks": ("price_ticks", pa.int64()),
    "size_lots": ("size_lots", pa.int64()),
    "order_id": ("order_id", pa.int64()),
    "aux0": ("aux0", pa.int64()),
    "aux1": ("aux1", pa.int64()),
}
EVENTS_SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, (_, kind) in COLUMNS.items()])
# For pyarrow.parquet.ParquetWriter. Checksums make reading notice a damaged page.
WRITING: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_page_checksum": True,
    "store_schema": False,
}


def batch_of(events: Events) -> pa.RecordBatch:
    """The rows as columns of EVENTS_SCHEMA; `market` is left out. Kind and flags must be below 256 (ValueError)."""
    for name in ("kind", "flags"):
        if len(events) and int(events[name].max()) > 255:
            raise ValueError(f"{name} {int(events[name].max())} does not fit a byte: no market data")
    arrays = [
        pa.array(np.ascontiguousarray(events[field]).astype(kind.to_pandas_dtype(), copy=False))
        for field, kind in COLUMNS.values()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENTS_SCHEMA)


def events_of(table: pa.Table | pa.RecordBatch) -> Events:
    """The columns as event records of market 0; the inverse of `batch_of`."""
    events = np.zeros(table.num_rows, dtype=EVENT_DTYPE)
    for name, (field, _) in COLUMNS.items():
        column = table.column(name)
        done = 0
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            events[field][done : done + len(chunk)] = chunk.to_numpy(zero_copy_only=True)
            done += len(chunk)
    return events
