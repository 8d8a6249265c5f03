"""Figures by hand, and on nothing at all: None where there is no data, never NaN."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import msgspec
import numpy as np
import pytest

from hlhft.core.quotes import QuoteFault
from hlhft.core.risk import Breaker, RiskRefusal
from hlhft.core.state import Mode
from hlhft.report.attribution import attribute
from hlhft.report.metrics import CLAIM_NS_MIN, HOUR_NS, LaneLog, Metrics, drawdown, equity_path, measure, sharpe
from tests.report.histories import FINE, PERPETUAL, SECOND, History


def measured(lane: LaneLog) -> Metrics:
    return measure(lane, attribute(lane.markets, lane.log, lane.records))


@pytest.fixture
def made() -> History:
    """Buys 0.1 BTC at 50,000, sells 0.05 at 50,100 as taker, holds the rest: 500 s, marks on the way.

    Ticks are tenths of a dollar and lots 1e-5 BTC: 0.1 BTC are 10,000 lots.
    """
    history = History([PERPETUAL])
    history.quote(0, 499_990, 500_010)
    history.record()
    history.wait(100 * SECOND)
    history.fill(1, 500_000, 6_000, fee=450_000, mid=1_000_000, order_id=7, front_at_entry=200.0, front=-3.0)
    history.fill(1, 500_000, 4_000, fee=300_000, mid=1_000_000, order_id=7, reason=2, front_at_entry=0.0, front=50.0)
    history.record()
    history.wait(300 * SECOND)
    history.fill(-1, 501_000, 5_000, fee=1_127_250, mid=1_002_000, order_id=8, maker=0, reason=4)
    history.quote(0, 500_990, 501_010)
    history.record()
    history.wait(100 * SECOND)
    return history


def test_trading(made: History) -> None:
    trading = measured(made.lane(placed=20, cancelled=17)).trading
    volume = 5_000.0 + 2_505.0
    assert (trading.fills, trading.buys, trading.sells) == (3, 2, 1)
    assert trading.volume_usdc == pytest.approx(volume)
    assert trading.turnover == pytest.approx(volume / 10_000)
    assert trading.maker_share == pytest.approx(5_000 / volume)
    assert (trading.orders_placed, trading.orders_cancelled, trading.orders_filled) == (20, 17, 2)
    assert (trading.fill_rate, trading.orders_per_fill) == (2 / 20, pytest.approx(20 / 3))
    assert trading.fee_bp == pytest.approx(1.87725 / volume * 1e4)
    # 10,000 lots bought at 50,000, now worth 50,100 each: 10 USDC less fees.
    assert trading.profit_bp == pytest.approx((10.0 - 1.87725) / volume * 1e4)
    assert trading.fills_by_reason == {"queue reached": 1, "traded through": 1, "taker": 1}


def test_inventory_is_weighted_by_time(made: History) -> None:
    (held,) = measured(made.lane()).inventory
    assert (held.market, held.final_lots) == ("BTC", 5_000)
    assert held.final_usdc == pytest.approx(2_505.0)
    assert held.largest_usdc == pytest.approx(5_000.0)
    # 100 s of nothing, 300 s of 0.1 BTC at 50,000, 100 s of 0.05 at 50,100.
    assert held.mean_usdc == held.mean_absolute_usdc == pytest.approx((300 * 5_000 + 100 * 2_505) / 500)
    assert held.flat_share == pytest.approx(0.2)


def test_short_positions_have_a_negative_mean_and_unknown_books_the_mark() -> None:
    history = History([PERPETUAL])
    history.fill(-1, 500_000, 1_000)
    history.quote(0, 0, 0, 500_000)
    history.record()
    history.wait(SECOND)
    (held,) = measured(history.lane()).inventory
    assert held.mean_usdc == held.final_usdc == pytest.approx(-500.0)
    assert held.mean_absolute_usdc == held.largest_usdc == pytest.approx(500.0)


def test_queue(made: History) -> None:
    queue = measured(made.lane()).queue
    assert queue.entry_usdc_median == pytest.approx((200 * 0.5 + 0) / 2)
    assert queue.entry_front_share == 0.5
    assert queue.ahead_usdc_median == pytest.approx((0 + 50 * 0.5) / 2)
    assert queue.wait_ns_median == 0


def test_uptime_counts_the_stretch_that_still_runs() -> None:
    history = History([PERPETUAL, FINE])
    history.wait(100 * SECOND)
    lane = history.lane(decisions=5)
    lane.positions["quoted_ns"] = [20 * SECOND, 50 * SECOND]
    lane.positions["quoted_since_ns"] = [history.now_ns - 10 * SECOND, 0]
    quoting = measured(lane).quoting
    assert quoting.uptime_by_market == {"BTC": pytest.approx(0.3), "FINE": pytest.approx(0.5)}
    assert (quoting.uptime, quoting.decisions) == (pytest.approx(0.4), 5)


def test_refusals_and_budget() -> None:
    history = History([PERPETUAL])
    lane = history.lane(address_actions=90, address_allowance=120)
    lane.lane["refusals"][0, [RiskRefusal.BUDGET, RiskRefusal.PRICE_BAND]] = 3, 4
    found = measured(lane)
    assert found.quoting.refused == {"price band": 4, "budget": 3}
    assert (found.address.used, found.address.allowance, found.address.share, found.address.refused) == (
        90,
        120,
        0.75,
        3,
    )


def test_drawdown_is_the_deepest_fall_from_a_peak() -> None:
    times = np.arange(6) * SECOND
    found = drawdown(times, np.array([0.0, 10.0, 4.0, 20.0, 5.0, 19.0]), 80.0)
    assert found is not None
    assert (found.usdc, found.share, found.peak_ns, found.trough_ns) == (15.0, 0.15, 3 * SECOND, 4 * SECOND)
    fell_at_once = drawdown(times[:1], np.array([-8.0]), 80.0)
    assert fell_at_once is not None and (fell_at_once.usdc, fell_at_once.share) == (8.0, 0.1)
    ruined = drawdown(times[:1], np.array([-8.0]), 0.0)
    assert ruined is not None and ruined.share == 0.0
    assert drawdown(times[:0], np.zeros(0), 80.0) is None


def test_sharpe_and_its_error_by_hand() -> None:
    """Twenty returns of +3 and -1 in turn: mean 1, deviation 2 with Bessel's correction."""
    times = np.arange(21) * 10 * SECOND
    profit = np.cumsum(np.concatenate([[0.0], np.tile([3.0, -1.0], 10)]))
    found = sharpe(times, profit, 1000.0, int(times[-1]))
    assert found is not None
    value = 1.0 / (2.0 * math.sqrt(20 / 19))
    assert (found.interval_s, found.returns) == (10.0, 20)
    assert found.value == pytest.approx(value)
    assert found.error == pytest.approx(math.sqrt((1 + value**2 / 2) / 20))
    assert found.annual == pytest.approx(value * math.sqrt(365 * 8640))
    assert found.annual_error / found.error == pytest.approx(found.annual / found.value)
    assert not found.carries_a_claim


def test_sharpe_of_long_recordings_takes_minutes_and_may_carry_a_claim() -> None:
    times = np.arange(40) * 30 * SECOND
    profit = np.arange(40.0) % 3
    found = sharpe(times, profit, 1000.0, CLAIM_NS_MIN)
    assert found is not None
    assert (found.interval_s, found.returns, found.carries_a_claim) == (60.0, 19, True)
    assert sharpe(times, profit, 1000.0, HOUR_NS - 1).interval_s == 10.0  # type: ignore[union-attr]


def test_without_returns_or_change_there_is_no_sharpe() -> None:
    times = np.arange(11) * 10 * SECOND
    assert sharpe(times[:0], np.zeros(0), 1000.0, 0) is None
    assert sharpe(times, np.zeros(11), 1000.0, 0) is None
    assert sharpe(times[:10], np.arange(10.0) ** 2, 1000.0, 0) is None
    assert sharpe(times, np.arange(11.0) ** 2, 1000.0, 0) is not None
    assert sharpe(times, np.arange(11.0) ** 2, 0.0, 0) is None


def test_equity_sums_the_markets() -> None:
    history = History([PERPETUAL, FINE])
    history.fill(1, 100, 10)
    history.fill(-1, 10**7, 10**6, market=1)
    history.quote(0, 199, 201, 200)
    history.quote(1, 2 * 10**7, 2 * 10**7, 2 * 10**7)
    history.record()
    lane = history.lane()
    ts_ns, profit = equity_path(lane, attribute(lane.markets, lane.log, lane.records))
    assert ts_ns.tolist() == [history.start_ns]
    assert profit == pytest.approx([0.001 - 1.0])


def test_what_halted_it() -> None:
    halted = int(Mode.HALTED)
    history = History([PERPETUAL])
    first = history.lane(mode=halted, halt_code=int(Breaker.BUDGET), latches=1 << int(Breaker.DRAWDOWN))
    found = measured(first)
    assert (found.mode, found.breaker) == ("halted", "drawdown")
    assert "one-hour peak" in str(found.reason)
    strategy = {"mode": halted, "halt_code": int(Breaker.STRATEGY), "latches": 1 << int(Breaker.STRATEGY)}
    assert "NaN" in str(measured(history.lane(**strategy, quote_fault=int(QuoteFault.PRICE))).reason)
    assert measured(history.lane(**strategy)).reason == "the strategy failed: halt"
    paused = measured(history.lane(halt_code=int(Breaker.BUDGET)))
    assert (paused.mode, paused.breaker) == ("active", "budget")
    assert (measured(history.lane()).breaker, measured(history.lane()).reason) == (None, None)


def test_liquidations_are_counted() -> None:
    history = History([PERPETUAL])
    history.fill(1, 100, 1, reason=5, order_id=0)
    found = measured(history.lane())
    assert (found.liquidations, found.trading.orders_filled) == (1, 0)


def test_everything_is_defined_on_nothing() -> None:
    for history in (History([PERPETUAL, FINE]), History([])):
        found = measured(history.lane(capital_micro=0))
        text = msgspec.json.encode(asdict(found)).decode()
        assert "nan" not in text.lower() and json.loads(text)["trading"]["fills"] == 0
        trading = found.trading
        assert (trading.maker_share, trading.fill_rate, trading.orders_per_fill) == (None, None, None)
        assert (trading.fee_bp, trading.profit_bp, trading.turnover) == (None, None, 0.0)
        assert (found.drawdown, found.sharpe, found.quoting.uptime, found.address.share) == (None, None, None, None)
        assert found.queue.entry_usdc_median is None
        assert all(one.mean_usdc is None and one.flat_share is None for one in found.inventory)
