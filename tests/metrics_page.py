"""docs/metrics.md: all metrics, alerts and codes, as the code has them."""

from __future__ import annotations

import re

from hlhft.monitor.alerts import RUNBOOK, Alert, alerts, duration
from hlhft.monitor.metrics import METRICS, PROCESS_LABELS, Kind, Metric, Source
from hlhft.monitor.selectors import TARGET_LABELS
from tests.codes import FAMILIES, Family, anchor, enumeration, meanings

# By the end of a name, `_total` left out.
UNITS = {
    "seconds": "s",
    "bytes": "bytes",
    "usdc": "USDC",
    "ratio": "1 for the whole",
    "percent": "%",
    "bp": "bp",
    "price": "USDC",
    "size": "coins",
}
LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")  # what Prometheus puts into an alert's words
HEADINGS: dict[Source, str] = {
    Source.ENGINE: "The engine",
    Source.WATCHDOG: "A watchdog",
    Source.ALPHA: "The alpha process",
    Source.RECORDER: "The recorder",
    Source.EXPORTER: "The exporter: processes and the host",
}


def unit_of(metric: Metric) -> str:
    """What a metric is counted in, by its name."""
    return UNITS.get(metric.name.removesuffix("_total").rpartition("_")[2], "")


def metrics_table(source: Source) -> str:
    """What one process knows."""
    rows = ["| metric | kind | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
    for metric in METRICS:
        if metric.source is source:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            rows.append(f"| `{metric.name}` | {metric.kind.value} | {unit_of(metric)} | {labels} | {metric.help} |")
    return "\n".join(rows)


def alerts_table() -> str:
    """Every alert at the settings' defaults, with its section of the runbook."""
    rows = ["| alert | severity | after | what it says | expression |", "| --- | --- | --- | --- | --- |"]
    rows += [_alert_row(alert) for alert in alerts()]
    return "\n".join(rows)


def _alert_row(alert: Alert) -> str:
    page = RUNBOOK.rpartition("/")[2]
    after = duration(alert.hold_s) if alert.hold_s else "at once"
    expression = " ".join(alert.expression.split()).replace("|", "\\|")
    summary = LABEL.sub(r"*\1*", alert.summary)
    name = f"[{alert.name}]({page}#{alert.anchor})"
    return f"| {name} | {alert.severity.value} | {after} | {summary} | `{expression}` |"


def families_table() -> str:
    """Which codes there are, and where each is explained."""
    rows = ["| what happens | codes | explained in |", "| --- | ---: | --- |"]
    for family in FAMILIES:
        place = (
            f"[reference: {family.section}](reference.md#{anchor(family.section)})"
            if family.section
            else f"[below](#{anchor(family.title)})"
        )
        rows.append(f"| {family.title} | {len(meanings(family))} | {place} |")
    return "\n".join(rows)


def codes_table(family: Family) -> str:
    """The codes that no other page has."""
    kind = enumeration(family.name)
    numbers = {code.name: code.value for code in kind}
    are_numbers = all(isinstance(value, int) for value in numbers.values())
    rows = (
        ["| code | name | meaning |", "| ---: | --- | --- |"]
        if are_numbers
        else ["| name | meaning |", "| --- | --- |"]
    )
    for name, meaning in meanings(family).items():
        rows.append(f"| {numbers[name]} | {name} | {meaning} |" if are_numbers else f"| {name} | {meaning} |")
    return "\n".join(rows)


def page() -> str:
    """The whole page."""
    added = ", ".join(f"`{label}`" for label in TARGET_LABELS)
    of_account = " and ".join(source.value for source in Source if "account" in PROCESS_LABELS[source])
    introduction = (
        f"Prometheus adds {added} to every series, and the series of {of_account} have the label `account`. A "
        f"{Kind.HISTOGRAM.value} is shown in seconds, as `_bucket`, `_sum` and `_count`."
    )
    codes = (
        "Whatever refuses, stops or reports has a name for its reason, and this is the list of all of them. Exit codes "
        "are in the [README](../README.md#how-it-ends)."
    )
    parts = [
        "# Metrics, alerts and codes",
        "Written by `make docs` from the code; a test holds it current.",
        "## Metrics",
        introduction,
    ]
    for source, heading in HEADINGS.items():
        parts += [f"### {heading}", metrics_table(source)]
    parts += [
        "## Alerts",
        "At the defaults of the settings; each limit moves with its setting. The runbook says what to do.",
        alerts_table(),
        "## Codes",
        codes,
        families_table(),
    ]
    for family in FAMILIES:
        if not family.section:
            parts += [f"### {family.title}", codes_table(family)]
    return "\n\n".join(parts) + "\n"
