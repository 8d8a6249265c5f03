"""Text messages as bytes on a stream, and back: frames of RFC 6455, section 5.2, without masks and fragments.

The sockets of production have a library for it; a simulation needs it so that a stream can be cut inside a message.
"""

from __future__ import annotations

TEXT = 0x81  # the last frame of a message, of text
_SHORT_MAX, _MIDDLE_MAX = 125, 65_535
_MIDDLE, _LONG = 126, 127
MESSAGE_BYTES_MAX = 1 << 24


class FrameError(ValueError):
    """Bytes that are no frame; the message is one sentence."""


def framed(text: bytes) -> bytes:
    """The frame of a text message. Raises FrameError for one of more than MESSAGE_BYTES_MAX."""
    length = len(text)
    if length <= _SHORT_MAX:
        return bytes((TEXT, length)) + text
    if length <= _MIDDLE_MAX:
        return bytes((TEXT, _MIDDLE)) + length.to_bytes(2, "big") + text
    if length > MESSAGE_BYTES_MAX:
        raise FrameError(f"a message has at most {MESSAGE_BYTES_MAX} bytes, not {length}")
    return bytes((TEXT, _LONG)) + length.to_bytes(8, "big") + text


class FrameReader:
    """Takes a stream in pieces of any size, and gives the messages that are whole."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    @property
    def held_bytes(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._held)

    def feed(self, piece: bytes) -> list[bytes]:
        """The messages that end in this piece. Raises FrameError."""
        data = self._held + piece if self._held else piece
        found, at, end = [], 0, len(data)
        while end - at >= 2:
            if data[at] != TEXT:
                raise FrameError(f"a frame begins with {TEXT:#x}, not {data[at]:#x}")
            length, head = data[at + 1], 2
            if length >= _MIDDLE:
                head = 4 if length == _MIDDLE else 10
                if end - at < head:
                    break
                length = int.from_bytes(data[at + 2 : at + head], "big")
                if length > MESSAGE_BYTES_MAX:
                    raise FrameError(f"a message has at most {MESSAGE_BYTES_MAX} bytes, not {length}")
            if end - at - head < length:
                break
            found.append(data[at + head : at + head + length])
            at += head + length
        self._held = data[at:]
        return found
