"""What stands in for NixOS's modules says what the options say."""

from __future__ import annotations

from typing import Any

from tests.nixos.emulated import laid
from tests.nixos.emulated.tree import network_commands

SETTINGS: dict[str, Any] = {
    "networking.firewall.allowPing": False,
    "networking.firewall.allowedUDPPorts": [51820],
    "networking.firewall.interfaces": {"wg0": {"allowedTCPPorts": [22, 9090], "allowedUDPPorts": []}},
    "networking.firewall.extraInputRules": "ip saddr { 203.0.113.7 } tcp dport 22 accept\n",
}


def test_what_no_rule_accepts_is_dropped() -> None:
    text = laid.firewall_text(SETTINGS)
    rules = [line.strip() for line in text.splitlines() if line.strip().endswith("accept")]
    assert "policy drop;" in text
    assert rules == [
        'iifname "lo" accept',
        "ct state { established, related } accept",
        "udp dport { 51820 } accept",
        'iifname "wg0" tcp dport { 22, 9090 } accept',
        "ip saddr { 203.0.113.7 } tcp dport 22 accept",
        "icmpv6 type != { nd-redirect, 139 } accept",
    ]
    assert "icmp type echo-request accept" in laid.firewall_text({}), "NixOS's own default answers"


def test_wireguard_is_told_peers_and_never_a_key() -> None:
    peer = {"publicKey": "P=", "allowedIPs": ["10.0.0.1/32"], "endpoint": "trader:1", "persistentKeepalive": 25}
    text = laid.wireguard_text({"listenPort": 5, "peers": [peer], "privateKeyFile": "/key"})
    assert text.splitlines() == [
        "[Interface]", "ListenPort = 5",
        "[Peer]", "PublicKey = P=", "AllowedIPs = 10.0.0.1/32", "Endpoint = trader:1", "PersistentKeepalive = 25",
    ]  # fmt: skip
    assert "ListenPort" not in laid.wireguard_text({"listenPort": None, "peers": []})


def test_the_managers_settings_are_a_file_of_its_own() -> None:
    assert laid.manager_text({"CPUAffinity": "0"}) == "[Manager]\nCPUAffinity=0\n"


def manifest(**settings: Any) -> dict[str, Any]:
    return {"settings": {"networking.wireguard.interfaces": settings}}


def test_the_firewall_is_there_before_anything_that_could_be_reached() -> None:
    wg0 = {"privateKeyFile": "/key", "ips": ["10.0.0.1/24"]}
    commands = network_commands(
        "trader",
        {"trader": manifest(wg0=wg0), "operator": manifest()},
        {"trader": "192.0.2.1", "operator": "192.0.2.2"},
    )
    words = [" ".join(command) for command in commands]
    assert words[0] == "nft -f /etc/nftables.conf"
    assert "ip link add to-operator type veth peer name eth1 netns operator" in words
    assert "ip -n operator address add 192.0.2.2/24 dev eth1" in words
    assert words[-3:] == [
        "wg set wg0 private-key /key", "ip address add 10.0.0.1/24 dev wg0", "ip link set wg0 up",
    ]  # fmt: skip
