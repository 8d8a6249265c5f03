"""Each thing that a venue, a market or an owner does has its effect, and all is well afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.hyperliquid.gateway_mode import Mode
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.simulation.account import ACCOUNT, COINS
from hlhft.simulation.settings import DEFAULT
from hlhft.simulation.world import World
from tests.simulation.lives import lived


def fills(world: World) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = msgspec.json.decode(world.exchange.ask("userFills", user=ACCOUNT))
    return told


def marks(world: World) -> list[int]:
    return [int(ticks) for ticks in world.exchange.marks()]


def own(world: World) -> set[int]:
    """The markets in which the engine has orders."""
    return {order.row for order, _ in world.judge.own_orders()}


def equity(world: World) -> float:
    return float(world.exchange.account_state()["marginSummary"]["accountValue"])


def late_ns(world: World) -> int:
    return world.exchange.mischief.cancels_late_ns


def stage(world: World) -> Stage:
    assert world.engine is not None
    return world.engine.engine.stage


@pytest.mark.parametrize("size", [-250, 20, 200])
def test_prices_leap_and_it_quotes_where_they_are(tmp_path: Path, size: int) -> None:
    def spans(world: World) -> list[float]:
        """How far orders are from the mark, as shares of it."""
        ticks = marks(world)
        return [abs(order.limit_ticks / ticks[order.row] - 1) for order, _ in world.judge.own_orders()]

    _, (before, after, near) = lived(
        tmp_path, f"10:price-jump:0:{size}", seconds=60, looks={9: marks, 55: marks, 55.5: spans}
    )
    for old, new in zip(before, after, strict=True):
        assert new / old == pytest.approx(1 + size / 1000, abs=0.004)
    assert near and max(near) < 0.01


def test_a_leap_against_a_position_trips_the_breaker(tmp_path: Path) -> None:
    poor = replace(DEFAULT, account_usdc=2_000)
    run, (before, after) = lived(
        tmp_path, "30:price-jump:0:-100", seconds=60, looks={29: stage, 33: stage}, settings=poor
    )
    assert (before, after) == (Stage.TRADING, Stage.HALTED)
    assert run.outcome.resumed > 0


def test_the_owner_takes_his_money_and_we_are_liquidated(tmp_path: Path) -> None:
    plan = "5:hand-trade:0:1500,5.000000001:hand-trade:0:-1500,10:liquidation:30:250"
    run, (before, after, last) = lived(tmp_path, plan, seconds=80, looks={9: equity, 20: equity, 79: equity})
    assert after < before / 10
    assert last == pytest.approx(before, rel=0.1)
    assert any("liquidation" in fill for fill in fills(run.world))


def test_prices_that_leap_far_liquidate_us_too_and_the_engine_halts_as_it_is_told(tmp_path: Path) -> None:
    def seen(world: World) -> tuple[list[int], int, str]:
        assert world.engine is not None
        halt = world.engine.engine.supervisor.halt
        return world.exchange.positions(), world.exchange.shocks.touched_ns, halt.reason if halt is not None else ""

    poor = replace(DEFAULT, account_usdc=1_000)
    plan = "8:hand-trade:0:-1500,8.1:hand-trade:0:-1500,8.2:hand-trade:0:-1500,20:price-shock:0:300"
    _, (before, after) = lived(tmp_path, plan, seconds=60, looks={22: seen, 23: seen}, settings=poor)
    assert all(before[0]) and not any(after[0])
    assert before[1] < after[1], "nothing that was booked before is to be compared"
    assert not before[2] and "liquidation: the venue closed" in after[2]


def test_a_counterparty_cannot_pay_and_our_positions_are_gone(tmp_path: Path) -> None:
    run, (before, after) = lived(
        tmp_path, "5:hand-trade:0:1500,20:deleveraging:0:0", seconds=60,
        looks={19.9: lambda world: world.exchange.positions(), 20.3: lambda world: world.exchange.positions()},
    )  # fmt: skip
    assert any(before)
    assert sum(map(abs, after)) < sum(map(abs, before))
    assert run.world.exchange.shocks.touched_ns


def test_a_market_ends_and_the_other_goes_on(tmp_path: Path) -> None:
    """Its orders and its position are gone; so the account disagrees, and is traded on without that market."""
    instants = {at: own for first in (17, 57, 107) for at in (first, first + 0.5, first + 1, first + 1.5)}
    run, seen = lived(
        tmp_path, "20:delisting:1:0,60:engine-kill:1:0", seconds=110,
        looks={**instants, 30: lambda world: world.exchange.positions()},
    )  # fmt: skip
    before, ended, quoted, restarted = seen[:4], seen[4], seen[5:9], seen[9:]
    assert set.union(*before) == {0, 1}
    assert ended[0] == 0
    assert set.union(*quoted) == set.union(*restarted) == {1}
    meta = msgspec.json.decode(run.world.exchange.ask("meta"))
    assert [one.get("isDelisted", False) for one in meta["universe"]] == [True, False]
    assert run.world.exchange.coins == COINS[1:]


def test_the_last_market_does_not_end(tmp_path: Path) -> None:
    run, _ = lived(tmp_path, "5:delisting:1:0,10:delisting:1:1", seconds=20, looks={})
    assert run.world.exchange.coins == COINS[1:]


def test_funding_is_paid_at_its_cap(tmp_path: Path) -> None:
    """A full hour is over three minutes after the beginning of time, five seconds of which are for the opening."""
    run, _ = lived(tmp_path, "5:hand-trade:0:1500,100:funding-spike:120:1", seconds=200, looks={})
    told = msgspec.json.decode(run.world.exchange.ask("userFunding", user=ACCOUNT, startTime=0))
    rates = {one["delta"]["coin"]: one["delta"]["fundingRate"] for one in told}
    assert rates and set(rates.values()) == {"0.04"}


def test_fees_rise_and_fall_again(tmp_path: Path) -> None:
    def rate(world: World) -> str:
        told: dict[str, str] = msgspec.json.decode(world.exchange.ask("userFees", user=ACCOUNT))
        return told["userAddRate"]

    _, seen = lived(tmp_path, "10:fee-tier:30:30", seconds=60, looks={9: rate, 30: rate, 59: rate})
    assert seen == ["0.00015", "0.0003", "0.00015"]


def test_an_owner_pays_in_and_out_and_nothing_halts(tmp_path: Path) -> None:
    run, (before, richer, poorer) = lived(
        tmp_path, "10:transfer:0:20000,30:transfer:0:-19000", seconds=60, looks={9: equity, 25: equity, 50: equity}
    )
    assert richer - before == pytest.approx(20_000, abs=300)
    assert richer - poorer == pytest.approx(19_000, abs=300)
    assert run.outcome.resumed == 0


def test_what_an_owner_trades_by_hand_is_ours_too(tmp_path: Path) -> None:
    def agrees(world: World) -> bool:
        assert world.engine is not None
        return world.engine.positions() == world.exchange.positions()

    _, (fill, agreed) = lived(
        tmp_path, "20:hand-trade:0:1500", seconds=90, looks={22: lambda world: fills(world)[:50], 89: agrees}
    )
    assert [one for one in fill if one.get("cloid") is None]
    assert agreed


def test_orders_of_others_stand_until_their_owner_cancels_them(tmp_path: Path) -> None:
    def foreign(world: World) -> int:
        return len(world.exchange.shocks.foreign())

    plan = "10:foreign-orders:60:0,20:operator-halt:2:0,30:engine-kill:1:0"
    _, seen = lived(tmp_path, plan, seconds=90, looks={12: foreign, 65: foreign, 75: foreign})
    assert seen == [12, 12, 0]


def test_a_fill_of_an_owners_order_is_known_of(tmp_path: Path) -> None:
    def told(world: World) -> tuple[bool, int]:
        return world.exchange.shocks.filled_ns > 0, len(world.exchange.shocks.foreign())

    plan = "10:foreign-orders:60:0,20:price-shock:0:-72"
    _, (before, after) = lived(tmp_path, plan, seconds=40, looks={19: told, 24: told})
    assert before == (False, 12)
    assert after[0] and after[1] < 12


def test_after_an_upgrade_only_post_only_orders_are_taken(tmp_path: Path) -> None:
    def seen(world: World) -> tuple[bool, Mode, list[int]]:
        assert world.engine is not None
        gateway = world.engine.engine.orders.gateway
        return bool(world.judge.own_orders()), gateway.mode, world.exchange.positions()

    plan = "20:upgrade:1:60,46:operator-halt:2:1"
    _, (quoting, closing, quoting_again) = lived(tmp_path, plan, seconds=150, looks={45: seen, 48: seen, 140: seen})
    assert any(quoting[2]), "there is something to close"
    assert quoting[:2] == (True, Mode.NORMAL)
    assert closing == (False, Mode.POST_ONLY, quoting[2]), "what takes is refused, and waits"
    assert quoting_again[:2] == (True, Mode.NORMAL)


def test_cancels_come_late(tmp_path: Path) -> None:
    """While they are under way what they mean is filled, and no promise breaks."""
    plan = "5:slow-cancels:60:2500," + ",".join(
        f"{at}:price-jump:0:{15 if at % 20 else -15}" for at in range(10, 61, 10)
    )
    run, (late, usual) = lived(
        tmp_path, plan, seconds=70,
        looks={30: late_ns, 69: late_ns},
    )  # fmt: skip
    assert (late, usual) == (2_500_000_000, 0)
    assert any(run.world.exchange.positions())
