"""Plain archive lines in one compiled call, and everything else as the typed reader has it."""

from __future__ import annotations

import calendar
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.merge import Events
from hlhft.data.readers.archive import open_archive
from hlhft.data.readers.archive_scan import LINE_EVENTS_MAX, scan_lines
from hlhft.data.times import utc_ns
from hlhft.events import empty
from hlhft.hyperliquid.scan import PADDING, new_coins
from tests.data.making import BTC, ETH, fault_of, write

TIME = 1_775_001_612_000
COINS = {"BTC": BTC, "ETH": ETH}


def levels(side: int, count: int, *, mid: int = 68_000) -> list[dict[str, Any]]:
    places = range(1, count + 1)
    return [{"px": f"{mid - side * place}.0", "sz": f"0.{place:04d}", "n": place} for place in places]


def line(number: int = 0, *, bids: int = 20, asks: int = 20, coin: str = "BTC", clock: str | None = None) -> bytes:
    """A line as the archive of 2026 has it."""
    book = {"coin": coin, "time": TIME + 540 * number, "levels": [levels(1, bids), levels(-1, asks)]}
    time = f"2026-04-01T00:{number // 60:02d}:{number % 60:02d}.669126791" if clock is None else clock
    whole = {"time": time, "ver_num": 1, "raw": {"channel": "l2Book", "data": book}}
    return json.dumps(whole, separators=(",", ":")).encode()


def scanned(text: bytes, *, room: int = 4096) -> tuple[int, int, Events, list[int], int]:
    """(place, number, events, lines, newest exchange time) of a call on `text`, whose first line is 1."""
    padded = np.frombuffer(text + bytes(PADDING), dtype=np.uint8)
    events, lines, clock = empty(room), np.zeros(room, dtype=np.int64), np.zeros(1, dtype=np.int64)
    place, number, count = scan_lines(padded, 0, len(text), 1, new_coins([BTC, ETH]), clock, events, lines)
    return place, number, events[:count], lines[:count].tolist(), int(clock[0])


def test_plain_lines_are_read_in_one_call() -> None:
    text = b"\n".join([line(0), line(1, bids=1, asks=0), line(2, bids=0, asks=0), line(3, coin="ETH", bids=2)])
    place, number, events, lines, newest = scanned(text)
    assert (place, number, newest) == (len(text) + 1, 5, (TIME + 3 * 540) * 1_000_000)
    assert lines == [1] * 42 + [2] * 3 + [3] * 2 + [4] * 24
    first = events[:42]
    assert first["kind"].tolist() == [3] + [1] * 40 + [4]
    assert first["side"].tolist() == [0] + [1] * 20 + [-1] * 20 + [0]
    assert first["price_ticks"][[1, 20, 21, 40]].tolist() == [679_990, 679_800, 680_010, 680_200]
    assert first["size_lots"][[1, 20]].tolist() == [10, 200]
    assert first["aux0"][[0, 1, 20, 41]].tolist() == [20, 1, 20, 40]
    assert set(first["ts_exch_ns"].tolist()) == {TIME * 1_000_000}
    assert set(first["ts_local_ns"].tolist()) == {utc_ns("2026-04-01T00:00:00.669126791")}
    assert first["flags"].tolist() == [3] * 41 + [7]
    assert set(events["market"][47:].tolist()) == {1}


@pytest.mark.parametrize("end", [b"\n", b"\n\n", b"\r\n", b" \n", b"}\n", b"x"])
def test_it_stops_behind_the_last_plain_line(end: bytes) -> None:
    place, number, events, _, _ = scanned(line() + b"\n" + line(1) + end + line(2))
    read = {b"\n": 3, b"\n\n": 2}.get(end, 1)
    assert (number, len(events)) == (1 + read, 42 * read)
    assert place == [0, len(line()) + 1, 2 * (len(line()) + 1), 3 * (len(line()) + 1)][read]


def test_it_stops_where_room_ends() -> None:
    assert scanned(b"\n".join([line(0), line(1)]), room=LINE_EVENTS_MAX)[1] == 2
    assert scanned(line(0), room=LINE_EVENTS_MAX - 1)[1] == 1


def test_every_cut_of_a_line_is_left_alone() -> None:
    whole = line(bids=2, asks=1)
    for length in range(len(whole)):
        assert scanned(whole[:length])[:2] == (0, 1)
        assert scanned(whole[:length] + b"\n" + whole)[:2] == (0, 1)


@given(
    st.integers(1900, 2200), st.integers(0, 13), st.integers(0, 32), st.integers(0, 25), st.integers(0, 61),
    st.integers(0, 61), st.text("0123456789", max_size=11), st.sampled_from(["", "Z", "z", "+00:00"]),
)  # fmt: skip
@settings(max_examples=200)
def test_clocks_are_read_as_by_text(
    year: int, month: int, day: int, hour: int, minute: int, second: int, fraction: str, zone: str
) -> None:
    point = f".{fraction}" if fraction else ""
    text = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{point}{zone}"
    events = scanned(line(clock=text))[2]
    try:
        expected = utc_ns(text)
    except ValueError:
        expected = None
    assert set(events["ts_local_ns"].tolist()) <= {expected}
    if expected is not None and 1970 <= year < 2100 and expected > 0:
        assert len(events) == 42


def test_every_day_of_the_calendar_is_known() -> None:
    for year in (1970, 1971, 1972, 1999, 2000, 2024, 2026, 2099):
        for month in range(1, 13):
            for day in (1, 28, 29, 30, 31):
                text = f"{year}-{month:02d}-{day:02d}T00:00:00.000000001"
                there = day <= calendar.monthrange(year, month)[1]
                times = set(scanned(line(bids=0, asks=0, clock=text))[2]["ts_local_ns"].tolist())
                assert times == ({utc_ns(text)} if there else set())


NUMBERS = st.one_of(
    st.sampled_from(["0", "0.0", "00.1", "1e1", "6.8e4", "1E-3", "", ".5", "5.", "-1", "+1", "68000", "68000.05", "NaN",
                     "70368744177664", "214748364.7", "214748364.8", "703687441.77663", "703687441.77664", "0.000010",
                     "0.000001", "1" * 18, "1" * 19, "0." + "0" * 17, "68000.0000000000000", "1,2"]),
    st.decimals("0.00001", 99_999, places=5).map(str), st.integers(1, 10**6).map(str),
)  # fmt: skip
COUNTS = st.one_of(st.integers(0, 50), st.sampled_from([999_999_999, 10**9, 2**31 - 1, 2**31, -1, 1.0, "1", None]))


@st.composite
def level(draw: st.DrawFn) -> dict[str, Any]:
    """A level: mostly the venue's, now and then with its keys in another order, fewer, or more."""
    entry: dict[str, Any] = {"px": draw(NUMBERS), "sz": draw(NUMBERS), "n": draw(COUNTS)}
    how = draw(st.integers(0, 9))
    if how == 0:
        return dict(reversed(entry.items()))
    if how == 1:
        del entry[draw(st.sampled_from(list(entry)))]
    elif how == 2:
        entry["extra"] = 1
    return entry


@st.composite
def archived(draw: st.DrawFn) -> bytes:
    """A line of the archive's grammar, mostly plain."""
    strange = draw(st.integers(0, 3)) == 0
    sides: list[Any] = [levels(1, draw(st.integers(0, 3))), levels(-1, draw(st.integers(0, 3)))]
    if strange:
        sides[draw(st.integers(0, 1))] += [draw(level())]
    book: dict[str, Any] = {"coin": draw(st.sampled_from(["BTC", "BTC", "ETH", "PEPE"])),
                            "time": TIME + 540 * draw(st.integers(0, 99)), "levels": sides}  # fmt: skip
    if draw(st.integers(0, 5)) == 0:
        book["fast"] = draw(st.booleans())
    channel = draw(st.sampled_from(["l2Book"] * 8 + ["bbo", "pong"])) if strange else "l2Book"
    clock, version = f"2026-04-01T00:00:{draw(st.integers(0, 59)):02d}", draw(st.sampled_from([1, 1, 2, 10]))
    whole = {"time": clock, "ver_num": version, "raw": {"channel": channel, "data": book}}
    if strange and draw(st.booleans()):
        key = draw(st.sampled_from(["time", "ver_num", "raw"]))
        whole = {key: whole.pop(key), **whole} if draw(st.booleans()) else {**whole, "more": 1}
    separators = (", ", ": ") if strange and draw(st.booleans()) else (",", ":")
    text = json.dumps(whole, separators=separators).encode()
    if draw(st.integers(0, 14)) == 0:
        return text[: draw(st.integers(0, len(text)))]
    return text


def outcome(folder: Path, name: str, lines: list[bytes]) -> tuple[bytes, Any, dict[str, int], str]:
    """What a reading gives: bytes of its events, the line of its fault, its counts, how the fault is told."""
    source = open_archive(LineFile(write(folder / name, lines)), None, COINS, {})
    rows, error = fault_of(source)
    return rows.tobytes(), None if error is None else error.line, dict(source.counts), str(error)


@given(st.lists(archived(), min_size=1, max_size=8))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_scanned_means_what_the_types_say(tmp_path: Path, lines: list[bytes]) -> None:
    """A blank behind the first brace means nothing and is not plain, so that the types read every line."""
    apart = [b"{ " + text[1:] if text.startswith(b"{") else text for text in lines]
    assert scanned(b"\n".join(apart))[1] == 1
    try:
        expected = outcome(tmp_path, "typed", apart)
    except DataError as error:
        with pytest.raises(DataError) as caught:
            outcome(tmp_path, "scanned", lines)
        assert caught.value.line == error.line
        return
    found = outcome(tmp_path, "scanned", lines)
    assert found[:2] == expected[:2]
    if found[1] is None:
        assert found[2] == expected[2]
