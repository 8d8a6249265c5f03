"""A switch goes back by itself unless it is confirmed: the table, every order of events, and the host's own program
with systemd's programs played by scripts that note what they were told."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

PROGRAM = Path(__file__).resolve().parents[2] / "nixos" / "files" / "switch.py"
OLD, NEW, OTHER = "/nix/store/old-system", "/nix/store/new-system", "/nix/store/other-system"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("switch", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


switch = loaded()
Stage, Event, Switch = switch.Stage, switch.Event, switch.Switch


class TestTable:
    @pytest.mark.parametrize("stage", list(Stage))
    @pytest.mark.parametrize("event", list(Event))
    def test_what_has_no_row_is_refused(self, stage: Any, event: Any) -> None:
        at = Switch(stage, NEW, OLD)
        if (stage, event) in switch.TABLE:
            assert switch.after(at, event, system=NEW, former=OLD).stage is switch.TABLE[stage, event]
        else:
            with pytest.raises(switch.Refused):
                switch.after(at, event, system=NEW, former=OLD)

    def test_a_confirmation_of_another_system_counts_for_nothing(self) -> None:
        with pytest.raises(switch.Refused, match=f"the switch to {NEW} is active"):
            switch.after(Switch(Stage.ACTIVE, NEW, OLD), Event.CONFIRM, system=OTHER)

    def test_what_was_reverted_is_not_confirmed_late(self) -> None:
        with pytest.raises(switch.Refused, match=f"the switch to {NEW} is reverted"):
            switch.after(Switch(Stage.REVERTED, NEW, OLD), Event.CONFIRM, system=NEW)

    @given(events=st.lists(st.sampled_from(sorted(Event)), max_size=40))
    def test_what_runs_is_what_was_confirmed_or_the_former(self, events: list[Any]) -> None:
        """Whatever happens in whatever order: a boot never meets a system that was not confirmed, and the end of the
        time leaves none that was not."""
        at, boots, systems = Switch(), OLD, iter(f"/nix/store/system-{count}" for count in range(100))
        for event in events:
            system = next(systems) if event is Event.BEGIN else at.system
            try:
                then = switch.after(at, event, system=system, former=boots)
            except switch.Refused:
                continue
            if event is Event.CONFIRM:
                assert at.stage in (Stage.ACTIVE, Stage.CONFIRMED)
                boots = then.system
            if event is Event.EXPIRE:
                assert then.stage not in (Stage.ARMED, Stage.ACTIVE)
                assert (then.stage is Stage.REVERTING) == (at.stage in (Stage.ARMED, Stage.ACTIVE, Stage.REVERTING))
            if event is not Event.BEGIN:
                assert (then.system, then.former) == (at.system, at.former)
            assert then.stage is not Stage.CONFIRMED or boots == then.system
            assert then.stage in (Stage.IDLE, Stage.CONFIRMED) or boots == then.former
            at = then


class Machine:
    """A host below a folder: three systems, and systemd as scripts that write down what they are told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told = root / "told"
        self.programs = root / "bin"
        self.programs.mkdir()
        for name in (OLD, NEW, OTHER):
            self.code(name, 0)
        for folder in ("run", "nix/var/nix/profiles", "nix/var/nix/gcroots"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "run/current-system").symlink_to(OLD)
        for name in ("systemctl", "systemd-run"):
            self.program(name, "")
        # A profile's new generation.
        self.program("nix-env", f'ln -sfn "$4" {root}/nix/var/nix/profiles/system-2-link; ln -sfn system-2-link "$2"')
        (root / "nix/var/nix/profiles/system-1-link").symlink_to(OLD)
        (root / "nix/var/nix/profiles/system").symlink_to("system-1-link")

    def program(self, name: str, does: str) -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.told}\n{does}\n')
        path.chmod(0o755)

    def code(self, system: str, code: int) -> None:
        """Lets the activation of a system end with a code; where that is 0, the system runs."""
        path = self.root / system.lstrip("/") / "bin/switch-to-configuration"
        path.parent.mkdir(parents=True, exist_ok=True)
        done = f'[ "$1" = boot ] || ln -sfn {system} {self.root}/run/current-system'
        path.write_text(f'#!/bin/sh\necho "{system} $1" >> {self.told}\n{done}\nexit {code}\n')
        path.chmod(0o755)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        line = [sys.executable, str(PROGRAM), "--root", str(self.root), *words]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    def does(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, *words: str, code: int = 2) -> str:
        done = self.run(*words)
        assert done.returncode == code, done.stdout
        assert done.stderr.count("\n") == 1
        return done.stderr

    @property
    def lines(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    @property
    def runs(self) -> str:
        return os.readlink(self.root / "run/current-system")

    @property
    def boots(self) -> str:
        profile = self.root / "nix/var/nix/profiles/system"
        return os.readlink(profile.parent / os.readlink(profile))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.does("status"))
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_way_back_is_armed_before_anything_changes(machine: Machine) -> None:
    machine.does("begin", NEW, "300")
    revert, activate = (line for line in machine.lines if line.startswith("systemd-run"))
    assert "--unit=hlhft-switch-revert" in revert
    assert "--on-active=300 --timer-property=AccuracySec=1s" in revert
    assert revert.endswith(" expire")
    assert "--unit=hlhft-switch-activate" in activate
    assert activate.endswith(" activate")
    assert machine.lines.index("systemctl is-active hlhft-switch-revert.timer") < machine.lines.index(activate)
    assert machine.runs == OLD
    assert os.readlink(machine.root / "nix/var/nix/gcroots/hlhft-switch") == NEW


def test_without_a_timer_nothing_is_begun(machine: Machine) -> None:
    machine.program("systemctl", '[ "$1" != is-active ]')
    assert machine.refuses("begin", NEW, "300", code=1) == "systemctl failed; the switch is idle\n"
    assert not any("activate" in line for line in machine.lines)


def test_confirmed_it_is_what_boots(machine: Machine) -> None:
    machine.does("begin", NEW, "300")
    machine.does("activate")
    assert (machine.runs, machine.boots) == (NEW, OLD), "until it is confirmed, a boot meets the former one"
    assert machine.status() == {"stage": "active", "system": NEW, "former": OLD, "current": NEW, "failed": []}
    machine.does("confirm", NEW)
    assert machine.boots == NEW
    assert machine.lines[-2:] == [f"{NEW} boot", "systemctl stop hlhft-switch-revert.timer"]
    machine.does("expire")
    assert machine.runs == NEW, "a timer that could not be stopped reverts nothing"
    assert not (machine.root / "nix/var/nix/gcroots/hlhft-switch").is_symlink()


def test_unconfirmed_it_goes_back(machine: Machine) -> None:
    machine.does("begin", NEW, "300")
    machine.does("activate")
    machine.does("expire")
    assert (machine.runs, machine.boots) == (OLD, OLD)
    assert machine.status()["stage"] == "reverted"
    assert machine.refuses("confirm", NEW).startswith("nothing waits for a confirmation")
    assert machine.boots == OLD


def test_an_activation_that_hangs_is_stopped(machine: Machine) -> None:
    machine.does("begin", NEW, "300")
    machine.does("expire")
    stopped = machine.lines.index("systemctl stop hlhft-switch-activate.service")
    assert stopped < machine.lines.index(f"{OLD} test")
    assert machine.status()["stage"] == "reverted"


def test_an_activation_that_fails_goes_back_at_once(machine: Machine) -> None:
    machine.code(NEW, 4)
    machine.does("begin", NEW, "300")
    machine.does("activate")
    assert machine.runs == OLD
    assert machine.status()["stage"] == "reverted"


def test_a_boot_loader_that_is_not_written_can_be_confirmed_again(machine: Machine) -> None:
    machine.does("begin", NEW, "300")
    machine.does("activate")
    machine.code(NEW, 1)
    assert "the boot loader was not written (exit code 1): confirm again" in machine.refuses("confirm", NEW)
    machine.code(NEW, 0)
    machine.does("confirm", NEW)


def test_only_one_switch_at_a_time(machine: Machine) -> None:
    machine.does("begin", NEW, "300")
    assert machine.refuses("begin", OTHER, "300").startswith(f"a switch to {NEW} is armed and not over")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("begin", NEW, "5"), "5 s is no time to confirm in: say 10 to 3600"),
        (("begin", "/nix/store/none", "300"), "/nix/store/none is no system that is here: copy it first"),
        (("confirm", NEW), "nothing waits for a confirmation: the switch to any system is idle"),
        (("previous",), "there is no generation before the one that boots: nothing to roll back to"),
    ],
)
def test_what_is_refused_says_why(machine: Machine, words: tuple[str, ...], sentence: str) -> None:
    assert machine.refuses(*words) == f"{sentence}\n"
    assert machine.runs == OLD


def test_the_previous_generation(machine: Machine) -> None:
    machine.does("begin", NEW, "300")
    machine.does("activate")
    machine.does("confirm", NEW)
    assert machine.does("previous") == f"{OLD}\n"


def test_failed_units_are_told(machine: Machine) -> None:
    listed = "hlhft-engine.service loaded failed failed the engine"
    machine.program("systemctl", f'[ "$1" != list-units ] || echo "{listed}"')
    assert machine.status()["failed"] == ["hlhft-engine.service"]
