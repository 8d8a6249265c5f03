"""Where the files of a deployment stand: in a checkout of this repository, and on the operator's machine."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hlhft.deploy.errors import Refused

# As networking.hostName has it (RFC 1123), without a dot: HOST.host.json is another file.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_ESCAPES = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one host below `root`, the folder of the flake."""

    root: Path
    host: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.host):
            raise Refused(f"{self.host} is no name of a host: lower case letters, digits and hyphens")
        if not (self.root / "flake.nix").is_file():
            raise Refused(f"{self.root} is no checkout of the appliance: go to the folder of flake.nix")
        if not self.folder.is_dir():
            raise Refused(
                f"{self.folder}: there is no such host; copy nixos/hosts/example there and change what is marked"
            )

    @property
    def folder(self) -> Path:
        """Its configuration."""
        return self.root / "nixos" / "hosts" / self.host

    @property
    def public(self) -> Path:
        """Public keys, which the configuration reads."""
        return self.folder / "keys.json"

    @property
    def vaults(self) -> Path:
        """All that is encrypted."""
        return self.root / "secrets"

    @property
    def secrets(self) -> Path:
        """What the host reads."""
        return self.vaults / f"{self.host}.json"

    @property
    def identity(self) -> Path:
        """What the host is known by; only the operator reads it, to install the host anew."""
        return self.vaults / f"{self.host}.host.json"

    @property
    def operator(self) -> Path:
        """The operator's own."""
        return self.vaults / "operator.json"

    @property
    def rules(self) -> Path:
        """Who reads what, for sops itself."""
        return self.vaults / ".sops.yaml"


def home_of_configuration() -> Path:
    """Where programs of this user keep what they are told (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def own_identity() -> Path:
    """The operator's age key, where sops looks for it, too."""
    return home_of_configuration() / "sops" / "age" / "keys.txt"


def client_file(host: str) -> Path:
    """The operator's WireGuard file for a host."""
    return home_of_configuration() / "hlhft" / f"{host}.conf"


def is_in_memory(folder: Path, mounts: str) -> bool:
    """Whether a folder lies on a file system that no disk has; `mounts` is the text of /proc/self/mounts."""
    kind, deepest = "", -1
    for line in mounts.splitlines():
        _, place, what, *_ = line.split(" ")
        mounted = Path(_ESCAPES.sub(lambda match: chr(int(match[1], 8)), place))
        # Of two at one place, the later one is seen.
        if (folder == mounted or mounted in folder.parents) and len(mounted.parts) >= deepest:
            kind, deepest = what, len(mounted.parts)
    return kind in _IN_MEMORY


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder of this user alone, gone afterwards, that no disk ever has. Raises Refused where there can be none."""
    mounts = Path("/proc/self/mounts")
    text = mounts.read_text() if mounts.is_file() else ""
    wanted = [Path(place) for place in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm") if place]  # noqa: S108
    usable = [folder for folder in wanted if folder.is_dir() and is_in_memory(folder.resolve(), text)]
    if not usable:
        raise Refused("no file system in memory is mounted (/dev/shm): keys in clear would be on a disk; mount a tmpfs")
    folder = Path(tempfile.mkdtemp(prefix="hlhft-", dir=usable[0]))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
