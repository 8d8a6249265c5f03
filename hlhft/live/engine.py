"""The engine: machines, core and shells wired together, and what the supervisor demands performed.

It is made of parts that are ready (`hlhft.live.assembly`), runs on one event loop, and ends with an `Exit`. Whatever
raises in a callback is a broken invariant: the supervisor hears of it, cancels what is at the venue and ends; when that
breaks as well, it ends at once and says that orders may be left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hlhft.core.brain import Brain
from hlhft.core.risk import BREAKERS, Breaker
from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid import supervisor_events as told
from hlhft.hyperliquid.connection import Connection
from hlhft.hyperliquid.connection_events import Reconcile
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.gateway import Gateway
from hlhft.hyperliquid.gateway_events import (
    AnsweredElsewhere,
    BlockTime,
    CancelOwn,
    Gate,
    NonceEvidence,
    Resume,
    SentElsewhere,
    Start,
)
from hlhft.hyperliquid.gateway_events import Told as GatewayTold
from hlhft.hyperliquid.messages import Fills, NonUserCancels, OrderUpdates
from hlhft.hyperliquid.reconcile import Reconciliation
from hlhft.hyperliquid.reconcile_events import CancelLeftovers
from hlhft.hyperliquid.supervisor import Supervisor
from hlhft.hyperliquid.supervisor_events import Exit, GateLevel, Halt, Verdict
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.live.accounts import Accounts
from hlhft.live.alpha_link import AlphaLink, AlphaParts
from hlhft.live.control import Outcome, Reloaded
from hlhft.live.dispatch import Dispatch, Recorder
from hlhft.live.feed import Feed, OwnNews
from hlhft.live.hub import Hub
from hlhft.live.journal.records import Action
from hlhft.live.loop import Loop
from hlhft.live.node_feed import NodeFeed, NodeParts
from hlhft.live.orders import Orders
from hlhft.live.profit import ProfitTally
from hlhft.live.pulse import Pulse
from hlhft.live.signal_judge import SignalJudge
from hlhft.live.transport import TransportSettings
from hlhft.live.view import Status
from hlhft.units import Market

OWNER = "engine"  # of its timers
STOP, SECOND, PROVE = "stop", "second", "prove"
SETTLE_NS = 1_000_000_000  # for the answers to what is under way when it stops
PROVE_EVERY_NS = 20_000_000
SECOND_NS = 1_000_000_000
LATE_TOLD_NS = 20_000_000  # lateness of the loop that the core hears of at once
BREAKS_MAX = 3
_VISIBLE = int(EventFlag.LOCAL_VISIBLE)
_ACCOUNT_STATE = int(EventKind.ACCOUNT_STATE)
_MONEY = frozenset({int(EventKind.ORDER_FILLED), int(EventKind.FUNDING_PAYMENT), int(EventKind.POSITION_STATE)})
_WATCHED = _MONEY | {int(EventKind.ORDER_REJECTED), int(EventKind.SIGNAL)}
_WOULD_CROSS = 5  # hlhft.venue.refusals.Refusal.BAD_ALO_PRICE, which is normal business


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an engine is made of; all of it is its own from now on."""

    hub: Hub
    markets: Sequence[Market]
    address: str  # whose account is traded
    brain: Brain
    journal: Recorder
    fates: Fates
    gateway: Gateway
    reconciliation: Reconciliation
    supervisor: Supervisor
    feed: Connection
    lanes: Sequence[Connection]
    tick_to_trade_ns_max: int
    stop_ns_max: int
    settled_ms: int  # orders of an earlier session may arrive until this block
    transport: TransportSettings
    keep: Keep
    node: NodeParts | None = None  # where books and trades come from a node's files
    alpha: AlphaParts | None = None  # where a process makes signals
    horizon_ns: int = 1_000_000_000  # in which a signal expects its move


class Keep:
    """What outlives the process; each of these may fail, and says so in a sentence. The default keeps nothing."""

    def halt(self, halt: Halt | None, reason: str) -> str:
        """The halt is on disk when this returns; None: there is none any more."""
        return ""

    def mark(self, mark: int) -> None:
        """The mark of nonces is on disk when this returns. Raises StoreError; called on the store's thread."""

    def fills(self, fills: Fills) -> None:
        """These fills are known."""

    def watermark(self, block_ms: int) -> None:
        """All is known up to this block."""

    def peak(self, equity_micro: int) -> None:
        """The highest equity of the running minute."""

    def begin_peaks(self, transferred_micro: int, block_ms: int) -> None:
        """Peaks from now on are of a session that began at this block; so much was moved that none before knew of."""

    def moved(self, amount_micro: int, time_ms: int) -> None:
        """A deposit, or a withdrawal below 0, was told to the core."""

    def raw(self, frame: memoryview, now_ns: int) -> None:
        """A frame of the user's streams, as it came."""

    def action(self, action: Action) -> None:
        """An action that leaves next."""

    def trouble(self) -> str:
        """What keeps the journal from going on; empty when nothing does."""
        return ""

    def rotate(self) -> None:
        """The state was changed by something but a step."""

    def tend(self) -> None:
        """A quiet moment, about once a second."""

    def note(self, text: str) -> None:
        """Something for people who read the journal."""


class Engine:
    """One engine. `every_second` is called once a second, for what surrounds it: the service manager's watchdog.

    `on_end` hears once why it ended, and what is left at the venue; `end` says the same from then on.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        loop: Loop,
        status: Callable[[Engine], Status],
        tally: ProfitTally | None = None,
        reload: Callable[[Engine], Reloaded] | None = None,
        ready: Callable[[], None] = lambda: None,
        stopping: Callable[[], None] = lambda: None,
        every_second: Callable[[Engine], None] = lambda engine: None,
        leftovers: Callable[[CancelLeftovers], None] | None = None,
        collects: bool = True,
        polls: bool = False,
        on_end: Callable[[Exit], None] = lambda end: None,
    ) -> None:
        self.parts = parts
        self.hub = parts.hub
        self.loop = loop
        self.end: Exit | None = None
        self.started_ns = parts.hub.clock.now_ns()
        self.supervisor = parts.supervisor
        self.status_maker = status
        self.judge = SignalJudge(len(parts.markets), horizon_ns=parts.horizon_ns)
        self.stage_changes = self.rejections = 0  # of orders by the venue, without those that would have crossed
        self._tally = tally
        self._opened: set[int] = set()  # markets whose position at the start of the session is known
        self._reload, self._ready, self._stopping = reload, ready, stopping
        self._every_second, self._on_end = every_second, on_end
        self._collects, self._polls = collects, polls
        self._requests = self._breaks = 0
        self._answers: dict[int, told.Answer] = {}
        self._halt_code = self._settle_ns = self._proof_ns = 0
        self._had_trouble = self._is_restoring = False
        hub = parts.hub
        hub.engine = self
        hub.note = parts.keep.note
        hub.timers.own(OWNER, self._fired)
        self.pulse = Pulse(self.loop, hub.clock, told_ns=min(LATE_TOLD_NS, parts.tick_to_trade_ns_max), late=self._late)
        self.orders = Orders(
            hub, parts.gateway, connections=parts.lanes, markets=parts.markets, user=parts.address,
            write_mark=parts.keep.mark, budget=self._budget, record=parts.keep.action, transport=parts.transport,
        )  # fmt: skip
        self.dispatch = hub.dispatch = Dispatch(
            parts.brain, journal=parts.journal, send=self.orders.send, listener=self, timers=hub.timers,
            clock=hub.clock, loop=self.loop, lateness=self.pulse.lateness_ns,
            watch=self._watch if tally is not None else None,
            after=None if parts.alpha is None else self._tell_rows,
        )  # fmt: skip
        self.feed = Feed(
            hub, parts.feed, markets=parts.markets, address=parts.address, pulse=self.pulse, news=self._news,
            block=self._block, reconcile=self._reconcile, raw=parts.keep.raw, changed=self._feed_changed,
            pulled=self._pulled, beside_node=parts.node is not None, compare=self._compare, transport=parts.transport,
        )  # fmt: skip
        self.node = None if parts.node is None else NodeFeed(
            hub, parts.node, markets=parts.markets, pulse=self.pulse, fresh=self.feed.node_is_fresh,
        )  # fmt: skip
        self.alpha = None if parts.alpha is None else AlphaLink(hub, parts.alpha, markets=parts.markets)
        self.accounts = Accounts(
            hub, parts.reconciliation, brain=parts.brain, fates=parts.fates, orders=self.orders,
            address=parts.address, settled_ms=parts.settled_ms, reconciled=self._reconciled,
            leftovers=leftovers or self._leftovers, fills=parts.keep.fills, watermark=parts.keep.watermark,
            begin_peaks=parts.keep.begin_peaks, moved=parts.keep.moved,
        )  # fmt: skip
        self._effects: dict[type, Callable[[Any], None]] = {
            told.TellCore: self._tell_core, told.SetGate: self._set_gate, told.CancelOwn: self._cancel_own,
            told.ProveEmpty: self._prove_empty, told.SetStopTimer: self._set_stop_timer, told.Persist: self._persist,
            told.Ready: lambda effect: self._ready(), told.Stopping: lambda effect: self._stopping(),
            told.Answer: self._answer, told.Report: self._report, told.Exit: self._exit,
        }  # fmt: skip

    # Its life.

    def start(self) -> None:
        """All is loaded: begins to connect."""
        self.loop.set_exception_handler(self._loop_failed)
        self.pulse.start(collects=self._collects, polls=self._polls)
        # What was latched before the restart is the supervisor's own news to the core.
        self._is_restoring = True
        self.supervise(told.Warmed())
        self._is_restoring = False
        self.orders.on(Start())
        # What the venue took of this key before is not told anywhere; a nonce that it refuses as used tells.
        self.orders.on(NonceEvidence(0))
        self.dispatch.start()
        self.hub.timers.set(OWNER, SECOND, self.hub.clock.now_ns() + SECOND_NS)
        self.feed.start()
        if self.node is not None:
            self.node.start()
        self.orders.start()

    def stop(self, reason: str) -> None:
        """Ends it: gate closed, own orders cancelled, emptiness proven. Asked for again, without the proof."""
        self.supervise(told.StopAsked(reason))

    def rotate(self) -> None:
        """Begins a new segment of the journal: something but a step changed the state."""
        self.parts.keep.rotate()

    def close(self) -> None:
        """Lets go of sockets and timers, once it has ended."""
        self.pulse.stop()
        self.hub.timers.close()
        if self.node is not None:
            self.node.stop()
        if self.alpha is not None:
            self.alpha.close()
        for line in (self.feed.line, *self.orders.lines):
            line.stop()
        # What still comes is of no session any more, and the journal is about to be closed.
        self.dispatch.has_journal = False
        self.loop.set_exception_handler(None)
        self.hub.note = lambda text: None

    def broke(self, error: BaseException | None) -> None:
        """An invariant does not hold: nothing more is placed, and the process ends."""
        self._breaks += 1
        text = f"{type(error).__name__}: {error}" if error is not None else "unknown"
        self.hub.say(f"something broke, and the engine ends: {text}", "error")
        if self._breaks > BREAKS_MAX:
            self._give_up(text)
            return
        if self._breaks == 1:
            self.loop.call_soon(self._fail, text)

    def _fail(self, text: str) -> None:
        self.supervise(told.Failed(text))

    def _give_up(self, text: str) -> None:
        self._exit(Exit(Verdict.NOT_EMPTY, self.supervisor.halt, text))

    def _loop_failed(self, loop: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.broke(error if error is not None else RuntimeError(str(context.get("message", ""))))

    # The supervisor.

    def supervise(self, event: told.Input) -> None:
        """Something that the supervisor is to judge; does what it demands."""
        before = self.supervisor.stage
        effects = self.supervisor.on(event, self.hub.clock.now_ns())
        self.stage_changes += self.supervisor.stage is not before
        for effect in effects:
            self._effects[type(effect)](effect)

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        return self.supervisor.stage

    def _tell_core(self, effect: told.TellCore) -> None:
        self.dispatch.tell(effect.rows)

    def _set_gate(self, effect: told.SetGate) -> None:
        level = effect.level
        self.orders.on(Gate(is_open=level is GateLevel.OPEN, reductions=level is GateLevel.REDUCING))

    def _cancel_own(self, effect: told.CancelOwn) -> None:
        self.orders.on(CancelOwn())

    def _prove_empty(self, effect: told.ProveEmpty) -> None:
        now_ns = self.hub.clock.now_ns()
        self._settle_ns, self._proof_ns = now_ns + SETTLE_NS, now_ns + self.parts.stop_ns_max
        self._prove()

    def _prove(self) -> None:
        """Begins the proof once the answers to what is under way are there: what nobody has answered could arrive until
        its expiry, and the proof would have to wait for that."""
        now_ns, expiry_ms = self.hub.clock.now_ns(), self.parts.fates.last_expiry_ms
        if expiry_ms and now_ns < self._settle_ns:
            self.hub.timers.set(OWNER, PROVE, now_ns + PROVE_EVERY_NS)
            return
        self.accounts.prove_empty(expiry_ms=expiry_ms, deadline_ns=self._proof_ns)

    def _set_stop_timer(self, effect: told.SetStopTimer) -> None:
        self.hub.timers.set(OWNER, STOP, effect.at_ns)

    def _persist(self, effect: told.Persist) -> None:
        fault = self.parts.keep.halt(effect.halt, effect.reason)
        if fault:
            self.hub.say(f"the halt could not be written, do not restart before it can be: {fault}", "error")

    def _answer(self, effect: told.Answer) -> None:
        self._answers[effect.request] = effect

    def _report(self, effect: told.Report) -> None:
        detail = f": {effect.detail}" if effect.detail else ""
        level: Any = "warning" if effect.code in (told.ReportCode.HALTED, told.ReportCode.STILL_HALTED) else "info"
        self.hub.say(f"{effect.code.name.lower().replace('_', ' ')}{detail}", level)

    def _exit(self, effect: Exit) -> None:
        if self.end is None:
            self.end = effect
            self._on_end(effect)

    # What the parts tell.

    def tripped(self, latches: int, breaker: int) -> None:
        """A breaker of the core latched."""
        if self._is_restoring:
            return
        name = Breaker(breaker).name.lower().replace("_", " ")
        self.supervise(told.Tripped(latches, breaker, f"breaker {name} tripped"))

    def journal_full(self, sentence: str) -> None:
        """The journal takes no more."""
        self._had_trouble = True
        self.supervise(told.JournalFailed(sentence))

    def ticked(self, halt_code: int) -> None:
        """What keeps the core from quoting now, told when it changes; and signals are judged that are due."""
        now_ns = self.hub.clock.now_ns()
        for market in range(len(self.parts.markets)):
            if self.judge.markets[market].pending:
                self.judge.look(market, now_ns=now_ns, mid_half_ticks=self._mid(market))
        if halt_code != self._halt_code:
            self._halt_code = halt_code
            if halt_code:
                breaker = Breaker(halt_code)
                name = breaker.name.lower().replace("_", " ")
                self.hub.say(f"breaker {name}: {BREAKERS[breaker].meaning}", "warning")
            else:
                self.hub.say("no breaker keeps it from quoting")

    def _feed_changed(self, is_live: bool) -> None:
        self.supervise(told.FeedUp() if is_live else told.FeedDown())

    def _pulled(self, market: int) -> None:
        """A market's data are old. The core cancels what rests, but knows not which of two rests of an order that is
        being modified."""
        self.orders.on(CancelOwn(market, replaced=True))

    def _reconcile(self, demand: Reconcile) -> None:
        self.accounts.demand(demand)

    def _reconciled(self, number: int) -> None:
        self.feed.line.reconciled(number)

    def _news(self, message: OwnNews) -> None:
        if isinstance(message, OrderUpdates | Fills | NonUserCancels):
            self.orders.on(GatewayTold(message))
        if isinstance(message, Fills):
            self.parts.keep.fills(message)
        self.accounts.news(message)

    def _block(self, block_ms: int) -> None:
        self.orders.on(BlockTime(block_ms))

    def _compare(self, market: int, block_ms: int, bid_ticks: int, ask_ticks: int) -> None:
        assert self.node is not None, "only a node's books are held against the venue's"
        self.node.venue(market, block_ms, bid_ticks, ask_ticks)

    def _tell_rows(self, events: np.ndarray, count: int) -> None:
        assert self.alpha is not None, "rows are made for an alpha process only"
        self.alpha.publish(events, count)

    def _late(self, lateness_ns: int) -> None:
        self.hub.say(f"the loop was {lateness_ns / 1e6:.0f} ms late", "warning")
        self.dispatch.late(lateness_ns)

    def _watch(self, rows: Sequence[Row]) -> None:
        """What of the news operators count: what makes or loses money, refusals of the venue, and signals."""
        tally = self._tally
        assert tally is not None, "only asked for with one"
        for row in rows:
            kind, market = row[7], row[9]
            if kind not in _WATCHED:
                continue
            if kind == EventKind.ORDER_FILLED:
                tally.filled(
                    market, side=row[10], price_ticks=row[2], size_lots=row[3], mid_half_ticks=self._mid(market),
                    fee_micro=row[6], is_maker=bool(row[8] & EventFlag.MAKER),
                )  # fmt: skip
            elif kind == EventKind.FUNDING_PAYMENT:
                tally.funded(market, amount_micro=row[5])
            elif kind == EventKind.POSITION_STATE:
                tally.opened(market, position_lots=row[3], mark_ticks=row[2])
                self._opened.add(market)
            elif kind == EventKind.ORDER_REJECTED:
                self.rejections += row[5] != _WOULD_CROSS
            elif market < len(self.parts.markets):
                self.judge.heard(
                    market, now_ns=row[1], data_ns=row[0], move_e9=row[2], deviation_e9=row[3],
                    mid_half_ticks=self._mid(market),
                )  # fmt: skip

    def _mid(self, market: int) -> int:
        """Twice the mid that we know, 0 for a book without two sides."""
        book = self.parts.brain.data.books[market]
        bid, ask = int(book["best_bid_ticks"]), int(book["best_ask_ticks"])
        return bid + ask if bid and ask else 0

    def _budget(self, used: int, allowed: int) -> None:
        """The venue told the address' budget in a refusal: the next state of the account, with the margin as it was."""
        lane = self.parts.brain.lane.lane
        now_ns = self.hub.clock.now_ns()
        value, margin, maintenance = (
            int(lane[name][0]) for name in ("margin_value_micro", "margin_used_micro", "maintenance_micro")
        )
        state = (0, now_ns, value, margin, maintenance, used, allowed, _ACCOUNT_STATE, _VISIBLE, 0, 0, 0)
        self.dispatch.tell([state, *self.orders.gateway.uncounted(now_ns, now_ns)])

    def sent_elsewhere(self, actions: int) -> None:
        """So many actions of the address left by another way than the gateway's."""
        self.orders.on(SentElsewhere(actions))

    def answered_elsewhere(self, actions: int) -> None:
        """So many of these were answered."""
        self.orders.on(AnsweredElsewhere(actions))

    def _leftovers(self, effect: CancelLeftovers) -> None:
        self.hub.say("orders of an earlier session are left: nothing cancels them here", "error")

    # Time.

    def _fired(self, name: str, draw: int) -> None:
        now_ns = self.dispatch.turn()
        if name == STOP:
            self.supervise(told.StopDue())
            return
        if name == PROVE:
            self._prove()
            return
        self.hub.timers.set(OWNER, SECOND, now_ns + SECOND_NS)
        leap_ns = self.hub.clock.discipline()
        if leap_ns:
            self.hub.say(f"the wall clock leapt by {leap_ns / 1e9:+.3f} s", "warning")
        self._look_at_journal()
        for market, is_fresh in enumerate(self.feed.fresh):
            if not is_fresh:
                self._pulled(market)  # what was modified in the same instant, or is not cancelled yet
        self.parts.keep.tend()
        if self.alpha is not None:
            self.alpha.tend()
        lane = self.parts.brain.lane.lane
        peak_micro = int(lane["equity_micro"][0])
        if peak_micro > 0:
            self.parts.keep.peak(peak_micro)
        self._every_second(self)

    def _look_at_journal(self) -> None:
        trouble = self.parts.keep.trouble()
        if trouble and not self._had_trouble:
            self._had_trouble = True
            self.supervise(told.JournalFailed(trouble))
        elif self._had_trouble and not trouble and self.dispatch.has_journal:
            self._had_trouble = False
            self.supervise(told.JournalWorks())

    # Operators: the handler of the control socket.

    def status(self) -> Status:
        """Everything that an operator sees."""
        for row in range(len(self.parts.markets)):
            self.value(row)
        return self.status_maker(self)

    def value(self, market: int) -> None:
        """Tells the split of the profit the present prices of a market whose position at the start is known."""
        if self._tally is not None and market in self._opened:
            mark_ticks = int(self.parts.brain.data.books["mark_ticks"][market])
            self._tally.moved(market, mid_half_ticks=self._mid(market), mark_ticks=mark_ticks)

    def halt(self, reason: str) -> Outcome:
        """Stops quoting and cancels all, until a resume; positions stay."""
        return self._asked(told.HaltAsked(self._request(), reason or "an operator halted it"))

    def resume(self, reason: str) -> Outcome:
        """Clears halts and latches; it quotes again once it agrees with the venue."""
        outcome = self._asked(told.ResumeAsked(self._request(), reason))
        if outcome.is_done:
            self.orders.on(Resume())
            self.accounts.reconciliation.forget_peak()
        else:
            self.accounts.read_again()
        return outcome

    def flatten(self, reason: str) -> Outcome:
        """Cancels all and closes every position at market; halted from then on."""
        return self._asked(told.FlattenAsked(self._request(), reason or "an operator flattened it"))

    def reload(self) -> Reloaded:
        """Reads the configuration again and takes of it what may change while it runs."""
        if self._reload is None:
            return Reloaded(is_done=False, sentence="this engine was not started from a file of settings")
        return self._reload(self)

    def _request(self) -> int:
        self._requests += 1
        return self._requests

    def _asked(self, event: told.HaltAsked | told.ResumeAsked | told.FlattenAsked) -> Outcome:
        self.dispatch.turn()
        self.supervise(event)
        answer = self._answers.pop(event.request, None)
        assert answer is not None, "the supervisor answers each request at once"
        return Outcome(is_done=answer.is_done, sentence=answer.text)
