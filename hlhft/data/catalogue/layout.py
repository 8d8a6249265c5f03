"""Where a part of the catalogue is and what it is called: ROOT/kind=KIND/coin=COIN/date=DATE/NAME.parquet.

The manifest of a part is `_NAME.json` beside it and what is being written begins with a dot: DuckDB, polars and pyarrow
pass over both. Coins are percent-encoded in names of folders, for some of the venue's hold slashes and colons.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeVar
from urllib.parse import quote, unquote

from hlhft.data.addresses import Place
from hlhft.data.errors import DataError
from hlhft.events import EventKind

BOOK, BBO, TRADE, CONTEXT, FILL = "book", "bbo", "trade", "context", "fill"
KINDS = (BOOK, BBO, TRADE, CONTEXT, FILL)
# Which events each kind of part holds; fills are none (hlhft.data.readers.node_fills.FILLS_SCHEMA).
EVENT_KINDS: dict[str, tuple[EventKind, ...]] = {
    BOOK: (EventKind.DEPTH_LEVEL, EventKind.DEPTH_CLEAR, EventKind.SNAPSHOT_BEGIN, EventKind.SNAPSHOT_END),
    BBO: (EventKind.BBO,),
    TRADE: (EventKind.TRADE,),
    CONTEXT: (EventKind.ASSET_CONTEXT,),
    FILL: (),
}
NAME_LENGTH_MAX = 64
COIN_LENGTH_MAX = 64
DAY_NS = 86_400_000_000_000
WRITING_SUFFIX = ".writing"
_NAME = re.compile(r"[A-Za-z0-9-]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

APlace = TypeVar("APlace", bound=Place)


class PartKey(NamedTuple):
    """What names one part; `date` is YYYY-MM-DD, the UTC date of the source's own hour."""

    kind: str
    coin: str
    date: str
    name: str


def checked(key: PartKey) -> PartKey:
    """The key itself. Raises ValueError when it names no part: a caller's mistake."""
    if key.kind not in KINDS:
        raise ValueError(f"kind {key.kind} is none of {', '.join(KINDS)}")
    if not 0 < len(key.coin) <= COIN_LENGTH_MAX or not key.coin.isprintable():
        raise ValueError(f"coin {key.coin!r} is no name of 1 to {COIN_LENGTH_MAX} printable letters")
    if not _NAME.fullmatch(key.name) or len(key.name) > NAME_LENGTH_MAX:
        raise ValueError(f"name {key.name!r} is not 1 to {NAME_LENGTH_MAX} letters, digits and hyphens")
    if not is_date(key.date):
        raise ValueError(f"date {key.date!r} is no date, expected YYYY-MM-DD")
    return key


def is_date(text: str) -> bool:
    """Whether `text` is a day as YYYY-MM-DD."""
    if not _DATE.fullmatch(text):
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def day_ns(date: str) -> int:
    """The first nanosecond of a date, since the Unix epoch, UTC."""
    return (dt.date.fromisoformat(date) - dt.date(1970, 1, 1)).days * DAY_NS


def date_of(time_ns: int) -> str:
    """The UTC date of a time, as YYYY-MM-DD."""
    return (dt.date(1970, 1, 1) + dt.timedelta(days=time_ns // DAY_NS)).isoformat()


def coin_folder(root: APlace, kind: str, coin: str) -> APlace:
    """Where all dates of one coin and kind are."""
    return root / f"kind={kind}" / f"coin={quote(coin, safe='')}"


def folder_of(root: APlace, key: PartKey) -> APlace:
    """Where the part and its manifest are. Raises ValueError for a key that names no part."""
    checked(key)
    return coin_folder(root, key.kind, key.coin) / f"date={key.date}"


def part_path(root: APlace, key: PartKey) -> APlace:
    """The part's Parquet file. Raises ValueError for a key that names no part."""
    return folder_of(root, key) / f"{key.name}.parquet"


def manifest_path(root: APlace, key: PartKey) -> APlace:
    """The part's manifest. Raises ValueError for a key that names no part."""
    return folder_of(root, key) / f"_{key.name}.json"


def coins_in(root: Place, kind: str) -> list[str]:
    """The coins that have a folder of this kind, sorted. Raises DataError when the folder cannot be read."""
    return sorted(unquote(name) for name in _values(root / f"kind={kind}", "coin="))


def dates_in(root: Place, kind: str, coin: str) -> list[str]:
    """The dates that have a folder of this kind and coin, sorted. Raises DataError when the folder cannot be read."""
    return sorted(date for date in _values(coin_folder(root, kind, coin), "date=") if is_date(date))


def names_in(folder: Place) -> list[str]:
    """The names of the parts of a date's folder that have a manifest, sorted. Raises DataError when it cannot be
    read."""
    found = (_manifest_name(path) for path in _entries(folder))
    return sorted(name for name in found if name is not None)


def _manifest_name(path: Place) -> str | None:
    name = path.name[1:].removesuffix(".json")
    return name if path.name == f"_{name}.json" and _NAME.fullmatch(name) else None


def _values(folder: Place, prefix: str) -> Iterator[str]:
    return (path.name.removeprefix(prefix) for path in _entries(folder) if path.name.startswith(prefix))


def _entries(folder: APlace) -> list[APlace]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(folder, None, f"the folder cannot be read ({error.strerror}), give a readable one") from None
