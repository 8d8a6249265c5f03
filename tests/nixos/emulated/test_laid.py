"""What stands in for NixOS's modules says what the options say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nixos.emulated import laid

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


def test_a_file_that_others_share_is_not_written_into(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    mine = tmp_path / "mine"
    mine.hardlink_to(kept)
    laid.write(mine, "mine", 0o600)
    assert (kept.read_text(), mine.read_text(), mine.stat().st_mode & 0o777) == ("kept", "mine", 0o600)


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    """A small host: one unit, whose program the flake brought and whose interpreter nixpkgs would build."""
    python = f"/nix/store/{'0' * 32}-python3"
    etc = {"target": None, "text": "said", "source": None}
    user = {"group": "hlhft", "description": "the engine", "home": None, "isSystemUser": True}
    return {
        "units": {
            "one.service": f"[Service]\nExecStart={python}/bin/python3 x\n\n[Install]\nWantedBy=multi-user.target\n"
        },
        "files": {"sysctl.d/60-nixos.conf": "vm.swappiness=0\n"},
        "storeFiles": {f"/nix/store/{'0' * 32}-script": "#!/bin/sh\n"},
        "settings": {
            "networking.hostName": "trader",
            "environment.etc": {"hlhft/one": etc},
            "systemd.settings.Manager": {"CPUAffinity": "0"},
            "users.users": {"hlhft-engine": user},
            "users.groups": {"hlhft": {}},
        },
    }


def test_a_host_is_laid_as_it_was_evaluated(tmp_path: Path, manifest: dict[str, Any]) -> None:
    root, made = tmp_path / "root", tmp_path / "made"
    made.write_text("a program")
    laid.lay(root, manifest, provided={"visor": made})
    assert (root / "etc/systemd/system/multi-user.target.wants/one.service").resolve().read_text() == manifest["units"][
        "one.service"
    ]
    assert (root / "etc/hlhft/one").read_text() == "said"
    assert (root / "etc/sysctl.d/60-nixos.conf").read_text() == "vm.swappiness=0\n"
    assert (root / "etc/systemd/system.conf.d/nixos.conf").read_text() == "[Manager]\nCPUAffinity=0\n"
    assert (root / "etc/sysusers.d/nixos.conf").read_text().splitlines() == [
        "g hlhft",
        'u hlhft-engine -:hlhft "the engine" -',
    ]
    store = root / "nix/store"
    assert str((store / f"{'0' * 32}-python3").readlink()) == "/usr"
    assert (store / f"{'0' * 32}-visor").read_text() == "a program"
    assert (store / f"{'0' * 32}-script").stat().st_mode & 0o111


def test_a_unit_can_be_left_out(tmp_path: Path, manifest: dict[str, Any]) -> None:
    laid.lay(tmp_path, manifest, without=("one.service",))
    assert not (tmp_path / "etc/systemd/system/one.service").exists()
