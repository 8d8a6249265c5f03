"""Commands out: the gateway's effects performed on two trading connections, over HTTP and on the disk.

A post is written in the call that decided on it. It counts as written when its last byte has left this process: one
that waits in the send buffer is told as written once the buffer is empty, so that a socket that does not drain shows up
as the slow reaction that it is.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.account_requests import FILLS_PER_PAGE, InfoKind
from hlhft.hyperliquid.answers import ActionPosted, PostRefused
from hlhft.hyperliquid.connection import Connection
from hlhft.hyperliquid.connection_events import Reconcile
from hlhft.hyperliquid.connection_events import Report as ConnectionReport
from hlhft.hyperliquid.decode import Decoder
from hlhft.hyperliquid.fates_records import HALTING as FATES_HALTING
from hlhft.hyperliquid.gateway import Gateway
from hlhft.hyperliquid.gateway_events import (
    HALTING,
    AskFills,
    AskStatus,
    BudgetTold,
    Effect,
    FillsRead,
    Found,
    HttpAnswered,
    Input,
    LaneDown,
    LaneUp,
    MarkFailed,
    MarkWritten,
    NotWritten,
    Post,
    Posted,
    PostHttp,
    Pressure,
    Report,
    ReportCode,
    SetTimer,
    StatusRead,
    Tell,
    Timer,
    TimerName,
    Told,
    WriteMark,
    Written,
)
from hlhft.hyperliquid.messages import Fills
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.supervisor_events import Disagreed, NoncesRolledBack
from hlhft.hyperliquid.supervisor_events import LaneDown as LaneLost
from hlhft.hyperliquid.supervisor_events import LaneUp as LaneStands
from hlhft.live.feed import say_report
from hlhft.live.http import Answer
from hlhft.live.hub import Hub, Level
from hlhft.live.journal.actions import action_of
from hlhft.live.journal.records import Action
from hlhft.live.line import Line
from hlhft.live.transport import TransportSettings
from hlhft.monitor.histogram import Histogram
from hlhft.units import Market

OWNER = "gateway"  # of its timers
UNANSWERED_MAX = 4096  # posts whose time is remembered; beyond, the oldest goes uncounted
_ROLLED_BACK = frozenset({ReportCode.NONCE_USED, ReportCode.NONCE_ROLLED_BACK})
_QUIET = frozenset({ReportCode.LATE_ANSWER, ReportCode.LANDED, ReportCode.DEADMAN_SET})


class Orders:
    """The way to the venue of one signer, with a trading connection for each of `connections`.

    `budget(used, allowed)` hears what the venue says of the address' actions; `write_mark(mark)` writes one durably;
    `record(action)` hears of each request before it is sent.
    """

    def __init__(
        self,
        hub: Hub,
        gateway: Gateway,
        *,
        connections: Sequence[Connection],
        markets: Sequence[Market],
        user: str,
        write_mark: Callable[[int], object],
        budget: Callable[[int, int], None],
        record: Callable[[Action], None] = lambda action: None,
        transport: TransportSettings | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.gateway = gateway
        self.tick_to_trade = Histogram()
        self.answers = Histogram()
        self.lines = [
            Line(
                f"trading {lane}", connection, owner=self, timers=hub.timers, clock=hub.clock, transport=transport,
                tls=tls,
            )
            for lane, connection in enumerate(connections)
        ]  # fmt: skip
        self._lanes = {line.name: lane for lane, line in enumerate(self.lines)}
        self._hub = hub
        self._clock = hub.clock
        self._decoder = Decoder(markets)
        self._reader = AccountReader(markets, user=user)
        self._user = user
        self._write_mark = write_mark
        self._budget = budget
        self._record = record
        self._written_ns: dict[int, int] = {}  # by request: when it was written, until it is answered
        self._just_written: list[Written] = []  # of the effects that are being performed
        self._waiting: list[deque[Post]] = [deque() for _ in self.lines]  # written, but for the socket's buffer
        hub.timers.own(OWNER, self._fired)
        self._effects: dict[type, Callable[[Any], None]] = {
            Post: self._post, PostHttp: self._post_http, Tell: self._tell, WriteMark: self._mark,
            AskStatus: self._ask_status, AskFills: self._ask_fills, Found: self._found, BudgetTold: self._budget_told,
            SetTimer: self._set_timer, Report: self._report,
        }  # fmt: skip

    def start(self) -> None:
        """Connects, and goes on connecting."""
        for line in self.lines:
            line.start(())

    def send(self, commands: np.ndarray, received_ns: int) -> None:
        """Commands of the core leave: the hot path."""
        self.perform(self.gateway.send(commands, received_ns, self._clock.now_ns()))

    def on(self, event: Input) -> None:
        """Tells the gateway, and performs what it demands."""
        self.perform(self.gateway.on(event, self._clock.now_ns()))

    def perform(self, effects: list[Effect]) -> None:
        """Does what the gateway demands, in its order; of what was written it hears once all of it has left."""
        for effect in effects:
            self._effects[type(effect)](effect)
        while self._just_written:
            written, self._just_written = self._just_written, []
            for one in written:
                self.on(one)

    # What the lines tell.

    def heard(self, line: Line, frame: memoryview) -> None:
        """An answer, or something of the connection itself."""
        now_ns = line.heard_ns = self._turn()
        if self._decoder.decode(frame, now_ns) < 0:
            self._hub.counters[f"{line.name}: frames that cannot be decoded"] += 1
            return
        message = self._decoder.message
        if isinstance(message, ActionPosted | PostRefused):
            written_ns = self._written_ns.pop(message.id, 0)
            if written_ns:
                self.answers.note(now_ns - written_ns)
            self.on(Posted(line.socket, message))
        elif not line.control(message):
            self._hub.counters[f"{line.name}: messages that nobody asked for"] += 1

    def pressed(self, line: Line, *, is_waiting: bool) -> None:
        """Bytes wait in a send buffer, or have left it."""
        lane = self._lanes[line.name]
        self.on(Pressure(lane, is_waiting))
        if not is_waiting:
            waiting = self._waiting[lane]
            while waiting and not line.is_waiting:
                self._written(waiting.popleft())
            self.perform([])

    def reconcile(self, line: Line, demand: Reconcile) -> None:
        """A trading connection brings no news of the account; what it left unanswered is the gateway's to settle."""
        line.reconciled(demand.number)

    def market(self, line: Line, market: int, *, is_fresh: bool) -> None:
        """There are no streams here."""

    def live(self, line: Line, *, is_live: bool) -> None:
        """Posts can be sent here, or not any more."""
        lane = self._lanes[line.name]
        self._waiting[lane].clear()
        if is_live:
            self.on(LaneUp(lane, line.socket))
            self._hub.engine.supervise(LaneStands(lane))
        else:
            self.on(LaneDown(lane))
            self._hub.engine.supervise(LaneLost(lane))

    def reported(self, line: Line, report: ConnectionReport) -> None:
        """Something of a connection."""
        say_report(self._hub, line.name, report)

    def broke(self, error: BaseException | None) -> None:
        """An invariant does not hold."""
        self._hub.engine.broke(error)

    # Effects: what is sent.

    def _record_action(self, request_id: int) -> None:
        """Into the journal, before its bytes leave."""
        found = self.gateway.carried(request_id)
        if found is not None:
            self._record(action_of(request_id, *found))

    def _post(self, effect: Post) -> None:
        self._record_action(effect.request_id)
        line = self.lines[effect.lane]
        if not line.transport.send(effect.socket, effect.payload):
            self.on(NotWritten(effect.request_id))
        elif line.is_waiting:
            self._waiting[effect.lane].append(effect)
        else:
            self._written(effect)

    def _written(self, effect: Post | PostHttp) -> None:
        now_ns = self._clock.now_ns()
        if effect.batch_id:
            self.tick_to_trade.note(now_ns - self._hub.dispatch.received_ns)
        if len(self._written_ns) >= UNANSWERED_MAX:
            del self._written_ns[next(iter(self._written_ns))]
        self._written_ns[effect.request_id] = now_ns
        self._just_written.append(Written(effect.request_id, now_ns))

    def _post_http(self, effect: PostHttp) -> None:
        def told(answer: Answer) -> None:
            self._turn()
            self._written_ns.pop(effect.request_id, None)
            self.on(HttpAnswered(effect.request_id, answer.status, answer.body))
            if answer.body is None:
                self._hub.say(f"an action over HTTP got no answer: {answer.fault}", "warning")

        self._record_action(effect.request_id)
        self._hub.http.post("/exchange", effect.body, told)
        self._written(effect)

    # Effects: the rest.

    def _tell(self, effect: Tell) -> None:
        self._hub.dispatch.tell(effect.rows)

    def _mark(self, effect: WriteMark) -> None:
        def done(fault: str) -> None:
            self._turn()
            self.on(MarkFailed() if fault else MarkWritten(effect.mark))

        self._hub.keeper.later(lambda: self._write_mark(effect.mark), done)

    def _ask_status(self, effect: AskStatus) -> None:
        block_ms = self._hub.block_ms

        def told(answer: Answer) -> None:
            self._turn()
            if answer.body is None:
                self._hub.counters["questions without an answer"] += 1
                return
            status = self._reader.order_status(answer.body)
            if isinstance(status, Fault):
                self._hub.counters["answers about orders that cannot be read"] += 1
                return
            self.on(StatusRead(effect.order_id, effect.revision, status, block_ms))

        self._hub.http.post("/info", effect.body, told)

    def _ask_fills(self, effect: AskFills) -> None:
        """A full page may not be all: then what was read ends before its newest fill."""
        block_ms, asked_ns = self._hub.block_ms, self._hub.clock.now_ns()
        body = requests.of_time(InfoKind.FILLS, self._user, effect.since_ms).body

        def told(answer: Answer) -> None:
            self._turn()
            if answer.body is None:
                self._hub.counters["questions without an answer"] += 1
                return
            fills = self._reader.fills(answer.body)
            if isinstance(fills, Fault):
                self._hub.counters["answers about fills that cannot be read"] += 1
                return
            self.on(Told(Fills(fills=fills, is_snapshot=True, user=self._user)))
            through_ms, whole_ns = block_ms, asked_ns
            if len(fills) >= FILLS_PER_PAGE:
                through_ms, whole_ns = min(through_ms, max(fill.ts_ns for fill in fills) // 1_000_000 - 1), 0
            if through_ms >= effect.since_ms:
                self.on(FillsRead(effect.since_ms, through_ms, whole_ns))

        self._hub.http.post("/info", body, told)

    def _found(self, effect: Found) -> None:
        report = effect.report
        is_halting = report.code in FATES_HALTING
        self._hub.counters[f"fates: {report.code.name}"] += 1
        text = f"order {report.order_id}: {report.code.name.lower().replace('_', ' ')}, {report.detail}"
        self._hub.say(text, "error" if is_halting else "info")
        if is_halting:
            self._hub.engine.supervise(Disagreed(text))

    def _budget_told(self, effect: BudgetTold) -> None:
        self._budget(effect.used, effect.allowed)

    def _set_timer(self, effect: SetTimer) -> None:
        self._hub.timers.set(OWNER, effect.name, effect.at_ns)

    def _fired(self, name: str, draw: int) -> None:
        self._turn()
        self.on(Timer(TimerName(name), draw))

    def _report(self, effect: Report) -> None:
        self._hub.counters[f"gateway: {effect.code.name}"] += 1
        text = f"{effect.code.name.lower().replace('_', ' ')}{', ' if effect.detail else ''}{effect.detail}"
        level: Level = "error" if effect.code in HALTING else "debug" if effect.code in _QUIET else "warning"
        self._hub.say(text, level)
        if effect.code in _ROLLED_BACK:
            self._hub.engine.supervise(NoncesRolledBack(text))
        elif effect.code in HALTING:
            self._hub.engine.supervise(Disagreed(text))

    def _turn(self) -> int:
        return self._hub.dispatch.turn()
