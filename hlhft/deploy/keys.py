"""Keys and secrets of a host, made here and kept nowhere in clear; nobody is asked for what can be made.

Private parts are values of `Secret`, which shows itself as nothing: neither a log nor an error has one by accident.
"""

from __future__ import annotations

import base64
import secrets
from typing import NamedTuple

SECRET_BYTES = 32
PASSWORD_BYTES = 24
# What a person gives, as nobody else knows it: where alerts are told, and who fetches archives.
GIVEN = ("page-url", "ticket-url", "heartbeat-url", "aws-credentials")

# What is made here.
MADE = frozenset(
    {"wireguard-key", "agent-key", "watchdog-key", "heartbeat-secret", "grafana-secret-key", "grafana-admin-password"}
    | {"alpha-engine-key", "alpha-key", "restic-password"}
)


class Secret:
    """A text that is read by `reveal` alone."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]


class Pair(NamedTuple):
    """A private key, and what may be known of it."""

    private: Secret
    public: str


def wireguard_pair() -> Pair:
    """A pair as `wg genkey` and `wg pubkey` write it: X25519 in base64 (wg(8))."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key = X25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.Raw, form.PrivateFormat.Raw, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
    return Pair(Secret(base64.b64encode(private).decode()), base64.b64encode(public).decode())


def ssh_pair(comment: str) -> Pair:
    """An ed25519 pair in OpenSSH's form, as a host has it."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return Pair(Secret(private.decode()), f"{public.decode()} {comment}")


def age_pair() -> Pair:
    """A pair of age, made by age itself. Raises StepError."""
    from hlhft.deploy.programs import run

    lines = run(["age-keygen"]).decode().splitlines()
    (public,) = (line.removeprefix("# public key: ") for line in lines if line.startswith("# public key: "))
    (private,) = (line for line in lines if line and not line.startswith("#"))
    return Pair(Secret(private), public)


def wallet() -> Pair:
    """An API wallet: its private key, and the address that the account approves."""
    from hlhft.hyperliquid.signing import Signer, SigningError

    while True:
        key = secrets.token_bytes(SECRET_BYTES)
        try:
            return Pair(Secret(f"0x{key.hex()}"), Signer(key).address)
        except SigningError:
            continue  # 0 or beyond the group's order: one in 2^127


def curve_pair() -> Pair:
    """A pair of the engine's or the alpha process's, as `hlhft alpha --make-key` makes it."""
    import zmq

    public, private = zmq.curve_keypair()
    return Pair(Secret(private.decode()), public.decode())


def secret() -> Secret:
    """A shared secret: 64 hex digits."""
    return Secret(secrets.token_hex(SECRET_BYTES))


def password() -> Secret:
    """One that a person types: 32 characters."""
    return Secret(secrets.token_urlsafe(PASSWORD_BYTES))


class HostKeys(NamedTuple):
    """Everything of one new host."""

    age: Pair  # reads the host's secrets
    ssh: Pair  # what the host shows itself by
    public: dict[str, object]  # what its configuration reads (keys.json)
    secrets: dict[str, Secret]  # by the names that nixos/secrets.nix hands to units


def host_keys(host: str, *, operator_wireguard: str, operator_ssh: str, heartbeat: Secret | None = None) -> HostKeys:
    """Keys for a new host. `heartbeat` is the secret of the engine and its watchdogs, where another host has it.

    Raises StepError.
    """
    age, ssh, wireguard = age_pair(), ssh_pair(host), wireguard_pair()
    agent, watchdog = wallet(), wallet()
    engine, alpha = curve_pair(), curve_pair()
    public: dict[str, object] = {
        "age": age.public,
        "ssh": ssh.public,
        "wireguard": wireguard.public,
        "operator": {"wireguard": operator_wireguard, "ssh": operator_ssh},
        "wallets": {"agent": agent.public, "watchdog": watchdog.public},
        "alpha": {"engine": engine.public, "alpha": alpha.public},
    }
    made = {
        "wireguard-key": wireguard.private,
        "agent-key": agent.private,
        "watchdog-key": watchdog.private,
        "heartbeat-secret": heartbeat or secret(),
        "grafana-secret-key": secret(),
        "grafana-admin-password": password(),
        "alpha-engine-key": engine.private,
        "alpha-key": alpha.private,
        "restic-password": password(),
    }
    assert made.keys() == MADE
    return HostKeys(age, ssh, public, made)
