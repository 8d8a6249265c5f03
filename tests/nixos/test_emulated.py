"""A real kernel under emulation takes the evaluated host: what of this folder needs no more than Debian's packages.

`make test-vm` runs these. What of NixOS is not there is said in emulated/laid.py and emulated/tree.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.nix.evaluator import evaluated
from tests.nixos.emulated.machine import Emulated, Emulator, unpacked
from tests.nixos.emulated.tree import image_of, kept_emulator, kept_tree, kernel_of

pytestmark = pytest.mark.vm

PROGRAMS = ("mmdebstrap", "mkfs.ext4", "cc")


def require_programs() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        pytest.skip(f"NOT BOOTED: no kernel saw the host's parameters, as there is no {' and no '.join(missing)}")


def run(folder: Path, test: str, name: str, provided: Mapping[str, Path] | None = None) -> None:
    """Boots machine `name` of a test, with the others beside it, and runs the test's own script."""
    require_programs()
    place = f"checks.x86_64-linux.{test}"
    manifests: dict[str, Any] = evaluated(f"{place}.manifests")
    virtual = manifests[name]["settings"]["virtualisation"]
    image = image_of(kept_tree(), folder, name, manifests, provided=provided or {})
    emulator = Emulator(
        program=unpacked(kept_emulator()), kernel=kernel_of(kept_tree()), image=image,
        parameters=manifests[name]["files"]["kernel-params"], cpus=virtual["cores"],
        memory_mib=virtual["memorySize"], folder=folder,
    )  # fmt: skip
    began = time.monotonic()
    with emulator.booted():
        print(f"{name} of {test}: booted in {time.monotonic() - began:.0f} s", flush=True)
        machines = {one: Emulated(one, emulator, namespace="" if one == name else one) for one in manifests}
        exec(compile(evaluated(f"{place}.testScript"), f"{test}'s script", "exec"), dict(machines))


def test_the_kernel_takes_the_host(tmp_path: Path) -> None:
    run(tmp_path, "host", "trader")


def test_a_node_runs_when_it_is_signed(tmp_path: Path) -> None:
    visor = tmp_path / "visor"
    source = Path(__file__).with_name("visor.c")
    subprocess.run(["cc", "-o", str(visor), str(source)], check=True)
    run(tmp_path, "node", "machine", {"hlhft-test-visor": visor})
