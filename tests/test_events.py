"""The event record: 64 bytes, one row of the table a kind, values that are on disk."""

from __future__ import annotations

import numpy as np

from hlhft.events import EVENT_DTYPE, FIELDS, EventFlag, EventKind, Side, empty

COMMON = {"ts_exch_ns", "ts_local_ns", "kind", "flags", "market", "padding"}


def test_a_record_is_sixty_four_bytes_without_holes() -> None:
    assert EVENT_DTYPE.itemsize == 64
    assert sum(EVENT_DTYPE[name].itemsize for name in EVENT_DTYPE.names or ()) == 64


def test_every_kind_says_what_it_puts_where() -> None:
    assert set(FIELDS) == set(EventKind)
    fields = set(EVENT_DTYPE.names or ()) - COMMON
    for kind, row in FIELDS.items():
        assert set(row) <= fields, kind.name
        assert all(text and text == text.strip() for text in row.values()), kind.name


def test_kinds_fit_their_field_and_keep_their_numbers() -> None:
    """Journals and catalogues hold these numbers: a changed one makes old files lie."""
    assert {kind.name: kind.value for kind in EventKind} == {
        "NONE": 0,
        "DEPTH_LEVEL": 1,
        "DEPTH_CLEAR": 2,
        "SNAPSHOT_BEGIN": 3,
        "SNAPSHOT_END": 4,
        "BBO": 5,
        "TRADE": 6,
        "ASSET_CONTEXT": 7,
        "ORDER_ACKNOWLEDGED": 16,
        "ORDER_REJECTED": 17,
        "ORDER_FILLED": 18,
        "ORDER_CANCELLED": 19,
        "ORDER_EXPIRED": 20,
        "ORDER_UNKNOWN": 21,
        "CANCEL_REJECTED": 22,
        "ORDER_WAITING": 23,
        "ORDER_TRIGGERED": 24,
        "TWAP_STATE": 25,
        "ORDER_ADOPTED": 26,
        "COMMAND_SENT": 32,
        "COMMAND_SEND_FAILED": 33,
        "COMMAND_REFUSED": 34,
        "ACCOUNT_STATE": 48,
        "LEDGER_TRANSFER": 49,
        "FUNDING_PAYMENT": 50,
        "FEE_CHANGE": 51,
        "LEVERAGE_CHANGE": 52,
        "ACTION_DONE": 53,
        "ACTION_REFUSED": 54,
        "LIQUIDATION": 55,
        "ADDRESS_ACTIONS": 56,
        "SIGNAL": 64,
        "TIMER": 65,
        "CONNECTION_UP": 66,
        "CONNECTION_DOWN": 67,
        "VENUE_MODE": 68,
        "OPERATOR_COMMAND": 69,
        "MARKET_STATE": 70,
        "POSITION_STATE": 71,
        "EQUITY_STATE": 72,
        "RESTORED": 73,
        "POLICY": 74,
    }
    assert max(EventKind) <= np.iinfo(EVENT_DTYPE["kind"]).max


def test_flags_are_single_bits_of_their_field() -> None:
    values = [flag.value for flag in EventFlag]
    assert values == [1 << place for place in range(len(values))]
    assert max(values) <= np.iinfo(EVENT_DTYPE["flags"]).max


def test_a_side_is_the_sign_of_the_position_change() -> None:
    assert (Side.BUY, Side.SELL, Side.NONE) == (1, -1, 0)


def test_empty_records_are_zero_and_survive_their_bytes() -> None:
    events = empty(3)
    assert events.dtype == EVENT_DTYPE and not events.view(np.uint8).any()
    events["price_ticks"], events["side"], events["kind"] = (1, 2, 3), (1, -1, 0), EventKind.TRADE
    assert np.array_equal(np.frombuffer(events.tobytes(), EVENT_DTYPE), events)
