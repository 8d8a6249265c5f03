"""`hlhft approve`: API wallets approved at an exchange of one's own, so that engine and watchdog may trade there."""

from __future__ import annotations

from pathlib import Path

import click

from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.exchange.known_account import SEED

WALLETS_MAX = 3  # with a name, as the venue allows


@click.command()
@click.argument("wallets", nargs=-1, required=True, metavar="NAME=KEYFILE...")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings that the engine runs with."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=SEED, show_default=True, help="The exchange's.")
def command(*, wallets: tuple[str, ...], config: Path | None, seed: int) -> None:
    """Approve API wallets for the test account of an exchange on this machine, for a rehearsal.

    Each is a name and the file of its key, as engine=agent.key; the key itself goes nowhere. What is approved already
    stays as it is. Needs account.network = "local", and account.address the exchange's test account. At the real venue
    a person does this, with the account's own key.

    Ends with exit code 0, 2 for settings, names or keys that do not fit, 1 when the exchange refuses or does not
    answer.
    """
    from hlhft.config.folders import base_url
    from hlhft.exchange.known_account import test_signer
    from hlhft.live.asking import Venue
    from hlhft.live.private_files import read_signer
    from hlhft.live.wallets import approve, is_approved

    settings = loaded_settings(config).config
    owner, venue = test_signer(seed), Venue(base_url(settings))
    refusal = _refusal(settings.account.network, settings.account.address, owner.address, seed)
    if refusal:
        raise CommandError(refusal, ExitCode.USAGE)
    addresses = {name: read_signer(path).address for name, path in _files(wallets).items()}
    if len(set(addresses.values())) < len(addresses):
        raise CommandError(
            "two wallets have one key: they would take each other's nonces; make each its own", ExitCode.USAGE
        )
    for name, address in addresses.items():
        if is_approved(venue, owner.address, address):
            click.echo(f"{name:<13} {address} is approved already")
            continue
        approve(venue, owner, name, address)
        click.echo(f"{name:<13} {address} is approved")


def _refusal(network: str, account: str, owner: str, seed: int) -> str:
    """Why these settings are not those of a rehearsal, in one sentence; empty when they are."""
    if network != "local":
        return (
            f"account.network is {network}: wallets are approved here at an exchange of one's own only; set it to local"
        )
    if account.lower() != owner.lower():
        return (
            f"account.address is {account or 'not set'}, and the test account of an exchange of seed {seed} is {owner};"
            " set it, or say the exchange's --seed"
        )
    return ""


def _files(wallets: tuple[str, ...]) -> dict[str, Path]:
    """The files of the keys by name. Raises CommandError."""
    files = {}
    for wallet in wallets:
        name, _, path = wallet.partition("=")
        if not name or not path or name in files:
            raise CommandError(
                f"{wallet} is no wallet, or its name was given before; write NAME=KEYFILE", ExitCode.USAGE
            )
        files[name] = Path(path)
    if len(files) > WALLETS_MAX:
        raise CommandError(
            f"{len(files)} wallets are too many: an account has {WALLETS_MAX} with a name", ExitCode.USAGE
        )
    return files
