"""The heartbeat between engine and watchdog: what a beat says, how it is written, and why a message is refused.

A message is an HMAC-SHA256 under a secret that both sides read from a file of their own, then MessagePack. A beat
counts once: session and sequence only grow, so a message that was recorded and sent again is refused. The first beat of
a session must also be of now: a watchdog that has just started remembers no sequence, and a recorded beat would tell it
that a dead engine lives. Pure: the time comes as an argument.

A watchdog answers each beat that it takes with a `Hearing`, so that the engine can say which losses are covered. Beats
and hearings are authenticated under different labels: neither passes for the other.
"""

from __future__ import annotations

import hmac
from collections import Counter
from enum import IntEnum, StrEnum
from typing import Annotated

import msgspec

from hlhft.hyperliquid.cloids import SESSION_MAX
from hlhft.hyperliquid.reading import TIME_MS_MAX

SECRET_BYTES_MIN = 32
MAC_BYTES = 32
MESSAGE_BYTES_MAX = 512  # a beat has less than 100
SKEW_MS_MAX = 10_000  # of the first beat of a session, from the watchdog's clock
_BEAT_LABEL = b"hlhft beat 1"
_HEARING_LABEL = b"hlhft hearing 1"

_Session = Annotated[int, msgspec.Meta(ge=1, le=SESSION_MAX)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Ms = Annotated[int, msgspec.Meta(ge=0, lt=TIME_MS_MAX)]


class BeatError(ValueError):
    """A secret that is none, or a beat that cannot be written: the caller's mistake."""


class EngineState(IntEnum):
    """What the engine does, as it says."""

    STARTING = 0  # it reconciles; what rests from an earlier session is its own to adopt or cancel
    TRADING = 1
    HALTED = 2  # a breaker tripped or an operator halted it; it cancels
    FLATTENING = 3  # it closes its positions at market
    STOPPING = 4  # it cancels and verifies
    STOPPED = 5  # its last beat: it has verified that nothing of its own rests


MAKES_ORDERS = frozenset({EngineState.STARTING, EngineState.TRADING, EngineState.FLATTENING})


class Beat(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """One sign of life.

    `time_ms` is the engine's clock, `last_expiry_ms` the latest expiresAfter of all that it sent, 0 when it sent
    nothing, `expires_after_ms` the longest that a placement of it stays executable, 0 for what the watchdog is set
    to. `orders` is how many of its own may
    rest or be under way, -1 unknown. `reconciliation` is the number of the latest reading of the account that agreed;
    it grows within a session.
    """

    session: _Session
    sequence: _Count
    time_ms: _Ms
    state: EngineState
    breaker: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    last_expiry_ms: _Ms = 0
    expires_after_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 3000
    orders: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] = -1
    reconciliation: _Count = 0


class Hearing(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """The answer to one beat: what the watchdog does, and the venue's dead man's switch as it knows it.

    `switch` is a SwitchState of `hlhft.hyperliquid.watchdog_switch` in words, `switch_until_ms` when it fires at the
    venue, 0 when it is not armed.
    """

    session: _Session
    sequence: _Count
    state: Annotated[str, msgspec.Meta(max_length=32)]
    switch: Annotated[str, msgspec.Meta(max_length=32)]
    switch_until_ms: _Ms = 0


class BeatFault(StrEnum):
    """Why a message is no beat."""

    SIZE = "it has not the size of one"
    FORGED = "it is not authenticated with our secret"
    SHAPE = "it is authenticated, but of another version"
    REPLAYED = "a beat as new or newer was heard before"
    CLOCK = "the first beat of a session, and its time is far from ours: set both clocks"


_encode = msgspec.msgpack.Encoder().encode
_BEAT = msgspec.msgpack.Decoder(Beat)
_HEARING = msgspec.msgpack.Decoder(Hearing)


def require_secret(secret: bytes) -> bytes:
    """The secret. Raises BeatError when it is too short to be one; never shows it."""
    if len(secret) < SECRET_BYTES_MIN:
        raise BeatError(f"a secret for heartbeats has at least {SECRET_BYTES_MIN} bytes, not {len(secret)}")
    return secret


def encode_beat(beat: Beat, secret: bytes) -> bytes:
    """The message of a beat. Raises BeatError when a field is out of range: the other side would refuse it."""
    payload = _encode(beat)
    try:
        _BEAT.decode(payload)
    except msgspec.ValidationError as error:
        raise BeatError(f"a beat cannot say this: {error}") from None
    return _mac(_BEAT_LABEL, payload, secret) + payload


def encode_hearing(hearing: Hearing, secret: bytes) -> bytes:
    """The message of a hearing."""
    payload = _encode(hearing)
    return _mac(_HEARING_LABEL, payload, secret) + payload


def read_hearing(message: bytes, secret: bytes) -> Hearing | BeatFault:
    """The hearing in a message, or why it is none."""
    payload = _authenticated(_HEARING_LABEL, message, secret)
    if isinstance(payload, BeatFault):
        return payload
    try:
        return _HEARING.decode(payload)
    except msgspec.MsgspecError:
        return BeatFault.SHAPE


class BeatGate:
    """Lets each beat of the engine through once, in order, and nothing else. `refused` counts the others."""

    def __init__(self, secret: bytes, *, skew_ms_max: int = SKEW_MS_MAX) -> None:
        self.refused: Counter[BeatFault] = Counter()
        self._secret = require_secret(secret)
        self._skew_ms_max = skew_ms_max
        self._newest = (0, -1)  # session and sequence

    def __repr__(self) -> str:
        return f"BeatGate(newest={self._newest}, refused={sum(self.refused.values())})"

    def read(self, message: bytes, now_ms: int) -> Beat | BeatFault:
        """The beat in a message, or why it is refused; a refused one changes nothing but its count."""
        read = self._read(message, now_ms)
        if isinstance(read, BeatFault):
            self.refused[read] += 1
        else:
            self._newest = (read.session, read.sequence)
        return read

    def _read(self, message: bytes, now_ms: int) -> Beat | BeatFault:
        payload = _authenticated(_BEAT_LABEL, message, self._secret)
        if isinstance(payload, BeatFault):
            return payload
        try:
            beat = _BEAT.decode(payload)
        except msgspec.MsgspecError:
            return BeatFault.SHAPE
        if (beat.session, beat.sequence) <= self._newest:
            return BeatFault.REPLAYED
        if beat.session != self._newest[0] and abs(beat.time_ms - now_ms) > self._skew_ms_max:
            return BeatFault.CLOCK
        return beat


def _authenticated(label: bytes, message: bytes, secret: bytes) -> bytes | BeatFault:
    if not MAC_BYTES < len(message) <= MESSAGE_BYTES_MAX:
        return BeatFault.SIZE
    mac, payload = message[:MAC_BYTES], message[MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(label, payload, secret)):
        return BeatFault.FORGED
    return payload


def _mac(label: bytes, payload: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, label + payload, "sha256")
