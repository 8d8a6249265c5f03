"""The configuration of the Prometheus that watches hlhft: scrapes and rules each second, alerts to an Alertmanager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hlhft.config import ports
from hlhft.config.settings import Config
from hlhft.monitor.alerts import JOB, RULES_FILE, duration

CONFIGURATION_FILE = "prometheus.json"
INTERVAL_S = 1
HOST = "hlhft"  # what this Prometheus calls itself to others
ALERTMANAGERS = (f"127.0.0.1:{ports.ALERTMANAGER}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How the exporter is known, and how Prometheus shows itself; files by their absolute paths, "" for none."""

    authority_file: str  # that signed the exporter's certificate
    server_name: str = ""  # that the certificate is for, where it is not the target's own
    certificate_file: str = ""  # of Prometheus, where the exporter wants one
    key_file: str = ""


def configuration(
    targets: Sequence[str],
    *,
    host: str = HOST,
    rules: str = RULES_FILE,
    alertmanagers: Sequence[str] = ALERTMANAGERS,
    trust: Trust | None = None,
) -> dict[str, Any]:
    """The configuration. `targets` and `alertmanagers` are host:port; none of the latter: alerts are only shown.

    `rules` is the file of the rules, from where the configuration lies. With `trust`, exporters are asked over TLS.
    """
    scrape: dict[str, Any] = {
        "job_name": JOB,
        "scheme": "http" if trust is None else "https",
        "static_configs": [{"targets": list(targets)}],
    }
    if trust is not None:
        files = {
            "ca_file": trust.authority_file,
            "server_name": trust.server_name,
            "cert_file": trust.certificate_file,
            "key_file": trust.key_file,
        }
        scrape["tls_config"] = {key: value for key, value in files.items() if value}
    interval = duration(INTERVAL_S)
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
            "external_labels": {"host": host},
        },
        "rule_files": [rules],
        "scrape_configs": [scrape],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}] if alertmanagers else []
        },
    }


def target_of(config: Config) -> str:
    """Where the exporter of these settings answers, as Prometheus names it."""
    address = config.metrics.address
    return f"[{address}]:{config.metrics.port}" if ":" in address else f"{address}:{config.metrics.port}"
