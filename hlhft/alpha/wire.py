"""What passes between an engine and an alpha process: fixed binary layouts, written and read by pure functions.

All numbers are little-endian. A message is a header of 32 bytes (magic, version, kind, hash of the feature schema,
session of the engine) and a body that its kind fixes:

    ROWS, SNAPSHOT  market, coin, then feature rows with consecutive sequence numbers; an observation of the policy may
                    follow
    REQUEST         the newest rows of a market are wanted; what answers it is a SNAPSHOT
    SIGNAL          what the model makes of a market, or why it makes nothing of it; what the policy decided
    HEARTBEAT       the process lives, and what it has counted

`decode` takes any bytes: a message that is none is a `Fault`, never an exception, so that a peer can do no more than be
counted. Whoever encodes something that cannot be said made a mistake: assertions.
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum, IntFlag, StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

MAGIC = b"HLFA"
VERSION = 1
COIN_BYTES = 40  # hlhft.config.live_sections bounds names of markets so
MARKETS_MAX = 64
ROWS_MAX = 1024  # of one message
FEATURES_MAX = 1024
OBSERVATION_MAX = 256
HASH_BYTES = 16
ACTIONS = 4  # gamma, signal weight, spread, asymmetry

# The head of a feature row; the names and order of hlhft.alpha.schema.ROW_DTYPE (a test compares them).
HEAD_DTYPE = np.dtype(
    [
        ("ts_exch_ns", "<i8"), ("ts_local_ns", "<i8"), ("sequence", "<i8"), ("market", "<i8"), ("mid_ticks", "<f8"),
        ("micro_ticks", "<f8"), ("half_spread_ticks", "<f8"), ("sigma_bp", "<f8"), ("flags", "<i8"),
    ]
)  # fmt: skip

_HEADER = struct.Struct(f"<4sHH{HASH_BYTES}sQ")
_ROWS = struct.Struct(f"<HHHH{COIN_BYTES}s")  # market, rows, features, length of the observation
_REQUEST = struct.Struct(f"<HHI{COIN_BYTES}s")  # market, rows wanted, zero
_SIGNAL = struct.Struct("<HHHHqqqqfffIq4qqqq")
_HEARTBEAT = struct.Struct("<QqqqQQQQ")
_NUMBERS, _NUMBERS_AT = struct.Struct("<qq"), 16  # sequence and market in a row's head, and where they stand
SEQUENCE_END: Final = 2**62
HEADER_BYTES: Final = _HEADER.size
SIGNAL_BYTES: Final = HEADER_BYTES + _SIGNAL.size
HEARTBEAT_BYTES: Final = HEADER_BYTES + _HEARTBEAT.size
REQUEST_BYTES: Final = HEADER_BYTES + _REQUEST.size
MESSAGE_BYTES_MAX: Final = (
    HEADER_BYTES + _ROWS.size + ROWS_MAX * (HEAD_DTYPE.itemsize + 4 * FEATURES_MAX) + HASH_BYTES + 4 * OBSERVATION_MAX
)


class Kind(IntEnum):
    """What a message is."""

    ROWS = 1
    REQUEST = 2
    SNAPSHOT = 3
    SIGNAL = 4
    HEARTBEAT = 5


class Flag(IntFlag):
    """Bits of a signal."""

    ABSTAINS = 1  # the model says nothing: its numbers are zero, and `reason` says why
    POLICY = 2  # the action was decided for this message


class Reason(IntEnum):
    """Why a model abstains. Values are on the wire: append, never renumber."""

    NONE = 0
    NO_MODEL = 1
    SCHEMA = 2
    FILLING = 3
    GAP = 4
    STALE = 5
    NOT_VALID = 6
    NOT_FINITE = 7
    OUT_OF_RANGE = 8
    PREDICTION = 9


REASON_MEANING: dict[Reason, str] = {
    Reason.NONE: "it does not abstain",
    Reason.NO_MODEL: "no model is loaded",
    Reason.SCHEMA: "the rows have another feature schema than the model",
    Reason.FILLING: "the market has fewer unbroken rows than the model's window",
    Reason.GAP: "rows are missing, and the newest ones were asked for",
    Reason.STALE: "the newest row is older than allowed",
    Reason.NOT_VALID: "a row of the window is of a book that is one-sided, crossed or not warm",
    Reason.NOT_FINITE: "a row of the window holds a number that is none",
    Reason.OUT_OF_RANGE: "a row of the window lies outside what the model was trained on",
    Reason.PREDICTION: "the model answered with numbers that are none",
}


class Fault(StrEnum):
    """Why bytes are no message."""

    SIZE = "it has not the size of one"
    MAGIC = "it does not begin as one"
    VERSION = "it is of another version"
    KIND = "it is of an unknown kind"
    COUNT = "it tells of more or fewer things than there may be"
    COIN = "its market's name is none"
    ORDER = "its rows are not of one market in their order"
    NUMBER = "it holds a number that is none, or out of its range"


class Rows(NamedTuple):
    """Feature rows of one market, consecutive; `is_snapshot`: the newest ones, as asked for. Arrays are read-only views
    of the message.

    `heads` HEAD_DTYPE[n], `values` float32[n, F]; n is at least 1, 0 only in a snapshot of a market without rows.
    `observation` float32[O] of the layout `observation_hash`; length 0 when there is none.
    """

    schema: bytes
    session: int
    market: int
    coin: str
    heads: np.ndarray
    values: np.ndarray
    observation: np.ndarray
    observation_hash: bytes
    is_snapshot: bool


class Request(NamedTuple):
    """The newest `rows` rows of a market are wanted."""

    schema: bytes
    session: int
    market: int
    coin: str
    rows: int


class Signal(NamedTuple):
    """What a model makes of a market once it has seen the row `sequence`, and what a policy decided.

    `mu_e9` is the expected move and `sigma_e9` its deviation, in 1e-9 of the mid; `down`, `flat` and `up` are
    probabilities. `action_e6` is what the policy decided (multipliers of gamma, signal weight and spread, and the
    asymmetry, in millionths), zeros without it. `data_ns` is when the row was received by the engine, `compute_ns` how
    long the model took, `sent_ns` when the message was written, by the process's clock.
    """

    schema: bytes
    session: int
    market: int
    flags: int
    reason: int
    sequence: int
    model_id: int
    mu_e9: int
    sigma_e9: int
    down: float
    flat: float
    up: float
    policy_id: int
    action_e6: tuple[int, int, int, int]
    data_ns: int
    compute_ns: int
    sent_ns: int


class Heartbeat(NamedTuple):
    """The process lives. `ready` markets of `markets` have a window; the rest counts since its start."""

    schema: bytes
    session: int
    number: int
    model_id: int
    policy_id: int
    sent_ns: int
    rows: int
    gaps: int
    abstentions: int
    ready: int


_FLAGS = int(Flag.ABSTAINS | Flag.POLICY)
Message = Rows | Request | Signal | Heartbeat
NO_HASH = bytes(HASH_BYTES)
NO_ACTION = (0, 0, 0, 0)
NO_OBSERVATION = np.zeros(0, np.float32)


def hash_bytes(text: str) -> bytes:
    """The 16 bytes of a schema's hash of 32 hex digits. Raises ValueError for another text."""
    found = bytes.fromhex(text)
    if len(found) != HASH_BYTES:
        raise ValueError(f"a schema's hash has {2 * HASH_BYTES} hex digits, not {len(text)}")
    return found


@lru_cache(maxsize=8)
def row_dtype(features: int) -> np.dtype:
    """One row on the wire: its head and `features` values."""
    return np.dtype([("head", HEAD_DTYPE), ("values", "<f4", (features,))])


# Writing.


def encode_rows(
    heads: np.ndarray,
    values: np.ndarray,
    *,
    schema: bytes,
    session: int,
    market: int,
    coin: str,
    observation: np.ndarray = NO_OBSERVATION,
    observation_hash: bytes = NO_HASH,
    is_snapshot: bool = False,
) -> bytes:
    """The message of rows: `heads` with HEAD_DTYPE's fields [n], `values` float32[n, F], all of one market."""
    count, features = values.shape
    assert len(heads) == count <= ROWS_MAX and 1 <= features <= FEATURES_MAX and len(observation) <= OBSERVATION_MAX
    assert count or is_snapshot, "a message without rows says nothing"
    rows = np.empty(count, row_dtype(features))
    rows["head"], rows["values"] = heads, values
    kind = Kind.SNAPSHOT if is_snapshot else Kind.ROWS
    parts = [
        _HEADER.pack(MAGIC, VERSION, kind, schema, session),
        _ROWS.pack(market, count, features, len(observation), _coin(coin)),
        rows.tobytes(),
    ]
    if len(observation):
        parts += [observation_hash, observation.astype("<f4", copy=False).tobytes()]
    return b"".join(parts)


def encode_request(request: Request) -> bytes:
    """The message of a request."""
    assert 1 <= request.rows <= ROWS_MAX
    return _HEADER.pack(MAGIC, VERSION, Kind.REQUEST, request.schema, request.session) + _REQUEST.pack(
        request.market, request.rows, 0, _coin(request.coin)
    )


def encode_signal(signal: Signal) -> bytes:
    """The message of a signal."""
    return _HEADER.pack(MAGIC, VERSION, Kind.SIGNAL, signal.schema, signal.session) + _SIGNAL.pack(
        signal.market, signal.flags, signal.reason, 0, signal.sequence, signal.model_id, signal.mu_e9, signal.sigma_e9,
        signal.down, signal.flat, signal.up, 0, signal.policy_id, *signal.action_e6, signal.data_ns, signal.compute_ns,
        signal.sent_ns,
    )  # fmt: skip


def encode_heartbeat(beat: Heartbeat) -> bytes:
    """The message of a heartbeat."""
    return _HEADER.pack(MAGIC, VERSION, Kind.HEARTBEAT, beat.schema, beat.session) + _HEARTBEAT.pack(*beat[2:])


def _coin(text: str) -> bytes:
    coin = text.encode("ascii")
    assert 0 < len(coin) <= COIN_BYTES, "a market has a name, and a short one"
    return coin


# Reading.


def decode(message: bytes | memoryview) -> Message | Fault:
    """What the bytes say."""
    if not HEADER_BYTES < len(message) <= MESSAGE_BYTES_MAX:
        return Fault.SIZE
    magic, version, kind, schema, session = _HEADER.unpack_from(message)
    if magic != MAGIC:
        return Fault.MAGIC
    if version != VERSION:
        return Fault.VERSION
    if kind == Kind.SIGNAL:
        return _signal(message, schema, session)
    if kind in (Kind.ROWS, Kind.SNAPSHOT):
        return _rows(message, schema, session, is_snapshot=kind == Kind.SNAPSHOT)
    if kind == Kind.REQUEST:
        return _request(message, schema, session)
    if kind == Kind.HEARTBEAT:
        return _heartbeat(message, schema, session)
    return Fault.KIND


def _rows(message: bytes | memoryview, schema: bytes, session: int, *, is_snapshot: bool) -> Rows | Fault:
    first = HEADER_BYTES + _ROWS.size
    if len(message) < first:
        return Fault.SIZE
    market, count, features, observed, padded = _ROWS.unpack_from(message, HEADER_BYTES)
    if (
        market >= MARKETS_MAX
        or not (0 if is_snapshot else 1) <= count <= ROWS_MAX
        or not 1 <= features <= FEATURES_MAX
        or observed > OBSERVATION_MAX
    ):
        return Fault.COUNT
    coin = _name(padded)
    if coin is None:
        return Fault.COIN
    dtype = row_dtype(features)
    behind = first + count * dtype.itemsize
    if len(message) != behind + ((HASH_BYTES + 4 * observed) if observed else 0):
        return Fault.SIZE
    rows = np.frombuffer(message, dtype, count, first)
    heads = rows["head"]
    if not _are_in_order(message, first, heads, market):
        return Fault.ORDER
    observation, observation_hash = NO_OBSERVATION, NO_HASH
    if observed:
        observation_hash = bytes(message[behind : behind + HASH_BYTES])
        observation = np.frombuffer(message, "<f4", observed, behind + HASH_BYTES)
    return Rows(schema, session, market, coin, heads, rows["values"], observation, observation_hash, is_snapshot)


def _are_in_order(message: bytes | memoryview, first: int, heads: np.ndarray, market: int) -> bool:
    """Whether rows are of the market, with consecutive numbers. These begin at 0 or above and stay far from the end of
    their type, so that they can be subtracted."""
    if len(heads) == 1:
        # The common case, a tenth of what arrays cost.
        sequence, told = _NUMBERS.unpack_from(message, first + _NUMBERS_AT)
        return bool(told == market and 0 <= sequence < SEQUENCE_END)
    sequence = heads["sequence"]
    return len(heads) == 0 or (
        (heads["market"] == market).all()
        and 0 <= int(sequence[0]) < SEQUENCE_END
        and (sequence - sequence[0] == np.arange(len(heads))).all()
    )


def _request(message: bytes | memoryview, schema: bytes, session: int) -> Request | Fault:
    if len(message) != REQUEST_BYTES:
        return Fault.SIZE
    market, rows, zero, padded = _REQUEST.unpack_from(message, HEADER_BYTES)
    if market >= MARKETS_MAX or not 1 <= rows <= ROWS_MAX or zero:
        return Fault.COUNT
    coin = _name(padded)
    return Fault.COIN if coin is None else Request(schema, session, market, coin, rows)


def _signal(message: bytes | memoryview, schema: bytes, session: int) -> Signal | Fault:
    if len(message) != SIGNAL_BYTES:
        return Fault.SIZE
    fields = _SIGNAL.unpack_from(message, HEADER_BYTES)
    market, flags, reason, zero, sequence, model_id, mu_e9, sigma_e9, down, flat, up, zeros, policy_id = fields[:13]
    action, (data_ns, compute_ns, sent_ns) = fields[13:17], fields[17:]
    if market >= MARKETS_MAX or flags & ~_FLAGS or reason >= len(Reason) or zero or zeros:
        return Fault.COUNT
    if bool(flags & Flag.ABSTAINS) != bool(reason):
        return Fault.COUNT
    if (
        min(sequence, model_id, policy_id, sigma_e9, data_ns, compute_ns, sent_ns) < 0
        or not math.isfinite(down + flat + up)
        or min(down, flat, up) < 0.0
    ):
        return Fault.NUMBER
    return Signal(
        schema, session, market, flags, reason, sequence, model_id, mu_e9, sigma_e9, down, flat, up, policy_id, action,
        data_ns, compute_ns, sent_ns,
    )  # fmt: skip


def _heartbeat(message: bytes | memoryview, schema: bytes, session: int) -> Heartbeat | Fault:
    if len(message) != HEARTBEAT_BYTES:
        return Fault.SIZE
    beat = Heartbeat(schema, session, *_HEARTBEAT.unpack_from(message, HEADER_BYTES))
    return Fault.NUMBER if min(beat.model_id, beat.policy_id, beat.sent_ns) < 0 else beat


def _name(padded: bytes) -> str | None:
    """The text before the zeros; None when it is empty, not printable ASCII, or something follows the zeros."""
    text, _, behind = padded.partition(b"\0")
    if not text or behind.strip(b"\0") or not text.isascii():
        return None
    name = text.decode("ascii")
    return name if name.isprintable() and " " not in name else None
