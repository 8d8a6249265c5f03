"""An evaluated host's files, users and units, put into a tree as NixOS would have put them.

What the flake wrote lies where the units look for it. Every other path of the stand-in's package set becomes a link to
/usr, so that a program of nixpkgs is Debian's; hlhft's own is the one that was installed into the tree.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.nix.evaluator import ROOT
from tests.nix.tree import VENV

STORE = re.compile(r"/nix/store/[0-9a-z]{32}-([\w.+?=-]+)")
WANTED_BY = re.compile(r"^WantedBy=(.*)$", re.MULTILINE)
# Debian has services of these names of its own, and hardly anything here needs one that NixOS would add.
UNIT_KINDS = (".service", ".timer", ".path", ".socket", ".slice", ".target")


def lay(root: Path, manifest: dict[str, Any], *, without: Collection[str] = ()) -> list[str]:
    """Puts a manifest's files, users and units into the tree at `root`; the names of its units, but for those `without`
    which are left out."""
    units = {name: text for name, text in manifest["units"].items() if name not in without}
    _files(root, manifest)
    _users(root, manifest["settings"])
    for name, text in units.items():
        _write(root / "etc/systemd/system" / name, text)
        for target in " ".join(WANTED_BY.findall(text)).split():
            _link(root / "etc/systemd/system" / f"{target}.wants" / name, f"../{name}")
    for text in (*units.values(), *manifest["storeFiles"].values()):
        for match in STORE.finditer(text):
            _store(root, match[0], match[1])
    return sorted(units)


def _files(root: Path, manifest: dict[str, Any]) -> None:
    for name, text in manifest["storeFiles"].items():
        _write(root / name.lstrip("/"), text, 0o555)
    for name, entry in (manifest["settings"].get("environment.etc") or {}).items():
        path = root / "etc" / (entry.get("target") or name)
        if entry.get("text") is not None:
            _write(path, entry["text"])
        elif entry.get("source"):
            _link(path, entry["source"])
    for name, text in manifest["files"].items():
        if name.startswith(("tmpfiles.d/", "sysctl.d/")):
            _write(root / "etc" / name, text)


def _users(root: Path, settings: dict[str, Any]) -> None:
    """Users and groups as the settings have them; a number is given to each by systemd-sysusers, in the tree."""
    groups = set(settings.get("users.groups") or {})
    users = settings.get("users.users") or {}
    lines = [f"g {name} -" for name in sorted(groups)]
    for name, user in users.items():
        group, home = user.get("group") or name, user.get("home") or "/var/empty"
        shell = "/bin/bash" if user.get("isNormalUser") else "/usr/sbin/nologin"
        lines += [f"g {group} -"] if group not in groups else []
        lines.append(f'u {name} -:{group} "{user.get("description") or name}" {home} {shell}')
        lines += [f"m {name} {extra}" for extra in user.get("extraGroups") or ()]
    _write(root / "etc/sysusers.d/appliance.conf", "\n".join(lines) + "\n")
    subprocess.run(["chroot", root, "systemd-sysusers"], check=True)


def _store(root: Path, path: str, name: str) -> None:
    """What a path of the store is in the tree."""
    place = root / path.lstrip("/")
    if place.exists() or place.is_symlink():
        return
    own = ROOT / "nixos" / "files" / name
    if own.is_file():
        _write(place, own.read_text(), 0o555)
    else:
        _link(place, VENV if name.startswith("hlhft-") else "/usr")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
