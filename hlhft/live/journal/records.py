"""The records of the journal: how each is written, and a reader of bytes that is never wrong and never surprised.

A segment is a run of records. Each is a header of 32 bytes and its payload, padded with zeros to a multiple of eight:

| bytes | field | meaning |
| --- | --- | --- |
| 0 .. 3 | checksum | CRC-32 of everything behind it, padding included |
| 4 .. 7 | length | bytes of the payload, without padding |
| 8 .. 15 | sequence | one more than the record before it, also over the segments of a session |
| 16 .. 23 | ts_ns | local time of writing, nanoseconds since the Unix epoch |
| 24 .. 25 | kind | RecordKind |
| 26 .. 27 | detail | what the kind says: channel of a RAW, NoteKind of a NOTE, EndReason of an END, else 0 |
| 28 .. 31 | session | the session that wrote it |

All numbers are little-endian. What has not been written yet is zeros. A record is taken only whole: right checksum, the
expected sequence, the segment's session, zeros as padding. The first byte that fails ends the segment there; what
stands behind it is never read, because nobody can say what belongs to it. The checksum is written last and is zeros
before: a last record that nobody finished to append is none, and no damage. Pure: bytes in, records out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np

from hlhft.events import EVENT_DTYPE
from hlhft.units import Market

# Of records and of what START holds; `read_start` reads all up to this one. 2: START names the schema of the state.
SCHEMA = 2
HEADER = struct.Struct("<IIqqHHI")
HEADER_BYTES = HEADER.size
CHECKSUM = struct.Struct("<I")
CHECKED_FROM = 4  # the checksum covers what stands behind it
ALIGNMENT = 8
PAYLOAD_BYTES_MAX = 64 << 20  # a state snapshot is the longest: 30 kB a market
EVENT_BYTES = EVENT_DTYPE.itemsize
DIGEST_BYTES = 16
ORDER_IDS_MAX = 1024  # of one action; the venue takes fewer (venue reference appendix D)
DETAIL_MAX = 2**16 - 1
HTTP_LANE = 2**16 - 1  # of an action that went over no WebSocket
_CHECKPOINT = struct.Struct(f"<q{DIGEST_BYTES}s")
_ACTION = struct.Struct("<qqqqHH4x")
_NOTHING = bytes(HEADER_BYTES)
assert HEADER_BYTES == 32


class RecordError(ValueError):
    """A record that cannot be written, or whose payload is not what its kind says."""


class RecordKind(IntEnum):
    """What a record holds. Values are on disk: append, never renumber."""

    START = 1  # Start, as MessagePack: everything that the records behind it are to be replayed with
    INPUTS = 2  # EVENT_DTYPE[n]: one call of the core's step
    COMMANDS = 3  # COMMAND_DTYPE[n], n > 0: what the step of the last INPUTS returned
    RAW = 4  # a frame of a user channel as it came
    ACTION = 5  # what was signed: Action; never the signature or the body
    CHECKPOINT = 6  # digest of the state after a step
    NOTE = 7  # for people: settings changed, an operator's reason, a report
    END = 8  # nothing follows; why, as text


_KINDS = {int(kind): kind for kind in RecordKind}


class EndReason(IntEnum):
    """Why a segment ends; `detail` of END."""

    CLOSED = 0  # the session ended
    ROTATED = 1  # the segment was full: the next one goes on
    SEALED = 2  # the process died; nothing was lost
    TORN = 3  # it died, or the disk failed, within a record: that record and what stood behind it are gone


class NoteKind(IntEnum):
    """What a NOTE is about; its payload is UTF-8 text, JSON where it has parts."""

    REPORT = 0  # a machine's report
    OPERATOR = 1  # a command of an operator, with the reason given
    SETTINGS = 2  # the configuration changed while running
    RECONCILED = 3  # what the account said, and whether it agreed
    SUPERVISOR = 4  # a change of stage


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a replay of a segment needs. It holds no secret: keys are never part of a configuration."""

    schema: int
    session: int
    number: int  # of the segment within the session, from 0
    step: int  # steps of the core before this snapshot, since the session began
    checkpoint_steps: int  # a CHECKPOINT is due after each step whose number this divides
    code_key: str
    versions: dict[str, str]
    cpu: str
    configuration: str  # as `hlhft config` shows it
    strategy: str  # name of a built-in one, or of the file
    strategy_source: bytes  # the file's content, empty for a built-in one
    markets: list[Market]
    limits: bytes  # LIMITS_DTYPE[1]
    ladders: int
    width: int
    snapshot: bytes  # of the brain; empty in a ledger, which cannot be replayed
    state_schema: int = 1  # hlhft.core.state.STATE_SCHEMA of the snapshot


_HEADS = msgspec.msgpack.Encoder()


class Action(NamedTuple):
    """What was signed and handed to a connection, or never was: what became of it is in RAW and INPUTS."""

    nonce: int
    request_id: int
    batch_id: int
    expires_after_ms: int  # 0 none
    kind: int  # hlhft.hyperliquid.packing.ActionKind
    lane: int  # trading connection, or HTTP_LANE
    order_ids: tuple[int, ...]


class Checkpoint(NamedTuple):
    """The state after step number `step` of the session had this digest."""

    step: int
    digest: bytes


class Record(NamedTuple):
    """One whole record."""

    kind: RecordKind
    detail: int
    sequence: int
    ts_ns: int
    session: int
    payload: bytes
    offset: int  # of its header within the segment, bytes


class Tail(IntEnum):
    """How a segment ends."""

    ENDED = 0  # with an END
    OPEN = 1  # with room behind its last record, or one that was not finished: the writer died, or is still writing
    TORN = 2  # with something that is no record


def padded(length: int) -> int:
    """`length` rounded up to the alignment, bytes."""
    return -(-length // ALIGNMENT) * ALIGNMENT


def record_bytes(length: int) -> int:
    """Bytes of a record with a payload of `length` bytes."""
    return HEADER_BYTES + padded(length)


def pack(kind: RecordKind, payload: bytes, *, sequence: int, ts_ns: int, session: int, detail: int = 0) -> bytes:
    """The bytes of one record. Raises RecordError when the payload is too long."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise RecordError(f"a record holds at most {PAYLOAD_BYTES_MAX} bytes, not {len(payload)}")
    body = payload + bytes(padded(len(payload)) - len(payload))
    head = HEADER.pack(0, len(payload), sequence, ts_ns, kind, detail, session)
    return zlib.crc32(body, zlib.crc32(head[CHECKED_FROM:])).to_bytes(4, "little") + head[CHECKED_FROM:] + body


def pack_start(start: Start) -> bytes:
    """The payload of a START."""
    return _HEADS.encode(start)


def pack_start_into(start: Start, room: bytearray) -> None:
    """The same into `room`, which grows where it must and is then used again."""
    _HEADS.encode_into(start, room)


def read_start(payload: bytes) -> Start:
    """What a START holds. Raises RecordError when it is of another schema or none at all."""
    try:
        schema = msgspec.msgpack.decode(payload, type=_Schema).schema
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(f"the head of the segment cannot be read ({error})") from None
    if not 1 <= schema <= SCHEMA:
        raise RecordError(
            f"the journal has schema {schema} and this version of hlhft reads schema {SCHEMA}; read it with the version"
            " that wrote it"
        )
    try:
        return msgspec.msgpack.decode(payload, type=Start)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(f"the head of the segment cannot be read ({error})") from None


class _Schema(msgspec.Struct):
    schema: int


def pack_action(action: Action) -> bytes:
    """The payload of an ACTION. Raises RecordError when it names too many orders."""
    count = len(action.order_ids)
    if count > ORDER_IDS_MAX:
        raise RecordError(f"an action names at most {ORDER_IDS_MAX} orders, not {count}")
    head = _ACTION.pack(
        action.nonce, action.request_id, action.batch_id, action.expires_after_ms, action.kind, action.lane
    )
    return head + struct.pack(f"<{count}q", *action.order_ids)


def read_action(payload: bytes) -> Action:
    """What an ACTION holds. Raises RecordError when its length is that of none."""
    count, rest = divmod(len(payload) - _ACTION.size, 8)
    if rest != 0 or not 0 <= count <= ORDER_IDS_MAX:
        raise RecordError(f"an action has {_ACTION.size} bytes and eight for each order, not {len(payload)}")
    nonce, request_id, batch_id, expires_after_ms, kind, lane = _ACTION.unpack_from(payload)
    order_ids = struct.unpack_from(f"<{count}q", payload, _ACTION.size)
    return Action(nonce, request_id, batch_id, expires_after_ms, kind, lane, order_ids)


def pack_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The payload of a CHECKPOINT."""
    assert len(checkpoint.digest) == DIGEST_BYTES
    return _CHECKPOINT.pack(*checkpoint)


def read_checkpoint(payload: bytes) -> Checkpoint:
    """What a CHECKPOINT holds. Raises RecordError when its length is that of none."""
    if len(payload) != _CHECKPOINT.size:
        raise RecordError(f"a checkpoint has {_CHECKPOINT.size} bytes, not {len(payload)}")
    return Checkpoint(*_CHECKPOINT.unpack(payload))


def count_of_inputs(payload: bytes) -> int:
    """How many events an INPUTS holds. Raises RecordError when they are not whole."""
    if len(payload) % EVENT_BYTES:
        raise RecordError(f"events have {EVENT_BYTES} bytes each, {len(payload)} bytes are no whole number of them")
    return len(payload) // EVENT_BYTES


def read_inputs(payload: bytes) -> np.ndarray:
    """The events of an INPUTS, EVENT_DTYPE[n], not writable. Raises RecordError when they are not whole."""
    return np.frombuffer(payload, EVENT_DTYPE, count_of_inputs(payload))


class Parser:
    """Takes a segment's bytes in pieces of any size and gives its records, in order.

    Total: no bytes make it raise. Once something is no record, `tail` is TORN, `fault` says why, `end` is where, and
    whatever follows is only counted. Holds one record at most.
    """

    def __init__(self, *, is_gapless: bool = True) -> None:
        """In a ledger, which is not `is_gapless`, sequences only rise: what was left out had numbers too."""
        self.read = 0  # bytes
        self.tail = Tail.OPEN
        self.fault = ""
        self.end = 0  # bytes of whole records
        self.records = 0
        self.bytes_behind = 0  # bytes that are not zero and not read, behind `end`; known after the last piece
        self.session = 0
        self.sequence = 0  # of the last record
        self._held = bytearray()
        self._is_over = False
        self._unfinished = 0  # bytes of a last record that are still to be passed over
        self._is_gapless = is_gapless

    def feed(self, piece: bytes | memoryview) -> list[Record]:
        """The records that this piece completes."""
        self.read += len(piece)
        if self._is_over:
            self._behind(piece)
            return []
        self._held += piece
        found, at = [], 0
        while not self._is_over:
            record = self._next(at)
            if record is None:
                break
            found.append(record)
            at += record_bytes(len(record.payload))
        self.end += at
        self.records += len(found)
        del self._held[:at]
        if self._is_over:
            self._behind(self._held)
            self._held.clear()
        return found

    def finish(self) -> Tail:
        """There are no more bytes: how the segment ends."""
        if not self._is_over and _is_something(self._held):
            self._stop("a record is cut off")
            self._behind(self._held)
        return self.tail

    def _next(self, at: int) -> Record | None:
        """The record at `at` of what is held; None when it is not there yet, or there is none."""
        held = self._held
        if len(held) - at < HEADER_BYTES:
            return None
        checksum, length, sequence, ts_ns, kind, detail, session = HEADER.unpack_from(held, at)
        if checksum == 0 and held[at : at + HEADER_BYTES] == _NOTHING:
            self._is_over = True
            return None
        if length > PAYLOAD_BYTES_MAX:
            self._stop(f"a record claims {length} bytes")
            return None
        end = at + record_bytes(length)
        if len(held) < end:
            return None
        stop = at + HEADER_BYTES + length
        with memoryview(held) as view:
            is_whole = zlib.crc32(view[at + CHECKED_FROM : end]) == checksum
            payload = bytes(view[at + HEADER_BYTES : stop])
        reason = self._misfit(kind, sequence, session, stop != end and any(held[stop:end]))
        if not is_whole and checksum == 0 and not reason:
            # Written last: whoever wrote it died within the append, before anybody could act on the record.
            self._is_over, self._unfinished = True, end - at
            return None
        if not is_whole:
            reason = "a checksum does not match"
        if reason:
            self._stop(reason)
            return None
        self.session, self.sequence = session, sequence
        if kind == RecordKind.END:
            self.tail, self._is_over = Tail.ENDED, True
        return Record(_KINDS[kind], detail, sequence, ts_ns, session, payload, self.end + at)

    def _misfit(self, kind: int, sequence: int, session: int, has_padding: bool) -> str:
        """Why a record whose checksum is right does not belong here, or nothing."""
        if has_padding:
            return "a record's padding is not zeros"
        if kind not in _KINDS:
            return f"a record has the unknown kind {kind}"
        is_first = self.session == 0
        if is_first != (kind == RecordKind.START):
            return "the first record is no START" if is_first else "a START stands within the segment"
        if is_first:
            return "" if session > 0 else "the segment names no session"
        if session != self.session:
            return f"a record is of session {session}, the segment of session {self.session}"
        if sequence != self.sequence + 1 and (self._is_gapless or sequence <= self.sequence):
            return f"record {sequence} follows record {self.sequence}"
        return ""

    def _stop(self, reason: str) -> None:
        self.tail, self.fault, self._is_over = Tail.TORN, reason, True

    def _behind(self, piece: bytes | bytearray | memoryview) -> None:
        """What stands behind the end: zeros, or the remains of something."""
        passed = min(self._unfinished, len(piece))
        self._unfinished -= passed
        piece = piece[passed:]
        if self.tail is Tail.TORN:
            self.bytes_behind += len(piece)
        elif _is_something(piece):
            self.bytes_behind += len(piece)
            self.tail, self.fault = Tail.TORN, "something follows the last record"


def _is_something(piece: bytes | bytearray | memoryview) -> bool:
    # Counting is done in C, a hundred times faster than looking at each byte.
    return bytes(piece).count(0) != len(piece)


def records_of(content: bytes) -> Iterator[Record]:
    """The whole records of a segment in memory."""
    yield from Parser().feed(content)
