"""One WebSocket to the venue as a pure machine: `on(event, now_ns)` gives the effects that a shell performs, in order.

Nothing here knows a clock, a socket or randomness: time is an argument in nanoseconds that never runs backwards, what
leads to a wait brings a random number. What is true of a connection, in all its states:

- It never gives up: whatever ends a socket leads to another, after a wait that grows (`hlhft.hyperliquid.backoff`),
  within the connects that the venue allows an address a minute.
- What is desired is the only truth about subscriptions (`hlhft.hyperliquid.subscriptions`).
- A market is told fresh only while the connection is live: all its streams active, none stale
  (`hlhft.hyperliquid.freshness`), and reconciled since the socket was opened. Before anything is sent to mend a market,
  it is told stale and its quotes are pulled.
- Every socket has a number, and every reconciliation: what comes late from one before is dropped, and counted.

The transitions are a table (`hlhft.hyperliquid.connection_table`): a missing entry is an error of the caller. Timers
out of date are harmless, so none is ever cancelled; one of a name replaces the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hlhft.hyperliquid import backoff, freshness, subscriptions
from hlhft.hyperliquid.backoff import SECOND_NS, Budget
from hlhft.hyperliquid.connection_events import (
    Acknowledged,
    Close,
    Closed,
    Data,
    Desire,
    Effect,
    ErrorFrame,
    Input,
    MarketFresh,
    MarketStale,
    Open,
    Pong,
    PullQuotes,
    Reconcile,
    Reconciled,
    ReconcileReason,
    Report,
    ReportCode,
    Send,
    SetTimer,
    Start,
    Stop,
    Timer,
    TimerName,
    TransportUp,
    Upgraded,
)
from hlhft.hyperliquid.connection_table import TRANSITIONS, Event, ImpossibleEvent, State, Step
from hlhft.hyperliquid.freshness import Freshness
from hlhft.hyperliquid.subscriptions import Key, Stage, Stream, Subscriptions, Verdict

PING = b'{"method":"ping"}'
PING_NS_MAX = 20 * SECOND_NS
CLOSE_NORMAL = 1000
CLOSE_GIVEN_UP = 4000  # from the range that RFC 6455 section 7.4.2 leaves to applications
ROTATED_REASON = "Expired"  # with code 1000: the venue closes sockets by age (venue reference section 6.1)
DETAIL_CHARACTERS_MAX = 256  # of a report; the rest is cut off
DERIVED_MAX = 16  # events that one event may lead to


_DUE = {
    TimerName.BACKOFF: Event.BACKOFF_DUE,
    TimerName.PHASE: Event.PHASE_DUE,
    TimerName.PING: Event.PING_DUE,
    TimerName.PONG: Event.PONG_DUE,
    TimerName.WATCH: Event.WATCH_DUE,
    TimerName.SUBSCRIPTIONS: Event.SUBSCRIPTIONS_DUE,
}


_KINDS: dict[type, Event] = {
    Start: Event.START,
    Desire: Event.DESIRE,
    TransportUp: Event.TRANSPORT_UP,
    Upgraded: Event.UPGRADED,
    Data: Event.DATA,
    Pong: Event.PONG,
    Acknowledged: Event.ACKNOWLEDGED,
    ErrorFrame: Event.ERROR,
    Reconciled: Event.RECONCILED,
    Stop: Event.STOP,
}
_MAY_BE_FRESH = frozenset({State.LIVE, State.STALE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """The numbers of one connection."""

    url: str
    ping_ns: int = 10 * SECOND_NS
    pong_ns: int = 5 * SECOND_NS
    connect_ns: int = 5 * SECOND_NS  # until the transport stands
    handshake_ns: int = 5 * SECOND_NS
    reconcile_ns: int = 30 * SECOND_NS  # until it is asked for again
    stable_ns: int = 30 * SECOND_NS  # a socket that was upgraded for so long ends the row of failures
    renew_ns: int = 5 * SECOND_NS  # for a stale stream to come back, beside its own age
    blame_ns: int = 600 * SECOND_NS  # one stream alone takes the socket down at most once in this time
    backoff: backoff.BackoffSettings = backoff.DEFAULTS
    subscriptions: subscriptions.SubscriptionSettings = subscriptions.DEFAULTS
    freshness: freshness.FreshnessSettings = freshness.DEFAULTS

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if name.endswith("_ns") and getattr(self, name) <= 0:
                raise ValueError(f"{name} of the connection is {getattr(self, name)}, and must be more than 0")
        if not self.pong_ns <= self.ping_ns <= PING_NS_MAX:
            # The venue closes what it sent nothing to for 60 s; pongs keep a quiet socket open.
            raise ValueError(f"ping_ns is {self.ping_ns}: from pong_ns, {self.pong_ns}, to {PING_NS_MAX}")


class Connection:
    """One connection. What `connects` and `messages` count is shared with all others of the same IP address; nothing
    else is, so that of two trading connections neither can take the other down."""

    def __init__(self, settings: ConnectionSettings, *, connects: Budget, messages: Budget) -> None:
        self.settings = settings
        self.state = State.IDLE
        self.socket = 0  # the number of the present socket; 0 without one
        self.counters: Counter[str] = Counter()
        self._connects = connects
        self._messages = messages
        self._subscriptions = Subscriptions(messages, settings.subscriptions)
        self._freshness = Freshness(settings.freshness)
        self._told: dict[int, bool] = {}  # markets, and whether they were told fresh
        self._renewals: dict[Key, int] = {}  # stale streams being mended, and until when
        self._blamed: dict[Key, int] = {}  # when a stream took the socket down
        self._due: dict[TimerName, int] = {}
        self._armed: dict[TimerName, int] = {}
        self._effects: list[Effect] = []
        self._said: Event | None = None  # an event that follows from the present one
        self._ending = (ReportCode.LOST, "")  # why the socket is given up
        self._now_ns = 0
        self._draw = 0
        self._wait_ns = 0
        self._sockets = 0
        self._failures = 0
        self._upgraded_ns: int | None = None
        self._number = 0  # of the latest reconciliation
        self._reconciling = 0  # the number of the one that is awaited; 0 without one
        self._reason = ReconcileReason.CONNECTED
        self._news = False
        self._steps: dict[Step, Callable[[Input], None]] = {
            step: getattr(self, f"_{step.name.lower()}") for step in Step
        }

    def on(self, event: Input, now_ns: int) -> list[Effect]:
        """The effects of what happened, to be performed in their order. Raises ImpossibleEvent for what cannot happen
        in this state, and ValueError for a Desire that no socket can fulfil; either changes nothing."""
        assert now_ns >= self._now_ns, "time does not run backwards"
        self._now_ns = now_ns
        kind = self._kind(event)
        if kind is None:
            self.counters["timers too early" if isinstance(event, Timer) else "events out of date"] += 1
        else:
            self._news = kind is not Event.DATA
            self._run(kind, event)
            if not self._news:
                # The usual frame of data: deadlines have moved away, and nothing else is new.
                return []
            self._follow(event)
        self._arm()
        effects, self._effects = self._effects, []
        return effects

    def is_fresh(self, market: int) -> bool:
        """Whether the market was told fresh last."""
        return self._told.get(market, False)

    def is_stream_fresh(self, key: Key) -> bool:
        """Whether the stream of this market and kind is active, was heard if it has a cadence, and is not stale."""
        return self._freshness.is_stream_fresh(key)

    # Events.

    def _kind(self, event: Input) -> Event | None:
        """What the event is to the table; None when it is out of date."""
        if isinstance(event, Timer):
            self._armed.pop(event.name, None)
            self._draw = event.draw
            due_ns = self._due.get(event.name)
            if due_ns is None or due_ns > self._now_ns:
                return None
            del self._due[event.name]
            return _DUE[event.name]
        if isinstance(event, Reconciled):
            return Event.RECONCILED if event.number == self._reconciling else None
        socket = getattr(event, "socket", self.socket)
        if socket != self.socket:
            return None
        if isinstance(event, Closed):
            self._draw = event.draw
            is_routine = event.code == CLOSE_NORMAL and event.reason.startswith(ROTATED_REASON)
            return Event.ROTATED if is_routine else Event.LOST
        return _KINDS[type(event)]

    def _run(self, kind: Event, event: Input) -> None:
        row = TRANSITIONS.get((self.state, kind))
        if row is None:
            raise ImpossibleEvent(f"{kind} cannot happen to a connection that is {self.state}")
        self.state, steps = row
        for step in steps:
            self._steps[step](event)

    def _follow(self, event: Input) -> None:
        """All that follows: other states, what markets are told, and only then what is sent."""
        self._settle(event)
        if self.state is State.IDLE or self.state is State.CLOSED:
            return
        self._tell(event)
        if self._flush():
            self._settle(event)
            self._tell(event)

    def _settle(self, event: Input) -> None:
        """Runs what follows from the event until nothing does."""
        for _ in range(DERIVED_MAX):
            self._sync()
            derived = self._derived()
            if derived is None:
                return
            self._run(derived, event)
        raise AssertionError("a connection settles after a few transitions")

    def _derived(self) -> Event | None:
        """What follows from what is known."""
        if self._said is not None:
            said, self._said = self._said, None
            return said
        if self.state is State.SUBSCRIBING:
            return Event.SETTLED if self._subscriptions.is_settled() else None
        if self.state in (State.RECONCILING, State.LIVE, State.STALE) and not self._subscriptions.has_user():
            return Event.UNSETTLED
        if self.state is State.LIVE and not self._all_fresh():
            return Event.SOME_STALE
        if self.state is State.STALE and self._all_fresh():
            return Event.ALL_FRESH
        return None

    def _all_fresh(self) -> bool:
        return all(self._freshness.is_fresh(market) for market in self._freshness.markets)

    # After each event.

    def _sync(self) -> None:
        """What became active is watched, what is so no more is not."""
        for key in self._subscriptions.changed():
            if self._subscriptions.stage(key) is Stage.ACTIVE:
                self._freshness.watch(self._subscriptions.stream(key), self._now_ns)
            else:
                self._freshness.unwatch(key)

    def _tell(self, event: Input) -> None:
        """Tells each market whose freshness has changed; what is stale is pulled if it was fresh."""
        markets = self._freshness.markets
        for market in [market for market in self._told if market not in markets]:
            if self._told.pop(market):
                self._effects += [MarketStale(market), PullQuotes(market)]
        is_open = self.state in _MAY_BE_FRESH
        for market in markets:
            is_fresh = is_open and self._freshness.is_fresh(market)
            was_fresh = self._told.get(market)
            if was_fresh is is_fresh:
                continue
            self._told[market] = is_fresh
            if is_fresh:
                self._effects.append(MarketFresh(market))
                continue
            self._effects.append(MarketStale(market))
            if was_fresh:
                self._effects.append(PullQuotes(market))

    def _flush(self) -> bool:
        """Sends what is to be subscribed to and what to end; whether there was anything."""
        if self._upgraded_ns is None:
            return False
        messages = self._subscriptions.flush(self._now_ns)
        self._effects += [Send(self.socket, payload) for payload in messages]
        return bool(messages)

    def _arm(self) -> None:
        """Sets the timers that are missing or too late; one that fires too early is set again then."""
        if self._upgraded_ns is not None:
            self._set(TimerName.SUBSCRIPTIONS, self._subscriptions.next_deadline_ns())
            watched_ns = self._freshness.next_deadline_ns()
            mended_ns = min(self._renewals.values(), default=None)
            self._set(TimerName.WATCH, _earlier(watched_ns, mended_ns))
        for name, due_ns in self._due.items():
            armed_ns = self._armed.get(name)
            if armed_ns is None or armed_ns > due_ns:
                self._armed[name] = due_ns
                self._effects.append(SetTimer(name, due_ns))

    def _set(self, name: TimerName, due_ns: int | None) -> None:
        if due_ns is None:
            self._due.pop(name, None)
        else:
            self._due[name] = due_ns

    def _report(self, code: ReportCode, detail: str = "") -> None:
        self._effects.append(Report(code, detail[:DETAIL_CHARACTERS_MAX]))

    # Steps: wanting, connecting.

    def _desire(self, event: Input) -> None:
        assert isinstance(event, Desire), "the step of one event"
        self._subscriptions.desire(event.streams)
        self._freshness.desire(self._subscriptions.desired)
        wanted = {stream.key for stream in self._subscriptions.desired}
        self._renewals = {key: due_ns for key, due_ns in self._renewals.items() if key in wanted}
        self._blamed = {key: when_ns for key, when_ns in self._blamed.items() if key in wanted}

    def _ask_to_connect(self, event: Input) -> None:
        self._wait_ns = self._connects.take(self._now_ns)
        self._said = Event.BUDGET_REFUSED if self._wait_ns else Event.BUDGET_GRANTED

    def _wait_for_budget(self, event: Input) -> None:
        self._report(ReportCode.CONNECTS_EXHAUSTED)
        self._due[TimerName.BACKOFF] = self._now_ns + self._wait_ns

    def _open(self, event: Input) -> None:
        self._sockets += 1
        self.socket = self._sockets
        self._due[TimerName.PHASE] = self._now_ns + self.settings.connect_ns
        self._effects.append(Open(self.settings.url, self.socket))

    def _limit_handshake(self, event: Input) -> None:
        self._due[TimerName.PHASE] = self._now_ns + self.settings.handshake_ns

    def _begin(self, event: Input) -> None:
        self._upgraded_ns = self._now_ns
        self._reason = ReconcileReason.CONNECTED
        self._set(TimerName.PHASE, None)
        self._due[TimerName.PING] = self._now_ns + self.settings.ping_ns

    # Steps: what comes in.

    def _note_data(self, event: Input) -> None:
        assert isinstance(event, Data), "the step of one event"
        key = (event.market, event.kind)
        if self._freshness.note(key, event.block_ms, event.bid_ticks, event.ask_ticks, self._now_ns):
            self._news = True
            self._judge(event)

    def _note_pong(self, event: Input) -> None:
        self._set(TimerName.PONG, None)

    def _note_answer(self, event: Input) -> None:
        assert isinstance(event, Acknowledged), "the step of one event"
        if not self._subscriptions.acknowledged(event.method, event.subscription, self._now_ns):
            self.counters["acknowledgements of nothing known"] += 1

    def _note_error(self, event: Input) -> None:
        assert isinstance(event, ErrorFrame), "the step of one event"
        verdict = self._subscriptions.error(event.text, self._now_ns)
        if verdict is Verdict.REFUSED:
            self._report(ReportCode.SUBSCRIPTION_REFUSED, event.text)
        elif verdict is Verdict.UNKNOWN:
            self._report(ReportCode.ERROR_UNMATCHED, event.text)

    # Steps: deadlines.

    def _expire(self, event: Input) -> None:
        unanswered = self._subscriptions.overdue(self._now_ns)
        if unanswered:
            self._give_up(ReportCode.SUBSCRIPTION_UNANSWERED, _named(unanswered))

    def _judge(self, event: Input) -> None:
        """Streams that became stale: their markets' quotes are pulled, then they are begun anew. One that was begun
        anew a moment ago is to be judged at once: by its timer, since a wait needs a draw, which data does not bring.
        """
        found = self._freshness.stale(self._now_ns)
        if not found:
            return
        self._tell(event)
        self._report(
            ReportCode.STREAM_STALE,
            "; ".join(f"{stream.kind} of {stream.subject}: {cause}" for stream, cause in found),
        )
        for stream, _ in found:
            if stream.key in self._renewals:
                self._renewals[stream.key] = self._now_ns
            else:
                self._renew(stream)

    def _bury(self, event: Input) -> None:
        """Streams that should be well by now: one that is not takes the socket down, but when others flow not again and
        again."""
        dead = []
        for key in [key for key, due_ns in self._renewals.items() if due_ns <= self._now_ns]:
            del self._renewals[key]
            if self._freshness.is_stream_fresh(key):
                self._freshness.trust(key)
            else:
                dead.append(self._subscriptions.stream(key))
        if not dead:
            return
        is_given_up = False
        for stream in dead:
            blamed_ns = self._blamed.get(stream.key)
            is_blamed = blamed_ns is not None and self._now_ns - blamed_ns < self.settings.blame_ns
            if self._freshness.is_other_flowing(stream.key) and is_blamed:
                self._renew(stream)
                continue
            if self._freshness.is_other_flowing(stream.key):
                self._blamed[stream.key] = self._now_ns
            else:
                # The socket was at fault, not the stream.
                self._freshness.trust(stream.key)
            is_given_up = True
        if is_given_up:
            self._give_up(ReportCode.STREAM_DEAD, _named(dead))
        else:
            self._report(ReportCode.STREAM_DEAD, _named(dead))

    def _give_up(self, code: ReportCode, detail: str) -> None:
        """The socket ends, once the quotes are pulled."""
        self._said = Event.GIVEN_UP
        self._ending = code, detail

    def _renew(self, stream: Stream) -> None:
        self._renewals[stream.key] = self._now_ns + self.settings.renew_ns + stream.age_ns_max
        self._subscriptions.renew(stream.key)

    def _ping(self, event: Input) -> None:
        self._due[TimerName.PING] = self._now_ns + self.settings.ping_ns
        if TimerName.PONG in self._due:
            return
        wait_ns = self._messages.take(self._now_ns)
        if wait_ns:
            self._due[TimerName.PING] = self._now_ns + wait_ns
            return
        self._due[TimerName.PONG] = self._now_ns + self.settings.pong_ns
        self._effects.append(Send(self.socket, PING))

    # Steps: reconciling.

    def _reconcile(self, event: Input) -> None:
        self._number += 1
        self._reconciling = self._number
        self._reconcile_again(event)

    def _reconcile_again(self, event: Input) -> None:
        self._due[TimerName.PHASE] = self._now_ns + self.settings.reconcile_ns
        self._effects.append(Reconcile(self._reason, self._reconciling))

    def _abandon(self, event: Input) -> None:
        self._reconciling = 0
        self._set(TimerName.PHASE, None)

    def _arrive(self, event: Input) -> None:
        self._abandon(event)
        self._reason = ReconcileReason.RESUBSCRIBED
        self._report(ReportCode.LIVE)

    # Steps: leaving.

    def _report_connect_late(self, event: Input) -> None:
        self._report(ReportCode.CONNECT_LATE)

    def _report_handshake_late(self, event: Input) -> None:
        self._report(ReportCode.HANDSHAKE_LATE)

    def _report_reconcile_late(self, event: Input) -> None:
        self._report(ReportCode.RECONCILE_LATE)

    def _report_pong(self, event: Input) -> None:
        self._report(ReportCode.PONG_MISSING)

    def _report_given_up(self, event: Input) -> None:
        self._report(*self._ending)

    def _report_lost(self, event: Input) -> None:
        assert isinstance(event, Closed), "the step of one event"
        self._report(ReportCode.LOST, f"{event.code} {event.reason}".rstrip())

    def _report_rotated(self, event: Input) -> None:
        self._report(ReportCode.ROTATED)

    def _drop(self, event: Input) -> None:
        is_wanted = self.state is not State.CLOSED
        self._effects.append(Close(self.socket, CLOSE_GIVEN_UP if is_wanted else CLOSE_NORMAL))
        self._forget(event)

    def _forget(self, event: Input) -> None:
        self.socket = 0
        self._due.clear()
        self._renewals.clear()
        self._abandon(event)
        self._subscriptions.lose()
        self._sync()
        self._freshness.lose()

    def _back_off(self, event: Input) -> None:
        up_ns = 0 if self._upgraded_ns is None else self._now_ns - self._upgraded_ns
        self._upgraded_ns = None
        if up_ns >= self.settings.stable_ns:
            self._failures = 0
        wait_ns = backoff.wait_ns(self._failures, self._draw, self.settings.backoff)
        self._failures += 1
        self._due[TimerName.BACKOFF] = self._now_ns + wait_ns

    def _end(self, event: Input) -> None:
        self._upgraded_ns = None
        self._due.clear()
        self._report(ReportCode.STOPPED)


def _earlier(one_ns: int | None, other_ns: int | None) -> int | None:
    return min((time_ns for time_ns in (one_ns, other_ns) if time_ns is not None), default=None)


def _named(streams: list[Stream]) -> str:
    return "; ".join(f"{stream.kind} of {stream.subject}" for stream in streams)
