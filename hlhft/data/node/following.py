"""A node's files followed while they are written: blocks go to a callback, from an asyncio reader, without threads.

The system says when a file grows or appears (inotify); in between nothing runs. What is behind is read in bounded
pieces, one a turn of the loop, so that a follower that starts late or fell behind never holds the loop or the memory:
the backlog stays in the files. A line without its newline waits for it. A new hour's file is begun when it is there and
the old one was read to its end once more.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import inotify_simple
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import LINE_BYTES_MAX
from hlhft.data.merge import Events
from hlhft.data.node.decoding import Decoder, Stream
from hlhft.data.node.formats import read_snapshot
from hlhft.data.node.joining import Joined, Joiner, Lost
from hlhft.data.node.layout import Hour, Layout, NodeFolder, folder_at
from hlhft.units import Market

READ_BYTES = 1 << 20  # of one stream in one turn of the loop
WAIT_BLOCKS = 4  # a block's trades may come so many blocks after its changes of the book
DAYS_WATCHED = 2  # of each stream: today's, and the one that may begin
_GROWS = inotify_simple.flags.MODIFY | inotify_simple.flags.CREATE | inotify_simple.flags.MOVED_TO
_APPEARS = inotify_simple.flags.CREATE | inotify_simple.flags.MOVED_TO


class Followed(NamedTuple):
    """One block, or a piece of one where the node writes them in pieces."""

    height: int
    block_ns: int
    local_ns: int  # of our clock when it was read, or of the node's where no clock was given
    events: Events  # none when nothing changed in our markets; `hlhft.data.node.joining` says in which order


class Follower:
    """Follows the books of some markets from `start` until `close`; needs a snapshot before it tells anything."""

    def __init__(
        self,
        folder: Path,
        markets: Sequence[Market],
        on_block: Callable[[Followed], None],
        *,
        on_lost: Callable[[Lost], None],
        since: int | None = None,
        begins_empty: bool = False,
        hidden_users: Sequence[str] = (),
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        """`on_block` gets every block in order. `on_lost` is told why the books are not known any more; the last block
        before it clears them, and `load` goes on. With `since`, a height, reading begins where its successor may
        stand, else at the end of what is there. Raises DataError when the folder is none of a node's."""
        self._folder: NodeFolder = folder_at(folder)
        self._decoder = Decoder(markets, hidden_users=hidden_users)
        self._by_name = {market.name: market for market in markets}
        self._hidden = tuple(hidden_users)
        is_by_block = self._folder.layout is Layout.BY_BLOCK
        self._joiner = Joiner(
            markets, self._folder.streams, by_block=is_by_block, at_once=not is_by_block, wait_blocks=WAIT_BLOCKS
        )
        if begins_empty:
            self._joiner.begin_empty()
        self._on_block, self._on_lost = on_block, on_lost
        self._clock_ns = clock_ns
        self._since = since
        self._tails: dict[Stream, _Tail] = {}
        self._watched: dict[Path, int] = {}
        self._told_lost: Lost | None = None
        self._inotify: inotify_simple.INotify | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_turn: asyncio.Handle | None = None

    @property
    def needs_snapshot(self) -> bool:
        """Whether nothing is told until `load`."""
        return self._joiner.needs_snapshot

    @property
    def height(self) -> int:
        """Of the newest block told, -1 for none."""
        return self._joiner.height

    @property
    def counts(self) -> Counter[str]:
        """What was found and left out, by name."""
        return self._joiner.counts

    @property
    def backlog_bytes(self) -> int:
        """Bytes that are written and not read yet."""
        return sum(tail.unread_bytes() for tail in self._tails.values())

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watches the folder and begins to read. Raises DataError when the system lets no more folders be watched."""
        assert self._inotify is None, "a follower starts once"
        try:
            self._inotify = inotify_simple.INotify(nonblocking=True)
            self._watch()
        except OSError as error:
            self.close()
            raise DataError(
                self._folder.root,
                None,
                f"the folder cannot be watched ({error.strerror}), raise fs.inotify.max_user_instances and "
                "max_user_watches",
            ) from None
        for stream in self._folder.streams:
            self._tails[stream] = _Tail(self._folder, stream, self._since)
        self._loop = loop
        loop.add_reader(self._inotify.fileno(), self._woken)
        self._next_turn = loop.call_soon(self._turn)

    def close(self) -> None:
        """Ends it; nothing is told any more."""
        if self._inotify is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        for tail in self._tails.values():
            tail.close()

    def load(self, snapshot: Path) -> bool:
        """Begins, or goes on after a loss, from a snapshot that the node wrote; False when it does not meet what was
        read since, then ask for a newer one. Raises DataError for what is no snapshot."""
        if not self._joiner.load(read_snapshot(snapshot, self._by_name), hidden_users=self._hidden):
            return False
        self._told_lost = None
        self._tell()
        return not self.needs_snapshot

    def _woken(self) -> None:
        assert self._inotify is not None, "the reader is removed before it is closed"
        events = self._inotify.read(timeout=0)
        # A full queue of events lost some: whatever they said, reading on finds it.
        if any(event.mask & (_APPEARS | inotify_simple.flags.Q_OVERFLOW) for event in events):
            self._watch()
            for tail in self._tails.values():
                tail.has_news = True
        self._turn()

    def _watch(self) -> None:
        """Watches the folder of each stream and its newest days."""
        assert self._inotify is not None, "folders are watched between start and close"
        for days in self._folder.streams.values():
            if days not in self._watched:
                self._watched[days] = self._inotify.add_watch(days, _APPEARS)
            newest = sorted(day for day in days.iterdir() if day.name.isdigit() and day.is_dir())[-DAYS_WATCHED:]
            for day in newest:
                if day not in self._watched:
                    self._watched[day] = self._inotify.add_watch(day, _GROWS)
            for day in [day for day in self._watched if day.parent == days and day not in newest]:
                self._inotify.rm_watch(self._watched.pop(day))

    def _turn(self) -> None:
        """Reads a piece of each stream and tells what is whole; comes again at once where there is more."""
        assert self._loop is not None, "turns come after the start"
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        has_more = False
        for stream, tail in self._tails.items():
            try:
                text = tail.read()
            except OSError as error:
                self._joiner.lose(f"{tail.path} cannot be read ({error.strerror})")
                continue
            if tail.fault:
                self._joiner.lose(tail.fault)
                tail.fault = ""
            if text:
                has_more = True
                decoded = self._decoder.read(stream, text)
                if self._clock_ns is not None:
                    decoded.lines["local_ns"] = self._clock_ns()
                self._joiner.add(stream, decoded)
        self._tell()
        if has_more and self._inotify is not None:
            self._next_turn = self._loop.call_soon(self._turn)

    def _tell(self) -> None:
        while True:
            joined = self._joiner.take()
            for block in _blocks_of(joined):
                self._on_block(block)
            if len(joined.blocks) == 0 and len(joined.events) == 0:
                break
        lost = self._joiner.lost
        if lost is not None and lost is not self._told_lost:
            self._told_lost = lost
            self._on_lost(lost)


def _blocks_of(joined: Joined) -> Iterator[Followed]:
    """Each block with its events; frames of no block (books that are cleared) come as the block of their height."""
    frames, events = joined.frames, joined.events
    heights = np.union1d(joined.blocks["height"], frames["height"])
    frame_ends = np.searchsorted(frames["height"], heights, side="right")
    begin = 0
    for height, frame_end in zip(heights.tolist(), frame_ends.tolist(), strict=True):
        end = int(frames["events_end"][frame_end - 1]) if frame_end else 0
        at = int(np.searchsorted(joined.blocks["height"], height))
        if at < len(joined.blocks) and int(joined.blocks["height"][at]) == height:
            times = int(joined.blocks["block_ns"][at]), int(joined.blocks["local_ns"][at])
        else:
            times = int(events["ts_exch_ns"][begin]), int(events["ts_local_ns"][begin])
        yield Followed(height, *times, events[begin:end])
        begin = end


class _Tail:
    """The unread end of one stream."""

    def __init__(self, folder: NodeFolder, stream: Stream, since: int | None) -> None:
        self._folder, self._stream = folder, stream
        self.fault = ""  # why what was read last is not to be trusted
        self.has_news = True  # whether a later file may be there
        self._rest = b""
        self._descriptor = -1
        self._offset = 0
        self._hour: Hour | None = None
        hours = folder.hours(stream)
        if since is None:
            first = hours[-1] if hours else None
        else:
            first = next((hour for hour in reversed(hours) if _begins_by(hour.path, since + 1)), None)
            first = first if first is not None else hours[0] if hours else None
        if first is not None:
            self._open(first)
            if since is None:
                self._skip_to_end()

    @property
    def path(self) -> Path:
        """The file that is read."""
        return self._hour.path if self._hour is not None else self._folder.streams[self._stream]

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def unread_bytes(self) -> int:
        """Of the file that is read."""
        return max(os.fstat(self._descriptor).st_size - self._offset, 0) if self._descriptor >= 0 else 0

    def read(self) -> bytes:
        """The next whole lines, at most about READ_BYTES of them; nothing when there is none yet. Raises OSError."""
        following: Hour | None = None
        if self.has_news or self._descriptor < 0:
            following = self._following()
        if self._descriptor >= 0:
            text = self._lines()
            if text:
                return text
        if following is None:
            self.has_news = False
            return b""
        # The old file was read to its end after the new one was there.
        if self._rest:
            self.fault = f"{self.path} ends within a line"
        self._open(following)
        return self._lines()

    def _following(self) -> Hour | None:
        hours = self._folder.hours(self._stream)
        return next((hour for hour in hours if self._hour is None or hour[:2] > self._hour[:2]), None)

    def _open(self, hour: Hour) -> None:
        self.close()
        self._descriptor = os.open(hour.path, os.O_RDONLY | os.O_CLOEXEC)
        self._hour, self._offset, self._rest = hour, 0, b""

    def _skip_to_end(self) -> None:
        """Begins behind the last newline that is there."""
        size = os.fstat(self._descriptor).st_size
        begin = max(size - LINE_BYTES_MAX, 0)
        newline = os.pread(self._descriptor, size - begin, begin).rfind(b"\n")
        self._offset = begin + newline + 1

    def _lines(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        if size < self._offset:
            self.fault = f"{self.path} was cut from {self._offset} to {size} bytes"
            self._offset, self._rest = 0, b""
        text = b""
        while not text:
            piece = os.pread(self._descriptor, READ_BYTES, self._offset)
            self._offset += len(piece)
            cut = piece.rfind(b"\n") + 1
            if cut:
                text, self._rest = self._rest + piece[:cut], piece[cut:]
            else:
                self._rest += piece
                if len(self._rest) > LINE_BYTES_MAX:
                    self.fault = f"{self.path} holds a line of more than {LINE_BYTES_MAX} bytes"
                    self._rest = b""
                    break
            if len(piece) < READ_BYTES:
                break
        return text


def _begins_by(path: Path, height: int) -> bool:
    """Whether the file's first line is of a block up to `height`; an empty or unreadable one says nothing: False."""
    with path.open("rb") as stream:
        line = stream.readline(LINE_BYTES_MAX)
    marker = b'"block_number":'
    at = line.find(marker)
    digits = line[at + len(marker) :].lstrip().split(b",", 1)[0].rstrip(b"}\n") if at >= 0 else b""
    return digits.isdigit() and int(digits) <= height
