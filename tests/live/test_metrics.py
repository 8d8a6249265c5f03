"""A running engine shows every metric of its own, and what it shows is what its status says at the same moment."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from hlhft.events import EventKind
from hlhft.live import metrics
from hlhft.live.engine import Engine
from hlhft.live.metrics import EVERY_NS
from hlhft.live.view import Status
from hlhft.monitor.block import HistogramReading, Reading, block_path, read_block
from hlhft.monitor.metrics import METRICS, Source
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings

OF_ENGINE = {metric.name for metric in METRICS if metric.source is Source.ENGINE}


class Shown:
    """What a block shows, by name and labels."""

    def __init__(self, path: Path) -> None:
        self.reading: Reading = read_block(path)
        self.values = {
            (sample.metric.name.removeprefix("hlhft_"), *sample.labels): sample.value for sample in self.reading.series
        }

    def __getitem__(self, key: str | tuple[str, ...]) -> float:
        value = self.values[(key,) if isinstance(key, str) else key]
        assert not isinstance(value, HistogramReading)
        return value

    def histogram(self, name: str) -> HistogramReading:
        value = self.values[(name,)]
        assert isinstance(value, HistogramReading)
        return value


def place(folder: Path) -> Path:
    return block_path(folder / "state" / "metrics", Source.ENGINE)


def test_an_engine_shows_every_metric_of_its_own_as_its_status_has_it(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 21)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH")))
            await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.05", "Ioc"))
            await until(lambda: there.status().counters["fills"] > 0)
            tell_signals(there)
            check_everything_is_there(Shown(place(tmp_path)))
            status = at_one_moment(there)
            shown = Shown(place(tmp_path))
            check_state(shown, status)
            check_markets(shown, status)
            check_counts(shown, status)
            await until(lambda: judged_of(later(tmp_path)) == 1)
            await until(lambda: later(tmp_path)["quoting_seconds_total", "BTC"] > 0)
            judged = later(tmp_path)
            assert judged_of(judged) == 1
            assert judged["signal_surprise_total", "ETH"] >= 0
            assert judged["trading_seconds_total"] >= judged["quoting_seconds_total", "BTC"]
            there.halt("a look")
            await until(lambda: later(tmp_path)["halted"] == 1)
            halted = later(tmp_path)
            assert halted["stage", "halted"] == halted["breaker_latched", "operator"] == 1
            assert halted["stage_changes_total"] > shown["stage_changes_total"]
        ended = Shown(place(tmp_path))
        assert ended.reading.is_closed and ended["stage", "stopped"] == 1

    run_on_uvloop(work)


def later(folder: Path) -> Shown:
    return Shown(place(folder))


def judged_of(shown: Shown) -> float:
    return sum(shown["signals_judged_total", "ETH", one] for one in ("hit", "miss", "flat"))


def tell_signals(there: Engine) -> None:
    told = there.hub.clock.now_ns()
    until_ns = told + 30_000_000_000
    there.dispatch.tell(
        [
            (told, told, 125_000, 50_000, 1, until_ns, 5, int(EventKind.SIGNAL), 2, ETH, 0, 0),
            (told, told, 9_000_000, 500_000, 1_250_000, until_ns, -100_000, int(EventKind.POLICY), 2, ETH, 0, 0),
        ]
    )


def at_one_moment(there: Engine) -> Status:
    """Copies and asks with nothing in between."""
    metrics_of(there).copy()
    return there.status()


def metrics_of(there: Engine) -> metrics.EngineMetrics:
    """Whoever has the timers is the one that copies."""
    found = there.hub.timers._owners[metrics.OWNER].__self__  # type: ignore[attr-defined]
    assert isinstance(found, metrics.EngineMetrics)
    return found


def check_everything_is_there(shown: Shown) -> None:
    assert {sample.metric.name for sample in shown.reading.series} == OF_ENGINE
    assert set(shown.reading.labels) == {"account"}
    assert shown.reading.refused == 0
    assert shown["engine_info", "local", "two_sided", "1"] == 1


def check_state(shown: Shown, status: Status) -> None:
    assert shown.reading.labels["account"] == status.account
    stages = {name for (metric, name), value in pairs(shown, "stage") if value}
    assert stages == {status.stage}
    assert shown["halted"] == 0
    for one in status.breakers:
        name = one.name.replace(" ", "_")
        assert shown["breaker_tripped", name] == one.is_tripped
        assert shown["breaker_latched", name] == one.is_latched
    equity = status.equity
    assert equity is not None and equity.peak_usdc is not None and equity.drawdown_share is not None
    assert shown["equity_usdc"] == equity.usdc
    assert shown["equity_start_usdc"] == equity.start_usdc
    assert shown["equity_peak_usdc"] == equity.peak_usdc
    assert shown["drawdown_ratio"] == equity.drawdown_share
    assert shown["drawdown_limit_ratio"] == equity.drawdown_share_max
    for one in status.budgets:
        name = {"posts in flight": "posts"}.get(one.name, one.name.replace(" ", "_"))
        assert (shown["budget_used", name], shown["budget_limit", name]) == (one.used, one.limit)
        assert shown["budget_ratio", name] == one.used / one.limit
        assert 0 <= shown["budget_reserve_ratio", name] < 1
    assert 0 < shown["budget_used", "http_weight"] < shown["budget_limit", "http_weight"]
    for one in status.connections:
        assert shown["connected", one.name] == (one.state == "live")
        assert shown["reconnects_total", one.name] == one.reconnects
        assert one.age_ms is not None
        assert 0 <= one.age_ms / 1000 - shown["connection_age_seconds", one.name] < 1
    covered = [shown["loss_covered", loss] for loss in ("engine", "host", "both")]
    assert covered == [one.is_covered for one in status.covers]
    assert shown["watchdog_heard", "local"] == 0
    assert abs(shown["clock_offset_seconds"]) < 1 and shown["clock_step_seconds"] == 0


def pairs(shown: Shown, name: str) -> list[tuple[tuple[str, ...], float]]:
    return [(key, shown[key]) for key in shown.values if key[0] == name]


def check_markets(shown: Shown, status: Status) -> None:
    for one in status.markets:
        name = one.name
        assert shown["position_size", name] == pytest.approx(float(one.position))
        assert one.notional_usdc is not None and one.notional_usdc_max is not None and one.age_ms is not None
        assert abs(shown["position_usdc", name]) == one.notional_usdc
        assert shown["position_limit_usdc", name] == one.notional_usdc_max
        skew = math.copysign(100 * one.notional_usdc / one.notional_usdc_max, float(one.position))
        assert shown["inventory_skew_percent", name] == pytest.approx(skew)
        assert (shown["best_price", name, "bid"], shown["best_price", name, "ask"]) == (
            pytest.approx(float(one.bid or 0)), pytest.approx(float(one.ask or 0)),
        )  # fmt: skip
        assert shown["best_price", name, "bid"] <= shown["mark_price", name] * 1.01
        assert shown["feed_fresh", name] == one.is_fresh
        assert 0 <= one.age_ms / 1000 - shown["feed_age_seconds", name] < 1
        resting = [quote for quote in one.quotes if quote.state in ("open", "partial", "cancel_sent")]
        for side, number in (("buy", 1), ("sell", -1)):
            assert shown["quotes", name, side] == sum(quote.side == number for quote in resting)
        assert shown["profit_total_usdc", name] == one.profit_usdc
        assert sum(value for key, value in pairs(shown, "fills_total") if key[1] == name) == one.fills
        assert shown["signal_bp", name] == (one.signal_bp or 0)
        assert shown["signal_deviation_bp", name] == (one.signal_deviation_bp or 0)
        assert shown["signal_standing", name] == (one.signal_bp is not None)
        assert shown["policy_standing", name] == (one.policy is not None)
    policy = status.markets[ETH].policy
    assert policy is not None
    assert shown["policy_output", "ETH", "gamma"] == policy.gamma == 4
    assert shown["policy_output", "ETH", "asymmetry"] == policy.asymmetry
    assert shown["policy_output", "BTC", "gamma"] == 1
    assert shown["signal_age_seconds", "ETH"] < 5 and math.isnan(shown["signal_age_seconds", "BTC"])
    assert (shown["fills_total", "ETH", "sell", "maker"], shown["fills_total", "ETH", "buy", "taker"]) == (1, 0)
    assert 190 < shown["filled_usdc_total", "ETH", "sell", "maker"] < 210
    assert shown["quoting", "BTC"] == 1 and 0 < shown["quote_distance_ratio", "BTC", "buy"] < 0.01
    profit = status.profit
    assert profit is not None
    for part in ("spread", "inventory", "basis", "funding"):
        parts = sum(shown["profit_usdc", name, part] for name in ("BTC", "ETH"))
        assert parts == pytest.approx(getattr(profit, part), abs=1e-9)
    fees = sum(shown["profit_usdc", name, part] for name in ("BTC", "ETH") for part in ("fees", "rebates"))
    assert fees == pytest.approx(profit.fees, abs=1e-9)
    assert shown["profit_realised_usdc", "ETH"] == 0 and shown["profit_residual_usdc", "ETH"] == 0
    assert shown["fee_ratio", "ETH", "maker"] > 0


def check_counts(shown: Shown, status: Status) -> None:
    counters = status.counters
    for name, counter in (
        ("orders_placed_total", "orders placed"), ("orders_cancelled_total", "orders cancelled"),
        ("quotes_refused_total", "quotes refused"), ("decisions_total", "decisions"),
        ("frame_faults_total", "frames that cannot be decoded"),
        ("store_failures_total", "writes to the store that failed"),
    ):  # fmt: skip
        assert shown[name] == counters.get(counter, 0), name
    assert shown["frames_total"] == counters["frames scanned"] + counters["frames decoded by type"]
    assert shown["orders_open"] >= 4 and shown["unknown_orders"] == shown["unknown_order_age_seconds"] == 0
    for name in ("rejections_total", "illegal_transitions_total", "strategy_failures_total", "journal_trouble"):
        assert shown[name] == 0, name
    assert shown["reconciliations_total"] >= 1 and 0 <= shown["reconciliation_age_seconds"] < 60
    assert shown["journal_bytes_total"] > 10_000 and 0 <= shown["journal_lag_seconds"] < 5
    assert shown["exposure_usdc"] > 0 and 0 < shown["margin_distance_ratio"] <= 1
    for latency, name in zip(
        status.latencies, ("tick_to_trade_seconds", "acknowledgement_seconds", "loop_lateness_seconds"), strict=True
    ):
        assert shown.histogram(name).count == latency.count, name
    for name in ("step_seconds", "feed_latency_seconds", "journal_sync_seconds"):
        assert shown.histogram(name).count > 0, name
    assert shown["signals_expected"] == 0 and shown.histogram("signal_data_age_seconds").count == 0


def test_a_folder_that_cannot_be_written_costs_a_warning_and_no_trade(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 22)
    (tmp_path / "no folder").write_text("")
    path = write_settings(tmp_path, exchange, owner)
    path.write_text(path.read_text() + f'\n[metrics]\nfolder = "{tmp_path / "no folder"}"\n')

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: owner.sides("BTC") == {"A", "B"})
            said = [one.text for one in there.hub.happenings if "metrics" in one.text]
            assert len(said) == 1 and "cannot be shown there" in said[0]
            assert there.orders.tick_to_trade.count > 0

    run_on_uvloop(work)


def test_a_block_that_is_removed_costs_one_warning(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 23)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            place(tmp_path).unlink()
            await until(lambda: any("was removed" in one.text for one in there.hub.happenings))
            copied = metrics_of(there)
            copied._fired("copy", 0)
            copied._fired("copy", 0)
            await until(lambda: owner.sides("BTC") == {"A", "B"})
            assert sum("was removed" in one.text for one in there.hub.happenings) == 1

    run_on_uvloop(work)


def test_a_long_copy_lets_the_sockets_be_served_and_shows_nothing_before_its_end(
    exchange: Exchange, market: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(exchange.url, 24)
    path = write_settings(tmp_path, exchange, owner)
    monkeypatch.setattr(metrics, "SLICE_NS", -1)

    async def work() -> None:
        async with engine(path) as (there, _):
            copies, shown_at = metrics_of(there), []
            block = copies._block
            before = read_block(place(tmp_path)).beat_ns
            copies._fired("copy", 0)
            assert copies._next == 1, "one slice, and then the sockets have their turn"
            while copies._next < len(copies._slices):
                shown_at.append(read_block(place(tmp_path)).beat_ns)
                await turn()
            await until(lambda: read_block(place(tmp_path)).beat_ns > before)
            assert set(shown_at) == {before}
            assert len(shown_at) == len(copies._slices) - 1
            assert copies.copied_ns > 0 and block.fault == ""

    run_on_uvloop(work)


async def turn() -> None:
    """Lets the loop turn once."""
    await asyncio.sleep(0)


def test_it_is_copied_oftener_than_prometheus_asks() -> None:
    assert EVERY_NS < 1_000_000_000
