"""What an engine does not start with: each is one sentence that says what, where and what to do."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hlhft.config.live_sections import Account as AccountSettings
from hlhft.config.live_sections import Engine as EngineSection
from hlhft.config.live_sections import MarketData
from hlhft.config.settings import Config
from hlhft.hyperliquid.markets import MarketError
from hlhft.live.clock import Clock
from hlhft.live.http import Http
from hlhft.live.preflight import Found, Preflight, StartError, VenueError, key_path, settings_faults, signer_of
from hlhft.live.private_files import PrivateFileError
from tests.live.engines import Exchange, Owner
from tests.live.watched import Account
from tests.live.watched import signer_of as key_of


@dataclass
class Start:
    """A start with settings that a test spoils."""

    url: str
    address: str = ""
    signer: int = 1
    coins: tuple[str, ...] = ("ETH", "BTC")
    vault: str = ""
    ahead_ns: int = 0
    network: str = "local"

    def look(self) -> Found:
        return asyncio.run(self._look())

    async def _look(self) -> Found:
        config = Config()
        account = {"network": self.network, "base_url": self.url, "address": self.address, "vault_address": self.vault}
        config = type(config)(
            account=AccountSettings(**account),  # type: ignore[arg-type]
            engine=type(config.engine)(coins=self.coins),
        )
        http = Http(self.url)
        clock = Clock(wall_ns=lambda: time.time_ns() + self.ahead_ns)
        try:
            return await Preflight(config, key_of(self.signer), http, clock).look()
        finally:
            await http.close()


@pytest.fixture(scope="module")
def owner(exchange: Exchange) -> Owner:
    Owner(exchange.url, 2)  # another account, with an agent of its own
    return Owner(exchange.url, 1)


def test_an_agent_of_the_account_may_start_and_markets_are_in_the_order_of_the_settings(
    exchange: Exchange, owner: Owner
) -> None:
    found = Start(exchange.url, address=owner.address.upper().replace("0X", "0x"), signer=254).look()
    assert found.address == owner.address.lower()
    assert [market.name for market in found.markets] == ["ETH", "BTC"]
    assert [found.asset_ids[market.name] for market in found.markets] == [1, 0]
    assert abs(found.offset_ms) <= 1000


def test_the_accounts_own_key_may_start(exchange: Exchange, owner: Owner) -> None:
    assert Start(exchange.url).look().address == owner.address.lower()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"signer": 9}, ("knows no account", "account.address", "deposit")),
        ({"signer": 9, "address": "owner"}, ("does not know the key's address", "approve it as an API wallet")),
        ({"signer": 2, "address": "owner"}, ("is no API wallet of", "but user")),
        ({"signer": 253, "address": "owner"}, ("is no API wallet of", "but agent of 0x")),
        ({"ahead_ns": 5 * 10**9}, ("clock is", "ahead of the venue's", "time service")),
        ({"ahead_ns": -5 * 10**9}, ("clock is", "behind the venue's")),
    ],
)
def test_keys_accounts_and_clocks_that_do_not_fit_are_refused(
    exchange: Exchange, owner: Owner, changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    if changes.get("address") == "owner":
        changes = {**changes, "address": owner.address}
    with pytest.raises(StartError) as refused:
        Start(exchange.url, **changes).look()
    assert all(part in str(refused.value) for part in parts), refused.value


@pytest.mark.parametrize(
    ("coins", "part"), [(("ETHH",), "ETHH is no market of the venue"), (("ETH", "ETH"), "ETH is named 2 times")]
)
def test_markets_that_are_none_are_refused_by_name(
    exchange: Exchange, owner: Owner, coins: tuple[str, ...], part: str
) -> None:
    with pytest.raises(MarketError, match=part):
        Start(exchange.url, coins=coins).look()


def test_real_money_wants_something_that_cancels_for_a_lost_host(exchange: Exchange, owner: Owner) -> None:
    with pytest.raises(StartError, match="nothing cancels the orders of this host"):
        Start(exchange.url, network="mainnet").look()


def test_a_builders_exchange_that_is_not_there_is_refused(exchange: Exchange, owner: Owner) -> None:
    with pytest.raises((StartError, VenueError), match=r"exchange xyz|perpDexs|meta"):
        Start(exchange.url, coins=("xyz:GOLD",)).look()


def test_money_on_the_spot_side_is_money(exchange: Exchange) -> None:
    saver = Account(exchange.url, 5)
    chain = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
    saver.act({"type": "usdClassTransfer", **chain, "amount": "100000", "toPerp": False})
    assert Start(exchange.url, signer=5).look().address == saver.address.lower()


DEX = {
    "perpDexs": '[null,{"name":"xyz"}]',
    "meta xyz": '{"universe":[{"name":"xyz:GOLD","szDecimals":2,"maxLeverage":10}]}',
}


def test_markets_of_a_builders_exchange_are_found_where_they_are_asked_for(exchange: Exchange, owner: Owner) -> None:
    found = asked(exchange, DEX, address=owner.address, signer=254, coins=("xyz:GOLD", "ETH"))
    assert [market.name for market in found.markets] == ["xyz:GOLD", "ETH"]
    assert found.asset_ids["xyz:GOLD"] == 110_000


EMPTY = {
    "clearinghouseState": '{"marginSummary":{"accountValue":"0.0","totalNtlPos":"0.0","totalRawUsd":"0.0",'
    '"totalMarginUsed":"0.0"},"crossMarginSummary":{"accountValue":"0.0","totalNtlPos":"0.0","totalRawUsd":"0.0",'
    '"totalMarginUsed":"0.0"},"crossMaintenanceMarginUsed":"0.0","withdrawable":"0.0","assetPositions":[],"time":1}',
    "spotClearinghouseState": '{"balances":[]}',
}
EXPIRED = {"extraAgents": f'[{{"name":"engine","address":"{key_of(254).address}","validUntil":1}}]'}
HTML = {"exchangeStatus": "<html>Bad Gateway</html>"}
SHAPELESS = {"exchangeStatus": '{"time": "soon"}'}


@pytest.mark.parametrize(
    ("instead", "error", "part"),
    [
        (EMPTY, StartError, "has no money: deposit USDC"),
        (EXPIRED, StartError, "has expired; approve a new one"),
        (HTML, VenueError, "does not answer exchangeStatus: the answer is no JSON but text/html: <html>Bad Gateway"),
        (SHAPELESS, VenueError, "does not answer exchangeStatus"),
    ],
)
def test_what_the_venue_says_decides(
    exchange: Exchange, owner: Owner, instead: dict[str, str], error: type[Exception], part: str
) -> None:
    with pytest.raises(error) as refused:
        asked(exchange, instead, address=owner.address, signer=254)
    assert part in str(refused.value)


def asked(exchange: Exchange, instead: dict[str, str], **start: Any) -> Found:
    """What is found at a venue that answers as the exchange does, but for some questions."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        question = json.loads(body)
        kind = f"{question['type']} {question.get('dex', '')}".strip()
        if kind in instead:
            html = instead[kind].startswith("<")
            return web.Response(text=instead[kind], content_type="text/html" if html else "application/json")
        async with aiohttp.ClientSession() as session, session.post(exchange.url + "/info", data=body) as told:
            return web.Response(body=await told.read(), content_type="application/json")

    async def work() -> Found:
        application = web.Application()
        application.router.add_post("/info", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        try:
            return await Start(f"http://127.0.0.1:{port}", **start)._look()
        finally:
            await runner.cleanup()

    return asyncio.run(work())


def test_the_key_is_in_the_file_of_the_settings_else_in_the_credential(tmp_path: Path) -> None:
    assert key_path(AccountSettings(key_file="/a/key"), {"CREDENTIALS_DIRECTORY": "/c"}) == Path("/a/key")
    assert key_path(AccountSettings(), {"CREDENTIALS_DIRECTORY": "/c"}) == Path("/c/agent-key")
    with pytest.raises(StartError, match=r"account\.key_file is not set"):
        key_path(AccountSettings(), {})
    path = tmp_path / "key"
    path.write_text("11" * 32)
    path.chmod(0o644)
    with pytest.raises(PrivateFileError, match="others than its owner"):
        signer_of(AccountSettings(key_file=str(path)), {})
    path.chmod(0o600)
    assert signer_of(AccountSettings(key_file=str(path)), {}).address == key_of(0x11).address


def test_settings_that_are_for_backtests_only_are_refused_in_sentences() -> None:
    config = Config()
    assert settings_faults(config) == ["engine.coins names no market; name those to trade"]
    config = Config(batch=type(config.batch)(expires_after_ms=0), engine=type(config.engine)(coins=("BTC",)))
    (fault,) = settings_faults(config)
    assert fault.startswith("batch.expires_after_ms is 0")


def test_books_of_a_node_need_its_folder():
    config = Config(engine=EngineSection(coins=("BTC",)), market_data=MarketData(source="node"))
    (fault,) = settings_faults(config)
    assert "market_data.node_folder is not set" in fault
    config = Config(engine=config.engine, market_data=MarketData(source="node", node_folder="/hl/data"))
    assert settings_faults(config) == []
