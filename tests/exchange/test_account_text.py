"""What an account has, against the recorded account of February 2026 and by hand."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange.account_text import AccountView, liquidation_price, ratio_text
from hlhft.units import MICRO
from hlhft.venue.margin import liquidation_price_ticks
from tests.exchange.hall import ALO, ANN, BOB, BTC, BTC_TIERS, BUY, CAT, ILL, IOC, SELL, Hall, address


def recorded(recordings, case: str) -> dict[str, object]:
    path = recordings / "hyperliquid/api/recorded_messages_2026/messages.jsonl"
    lines = [msgspec.json.decode(line) for line in path.read_text().splitlines()]
    return next(
        line["message"]
        for line in lines
        if (line["source"], line["case"]) == ("json_get_clearing_house_state_ack", case)
    )


def bought(*fills: tuple[str, str], mark: str, collateral: int, side: int = BUY, leverage: int = 20) -> Hall:
    """ANN bought (or sold) at these prices, and has `collateral` micro-USDC after fees."""
    hall = Hall(leverage=leverage)
    hall.chain.exchange.collateral[BOB] = 10**12
    for price, size in fills:
        hall.mark(price)
        hall.place(BOB, -side, price, size, ALO).run()
        hall.place(ANN, side, price, size, IOC).run()
    hall.mark(mark)
    fees = int(hall.chain.exchange.holdings[ANN]["fee_micro"].sum())
    hall.chain.exchange.collateral[ANN] = collateral + fees
    return hall


def test_the_recorded_account_comes_out_to_the_last_digit(recordings):
    """Its two fills are recorded, too; its value and its mark are the inputs."""
    wanted = recorded(recordings, "simple")
    hall = bought(
        ("83959", "0.0003"), ("81623", "0.00031"), mark="78135", collateral=179_007_426 - 47_662_350 + 50_490_830
    )
    view = AccountView(hall.chain, hall.records, ANN)
    entry = hall.records.account(ANN).entries[BTC]
    entry.funding_paid_micro, entry.funding_since_open_micro, entry.funding_since_change_micro = 4156, 4156, -221
    assert view.state(1770118781558) == wanted


def test_an_account_that_never_existed_has_zeros(recordings):
    hall = Hall()
    wanted = recorded(recordings, "empty")
    state = hall.ask("clearinghouseState", user="0x" + "77" * 20)
    assert {**state, "time": 0} == {**wanted, "time": 0}


def position(hall: Hall, account: int = ANN) -> dict[str, object]:
    (found,) = hall.ask("clearinghouseState", user=address(account))["assetPositions"]
    return found["position"]


def test_a_short_has_a_liquidation_price_by_hand():
    hall = bought(("80000", "1"), mark="80000", side=SELL, collateral=10_000 * MICRO)
    shape = position(hall)
    # Equity 10,000, maintenance 80,000 / 80 = 1,000: 9,000 / 1 / (1 + 1/80) above the mark.
    assert shape["szi"] == "-1.0"
    assert shape["liquidationPx"] == "88888.8888888888"
    assert shape["unrealizedPnl"] == "0.0"
    hall.mark("88888.8")
    state = hall.ask("clearinghouseState", user=address(ANN))
    assert float(state["crossMarginSummary"]["accountValue"]) >= float(state["crossMaintenanceMarginUsed"])
    hall.mark("88888.9")
    state = hall.ask("clearinghouseState", user=address(ANN))
    assert float(state["crossMarginSummary"]["accountValue"]) < float(state["crossMaintenanceMarginUsed"])


def isolated(side: int = BUY) -> Hall:
    """ANN holds 1 BTC isolated at five times, bought at 80,000, and is marked 1,000 better or worse."""
    hall = Hall(leverage=5)
    hall.chain.exchange.margins[ANN, BTC]["isolated"] = 1
    hall.mark("80000").place(BOB, -side, "80000", "1", ALO).run()
    hall.place(ANN, side, "80000", "1", IOC).run()
    return hall.mark("81000")


@pytest.mark.parametrize(
    ("side", "raw", "used", "profit"),
    [
        # Collateral 16,000; raw USD = collateral - entry x size.
        (BUY, "-64000.0", "17000.0", "1000.0"),
        (SELL, "96000.0", "15000.0", "-1000.0"),
    ],
)
def test_an_isolated_position_ties_up_its_own_equity(side, raw, used, profit):
    hall = isolated(side)
    shape = position(hall)
    assert shape["leverage"] == {"type": "isolated", "value": 5, "rawUsd": raw}
    assert (shape["marginUsed"], shape["unrealizedPnl"]) == (used, profit)
    state = hall.ask("clearinghouseState", user=address(ANN))
    assert state["marginSummary"]["totalMarginUsed"] == used
    assert state["crossMarginSummary"]["totalMarginUsed"] == "0.0"
    assert state["crossMaintenanceMarginUsed"] == "0.0"
    cross, whole = (float(state[name]["accountValue"]) for name in ("crossMarginSummary", "marginSummary"))
    assert whole - cross == float(used)


def test_an_isolated_position_is_liquidated_by_its_own_equity():
    # 64,000 / (1 - 1/80) = 64,810.12658...
    assert position(isolated())["liquidationPx"] == "64810.1265822784"


def test_what_rests_and_would_increase_is_not_withdrawable():
    hall = Hall(leverage=10).mark("80000")
    hall.place(ANN, BUY, "79000", "1", ALO).run()
    assert hall.ask("clearinghouseState", user=address(ANN))["withdrawable"] == "992000.0"


def test_what_can_be_traded_is_free_margin_times_leverage_and_more_to_close():
    hall = bought(("80000", "1"), mark="80000", collateral=10_000 * MICRO)
    shape = hall.ask("activeAssetData", user=address(ANN), coin="BTC")
    # 10,000 less 4,000; selling also frees what the position ties up, and may open as much again.
    assert shape["availableToTrade"] == ["6000.0", "14000.0"]
    assert shape["maxTradeSzs"] == ["1.5", "3.5"]
    assert (shape["leverage"], shape["markPx"]) == ({"type": "cross", "value": 20}, "80000.0")
    short = bought(("80000", "1"), mark="80000", collateral=10_000 * MICRO, side=SELL)
    shape = short.ask("activeAssetData", user=address(ANN), coin="BTC")
    assert shape["availableToTrade"] == ["14000.0", "6000.0"]


def test_a_market_without_a_mark_or_a_position_can_be_asked_about():
    hall = Hall()
    shape = hall.ask("activeAssetData", user=address(ANN), coin="ETH")
    assert (shape["markPx"], shape["maxTradeSzs"]) == ("0.0", ["0.0", "0.0"])
    hall.chain.exchange.margins[ANN, ILL]["isolated"] = 1
    hall.chain.exchange.holdings[ANN, ILL]["leverage"] = 3
    shape = hall.ask("activeAssetData", user=address(ANN), coin="ILL")
    assert shape["leverage"] == {"type": "isolated", "value": 3, "rawUsd": "0.0"}


def test_an_isolated_position_frees_its_margin_once():
    shape = isolated().ask("activeAssetData", user=address(ANN), coin="BTC")
    buy, sell = (float(text) for text in shape["availableToTrade"])
    assert sell - buy == 17_000.0


def test_a_position_that_was_moved_without_a_fill_has_the_mark_as_its_price():
    hall = Hall().mark("80000")
    hall.chain.exchange.holdings[CAT, BTC]["position_lots"] = 100_000
    hall.chain.exchange.holdings[CAT, BTC]["cash_quanta"] = -80_000 * MICRO
    shape = position(hall, CAT)
    assert (shape["entryPx"], shape["unrealizedPnl"]) == ("80000.0", "0.0")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Fraction(-112039354471, 10**11), "-1.1203935447"),
        (Fraction(1, 3), "0.3333333333"),
        (Fraction(2), "2.0"),
        (Fraction(0), "0.0"),
    ],
)
def test_a_ratio_is_cut_off_at_ten_decimals(ratio, text):
    assert ratio_text(ratio) == text


@settings(max_examples=60)
@given(
    st.integers(-5_000_000, 5_000_000).filter(bool),
    st.integers(100_000, 2_000_000),
    st.integers(0, 400_000 * MICRO),
)
def test_the_exact_liquidation_price_is_where_the_kernel_finds_it(lots, mark, equity):
    """The kernel finds the last whole tick at which margin suffices, give or take what it cuts off."""
    hall = Hall()
    exchange = hall.chain.exchange
    found = liquidation_price_ticks(equity, 0, exchange.markets[BTC], lots, mark, exchange.tiers[BTC])
    exact = liquidation_price(BTC_TIERS, lots=lots, mark_ticks=mark, equity_micro=equity, other_micro=0, unit=1)
    if exact is None or found == 0:
        assert lots > 0 or found == 0
        assert exact is None or exact < 2
    else:
        assert abs(found - exact) <= 2


def test_a_large_position_is_liquidated_by_the_tier_that_it_is_in():
    # 3,000 BTC at 80,000 are 240 million: the second tier, 1/40 less 150m x (1/40 - 1/80).
    price = liquidation_price(
        BTC_TIERS, lots=300_000_000, mark_ticks=800_000, equity_micro=20_000_000 * MICRO, other_micro=0, unit=1
    )
    # 20m + 1.875m - 6m = 15.875m left; / 3,000 / (1 - 1/40) = 5,427.35 below 80,000.
    assert price is not None
    assert float(price) == pytest.approx(745_726.4957, abs=1e-3)
