"""The operator's WireGuard file: how this machine gets in."""

from __future__ import annotations

from hlhft.deploy.errors import Refused
from hlhft.deploy.facts import Facts, PublicKeys
from hlhft.deploy.keys import Secret

KEEPALIVE_S = 25  # through an operator's router that forgets sooner than that is rare (wg(8))


def client_text(host: str, facts: Facts, keys: PublicKeys, private: Secret, address: str) -> Secret:
    """The file, as `wg-quick` reads it: the host, and of its peers those that are found somewhere.

    `address` is where the host is found from outside. Raises Refused where no peer of it has the operator's key.
    """
    own = [peer for peer in facts.wireguard.peers if peer.public_key == keys.operator.wireguard]
    if not own:
        raise Refused(f"no peer of {host} has the key of its keys.json: read it from there as keys.operator.wireguard")
    lines = ["[Interface]", f"PrivateKey = {private.reveal()}", f"Address = {own[0].address}/32"]
    others = [
        (peer.name, peer.public_key, peer.address, peer.endpoint) for peer in facts.wireguard.peers if peer.endpoint
    ]
    there = f"[{address}]" if ":" in address else address
    for name, key, inside, endpoint in [
        (host, keys.wireguard, facts.wireguard.address, f"{there}:{facts.wireguard.port}"), *others
    ]:  # fmt: skip
        lines += [
            "", f"# {name}", "[Peer]", f"PublicKey = {key}", f"AllowedIPs = {inside}/32", f"Endpoint = {endpoint}",
            f"PersistentKeepalive = {KEEPALIVE_S}",
        ]  # fmt: skip
    return Secret("\n".join(lines) + "\n")
