"""Lines of the archive straight into event records: a block of text in one compiled call, no Python object a level.

Recognised is what the archive holds, to the byte (venue reference section 11): `time`, `ver_num` and `raw` in this
order, no blank between them, a book with its keys in the venue's order. Any other line, also one with a number that is
no whole number of ticks or lots, is left to the typed reader: what is recognised here means the same there.
"""

from __future__ import annotations

from typing import Any

from hlhft.compiled import compiled
from hlhft.hyperliquid.scan import PADDING, book

LINE_EVENTS_MAX = 1024  # of a recognised line; the venue sends 20 levels a side
assert PADDING >= 64, "a line that is cut off is read on into the padding, by less than this"

_DIGIT = 48
_DIGITS = 10
_NEWLINE, _QUOTE, _COLON, _COMMA, _POINT, _HYPHEN, _T, _Z, _CLOSE = 10, 34, 58, 44, 46, 45, 84, 90, 125
_VERSION_DIGITS_MAX = 9
_SECOND_DIGITS = 9
_NS_PER_S = 1_000_000_000
_S_PER_DAY, _S_PER_HOUR, _S_PER_MINUTE = 86_400, 3_600, 60
_YEAR_MIN, _YEAR_MAX = 1970, 2099  # the seconds of these fit, and their leap years are every fourth
_DAYS_OF_YEAR, _FEBRUARY = 365, 2
_LONG_MONTHS = 0b1_0101_1010_1010  # bit by month, from 1: those of 31 days


def _words(text: bytes) -> tuple[int, ...]:
    """The text as numbers of seven bytes at most, the first byte lowest."""
    return tuple(int.from_bytes(text[start : start + 7], "little") for start in range(0, len(text), 7))


# What stands between the values, in pieces of seven bytes, the last one shorter.
_TIME_1, _TIME_2 = _words(b'{"time":"')
_VERSION_1, _VERSION_2 = _words(b',"ver_num":')
_RAW_1, _RAW_2, _RAW_3, _RAW_4, _RAW_5, _RAW_6, _RAW_7 = _words(b',"raw":{"channel":"l2Book","data":{"coin":"')
_TIME_BYTES, _VERSION_BYTES, _RAW_BYTES = 9, 11, 43


@compiled
def _word(text, place, count):
    """`count` bytes as one number, the first lowest."""
    value = 0
    for offset in range(count):
        value |= int(text[place + offset]) << (8 * offset)
    return value


@compiled
def _number(text, place, digits):
    """The number of exactly so many digits at `place`, -1 when one is none."""
    value = 0
    for offset in range(digits):
        digit = int(text[place + offset]) - _DIGIT
        if digit < 0 or digit >= _DIGITS:
            return -1
        value = value * _DIGITS + digit
    return value


@compiled
def _days(year, month, day):
    """Days since the epoch of a date of the Gregorian calendar, -1 when it is none."""
    if not (_YEAR_MIN <= year <= _YEAR_MAX and 1 <= month <= 12 and day >= 1):
        return -1
    leap = 1 if year % 4 == 0 else 0
    days = 0
    for earlier in range(1, month + 1):
        length = 28 + leap if earlier == _FEBRUARY else 30 + ((_LONG_MONTHS >> earlier) & 1)
        if earlier == month and day > length:
            return -1
        if earlier < month:
            days += length
    return (year - _YEAR_MIN) * _DAYS_OF_YEAR + (year - _YEAR_MIN + 1) // 4 + days + day - 1


@compiled
def _clock(text, place):
    """(place behind the closing quote, ns since the epoch) of the time at `place`; place -1 when it is none."""
    if text[place + 4] != _HYPHEN or text[place + 7] != _HYPHEN or text[place + 10] != _T:
        return -1, 0
    if text[place + 13] != _COLON or text[place + 16] != _COLON:
        return -1, 0
    days = _days(_number(text, place, 4), _number(text, place + 5, 2), _number(text, place + 8, 2))
    hour, minute, second = _number(text, place + 11, 2), _number(text, place + 14, 2), _number(text, place + 17, 2)
    if days < 0 or not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return -1, 0
    place += 19
    fraction_ns = 0
    if text[place] == _POINT:
        place += 1
        digits = 0
        digit = int(text[place]) - _DIGIT
        while 0 <= digit < _DIGITS and digits < _SECOND_DIGITS:
            fraction_ns = fraction_ns * _DIGITS + digit
            digits += 1
            digit = int(text[place + digits]) - _DIGIT
        if digits == 0:
            return -1, 0
        place += digits
        for _ in range(digits, _SECOND_DIGITS):
            fraction_ns *= _DIGITS
    if text[place] == _Z:
        place += 1
    if text[place] != _QUOTE:
        return -1, 0
    seconds = days * _S_PER_DAY + hour * _S_PER_HOUR + minute * _S_PER_MINUTE + second
    return place + 1, seconds * _NS_PER_S + fraction_ns


@compiled
def _opening(text, place):
    """(place of the coin's name, the archiver's clock in ns) of the line at `place`; place -1 when it is not plain."""
    if _word(text, place, 7) != _TIME_1 or _word(text, place + 7, 2) != _TIME_2:
        return -1, 0
    place, ts_local_ns = _clock(text, place + _TIME_BYTES)
    if place < 0 or ts_local_ns == 0 or _word(text, place, 7) != _VERSION_1 or _word(text, place + 7, 4) != _VERSION_2:
        return -1, 0
    place += _VERSION_BYTES
    digits = 0
    while 0 <= int(text[place + digits]) - _DIGIT < _DIGITS and digits < _VERSION_DIGITS_MAX:
        digits += 1
    if digits == 0 or (digits > 1 and text[place] == _DIGIT):
        return -1, 0
    place += digits
    if (
        _word(text, place, 7) != _RAW_1
        or _word(text, place + 7, 7) != _RAW_2
        or _word(text, place + 14, 7) != _RAW_3
        or _word(text, place + 21, 7) != _RAW_4
        or _word(text, place + 28, 7) != _RAW_5
        or _word(text, place + 35, 7) != _RAW_6
        or _word(text, place + 42, 1) != _RAW_7
    ):
        return -1, 0
    return place + _RAW_BYTES, ts_local_ns


@compiled
def scan_lines(
    text: Any, place: Any, end: Any, number: Any, coins: Any, clock: Any, events: Any, lines: Any
) -> tuple[Any, Any, Any]:
    """Reads recognised lines from `place` on: (place of the first line not read, its number, events written).

    `text` uint8[end + PADDING or more], each line but the last ended by a newline, zeros from `end` on; `number` is the
    number of the line at `place`. `coins` of `hlhft.hyperliquid.scan.new_coins`; `clock` int64[1], raised to the newest
    exchange time of any line read, ns; `events` EVENT_DTYPE[m], `lines` int64[m] the line of each. It stops at a line
    that it does not know, where fewer than LINE_EVENTS_MAX events have room, and behind the last line, at `end` + 1.
    """
    count = 0
    while place < end and count + LINE_EVENTS_MAX <= len(events):
        name, ts_local_ns = _opening(text, place)
        if name < 0:
            break
        behind, written = book(text, name, ts_local_ns, coins, events[count : count + LINE_EVENTS_MAX])
        if written < 0 or text[behind] != _CLOSE:
            break
        if behind + 1 < end and text[behind + 1] != _NEWLINE:
            break
        for row in range(count, count + written):
            lines[row] = number
        clock[0] = max(clock[0], events[count]["ts_exch_ns"])
        count += written
        number += 1
        place = behind + 2
    return place, number, count
