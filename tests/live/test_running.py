"""A run without its command line: settings of paper, a reload, and the exchange that a paper run starts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hlhft.config.load import Loaded, load
from hlhft.config.settings import Config
from hlhft.exchange.listing import Listing
from hlhft.hyperliquid.supervisor_events import Verdict
from hlhft.live import running
from hlhft.live.control import Reloaded
from hlhft.live.engine import Engine
from hlhft.live.preflight import VenueError
from hlhft.live.running import _like, _Reloading, on_paper, run_engine
from hlhft.units import MICRO
from tests.exchange.hall import LISTING
from tests.live.engines import Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings
from tests.live.watched import signer_of


def test_paper_has_its_own_account_and_folders(tmp_path: Path) -> None:
    loaded = load(None, {"HLHFT__ACCOUNT__ADDRESS": "0x" + "ab" * 20, "HLHFT__MARKET_DATA__SOURCE": "node"})
    config = on_paper(loaded, tmp_path, "http://127.0.0.1:5", Path("/run/control.sock")).config
    assert (config.account.network, config.account.base_url) == ("local", "http://127.0.0.1:5")
    assert (config.account.address, config.account.key_file) == ("", "")
    assert config.engine.state_folder == str(tmp_path)
    assert config.engine.control_socket == "/run/control.sock"
    assert config.strategy == loaded.config.strategy
    assert (loaded.config.market_data.source, config.market_data.source) == ("node", "websocket")


def test_a_reload_tightens_and_sets_parameters_and_refuses_the_rest(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 1)
    path = write_settings(tmp_path, exchange, owner)
    loaded = load(path, {})
    levels: list[str] = []

    async def work() -> None:
        reload = _Reloading(loaded.config, path, {}, lambda config: levels.append(config.log.level))
        async with engine(path, reload=reload) as (there, _):
            await until(lambda: owner.sides("ETH") == {"A", "B"})
            text = path.read_text()
            path.write_text(
                text.replace("half_spread_bp = 5", "half_spread_bp = 8").replace("owner = 7", "owner = 8")
                + 'tick_to_trade_ms_max = 100\n[log]\nlevel = "debug"\n'
            )
            told = there.reload()
            assert told.is_done
            assert set(told.applied) == {"strategy.params", "risk.tick_to_trade_ms_max", "log.level"}
            assert levels == ["debug"]
            assert len(told.refused) == 1 and told.refused[0].startswith("account.owner")
            assert there.parts.brain.limits["tick_to_trade_ns_max"][0] == 100_000_000
            assert there.status().breakers[0].limit == "100 ms"
            path.write_text("[account]\nnonsense = 1\n")
            refused = there.reload()
            assert not refused.is_done
            assert "nonsense" in refused.sentence

    run_on_uvloop(work)


def test_a_reload_tells_the_legs_of_a_carry_their_cap(tmp_path: Path) -> None:
    there = Exchange(
        listing=Listing((*LISTING.markets[:2], LISTING.markets[3]), tokens=LISTING.tokens),
        reference_ticks=(1_100_000, 400_000, 20_000_000),
    )
    owner = Owner(there.url, 1)
    path = write_settings(tmp_path, there, owner)
    text = path.read_text().replace('"BTC", "ETH"', '"PURR/USDC", "BTC"')
    path.write_text(text.replace("two_sided", "funding").replace("half_spread_bp = 5", "unhedged_notional_usdc = 100"))
    loaded = load(path, {})

    async def work() -> None:
        async with engine(path, reload=_Reloading(loaded.config, path, {})) as (running_now, _):
            positions = running_now.parts.brain.lane.positions
            assert positions["unhedged_micro_max"].tolist() == [100 * MICRO] * 2
            path.write_text(path.read_text().replace("unhedged_notional_usdc = 100", "unhedged_notional_usdc = 60"))
            assert running_now.reload().applied == ("strategy.params",)
            assert positions["unhedged_micro_max"].tolist() == [60 * MICRO] * 2
            assert positions["pair"].tolist() == [2, 1]
            path.write_text(path.read_text().replace("unhedged_notional_usdc = 60", "unhedged_notional_usdc = 24"))
            told = running_now.reload()
            assert not told.is_done and "unhedged_notional_usdc" in told.sentence
            assert positions["unhedged_micro_max"].tolist() == [60 * MICRO] * 2

    try:
        run_on_uvloop(work)
    finally:
        there.stop()


def test_a_reload_of_a_paper_run_leaves_its_account_and_folders(tmp_path: Path) -> None:
    fresh = load(None, {"HLHFT__ACCOUNT__NETWORK": "testnet", "HLHFT__STRATEGY__NAME": "two_sided"}).config
    paper = on_paper(load(None, {}), tmp_path, "http://127.0.0.1:5", Path("/run/control.sock")).config
    merged = _like(paper, fresh)
    assert (merged.account, merged.engine, merged.strategy) == (paper.account, paper.engine, fresh.strategy)
    assert _like(fresh, fresh) is fresh
    assert _like(paper, paper) is paper


def test_a_run_on_an_account_ends_as_its_engine_ends(
    exchange: Exchange, market: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What compresses a closed segment outlives the run, and would outlive the test.
    monkeypatch.setattr(running, "Orders", partial(running.Orders, compresses=False))
    owner = Owner(exchange.url, 2)
    path = write_settings(tmp_path, exchange, owner)
    reloaded: list[Reloaded] = []

    def ready(there: Engine) -> None:
        reloaded.append(there.reload())
        there.stop("seen enough")

    assert run_engine(load(path, {}), {}, path, on_ready=ready).verdict in (Verdict.EMPTY, Verdict.UNSTARTED)
    assert reloaded == [Reloaded(is_done=True, sentence="0 settings changed, 0 need a restart")]
    assert not owner.own_orders()


def test_a_paper_run_starts_its_exchange_gives_money_and_ends_it(
    exchange: Exchange, market: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange is the one of these tests: what is started in its place writes its address."""
    stopped: list[float] = []

    class Child:
        last_words = ""

        def wait_for(self, ready: Path, *, within_s: float) -> bool:
            ready.write_text(json.dumps({"url": exchange.url}))
            return True

        def stop(self, *, within_s: float) -> int:
            stopped.append(within_s)
            return 0

    monkeypatch.setattr(running.child, "start", lambda arguments, *, log, name: asked.extend(arguments) or Child())
    asked: list[str] = []
    config = Config()
    config = Config(
        engine=type(config.engine)(coins=("ETH",), state_folder=str(tmp_path), stop_ms_max=5000),
        strategy=type(config.strategy)(name="two_sided"),
    )
    original = running.Orders

    def orders(**more: Any) -> Any:
        made = original(**more, compresses=False)
        assert made.is_paper
        return made

    monkeypatch.setattr(running, "Orders", orders)
    ended = run_engine(Loaded(config, {}), {}, None, is_paper=True, on_ready=lambda there: there.stop("seen enough"))
    assert ended.verdict in (Verdict.EMPTY, Verdict.UNSTARTED, Verdict.NOT_EMPTY)
    assert asked[:5] == ["exchange", "--flow", "live", "--coins", "ETH"]
    assert stopped
    assert (tmp_path / "paper" / "agent.key").stat().st_mode & 0o777 == 0o600


def test_an_exchange_that_does_not_come_up_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Child:
        last_words = "hlhft: no network"

        def wait_for(self, ready: Path, *, within_s: float) -> bool:
            return False

        def stop(self, *, within_s: float) -> int:
            return 1

    monkeypatch.setattr(running.child, "start", lambda arguments, *, log, name: Child())
    config = Config()
    config = Config(engine=type(config.engine)(coins=("ETH",), state_folder=str(tmp_path)))
    with pytest.raises(VenueError, match="does not come up: hlhft: no network"):
        run_engine(Loaded(config, {}), {}, None, is_paper=True)


def test_money_that_is_not_given_is_said() -> None:
    with pytest.raises(VenueError, match="gives no money"):
        running._deposit("http://127.0.0.1:1", signer_of(1))
