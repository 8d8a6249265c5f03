"""What stands in for NixOS's own modules in a Debian tree that boots with a kernel of its own.

Units, scripts, files and users of an evaluated host are laid by tests/nix/laying.py. Settings of the manager, modules
of the kernel, udev's rules, WireGuard and the firewall are NixOS's to write; here they are written from the same
options, in the form that NixOS gives them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.nix.laying import lay as lay_evaluated

# What the flake itself brought, as it lies in the evaluator's store.
BROUGHT = re.compile(r"/nix/store/(?!0{32})[0-9a-z]{32}-[\w.+?=-]+\.py")
Manifest = Mapping[str, Any]


def write(path: Path, text: str) -> None:
    """Writes a file and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lay(root: Path, manifest: Manifest, *, provided: Mapping[str, Path], without: Collection[str]) -> None:
    """Puts all of an evaluated host into `root`, but for the units `without`. `provided` are files in place of what
    nixpkgs would build, by their names."""
    settings = manifest["settings"]
    for name, path in provided.items():
        place = root / f"nix/store/{'0' * 32}-{name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    for store in set(BROUGHT.findall(" ".join(manifest["units"].values()))):
        write(root / store.lstrip("/"), Path(store).read_text())
    lay_evaluated(root, dict(manifest), without=without)
    modules = "".join(f"{name}\n" for name in settings.get("boot.kernelModules", ()))
    write(root / "etc/modules-load.d/nixos.conf", modules)
    write(root / "etc/udev/rules.d/99-local.rules", settings.get("services.udev.extraRules", ""))
    write(root / "etc/systemd/system.conf.d/nixos.conf", manager_text(settings.get("systemd.settings.Manager", {})))
    write(root / "etc/hostname", f"{settings['networking.hostName']}\n")


def manager_text(settings: Mapping[str, Any]) -> str:
    """What systemd.settings.Manager is as a file."""
    return "[Manager]\n" + "".join(f"{name}={value}\n" for name, value in settings.items())


def wireguard_text(interface: Mapping[str, Any]) -> str:
    """A WireGuard interface as `wg setconf` takes it, without its own key, which is a file."""
    lines = ["[Interface]", f"ListenPort = {interface['listenPort']}"] if interface["listenPort"] else ["[Interface]"]
    for peer in interface["peers"]:
        lines += ["[Peer]", f"PublicKey = {peer['publicKey']}", f"AllowedIPs = {', '.join(peer['allowedIPs'])}"]
        lines += [f"Endpoint = {peer['endpoint']}"] if peer["endpoint"] else []
        lines += [f"PersistentKeepalive = {peer['persistentKeepalive']}"] if peer["persistentKeepalive"] else []
    return "\n".join(lines) + "\n"


def firewall_text(settings: Mapping[str, Any]) -> str:
    """The ruleset that NixOS's firewall makes of its options with nftables: what is not accepted is dropped."""
    ping = ["icmp type echo-request accept"] if settings.get("networking.firewall.allowPing", True) else []
    rules = [
        'iifname "lo" accept',
        "ct state { established, related } accept",
        "ct state invalid drop",
        *_accepting("", settings.get("networking.firewall.allowedTCPPorts"), "tcp"),
        *_accepting("", settings.get("networking.firewall.allowedUDPPorts"), "udp"),
    ]
    for name, one in (settings.get("networking.firewall.interfaces") or {}).items():
        rules += _accepting(f'iifname "{name}" ', one["allowedTCPPorts"], "tcp")
        rules += _accepting(f'iifname "{name}" ', one["allowedUDPPorts"], "udp")
    rules += (settings.get("networking.firewall.extraInputRules") or "").splitlines() + ping
    rules += ["icmpv6 type != { nd-redirect, 139 } accept"]
    body = "\n".join(f"    {rule}" for rule in rules if rule)
    return (
        "flush ruleset\ntable inet nixos-fw {\n  chain input {\n"
        f"    type filter hook input priority filter; policy drop;\n{body}\n  }}\n}}\n"
    )


def _accepting(where: str, numbers: list[int] | None, protocol: str) -> Iterator[str]:
    if numbers:
        yield f"{where}{protocol} dport {{ {', '.join(map(str, numbers))} }} accept"
