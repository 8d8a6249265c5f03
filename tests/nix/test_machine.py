"""A machine of tests/nix/machine.py does what the machines of NixOS's test driver do: it boots, obeys, dies and comes
back with what was on its disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nix.machine import Machine, MachineError
from tests.nix.tree import layered, require_machines, tree

pytestmark = pytest.mark.systemd


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require_machines()
    with layered(tree(), tmp_path_factory.mktemp("m") / "layer") as root, Machine("machine", root) as booted:
        booted.start()
        yield booted


def test_commands_are_obeyed_and_what_they_say_is_heard(machine: Machine) -> None:
    assert machine.succeed("echo one", "cat /proc/1/comm") == "one\nsystemd\n"
    assert machine.execute("echo seen; echo not seen >&2; exit 3") == (3, "seen\n")
    assert machine.execute("sleep 60", timeout=0.2)[0] == 124
    assert machine.fail("false") == ""
    with pytest.raises(MachineError, match="`true` should not have succeeded"):
        machine.fail("true")
    with pytest.raises(MachineError, match=r"(?s)machine: `echo why >&2; exit 4` ended with 4:.*why"):
        machine.succeed("echo why >&2; exit 4")


def test_a_wait_ends_with_what_it_waited_for_or_fails_with_what_was_seen(machine: Machine) -> None:
    machine.succeed("systemd-run --unit=late sh -c 'sleep 0.3; echo here > /run/late; sleep 60'")
    assert machine.wait_until_succeeds("cat /run/late", timeout=10) == "here\n"
    machine.wait_for_unit("late")
    machine.succeed("systemctl stop late")
    machine.wait_until_fails("systemctl is-active late", timeout=10)
    with pytest.raises(MachineError, match=r"(?s)not within 0.3 s: `cat /none`.*No such file"):
        machine.wait_until_succeeds("cat /none", timeout=0.3)
    machine.execute("systemd-run --unit=broken --property=Type=oneshot sh -c 'echo it is broken; exit 5'")
    with pytest.raises(MachineError, match=r"(?s)broken.service failed.*it is broken"):
        machine.wait_for_unit("broken", timeout=10)


def test_what_was_written_outlives_a_crash_and_a_reboot_and_what_was_in_memory_does_not(machine: Machine) -> None:
    machine.succeed("echo kept > /var/kept; sync; echo lost > /run/lost")
    machine.crash()
    assert not machine.is_up()
    machine.write("/etc/put", "there", mode=0o600)
    machine.start()
    assert machine.succeed("cat /var/kept; cat /etc/put; stat --format=%a%U /etc/put") == "kept\nthere600root\n"
    machine.fail("test -e /run/lost")
    machine.reboot()
    assert machine.succeed("cat /var/kept") == "kept\n"


def test_it_reaches_nothing_outside(machine: Machine) -> None:
    assert machine.succeed("ls /sys/class/net").split() == ["lo"]


def test_nobody_writes_into_the_tree_that_is_kept(machine: Machine) -> None:
    machine.succeed("touch /var/touched")
    assert (machine.root / "var/touched").exists()
    assert not Path(tree(), "var/touched").exists()
