"""What became of every order of ours: evidence goes in, rows for the core come out, and what to ask about stays open.

No fate is assumed. A placement counts until the venue's own words, with all fills that belong to them, or a proof of
non-execution have ended it (`hlhft.hyperliquid.fates_table`):

- Money comes from fills alone, each once (`hlhft.hyperliquid.fates_fills`). A `filled` in an answer or a status, and
  the success of a cancel, are claims: for the core the order ends when its fills add up to what was filled when it
  ended.
- It was never executed when a reading at a block later than its expiry knows neither it nor a fill, or when a `noop`
  was taken under its nonce. A refused `noop` proves nothing.
- A refusal is evidence at once, but not of an action that was posted twice: the first may have arrived.
- A modification is a second placement of the same order, with the next revision. The core counts both until what became
  of each is known; only then is it told.
- Orders of other owners and other programs on the account are counted and left alone.

Late news never revives what is over, and what contradicts a proof is reported (`take_reports`). Pure: time and news
come as arguments. Rows are in EVENT_DTYPE's order and without FRAME_END. Times in ms are the venue's blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hlhft.hyperliquid.account import OpenOrder, OrderStatus
from hlhft.hyperliquid.answers import ActionAnswer
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_actions import PLACING, Actions
from hlhft.hyperliquid.fates_ledger import Ledger, chain
from hlhft.hyperliquid.fates_life import Life
from hlhft.hyperliquid.fates_readings import Readings
from hlhft.hyperliquid.fates_records import (
    DEFAULTS,
    Doubt,
    FateReport,
    FateSettings,
    Identity,
    LiveOrder,
    Placement,
    Question,
    Reason,
    Sent,
)
from hlhft.hyperliquid.fates_streams import Streams
from hlhft.hyperliquid.fates_table import UNRESOLVED, State
from hlhft.hyperliquid.messages import Fill, Fills, NonUserCancels, OrderUpdates
from hlhft.units import Market


class Fates:
    """The fates of one owner's orders in one session. `markets` are those of the core, in its order.

    `begun_ms`: fills up to this block are in the positions that the core began with. None: that is told by `begun`, and
    fills wait until then. `earlier_expiry_ms`: until then what an earlier session sent may still arrive. Raises
    CloidError when `owner` or `session` is out of range.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        *,
        owner: int,
        session: int,
        settings: FateSettings = DEFAULTS,
        begun_ms: int | None = 0,
        earlier_expiry_ms: int = 0,
    ) -> None:
        self._settings = settings
        self._earlier_expiry_ms = earlier_expiry_ms
        self._ledger = Ledger(owner=owner, session=session, settings=settings)
        life = Life(self._ledger)
        self._actions = Actions(self._ledger, life, tuple(markets))
        self._streams = Streams(self._ledger, life, tuple(markets), begun_ms=begun_ms)
        self._readings = Readings(self._ledger, life, self._streams)

    # What leaves.

    def sent(self, action: Sent) -> list[Row]:
        """The bytes of an action are about to leave: its orders are SENT from now on.

        To be called before the bytes go, and never for the same bytes again (`reposted`). Actions that are not about
        orders change nothing. Raises FatesError for a placement without expiry, which could never be proven dead, for
        one whose id is in the books, for a modification of what is over or was modified too often, and when there is no
        room; `has_room` and `identity` tell before.
        """
        if action.kind in PLACING:
            self._readings.empty_ms = 0
        return self._actions.sent(action)

    def has_room(self, count: int) -> bool:
        """Whether `count` more placements may be sent."""
        return self._ledger.has_room(count)

    def reposted(self, nonce: int) -> None:
        """The same bytes of an action are about to leave again: a refusal proves nothing of it any more."""
        self._actions.reposted(nonce)

    def never_left(self, nonce: int, now_ns: int) -> list[Row]:
        """No byte of an action left this machine, nor will."""
        return self._actions.never_left(nonce, now_ns)

    # Answers.

    def answered(self, nonce: int, answer: ActionAnswer, now_ns: int) -> list[Row]:
        """The venue answered an action. The second answer to one is counted as late."""
        return self._actions.answered(nonce, answer, now_ns)

    def refused(self, nonce: int, text: str, now_ns: int) -> list[Row]:
        """The venue refused an action as a whole: none of it was executed, unless it may have been before.

        That is so when the same bytes were posted twice, or when the text is about a used nonce: then its orders count
        as unknown, and a later answer to the first post still counts.
        """
        return self._actions.refused(nonce, text, now_ns)

    def silent(self, nonce: int, now_ns: int) -> list[Row]:
        """No answer to an action came in time, or its connection ended. A late answer still counts."""
        return self._actions.silent(nonce, now_ns)

    def voided(self, nonce: int, now_ns: int) -> list[Row]:
        """The venue took a `noop` under the action's nonce: the action was never executed, nor will it be."""
        return self._actions.voided(nonce, now_ns)

    # The user's streams.

    def updated(self, message: OrderUpdates, now_ns: int) -> list[Row]:
        """A frame of `orderUpdates`."""
        return self._streams.updated(message, now_ns)

    def filled(self, fills: Fills, now_ns: int) -> list[Row]:
        """Fills of any channel or reading, in any order and as often as they come."""
        return self._streams.filled(fills, now_ns)

    def ended(self, message: NonUserCancels, now_ns: int) -> list[Row]:
        """Orders that the venue cancelled by itself; why, and how much was filled, is told by their updates."""
        return self._streams.ended(message, now_ns)

    def begun(self, block_ms: int | Sequence[int], now_ns: int) -> list[Row]:
        """The core begins with positions as of `block_ms`, one block for all markets or one for each: what was filled
        until then is in them, what was filled later is told now. Raises FatesError when they are not as many."""
        return self._streams.begun(block_ms, now_ns)

    # Readings. `block_ms` is a block that the reading is no older than: one that was known when it was asked for.

    def status_read(
        self, order_id: int, told: OrderStatus | None, block_ms: int, now_ns: int, *, revision: int | None = None
    ) -> list[Row]:
        """The answer to a question about an order, None when the venue does not know it. `revision` is the doubt's;
        None: the newest placement was asked about."""
        return self._readings.status_read(order_id, told, block_ms, now_ns, revision)

    def listed(self, open_orders: Sequence[OpenOrder], block_ms: int, come_ns: int, now_ns: int) -> list[Row]:
        """All open orders of the account, in an answer that had come at `come_ns`: what rests, and what does not any
        more."""
        return self._readings.listed(open_orders, block_ms, come_ns, now_ns)

    def fills_read(self, from_ms: int, through_ms: int, asked_ns: int, now_ns: int) -> list[Row]:
        """All fills of the account from one block to another were read and given to `filled`, and all that there were
        when they were asked for, at `asked_ns` (0: not all of them): what was over by then has no more of them. Raises
        FatesError when the times are reversed."""
        return self._readings.fills_read(from_ms, through_ms, asked_ns, now_ns)

    def adopted(self, order: OpenOrder, block_ms: int, now_ns: int) -> list[Row]:
        """An order of an earlier session, as a listing at `block_ms` shows it, is ours again, under the id that it had.

        Raises FatesError when it cannot be: it is of this session or another owner, its numbers are none, or its id or
        its place in the core's table is taken. Then it is to be cancelled.
        """
        return self._readings.adopted(order, block_ms, now_ns)

    # Questions.

    def doubts(self, now_ns: int) -> tuple[Doubt, ...]:
        """What to ask about now, the longest doubted first. The same doubt is told until it is settled: how often it is
        asked is the caller's to say."""
        ledger, settings = self._ledger, self._settings
        return tuple(
            Doubt(
                order_id=one.order_id,
                revision=one.revision,
                cloid=ledger.cloid_of(one),
                oid=one.oid,
                market=one.market,
                reason=one.reason,
                question=Question.FILLS if one.reason is Reason.FILLS_MISSING else Question.STATUS,
                since_ms=one.since_ms(settings.skew_ms),
                proof_ms=one.expires_ms + settings.margin_ms,
            )
            for one in ledger.doubtful.values()
            if now_ns >= one.ask_ns
        )

    def live_orders(self) -> tuple[LiveOrder, ...]:
        """What may still fill, the oldest first; an order whose modification is under way appears twice."""
        return tuple(
            LiveOrder(
                order_id=one.order_id,
                revision=one.revision,
                session=one.session,
                cloid=self._ledger.cloid_of(one),
                oid=one.oid,
                market=one.market,
                side=one.side,
                price_ticks=one.price_ticks,
                left_lots=one.left_lots,
                reduce_only=one.reduce_only,
                state=one.state,
                sent_ns=one.sent_ns,
            )
            for one in self._ledger.live.values()
        )

    @property
    def live_count(self) -> int:
        """How many orders `live_orders` names."""
        return len(self._ledger.live)

    def identity(self, order_id: int) -> Identity | None:
        """How to name an order to the venue; None when it is over or not in the books."""
        one = self._ledger.current(order_id)
        return None if one is None else _identity(one)

    def names(self, order_id: int) -> tuple[Identity, ...]:
        """Every name under which an order may rest, the newest first: two while a modification of it is under way, as
        nobody knows which of them is there; none when it is over or not in the books."""
        return tuple(
            _identity(one)
            for one in chain(self._ledger.orders.get(order_id))
            if not one.is_done and one.state is not State.ENDING
        )

    def is_left(self, cloid: int | None, oid: int) -> bool:
        """Whether an order is of an earlier session of this owner, and nobody answers for it."""
        named = self._ledger.ours(cloid)
        return named is not None and named.session != self._ledger.session and self._ledger.find(cloid, oid) is None

    def is_foreign(self, fill: Fill) -> bool:
        """Whether a fill is of an order of somebody else, and not in the positions that the core began with."""
        return self._streams.is_foreign(fill)

    def is_done(self, order_id: int) -> bool:
        """Whether the fate of an order is proven. One that is not in the books counts as such."""
        return all(one.is_done for one in chain(self._ledger.orders.get(order_id)))

    @property
    def last_expiry_ms(self) -> int:
        """The latest expiry of what may still arrive at the venue, that of earlier sessions included."""
        arriving = (one.expires_ms for one in self._ledger.live.values() if one.state in UNRESOLVED)
        return max(arriving, default=self._earlier_expiry_ms)

    @property
    def is_empty_proven(self) -> bool:
        """Whether the newest listing was without an order of ours, of any session, and nothing may rest or arrive
        since: no placement is open in the books, none was sent later, and what earlier sessions sent had expired."""
        empty_ms = self._readings.empty_ms
        return empty_ms > self._earlier_expiry_ms + self._settings.margin_ms and not self._ledger.live

    @property
    def in_flight(self) -> int:
        """How many actions about orders have no answer."""
        return self._actions.in_flight

    @property
    def counters(self) -> Counter[str]:
        """What was counted since the start: `late` news, `foreign` items, `own unknown`, `fills known`, reports by
        their codes."""
        return self._ledger.counters

    def take_reports(self) -> tuple[FateReport, ...]:
        """The reports since the last time; at most `reports_max` are kept. What is in `HALTING` stops trading."""
        return self._ledger.take_reports()


def _identity(one: Placement) -> Identity:
    return Identity(one.session, one.revision, one.revision_last, one.oid, one.market)
