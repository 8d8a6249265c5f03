"""Streams of event arrays: cut to size, kept whole by frame, and merged in order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hlhft.data.arranging import merge_rows
from hlhft.data.errors import DataError
from hlhft.events import EVENT_DTYPE, EventFlag

Events = NDArray[np.void]
_ROW = np.dtype((np.void, EVENT_DTYPE.itemsize))
_FRAME_END = int(EventFlag.FRAME_END)
_ALWAYS, _NEVER = -(2**62), 2**62


class Numbered(NamedTuple):
    """Events as they stand in one file, each with its place there."""

    events: Events
    places: NDArray[np.int64]  # lines from 1, or rows from 0


def nothing() -> Events:
    """An event array of no rows."""
    return np.zeros(0, dtype=EVENT_DTYPE)


def copied(events: Events) -> Events:
    """The same rows in memory of their own."""
    return _plain(events).copy().view(EVENT_DTYPE)


def joined(arrays: Sequence[Events]) -> Events:
    """The rows of all arrays, one after the other."""
    return np.concatenate([_plain(nothing()), *map(_plain, arrays)]).view(EVENT_DTYPE)


def put_rows(room: Events, events: Events) -> None:
    """Writes the rows to the beginning of `room`."""
    _plain(room)[: len(events)] = _plain(events)


def chosen(events: Events, which: NDArray[np.bool_] | NDArray[np.int64]) -> Events:
    """The rows at these places, or where `which` holds, in memory of their own."""
    return _plain(events)[which].view(EVENT_DTYPE)


def _plain(events: Events) -> Events:
    """The rows without their fields: numpy copies such twenty times as fast as it copies field by field."""
    return events.view(_ROW)


def by_row(arrays: Iterable[Events]) -> Iterator[Numbered]:
    """The same rows, numbered from 0."""
    first = 0
    for array in arrays:
        yield Numbered(array, np.arange(first, first + len(array)))
        first += len(array)


def rechunk(arrays: Iterable[Events], rows_max: int) -> Iterator[Events]:
    """The same rows in arrays of at most `rows_max` (> 0) rows; no empty arrays."""
    if rows_max < 1:
        raise ValueError(f"rows_max must be at least 1, not {rows_max}")
    for array in arrays:
        for start in range(0, len(array), rows_max):
            yield array[start : start + rows_max]


def whole_frames(arrays: Iterable[Events]) -> Iterator[Events]:
    """The same rows, cut only after a row that ends a frame; the last array ends where the stream does."""
    held: list[Events] = []
    for array in arrays:
        ends = np.flatnonzero(array["flags"] & _FRAME_END)
        if len(ends) == 0:
            held.append(array)
            continue
        begin, end = 0, int(ends[-1]) + 1
        if held:
            # Only the frame that was cut is copied.
            begin = int(ends[0]) + 1
            yield joined([*held, array[:begin]])
        if begin < end:
            yield array[begin:end]
        held = [array[end:]] if end < len(array) else []
    if held:
        yield joined(held)


def by_arrival(streams: list[Iterator[Events]], starts_ns: Sequence[int] | None = None) -> Iterator[Events]:
    """Streams that are each sorted by ts_local_ns, as one; at equal times an earlier stream's rows come first.

    Memory is an array or two of each stream that has begun: with `starts_ns`, a time for each stream that none of its
    rows precedes, one is first asked for rows when its time has come. A DataError of one stream is raised after all
    rows up to its last one.
    """
    waiting: list[_Stream] = []
    starts = [_ALWAYS] * len(streams) if starts_ns is None else starts_ns
    later = sorted(range(len(streams)), key=lambda place: starts[place], reverse=True)
    while True:
        waiting = [stream for stream in waiting if stream.fill()]
        bound = min((stream.last_ns() for stream in waiting), default=_NEVER)
        # Nothing that is still to come of any stream is earlier than the earliest last row held, nor equal to it.
        while later and (not waiting or starts[later[-1]] <= bound):
            stream = _Stream(streams[later[-1]], later.pop())
            if stream.fill():
                waiting.append(stream)
                bound = min(bound, stream.last_ns())
        if not waiting:
            return
        if len(waiting) == 1 and not later:
            yield from waiting[0].rest()
            return
        waiting.sort(key=lambda stream: stream.place)
        for stream in waiting:
            stream.fill_beyond(bound)
        yield _merged([rows for stream in waiting if len(rows := stream.take_until(bound))])


def _merged(arrays: list[Events]) -> Events:
    """Sorted arrays (at least one) as one; at equal times an earlier one's rows come first."""
    while len(arrays) > 1:
        # Neighbours, the fewest rows first, so that the many are moved once.
        rows = [len(one) + len(other) for one, other in pairwise(arrays)]
        place = rows.index(min(rows))
        out = np.empty(rows[place], dtype=EVENT_DTYPE)
        merge_rows(arrays[place], arrays[place + 1], out)
        arrays[place : place + 2] = [out]
    return arrays[0]


class _Stream:
    """One sorted stream with the rows read but not yet merged."""

    def __init__(self, arrays: Iterator[Events], place: int) -> None:
        self.place = place
        self._arrays = arrays
        self._held = nothing()
        self._fault: DataError | None = None

    def _next(self) -> Events | None:
        """The next array, None at the end or at a fault, which is kept."""
        try:
            return next(self._arrays, None)
        except DataError as error:
            self._fault = error
            return None

    def fill(self) -> bool:
        """Whether any row is held after reading on. Raises the fault that the stream ended with."""
        while len(self._held) == 0:
            array = self._next()
            if array is None:
                if self._fault is not None:
                    raise self._fault
                return False
            self._held = array
        return True

    def last_ns(self) -> int:
        """Arrival of the last row held."""
        return int(self._held["ts_local_ns"][-1])

    def fill_beyond(self, bound_ns: int) -> None:
        """Reads on until the last row held is later than `bound_ns` or the stream ends."""
        while self.last_ns() <= bound_ns:
            array = self._next()
            if array is None:
                return
            if len(array):
                self._held = joined([self._held, array])

    def take_until(self, bound_ns: int) -> Events:
        """Removes and returns the rows up to `bound_ns` inclusive."""
        cut = int(np.searchsorted(self._held["ts_local_ns"], bound_ns, side="right"))
        taken, self._held = self._held[:cut], self._held[cut:]
        return taken

    def rest(self) -> Iterator[Events]:
        """The rows held and everything after them."""
        assert self._fault is None, "a stream that ended with a fault has no rows left that others have not passed"
        yield self._held
        yield from self._arrays
