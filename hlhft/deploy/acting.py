"""Installs a host, changes the system that it runs, and takes that back.

A change is confirmed over connections made after it: if none can be made, the host goes back by itself.
"""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hlhft.deploy import making, programs, vault
from hlhft.deploy.client import client_text
from hlhft.deploy.confirming import Answer, Verdict, judged
from hlhft.deploy.errors import Refused, StepError, VaultError
from hlhft.deploy.facts import Facts, PublicKeys, require_cpus, require_deployable
from hlhft.deploy.places import Places, memory_folder
from hlhft.deploy.remote import SWITCH, Host

EVALUATION_SECONDS_MAX = 600.0
BUILD_SECONDS_MAX = 4 * 3600.0
INSTALLATION_SECONDS_MAX = 2 * 3600.0
CONFIRMATION_SECONDS_MAX = 960.0  # a boot loader is written to two disks; the host itself gives up before
PAUSE_S = 2.0  # between two looks at a switch
_FLAKES = ("--extra-experimental-features", "nix-command flakes")
SYSTEM = "SYSTEM"  # what a rehearsal calls a system that is not built


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done to which host. `say` gets each step as a sentence; a rehearsal says them and does nothing that
    changes anything."""

    places: Places
    identity: Path
    client: Path
    say: Callable[[str], None]
    to: str | None = None  # USER@ADDRESS instead of the configuration's
    options: tuple[str, ...] = ()  # of ssh
    is_rehearsal: bool = False
    seconds: int = 300  # to confirm in
    pause_s: float = PAUSE_S
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)


def facts_line(places: Places) -> list[str]:
    """The command that evaluates what the configuration says of the host."""
    attribute = f"nixosConfigurations.{places.host}.config.services.hlhft.deployment.facts"
    return ["nix", *_FLAKES, "eval", "--json", f"{places.root}#{attribute}"]


def build_line(places: Places) -> list[str]:
    """The command that builds the host's system and prints its path."""
    attribute = f"nixosConfigurations.{places.host}.config.system.build.toplevel"
    return ["nix", *_FLAKES, "build", "--no-link", "--print-out-paths", f"{places.root}#{attribute}"]


def copy_line(target: str, system: str) -> list[str]:
    """The command that copies a system there."""
    return ["nix", *_FLAKES, "copy", "--to", f"ssh-ng://{target}", system]


def install_line(places: Places, target: str, extra: Path, options: tuple[str, ...]) -> list[str]:
    """The command that installs the host, with the files below `extra` put where they belong."""
    said = [word for option in options for word in ("--ssh-option", option)]
    flake = f"{places.root}#{places.host}"
    return ["nixos-anywhere", "--flake", flake, "--extra-files", str(extra), *said, "--target-host", target]


def read_facts(places: Places) -> Facts:
    """What the configuration says of the host. Raises StepError, VaultError."""
    said = programs.run(facts_line(places), seconds=EVALUATION_SECONDS_MAX, shows=True)
    try:
        return msgspec.json.decode(said, type=Facts)
    except msgspec.MsgspecError as error:
        raise VaultError(f"{places.host}: its configuration is of another version of hlhft: {error}") from None


def require(order: Order) -> tuple[Facts, PublicKeys]:
    """What is known of the host, once nothing is missing. Raises Refused, VaultError, StepError."""
    keys = making.public_keys(order.places)
    secrets = order.places.secrets
    names, readers = vault.names(secrets), vault.recipients(secrets)
    order.say(f"Reading what the configuration says: {shlex.join(facts_line(order.places))}")
    facts = read_facts(order.places)
    require_deployable(order.places.host, facts, keys, names=names, recipients=readers)
    return facts, keys


def install(order: Order) -> None:
    """Installs a machine that shows a rescue system, or any Linux with SSH: everything on its disks is lost.

    Raises Refused, VaultError, StepError, OSError.
    """
    facts, keys = require(order)
    if order.to is None and facts.address is None:
        raise Refused("where the machine is found is not known: say --to root@ADDRESS, or set network.ipv4.address")
    target = order.to or f"root@{facts.address}"
    rescue = Host(target, options=order.options)
    order.say(f"Counting its CPUs: {shlex.join(rescue.line(['nproc', '--all']))}")
    if not order.is_rehearsal:
        require_cpus(order.places.host, facts, rescue.cpus())
    with memory_folder() as folder:
        # The folder itself is this user's alone; what is below becomes the host's root, modes and all.
        extra = folder / "root"
        place_identity(order, extra)
        line = install_line(order.places, target, extra, order.options)
        order.say(f"Installing, which erases its disks: {shlex.join(line)}")
        if not order.is_rehearsal:
            programs.watched(line, seconds=INSTALLATION_SECONDS_MAX)
    order.say(f"Writing the operator's WireGuard file: {order.client}")
    if not order.is_rehearsal:
        write_client(order, facts, keys, target.rpartition("@")[2])
        _say_what_is_next(order, facts, keys)


def place_identity(order: Order, extra: Path) -> None:
    """Lays the host's own keys below `extra`, where they belong on the host. Raises VaultError, StepError, OSError."""
    order.say(f"Taking the host's keys from {order.places.identity}, in memory alone")
    if order.is_rehearsal:
        return
    own = vault.decrypt(order.places.identity, order.identity)
    public = making.public_keys(order.places).ssh
    for place, mode, text in (
        ("etc/ssh/ssh_host_ed25519_key", 0o600, own["ssh-key"].reveal()),
        ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, public + "\n"),
        ("var/lib/sops-nix/key.txt", 0o600, own["age-key"].reveal() + "\n"),
    ):
        path = extra / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        path.chmod(mode)
    for folder in (extra, *(path for path in extra.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    (extra / "var/lib/sops-nix").chmod(0o700)


def write_client(order: Order, facts: Facts, keys: PublicKeys, address: str) -> None:
    """Writes the operator's WireGuard file, which only its owner reads. Raises VaultError, StepError, OSError."""
    private = vault.decrypt(order.places.operator, order.identity)["wireguard-key"]
    text = client_text(order.places.host, facts, keys, private, address)
    order.client.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    making.write_private(order.client, text.reveal())


def switch(order: Order) -> None:
    """Builds the host's system, copies it there and changes to it. Raises Refused, VaultError, StepError, OSError."""
    facts, keys = require(order)
    with _inside(order, facts, keys) as host:
        order.say(f"Counting its CPUs: {shlex.join(host.line(['nproc', '--all']))}")
        if not order.is_rehearsal:
            require_cpus(order.places.host, facts, host.cpus())
        order.say(f"Building: {shlex.join(build_line(order.places))}")
        system = SYSTEM
        if not order.is_rehearsal:
            system = programs.run(build_line(order.places), seconds=BUILD_SECONDS_MAX, shows=True).decode().strip()
        line = copy_line(host.target, system)
        order.say(f"Copying: {shlex.join(line)}")
        if not order.is_rehearsal:
            environment = {"NIX_SSHOPTS": shlex.join(host.ssh_options)}
            programs.watched(line, environment=environment, seconds=BUILD_SECONDS_MAX)
        change(order, host, system)


def rollback(order: Order) -> None:
    """Changes to the generation before the one that boots. Raises Refused, VaultError, StepError, OSError."""
    keys = making.public_keys(order.places)
    order.say(f"Reading what the configuration says: {shlex.join(facts_line(order.places))}")
    # Whatever of the new configuration is wrong: the way back is not refused for it.
    with _inside(order, read_facts(order.places), keys) as host:
        order.say(f"Asking for the generation before: {shlex.join(host.line([SWITCH, 'previous']))}")
        system = SYSTEM if order.is_rehearsal else host.run(SWITCH, "previous").strip()
        change(order, host, system)


def change(order: Order, host: Host, system: str) -> None:
    """Changes to a system that is there, and confirms it over a new connection within `order.seconds`; raises StepError
    where it does not come to that, and the host goes back by itself."""
    words = [SWITCH, "begin", system, str(order.seconds)]
    order.say(f"Arming the way back, and changing: {shlex.join(host.line(words))}")
    order.say(f"Looking over new connections, for {order.seconds} s: {shlex.join(host.line([SWITCH, 'status']))}")
    order.say(f"Confirming over another: {shlex.join(host.line([SWITCH, 'confirm', system]))}")
    if order.is_rehearsal:
        return
    failed_before = set(host.status().failed)
    host.run(*words)
    deadline = order.clock() + order.seconds
    was_sent, verdict, why = False, Verdict.WAIT, "the host does not answer"
    while verdict is not Verdict.LOST and order.clock() < deadline:
        verdict, why = judged(_answer(host), system, failed_before)
        if verdict is Verdict.CONFIRM:
            was_sent = True
            try:
                host.run(SWITCH, "confirm", system, seconds=CONFIRMATION_SECONDS_MAX)
            except StepError as error:
                why = str(error)  # the next look says what became of it
            else:
                order.say(f"Confirmed: {system} runs, and is what boots")
                return
        order.sleep(order.pause_s)
    if was_sent and verdict is not Verdict.LOST:
        raise StepError(
            f"{system} was told to stay, and did not say that it boots: {why}; look there with {SWITCH} status, "
            f"and where it is confirmed, say {SWITCH} confirm {system} once more"
        )
    raise StepError(
        f"{system} was not confirmed: {why}; the host goes back to its former system by itself, at the latest "
        f"{order.seconds} s after the change"
    )


def _answer(host: Host) -> Answer | None:
    """What the host says of a switch, over a new connection; None where none can be made."""
    try:
        return host.status()
    except StepError:
        return None


@contextmanager
def _inside(order: Order, facts: Facts, keys: PublicKeys) -> Iterator[Host]:
    """The host over WireGuard, known by the key that was made for it."""
    with tempfile.TemporaryDirectory(prefix="hlhft-") as folder:
        known = Path(folder) / "known_hosts"
        alias = order.places.host
        kind, key, *_ = keys.ssh.split()
        known.write_text(f"{alias} {kind} {key}\n")
        yield Host(order.to or f"root@{facts.wireguard.address}", known, alias, order.options)


def _say_what_is_next(order: Order, facts: Facts, keys: PublicKeys) -> None:
    order.say(f"Installed. To get in: wg-quick up {order.client}, then ssh root@{facts.wireguard.address}")
    needed = [name for name in ("agent", "watchdog") if f"{name}-key" in facts.secrets]
    for name in needed:
        order.say(f"Approve {keys.wallets[name]} as the account's API wallet named {name}, or it may not trade")
