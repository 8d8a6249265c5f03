"""Puts an evaluated host into a Debian tree: its own units, scripts and files as they are, and in place of what
NixOS's modules would do, the same by Debian's means.

Of the flake come the texts of units, tmpfiles, sysctls, udev rules, `environment.etc` and the programs of units. The
manager's settings, users, WireGuard and the firewall are NixOS's to write; here they are written from the same options,
in the form that NixOS gives them.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# What nixpkgs would have built: a link to Debian's /usr stands for each.
STANDING_IN = re.compile(r"/nix/store/0{32}-[\w.+?=-]+")
# What the flake itself brought, as it lies in the evaluator's store.
BROUGHT = re.compile(r"/nix/store/(?!0{32})[0-9a-z]{32}-[\w.+?=/-]+")
Manifest = Mapping[str, Any]


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file of its own: what was there, maybe in a tree that others share, is not written into."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def link(path: Path, target: str) -> None:
    """A link, in place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def lay(
    root: Path, manifest: Manifest, *, provided: Mapping[str, Path] | None = None, without: tuple[str, ...] = ()
) -> None:
    """Puts all of an evaluated host into `root`, but for the units `without`. `provided` are files in place of what
    nixpkgs would build, by their names."""
    settings, files = manifest["settings"], manifest["files"]
    units = {name: text for name, text in manifest["units"].items() if name not in without}
    for name, text in manifest["storeFiles"].items():
        write(root / name.lstrip("/"), text, 0o755)
    for name, entry in (settings.get("environment.etc") or {}).items():
        _etc(root, root / "etc" / (entry["target"] or name), entry)
    for name in ("tmpfiles.d/00-nixos.conf", "sysctl.d/60-nixos.conf"):
        write(root / "etc" / name, files.get(name, ""))
    write(
        root / "etc/modules-load.d/nixos.conf", "".join(f"{name}\n" for name in settings.get("boot.kernelModules", ()))
    )
    write(root / "etc/udev/rules.d/99-local.rules", settings.get("services.udev.extraRules", ""))
    write(root / "etc/systemd/system.conf.d/nixos.conf", manager_text(settings.get("systemd.settings.Manager", {})))
    write(root / "etc/sysusers.d/nixos.conf", users_text(settings))
    write(root / "etc/hostname", f"{settings['networking.hostName']}\n")
    for name, text in units.items():
        write(root / "etc/systemd/system" / name, text)
        for target in " ".join(re.findall(r"^WantedBy=(.*)$", text, re.MULTILINE)).split():
            link(root / f"etc/systemd/system/{target}.wants" / name, f"../{name}")
    for name, path in (provided or {}).items():
        place = root / f"nix/store/{'0' * 32}-{name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    _programs(root, " ".join([*units.values(), *manifest["storeFiles"].values()]))


def manager_text(settings: Mapping[str, Any]) -> str:
    """What systemd.settings.Manager is as a file."""
    return "[Manager]\n" + "".join(f"{name}={value}\n" for name, value in settings.items())


def users_text(settings: Mapping[str, Any]) -> str:
    """Users and groups as systemd-sysusers takes them."""
    groups = [f"g {name}" for name in settings.get("users.groups", {})]
    users = [
        f'u {name} -:{one["group"]} "{one["description"]}" {one["home"] or "-"}'
        for name, one in settings.get("users.users", {}).items()
        if one["isSystemUser"]
    ]
    return "\n".join([*groups, *users]) + "\n"


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


def _etc(root: Path, path: Path, entry: Mapping[str, Any]) -> None:
    if entry["text"] is not None:
        write(path, entry["text"])
    elif STANDING_IN.fullmatch(entry["source"]):
        link(path, entry["source"])
    else:
        write(path, Path(entry["source"]).read_text())


def _programs(root: Path, texts: str) -> None:
    """What the units name: the flake's own files as they are, and Debian's programs for nixpkgs'."""
    for store in set(STANDING_IN.findall(texts)):
        path = root / store.lstrip("/")
        if not path.exists() and not path.is_symlink():
            link(path, "/usr")
    for store in set(BROUGHT.findall(texts)):
        write(root / store.lstrip("/"), Path(store).read_text())


def read(text: str) -> Manifest:
    """A manifest as the evaluator prints it."""
    manifest: Manifest = json.loads(text)
    return manifest
