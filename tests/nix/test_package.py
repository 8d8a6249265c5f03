"""The Nix packages and the project file say the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from hlhft import __version__

# pkgs/hlhft/requirements.nix reads requirements by this pattern and refuses others.
REQUIREMENT = re.compile(r"([a-z0-9-]+)(>=[0-9.]+)?")
PINNED = re.compile(r"([a-z0-9-]+)==((?:[0-9]+!)?[0-9a-z.]+)")


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text().splitlines()
    matches = [PINNED.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(matches), "constraints.txt holds NAME==VERSION lines only: no hashes, addresses or markers"
    return {match[1]: match[2] for match in matches if match}


def requirements(project: dict[str, Any]) -> list[str]:
    return [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]


def test_the_pattern_is_the_one_that_nix_uses(root: Path) -> None:
    assert f'builtins.match "{REQUIREMENT.pattern}" requirement' in (
        root / "pkgs" / "hlhft" / "requirements.nix"
    ).read_text().replace("\\\\", "\\")


def test_nix_can_read_every_requirement(project: dict[str, Any]) -> None:
    odd = [requirement for requirement in requirements(project) if not REQUIREMENT.fullmatch(requirement)]
    assert odd == []


def test_every_requirement_is_pinned_within_its_bounds(project: dict[str, Any], pins: dict[str, str]) -> None:
    for requirement in requirements(project):
        name, _, bound = requirement.partition(">=")
        assert name in pins, f"constraints.txt does not pin {name}"
        assert version_tuple(pins[name]) >= version_tuple(bound or "0"), f"{name} is pinned below its bound"


def test_what_is_installed_is_what_is_pinned(project: dict[str, Any], pins: dict[str, str]) -> None:
    in_nix = sys.prefix.startswith("/nix/store/")
    for requirement in project["dependencies"]:
        name = requirement.partition(">=")[0]
        assert in_nix or metadata.version(name) == pins[name], f"{name}: installed is not what constraints.txt pins"


def test_the_version_is_said_once_more_and_the_same(project: dict[str, Any]) -> None:
    assert project["version"] == __version__


def test_torch_is_no_part_of_the_base_installation(root: Path, project: dict[str, Any], pins: dict[str, str]) -> None:
    names = {requirement.partition(">=")[0] for requirement in project["dependencies"]}
    assert "torch" not in names
    assert pins["torch"] == "2.13.0"
    default = (root / "pkgs" / "hlhft" / "default.nix").read_text()
    assert 'extras ? [ "research" ],' in default, "the package that trades is the one without models"


@pytest.mark.parametrize("name", ["aiofastnet", "hyperliquid-python-sdk", "picows", "purgedcv"])
def test_what_nixpkgs_lacks_is_packaged_at_the_pinned_version(root: Path, pins: dict[str, str], name: str) -> None:
    text = (root / "pkgs" / name / "default.nix").read_text()
    assert f'version = "{pins[name]}";' in text


def test_every_input_is_locked(root: Path) -> None:
    lock = json.loads((root / "flake.lock").read_text())
    declared = set(
        re.findall(r"^    ([a-z-]+)(?:\.url)? = ", (root / "flake.nix").read_text().split("outputs")[0], re.M)
    )
    assert set(lock["nodes"]["root"]["inputs"]) == declared
    for name in declared:
        assert lock["nodes"][name]["locked"]["narHash"].startswith("sha256-")


SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md", "hlhft")


@pytest.fixture(scope="module")
def distributions(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The names inside the wheel and the sdist, built from a copy of what ships."""
    source = tmp_path_factory.mktemp("source")
    for name in SHIPPED:
        if (root / name).is_dir():
            shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(root / name, source)
    script = "import setuptools.build_meta as backend; backend.build_sdist('dist'); backend.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", script], cwd=source, capture_output=True, check=True)
    (wheel,) = (source / "dist").glob("*.whl")
    (sdist,) = (source / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as inside, tarfile.open(sdist) as tar:
        return {"wheel": set(inside.namelist()), "sdist": {name.partition("/")[2] for name in tar.getnames()}}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_everything_ships(root: Path, distributions: dict[str, set[str]], kind: str) -> None:
    package = root / "hlhft"
    samples = (path for path in (package / "data" / "samples").glob("*") if path.is_file())
    files = {*package.rglob("*.py"), package / "py.typed", *samples}
    missing = {str(path.relative_to(root)) for path in files} - distributions[kind]
    assert missing == set()


def version_tuple(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
