"""What a process can do where it is started, as JSON: put in place of a unit's own program, all else as it is there.

usage: probe.py PID    (of a process of another user; Python's standard library alone)
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_USER_NAMESPACE = 0x10000000
PTRACE_SEIZE = 0x4206
PERSONALITY_READ_IMPLIES_EXEC = 0x0400000
MLOCK_BYTES = 1 << 16


def _called(name: str, *arguments: Any) -> None:
    """Calls a function of the C library that says -1 when it fails. Raises OSError."""
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def _map_executable() -> None:
    with contextlib.closing(mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)) as mapped:
        address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(mapped)))
        _called("mprotect", address, ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_EXEC)
        del address


def _opened(family: int, kind: int = socket.SOCK_DGRAM) -> None:
    socket.socket(family, kind).close()


def _written(path: str) -> None:
    place = Path(path, ".probe")
    place.touch()
    place.unlink()


def _set_id() -> None:
    path = Path(os.environ["STATE_DIRECTORY"].partition(":")[0], "probe-set-id")
    path.touch()
    try:
        path.chmod(0o4700)
    finally:
        path.unlink()


def _credentials_of_others() -> list[str]:
    own = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/none"))
    return [str(path) for path in Path("/run/credentials").glob("*/*") if path.parent != own and path.read_bytes()]


def _others(pid: int) -> None:
    if not Path(f"/proc/{pid}/environ").read_bytes():
        raise OSError("nothing is in it")


def trials(pid: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is tried, by name."""
    yield "map memory that was written as executable", _map_executable
    yield "write into /etc", lambda: _written("/etc")
    yield "write into /var/lib", lambda: _written("/var/lib")
    yield "write into /usr", lambda: _written("/usr")
    yield "write where states are its own", lambda: _written(os.environ["STATE_DIRECTORY"].partition(":")[0])
    yield "write where numbers are shown", lambda: _written("/run/hlhft-metrics")
    yield "list /home", lambda: os.listdir("/home")
    yield "list /root", lambda: os.listdir("/root")
    yield "see another's process", lambda: os.stat(f"/proc/{pid}")
    yield "read another's environment", lambda: _others(pid)
    yield "trace another's process", lambda: _called("ptrace", PTRACE_SEIZE, pid, None, None)
    yield "signal another's process", lambda: os.kill(pid, 0)
    yield "see processors", lambda: Path("/proc/cpuinfo").read_bytes()
    yield "open a socket of the internet", lambda: _opened(socket.AF_INET)
    yield "open a socket of the kernel", lambda: _opened(socket.AF_NETLINK, socket.SOCK_RAW)
    yield "open a socket of raw packets", lambda: _opened(socket.AF_PACKET, socket.SOCK_RAW)
    yield "choose its processor", lambda: os.sched_setaffinity(0, os.sched_getaffinity(0))
    yield "run in real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    yield "make a namespace", lambda: _called("unshare", NEW_USER_NAMESPACE)
    yield "mount", lambda: _called("mount", b"none", b"/tmp", b"tmpfs", 0, None)
    yield "become another user", lambda: os.setuid(65534)
    yield "give a file another's rights", _set_id
    yield "execute what it reads", lambda: _called("personality", PERSONALITY_READ_IMPLIES_EXEC)
    yield "see devices of the host", lambda: os.stat("/dev/mem")


def main(pid: int) -> None:
    """Tries all of it, and prints for each whether it was possible; and which credentials of others were readable."""
    can = {}
    for name, attempt in trials(pid):
        try:
            attempt()
            can[name] = True
        except OSError:
            can[name] = False
    with contextlib.suppress(OSError):
        can["read credentials of others"] = bool(_credentials_of_others())
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kept = ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd", "CapAmb")
    limits = Path("/proc/self/limits").read_text().splitlines()
    core = next(line.split()[4] for line in limits if line.startswith("Max core file size"))
    print(json.dumps({"can": can, "core": core, "status": {name: status[name].strip() for name in kept}}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
