"""What a session was told and what it sent, as a simulation of its period needs it: all in one reading of the journal.

The state it began in, what its core heard beside market data and the fates of its own orders, and how long requests
took to the venue and answers back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hlhft.core.state import COMMAND_DTYPE, CommandKind
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.live.dispatch import TICK_NS
from hlhft.live.journal.reader import readings
from hlhft.live.journal.records import NoteKind, Record, RecordError, RecordKind, Start, read_inputs, read_start
from hlhft.live.journal.resting import Resting
from hlhft.live.journal.segments import Form, JournalError

# What is told a simulation at the time when the session heard it. What is left out comes of the simulation's own orders
# there: fates, fills, funding, margin; and a later reading of account or equity only compares.
CONTROLS = (
    EventKind.ACCOUNT_STATE, EventKind.LEDGER_TRANSFER, EventKind.FEE_CHANGE, EventKind.CONNECTION_UP,
    EventKind.CONNECTION_DOWN, EventKind.VENUE_MODE, EventKind.OPERATOR_COMMAND, EventKind.MARKET_STATE,
    EventKind.POSITION_STATE, EventKind.EQUITY_STATE, EventKind.RESTORED,
)  # fmt: skip
SIGNALS = (EventKind.SIGNAL, EventKind.POLICY)
_ENDS = (EventKind.ORDER_CANCELLED, EventKind.ORDER_EXPIRED)
_ANSWERS = (EventKind.ORDER_ACKNOWLEDGED, EventKind.ORDER_REJECTED, *_ENDS)
_KEPT = tuple(int(kind) for kind in (*CONTROLS, *SIGNALS, *_ANSWERS, EventKind.ORDER_ADOPTED))
_TIMER = int(EventKind.TIMER)


RESTED_DTYPE = np.dtype(
    [
        ("ts_ns", np.int64),
        ("is_over", np.int64),  # 0 it came to rest, 1 it ended
        ("market", np.int64),
        ("order_id", np.int64),
        ("side", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """A session, as far as somebody else may relive it."""

    start: Start  # the head of its first segment
    commands: np.ndarray  # COMMAND_DTYPE[n], in order
    controls: np.ndarray  # EVENT_DTYPE[n] of the kinds CONTROLS, in order
    signals: np.ndarray  # EVENT_DTYPE[n] of the kinds SIGNALS, in order
    clock_ns: int  # what the venue's times lack to be by our clock, as far as they must: 0 where they may be that
    rested: np.ndarray  # RESTED_DTYPE[n] in order of time: its own orders as they came to rest and ended, by our clock
    history: np.ndarray  # int64[n, 3]: when a request was decided on, acted on, answered; all by our clock
    ticks: bool  # the core was told the time every TICK_NS
    adopted: int  # orders of an earlier session that it took over
    was_changed: bool  # its settings changed while it ran
    ended: bool  # it wrote that it ended
    last_ns: int  # of the newest that it was told, by our clock

    @property
    def interval_ns(self) -> int:
        """How often it decided beside what it heard, 0 never."""
        return TICK_NS if self.ticks else 0


@dataclass
class _Taken:
    """What is gathered while reading."""

    start: Start | None = None
    commands: list[np.ndarray] = field(default_factory=list)
    events: list[np.ndarray] = field(default_factory=list)
    ticks: bool = False
    was_changed: bool = False
    ended: bool = False
    last_ns: int = 0

    def take(self, record: Record) -> None:
        """The next record."""
        match record.kind:
            case RecordKind.START:
                self.start = self.start or read_start(record.payload)
            case RecordKind.INPUTS:
                rows = read_inputs(record.payload)
                self.last_ns = max(self.last_ns, int(rows["ts_local_ns"].max(initial=0)))
                kept = rows[np.isin(rows["kind"], _KEPT)]
                if len(kept):
                    self.events.append(kept)
                self.ticks |= bool((rows["kind"] == _TIMER).any())
            case RecordKind.COMMANDS:
                self.commands.append(np.frombuffer(record.payload, COMMAND_DTYPE))
            case RecordKind.NOTE:
                self.was_changed |= record.detail == NoteKind.SETTINGS
            case RecordKind.END:
                self.ended |= record.detail == 0
            case _:
                pass


def told(journal: Path, resting: Resting, session: int | None = None) -> Told:
    """Reads a session, by default the newest of the folder; `resting` is what of its orders rested when.

    Raises JournalError where it is not there, not whole from its beginning, or without its market data; RecordError
    when a head is of another schema.
    """
    taken = _Taken()
    for reading in readings(journal, session):
        if reading.form is Form.LEDGER:
            raise JournalError(f"{reading.path}: its market data were dropped, so nothing can be simulated in them")
        for record in reading:
            try:
                taken.take(record)
            except RecordError as error:
                raise RecordError(f"{reading.path}, record {record.sequence}: {error}") from None
    if taken.start is None:
        raise JournalError(f"{journal}: there is not one whole record, so there is nothing to compare")
    if taken.start.step:
        raise JournalError(
            f"{journal}: it begins with step {taken.start.step} of the session, and a simulation begins where the"
            " session did; give the folder that holds all of it"
        )
    commands = np.concatenate([np.zeros(0, COMMAND_DTYPE), *taken.commands])
    events = np.concatenate([np.zeros(0, EVENT_DTYPE), *taken.events])
    requests = requests_of(commands, events, resting)
    clock_ns = clock_of(requests)
    return Told(
        start=taken.start,
        commands=commands,
        controls=_controls(events),
        signals=events[np.isin(events["kind"], [int(kind) for kind in SIGNALS])],
        clock_ns=clock_ns,
        rested=rested_of(commands, events, resting, clock_ns),
        history=history_of(requests, clock_ns),
        ticks=taken.ticks,
        adopted=int((events["kind"] == int(EventKind.ORDER_ADOPTED)).sum()),
        was_changed=taken.was_changed,
        ended=taken.ended,
        last_ns=taken.last_ns,
    )


def _controls(events: np.ndarray) -> np.ndarray:
    """Of the account only the first reading: what it used of its actions later is the simulation's own."""
    wanted = np.isin(events["kind"], [int(kind) for kind in CONTROLS])
    accounts = events["kind"] == int(EventKind.ACCOUNT_STATE)
    return np.asarray(events[wanted & ~(accounts & (np.cumsum(accounts) > 1))])


def rested_of(commands: np.ndarray, events: np.ndarray, resting: Resting, clock_ns: int) -> np.ndarray:
    """When each order that was placed came to rest and when it was ended by something else than fills, RESTED_DTYPE[n]
    in order of time, by our clock. One that was modified counts until then."""
    placed = {
        (int(one["market"]), int(one["order_id"])): one for one in commands[commands["kind"] == int(CommandKind.PLACE)]
    }
    oids: dict[tuple[int, int], int] = {}
    rows: list[tuple[int, ...]] = []
    for event in events:
        name, exchange_ns = (int(event["market"]), int(event["order_id"])), int(event["ts_exch_ns"])
        kind, known_ns = int(event["kind"]), int(event["ts_local_ns"]) - clock_ns
        one = placed.get(name)
        if one is None or kind not in (EventKind.ORDER_ACKNOWLEDGED, *_ENDS):
            continue
        if kind == EventKind.ORDER_ACKNOWLEDGED and name not in oids:
            oids[name] = int(event["aux0"])
            at_ns, is_over = resting.opened_ns.get(oids[name], exchange_ns or known_ns), 0
        elif name in oids and (kind != EventKind.ORDER_ACKNOWLEDGED or oids[name] != int(event["aux0"])):
            at_ns, is_over = exchange_ns or resting.ended_ns.get(oids[name], known_ns), 1
            del placed[name]
        else:
            continue
        rows.append(
            (at_ns + clock_ns, is_over, *name, *(int(one[field]) for field in ("side", "price_ticks", "size_lots")))
        )
    found = np.array(rows, RESTED_DTYPE)
    return found[np.argsort(found["ts_ns"], kind="stable")]


class Request(NamedTuple):
    """One placement or cancel that was answered, times in ns; `acted_ns`, by the venue's clock, 0: it did not say."""

    is_placement: bool
    asked_ns: int
    acted_ns: int
    known_ns: int


def requests_of(commands: np.ndarray, events: np.ndarray, resting: Resting) -> list[Request]:
    """When each request was decided on, when the venue acted, by its answer or the user's frames, and when that was
    known here."""
    placed, cancelled = _asked(commands, CommandKind.PLACE), _asked(commands, CommandKind.CANCEL)
    oids: dict[tuple[int, int], int] = {}
    found = []
    for event in events:
        kind, name = int(event["kind"]), (int(event["market"]), int(event["order_id"]))
        exchange_ns, known_ns = int(event["ts_exch_ns"]), int(event["ts_local_ns"])
        if kind == EventKind.ORDER_CANCELLED:  # not one that expired: nobody asked for that
            asked_ns = cancelled.pop(name, 0)
            acted_ns = exchange_ns or resting.ended_ns.get(oids.get(name, 0), 0)
        elif kind == EventKind.ORDER_ACKNOWLEDGED:
            oids.setdefault(name, int(event["aux0"]))
            asked_ns = placed.pop(name, 0)
            acted_ns = resting.opened_ns.get(oids[name], exchange_ns)
        elif kind == EventKind.ORDER_REJECTED:
            asked_ns, acted_ns = placed.pop(name, 0), exchange_ns
        else:
            continue
        if asked_ns and (acted_ns or kind == EventKind.ORDER_REJECTED):
            found.append(Request(kind != EventKind.ORDER_CANCELLED, asked_ns, acted_ns, known_ns))
    return found


def clock_of(requests: Sequence[Request]) -> int:
    """What the venue's times lack to be by our clock, in ns: the least by which no placement came to rest before it was
    decided on, or after that was known. Other clocks would do as well; nobody measured the venue's."""
    dated = [one for one in requests if one.is_placement and one.acted_ns]
    behind_ns = max((one.asked_ns - one.acted_ns for one in dated), default=0)
    ahead_ns = max((one.acted_ns - one.known_ns for one in dated), default=0)
    if behind_ns > 0 and ahead_ns > 0:
        return 0  # no clock fits them all
    return behind_ns if behind_ns > 0 else -max(ahead_ns, 0)


def history_of(requests: Sequence[Request], clock_ns: int) -> np.ndarray:
    """Measured latencies, int64[n, 3] with request times that increase: decided on, acted on, known here, by our clock.

    Several requests at one time, a cancel and a placement, count as their mean. A refusal names no time: it is taken to
    have been on its way back as long as other answers were, in the median. What still lies outside its two times is
    brought between them.

    A simulated line is first in, first out, and the venue's is not: requests that overtook each other are taken to have
    been acted on together, at the mean of their times.
    """
    returned_ns = [one.known_ns - one.acted_ns - clock_ns for one in requests if one.acted_ns]
    usual_ns = int(np.median(returned_ns)) if returned_ns else 0
    rows: dict[int, list[tuple[int, int]]] = {}
    for one in requests:
        acted_ns = one.acted_ns + clock_ns if one.acted_ns else one.known_ns - usual_ns
        rows.setdefault(one.asked_ns, []).append((acted_ns, one.known_ns))
    means = [(asked_ns, *(sum(column) // len(column) for column in zip(*rows[asked_ns]))) for asked_ns in sorted(rows)]
    return _in_line(np.array(means, np.int64).reshape(-1, 3))


def _asked(commands: np.ndarray, kind: CommandKind) -> dict[tuple[int, int], int]:
    """When commands of this kind were first decided on, by market and order."""
    chosen = commands[commands["kind"] == int(kind)][::-1]
    return {(int(one["market"]), int(one["order_id"])): int(one["ts_ns"]) for one in chosen}


def _in_line(history: np.ndarray) -> np.ndarray:
    """The same with times of the venue that never decrease and lie between the two of ours."""
    asked_ns, acted_ns, known_ns = history.T
    acted_ns = np.maximum(_never_falling(np.clip(acted_ns, asked_ns, np.maximum(known_ns, asked_ns))), asked_ns)
    return np.stack([asked_ns, acted_ns, np.maximum(known_ns, acted_ns)], axis=1)


def _never_falling(times: np.ndarray) -> np.ndarray:
    """The sequence that never falls nearest to `times`, int64[n], in squares: neighbours that fall become their mean
    (pool adjacent violators)."""
    pools: list[tuple[int, int]] = []  # sum of offsets from the first time, length
    first = int(times[0]) if len(times) else 0
    for time in times.tolist():
        total, length = time - first, 1
        while pools and pools[-1][0] * length > total * pools[-1][1]:
            before, held = pools.pop()
            total, length = total + before, length + held
        pools.append((total, length))
    return np.array([first + total // length for total, length in pools for _ in range(length)], np.int64)
