"""Whether what a socket brings of each market is still true: the age of data, and streams that contradict each other.

Only data counts; pongs and acknowledgements say nothing about a market. Streams with a cadence (books, contexts) are
stale when they are silent for too long. Of `bbo` and `trades` silence says nothing, so they are judged by contradiction
(venue reference section 6.2: for every block time they share, the bbo is the top of the book):

- a book as new as the latest bbo shows another touch, and no bbo follows: the bbo stands still;
- the bbo is newer than the book by more than the book may be old, at another touch: books come, and tell of the past;
- several blocks traded since the latest touch: the touch stands still (a trade changes it, or at least its size; 86 %
  of the blocks with trades bring a bbo).

Pure: time is an argument, in nanoseconds; block times are the venue's milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hlhft.hyperliquid.backoff import MILLISECOND_NS, SECOND_NS
from hlhft.hyperliquid.subscriptions import Key, Stream, StreamKind

_BOOKS = (StreamKind.FAST_BOOK, StreamKind.BOOK)


class Cause(StrEnum):
    """Why a stream is stale."""

    SILENT = "silent"
    TOUCH_BEHIND = "the book shows another touch"
    BOOK_BEHIND = "the touch is newer than the book"
    TRADES_AHEAD = "trades, and the touch stands still"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessSettings:
    """When streams contradict each other, and when one is trusted again."""

    contradiction_ns: int = SECOND_NS  # how long a book and a bbo may disagree: they come in no fixed order
    trade_blocks_max: int = 8  # blocks with trades without a touch as new
    trade_ns: int = (
        2 * SECOND_NS
    )  # over which they extend at least, in block time; the book's age where there is no bbo
    frames_after_silence: int = 2  # a first frame comes with every subscription, also of a stream that brings no second

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of the freshness is {getattr(self, name)}, and must be more than 0")


DEFAULTS = FreshnessSettings()


class _Watch:
    """An active subscription."""

    __slots__ = ("cause", "frames_missing", "last_ns", "stream", "suspicion", "suspicion_ns")

    def __init__(self, stream: Stream, frames_missing: int, now_ns: int) -> None:
        self.stream = stream
        self.frames_missing = frames_missing  # until it is trusted
        self.last_ns = now_ns
        self.cause: Cause | None = None  # why it is stale
        self.suspicion: Cause | None = None  # why it will be stale at `suspicion_ns`, if nothing speaks against it
        self.suspicion_ns = 0

    @property
    def is_fresh(self) -> bool:
        """Whether it can be trusted now."""
        return not self.frames_missing and self.cause is None

    def deadline_ns(self) -> int | None:
        """When it becomes stale if nothing is heard until then."""
        if self.cause is not None:
            return None
        silent_ns = self.last_ns + self.stream.age_ns_max if self.stream.age_ns_max else None
        if self.suspicion is None:
            return silent_ns
        return self.suspicion_ns if silent_ns is None else min(self.suspicion_ns, silent_ns)


class _Touch:
    """The latest touch that one stream told: block time 0 before the first."""

    __slots__ = ("ask_ticks", "bid_ticks", "block_ms")

    def __init__(self) -> None:
        self.block_ms, self.bid_ticks, self.ask_ticks = 0, 0, 0

    def differs(self, other: _Touch) -> bool:
        """Whether a price is another."""
        return self.bid_ticks != other.bid_ticks or self.ask_ticks != other.ask_ticks


class _Market:
    """What the streams of one market say."""

    __slots__ = ("bbo", "book", "trade_blocks", "trade_ms")

    def __init__(self) -> None:
        self.bbo, self.book = _Touch(), _Touch()
        self.trade_blocks, self.trade_ms = 0, 0


class Freshness:
    """All streams of one socket. Bounded by what is desired."""

    def __init__(self, settings: FreshnessSettings = DEFAULTS) -> None:
        self.settings = settings
        self._streams: dict[int, tuple[Key, ...]] = {}  # by market, what is desired of it
        self._watches: dict[Key, _Watch] = {}
        self._markets: dict[int, _Market] = {}
        self._distrusted: set[Key] = set()  # those that were stale last

    def desire(self, streams: Sequence[Stream]) -> None:
        """Of which streams the freshness of the markets depends."""
        by_market: dict[int, list[Key]] = {}
        for stream in streams:
            by_market.setdefault(stream.market, []).append(stream.key)
        self._streams = {market: tuple(keys) for market, keys in by_market.items()}
        self._distrusted &= {key for keys in self._streams.values() for key in keys}
        wanted = {stream.key: stream for stream in streams}
        for key, watch in list(self._watches.items()):
            if key in wanted and wanted[key].subject == watch.stream.subject:
                watch.stream = wanted[key]
            else:
                self.unwatch(key)

    @property
    def markets(self) -> Iterable[int]:
        """The markets of which something is desired, in the order in which they were told."""
        return self._streams.keys()

    def watch(self, stream: Stream, now_ns: int) -> None:
        """The subscription is active: from now on its data is expected. What is not desired is not watched."""
        key = stream.key
        if key not in self._streams.get(key[0], ()):
            return
        self.unwatch(key)
        needed = self.settings.frames_after_silence if key in self._distrusted else 1
        self._watches[key] = _Watch(stream, needed if stream.age_ns_max else 0, now_ns)
        self._markets.setdefault(stream.market, _Market())

    def unwatch(self, key: Key) -> None:
        """The subscription is active no more; what it told is forgotten."""
        self._watches.pop(key, None)
        market = self._markets.get(key[0])
        if market is None:
            return
        if key[1] is StreamKind.BBO:
            market.bbo = _Touch()
        elif key[1] in _BOOKS:
            market.book = _Touch()
        market.trade_blocks = 0

    def lose(self) -> None:
        """The socket is gone."""
        self._watches.clear()
        self._markets.clear()

    def note(self, key: Key, block_ms: int, bid_ticks: int, ask_ticks: int, now_ns: int) -> bool:
        """Notes a frame of data; whether it made a stream fresh, or one suspect. Books and bbos bring their touch, 0
        for a side that is empty; trades the block time of the latest."""
        watch = self._watches.get(key)
        if watch is None:
            return False
        watch.last_ns = now_ns
        news = False
        if watch.frames_missing:
            watch.frames_missing -= 1
            news = not watch.frames_missing
        kind = key[1]
        market = self._markets[key[0]]
        if kind is StreamKind.BBO:
            touch = market.bbo
        elif kind in _BOOKS:
            touch = market.book
        else:
            return (kind is StreamKind.TRADES and self._traded(key[0], market, block_ms, now_ns)) or news
        if block_ms > touch.block_ms:
            touch.block_ms, touch.bid_ticks, touch.ask_ticks = block_ms, bid_ticks, ask_ticks
            market.trade_blocks = 0
        return self._compare(key[0], market, now_ns) or news

    def stale(self, now_ns: int) -> list[tuple[Stream, Cause]]:
        """The streams that became stale by now, each told once; they stay so until they are watched anew."""
        found = []
        for watch in self._watches.values():
            deadline_ns = watch.deadline_ns()
            if deadline_ns is None or deadline_ns > now_ns:
                continue
            is_suspect = watch.suspicion is not None and watch.suspicion_ns <= now_ns
            watch.cause = watch.suspicion if is_suspect else Cause.SILENT
            assert watch.cause is not None, "what is stale is so for a cause"
            self._distrusted.add(watch.stream.key)
            found.append((watch.stream, watch.cause))
        return found

    def next_deadline_ns(self) -> int | None:
        """When a stream becomes stale, if nothing is heard until then; None when none can."""
        deadlines = (watch.deadline_ns() for watch in self._watches.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def is_fresh(self, market: int) -> bool:
        """Whether all that is desired of the market is active and none of it stale."""
        return all(self.is_stream_fresh(key) for key in self._streams.get(market, ()))

    def is_stream_fresh(self, key: Key) -> bool:
        """Whether the stream is active, was heard if it has a cadence, and is not stale."""
        watch = self._watches.get(key)
        return watch is not None and watch.is_fresh

    def is_other_flowing(self, key: Key) -> bool:
        """Whether another stream with a cadence is fresh: the socket itself is well."""
        return any(
            watch.is_fresh and watch.stream.age_ns_max > 0 for other, watch in self._watches.items() if other != key
        )

    def trust(self, key: Key) -> None:
        """The stream is well again."""
        self._distrusted.discard(key)

    def _compare(self, row: int, market: _Market, now_ns: int) -> bool:
        """Holds the book against the bbo; whether a suspicion began."""
        bbo, book = market.bbo, market.book
        if not bbo.block_ms or not book.block_ms:
            return False
        bbo_watch = self._watches[row, StreamKind.BBO]
        if not book.differs(bbo):
            bbo_watch.suspicion = None
            return False
        if book.block_ms >= bbo.block_ms:
            return _suspect(bbo_watch, Cause.TOUCH_BEHIND, now_ns + self.settings.contradiction_ns)
        bbo_watch.suspicion = None
        book_watch = self._book_watch(row)
        age_ns = (bbo.block_ms - book.block_ms) * MILLISECOND_NS
        if book_watch is None or not 0 < book_watch.stream.age_ns_max < age_ns:
            return False
        return _suspect(book_watch, Cause.BOOK_BEHIND, now_ns)

    def _traded(self, row: int, market: _Market, block_ms: int, now_ns: int) -> bool:
        """Counts the blocks that traded since the latest touch; whether a suspicion began."""
        touch_ms = max(market.bbo.block_ms, market.book.block_ms)
        if not touch_ms or block_ms <= max(touch_ms, market.trade_ms):
            return False
        market.trade_ms = block_ms
        market.trade_blocks += 1
        watch, quiet_ns = self._watches.get((row, StreamKind.BBO)), self.settings.trade_ns
        if watch is None:
            watch = self._book_watch(row)
            quiet_ns = watch.stream.age_ns_max if watch is not None else 0
        is_quiet = 0 < quiet_ns <= (block_ms - touch_ms) * MILLISECOND_NS
        if watch is None or not is_quiet or market.trade_blocks < self.settings.trade_blocks_max:
            return False
        return _suspect(watch, Cause.TRADES_AHEAD, now_ns)

    def _book_watch(self, row: int) -> _Watch | None:
        """The book that should know the touch best: that of five levels comes ten times as often."""
        return self._watches.get((row, StreamKind.FAST_BOOK)) or self._watches.get((row, StreamKind.BOOK))


def _suspect(watch: _Watch, cause: Cause, due_ns: int) -> bool:
    """Puts a stream under suspicion, unless it is already, or is stale anyway; whether it was not."""
    if watch.cause is not None or watch.suspicion is not None:
        return False
    watch.suspicion, watch.suspicion_ns = cause, due_ns
    return True
