"""What the hosts of the flake evaluate to, as texts that are kept beside this file and reviewed when they change.

python -m tests.nix.golden      writes them all; the evaluator is the one of tests/nix/evaluator.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.nix.evaluator import manifest

GOLDEN = Path(__file__).with_name("golden")
HOSTS = ("example", "watchtower", "worker")
FILES = ("kernel-params", "sysctl.d/60-nixos.conf", "tmpfiles.d/00-nixos.conf")
SETTINGS = ("networking.firewall.", "networking.nftables.", "networking.wireguard.", "systemd.network.networks")
STORE = re.compile(r"/nix/store/[0-9a-z]{32}-")


def normalised(text: str) -> str:
    """A unit's text without hashes, and without the path that NixOS gives every service."""
    lines = [line for line in text.splitlines() if not line.startswith('Environment="PATH=')]
    return re.sub(r"\b[0-9a-f]{64}\b", "GENERATION", STORE.sub("/nix/store/", "\n".join(lines))) + "\n"


def said(value: Any) -> Any:
    """What somebody set: without what is null, off or empty inside."""
    if isinstance(value, dict):
        inner = {name: said(entry) for name, entry in value.items()}
        return {name: entry for name, entry in inner.items() if entry not in (None, False, "", [], {})}
    return [said(entry) for entry in value] if isinstance(value, list) else value


def texts_of(host: str) -> dict[str, str]:
    """The golden texts of a host by their file names."""
    evaluated: dict[str, Any] = manifest(host)
    network = {key: said(value) for key, value in evaluated["settings"].items() if key.startswith(SETTINGS)}
    texts = {name: normalised(text) for name, text in evaluated["units"].items() if name != "grafana.service"}
    texts |= {name.rpartition("/")[2]: evaluated["files"][name] for name in FILES if name in evaluated["files"]}
    return texts | {"network.json": json.dumps(network, indent=2, sort_keys=True) + "\n"}


def kept_of(host: str) -> dict[str, str]:
    """What is kept of a host."""
    return {path.name: path.read_text() for path in (GOLDEN / host).iterdir()}


if __name__ == "__main__":
    for name in HOSTS:
        folder = GOLDEN / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for file, text in texts_of(name).items():
            (folder / file).write_text(text)
