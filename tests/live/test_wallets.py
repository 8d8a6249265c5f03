"""A wallet is approved at an exchange, and is then known as its owner's; what is refused says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hlhft.hyperliquid.signing import Signer
from hlhft.live.asking import Venue
from hlhft.live.wallets import WalletError, approve, is_approved
from tests.live.engines import Exchange, Owner
from tests.live.watched import signer_of

WALLET = Signer(b"\x21" * 32).address


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    served = Exchange()
    yield served
    served.stop()


def test_a_wallet_is_its_owners_once_it_is_approved(exchange: Exchange) -> None:
    Owner(exchange.url, 3)  # has money there
    venue, owner = Venue(exchange.url), signer_of(3)
    assert not is_approved(venue, owner.address, WALLET)
    approve(venue, owner, "engine", WALLET)
    assert is_approved(venue, owner.address, WALLET)
    assert not is_approved(venue, signer_of(4).address, WALLET), "nobody else's"
    approve(venue, owner, "engine", Signer(b"\x22" * 32).address)
    assert not is_approved(venue, owner.address, WALLET), "another took its name"


def test_what_the_exchange_refuses_is_said(exchange: Exchange) -> None:
    with pytest.raises(WalletError, match=r"does not approve the engine's API wallet: \S+"):
        approve(Venue(exchange.url), Signer(b"\x77" * 32), "engine", WALLET)  # an account without money


def test_an_exchange_that_does_not_answer_is_said() -> None:
    venue = Venue("http://127.0.0.1:9")
    with pytest.raises(WalletError, match=r"http://127\.0\.0\.1:9 does not say whose wallet"):
        is_approved(venue, signer_of(3).address, WALLET)
    with pytest.raises(WalletError, match=r"does not approve the engine's API wallet: .*127\.0\.0\.1:9"):
        approve(venue, signer_of(3), "engine", WALLET)
