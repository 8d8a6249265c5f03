"""A Debian 13 tree with this project installed, in which systemd boots: made once and kept beside the evaluator.

What is kept holds Debian's packages and the Python packages that hlhft runs with, at the versions of constraints.txt;
its name is the hash of what makes it, and the two used last are kept. The project itself is installed from this
checkout anew for each run, as a layer above, so that what is kept stays as it was made. Needs root, mmdebstrap and
systemd-nspawn.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nix.evaluator import ROOT

SUITE = "trixie"
PACKAGES = (
    "dbus", "iproute2", "procps", "prometheus", "python3", "python3-venv", "systemd", "systemd-sysv", "util-linux",
)  # fmt: skip
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
# Units are the appliance's own, with users and folders of theirs: what Debian's packages bring of them is not wanted.
CLEANED = 'chroot "$1" userdel prometheus; rm -r "$1/var/lib/prometheus"'
PYTHON = "3.13"  # of that suite
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
VENV = "/opt/hlhft"
PROGRAMS = ("mmdebstrap", "systemd-nspawn")
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md")
KEPT_MAX = 2  # trees: another checkout may be using an older one
MAKING_S = 600.0
INSTALLING_S = 120.0


def require_machines() -> None:
    """Skips loudly where no tree can be made or booted."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        pytest.skip(f"NOT BOOTED: no unit ran under systemd, as there is no {' and no '.join(missing)}")


def nix_home() -> Path:
    """The folder beside which trees are kept."""
    return Path(os.environ.get("HLHFT_NIX_HOME") or Path.home() / ".cache" / "hlhft-nix")


def tree() -> Path:
    """The tree that is kept; it is made where there is none, which takes minutes. Nobody may write in it."""
    kept = nix_home().parent / "hlhft-trees"
    kept.mkdir(parents=True, exist_ok=True)
    wanted = kept / _key()
    if wanted.is_dir():
        os.utime(wanted)
        return wanted
    for old in sorted(kept.iterdir(), key=lambda path: path.stat().st_mtime)[: 1 - KEPT_MAX]:
        shutil.rmtree(old)
    made = Path(tempfile.mkdtemp(prefix="making-", dir=kept))
    _debian(made)
    _python_packages(made)
    made.rename(wanted)
    return wanted


@contextlib.contextmanager
def layered(lower: Path, folder: Path) -> Iterator[Path]:
    """`lower` with a layer of its own above it, in `folder`: what is written stays in that layer."""
    parts = {name: folder / name for name in ("upper", "work", "root")}
    for part in parts.values():
        part.mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={parts['upper']},workdir={parts['work']}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, parts["root"]], check=True)
    try:
        yield parts["root"]
    finally:
        subprocess.run(["umount", "--lazy", parts["root"]], check=True)
        shutil.rmtree(folder)


def install_project(root: Path) -> None:
    """Installs this checkout into a tree; its command is `hlhft` for everybody there."""
    with tempfile.TemporaryDirectory() as scratch:
        source, wheels = Path(scratch, "source"), Path(scratch, "wheels")
        # A copy, as building writes beside the sources.
        shutil.copytree(ROOT / "hlhft", source / "hlhft", ignore=shutil.ignore_patterns("__pycache__"))
        for name in SOURCES:
            shutil.copy(ROOT / name, source)
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
        _inside(
            root, wheels, f"{VENV}/bin/pip install --quiet --no-deps --no-index --no-warn-script-location /mnt/*.whl"
        )
    link = root / "usr/bin/hlhft"
    link.unlink(missing_ok=True)
    link.symlink_to(f"{VENV}/bin/hlhft")


def _key() -> str:
    """The hash of all that makes a tree."""
    made_of = (SUITE, PACKAGES, LEFT_OUT, CLEANED, PYTHON, PLATFORMS, VENV, _dependencies())
    constraints = (ROOT / "constraints.txt").read_text()
    return hashlib.sha256(f"{made_of}\n{constraints}".encode()).hexdigest()[:16]


def _dependencies() -> list[str]:
    dependencies: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return dependencies


def mirror() -> str:
    """The Debian mirror that this system is configured with."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in sources if path.is_file())
    found: list[str] = re.findall(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(http\S+/debian)/?(?:\s|$)", text, re.MULTILINE)
    if not found:
        pytest.skip("NOT BOOTED: no unit ran under systemd, as no Debian mirror is configured on this system")
    return found[0]


def _debian(root: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    options = ('--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"')
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    _run(
        [*command, *options, *left_out, f"--customize-hook={CLEANED}", SUITE, str(root), f"deb {mirror()} {SUITE} main"]
    )


def _python_packages(root: Path) -> None:
    """Fetches the packages outside, where the package index is known, and installs them inside, with no network."""
    with tempfile.TemporaryDirectory(dir=root.parent) as wheels:
        platforms = [word for name in PLATFORMS for word in ("--platform", name)]
        wanted = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", *platforms]
        _pip("download", "--dest", wheels, *wanted, "-c", str(ROOT / "constraints.txt"), *_dependencies())
        install = f"{VENV}/bin/pip install --quiet --no-index --no-deps --no-warn-script-location /mnt/*.whl"
        _inside(root, Path(wheels), f"python3 -m venv {VENV} && {install} && {VENV}/bin/pip check")


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", *arguments])


def _inside(root: Path, mounted: Path, command: str) -> None:
    """Runs a command in the tree, which is not booted; it sees a folder at /mnt."""
    nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--pipe"]
    _run([*nspawn, f"--bind-ro={mounted}:/mnt", "--directory", str(root), "/bin/bash", "-euc", command], INSTALLING_S)


def _run(command: list[str], within_s: float = MAKING_S) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s, check=False
    )
    assert done.returncode == 0, f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr[-2000:]}"
