"""Files stand where they are looked for, and keys in clear only where no disk has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hlhft.deploy import places
from hlhft.deploy.errors import Refused
from hlhft.deploy.places import Places, is_in_memory, memory_folder
from tests.deploy.checkout import Checkout

MOUNTS = """\
/dev/md1 / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
tmpfs /run/user/1000 tmpfs rw 0 0
/dev/sdb /run/user/1000/disk ext4 rw 0 0
ramfs /mnt/with\\040space ramfs rw 0 0
tmpfs /over tmpfs rw 0 0
/dev/sdc /over ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/dev/shm", True),
        ("/dev/shm/a/b", True),
        ("/dev/shmore", False),
        ("/run/user/1000", True),
        ("/run/user/1000/disk/a", False),
        ("/mnt/with space", True),
        ("/tmp", False),
        ("/over", False),
    ],
)
def test_which_folders_no_disk_has(folder: str, expected: bool) -> None:
    assert is_in_memory(Path(folder), MOUNTS) is expected


def test_a_folder_in_memory_is_its_users_alone_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(ZeroDivisionError), memory_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert is_in_memory(folder, Path("/proc/self/mounts").read_text())
        (folder / "key").touch()
        raise ZeroDivisionError
    assert not folder.exists()


def test_without_memory_nothing_is_put_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "is_in_memory", lambda folder, mounts: False)
    with pytest.raises(Refused, match="keys in clear would be on a disk"), memory_folder():
        raise AssertionError


def test_a_host_is_a_folder_of_a_checkout(checkout: Checkout) -> None:
    assert Places(checkout.root, "trader").secrets == checkout.root / "secrets" / "trader.json"
    for root, host, sentence in (
        (checkout.root, "../etc", "no name of a host"),
        (checkout.root, "trader.host", "no name of a host"),
        (checkout.root, "other", "copy nixos/hosts/example there"),
        (checkout.root / "nixos", "trader", "no checkout of the appliance"),
    ):
        with pytest.raises(Refused, match=sentence):
            Places(root, host)


def test_no_two_files_are_one(checkout: Checkout) -> None:
    at = checkout.places
    files = [at.public, at.secrets, at.identity, at.operator, at.rules]
    assert len(set(files)) == len(files)


def test_an_operators_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    assert places.own_identity() == Path("/c/sops/age/keys.txt")
    assert places.client_file("trader") == Path("/c/hlhft/trader.conf")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert places.home_of_configuration() == Path(os.environ["HOME"]) / ".config"
