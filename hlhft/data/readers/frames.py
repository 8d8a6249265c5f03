"""From messages to event arrays in bulk: what a reader of raw messages gathers, block by block.

A message becomes runs of (kind, side, count) over one growing text of "price,size" pairs, which is turned into whole
numbers once a block; so the cost of a level is a few bytes of text and no Python object.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hlhft.data.decimals import DecimalError, finer, read, scale
from hlhft.data.errors import DataError
from hlhft.data.merge import Events, nothing
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.units import LOTS_MAX, TICKS_MAX, Market

VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
_NOTHING = b"0,0"


class FrameBlock:
    """Messages of one market, gathered; `events` turns them into rows and empties it."""

    def __init__(self, path: Path, market: Market, *, cut_levels: bool = False) -> None:
        """With `cut_levels` the total at a level loses what is finer than a lot, and `cut` counts such levels.

        Without it, and for trades always, that is an error.
        """
        self.cut = 0
        self._cut_levels = cut_levels
        self._path = path
        self._market = market
        self.clear()

    def clear(self) -> None:
        """Forgets what was gathered since the last `events`, after one that raised."""
        self._texts: list[bytes] = []
        # Kind, side, rows, exchange time, order_id, aux0, aux1, flags.
        self._runs: list[tuple[int, int, int, int, int, int, int, int]] = []
        self._orders: dict[int, Sequence[int]] = {}  # orders at each level, by run
        self._frames: list[tuple[int, int, int]] = []  # line, ts_local_ns, first run
        self._ts_exch_ns = 0

    def frame(self, line: int, *, ts_exch_ns: int, ts_local_ns: int) -> None:
        """Begins the next message, of the file's `line`; an earlier one without rows vanishes."""
        if self._frames and self._frames[-1][2] == len(self._runs):
            self._frames.pop()
        self._frames.append((line, ts_local_ns, len(self._runs)))
        self._ts_exch_ns = ts_exch_ns

    def pairs(
        self,
        kind: EventKind,
        side: int,
        count: int,
        text: bytes,
        *,
        order_id: int = 0,
        orders: Sequence[int] = (),
        ts_exch_ns: int | None = None,
        flags: int = VISIBLE,
    ) -> None:
        """`count` rows of a kind and side of this message; `text` is "price,size,price,size...", unscaled.

        `orders` are the numbers of orders at the levels; `ts_exch_ns` where it is not the message's.
        """
        if count:
            if orders:
                self._orders[len(self._runs)] = orders
            self._texts.append(text)
            exch_ns = self._ts_exch_ns if ts_exch_ns is None else ts_exch_ns
            self._runs.append((int(kind), side, count, exch_ns, order_id, 0, 0, flags))

    def mark(self, kind: EventKind, *, aux0: int = 0, aux1: int = 0) -> None:
        """One row without price and size."""
        self._texts.append(_NOTHING)
        self._runs.append((int(kind), 0, 1, self._ts_exch_ns, 0, aux0, aux1, VISIBLE))

    def events(self) -> Events:
        """The rows of all messages gathered, the last one of each with FRAME_END; market 0.

        Raises DataError naming the line of a price or size that this market cannot have.
        """
        return self.events_and_lines()[0]

    def events_and_lines(self) -> tuple[Events, NDArray[np.int64]]:
        """As `events`, with the line of each row, int64[n]."""
        if not self._runs:
            self.clear()
            return nothing(), np.zeros(0, dtype=np.int64)
        runs = np.array(self._runs, dtype=np.int64)
        frames = np.array(self._frames, dtype=np.int64)
        frame_of_run = np.searchsorted(frames[:, 2], np.arange(len(runs)), side="right") - 1
        run_of_row = np.repeat(np.arange(len(runs)), runs[:, 2])
        frame_of_row = frame_of_run[run_of_row]
        out = np.zeros(len(run_of_row), dtype=EVENT_DTYPE)
        for column, field in enumerate(("kind", "side", "", "ts_exch_ns", "order_id", "aux0", "aux1", "flags")):
            if field:
                out[field] = runs[run_of_row, column]
        out["ts_local_ns"] = frames[frame_of_row, 1]
        self._fill_orders(out, runs)
        last = np.append(frame_of_row[1:] != frame_of_row[:-1], True)
        out["flags"][last] |= int(EventFlag.FRAME_END)
        lines = frames[frame_of_row, 0]
        self._fill_numbers(out, runs, lines)
        self.clear()
        return out, lines

    def _fill_orders(self, out: Events, runs: NDArray[np.int64]) -> None:
        if self._orders:
            starts = np.append(0, np.cumsum(runs[:, 2]))
            for run, orders in self._orders.items():
                out["aux0"][starts[run] : starts[run + 1]] = orders

    def _fill_numbers(self, out: Events, runs: NDArray[np.int64], lines: NDArray[np.int64]) -> None:
        market = self._market
        row = 0
        for count, text in zip(runs[:, 2].tolist(), self._texts, strict=True):
            if text.count(b",") != 2 * count - 1:
                raise self._refusal(int(lines[row]), ValueError("a price or size holds a comma"))
            row += count
        try:
            digits, decimals = read(b",".join(self._texts))
        except DecimalError as error:
            raise self._refusal(int(lines[min(error.index // 2, len(lines) - 1)]), error) from None
        assert len(digits) == 2 * len(out), "one price and one size a row"
        sizes, size_decimals = digits[1::2], decimals[1::2]
        book = out["kind"] != int(EventKind.TRADE)
        try:
            out["price_ticks"] = scale(digits[0::2], decimals[0::2], market.price_decimals, what="price")
            out["size_lots"] = scale(
                sizes, size_decimals, market.size_decimals, what="size", cut=book if self._cut_levels else None
            )
        except DecimalError as error:
            raise self._refusal(int(lines[error.index]), error) from None
        if self._cut_levels:
            self.cut += int(finer(sizes, size_decimals, market.size_decimals).sum())
        self._check_ranges(out, lines)

    def _check_ranges(self, out: Events, lines: NDArray[np.int64]) -> None:
        ticks, lots, kind = out["price_ticks"], out["size_lots"], out["kind"]
        wrong = (ticks < 0) | (ticks > TICKS_MAX) | (lots < 0) | (lots > LOTS_MAX)
        trade = kind == int(EventKind.TRADE)
        wrong |= (trade | (kind == int(EventKind.DEPTH_LEVEL))) & (ticks == 0)
        wrong |= trade & (lots == 0)
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            price, size = self._market.price_text(int(ticks[index])), self._market.size_text(int(lots[index]))
            raise self._refusal(int(lines[index]), ValueError(f"price {price} with size {size} is out of range"))

    def _refusal(self, line: int, error: Exception) -> DataError:
        return DataError(
            self._path,
            line,
            f"{error}, expected a positive price and size of {self._market.name}, correct or drop the line",
        )
