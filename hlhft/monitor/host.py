"""What the host says of itself: processors, interrupts, memory, clock, disks, and the processes named by their ids.

Everything is read from /proc and /sys at the moment of asking, but for interrupts, which are many files and seldom
change. What a host does not tell, or tells in a way that is not understood, is absent: no number stands for it.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CPUS_MAX = 4096
IRQS_MAX = 4096  # interrupts beyond are not looked at
IRQS_EVERY_NS = 10_000_000_000  # between two looks at the interrupts
FILE_BYTES_MAX = 1 << 20
MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")  # columns of /proc/stat (proc(5))
NS_PER_US = 1_000
NS_PER_S = 1e9

# adjtimex(2).
_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TIME_ERROR = 5


class Fact(NamedTuple):
    """One number: the metric's name, the values of its labels in the list's order, and the value."""

    metric: str
    labels: tuple[str, ...]
    value: float


class ClockState(NamedTuple):
    """What the kernel knows of its clock; times in nanoseconds."""

    offset_ns: int
    error_ns: int
    is_synchronised: bool


class ProcessState(NamedTuple):
    """What the kernel knows of a process; `age_ns` since it began, to a hundredth of a second."""

    age_ns: int
    cpu_seconds: float
    resident_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a host is read; `folders` are those whose disks matter, by what they hold."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    folders: Mapping[str, Path]


class _Timex(ctypes.Structure):
    """struct timex (adjtimex(2)), as far as it is read; the rest is room."""

    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long),
        ("room", ctypes.c_byte * 256),
    ]  # fmt: skip


def kernel_clock() -> ClockState | None:
    """The clock of this host by its kernel; None where it does not tell."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    told = _Timex()  # modes 0 changes nothing, and everybody may ask
    answer = adjtimex(ctypes.byref(told))
    if answer < 0:
        return None
    unit_ns = 1 if told.status & _STA_NANO else NS_PER_US
    is_synchronised = answer != _TIME_ERROR and not told.status & _STA_UNSYNC
    return ClockState(told.offset * unit_ns, told.maxerror * NS_PER_US, is_synchronised)


def since_boot_ns() -> int:
    """Nanoseconds since the boot, sleep of the host included: what /proc reckons in."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Host:
    """One host. `clock` tells of the kernel's clock, `boot_ns` the time since the boot."""

    def __init__(
        self,
        places: Places,
        *,
        clock: Callable[[], ClockState | None] = kernel_clock,
        boot_ns: Callable[[], int] = since_boot_ns,
    ) -> None:
        self.places = places
        self._clock = clock
        self._boot_ns = boot_ns
        self._ticks_per_second = os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._irqs: int | None = None
        self._looked_ns: int | None = None

    def facts(self) -> Iterator[Fact]:
        """Everything that the host tells of itself now."""
        isolated = self._isolated()
        yield from self._cpus(isolated)
        yield from self._interrupts(isolated)
        yield from self._memory()
        yield from self._kept_time()
        yield from self._disks()

    def process(self, pid: int) -> ProcessState | None:
        """What is known of a process; None where there is none of that id, or it is hidden."""
        text = _text(self.places.proc / str(pid) / "stat")
        # The name stands in parentheses, and may hold some itself, and spaces.
        fields = [] if text is None else text.rpartition(")")[2].split()
        try:
            user, system, started, pages = (int(fields[place]) for place in (11, 12, 19, 21))
        except (IndexError, ValueError):
            return None
        age_ns = max(self._boot_ns() - started * (10**9 // self._ticks_per_second), 0)
        return ProcessState(age_ns, (user + system) / self._ticks_per_second, pages * self._page_bytes)

    def lives(self, pid: int) -> bool:
        """Whether there is a process of that id, ours or another's, hidden or not."""
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass  # another user's
        return True

    def _cpus(self, isolated: frozenset[int] | None) -> Iterator[Fact]:
        """Times and isolation of each processor."""
        for line in (_text(self.places.proc / "stat") or "").splitlines()[: CPUS_MAX + 1]:
            name, _, rest = line.partition(" ")
            number = _whole(name.removeprefix("cpu"))
            if not name.startswith("cpu") or number is None:
                continue
            for mode, text in zip(MODES, rest.split(), strict=False):
                ticks = _whole(text)
                if ticks is not None:
                    yield Fact("hlhft_host_cpu_seconds_total", (str(number), mode), ticks / self._ticks_per_second)
            if isolated is not None:
                yield Fact("hlhft_host_cpu_isolated", (str(number),), float(number in isolated))

    def _isolated(self) -> frozenset[int] | None:
        text = _text(self.places.sys / "devices" / "system" / "cpu" / "isolated")
        return None if text is None else cpu_list(text)

    def _interrupts(self, isolated: frozenset[int] | None) -> Iterator[Fact]:
        now_ns = self._boot_ns()
        if self._looked_ns is None or now_ns - self._looked_ns >= IRQS_EVERY_NS:
            self._looked_ns = now_ns
            self._irqs = None if isolated is None else self._irqs_on(isolated)
        if self._irqs is not None:
            yield Fact("hlhft_host_irqs_on_isolated_cpus", (), float(self._irqs))

    def _irqs_on(self, isolated: frozenset[int]) -> int | None:
        """How many interrupts an isolated processor may have to serve; None where the kernel does not tell of any."""
        found, is_told = 0, False
        for folder in _folders(self.places.proc / "irq")[:IRQS_MAX]:
            # Where the kernel keeps apart what was asked for and what is, what is counts.
            told = (_text(folder / name) for name in ("effective_affinity_list", "smp_affinity_list"))
            text = next((text for text in told if text is not None), None)
            cpus = None if text is None else cpu_list(text)
            if cpus is not None:
                is_told = True
                found += bool(cpus & isolated)
        return found if is_told else None

    def _memory(self) -> Iterator[Fact]:
        wanted = {"MemTotal": "hlhft_host_memory_bytes", "MemAvailable": "hlhft_host_memory_available_bytes"}
        for line in (_text(self.places.proc / "meminfo") or "").splitlines():
            name, _, rest = line.partition(":")
            words = rest.split()
            kib = _whole(words[0]) if len(words) == 2 and words[1] == "kB" else None
            if name in wanted and kib is not None:
                yield Fact(wanted[name], (), kib * 1024.0)

    def _kept_time(self) -> Iterator[Fact]:
        clock = self._clock()
        if clock is not None:
            yield Fact("hlhft_host_clock_offset_seconds", (), clock.offset_ns / NS_PER_S)
            yield Fact("hlhft_host_clock_error_seconds", (), clock.error_ns / NS_PER_S)
            yield Fact("hlhft_host_clock_synchronised", (), float(clock.is_synchronised))

    def _disks(self) -> Iterator[Fact]:
        for name, folder in self.places.folders.items():
            try:
                found = os.statvfs(folder)
            except OSError:
                continue  # a folder that is not there has no disk
            yield Fact("hlhft_disk_bytes", (name,), float(found.f_blocks * found.f_frsize))
            yield Fact("hlhft_disk_free_bytes", (name,), float(found.f_bavail * found.f_frsize))


def cpu_list(text: str) -> frozenset[int] | None:
    """The processors of a list as the kernel writes it, as in 0-2,5; empty for none, None where it is no such list."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        begin = _whole(first)
        end = _whole(last) if dash else begin
        if begin is None or end is None or not begin <= end < CPUS_MAX:
            return None
        found.update(range(begin, end + 1))
    return frozenset(found)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _text(path: Path) -> str | None:
    """What a small file holds; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode("ascii", errors="replace")
    except OSError:
        return None


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, by name; none where it cannot be read."""
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return []
