"""What a host tells is shown as it is told, and what it does not tell is absent."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.monitor.host import IRQS_EVERY_NS, ClockState, Fact, Host, Places, cpu_list, kernel_clock
from hlhft.monitor.metrics import BY_NAME, Kind, Source

STAT = """cpu  30 4 12 900 6 0 2 1 0 0
cpu0 10 1 4 300 2 0 2 1 0 0
cpu3 20 3 8 600 4 0 0 0 0 0
intr 5 0 0
"""
MEMINFO = (
    "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    9000000 kB\nHugePages_Total:       7\n"
)


class Time:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now_ns = 1

    def __call__(self) -> int:
        return self.now_ns


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def host_of(root: Path, *, clock: ClockState | None = None, now: Time | None = None, **folders: Path) -> Host:
    places = Places(proc=root / "proc", sys=root / "sys", folders=folders)
    return Host(places, clock=lambda: clock, boot_ns=now or Time())


def facts_of(host: Host) -> dict[tuple[str, ...], float]:
    return {(fact.metric.removeprefix("hlhft_"), *fact.labels): fact.value for fact in host.facts()}


def test_times_of_processors_and_which_are_isolated(tmp_path: Path) -> None:
    written(tmp_path / "proc" / "stat", STAT)
    written(tmp_path / "sys" / "devices" / "system" / "cpu" / "isolated", "2-3\n")
    facts = facts_of(host_of(tmp_path))
    second = os.sysconf("SC_CLK_TCK")
    times = {labels[1:]: value * second for labels, value in facts.items() if labels[0] == "host_cpu_seconds_total"}
    assert times == {
        **{("0", mode): ticks for mode, ticks in zip(MODES, (10, 1, 4, 300, 2, 0, 2, 1), strict=True)},
        **{("3", mode): ticks for mode, ticks in zip(MODES, (20, 3, 8, 600, 4, 0, 0, 0), strict=True)},
    }
    assert facts["host_cpu_isolated", "0"] == 0.0
    assert facts["host_cpu_isolated", "3"] == 1.0


MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


@pytest.mark.parametrize(
    ("effective", "wished", "count"),
    [("2", "0-3", 1), ("0-1", "0-3", 0), ("", "0-3", 0), (None, "1-2", 1), (None, "0", 0), ("3\n", None, 1)],
)
def test_an_interrupt_on_an_isolated_processor_is_counted(
    tmp_path: Path, effective: str | None, wished: str | None, count: int
) -> None:
    written(tmp_path / "sys" / "devices" / "system" / "cpu" / "isolated", "2,3\n")
    written(tmp_path / "proc" / "irq" / "default_smp_affinity", "f\n")
    for name, text in (("effective_affinity_list", effective), ("smp_affinity_list", wished)):
        if text is not None:
            written(tmp_path / "proc" / "irq" / "24" / name, text)
    assert facts_of(host_of(tmp_path))["host_irqs_on_isolated_cpus",] == count


def test_interrupts_are_looked_at_now_and_then(tmp_path: Path) -> None:
    written(tmp_path / "sys" / "devices" / "system" / "cpu" / "isolated", "1\n")
    written(tmp_path / "proc" / "irq" / "24" / "effective_affinity_list", "0\n")
    now = Time()
    host = host_of(tmp_path, now=now)
    assert facts_of(host)["host_irqs_on_isolated_cpus",] == 0
    written(tmp_path / "proc" / "irq" / "24" / "effective_affinity_list", "1\n")
    now.now_ns += IRQS_EVERY_NS - 1
    assert facts_of(host)["host_irqs_on_isolated_cpus",] == 0
    now.now_ns += 1
    assert facts_of(host)["host_irqs_on_isolated_cpus",] == 1


def test_memory_clock_and_disks(tmp_path: Path) -> None:
    written(tmp_path / "proc" / "meminfo", MEMINFO)
    clock = ClockState(offset_ns=-1_500, error_ns=2_000_000, is_synchronised=True)
    facts = facts_of(host_of(tmp_path, clock=clock, state=tmp_path, journal=tmp_path / "absent"))
    disk = os.statvfs(tmp_path)
    assert facts.pop(("disk_free_bytes", "state")) == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.05)
    assert facts == {
        ("host_memory_bytes",): 16_000_000 * 1024.0,
        ("host_memory_available_bytes",): 9_000_000 * 1024.0,
        ("host_clock_offset_seconds",): -1.5e-6,
        ("host_clock_error_seconds",): 2e-3,
        ("host_clock_synchronised",): 1.0,
        ("disk_bytes", "state"): disk.f_blocks * disk.f_frsize,
    }


def test_a_host_that_tells_nothing_shows_nothing(tmp_path: Path) -> None:
    assert facts_of(host_of(tmp_path)) == {}


@pytest.mark.parametrize("text", ["cpu0 x y\ncpux 1 2\ncpu\n", "\xff\xfe", "cpu1 1", "cpu0 -1 1.5 4\n"])
def test_a_file_that_is_not_understood_is_left_out(tmp_path: Path, text: str) -> None:
    written(tmp_path / "proc" / "stat", text)
    written(tmp_path / "proc" / "meminfo", text + "MemTotal: many kB\nMemAvailable: 5\n")
    assert {labels for labels in facts_of(host_of(tmp_path)) if labels[0] != "host_cpu_seconds_total"} == set()


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("\n", set()), ("3\n", {3}), ("0-2,5", {0, 1, 2, 5}), ("2-1", None), ("a", None), ("0-99999", None), ("1-", None)],
)
def test_lists_of_processors(text: str, cpus: set[int] | None) -> None:
    assert cpu_list(text) == cpus


@given(st.frozensets(st.integers(0, 200)))
def test_a_list_is_read_as_it_is_written(cpus: frozenset[int]) -> None:
    assert cpu_list(",".join(map(str, sorted(cpus)))) == cpus


def test_a_process_is_known_by_its_number(tmp_path: Path) -> None:
    fields = ["S", *["0"] * 10, "150", "50", *["0"] * 6, "777", "0", "12"]
    written(tmp_path / "proc" / "42" / "stat", f"42 (a ) name) {' '.join(fields)} 0 0\n")
    now = Time()
    now.now_ns = 10 * 10**9
    host = host_of(tmp_path, now=now)
    found = host.process(42)
    assert found is not None
    assert found.age_ns == now.now_ns - 777 * 10**9 // os.sysconf("SC_CLK_TCK")
    assert found.cpu_seconds == 200 / os.sysconf("SC_CLK_TCK")
    assert found.resident_bytes == 12 * os.sysconf("SC_PAGE_SIZE")
    assert host.process(43) is None
    written(tmp_path / "proc" / "44" / "stat", "44 (short) S 1\n")
    assert host.process(44) is None


def test_who_lives() -> None:
    host = Host(Places(folders={}))
    before_ns = time.monotonic_ns()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert host.lives(child.pid)
        found = host.process(child.pid)
        assert found is not None
        assert found.age_ns <= time.monotonic_ns() - before_ns + 20_000_000
        child.communicate(b"\n")
    assert not host.lives(child.pid)
    assert host.lives(1)
    assert not host.lives(1 << 80)


def test_another_users_process_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert Host(Places(folders={})).lives(77)


def test_this_host_tells_what_the_list_names() -> None:
    """On the machine that runs the tests: the names and labels are those of the list, and nothing is there twice."""
    facts = list(Host(Places(folders={"state": Path.cwd()})).facts())
    assert len({fact[:2] for fact in facts}) == len(facts)
    for fact in facts:
        check(fact)
    told = {fact.metric for fact in facts}
    assert told >= {"hlhft_host_cpu_seconds_total", "hlhft_host_memory_bytes", "hlhft_disk_free_bytes"}


def check(fact: Fact) -> None:
    metric = BY_NAME[fact.metric]
    assert metric.source is Source.EXPORTER
    assert metric.kind is not Kind.HISTOGRAM
    assert len(fact.labels) == len(metric.labels)
    assert fact.value >= 0 or fact.metric == "hlhft_host_clock_offset_seconds"


@pytest.mark.parametrize("library", [SimpleNamespace(), SimpleNamespace(adjtimex=lambda told: -1)])
def test_a_kernel_that_does_not_tell_of_its_clock(monkeypatch: pytest.MonkeyPatch, library: SimpleNamespace) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert kernel_clock() is None


@pytest.mark.parametrize(
    ("answer", "status", "clock"),
    [
        (0, 0x2001, ClockState(5, 7_000, True)),  # STA_NANO, STA_PLL
        (0, 0x0001, ClockState(5_000, 7_000, True)),
        (0, 0x0041, ClockState(5_000, 7_000, False)),  # STA_UNSYNC
        (5, 0x0001, ClockState(5_000, 7_000, False)),  # TIME_ERROR
    ],
)
def test_what_the_kernel_says_is_understood(
    monkeypatch: pytest.MonkeyPatch, answer: int, status: int, clock: ClockState
) -> None:
    """Constants and layout of adjtimex(2)."""

    def adjtimex(told: Any) -> int:
        assert ctypes.sizeof(told._obj) >= 208 and told._obj.modes == 0, "nothing is set, and the kernel has room"
        place = ctypes.addressof(told._obj)
        ctypes.c_long.from_address(place + 8).value = 5
        ctypes.c_long.from_address(place + 24).value = 7
        ctypes.c_int.from_address(place + 40).value = status
        return answer

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(adjtimex=adjtimex))
    assert kernel_clock() == clock


def test_the_kernel_tells_of_its_clock() -> None:
    clock = kernel_clock()
    assert clock is None or (clock.error_ns >= 0 and abs(clock.offset_ns) < 10**9)
