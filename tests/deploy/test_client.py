"""The operator's file has the host, its watchtower, and this operator's own key."""

from __future__ import annotations

import configparser

import pytest

from hlhft.deploy import making
from hlhft.deploy.client import client_text
from hlhft.deploy.errors import Refused
from hlhft.deploy.keys import Secret
from tests.deploy.checkout import ENDPOINT, Checkout


def test_it_is_what_wg_quick_reads(made: Checkout) -> None:
    keys = making.public_keys(made.places)
    text = client_text("trader", made.facts(), keys, Secret("hidden"), "203.0.113.10")
    assert "hidden" not in repr(text)
    own, *peers = text.reveal().split("[Peer]\n")
    parsed = configparser.ConfigParser(strict=True)
    parsed.read_string(own)
    assert dict(parsed["Interface"]) == {"privatekey": "hidden", "address": "10.100.0.10/32"}
    assert peers[0].splitlines()[:4] == [
        f"PublicKey = {keys.wireguard}", "AllowedIPs = 10.100.0.1/32", "Endpoint = 203.0.113.10:51820",
        "PersistentKeepalive = 25",
    ]  # fmt: skip
    assert f"Endpoint = {ENDPOINT}" in peers[1]
    assert len(peers) == 2, "the operator's own peer is no peer of his"


def test_an_address_with_colons_is_bracketed(made: Checkout) -> None:
    text = client_text(
        "trader", made.facts(), making.public_keys(made.places), Secret("hidden"), "2001:db8::10"
    ).reveal()
    assert "Endpoint = [2001:db8::10]:51820" in text


def test_without_a_peer_of_ones_own_there_is_no_way_in(made: Checkout) -> None:
    facts = made.facts(wireguard={"address": "10.100.0.1", "port": 51820, "peers": []})
    with pytest.raises(Refused, match=r"no peer of trader has the key of its keys\.json"):
        client_text("trader", facts, making.public_keys(made.places), Secret("hidden"), "203.0.113.10")
