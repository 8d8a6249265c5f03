"""Which parameter sets a sweep runs: a grid, a seeded random sample, or a list from a file; checked before any runs.

A parameter is said as `name=0.05,0.1,0.2` (these values), `name=0.01:1` (anything between, evenly) or
`name=0.01:1:log` (evenly in its logarithm). Ranges need a random sample. Sets that come out twice are run once.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hlhft.core.strategies.common import COUNT
from hlhft.strategies import Strategy, StrategyError

SETS_MAX = 4096
SIGNIFICANT_DIGITS = 6  # a drawn value is run as it is printed


class SweepError(ValueError):
    """Parameter sets, or a way to select among them, that cannot be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What one parameter may be: one of `values`, or, where there are none, anything in `low`..`high`."""

    name: str
    values: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    is_logarithmic: bool = False

    @property
    def is_range(self) -> bool:
        """Whether it is a range rather than a list."""
        return not self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSets:
    """The sets to run, each different, in the order of the table; `repeated` counts what was left out as the same."""

    method: str  # "grid", "random" or "list"
    sets: tuple[Mapping[str, float], ...]
    repeated: int = 0

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the parameters that differ between sets, in the order they were said."""
        names = self.sets[0]
        return tuple(name for name in names if len({values[name] for values in self.sets}) > 1)


def parse_axis(text: str) -> Axis:
    """One `--param`. Raises SweepError for a text that is none of the three forms."""
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not name or not equals:
        raise SweepError(f"parameter {text!r} is none: say name=value, name=value,value or name=low:high")
    parts = [part.strip() for part in rest.split(":" if ":" in rest else ",")]
    if not all(parts):
        raise SweepError(f"parameter {text!r}: a value is missing")
    if ":" not in rest:
        return Axis(name=name, values=tuple(parts))
    if len(parts) > 3 or (len(parts) == 3 and parts[2] != "log"):
        raise SweepError(f"parameter {text!r}: a range is low:high or low:high:log")
    axis = Axis(name=name, low=parts[0], high=parts[1], is_logarithmic=len(parts) == 3)
    low, high = _number(axis, axis.low), _number(axis, axis.high)
    if low >= high:
        raise SweepError(f"parameter {text!r}: the range must begin below its end")
    if axis.is_logarithmic and low <= 0:
        raise SweepError(f"parameter {text!r}: a logarithmic range begins above 0")
    return axis


def _number(axis: Axis, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise SweepError(f"parameter {axis.name}: {text!r} is not a number") from None
    if not math.isfinite(number):
        raise SweepError(f"parameter {axis.name}: {text!r} is not a finite number")
    return number


def choose_sets(
    strategy: Strategy,
    texts: Sequence[str],
    *,
    random: int | None = None,
    listed: Path | None = None,
    seed: int = 1,
    usual: Mapping[str, float] | None = None,
) -> ParameterSets:
    """The sets that the user asked for: a sample of `random` sets, the lines of the CSV file `listed`, else the grid.

    Parameters that are not said are as in `usual`, else the strategy's defaults. Raises SweepError, StrategyError for a
    parameter that the strategy does not have or accept, and OSError for a file that cannot be read.
    """
    axes = [parse_axis(text) for text in texts]
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise SweepError(f"parameter {name} is said more than once: say --param {name}=first,second")
    if random is not None and listed is not None:
        raise SweepError("give either a number of random sets or a file of sets, not both")
    usual = usual or {}
    if random is not None:
        return _distinct("random", strategy, usual, _sample(strategy, axes, random, seed))
    if listed is not None:
        return _distinct("list", strategy, usual, _from_file(strategy, axes, listed))
    return _distinct("grid", strategy, usual, _grid(axes))


def _distinct(
    method: str, strategy: Strategy, usual: Mapping[str, float], asked: Iterable[Mapping[str, str | float]]
) -> ParameterSets:
    """Checks every set and leaves out repetitions, judged by what the strategy would be given."""
    kept: dict[bytes, dict[str, float]] = {}
    count = 0
    for said in asked:
        values = {**usual, **said}
        packed = strategy.params_bytes(values).tobytes()
        kept.setdefault(packed, {name: float(value) for name, value in values.items()})
        count += 1
    return ParameterSets(method=method, sets=tuple(kept.values()), repeated=count - len(kept))


def _grid(axes: Sequence[Axis]) -> Iterable[Mapping[str, str | float]]:
    for axis in axes:
        if axis.is_range:
            raise SweepError(
                f"parameter {axis.name}={axis.low}:{axis.high} is a range: say how many sets to draw with --random, "
                "or list its values"
            )
    total = math.prod(len(axis.values) for axis in axes)
    _refuse_number(total, "the grid")
    return [dict(zip([axis.name for axis in axes], one)) for one in itertools.product(*(axis.values for axis in axes))]


def _refuse_number(count: int, what: str) -> None:
    if count > SETS_MAX:
        raise SweepError(f"{what} has {count} sets, at most {SETS_MAX} are run: give fewer values, or --random")


def _sample(strategy: Strategy, axes: Sequence[Axis], count: int, seed: int) -> Iterable[Mapping[str, str | float]]:
    if count < 1:
        raise SweepError(f"{count} random sets cannot be drawn, give at least 1")
    _refuse_number(count, "the sample")
    if not any(axis.is_range or len(axis.values) > 1 for axis in axes):
        raise SweepError("nothing to draw from: give at least one --param name=low:high or name=value,value")
    for axis in axes:
        # A range that the strategy would refuse at either end is refused before a draw happens to fall there.
        for end in (axis.low, axis.high) if axis.is_range else axis.values:
            strategy.params_bytes({axis.name: end})
    generator = np.random.Generator(np.random.PCG64(seed))
    return [{axis.name: _drawn(strategy, axis, float(generator.random())) for axis in axes} for _ in range(count)]


def _drawn(strategy: Strategy, axis: Axis, uniform: float) -> str | float:
    """The value at `uniform`, 0 <= uniform < 1, of the axis."""
    if not axis.is_range:
        return axis.values[int(uniform * len(axis.values))]
    low, high = float(axis.low), float(axis.high)
    is_count = strategy.parameters[axis.name].unit == COUNT
    top = high + 1 if is_count else high  # each whole number is as likely as another, the end belongs to the range
    value = low * (top / low) ** uniform if axis.is_logarithmic else low + uniform * (top - low)
    return min(max(float(math.floor(value)) if is_count else float(f"{value:.{SIGNIFICANT_DIGITS}g}"), low), high)


def _from_file(strategy: Strategy, axes: Sequence[Axis], path: Path) -> Iterable[Mapping[str, str | float]]:
    """A set a line under a heading of names; `axes` fix further parameters."""
    fixed: dict[str, str] = {}
    for axis in axes:
        if len(axis.values) != 1:
            raise SweepError(f"parameter {axis.name}: with a file of sets, give one value, the same for every set")
        fixed[axis.name] = axis.values[0]
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except UnicodeDecodeError:
        raise SweepError(f"{path}: this is no text, expected CSV with parameter names in its first line") from None
    if not lines or not any(cell.strip() for cell in lines[0]):
        raise SweepError(f"{path}: the first line must name parameters, as in gamma,levels")
    heading = [cell.strip() for cell in lines[0]]
    for name in heading:
        if heading.count(name) > 1 or name in fixed:
            raise SweepError(f"{path}: parameter {name} is given twice")
    rows = [(number, row) for number, row in enumerate(lines[1:], 2) if any(cell.strip() for cell in row)]
    if not rows:
        raise SweepError(f"{path}: there is no set below the heading")
    _refuse_number(len(rows), str(path))
    return [_row_of(strategy, path, number, heading, row, fixed) for number, row in rows]


def _row_of(
    strategy: Strategy, path: Path, number: int, heading: list[str], row: list[str], fixed: Mapping[str, str]
) -> Mapping[str, str | float]:
    if len(row) != len(heading):
        raise SweepError(f"{path}, line {number}: {len(row)} values under {len(heading)} names")
    values = {**dict(zip(heading, (cell.strip() for cell in row))), **fixed}
    try:
        strategy.params_bytes(values)
    except StrategyError as error:
        raise StrategyError(f"{path}, line {number}: {error}") from None
    return values
