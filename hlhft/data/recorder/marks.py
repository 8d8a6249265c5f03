"""What the recorder itself writes between the venue's frames, so that a raw file says all that its parts say.

A mark is a line like any other, `<local ns> <json>`, on a channel of its own: readers of raw logs pass over channels
that they do not know. Each raw file begins with `Begin`, which holds all that came before and matters.
"""

from __future__ import annotations

import msgspec

from hlhft.units import Market

CHANNEL = "hlhft.recorder"
VERSION = 1
_PREFIX = f'{{"channel":"{CHANNEL}","data":'.encode()


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """How one stream stands at the beginning of a file."""

    kind: str  # of the catalogue
    name: str  # the coin
    floor_ns: int  # exchange time from which the file answers for the stream
    missing: str = ""  # why nothing is known from then on, a gap's reason; nothing: it goes on


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="begin"):
    """The first line of a file."""

    version: int = VERSION
    url: str
    session: str  # the session's name, hlhft.data.recorder.hours
    session_ns: int  # when it began, by the local clock
    hour: int  # hours since the Unix epoch
    markets: tuple[Market, ...]
    standing: tuple[Standing, ...] = ()
    newest_ns: int = 0  # newest block time seen in the session, 0 for none
    offset_ms: int | None = None  # the venue's clock less ours, as last asked; None: never answered


class Up(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="up"):
    """A socket stands: subscriptions begin."""

    socket: int


class Down(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="down"):
    """The socket is gone: nothing is known of any stream until it tells again."""

    reason: str


class Stale(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="stale"):
    """These streams are not to be trusted since they last told something: (kind of the catalogue, coin) each."""

    streams: tuple[tuple[str, str], ...]


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="lost"):
    """Frames were received and dropped, because the disk took less than came."""

    frames: int
    bytes: int


class Odd(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="odd"):
    """A frame that is no message for a reader: a greeting, or what could not be decoded."""

    text: str
    is_fault: bool


Mark = Begin | Up | Down | Stale | Lost | Odd


class _Line(msgspec.Struct):
    data: Mark


_DECODER = msgspec.json.Decoder(_Line)


def encoded(mark: Mark) -> bytes:
    """The mark as JSON, one line without its end."""
    return _PREFIX + msgspec.json.encode(mark) + b"}"


def is_mark(text: bytes) -> bool:
    """Whether a line's JSON is a mark, whole or damaged."""
    return text.startswith(_PREFIX)


def read(text: bytes) -> Mark | None:
    """The mark that a line's JSON is; None for a frame of the venue. Raises ValueError for a damaged mark."""
    if not is_mark(text):
        return None
    try:
        return _DECODER.decode(text).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"a damaged mark of the recorder ({error})") from None
