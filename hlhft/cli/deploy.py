"""`hlhft deploy`: a host's keys, its installation, and switches that revert unless they are confirmed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hlhft.deploy.acting import Order
    from hlhft.deploy.places import Places

_FILE = click.Path(path_type=Path)
ACTIONS = ("keys", "install", "switch", "rollback")
SECONDS_MIN, SECONDS_MAX = 10, 3600  # as nixos/files/switch.py takes them


class _Named(click.Group):
    """`deploy HOST` is `deploy install HOST`."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click's, with `install` before what is no action."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["install", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Named)
def command() -> None:
    """Make the keys of a host of this checkout, install it, change it, take a change back.

    `hlhft deploy HOST` is `hlhft deploy install HOST`. HOST is a folder of nixos/hosts. A switch reverts by itself
    unless it is confirmed over a new connection.

    Ends with exit code 2 for what is refused before anything is changed, 3 for secrets that are missing or are not this
    operator's, 1 where a program or the host failed.
    """


def _common(function: Callable[..., None]) -> Callable[..., None]:
    """What every action takes."""
    for option in (
        click.option("--flake", type=_FILE, default=Path("."), show_default=True, metavar="DIR", help="The checkout."),
        click.option(
            "--identity", type=_FILE, metavar="FILE", help="Your age key, made if there is none.  [default: sops' own]",
        ),
        click.argument("host"),
    ):  # fmt: skip
        function = option(function)
    return function


def _making(function: Callable[..., None]) -> Callable[..., None]:
    """What is given to be encrypted."""
    for option in (
        click.option(
            "--heartbeat-of", metavar="HOST", help="The host whose engine or watchdogs share a secret with it.",
        ),
        click.option(
            "--secret", "others", type=(str, _FILE), multiple=True, metavar="NAME FILE", help="Any other of its.",
        ),
        click.option("--aws-credentials", type=_FILE, metavar="FILE", help="A file with what the miner signs in with."),
        click.option("--heartbeat-url", type=_FILE, metavar="FILE", help="The same of the heartbeat's receiver."),
        click.option("--ticket-url", type=_FILE, metavar="FILE", help="The same for tickets."),
        click.option("--page-url", type=_FILE, metavar="FILE", help="A file with the webhook of pages; - is typed."),
        click.option(
            "--ssh-key", type=_FILE, default=Path("~/.ssh/id_ed25519.pub"), show_default=True, metavar="FILE",
            help="Your public SSH key.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def _reaching(function: Callable[..., None]) -> Callable[..., None]:
    """How the host is reached."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Say each step, change nothing."),
        click.option(
            "--ssh-option", "options", multiple=True, metavar="NAME=VALUE", help="An option of ssh, as IdentityFile=….",
        ),
        click.option("--to", metavar="USER@ADDRESS", help="Where it is, instead of what its configuration says."),
    ):  # fmt: skip
        function = option(function)
    return function


@command.command()
@_common
@_making
def keys(host: str, flake: Path, identity: Path | None, **given: Any) -> None:
    """Make the keys and secrets of HOST and encrypt them; add what is given to those that are there."""
    _make(_places(flake, host), identity, given)


@command.command()
@_common
@_making
@_reaching
@click.option("--client", type=_FILE, metavar="FILE", help="Your WireGuard file.  [default: ~/.config/hlhft/HOST.conf]")
def install(
    host: str, flake: Path, identity: Path | None, client: Path | None, to: str | None, options: tuple[str, ...],
    dry_run: bool, **given: Any,
) -> None:  # fmt: skip
    """Make what HOST has no keys of yet, and install it with nixos-anywhere: all on its disks is lost."""
    from hlhft.deploy import acting
    from hlhft.deploy.making import has_keys

    places = _places(flake, host)
    if dry_run and not has_keys(places):
        click.echo(f"Making the keys of {host}: hlhft deploy keys {host}")
        click.echo("What follows depends on them: make them, then rehearse once more")
        return
    if not dry_run:
        _make(places, identity, given)
    acting.install(_order(places, identity, client, to, options, dry_run))


_confirming = click.option(
    "--seconds", type=click.IntRange(SECONDS_MIN, SECONDS_MAX), default=300, show_default=True,
    help="The time to confirm in.",
)  # fmt: skip


@command.command()
@_common
@_reaching
@_confirming
def switch(
    host: str, flake: Path, identity: Path | None, to: str | None, options: tuple[str, ...], dry_run: bool, seconds: int
) -> None:
    """Build HOST's system, copy it there over WireGuard, change to it, and confirm it over a new connection."""
    from hlhft.deploy import acting

    acting.switch(_order(_places(flake, host), identity, None, to, options, dry_run, seconds))


@command.command()
@_common
@_reaching
@_confirming
def rollback(
    host: str, flake: Path, identity: Path | None, to: str | None, options: tuple[str, ...], dry_run: bool, seconds: int
) -> None:
    """Change HOST to the generation before the one that boots, confirmed in the same way."""
    from hlhft.deploy import acting

    acting.rollback(_order(_places(flake, host), identity, None, to, options, dry_run, seconds))


def _places(flake: Path, host: str) -> Places:
    from hlhft.deploy.places import Places

    return Places(flake.absolute(), host)


def _make(places: Places, identity: Path | None, given: dict[str, Any]) -> None:
    from hlhft.deploy import making
    from hlhft.deploy.places import Places, own_identity

    files = {name.replace("_", "-"): path for name, path in given.items() if isinstance(path, Path)}
    files |= dict(given["others"])
    ssh_key = files.pop("ssh-key").expanduser()
    other = given["heartbeat_of"]
    identity = identity or own_identity()
    is_new = not identity.exists()
    made = making.make(
        places, identity=identity, ssh_key=ssh_key, given=making.given_of(files),
        heartbeat_of=None if other is None else Places(places.root, other),
    )  # fmt: skip
    if is_new:
        click.echo(f"Your own key is new: keep a copy of {identity}, without it no secret can be changed or read")
    if made:
        click.echo(f"Made the keys of {places.host}: {places.public} and {places.secrets}; commit both")
    elif files:
        click.echo(f"Added to {places.secrets}: {', '.join(sorted(files))}")
    else:
        click.echo(f"{places.host} has its keys: {places.public}")


def _order(
    places: Places,
    identity: Path | None,
    client: Path | None,
    to: str | None,
    options: tuple[str, ...],
    is_rehearsal: bool,
    seconds: int = 300,
) -> Order:
    from hlhft.deploy.acting import Order
    from hlhft.deploy.places import client_file, own_identity

    return Order(
        places, identity or own_identity(), client or client_file(places.host), click.echo, to=to, options=options,
        is_rehearsal=is_rehearsal, seconds=seconds,
    )  # fmt: skip
