"""What leaves: actions of commands, cancels of the gateway's own, and the way that each takes to the venue.

A part of `hlhft.hyperliquid.gateway`, and its hot path: nothing is looked up or made that an action does not need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.backoff import MILLISECOND_NS, Budget
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.encode import EncodeError, Encoder, Signed
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import Identity, Sent
from hlhft.hyperliquid.fates_table import State as FateState
from hlhft.hyperliquid.gateway_events import (
    Effect,
    Gate,
    GatewayRefusal,
    Post,
    PostHttp,
    Report,
    ReportCode,
    SetTimer,
    TimerName,
)
from hlhft.hyperliquid.gateway_flights import (
    BATCH,
    HTTP,
    KIND,
    MARKET,
    NEVER_NS,
    ORDER_ID,
    REDUCE_ONLY,
    Flight,
    Flights,
)
from hlhft.hyperliquid.gateway_lanes import Lanes
from hlhft.hyperliquid.gateway_mode import VenueMode
from hlhft.hyperliquid.gateway_settings import GatewaySettings
from hlhft.hyperliquid.gateway_table import State
from hlhft.hyperliquid.nonces import NonceAllocator, NonceRefusal
from hlhft.hyperliquid.packing import LEG_DTYPE, ActionKind, EncodeFault

DETAIL_CHARACTERS_MAX = 256  # of a report; the rest is cut off
LEGS_PER_WEIGHT = 40  # venue reference section 7
STALE_CHARGE = 5  # what the venue counts for each leg of an expired action (venue reference section 5.4)
CANCELS = frozenset({ActionKind.CANCEL, ActionKind.CANCEL_BY_CLOID})
_CANCEL, _MODIFY = 2, 3  # kinds of commands
_NO_LEGS = np.zeros(0, LEG_DTYPE)
_LOCAL, _REFUSED = int(EventFlag.LOCAL_VISIBLE), int(EventKind.COMMAND_REFUSED)
_ACTIONS = int(EventKind.ADDRESS_ACTIONS)


def address_actions(actions: int, now_ns: int) -> list[Row]:
    """What tells the core of actions of the address that are none of its own."""
    return [(0, now_ns, 0, 0, 0, actions, 0, _ACTIONS, _LOCAL, 0, 0, 0)] if actions else []


class Sender:
    """All that leaves. What is to be done gathers in `effects`, what the core is to be told in `rows`."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        encoder: Encoder,
        nonces: NonceAllocator,
        fates: Fates,
        messages: Budget,
        requests: Budget,
    ) -> None:
        self.settings = settings
        self.nonces = nonces
        self.fates = fates
        self.flights = Flights()
        self.lanes = Lanes()
        self.mode = VenueMode(settings.mode)
        self.gate = Gate(is_open=False)
        self.counters: Counter[str] = Counter()
        self.effects: list[Effect] = []
        self.rows: list[Row] = []
        self.now_ns = 0
        self.block_ms = 0  # the newest block time that was told
        self.watch_ns = NEVER_NS  # when the timer of this name fires
        self._ahead_ns = 0  # how far our clock was ahead of it then
        self._encoder = encoder
        self._messages = messages
        self._requests = requests

    @property
    def now_ms(self) -> int:
        """Our clock."""
        return self.now_ns // MILLISECOND_NS

    def block_time(self, ms: int) -> None:
        """The venue's time of a block, which may be an older one."""
        if ms > self.block_ms:
            self.block_ms = ms
            self._ahead_ns = self.now_ns - ms * MILLISECOND_NS

    def block_estimate_ms(self) -> int:
        """The venue's time now: the newest block's and what has passed since; our clock's before any was told."""
        return (self.now_ns - self._ahead_ns) // MILLISECOND_NS

    def report(self, code: ReportCode, detail: str = "") -> None:
        """Says something to log and count."""
        self.effects.append(Report(code, detail[:DETAIL_CHARACTERS_MAX]))

    def count(self, actions: int) -> None:
        """Tells the core of actions of the address that are none of its own."""
        self.rows += address_actions(actions, self.now_ns)

    def surcharge(self, flight: Flight, actions: int) -> None:
        """An action may cost more of the address than its legs."""
        flight.surcharge += actions
        self.count(actions)

    def surcharge_expiry(self, flight: Flight) -> None:
        """An action came, or may have come, after its expiry."""
        self.surcharge(flight, (STALE_CHARGE - 1) * flight.legs)

    def wake(self, at_ns: int) -> None:
        """Has the actions looked at by this time."""
        if at_ns < self.watch_ns:
            self.watch_ns = at_ns
            self.effects.append(SetTimer(TimerName.WATCH, at_ns))

    # Commands of the core.

    def send(self, commands: np.ndarray, received_ns: int) -> None:
        """Each pair of batch and kind becomes one action, or is refused."""
        rows = _rows(commands)
        batch_id, kind = rows[0][BATCH], rows[0][KIND]
        for row in rows:
            if row[BATCH] != batch_id or row[KIND] != kind:
                self._send_groups(commands, rows, received_ns)
                break
        else:
            self._send(kind, commands, rows, received_ns)

    def _send_groups(self, commands: np.ndarray, rows: list[Row], received_ns: int) -> None:
        groups: dict[tuple[int, int], list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault((row[BATCH], row[KIND]), []).append(place)
        for (_, kind), places in groups.items():
            self._send(kind, commands[places], [rows[place] for place in places], received_ns)

    def _send(self, kind: int, legs: np.ndarray, rows: list[Row], received_ns: int) -> None:
        if kind == _CANCEL:
            self._cancel(legs, rows, self._targets(rows), received_ns)
            return
        now_ns, settings, lanes = self.now_ns, self.settings, self.lanes
        lane = lanes.first
        if (
            not self.gate.is_open
            or lane == HTTP
            or lanes.is_waiting
            or self.mode.hold_ns > now_ns
            or self.flights.posts >= settings.posts_max
            or self._messages.take(now_ns, keep=settings.messages_kept)
        ):
            way = self._way_of_reductions(rows)
            if way is None:
                return
            lane = way
        if not self.fates.has_room(len(rows)):
            self._refuse(rows, GatewayRefusal.FULL)
            return
        nonce = self.nonces.allocate(now_ns // MILLISECOND_NS, (now_ns - self._ahead_ns) // MILLISECOND_NS)
        if isinstance(nonce, NonceRefusal):
            self._no_nonce(nonce, rows)
            return
        try:
            signed = self._encoder.orders(legs, nonce=nonce) if kind != _MODIFY else self._modifies(legs, rows, nonce)
        except EncodeError as error:
            self._not_encoded(error, nonce, rows)
            return
        flight = Flight(signed, rows, rows[0][BATCH], received_ns, now_ns + settings.answer_ns)
        self._launch(flight, legs, lane)

    def _launch(self, flight: Flight, legs: np.ndarray, lane: int, revisions: Sequence[int] | None = None) -> None:
        """The action leaves over a lane, or HTTP; `revisions` as of hlhft.hyperliquid.fates_records.Sent."""
        signed = flight.signed
        if flight.rows:
            # Before the bytes leave: an answer cannot be earlier.
            self.rows += self.fates.sent(
                Sent(signed.kind, signed.nonce, signed.expires_after_ms, flight.batch_id, legs, revisions=revisions)
            )
        if not flight.batch_id:
            self.count(flight.actions)
        pushed = self.flights.add(flight)
        if pushed is not None:
            self._push_out(pushed)
        self.post(flight, signed, lane)
        next_ns = flight.due_ns if flight.due_ns < flight.repeat_ns else flight.repeat_ns
        if next_ns < self.watch_ns:
            self.wake(next_ns)

    def post(self, flight: Flight, signed: Signed, lane: int) -> None:
        """Posts the action, or a noop on its nonce."""
        request_id = self.flights.request(flight, lane, is_noop=signed is not flight.signed)
        if lane == HTTP:
            self.effects.append(PostHttp(request_id, signed.body, flight.batch_id))
        else:
            socket = self.lanes.sockets[lane]
            self.effects.append(Post(lane, socket, request_id, signed.frame(request_id), flight.batch_id))

    def _urgent_nonce(self, rows: list[Row]) -> int | None:
        """A nonce for what takes risk away; None, and the commands are refused, when there is none."""
        nonce = self.nonces.allocate(self.now_ms, self.block_estimate_ms(), urgent=True)
        if isinstance(nonce, NonceRefusal):
            self._no_nonce(nonce, rows)
            return None
        return nonce

    def _no_nonce(self, refusal: NonceRefusal, rows: list[Row]) -> None:
        self.report(ReportCode.NO_NONCE, refusal.name)
        self._refuse(rows, GatewayRefusal.NONCE)

    def _way_of_reductions(self, rows: list[Row]) -> int | None:
        """The way of orders that do not leave as usual: reduce-only ones by any that there is. None, and they are
        refused, when there is none."""
        refusal = self._obstacle()
        if all(row[REDUCE_ONLY] for row in rows) and (self.gate.is_open or self.gate.reductions):
            lane = self.way(HTTP, len(rows), share=2)
            if lane is not None:
                return lane
        self._refuse(rows, refusal)
        return None

    def _obstacle(self) -> GatewayRefusal:
        """Why placements do not leave as usual."""
        if not self.gate.is_open:
            return GatewayRefusal.CLOSED
        if self.lanes.first == HTTP:
            return GatewayRefusal.NO_LANE
        if self.lanes.is_waiting:
            return GatewayRefusal.PRESSURE
        if self.mode.hold_ns > self.now_ns:
            return GatewayRefusal.VENUE
        if self.flights.posts >= self.settings.posts_max:
            return GatewayRefusal.POSTS
        return GatewayRefusal.MESSAGES

    def way(self, tried: int, legs: int, *, share: int = 1) -> int | None:
        """The best way of what takes risk away, counted in its budget: a connection with nothing waiting, the one
        `tried` before last; HTTP; a connection with bytes waiting. None when all are used up or gone. Of what is kept
        it takes one part in `share`: orders that reduce leave the other parts to cancels, their own among them."""
        posts_kept = self.settings.posts_kept // share
        left = self.settings.messages_kept - self.settings.messages_kept // share
        if self.flights.posts < self.settings.posts_max + posts_kept:
            for lane in self.lanes.urgent(tried):
                if self._messages.take(self.now_ns, keep=left) == 0:
                    return lane
        weight = 1 + legs // LEGS_PER_WEIGHT
        if self._requests.used(self.now_ns) + weight <= self._requests.limit:
            for _ in range(weight):
                self._requests.take(self.now_ns)
            return HTTP
        if self.lanes.first != HTTP and self._messages.take(self.now_ns, keep=left) == 0:
            return self.lanes.first
        return None

    def _refuse(self, rows: list[Row], refusal: GatewayRefusal) -> None:
        """Nothing of an action leaves. The core is told of its own commands only."""
        self.counters[f"refused: {refusal.name}"] += len(rows)
        self.rows += [
            (0, self.now_ns, 0, 0, row[ORDER_ID], int(refusal), 0, _REFUSED, _LOCAL, row[MARKET], 0, 0)
            for row in rows
            if row[BATCH]
        ]

    def _not_encoded(self, error: EncodeError, nonce: int, rows: list[Row]) -> None:
        self.nonces.lost(nonce)
        self.report(ReportCode.NOT_ENCODED, str(error))
        self._refuse(rows, GatewayRefusal.ENCODE)

    # Cancels and modifications.

    def _targets(self, rows: list[Row]) -> list[Identity | None]:
        return [self.fates.identity(row[ORDER_ID]) for row in rows]

    def _modifies(self, legs: np.ndarray, rows: list[Row], nonce: int) -> Signed:
        """Each order by its client order id, or the venue's where another modification of it is under way. Raises
        EncodeError, also for an order that nobody knows."""
        revisions = np.zeros(len(rows), np.int64)
        oids = np.zeros(len(rows), np.int64)
        for place, target in enumerate(self._targets(rows)):
            if target is None or (target.revision != target.revision_last and target.oid == 0):
                raise EncodeError(EncodeFault.TARGET, f"leg {place}: the venue does not know this order yet", place)
            revisions[place] = target.revision_last
            oids[place] = target.oid if target.revision != target.revision_last else 0
        return self._encoder.modifies(legs, nonce=nonce, revisions=revisions, venue_ids=oids)

    def _cancel_by_every_name(self, rows: list[Row], received_ns: int, repeats: int, tried: int) -> None:
        """Cancels orders by all names under which they may rest, those of one in the same action: in the block that
        executes it one of them is there. A modification that comes later finds nothing that it could modify."""
        named: list[tuple[Row, Identity]] = []
        for row in rows:
            names = self.fates.names(row[ORDER_ID])
            if len(named) + len(names) > self._encoder.legs_max:
                self._cancel_named(named, received_ns, repeats, tried)
                named = []
            named += [(row, name) for name in names]
        self._cancel_named(named, received_ns, repeats, tried)

    def _cancel_named(self, named: list[tuple[Row, Identity]], received_ns: int, repeats: int, tried: int) -> None:
        if named:
            rows = [row for row, _ in named]
            names = [name for _, name in named]
            self._cancel(np.array(rows, LEG_DTYPE), rows, names, received_ns, repeats, tried, is_exact=True)

    def _cancel(
        self,
        legs: np.ndarray,
        rows: list[Row],
        targets: Sequence[Identity | None],
        received_ns: int,
        repeats: int = 0,
        tried: int = HTTP,
        *,
        is_exact: bool = False,
    ) -> None:
        """Cancels by client order id; orders of an earlier session by the venue's, in an action of their own. With
        `is_exact` the fates are told which placements are meant, else the newest of each order is."""
        session = self._encoder.session
        by_id = [
            place for place, target in enumerate(targets)
            if target is not None and target.session != session and target.oid
        ]  # fmt: skip
        if not by_id:
            self._send_cancel(legs, rows, targets, received_ns, repeats, tried, is_by_id=False, is_exact=is_exact)
            return
        others = [place for place in range(len(rows)) if place not in by_id]
        for places in (by_id, others):
            if places:
                self._send_cancel(
                    legs[places], [rows[place] for place in places], [targets[place] for place in places],
                    received_ns, repeats, tried, is_by_id=places is by_id, is_exact=is_exact,
                )  # fmt: skip

    def _send_cancel(
        self,
        legs: np.ndarray,
        rows: list[Row],
        targets: Sequence[Identity | None],
        received_ns: int,
        repeats: int,
        tried: int,
        *,
        is_by_id: bool,
        is_exact: bool,
    ) -> None:
        lane = self.way(tried, len(rows))
        if lane is None:
            self._refuse(rows, GatewayRefusal.MESSAGES if self.lanes.first != HTTP else GatewayRefusal.NO_LANE)
            return
        nonce = self._urgent_nonce(rows)
        if nonce is None:
            return
        revisions = [0 if target is None else target.revision for target in targets]
        try:
            if is_by_id:
                oids = np.array([0 if target is None else target.oid for target in targets])
                signed = self._encoder.cancels_by_id(legs, oids, nonce=nonce)
            else:
                marks = np.array(revisions) if any(revisions) else None
                signed = self._encoder.cancels(legs, nonce=nonce, revisions=marks)
        except EncodeError as error:
            self._not_encoded(error, nonce, rows)
            return
        now_ns, settings = self.now_ns, self.settings
        repeat_ns = now_ns + settings.repeat_ns if repeats < settings.repeats_max else NEVER_NS
        self._launch(
            Flight(signed, rows, rows[0][BATCH], received_ns, now_ns + settings.answer_ns, repeat_ns, repeats),
            legs, lane, revisions if is_exact else None,
        )  # fmt: skip

    def repeat(self, flight: Flight) -> None:
        """Sends a cancel that nobody answered under a new nonce, without the orders that are over."""
        assert flight.state is State.FLYING, "a cancel whose fate is unknown is settled, and not repeated"
        flight.repeat_ns = NEVER_NS
        # A later cancel that went the other way is what this one would be: each with repeats of its own, they add up.
        repeated = {
            row[ORDER_ID]
            for other in self.flights
            if other.nonce > flight.nonce and other.lane != flight.lane and other.signed.kind in CANCELS
            and other.state is State.FLYING
            for row in other.rows
        }  # fmt: skip
        # The core counts its own action only: what is repeated has no batch of it.
        again = {
            row[ORDER_ID]: (*row[:BATCH], 0, *row[BATCH + 1 :])
            for row in flight.rows
            if row[ORDER_ID] not in repeated and self.fates.names(row[ORDER_ID])
        }
        if again:
            self.report(ReportCode.CANCEL_REPEATED, f"{len(again)} orders")
            rows = list(again.values())
            self._cancel_by_every_name(rows, flight.received_ns, flight.repeats + 1, flight.lane)

    def cancel_own(self, market: int | None, *, replaced: bool = False) -> None:
        """Cancels what may rest and is not being cancelled at this moment, in a market, by its row, or in all; with
        `replaced` only orders of which a modification is under way."""
        leaving = {
            row[ORDER_ID]
            for flight in self.flights
            if flight.signed.kind in CANCELS and flight.state is State.FLYING
            for row in flight.rows
        }
        orders = {
            order.order_id: order.market
            for order in self.fates.live_orders()
            if order.state is not FateState.ENDING and market in (None, order.market) and order.order_id not in leaving
        }
        named = [one for one in orders.items() if not replaced or len(self.fates.names(one[0])) > 1]
        if not named:
            return
        legs = np.zeros(len(named), LEG_DTYPE)
        legs["order_id"], legs["market"] = zip(*named, strict=True)
        legs["kind"] = _CANCEL
        legs["ts_ns"] = self.now_ns
        self._cancel_by_every_name(_rows(legs), self.now_ns, 0, HTTP)

    def schedule_cancel(self, time_ms: int | None) -> bool:
        """Sends the time of the scheduled cancel; whether it left. Raises EncodeError for what is no time."""
        return self._send_small(lambda nonce: self._encoder.schedule_cancel(time_ms, nonce=nonce))

    def noop(self) -> bool:
        """Sends a noop under a nonce of its own; whether it left."""
        return self._send_small(lambda nonce: self._encoder.noop(nonce=nonce))

    def void(self, flight: Flight, lane: int) -> None:
        """Sends a noop under an action's nonce. It counts for itself, should the action come and be too late."""
        self.surcharge(flight, 1)
        self.post(flight, self._encoder.noop(nonce=flight.nonce), lane)

    def _send_small(self, make: Callable[[int], Signed]) -> bool:
        lane = self.way(HTTP, 1)
        nonce = None if lane is None else self._urgent_nonce([])
        if lane is None or nonce is None:
            return False
        self._launch(Flight(make(nonce), [], 0, self.now_ns, self.now_ns + self.settings.answer_ns), _NO_LEGS, lane)
        return True

    def _push_out(self, flight: Flight) -> None:
        """More actions are unsettled than are remembered: the venue does not take the oldest any more if it did not."""
        self.report(ReportCode.PUSHED_OUT, str(flight.nonce))
        if flight.state is State.LANDED:
            return
        self.nonces.lost(flight.nonce)
        if flight.rows and flight.state is State.FLYING:
            self.rows += self.fates.silent(flight.nonce, self.now_ns)


def _rows(commands: np.ndarray) -> list[Row]:
    """The commands as tuples, whose fields are read ten times faster than those of records."""
    rows: list[Row] = commands.tolist()
    return rows
