"""Files that only their owner may read: private keys and shared secrets. What is in them is never shown.

A file that its group or others may read is refused: whoever could read it may have. systemd's credentials are files of
this kind: root's, with an access control list that lets the service's own user read them, and nobody else.
"""

from __future__ import annotations

import os
import secrets
import stat
import struct
from pathlib import Path

from hlhft.hyperliquid.signing import Signer, SigningError
from hlhft.hyperliquid.watchdog_beats import SECRET_BYTES_MIN

FILE_BYTES_MAX = 4096

# acl(5) as Linux keeps it in an extended attribute: a version, then entries of tag, permissions and id.
_ACL_ATTRIBUTE = "system.posix_acl_access"
_ACL_HEADER, _ACL_ENTRY, _ACL_VERSION = struct.Struct("<I"), struct.Struct("<HHI"), 2
_ACL_USER_OBJECT, _ACL_USER, _ACL_MASK = 0x01, 0x02, 0x10


class PrivateFileError(ValueError):
    """A private file that is not there, is readable by others, or does not hold what it should; the message is one
    sentence without anything of its content."""


def read_private(path: Path) -> bytes:
    """What the file holds. Raises PrivateFileError."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            _check(path, status, is_ours=_is_listed_for_us_alone(file.fileno()))
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise PrivateFileError(f"{path}: the file cannot be read: {error.strerror}") from None


def _is_listed_for_us_alone(descriptor: int) -> bool:
    """Whether the file has an access control list that gives nobody but its owner and this process's user anything. The
    bits of the mode that are the group's are the list's mask then, and say nothing of the group."""
    try:
        listed = os.getxattr(descriptor, _ACL_ATTRIBUTE)
    except OSError:
        return False  # there is none, or the file system knows none: the mode says all
    if len(listed) < _ACL_HEADER.size or _ACL_HEADER.unpack_from(listed)[0] != _ACL_VERSION:
        return False
    if (len(listed) - _ACL_HEADER.size) % _ACL_ENTRY.size:
        return False
    for tag, permissions, number in _ACL_ENTRY.iter_unpack(listed[_ACL_HEADER.size :]):
        is_own = tag in (_ACL_USER_OBJECT, _ACL_MASK) or (tag == _ACL_USER and number == os.geteuid())
        if permissions and not is_own:
            return False
    return True


def _check(path: Path, status: os.stat_result, *, is_ours: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PrivateFileError(f"{path}: this is no file; name the file itself")
    others = stat.S_IRWXO if is_ours else stat.S_IRWXG | stat.S_IRWXO
    if status.st_mode & others:
        mode = stat.S_IMODE(status.st_mode)
        raise PrivateFileError(f"{path}: others than its owner may use this file (mode {mode:04o}); chmod 600 it")
    if status.st_size > FILE_BYTES_MAX:
        raise PrivateFileError(f"{path}: a key or secret has less than {FILE_BYTES_MAX} bytes, this file more")


def read_signer(path: Path) -> Signer:
    """The signer of the private key in the file: 64 hex digits, 0x before them or not. Raises PrivateFileError."""
    text = read_private(path).decode("ascii", errors="replace").strip().removeprefix("0x")
    try:
        return Signer(bytes.fromhex(text))
    except (ValueError, SigningError):
        raise PrivateFileError(
            f"{path}: no private key is in this file; it holds 64 hex digits, as an API wallet's key is shown"
        ) from None


def read_secret(path: Path) -> bytes:
    """The secret in the file, without white space around it. Raises PrivateFileError."""
    secret = read_private(path).strip()
    if len(secret) < SECRET_BYTES_MIN:
        raise PrivateFileError(
            f"{path}: a secret has at least {SECRET_BYTES_MIN} bytes, this file has {len(secret)}; "
            "remove it, and a new one is made"
        )
    return secret


def read_or_make_secret(path: Path) -> bytes:
    """The secret in the file; where there is none, one is made that nobody else has. Of several processes that find
    none, one makes it and all read the same. Raises PrivateFileError."""
    if not path.exists():
        _make_secret(path)
    return read_secret(path)


def _make_secret(path: Path) -> None:
    """Writes a secret beside the place and links it there, so that it is never seen half written."""
    made = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES_MIN) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, path)
        except FileExistsError:
            pass  # another was first, and its secret counts
        finally:
            made.unlink()
    except OSError as error:
        raise PrivateFileError(f"{path}: no secret can be made there: {error.strerror}") from None
