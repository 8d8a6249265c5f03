"""One array in the order of both clocks: events that overtook each other on the way become two rows.

A replay walks one array from both sides: the venue sees the rows with EXCHANGE_VISIBLE by ts_exch_ns, this machine
those with LOCAL_VISIBLE by ts_local_ns, and both must find their rows sorted. An event that arrives after one that
happened later is split: a venue's row at its place in exchange time, a local row at its arrival. The rule and the
resulting order are those of hftbacktest's `correct_event_order`; here memory is bounded by a window of time.

In a feed of the venue's own snapshots, events of one block share a time; there trades come first, then the best bid and
offer, then the book, because the latter two are the state after the block (venue reference section 6.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from hlhft.data.arranging import ARRIVAL, LARGEST, NEWEST, insert_rows, is_in_order, split_rows
from hlhft.data.errors import DataError
from hlhft.data.merge import Events, Numbered, chosen, joined, nothing, put_rows
from hlhft.data.tally import Tally
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind

# Real recordings deliver trades up to 18 s late, behind a stalled connection.
WINDOW_NS = 60_000_000_000
_SPAN_NS_MAX = 2**58  # nine years: keys stay within int64
_RANKS = 4
_MARKETS_MAX = 2**16  # what an event's market can say
_UNSEEN = -(2**62)

_EXCHANGE = np.uint16(EventFlag.EXCHANGE_VISIBLE)
_LOCAL = np.uint16(EventFlag.LOCAL_VISIBLE)

# What comes first within one block of a snapshot feed; every kind that is not named comes with the book.
BLOCK_RANK = np.full(256, 2, dtype=np.int64)
BLOCK_RANK[[int(EventKind.TRADE), int(EventKind.DEPTH_CLEAR)]] = 0
BLOCK_RANK[int(EventKind.BBO)] = 1
BLOCK_RANK[int(EventKind.ASSET_CONTEXT)] = 3

Int64 = NDArray[np.int64]


def in_arrival_order(
    arrays: Iterable[Numbered],
    *,
    name: str,
    unit: str = "line",
    window_ns: int = WINDOW_NS,
    tally: Tally | None = None,
) -> Iterator[Events]:
    """The same rows with ts_local_ns never decreasing; equal times keep their order, so frames stay whole.

    Rows below a later one are counted in `tally` as rows_out_of_order. Holds the rows of the last `window_ns`. Raises
    DataError naming the place (a `unit`, line or row) of one that is out of order by more.
    """
    window = _Window(name, unit, window_ns, tally)
    try:
        for array, places in arrays:
            if len(array):
                yield from window.take(array, places)
    except DataError:
        # What stands before the fault is whole; who only wants all of it does not look at it.
        yield from window.held
        raise
    yield from window.held


class _Window:
    """The rows of the last `window_ns` of local time, sorted, in arrays that are not empty.

    What comes in order, as nearly everything does, is not copied.
    """

    def __init__(self, name: str, unit: str, window_ns: int, tally: Tally | None) -> None:
        self.held: list[Events] = []
        self._name = name
        self._unit = unit
        self._window_ns = window_ns
        self._tally = tally
        self._newest = _UNSEEN

    def take(self, array: Events, places: Int64) -> list[Events]:
        """Adds an array (not empty) and returns the rows that nothing to come can precede."""
        local = np.ascontiguousarray(array["ts_local_ns"])
        if local[0] >= self._newest and (local[1:] >= local[:-1]).all():
            self.held.append(array)
            self._newest = int(local[-1])
        else:
            self._take_late(array, places, local)
        return self._release()

    def _take_late(self, array: Events, places: Int64, local: Int64) -> None:
        running = np.maximum(np.maximum.accumulate(local), self._newest)
        late = np.flatnonzero(local < running)
        beyond = late[local[late] < running[late] - self._window_ns]
        if len(beyond):
            at = int(beyond[0])
            self._hold(array[:at])
            place = int(places[at]) if self._unit == "line" else f"{self._unit} {places[at]}"
            raise _beyond_window(self._name, place, "arrival", int(running[at] - local[at]), self._window_ns)
        if self._tally is not None and len(late):
            self._tally.note("rows_out_of_order", array[late])
        self._newest = int(running[-1])
        self._hold(array)

    def _hold(self, array: Events) -> None:
        rows = joined([*self.held, array])
        times = rows["ts_local_ns"]
        if (times[1:] < times[:-1]).any():
            rows = chosen(rows, np.argsort(times, kind="stable"))
        self.held = [rows] if len(rows) else []

    def _release(self) -> list[Events]:
        bound = self._newest - self._window_ns
        ready: list[Events] = []
        while self.held and int(self.held[0]["ts_local_ns"][-1]) < bound:
            ready.append(self.held.pop(0))
        if self.held:
            first = self.held[0]
            cut = int(np.searchsorted(first["ts_local_ns"], bound, side="left"))
            if cut:
                ready.append(first[:cut])
                self.held[0] = first[cut:]
        return ready


def by_both_clocks(
    arrays: Iterable[Events],
    *,
    name: str,
    window_ns: int = WINDOW_NS,
    block_ranked: NDArray[np.bool_] | None = None,
) -> Iterator[Events]:
    """The rows of `arrays` (local rows in order of arrival) sorted for both sides, late ones split.

    `block_ranked`, bool by market, says which markets follow the order within a block (default none). Rows that are
    already sorted for both sides come out as they are. Holds the rows of `window_ns` of exchange time. Raises
    DataError naming the row that is late by more, arrives before the one above it, or whose time is years away from
    the first one's.
    """
    if window_ns < 0:
        raise ValueError(f"window_ns must not be negative, not {window_ns}")
    corrector = _Corrector(name, window_ns, block_ranked)
    for array in arrays:
        if len(array):
            yield from corrector.take(array)
    yield from corrector.held


class _Corrector:
    """What is held back between arrays: the rows within the window of the newest exchange time seen.

    Every row has a key, (exchange time, rank). A local row's is the largest among local rows so far, since it cannot
    come before what arrived before it; the row is late when its own is smaller. Rows go out by key, equal ones in order
    of arrival, so that what is in order already comes out as it is.
    """

    def __init__(self, name: str, window_ns: int, block_ranked: NDArray[np.bool_] | None) -> None:
        self.held: list[Events] = []
        self._held_keys: list[Int64 | None] = []  # None: each row's own key, ascending
        self._name = name
        self._window_ns = window_ns
        self._ranked = np.zeros(_MARKETS_MAX, dtype=np.bool_) if block_ranked is None else block_ranked
        self._base_ns = _UNSEEN
        self._state = np.full(3, _UNSEEN, dtype=np.int64)
        self._held_to = _UNSEEN  # the largest key held, or released
        self._copies: Events = nothing()
        self._copy_places: Int64 = np.zeros((2, 0), dtype=np.int64)  # key, rows before it
        self._row = 0

    def take(self, array: Events) -> list[Events]:
        """Adds an array (not empty) and returns the rows that nothing to come can precede, in arrays not empty."""
        if self._base_ns == _UNSEEN:
            self._base_ns = int(array["ts_exch_ns"][0])
        if is_in_order(
            array, self._base_ns, _SPAN_NS_MAX, self._window_ns, BLOCK_RANK, self._ranked, self._state, self._held_to
        ):
            # As nearly all is of a feed of one channel: nothing needs to be copied.
            self._held_to = int(self._keys_of(array[-1:], None)[0])
            self.held.append(array)
            self._held_keys.append(None)
            self._row += len(array)
        else:
            self._take_apart(array)
        return self._release()

    def _take_apart(self, array: Events) -> None:
        held_rows = joined(self.held)
        held_keys = np.concatenate([np.zeros(0, dtype=np.int64), *map(self._keys_of, self.held, self._held_keys)])
        # What is held of the venue's alone may come behind rows that we have yet to see.
        held = int(np.searchsorted(held_keys, self._state[LARGEST], side="right"))
        ahead = len(held_rows) - held
        if len(self._copies) < ahead + len(array):
            self._copies = np.empty(ahead + len(array), dtype=EVENT_DTYPE)
            self._copy_places = np.empty((2, len(self._copies)), dtype=np.int64)
        copy_keys, copy_at = self._copy_places
        put_rows(self._copies, held_rows[held:])
        copy_keys[:ahead], copy_at[:ahead] = held_keys[held:], held
        # Room for each row that we see, and behind it the venue's copy of a late one.
        rows = np.empty(len(held_rows) + 2 * len(array), dtype=EVENT_DTYPE)
        keys = np.empty(len(rows), dtype=np.int64)
        put_rows(rows, held_rows[:held])
        keys[:held] = held_keys[:held]
        written, copied, is_fit = split_rows(
            array, self._base_ns, _SPAN_NS_MAX, self._window_ns, BLOCK_RANK, self._ranked, self._state,
            rows, keys, held, self._copies, copy_keys, copy_at, ahead,
        )  # fmt: skip
        if not is_fit:
            self._refuse(array)
        self._row += len(array)
        if copied:
            order = np.argsort(copy_keys[:copied], kind="stable")
            insert_rows(rows, keys, written, self._copies, copy_keys, copy_at, order)
            written += copied
        self.held, self._held_keys = ([rows[:written]], [keys[:written]]) if written else ([], [])
        self._held_to = int(keys[written - 1]) if written else _UNSEEN

    def _keys_of(self, rows: Events, keys: Int64 | None) -> Int64:
        if keys is not None:
            return keys
        own = (rows["ts_exch_ns"] - self._base_ns) * _RANKS
        own += np.where(self._ranked[rows["market"]], BLOCK_RANK[rows["kind"]], 0)
        return np.asarray(own)

    def _release(self) -> list[Events]:
        bound = (int(self._state[NEWEST]) - self._window_ns - self._base_ns) * _RANKS
        ready: list[Events] = []
        while self.held:
            rows, keys = self.held[0], self._held_keys[0]
            if keys is None:
                # A key is below the bound as its time is: the bound has rank 0.
                cut = int(np.searchsorted(rows["ts_exch_ns"], bound // _RANKS + self._base_ns, side="left"))
            else:
                cut = int(np.searchsorted(keys, bound, side="left"))
            if cut:
                ready.append(rows[:cut])
            if cut < len(rows):
                self.held[0], self._held_keys[0] = rows[cut:], None if keys is None else keys[cut:]
                break
            del self.held[0], self._held_keys[0]
        return ready

    def _refuse(self, array: Events) -> None:
        """Raises DataError for the first row of `array` that is out of order, by what it is."""
        self._check(array["ts_exch_ns"], (array["flags"] & _EXCHANGE) != 0)
        self._check_arrival(array["ts_local_ns"], (array["flags"] & _LOCAL) != 0)
        raise AssertionError("a row that was refused is out of order")

    def _check(self, exch: Int64, venue: NDArray[np.bool_]) -> None:
        far = np.flatnonzero(np.abs(exch // 2 - self._base_ns // 2) > _SPAN_NS_MAX // 2)
        if len(far):
            raise DataError(
                self._name,
                f"row {self._row + int(far[0])}",
                f"exchange time {int(exch[far[0]])} is years away from the first one, expected one recording, split it",
            )
        # Judged row by row, not by what was released, so that it does not depend on how rows are cut into arrays. Rows
        # that only we see count too: else nothing could be released before the venue's first.
        newest = np.maximum(np.maximum.accumulate(exch), self._state[NEWEST])
        beyond = np.flatnonzero(venue & (exch < newest - self._window_ns))
        if len(beyond):
            at = int(beyond[0])
            late_ns = int(newest[at] - exch[at])
            raise _beyond_window(self._name, f"row {self._row + at}", "exchange", late_ns, self._window_ns)

    def _check_arrival(self, times: Int64, local: NDArray[np.bool_]) -> None:
        places = np.flatnonzero(local)
        arrivals = np.append(self._state[ARRIVAL], times[places])
        back = np.flatnonzero(arrivals[1:] < arrivals[:-1])
        if len(back):
            at = int(back[0])
            late_ns = int(arrivals[at] - arrivals[at + 1])
            raise _beyond_window(self._name, f"row {self._row + int(places[at])}", "arrival", late_ns, 0)


def _beyond_window(name: str, place: int | str, clock: str, late_ns: int, window_ns: int) -> DataError:
    seconds = late_ns / 1e9
    return DataError(
        name,
        place,
        f"the {clock} time is {seconds:.3f} s before an earlier row's, expected at most {window_ns / 1e9:.3f} s, "
        "sort the recording (`hlhft data check --repair` sorts what is within a minute)",
    )
