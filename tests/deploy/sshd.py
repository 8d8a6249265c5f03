"""A real SSH server on a free port of this machine, as the host that is deployed: its own key, root's door, and below a
folder the systems that it can run. systemd's programs are played by scripts; nixos/files/switch.py is the real one."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import pytest

from hlhft.deploy import keys, making, vault
from tests.deploy.checkout import Checkout
from tests.endtoend.house import free_port

SWITCH = Path(__file__).resolve().parents[2] / "nixos" / "files" / "switch.py"
OLD, NEW, LOCKED_OUT = "/nix/store/old-system", "/nix/store/new-system", "/nix/store/locked-out"
START_S = 20.0


class FakeHost:
    """The host, to be used as a context. It runs the system OLD; NEW works; LOCKED_OUT lets nobody in any more."""

    def __init__(self, checkout: Checkout, folder: Path) -> None:
        server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        if server is None:
            pytest.skip("NOT TESTED: sshd is not installed")
        self.server = server
        self.checkout = checkout
        self.root = folder / "host"
        self.programs = self.root / "bin"
        self.programs.mkdir(parents=True)
        self.told = self.root / "told"
        self.port = free_port()
        self.target = f"{getpass.getuser()}@127.0.0.1"
        self.door = self.root / "authorized_keys"
        self.client_key = folder / "client"
        pair = keys.ssh_pair("client")
        self._private(self.client_key, pair.private.reveal())
        self._private(self.door, pair.public + "\n")
        self._systems()
        self._programs()

    @property
    def options(self) -> tuple[str, ...]:
        """What ssh must be told to find it."""
        keys = (f"Port={self.port}", f"IdentityFile={self.client_key}", "IdentitiesOnly=yes")
        return (*keys, "KexAlgorithms=curve25519-sha256")  # the quickest: a test makes many connections

    def __enter__(self) -> FakeHost:
        key = self.root / "host_key"
        own = vault.decrypt(self.checkout.places.identity, self.checkout.identity)["ssh-key"]
        self._private(key, own.reveal())
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd wants to be shut in
        configuration = self.root / "sshd_config"
        configuration.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {key}\nAuthorizedKeysFile {self.door}\n"
            "PasswordAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n"
            f"SetEnv PATH={self.programs}:/usr/bin:/bin\n"
        )
        line = [self.server, "-D", "-e", "-f", str(configuration)]
        self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while not self._listens():
            assert self.process.poll() is None, "sshd ended"
            assert time.monotonic() < deadline, "sshd does not listen"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @staticmethod
    def _private(path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)

    def program(self, name: str, does: str) -> None:
        """A program of the host, which notes its words."""
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.told}\n{does}\n')
        path.chmod(0o755)

    def _systems(self) -> None:
        door = self.door.read_text()
        for system, then in ((OLD, door), (NEW, door), (LOCKED_OUT, "")):
            path = self.root / system.lstrip("/") / "bin" / "switch-to-configuration"
            path.parent.mkdir(parents=True)
            path.write_text(
                f'#!/bin/sh\necho "{system} $1" >> {self.told}\n'
                f'[ "$1" = boot ] && {{ rm {self.root}/no-boot-once 2>/dev/null && exit 1; '
                f"[ ! -e {self.root}/no-boot ]; exit; }}\n"
                f"ln -sfn {system} {self.root}/run/current-system\nprintf '{then.strip()}\\n' > {self.door}\n"
            )
            path.chmod(0o755)
        for folder in ("run", "nix/var/nix/profiles", "nix/var/nix/gcroots"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "run/current-system").symlink_to(OLD)
        profiles = self.root / "nix/var/nix/profiles"
        (profiles / "system-1-link").symlink_to(OLD)
        (profiles / "system").symlink_to("system-1-link")

    def _programs(self) -> None:
        self.program("nproc", "echo 16")
        self.program("systemctl", "")
        profiles = self.root / "nix/var/nix/profiles"
        self.program(
            "nix-env",
            f'n=$(ls {profiles} | grep -c link); n=$((n + 1)); ln -s "$4" {profiles}/system-$n-link\n'
            f"ln -sfn system-$n-link {profiles}/system",
        )
        # What systemd would run later is kept; the activation runs at once.
        kept = self.root / "timer"
        self.program(
            "systemd-run",
            f'case "$*" in *expire) echo "$*" > {kept};; '
            f"*activate) setsid {sys.executable} {SWITCH} --root {self.root} activate >/dev/null 2>&1 & ;; esac",
        )
        self.program("hlhft-switch", f'exec {sys.executable} {SWITCH} --root {self.root} "$@"')

    def timer_fires(self) -> None:
        """What systemd does when the time is up: the command that was armed."""
        words = (self.root / "timer").read_text().split()
        line = words[words.index(sys.executable) :]
        path = f"{self.programs}:{os.environ['PATH']}"
        subprocess.run(line, env={"PATH": path}, check=True, capture_output=True)

    @property
    def runs(self) -> str:
        """The system that it runs."""
        return os.readlink(self.root / "run/current-system")

    @property
    def boots(self) -> str:
        """The system that it would boot."""
        profile = self.root / "nix/var/nix/profiles/system"
        return os.readlink(profile.parent / os.readlink(profile))

    @property
    def lines(self) -> list[str]:
        """What its programs noted."""
        return self.told.read_text().splitlines() if self.told.exists() else []


def strangers_key(checkout: Checkout) -> None:
    """Lets the checkout believe that the host shows another key."""
    public = making.public_keys(checkout.places)
    text = checkout.places.public.read_text()
    checkout.places.public.write_text(text.replace(public.ssh, keys.ssh_pair("trader").public))
