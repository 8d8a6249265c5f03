"""Changes the system that runs, and goes back to the former one by itself unless somebody confirms in time.

usage: switch.py begin SYSTEM SECONDS    arm the way back, then start activating SYSTEM; returns at once
       switch.py confirm SYSTEM          keep it: it becomes what boots
       switch.py status                  what became of it, as JSON: stage, system, former, current, failed
       switch.py previous                the generation before the one that boots

Until it is confirmed, SYSTEM is activated only (`switch-to-configuration test`): the boot loader and the profile still
name the former one, so a host that hangs comes back as it was when its power is cut. The way back is a timer of
systemd, armed before anything changes; it and the activation run in units of their own and outlive the connection that
asked.

Every step is a row of TABLE. What has none is refused in a sentence, with exit code 2; a program that fails ends it
with 1.
"""

import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

REVERT, ACTIVATE = "hlhft-switch-revert", "hlhft-switch-activate"  # units
SECONDS_MIN, SECONDS_MAX = 10, 3600
PROGRAM_SECONDS_MAX = 60  # of systemctl, systemd-run and nix-env
# The engine alone may take its time to stop, and a boot loader is written to two disks.
ACTIVATION_SECONDS_MAX = 900
GENERATION = re.compile(r"system-([0-9]+)-link")


class Stage(StrEnum):
    """How far a switch is."""

    IDLE = "idle"  # none since the host booted
    ARMED = "armed"  # the way back is armed, the new system is being activated
    ACTIVE = "active"  # the new system runs, and waits for a confirmation
    CONFIRMED = "confirmed"
    REVERTING = "reverting"
    REVERTED = "reverted"


class Event(StrEnum):
    """What can happen to a switch."""

    BEGIN = "begin"
    ACTIVATED = "activated"
    FAILED = "failed"  # the activation did
    CONFIRM = "confirm"
    EXPIRE = "expire"  # nobody confirmed in time
    RESTORED = "restored"  # the former system runs again


TABLE = {
    (Stage.IDLE, Event.BEGIN): Stage.ARMED,
    (Stage.IDLE, Event.EXPIRE): Stage.IDLE,
    (Stage.ARMED, Event.ACTIVATED): Stage.ACTIVE,
    (Stage.ARMED, Event.FAILED): Stage.REVERTING,
    (Stage.ARMED, Event.EXPIRE): Stage.REVERTING,
    (Stage.ACTIVE, Event.CONFIRM): Stage.CONFIRMED,
    (Stage.ACTIVE, Event.EXPIRE): Stage.REVERTING,
    # The answer to the first one was lost, or what it does failed: it is done once more.
    (Stage.CONFIRMED, Event.CONFIRM): Stage.CONFIRMED,
    (Stage.CONFIRMED, Event.EXPIRE): Stage.CONFIRMED,
    (Stage.CONFIRMED, Event.BEGIN): Stage.ARMED,
    # An activation that was still under way when the time was up ends late.
    (Stage.REVERTING, Event.ACTIVATED): Stage.REVERTING,
    (Stage.REVERTING, Event.FAILED): Stage.REVERTING,
    (Stage.REVERTING, Event.EXPIRE): Stage.REVERTING,
    (Stage.REVERTING, Event.RESTORED): Stage.REVERTED,
    (Stage.REVERTED, Event.ACTIVATED): Stage.REVERTED,
    (Stage.REVERTED, Event.FAILED): Stage.REVERTED,
    (Stage.REVERTED, Event.EXPIRE): Stage.REVERTED,
    (Stage.REVERTED, Event.RESTORED): Stage.REVERTED,
    (Stage.REVERTED, Event.BEGIN): Stage.ARMED,
}
REFUSALS = {
    Event.BEGIN: "a switch to {system} is {stage} and not over: confirm it, or wait until it is reverted",
    Event.CONFIRM: "nothing waits for a confirmation: the switch to {system} is {stage}",
}


class Switch(NamedTuple):
    """A switch: where it is, and between which systems."""

    stage: Stage = Stage.IDLE
    system: str = ""
    former: str = ""


class Refused(Exception):
    """What the table has no row for; the message is one sentence."""


def after(switch: Switch, event: Event, *, system: str = "", former: str = "") -> Switch:
    """The switch after the event; `system` is what the event is about where it says so. Raises Refused."""
    stage = TABLE.get((switch.stage, event))
    is_other = event is Event.CONFIRM and system != switch.system
    if stage is None or is_other:
        about = switch.system or "any system"
        raise Refused(REFUSALS.get(event, "{stage}: nothing to be done").format(system=about, stage=switch.stage))
    return Switch(stage, system, former) if event is Event.BEGIN else switch._replace(stage=stage)


class Host:
    """The host below `root`: its files, and the programs that it runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "run/hlhft-switch"  # gone after a boot, as the switch then is
        self.profile = root / "nix/var/nix/profiles/system"
        self.keeper = root / "nix/var/nix/gcroots/hlhft-switch"
        self.running = root / "run/current-system"

    def inside(self, path: str) -> Path:
        """A path of the host's as one of ours."""
        return self.root / path.lstrip("/")

    def current(self) -> str:
        """The system that runs."""
        return os.readlink(self.running)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One at a time: a confirmation and the end of its time cannot both win."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self) -> Switch:
        """The switch as it was noted."""
        try:
            noted = json.loads((self.folder / "state.json").read_text())
        except FileNotFoundError:
            return Switch()
        return Switch(Stage(noted["stage"]), noted["system"], noted["former"])

    def note(self, event: Event, *, system: str = "", former: str = "") -> Switch:
        """Takes the event, and writes what follows from it before anything is done about it. Raises Refused."""
        with self.locked():
            switch = after(self.read(), event, system=system, former=former)
            beside = self.folder / ".state.json.writing"
            beside.write_text(json.dumps(switch._asdict()) + "\n")
            os.replace(beside, self.folder / "state.json")
        return switch

    def run(self, *line: str, check: bool = True, seconds: int = PROGRAM_SECONDS_MAX) -> str:
        """What a program says. Raises CalledProcessError, TimeoutExpired."""
        done = subprocess.run(line, check=check, timeout=seconds, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def switch_to(self, system: str, action: str) -> int:
        """Lets a system make itself the running one, or the one that boots; its exit code."""
        program = self.inside(system) / "bin/switch-to-configuration"
        return subprocess.run([program, action], check=False, timeout=ACTIVATION_SECONDS_MAX).returncode

    def start(self, unit: str, word: str, *options: str) -> None:
        """Lets systemd run this program with that word, in a unit of its own."""
        line = [sys.executable, str(Path(__file__).resolve()), "--root", str(self.root), word]
        kept = f"--setenv=PATH={os.environ['PATH']}"
        self.run("systemd-run", f"--unit={unit}", "--collect", "--quiet", kept, *options, *line)


def begin(host: Host, system: str, seconds: int) -> None:
    """Arms the way back and starts the activation."""
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        raise Refused(f"{seconds} s is no time to confirm in: say {SECONDS_MIN} to {SECONDS_MAX}")
    if not (host.inside(system) / "bin/switch-to-configuration").is_file():
        raise Refused(f"{system} is no system that is here: copy it first")
    former = host.current()
    after(host.read(), Event.BEGIN, system=system, former=former)
    # Without a way back nothing is begun. A timer whose switch never came finds nothing to do.
    host.run("systemctl", "stop", f"{REVERT}.timer", check=False)
    host.start(REVERT, "expire", f"--on-active={seconds}", "--timer-property=AccuracySec=1s")
    host.run("systemctl", "is-active", f"{REVERT}.timer")
    # The collector of garbage may not take it meanwhile.
    host.keeper.unlink(missing_ok=True)
    host.keeper.symlink_to(system)
    host.note(Event.BEGIN, system=system, former=former)
    host.start(ACTIVATE, "activate", "--no-block")
    print(f"{system} is being activated; without a confirmation it is reverted in {seconds} s")


def activate(host: Host) -> None:
    """In its own unit: activates the new system, or goes back at once where that fails."""
    code = host.switch_to(host.read().system, "test")
    switch = host.note(Event.ACTIVATED if code == 0 else Event.FAILED)
    print(f"the activation ended with exit code {code}: {switch.stage}")
    if code and switch.stage is Stage.REVERTING:
        restore(host, switch)
        host.run("systemctl", "stop", f"{REVERT}.timer", check=False)


def expire(host: Host) -> None:
    """In its own unit, when the time is up: goes back, unless it was confirmed."""
    switch = host.note(Event.EXPIRE)
    if switch.stage is Stage.REVERTING:
        host.run("systemctl", "stop", f"{ACTIVATE}.service", check=False, seconds=ACTIVATION_SECONDS_MAX)
        restore(host, switch)


def restore(host: Host, switch: Switch) -> None:
    """The former system is made the running one; what boots never was another."""
    code = host.switch_to(switch.former, "test")
    host.note(Event.RESTORED)
    print(f"{switch.system} was not confirmed: {switch.former} runs again (exit code {code})")


def confirm(host: Host, system: str) -> None:
    """The new system becomes what boots. Where a part of that fails, it can be confirmed again."""
    host.note(Event.CONFIRM, system=system)
    host.run("nix-env", "--profile", str(host.profile), "--set", system)
    code = host.switch_to(system, "boot")
    if code:
        raise Refused(f"{system} runs, and the boot loader was not written (exit code {code}): confirm again")
    host.keeper.unlink(missing_ok=True)
    host.run("systemctl", "stop", f"{REVERT}.timer", check=False)
    print(f"{system} is confirmed, and is what boots")


def status(host: Host) -> None:
    """What became of the switch, and which units have failed."""
    shown = host.run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager")
    failed = [line.split()[0] for line in shown.splitlines() if line.strip()]
    print(json.dumps({**host.read()._asdict(), "current": host.current(), "failed": failed}))


def previous(host: Host) -> None:
    """The system of the newest generation older than the one that boots."""
    links = host.profile.parent.glob("system-*-link")
    found = {int(match[1]): link for link in links if (match := GENERATION.fullmatch(link.name))}
    booting = GENERATION.fullmatch(os.readlink(host.profile))
    older = [number for number in found if booting is not None and number < int(booting[1])]
    if not older:
        raise Refused("there is no generation before the one that boots: nothing to roll back to")
    print(os.readlink(found[max(older)]))


def main() -> int:
    """Does what the words say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path("/"))
    words = parser.add_subparsers(dest="word", required=True)
    for name in ("activate", "expire", "status", "previous"):
        words.add_parser(name)
    words.add_parser("confirm").add_argument("system")
    begins = words.add_parser("begin")
    begins.add_argument("system")
    begins.add_argument("seconds", type=int)
    said = vars(parser.parse_args())
    host, word = Host(said.pop("root")), said.pop("word")
    does = {"begin": begin, "confirm": confirm, "activate": activate, "expire": expire, "status": status,
            "previous": previous}  # fmt: skip
    try:
        does[word](host, **said)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{error.cmd[0]} failed; the switch is {host.read().stage}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
