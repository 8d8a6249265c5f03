"""What is watched, watched by a real Prometheus: every number is there, and is the venue's own; every alert fires when
what it tells of happens, and no longer than that.

Alerts wait and look back for a share of their times here (`PACES` of the stage); that they are right with the times
that they are shipped with is held by their unit tests, which have hours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from hlhft.monitor.alerts import Severity, alerts
from hlhft.monitor.board import expressions
from hlhft.monitor.selectors import selectors
from tests.endtoend.fault_lanes import LANES
from tests.endtoend.faults import Rehearsal
from tests.endtoend.house import eventually
from tests.endtoend.stage import COINS, Stage

MICRO = Decimal("0.000001")
SETTLE_S = 20.0
SCRAPES_SHOWN_S = 8  # before now, over which scrapes are counted


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything that runs, and who watches it; its faults mount and freeze disks, and set the kernel's clock."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED that alerts fire on real faults: disks are mounted and frozen for it, as root")
    with Stage(tmp_path_factory.mktemp("m")) as there:
        yield there


def micro(value: Decimal) -> Decimal:
    return value.quantize(MICRO)


def ledger(stage: Stage) -> dict[str, Any]:
    """What the venue says of the account of `main`: fills, fees and rebates, funding, positions and equity."""
    stage.house._look()
    trader, info = stage.trader, stage.house.desk.info
    fills = trader.fills()
    counted: dict[tuple[str, str, str], int] = {}
    for fill in fills:
        key = fill["coin"], "buy" if fill["side"] == "B" else "sell", "taker" if fill["crossed"] else "maker"
        counted[key] = counted.get(key, 0) + 1
    fees = [Decimal(fill["fee"]) for fill in fills]
    return {
        "fills": counted,
        "fees": -sum((fee for fee in fees if fee > 0), Decimal(0)),
        "rebates": -sum((fee for fee in fees if fee < 0), Decimal(0)),
        "funding": sum((Decimal(paid["delta"]["usdc"]) for paid in info.user_funding_history(trader.address, 0)),
                       Decimal(0)),
        "closed": sum((Decimal(fill["closedPnl"]) for fill in fills), Decimal(0)),
        "positions": {coin: trader.signed_size(coin) for coin in COINS},
        "equity": trader.value(),
    }  # fmt: skip


def scraped(stage: Stage, at_s: float) -> dict[str, Any]:
    """The same as Prometheus has it at a time."""
    engine = f'{{instance="{stage.main.instance}"}}'

    def total(name: str, more: str = "") -> Decimal:
        selector = f'{name}{{instance="{stage.main.instance}"{more}}}'
        return sum((sample.value for sample in stage.prometheus.query(selector, at_s=at_s)), Decimal(0))

    fills = stage.prometheus.query(f"hlhft_fills_total{engine} > 0", at_s=at_s)
    sizes = stage.prometheus.query(f"hlhft_position_size{engine}", at_s=at_s)
    return {
        "fills": {
            (found.labels["market"], found.labels["side"], found.labels["liquidity"]): int(found.value)
            for found in fills
        },
        **{name: micro(total("hlhft_profit_usdc", f',part="{name}"')) for name in ("fees", "rebates", "funding")},
        "closed": micro(total("hlhft_profit_realised_usdc")),
        "positions": {found.labels["market"]: found.value for found in sizes},
        "equity": micro(total("hlhft_equity_usdc")),
    }


def next_scrape(stage: Stage, after_s: float) -> float:
    """The time of the first scrape of `main` that is later than a time."""
    selector = f'timestamp(up{{instance="{stage.main.instance}"}})'
    found: list[float] = []

    def has_come() -> bool:
        found.append(float(stage.prometheus.value(selector)))
        return found[-1] > after_s

    eventually(has_come, within_s=SETTLE_S)
    return found[-1]


def test_what_is_scraped_is_what_the_ledger_of_the_venue_says(stage: Stage) -> None:
    """Fills on both sides of both markets; then nobody trades, and a scrape is held against the venue, to the micro."""
    for coin, is_buy, usdc in (("ETH", False, 400), ("BTC", True, 300), ("ETH", True, 150), ("BTC", False, 700)):
        eventually(partial(stage.crowd.take, coin, is_buy=is_buy, usdc=usdc), within_s=SETTLE_S)
    settled(stage)
    before, at_s = standing(stage)
    assert before["fills"] and any(before["positions"].values()) and before["fees"] < 0
    assert scraped(stage, at_s) == before
    start = stage.prometheus.value(f'hlhft_equity_start_usdc{{instance="{stage.main.instance}"}}')
    earned = stage.prometheus.value(f'sum(hlhft_profit_total_usdc{{instance="{stage.main.instance}"}})', at_s=at_s)
    assert micro(earned) == micro(before["equity"] - start) != 0


def standing(stage: Stage) -> tuple[dict[str, Any], float]:
    """The ledger of the venue and the time of a scrape, of which the engine had a second to hear: the ledger was the
    same before and after it, though marks go on moving now and then."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        before = ledger(stage)
        at_s = next_scrape(stage, time.time() + 1.0)
        if ledger(stage) == before:
            return before, at_s
    raise AssertionError(f"the ledger did not stand still for {SETTLE_S} s")


def settled(stage: Stage) -> None:
    """Waits until the venue's ledger does not change any more, and the engine quotes."""
    last: list[Any] = [None]

    def stands() -> bool:
        now = ledger(stage)
        is_same, last[0] = now == last[0], now
        return is_same and stage.main.quotes()

    eventually(stands, within_s=SETTLE_S)


def test_every_selector_of_dashboard_and_alerts_returns_data(stage: Stage) -> None:
    wanted = [*expressions(account=stage.main_account), *(alert.expression for alert in alerts(stage.main.config))]
    texts = {selector.text for expression in wanted for selector in selectors(expression)}
    assert len(texts) > 50
    missing: list[str] = []

    def all_there() -> bool:
        missing[:] = [text for text in sorted(texts) if not stage.prometheus.query(text)]
        return not missing

    try:
        eventually(all_there, within_s=SETTLE_S)
    except AssertionError:
        pytest.fail(f"without data: {missing}")


def test_scrapes_come_each_second_and_none_fails(stage: Stage) -> None:
    def shown() -> dict[tuple[tuple[str, str], ...], list[tuple[float, Decimal]]]:
        return stage.prometheus.samples('up{job="hlhft"}', seconds=SCRAPES_SHOWN_S)

    eventually(lambda: all(len(samples) >= SCRAPES_SHOWN_S - 1 for samples in shown().values()), within_s=SETTLE_S)
    for labels, samples in shown().items():
        times = [at for at, _ in samples]
        assert all(value == 1 for _, value in samples), labels
        gaps = [after - before for before, after in pairwise(times)]
        assert all(abs(gap - 1) < 0.1 for gap in gaps), (labels, gaps)


def test_nothing_fires_but_the_heartbeat_while_all_is_well(stage: Stage) -> None:
    """Of `main`; small and away lack what they were not given: a watchdog, a process that is none of theirs."""

    def only_the_heartbeat() -> bool:
        found = [one for one in stage.prometheus.alerts() if one.get("instance") in (None, stage.main.instance)]
        return [labels["alertname"] for labels in found] == ["Heartbeat"]

    stage.prometheus.until(only_the_heartbeat, within_s=SETTLE_S)


@pytest.fixture(scope="module")
def rehearsal(stage: Stage) -> Rehearsal:
    """All faults, done and undone; after everything that wants it quiet."""
    found = Rehearsal(stage)
    found.perform(LANES)
    return found


@pytest.mark.parametrize("name", [alert.name for alert in alerts() if alert.severity is not Severity.HEARTBEAT])
def test_the_alert_fires_when_it_happens_and_ends_when_it_is_over(rehearsal: Rehearsal, name: str) -> None:
    outcomes = [outcome for (alert, _), outcome in rehearsal.outcomes.items() if alert == name]
    assert outcomes, f"no fault fires {name}: add one to tests/endtoend/fault_lanes.py"
    for outcome in outcomes:
        print(f"{outcome.fault}: {name} fired after {outcome.fired_s} s, resolved after {outcome.resolved_s} s")
        assert outcome.fired_s is not None and outcome.resolved_s is not None, outcome.failure
