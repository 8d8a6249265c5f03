"""A host that is a systemd-nspawn container over a tree: booted, told commands, cut off, killed and booted again.

Its methods are those of the machines of NixOS's own test driver, as far as a container can do them, so that a test
script written for a virtual machine can be run on it. What a container cannot: it has this system's kernel, so kernel
parameters, interrupts, sysctls outside the network, and WireGuard are not its own; limits above this system's hard
ones, IPAddressDeny and MemoryMax have no effect. A wait has a deadline and fails with what was seen last.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

BOOT_S = 60.0
STOP_S = 60.0
WAIT_S = 60.0  # NixOS waits 900 s; nothing that these wait for takes so long without being broken
COMMAND_S = 60.0
OUTPUT_CHARACTERS = 3000  # of what a failure shows, its last
LOOK_S = 0.1
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NSPAWN = (
    "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off",
    "--timezone=off", "--console=pipe", "--boot",
)  # fmt: skip
# One hierarchy of control groups, as NixOS has it, also where this system has those of old.
UNIFIED = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}


class MachineError(AssertionError):
    """A command that did not end as it should, or something that did not come in time; with what was seen."""


class Machine:
    """One host. `root` is its tree, which it writes to and which stays as it is over `crash` and `start`.

    `network`: the path of a network namespace that it shares, for hosts that reach each other; None: a loopback of its
    own and nothing else.
    """

    def __init__(self, name: str, root: Path, *, network: Path | None = None) -> None:
        self.name = name
        self.root = root
        self._network = network
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self.console = root.parent / f"{name}.console"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_up():
            self.crash()

    # Power.

    def is_up(self) -> bool:
        """Whether it runs."""
        return self._nspawn is not None and self._nspawn.poll() is None

    def start(self) -> None:
        """Boots it, and returns when its systemd answers; units may still be starting."""
        assert not self.is_up(), f"{self.name} runs already"
        net = "--private-network" if self._network is None else f"--network-namespace-path={self._network}"
        # Whatever happens to the tests, it ends with them.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            *NSPAWN,
            net,
            # Unlike the name of the host, that of the container is of nobody else on this system.
            f"--machine={self.name}-{os.getpid()}",
            f"--hostname={self.name}",
            "--directory",
            str(self.root),
        ]
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=os.environ | UNIFIED
            )
        self._until(self._answers, BOOT_S, "boot")

    def crash(self) -> None:
        """Ends it at once, as a power cut does; what was not written is lost."""
        assert self._nspawn is not None, f"{self.name} was never started"
        if self._leader:
            os.kill(self._leader, signal.SIGKILL)
        else:
            self._nspawn.kill()
        self._nspawn.wait(STOP_S)
        self._leader = 0

    def shutdown(self) -> None:
        """Stops its units in their order and ends it."""
        assert self._nspawn is not None, f"{self.name} was never started"
        self.execute("systemctl poweroff --no-block")
        self._nspawn.wait(STOP_S)
        self._leader = 0

    def reboot(self) -> None:
        """Shuts it down and starts it again."""
        self.shutdown()
        self.start()

    # Commands.

    def execute(self, command: str, timeout: float | None = COMMAND_S) -> tuple[int, str]:
        """Runs a command of bash as root; its exit code and what it wrote to standard output. A command that takes
        longer than `timeout` seconds is killed, and its exit code is 124."""
        code, output, _ = self._run(command, timeout)
        return code, output

    def succeed(self, *commands: str, timeout: float | None = COMMAND_S) -> str:
        """Runs commands that must end with 0; what they wrote to standard output. Raises MachineError."""
        said = ""
        for command in commands:
            code, output, errors = self._run(command, timeout)
            if code != 0:
                raise MachineError(f"{self.name}: `{command}` ended with {code}:\n{_last(output)}\n{_last(errors)}")
            said += output
        return said

    def fail(self, *commands: str, timeout: float | None = COMMAND_S) -> str:
        """Runs commands that must not end with 0; what they wrote to standard output. Raises MachineError."""
        said = ""
        for command in commands:
            code, output, _ = self._run(command, timeout)
            if code == 0:
                raise MachineError(f"{self.name}: `{command}` should not have succeeded:\n{_last(output)}")
            said += output
        return said

    def wait_until_succeeds(self, command: str, timeout: float = WAIT_S) -> str:
        """Repeats a command until it ends with 0; what it wrote to standard output then. Raises MachineError."""
        return self._until_ended(command, timeout, lambda code: code == 0)

    def wait_until_fails(self, command: str, timeout: float = WAIT_S) -> str:
        """Repeats a command until it does not end with 0. Raises MachineError."""
        return self._until_ended(command, timeout, lambda code: code != 0)

    # Words of its own.

    def systemctl(self, arguments: str) -> tuple[int, str]:
        """Runs `systemctl`; its exit code and output."""
        return self.execute(f"systemctl {arguments}")

    def get_unit_property(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd shows it."""
        return self.succeed(f"systemctl show --value --property={name} {shlex.quote(unit)}").strip()

    def wait_for_unit(self, unit: str, timeout: float = WAIT_S) -> None:
        """Waits until a unit is active. Raises MachineError, at once for one that failed for good."""
        name = unit if "." in unit else f"{unit}.service"

        def is_active() -> bool:
            state = self.get_unit_property(name, "ActiveState")
            if state == "failed":
                raise MachineError(f"{self.name}: {name} failed:\n{self.journal(name)}")
            return state == "active"

        self._until(is_active, timeout, f"{name} is active", seen=lambda: self.journal(name))

    def wait_for_file(self, path: str, timeout: float = WAIT_S) -> None:
        """Waits until a path exists. Raises MachineError."""
        self.wait_until_succeeds(f"test -e {shlex.quote(path)}", timeout)

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: float = WAIT_S) -> None:
        """Waits until something listens. Raises MachineError."""
        self.wait_until_succeeds(f"exec 3<>/dev/tcp/{addr}/{port}", timeout)

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: float = WAIT_S) -> None:
        """Waits until nothing listens. Raises MachineError."""
        self.wait_until_fails(f"exec 3<>/dev/tcp/{addr}/{port}", timeout)

    def journal(self, unit: str, lines: int = 40) -> str:
        """The last lines that a unit logged."""
        return self.execute(f"journalctl --no-pager --output=cat --lines={lines} --unit={shlex.quote(unit)}")[1]

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Puts a file there, which is root's; whether it runs or not."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch(mode=mode)
        place.chmod(mode)
        place.write_text(text)

    # Parts.

    def _answers(self) -> bool:
        """Whether its systemd can be asked; finds the process that is its first."""
        assert self._nspawn is not None, "it was started"
        if self._nspawn.poll() is not None:
            raise MachineError(f"{self.name} did not boot:\n{_last(self.console.read_text(errors='replace'))}")
        if not self._leader:
            self._leader = _container_of(self._nspawn.pid)
        return bool(self._leader) and self.execute("systemctl show --property=Version")[0] == 0

    def _run(self, command: str, timeout: float | None) -> tuple[int, str, str]:
        assert self.is_up(), f"{self.name} does not run"
        inside = ("nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid")
        clean = ("env", "--chdir=/", "--ignore-environment", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8")
        limit = () if timeout is None else ("timeout", "--signal=KILL", f"{timeout}")
        done = subprocess.run(
            [*limit, *inside, *clean, "/bin/bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True,
            check=False,
        )  # fmt: skip
        code = 124 if limit and done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL) else done.returncode
        return code, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def _until_ended(self, command: str, timeout: float, is_right: Callable[[int], bool]) -> str:
        seen = (0, "", "")

        def look() -> bool:
            nonlocal seen
            seen = self._run(command, timeout)
            return is_right(seen[0])

        def last() -> str:
            return f"it ended with {seen[0]}:\n{_last(seen[1])}\n{_last(seen[2])}"

        self._until(look, timeout, f"`{command}`", seen=last)
        return seen[1]

    def _until(self, look: Callable[[], bool], within_s: float, what: str, *, seen: Callable[[], str] = str) -> None:
        deadline = time.monotonic() + within_s
        while not look():
            if time.monotonic() >= deadline:
                raise MachineError(f"{self.name}: not within {within_s:g} s: {what}\n{seen()}")
            time.sleep(LOOK_S)


def _container_of(nspawn: int) -> int:
    """The process that is the first of the container, as this system numbers it; 0 while there is none."""
    for child in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split():
        status = Path(f"/proc/{child}/status").read_text()
        numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
        if len(numbers) > 1 and numbers[-1] == "1":
            return int(child)
    return 0


def _last(text: str) -> str:
    return text[-OUTPUT_CHARACTERS:].strip()
