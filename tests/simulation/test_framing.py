"""What is framed comes back whole, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.simulation.framing import MESSAGE_BYTES_MAX, FrameError, FrameReader, framed

texts = st.lists(
    st.one_of(st.binary(max_size=200), st.sampled_from([b"x" * 125, b"y" * 126, b"z" * 70_000])), max_size=8
)


@given(texts, st.lists(st.integers(1, 5000), max_size=60))
def test_any_cut_gives_the_same_messages(messages: list[bytes], sizes: list[int]) -> None:
    stream, reader, found = b"".join(map(framed, messages)), FrameReader(), []
    for size in sizes:
        piece, stream = stream[:size], stream[size:]
        found += reader.feed(piece)
    found += reader.feed(stream)
    assert found == messages
    assert reader.held_bytes == 0


@pytest.mark.parametrize("text", [b"", b"a" * 125, b"a" * 126, b"a" * 65_535, b"a" * 65_536])
def test_byte_by_byte(text: bytes) -> None:
    stream, reader = framed(text), FrameReader()
    if len(stream) < 1000:
        assert [message for byte in stream for message in reader.feed(bytes((byte,)))] == [text]
    assert FrameReader().feed(stream[:-1]) == [] if text else True
    assert FrameReader().feed(stream) == [text]


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="begins with 0x81, not 0x1"):
        FrameReader().feed(b"\x01\x00")
    with pytest.raises(FrameError, match="at most"):
        FrameReader().feed(b"\x81\x7f" + (MESSAGE_BYTES_MAX + 1).to_bytes(8, "big"))
    with pytest.raises(FrameError, match="at most"):
        framed(bytes(MESSAGE_BYTES_MAX + 1))
