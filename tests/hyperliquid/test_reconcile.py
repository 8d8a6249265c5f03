"""Reconciliation: how a session begins, what differs and what only seems to, leftovers, silence, and proof of empty."""

from __future__ import annotations

from typing import Any

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.connection_table import ImpossibleEvent
from hlhft.hyperliquid.messages import Fills, Fundings, Transfers
from hlhft.hyperliquid.reconcile import CANCELS_MAX
from hlhft.hyperliquid.reconcile_compare import Policy
from hlhft.hyperliquid.reconcile_events import (
    Adopt,
    Agreed,
    AskOwn,
    Begin,
    BeginPeaks,
    BeginSession,
    CancelLeftovers,
    Code,
    Disagreed,
    Empty,
    FillsRead,
    Leftover,
    NotEmpty,
    OwnOrder,
    ProveEmpty,
    Reason,
    Report,
    ReportCode,
    Tell,
    TellFills,
    TellListing,
    Told,
    Watermark,
)
from hlhft.hyperliquid.reconcile_table import Event, State
from tests.hyperliquid.reconciles import (
    BEGIN_MS,
    BTC,
    LATENCY_NS,
    MS,
    PURR,
    SILVER,
    START,
    USER,
    Desk,
    S,
    again,
    begun,
    dumped,
    filled,
    held,
    listed,
    moved,
    own_cloid,
    resting,
)

# How a session begins.


def test_a_session_begins_with_what_the_venue_says() -> None:
    desk = Desk()
    desk.venue.positions[""] = [held("BTC", "-0.25", value="20000.0", leverage=10)]
    desk.venue.balances = [{"coin": "USDC", "token": 0, "hold": "0.0", "total": "12.5"}]
    desk.tell(START)
    agreed = desk.answer()
    assert isinstance(agreed, Agreed) and agreed.number == 1
    assert agreed.block_ms == BEGIN_MS + 3 * LATENCY_NS // MS + 100, "the state of the second reading"
    assert desk.now_ns == 6 * LATENCY_NS, "two readings of three waves"
    block_ns, at_ns = agreed.block_ms * MS, desk.now_ns
    (told,) = desk.all(Tell)
    position, equity, leverage = EventKind.POSITION_STATE, EventKind.EQUITY_STATE, EventKind.LEVERAGE_CHANGE
    assert desk.rows(position) == [
        (block_ns, at_ns, 800_000, -25_000, 0, 0, 0, position, 3, 0, 0, 0),
        (block_ns, at_ns, 0, 0, 0, 0, 0, position, 3, 1, 0, 0),
    ]
    assert desk.rows(equity) == [(block_ns, at_ns, 0, 0, 0, 1_012_500_000, 1, equity, 3, 0, 0, 0)]
    assert [row[5:10] for row in desk.rows(EventKind.FEE_CHANGE)] == [
        (150_000, 450_000, 51, 3, 0), (150_000, 450_000, 51, 3, 1),
    ]  # fmt: skip
    assert (10, 1, leverage, 3, 0) in [row[5:10] for row in desk.rows(leverage)]
    (account,) = desk.rows(EventKind.ACCOUNT_STATE)
    assert account[2:7] == (1_000_000_000, 5_000_000, 2_000_000, 3, 10_005)
    order = [type(effect) for _, effect in desk.history if isinstance(effect, Tell | BeginSession | Agreed)]
    assert order == [Tell, BeginSession, Agreed], "held fills are told once the positions stand"
    assert desk.all(BeginSession) == [BeginSession(agreed.block_ms)] and told.rows[-1] == desk.rows(equity)[0]
    assert desk.machine.is_seeded and desk.machine.begun_ms == agreed.block_ms


def test_listing_and_fills_reach_the_fates_before_our_own_side_is_asked_for() -> None:
    desk = begun()
    desk.venue.fills = [filled("0.1", ms=BEGIN_MS, tid=1)]
    assert isinstance(again(desk), Agreed)
    kinds = TellFills | TellListing | AskOwn | FillsRead | Agreed
    order = [type(effect) for _, effect in desk.history if isinstance(effect, kinds)]
    assert order == [TellFills, TellListing, AskOwn, FillsRead, Agreed]
    (fills,), (listing,), (read,) = desk.all(TellFills), desk.all(TellListing), desk.all(FillsRead)
    assert fills.fills.is_snapshot and [fill.tid for fill in fills.fills.fills] == [1]
    assert read.through_ms == listing.block_ms == desk.all(Agreed)[0].block_ms
    assert read.from_ms == desk.asked("userFillsByTime")[0]["startTime"] < listing.block_ms - 10_000


def test_no_session_begins_while_orders_may_still_arrive() -> None:
    desk = Desk()
    desk.tell(Begin(1, Reason.START, settled_ms=BEGIN_MS + 3_000))
    agreed = desk.answer()
    assert isinstance(agreed, Agreed) and BEGIN_MS + 3_000 < agreed.block_ms < BEGIN_MS + 6_000


def test_no_session_begins_on_a_mark_that_is_not_known() -> None:
    desk = Desk(PURR)
    desk.marks = [0]
    desk.venue.balances = [{"coin": "PURR", "token": 1, "hold": "0.0", "total": "50.7"}]
    desk.tell(START)
    desk.run(100 * S)
    assert desk.all(Agreed) == [] and ReportCode.STUCK in desk.reports()
    desk.marks = [20_000_000]
    assert isinstance(desk.answer(), Agreed)
    (position,), (equity,) = desk.rows(EventKind.POSITION_STATE), desk.rows(EventKind.EQUITY_STATE)
    assert (position[2], position[3]) == (20_000_000, 50)
    assert equity[5] == 1_000_000_000 + 50 * 200_000


def test_what_was_moved_since_the_earlier_sessions_is_told_before_what_this_one_begins_with() -> None:
    desk = Desk(watermark_ms=BEGIN_MS - 20_000, transfers_ms=BEGIN_MS - 60_000, peak_micro=10**9, peak_ns=7)
    desk.venue.transfers = [moved(BEGIN_MS - ago, usdc) for ago, usdc in ((60_000, "9"), (59_999, "7"), (0, "-2.5"))]
    desk.tell(START)
    block_ms = desk.answer().block_ms  # type: ignore[union-attr]
    assert desk.all(BeginPeaks) == [BeginPeaks(4_500_000, block_ms)]
    assert (desk.rows(EventKind.LEDGER_TRANSFER), desk.rows(EventKind.RESTORED)[0][3:5]) == ([], (1_004_500_000, 7))
    assert desk.asked("userNonFundingLedgerUpdates")[0]["startTime"] == BEGIN_MS - 70_000
    assert desk.asked("userFillsByTime")[0]["startTime"] == BEGIN_MS - 30_000


def test_what_was_moved_without_an_amount_is_reported_and_a_resume_forgets_the_peak() -> None:
    desk = Desk(transfers_ms=BEGIN_MS - 60_000, peak_micro=9 * 10**9, peak_ns=1)
    desk.venue.transfers = [moved(BEGIN_MS, "7.0"), moved(BEGIN_MS, "7.0", "gift")]
    desk.tell(START)
    desk.machine.forget_peak()
    assert isinstance(desk.answer(), Agreed) and ReportCode.TRANSFER_UNKNOWN in desk.reports()
    assert (desk.all(BeginPeaks)[0].transferred_micro, desk.rows(EventKind.RESTORED)) == (7_000_000, [])


@pytest.mark.parametrize("mode", ["unifiedAccount", "portfolioMargin", "somethingNew"])
def test_a_mode_that_is_not_supported_is_refused(mode: str) -> None:
    desk = Desk()
    desk.venue.mode = mode
    desk.tell(START)
    refused = desk.answer()
    assert isinstance(refused, Disagreed) and refused.code is Code.MODE and "Manual" in refused.sentence
    desk.venue.mode = "disabled"
    assert isinstance(again(desk), Agreed)


def test_a_mode_that_is_changed_later_is_found_and_not_forgotten() -> None:
    desk = begun(seldom_rounds=2)
    desk.venue.mode = "somethingNew"
    refused = desk.until(Disagreed)
    assert refused.code is Code.MODE and "unrecognised" in refused.sentence
    for number in (2, 3):
        refused = again(desk, number)
        assert isinstance(refused, Disagreed) and refused.code is Code.MODE


# What differs, and what only seems to.


def test_an_account_that_agrees_is_read_once() -> None:
    desk = begun()
    desk.venue.broken["userRateLimit"] = None
    assert isinstance(again(desk), Agreed) and ReportCode.GIVEN_UP in desk.reports()
    assert len(desk.asked("clearinghouseState")) == len(desk.asked("openOrders")) == 1
    assert desk.rows(EventKind.POSITION_STATE) == [], "a position is told once, and never overwritten"
    (equity,) = desk.rows(EventKind.EQUITY_STATE)
    assert equity[6] == 0


def test_a_fill_that_the_core_never_hears_of_disagrees() -> None:
    desk = begun()
    desk.venue.positions[""] = [held("ETH", "0.5")]
    refused = again(desk)
    assert isinstance(refused, Disagreed) and (refused.number, refused.code) == (2, Code.POSITION)
    assert "ETH: the venue holds 0.5 and the core 0" in refused.sentence and "5 readings" in refused.sentence
    assert desk.now_ns > 3 * S
    assert desk.rows(EventKind.POSITION_STATE) == []


def test_a_fill_that_comes_late_agrees() -> None:
    """The stream is two seconds late; the readings before are told apart."""
    desk = begun()
    desk.venue.positions[""] = [held("ETH", "0.5")]
    desk.tell(Begin(2, Reason.CONNECTED))
    desk.run(2 * S)
    desk.positions[1] = 5_000
    assert isinstance(desk.answer(), Agreed)
    assert ReportCode.DIFFERS in desk.reports() and desk.all(Disagreed) == []


def test_fills_later_than_the_reading_are_taken_off_again() -> None:
    """The core has booked what the state that was read cannot hold: told by the stream, or by the fills of the
    reading."""
    desk = begun()
    later_ms = BEGIN_MS + 60_000
    shapes = [filled("0.02", ms=later_ms, tid=1, side="A"), filled("0.01", ms=later_ms, tid=2)]
    reader = desk.machine._reader._reader
    told = reader.read("userFills", b'{"user":"0x1","fills":%s}' % dumped(shapes))
    assert isinstance(told, Fills)
    desk.positions[0] = -1_000
    for _ in range(2):
        desk.tell(Told(told))
    desk.venue.fills = shapes[1:]
    assert isinstance(again(desk), Agreed)
    assert len(desk.asked("openOrders")) == 1


def test_what_always_differs_in_another_place_disagrees_at_last() -> None:
    desk = begun(readings_max=12)

    def flicker() -> None:
        desk.positions = [1 - desk.positions[0], desk.positions[0]]

    desk.on_own = flicker
    refused = again(desk)
    assert isinstance(refused, Disagreed) and refused.code is Code.UNSTABLE and "12 readings" in refused.sentence


def test_a_position_that_cannot_be_read_disagrees() -> None:
    desk = begun()
    desk.venue.positions[""] = [held("BTC", "0.5x")]
    refused = again(desk)
    assert isinstance(refused, Disagreed) and refused.code is Code.UNREADABLE


def test_an_order_that_rests_here_only_disagrees() -> None:
    desk = begun()
    desk.orders = (resting(3),)
    refused = again(desk)
    assert isinstance(refused, Disagreed) and refused.code is Code.ORDERS
    assert "BTC: order 0x" in refused.sentence and "is not open at the venue" in refused.sentence


def test_an_order_of_another_size_disagrees() -> None:
    desk = begun()
    desk.orders = (resting(1),)
    desk.venue.orders[""] = [listed(1, left="0.005")]
    refused = again(desk)
    assert isinstance(refused, Disagreed) and refused.code is Code.ORDERS and "0.005 left" in refused.sentence


@pytest.mark.parametrize(
    ("order", "shown"),
    [
        (resting(1), [listed(1)]),
        (resting(1), [listed(1, left="0.005", reduceOnly=True)]),
        (resting(1, is_resting=False), []),
        (resting(1, is_resting=False, left_lots=5), [listed(1)]),
    ],
)
def test_an_order_that_agrees_or_is_under_way(order: OwnOrder, shown: list[dict[str, Any]]) -> None:
    """A reduce-only one shrinks without a fill; one that nobody answered yet may be open, or not."""
    desk = begun()
    desk.orders = (order,)
    desk.venue.orders[""] = shown
    assert isinstance(again(desk), Agreed)
    assert len(desk.asked("openOrders")) == 1


def test_what_is_being_asked_about_is_waited_for_before_quoting_and_not_on_the_slow_lane() -> None:
    desk = begun()
    desk.orders = (resting(1, is_resting=False, is_settled=False),)
    desk.tell(Begin(2, Reason.CONNECTED))
    desk.run(90 * S)
    assert desk.all(Agreed) == desk.all(Disagreed) == [] and ReportCode.STUCK in desk.reports()
    desk.orders = ()
    assert isinstance(desk.answer(), Agreed)
    desk.orders = (resting(1, is_resting=False, is_settled=False),)
    desk.history.clear()
    desk.run(31 * S)
    assert ReportCode.AGREED in desk.reports()


# Leftovers.


def test_leftovers_are_cancelled_before_a_session_begins() -> None:
    desk = Desk()
    desk.venue.orders[""] = [
        listed(1, session=4),
        listed(2, session=4, oid=10, coin="DOGE"),
        listed(cloid=None, oid=11),
    ]
    cancelled: list[CancelLeftovers] = []

    def cancel(effect: CancelLeftovers) -> None:
        cancelled.append(effect)
        if len(cancelled) == 3:
            desk.venue.orders[""] = [listed(cloid=None, oid=11)]

    desk.on_cancel = cancel
    desk.tell(START)
    agreed = desk.answer()
    assert isinstance(agreed, Agreed) and len(cancelled) == 3, "cancelled until they are gone"
    assert cancelled[0].orders == (
        Leftover(0, own_cloid(1, session=4), 9, "BTC"),
        Leftover(2, own_cloid(2, session=4), 10, "DOGE"),
    )
    last_cancel_ns = max(at_ns for at_ns, effect in desk.history if isinstance(effect, CancelLeftovers))
    assert agreed.block_ms * MS > BEGIN_MS * MS + last_cancel_ns
    assert len([one for one in desk.all(Report) if one.code is ReportCode.FOREIGN_ORDERS]) == 1


def test_leftovers_that_do_not_go_disagree() -> None:
    desk = Desk()
    desk.venue.orders[""] = [listed(1, session=4)]
    desk.tell(START)
    refused = desk.answer()
    assert isinstance(refused, Disagreed) and refused.code is Code.LEFTOVERS and "nobody here" in refused.sentence
    assert len(desk.all(CancelLeftovers)) == 10
    desk.run(90 * S)
    assert len(desk.all(CancelLeftovers)) > 10, "the slow lane goes on"


def test_a_leftover_in_a_market_that_is_gone_is_named() -> None:
    desk = Desk()
    desk.venue.orders[""] = [listed(1, session=4, coin="GONE")]
    desk.tell(START)
    refused = desk.answer()
    assert isinstance(refused, Disagreed) and "cancel it by hand" in refused.sentence
    assert desk.all(CancelLeftovers) == []


def test_an_own_order_that_is_not_in_the_books_is_cancelled_when_it_still_stands() -> None:
    """News of its end may be under way at the first sight."""
    desk = begun()
    desk.venue.orders[""] = [listed(8)]
    desk.on_cancel = lambda effect: desk.venue.orders.clear()
    assert isinstance(again(desk), Agreed)
    assert len(desk.asked("openOrders")) == 3 and len(desk.all(CancelLeftovers)) == 1
    desk.venue.orders[""] = [listed(8)]
    desk.tell(Begin(3, Reason.CONNECTED))
    desk.until(AskOwn)
    desk.venue.orders.clear()
    assert isinstance(desk.answer(), Agreed)
    assert len(desk.all(CancelLeftovers)) == 1


def test_cancels_come_in_parts_that_an_action_holds() -> None:
    desk = Desk()
    desk.venue.orders[""] = [listed(one + 1, session=4, oid=one) for one in range(CANCELS_MAX + 5)]
    desk.on_cancel = lambda effect: desk.venue.orders.clear()
    desk.tell(START)
    assert isinstance(desk.answer(), Agreed)
    assert [len(effect.orders) for effect in desk.all(CancelLeftovers)] == [CANCELS_MAX, 5]


def test_leftovers_are_adopted_by_policy() -> None:
    desk = Desk(policy=Policy.ADOPT)
    keep = [listed(1, session=4), listed(5, session=4, oid=10)]
    desk.venue.orders[""] = [*keep, listed(3, session=4, oid=12, coin="DOGE"), listed(5, session=3, oid=13)]

    def cancel(effect: CancelLeftovers) -> None:
        assert [one.oid for one in effect.orders] == [12, 13], "what is not ours to trade, and the elder of one number"
        desk.venue.orders[""] = keep

    desk.on_cancel = cancel
    desk.tell(START)
    assert isinstance(desk.answer(), Agreed)
    adopted, _ = (one for _, one in desk.history if isinstance(one, Adopt | BeginSession))
    assert isinstance(adopted, Adopt) and [one.oid for one in adopted.orders] == [9, 10], "before fills that were held"
    desk.orders = tuple(OwnOrder(one.cloid or 0, 0, 1_000, True) for one in adopted.orders)
    assert isinstance(again(desk), Agreed) and len(desk.all(Adopt)) == 1


def test_an_order_that_fills_while_it_is_adopted_is_read_again() -> None:
    desk = Desk(policy=Policy.ADOPT)
    desk.venue.orders[""] = [listed(1, session=4)]
    desk.tell(START)
    desk.until(AskOwn)
    desk.venue.orders[""] = [listed(1, session=4, left="0.004")]
    assert isinstance(desk.answer(), Agreed)
    assert len(desk.asked("openOrders")) == 3 and desk.all(Adopt)[0].orders[0].left_lots == 400


def test_orders_and_positions_of_others_are_reported_once() -> None:
    desk = begun()
    desk.venue.orders[""] = [listed(cloid=None, oid=11), listed(1, oid=12, cloid=own_cloid(1, owner=3))]
    desk.venue.positions[""] = [held("DOGE", "5.0")]
    assert isinstance(again(desk), Agreed) and isinstance(again(desk, 3), Agreed)
    codes = [effect.code for effect in desk.all(Report)]
    assert codes.count(ReportCode.FOREIGN_ORDERS) == codes.count(ReportCode.FOREIGN_POSITIONS) == 1
    assert desk.all(CancelLeftovers) == []


def test_memory_of_others_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hlhft.hyperliquid.reconcile.FOREIGN_MAX", 2)
    desk = begun()
    desk.venue.orders[""] = [listed(cloid=None, oid=oid) for oid in (1, 2, 3)]
    assert isinstance(again(desk), Agreed)
    assert len(desk.machine._foreign) == 2


# The slow lane.


def test_the_slow_lane_goes_on_for_ever_and_tells_only_what_disagrees() -> None:
    desk = begun(seldom_rounds=3)
    desk.run(130 * S)
    assert len(desk.asked("clearinghouseState")) == 4 and desk.all(Agreed) == []
    assert len(desk.asked("userFees")) == len(desk.asked("userFunding")) == 1
    assert len(desk.all(Watermark)) == len(desk.rows(EventKind.EQUITY_STATE)) == 4
    assert {row[6] for row in desk.rows(EventKind.EQUITY_STATE)} == {0}
    desk.venue.positions[""] = [held("BTC", "0.5")]
    refused = desk.until(Disagreed)
    assert (refused.number, refused.code) == (1, Code.POSITION)
    desk.venue.positions.clear()
    desk.history.clear()
    desk.run(40 * S)
    assert ReportCode.AGREED in desk.reports()


def test_a_session_that_could_not_begin_begins_on_the_slow_lane() -> None:
    """Whoever asked was told that it disagrees; the next Begin agrees at once."""
    desk = Desk()
    desk.venue.mode = "unifiedAccount"
    desk.tell(START)
    assert isinstance(desk.answer(), Disagreed)
    desk.venue.mode = "default"
    desk.until(BeginSession)
    assert desk.all(Agreed) == []
    assert isinstance(again(desk), Agreed)


def test_what_changed_is_told_once() -> None:
    desk = begun(seldom_rounds=1, assets_per_round=2)
    desk.run(70 * S)
    assert desk.rows(EventKind.FEE_CHANGE) == desk.rows(EventKind.LEVERAGE_CHANGE) == []
    assert len(desk.rows(EventKind.ACCOUNT_STATE)) == 2
    desk.venue.maker_rate = "-0.00001"
    desk.venue.leverage = 7
    desk.run(70 * S)
    assert [(row[5], row[9]) for row in desk.rows(EventKind.FEE_CHANGE)] == [(-10_000, 0), (-10_000, 1)]
    assert [(row[5], row[6], row[9]) for row in desk.rows(EventKind.LEVERAGE_CHANGE)] == [(7, 0, 0), (7, 0, 1)]


def test_money_that_moves_is_told_once_by_whichever_way_it_comes() -> None:
    desk = begun(seldom_rounds=1)
    ms = BEGIN_MS + 5_000
    withdrawn = {"time": ms, "hash": "0x1", "delta": {"type": "withdraw", "usdc": "5.0", "fee": "1.0"}}
    within = {"time": ms, "hash": "0x2", "delta": {"type": "accountClassTransfer", "usdc": "5.0"}}
    unknown = {"time": ms, "hash": "0x3", "delta": {"type": "gift"}}
    paid = {"coin": "BTC", "usdc": "-0.5", "szi": "0.1", "fundingRate": "0.0000125"}
    foreign = {**paid, "coin": "DOGE"}
    read = desk.machine._reader._reader.read
    old = {**withdrawn, "time": BEGIN_MS}
    transfers = read(
        "userNonFundingLedgerUpdates",
        b'{"user":"%s","nonFundingLedgerUpdates":%s}' % (USER.encode(), dumped([old, withdrawn, within, unknown])),
    )
    fundings = read(
        "userFundings", b'{"user":"0x1","fundings":%s}' % dumped([{**one, "time": ms} for one in (paid, foreign)])
    )
    assert isinstance(transfers, Transfers) and isinstance(fundings, Fundings)
    for message in (transfers, fundings, transfers, fundings):
        desk.tell(Told(message))
    desk.venue.transfers = [old, withdrawn, within, unknown]
    desk.venue.fundings = [{"time": ms, "hash": "0x1", "delta": one} for one in (paid, foreign)]
    desk.run(70 * S)
    transfer, funding = EventKind.LEDGER_TRANSFER, EventKind.FUNDING_PAYMENT
    assert [row[5] for row in desk.rows(transfer)] == [-6_000_000]
    assert [row[:1] + row[3:10] for row in desk.rows(funding)] == [
        (ms * MS, 10_000, 0, -500_000, 12_500_000, funding, 3, 0)
    ]
    assert [one.code for one in desk.all(Report)].count(ReportCode.TRANSFER_UNKNOWN) == 1


def test_before_a_session_begins_nothing_that_moved_is_told() -> None:
    desk = Desk()
    for message in (Transfers(transfers=()), Fundings(payments=()), Fills(fills=())):
        assert desk.tell(Told(message)) == []


def test_spot_and_builders_markets_have_their_own_questions() -> None:
    desk = Desk(BTC, SILVER, PURR)
    desk.marks = [1, 1, 20_000_000]
    desk.venue.positions = {"xyz": [held("xyz:SILVER", "1.5")], "": [held("BTC", "0.1")]}
    desk.venue.balances = [{"coin": "PURR", "token": 1, "hold": "0.0", "total": "50.0"}]
    desk.tell(START)
    assert isinstance(desk.answer(), Agreed)
    assert desk.positions == [10_000, 150, 50]
    assert {one.get("dex", "") for one in desk.asked("openOrders")} == {"", "xyz"}
    assert [row[9] for row in desk.rows(EventKind.FEE_CHANGE)] == [0, 2], "a dex has its own fees"
    assert [row[5:7] for row in desk.rows(EventKind.FEE_CHANGE)][1] == (400_000, 700_000)
    assert {one["coin"] for one in desk.asked("activeAssetData")} == {"BTC", "xyz:SILVER"}
    (account,) = desk.rows(EventKind.ACCOUNT_STATE)
    assert account[2] == 2_000_000_000, "the sum over both dexs"
    desk.positions[1] = 0
    refused = again(desk)
    assert isinstance(refused, Disagreed) and "xyz:SILVER" in refused.sentence


def test_fees_taken_in_the_token_that_was_bought_do_not_disagree() -> None:
    desk = Desk(PURR)
    desk.tell(START)
    assert isinstance(desk.answer(), Agreed)
    desk.venue.fills = [
        filled("1000.0", ms=BEGIN_MS + 500, tid=1, coin="PURR/USDC", px="0.2", fee="0.7", feeToken="PURR"),
    ]
    desk.positions[0] = 1_000
    desk.venue.balances = [{"coin": "PURR", "token": 1, "hold": "0.0", "total": "999.3"}]
    assert isinstance(again(desk), Agreed)
    desk.venue.balances[0]["total"] = "997.9"
    assert isinstance(again(desk, 3), Disagreed)


# Silence, in short: more in test_reconcile_silence.py.


def test_it_outlasts_silence_and_nonsense_and_reads_every_page() -> None:
    desk = begun(seldom_rounds=1)
    desk.venue.broken = {"userFees": None, "openOrders": b"<html>busy</html>"}
    desk.venue.fills = [filled("0.1", ms=BEGIN_MS - 9_000 + tid // 1_900, tid=tid) for tid in range(14_000)]
    desk.tell(Begin(2, Reason.CONNECTED))
    desk.run(150 * S)
    assert {ReportCode.GIVEN_UP, ReportCode.STUCK, ReportCode.UNREADABLE} <= desk.reports()
    desk.is_answering = False
    desk.run(30 * S)
    desk.is_answering = True
    desk.venue.broken.clear()
    assert isinstance(desk.answer(), Agreed)
    assert {ReportCode.UNANSWERED, ReportCode.FILLS_BEYOND} <= desk.reports()
    assert desk.tell(desk.own(0)) == [] and desk.machine.counters["events out of date"]
    desk.venue.balances = [{"coin": "USDC", "token": 0, "hold": "0.0", "total": "x"}]
    assert isinstance(again(desk, 3), Agreed), "a check of equity that cannot be made is left out"
    with pytest.raises(ImpossibleEvent, match="read cannot happen to a reconciliation that is idle"):
        desk.machine._run(Event.READ, START)


# Proof of empty.


def proof(number: int = 7, *, expiry_ms: int = BEGIN_MS, deadline_s: int = 10) -> ProveEmpty:
    return ProveEmpty(number, expiry_ms, deadline_s * S)


def test_empty_is_told_of_a_listing_later_than_the_last_expiry() -> None:
    desk = begun()
    expiry_ms = desk.venue.now_ms + 3_000
    desk.tell(proof(expiry_ms=expiry_ms))
    empty = desk.proof()
    assert isinstance(empty, Empty) and empty.number == 7 and empty.block_ms > expiry_ms
    assert desk.machine.state is State.OFF
    asked = len(desk.venue.asked)
    desk.run(100 * S)
    assert len(desk.venue.asked) == asked, "after that nothing is asked any more"
    assert isinstance(again(desk), Agreed)


def test_what_stands_is_cancelled_until_it_is_gone() -> None:
    desk = begun()
    foreign = listed(cloid=None, oid=3)
    desk.venue.orders[""] = [listed(1), foreign]

    def cancel(effect: CancelLeftovers) -> None:
        assert [one.oid for one in effect.orders] == [9]
        desk.venue.orders[""] = [foreign]

    desk.on_cancel = cancel
    desk.tell(proof())
    assert isinstance(desk.proof(), Empty)
    assert len(desk.all(CancelLeftovers)) == 1 and len(desk.all(TellListing)) == 3


def test_what_is_never_gone_is_told_at_the_deadline() -> None:
    desk = begun()
    desk.venue.orders[""] = [listed(1), listed(2, oid=10, coin="GONE")]
    desk.tell(proof())
    assert desk.proof() == NotEmpty(7, 2)
    assert desk.now_ns == 10 * S


def test_silence_is_told_at_the_deadline() -> None:
    desk = begun()
    desk.venue.broken["openOrders"] = None
    desk.tell(proof())
    assert desk.proof() == NotEmpty(7, None)
    other = begun()
    other.is_answering = False
    other.tell(proof())
    assert other.proof() == NotEmpty(7, None)


def test_a_proof_does_not_wait_for_the_weight() -> None:
    desk = begun(assets_per_round=0)
    desk.machine._questions.weights.spend(10_000, desk.now_ns)
    desk.tell(proof())
    assert isinstance(desk.proof(), Empty) and desk.now_ns < 2 * S
