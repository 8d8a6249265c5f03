"""The generated pages: docs/reference.md, what the code says of itself, and the tables of docs/configuration.md.

python -m tests.reference      writes both
"""

from __future__ import annotations

from pathlib import Path

from hlhft.backtest import models
from hlhft.config.show import as_markdown
from hlhft.core import orders, quotes, risk
from hlhft.events import FIELDS
from hlhft.strategies import BUILT_IN, load, parameter_table
from hlhft.venue import refusals
from hlhft.venue.recorded_state import FillReason

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, CONFIGURATION = DOCS / "reference.md", DOCS / "configuration.md"
TABLES_BEGIN = "<!-- below: hlhft config show --markdown -->\n\n"


def event_table() -> str:
    """What each kind of event puts into each field."""
    rows = ["| kind | number | field | content |", "| --- | ---: | --- | --- |"]
    for kind, fields in FIELDS.items():
        rows += [f"| {kind.name} | {int(kind)} | `{name}` | {text} |" for name, text in fields.items()]
    return "\n".join(rows)


def fault_table() -> str:
    """Why a strategy's answer is refused as a whole."""
    rows = ["| code | fault | meaning |", "| ---: | --- | --- |"]
    rows += [f"| {int(fault)} | {fault.name} | {meaning} |" for fault, meaning in quotes.MEANING.items() if fault]
    return "\n".join(rows)


def reason_table() -> str:
    """Why a backtest filled an order."""
    rows = ["| code | reason |", "| ---: | --- |"]
    rows += [f"| {int(reason)} | {reason.name} |" for reason in FillReason if reason]
    return "\n".join(rows)


def page() -> str:
    """The whole page."""
    strategies = "\n\n".join(f"### {name}\n\n{parameter_table(load(name))}" for name in BUILT_IN)
    sections = {
        "Models of a backtest": "```text\n" + (models.__doc__ or "").partition("\n\n")[2].rstrip() + "\n```",
        "Strategies": "Parameters of the built-in ones; every number is checked against its range.\n\n" + strategies,
        "Breakers": "What can stop trading, checked before any strategy is asked.\n\n" + risk.breakers_table(),
        "Refusals of the risk gate": risk.refusals_table(),
        "Faults of a strategy's answer": fault_table(),
        "Refusals of the venue": refusals.refusals_table(),
        "Reasons of a fill": reason_table(),
        "The life of an order": "A missing entry is an error, and halts.\n\n" + orders.transitions_table(),
        "The event record": "64 bytes an event. Times, kind, flags and market are common to all.\n\n" + event_table(),
    }
    parts = ["# Reference", "Written by `make docs` from the code; a test holds it current."]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    introduction, _, _ = CONFIGURATION.read_text().partition(TABLES_BEGIN)
    CONFIGURATION.write_text(introduction + TABLES_BEGIN + as_markdown())
