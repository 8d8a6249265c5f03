"""Makes what a host needs of keys and secrets, encrypted to the host and to the operator, and adds what was given.

Nothing that is there already is made anew: a key that the venue or a peer knows stays. keys.json is written last, so a
host that has it has all of its keys.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hlhft.data.writing import sync_folder, write_file
from hlhft.deploy import facts, keys, programs, vault
from hlhft.deploy.errors import Refused, VaultError
from hlhft.deploy.keys import Secret
from hlhft.deploy.places import Places

GIVEN_BYTES_MAX = 4096
_SECRET = re.compile(r"[a-z][a-z0-9-]{0,62}")  # a file's name, where the host reads it
_SSH_KINDS = ("ssh-ed25519 ", "ecdsa-sha2-", "sk-ssh-ed25519", "sk-ecdsa-sha2-", "ssh-rsa ")


def own_recipient(identity: Path) -> str:
    """The public half of the operator's age key, which is made where there is none. Raises StepError, OSError."""
    if not identity.exists():
        private = keys.age_pair().private
        identity.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(identity, private.reveal() + "\n")
    return programs.run(["age-keygen", "-y", str(identity)]).decode().split()[0]


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner reads, whole or not at all. Raises OSError."""
    writing = path.with_name(f".{path.name}.writing")
    writing.unlink(missing_ok=True)
    descriptor = os.open(writing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)
    sync_folder(path.parent)


def operator_wireguard(places: Places, identity: Path, recipient: str) -> keys.Pair:
    """The operator's WireGuard pair, made where there is none. Raises VaultError, StepError, OSError."""
    if not places.operator.exists():
        pair = keys.wireguard_pair()
        vault.encrypt(places.operator, {"wireguard-key": pair.private}, [recipient])
        return pair
    private = vault.decrypt(places.operator, identity)["wireguard-key"]
    return keys.Pair(private, wireguard_public(private))


def wireguard_public(private: Secret) -> str:
    """The public key of a private one, as `wg pubkey` writes it."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private.reveal())).public_key()
    return base64.b64encode(key.public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)).decode()


def ssh_public(path: Path) -> str:
    """The operator's public SSH key. Raises Refused where the file has none."""
    text = path.read_text(errors="replace").strip() if path.is_file() else ""
    if not text.startswith(_SSH_KINDS) or len(text.splitlines()) != 1:
        raise Refused(f"{path}: no public SSH key is there; make one with ssh-keygen, or name yours with --ssh-key")
    return text


def given_of(files: Mapping[str, Path]) -> dict[str, Secret]:
    """What the operator gives, by its name, from files: an argument would be seen by everybody who runs `ps`.

    "-" is the standard input. What is made here is not given: its public half would be another's. Raises Refused,
    OSError.
    """
    found = {}
    for name, path in files.items():
        if name in keys.MADE or not _SECRET.fullmatch(name):
            raise Refused(f"{name} is no name of a secret that is given: it is made here, or no file could have it")
        text = (sys.stdin.read(GIVEN_BYTES_MAX + 1) if str(path) == "-" else path.read_text()).strip()
        if not text or len(text) > GIVEN_BYTES_MAX:
            raise Refused(f"{path}: {name} is one text of 1 to {GIVEN_BYTES_MAX} characters")
        if name.endswith("-url") and not text.startswith(("http://", "https://")):
            raise Refused(f"{path}: {name} is an address, http://… or https://…")
        found[name] = Secret(text)
    return found


def make(
    places: Places,
    *,
    identity: Path,
    ssh_key: Path,
    given: Mapping[str, Secret],
    heartbeat_of: Places | None = None,
) -> bool:
    """Makes the host's keys where it has none, and puts what is given beside them; returns whether it made any.

    `identity` is the file of the operator's private age key, made where it is not there; `ssh_key` that of the public
    SSH key that root accepts. The engine and its watchdogs share a secret: `heartbeat_of` is the host that has it.

    Raises Refused, VaultError, StepError, OSError.
    """
    if places.secrets.exists():
        facts.require_own_keys(places.host, vault.recipients(places.secrets))
    if has_keys(places):
        if given:
            _add(places, identity, given)
        return False
    recipient = own_recipient(identity)
    if recipient == facts.TEST_RECIPIENT:
        raise Refused(f"{identity} is the test key, which everybody has: name another with --identity")
    heartbeat = None if heartbeat_of is None else vault.decrypt(heartbeat_of.secrets, identity)["heartbeat-secret"]
    made = keys.host_keys(
        places.host, operator_wireguard=operator_wireguard(places, identity, recipient).public,
        operator_ssh=ssh_public(ssh_key), heartbeat=heartbeat,
    )  # fmt: skip
    vault.encrypt(places.identity, {"age-key": made.age.private, "ssh-key": made.ssh.private}, [recipient])
    vault.encrypt(places.secrets, {**made.secrets, **given}, [recipient, made.age.public])
    write_file(places.rules, rules_text(places.vaults).encode())
    write_file(places.public, msgspec.json.format(msgspec.json.encode(made.public), indent=2) + b"\n")
    for folder in (places.vaults, places.folder):
        sync_folder(folder)
    show_to_nix(places)
    return True


def has_keys(places: Places) -> bool:
    """Whether the host has keys of its own, and not those of the example that its folder was copied from. Raises
    VaultError."""
    return places.public.exists() and public_keys(places).age != facts.TEST_RECIPIENT


def public_keys(places: Places) -> facts.PublicKeys:
    """What may be known of the host's keys. Raises VaultError."""
    try:
        return msgspec.json.decode(places.public.read_bytes(), type=facts.PublicKeys)
    except FileNotFoundError:
        raise VaultError(f"{places.public}: the host has no keys yet: hlhft deploy keys {places.host}") from None
    except msgspec.MsgspecError as error:
        raise VaultError(f"{places.public}: this is not what hlhft deploy keys wrote: {error}") from None


def rules_text(vaults: Path) -> str:
    """Who reads which file, as sops itself looks it up (`sops FILE` edits one). Raises VaultError."""
    lines = ["# Who reads what: written by hlhft deploy keys, for sops itself.", "creation_rules:"]
    for path in sorted(vaults.glob("*.json")):
        name = path.name.replace(".", r"\.")
        lines += [f"  - path_regex: (^|/){name}$", f"    age: {','.join(sorted(vault.recipients(path)))}"]
    return "\n".join(lines) + "\n"


def show_to_nix(places: Places) -> None:
    """A flake in a git repository has only the files that git knows: tells git of the new ones, and commits nothing.

    Raises StepError."""
    if shutil.which("git") is None or not (places.root / ".git").exists():
        return
    folders = (str(places.folder), str(places.vaults))
    programs.run(["git", "-C", str(places.root), "add", "--intent-to-add", "--", *folders])


def _add(places: Places, identity: Path, given: Mapping[str, Secret]) -> None:
    """Puts values into the host's secrets; its readers stay."""
    known = vault.decrypt(places.secrets, identity)
    vault.encrypt(places.secrets, {**known, **given}, sorted(vault.recipients(places.secrets)))
