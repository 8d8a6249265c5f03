"""What a dashboard is made of, in words of our own, and where on its grid everything stands.

Nothing here knows Grafana's file: `hlhft.monitor.dashboards` writes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

COLUMNS = 24  # of Grafana's grid
HEADER_HEIGHT = 1  # of a row's title


class View(StrEnum):
    """How a panel shows its queries."""

    STAT = "stat"
    GAUGE = "gauge"
    BARS = "bargauge"
    GRAPH = "timeseries"
    HEATMAP = "heatmap"
    STATES = "state-timeline"
    TABLE = "table"


class Colour(StrEnum):
    """What a colour says: all is well, look here, act now, neither good nor bad."""

    GOOD = "green"
    WARNING = "orange"
    BAD = "red"
    PLAIN = "blue"
    NONE = "text"


class Unit(StrEnum):
    """Units by Grafana's names."""

    NONE = "none"
    COUNT = "short"
    PER_SECOND = "cps"
    SECONDS = "s"
    SINCE = "dateTimeFromNow"  # of milliseconds since 1970
    BYTES = "bytes"
    BYTES_PER_SECOND = "binBps"
    USDC = "currencyUSD"
    SHARE = "percentunit"  # 1 for the whole
    PERCENT = "percent"  # 100 for the whole
    BASIS_POINTS = "suffix:bp"


class Query(NamedTuple):
    """A PromQL expression, and what its series are called: text with {{label}}."""

    expression: str
    legend: str


class Step(NamedTuple):
    """From `value` on, the colour holds; None: from the beginning."""

    value: float | None
    colour: Colour


class Word(NamedTuple):
    """What a value is shown as."""

    value: int
    text: str
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. `description` says what it shows and when to worry; `width` and `height` are units of the grid.

    `steps` colour values and draw lines into a graph; `words` replace values; `by_name` colours a series by its name;
    `columns` and `rows` are the labels that a table of one query is turned by, nothing: it is shown as it comes.
    """

    title: str
    description: str
    view: View
    queries: tuple[Query, ...]
    unit: Unit = Unit.NONE
    width: int = 8
    height: int = 8
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None
    steps: tuple[Step, ...] = ()
    words: tuple[Word, ...] = ()
    by_name: tuple[tuple[str, Colour], ...] = ()
    no_value: str = ""
    is_named: bool = False  # a stat: shows the series' names in place of their values
    is_instant: bool = False  # asks for the newest value only
    is_stacked: bool = False
    columns: str = ""
    rows: str = ""

    def __post_init__(self) -> None:
        assert self.queries, f"{self.title}: nothing is asked"
        assert 0 < self.width <= COLUMNS, f"{self.title}: {self.width} columns"
        assert self.height > 0, f"{self.title}: {self.height} high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one title. A row that is not open asks nothing until somebody opens it.

    `repeat` names the variable that it is repeated for, nothing: it stands once.
    """

    title: str
    panels: tuple[Panel, ...]
    is_open: bool = False
    repeat: str = ""


class Annotation(NamedTuple):
    """What is drawn over all graphs while its expression is not 0."""

    name: str
    expression: str
    colour: Colour


class Variable(NamedTuple):
    """What somebody chooses on top of the dashboard: one value of a label, or some of many where `is_many`."""

    name: str
    title: str
    selector: str
    label: str
    is_many: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...]


class Place(NamedTuple):
    """Where something stands on the grid: columns from the left, units from the top, and its size."""

    x: int
    y: int
    width: int
    height: int


def placed(panels: Sequence[Panel], y: int) -> list[Place]:
    """Places from left to right, beginning at `y`; what does not fit beside the last begins a new line below it."""
    places: list[Place] = []
    x = line_height = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, line_height = 0, y + line_height, 0
        places.append(Place(x, y, panel.width, panel.height))
        x += panel.width
        line_height = max(line_height, panel.height)
    return places


def below(places: Sequence[Place], y: int) -> int:
    """The first free unit below all `places`, `y` where there are none."""
    return max((place.y + place.height for place in places), default=y)
