"""Fills, funding payments and sampled state of a run as Parquet: what a reader's own analysis starts from.

Integers are exact (ticks, lots, nanoseconds, micro-USDC); `price`, `size` and `mid` are the same in the market's units.
Null is what is unknown or does not apply. DuckDB, polars and pandas read the files as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.report.attribution import FUNDING_KIND
from hlhft.report.markouts import HORIZONS_NS, REASONS
from hlhft.report.results import ScenarioResult

Columns = dict[str, Any]  # of pyarrow arrays


def blotter(scenarios: Sequence[ScenarioResult]) -> Columns:
    """Fills and funding payments of all scenarios, in order of our learning of them within each.

    `queue_ahead_*_lots` are the queue model's estimates when the order joined and when the fill came, `mid` the venue's
    at the fill and `mid_after_*` later.
    """
    log = np.concatenate([one.lane.log for one in scenarios])
    later = np.concatenate([one.mid_half_ticks for one in scenarios])
    markets = scenarios[0].lane.markets
    # Divided, not multiplied by an inexact tick: then 618079 is 61807.9 and not its neighbour.
    ticks = np.array([10.0**market.price_decimals for market in markets])[log["market"]]
    lots = np.array([10.0**market.size_decimals for market in markets])[log["market"]]
    fills = log["kind"] != FUNDING_KIND
    resting = fills & (log["maker"] == 1)
    columns = _identity(scenarios, [len(one.lane.log) for one in scenarios], log["market"])
    columns["kind"] = words(fills.astype(np.int64), {0: "funding", 1: "fill"})
    columns["side"] = words(log["side"], {1: "buy", -1: "sell", 0: "none"})
    columns["reason"] = words(np.where(fills, log["reason"], 0), {0: "none", **REASONS})
    columns["maker"] = column(log["maker"] == 1, fills)
    for name in ("ts_exch_ns", "ts_local_ns", "order_id", "price_ticks", "size_lots"):
        columns[name] = column(log[name])
    columns["placed_ns"] = column(log["placed_ns"], resting)
    columns["price"], columns["size"] = column(log["price_ticks"] / ticks), column(log["size_lots"] / lots)
    columns["fee_micro"] = column(log["aux1"], fills)
    columns["funding_micro"] = column(log["aux0"], ~fills)
    columns["queue_ahead_at_entry_lots"] = column(log["front_at_entry"], resting)
    columns["queue_ahead_at_fill_lots"] = column(np.maximum(log["front"], 0.0), resting)
    columns["mid"] = column(log["mid_half_ticks"] / (2.0 * ticks), fills & (log["mid_half_ticks"] > 0))
    for place, horizon_ns in enumerate(HORIZONS_NS):
        mid = later[:, place]
        columns[f"mid_after_{horizon_ns // 1_000_000}_ms"] = column(mid / (2.0 * ticks), fills & (mid > 0))
    return columns


def records(scenarios: Sequence[ScenarioResult]) -> Columns:
    """The sampled state of all scenarios, fields as in RECORD_DTYPE."""
    log = np.concatenate([one.lane.records for one in scenarios])
    columns = _identity(scenarios, [len(one.lane.records) for one in scenarios], log["market"])
    for name in log.dtype.names or ():
        if name not in ("lane", "market"):
            columns[name] = column(log[name])
    return columns


def _identity(scenarios: Sequence[ScenarioResult], counts: Sequence[int], market: np.ndarray) -> Columns:
    """Which scenario and market each row belongs to, by name."""
    numbers = np.repeat(np.arange(len(scenarios)), counts)
    return {
        "scenario": words(numbers, {index: one.name for index, one in enumerate(scenarios)}),
        "market": words(market, {index: one.name for index, one in enumerate(scenarios[0].lane.markets)}),
    }


# Columns are made from buffers: pyarrow's own conversion imports pandas wherever that is installed, which takes longer
# than a whole replay.


def column(values: np.ndarray, known: np.ndarray | None = None) -> Any:
    """A column of int32, int64, float64 or bool; null where `known` (bool) is false."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    kind = {"i": pa.int64(), "f": pa.float64(), "b": pa.bool_()}[values.dtype.kind]
    if values.dtype == np.int32:
        kind = pa.int32()
    valid = None if known is None else _bits(known)
    data = _bits(values) if values.dtype.kind == "b" else pa.py_buffer(values)
    return pa.Array.from_buffers(kind, len(values), [valid, data])


def _bits(values: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(values, bitorder="little"))


def words(codes: np.ndarray, names: Mapping[int, str]) -> Any:
    """Codes as a dictionary-encoded column of their names; every code has one."""
    import pyarrow as pa

    known = sorted(names)
    texts = [names[code].encode() for code in known]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int32)
    dictionary = pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts)))
    places = np.searchsorted(known, codes).astype(np.int32)
    return pa.DictionaryArray.from_arrays(column(places), dictionary)


def write_columns(path: Path, columns: Columns, stamp: str = "") -> None:
    """Writes the columns as Parquet, zstd, the same bytes for the same columns; its metadata bear the stamp, if any."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    if stamp:
        table = table.replace_schema_metadata({"stamp": stamp})
    parquet.write_table(table, path, compression="zstd")
