from __future__ import annotations

import pytest

from hlhft.exchange.flow.state import ACCOUNTS
from hlhft.exchange.opening import OpeningError, coins, open_machine, open_settings, test_key, test_signer
from hlhft.units import MICRO
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
