"""What is wrong with a recording, measured in one pass: order, gaps, crossed books, repeated trades, clocks, latency.

Findings have a code and a severity: an error makes the recording unfit as it is, a warning wants a look, a note only
says what the reader did. `examine` never raises for bad data: what cannot be read becomes the finding UNREADABLE.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from hlhft.compiled import compiled
from hlhft.data.errors import DataError
from hlhft.data.files import Progress
from hlhft.data.merge import Events
from hlhft.data.order import WINDOW_NS
from hlhft.data.sessions import TradeMemory
from hlhft.data.snapshots import EXCHANGE_SIDE, drop_better, new_books, set_known
from hlhft.data.sources import Source
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind

GAP_NS = 10_000_000_000
LATENCY_SAMPLES_MAX = 1_000_000

# Kinds and flags as in hlhft.events; the compiled subset wants plain constants.
_LEVEL, _CLEAR, _BEGIN, _BBO = 1, 2, 3, 5
_FRAME_END, _LOCAL = 4, 2
_BBO_BID, _BBO_ASK, _BBO_SEEN, _DEPTH_SEEN = 0, 1, 2, 3


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Code(StrEnum):
    """What was found. Codes are written to reports: append, never rename."""

    UNREADABLE = "UNREADABLE"
    EMPTY = "EMPTY"
    ARRIVAL_ORDER = "ARRIVAL_ORDER"
    EXCHANGE_ORDER = "EXCHANGE_ORDER"
    NEGATIVE_LATENCY = "NEGATIVE_LATENCY"
    CLOCK_OFFSET = "CLOCK_OFFSET"
    GAP = "GAP"
    CROSSED_BOOK = "CROSSED_BOOK"
    DUPLICATE_TRADES = "DUPLICATE_TRADES"
    LEFT_OUT = "LEFT_OUT"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault with how often it occurs and where first."""

    code: Code
    severity: Severity
    count: int
    message: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What one recording holds and what is wrong with it. Times are ns since the epoch, latencies ns."""

    name: str
    fingerprint: str
    markets: list[str]
    rows: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    first_local_ns: int | None = None
    last_local_ns: int | None = None
    latency_ns_min: int | None = None
    latency_ns_median: int | None = None
    latency_ns_max: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing makes the recording unfit."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    def json(self) -> bytes:
        """The report as a JSON object."""
        return msgspec.json.encode(asdict(self) | {"ok": self.ok})

    def text(self) -> str:
        """The report for people, several lines."""
        kinds = ", ".join(f"{count} {name.lower()}" for name, count in sorted(self.kinds.items()))
        lines = [f"{self.name}: {self.rows} events of {', '.join(self.markets)} ({kinds})"]
        if self.first_local_ns is not None and self.last_local_ns is not None:
            begin = np.datetime64(self.first_local_ns, "ns").astype("datetime64[ms]")
            seconds = (self.last_local_ns - self.first_local_ns) / 1e9
            lines.append(f"  from {begin} UTC, {seconds:.3f} s by the local clock")
        if self.latency_ns_median is not None and self.latency_ns_min is not None and self.latency_ns_max is not None:
            least, median, most = (
                value / 1e6 for value in (self.latency_ns_min, self.latency_ns_median, self.latency_ns_max)
            )
            lines.append(f"  feed latency {least:.3f} ms least, {median:.3f} ms median, {most:.3f} ms most")
        lines.extend(f"  {finding.severity.value} {finding.code.value}: {finding.message}" for finding in self.findings)
        if not self.findings:
            lines.append("  nothing found")
        return "\n".join(lines)


def examine(source: Source, *, gap_ns: int = GAP_NS, progress: Progress | None = None) -> Report:
    """The report on one recording; silences longer than `gap_ns` count as gaps. Memory is bounded."""
    report = Report(
        name=source.name, fingerprint=source.fingerprint(), markets=[market.name for market in source.markets]
    )
    examiner = _Examiner(source, gap_ns)
    try:
        for rows in source.chunks(progress=progress):
            examiner.take(rows)
    except DataError as error:
        examiner.add(Code.UNREADABLE, Severity.ERROR, 1, str(error))
    report.counts = {name: int(count) for name, count in source.counts.items()}
    examiner.finish(report)
    return report


class _Examiner:
    """Running measurements over chunks in order."""

    def __init__(self, source: Source, gap_ns: int) -> None:
        self._gap_ns = gap_ns
        self._findings: list[Finding] = []
        self._rows = 0
        self._kinds: Counter[int] = Counter()
        self._memory = TradeMemory()
        self._books = new_books(len(source.markets))
        self._bbo = np.zeros((len(source.markets), 4), dtype=np.int64)
        self._first_local: int | None = None
        self._last_local: int | None = None
        self._newest_exch: int | None = None
        self._latencies: list[NDArray[np.int64]] = []
        self._least = 2**63 - 1
        self._most = -(2**63)
        self._tally: Counter[str] = Counter()
        self._first_row: dict[str, int] = {}
        self._worst: Counter[str] = Counter()

    def add(self, code: Code, severity: Severity, count: int, message: str) -> None:
        """Appends a finding."""
        self._findings.append(Finding(code, severity, count, message))

    def take(self, rows: Events) -> None:
        """Measures one array (not empty)."""
        kinds, counts = np.unique(rows["kind"], return_counts=True)
        self._kinds.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
        self._clocks(rows)
        self._latency(rows)
        for index in np.flatnonzero((rows["kind"] == int(EventKind.TRADE)) & (rows["order_id"] != 0)).tolist():
            row = rows[index]
            # A split trade is one trade on two rows: only the venue's is looked at, or the only one there is.
            if row["flags"] & (EXCHANGE_SIDE | int(EventFlag.BACKFILL)) and not self._memory.is_new(
                int(row["market"]), int(row["ts_exch_ns"]), int(row["order_id"])
            ):
                self._note("duplicate", np.array([index]))
        crossed, first = count_crossed(rows, self._books, self._bbo, np.zeros(1, dtype=EVENT_DTYPE))  # type: ignore[no-untyped-call]
        self._note("crossed", np.array([first]), int(crossed))
        self._rows += len(rows)

    def _note(self, what: str, places: NDArray[np.int64], count: int | None = None) -> None:
        number = len(places) if count is None else count
        if number:
            self._tally[what] += number
            self._first_row.setdefault(what, self._rows + int(places[0]))

    def _clocks(self, rows: Events) -> None:
        local_rows = np.flatnonzero(rows["flags"] & _LOCAL)
        local = rows["ts_local_ns"][local_rows]
        if len(local):
            start = int(local[0]) if self._last_local is None else self._last_local
            self._first_local = start if self._first_local is None else self._first_local
            steps = np.diff(local, prepend=start)
            self._note("backwards", local_rows[steps < 0])
            self._note("gap", local_rows[steps > self._gap_ns])
            self._worst["gap"] = max(self._worst["gap"], int(steps.max()))
            self._last_local = int(local[-1])
        venue_rows = np.flatnonzero(rows["flags"] & EXCHANGE_SIDE)
        exch = rows["ts_exch_ns"][venue_rows]
        if len(exch):
            newest = int(exch[0]) if self._newest_exch is None else self._newest_exch
            running = np.maximum(np.maximum.accumulate(exch), newest)
            late = running - exch
            self._note("overtaken", venue_rows[late > 0])
            self._note("late", venue_rows[late > WINDOW_NS])
            self._worst["overtaken"] = max(self._worst["overtaken"], int(late.max()))
            self._newest_exch = int(running[-1])

    def _latency(self, rows: Events) -> None:
        both = np.flatnonzero((rows["flags"] & (EXCHANGE_SIDE | _LOCAL)) == (EXCHANGE_SIDE | _LOCAL))
        if len(both) == 0:
            return
        latency = rows["ts_local_ns"][both] - rows["ts_exch_ns"][both]
        self._note("negative", both[latency < 0])
        self._least = min(self._least, int(latency.min()))
        self._most = max(self._most, int(latency.max()))
        room = LATENCY_SAMPLES_MAX - sum(len(sample) for sample in self._latencies)
        if room > 0:
            self._latencies.append(latency[:room])

    def finish(self, report: Report) -> None:
        """Writes measurements and findings into the report."""
        report.rows = self._rows
        report.kinds = {EventKind(kind).name: count for kind, count in sorted(self._kinds.items())}
        report.first_local_ns, report.last_local_ns = self._first_local, self._last_local
        if self._latencies:
            report.latency_ns_min, report.latency_ns_max = self._least, self._most
            report.latency_ns_median = int(np.median(np.concatenate(self._latencies)))
        for code, severity, count, message in self._judged(report):
            self.add(code, severity, count, message)
        report.findings = self._findings

    def _judged(self, report: Report) -> Iterator[tuple[Code, Severity, int, str]]:
        tally, first, worst = self._tally, self._first_row, self._worst
        if self._rows == 0:
            yield Code.EMPTY, Severity.ERROR, 1, "the recording gives no event"
        if count := tally["backwards"]:
            where = f"{count} rows arrive before the row above them, the first is row {first['backwards']}"
            yield Code.ARRIVAL_ORDER, Severity.ERROR, count, where
        if count := tally["late"]:
            where = f"{count} rows happened more than {WINDOW_NS / 1e9:.0f} s before one above them, first row"
            yield Code.EXCHANGE_ORDER, Severity.ERROR, count, f"{where} {first['late']}"
        elif count := tally["overtaken"]:
            most = f"at most {worst['overtaken'] / 1e6:.3f} ms"
            yield Code.EXCHANGE_ORDER, Severity.NOTE, count, f"{count} rows were overtaken on the way, {most}"
        if count := tally["negative"]:
            least = f"the least latency is {self._least / 1e6:.3f} ms"
            where = f"{count} rows arrive before they happened, {least}, the first is row {first['negative']}"
            yield Code.NEGATIVE_LATENCY, Severity.ERROR, count, where
        if shift := report.counts.get("clock_shift_ns", 0):
            yield Code.CLOCK_OFFSET, Severity.NOTE, 1, f"the local clock was behind and was moved by {shift} ns"
        if count := tally["gap"]:
            where = f"{count} silences above {self._gap_ns / 1e9:.0f} s, the longest {worst['gap'] / 1e9:.3f} s"
            yield Code.GAP, Severity.WARNING, count, f"{where}, the first before row {first['gap']}"
        if count := tally["crossed"]:
            yield (
                Code.CROSSED_BOOK,
                Severity.WARNING,
                count,
                f"{count} crossed books, the first at row {first['crossed']}",
            )
        if count := tally["duplicate"]:
            yield (
                Code.DUPLICATE_TRADES,
                Severity.WARNING,
                count,
                f"{count} trades are repeated, first row {first['duplicate']}",
            )
        if count := report.counts.get("duplicate_trades", 0):
            yield Code.DUPLICATE_TRADES, Severity.NOTE, count, f"{count} repeated trades were left out"
        for name in ("levels_cut_to_whole_lots", "torn_last_line", "trades_not_at_market", "backfill_trades"):
            if count := report.counts.get(name, 0):
                yield Code.LEFT_OUT, Severity.NOTE, count, f"{name.replace('_', ' ')}: {count}"


@compiled
def follow(books, bbo, event, scratch):  # type: ignore[no-untyped-def]
    """Applies one event to the followed book, or to the followed best bid and offer."""
    market = int(event["market"])
    keys, lots, counts = books.keys[market], books.lots[market], books.counts[market]
    kind, ticks, side = event["kind"], event["price_ticks"], event["side"]
    row = 0 if side >= 0 else 1
    key = -ticks if row == 0 else ticks
    if kind == _LEVEL:
        bbo[market, _DEPTH_SEEN] = 1
        set_known(keys, lots, counts, row, key, event["size_lots"], scratch, 0, event, 0)
    elif kind == _BEGIN:
        counts[0] = 0
        counts[1] = 0
    elif kind == _CLEAR:
        for each in range(2):
            if (each == 0 and side >= 0) or (each == 1 and side <= 0):
                if ticks == 0:
                    counts[each] = 0
                else:
                    drop_better(keys, lots, counts, each, (-ticks if each == 0 else ticks) + 1)
    elif kind == _BBO:
        bbo[market, _BBO_BID + row] = ticks
        bbo[market, _BBO_SEEN] |= 1 << row


@compiled
def count_crossed(rows, books, bbo, scratch):  # type: ignore[no-untyped-def]
    """(crossed or locked books and best bids and offers at the end of a frame, place of the first or -1).

    `scratch` is an event array of one row. Looks at local rows. The book is that of the depth events alone: two
    channels of one feed do not keep step, so a best bid and offer is judged by itself.
    """
    crossed = 0
    first = -1
    for index in range(len(rows)):
        event = rows[index]
        if int(event["flags"]) & _LOCAL == 0:
            continue
        follow(books, bbo, event, scratch)
        if int(event["flags"]) & _FRAME_END == 0:
            continue
        market = int(event["market"])
        bad = False
        if bbo[market, _BBO_SEEN] == 3:
            bid, ask = bbo[market, _BBO_BID], bbo[market, _BBO_ASK]
            bad = bid != 0 and ask != 0 and bid >= ask
        if bbo[market, _DEPTH_SEEN] != 0:
            counts, keys = books.counts[market], books.keys[market]
            bad = bad or (counts[0] > 0 and counts[1] > 0 and -keys[0, 0] >= keys[1, 0])
        bbo[market, _BBO_SEEN] = 0
        bbo[market, _DEPTH_SEEN] = 0
        if bad:
            crossed += 1
            if first < 0:
                first = index
    return crossed, first
