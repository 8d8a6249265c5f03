"""Whoever is due at the end of a block: sales, take-overs, deleveraging, the vault."""

from __future__ import annotations

from hlhft.events import EventKind
from hlhft.venue.adl import DELEVERAGED, DELEVERAGES, INTO_BOOK, TAKEN_OVER, equity_micro
from hlhft.venue.liquidation import LiquidationState
from hlhft.venue.liquidation_round import liquidate_bucket, maintenance_of
from hlhft.venue.refusals import Refusal
from tests.venue.chain_desk import ALO, AT, BUY, OTHER, PERP, SECOND, SELL, USDC, ChainDesk

CROSS = -1
VAULT = 0
LOTS = 100_000  # 1,000 USDC at 10,000 ticks


def liquidations(desk: ChainDesk) -> list[tuple[int, int, int, int]]:
    """(account, signed lots, kind, equity before) of each."""
    names = ("account", "size_lots", "aux0", "aux1")
    return [tuple(int(e[n]) for n in names) for e in desk.only(EventKind.LIQUIDATION)]  # type: ignore[misc]


def leveraged(*, isolated: int = 0, micro: int = 100 * USDC) -> ChainDesk:
    """Account 1 long 1,000 USDC of the second market at 10x on its last 100; account 2, with 10,000, is short. Nobody
    pays fees. Maintenance margin is a twentieth of the notional."""
    desk = ChainDesk().open(2, 3, micro=10_000 * USDC)
    desk.exchange.holdings["maker_rate_e9"] = 0
    desk.exchange.holdings["taker_rate_e9"] = 0
    desk.deposit(1, micro).leg(8, 1, market=OTHER, amount=10, side=1 - isolated).run()
    desk.trade(1, 2, LOTS, market=OTHER)
    return desk


def test_margins_and_marks_before():
    desk = leveraged(isolated=1)
    assert maintenance_of(desk.exchange, 1, OTHER) == 50 * USDC
    assert maintenance_of(desk.exchange, 1, CROSS) == 0
    assert maintenance_of(desk.exchange, 2, CROSS) == 50 * USDC
    desk.mark(9_900, OTHER).run()
    assert desk.exchange.marks[OTHER] == 9_900
    assert liquidate_bucket(desk.chain, 1, OTHER, True, desk.now_ns) == 0


def test_who_is_short_sells_into_the_book_and_keeps_what_is_left():
    """At 9,450 equity is 45 and maintenance 47.25. 1,000 USDC at 10,000 are sold at 9,440: 44 are left."""
    desk = leveraged()
    desk.place(3, BUY, 9_440, 2 * LOTS, ALO, OTHER).run()
    desk.mark(9_450, OTHER).place(1, SELL, 12_000, 10, ALO, OTHER).run()
    assert liquidations(desk) == [(1, LOTS, INTO_BOOK, 45 * USDC)]
    assert [int(e["aux0"]) for e in desk.only(EventKind.ORDER_CANCELLED)] == [Refusal.LIQUIDATED]
    assert desk.position(1, OTHER) == 0
    assert equity_micro(desk.exchange, 1, CROSS) == 44 * USDC
    kinds = [EventKind(int(row["kind"])) for row in desk.raw][-4:]
    assert kinds == [
        EventKind.ORDER_CANCELLED, EventKind.LIQUIDATION, EventKind.ORDER_FILLED, EventKind.ORDER_FILLED
    ]  # fmt: skip
    assert int(desk.only(EventKind.LIQUIDATION)[0]["price_ticks"]) == 9_450
    desk.run()
    assert liquidations(desk) == []


def test_a_sale_that_nobody_takes_is_tried_again_in_each_block():
    desk = leveraged()
    desk.mark(9_450, OTHER).run()
    assert liquidations(desk) == []
    assert desk.chain.state[0]["changed"] == 1
    desk.place(3, BUY, 9_440, LOTS // 2, ALO, OTHER).run()
    assert liquidations(desk) == [(1, LOTS // 2, INTO_BOOK, 45 * USDC)]
    # Half of it is covered by the 44.5 that are left.
    desk.place(3, BUY, 9_440, LOTS, ALO, OTHER).run()
    assert desk.position(1, OTHER) == LOTS // 2
    assert desk.chain.state[0]["changed"] == 0


def test_a_large_position_goes_in_parts_one_a_block():
    """200,000 USDC on 10,000 at 20x in the first market, maintenance a 40th less the tier's deduction of 125."""
    desk = ChainDesk().open(2, 3, micro=100_000 * USDC)
    desk.exchange.holdings["maker_rate_e9"] = 0
    desk.exchange.holdings["taker_rate_e9"] = 0
    desk.deposit(1, 10_000 * USDC).run()
    large = 200 * LOTS
    desk.trade(1, 2, large)
    desk.place(3, BUY, 9_700, 3 * large, ALO).run()
    desk.mark(9_740).run()
    # Equity 4,800; 194,800 / 40 - 125 = 4,745: covered.
    assert liquidations(desk) == []
    desk.mark(9_735).run()
    assert liquidations(desk) == [(1, large // 5, INTO_BOOK, 4_700 * USDC)]
    assert desk.position(1) == large * 4 // 5
    assert desk.chain.liquidations[1, 3]["state"] == LiquidationState.COOLING
    desk.run(30 * SECOND - 1)
    # Sold at 9,700 it lost 14 more; 155,760 / 40 - 125 = 3,769: covered.
    assert liquidations(desk) == []
    desk.mark(9_660).run(1)
    assert liquidations(desk) == [(1, large * 4 // 25, INTO_BOOK, 3_360 * USDC)], "the cooldown is over: a part again"


def test_below_two_thirds_the_vault_takes_over_at_the_mark():
    """At 9,300 equity is 30, maintenance 46.5: the vault gets the position and the 30."""
    desk = leveraged()
    desk.place(3, BUY, 9_290, 2 * LOTS, ALO, OTHER).run()
    desk.mark(9_300, OTHER).run()
    assert liquidations(desk) == [(1, LOTS, TAKEN_OVER, 30 * USDC)]
    assert (desk.position(1, OTHER), desk.position(VAULT, OTHER)) == (0, LOTS)
    assert equity_micro(desk.exchange, 1, CROSS) == 0
    assert equity_micro(desk.exchange, VAULT, CROSS) == 30 * USDC
    assert desk.chain.entries[:2, OTHER].tolist() == [LOTS * 9_300, 0]
    assert desk.chain.prices[OTHER]["last_trade_ticks"] == AT, "no trade"
    assert desk.chain.liquidations[1, 3]["state"] == LiquidationState.HEALTHY, "it may begin anew"
    desk.deposit(1, 500 * USDC).run()
    desk.trade(1, 2, LOTS // 10, market=PERP)
    assert liquidations(desk) == []


def test_an_isolated_position_is_taken_over_with_its_own_margin():
    desk = leveraged(isolated=1, micro=300 * USDC)
    desk.place(1, BUY, 5_000, 10, ALO, PERP).run()
    desk.mark(9_300, OTHER).run()
    assert liquidations(desk) == [(1, LOTS, TAKEN_OVER, 30 * USDC)]
    assert desk.collateral(1) == 200 * USDC
    assert desk.exchange.open_orders[1] == 1, "orders of other markets stay"
    assert equity_micro(desk.exchange, 1, OTHER) == 0
    assert equity_micro(desk.exchange, VAULT, CROSS) == 30 * USDC


def test_a_cross_account_is_taken_over_without_its_isolated_positions():
    desk = leveraged()
    desk.deposit(1, 100 * USDC).leg(8, 1, market=PERP, amount=10, side=0).run()
    desk.trade(1, 3, LOTS, market=PERP)
    desk.mark(9_300, OTHER).run()
    assert liquidations(desk) == [(1, LOTS, TAKEN_OVER, 30 * USDC)]
    assert (desk.position(1, PERP), desk.position(1, OTHER)) == (LOTS, 0)


def test_who_owes_is_deleveraged_at_the_mark_before():
    """From 10,000 to 8,900: equity -10. At 10,000 the position is worth its 100 of margin, which the account keeps;
    the winner closes at 10,000, with nothing won."""
    desk = leveraged()
    desk.mark(8_900, OTHER).run()
    assert liquidations(desk) == [
        (1, LOTS, DELEVERAGES, -10 * USDC), (2, -LOTS, DELEVERAGED, 10_110 * USDC),
    ]  # fmt: skip
    assert (desk.position(1, OTHER), desk.position(2, OTHER)) == (0, 0)
    assert equity_micro(desk.exchange, 1, CROSS) == 100 * USDC
    assert equity_micro(desk.exchange, 2, CROSS) == 10_000 * USDC


def test_an_isolated_debtor_keeps_what_deleveraging_saves():
    desk = leveraged(isolated=1, micro=300 * USDC)
    desk.mark(8_900, OTHER).run()
    assert [entry[:3] for entry in liquidations(desk)] == [(1, LOTS, DELEVERAGES), (2, -LOTS, DELEVERAGED)]
    assert desk.collateral(1) == 300 * USDC
    assert equity_micro(desk.exchange, 1, OTHER) == 0


def test_what_is_still_owed_the_vault_bears():
    """A debt without a position: the vault pays it."""
    desk = ChainDesk().open(1, 2)
    desk.exchange.collateral[1] -= 1_005 * USDC
    desk.exchange.collateral[2] += 1_005 * USDC
    desk.deposit(VAULT, 20 * USDC).run()
    assert (desk.collateral(1), desk.collateral(VAULT)) == (0, 15 * USDC)
    assert liquidations(desk) == []


def test_an_isolated_debt_beyond_its_margin_is_the_vaults():
    """The mark before was below bankruptcy already, so deleveraging at it leaves a debt of 10."""
    desk = leveraged(isolated=1, micro=300 * USDC)
    desk.deposit(VAULT, 50 * USDC).run()
    desk.chain.prices[OTHER]["mark_ns"] = 2**62
    desk.exchange.marks[OTHER] = 8_800
    desk.chain.prices[OTHER]["previous_mark_ticks"] = 8_900
    desk.deposit(3, USDC).run()
    assert [entry[:3] for entry in liquidations(desk)] == [(1, LOTS, DELEVERAGES), (2, -LOTS, DELEVERAGED)]
    assert desk.collateral(1) == 200 * USDC
    assert desk.collateral(VAULT) == 40 * USDC


def test_an_isolated_sale_below_bankruptcy_is_the_vaults_loss():
    """Equity 45 at 9,450, but the bid is at 8,900, where 110 are lost of 100: the vault pays 10, the account's other
    200 stay."""
    desk = leveraged(isolated=1, micro=300 * USDC)
    desk.deposit(VAULT, 50 * USDC).place(3, BUY, 8_900, LOTS, ALO, OTHER).run()
    desk.mark(9_450, OTHER).run()
    assert liquidations(desk) == [(1, LOTS, INTO_BOOK, 45 * USDC)]
    assert (desk.collateral(1), desk.collateral(VAULT)) == (200 * USDC, 40 * USDC)
    assert equity_micro(desk.exchange, 1, OTHER) == 0


def test_an_impossible_state_is_a_defect():
    desk = leveraged()
    desk.exchange.marks[OTHER] = 9_450
    desk.chain.liquidations[1, 3]["state"] = LiquidationState.TAKEN_OVER
    assert liquidate_bucket(desk.chain, 1, CROSS, True, desk.now_ns) == 0
    assert desk.chain.state[0]["broken"] == 1
    desk.chain.liquidations[1, 3]["state"] = LiquidationState.HEALTHY
    assert liquidate_bucket(desk.chain, 1, CROSS, False, desk.now_ns) == 1, "it has sold in this block"
