"""The scripts of tests/nixos over systemd-nspawn, as far as a container can: what of them is left out is printed.

A container has this system's kernel. So there is no WireGuard between hosts, but one network that containers share;
no system is switched, as NixOS's program for it is not there; and the tests of the host and of a node are run with a
kernel of their own, by test_emulated.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nix.evaluator import evaluated
from tests.nix.laying import lay
from tests.nix.machine import Machine
from tests.nix.shared import Shared, shared_by
from tests.nix.tree import layered, require_machines
from tests.nixos import appliance, host_loss, kills, secrets

pytestmark = pytest.mark.systemd

NAMESPACE = f"hlhft-test-{os.getpid()}"
LEFT_OUT = {
    "appliance": "what is reached over WireGuard and refused otherwise, which test_emulated.py has but for Grafana",
    "switch": "all of it, as NixOS's own program switches; what units see of it is in tests/nix/test_rehearsal.py",
    "host-loss": "WireGuard between trader and watchtower: the containers share one network",
}


def facts_of(test: str) -> dict[str, Any]:
    """What the script is called with beside the machines."""
    found = re.search(r'r"""(.*)"""', evaluated(f"checks.x86_64-linux.{test}.testScript"), re.DOTALL)
    assert found is not None, f"the script of {test} has no facts"
    facts: dict[str, Any] = json.loads(found[1])
    return facts


@pytest.fixture(scope="module")
def network() -> Iterator[Path]:
    """A network namespace that containers share, with the addresses inside as its own."""
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        for words in ("link set lo up", "address add 10.100.0.1/24 dev lo", "address add 10.100.0.2/24 dev lo"):
            subprocess.run(["ip", "-n", NAMESPACE, *words.split()], check=True)
        yield Path("/run/netns", NAMESPACE)
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return shared_by(tmp_path_factory)


@contextlib.contextmanager
def booted(folder: Path, shared: Shared, test: str, network: Path | None = None) -> Iterator[dict[str, Machine]]:
    """The machines of a test, each a container, by their names."""
    require_machines()
    with contextlib.ExitStack() as open_until:
        machines = {}
        for name, manifest in evaluated(f"checks.x86_64-linux.{test}.manifests").items():
            if not manifest["settings"].get("services.hlhft.enable"):
                continue  # an operator's machine, which only reaches for the others
            root = open_until.enter_context(layered(shared.trees(), folder / name))
            lay(root, manifest, without=("grafana.service", "alertmanager.service"))
            (root / "etc/hosts").write_text("127.0.0.1 localhost venue trader watchtower\n")
            machines[name] = open_until.enter_context(Machine(name, root, network=network))
        with shared.compiled(*(machine.root for machine in machines.values())):
            for machine in machines.values():
                machine.start()
            if test in LEFT_OUT:
                print(f"NOT RUN HERE of {test}: {LEFT_OUT[test]}")
            yield machines


def test_the_appliance_trades_and_its_secrets_are_its_units_alone(tmp_path: Path, shared: Shared) -> None:
    facts, told = facts_of("appliance"), facts_of("secrets")
    with booted(tmp_path, shared, "appliance") as machines:
        machine = machines["trader"]
        machine.succeed("useradd --create-home somebody")
        appliance.check_trading(machine, ports=facts["ports"], account=facts["account"])
        secrets.check(machine, **told)
        kills.check(machine, **facts_of("kills"))


def test_the_watchtower_cancels_for_a_host_that_is_lost(tmp_path: Path, shared: Shared, network: Path) -> None:
    with booted(tmp_path, shared, "host-loss", network) as machines:
        facts = facts_of("host-loss")
        host_loss.check(machines["venue"], machines["trader"], machines["watchtower"], **facts)
