"""The configuration of Alertmanager: who hears of what, how often, and which alerts silence others.

Three receivers, one for each severity. Where they are is a secret as often as not, and so is read from files that
systemd gives to Alertmanager alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hlhft.monitor.alerts import Severity, alerts, duration
from hlhft.monitor.metrics import Source
from hlhft.monitor.selectors import metric_of, selectors

CONFIGURATION_FILE = "alertmanager.json"
CREDENTIALS = "/run/credentials/alertmanager.service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A webhook: its `url`, or the file that holds it, never both; the second form needs Alertmanager 0.26.

    `credentials_file` holds what is shown in the header Authorization, after the word Bearer; "" for nothing.
    """

    url: str = ""
    url_file: str = ""
    credentials_file: str = ""


class Rhythm(NamedTuple):
    """How often a receiver hears of the same, in seconds."""

    wait_s: float  # before the first message, for what belongs to it
    interval_s: float  # before a message about what came later
    repeat_s: float  # before the same again, while it lasts


RECEIVERS: Mapping[Severity, Receiver] = {
    severity: Receiver(url_file=f"{CREDENTIALS}/{severity}-url") for severity in Severity
}
RHYTHMS: Mapping[Severity, Rhythm] = {
    # What follows from a dead process is silenced by it, once both have been seen.
    Severity.PAGE: Rhythm(5, 30, 1800),
    Severity.TICKET: Rhythm(60, 900, 86_400),
    # Looked at each interval, and sent again when the last message is older than `repeat_s`: once a minute.
    Severity.HEARTBEAT: Rhythm(0, 60, 50),
}


class Inhibition(NamedTuple):
    """While `source` fires, `targets` are not told where `equal` labels are the same; conditions as in PromQL."""

    source: tuple[str, ...]
    targets: tuple[str, ...]
    equal: tuple[str, ...]
    why: str


def inhibitions() -> tuple[Inhibition, ...]:
    """What silences what."""
    others = tuple(alert.name for alert in alerts() if alert.name not in ("ExporterDown", "Heartbeat"))
    return (
        Inhibition(_named("ExporterDown"), _named(*others), ("instance",), "nothing of the host is known any more"),
        Inhibition(
            (*_named("ProcessDown"), 'process="engine"'),
            _named(*of_the_engine()),
            ("instance",),
            "what was last known of an engine that is gone is no news",
        ),
        Inhibition(
            (*_named("ProcessDown"), 'process="watchdog"'),
            (*_named("WatchdogSilent"), 'place="local"'),
            ("instance",),
            "a watchdog that is down answers nobody; the one on another host still has to",
        ),
        Inhibition(
            (*_named("ProcessDown"), 'process="watchdog"'),
            _named("WatchdogBlind", "OrdersLeft"),
            ("instance",),
            "what was last known of a watchdog that is gone is no news",
        ),
        Inhibition(
            (*_named("HelperDown"), 'process="alpha"'),
            _named("SignalStale"),
            ("instance",),
            "no process, no signal",
        ),
        Inhibition(
            (*_named("HelperDown"), 'process="recorder"'),
            _named("RecorderGap"),
            ("instance",),
            "no process, no record",
        ),
        Inhibition(
            _named("Halted"),
            _named("DrawdownNearLimit", "RejectionStorm", "NotTrading", "SignalStale"),
            ("instance", "account"),
            "they led to the halt, or follow from it",
        ),
        Inhibition(
            _named("NotTrading"),
            _named("SignalStale", "ReconnectStorm", "ReconciliationStale"),
            ("instance", "account"),
            "they are why it does not quote, or follow from it",
        ),
        Inhibition(_named("JournalTrouble"), _named("JournalSlow"), ("instance", "account"), "it is worse"),
        Inhibition(_named("DiskFull"), _named("DiskLow"), ("instance", "folder"), "it is worse"),
    )


def of_the_engine() -> tuple[str, ...]:
    """The alerts that ask for nothing but what an engine writes."""
    found = []
    for alert in alerts():
        metrics = [metric_of(selector.name) for selector in selectors(alert.expression)]
        if metrics and all(metric is not None and metric.source is Source.ENGINE for metric in metrics):
            found.append(alert.name)
    return tuple(found)


def configuration(
    receivers: Mapping[Severity, Receiver] = RECEIVERS, rhythms: Mapping[Severity, Rhythm] = RHYTHMS
) -> dict[str, Any]:
    """The configuration. Whatever no route knows goes to the pages: an alert that nobody sorted may be the worst."""
    return {
        "global": {"resolve_timeout": duration(60)},
        "route": {
            "receiver": str(Severity.PAGE),
            **_route(Severity.PAGE, rhythms),
            "routes": [
                {
                    "receiver": str(severity),
                    "matchers": [f'severity="{severity}"'],
                    **_route(severity, rhythms),
                }
                for severity in Severity
            ],
        },
        "receivers": [_receiver(severity, receivers[severity]) for severity in Severity],
        "inhibit_rules": [
            {
                "source_matchers": list(inhibition.source),
                "target_matchers": list(inhibition.targets),
                "equal": list(inhibition.equal),
            }
            for inhibition in inhibitions()
        ],
    }


def _named(*names: str) -> tuple[str, ...]:
    return (f'alertname="{names[0]}"' if len(names) == 1 else f'alertname=~"{"|".join(names)}"',)


def _route(severity: Severity, rhythms: Mapping[Severity, Rhythm]) -> dict[str, Any]:
    rhythm = rhythms[severity]
    # What a host and an account have at a time is one message: one cause shows itself in several ways.
    return {
        "group_by": ["instance", "account"],
        "group_wait": duration(rhythm.wait_s),
        "group_interval": duration(rhythm.interval_s),
        "repeat_interval": duration(rhythm.repeat_s),
    }


def _receiver(severity: Severity, receiver: Receiver) -> dict[str, Any]:
    assert bool(receiver.url) != bool(receiver.url_file), "one of both says where it is"
    place = {"url": receiver.url} if receiver.url else {"url_file": receiver.url_file}
    proof = {"authorization": {"credentials_file": receiver.credentials_file}} if receiver.credentials_file else {}
    webhook = {
        **place,
        # A heartbeat that ends says so by its silence.
        "send_resolved": severity is not Severity.HEARTBEAT,
        **({"http_config": proof} if proof else {}),
    }
    return {"name": str(severity), "webhook_configs": [webhook]}
