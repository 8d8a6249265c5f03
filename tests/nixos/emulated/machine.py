"""A machine under emulation, as a test's script knows it: QEMU without acceleration, a Debian kernel, commands over a
port.

The kernel is started with the evaluated parameters. Beside the machine itself, a network namespace in it stands for
each other machine of the test: a veth pair is the wire, so that the two see each other through their firewalls only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BOOTING_S = 200.0  # with six times as much to do as there are processors, half of it
BOOTS_MAX = 3
ENDING_S = 10.0  # for what a kernel that is done for still says
COMMAND_S_MAX = 900
CONSOLE_BYTES_SHOWN = 4000
# KVM where somebody sets it; else whatever the processor is, the result is the same.
ACCELERATION = os.environ.get("HLHFT_VM_ACCELERATION", "tcg,thread=multi")
# No more than Debian needs: for each extension the kernel would load and test its own ciphers, which is slow here.
PROCESSOR = "qemu64,+rdrand"
# The emulator's own, before those of the host. A kernel that stumbles ends, and QEMU with it, instead of standing
# still; without what guards against other tenants its code is shorter, and nobody else is in there. Warnings and units
# that take long are on the console, so that it can be told what was waited for.
PARAMETERS = (
    "root=/dev/nvme0n1 rw console=ttyS0 loglevel=5 systemd.show_status=auto net.ifnames=0 oops=panic panic=-1"
    " mitigations=off tsc=reliable"
)
STUMBLED = re.compile(r"(?:Oops: |Kernel panic - |kernel BUG at |BUG: unable to handle ).*")


class EmulationError(RuntimeError):
    """The machine did not boot, or a command did not end as it should; the message holds what it said."""


class KernelError(EmulationError):
    """The kernel itself stumbled."""


class LateError(EmulationError):
    """The machine did not answer in time."""


def unpacked(tree: Path) -> list[str]:
    """The command that starts the QEMU of a Debian tree with the tree's own loader and libraries."""
    libraries = str(tree / "usr/lib/x86_64-linux-gnu")
    firmware = [word for name in ("qemu", "seabios") for word in ("-L", str(tree / "usr/share" / name))]
    loader = ["env", f"QEMU_MODULE_DIR={libraries}/qemu", f"{libraries}/ld-linux-x86-64.so.2"]
    return [*loader, "--library-path", libraries, str(tree / "usr/bin/qemu-system-x86_64"), *firmware]


@dataclass
class Emulator:
    """One machine in the emulator that `program` starts; its files are in `folder`."""

    program: Sequence[str]
    kernel: Path
    image: Path
    parameters: str
    cpus: int
    memory_mib: int
    folder: Path
    _doing: str = field(default="", init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _port: socket.socket | None = field(default=None, init=False)
    _unread: bytes = field(default=b"", init=False)

    def command(self) -> list[str]:
        """QEMU's command line. The kernel has a driver for the root's NVMe and none for virtio built in, so it needs no
        initial ramdisk. The disk beside it has a queue for each CPU, whose interrupts the kernel manages itself."""
        network = [
            word
            for name in ("first", "uplink")
            for word in (
                "-netdev", f"user,id={name},restrict=on", "-device", f"virtio-net-pci,netdev={name},romfile=",
            )
        ]  # fmt: skip
        return [
            *self.program, "-accel", ACCELERATION, "-cpu", PROCESSOR, "-smp", str(self.cpus),
            "-m", str(self.memory_mib), "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", str(self.kernel), "-append", f"{PARAMETERS} {self.parameters}",
            "-serial", f"file:{self.folder / 'console'}",
            "-drive", f"file={self.image},if=none,id=root,format=raw,cache=unsafe,snapshot=on",
            "-device", "nvme,drive=root,serial=root",
            "-drive", "driver=null-co,size=16M,if=none,id=beside",
            "-device", f"virtio-blk-pci,drive=beside,num-queues={self.cpus}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=port,path={self.folder / 'port'},server=on,wait=off",
            "-device", "virtserialport,chardev=port,name=hlhft-test",
            *network,
        ]  # fmt: skip

    @contextlib.contextmanager
    def booted(self) -> Iterator[Emulator]:
        """Boots, and kills the machine at the end. A kernel that stumbles or stands still while it boots is booted anew
        from the same image, BOOTS_MAX times in all. Raises EmulationError: KernelError where it stumbled the last time,
        or once it had booted, LateError where it stood still."""
        try:
            self._boot()
            yield self
            if self._process is not None:
                self._check(time.monotonic() + 1.0)
        except KeyboardInterrupt:
            print(f"interrupted while {self._doing}:\n{self.console()}", flush=True)
            raise
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends it at once, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._port is not None:
            self._port.close()
            self._port = None

    def ask(self, command: str, namespace: str, within_s: int) -> tuple[int, str]:
        """Runs a command in the machine: its exit code and its output."""
        assert self._port is not None, "the machine is not booted"
        self._doing = f"this ran in {namespace or 'the machine'}: {command}"
        asked = {"command": command, "namespace": namespace, "within_s": within_s}
        with contextlib.suppress(BrokenPipeError):  # why it is gone is said where the answer is missed
            self._port.sendall(json.dumps(asked).encode() + b"\n")
        answer = json.loads(self._line(within_s + 60.0))
        return int(answer["code"]), str(answer["output"])

    def console(self) -> str:
        """The end of what the kernel and the manager said."""
        return self._said()[-CONSOLE_BYTES_SHOWN:]

    def _boot(self) -> None:
        for boot in range(1, BOOTS_MAX + 1):
            self._doing = f"the machine booted for the {boot}. time"
            self._start()
            try:
                self._connect()
                return
            except (KernelError, LateError) as error:
                self.kill()
                if boot == BOOTS_MAX:
                    raise type(error)(f"it came through none of {boot} boots; in the last {error}") from None
                print(f"boot {boot} of {BOOTS_MAX} is tried again: {error}", flush=True)

    def _start(self) -> None:
        assert len(str(self.folder / "port").encode()) <= 107, "the path of a socket is 107 bytes at most"
        for name in ("console", "port"):
            (self.folder / name).unlink(missing_ok=True)
        self._unread = b""
        with open(self.folder / "qemu", "wb") as said:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def _connect(self) -> None:
        deadline = time.monotonic() + BOOTING_S
        self._port = socket.socket(socket.AF_UNIX)
        while True:
            self._check(deadline)
            try:
                self._port.connect(str(self.folder / "port"))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.05)
        assert json.loads(self._line(deadline - time.monotonic())) == {"ready": True}

    def _line(self, within_s: float) -> bytes:
        """The next line of the machine's answer."""
        assert self._port is not None
        deadline = time.monotonic() + within_s
        while b"\n" not in self._unread:
            self._check(deadline)
            self._port.settimeout(1.0)
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                self._unread += self._port.recv(1 << 16)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _check(self, deadline: float) -> None:
        """Raises EmulationError where there is nothing left to wait for."""
        assert self._process is not None, "the machine is not booted"
        ended = self._process.poll()
        stumbled = STUMBLED.search(self._said())
        if stumbled is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING_S)
            raise KernelError(f"the kernel said: {stumbled[0].strip()}\n{self.console()}")
        if ended is not None:
            raise EmulationError(f"QEMU ended with {ended}: {(self.folder / 'qemu').read_text()}\n{self.console()}")
        if time.monotonic() > deadline:
            raise LateError(f"the machine did not answer in time:\n{self.console()}")

    def _said(self) -> str:
        path = self.folder / "console"
        return path.read_bytes().decode(errors="replace") if path.exists() else ""


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
