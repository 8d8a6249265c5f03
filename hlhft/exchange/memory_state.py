"""What the exchange remembers as plain values, and back: a graph of records in which one order stands in many places.

An object is written once, as a row of a table, and named by its row wherever it stands; only the classes listed here
are written and made, and a market is named by its row in the listing. What records hold beside that is not kept: it
says how they work, not what they know.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from hlhft.exchange.candles import Candle, Candles
from hlhft.exchange.fill_records import (
    Entry,
    FillRecord,
    FundingRecord,
    LedgerRecord,
    LiquidationNote,
    TradeRecord,
    TwapRequest,
    TwapStatus,
)
from hlhft.exchange.listing import Listed
from hlhft.exchange.memory import AccountRecords, MarketRecords
from hlhft.exchange.order_records import OrderRecord, OrderUpdate
from hlhft.exchange.records import Records
from hlhft.exchange.volumes import DayVolumes, MarketDay

CLASSES: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        AccountRecords,
        Candle,
        Candles,
        DayVolumes,
        Entry,
        FillRecord,
        FundingRecord,
        LedgerRecord,
        LiquidationNote,
        MarketDay,
        MarketRecords,
        OrderRecord,
        TradeRecord,
        TwapRequest,
        TwapStatus,
    )
}
# What Records know, by the names of their fields.
KEPT = ("forgotten", "volumes", "markets", "_accounts", "_orders", "_order_of_client_id", "_liquidations")

_LIST, _TUPLE, _DICT, _DEQUE, _OBJECT, _MARKET, _UPDATE = range(7)
_PLAIN = (bool, int, str, bytes, float, type(None))


def records_state(records: Records) -> dict[str, Any]:
    """Everything that the records know, as plain values for `restore_records`. The names of fields are part of it."""
    writer = _Writer(records)
    kept = {name: writer.written(getattr(records, name)) for name in KEPT}
    return {"kept": kept, "objects": writer.objects}


def restore_records(records: Records, state: Mapping[str, Any]) -> None:
    """Gives the records, which know nothing yet, what `state` told. Raises ValueError when it is not of this kind."""
    reader = _Reader(records, state["objects"])
    if set(state["kept"]) != set(KEPT):
        raise ValueError("the state's memory has other parts than this exchange's")
    for name, value in state["kept"].items():
        setattr(records, name, reader.read(value))


def _fields(kind: type) -> tuple[str, ...]:
    """The names of what an object of this class holds, where it has slots."""
    return tuple(name for name in getattr(kind, "__slots__", ()) if name != "__dict__")


class _Writer:
    def __init__(self, records: Records) -> None:
        self.objects: list[list[Any]] = []
        self._row_of: dict[int, int] = {}  # by identity; all objects stay alive meanwhile
        self._markets = {id(listed): row for row, listed in enumerate(records.listing.markets)}

    def written(self, value: Any) -> Any:
        """The value, or a list that begins with what it is."""
        if type(value) in _PLAIN:
            return value
        if isinstance(value, msgspec.Raw):
            return None  # an encoding of what is there besides
        if isinstance(value, Listed):
            return [_MARKET, self._markets[id(value)]]
        if isinstance(value, OrderUpdate):
            return [_UPDATE, *map(self.written, value)]
        if isinstance(value, list):
            return [_LIST, *map(self.written, value)]
        if isinstance(value, tuple):
            return [_TUPLE, *map(self.written, value)]
        if isinstance(value, dict):
            return [_DICT, *(self.written(part) for pair in value.items() for part in pair)]
        if isinstance(value, deque):
            return [_DEQUE, value.maxlen, *map(self.written, value)]
        return [_OBJECT, self._row(value)]

    def _row(self, value: object) -> int:
        row = self._row_of.get(id(value))
        if row is None:
            kind = type(value)
            assert CLASSES.get(kind.__name__) is kind, f"a {kind.__name__} is no record"
            row = self._row_of[id(value)] = len(self.objects)
            self.objects.append([kind.__name__])
            names = _fields(kind) or tuple(vars(value))
            for name in names:
                self.objects[row] += [name, self.written(getattr(value, name))]
        return row


class _Reader:
    def __init__(self, records: Records, objects: list[list[Any]]) -> None:
        self._listing = records.listing
        for row in objects:
            if row[0] not in CLASSES:
                raise ValueError(f"the state's memory has a {row[0]}, which is no record of this exchange")
        # All objects are there before any is filled, since they name each other.
        self._made = [object.__new__(CLASSES[row[0]]) for row in objects]
        for made, row in zip(self._made, objects):
            for name, value in zip(row[1::2], row[2::2]):
                object.__setattr__(made, name, self.read(value))

    def read(self, value: Any) -> Any:
        """What `written` wrote."""
        if not isinstance(value, list):
            return value
        kind, rest = value[0], value[1:]
        if kind == _OBJECT:
            return self._made[rest[0]]
        if kind == _MARKET:
            return self._listing.markets[rest[0]]
        if kind == _DEQUE:
            return deque(map(self.read, rest[1:]), maxlen=rest[0])
        parts = [self.read(part) for part in rest]
        if kind == _DICT:
            return dict(zip(parts[::2], parts[1::2]))
        if kind == _UPDATE:
            return OrderUpdate(*parts)
        return tuple(parts) if kind == _TUPLE else parts
