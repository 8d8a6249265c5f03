"""What the user's streams tell of our orders: updates, fills and cancels by the venue (venue reference section 6.4).

Frames come late, twice and in any order between channels. A fill is booked once, whichever channel brings it; until the
core has begun, fills wait, at most `held_max`: what comes beyond is lost, and reported.
"""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.hyperliquid import fates_rows
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates_fills import SeenFills, Verdict
from hlhft.hyperliquid.fates_ledger import Ledger, chain
from hlhft.hyperliquid.fates_life import Life, Telling
from hlhft.hyperliquid.fates_records import NOT_TOLD, FateCode, FatesError, News, Placement, Reason
from hlhft.hyperliquid.fates_table import Evidence
from hlhft.hyperliquid.fates_words import STATUSES, Code, Says
from hlhft.hyperliquid.messages import Fill, Fills, NonUserCancels, OrderUpdates
from hlhft.hyperliquid.wire import NS_PER_MS
from hlhft.units import Market

_DOLLAR = "USDC"


class Streams:
    """Reads the streams of one account. `begun_ms` as of `hlhft.hyperliquid.fates.Fates`."""

    def __init__(self, ledger: Ledger, life: Life, markets: Sequence[Market], *, begun_ms: int | None) -> None:
        self._ledger = ledger
        self._life = life
        self._markets = markets
        self._settings = ledger.settings
        self._seen = SeenFills(ledger.settings.fills_max)
        self._begun_ms = [0 if begun_ms is None else begun_ms] * len(markets)
        self._held: list[tuple[Fill, bool]] | None = [] if begun_ms is None else None

    def updated(self, message: OrderUpdates, now_ns: int) -> list[Row]:
        """A frame of `orderUpdates`."""
        telling = Telling(now_ns, [])
        for update in message.updates:
            placement = self._ledger.find(update.cloid, update.oid)
            if placement is None:
                self.stranger(update.cloid, update.oid)
                continue
            news = News(
                update.oid, update.status, update.status_ns // NS_PER_MS, update.size_lots, update.left_lots,
                update.fault,
            )  # fmt: skip
            self.news(placement, news, Evidence.RESTS, telling.at_ms(news.status_ms))
        return telling.rows

    def filled(self, fills: Fills, now_ns: int) -> list[Row]:
        """Fills of any channel or reading, in any order and as often as they come."""
        telling = Telling(now_ns, [])
        for fill in fills.fills:
            placement = self._ledger.find(fill.cloid, fill.oid)
            if placement is None:
                self.stranger(fill.cloid, fill.oid)
                if self._ledger.ours(fill.cloid) is None:
                    continue
            self._fill(placement, fill, telling, is_backfill=fills.is_snapshot)
        return telling.rows

    def ended(self, message: NonUserCancels, now_ns: int) -> list[Row]:
        """Orders that the venue cancelled by itself; why, and how much was filled, is told by their updates."""
        telling = Telling(now_ns, [])
        for order in message.orders:
            placement = self._ledger.find(None, order.oid)
            if placement is None:
                # Only the venue's id is told: it may be one of ours whose answer is still on its way.
                self._ledger.counters["ended unknown"] += 1
            elif not placement.is_done:
                self._life.end(placement, Code.NONE, NOT_TOLD, telling)
        return telling.rows

    def begun(self, block_ms: int | Sequence[int], now_ns: int) -> list[Row]:
        """The core begins with positions as of `block_ms`, one block for all markets or one for each: what was filled
        until then is in them, what was filled later is told now."""
        each = [block_ms] * len(self._markets) if isinstance(block_ms, int) else list(block_ms)
        if len(each) != len(self._markets):
            raise FatesError(f"{len(each)} blocks for {len(self._markets)} markets")
        held, self._held, self._begun_ms = self._held or [], None, each
        telling = Telling(now_ns, [])
        for fill, is_backfill in held:
            self._book(self._ledger.find(fill.cloid, fill.oid), fill, telling, is_backfill=is_backfill)
        return telling.rows

    def is_foreign(self, fill: Fill) -> bool:
        """Whether it is of an order of somebody else, and not in the positions that the core began with."""
        if fill.fault or self._held is not None or fill.ts_ns // NS_PER_MS <= self._begun_ms[fill.market]:
            return False
        return self._ledger.ours(fill.cloid) is None and self._ledger.find(fill.cloid, fill.oid) is None

    # Parts.

    def news(self, placement: Placement, news: News, evidence: Evidence, telling: Telling) -> None:
        """A status of an order; `evidence` is what "open" means in this channel."""
        self._ledger.name(placement, news.oid)
        word = STATUSES.get(news.status)
        if word is None or word.says is Says.TRIGGERED or news.fault:
            # Whatever it means, the venue has the order.
            placement.lived_ms = max(placement.lived_ms, news.status_ms)
            if news.fault and word is not None:
                self._ledger.report(FateCode.UNREADABLE, placement, f"{news.status}: {news.fault.name}")
                self._life.lose(placement, Reason.UNRECOGNISED, telling, ask_ns=telling.now_ns)
            else:
                self._life.unrecognised(placement, news.status, telling)
        elif word.says is Says.OPEN:
            told_lots = news.size_lots - news.left_lots
            self._life.rests(placement, evidence, news.status_ms, told_lots, telling)
        elif word.says is Says.REJECTED:
            self._life.reject(placement, word.code, telling)
        else:
            filled_lots = max(0, news.size_lots - news.left_lots)
            self._life.end(placement, word.code, filled_lots, telling, time_ms=news.status_ms)

    def _fill(self, placement: Placement | None, fill: Fill, telling: Telling, *, is_backfill: bool) -> None:
        """One fill of an order of ours; it is news at most once."""
        verdict = self._seen.take(fill.oid, fill.tid, fill.ts_ns)
        if verdict is Verdict.KNOWN:
            self._ledger.counters["fills known"] += 1
        elif verdict is Verdict.TOO_OLD:
            self._ledger.report(FateCode.FILL_TOO_OLD, placement, f"trade {fill.tid} of order {fill.oid}")
        elif fill.fault and placement is None:
            # Of an earlier session in a market that is not ours any more: no position of the core's.
            self._ledger.counters["fills elsewhere"] += 1
        elif fill.fault:
            told = f"trade {fill.tid} of order {fill.oid} in {fill.coin}: {fill.fault.name}"
            self._ledger.report(FateCode.FILL_UNREADABLE, placement, told)
        elif self._held is None:
            self._book(placement, fill, telling, is_backfill=is_backfill)
        elif len(self._held) < self._settings.held_max:
            self._held.append((fill, is_backfill))
        else:
            self._ledger.report(FateCode.FILLS_LOST, placement, f"trade {fill.tid} of order {fill.oid}")

    def _book(self, placement: Placement | None, fill: Fill, telling: Telling, *, is_backfill: bool) -> None:
        """The money of a fill, and what it means for its order."""
        fill_ms = fill.ts_ns // NS_PER_MS
        telling = telling.at_ms(fill_ms)
        rows, place = telling.rows, len(telling.rows)
        order_id, left, is_ending = self._order_id(fill), 0, False
        if placement is not None:
            order_id = placement.order_id
            if fill_ms > placement.from_ms:
                is_ending = not placement.is_done
                self._count(placement, fill, telling)
            left = sum(one.left_lots for one in chain(self._ledger.newest(placement)))
        if fill_ms > self._begun_ms[fill.market]:
            fee = self._fee_micro(fill)
            rows.insert(place, fates_rows.filled(fill, order_id, left, fee, telling.now_ns, is_backfill=is_backfill))
        elif placement is not None and is_ending:
            # The position has it already: only what is left of the order is news.
            one = fates_rows.acknowledged if left else fates_rows.gone
            rows.append(one(placement, fill.ts_ns, telling.now_ns))
        if placement is not None:
            self._life.close(placement, telling)
            self._life.check_fills(placement, telling.now_ns)

    def _count(self, placement: Placement, fill: Fill, telling: Telling) -> None:
        self._ledger.name(placement, fill.oid)
        if (fill.market, fill.side) != (placement.market, placement.side):
            told = f"trade {fill.tid} is of market {fill.market}, side {fill.side}"
            self._ledger.report(FateCode.CONTRADICTION, placement, told)
        placement.filled_lots += fill.size_lots
        is_last = placement.filled_lots >= placement.lots
        if placement.filled_lots > placement.lots:
            self._ledger.report(FateCode.OVERFILLED, placement, f"by trade {fill.tid}")
        self._life.learn(placement, Evidence.FILL_LAST if is_last else Evidence.FILL, telling)

    def _fee_micro(self, fill: Fill) -> int:
        """The fee in micro-USDC, cut toward zero. A fee in the token that was bought is worth the price of the fill; it
        comes in millionths of the token, so what is finer is lost."""
        if fill.fee_token == _DOLLAR:
            return fill.fee_micro
        one_dollar: int = 10 ** self._markets[fill.market].price_decimals
        value = abs(fill.fee_micro) * fill.price_ticks // one_dollar
        return value if fill.fee_micro >= 0 else -value

    def _order_id(self, fill: Fill) -> int:
        """The core's id of an order that is not in the books: 0 for one of another session."""
        named = self._ledger.ours(fill.cloid)
        return named.order_id if named is not None and named.session == self._ledger.session else 0

    # Orders that are not in the books.

    def stranger(self, cloid: int | None, oid: int) -> None:
        """News of an order that is not in the books: somebody else's, or of a session that nobody adopted it from."""
        named = self._ledger.ours(cloid)
        if named is None:
            self._ledger.counters["foreign"] += 1
            if self._ledger.counters["foreign"] == 1:
                self._ledger.report(FateCode.FOREIGN, None, f"order {oid}")
            return
        self._ledger.counters["own unknown"] += 1
        if named.session == self._ledger.session:
            self._ledger.report(FateCode.OWN_UNKNOWN, None, f"order {oid} is {named}")
