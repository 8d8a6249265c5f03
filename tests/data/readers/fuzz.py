"""Mutations of whole lines, to show that a reader answers any of them with rows or with the line's number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.sources import Source
from hlhft.events import EventKind
from hlhft.units import LOTS_MAX, TICKS_MAX
from tests.data.making import fault_of, write

NUMBERS = [b"0", b"-1", b"NaN", b"1e999", b"1e-9", b"9223372036854775808", b"18446744073709551616", b"1" * 40, b"0.1.2",
           b"null", b'"x"', b"[]", b"{}", b"true", b"[" * 3000, b'"\xff"', b'"\\ud800"', b"1,2"]  # fmt: skip

PIECES = st.one_of(st.sampled_from([*NUMBERS, b"", b",", b'"', b"{", b"}", b"[", b"]", b":", b" ", b"\r", b"\x00"]),
                   st.binary(max_size=4).filter(lambda piece: b"\n" not in piece))  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, lines: list[bytes]) -> tuple[list[bytes], int]:
    """(lines of which one is mutated, its number): a token or any bytes replaced, removed, doubled or cut off."""
    place = draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    tokens = _tokens(line)
    if tokens and draw(st.booleans()):
        start, end = draw(st.sampled_from(tokens))
    else:
        start = draw(st.integers(0, len(line)))
        end = min(len(line), start + draw(st.integers(0, 6)))
    how = draw(st.sampled_from(["replace", "double", "cut"]))
    if how == "replace":
        changed = line[:start] + draw(PIECES) + line[end:]
    elif how == "double":
        changed = line[:end] + line[start:]
    else:
        changed = line[:start]
    return [*lines[:place], changed, *lines[place + 1 :]], place + 1


def _tokens(line: bytes) -> list[tuple[int, int]]:
    """Where the values of a JSON or CSV line lie."""
    found, start = [], 0
    for place, byte in enumerate(line + b","):
        if byte in b',:[]{} "':
            if place > start:
                found.append((start, place))
            start = place + 1
    return found


def check(folder: Path, name: str, lines: list[bytes], place: int, opened: Callable[[Path], Source]) -> None:
    """Reads the mutated lines: rows in range and in order, or an error that names the line, after those before it."""
    path = write(folder / name, lines)
    try:
        source = opened(path)
    except DataError as error:
        assert str(path) in str(error)
        return
    rows, error = fault_of(source)
    if error is not None:
        # A clock that goes wrong is seen where the next one is right, a line that opens a block where it ends.
        assert error.line in (place, place + 1, None) or str(path) not in str(error)
        assert str(path) in str(error) or source.name in str(error)
    assert (np.diff(rows["ts_local_ns"]) >= 0).all()
    market = rows[rows["kind"] != int(EventKind.ASSET_CONTEXT)]
    assert ((market["price_ticks"] >= 0) & (market["price_ticks"] <= TICKS_MAX)).all()
    assert ((market["size_lots"] >= 0) & (market["size_lots"] <= LOTS_MAX)).all()
    assert (np.abs(rows["side"]) <= 1).all()
