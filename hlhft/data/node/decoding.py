"""Whole lines of a node's files as arrays, line by line where they are not plain.

The three kinds of files are decoded alike: `lines`, LINE_DTYPE, and `rows` of the markets looked for, CHANGE_DTYPE,
ENTRY_DTYPE or TRADE_DTYPE, in the order of the text. A line that cannot be read is left out and named in `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from hlhft.data.node.changes import CHANGE_DTYPE, ENTRY_DTYPE, LINE_DTYPE, TRADE_DTYPE, Change
from hlhft.data.node.formats import (
    DIFFS,
    FILLS,
    STATUSES,
    Diff,
    LineError,
    NewOrder,
    Resized,
    Times,
    id_of,
    lots_of,
    part,
    side_of,
    ticks_of,
)
from hlhft.data.node.scanning import CHANGE_BYTES_MIN, PADDING, USER_BYTES, padded, scan
from hlhft.hyperliquid.scan import new_coins
from hlhft.units import Market

USERS_MAX = 64  # addresses whose orders are hidden
FAULTS_MAX = 16  # named of one text; the others are counted


class Stream(IntEnum):
    """What a node writes into files of its own."""

    DIFFS = 0
    STATUSES = 1
    FILLS = 2


class Unreadable(NamedTuple):
    """A line that could not be read: its place among the lines of the text, from 0, how many lines before it could be,
    and why it could not."""

    place: int
    lines_before: int
    message: str


class Decoded(NamedTuple):
    """What some lines say; `faults` names at most FAULTS_MAX of the `unreadable` ones."""

    lines: NDArray[np.void]
    rows: NDArray[np.void]
    unreadable: int
    faults: list[Unreadable]


Rows = list[tuple[Any, ...]]


class Decoder:
    """The lines of some markets; the orders of `hidden_users` (addresses) are read as hidden."""

    def __init__(self, markets: Sequence[Market], *, hidden_users: Iterable[str] = ()) -> None:
        """Raises ValueError for markets of the same name, and for what is no address."""
        self._coins = new_coins(markets)
        self._markets = {market.name: (place, market) for place, market in enumerate(markets)}
        self._users = sorted({user.lower() for user in hidden_users})
        for user in self._users:
            if len(user) != USER_BYTES or not user.startswith("0x") or set(user[2:]) - set("0123456789abcdef"):
                raise ValueError(f'"{user}" is no address, expected 0x and 40 hexadecimal digits')
        if len(self._users) > USERS_MAX:
            raise ValueError(f"at most {USERS_MAX} addresses can be hidden, not {len(self._users)}")
        self._user_bytes = np.zeros((len(self._users), USER_BYTES), np.uint8)
        for row, user in enumerate(self._users):
            self._user_bytes[row] = list(user.encode())

    def read(self, stream: Stream, text: bytes) -> Decoded:
        """The whole lines of `text`, which ends with a newline."""
        if stream is Stream.DIFFS:
            return self._diffs(text)
        if stream is Stream.STATUSES:
            return _one_by_one(text, self._status_rows, ENTRY_DTYPE)
        return _one_by_one(text, self._fill_rows, TRADE_DTYPE)

    def _diffs(self, text: bytes) -> Decoded:
        data = padded(text)
        end = len(data) - PADDING
        lines = np.zeros(text.count(b"\n"), LINE_DTYPE)
        rows = np.zeros(len(text) // CHANGE_BYTES_MIN + 1, CHANGE_DTYPE)
        place = line_count = row_count = unreadable = 0
        faults: list[Unreadable] = []
        while place < end:
            place, more_lines, more_rows = scan(
                data, place, end, self._coins, self._user_bytes, rows[row_count:], lines[line_count:]
            )
            line_count += more_lines
            row_count += more_rows
            if place >= end:
                break
            # The scan stopped before a line that is not plain.
            behind = text.index(b"\n", place) + 1
            try:
                times, found, others = self._diff_rows(text[place : behind - 1])
                lines[line_count] = (*times, len(found), others)
                rows[row_count : row_count + len(found)] = found
                line_count += 1
                row_count += len(found)
            except LineError as error:
                unreadable += 1
                if len(faults) < FAULTS_MAX:
                    faults.append(Unreadable(text.count(b"\n", 0, place), line_count, str(error)))
            place = behind
        return Decoded(lines[:line_count], rows[:row_count], unreadable, faults)

    def _diff_rows(self, line: bytes) -> tuple[Times, Rows, int]:
        times, events = DIFFS.read(line)
        rows = [self._change(times.height, event) for event in events if event.coin in self._markets]
        return times, rows, len(events) - len(rows)

    def _change(self, height: int, event: Diff) -> tuple[int, ...]:
        place, market = self._markets[event.coin]
        change, before_id, lots, before_lots = Change.UNKNOWN, 0, 0, -1
        match event.raw_book_diff:
            case "remove":
                change = Change.REMOVE
            case {"new": msgspec.Raw() as raw}:
                order = part(NewOrder, raw)
                change, lots = Change.NEW, lots_of(market, order.sz)
                before_id = 0 if order.insertBefore is None else id_of(order.insertBefore)
            case {"update": msgspec.Raw() as raw}:
                resized = part(Resized, raw)
                change, lots = Change.UPDATE, lots_of(market, resized.newSz)
                before_lots = -1 if resized.origSz is None else lots_of(market, resized.origSz)
        return (
            height, id_of(event.oid), before_id, ticks_of(market, event.px), lots, before_lots, place,
            side_of(event.side), int(change), int(event.user.lower() in self._users), 0,
        )  # fmt: skip

    def _status_rows(self, line: bytes) -> tuple[Times, Rows, int]:
        times, events = STATUSES.read(line)
        rows: Rows = []
        others = 0
        for event in events:
            order = event.order
            if order.coin not in self._markets:
                others += 1
            elif event.enters_book:
                place, _ = self._markets[order.coin]
                rows.append((times.height, id_of(order.oid), place, side_of(order.side), (0, 0, 0)))
        return times, rows, others

    def _fill_rows(self, line: bytes) -> tuple[Times, Rows, int]:
        times, events = FILLS.read(line)
        rows: Rows = []
        others = 0
        for _, fill in events:
            if fill.coin not in self._markets:
                others += 1
            # A trade id of 0 is a dust conversion or the like and never a trade (venue reference section 11).
            elif fill.tid != 0:
                place, market = self._markets[fill.coin]
                ticks, lots, side = ticks_of(market, fill.px), lots_of(market, fill.sz), side_of(fill.side)
                if lots == 0 or side == 0:
                    raise LineError(f"the trade {fill.tid} has no size or no side, expected both")
                maker_id = 0 if fill.crossed else id_of(fill.oid)
                crossed = int(fill.crossed)
                rows.append(
                    (times.height, id_of(fill.tid), maker_id, ticks, lots, place, side, crossed, (0, 0))
                )  # fmt: skip
        return times, rows, others


def _one_by_one(text: bytes, read: Callable[[bytes], tuple[Times, Rows, int]], dtype: np.dtype[np.void]) -> Decoded:
    lines: list[tuple[int, ...]] = []
    rows: Rows = []
    unreadable = 0
    faults: list[Unreadable] = []
    for place, line in enumerate(text.split(b"\n")):
        if not line:
            continue
        try:
            times, found, others = read(line)
        except LineError as error:
            unreadable += 1
            if len(faults) < FAULTS_MAX:
                faults.append(Unreadable(place, len(lines), str(error)))
            continue
        lines.append((*times, len(found), others))
        rows.extend(found)
    return Decoded(np.array(lines, LINE_DTYPE), np.array(rows, dtype), unreadable, faults)
