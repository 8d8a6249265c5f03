"""A run as a line of text: its seed, its span, its settings and its faults.

What a seed draws changes with the simulation: a line stays the run it was. A file of them keeps what broke once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from hlhft.simulation.faults import Fault, FaultError, read_plan
from hlhft.simulation.settings import DEFAULT, STRATEGIES, RunSettings
from hlhft.simulation.time import SECOND

COMMENT = "#"
BETWEEN = "/"  # the numbers of a setting that has one for each market
SEED_MAX, SECONDS_MAX = 1 << 62, 10 * 365 * 86_400


class PastError(ValueError):
    """A run or settings that cannot be read; the message is one sentence."""


class Past(NamedTuple):
    """A run of before. `span_ns` is the virtual time with faults."""

    seed: int
    span_ns: int
    settings: RunSettings
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        faults = ",".join(map(str, self.faults)) or "none"
        return f"{self.seed} {Decimal(self.span_ns) / SECOND:f} {settings_text(self.settings)} {faults}"


def settings_text(settings: RunSettings) -> str:
    """All settings of a run, as `read_settings` takes them: none that is a default is left out, as those may change."""
    return ",".join(f"{name}={_value_text(value)}" for name, value in dataclasses.asdict(settings).items())


def _value_text(value: Any) -> str:
    if isinstance(value, tuple):
        return BETWEEN.join(map(_value_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_settings(text: str) -> RunSettings:
    """Settings as NAME=VALUE with commas between; what is not named has its default, and `default` names nothing.

    Raises PastError.
    """
    if text.strip() == "default":
        return DEFAULT
    values: dict[str, Any] = dataclasses.asdict(DEFAULT)
    for item in text.split(","):
        name, is_given, value = item.strip().partition("=")
        if not is_given or name not in values:
            raise PastError(f"{item!r} is no setting of a run: give NAME=VALUE; names are {', '.join(values)}")
        values[name] = value.split(BETWEEN) if isinstance(getattr(DEFAULT, name), tuple) else value
    try:
        settings = msgspec.convert(values, RunSettings, strict=False)
    except msgspec.ValidationError as error:
        raise PastError(f"settings of a run: {error}") from None
    if settings.strategy not in STRATEGIES:
        raise PastError(f"{settings.strategy!r} is no strategy that is simulated: there are {', '.join(STRATEGIES)}")
    return settings


def read_runs(text: str) -> Iterator[Past]:
    """The runs of a file, one a line as `Past.__str__` writes each; empty lines and those after a `#` say nothing.

    Raises PastError.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith(COMMENT):
            continue
        try:
            seed, seconds, settings, faults = line.split()
            span_ns = int(Decimal(seconds) * SECOND)
            if not (0 <= int(seed) <= SEED_MAX and 0 < span_ns <= SECONDS_MAX * SECOND):
                raise PastError("a seed is not below 0, and a span above 0 s")
            yield Past(int(seed), span_ns, read_settings(settings), read_plan(faults))
        except (PastError, FaultError) as error:
            raise PastError(f"line {number}: {error}") from None
        except (ValueError, ArithmeticError):
            raise PastError(f"line {number} is no run: give SEED SECONDS SETTINGS FAULTS") from None
