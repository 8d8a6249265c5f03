"""A session's results from its journal: the brain steps over the same inputs again, and is asked what it held.

The same figures as a backtest has, from the same code. What a fill gained is measured against the mid that we knew when
it came; where an order stood in the queue, the venue does not say. The session needs its market data, so a ledger alone
is not enough.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.backtest.runs import empty_log, empty_records, library_versions
from hlhft.core.brain import Brain
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.live.journal.brains import brain_of
from hlhft.live.journal.reader import Reading, readings
from hlhft.live.journal.records import EndReason, NoteKind, Record, RecordKind, Start, read_inputs, read_start
from hlhft.live.journal.segments import Form, JournalError
from hlhft.live.session_orders import SessionOrders
from hlhft.report.markouts import HORIZONS_NS
from hlhft.report.metrics import LaneLog
from hlhft.report.results import Results, scenario_result

RECORD_INTERVAL_NS = 1_000_000_000
_FILLED, _FUNDING, _POSITION = (
    int(EventKind.ORDER_FILLED), int(EventKind.FUNDING_PAYMENT), int(EventKind.POSITION_STATE),
)  # fmt: skip
_NOT_BEFORE = "what was before is in none of these figures"
_NOT_COUNTED = "and what came after is in none of these figures"
_ENDS = {  # and EndReason.CLOSED, of which there is nothing to say
    EndReason.ROTATED: "Its end is not in the journal: it still runs, or its process died.",
    EndReason.SEALED: "Its process died.",
    EndReason.TORN: "Its process died, and what it was writing is in none of these figures.",
}
_TAKER_REASON, _UNSAID_REASON = 4, 0  # hlhft.report.markouts.REASONS; how a maker was reached, nobody says


def session_results(journal: Path, session: int | None = None, *, title: str = "") -> Results:
    """The results of a session, by default the newest of the folder; the title of its report, by default the folder's.

    What the journal does not hold of it, damaged, missing or never written, is said in `missing`: the figures are those
    of the records before. Raises JournalError when it is not there or its market data are gone, RecordError when a head
    is of another schema.
    """
    log = SessionLog()
    missing = _taken(log, readings(journal, session))
    return replace(log.results(title=title or f"session of {journal.parent.name}"), missing=missing)


def _taken(log: SessionLog, files: Sequence[Reading]) -> tuple[str, ...]:
    """Gives `log` the records of a session's files up to the first that is missing or damaged; says what it lacks."""
    missing: list[str] = []
    last, number = None, 0
    for reading in files:
        if reading.form is Form.LEDGER:
            raise JournalError(f"{reading.path}: its market data were dropped, so nobody can say what was earned")
        if reading.name.number != number and last is not None:
            return (*missing, f"A file of the journal before {reading.path.name} is missing, {_NOT_COUNTED}.")
        if reading.name.number != number:
            missing.append(f"The journal begins with {reading.path.name}: {_NOT_BEFORE}.")
        number = reading.name.number + 1
        for record in reading:
            log.take(record)
            last = record
        if reading.fault:
            return (*missing, f"The journal is damaged, {_NOT_COUNTED}: {reading.fault}.")
    how = EndReason(last.detail) if last is not None and last.kind is RecordKind.END else EndReason.ROTATED
    return (*missing, *((_ENDS[how],) if how in _ENDS else ()))


class SessionLog:
    """Takes a session's records in order, and makes its results."""

    def __init__(self) -> None:
        self._start: Start | None = None
        self._brain: Brain | None = None
        self._rows = np.zeros(1024, EVENT_DTYPE)
        self._was_changed = False  # by something else than a step
        self._entries: list[np.ndarray] = []
        self._samples: list[np.ndarray] = []
        self._opened = np.zeros(0, np.int64)  # entries of the log that stand for positions of an earlier session
        self._mids: list[tuple[array[int], array[int]]] = []  # times and twice the mids, a market
        self._first_ns = self._now_ns = self._next_ns = 0
        self._orders = SessionOrders()
        self._events = 0

    def take(self, record: Record) -> None:
        """The next record. Raises RecordError."""
        match record.kind:
            case RecordKind.START:
                self._head(read_start(record.payload))
            case RecordKind.INPUTS:
                self._step(read_inputs(record.payload))
            case RecordKind.NOTE:
                self._was_changed |= record.detail == NoteKind.SETTINGS
            case _:
                pass

    def results(self, *, title: str) -> Results:
        """What the session made. Raises JournalError when it holds no market data at all."""
        brain, start = self._brain, self._start
        if brain is None or start is None or not self._first_ns:
            raise JournalError(f"{title}: nothing was recorded, so there is nothing to report")
        self._sample()
        log, lane = self._log(), brain.lane
        maker, taker = (int(lane.positions[0][name]) for name in ("maker_rate_e9", "taker_rate_e9"))
        logged = LaneLog(
            markets=start.markets,
            log=log,
            records=np.concatenate(self._samples),
            lane=lane.lane,
            positions=lane.positions,
            first_ns=self._first_ns,
            last_ns=self._now_ns,
            capital_micro=int(lane.lane["starting_equity_micro"][0]),
            placed=self._orders.placed(),
        )
        name = f"session {start.session}, maker {maker / 1e5:+g} bp, taker {taker / 1e5:+g} bp"
        identity = {
            "version": start.versions["hlhft"],
            "session": start.session,
            "code_key": start.code_key,
            "settings": {"strategy": start.strategy, "configuration": start.configuration},
            "libraries": library_versions(),
        }
        return Results(
            title=title,
            scenarios=(
                scenario_result(
                    name=name,
                    rates_e9=(maker, taker),
                    lane=logged,
                    mid_half_ticks=self._later_mids(log),
                    strategy=start.strategy,
                ),
            ),
            identity=identity,
            models={},
            snapshots=True,
            interrupted=False,
            events=self._events,
            levels_outside=0,
            is_live=True,
            latencies=self._orders.latencies(),
        )

    def _head(self, start: Start) -> None:
        """The first head makes the brain; a later one does where settings changed, for else it is in that state."""
        if self._brain is None or self._was_changed:
            self._brain = brain_of(start)
        if self._start is None:
            self._mids = [(array("q"), array("q")) for _ in start.markets]
            self._opened = np.zeros(len(start.markets), np.int64)
        self._start, self._was_changed = start, False

    def _step(self, rows: np.ndarray) -> None:
        brain, count = self._brain, len(rows)
        assert brain is not None, "a segment begins with its head"
        if count > len(self._rows):
            self._rows = np.zeros(2 * count, EVENT_DTYPE)
        self._rows[:count] = rows
        for row in rows[np.isin(rows["kind"], (_FILLED, _FUNDING, _POSITION))]:
            self._note(brain, row)
        self._orders.told(rows)
        commands = brain.step(self._rows, count)
        self._events += count
        now_ns = int(rows["ts_local_ns"].max(initial=0))
        self._orders.decided(brain, commands, now_ns)
        if not self._first_ns:
            self._first_ns = self._next_ns = now_ns
        self._now_ns = max(self._now_ns, now_ns)
        self._remember_mids(brain, now_ns)
        self._note_uptime(brain)
        if self._now_ns >= self._next_ns:
            self._sample()
            self._next_ns = self._now_ns + RECORD_INTERVAL_NS

    def _note(self, brain: Brain, row: np.void) -> None:
        """Logs a fill, a funding payment, or the position that an earlier session left, as bought at its mark."""
        market, kind = int(row["market"]), int(row["kind"])
        if kind == _POSITION:
            self._open(market, row)
            return
        placed_ns, is_maker = 0, bool(int(row["flags"]) & EventFlag.MAKER)
        if kind == _FILLED:
            orders = brain.lane.orders[market]
            placed_ns = int(orders["sent_ns"][orders["order_id"] == row["order_id"]].max(initial=0))
        self._append(
            row, kind=kind, order_id=row["order_id"], size_lots=row["size_lots"], side=row["side"], aux0=row["aux0"],
            aux1=row["aux1"], placed_ns=placed_ns or row["ts_exch_ns"], maker=is_maker,
            mid_half_ticks=self._mid(brain, market),
            reason=_UNSAID_REASON if is_maker or kind == _FUNDING else _TAKER_REASON,
        )  # fmt: skip

    def _open(self, market: int, row: np.void) -> None:
        """A position that is there at the start is worth nothing at its mark: bought there, without a fee."""
        lots = int(row["size_lots"])
        if lots:
            self._opened[market] += 1
            self._append(
                row, kind=_FILLED, size_lots=abs(lots), side=1 if lots > 0 else -1, placed_ns=row["ts_exch_ns"],
                maker=1, mid_half_ticks=2 * int(row["price_ticks"]),
            )  # fmt: skip

    def _append(self, row: np.void, **values: Any) -> None:
        entry = empty_log(1)
        for name in ("ts_exch_ns", "ts_local_ns", "price_ticks", "market"):
            entry[name] = row[name]
        for name, value in values.items():
            entry[name] = value
        self._entries.append(entry)

    def _mid(self, brain: Brain, market: int) -> int:
        """Twice the mid that we know, 0 for a book with less than two sides."""
        book = brain.data.books[market]
        bid, ask = int(book["best_bid_ticks"]), int(book["best_ask_ticks"])
        return bid + ask if bid > 0 and ask > 0 else 0

    def _remember_mids(self, brain: Brain, now_ns: int) -> None:
        for market, (times, mids) in enumerate(self._mids):
            mid = self._mid(brain, market)
            if mid and (not mids or mids[-1] != mid):
                times.append(now_ns)
                mids.append(mid)

    def _note_uptime(self, brain: Brain) -> None:
        """Accumulates the time with orders on both sides, as a backtest does."""
        positions = brain.lane.positions
        both = (positions["open_buy_lots"] > 0) & (positions["open_sell_lots"] > 0)
        since = positions["quoted_since_ns"]
        positions["quoted_ns"] += np.where(since > 0, self._now_ns - since, 0)
        positions["quoted_since_ns"] = np.where(both, self._now_ns, 0)

    def _sample(self) -> None:
        """A record of every market."""
        brain = self._brain
        assert brain is not None
        books, positions = brain.data.books, brain.lane.positions
        records = empty_records(len(positions))
        records["ts_ns"], records["market"] = self._now_ns, np.arange(len(positions))
        for name in ("best_bid_ticks", "best_ask_ticks", "mark_ticks"):
            records[name] = np.maximum(books[name], 0)
        for name in (
            "position_lots", "cash_quanta", "maker_quanta", "taker_quanta", "fee_micro", "funding_micro", "fills",
            "traded_lots",
        ):  # fmt: skip
            records[name] = positions[name]
        records["fills"] += self._opened
        self._samples.append(records)

    def _log(self) -> np.ndarray:
        return np.concatenate([empty_log(0), *self._entries])

    def _later_mids(self, log: np.ndarray) -> np.ndarray:
        """Twice the mid that we knew so long after each entry, int64[F, H]; 0 beyond the session's end."""
        found = np.zeros((len(log), len(HORIZONS_NS)), np.int64)
        wanted = log["ts_local_ns"][:, np.newaxis] + np.array(HORIZONS_NS, np.int64)
        for market, (times, mids) in enumerate(self._mids):
            here = log["market"] == market
            if not times or not here.any():
                continue
            places = np.searchsorted(np.array(times, np.int64), wanted[here], side="right") - 1
            known = np.where(places >= 0, np.array(mids, np.int64)[places], 0)
            found[here] = np.where(wanted[here] <= self._now_ns, known, 0)
        return found
