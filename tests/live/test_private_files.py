"""Private files: who may read them, what they hold, and that nothing of it is shown."""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
from pathlib import Path

import pytest

from hlhft.hyperliquid.signing import Signer
from hlhft.live import private_files
from hlhft.live.private_files import (
    FILE_BYTES_MAX,
    PrivateFileError,
    read_or_make_secret,
    read_private,
    read_secret,
    read_signer,
)

KEY = bytes(range(1, 33))


def private(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize("text", [KEY.hex(), f"0x{KEY.hex()}\n", f"  {KEY.hex().upper()}  "])
def test_a_key_is_read(tmp_path: Path, mode: int, text: str) -> None:
    assert read_signer(private(tmp_path, text.encode(), mode)).address == Signer(KEY).address


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(PrivateFileError, match=r"others than its owner may use this file .*chmod 600"):
        read_private(private(tmp_path, KEY, mode))


OBJECT, USER, GROUP_OBJECT, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
READ, NOBODY = 4, 0xFFFF_FFFF


def listed(path: Path, *entries: tuple[int, int, int]) -> Path:
    """The file with an access control list, as Linux keeps it."""
    content = b"".join(struct.pack("<HHI", *entry) for entry in sorted(entries))
    try:
        os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + content)
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP, error
        pytest.skip("NOT TESTED: access control lists, which the file system of temporary files does not know")
    return path


def test_a_credential_that_systemd_lists_for_this_user_is_read(tmp_path: Path) -> None:
    """Its mode is 0440, of which the group's bits are the list's mask."""
    own = (USER, READ, os.geteuid())
    rest = ((OBJECT, READ, NOBODY), (GROUP_OBJECT, 0, NOBODY), (MASK, READ, NOBODY), (OTHER, 0, NOBODY))
    path = listed(private(tmp_path, KEY.hex().encode(), 0o400), own, *rest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert read_signer(path).address == Signer(KEY).address


@pytest.mark.parametrize(
    "other",
    [(USER, READ, os.geteuid() + 1), (GROUP, READ, os.getegid()), (GROUP_OBJECT, READ, NOBODY)],
    ids=["another user", "a group", "the file's group"],
)
def test_one_that_is_listed_for_others_is_refused(tmp_path: Path, other: tuple[int, int, int]) -> None:
    rest = [(OBJECT, READ, NOBODY), (USER, READ, os.geteuid()), (MASK, READ, NOBODY), (OTHER, 0, NOBODY)]
    if other[0] != GROUP_OBJECT:
        rest.append((GROUP_OBJECT, 0, NOBODY))
    path = listed(private(tmp_path, KEY, 0o400), *rest, other)
    with pytest.raises(PrivateFileError, match="others than its owner may use this file"):
        read_private(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrivateFileError, match="cannot be read: No such file"):
        read_private(tmp_path / "none")
    with pytest.raises(PrivateFileError, match="cannot be read: Is a directory"):
        read_private(tmp_path)
    with pytest.raises(PrivateFileError, match="less than 4096 bytes"):
        read_private(private(tmp_path, bytes(FILE_BYTES_MAX + 1)))
    assert len(read_private(private(tmp_path, bytes(FILE_BYTES_MAX)))) == FILE_BYTES_MAX
    with pytest.raises(PrivateFileError, match="this is no file"):
        read_private(Path(os.devnull))


@pytest.mark.parametrize("text", ["", "hello", "00" * 32, KEY.hex()[:-2], KEY.hex() + "ff", "\xff" * 64])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(PrivateFileError, match="no private key is in this file") as raised:
        read_signer(private(tmp_path, text.encode()))
    assert not text or text not in str(raised.value)


def test_a_secret_is_read_without_white_space(tmp_path: Path) -> None:
    assert read_secret(private(tmp_path, b" " + b"s" * 32 + b"\n")) == b"s" * 32
    with pytest.raises(PrivateFileError, match="at least 32 bytes, this file has 31") as raised:
        read_secret(private(tmp_path, b"s" * 31))
    assert "sss" not in str(raised.value)


def test_a_secret_is_made_once_for_all_who_ask(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"
    found: list[bytes] = []
    askers = [threading.Thread(target=lambda: found.append(read_or_make_secret(path))) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(found) == 8 and len(set(found)) == 1 and len(found[0]) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["secret"], "nothing half made is left"
    assert read_or_make_secret(path) == found[0]
    assert read_or_make_secret(tmp_path / "other") != found[0]


def test_who_comes_second_reads_the_first_ones(tmp_path: Path) -> None:
    path = private(tmp_path, b"f" * 32)
    private_files._make_secret(path)
    assert read_secret(path) == b"f" * 32
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_place_where_none_can_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PrivateFileError, match="no secret can be made there"):
        private_files._make_secret(tmp_path / "file" / "secret")


@pytest.mark.parametrize("content", [b"", b"\x03\0\0\0", b"\x02\0\0\0\x01"])
def test_a_list_that_is_none_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(os, "getxattr", lambda *_: content)
    with pytest.raises(PrivateFileError, match="others than its owner may use this file"):
        read_private(private(tmp_path, KEY, 0o440))
