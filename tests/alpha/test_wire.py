"""Every message comes back as it was, and bytes that are none are a fault and nothing worse."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha import wire
from hlhft.alpha.schema import LEVELS_MAX, ROW_DTYPE, FeatureSchema
from hlhft.alpha.wire import Fault, Flag, Heartbeat, Kind, Message, Reason, Request, Rows, Signal, decode
from tests.alpha.wired import SCHEMA, SESSION, rows_message, rows_of, signal_of

COINS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=wire.COIN_BYTES)
HASHES = st.binary(min_size=16, max_size=16)
SESSIONS = st.integers(0, 2**64 - 1)
COUNTS = st.integers(0, 2**64 - 1)
MARKETS = st.integers(0, wire.MARKETS_MAX - 1)
POSITIVE = st.integers(0, 2**63 - 1)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
SHARES = st.floats(0, 1, width=32)


@st.composite
def rows_bytes(draw: st.DrawFn) -> bytes:
    is_snapshot = draw(st.booleans())
    market, count = draw(MARKETS), draw(st.integers(0 if is_snapshot else 1, 5))
    heads, values = rows_of(draw(st.integers(0, 2**40)), count, market=market, features=draw(st.integers(1, 6)))
    values[:1, :1] = draw(st.floats(width=32))
    observed = draw(st.integers(0, 4))
    return wire.encode_rows(
        heads, values, schema=draw(HASHES), session=draw(SESSIONS), market=market, coin=draw(COINS),
        observation=np.arange(observed, dtype=np.float32), observation_hash=draw(HASHES), is_snapshot=is_snapshot,
    )  # fmt: skip


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    reason = draw(st.sampled_from(list(Reason)))
    flags = (Flag.ABSTAINS if reason else 0) | draw(st.sampled_from([0, int(Flag.POLICY)]))
    numbers = [draw(POSITIVE) for _ in range(6)]
    action = (draw(INTEGERS), draw(INTEGERS), draw(INTEGERS), draw(INTEGERS))
    return Signal(
        draw(HASHES), draw(SESSIONS), draw(MARKETS), int(flags), int(reason), numbers[0], numbers[1], draw(INTEGERS),
        numbers[2], draw(SHARES), draw(SHARES), draw(SHARES), numbers[3], action, numbers[4], numbers[5],
        draw(POSITIVE),
    )  # fmt: skip


@st.composite
def beats(draw: st.DrawFn) -> Heartbeat:
    return Heartbeat(
        draw(HASHES), draw(SESSIONS), draw(COUNTS), draw(POSITIVE), draw(POSITIVE), draw(POSITIVE), draw(COUNTS),
        draw(COUNTS), draw(COUNTS), draw(COUNTS),
    )  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> Request:
    return Request(draw(HASHES), draw(SESSIONS), draw(MARKETS), draw(COINS), draw(st.integers(1, wire.ROWS_MAX)))


def encode(message: Message) -> bytes:
    """The bytes of what was decoded."""
    if isinstance(message, Signal):
        return wire.encode_signal(message)
    if isinstance(message, Request):
        return wire.encode_request(message)
    if isinstance(message, Heartbeat):
        return wire.encode_heartbeat(message)
    fields: dict[str, Any] = message._asdict()
    return wire.encode_rows(fields.pop("heads"), fields.pop("values"), **fields)


MESSAGES = st.one_of(
    rows_bytes(), signals().map(wire.encode_signal), beats().map(wire.encode_heartbeat),
    requests().map(wire.encode_request),
)  # fmt: skip


@given(signals())
def test_a_signal_comes_back(signal: Signal) -> None:
    assert decode(wire.encode_signal(signal)) == signal


@given(beats())
def test_a_heartbeat_comes_back(beat: Heartbeat) -> None:
    assert decode(wire.encode_heartbeat(beat)) == beat


@given(requests())
def test_a_request_comes_back(request: Request) -> None:
    assert decode(wire.encode_request(request)) == request


def test_rows_come_back() -> None:
    heads, values = rows_of(12, 3, market=2)
    observation = np.array([0.5, -1.0], np.float32)
    found = decode(
        wire.encode_rows(
            heads, values, schema=SCHEMA, session=SESSION, market=2, coin="xyz:TSLA", observation=observation,
            observation_hash=b"\1" * 16,
        )
    )  # fmt: skip
    assert isinstance(found, Rows)
    assert (found.schema, found.session, found.market, found.coin) == (SCHEMA, SESSION, 2, "xyz:TSLA")
    assert (found.heads == heads).all() and (found.values == values).all()
    assert (found.observation == observation).all() and found.observation_hash == b"\1" * 16
    assert not found.is_snapshot
    assert not found.values.flags.writeable


@given(st.data(), MESSAGES)
def test_whatever_is_changed_is_a_fault_or_says_what_it_says(data: st.DataObject, message: bytes) -> None:
    """Cut, lengthened, spliced and with single bytes changed: what is taken for a message is one to the byte."""
    changed = bytearray(message)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    how = data.draw(st.sampled_from(["as it is", "cut", "longer", "spliced"]))
    if how == "cut":
        del changed[data.draw(st.integers(0, len(changed) - 1)) :]
    elif how == "longer":
        changed += data.draw(st.binary(min_size=1, max_size=70))
    elif how == "spliced":
        changed[wire.HEADER_BYTES :] = data.draw(MESSAGES)[wire.HEADER_BYTES :]
    found = decode(bytes(changed))
    assert isinstance(found, Fault) or encode(found) == bytes(changed)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_fault(noise: bytes) -> None:
    assert isinstance(decode(noise), Fault)


def with_field(message: bytes, at: int, layout: str, value: Any) -> bytes:
    changed = bytearray(message)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


BODY = wire.HEADER_BYTES
ROWS = rows_message(0, 2)
HEAD = BODY + 48  # of the first row
ROW = wire.row_dtype(4).itemsize


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (b"", Fault.SIZE),
        (ROWS[: wire.HEADER_BYTES], Fault.SIZE),
        (b"X" + ROWS[1:], Fault.MAGIC),
        (with_field(ROWS, 4, "<H", 2), Fault.VERSION),
        (with_field(ROWS, 6, "<H", 6), Fault.KIND),
        (ROWS[:60], Fault.SIZE),
        (ROWS + b"\0", Fault.SIZE),
        (with_field(ROWS, BODY, "<H", wire.MARKETS_MAX), Fault.COUNT),
        (with_field(ROWS, BODY + 2, "<H", 0), Fault.COUNT),
        (with_field(ROWS, BODY + 2, "<H", 3), Fault.SIZE),
        (with_field(ROWS, BODY + 4, "<H", 0), Fault.COUNT),
        (with_field(ROWS, BODY + 6, "<H", wire.OBSERVATION_MAX + 1), Fault.COUNT),
        (with_field(ROWS, BODY + 8, "<3s", b"\0\0\0"), Fault.COIN),
        (with_field(ROWS, BODY + 8, "<3s", b"B\xffC"), Fault.COIN),
        (with_field(ROWS, BODY + 12, "<B", 65), Fault.COIN),
        (with_field(ROWS, HEAD + 24, "<q", 1), Fault.ORDER),
        (with_field(ROWS, HEAD + 16, "<q", 4), Fault.ORDER),
        (with_field(ROWS, HEAD + 16, "<q", -1), Fault.ORDER),
        (with_field(ROWS, HEAD + ROW + 16, "<q", -(2**63)), Fault.ORDER),
        (wire.encode_signal(signal_of(flags=4)), Fault.COUNT),
        (wire.encode_signal(signal_of(flags=1)), Fault.COUNT),
        (wire.encode_signal(signal_of(reason=3)), Fault.COUNT),
        (wire.encode_signal(signal_of(flags=1, reason=len(Reason))), Fault.COUNT),
        (wire.encode_signal(signal_of(market=wire.MARKETS_MAX)), Fault.COUNT),
        (wire.encode_signal(signal_of(up=float("nan"))), Fault.NUMBER),
        (wire.encode_signal(signal_of(down=-0.1)), Fault.NUMBER),
        (wire.encode_signal(signal_of(sigma_e9=-1)), Fault.NUMBER),
        (wire.encode_signal(signal_of(sequence=-1)), Fault.NUMBER),
        (wire.encode_signal(signal_of())[:-1], Fault.SIZE),
        (wire.encode_request(Request(SCHEMA, 1, 0, "BTC", 5))[:-1], Fault.SIZE),
        (with_field(wire.encode_request(Request(SCHEMA, 1, 0, "BTC", 5)), BODY + 2, "<H", 0), Fault.COUNT),
        (with_field(wire.encode_request(Request(SCHEMA, 1, 0, "BTC", 5)), BODY + 8, "<B", 32), Fault.COIN),
        (wire.encode_heartbeat(Heartbeat(SCHEMA, 1, 1, 1, 1, 1, 1, 1, 1, 1)) + b"\0", Fault.SIZE),
        (wire.encode_heartbeat(Heartbeat(SCHEMA, 1, 1, -1, 1, 1, 1, 1, 1, 1)), Fault.NUMBER),
    ],
)  # fmt: skip
def test_each_fault_has_its_name(message: bytes, fault: Fault) -> None:
    assert decode(message) is fault


def test_an_empty_snapshot_is_an_answer_and_empty_rows_are_none() -> None:
    heads, values = rows_of(0, 0)
    told = {"schema": SCHEMA, "session": SESSION, "market": 0, "coin": "BTC"}
    found = decode(wire.encode_rows(heads, values, is_snapshot=True, **told))  # type: ignore[arg-type]
    assert isinstance(found, Rows) and len(found.heads) == 0 and found.is_snapshot
    with pytest.raises(AssertionError):
        wire.encode_rows(heads, values, **told)  # type: ignore[arg-type]


def test_the_largest_message_is_one_and_a_larger_is_none() -> None:
    heads, values = rows_of(0, wire.ROWS_MAX, features=wire.FEATURES_MAX)
    message = wire.encode_rows(
        heads, values, schema=SCHEMA, session=1, market=0, coin="BTC",
        observation=np.zeros(wire.OBSERVATION_MAX, np.float32),
    )  # fmt: skip
    assert len(message) == wire.MESSAGE_BYTES_MAX
    assert isinstance(decode(message), Rows)
    assert decode(message + b"\0") is Fault.SIZE


def test_a_schema_hash_has_thirty_two_digits() -> None:
    assert wire.hash_bytes("0f" * 16) == b"\x0f" * 16
    with pytest.raises(ValueError, match="32 hex digits"):
        wire.hash_bytes("0f" * 15)


def test_every_reason_says_what_it_is() -> None:
    assert set(wire.REASON_MEANING) == set(Reason)
    assert [int(kind) for kind in Kind] == [1, 2, 3, 4, 5]


def test_the_head_of_a_row_is_that_of_the_features_and_every_schema_fits() -> None:
    assert wire.HEAD_DTYPE == ROW_DTYPE
    schema = FeatureSchema(levels=LEVELS_MAX)
    assert schema.columns <= wire.FEATURES_MAX and len(wire.hash_bytes(schema.hash)) == 16
