"""A checkout with one host, its operator, and programs of others played by scripts that note what they were told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec

from hlhft.deploy import making
from hlhft.deploy.facts import Facts
from hlhft.deploy.places import Places

OPERATOR_SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2vQ3uZ3C1kS1mY0nT6bQfE8xYkq9mB4v0W7sR5uD1a operator"
SECRETS = ["wireguard-key", "agent-key", "watchdog-key", "heartbeat-secret"]
ENDPOINT = "203.0.113.20:51820"


class Checkout:
    """A folder like this repository's, with the host `trader`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        (self.root / "nixos" / "hosts" / "trader").mkdir(parents=True)
        (self.root / "secrets").mkdir()
        (self.root / "flake.nix").write_text("{ }\n")
        self.places = Places(self.root, "trader")
        self.identity = folder / "operator" / "keys.txt"
        self.ssh_key = folder / "id.pub"
        self.ssh_key.write_text(OPERATOR_SSH + "\n")
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.told = folder / "told"

    def make(self, **said: Any) -> bool:
        """Makes the host's keys."""
        return making.make(self.places, **{"identity": self.identity, "ssh_key": self.ssh_key, "given": {}, **said})

    def facts(self, **changes: Any) -> Facts:
        """What the configuration would say of the host."""
        keys = making.public_keys(self.places)
        found: dict[str, Any] = {
            "example": False, "address": "203.0.113.10", "cpus": 16, "secrets": SECRETS, "sops": True,
            "wireguard": {
                "address": "10.100.0.1", "port": 51820,
                "peers": [
                    {"name": "operator", "publicKey": keys.operator.wireguard, "address": "10.100.0.10",
                     "endpoint": None, "isAdmin": True},
                    {"name": "watchtower", "publicKey": "c" * 43 + "=", "address": "10.100.0.2",
                     "endpoint": ENDPOINT, "isAdmin": False},
                ],
            },
        }  # fmt: skip
        return msgspec.convert({**found, **changes}, Facts)

    def program(self, name: str, does: str = "") -> None:
        """Puts a script on PATH that notes its words, then does something."""
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.told}\n{does}\n')
        path.chmod(0o755)

    def evaluates(self, facts: Facts, *, system: str = "") -> None:
        """Lets `nix` say these facts of the host, and build this system."""
        said = self.root / "facts.json"
        said.write_text(json.dumps(msgspec.to_builtins(facts)))
        self.program("nix", f'case " $* " in *" eval "*) cat {said};; *" build "*) echo {system};; esac')

    @property
    def lines(self) -> list[str]:
        """What the scripts noted."""
        return self.told.read_text().splitlines() if self.told.exists() else []

    @property
    def path(self) -> str:
        """PATH with the scripts first."""
        return f"{self.programs}:{os.environ['PATH']}"
