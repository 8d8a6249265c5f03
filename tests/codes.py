"""Every enumeration by which something is refused, found at fault or reported, and where its codes are explained.

`FAMILIES` is the list of docs/metrics.md. A meaning is what the code itself says, or a table of it, or the comment in
its line of the source, or its name where that is all there is to say.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import tokenize
from collections.abc import Mapping
from enum import Enum, StrEnum
from io import StringIO
from typing import NamedTuple


class Family(NamedTuple):
    """One enumeration: its full name, what its codes say, and its section of docs/reference.md, nothing: ours.

    `meanings` is the full name of a table of meanings that the code has.
    """

    name: str
    title: str
    section: str = ""
    meanings: str = ""


# In the order in which somebody meets them: a quote, its order, its action, the venue, the session, the rest.
FAMILIES: tuple[Family, ...] = (
    Family("core.quotes.QuoteFault", "A strategy's answer is refused", "Faults of a strategy's answer"),
    Family("core.risk.RiskRefusal", "A quote is refused by the risk gate", "Refusals of the risk gate"),
    Family("core.risk.Breaker", "A breaker keeps the engine from quoting", "Breakers"),
    Family("hyperliquid.gateway_events.GatewayRefusal", "A command does not leave", "The life of a signed action"),
    Family("hyperliquid.nonces.NonceRefusal", "No nonce is given out"),
    Family("hyperliquid.packing.EncodeFault", "Commands cannot be made an action"),
    Family("hyperliquid.wire.WireFault", "A value is not what the wire carries"),
    Family("hyperliquid.signing.SigningFault", "Something cannot be hashed, signed or recovered"),
    Family("venue.refusals.Refusal", "The venue refuses or cancels an order", "Refusals of the venue"),
    Family("hyperliquid.gateway_verdict.Verdict", "The venue refuses a whole action"),
    Family("hyperliquid.gateway_events.ReportCode", "What the gateway reports", "The life of a signed action"),
    Family("hyperliquid.fates_records.Reason", "An order is to be asked about"),
    Family("hyperliquid.fates_records.FateCode", "What is reported of an order", "The fate of an order at the venue"),
    Family("hyperliquid.reading.Fault", "A frame of the venue says nothing", "Faults of a frame"),
    Family("hyperliquid.freshness.Cause", "A market's data are stale"),
    Family("live.node_health.Health", "How the books of a node are"),
    Family("data.node.book.Fault", "A node's book is not right any more", meanings="data.node.joining.SAYINGS"),
    Family("hyperliquid.connection_events.ReportCode", "What a connection reports", "The life of a connection"),
    Family("hyperliquid.connection_events.ReconcileReason", "A connection wants the account read"),
    Family("hyperliquid.reconcile_events.Reason", "The account is read"),
    Family("hyperliquid.reconcile_events.Code", "The account disagrees", "The reconciliation of an account"),
    Family("hyperliquid.reconcile_events.ReportCode", "What a comparison reports", "The reconciliation of an account"),
    Family("hyperliquid.supervisor_events.HaltCause", "The engine is halted", "The life of an engine"),
    Family("hyperliquid.supervisor_events.Verdict", "What an engine leaves at its end"),
    Family("hyperliquid.watchdog_beats.BeatFault", "A beat is not believed"),
    Family("hyperliquid.watchdog_events.ReportCode", "What a watchdog reports"),
    Family("alpha.wire.Reason", "A model abstains", "What an alpha process knows of a market"),
    Family("alpha.wire.Fault", "Bytes are no message of an alpha process"),
    Family("live.control.ControlFault", "A command of an operator gets no answer"),
    Family("data.validate.Code", "What is found in a recording"),
)

# Enumerations of these names that no operator meets by code. Each says where its words are seen instead.
ELSEWHERE: dict[str, str] = {
    "cli.errors.ExitCode": "the README has them, with what to do in docs/operating.md",
    "core.budgets.BudgetCode": "the gate says BUDGET, the metrics which one",
    "hyperliquid.fates_words.Code": "the venue's refusals once more, held equal to them by a test",
    "hyperliquid.fates_fills.Verdict": "whether a fill counts: not a refusal",
    "hyperliquid.subscriptions.Verdict": "within the connection, which reports",
    "hyperliquid.supervisor_events.ReportCode": "the stages, which the life of an engine has",
    "live.journal.records.EndReason": "how a file of the journal ends: docs/journal.md",
    "venue.recorded_state.FillReason": "why a backtest fills an order: docs/reference.md",
    "alpha.evaluation.result.Code": "a verdict in a sentence: docs/evaluation.md",
    "backtest.selection.Verdict": "a verdict in a sentence: docs/sweeps.md",
    "report.scan_results.Verdict": "a verdict in a sentence: docs/scan.md",
    "deploy.confirming.Verdict": "what follows of an answer of the host: not a refusal",
}


def enumeration(name: str) -> type[Enum]:
    """The enumeration of this name. Raises ImportError and AttributeError for one that is not there."""
    found = _named(name)
    assert isinstance(found, type)
    assert issubclass(found, Enum)
    return found


def meanings(family: Family) -> dict[str, str]:
    """What each code says, by its name; what stands for none is left out."""
    kind = enumeration(family.name)
    table = _named(family.meanings) if family.meanings else {}
    assert isinstance(table, Mapping)
    beside = comments(kind)
    said = {}
    for code in kind:
        if code.name != "NONE":
            name = code.name.replace("_", " ").lower()
            itself = str(code.value) if isinstance(code, StrEnum) else name
            says_more = itself.lower() != name and itself != code.name
            said[code.name] = str(table[code]) if table else itself if says_more else beside.get(code.name, name)
    return said


def _named(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"hlhft.{module}"), attribute)


def comments(kind: type[Enum]) -> dict[str, str]:
    """The comment in the line of each code that has one."""
    source = inspect.getsource(kind)
    lines = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    return {
        node.targets[0].id: lines[node.lineno]
        for node in body.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.lineno in lines
    }


def anchor(heading: str) -> str:
    """A heading's anchor, as Markdown on the web has it."""
    return "".join(letter for letter in heading.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")
