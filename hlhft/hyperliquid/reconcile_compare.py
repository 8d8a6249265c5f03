"""What the venue says of an account beside what we think: differences, leftovers, and what is of somebody else.

Pure functions of one reading and our own side. That something differs once proves nothing, as fills and answers are
under way; `hlhft.hyperliquid.reconcile` reads again and looks whether the same thing always differs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from hlhft.hyperliquid import cloids
from hlhft.hyperliquid.account import OpenOrder
from hlhft.hyperliquid.fates_records import Doubt, LiveOrder
from hlhft.hyperliquid.fates_table import State as FateState
from hlhft.hyperliquid.markets import NO_TOKEN, USDC_TOKEN
from hlhft.hyperliquid.messages import Fill
from hlhft.hyperliquid.reading import MEANING, MICRO_DECIMALS, Fault
from hlhft.hyperliquid.reconcile_events import Code, CorePositions, Leftover, OwnOrder
from hlhft.hyperliquid.reconcile_reading import Reading
from hlhft.hyperliquid.wire import cloid_text, ns_of
from hlhft.units import MICRO, Market, MarketKind

SLOT_MASK = (1 << 10) - 1  # hlhft.core.state.SLOT_BITS: an adopted order keeps its row in the core
USDC = "USDC"


class Policy(StrEnum):
    """What becomes of orders that an earlier session left open."""

    CANCEL = "cancel"
    ADOPT = "adopt"


class Difference(NamedTuple):
    """What differs, in a sentence without an end."""

    code: Code
    sentence: str
    is_asked: bool = False  # the venue is being asked about it, and has not said yet


class Comparison(NamedTuple):
    """One reading beside our own side. Differences stand by what they are about."""

    differences: dict[str, Difference]
    leftovers: dict[str, tuple[Leftover, bool]]  # the second: of an earlier session, so that nothing is under way
    adoptable: tuple[OpenOrder, ...]
    foreign_orders: frozenset[int]  # by the venue's ids
    foreign_positions: tuple[str, ...]
    unsettled: tuple[str, ...]


class Seen:
    """Remembers the `maximum` youngest keys by arrival, so that each counts once. What is not later than the latest of
    the forgotten counts as seen, because it may be."""

    def __init__(self, maximum: int) -> None:
        assert maximum >= 1, "at least one key must be remembered"
        self._maximum = maximum
        self._times: dict[object, int] = {}
        self._forgotten_ns = 0

    def take(self, key: object, ts_ns: int) -> bool:
        """Whether the key is new; it is seen from now on."""
        if key in self._times or ts_ns <= self._forgotten_ns:
            return False
        self._times[key] = ts_ns
        if len(self._times) > self._maximum:
            oldest = next(iter(self._times))
            self._forgotten_ns = max(self._forgotten_ns, self._times.pop(oldest))
        return True


class FillMemory:
    """The fills of our markets that were told lately, each once, and what was paid in the token that was bought."""

    def __init__(self, markets: Sequence[Market], maximum: int) -> None:
        self._markets = markets
        self._seen = Seen(maximum)
        self._recent: deque[tuple[int, int, int]] = deque(maxlen=maximum)  # time, market, signed lots
        self.paid_micro: Counter[int] = Counter()  # by spot market, in millionths of its token

    def note(self, fills: Sequence[Fill]) -> None:
        """Remembers fills."""
        for fill in fills:
            if fill.market < 0 or fill.fault or not self._seen.take((fill.oid, fill.tid), fill.ts_ns):
                continue
            self._recent.append((fill.ts_ns, fill.market, fill.side * fill.size_lots))
            if fill.fee_token != USDC and self._markets[fill.market].kind is MarketKind.SPOT:
                self.paid_micro[fill.market] += fill.fee_micro

    def later_lots(self, block_ms: int) -> Counter[int]:
        """By market, what was filled after this block."""
        found: Counter[int] = Counter()
        for ts_ns, market, lots in self._recent:
            if ts_ns > ns_of(block_ms):
                found[market] += lots
        return found

    def paid_lots(self, market: int) -> int:
        """At most how many lots fees in the bought token have taken."""
        paid = self.paid_micro[market]
        if paid <= 0:
            return 0
        lots_scale = int(10 ** self._markets[market].size_decimals)
        return -(-paid * lots_scale // MICRO) + 1


class Account:
    """What does not change while an account is traded: whose orders are ours, and which markets."""

    def __init__(
        self,
        markets: Sequence[Market],
        *,
        owner: int,
        session: int,
        asset_ids: Mapping[str, int],
        base_tokens: Sequence[int] | None = None,
    ) -> None:
        """`asset_ids` are those of all markets that the venue lists, by name, `base_tokens` as of `markets.base_tokens`
        (None: no spot markets). Raises CloidError when owner or session is out of range."""
        cloids.require(owner=owner, session=session)
        self.markets = tuple(markets)
        self.owner = owner
        self.session = session
        self.asset_ids = asset_ids
        self.base_tokens = tuple(base_tokens or (NO_TOKEN,) * len(markets))
        self.dexs = ("", *sorted({dex_of(market.name) for market in markets} - {""}))
        self.has_spot = any(market.kind is MarketKind.SPOT for market in markets)
        assert len(self.base_tokens) == len(self.markets), "a base token for each market"

    def is_own(self, order: OpenOrder) -> bool:
        """Whether an order bears our owner's number."""
        return self._read(order) is not None

    def _read(self, order: OpenOrder) -> cloids.Cloid | None:
        if order.cloid is None:
            return None
        read = cloids.parse(order.cloid)
        return read if read is not None and read.owner == self.owner else None

    def leftover(self, order: OpenOrder) -> Leftover:
        """How to cancel an order of ours; a coin that the venue no longer lists has no number, -1."""
        assert order.cloid is not None, "an order of ours bears an id"
        return Leftover(self.asset_ids.get(order.coin, -1), order.cloid, order.oid, order.coin)

    def venue_lots(self, row: int, reading: Reading) -> tuple[int, Fault]:
        """What the venue says we hold in a market."""
        market = self.markets[row]
        if market.kind is MarketKind.SPOT:
            assert reading.spot is not None, "balances are read where there are spot markets"
            for balance in reading.spot.balances:
                if balance.token == self.base_tokens[row]:
                    return balance.total(market.size_decimals)
            return 0, Fault.NONE
        for position in reading.states[dex_of(market.name)].positions:
            if position.market == row:
                return position.lots, position.fault
        return 0, Fault.NONE

    def equity_micro(self, reading: Reading, marks_ticks: Sequence[int]) -> int | str:
        """Account value over all dexs, and USDC and the tokens of our spot markets at their marks; or what is missing
        to tell it, in words."""
        assert reading.spot is not None, "balances are read before equity is told"
        total = sum(state.account_value_micro for state in reading.states.values())
        for balance in reading.spot.balances:
            if balance.token != USDC_TOKEN:
                continue
            micro, fault = balance.total(MICRO_DECIMALS)
            if fault:
                return f"the balance of USDC is {balance.total_text!r}: {MEANING[fault]}"
            total += micro
        for row, market in enumerate(self.markets):
            if market.kind is not MarketKind.SPOT:
                continue
            lots, _ = self.venue_lots(row, reading)
            if lots and not marks_ticks[row]:
                return f"the mark of {market.name}, of which there is a balance, is not known yet"
            total += market.micro(marks_ticks[row], lots)
        return total

    # Beside each other.

    def compare(self, reading: Reading, own: CorePositions, fills: FillMemory | None, *, policy: Policy) -> Comparison:
        """One reading beside our own side. With ADOPT, what can be adopted is no leftover; without `fills`, positions
        are looked at and not compared."""
        comparison = Comparison({}, {}, (), frozenset(), self._foreign_positions(reading), self._unsettled(own))
        self._compare_positions(reading, own, fills, comparison.differences)
        known = {order.cloid: order for order in own.orders}
        listed = reading.listing()
        stray = [order for order in listed if self.is_own(order) and order.cloid not in known]
        adoptable = self._adoptable(stray) if policy is Policy.ADOPT else ()
        taken = {order.oid for order in adoptable}
        for order in stray:
            if order.oid not in taken:
                self._note_leftover(order, comparison)
        self._compare_orders(listed, own, comparison.differences)
        foreign = frozenset(order.oid for order in listed if not self.is_own(order))
        return comparison._replace(adoptable=adoptable, foreign_orders=foreign)

    def _compare_positions(
        self, reading: Reading, own: CorePositions, fills: FillMemory | None, differences: dict[str, Difference]
    ) -> None:
        later = Counter() if fills is None else fills.later_lots(reading.block_ms)
        for row, market in enumerate(self.markets):
            lots, fault = self.venue_lots(row, reading)
            if fault:
                sentence = f"{market.name}: the venue's position cannot be read, {MEANING[fault]}"
                differences[f"position {market.name}"] = Difference(Code.UNREADABLE, sentence)
                continue
            if fills is None:
                continue
            expected = own.positions_lots[row] - later[row]
            if expected - fills.paid_lots(row) <= lots <= expected:
                continue
            held, thought = (market.size_text(one) for one in (lots, expected))
            differences[f"position {market.name}"] = Difference(
                Code.POSITION,
                f"{market.name}: the venue holds {held} and the core {thought} at block {reading.block_ms}; look for"
                " trades of somebody else on this account, or a liquidation",
            )

    def _compare_orders(
        self, listed: Sequence[OpenOrder], own: CorePositions, differences: dict[str, Difference]
    ) -> None:
        open_orders = {order.cloid: order for order in listed}
        for order in own.orders:
            if not order.is_resting:
                continue
            found = open_orders.get(order.cloid)
            name = f"{self.markets[order.market].name}: order {cloid_text(order.cloid)}"
            subject = f"order {order.cloid}"
            if found is None:
                sentence = f"{name} counts as resting and is not open at the venue"
                differences[subject] = Difference(Code.ORDERS, sentence, is_asked=not order.is_settled)
            elif found.fault:
                sentence = f"{name} cannot be read in the venue's listing, {MEANING[found.fault]}"
                differences[subject] = Difference(Code.UNREADABLE, sentence)
            elif found.left_lots != order.left_lots and not _is_shrunk(found, order.left_lots):
                sentence = f"{name} has {found.left_text} left at the venue, and here {order.left_lots} lots"
                differences[subject] = Difference(Code.ORDERS, sentence)

    def _note_leftover(self, order: OpenOrder, comparison: Comparison) -> None:
        read = self._read(order)
        assert read is not None, "only orders of ours are left over"
        subject = f"leftover {order.oid}"
        leftover = self.leftover(order)
        comparison.leftovers[subject] = (leftover, read.session != self.session)
        sentence = (
            f"{order.coin}: order {cloid_text(leftover.cloid)} is open at the venue and nobody here answers for it"
        )
        if leftover.asset_id < 0:
            sentence += "; the venue does not list that market, cancel it by hand"
        comparison.differences[subject] = Difference(Code.LEFTOVERS, sentence)

    def _adoptable(self, stray: Sequence[OpenOrder]) -> tuple[OpenOrder, ...]:
        """Orders of earlier sessions in our markets, one for a row of the core; of an order and its modification, which
        share one, the later."""
        best: dict[int, tuple[cloids.Cloid, OpenOrder]] = {}
        for order in stray:
            read = self._read(order)
            if read is None or read.session == self.session or order.is_trigger:
                continue
            if order.fault or order.left_lots <= 0:
                continue
            present = best.get(read.order_id)
            if present is None or _age(read) > _age(present[0]):
                best[read.order_id] = (read, order)
        rows = {(order.market, read.order_id & SLOT_MASK): order for read, order in best.values()}
        return tuple(rows.values())

    def _foreign_positions(self, reading: Reading) -> tuple[str, ...]:
        return tuple(
            f"{position.coin} {position.size_text}"
            for state in reading.states.values()
            for position in state.positions
            if position.market < 0
        )

    def _unsettled(self, own: CorePositions) -> tuple[str, ...]:
        return tuple(
            f"{self.markets[order.market].name}: order {cloid_text(order.cloid)} is being asked about"
            for order in own.orders
            if not order.is_settled
        )


def own_orders(live_orders: Iterable[LiveOrder], doubts: Iterable[Doubt]) -> tuple[OwnOrder, ...]:
    """What the fates say is not over, as CorePositions tells it: `live_orders` and `doubts` of one moment are those of
    `hlhft.hyperliquid.fates.Fates`. An order whose end is on its way is settled until that is overdue, hence doubted.
    """
    doubted = {(doubt.order_id, doubt.revision) for doubt in doubts}
    return tuple(
        OwnOrder(
            cloid=order.cloid,
            market=order.market,
            left_lots=order.left_lots,
            is_resting=order.state is FateState.LIVE,
            is_settled=order.state is not FateState.UNKNOWN and (order.order_id, order.revision) not in doubted,
        )
        for order in live_orders
    )


def _age(cloid: cloids.Cloid) -> tuple[int, int]:
    return cloid.session, cloid.revision


def dex_of(name: str) -> str:
    """The builder's dex of a market, "" for the main one."""
    dex, colon, _ = name.partition(":")
    return dex if colon else ""


def _is_shrunk(found: OpenOrder, left_lots: int) -> bool:
    """A reduce-only order shrinks with the position, without a fill (venue reference section 4.5)."""
    return found.is_reduce_only and found.left_lots < left_lots
