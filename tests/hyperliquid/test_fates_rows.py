"""Rows hold what the table of events says of their kinds, and nothing else."""

from __future__ import annotations

import pytest

from hlhft.events import EVENT_DTYPE, FIELDS, EventFlag, EventKind
from hlhft.hyperliquid import fates_rows
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_records import Placement
from tests.hyperliquid.fate_news import ETH, NOW, SELL, T0, field, fill

AT = NOW + 5
ALWAYS = {"ts_exch_ns", "ts_local_ns", "kind", "flags", "market", "padding"}


def placement() -> Placement:
    one = Placement(1024, 0, 3, ETH, SELL, 1000, 10, T0, False, False, NOW, None)
    one.filled_lots, one.oid, one.code = 4, 77, 21
    return one


EACH: list[tuple[EventKind, Row, dict[str, int]]] = [
    (
        EventKind.ORDER_ACKNOWLEDGED,
        fates_rows.acknowledged(placement(), AT, NOW),
        {"side": -1, "price_ticks": 1000, "size_lots": 6, "aux0": 77, "ts_exch_ns": AT},
    ),
    (
        EventKind.ORDER_FILLED,
        fates_rows.filled(fill(1024, 9, 3, side=SELL), 1024, 3, -2, NOW, is_backfill=True),
        {"side": -1, "price_ticks": 1000, "size_lots": 3, "aux0": 3, "aux1": -2},
    ),
    (
        EventKind.ORDER_ADOPTED,
        fates_rows.adopted(placement(), AT, NOW),
        {"side": -1, "price_ticks": 1000, "size_lots": 6, "aux0": 77, "aux1": 0},
    ),
    (EventKind.ORDER_CANCELLED, fates_rows.cancelled(placement(), 6, AT, NOW), {"size_lots": 6, "aux0": 21}),
    (EventKind.ORDER_CANCELLED, fates_rows.gone(placement(), AT, NOW), {"size_lots": 0, "aux0": 0}),
    (EventKind.ORDER_EXPIRED, fates_rows.expired(placement(), 6, AT, NOW), {"size_lots": 6}),
    (EventKind.ORDER_REJECTED, fates_rows.rejected(placement(), AT, NOW), {"aux0": 21}),
    (EventKind.ORDER_UNKNOWN, fates_rows.unknown(placement(), NOW), {}),
    (EventKind.COMMAND_SEND_FAILED, fates_rows.send_failed(placement(), NOW), {"aux0": 0}),
    (EventKind.CANCEL_REJECTED, fates_rows.cancel_rejected(placement(), 23, NOW), {"aux0": 23}),
]


@pytest.mark.parametrize(("kind", "row", "values"), EACH, ids=lambda one: one.name if hasattr(one, "name") else "")
def test_a_row_has_its_kinds_fields(kind: EventKind, row: Row, values: dict[str, int]) -> None:
    assert len(row) == len(EVENT_DTYPE.names)
    assert field(row, "kind") == kind
    assert (field(row, "order_id"), field(row, "market"), field(row, "ts_local_ns")) == (1024, ETH, NOW)
    for name, value in values.items():
        assert field(row, name) == value
    named = ALWAYS | set(FIELDS[kind])
    assert all(field(row, name) == 0 for name in EVENT_DTYPE.names if name not in named)


def test_an_adopted_order_that_only_reduces_says_so() -> None:
    one = placement()
    one.reduce_only = True
    assert field(fates_rows.adopted(one, AT, NOW), "aux1") == 1


def test_flags_say_who_rested_and_what_is_old() -> None:
    visible = EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE
    made = fates_rows.filled(fill(1024, 9, 3), 1024, 0, 0, NOW, is_backfill=False)
    taken = fates_rows.filled(fill(1024, 9, 3, is_taker=True), 1024, 0, 0, NOW, is_backfill=True)
    assert field(made, "flags") == visible | EventFlag.MAKER
    assert field(taken, "flags") == visible | EventFlag.BACKFILL
    assert field(fates_rows.unknown(placement(), NOW), "flags") == EventFlag.LOCAL_VISIBLE
