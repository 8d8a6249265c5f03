"""What the modules say of a host is what `hlhft deploy` reads, and the examples would be refused for nothing but that
they are examples."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.deploy import facts, making, vault
from hlhft.deploy.errors import Refused
from hlhft.deploy.facts import Facts
from hlhft.deploy.keys import GIVEN, MADE
from hlhft.deploy.places import Places
from tests.nix.evaluator import ROOT, evaluated, manifest

pytestmark = pytest.mark.nix


def facts_of(host: str) -> Facts:
    said = evaluated(f"nixosConfigurations.{host}.config.services.hlhft.deployment.facts")
    return msgspec.convert(said, Facts)


@pytest.mark.parametrize("host", ["example", "watchtower"])
def test_an_example_lacks_nothing_but_being_ones_own(host: str) -> None:
    at, said = Places(ROOT, host), facts_of(host)
    keys = msgspec.structs.replace(making.public_keys(at), age="age1own")
    with pytest.raises(Refused, match=f"nixos/hosts/{host} is an example"):
        facts.require_deployable(host, said, keys, names=vault.names(at.secrets), recipients={"age1own"})
    facts.require_deployable(
        host, msgspec.structs.replace(said, example=False), keys, names=vault.names(at.secrets), recipients={"age1own"}
    )


def test_what_is_said_is_what_is_configured() -> None:
    said = facts_of("example")
    assert (said.address, said.cpus, said.sops, said.example) == ("203.0.113.10", 16, True, True)
    assert said.wireguard.address == "10.100.0.1"
    assert [peer.name for peer in said.admins] == ["operator"]
    peers = {peer.name: peer.endpoint for peer in said.wireguard.peers}
    assert peers == {"operator": None, "watchtower": f"203.0.113.20:{said.wireguard.port}"}


def test_every_secret_of_a_trading_host_is_made_or_given_by_an_option_of_its_own() -> None:
    assert set(facts_of("example").secrets) <= MADE | set(GIVEN)


def test_the_host_reads_its_secrets_with_the_key_that_is_placed_there() -> None:
    settings = manifest("example")["settings"]
    assert settings["sops.age.keyFile"] == "/var/lib/sops-nix/key.txt"
    assert settings["sops.defaultSopsFormat"] == "json"
    assert settings["sops.age.sshKeyPaths"] == settings["sops.gnupg.sshKeyPaths"] == []
