"""The generated pages: docs/reference.md, what the code says of itself, docs/metrics.md, the tables of
docs/configuration.md, and the dashboards, alerts and schema of settings that are kept for a server.

python -m tests.reference      writes them all
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

from hlhft.alpha.schema import MEANING, FeatureSchema, base_of
from hlhft.alpha.serving import table as alpha_table
from hlhft.backtest import models
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.config.show import as_markdown
from hlhft.core import orders, quotes, risk
from hlhft.events import FIELDS
from hlhft.exchange.limits import limits_table
from hlhft.hyperliquid import (
    connection_events,
    connection_table,
    fates_records,
    fates_table,
    gateway_events,
    gateway_mode,
    gateway_table,
    nonces,
    reading,
    reconcile_events,
    reconcile_table,
    subscriptions,
    supervisor_events,
    supervisor_table,
    watchdog_table,
)
from hlhft.simulation.faults import faults_table
from hlhft.simulation.judge import promises_table
from hlhft.simulation.scenarios import scenarios_table
from hlhft.simulation.tally import Entry, joined, read, tally_table
from hlhft.strategies import BUILT_IN, load, parameter_table
from hlhft.venue import refusals
from hlhft.venue.chain import LEG_FIELDS
from hlhft.venue.recorded_state import FillReason
from tests import metrics_page
from tests.bench.figures import Figure, shown
from tests.nix_schema import NIX_SCHEMA, nix_schema

DOCS = Path(__file__).resolve().parents[1] / "docs"
SIMULATION = DOCS / "simulation.md"
SIMULATED = DOCS / "simulated.jsonl"
LAST_REVISION = "ce8608dd1837"  # what docs/simulation.md counts the hours of
PAGE, CONFIGURATION, METRICS = DOCS / "reference.md", DOCS / "configuration.md", DOCS / "metrics.md"
README, BENCHMARKS = DOCS.parent / "README.md", DOCS / "benchmarks.json"
GENERATED = {
    "alerts": DOCS.parent / "nixos" / "files" / "prometheus",
    "dashboards": DOCS.parent / "nixos" / "files" / "grafana",
}
FIGURES_BEGIN, FIGURES_END = "<!-- figures: written by make docs -->\n", "<!-- end of figures -->\n"
TABLES_BEGIN = "<!-- below: hlhft config show --markdown -->\n\n"


def event_table() -> str:
    """What each kind of event puts into each field."""
    rows = ["| kind | number | field | content |", "| --- | ---: | --- | --- |"]
    for kind, fields in FIELDS.items():
        rows += [f"| {kind.name} | {int(kind)} | `{name}` | {text} |" for name, text in fields.items()]
    return "\n".join(rows)


def leg_table() -> str:
    """What each kind of leg says; a leg that says nothing more than whose it is has one row."""
    rows = ["| kind | number | field | content |", "| --- | ---: | --- | --- |"]
    for kind, fields in LEG_FIELDS.items():
        said = fields or {"account": "whose it is"}
        rows += [f"| {kind.name} | {int(kind)} | `{name}` | {text} |" for name, text in said.items()]
    return "\n".join(rows)


def fault_table() -> str:
    """Why a strategy's answer is refused as a whole."""
    rows = ["| code | fault | meaning |", "| ---: | --- | --- |"]
    rows += [f"| {int(fault)} | {fault.name} | {meaning} |" for fault, meaning in quotes.MEANING.items() if fault]
    return "\n".join(rows)


def frame_fault_table() -> str:
    """Why a frame of the venue, or an item of one, says nothing."""
    rows = ["| code | fault | meaning |", "| ---: | --- | --- |"]
    rows += [f"| {int(fault)} | {fault.name} | {meaning} |" for fault, meaning in reading.MEANING.items() if fault]
    return "\n".join(rows)


def reason_table() -> str:
    """Why a backtest filled an order."""
    rows = ["| code | reason |", "| ---: | --- |"]
    rows += [f"| {int(reason)} | {reason.name} |" for reason in FillReason if reason]
    return "\n".join(rows)


def figures_table() -> str:
    """The figures of docs/benchmarks.json that have to reach something; equality has a sentence of its own."""
    content = json.loads(BENCHMARKS.read_text())
    figures = [Figure(**entry) for entry in content["figures"]]
    decided = [figure for figure in figures if figure.section == "same decisions"]
    assert decided and all(figure.is_met for figure in decided)
    facts, worst = content["machine"], max(figure.value for figure in decided)
    sentence = (
        f"{facts['processor']}, {facts['cpus']} cores, Python {facts['python']}, {facts['date']}; medians. The rival "
        "runs on the same events in the same run, in turn with ours, and decides the same: price, position, balance, "
        f"fee and trade count are equal at every record within {worst:.0e}."
    )
    lines = [*textwrap.wrap(sentence, 118), "", "| what | measured | to reach |", "| --- | ---: | --- |"]
    for figure in figures:
        if figure.promise and figure not in decided:
            promise = figure.promise if figure.is_met else f"{figure.promise}, **not reached**"
            lines.append(f"| {figure.section}: {figure.name} | {shown(figure)} {figure.unit} | {promise} |")
    return "\n".join(lines) + "\n"


def readme_with_figures(text: str) -> str:
    """The README with the present figures between its two marks."""
    before, _, rest = text.partition(FIGURES_BEGIN)
    _, _, after = rest.partition(FIGURES_END)
    return before + FIGURES_BEGIN + figures_table() + FIGURES_END + after


def simulated_hours(entries: Iterable[Entry], revision: str) -> str:
    """What a revision came to, as a sentence; it is named by the beginning of its hash. Raises ValueError if it never
    ran."""
    parts = joined(entry for entry in entries if entry.revision.split()[-1].startswith(revision))
    hours, until = sum(part.hours for part in parts), max(part.at for part in parts)
    actions, faults = sum(part.actions for part in parts), sum(sum(part.faults.values()) for part in parts)
    broken = [f"seed {seed}" for part in parts for seed in part.violations]
    return textwrap.fill(
        f"Revision {revision} ran for {hours:,.1f} virtual hours, until {until}, with {actions:,} actions and "
        f"{faults:,} faults; promises broken: {', '.join(broken) or 'none'}.",
        width=120,
        break_on_hyphens=False,
    )


def simulation_with_tables(text: str) -> str:
    """docs/simulation.md with its present tables, and what the tally comes to, between their marks."""
    simulated = read(SIMULATED)
    for name, table in (
        ("promises", promises_table()), ("faults", faults_table()), ("scenarios", scenarios_table()),
        ("tally", tally_table(simulated)), ("hours", simulated_hours(simulated, LAST_REVISION)),
    ):  # fmt: skip
        begin, end = f"<!-- {name}: written by make docs -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        text = before + begin + table + "\n" + end + rest.partition(end)[2]
    return text


def features_table() -> str:
    """What each column of a row of model features holds, several columns of one meaning in one row."""
    schema = FeatureSchema()
    columns: dict[str, list[str]] = {}
    for name in schema.names:
        columns.setdefault(base_of(name), []).append(name)
    rows = ["| columns | how many | unit | content |", "| --- | ---: | --- | --- |"]
    for base, names in columns.items():
        shown_names = f"`{names[0]}`" if len(names) == 1 else f"`{names[0]}` … `{names[-1]}`"
        unit, meaning = MEANING[base]
        rows.append(f"| {shown_names} | {len(names)} | {unit} | {meaning} |")
    return "\n".join(rows)


def serving_tables() -> str:
    """The states of a market in an alpha process, and why its model abstains."""
    return (
        "A missing entry is an error.\n\n"
        + alpha_table.transitions_table()
        + "\n\nWhy its model abstains:\n\n"
        + alpha_table.reasons_table()
    )


def page() -> str:
    """The whole page."""
    strategies = "\n\n".join(f"### {name}\n\n{parameter_table(load(name))}" for name in BUILT_IN)
    sections = {
        "Models of a backtest": "```text\n" + (models.__doc__ or "").partition("\n\n")[2].rstrip() + "\n```",
        "Strategies": "Parameters of the built-in ones; every number is checked against its range.\n\n" + strategies,
        "Breakers": "What can stop trading, checked before any strategy is asked.\n\n" + risk.breakers_table(),
        "Refusals of the risk gate": risk.refusals_table(),
        "Faults of a strategy's answer": fault_table(),
        "Faults of a frame": "Counted; a frame never raises.\n\n" + frame_fault_table(),
        "Refusals of the venue": refusals.refusals_table(),
        "Limits of the embedded exchange": "As the venue's; what is unverified is a number here.\n\n"
        + limits_table().rstrip(),
        "Reasons of a fill": reason_table(),
        "The life of an order": "A missing entry is an error, and halts.\n\n" + orders.transitions_table(),
        "The life of a connection": (
            "A missing entry is an error.\n\n"
            + connection_table.transitions_table().rstrip()
            + "\n\nWhat it reports:\n\n"
            + connection_events.reports_table()
        ),
        "The life of a subscription": subscriptions.subscriptions_table(),
        "The reconciliation of an account": (
            "A missing entry is an error.\n\n"
            + reconcile_table.reconcile_table()
            + "\n\nWhy it disagrees, which halts trading:\n\n"
            + reconcile_events.codes_table()
            + "\n\nWhat it reports:\n\n"
            + reconcile_events.reports_table()
        ),
        "The fate of an order at the venue": (
            "What is known of each placement, by evidence alone; in brackets what the core is told.\n\n"
            + fates_table.transitions_table()
            + "\n\nWhat is reported:\n\n"
            + fates_records.reports_table()
        ),
        "The life of a signed action": (
            "A missing entry is an error.\n\n"
            + gateway_table.transitions_table()
            + "\n\nWhether the venue works:\n\n"
            + gateway_mode.transitions_table()
            + "\n\nWhy a command does not leave:\n\n"
            + gateway_events.refusals_table()
            + "\n\nWhat the gateway reports:\n\n"
            + gateway_events.reports_table()
        ),
        "The life of a signer's nonces": nonces.transitions_table(),
        "The life of an engine": (
            "A missing entry is an error.\n\n"
            + supervisor_table.transitions_table()
            + "\n\nWhy it is halted, until an operator resumes:\n\n"
            + supervisor_events.causes_table()
        ),
        "What an alpha process knows of a market": serving_tables(),
        "The life of a watchdog": "A missing entry is an error.\n\n" + watchdog_table.transitions_table(),
        "The legs of an action": (
            "What the venue kernel executes. Action, arrival, expiry, kind and account are common to all.\n\n"
            + leg_table()
        ),
        "Model features": (
            "A row at the default depth and half-lives; settings and constants are in the schema's hash.\n\n"
            + features_table()
        ),
        "The event record": "64 bytes an event. Times, kind, flags and market are common to all.\n\n" + event_table(),
    }
    parts = ["# Reference", "Written by `make docs` from the code; a test holds it current."]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    METRICS.write_text(metrics_page.page())
    NIX_SCHEMA.write_text(nix_schema())
    introduction, _, _ = CONFIGURATION.read_text().partition(TABLES_BEGIN)
    CONFIGURATION.write_text(introduction + TABLES_BEGIN + as_markdown())
    README.write_text(readme_with_figures(README.read_text()))
    SIMULATION.write_text(simulation_with_tables(SIMULATION.read_text()))
    for command, folder in GENERATED.items():
        assert invoke([command, "--output", str(folder)]) == ExitCode.OK, f"hlhft {command} failed, as it says above"
