"""A host over SSH: each command over a connection of its own, to a host that shows the key that was made for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hlhft.deploy import programs
from hlhft.deploy.confirming import Answer
from hlhft.deploy.errors import StepError

CONNECT_S = 10
ALIVE_S, ALIVE_MISSED_MAX = 5, 3
COMMAND_SECONDS_MAX = 120.0
SWITCH = "hlhft-switch"  # nixos/files/switch.py as the host has it


@dataclass(frozen=True, slots=True)
class Host:
    """`target` is USER@ADDRESS. With `known_hosts` the host must show a key of that file, under the name `alias`;
    without, as a rescue system that nobody knows, any."""

    target: str
    known_hosts: Path | None = None
    alias: str = ""
    options: tuple[str, ...] = ()  # further ones of ssh, NAME=VALUE

    @property
    def ssh_options(self) -> list[str]:
        """The options of ssh. Never a shared connection: that a new one can be made is what is to be found out."""
        said = [
            *self.options, "BatchMode=yes", "ControlMaster=no", "ControlPath=none", f"ConnectTimeout={CONNECT_S}",
            f"ServerAliveInterval={ALIVE_S}", f"ServerAliveCountMax={ALIVE_MISSED_MAX}",
        ]  # fmt: skip
        if self.known_hosts is None:
            said += ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        else:
            said += [
                "StrictHostKeyChecking=yes", f"UserKnownHostsFile={self.known_hosts}", f"HostKeyAlias={self.alias}",
                "GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no",
            ]  # fmt: skip
        return [word for option in said for word in ("-o", option)]

    def line(self, words: Sequence[str]) -> list[str]:
        """The command line that runs words there."""
        return ["ssh", *self.ssh_options, self.target, "--", shlex.join(words)]

    def run(self, *words: str, seconds: float = COMMAND_SECONDS_MAX) -> str:
        """What a command says there. Raises StepError."""
        return programs.run(self.line(words), seconds=seconds).decode()

    def cpus(self) -> int:
        """How many CPUs it has, those off among them. Raises StepError."""
        said = self.run("nproc", "--all").strip()
        if not said.isdecimal():
            raise StepError(f"{self.target} does not say how many CPUs it has: nproc --all says {said[:80]!r}")
        return int(said)

    def status(self) -> Answer:
        """How far a switch is. Raises StepError."""
        said = self.run(SWITCH, "status")
        try:
            return msgspec.json.decode(said, type=Answer)
        except msgspec.MsgspecError:
            raise StepError(f"{self.target} does not say how far a switch is: {said[:80]!r}") from None
