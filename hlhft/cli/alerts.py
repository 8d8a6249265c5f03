"""`hlhft alerts`: the rules that call a person, and the configuration of what evaluates and tells them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.config import loaded_settings

if TYPE_CHECKING:
    from hlhft.config.settings import Config
    from hlhft.monitor.alertmanager import Receiver
    from hlhft.monitor.prometheus import Trust

_FILE = click.Path(path_type=Path)
FORMATS = ("rules", "prometheus", "alertmanager")


@click.command()
@click.option("--config", "file", type=_FILE, metavar="FILE", help="Settings whose limits and exporter count.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="rules", help="Which of the three to print.")
@click.option("--output", type=_FILE, metavar="FOLDER", help="Write all three there instead.")
@click.option("--target", "targets", multiple=True, metavar="HOST:PORT", help="An exporter, instead of the settings'.")
@click.option(
    "--alertmanager", "managers", multiple=True, metavar="HOST:PORT", help="An Alertmanager; else this host's."
)
@click.option("--host", metavar="NAME", help="What this Prometheus calls itself to others.")
@click.option("--runbook", metavar="URL", help="Where docs/runbook.md can be read by whoever is called.")
@click.option("--page", metavar="URL|FILE", help="Webhook of pages, or the file that holds its address.")
@click.option("--ticket", metavar="URL|FILE", help="The same for tickets.")
@click.option("--heartbeat", metavar="URL|FILE", help="The same for the heartbeat, outside this host.")
@click.option("--authority", metavar="FILE", help="What signed the exporter's certificate, where it shows one.")
@click.option("--certificate", metavar="FILE", help="What Prometheus shows, where the exporter wants that.")
@click.option("--key", metavar="FILE", help="The key of that.")
def command(*, file: Path | None, form: str, output: Path | None, **said: Any) -> None:
    """Print or write what Prometheus and Alertmanager need, as JSON, which is YAML too.

    The rules with a runbook's section for each alert; a Prometheus that scrapes and evaluates each second; an
    Alertmanager with three receivers, whose addresses are by default the systemd credentials page-url, ticket-url and
    heartbeat-url.
    """
    config = loaded_settings(file).config
    texts = _texts(config, said)
    if output is None:
        click.echo(texts[form][1], nl=False)
        return
    from hlhft.data.writing import sync_folder, write_file

    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.values():
        write_file(output / name, text.encode())
        click.echo(output / name)
    sync_folder(output)


def _texts(config: Config, said: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Each format's file name and text."""
    from hlhft.monitor import alertmanager, alerts, prometheus

    targets = said["targets"]
    if not targets and config.metrics.port == 0:
        raise click.UsageError("metrics.port is 0, a port that the system chooses: say --target HOST:PORT.")
    contents = {
        "rules": (alerts.RULES_FILE, alerts.rules(config, runbook=said["runbook"] or alerts.RUNBOOK)),
        "prometheus": (
            prometheus.CONFIGURATION_FILE,
            prometheus.configuration(
                targets or [prometheus.target_of(config)],
                host=said["host"] or prometheus.HOST,
                alertmanagers=said["managers"] or prometheus.ALERTMANAGERS,
                trust=_trust(config, said),
            ),
        ),
        "alertmanager": (
            alertmanager.CONFIGURATION_FILE,
            alertmanager.configuration(
                {
                    severity: _receiver(said[severity]) if said[severity] else receiver
                    for severity, receiver in alertmanager.RECEIVERS.items()
                }
            ),
        ),
    }
    return {form: (name, alerts.as_text(content)) for form, (name, content) in contents.items()}


def _trust(config: Config, said: dict[str, Any]) -> Trust | None:
    from hlhft.monitor.prometheus import Trust

    shows_one = bool(config.metrics.certificate_file)
    if shows_one and not said["authority"]:
        raise click.UsageError("The exporter shows a certificate: say with --authority what it is known by.")
    if not said["authority"]:
        if said["certificate"] or said["key"]:
            raise click.UsageError("--certificate and --key are shown over TLS only: say --authority, too.")
        return None
    if bool(said["certificate"]) != bool(said["key"]):
        raise click.UsageError("--certificate and --key belong together: say both or none.")
    return Trust(
        authority_file=said["authority"], certificate_file=said["certificate"] or "", key_file=said["key"] or ""
    )


def _receiver(place: str) -> Receiver:
    from hlhft.monitor.alertmanager import Receiver

    if place.startswith(("http://", "https://")):
        return Receiver(url=place)
    if not place.startswith("/"):
        raise click.UsageError(
            f"{place} is neither an address, http://… or https://…, nor the absolute path of a file."
        )
    return Receiver(url_file=place)
