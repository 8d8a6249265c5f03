"""Interrupts are moved, and what the kernel refuses is said: the unit's own program on a tree like /proc and /sys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "nixos" / "files" / "irq.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A host with interrupts 8, 40 and 41; 41 is the network's, and 40 cannot be moved: its file is a folder."""
    for number in (8, 41):
        (tmp_path / f"proc/irq/{number}").mkdir(parents=True)
        (tmp_path / f"proc/irq/{number}/smp_affinity_list").write_text("0-15")
    (tmp_path / "proc/irq/40/smp_affinity_list").mkdir(parents=True)
    device = tmp_path / "sys/class/net/eth7"
    (device / "device/msi_irqs").mkdir(parents=True)
    (device / "device/msi_irqs/41").touch()
    for queue, kind in (("rx-0", "rps"), ("tx-0", "xps")):
        (device / "queues" / queue).mkdir(parents=True)
        (device / "queues" / queue / f"{kind}_cpus").write_text("ffff")
    (tmp_path / "sys/devices/virtual/workqueue").mkdir(parents=True)
    # What the driver was told.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ethtool").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\nexit 81\n')
    (tmp_path / "bin/ethtool").chmod(0o755)
    return tmp_path


def begin(tree: Path, interface: str, *, wait_s: float) -> subprocess.Popen[str]:
    said = {
        "housekeeping": "0-1", "mask": "3", "network": "0", "interface": interface, "wait-s": str(wait_s),
        "queues": "1", "coalesce-us": "0", "report": str(tree / "report.json"), "root": str(tree),
    }  # fmt: skip
    arguments = [word for name, value in said.items() for word in (f"--{name}", value)]
    environment = {"PATH": f"{tree}/bin:{os.environ['PATH']}"}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(tree: Path, interface: str) -> subprocess.CompletedProcess[str]:
    begun = begin(tree, interface, wait_s=0)
    stdout, stderr = begun.communicate(timeout=60)
    return subprocess.CompletedProcess(begun.args, begun.returncode, stdout, stderr)


def test_what_can_be_moved_is_and_the_rest_is_said(tree: Path) -> None:
    done = run(tree, "eth7")
    assert done.returncode == 0, done.stderr
    assert json.loads((tree / "report.json").read_text()) == {"moved": [8, 41], "refused": [40]}
    assert (tree / "proc/irq/8/smp_affinity_list").read_text() == "0-1"
    assert (tree / "proc/irq/41/smp_affinity_list").read_text() == "0"
    assert "2 moved, 1 could not be moved: [40]" in done.stdout


def test_queues_and_the_kernels_own_work_follow(tree: Path) -> None:
    assert run(tree, "eth7").returncode == 0
    for path in ("class/net/eth7/queues/rx-0/rps_cpus", "class/net/eth7/queues/tx-0/xps_cpus"):
        assert (tree / "sys" / path).read_text() == "3"
    assert (tree / "sys/devices/virtual/workqueue/cpumask").read_text() == "3"


def test_a_virtual_machines_interface_has_the_interrupts_of_what_it_hangs_on(tree: Path) -> None:
    card = tree / "sys/devices/pci0/card"
    (card / "virtio3").mkdir(parents=True)
    (tree / "sys/class/net/eth7/device/msi_irqs").rename(card / "msi_irqs")
    (tree / "sys/class/net/eth7/device").rmdir()
    (tree / "sys/class/net/eth7/device").symlink_to(card / "virtio3")
    assert run(tree, "eth7").returncode == 0
    assert (tree / "proc/irq/41/smp_affinity_list").read_text() == "0"


def test_a_driver_that_offers_nothing_is_no_failure(tree: Path) -> None:
    assert run(tree, "eth7").returncode == 0
    told = (tree / "told").read_text().splitlines()
    assert told == ["-L eth7 combined 1", "-C eth7 adaptive-rx off rx-usecs 0"], "fewer queues first"


def test_an_interface_that_is_not_there_is_refused_in_a_sentence(tree: Path) -> None:
    done = run(tree, "eth8")
    assert done.returncode == 1
    assert done.stderr.strip() == "there is no interface eth8: name the one that `ip link` shows"
    assert not (tree / "report.json").exists()


def test_an_interface_that_comes_later_is_waited_for(tree: Path) -> None:
    begun = begin(tree, "eth8", wait_s=60)
    assert begun.stdout is not None
    assert begun.stdout.readline() == "waiting 60 s for eth8\n"
    (tree / "sys/class/net/eth7").rename(tree / "sys/class/net/eth8")
    _, stderr = begun.communicate(timeout=60)
    assert begun.returncode == 0, stderr
    assert json.loads((tree / "report.json").read_text()) == {"moved": [8, 41], "refused": [40]}
