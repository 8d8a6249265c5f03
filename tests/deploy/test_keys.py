"""Keys are what the programs that read them expect, each its own, and none shows itself."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
import zmq
from eth_account import Account

from hlhft.deploy import keys
from hlhft.deploy.keys import Secret


def test_a_secret_shows_nothing() -> None:
    secret = Secret("hidden")
    assert "hidden" not in f"{secret} {secret!r} {[secret]} {{'a': {secret!r}}}"
    assert secret.reveal() == "hidden"
    assert secret == Secret("hidden")
    assert secret != Secret("other")
    assert secret != "hidden"
    with pytest.raises(TypeError):
        hash(secret)


def test_a_wireguard_pair_is_x25519() -> None:
    """The shared secret of two pairs is one, computed from either side."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    shared = []
    one, other = keys.wireguard_pair(), keys.wireguard_pair()
    for own, peer in ((one, other), (other, one)):
        private = X25519PrivateKey.from_private_bytes(base64.b64decode(own.private.reveal(), validate=True))
        shared.append(private.exchange(X25519PublicKey.from_public_bytes(base64.b64decode(peer.public))))
    assert shared[0] == shared[1]
    assert len(one.public) == 44


def test_openssh_reads_its_pair(tmp_path: Path) -> None:
    pair = keys.ssh_pair("trader")
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(pair.private.reveal())
    done = subprocess.run(["ssh-keygen", "-y", "-f", str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == pair.public.split()[:2]
    assert pair.public.endswith(" trader")


def test_age_reads_its_pair(tmp_path: Path) -> None:
    pair = keys.age_pair()
    path = tmp_path / "key"
    path.write_text(pair.private.reveal())
    done = subprocess.run(["age-keygen", "-y", str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == pair.public


def test_a_wallet_is_what_the_venues_own_library_makes_of_it() -> None:
    pair = keys.wallet()
    assert Account.from_key(pair.private.reveal()).address.lower() == pair.public


def test_a_curve_pair() -> None:
    pair = keys.curve_pair()
    assert zmq.curve_public(pair.private.reveal().encode()).decode() == pair.public


def test_everything_is_made_and_nothing_twice() -> None:
    one = keys.host_keys("trader", operator_wireguard="w", operator_ssh="s")
    other = keys.host_keys("trader", operator_wireguard="w", operator_ssh="s")
    private = [secret.reveal() for made in (one, other) for secret in (*made.secrets.values(), made.age.private)]
    assert len(set(private)) == len(private)
    assert all(len(text) >= 32 for text in private)
    assert one.public["operator"] == {"wireguard": "w", "ssh": "s"}
    assert set(one.secrets).isdisjoint(keys.GIVEN)
    shown = str(one)
    assert not [text for text in private if text in shown]


def test_watchdogs_of_one_engine_share_its_secret() -> None:
    made = keys.host_keys("watchtower", operator_wireguard="w", operator_ssh="s", heartbeat=Secret("shared"))
    assert made.secrets["heartbeat-secret"].reveal() == "shared"
