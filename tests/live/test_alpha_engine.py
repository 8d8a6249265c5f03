"""An engine that trades, and what makes signals of its rows, without a model's libraries: they reach the core, are
shown to operators, and outlive nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.serving.loading import Answer, Served
from hlhft.alpha.serving.messages import Model
from hlhft.alpha.serving.shell import Places, Shell
from hlhft.alpha.serving.window import Bounds
from hlhft.alpha.wire import hash_bytes
from hlhft.live.alpha_link import SILENCE_NS
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings
from tests.live.test_metrics import Shown, place

pytestmark = pytest.mark.processes

SCHEMA = FeatureSchema(levels=1, half_life_ms=640)
ALPHA = f"\n[alpha]\nenabled = true\nlevels = 1\nhalf_life_ms = {SCHEMA.half_life_ms}\ntime_to_live_ms = 60000\n"
BP = 100_000


def model() -> Served:
    """It always expects a basis point."""
    columns = SCHEMA.columns
    bounds = Bounds(np.full(columns, -1e9), np.full(columns, 1e9))
    answer = Answer(np.array([0.25, 0.25, 0.5], np.float32), 1.0, 2.0)
    return Served(Model(7, hash_bytes(SCHEMA.hash), 1, columns, bounds), lambda window: answer)


def test_signals_reach_the_core_and_operators_see_it(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 1)
    path = write_settings(tmp_path, exchange, owner, risk=ALPHA)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH")))
            link, places = there.alpha, tmp_path / "state" / "alpha"
            assert link is not None and not link.is_heard
            names = ("features", "snapshot", "signals")
            shell = Shell(Places(**{name: f"ipc://{places}/{name}.sock" for name in names}), model())
            shell.start()
            positions = there.parts.brain.lane.positions

            def has_signal() -> bool:
                market.orders((ETH, True, "3999", "0.01", "Gtc"))
                return bool(positions["signal_e9"][1] == BP)

            await until(has_signal)
            assert positions["signal_deviation_e9"][1] == 2 * BP
            await until(lambda: link.is_heard)
            status = there.status()
            (shown,) = [one for one in status.connections if one.name == "alpha"]
            assert shown.state == "live"
            assert status.counters["alpha: signals"] > 0 and status.counters["alpha: rows told"] > 0
            assert next(one for one in status.latencies if "signal" in one.name).count > 0
            await until(lambda: Shown(place(tmp_path))["signal_bp", "ETH"] == 1)
            metrics = Shown(place(tmp_path))
            assert (
                metrics["signals_expected"] == metrics["signal_standing", "ETH"] == metrics["connected", "alpha"] == 1
            )
            assert metrics["signal_deviation_bp", "ETH"] == 2 and 0 <= metrics["signal_age_seconds", "ETH"] < 60
            assert metrics.histogram("signal_data_age_seconds").count > 0
            shell.close()
            link.heard_ns -= SILENCE_NS
            link.tend()
            (shown,) = [one for one in there.status().connections if one.name == "alpha"]
            assert (shown.state, shown.reconnects) == ("silent", 1)
            # A quote that moves is away for a moment; that both sides stand again is that quoting goes on.
            await until(lambda: all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH")))

    run_on_uvloop(work)
