"""Numbers as people read them: one way of writing money, shares, counts and times, in the terminal and on the page.

None stands for what is not known or not defined and is written as a dash. Signs are real minus signs; nothing is
written in exponents.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: float | None, decimals: int = 2) -> str:
    """The number with thousands separators and so many decimals; never "-0.00"."""
    if value is None:
        return DASH
    text = f"{abs(value):,.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def signed(value: float | None, decimals: int = 2) -> str:
    """As `plain`, with a plus sign before what is above zero."""
    text = plain(value, decimals)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.,") else text


def money(value: float | None) -> str:
    """USDC with its sign: two decimals, four where two would show nothing of it."""
    return signed(value, 4 if value is not None and 0 < abs(value) < 0.005 else 2)


def count(value: int | None) -> str:
    """A whole number with thousands separators."""
    return plain(value, 0)


def counted(value: int, noun: str) -> str:
    """A number of things: "1 set", "1,200 sets"."""
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of 1 as per cent."""
    return DASH if share is None else f"{plain(100.0 * share, decimals)} %"


def basis_points(value: float | None, decimals: int = 2) -> str:
    """Basis points with their sign."""
    return DASH if value is None else f"{signed(value, decimals)} bp"


def plus_minus(value: float | None, error: float | None, decimals: int = 2) -> str:
    """A value and its standard error."""
    return signed(value, decimals) if error is None else f"{signed(value, decimals)} ± {plain(error, decimals)}"


def duration(ns: int | None) -> str:
    """A span of time in its two largest units: "5 min 45 s", "2 d 3 h", "350 ms"."""
    if ns is None:
        return DASH
    if ns < 10 * _NS:
        return f"{ns / _NS:.3g} s" if ns >= _NS else f"{ns / 1_000_000:.3g} ms"
    seconds = round(ns / _NS)
    units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)]
    parts = []
    for name, size in units:
        whole, seconds = divmod(seconds, size)
        parts.append((whole, name))
    first = next(index for index, (whole, _) in enumerate(parts) if whole)
    return " ".join(f"{whole} {name}" for whole, name in parts[first : first + 2] if whole)


def moment(ns: int, *, milliseconds: bool = False) -> str:
    """A UTC time of the recording: "2024-08-08 23:54:15"."""
    at = _EPOCH + timedelta(microseconds=ns // 1000)
    return at.strftime("%Y-%m-%d %H:%M:%S") + (f".{at.microsecond // 1000:03d}" if milliseconds else "")


def period(first_ns: int, last_ns: int) -> str:
    """From when to when; the date once when it is the same."""
    first, last = moment(first_ns), moment(last_ns)
    return f"{first} to {last[11:] if last[:10] == first[:10] else last} UTC"


def recording_title(name: str) -> str:
    """A recording's name for people: "a/X+a/Y" is "a: X, Y", and of many files the first is named."""
    parts = name.split("+")
    folders = {part.rpartition("/")[0] for part in parts}
    if len(folders) == 1 and folders != {""}:
        return f"{folders.pop()}: {', '.join(part.rpartition('/')[2] for part in parts)}"
    return name if len(parts) <= 2 else f"{parts[0]} and {len(parts) - 1} more"


def listed(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
