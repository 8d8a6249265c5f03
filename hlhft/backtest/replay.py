"""Sets up a replay, feeds it rows in bounded windows, and collects what it logged.

The compiled loop asks for rows, or for room, and is called again; memory is one window of rows a market, the books'
band and the logs, whatever the recording's length.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Protocol

import numpy as np

from hlhft.backtest.accounts import Accounts, new_accounts
from hlhft.backtest.bus import Bus, new_bus
from hlhft.backtest.latency import new_lines
from hlhft.backtest.loop import LOOP_DTYPE, RECORD_DTYPE, Status, advance, record_ends
from hlhft.backtest.rows import ROW_DTYPE
from hlhft.core.state import (
    COMMAND_DTYPE,
    LEVEL_DTYPE,
    LEVELS,
    LIMITS_DTYPE,
    ORDERS_PER_MARKET,
    Lane,
    MarketData,
    new_lanes,
    new_market_data,
)
from hlhft.core.step import prepare_view
from hlhft.events import EVENT_DTYPE, EventKind, empty
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.report.fill_rates import ORDERS_MAX, PLACED_DTYPE
from hlhft.strategies import Strategy, pair_legs
from hlhft.units import Market
from hlhft.venue.recorded import REPLY_DTYPE, FillReason, RecordedVenue, new_venue

WINDOW_ROWS = 65_536
WINDOW_ROWS_MAX = 16 * 1024 * 1024
BAND_MAX = 1 << 24  # ticks a side of the ladder: 2^24 cells of 8 bytes, touched only where levels are
BAND_MARGIN = 50  # the band reaches a fiftieth of the price beyond the recorded range
RECORD_ROWS = 65_536  # what is not written is never touched
FILL_ROWS = 4096  # more than one line's ring
COMMANDS_MAX = 512


class ReplayError(RuntimeError):
    """A replay that cannot go on: a bound was reached that its inputs must respect."""


class RowStream(Protocol):
    """A market's rows, in order, and the range of their prices."""

    low_ticks: int
    high_ticks: int
    rows_total: int

    def read(self, rows_max: int) -> np.ndarray:
        """The next rows, ROW_DTYPE, at most `rows_max`; empty at the end."""

    def whole(self) -> np.ndarray | None:
        """All rows at once, instead of reading them, where that costs no memory of our own; else None."""


@dataclass
class RowArray:
    """A row stream over an array in memory, shared by every replay that reads it."""

    rows: np.ndarray
    low_ticks: int
    high_ticks: int
    position: int = 0

    @property
    def rows_total(self) -> int:
        """Rows in the whole stream."""
        return len(self.rows)

    def read(self, rows_max: int) -> np.ndarray:
        """The next rows, a view."""
        part = self.rows[self.position : self.position + rows_max]
        self.position += len(part)
        return part

    def whole(self) -> np.ndarray:
        """All rows, as they are."""
        self.position = len(self.rows)
        return self.rows


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """Everything that decides a replay's outcome."""

    markets: Sequence[Market]
    streams: Sequence[RowStream]
    strategy: Strategy
    params: Sequence[Mapping[str, str | float]]  # one lane each
    limits: np.ndarray  # LIMITS_DTYPE[1]
    rules: np.ndarray  # RULES_DTYPE[1]
    latency: np.ndarray  # LATENCY_DTYPE[1]
    latency_table: np.ndarray
    seed: int
    capital_micro: int
    record_interval_ns: int
    funding_rate_e12: int = 0
    pay_funding: bool = True
    enforce_margin: bool = True  # where the rules know of margin
    fees_e9: Sequence[tuple[int, int]] = ()  # maker and taker rate a lane; empty: the markets' own
    address_actions: int = 10_000
    # What models said, EVENT_DTYPE[n] of the kinds SIGNAL and POLICY in order of `ts_local_ns`, when it reached us: all
    # lanes hear it.
    signals: np.ndarray = field(default_factory=lambda: empty(0))


@dataclass
class ReplayOutput:
    """What a replay logged. Fills and funding in order of our learning of them, records in order of time.

    Each lane's last record of a market comes after all that the lane learned: it is its final state.
    """

    fills: np.ndarray  # REPLY_DTYPE
    records: np.ndarray  # RECORD_DTYPE
    lanes: Lane
    first_ns: int
    last_ns: int
    venue_rows: int
    levels_outside: int
    liquidations: int  # lanes that were liquidated
    holdings: np.ndarray  # HOLDING_DTYPE[L, M]: what the venue says; equal to the lanes' own at the end
    interrupted: bool = False  # the user stopped it: everything up to `last_ns` is there
    # Orders that came to rest, PLACED_DTYPE, where they were wanted: the first ORDERS_MAX.
    placed: np.ndarray = field(default_factory=lambda: np.zeros(0, PLACED_DTYPE))

    def lane(self, number: int) -> ReplayOutput:
        """One lane's part, as a run of that lane alone would have given it."""
        fills, records, placed = (log[log["lane"] == number] for log in (self.fills, self.records, self.placed))
        fills["lane"] = records["lane"] = placed["lane"] = 0
        part = slice(number, number + 1)
        return ReplayOutput(
            fills=fills,
            records=records,
            lanes=Lane(*(array[part] for array in self.lanes)),
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            venue_rows=self.venue_rows,
            levels_outside=self.levels_outside,
            liquidations=_liquidated(fills),
            holdings=self.holdings[part],
            interrupted=self.interrupted,
            placed=placed,
        )


def _liquidated(fills: np.ndarray) -> int:
    """How many lanes learned of a forced fill."""
    return len(np.unique(fills["lane"][fills["reason"] == FillReason.LIQUIDATION]))


@dataclass
class _Log:
    """A growing list of chunks behind a fixed buffer that compiled code fills."""

    buffer: np.ndarray
    chunks: list[np.ndarray] = field(default_factory=list)

    def drain(self, count: int) -> None:
        """Keeps the first `count` entries of the buffer: a buffer that is mostly full is handed over, not copied."""
        if 2 * count > len(self.buffer):
            self.chunks.append(self.buffer[:count])
            self.buffer = np.zeros(len(self.buffer), self.buffer.dtype)
        elif count:
            self.chunks.append(self.buffer[:count].copy())

    def joined(self) -> np.ndarray:
        """Everything kept, in order."""
        if len(self.chunks) == 1:
            return self.chunks[0]
        return np.concatenate(self.chunks) if self.chunks else self.buffer[:0].copy()


class _Windows:
    """One window of rows a market: what neither side has passed stays, the rest makes room."""

    def __init__(self, streams: Sequence[RowStream]) -> None:
        self.streams = streams
        count = len(streams)
        size = min(WINDOW_ROWS, max(1, *(stream.rows_total for stream in streams)) + 1)
        self.rows = np.zeros((count, size), ROW_DTYPE)
        self.cursors = np.zeros((count, 2), np.int64)
        self.ends = np.zeros(count, np.int64)
        self.finished = np.zeros(count, np.int64)
        # One market whose rows can be had whole is walked where they are, a window after the other.
        self.whole = streams[0].whole() if count == 1 else None
        if self.whole is not None:
            self.rows = self.whole[np.newaxis, :]
        for market in range(count):
            self._fill(market)

    def refill(self) -> None:
        """Reads on wherever a side has come to the end of its window; where none has and rows are wanted, everywhere.

        A window may hold nothing for one of the sides, whose cursor then stays where it is.
        """
        unfinished = [market for market in range(len(self.streams)) if not self.finished[market]]
        passed = [market for market in unfinished if self.cursors[market].max() >= self.ends[market]]
        for market in passed or unfinished:
            self._fill(market)

    def _fill(self, market: int) -> None:
        if self.whole is not None:
            self.ends[0] = min(self.ends[0] + WINDOW_ROWS, len(self.whole))
            self.finished[0] = int(self.ends[0] == len(self.whole))
            return
        passed, end = int(self.cursors[market].min()), int(self.ends[market])
        if passed > 0:
            # numpy sees that the two overlap.
            self.rows[market, : end - passed] = self.rows[market, passed:end]
            self.cursors[market] -= passed
            end -= passed
        if end * 2 > self.rows.shape[1]:
            self._grow()
        fresh = self.streams[market].read(self.rows.shape[1] - end)
        self.rows[market, end : end + len(fresh)] = fresh
        self.ends[market] = end + len(fresh)
        self.finished[market] = int(len(fresh) == 0)

    def _grow(self) -> None:
        size = self.rows.shape[1] * 2
        if size > WINDOW_ROWS_MAX:
            raise ReplayError(
                f"the two clocks of the recording lie more than {WINDOW_ROWS_MAX} rows apart; check its clock offset "
                "with `hlhft data check`"
            )
        grown = np.zeros((len(self.streams), size), ROW_DTYPE)
        grown[:, : self.rows.shape[1]] = self.rows
        self.rows = grown


def band_of(streams: Sequence[RowStream]) -> tuple[list[int], int]:
    """Base tick of each market's ladder and the common width that holds every recorded price.

    Raises ReplayError when a recording's prices span more than BAND_MAX ticks.
    """
    bases, width = [], 64
    for stream in streams:
        span = stream.high_ticks - stream.low_ticks
        margin = max(span, stream.high_ticks // BAND_MARGIN, 64)
        if span + 2 * margin > BAND_MAX:
            raise ReplayError(
                f"prices from {stream.low_ticks} to {stream.high_ticks} ticks span more than {BAND_MAX} ticks; "
                "check the recording with `hlhft data check`"
            )
        bases.append(max(stream.low_ticks - margin, 1))
        width = max(width, span + 2 * margin + 1)
    return bases, width


def _new_data(plan: ReplayPlan, records: np.ndarray, bases: list[int], width: int) -> MarketData:
    _, data = new_market_data(records, len(plan.markets), width)
    for index, base in enumerate(bases):
        data.books[index]["ladder_index"] = index
        data.ladders[index] = (base, width, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    return data


def _new_lanes(plan: ReplayPlan, data: MarketData) -> Lane:
    lanes = new_lanes(len(plan.params), len(plan.markets))
    address = plan.strategy.address()
    for number, values in enumerate(plan.params):
        lane = lanes.lane[number]
        lane["strategy_address"] = address
        lane["starting_equity_micro"] = lane["equity_micro"] = plan.capital_micro
        lane["connected"] = 1
        lane["address_initial"] = lane["address_allowance"] = plan.address_actions
        lanes.params[number] = plan.strategy.params_bytes(values)
        for index, market in enumerate(plan.markets):
            position = lanes.positions[number, index]
            own = (market.maker_rate_e9, market.taker_rate_e9)
            position["maker_rate_e9"], position["taker_rate_e9"] = plan.fees_e9[number] if plan.fees_e9 else own
        pair_legs(plan.strategy, values, plan.markets, lanes.positions[number])
        prepare_view(data, Lane(*(array[number] for array in lanes)))
    return lanes


def _new_venue(plan: ReplayPlan, records: np.ndarray, lanes: Lane, bases: list[int], width: int) -> RecordedVenue:
    slots = len(plan.params) * len(plan.markets) * ORDERS_PER_MARKET
    venue = new_venue(records, plan.rules, lanes=len(plan.params), base_ticks=bases, width=width, slots=slots)
    for name in ("maker_rate_e9", "taker_rate_e9"):
        venue.holdings[name] = lanes.positions[name]
    return venue


@dataclass
class Replay:
    """A replay that is set up and has not run: books, lanes, venue, accounts, lines and the first windows of rows."""

    plan: ReplayPlan
    loop: np.ndarray
    data: MarketData
    lanes: Lane
    venue: RecordedVenue
    accounts: Accounts
    bus: Bus
    windows: _Windows


def prepare(plan: ReplayPlan) -> Replay:
    """Sets a replay up: everything is allocated here, nothing after.

    Raises ReplayError when the recording's prices do not fit a ladder or a market's leverage no margin table,
    StrategyError when the strategy does not compile.
    """
    assert plan.limits.dtype == LIMITS_DTYPE and len(plan.markets) == len(plan.streams) > 0 and plan.params
    assert plan.signals.dtype == EVENT_DTYPE and (plan.signals["market"] < len(plan.markets)).all()
    assert (np.diff(plan.signals["ts_local_ns"]) >= 0).all(), "signals come in order of their arrival"
    records = np.concatenate([market.record() for market in plan.markets])
    bases, width = band_of(plan.streams)
    data = _new_data(plan, records, bases, width)
    lanes = _new_lanes(plan, data)
    venue = _new_venue(plan, records, lanes, bases, width)
    try:
        accounts = new_accounts(records, lanes=len(plan.params), capital_micro=plan.capital_micro)
    except ValueError as error:
        raise ReplayError(f"the market specification: {error}") from None
    bus = new_bus(len(plan.params), plan.latency, plan.latency_table, new_lines(len(plan.params), plan.seed))
    loop = np.zeros(1, LOOP_DTYPE)
    loop["record_interval_ns"] = plan.record_interval_ns
    loop["funding"], loop["funding_rate_e12"] = int(plan.pay_funding), plan.funding_rate_e12
    loop["margin"] = int(plan.enforce_margin and plan.rules["enforce_margin"][0] != 0)
    return Replay(plan, loop, data, lanes, venue, accounts, bus, _Windows(plan.streams))


def run_replay(plan: ReplayPlan, progress: Callable[[int, int], None] | None = None) -> ReplayOutput:
    """Prepares the plan and runs it to the end of its rows; see `prepare` and `run`."""
    return run(prepare(plan), progress)


def run(
    replay: Replay,
    progress: Callable[[int, int], None] | None = None,
    *,
    keep_fills: bool = True,
    keep_orders: bool = False,
) -> ReplayOutput:
    """Runs a prepared replay to the end of its rows, once.

    Without `keep_fills` the output's fills are empty and its memory does not grow with their number. With `keep_orders`
    as well, the output holds the orders that came to rest.
    `progress(rows done, rows in all)` is called between windows. After a Ctrl-C, or a KeyboardInterrupt of `progress`,
    everything up to that window's end is there. Raises ReplayError when a bound is reached.
    """
    drive = Drive(replay, keep_fills=keep_fills, keep_orders=keep_orders)
    total = sum(stream.rows_total for stream in replay.plan.streams)
    status = Status.NEED_ROWS
    with _Interrupt() as interrupt:
        while True:
            try:
                status = drive.call()
                if progress is not None:
                    progress(int(replay.loop["venue_rows"][0]), total)
            except KeyboardInterrupt:
                interrupt.noted = True
            if status == Status.DONE or interrupt.noted:
                return drive.end(interrupted=status != Status.DONE)
            if status != Status.NEED_ROWS:
                drive.drain()


class _Interrupt:
    """Notes a first Ctrl-C, so that it never strikes between two entries that belong together; a second one strikes.

    Only in the main thread, and only where nobody else handles the signal.
    """

    def __init__(self) -> None:
        self.noted = False
        self._installed = False

    def __enter__(self) -> _Interrupt:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.noted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class Drive:
    """Calls the compiled loop again and again, and holds what it logs between the calls."""

    def __init__(self, replay: Replay, *, keep_fills: bool = True, keep_orders: bool = False) -> None:
        plan = replay.plan
        assert keep_fills or not keep_orders, "orders are logged among the fills"
        replay.loop["log_orders"] = int(keep_orders)
        room = len(plan.params) * len(plan.markets)
        self.fills = _Log(np.zeros(FILL_ROWS, REPLY_DTYPE))
        self.records = _Log(np.zeros(max(RECORD_ROWS, 4 * room), RECORD_DTYPE))
        self._placed: list[np.ndarray] = []
        self._replay = replay
        self._keep_fills = keep_fills
        self._scratch = np.zeros((2, LEVELS), LEVEL_DTYPE)
        self._out = np.zeros(COMMANDS_MAX, COMMAND_DTYPE)
        self._woken = np.zeros(len(plan.params), np.int64)

    def call(self) -> Status:
        """One call of the loop; where it wants more rows they are there for the next one. Raises ReplayError."""
        replay, windows = self._replay, self._replay.windows
        status = Status(
            advance(
                replay.loop, replay.data, replay.lanes, replay.plan.limits, replay.venue, replay.accounts, replay.bus,
                windows.rows, windows.cursors, windows.ends, windows.finished, self._scratch, self._out,
                self.fills.buffer, self.records.buffer, self._woken, replay.plan.signals,
            )
        )  # fmt: skip
        if status == Status.NEED_ROWS:
            windows.refill()
        elif status in (Status.BUS_FULL, Status.REPLIES_LOST):
            raise ReplayError(f"the replay stopped with {status.name}: more messages under way than its lines hold")
        return status

    def run_until(self, until_ns: int) -> bool:
        """Goes on until our side has done all that it does up to `until_ns` > 0; whether anything is left after that.

        Whether and where a replay pauses changes nothing of what comes of it. Raises ReplayError.
        """
        assert until_ns > 0
        self._replay.loop["until_ns"] = until_ns
        while True:
            status = self.call()
            if status in (Status.PAUSED, Status.DONE):
                return status == Status.PAUSED
            if status != Status.NEED_ROWS:
                self.drain()

    def drain(self) -> None:
        """Takes what was logged out of the buffers, so that there is room again."""
        loop = self._replay.loop
        if loop["log_orders"][0]:
            self._take_orders(int(loop["fill_count"][0]))
        self.fills.drain(int(loop["fill_count"][0]) if self._keep_fills else 0)
        self.records.drain(int(loop["record_count"][0]))
        loop["fill_count"] = loop["record_count"] = 0

    def _take_orders(self, count: int) -> None:
        """Takes the orders among the first `count` entries of the buffer out of it, up to ORDERS_MAX in all; the other
        entries close up. Once there are so many, no more are logged."""
        loop, logged = self._replay.loop, self.fills.buffer[:count]
        is_order = logged["kind"] == int(EventKind.ORDER_ACKNOWLEDGED)
        room = ORDERS_MAX - sum(map(len, self._placed))
        self._placed.append(_placed(logged[is_order][:room]))
        if is_order.sum() >= room:
            loop["log_orders"] = 0
        rest = logged[~is_order]
        logged[: len(rest)] = rest
        loop["fill_count"] = len(rest)

    def end(self, *, interrupted: bool) -> ReplayOutput:
        """Everything that was logged, each lane's last record after it."""
        replay = self._replay
        self.drain()
        done = int(not interrupted)
        buffer = self.records.buffer
        self.records.drain(record_ends(replay.loop, replay.data, replay.lanes, replay.bus, done, buffer))
        fills = self.fills.joined()
        return ReplayOutput(
            fills=fills,
            records=self.records.joined(),
            lanes=replay.lanes,
            first_ns=int(replay.loop["first_ns"][0]),
            last_ns=int(replay.loop["now_ns" if interrupted else "last_row_ns"][0]),
            venue_rows=int(replay.loop["venue_rows"][0]),
            levels_outside=int(replay.venue.ladders["updates_outside"].sum()),
            liquidations=_liquidated(fills),
            holdings=replay.venue.holdings,
            interrupted=interrupted,
            placed=np.concatenate([np.zeros(0, PLACED_DTYPE), *self._placed]),
        )


def _placed(replies: np.ndarray) -> np.ndarray:
    """PLACED_DTYPE of REPLY_DTYPE acknowledgements."""
    placed = np.zeros(len(replies), PLACED_DTYPE)
    placed["ahead_lots"] = replies["front_at_entry"]
    for name in (
        "ts_exch_ns",
        "ts_local_ns",
        "order_id",
        "price_ticks",
        "touch_ticks",
        "size_lots",
        "lane",
        "market",
        "side",
    ):
        placed[name] = replies[name]
    return placed
