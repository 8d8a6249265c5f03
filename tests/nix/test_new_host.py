"""The steps of docs/appliance.md as a new user takes them, up to the installation: a copied host with its own keys is
refused for nothing, and before that for what is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.deploy import facts, making, vault
from hlhft.deploy.places import Places
from tests import tidy
from tests.deploy.checkout import OPERATOR_SSH
from tests.nix.evaluator import ROOT, SECONDS_MAX, require_evaluator

pytestmark = pytest.mark.nix

FLAKE = ("flake.nix", "flake.lock", "nixos/", "pkgs/", "secrets/", "tests/nix/", "tests/nixos/", "pyproject.toml")


class Clone:
    """A user's clone, in which the example was copied to the host `trader`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "clone"
        for path in tidy.repository_files(ROOT):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith(FLAKE) and path.is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.root / name)
        hosts = self.root / "nixos" / "hosts"
        shutil.copytree(hosts / "example", hosts / "trader")
        self.file = hosts / "trader" / "default.nix"
        subprocess.run(["git", "init", "--quiet", str(self.root)], check=True)
        self.add()

    def add(self) -> None:
        """What the user commits."""
        subprocess.run(["git", "-C", str(self.root), "add", "--all"], check=True)

    def says(self, attribute: str) -> Any:
        """The value of a part of the host's configuration."""
        name = f"nixosConfigurations.trader.config.{attribute}"
        command = ["bash", require_evaluator(), str(self.root), "eval", name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
        return json.loads(done.stdout)

    def refused(self) -> list[str]:
        """Why the host would not be built."""
        return [one["message"] for one in self.says("assertions") if not one["assertion"]]


def test_the_steps_of_a_new_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_evaluator()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    clone = Clone(tmp_path)
    places = Places(clone.root, "trader")
    own = tmp_path / "id.pub"
    own.write_text(OPERATOR_SSH)
    # What is marked is changed: it is an example no more, and has no keys yet. (The watchtower's folder stays.)
    text = clone.file.read_text()
    assert "deployment.example = true;" in text
    clone.file.write_text(text.replace("deployment.example = true;", ""))
    clone.add()
    assert any("operator, watchtower has a public key of the examples" in message for message in clone.refused())
    words = ["deploy", "keys", "trader", "--flake", str(clone.root), "--ssh-key", str(own)]
    for name in ("page-url", "ticket-url", "heartbeat-url"):
        (tmp_path / name).write_text("https://example.org\n")
        words += [f"--{name}", str(tmp_path / name)]
    assert invoke(words) == ExitCode.OK
    # The watchtower is still the example's.
    (refusal,) = clone.refused()
    assert "peers: watchtower has a public key of the examples" in refusal
    said = msgspec.convert(clone.says("services.hlhft.deployment.facts"), facts.Facts)
    facts.require_deployable(
        "trader", said, making.public_keys(places), names=vault.names(places.secrets),
        recipients=vault.recipients(places.secrets),
    )  # fmt: skip
    # So it gets a watchtower of its own, which shares the engine's secret.
    hosts = clone.root / "nixos" / "hosts"
    shutil.copytree(hosts / "watchtower", hosts / "tower")
    words = ["deploy", "keys", "tower", "--flake", str(clone.root), "--ssh-key", str(own), "--heartbeat-of", "trader"]
    assert invoke(words) == ExitCode.OK
    clone.file.write_text(clone.file.read_text().replace("../watchtower/keys.json", "../tower/keys.json"))
    clone.add()
    assert clone.refused() == []
