"""Columns to event records, compiled: each record is written once, whole."""

from __future__ import annotations

from typing import Any

from hlhft.compiled import compiled


@compiled
def fill_records(
    out: Any,
    first: Any,
    market: Any,
    exch: Any,
    local: Any,
    kinds: Any,
    flags: Any,
    sides: Any,
    ticks: Any,
    lots: Any,
    orders: Any,
    aux0: Any,
    aux1: Any,
) -> None:
    """Writes the rows of the columns to `out` from place `first` on; what has no column is zero."""
    for index in range(len(exch)):
        place = first + index
        out[place]["ts_exch_ns"] = exch[index]
        out[place]["ts_local_ns"] = local[index]
        out[place]["price_ticks"] = ticks[index]
        out[place]["size_lots"] = lots[index]
        out[place]["order_id"] = orders[index]
        out[place]["aux0"] = aux0[index]
        out[place]["aux1"] = aux1[index]
        out[place]["kind"] = kinds[index]
        out[place]["flags"] = flags[index]
        out[place]["market"] = market
        out[place]["side"] = sides[index]
        out[place]["padding"] = 0
