"""Where the archives keep what: buckets, keys, and which layout has a day's fills (venue reference section 11)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

HOUR_NS = 3_600_000_000_000
HOURS = 24


class Bucket(NamedTuple):
    """A bucket whose reader pays, and the region it lies in."""

    name: str
    region: str


ARCHIVE = Bucket("hyperliquid-archive", "us-east-1")
NODE = Bucket("hl-mainnet-node-data", "ap-northeast-1")
BUCKETS = (ARCHIVE, NODE)

FIRST_DATE = date(2023, 4, 15)  # the archive's first books
FIRST_FILLS_DATE = date(2025, 3, 1)  # before it there are books only


class What(StrEnum):
    """What an object holds."""

    BOOKS = "books"
    FILLS = "fills"
    CONTEXTS = "contexts"


class Layout(StrEnum):
    """How an object of fills is written: the value is the folder it lies in."""

    BY_BLOCK = "node_fills_by_block"
    FILLS = "node_fills"
    TRADES = "node_trades"


# First and last date of each layout, the better one first where they overlap. The reference gives months for the older
# two; a day at an edge that has both is taken from the better, hour by hour.
LAYOUT_DATES: dict[Layout, tuple[date, date]] = {
    Layout.BY_BLOCK: (date(2025, 7, 27), date.max),
    Layout.FILLS: (date(2025, 5, 1), date(2025, 7, 31)),
    Layout.TRADES: (FIRST_FILLS_DATE, date(2025, 5, 31)),
}


class Listed(NamedTuple):
    """An object as a listing shows it; `etag` without its quotation marks."""

    bucket: Bucket
    key: str
    size_bytes: int
    etag: str

    @property
    def url(self) -> str:
        """As people write it."""
        return f"s3://{self.bucket.name}/{self.key}"

    @property
    def origin(self) -> str:
        """What a manifest says of it: equal means the same content."""
        return f"{self.url} {self.etag}"


@dataclass(frozen=True, slots=True)
class Place:
    """What a key says of its object."""

    what: What
    day: date
    hour: int | None = None  # None: the whole day
    coin: str | None = None  # None: all coins
    layout: Layout | None = None  # of fills

    @property
    def stretch_ns(self) -> tuple[int, int]:
        """The hour or day that it is of, by the clock of who wrote it: [from, to), ns since the epoch."""
        if self.hour is None:
            return midnight_ns(self.day), midnight_ns(self.day) + HOURS * HOUR_NS
        return midnight_ns(self.day) + self.hour * HOUR_NS, midnight_ns(self.day) + (self.hour + 1) * HOUR_NS


_PLACES = (
    (What.BOOKS, re.compile(r"market_data/(?P<day>\d{8})/(?P<hour>\d{1,2})/l2Book/(?P<coin>[^/]+)\.lz4\Z", re.ASCII)),
    (What.CONTEXTS, re.compile(r"asset_ctxs/(?P<day>\d{8})\.csv\.lz4\Z", re.ASCII)),
    (
        What.FILLS,
        re.compile(
            rf"(?P<layout>{'|'.join(Layout)})/hourly/(?P<day>\d{{8}})/(?P<hour>\d{{1,2}})\.lz4\Z", re.ASCII
        ),
    ),
)  # fmt: skip


def midnight_ns(day: date) -> int:
    """When a UTC day begins, ns since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000


def days(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both inclusive."""
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]


def layouts_on(day: date) -> list[Layout]:
    """The layouts that may hold fills of that day, in the order in which they are preferred; none before March 2025."""
    return [layout for layout, (first, last) in LAYOUT_DATES.items() if first <= day <= last]


def books_folder(day: date) -> str:
    """What the keys of a day's books begin with."""
    return f"market_data/{day:%Y%m%d}/"


def books_key(day: date, hour: int, coin: str) -> str:
    """The key of a coin's books of an hour, which has no leading zero."""
    return f"{books_folder(day)}{hour}/l2Book/{coin}.lz4"


def fills_folder(day: date, layout: Layout) -> str:
    """What the keys of a day's fills in a layout begin with."""
    return f"{layout}/hourly/{day:%Y%m%d}/"


def fills_key(day: date, hour: int, layout: Layout) -> str:
    """The key of all coins' fills of an hour."""
    return f"{fills_folder(day, layout)}{hour}.lz4"


def contexts_key(day: date) -> str:
    """The key of all coins' contexts of a day."""
    return f"asset_ctxs/{day:%Y%m%d}.csv.lz4"


def place_of(key: str) -> Place | None:
    """What a key of the archives says; None for one of another form, which is nobody's here."""
    for what, form in _PLACES:
        found = form.match(key)
        if found is None:
            continue
        said = found.groupdict()
        try:
            day = datetime.strptime(said["day"], "%Y%m%d").replace(tzinfo=UTC).date()
        except ValueError:
            return None
        hour = int(said["hour"]) if "hour" in said else None
        if hour is not None and hour >= HOURS:
            return None
        layout = Layout(said["layout"]) if "layout" in said else None
        return Place(what, day, hour, said.get("coin"), layout)
    return None
