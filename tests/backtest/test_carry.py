"""The funding strategy in a replay of a spot market and a perpetual: its money, added up by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hlhft.backtest.replay import ReplayOutput
from hlhft.events import EventKind
from hlhft.strategies import StrategyError, load
from hlhft.units import MICRO, MarketKind
from tests.backtest.scenarios import HOUR_MS, MARKET, OTHER, Scenario, digest, fills_of, position

SPOT = replace(
    MARKET, name="TEST/USDC", kind=MarketKind.SPOT, asset_id=10_000, maker_rate_e9=400_000, taker_rate_e9=700_000
)
RATE_E12 = 100_000_000  # 0.01 % an hour
CARRY_LOTS = 9980  # 1000 USDC at the dearer offer of 100.2, in lots of 0.001
# The rate turns after two and a half hours; the last line lets the rest of the third pass.
SPOT_TABLE = f"""
    0 level buy 100.0 50
    0 level sell 100.1 50
    {3 * HOUR_MS} level buy 90 1
"""
PERP_TABLE = f"""
    0 level buy 100.1 50
    0 level sell 100.2 50
    0 context 100.15 100.15 {RATE_E12}
    {5 * HOUR_MS // 2} context 100.15 100.15 -{RATE_E12}
    {3 * HOUR_MS} level buy 90 1
"""


def carry(tables: tuple[str, str] = (SPOT_TABLE, PERP_TABLE), **params: float) -> ReplayOutput:
    """The strategy over two markets, asked every ten seconds; both legs immediate and in one slice unless said."""
    chosen: dict[str, Any] = {"unhedged_notional_usdc": 2000.0, "worked_immediate": 1, **params}
    return Scenario(
        tables=tables,
        markets=(SPOT, MARKET),
        strategy=load("funding"),
        params=[chosen],
        limits={"interval_ns": 10_000 * 1_000_000},
    ).run()


def test_a_carry_earns_two_hours_of_funding_and_pays_spreads_and_fees():
    output = carry()
    bought, sold, sold_again, bought_back = fills_of(output)
    assert [(fill.side, fill.price, fill.size) for fill in (bought, sold, sold_again, bought_back)] == [
        (1, "100.1", "9.98"),
        (-1, "100.1", "9.98"),
        (-1, "100", "9.98"),
        (1, "100.2", "9.98"),
    ]
    assert sold_again.at_ms == pytest.approx(5 * HOUR_MS // 2, abs=20)
    # 9980 lots x 100150 ticks are 999.497 USDC: 0.01 % of them an hour, for two hours. Whole micro-USDC.
    payments = output.fills[output.fills["kind"] == EventKind.FUNDING_PAYMENT]
    assert payments["aux0"].tolist() == [99_949, 99_949]
    assert payments["market"].tolist() == [1, 1]
    spot, perp = output.lanes.positions[0]
    assert (spot["position_lots"], perp["position_lots"]) == (0, 0)
    assert (spot["funding_micro"], perp["funding_micro"]) == (0, 199_898)
    # Each leg loses its spread of 0.1 on 9.98.
    assert (spot["cash_quanta"], perp["cash_quanta"]) == (-998_000, -998_000)
    # Spot takes at 7 bp of 998.998 and 998, the perpetual at 4.5 bp of 998.998 and 999.996.
    assert spot["fee_micro"] == 699_298 + 698_600
    assert perp["fee_micro"] == 449_549 + 449_998
    equity = int(output.lanes.lane[0, 0]["equity_micro"])
    assert equity == 10_000 * MICRO - 2 * 998_000 - (699_298 + 698_600 + 449_549 + 449_998) + 199_898


def test_fees_that_the_funding_does_not_earn_keep_it_out():
    """23 bp of fees in 12 hours are 0.0192 % an hour: more than the rate of 0.01 %."""
    assert len(carry(horizon_hours=12.0).fills) == 0


def test_a_worked_leg_that_rests_is_hedged_as_it_fills():
    """Two sellers take what we bid for on spot; each piece is sold on the perpetual at once."""
    table = f"""
        0 level buy 100.0 1
        0 level sell 100.1 50
        1000 trade sell 100.0 4
        2000 trade sell 100.0 20
        {3 * HOUR_MS} level buy 90 1
    """
    output = carry((table, PERP_TABLE), worked_immediate=0, unhedged_notional_usdc=2000.0)
    fills = fills_of(output)
    assert [(fill.side, fill.price, fill.size) for fill in fills[:4]] == [
        (1, "100", "3"),
        (-1, "100.1", "3"),
        (1, "100", "6.98"),
        (-1, "100.1", "6.98"),
    ]
    apart = np.cumsum([fill.side * round(float(fill.size) * 1000) for fill in fills[:4]])
    assert apart.tolist() == [3000, 0, 6980, 0]


def test_slices_never_stand_apart_by_more_than_the_cap():
    output = carry(unhedged_notional_usdc=300.0)
    fills = fills_of(output)
    apart = np.abs(np.cumsum([fill.side * round(float(fill.size) * 1000) for fill in fills]))
    assert apart.max() == 2994
    assert len(fills) == 16
    assert (position(output), position(output, market=1)) == (0, 0)


def test_the_same_recording_gives_the_same_carry():
    assert digest(carry()) == digest(carry())


def test_two_perpetuals_are_no_pair():
    with pytest.raises(StrategyError, match=r"not TEST \(perpetual\), OTHER \(perpetual\)"):
        Scenario(
            tables=(PERP_TABLE, PERP_TABLE), markets=(MARKET, OTHER), strategy=load("funding"), params=[{}]
        ).prepared()
