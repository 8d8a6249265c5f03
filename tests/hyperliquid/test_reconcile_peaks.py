"""The peak of earlier sessions and the money that came and went since, by the breaker that judges both.

Each account begins its session with 1000 USDC and trips at more than 3 % below its peak.
"""

from __future__ import annotations

import pytest

from hlhft.core.risk import Breaker
from hlhft.events import EventKind
from hlhft.hyperliquid.reconcile_events import Agreed, Begin, BeginPeaks, Reason, Tell
from tests.core import worlds
from tests.hyperliquid.reconciles import BEGIN_MS, LATENCY_NS, MS, START, Desk, moved

USDC = 1_000_000


def test_what_is_moved_while_a_session_begins_is_told_once() -> None:
    """Up to the block that it begins with it belongs to what was before, after it to the session."""
    desk = Desk(watermark_ms=BEGIN_MS - 20_000, transfers_ms=BEGIN_MS - 60_000)
    begins_ms = BEGIN_MS + 3 * LATENCY_NS // MS + 100
    desk.venue.transfers = [moved(begins_ms, "7.0"), moved(begins_ms + 1, "-0.5")]
    desk.tell(START)
    agreed = desk.answer()
    assert isinstance(agreed, Agreed) and agreed.block_ms == begins_ms
    assert desk.all(BeginPeaks) == [BeginPeaks(7_000_000, begins_ms)]
    assert [row[5] for row in desk.rows(EventKind.LEDGER_TRANSFER)] == [-500_000]
    # Kept before the transfers of the session are, which count from there.
    (peaks,) = (place for place, (_, effect) in enumerate(desk.history) if isinstance(effect, BeginPeaks))
    assert isinstance(desk.history[peaks + 1][1], Tell)


def test_what_was_moved_is_not_asked_for_while_orders_of_before_may_arrive() -> None:
    """Nothing can begin then, and the venue's answers have a price."""
    desk = Desk(transfers_ms=BEGIN_MS - 60_000)
    desk.tell(Begin(1, Reason.START, BEGIN_MS + 3_000))
    agreed = desk.answer()
    assert isinstance(agreed, Agreed) and agreed.block_ms > BEGIN_MS + 3_000
    assert len(desk.asked("clearinghouseState")) > 4
    assert len(desk.asked("userNonFundingLedgerUpdates")) == 2, "the reading that confirms asks anew"


@pytest.mark.parametrize(
    ("peak", "transfers", "trips"),
    [
        # The account begins with 1000. Earlier it had 1300 and 300 were taken out: nothing was lost.
        (1300, ["-300"], False),
        # Of 1320, 20 were lost and 300 taken out: 20 of 1020 are 1.96 %.
        (1320, ["-300"], False),
        # Of 1331, 31 were lost: 31 of 1031 are 3.007 %, a dollar less is not.
        (1331, ["-300"], True),
        (1330, ["-300"], False),
        # It had 531, lost 31 and got 500: the deposit hides nothing.
        (531, ["500"], True),
        (530, ["500"], False),
        # In and out again, with nothing lost in between.
        (1000, ["500", "-500"], False),
        # All of it was taken out, and what is there is new.
        (900, ["-950", "1050"], False),
        # It never had anything, by what the ledger says.
        (900, ["-950"], False),
    ],
)
def test_a_peak_of_before_counts_with_what_was_moved_since(peak: int, transfers: list[str], trips: bool) -> None:
    desk = Desk(
        watermark_ms=BEGIN_MS - 60_000, transfers_ms=BEGIN_MS - 60_000, peak_micro=peak * USDC, peak_ns=worlds.START
    )
    desk.venue.transfers = [moved(BEGIN_MS - 9_000 + place, text) for place, text in enumerate(transfers)]
    desk.tell(START)
    desk.answer()
    world = worlds.fresh(drawdown_e6_max=30_000)
    for row in (*desk.rows(EventKind.RESTORED), *desk.rows(EventKind.EQUITY_STATE)):
        world.say(EventKind(row[7]), size_lots=row[3], order_id=row[4], aux0=row[5], aux1=row[6], side=row[10])
    assert world.row["equity_micro"] == 1000 * USDC
    assert world.row["latches"] == (1 << Breaker.DRAWDOWN if trips else 0)
    assert world.row["peak_max_micro"] == max(1000, peak + sum(map(int, transfers))) * USDC
    kinds = [row[7] for effect in desk.all(Tell) for row in effect.rows]
    if EventKind.RESTORED in kinds:
        assert kinds.index(EventKind.RESTORED) + 1 == kinds.index(EventKind.EQUITY_STATE)
