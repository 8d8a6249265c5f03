"""What of a changed configuration a running engine may take: a parameter of its strategy, a tighter limit, a log level.

Everything else needs a restart, and is refused by name: a limit that was loosened would be in force without anybody
having looked at what already stands, and what says whose account it is cannot change under resting orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from hlhft.config.settings import Config, Field, fields

_RISK = "risk."
_FREE = ("strategy.params", "strategy.fitted.", "log.")
# The window is no limit by itself: a longer one counts more, and a shorter one forgets sooner.
_UNDIRECTED = frozenset({"risk.rejection_window_ms"})


@dataclass(frozen=True, slots=True)
class Reload:
    """The settings to go on with, the paths that changed, and a sentence for each that did not."""

    config: Config
    applied: tuple[str, ...]
    refused: tuple[str, ...]


def reload_of(running: Config, fresh: Config) -> Reload:
    """`running` with what of `fresh` may change while it runs."""
    applied: list[str] = []
    refused: list[str] = []
    values: dict[str, Any] = msgspec.to_builtins(running)
    for field in fields():
        now, wanted = field.of(running), field.of(fresh)
        if now == wanted:
            continue
        refusal = _refusal(field, now, wanted)
        if refusal:
            refused.append(f"{field.path}: {refusal}")
        else:
            applied.append(field.path)
            _put(values, field.path, msgspec.to_builtins(wanted))
    return Reload(msgspec.convert(values, Config), tuple(applied), tuple(refused))


def _refusal(field: Field, now: Any, wanted: Any) -> str:
    """Why the change waits for a restart; empty when it does not."""
    if field.path.startswith(_FREE):
        return ""
    if not field.path.startswith(_RISK) or field.path in _UNDIRECTED:
        return "changes with a restart only"
    if _is_tighter(field, now, wanted):
        return ""
    return f"{wanted:.15g} would loosen the {now:.15g} in force, which needs a restart"


def _is_tighter(field: Field, now: float, wanted: float) -> bool:
    """Whether a limit of risk becomes narrower: 0 switches it off, a smallest rises, a largest falls."""
    if wanted == 0:
        return False
    if now == 0:
        return True
    return wanted > now if field.path.endswith("_min") else wanted < now


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        values = values[parent]
    values[name] = value
