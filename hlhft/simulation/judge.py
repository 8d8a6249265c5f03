"""What must hold, looked at after every event on what it touched: the promises, held against the exchange's own books.

A promise that does not hold raises `Violation`, which names it. The judge decides nothing and changes nothing.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from hlhft.core import budgets
from hlhft.core.brain import Brain
from hlhft.exchange.order_records import OrderRecord
from hlhft.hyperliquid.cloids import Cloid, parse
from hlhft.hyperliquid.nonces import DEFAULTS as NONCES
from hlhft.hyperliquid.nonces import VENUE_KEEPS
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.supervisor_events import Halt, HaltCause
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.hyperliquid.watchdog_table import State as WatchdogState
from hlhft.live.journal.brains import state
from hlhft.live.journal.records import Action
from hlhft.live.replay import replay
from hlhft.simulation.account import COINS, ENGINE, OWNER, READ_NS_MAX
from hlhft.simulation.address import Address
from hlhft.simulation.faults import FaultKind
from hlhft.simulation.money import Money
from hlhft.simulation.time import MS, SECOND

if TYPE_CHECKING:
    from hlhft.simulation.engine_process import EngineProcess
    from hlhft.simulation.world import World

# After the last expiry: what a watchdog takes for death or waits for a first beat, and the sweep.
CLEARED_NS_MAX = 5 * SECOND + 2 * SECOND
WAITING_NS = 10 * SECOND  # what the watchdog gives an engine that lives and does not agree with the venue
EXPOSURE_TOLERANCE = 10  # hlhft.core.risk.NOTIONAL_TOLERANCE: the price alone may do as much
MARK_MEMORY_NS = 120 * SECOND  # a limit in money was checked at a mark no older than this
USES_MAX = 1024  # within a batch's window, by far
LABEL = "engine"  # of its connections
MARKS_MAX = 1024  # client order ids that are remembered
CANCEL_NS_MAX = 1_500 * MS  # from a cancel to its arrival over whichever connection stands
NONCES_MAX = 1024  # of an engine that are remembered, ten times what the venue keeps
INCLUDED_NS_MAX = SECOND  # from an action's arrival to its block
ARRIVED = -1  # a cancel that has arrived: what repeats it need not
STALE_CALM_NS_MAX = 6 * SECOND  # a book is old after two, and nothing else hinders
RESTS_NS = 3 * SECOND  # an order that came late has been told, and cancelled
STALE_NS_MAX = 35 * SECOND  # risk.feed_age_ms_max, and to cancel what rests
# Only what somebody else does to the account may lead to these.
_NEVER = frozenset({HaltCause.DISAGREEMENT, HaltCause.NONCES})
_NONSENSE = "unrecognised status"
# What the exchange refuses by a rule that we know: it was not to be sent at all (venue reference sections 4 and 7).
KNOWN_RULES = (
    b"Order has invalid price", b"Order has invalid size", b"tick size", b"minimum value of", b"cumulative requests",
    b"is not above the lowest", b"is outside the window", b"weight limit", b"has no orders", b"too far from",
    b"does not exist", b"Too many",
)  # fmt: skip
_USED_UP = b"cumulative requests"
_OLD_NONCE = re.compile(rb"nonce (\d+) is not above the lowest")
_ALWAYS = frozenset({ActionKind.CANCEL, ActionKind.CANCEL_BY_CLOID, ActionKind.NOOP})


class Promise(StrEnum):
    """What must hold."""

    NONCE = "no nonce of a signer is used for two actions, and each session's lie above those before"
    JOURNAL = "what is sent was recorded before"
    EXPOSURE = "the worst case of a market stays below its cap, and the core counts every order that rests"
    OWNED = "every own order at the exchange has an owner, or is gone in time"
    EMPTY = "where the watchdog says that no order is left, none is there, nor comes"
    SLOT = "an order has one living revision"
    HALTED = "while halted nothing but cancels, noops and reducing orders is signed, and the gate is not open"
    LATCH = "what is halted is halted after a restart"
    REACTION = "once halted nothing of it rests"
    CANCELS = "a cancel arrives in time where one of two connections stands and the venue takes another post"
    BUDGETS = (
        "no budget falls below zero, placements leave a part of each to cancels, and the core counts no fewer actions"
        " of its address than the exchange"
    )
    RULES = "nothing is sent that a known rule refuses"
    PROOF = "no order that is over by our books lives at the exchange"
    READ = "nothing that adds risk is placed before the account was read since the connection came, and agrees"
    BOOKS = "our books never contradict the exchange's"
    STALE = "nothing rests in a market whose book has come to a stop"
    REPLAY = "a journal replays to the state that was live"
    ALIVE = "nothing breaks inside the engine"
    CONVERGES = "once all faults are over it trades again, or is flat"
    AGREES = "engine and exchange name the same orders and positions"
    FOREIGN = "no order of others is touched"
    PROFIT = "the parts of the profit sum to the change in equity, and the exchange's own ledger says the same"


class Violation(Exception):
    """A promise that does not hold. It comes whole out of another process, which takes what it was made of."""

    def __init__(self, promise: Promise, sentence: str) -> None:
        super().__init__(promise, sentence)
        self.promise = promise
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.promise.name}: {self.sentence}"


class Judge:
    """Judges one world."""

    def __init__(self, world: World) -> None:
        self.events = 0
        self.actions = 0  # that the engine had at the exchange
        self.replays = 0
        self.closed_ns = 0  # when the watchdog closed positions last
        self.placed_ns = 0  # when an engine placed an order last
        self.money = Money(world)
        self._world = world
        self.cleared_ns_max = world.settings.expires_after_ms * MS + CLEARED_NS_MAX
        self._signed: dict[tuple[str, int], Any] = {}
        self._signers: dict[int, int] = {}  # the key of the engine that signed a nonce first
        self._shared: set[int] = set()  # nonces that two of its keys have signed, each its own
        self._nonces: deque[tuple[int, ActionKind]] = deque(maxlen=NONCES_MAX)  # as they were given out
        self._again: set[int] = set()  # nonces of what was sent more than once
        self._recorded = self._left = 0  # actions of the engine
        self._newest_nonce = self._earlier_nonce = 0  # of all that was signed, and of earlier sessions
        self._key = ENGINE
        self._ran_ns = 0  # when something happened in an engine last
        self._cancels: dict[int, int] = {}  # orders that are being cancelled, since when, or ARRIVED
        # When, and how many actions of the address anything but placements used.
        self._other_uses: deque[tuple[int, int]] = deque(maxlen=USES_MAX)
        self._address_actions = 0  # that were counted when the last action was signed
        self._address = Address()
        self._short_actions = 0  # by so many the placements of this turn went into the reserve
        self._unowned_ns = 0  # since when own orders are nobody's
        self._halted_ns = 0
        self._failures = 0  # of the disk before the halt
        self._is_latched = False  # the halt of the last engine is on disk
        self._marks: list[tuple[int, tuple[int, ...]]] = []
        self._least: tuple[int, ...] = ()  # of them, by market
        self._number: int | None = None

    # At the exchange.

    def posted(self, label: str, request: dict[str, Any]) -> None:
        """A signed request reached the exchange."""
        self.actions += label == LABEL
        # What comes after its expiry is charged then; an engine that has voided it hears of that no more.
        now_ns = self._world.time.now_ns
        if label == LABEL and request["action"]["type"] == "noop":
            self._address.voids(request["nonce"], now_ns)
        expires_ms = request.get("expiresAfter")
        is_late = expires_ms is not None and expires_ms * MS < now_ns + INCLUDED_NS_MAX
        nonce = request["nonce"] if label == LABEL and not is_late else 0
        self._address.sent(self._sender(label), request["action"], nonce, now_ns)
        if label != LABEL and request["action"]["type"] == "order":
            self.closed_ns = self._world.time.now_ns
        if label == LABEL and self._cancels:
            self._arrived(request["action"])
        if request["action"]["type"] == "noop":
            self._again.add(request["nonce"])
            return
        self._look_at_targets(label, request["action"])
        if (label, request["nonce"]) in self._signed:
            self._again.add(request["nonce"])
        known = self._signed.setdefault((label, request["nonce"]), request["signature"])
        if known != request["signature"] and not (label == LABEL and request["nonce"] in self._shared):
            raise Violation(Promise.NONCE, f"{label} signed two actions with the nonce {request['nonce']}")

    def answered(self, label: str, body: bytes) -> None:
        """The exchange answered one."""
        if b"error" in body or b'"err"' in body:
            if b"API Wallet" in body and self._world.exchange.shocks.revoked:
                return
            old = _OLD_NONCE.search(body)
            if old is not None and (int(old[1]) in self._again or self._is_outrun(int(old[1]))):
                return  # the same bytes or a noop, as nobody knew whether they had arrived; or cancels, which may
            if _USED_UP in body and self._address.is_shared(self._sender(label), self._world.time.now_ns):
                return
            for text in KNOWN_RULES:
                if text in body:
                    raise Violation(Promise.RULES, f"the exchange refused {label}: {body[:400].decode()}")

    def _is_outrun(self, nonce: int) -> bool:
        """Whether cancels made a nonce too old: they may, and placements may not; once it is, nothing waits for it
        (hlhft.hyperliquid.nonces)."""
        later = [kind in _ALWAYS for given, kind in self._nonces if given > nonce]
        return len(later) >= VENUE_KEEPS and all(later[NONCES.span_max - 1 : VENUE_KEEPS])

    def _sender(self, label: str) -> str:
        """Who acts for the address: each session of an engine by itself, as it knows nothing of the one before."""
        engine = self._world.engine
        return f"{label} {engine.session}" if label == LABEL and engine is not None else label

    def owner_acts(self, action: dict[str, Any]) -> None:
        """The owner of the account signed something himself."""
        self._address.sent("owner", action, 0, self._world.time.now_ns)

    def block(self) -> None:
        """Blocks were executed."""
        self.events += 1
        self.money.block()
        orders = self.own_orders()
        self._look_at_owners(orders)
        self._look_at_exposure(orders)
        engine = self._world.engine
        if engine is not None and orders:
            self._look_at_proofs(engine, orders)
            self._look_at_count(engine, orders)
            self._look_at_books(engine, orders)
            self._look_at_cancels(engine, orders)
            self._look_at_charges(engine)
        elif orders:
            self._look_at_emptiness(orders)

    # In the engine.

    def engine_turned(self) -> None:
        """Something happened in the engine."""
        self.events += 1
        engine = self._world.engine
        if engine is None:
            return
        self.look_at_engine(engine)

    def look_at_engine(self, process: EngineProcess) -> None:
        """Whether all is well inside it."""
        engine, supervisor = process.engine, process.engine.supervisor
        self._ran_ns = self._world.time.now_ns
        if engine.end is not None:
            raise Violation(Promise.ALIVE, f"the engine ended: {engine.end}")
        if supervisor.halt is not None:
            self._look_at_halt(process, supervisor.halt)
        else:
            self._is_latched, self._failures = False, process.disk.failures
        weight, messages, posts = process.budgets
        if weight[0] < 0 or messages[0] < 0 or posts[0] < 0:
            spent = {"ip_weight_e3": int(weight[0]), "messages_e3": int(messages[0]), "posts_in_flight": int(posts[0])}
            raise Violation(Promise.BUDGETS, f"a budget is overdrawn: {spent}")
        if self._short_actions:
            self._look_at_actions(process)
        wrong = self.money.look(process)
        if wrong:
            raise Violation(Promise.PROFIT, wrong)
        if supervisor.stage is not Stage.HALTED:
            self._halted_ns = 0
        elif not self._halted_ns:
            self._halted_ns = self._world.time.now_ns

    def ends(self, process: EngineProcess) -> None:
        """An engine is gone; an operator may have resumed it just before."""
        self._is_latched = self._is_latched and process.engine.supervisor.halt is not None

    def begins(self, process: EngineProcess) -> None:
        """An engine was started just now."""
        if process.key != self._key:
            self._key, self._newest_nonce = process.key, 0  # another key has nonces of its own
        self._earlier_nonce = self._newest_nonce
        self._cancels.clear()
        self._other_uses.clear()
        self._address_actions = 0
        self._short_actions = 0
        self._address.begins(self._world.time.now_ns)
        self.money.begins()
        if self._is_latched and process.engine.supervisor.halt is None:
            raise Violation(Promise.LATCH, f"session {process.session} knows of no halt, and the one before was halted")

    def signs(self, process: EngineProcess, action: Action) -> None:
        """The engine has recorded what it is about to send."""
        self._recorded += 1
        if action.nonce <= self._earlier_nonce:
            raise Violation(
                Promise.NONCE, f"an earlier session had {self._earlier_nonce}, and {action.nonce} is not above it"
            )
        if action.nonce > self._newest_nonce:
            self._newest_nonce = action.nonce
            self._nonces.append((action.nonce, ActionKind(action.kind)))
        if self._signers.setdefault(action.nonce, process.key) != process.key:
            self._shared.add(action.nonce)
        if ActionKind(action.kind) in _ALWAYS:
            self._note_uses(process, 0)
            for order_id in action.order_ids if ActionKind(action.kind) is not ActionKind.NOOP else ():
                self._cancels.setdefault(order_id, self._world.time.now_ns)
            return
        self.placed_ns = self._world.time.now_ns
        for order_id in action.order_ids:
            # What cancelled an earlier session's order of that number says nothing of it, nor what cancelled the one
            # that it amends.
            if action.kind == ActionKind.ORDER or self._cancels.get(order_id) == ARRIVED:
                self._cancels.pop(order_id, None)
        lane = process.engine.parts.brain.lane
        # Few are looked for, and np.isin sorts all of them first.
        is_named = (lane.orders["order_id"][..., None] == np.array(action.order_ids, np.int64)).any(axis=-1)
        is_placed = is_named & (lane.orders["reduce_only"] == 0)
        placed = lane.orders[is_placed]
        if len(placed) and process.engine.supervisor.stage is Stage.HALTED:
            raise Violation(Promise.HALTED, f"halted, it places order {placed['order_id'][0]}: {action}")
        closable = -placed["side"] * lane.positions["position_lots"][np.nonzero(is_placed)[0]]
        adds_risk = int(np.count_nonzero(placed["remaining_lots"] > closable))
        self._note_uses(process, adds_risk)
        if adds_risk:
            if not process.engine.supervisor.is_agreed:
                raise Violation(Promise.READ, f"it places order {placed['order_id'][0]} and has not read its account")
            self._look_at_reserves(process)

    def leaves(self, payload: bytes) -> None:
        """Something leaves the engine."""
        if b'"action"' in payload:
            self._left += 1
            if self._left > self._recorded:
                raise Violation(Promise.JOURNAL, f"it sends what it has not recorded: {payload[:200].decode()}")

    # What is looked at.

    def own_orders(self) -> list[tuple[OrderRecord, Cloid]]:
        """The orders at the exchange that bear the engine's mark."""
        found = []
        for order in self._world.exchange.records().open.values():
            mark = None if order.cloid is None else _mark(order.cloid)
            if mark is not None and mark.owner == OWNER:
                found.append((order, mark))
        return found

    def _look_at_targets(self, label: str, action: dict[str, Any]) -> None:
        """Whose orders an action ends."""
        targets = [one["o"] for one in action.get("cancels", ()) if "o" in one]
        if not targets:
            return
        foreign = {number for _, number in self._world.exchange.shocks.foreign()}
        for number in targets:
            if number in foreign:
                raise Violation(Promise.FOREIGN, f"{label} cancels order {number}, which is not ours")

    def _look_at_owners(self, orders: list[tuple[OrderRecord, Cloid]]) -> None:
        world = self._world
        session = 0 if world.engine is None else world.engine.session
        now_ns = world.time.now_ns
        unowned = [mark for _, mark in orders if mark.session != session]
        if unowned and world.engine is not None and world.settings.leftovers == "adopt":
            adopted = world.engine.orders()
            unowned = [mark for mark in unowned if mark.number() not in adopted]
        if not unowned:
            self._unowned_ns = 0
        elif not self._unowned_ns:
            self._unowned_ns = now_ns
        seen: set[int] = set()
        for _, mark in orders:
            if mark.session == session:
                if mark.order_id in seen:
                    raise Violation(Promise.SLOT, f"two revisions of order {mark.order_id} live at the exchange")
                seen.add(mark.order_id)
        if unowned and world.watchdog is not None:
            self._look_at_unowned(unowned, now_ns)
        if self._halted_ns and seen and world.misfortune.is_calm:
            halted_ns = now_ns - max(world.misfortune.changed_ns, self._halted_ns)
            if halted_ns > self.cleared_ns_max:
                raise Violation(
                    Promise.REACTION, f"halted for {halted_ns / SECOND:.1f} s, {len(seen)} orders still rest"
                )

    def _look_at_unowned(self, unowned: list[Cloid], now_ns: int) -> None:
        """Whether what is nobody's has been there for too long, while a watchdog lives."""
        world = self._world
        calm_ns = now_ns - max(world.misfortune.changed_ns, self._unowned_ns)
        # An engine that lives and waits for the venue has a while to do it by itself; so had one that died meanwhile.
        waits = self._ran_ns > self._unowned_ns if world.engine is None else not world.engine.is_trading
        allowed_ns = self.cleared_ns_max + (WAITING_NS if waits else 0)
        is_calm = world.misfortune.is_calm
        if world.engine is None:
            # Nobody but the watchdog is to do it, and what befalls an engine is no hindrance.
            calm_ns = now_ns - max(world.misfortune.hindered_ns, self._unowned_ns)
            is_calm = not world.misfortune.hinders
        if is_calm and calm_ns > allowed_ns:
            raise Violation(
                Promise.OWNED, f"{len(unowned)} orders are nobody's for {calm_ns / SECOND:.1f} s: {unowned[:3]}"
            )

    def _look_at_exposure(self, orders: list[tuple[OrderRecord, Cloid]]) -> None:
        world = self._world
        marks, now_ns = tuple(world.exchange.marks().tolist()), world.time.now_ns
        shocks = world.exchange.shocks
        touched_ns = max(shocks.touched_ns, shocks.filled_ns, self.closed_ns)
        is_new = not self._marks or self._marks[-1][1] != marks
        if is_new:
            self._marks.append((now_ns, marks))
        while len(self._marks) > 1 and self._marks[1][0] < now_ns - MARK_MEMORY_NS:
            del self._marks[0]
            is_new = True
        if is_new:
            self._least = tuple(map(min, zip(*(some for _, some in self._marks), strict=True)))
        # What somebody else trades is found when the account is compared; then it halts.
        if not orders or (touched_ns and now_ns - touched_ns < READ_NS_MAX):
            return
        resting = _lots_of(order for order, _ in orders)
        for row, lots in enumerate(world.exchange.positions()):
            buys, sells = resting[row]
            worst = max(lots + buys if buys else 0, sells - lots if sells else 0)
            if worst <= 0:
                continue
            value = world.markets[row].micro(self._least[row], worst)
            if value > world.cap_micro + world.cap_micro // EXPOSURE_TOLERANCE:
                raise Violation(
                    Promise.EXPOSURE,
                    f"{COINS[row]} could come to {value / 1e6:.0f} USDC: {lots} lots, {buys} to buy, {sells} to sell",
                )

    def _look_at_proofs(self, process: EngineProcess, orders: list[tuple[OrderRecord, Cloid]]) -> None:
        fates = process.engine.parts.fates
        for _, mark in orders:
            if mark.session == process.session and fates.is_done(mark.order_id):
                raise Violation(Promise.PROOF, f"order {mark.order_id} is over by our books and rests at the exchange")

    def _look_at_count(self, process: EngineProcess, orders: list[tuple[OrderRecord, Cloid]]) -> None:
        """Whether what rests counts in the core, whatever is known of it: nothing rests that it has not sent, and a
        fill lessens it there later than at the exchange."""
        positions = process.engine.parts.brain.lane.positions
        open_lots = zip(positions["open_buy_lots"].tolist(), positions["open_sell_lots"].tolist(), strict=True)
        counted = dict(zip((market.name for market in process.markets), open_lots, strict=True))
        own = _lots_of(order for order, mark in orders if mark.session == process.session)
        for coin, (buys, sells) in zip(COINS, own, strict=True):
            at_most = counted.get(coin, (0, 0))
            if buys > at_most[0] or sells > at_most[1]:
                raise Violation(
                    Promise.EXPOSURE,
                    f"{coin}: {buys} lots to buy and {sells} to sell rest, and the core counts {at_most}",
                )

    def _look_at_halt(self, process: EngineProcess, halt: Halt) -> None:
        self._is_latched = process.disk.failures == self._failures
        # The exchange's own nonsense is told, and halts: that is no mistake of ours.
        is_nonsense = _NONSENSE in halt.reason and self._world.misfortune.counts[FaultKind.UNKNOWN_STATUS]
        shocks = self._world.exchange.shocks
        # The watchdog may have closed the positions of one that stood still, which says so once it goes on.
        is_foreign = shocks.touched_ns > 0 or shocks.revoked or self.closed_ns > 0
        is_touched = halt.cause is HaltCause.DISAGREEMENT and is_foreign
        # Of two copies of a request the second may be answered first: its nonce has been used.
        is_copied = halt.cause is HaltCause.NONCES and self._world.misfortune.counts[FaultKind.REQUESTS_TWICE]
        if halt.cause in _NEVER and not is_nonsense and not is_touched and not is_copied:
            raise Violation(Promise.BOOKS, f"halted, {halt.cause.name.lower()}: {halt.reason}")
        engine = process.engine
        if engine.supervisor.stage is Stage.HALTED and engine.orders.gateway.gate.is_open:
            raise Violation(Promise.HALTED, f"halted, and placements may leave: {halt.reason}")

    def _look_at_reserves(self, process: EngineProcess) -> None:
        """What a placement that leaves has left of each budget."""
        lane, limits = process.lane[0], process.engine.parts.brain.limits[0]
        part = 1000 // budgets.RESERVE_PART
        posts_max = int(limits["posts_in_flight_max"])
        actions = int(lane["address_allowance"]) - int(limits["address_reserve"]) - int(lane["address_actions"])
        self._short_actions = max(self._short_actions, -actions)
        left = {
            "weight": int(lane["ip_weight_e3"]) - part * int(limits["ip_weight_per_minute"]),
            "messages": int(lane["messages_e3"]) - part * int(limits["messages_per_minute"]),
            "posts": posts_max - posts_max // budgets.RESERVE_PART - int(lane["posts_in_flight"]),
        }
        for name, room in left.items():
            if room < 0:
                raise Violation(Promise.BUDGETS, f"a placement takes {-room} {name} of what is kept for cancels")

    def _note_uses(self, process: EngineProcess, placements: int) -> None:
        """How many actions of the address were used since the last action, beside these placements. All that leaves in
        one turn was counted before the first of it was signed, so a turn has one sum."""
        now_ns, counted = self._world.time.now_ns, int(process.lane[0]["address_actions"])
        used = counted - self._address_actions - placements
        self._address_actions = counted
        if self._other_uses and self._other_uses[-1][0] == now_ns:
            used += self._other_uses.pop()[1]
        self._other_uses.append((now_ns, used))

    def _look_at_actions(self, process: EngineProcess) -> None:
        """Whether placements of this turn took of what is kept for cancels. Checked was each when it was made; cancels
        and reductions that were made while it waited may use the reserve, and what came to nothing costs more."""
        limits = process.engine.parts.brain.limits[0]
        waited_ns = max(int(limits["batch_window_ns"]), int(limits["batch_busy_ns_max"]))
        while self._other_uses and self._other_uses[0][0] < self._world.time.now_ns - waited_ns:
            self._other_uses.popleft()
        others = sum(max(used, 0) for _, used in self._other_uses)
        short, self._short_actions = self._short_actions - others, 0
        if short > 0:
            raise Violation(Promise.BUDGETS, f"a placement takes {short} actions of what is kept for cancels")

    def _look_at_charges(self, process: EngineProcess) -> None:
        """Whether the core counts at least the actions that the exchange does, once all that it sent was answered; what
        others used since it began it may not know."""
        lane, engine = process.lane[0], process.engine
        if not lane["address_allowance"] or not engine.orders.gateway.is_quiet or engine.dispatch.is_behind:
            return
        exchange = self._world.exchange
        used = exchange.machine.account_limits.answer(exchange.number(), 0)["nRequestsUsed"]
        if lane["address_actions"] >= used:
            return
        others = self._address.of_others(self._earlier_nonce)
        if lane["address_actions"] + others < used:
            raise Violation(
                Promise.BUDGETS, f"it counts {lane['address_actions']} actions of its address, and the exchange {used}"
            )

    def _look_at_emptiness(self, orders: list[tuple[OrderRecord, Cloid]]) -> None:
        """No engine lives, and orders do."""
        watchdog = self._world.watchdog
        if watchdog is None or watchdog.machine.state is not WatchdogState.EMPTY:
            return
        # Who has not heard the last of an engine may say it of what the engine said before.
        if watchdog.machine.proven is not None and watchdog.knows(self._ran_ns, self.placed_ns):
            proven = watchdog.machine.proven
            raise Violation(Promise.EMPTY, f"none is left at block {proven.block_ms}, and there is {orders[0][1]}")

    def _look_at_books(self, process: EngineProcess, orders: list[tuple[OrderRecord, Cloid]]) -> None:
        misfortune, now_ns = self._world.misfortune, self._world.time.now_ns
        if not misfortune.muted_ns:
            return
        silent_ns = now_ns - misfortune.muted_ns
        own = [mark for order, mark in orders if mark.session == process.session and _could_be_gone(order, now_ns)]
        is_calm = misfortune.has_only(FaultKind.MUTE, misfortune.muted_ns)
        # Connections that were lost before it, and not yet noticed, carry no cancel.
        carried_ns = min(silent_ns, now_ns - process.carries_ns(now_ns))
        if silent_ns > STALE_NS_MAX or (own and is_calm and carried_ns > STALE_CALM_NS_MAX):
            raise Violation(
                Promise.STALE, f"{len(orders)} orders rest, and no book came for {silent_ns / SECOND:.1f} s"
            )

    def _arrived(self, action: dict[str, Any]) -> None:
        """An action of the engine, perhaps a cancel."""
        for cancel in action.get("cancels", ()):
            mark = parse(int(cancel["cloid"], 16)) if "cloid" in cancel else None
            if mark is None:
                self._cancels.clear()  # by the exchange's own number, which says nothing here
            elif mark.order_id in self._cancels:
                self._cancels[mark.order_id] = ARRIVED

    def _look_at_cancels(self, process: EngineProcess, orders: list[tuple[OrderRecord, Cloid]]) -> None:
        """The cancels of what rests, while a connection stands that carries them."""
        if not self._cancels:
            return
        resting = {mark.order_id for _, mark in orders if mark.session == process.session}
        self._cancels = {order_id: since_ns for order_id, since_ns in self._cancels.items() if order_id in resting}
        now_ns = self._world.time.now_ns
        carries_ns = process.carries_ns(now_ns)
        for order_id, since_ns in self._cancels.items():
            if since_ns != ARRIVED and carries_ns < since_ns < now_ns - CANCEL_NS_MAX:
                waited_ms = (now_ns - since_ns) // MS
                raise Violation(Promise.CANCELS, f"the cancel of order {order_id} did not arrive in {waited_ms} ms")

    # At ends.

    def session_over(self, process: EngineProcess) -> None:
        """The engine was killed just now; its journal is all there."""
        live = bytes(state(process.engine.parts.brain))
        last = _Last()
        found = replay(process.journal_folder, process.session, beside=last)
        self.replays += 1
        if not found.is_equal or found.faults:
            raise Violation(Promise.REPLAY, f"session {process.session}: {found.difference or found.faults}")
        if last.brain is not None and bytes(state(last.brain)) != live:
            raise Violation(Promise.REPLAY, f"session {process.session}: the state after the last step differs")


class _Last:
    """The brain that stepped last in a replay."""

    def __init__(self) -> None:
        self.brain: Brain | None = None

    def stepped(self, brain: Brain, events: np.ndarray, count: int) -> None:
        """A brain made a step."""
        self.brain = brain

    def lost(self) -> None:
        """What follows is not of the brain before."""
        self.brain = None


def _could_be_gone(order: OrderRecord, now_ns: int) -> bool:
    """Whether it came long enough ago to have been cancelled."""
    return order.placed_ms * MS < now_ns - RESTS_NS


def _lots_of(orders: Iterable[OrderRecord]) -> list[tuple[int, int]]:
    """What they are to buy and to sell, by market."""
    buys, sells = [0] * len(COINS), [0] * len(COINS)
    for order in orders:
        (buys if order.side > 0 else sells)[order.row] += order.lots
    return list(zip(buys, sells, strict=True))


@functools.lru_cache(maxsize=MARKS_MAX)
def _mark(cloid: str) -> Cloid | None:
    """What a client order id says; the same orders rest block after block."""
    return parse(int(cloid, 16))


def promises_table() -> str:
    """The promises as a Markdown table, one line each; the documentation prints it."""
    rows = ["| promise | what must hold |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| {promise.name} | {promise.value} |" for promise in Promise)])
