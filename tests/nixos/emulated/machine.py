"""A machine under emulation, as a test's script knows it: QEMU without acceleration, a Debian kernel, commands over a
port.

The kernel is started with the evaluated parameters. Beside the machine itself, a network namespace in it stands for
each other machine of the test: a veth pair is the wire, so that the two see each other through their firewalls only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BOOTING_S = 240.0
COMMAND_S_MAX = 900
CONSOLE_BYTES_SHOWN = 4000
# KVM where somebody sets it; else whatever the processor is, the result is the same.
ACCELERATION = os.environ.get("HLHFT_VM_ACCELERATION", "tcg,thread=multi")
# No more than Debian needs: for each extension the kernel would load and test its own ciphers, which is slow here.
PROCESSOR = "qemu64,+rdrand"


class EmulationError(RuntimeError):
    """The machine did not boot, or a command did not end as it should; the message holds what it said."""


@dataclass
class Emulator:
    """QEMU with one machine."""

    tree: Path
    image: Path
    parameters: str
    cpus: int
    memory_mib: int
    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _port: socket.socket | None = field(default=None, init=False)
    _unread: bytes = field(default=b"", init=False)

    def command(self) -> list[str]:
        """QEMU's command line. The disk has a queue for each CPU, whose interrupts the kernel manages itself."""
        kernel, initrd = (sorted((self.tree / "boot").glob(f"{name}-*"))[-1] for name in ("vmlinuz", "initrd.img"))
        network = [
            word
            for name in ("first", "uplink")
            for word in ("-netdev", f"user,id={name},restrict=on", "-device", f"virtio-net-pci,netdev={name}")
        ]
        return [
            "qemu-system-x86_64", "-accel", ACCELERATION, "-cpu", PROCESSOR, "-smp", str(self.cpus),
            "-m", str(self.memory_mib), "-display", "none", "-no-reboot",
            "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", f"root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 {self.parameters}",
            "-serial", f"file:{self.folder / 'console'}",
            "-drive", f"file={self.image},if=none,id=root,format=raw,cache=unsafe",
            "-device", f"virtio-blk-pci,drive=root,num-queues={self.cpus}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=port,path={self.folder / 'port'},server=on,wait=off",
            "-device", "virtserialport,chardev=port,name=hlhft-test",
            *network,
        ]  # fmt: skip

    @contextlib.contextmanager
    def booted(self) -> Iterator[Emulator]:
        """Boots, and kills the machine at the end. Raises EmulationError."""
        assert len(str(self.folder / "port").encode()) <= 107, "the path of a socket is 107 bytes at most"
        with open(self.folder / "qemu", "wb") as said:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            self._connect()
            yield self
        finally:
            self.kill()
            if self._port is not None:
                self._port.close()

    def kill(self) -> None:
        """Ends it at once."""
        assert self._process is not None, "the machine is not booted"
        self._process.kill()
        self._process.wait()

    def ask(self, command: str, namespace: str, within_s: int) -> tuple[int, str]:
        """Runs a command in the machine: its exit code and its output."""
        assert self._port is not None, "the machine is not booted"
        asked = {"command": command, "namespace": namespace, "within_s": within_s}
        self._port.sendall(json.dumps(asked).encode() + b"\n")
        answer = json.loads(self._line(within_s + 60.0))
        return int(answer["code"]), str(answer["output"])

    def console(self) -> str:
        """The end of what the kernel and the manager said."""
        path = self.folder / "console"
        return path.read_bytes()[-CONSOLE_BYTES_SHOWN:].decode(errors="replace") if path.exists() else ""

    def _connect(self) -> None:
        deadline = time.monotonic() + BOOTING_S
        port = socket.socket(socket.AF_UNIX)
        while True:
            self._check(deadline)
            try:
                port.connect(str(self.folder / "port"))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.05)
        self._port = port
        assert json.loads(self._line(deadline - time.monotonic())) == {"ready": True}

    def _line(self, within_s: float) -> bytes:
        """The next line of the machine's answer."""
        assert self._port is not None
        deadline = time.monotonic() + within_s
        while b"\n" not in self._unread:
            self._check(deadline)
            self._port.settimeout(1.0)
            with contextlib.suppress(TimeoutError):
                self._unread += self._port.recv(1 << 16)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _check(self, deadline: float) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise EmulationError(f"QEMU ended: {(self.folder / 'qemu').read_text()}\n{self.console()}")
        if time.monotonic() > deadline:
            raise EmulationError(f"the machine did not answer in time:\n{self.console()}")


@dataclass(frozen=True)
class Emulated:
    """One machine of a test: the emulated one, or a namespace in it."""

    name: str
    emulator: Emulator
    namespace: str = ""

    def execute(self, command: str, timeout: int | None = COMMAND_S_MAX) -> tuple[int, str]:
        """Its exit code and its output."""
        return self.emulator.ask(command, self.namespace, COMMAND_S_MAX if timeout is None else timeout)

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        """The output of commands that must all end with 0."""
        return "".join(self._output(command, timeout, wanted=True) for command in commands)

    def fail(self, *commands: str, timeout: int | None = None) -> str:
        """The output of commands that must all end with another code than 0."""
        return "".join(self._output(command, timeout, wanted=False) for command in commands)

    def crash(self) -> None:
        """Ends the emulated machine, and with it the namespaces beside it."""
        self.emulator.kill()

    def wait_until_succeeds(self, command: str, timeout: int = COMMAND_S_MAX) -> str:
        """The output of a command that is repeated until it ends with 0."""
        deadline = time.monotonic() + timeout
        while True:
            code, output = self.execute(command, timeout)
            if code == 0:
                return output
            if time.monotonic() > deadline:
                raise EmulationError(f"{self.name}: for {timeout} s it did not succeed: {command}\n{output}")
            time.sleep(0.5)

    def wait_for_unit(self, unit: str, *, timeout: int = COMMAND_S_MAX) -> None:
        """Returns when the unit is active; fails when it failed."""
        state = self.wait_until_succeeds(
            f"state=$(systemctl show -P ActiveState {unit}); echo $state; test $state = active -o $state = failed",
            timeout,
        )
        if state.strip() != "active":
            raise EmulationError(f"{self.name}: {unit} failed:\n{self.execute(f'systemctl status {unit}')[1]}")

    def _output(self, command: str, timeout: int | None, *, wanted: bool) -> str:
        code, output = self.execute(command, timeout)
        if (code == 0) != wanted:
            raise EmulationError(f"{self.name}: ended with {code}: {command}\n{output}")
        return output


def is_there() -> bool:
    """Whether QEMU is installed."""
    return shutil.which("qemu-system-x86_64") is not None
