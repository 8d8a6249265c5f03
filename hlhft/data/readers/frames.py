"""From messages to event arrays in bulk: what a reader of raw messages gathers, block by block.

A message becomes runs of (kind, side, count) over one growing text of "price,size" pairs, which is turned into whole
numbers once a block; so the cost of a level is a few bytes of text and no Python object.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

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
        """With `cut_levels` the total at a level loses what is finer than a lot, and `cut` counts such levels; without it,
        and for trades always, that is an error."""
        self.cut = 0
        self._cut_levels = cut_levels
        self._path = path
        self._market = market
        self._clear()

    def _clear(self) -> None:
        self._texts: list[bytes] = []
        self._runs: list[tuple[int, int, int]] = []  # kind, side, rows
        self._run_values: list[tuple[int, int, int]] = []  # order_id, aux0, aux1
        self._frames: list[tuple[int, int, int, int]] = []  # line, ts_exch_ns, ts_local_ns, runs

    def frame(self, line: int, *, ts_exch_ns: int, ts_local_ns: int) -> None:
        """Begins the next message, of the file's `line`; an earlier one without rows vanishes."""
        if self._frames and self._frames[-1][3] == len(self._runs):
            self._frames.pop()
        self._frames.append((line, ts_exch_ns, ts_local_ns, len(self._runs)))

    def pairs(self, kind: EventKind, side: int, count: int, text: bytes, *, order_id: int = 0) -> None:
        """`count` rows of a kind and side of this message; `text` is "price,size,price,size...", unscaled."""
        if count:
            self._texts.append(text)
            self._runs.append((int(kind), side, count))
            self._run_values.append((order_id, 0, 0))

    def mark(self, kind: EventKind, *, aux0: int = 0, aux1: int = 0) -> None:
        """One row without price and size."""
        self._texts.append(_NOTHING)
        self._runs.append((int(kind), 0, 1))
        self._run_values.append((0, aux0, aux1))

    def events(self) -> Events:
        """The rows of all messages gathered, flags EXCHANGE_VISIBLE, LOCAL_VISIBLE and FRAME_END set; market 0.

        Raises DataError naming the line of a price or size that this market cannot have.
        """
        if not self._runs:
            self._clear()
            return nothing()
        runs = np.array(self._runs, dtype=np.int64)
        values = np.array(self._run_values, dtype=np.int64)
        frames = np.array(self._frames, dtype=np.int64)
        frame_of_run = np.searchsorted(frames[:, 3], np.arange(len(runs)), side="right") - 1
        run_of_row = np.repeat(np.arange(len(runs)), runs[:, 2])
        frame_of_row = frame_of_run[run_of_row]
        out = np.zeros(len(run_of_row), dtype=EVENT_DTYPE)
        out["ts_exch_ns"] = frames[frame_of_row, 1]
        out["ts_local_ns"] = frames[frame_of_row, 2]
        out["kind"] = runs[run_of_row, 0]
        out["side"] = runs[run_of_row, 1]
        out["order_id"] = values[run_of_row, 0]
        out["aux0"] = values[run_of_row, 1]
        out["aux1"] = values[run_of_row, 2]
        out["flags"] = VISIBLE
        last = np.append(frame_of_row[1:] != frame_of_row[:-1], True)
        out["flags"][last] |= int(EventFlag.FRAME_END)
        self._fill_numbers(out, frames[frame_of_row, 0])
        self._clear()
        return out

    def _fill_numbers(self, out: Events, lines: np.ndarray) -> None:
        market = self._market
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

    def _check_ranges(self, out: Events, lines: np.ndarray) -> None:
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
            self._path, line, f"{error}, expected a positive price and size of {self._market.name}, correct or drop the line"
        )
