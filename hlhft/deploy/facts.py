"""What a host's configuration says of it (nixos/deployment.nix), and what of it must not be deployed."""

from __future__ import annotations

from collections.abc import Set

import msgspec

from hlhft.deploy.errors import Refused, VaultError
from hlhft.deploy.keys import GIVEN

# The public half of the key that reads the examples' secrets; everybody has the private one
# (tests/deploy/worthless-age-key.txt).
TEST_RECIPIENT = "age1fe3ucedzaemudhsv88z9q7pwwnymuw7zv0mep3flr2rfv4znqeqsaexp84"


class Peer(msgspec.Struct, frozen=True, rename="camel"):
    """One that may come in."""

    name: str
    public_key: str
    address: str
    endpoint: str | None
    is_admin: bool


class Inside(msgspec.Struct, frozen=True):
    """The host inside WireGuard."""

    address: str
    port: int
    peers: list[Peer]


class Facts(msgspec.Struct, frozen=True):
    """A host."""

    example: bool
    address: str | None  # from outside
    cpus: int  # as its configuration counts them
    secrets: list[str]  # the names of all that its units are given
    sops: bool  # whether they come from an encrypted file
    wireguard: Inside

    @property
    def admins(self) -> list[Peer]:
        """The peers of operators."""
        return [peer for peer in self.wireguard.peers if peer.is_admin]


class PublicOperator(msgspec.Struct, frozen=True):
    """What may be known of the operator."""

    wireguard: str
    ssh: str


class PublicKeys(msgspec.Struct, frozen=True):
    """What may be known of a host's keys: its file keys.json."""

    age: str
    ssh: str
    wireguard: str
    operator: PublicOperator
    wallets: dict[str, str]
    alpha: dict[str, str]


def require_own_keys(host: str, recipients: Set[str]) -> None:
    """The secrets are nobody else's to read. Raises Refused."""
    if TEST_RECIPIENT in recipients:
        raise Refused(
            f"secrets/{host}.json is encrypted to the test key, which everybody has: copy the example's folder to a "
            "host of your own and make its keys with hlhft deploy keys"
        )


def require_deployable(host: str, facts: Facts, keys: PublicKeys, *, names: Set[str], recipients: Set[str]) -> None:
    """Nothing is missing, and no key is anybody else's. Raises Refused, VaultError."""
    require_own_keys(host, recipients)
    if facts.example:
        raise Refused(
            f"nixos/hosts/{host} is an example, whose keys are everybody's: remove services.hlhft.deployment.example"
        )
    if not facts.admins:
        raise Refused(
            f"no peer of {host} is an operator's: set isAdmin of one in services.hlhft.wireguard.peers, or nobody "
            "gets in"
        )
    if keys.operator.wireguard not in {peer.public_key for peer in facts.admins}:
        raise Refused(
            f"no operator's peer of {host} has the key of nixos/hosts/{host}/keys.json: read it from there as "
            "keys.operator.wireguard, or the switch could not be confirmed from here"
        )
    if not facts.sops:
        raise Refused(f"{host} does not read secrets/{host}.json: leave services.hlhft.secrets.folder out")
    if keys.age not in recipients:
        raise VaultError(
            f"secrets/{host}.json is not encrypted to {host}'s own key, so it could not read it: make it anew"
        )
    missing = sorted(set(facts.secrets) - names)
    if missing:
        hints = " ".join(f"--{name} FILE" if name in GIVEN else f"--secret {name} FILE" for name in missing)
        raise VaultError(f"secrets/{host}.json lacks {', '.join(missing)}: hlhft deploy keys {host} {hints}")


def require_cpus(host: str, facts: Facts, counted: int) -> None:
    """The configuration's CPUs are the machine's: `counted` is what `nproc --all` says there. Raises Refused."""
    if facts.cpus != counted:
        raise Refused(
            f"services.hlhft.host.cpus.count of {host} is {facts.cpus} and the machine has {counted}: kernel "
            "parameters and services would name CPUs that are not there, or leave some out"
        )
