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

from hlhft.data.crossing import CrossedBooks
from hlhft.data.errors import DataError
from hlhft.data.files import Progress
from hlhft.data.merge import Events
from hlhft.data.order import WINDOW_NS
from hlhft.data.places import places_of
from hlhft.data.sessions import TradeMemory
from hlhft.data.snapshots import EXCHANGE_SIDE
from hlhft.data.sources import Source
from hlhft.events import EventFlag, EventKind

GAP_NS = 10_000_000_000
LATENCY_SAMPLES_MAX = 1_000_000

_LOCAL = int(EventFlag.LOCAL_VISIBLE)
_NEVER = -(2**62)
_BOOK_GAP = "book gap "  # followed by the market's place
# Faults whose first place is looked up in the files.
_PLACED = frozenset(
    {"backwards", "crossed", "duplicate", "duplicate_trades", "gap", "late", "negative", "rows_out_of_order"}
)


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
    """One kind of fault with how often it occurs and where first: a line or row, None where there is none."""

    code: Code
    severity: Severity
    count: int
    message: str
    place: str | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """What one recording holds and what is wrong with it. Times are ns since the epoch, latencies ns.

    `split` says that some rows are the venue's alone: they were put in the order of both clocks already.
    """

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
    split: bool = False
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
    """The report on one recording; silences longer than `gap_ns` count as gaps.

    Reads the files once, and once more to name the lines of what it found. Memory is bounded.
    """
    report = Report(
        name=source.name, fingerprint=source.fingerprint(), markets=[market.name for market in source.markets]
    )
    examiner = _Examiner(source, gap_ns)
    try:
        for rows in source.chunks(progress=progress, mending=True):
            examiner.take(rows)
    except DataError as error:
        place = f"line {error.line}" if isinstance(error.line, int) else error.line
        examiner.add(Finding(Code.UNREADABLE, Severity.ERROR, 1, str(error), place))
    report.counts = {name: int(count) for name, count in source.counts.items()}
    examiner.finish(report)
    return report


class _Examiner:
    """Running measurements over chunks in order."""

    def __init__(self, source: Source, gap_ns: int) -> None:
        self._source = source
        self._gap_ns = gap_ns
        self._findings: list[Finding] = []
        self._rows = 0
        self._kinds: Counter[int] = Counter()
        self._memory = TradeMemory()
        self._books = CrossedBooks(len(source.markets))
        self._first_local: int | None = None
        self._last_local: int | None = None
        self._newest_exch: int | None = None
        self._latencies: list[NDArray[np.int64]] = []
        self._least = 2**63 - 1
        self._most = -(2**63)
        self._tally: Counter[str] = Counter()
        self._first_row: dict[str, int] = {}
        self._first_event: dict[str, Events] = {}
        self._worst: Counter[str] = Counter()
        self._newest_book = [_NEVER] * len(source.markets)
        self._quiet_from: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Appends a finding."""
        self._findings.append(finding)

    def take(self, rows: Events) -> None:
        """Measures one array (not empty)."""
        kinds, counts = np.unique(rows["kind"], return_counts=True)
        self._kinds.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
        self._local_clock(rows)
        self._exchange_clock(rows)
        self._book_silences(rows)
        self._latency(rows)
        # A split trade is one trade on two rows: only the venue's is looked at, or the only one there is.
        seen = (rows["flags"] & (EXCHANGE_SIDE | int(EventFlag.BACKFILL))) != 0
        trades = np.flatnonzero((rows["kind"] == int(EventKind.TRADE)) & seen)
        identity = (rows[name][trades].tolist() for name in ("market", "ts_exch_ns", "order_id"))
        for index, market, ts_exch_ns, trade_id in zip(trades.tolist(), *identity, strict=True):
            if not self._memory.is_new(market, ts_exch_ns, trade_id):
                self._note("duplicate", rows, np.array([index]))
        crossed, first = self._books.count(rows)
        self._note("crossed", rows, np.array([first]), crossed)
        self._rows += len(rows)

    def _note(self, what: str, rows: Events, places: NDArray[np.int64], count: int | None = None) -> None:
        number = len(places) if count is None else count
        if number:
            self._tally[what] += number
            self._first_row.setdefault(what, self._rows + int(places[0]))
            self._first_event.setdefault(what, rows[places[:1]])

    def _local_clock(self, rows: Events) -> None:
        local_rows = np.flatnonzero(rows["flags"] & _LOCAL)
        local = rows["ts_local_ns"][local_rows]
        if len(local):
            start = int(local[0]) if self._last_local is None else self._last_local
            self._first_local = start if self._first_local is None else self._first_local
            steps = np.diff(local, prepend=start)
            self._note("backwards", rows, local_rows[steps < 0])
            self._note("gap", rows, local_rows[steps > self._gap_ns])
            self._worst["gap"] = max(self._worst["gap"], int(steps.max()))
            self._last_local = int(local[-1])

    def _exchange_clock(self, rows: Events) -> None:
        venue = (rows["flags"] & EXCHANGE_SIDE) != 0
        self._note("split", rows, np.flatnonzero(venue & ((rows["flags"] & _LOCAL) == 0)))
        venue_rows = np.flatnonzero(rows["flags"] & EXCHANGE_SIDE)
        exch = rows["ts_exch_ns"][venue_rows]
        if len(exch):
            newest = int(exch[0]) if self._newest_exch is None else self._newest_exch
            running = np.maximum(np.maximum.accumulate(exch), newest)
            late = running - exch
            self._note("overtaken", rows, venue_rows[late > 0])
            self._note("late", rows, venue_rows[late > WINDOW_NS])
            self._worst["overtaken"] = max(self._worst["overtaken"], int(late.max()))
            self._newest_exch = int(running[-1])

    def _book_silences(self, rows: Events) -> None:
        """Snapshots have a cadence, so their silence means something even while other channels go on."""
        begins = np.flatnonzero((rows["kind"] == int(EventKind.SNAPSHOT_BEGIN)) & ((rows["flags"] & _LOCAL) != 0))
        for market in np.unique(rows["market"][begins]).tolist():
            mine = begins[rows["market"][begins] == market]
            exch = rows["ts_exch_ns"][mine]
            start = int(exch[0]) if self._newest_book[market] == _NEVER else self._newest_book[market]
            newest = np.maximum(np.maximum.accumulate(exch), start)
            steps = np.diff(newest, prepend=start)
            self._note(_book_gap(market), rows, mine[steps > self._gap_ns])
            longest = int(np.argmax(steps))
            if int(steps[longest]) > self._worst[_book_gap(market)]:
                self._worst[_book_gap(market)] = int(steps[longest])
                self._quiet_from[_book_gap(market)] = int(newest[longest] - steps[longest])
            self._newest_book[market] = int(newest[-1])

    def _latency(self, rows: Events) -> None:
        both = np.flatnonzero((rows["flags"] & (EXCHANGE_SIDE | _LOCAL)) == (EXCHANGE_SIDE | _LOCAL))
        if len(both) == 0:
            return
        latency = rows["ts_local_ns"][both] - rows["ts_exch_ns"][both]
        self._note("negative", rows, both[latency < 0])
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
        report.split = self._tally["split"] > 0
        for finding in self._judged(report, self._places()):
            self.add(finding)
        report.findings = self._findings

    def _places(self) -> dict[str, str]:
        """Where each fault was first seen: in the files, or else among the events."""
        noted = self._source.counts.first
        wanted = {name: event for name, event in (self._first_event | noted).items() if name in _PLACED}
        wanted |= {name: event for name, event in self._first_event.items() if name.startswith(_BOOK_GAP)}
        places = {name: f"row {row} of the events" for name, row in self._first_row.items()}
        if wanted:
            places |= places_of(self._source, wanted, repeated=frozenset({"duplicate", "duplicate_trades"}))
        return places

    def _judged(self, report: Report, places: dict[str, str]) -> Iterator[Finding]:
        if self._rows == 0:
            yield Finding(Code.EMPTY, Severity.ERROR, 1, "the recording gives no event")
        yield from self._judged_order(report, places)
        yield from self._judged_gaps(report, places)
        tally = self._tally
        if count := tally["crossed"]:
            place = places["crossed"]
            message = f"{count} crossed books, the first at {place}"
            yield Finding(Code.CROSSED_BOOK, Severity.WARNING, count, message, place)
        if count := tally["duplicate"]:
            place = places["duplicate"]
            message = f"{count} trades are repeated, the first at {place}"
            yield Finding(Code.DUPLICATE_TRADES, Severity.WARNING, count, message, place)
        if count := report.counts.get("duplicate_trades", 0):
            place = places["duplicate_trades"]
            message = f"{count} repeated trades were left out, the first at {place}"
            yield Finding(Code.DUPLICATE_TRADES, Severity.NOTE, count, message, place)
        for name in ("levels_cut_to_whole_lots", "torn_last_line", "trades_not_at_market", "backfill_trades"):
            if count := report.counts.get(name, 0):
                yield Finding(Code.LEFT_OUT, Severity.NOTE, count, f"{name.replace('_', ' ')}: {count}")

    def _judged_order(self, report: Report, places: dict[str, str]) -> Iterator[Finding]:
        tally, worst = self._tally, self._worst
        if count := tally["backwards"]:
            message = f"{count} rows arrive before the row above them, the first is {places['backwards']}"
            yield Finding(Code.ARRIVAL_ORDER, Severity.ERROR, count, message, places["backwards"])
        if count := report.counts.get("rows_out_of_order", 0):
            severity = Severity.WARNING if self._source.sorts else Severity.ERROR
            message = f"{count} rows stand below a later one, the first is {places['rows_out_of_order']}"
            yield Finding(Code.ARRIVAL_ORDER, severity, count, message, places["rows_out_of_order"])
        if count := tally["late"]:
            message = f"{count} rows happened more than {WINDOW_NS / 1e9:.0f} s before one above them, the first is"
            place = places["late"]
            yield Finding(Code.EXCHANGE_ORDER, Severity.ERROR, count, f"{message} {place}", place)
        elif count := tally["overtaken"]:
            message = f"{count} rows were overtaken on the way, at most {worst['overtaken'] / 1e6:.3f} ms"
            yield Finding(Code.EXCHANGE_ORDER, Severity.NOTE, count, message, places["overtaken"])
        if count := tally["negative"]:
            least = f"the least latency is {self._least / 1e6:.3f} ms"
            message = f"{count} rows arrive before they happened, {least}, the first is {places['negative']}"
            yield Finding(Code.NEGATIVE_LATENCY, Severity.ERROR, count, message, places["negative"])
        if shift := report.counts.get("clock_shift_ns", 0):
            message = f"the local clock was behind and was moved by {shift} ns"
            yield Finding(Code.CLOCK_OFFSET, Severity.NOTE, 1, message)

    def _judged_gaps(self, report: Report, places: dict[str, str]) -> Iterator[Finding]:
        above = f"above {self._gap_ns / 1e9:.0f} s, the longest"
        if count := self._tally["gap"]:
            message = f"{count} silences {above} {self._worst['gap'] / 1e9:.3f} s, the first before {places['gap']}"
            yield Finding(Code.GAP, Severity.WARNING, count, message, places["gap"])
        for index, market in enumerate(report.markets):
            name = _book_gap(index)
            if count := self._tally[name]:
                begin = np.datetime64(self._quiet_from[name], "ns").astype("datetime64[ms]")
                longest = f"{self._worst[name] / 1e9:.3f} s from {begin} UTC by the exchange's clock"
                message = f"{count} silences of the {market} book {above} {longest}, the first before {places[name]}"
                yield Finding(Code.GAP, Severity.WARNING, count, message, places[name])


def _book_gap(market: int) -> str:
    return f"{_BOOK_GAP}{market}"
