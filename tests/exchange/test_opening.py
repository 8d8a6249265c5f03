from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hlhft.exchange.flow.state import ACCOUNTS
from hlhft.exchange.known_account import test_key, test_signer
from hlhft.exchange.machine import Machine
from hlhft.exchange.opening import (
    WARMING,
    OpeningError,
    coins,
    live_flow,
    of_recording,
    open_machine,
    open_settings,
    replayed_flow,
    settings_of,
    warm,
)
from hlhft.exchange.state_file import read_state, write_state
from hlhft.units import MICRO, Market
from tests.data.making import BTC, ETH, SECOND, ListSource, joined, level
from tests.exchange.clients import START_NS

test_key.__test__ = test_signer.__test__ = False  # type: ignore[attr-defined]


def test_an_exchange_opens_with_the_coins_asked_for() -> None:
    settings = open_settings(["SOL", "BTC"], seed=4, start_ns=START_NS, with_limits=False)
    assert settings.listing.names == ("SOL", "BTC")
    assert [listed.market.asset_id for listed in settings.listing.markets] == [0, 1]
    assert settings.listing.markets[1].tiers == ((0, 40), (150_000_000 * MICRO, 20))
    assert all(
        listed.market.is_valid_price(ticks) for listed, ticks in zip(settings.listing.markets, settings.reference_ticks)
    )
    assert (settings.seed, settings.with_limits, settings.with_delays) == (4, False, True)


def test_coins_that_cannot_be_listed() -> None:
    assert set(coins()) >= {"BTC", "ETH", "SOL", "WLFI"}
    with pytest.raises(OpeningError, match="coin btc cannot be listed, the nearest is BTC"):
        open_settings(["btc"], seed=1, start_ns=0)
    for names in ([], ["BTC", "BTC"]):
        with pytest.raises(OpeningError, match="lists each coin once and at least one"):
            open_settings(names, seed=1, start_ns=0)


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_test_account_is_funded(synthetic: bool) -> None:
    settings = open_settings(["ETH"], seed=1, start_ns=START_NS)
    machine = open_machine(settings, synthetic=synthetic)
    machine.advance(machine.next_deadline_ns())
    number = machine.addresses.number(test_signer(1).address)
    assert number == (1 + ACCOUNTS if synthetic else 1)
    assert machine.kernel.chain.exchange.collateral[number] == 100_000 * MICRO
    assert test_key(1) != test_key(2)


def test_a_recording_says_what_is_listed_and_at_which_price() -> None:
    rows = joined([level(1, 1, 1_000, 5), level(1, -1, 1_004, 5), level(2, 1, 90, 5, market=1)])
    source = ListSource([rows], [BTC, ETH], snapshots_only=False)
    markets, prices = of_recording(source, ())
    assert (markets, prices) == ([BTC, ETH], [1_002, 90])
    assert of_recording(source, ["ETH"]) == ([ETH], [90])
    with pytest.raises(OpeningError, match="list holds no SOL: there are BTC, ETH"):
        of_recording(source, ["SOL"])
    settings = settings_of([ETH], [90], seed=1, start_ns=START_NS)
    assert settings.listing.markets[0].market == replace(ETH, asset_id=0)
    machine = open_machine(settings, flow=replayed_flow(settings, source, repeat=False))
    for _ in range(3):
        machine.advance(machine.next_deadline_ns())
    assert machine.kernel.touch().tolist() == [[90, 0]]
    assert machine.addresses.number(test_signer(1).address) == 3


@pytest.mark.parametrize(
    "market", [Market.spot("HYPE", asset_id=1, size_decimals=2), replace(BTC, price_decimals=3, size_decimals=4)]
)
def test_only_perpetuals_that_the_ledger_can_hold_are_listed(market: Market) -> None:
    with pytest.raises(OpeningError, match="cannot be listed: an exchange lists perpetuals"):
        settings_of([market], [1_000], seed=1, start_ns=START_NS)


def test_a_live_flow_is_that_of_another_base_url() -> None:
    settings = open_settings(["ETH"], seed=1, start_ns=START_NS)
    assert live_flow(settings).url == "wss://api.hyperliquid.xyz/ws"
    assert live_flow(settings, "http://127.0.0.1:3001").url == "ws://127.0.0.1:3001/ws"


def test_an_exchange_on_a_recording_goes_on_from_its_file(tmp_path: Path) -> None:
    def opened() -> Machine:
        rows = [level(1, 1, 1_000, 5), level(5 * SECOND, 1, 1_001, 5), level(90 * SECOND, 1, 1_002, 5)]
        source = ListSource([joined(rows)], [BTC], snapshots_only=False)
        settings = settings_of([BTC], [1_000], seed=1, start_ns=START_NS, with_delays=False)
        return open_machine(settings, flow=replayed_flow(settings, source))

    first, second = opened(), opened()
    first.advance(START_NS + 8 * SECOND)
    write_state(tmp_path / "state", first.state())
    second.restore(read_state(tmp_path / "state"), START_NS + 8 * SECOND)
    for machine in (first, second):
        machine.advance(START_NS + 20 * SECOND)
        assert machine.kernel.touch().tolist() == [[1_001, 0]]
    assert second.digest == first.digest


def test_warming_asks_everything_and_changes_nothing() -> None:
    machine = open_machine(open_settings(["BTC"], seed=4, start_ns=START_NS))
    machine.advance(machine.next_deadline_ns())
    before = machine.state()
    warm(machine)
    assert machine.state() == before
    assert WARMING and not machine.counters["info requests"]
    for kind in WARMING:
        body = f'{{"type":"{kind}","user":"{test_signer(4).address}","coin":"BTC"}}'.encode()
        assert machine.answers.answer_bytes(body, machine.time_ns // 1_000_000).status == 200, kind
