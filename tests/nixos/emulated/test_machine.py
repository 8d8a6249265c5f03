"""A boot whose kernel stumbles or stands still is tried again, a few times; a kernel that stumbles later is an error,
and nothing waits for a machine that is gone. In place of QEMU stands a program that does what each case wants."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.nixos.emulated import machine
from tests.nixos.emulated.machine import BOOTS_MAX, EmulationError, Emulator, KernelError, LateError

OOPS = "[    7.1] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"
# PLAN holds a line for each boot: words that are done one after the other.
QEMU = r"""
import json, pathlib, re, socket, sys, time

folder = pathlib.Path(sys.argv[1])
console = re.search(r"-serial file:(\S+)", " ".join(sys.argv))[1]
boots = folder / "boots"
boot = len(boots.read_text().split()) if boots.exists() else 0
boots.write_text("boot " * (boot + 1))
server, port = socket.socket(socket.AF_UNIX), None
if "ready" in (plan := (folder / "plan").read_text().splitlines()[boot].split()):
    server.bind(re.search(r"socket,id=port,path=([^,]+)", " ".join(sys.argv))[1])
    server.listen()
for word in plan:
    if word == "ready":
        port = server.accept()[0].makefile("rwb", buffering=0)
        port.write(b'{"ready": true}\n')
    elif word == "asked":
        asked = json.loads(port.readline())
    elif word == "answers":
        port.write(json.dumps({"code": 0, "output": asked["command"]}).encode() + b"\n")
    elif word == "oops":
        with open(console, "a") as said:
            print(f"boot {boot + 1} has begun\n" + (folder / "oops").read_text(), file=said)
    elif word == "hangs":
        time.sleep(600)
sys.exit(3)
"""


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """One whose QEMU does what `plan` says."""
    program = tmp_path / "program"
    program.write_text(QEMU)
    (tmp_path / "oops").write_text(OOPS)
    monkeypatch.setattr(machine, "ENDING_S", 0.1)
    return Emulator(
        program=[sys.executable, str(program), str(tmp_path)], kernel=tmp_path / "kernel", image=tmp_path / "image",
        parameters="preempt=full", cpus=2, memory_mib=64, folder=tmp_path,
    )  # fmt: skip


def plan(emulator: Emulator, *boots: str) -> None:
    (emulator.folder / "plan").write_text("\n".join(boots))


def boots(emulator: Emulator) -> int:
    return len((emulator.folder / "boots").read_text().split())


@pytest.mark.parametrize("then", ["ends", "hangs"])
def test_a_boot_that_stumbles_is_tried_again_and_told(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], then: str
) -> None:
    plan(emulator, f"oops {then}", "ready asked answers hangs")
    with emulator.booted():
        assert emulator.ask("uptime", "", 5) == (0, "uptime")
        assert OOPS not in emulator.console(), "the console is that of the boot that stumbled"
    assert boots(emulator) == 2
    told = capsys.readouterr().out
    assert f"boot 1 of {BOOTS_MAX} is tried again: the kernel said: Oops: int3: 0000" in told
    assert told.rstrip().endswith(OOPS), "the end of the console is not told"


def test_a_kernel_that_always_stumbles_is_given_up(emulator: Emulator) -> None:
    plan(emulator, *["oops ends"] * 5)
    with pytest.raises(KernelError, match=r"(?s)none of 3 boots.*boot 3 has begun.*int3"), emulator.booted():
        pytest.fail("it never booted")
    assert boots(emulator) == BOOTS_MAX == 3


@pytest.mark.parametrize("later", ["asked oops ends", "asked oops hangs", "asked oops answers ends"])
def test_a_kernel_that_stumbles_once_it_has_booted_is_an_error(emulator: Emulator, later: str) -> None:
    plan(emulator, f"ready {later}", "ready asked answers hangs")
    with pytest.raises(KernelError, match="the kernel said: Oops: int3"), emulator.booted():
        emulator.ask("modprobe ours", "", 5)
    assert boots(emulator) == 1


@pytest.mark.parametrize("when", ["", "ready", "ready asked"])
def test_an_emulator_that_ends_by_itself_is_not_started_again(emulator: Emulator, when: str) -> None:
    plan(emulator, f"{when} ends", "ready asked answers hangs")
    with pytest.raises(EmulationError, match="QEMU ended with 3") as ended, emulator.booted():
        emulator.ask("uptime", "", 5)
    assert not isinstance(ended.value, KernelError)
    assert boots(emulator) == 1


def test_what_stands_still_is_waited_for_only_so_long(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "BOOTING_S", 0.5)
    plan(emulator, "hangs", "ready hangs")
    with emulator.booted():
        assert boots(emulator) == 2
        with pytest.raises(LateError, match="did not answer in time"):
            emulator._line(0.1)
    (emulator.folder / "boots").unlink()
    plan(emulator, *["hangs"] * 5)
    with pytest.raises(LateError, match=r"none of 3 boots.* did not answer in time"), emulator.booted():
        pytest.fail("it never booted")
    assert boots(emulator) == 3


def test_who_interrupts_is_told_what_was_going_on(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    plan(emulator, "ready asked answers hangs")
    with pytest.raises(KeyboardInterrupt), emulator.booted():
        emulator.ask("uptime", "operator", 5)
        raise KeyboardInterrupt
    assert "interrupted while this ran in operator: uptime" in capsys.readouterr().out


def test_the_hosts_own_parameters_are_the_last(emulator: Emulator) -> None:
    command = emulator.command()
    given = command[command.index("-append") + 1].split()
    assert given[-1] == "preempt=full", "the emulator would overrule the host"
    assert {"oops=panic", "panic=-1"} < set(given) and "-no-reboot" in command, "a kernel that stumbles stands still"
