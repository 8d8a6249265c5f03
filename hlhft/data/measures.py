"""What a recording is like: rows by kind, spreads, trades a minute, latencies. One pass, bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hlhft.data.files import Progress
from hlhft.data.merge import Events, whole_frames
from hlhft.data.sessions import GAP_NS
from hlhft.data.sources import Source
from hlhft.events import EventFlag, EventKind, Side

SAMPLES_MAX = 1 << 20  # of one quantity; beyond, every second one is kept, evenly
_MINUTE_NS = 60_000_000_000
_BOTH = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
_LEVEL, _BEGIN, _BBO, _TRADE = (
    int(kind) for kind in (EventKind.DEPTH_LEVEL, EventKind.SNAPSHOT_BEGIN, EventKind.BBO, EventKind.TRADE)
)
# Which kinds of event stand for what a latency is named after.
_CHANNELS = {_BEGIN: "book", _LEVEL: "book", _BBO: "bbo", _TRADE: "trade", int(EventKind.ASSET_CONTEXT): "context"}
_NO_BID, _NO_ASK = -1, 2**62


@dataclass(frozen=True, slots=True)
class Spread:
    """Relative to the mid, in basis points, over what `of` counts: pictures of the book, or changes of the touch."""

    of: str
    count: int
    mean_bp: float
    median_bp: float
    p95_bp: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Local less exchange time of one channel's messages, in ms."""

    channel: str
    count: int
    p5_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One market of a recording. None stands for what it has too little of to say."""

    market: str
    rows: int
    kinds: dict[str, int]
    first_local_ns: int
    last_local_ns: int
    trades_a_minute: float | None  # silences of more than a minute do not count
    notional_a_minute: float | None  # in the quote currency
    spread: Spread | None
    latencies: tuple[Latency, ...]


class Sample:
    """At most SAMPLES_MAX of the values given, evenly spaced in the order they came."""

    def __init__(self, maximum: int = SAMPLES_MAX) -> None:
        self.count = 0
        self._maximum, self._stride = maximum, 1
        self._held: list[NDArray[np.float64]] = []

    def add(self, values: NDArray[np.float64]) -> None:
        """Takes `values` in."""
        start = -self.count % self._stride
        self.count += len(values)
        self._held.append(values[start :: self._stride])
        while sum(map(len, self._held)) > self._maximum:
            self._held = [np.concatenate(self._held)[::2]]
            self._stride *= 2

    def values(self) -> NDArray[np.float64]:
        """What was kept."""
        return np.concatenate(self._held) if self._held else np.zeros(0)


def measure(source: Source, *, progress: Progress | None = None) -> list[Measured]:
    """Each market of `source`, in its order. Raises DataError for what cannot be read."""
    markets = [_Market(pictures) for pictures in source.snapshot_markets]
    for rows in whole_frames(source.chunks(progress=progress)):
        for index, market in enumerate(markets):
            mine = rows[rows["market"] == index]
            if len(mine):
                market.take(mine)
    return [
        one.measured(market.name, 10.0 ** -(market.price_decimals + market.size_decimals))
        for one, market in zip(markets, source.markets, strict=True)
    ]


class _Market:
    """Running measurements of one market."""

    def __init__(self, pictures: bool) -> None:
        self._kinds: Counter[int] = Counter()
        self._first_local_ns = self._last_local_ns = self._heard_ns = 0
        self._notional = 0.0
        self._latencies = {channel: Sample() for channel in ("book", "bbo", "trade", "context")}
        self._spreads = {"pictures": Sample(), "touches": Sample()}
        self._touch = (_NO_BID, _NO_ASK)
        self._pictures = pictures

    def take(self, rows: Events) -> None:
        """Whole frames of this market (at least a row)."""
        if not self._kinds:
            self._first_local_ns = self._last_local_ns = int(rows["ts_local_ns"][0])
        steps = np.diff(rows["ts_local_ns"], prepend=self._last_local_ns)
        self._heard_ns += int(steps[steps <= GAP_NS].sum())
        self._last_local_ns = int(rows["ts_local_ns"][-1])
        kinds, counts = np.unique(rows["kind"], return_counts=True)
        self._kinds.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
        trades = rows[rows["kind"] == _TRADE]
        self._notional += float((trades["price_ticks"].astype(np.float64) * trades["size_lots"]).sum())
        frame = np.append(0, np.cumsum((rows["flags"] & int(EventFlag.FRAME_END)) != 0)[:-1])
        first = np.append(True, frame[1:] != frame[:-1]) & ((rows["flags"] & _BOTH) == _BOTH)
        latency = (rows["ts_local_ns"] - rows["ts_exch_ns"]) / 1e6
        for kind, channel in _CHANNELS.items():
            self._latencies[channel].add(latency[first & (rows["kind"] == kind)])
        if self._pictures:
            self._spreads["pictures"].add(_spreads(*_best(rows, frame, _LEVEL)))
        bids, asks = _best(rows, frame, _BBO)
        bids, asks = _known(bids, self._touch[0], _NO_BID), _known(asks, self._touch[1], _NO_ASK)
        if len(bids):
            self._touch = (int(bids[-1]), int(asks[-1]))
            self._spreads["touches"].add(_spreads(bids, asks))

    def measured(self, name: str, scale: float) -> Measured:
        """All of it; `scale` is one tick times one lot in the quote currency."""
        minutes = self._heard_ns / _MINUTE_NS
        trades = self._kinds[_TRADE]
        spreads = [(of, sample) for of, sample in self._spreads.items() if sample.count]
        return Measured(
            market=name,
            rows=self._kinds.total(),
            kinds={EventKind(kind).name.lower(): count for kind, count in sorted(self._kinds.items()) if count},
            first_local_ns=self._first_local_ns,
            last_local_ns=self._last_local_ns,
            trades_a_minute=trades / minutes if minutes > 0 else None,
            notional_a_minute=self._notional * scale / minutes if minutes > 0 else None,
            spread=_spread(*spreads[0]) if spreads else None,
            latencies=tuple(_latency(channel, sample) for channel, sample in self._latencies.items() if sample.count),
        )


def _best(rows: Events, frame: NDArray[np.int64], kind: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(best bid, best ask) of each frame that has rows of `kind`, in ticks; _NO_BID and _NO_ASK where it has no side.

    Of levels, only those of a picture count.
    """
    chosen = (rows["kind"] == kind) & (rows["size_lots"] > 0) & (rows["price_ticks"] > 0)
    if kind == _LEVEL:
        pictured = np.zeros(int(frame[-1]) + 1, dtype=np.bool_)
        pictured[frame[rows["kind"] == _BEGIN]] = True
        chosen &= pictured[frame]
    bids, asks = np.full(int(frame[-1]) + 1, _NO_BID), np.full(int(frame[-1]) + 1, _NO_ASK)
    for side, best, reduce in ((Side.BUY, bids, np.maximum), (Side.SELL, asks, np.minimum)):
        mine = chosen & (rows["side"] == int(side))
        reduce.at(best, frame[mine], rows["price_ticks"][mine])
    there = np.unique(frame[chosen])
    return bids[there], asks[there]


def _known(values: NDArray[np.int64], before: int, none: int) -> NDArray[np.int64]:
    """`values` with `none` replaced by the value before it, at the start by `before`."""
    everything = np.append(before, values)
    places = np.maximum.accumulate(np.where(everything != none, np.arange(len(everything)), 0))
    return everything[places][1:]


def _spreads(bids: NDArray[np.int64], asks: NDArray[np.int64]) -> NDArray[np.float64]:
    both = (bids != _NO_BID) & (asks != _NO_ASK)
    bid, ask = bids[both].astype(np.float64), asks[both].astype(np.float64)
    return np.asarray(2e4 * (ask - bid) / (ask + bid))


def _spread(of: str, sample: Sample) -> Spread:
    values = sample.values()
    median, p95 = np.percentile(values, (50, 95)).tolist()
    return Spread(of, sample.count, float(values.mean()), median, p95)


def _latency(channel: str, sample: Sample) -> Latency:
    return Latency(channel, sample.count, *np.percentile(sample.values(), (5, 50, 95, 99)).tolist())
