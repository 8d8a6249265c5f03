"""The host's side of a switch under a real systemd: its timer fires, its units outlive who asked, and a power cut comes
back as before. The systems that are switched between are scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.nix.machine import Machine
from tests.nix.test_switch import NEW, OLD, PROGRAM
from tests.nix.tree import layered, require_machines, tree

pytestmark = pytest.mark.systemd

HANGING = "/nix/store/hanging-system"
SWITCH = "python3 /etc/hlhft/switch.py"
SECONDS = 10  # the least that may be said
AT_BOOT = "mkdir -p /run && ln -sfn $(readlink -f /nix/var/nix/profiles/system) /run/current-system"
NIX_ENV = """#!/bin/sh
ln -sfn "$4" /nix/var/nix/profiles/system-2-link && ln -sfn system-2-link "$2"
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require_machines()
    with layered(tree(), tmp_path_factory.mktemp("m") / "layer") as root, Machine("machine", root) as booted:
        booted.start()
        booted.write("/etc/hlhft/switch.py", PROGRAM.read_text())
        booted.write("/usr/local/bin/nix-env", NIX_ENV, mode=0o755)
        for system in (OLD, NEW, HANGING):
            waits = "sleep 300\n" if system == HANGING else ""
            text = f'#!/bin/sh\n[ "$1" = boot ] && exit 0\nln -sfn {system} /run/current-system\n{waits}'
            booted.write(f"{system}/bin/switch-to-configuration", text, mode=0o755)
        booted.succeed("mkdir -p /nix/var/nix/profiles /nix/var/nix/gcroots")
        yield booted


@pytest.fixture(autouse=True)
def former(machine: Machine) -> None:
    """The host runs and boots the former system, and no switch was ever made."""
    machine.succeed(
        "rm -rf /run/hlhft-switch /nix/var/nix/profiles/*",
        f"ln -s {OLD} /nix/var/nix/profiles/system-1-link",
        "ln -s system-1-link /nix/var/nix/profiles/system",
        AT_BOOT,
    )


def stage(machine: Machine) -> str:
    said: str = json.loads(machine.succeed(f"{SWITCH} status"))["stage"]
    return said


def runs_and_boots(machine: Machine) -> tuple[str, str]:
    shown = machine.succeed("readlink /run/current-system; readlink -f /nix/var/nix/profiles/system").split()
    return shown[0], shown[1]


def wait_for(machine: Machine, wanted: str) -> None:
    machine.wait_until_succeeds(f'{SWITCH} status | grep -q \'"stage": "{wanted}"\'', timeout=3 * SECONDS)


def test_confirmed_it_stays_and_no_timer_is_left(machine: Machine) -> None:
    machine.succeed(f"{SWITCH} begin {NEW} {SECONDS}")
    wait_for(machine, "active")
    assert runs_and_boots(machine) == (NEW, OLD)
    machine.succeed("systemctl is-active hlhft-switch-revert.timer", f"{SWITCH} confirm {NEW}")
    assert runs_and_boots(machine) == (NEW, NEW)
    machine.fail("systemctl is-active hlhft-switch-revert.timer")
    assert "hlhft" not in machine.succeed("systemctl --failed --no-legend --plain")


def test_unconfirmed_its_timer_goes_back(machine: Machine) -> None:
    machine.succeed(f"{SWITCH} begin {NEW} {SECONDS}")
    wait_for(machine, "active")
    wait_for(machine, "reverted")
    assert runs_and_boots(machine) == (OLD, OLD)
    machine.fail(f"{SWITCH} confirm {NEW}")
    # And the next one is as good as the first.
    machine.succeed(f"{SWITCH} begin {NEW} {SECONDS}")
    wait_for(machine, "active")
    machine.succeed(f"{SWITCH} confirm {NEW}")


def test_an_activation_that_hangs_is_ended(machine: Machine) -> None:
    machine.succeed(f"{SWITCH} begin {HANGING} {SECONDS}")
    wait_for(machine, "reverted")
    assert runs_and_boots(machine) == (OLD, OLD)
    machine.fail("systemctl is-active hlhft-switch-activate.service", "pgrep -f switch-to-configuration")


def test_a_power_cut_comes_back_as_before(machine: Machine) -> None:
    machine.succeed(f"{SWITCH} begin {NEW} 3600")
    wait_for(machine, "active")
    machine.crash()
    machine.start()
    machine.succeed(AT_BOOT)  # as NixOS does
    assert runs_and_boots(machine) == (OLD, OLD)
    assert stage(machine) == "idle"
    machine.fail("systemctl is-active hlhft-switch-revert.timer")
