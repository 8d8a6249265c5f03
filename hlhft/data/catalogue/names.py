"""What of a catalogue a name stands for: `2026-04-01/BTC`, `2026-04-01..2026-04-30/BTC,ETH`, `2026-04-01T07/BTC`."""

from __future__ import annotations

import re
from typing import NamedTuple

from hlhft.data.catalogue.layout import DAY_NS, date_of, day_ns, is_date

HOUR_NS = 3_600_000_000_000
COINS_MAX = 1_000
_END = r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}))?"
_NAME = re.compile(rf"{_END}(?:\.\.{_END})?/(.+)", re.ASCII)


class Wanted(NamedTuple):
    """Coins and a stretch of exchange time, [begin_ns, end_ns)."""

    coins: tuple[str, ...]
    begin_ns: int
    end_ns: int


def wanted(name: str) -> Wanted | None:
    """What `name` asks for, None when it is no such name.

    Days and hours (UTC) count as a whole, at both ends of a range. Raises ValueError, a sentence, for a name of this
    form that cannot be meant: a date that is none, a range that runs backwards, a coin twice.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    first_date, first_hour, last_date, last_hour, coins_text = found.groups()
    begin, end = _stretch(first_date, first_hour)
    if last_date is not None:
        _, end = _stretch(last_date, last_hour)
        if end <= begin:
            raise ValueError(f"{name} runs backwards, give the earlier end first")
    coins = tuple(coin for coin in coins_text.split(",") if coin)
    if not 0 < len(coins) <= COINS_MAX or len(set(coins)) < len(coins):
        raise ValueError(f"{name} names no coin, one twice, or more than {COINS_MAX}; name each once")
    return Wanted(coins, begin, end)


def days(name: str) -> tuple[str, ...]:
    """The names of the days (UTC) that a name stands for, in order of time; those at its ends as far as it reaches.

    Raises ValueError as `wanted`, and for what is no such name.
    """
    asked = wanted(name)
    if asked is None:
        raise ValueError(f"{name} names nothing of a catalogue, give one as 2026-04-01..2026-04-30/BTC")
    coins, found = ",".join(asked.coins), []
    for day in range(asked.begin_ns // DAY_NS * DAY_NS, asked.end_ns, DAY_NS):
        begin, end = max(day, asked.begin_ns), min(day + DAY_NS, asked.end_ns)
        date, hours = date_of(day), ((begin - day) // HOUR_NS, (end - day) // HOUR_NS)
        whole = hours == (0, 24)
        found.append(f"{date}/{coins}" if whole else f"{date}T{hours[0]:02d}..{date}T{hours[1] - 1:02d}/{coins}")
    return tuple(found)


def _stretch(date: str, hour: str | None) -> tuple[int, int]:
    if not is_date(date):
        raise ValueError(f"there is no date {date}, give one as 2026-04-01")
    begin = day_ns(date)
    if hour is None:
        return begin, begin + DAY_NS
    if int(hour) > 23:
        raise ValueError(f"there is no hour {hour}, give 00 to 23")
    return begin + int(hour) * HOUR_NS, begin + (int(hour) + 1) * HOUR_NS
