"""The shipped numbers of the synthetic order flow, one table a coin in markets.toml, fitted by calibration.

Each says what it was fitted to, when and with which seed. They are measured facts about a market, no settings: an
exchange for another coin takes those of a similar one with another price (`like`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import resources

import msgspec

from hlhft.exchange.flow.state import MarketFlow


class Fitted(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One coin's numbers and where they are from."""

    recording: str
    date: str
    seed: int
    note: str = ""  # what was set by hand after the fit, and why
    numbers: MarketFlow


def shipped() -> Mapping[str, MarketFlow]:
    """The shipped numbers by coin."""
    text = resources.files("hlhft.exchange.flow").joinpath("markets.toml").read_text()
    return {coin: entry.numbers for coin, entry in decoded(text).items()}


def decoded(text: str) -> dict[str, Fitted]:
    """The contents of a file of numbers. Raises msgspec.ValidationError for what is no such file."""
    return msgspec.toml.decode(text, type=dict[str, Fitted])


def like(numbers: MarketFlow, *, start_price: float) -> MarketFlow:
    """The same market at another price. Raises ValueError unless the price is positive."""
    if not start_price > 0:
        raise ValueError(f"the price to begin at must be positive, not {start_price}")
    return dataclasses.replace(numbers, start_price=start_price)


def fitted(numbers: MarketFlow, *, recording: str, date: str, seed: int, note: str = "") -> Fitted:
    """An entry of the file. `note` holds no quotation mark."""
    return Fitted(recording=recording, date=date, seed=seed, note=note, numbers=numbers)


def written(text: str, coin: str, entry: Fitted) -> str:
    """The file's text with a coin's entry new or replaced, coins in alphabetical order."""
    entries = decoded(text)
    entries[coin] = entry
    lines = ["# Written by tests/bench/fit_flow.py: the numbers of the synthetic order flow by coin.", ""]
    for name in sorted(entries):
        content = entries[name]
        lines += [f"[{name}]", f'recording = "{content.recording}"', f'date = "{content.date}"']
        lines += [f"seed = {content.seed}", *([f'note = "{content.note}"'] if content.note else [])]
        lines += ["", f"[{name}.numbers]"]
        lines += [f"{key} = {float(value)!r}" for key, value in dataclasses.asdict(content.numbers).items()]
        lines.append("")
    return "\n".join(lines)
