"""What to fetch for a wish: pure arithmetic over what the archives list and what the catalogue holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hlhft.data.catalogue.layout import BOOK, CONTEXT, FILL, TRADE, PartKey
from hlhft.data.markets import find
from hlhft.data.mining.errors import WishError
from hlhft.data.mining.keys import (
    ARCHIVE,
    FIRST_DATE,
    FIRST_FILLS_DATE,
    HOURS,
    NODE,
    Bucket,
    Listed,
    Place,
    What,
    books_folder,
    books_key,
    contexts_key,
    days,
    fills_folder,
    fills_key,
    layouts_on,
    place_of,
)
from hlhft.units import Market

ALL = "ALL"
DAYS_MAX = 1500  # a longer wish would list for hours; it can be made in pieces

Held = Callable[[PartKey], str | None]  # the origin of a part that is in the catalogue, None where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for, checked: every coin is in the market specification, every date can be in the archive."""

    first: date
    last: date
    coins: tuple[str, ...]  # empty: all that the archive has books of
    trades: bool = True
    fills: bool = False  # both sides of every fill too
    contexts: bool = True

    @property
    def wants_fills(self) -> bool:
        """Whether objects of fills are fetched at all."""
        return self.trades or self.fills


@dataclass(frozen=True, slots=True)
class Task:
    """One object to fetch and the parts to make of it, at least one."""

    listed: Listed
    place: Place
    parts: tuple[PartKey, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A stretch that the archive has no object for, though others of that day or hour exist: a gap in the catalogue."""

    part: PartKey
    what: What  # the object would hold
    url: str  # of the object that is not there
    stretch_ns: tuple[int, int]

    @property
    def origin(self) -> str:
        """What the manifest of the gap says it was made from."""
        return f"{self.url} missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What there is to do."""

    tasks: tuple[Task, ...]
    missing: tuple[Missing, ...]  # all of them, also those that the catalogue says already
    new_missing: tuple[Missing, ...]  # those that it does not
    parts_held: int  # parts that are in the catalogue with this origin
    absent: tuple[str, ...]  # wished coins of which there is not one object of books
    unspecified: tuple[str, ...]  # of ALL: coins that the market specification does not have
    without_fills: tuple[date, date] | None  # the days, first and last, before the first archive of fills


def wish_of(
    first: date,
    last: date,
    coins: Sequence[str],
    specification: Mapping[str, Market] | None,
    *,
    today: date,
    trades: bool = True,
    fills: bool = False,
    contexts: bool = True,
) -> Wish:
    """The wish, checked. Raises WishError for dates or coins that cannot be had."""
    if last < first:
        raise WishError(f"the end date {last} is before the start date {first}: give them the other way round")
    if last > today:
        raise WishError(f"the end date {last} is in the future: give {today} or earlier")
    if first < FIRST_DATE:
        raise WishError(f"the archive begins on {FIRST_DATE}: give that date or a later one, not {first}")
    if (last - first).days >= DAYS_MAX:
        raise WishError(f"{first} to {last} is more than {DAYS_MAX} days: mine them in pieces")
    if not coins:
        raise WishError("no coin was given: name some, as in --coins BTC ETH, or ALL")
    names: tuple[str, ...] = ()
    if ALL not in coins:
        names = tuple(dict.fromkeys(_known(coin, specification) for coin in coins))
    return Wish(first=first, last=last, coins=names, trades=trades, fills=fills, contexts=contexts)


def _known(coin: str, specification: Mapping[str, Market] | None) -> str:
    try:
        return find(coin, specification).name
    except LookupError as error:
        raise WishError(f"{error.args[0]} (--markets)") from None


def folders(wish: Wish) -> list[tuple[Bucket, str]]:
    """What the keys of all objects that could serve the wish begin with, day by day.

    A listing has a thousand keys a request: five requests for a day's books, where one an hour would be 24.
    """
    found: list[tuple[Bucket, str]] = []
    for day in days(wish.first, wish.last):
        if wish.contexts:
            found.append((ARCHIVE, contexts_key(day)))
        found.append((ARCHIVE, books_folder(day)))
        if wish.wants_fills:
            found.extend((NODE, fills_folder(day, layout)) for layout in layouts_on(day))
    return found


def arrange(
    wish: Wish, listed: Iterable[Listed], held: Held, specification: Mapping[str, Market], *, now_ns: int
) -> Plan:
    """The plan for a wish. Hours that have not ended at `now_ns` are left out. Raises WishError when there is nothing.

    A part that is in the catalogue and whose object the archive no longer lists is left as it is.
    """
    objects = {(one.bucket, one.key): one for one in listed}
    in_archive = _coins_of(objects)
    coins = [coin for coin in (wish.coins or sorted(in_archive)) if coin in in_archive and coin in specification]
    unspecified = tuple(sorted(in_archive - set(specification))) if not wish.coins else ()
    if not coins:
        raise _nothing(wish, in_archive, unspecified)
    work = _Work(objects, held)
    for day in days(wish.first, wish.last):
        if wish.contexts:
            _contexts_of(work, day, coins, now_ns)
        for hour in range(HOURS):
            if Place(What.BOOKS, day, hour).stretch_ns[1] > now_ns:
                break
            _books_of(work, day, hour, coins)
            if wish.wants_fills:
                _fills_of(work, day, hour, coins, wish)
    return Plan(
        tasks=tuple(work.tasks),
        missing=tuple(work.missing),
        new_missing=tuple(one for one in work.missing if held(one.part) is None),
        parts_held=work.parts_held,
        absent=tuple(coin for coin in wish.coins if coin not in in_archive),
        unspecified=unspecified,
        without_fills=_without_fills(wish),
    )


class _Work:
    """What `arrange` gathers."""

    def __init__(self, objects: Mapping[tuple[Bucket, str], Listed], held: Held) -> None:
        self.tasks: list[Task] = []
        self.missing: list[Missing] = []
        self.parts_held = 0
        self._objects = objects
        self._held = held

    def find(self, bucket: Bucket, key: str) -> Listed | None:
        """The object of that key, None where it is not listed."""
        return self._objects.get((bucket, key))

    def make(self, listed: Listed, place: Place, parts: Sequence[PartKey]) -> None:
        """The parts of an object that are not there, or were made of another content."""
        wanted = tuple(part for part in parts if self._held(part) != listed.origin)
        self.parts_held += len(parts) - len(wanted)
        if wanted:
            self.tasks.append(Task(listed, place, wanted))

    def lack(self, bucket: Bucket, key: str, place: Place, parts: Sequence[PartKey]) -> None:
        """An object that is not listed. What was once made of it stays."""
        for part in parts:
            url = f"s3://{bucket.name}/{key}"
            missing = Missing(part, place.what, url, place.stretch_ns)
            if self._held(part) in (None, missing.origin):
                self.missing.append(missing)
            else:
                self.parts_held += 1


def _contexts_of(work: _Work, day: date, coins: Sequence[str], now_ns: int) -> None:
    place = Place(What.CONTEXTS, day)
    key = contexts_key(day)
    parts = [PartKey(CONTEXT, coin, day.isoformat(), "archive-day") for coin in coins]
    found = work.find(ARCHIVE, key)
    if found is not None:
        work.make(found, place, parts)
    elif place.stretch_ns[1] <= now_ns:
        work.lack(ARCHIVE, key, place, parts)


def _books_of(work: _Work, day: date, hour: int, coins: Sequence[str]) -> None:
    for coin in coins:
        place = Place(What.BOOKS, day, hour, coin)
        key = books_key(day, hour, coin)
        parts = [PartKey(BOOK, coin, day.isoformat(), f"archive-{hour:02d}")]
        found = work.find(ARCHIVE, key)
        if found is not None:
            work.make(found, place, parts)
        else:
            work.lack(ARCHIVE, key, place, parts)


def _fills_of(work: _Work, day: date, hour: int, coins: Sequence[str], wish: Wish) -> None:
    layouts = layouts_on(day)
    if not layouts:
        return
    kinds = [kind for kind, wished in ((TRADE, wish.trades), (FILL, wish.fills)) if wished]
    parts = [PartKey(kind, coin, day.isoformat(), f"fills-{hour:02d}") for coin in coins for kind in kinds]
    for layout in layouts:
        found = work.find(NODE, fills_key(day, hour, layout))
        if found is not None:
            work.make(found, Place(What.FILLS, day, hour, None, layout), parts)
            return
    best = layouts[0]
    work.lack(NODE, fills_key(day, hour, best), Place(What.FILLS, day, hour, None, best), parts)


def _coins_of(objects: Mapping[tuple[Bucket, str], Listed]) -> set[str]:
    """The coins that there are books of."""
    places = (place_of(key) for bucket, key in objects if bucket == ARCHIVE)
    return {place.coin for place in places if place is not None and place.coin is not None}


def _without_fills(wish: Wish) -> tuple[date, date] | None:
    if not wish.wants_fills or wish.first >= FIRST_FILLS_DATE:
        return None
    before = [day for day in days(wish.first, wish.last) if day < FIRST_FILLS_DATE]
    return before[0], before[-1]


def _nothing(wish: Wish, in_archive: set[str], unspecified: Sequence[str]) -> WishError:
    stretch = f"on {wish.first}" if wish.first == wish.last else f"from {wish.first} to {wish.last}"
    if not in_archive:
        return WishError(
            f"the archive has no books {stretch}: it is written about once a month and has gaps, choose other dates"
        )
    if unspecified:
        return WishError(
            f"the market specification has none of the {len(unspecified)} coins that the archive has {stretch}: "
            "give one that does (--markets)"
        )
    return WishError(
        f"the archive has no books of {', '.join(wish.coins)} {stretch}: it has {len(in_archive)} other coins then, "
        "check the name"
    )
