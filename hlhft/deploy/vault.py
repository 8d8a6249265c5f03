"""Encrypted files, by sops and age: names stand in clear, each value is encrypted to its readers alone.

A file is JSON as sops writes it. Clear text goes through pipes and never touches a disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hlhft.data.writing import write_file
from hlhft.deploy.errors import StepError, VaultError
from hlhft.deploy.keys import Secret
from hlhft.deploy.programs import run

FILE_BYTES_MAX = 1 << 20
_FORM = ("--input-type", "json", "--output-type", "json")


def encrypt(path: Path, values: Mapping[str, Secret], recipients: Sequence[str]) -> None:
    """Writes the values, encrypted to the recipients' age keys; an earlier file is replaced as a whole.

    Raises StepError, OSError.
    """
    assert values, "nothing to encrypt"
    assert recipients, "nobody could read it"
    text = msgspec.json.encode({name: value.reveal() for name, value in values.items()})
    readers = ",".join(sorted(set(recipients)))
    # The recipients are said here, so no file of rules is looked for.
    line = ["sops", "--config", "/dev/null", "--encrypt", "--age", readers, *_FORM, "/dev/stdin"]
    write_file(path, run(line, stdin=text))


def decrypt(path: Path, identity: Path) -> dict[str, Secret]:
    """The values, by the private age key in the file `identity`. Raises VaultError, StepError."""
    recipients(path)
    try:
        text = run(["sops", "--decrypt", *_FORM, str(path)], environment={"SOPS_AGE_KEY_FILE": str(identity)})
    except StepError as error:
        raise VaultError(f"{path}: the key in {identity} does not open it ({error})") from None
    values = msgspec.json.decode(text, type=dict[str, str])
    return {name: Secret(value) for name, value in values.items()}


def names(path: Path) -> set[str]:
    """The names of the values; needs no key. Raises VaultError."""
    return set(_read(path)) - {"sops"}


def recipients(path: Path) -> set[str]:
    """Whose age keys open it; needs no key. Raises VaultError."""
    return {entry["recipient"] for entry in _read(path)["sops"]["age"]}


class _Reader(msgspec.Struct):
    recipient: str


class _Notes(msgspec.Struct):
    age: list[_Reader]


def _read(path: Path) -> dict[str, Any]:
    """The file as it lies there. Raises VaultError where it is not what sops writes."""
    try:
        with path.open("rb") as file:
            content: dict[str, Any] = msgspec.json.decode(file.read(FILE_BYTES_MAX), type=dict[str, Any])
        msgspec.convert(content["sops"], _Notes)
    except FileNotFoundError:
        raise VaultError(f"{path}: there is no such file; hlhft deploy keys makes it") from None
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
        raise VaultError(f"{path}: this is no file that sops encrypted as JSON") from None
    clear = [name for name, value in content.items() if name != "sops" and not str(value).startswith("ENC[")]
    if clear:
        raise VaultError(f"{path}: {', '.join(sorted(clear))} stands there in clear; make it anew, it is known now")
    return content
