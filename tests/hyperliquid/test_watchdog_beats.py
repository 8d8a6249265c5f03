"""Beats and hearings: written and read back, and every way in which a message is none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid import watchdog_beats
from hlhft.hyperliquid.watchdog_beats import (
    MESSAGE_BYTES_MAX,
    SECRET_BYTES_MIN,
    SKEW_MS_MAX,
    Beat,
    BeatError,
    BeatFault,
    BeatGate,
    EngineState,
    Hearing,
    encode_beat,
    encode_hearing,
    read_hearing,
    require_secret,
)

SECRET = b"s" * SECRET_BYTES_MIN
NOW_MS = 1_790_000_000_000
HEARING = Hearing(session=3, sequence=9, state="armed", switch="off", switch_until_ms=5)


def beat(**fields: Any) -> Beat:
    return Beat(**{"session": 3, "sequence": 1, "time_ms": NOW_MS, "state": EngineState.TRADING, **fields})


@given(
    session=st.integers(1, 2**32 - 1),
    sequence=st.integers(0, 2**63 - 1),
    state=st.sampled_from(list(EngineState)),
    breaker=st.integers(0, 2**31 - 1),
    expiry_ms=st.integers(0, NOW_MS + 10**9),
    orders=st.integers(-1, 5000),
    reconciliation=st.integers(0, 2**63 - 1),
)
def test_a_beat_is_read_back_as_it_was_written(
    session: int, sequence: int, state: EngineState, breaker: int, expiry_ms: int, orders: int, reconciliation: int
) -> None:
    sent = beat(
        session=session, sequence=sequence, state=state, breaker=breaker, last_expiry_ms=expiry_ms, orders=orders,
        reconciliation=reconciliation,
    )  # fmt: skip
    message = encode_beat(sent, SECRET)
    assert len(message) <= 100
    assert BeatGate(SECRET).read(message, NOW_MS) == sent


@given(place=st.integers(0, 200), bit=st.integers(0, 7))
def test_one_bit_changed_makes_a_forgery(place: int, bit: int) -> None:
    message = bytearray(encode_beat(beat(), SECRET))
    message[place % len(message)] ^= 1 << bit
    gate = BeatGate(SECRET)
    assert gate.read(bytes(message), NOW_MS) is BeatFault.FORGED
    assert gate.refused == {BeatFault.FORGED: 1}


@given(message=st.binary(max_size=200))
def test_no_bytes_are_a_beat_or_an_error(message: bytes) -> None:
    assert isinstance(BeatGate(SECRET).read(message, NOW_MS), BeatFault)
    assert isinstance(read_hearing(message, SECRET), BeatFault)


def test_a_beat_counts_once_and_in_order() -> None:
    gate = BeatGate(SECRET)
    messages = [encode_beat(beat(sequence=sequence), SECRET) for sequence in (1, 2, 3)]
    assert isinstance(gate.read(messages[0], NOW_MS), Beat)
    assert isinstance(gate.read(messages[2], NOW_MS), Beat)
    for message in messages:
        assert gate.read(message, NOW_MS) is BeatFault.REPLAYED
    older = encode_beat(beat(session=2, sequence=100), SECRET)
    assert gate.read(older, NOW_MS) is BeatFault.REPLAYED
    newer = encode_beat(beat(session=4, sequence=0), SECRET)
    assert isinstance(gate.read(newer, NOW_MS), Beat)
    assert "newest=(4, 0)" in repr(gate) and "refused=4" in repr(gate)


def test_an_old_recording_opens_no_session() -> None:
    recorded = encode_beat(beat(), SECRET)
    for now_ms in (NOW_MS + SKEW_MS_MAX + 1, NOW_MS - SKEW_MS_MAX - 1):
        assert BeatGate(SECRET).read(recorded, now_ms) is BeatFault.CLOCK
    assert isinstance(BeatGate(SECRET).read(recorded, NOW_MS + SKEW_MS_MAX), Beat)


def test_a_session_goes_on_when_our_clock_steps() -> None:
    gate = BeatGate(SECRET)
    gate.read(encode_beat(beat(), SECRET), NOW_MS)
    assert isinstance(gate.read(encode_beat(beat(sequence=2), SECRET), NOW_MS + 10 * SKEW_MS_MAX), Beat)


def test_another_secret_another_size_another_version() -> None:
    gate = BeatGate(SECRET)
    assert gate.read(encode_beat(beat(), b"t" * SECRET_BYTES_MIN), NOW_MS) is BeatFault.FORGED
    assert gate.read(b"", NOW_MS) is BeatFault.SIZE
    assert gate.read(bytes(MESSAGE_BYTES_MAX + 1), NOW_MS) is BeatFault.SIZE
    payload = msgspec.msgpack.encode([1, 2])
    for label, read in (
        (watchdog_beats._BEAT_LABEL, lambda message: gate.read(message, NOW_MS)),
        (watchdog_beats._HEARING_LABEL, lambda message: read_hearing(message, SECRET)),
    ):
        assert read(watchdog_beats._mac(label, payload, SECRET) + payload) is BeatFault.SHAPE


def test_hearings_and_beats_do_not_pass_for_each_other() -> None:
    message = encode_hearing(HEARING, SECRET)
    assert read_hearing(message, SECRET) == HEARING
    assert BeatGate(SECRET).read(message, NOW_MS) is BeatFault.FORGED
    assert read_hearing(encode_beat(beat(), SECRET), SECRET) is BeatFault.FORGED


@pytest.mark.parametrize("fields", [{"session": 0}, {"orders": -2}, {"time_ms": -1}, {"expires_after_ms": 10**7}])
def test_what_the_other_side_would_refuse_is_not_written(fields: dict[str, int]) -> None:
    with pytest.raises(BeatError, match="a beat cannot say this"):
        encode_beat(beat(**fields), SECRET)


def test_a_short_secret_is_refused_and_never_shown() -> None:
    with pytest.raises(BeatError, match="at least 32 bytes, not 5") as raised:
        require_secret(b"hello")
    assert "hello" not in str(raised.value)
    assert require_secret(SECRET) == SECRET
    with pytest.raises(BeatError):
        BeatGate(b"")
    assert SECRET.decode() not in repr(BeatGate(SECRET))
