"""A Debian 13 tree with this project installed, in which systemd boots: made once and kept beside the evaluator.

What is kept holds Debian's packages and the Python packages that hlhft runs with, at the versions of constraints.txt;
its name is the hash of what makes it, and the two used last are kept. The project itself is installed from this
checkout anew for each run, as a layer above (tests/nix/shared.py), so that what is kept stays as it was made. Needs
root, mmdebstrap and systemd-nspawn.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

from tests.nix.evaluator import ROOT

SUITE = "trixie"
PACKAGES = (
    "dbus", "iproute2", "procps", "prometheus", "prometheus-alertmanager", "python3", "python3-venv", "systemd",
    "systemd-sysv", "util-linux",
)  # fmt: skip
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
# Units are the appliance's own, with users and folders of theirs: what Debian's packages bring of them is not wanted.
CLEANED = (
    'chroot "$1" userdel prometheus; rm -r "$1/var/lib/prometheus";'
    ' rm "$1"/usr/lib/systemd/system/prometheus* "$1"/etc/init.d/*;'
    ' ln -s prometheus-alertmanager "$1/usr/bin/alertmanager"'  # as nixpkgs names it
)
PYTHON = "3.13"  # of that suite
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
VENV = "/opt/hlhft"
PROGRAMS = ("mmdebstrap", "systemd-nspawn")
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md")
NAME = re.compile(r"[A-Za-z0-9._-]+")
KEPT_MAX = 2  # trees, and what is recent
RECENT_S = 3600.0
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
    if not wanted.is_dir():
        with alone(kept / "lock"):
            if not wanted.is_dir():  # or somebody else was making it
                _make(wanted)
    os.utime(wanted)
    return wanted


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Whoever else asks for the same file, of this process or another, waits until this one is done."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(wanted: Path) -> None:
    _forget(wanted.parent)
    made = Path(tempfile.mkdtemp(prefix="making-", dir=wanted.parent))
    with tempfile.TemporaryDirectory(dir=wanted.parent) as wheels, ThreadPoolExecutor(1) as beside:
        fetched = beside.submit(_fetch, Path(wheels))
        _debian(made)
        fetched.result()
        _python_packages(made, Path(wheels))
    made.rename(wanted)


def _forget(kept: Path) -> None:
    """Removes all but the newest, so that with the next one there are as many as may be kept. What machines of another
    checkout stand on stays, and so does what is not an hour old: it may be in the making."""
    mounted = Path("/proc/self/mounts").read_text()
    by_age = sorted(
        (path for path in kept.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for old in by_age[KEPT_MAX - 1 :]:
        if str(old) not in mounted and old.stat().st_mtime < time.time() - RECENT_S:
            shutil.rmtree(old)


@contextlib.contextmanager
def layered(lower: Path | Sequence[Path], folder: Path, *, is_kept: bool = False) -> Iterator[Path]:
    """`lower`, or several of which the first is uppermost, with a layer above: what is written stays in that layer,
    which is `folder`/upper and goes in the end, unless it is kept."""
    parts = {name: folder / name for name in ("upper", "work", "root")}
    for part in parts.values():
        part.mkdir(parents=True)
    lowers = ":".join(map(str, [lower] if isinstance(lower, Path) else lower))
    options = f"lowerdir={lowers},upperdir={parts['upper']},workdir={parts['work']}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, parts["root"]], check=True)
    try:
        yield parts["root"]
    finally:
        subprocess.run(["umount", "--lazy", parts["root"]], check=True)
        if not is_kept:
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
    made_of = (SUITE, PACKAGES, LEFT_OUT, CLEANED, PYTHON, PLATFORMS, VENV, _dependencies(), _pins())
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]


def _pins() -> list[str]:
    """The lines of constraints.txt for what hlhft runs with, and for what that needs in turn; those of tools are of no
    concern here."""
    found, left = set(), [NAME.match(requirement)[0] for requirement in _dependencies()]  # type: ignore[index]
    while left:
        name = re.sub(r"[._]", "-", left.pop()).lower()
        if name in found:
            continue
        found.add(name)
        with contextlib.suppress(metadata.PackageNotFoundError):  # another platform's
            needed = [one for one in metadata.requires(name) or () if "extra ==" not in one]
            left += [match[0] for match in map(NAME.match, needed) if match]
    return [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.partition("==")[0] in found]


def _dependencies() -> list[str]:
    """What hlhft runs with, also where it works for a cluster."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["scale"]]


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


def _fetch(wheels: Path) -> None:
    """Fetches the packages outside, where the package index is known."""
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    wanted = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", *platforms]
    _pip("download", "--dest", str(wheels), *wanted, "-c", str(ROOT / "constraints.txt"), *_dependencies())


def _python_packages(root: Path, wheels: Path) -> None:
    """Installs the packages inside, with no network."""
    install = f"{VENV}/bin/pip install --quiet --no-index --no-deps --no-warn-script-location /mnt/*.whl"
    _inside(root, wheels, f"python3 -m venv {VENV} && {install} && {VENV}/bin/pip check")


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
