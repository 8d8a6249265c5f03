"""Moves interrupts to the housekeeping CPUs and those of the network to one of them, and says what could not be moved.

usage: irq.py --housekeeping LIST --mask MASK --network CPU --interface NAME --wait-s N --queues N --coalesce-us N
              --report FILE

The kernel manages the interrupts of some drivers itself and refuses to move them; a mask of isolated CPUs alone stays.
So the interface gets no more queues than it needs, first. The report is JSON: {"moved": [IRQ...], "refused": [IRQ...]}.
What a driver does not offer is no failure. Ends with 0 unless there is no such interface, nor comes in that time, or
the report cannot be written.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

LOOK_S = 0.1  # between two looks for an interface that is to come


def comes(path: Path, wait_s: float) -> bool:
    """Whether it is there, or is within this time: a driver may be later than this unit at boot."""
    until_s = time.monotonic() + wait_s
    if not path.exists():
        print(f"waiting {wait_s:.0f} s for {path.name}", flush=True)
    while not path.exists():
        if time.monotonic() >= until_s:
            return False
        time.sleep(LOOK_S)
    return True


def irqs_of(root: Path, interface: str) -> set[int]:
    """The interrupts of the interface's device, or of the one that it hangs on, as those of virtual machines do."""
    device = (root / "sys/class/net" / interface / "device").resolve()
    folders = [folder for folder in (device / "msi_irqs", device.parent / "msi_irqs") if folder.is_dir()]
    return {int(path.name) for path in folders[0].iterdir()} if folders else set()


def written(path: Path, text: str) -> bool:
    """Whether the kernel took it."""
    try:
        path.write_text(text)
    except OSError:
        return False
    return True


def move(root: Path, housekeeping: str, network: int, own: set[int]) -> tuple[list[int], list[int]]:
    """The interrupts that were moved, and those that the kernel refused to move."""
    moved, refused = [], []
    for folder in sorted((root / "proc/irq").glob("[0-9]*"), key=lambda path: int(path.name)):
        number = int(folder.name)
        wanted = str(network) if number in own else housekeeping
        (moved if written(folder / "smp_affinity_list", wanted) else refused).append(number)
    return moved, refused


def spread(root: Path, interface: str, mask: str) -> None:
    """Receives and sends on housekeeping CPUs, and lets the kernel's own work run there."""
    for kind in ("rps", "xps"):
        for path in sorted((root / "sys/class/net" / interface / "queues").glob(f"*/{kind}_cpus")):
            written(path, mask)
    written(root / "sys/devices/virtual/workqueue/cpumask", mask)


def ethtool(*arguments: str) -> None:
    """Tells the driver; what it does not offer, it says, and it stays as it was."""
    subprocess.run(["ethtool", *arguments], check=False)


def main() -> None:
    """Does all of it once."""
    parser = argparse.ArgumentParser()
    for name, kind in (
        ("housekeeping", str), ("mask", str), ("network", int), ("interface", str), ("wait-s", float),
        ("queues", int), ("coalesce-us", int), ("report", Path),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--root", type=Path, default=Path("/"))
    said = parser.parse_args()
    if not comes(said.root / "sys/class/net" / said.interface, said.wait_s):
        raise SystemExit(f"there is no interface {said.interface}: name the one that `ip link` shows")
    ethtool("-L", said.interface, "combined", str(said.queues))
    ethtool("-C", said.interface, "adaptive-rx", "off", "rx-usecs", str(said.coalesce_us))
    moved, refused = move(said.root, said.housekeeping, said.network, irqs_of(said.root, said.interface))
    spread(said.root, said.interface, said.mask)
    beside = said.report.with_suffix(".writing")
    beside.write_text(json.dumps({"moved": moved, "refused": refused}) + "\n")
    os.replace(beside, said.report)
    print(f"interrupts: {len(moved)} moved, {len(refused)} could not be moved: {refused}")


if __name__ == "__main__":
    main()
