"""What code a task runs: equal revisions give equal results, so a worker with another one is not used.

Part of it are the compiled code's key (`hlhft.compiled.running_key`: sources, numba, the processor's features), every
source that a task can reach, and the versions of the packages that compute. Packages for models count for tasks that
need them and for no others, so a worker without them can still sweep.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib import metadata
from pathlib import Path

import msgspec

from hlhft import __version__

PACKAGES = ("numpy", "numba", "llvmlite", "pyarrow", "msgspec", "dask", "distributed")
PACKAGES_OF_MODELS = ("torch", "lightgbm", "lightning", "onnxruntime", "scikit-learn", "scipy", "stable-baselines3")
_PACKAGE = Path(__file__).resolve().parents[1]
# What no task reaches: an edit of a command's help or of the live engine leaves results as they are.
_OUT_OF_REACH = frozenset({"cli", "live", "exchange", "monitor", "simulation"})


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a process would run a task with, part by part, so that a difference can be named."""

    version: str
    code_key: str
    sources: str
    packages: dict[str, str]

    def differences(self, other: Identity) -> list[str]:
        """What `other` has otherwise, in words; none where the two are the same."""
        found = []
        if self.version != other.version:
            found.append(f"hlhft {other.version} instead of {self.version}")
        elif self.sources != other.sources:
            found.append("other sources of hlhft")
        elif self.code_key != other.code_key:
            found.append("another processor or other compiled code")
        for name in sorted(self.packages.keys() | other.packages.keys()):
            ours, theirs = self.packages.get(name, "none"), other.packages.get(name, "none")
            if ours != theirs:
                found.append(f"{name} {theirs} instead of {ours}")
        return found


@functools.cache
def identity(*, models: bool = False) -> Identity:
    """This process's; with `models` what trains and asks models belongs to it."""
    # Here, as in host_cache: numba comes with it.
    from hlhft.compiled import running_key

    packages = {"python": platform.python_version()}
    for name in PACKAGES + (PACKAGES_OF_MODELS if models else ()):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Identity(version=__version__, code_key=running_key(), sources=sources_key(_PACKAGE), packages=packages)


def revision(*, models: bool = False) -> str:
    """32 hexadecimal digits over the identity: what a task carries."""
    text = msgspec.json.encode(identity(models=models), order="deterministic")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


@functools.cache
def sources_key(package: Path, out_of_reach: frozenset[str] = _OUT_OF_REACH) -> str:
    """32 hexadecimal digits over every source under the package's folder, but for some of its folders."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        if place.parts[0] not in out_of_reach:
            digest.update(place.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
