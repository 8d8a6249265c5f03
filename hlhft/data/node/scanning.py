"""Lines of `node_raw_book_diffs` straight into records, in one compiled call and without a Python object.

Recognised is plain JSON as a node writes it, keys in any order, further keys passed over: a block (`local_time`,
`block_time`, `block_number`, `events`) or one change by itself with its time (venue reference section 12). Whatever
else, a number that is no whole number of ticks or lots included, is left to `hlhft.data.node.formats`, which says what
is wrong with it if anything is: what is recognised here means the same there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hlhft.compiled import compiled
from hlhft.hyperliquid.scan import COIN_BYTES_MAX
from hlhft.units import LOTS_MAX, TICKS_MAX

PADDING = 64  # zero bytes behind the last line: a zero is never what is expected next
CHANGE_BYTES_MIN = 48  # the shortest change is longer than this
USER_BYTES = 42  # "0x" and forty hexadecimal digits

_NEW, _UPDATE, _REMOVE = 1, 2, 3  # hlhft.data.node.changes.Change
_HASH_MODULUS = 2**31 - 1  # as hlhft.hyperliquid.scan.new_coins
_DIGITS_MAX = 18  # what an int64 holds of any digits
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_NESTING_MAX = 64
_TIME_NS_MAX = 2**62
_HEIGHT_MAX = 2**50  # hlhft.data.node.changes

_NEWLINE, _BLANK, _QUOTE, _COMMA, _MINUS, _POINT, _NOUGHT, _NINE, _COLON = 10, 32, 34, 44, 45, 46, 48, 57, 58
_OPEN_LIST, _BACKSLASH, _CLOSE_LIST, _OPEN, _CLOSE = 91, 92, 93, 123, 125
_LETTER_A, _LETTER_B, _LETTER_T, _LETTER_Z, _LAST_PRINTED = 65, 66, 84, 90, 126


def _word(text: bytes) -> int:
    """The first seven bytes as one number, the first lowest."""
    return int.from_bytes(text[:7], "little")


# Keys, known by their length and their first seven bytes.
_USER, _OID, _COIN, _SIDE, _PRICE = _word(b"user"), _word(b"oid"), _word(b"coin"), _word(b"side"), _word(b"px")
_DIFF, _EVENTS, _TIME = _word(b"raw_book_diff"), _word(b"events"), _word(b"time")
_LOCAL_TIME, _BLOCK_TIME, _BLOCK_NUMBER = _word(b"local_time"), _word(b"block_time"), _word(b"block_number")
_KEY_NEW, _KEY_UPDATE, _KEY_REMOVE, _SIZE = _word(b"new"), _word(b"update"), _word(b"remove"), _word(b"sz")
_ORIGINAL_SIZE, _NEW_SIZE, _INSERT_BEFORE = _word(b"origSz"), _word(b"newSz"), _word(b"insertBefore")
_NULL = _word(b"null")


def padded(text: bytes) -> NDArray[np.uint8]:
    """`text` as `scan` takes it, uint8[len(text) + PADDING]."""
    return np.frombuffer(text + bytes(PADDING), dtype=np.uint8)


@compiled
def scan(
    text: NDArray[np.uint8],
    start: int,
    end: int,
    coins: NDArray[np.void],
    users: NDArray[np.uint8],
    rows: NDArray[np.void],
    lines: NDArray[np.void],
) -> tuple[int, int, int]:
    """(place behind the last line read, lines read, rows written) of the whole lines in text[start:end].

    `text` uint8 with PADDING zero bytes behind `end`, `coins` as of hlhft.hyperliquid.scan.new_coins, `users`
    uint8[n, USER_BYTES] in small letters: their orders are hidden. `rows` CHANGE_DTYPE with room for one every
    CHANGE_BYTES_MIN bytes, `lines` LINE_DTYPE. Ends before a line that is not recognised, and where `lines` are full;
    empty lines are passed over.
    """
    place = start
    line_count = 0
    row_count = 0
    while place < end and line_count < len(lines):
        if text[place] == _NEWLINE:
            place += 1
            continue
        line = lines[line_count]
        behind, written = _line(text, place, coins, users, rows, row_count, line)
        if behind < 0:
            break
        for index in range(row_count, written):
            rows[index]["height"] = line["height"]
        line["rows"] = written - row_count
        row_count = written
        line_count += 1
        place = behind
    return place, line_count, row_count


@compiled
def _line(text, place, coins, users, rows, count, line):
    """(place behind the newline, new count of rows) of one line; place -1 when it is not recognised."""
    start = place
    line["height"] = -1
    line["block_ns"] = 0
    line["local_ns"] = 0
    line["others"] = 0
    if text[place] != _OPEN:
        return -1, count
    place = _blank(text, place + 1)
    has_events = False
    while text[place] == _QUOTE:
        place, key, length = _key(text, place)
        if place < 0:
            return -1, count
        if key == _EVENTS and length == 6 and not has_events:
            has_events = True
            place, count = _events(text, place, coins, users, rows, count, line)
        elif key == _BLOCK_NUMBER and length == 12:
            place, line["height"] = _whole(text, place)
        elif key == _LOCAL_TIME and length == 10:
            place, line["local_ns"] = _time(text, place)
        elif (key == _BLOCK_TIME and length == 10) or (key == _TIME and length == 4):
            place, line["block_ns"] = _time(text, place)
        else:
            place = _value(text, place)
        place = _next(text, place)
        if place < 0:
            return -1, count
    if text[place] != _CLOSE or text[place + 1] != _NEWLINE or line["block_ns"] == 0:
        return -1, count
    line["block_ns"] -= line["block_ns"] % _NS_PER_MS
    line["local_ns"] = line["local_ns"] if line["local_ns"] != 0 else line["block_ns"]
    if line["height"] < 0:
        line["height"] = line["block_ns"]
    elif line["height"] >= _HEIGHT_MAX:
        return -1, count
    if not has_events:
        behind, count = _change(text, start, coins, users, rows, count, line)
        if behind < 0:
            return -1, count
    return place + 2, count


@compiled
def _events(text, place, coins, users, rows, count, line):
    """(place behind the closing bracket, new count of rows) of a block's events; place -1 when not recognised."""
    if text[place] != _OPEN_LIST:
        return -1, count
    place = _blank(text, place + 1)
    while text[place] == _OPEN:
        place, count = _change(text, place, coins, users, rows, count, line)
        if place < 0:
            return -1, count
        place = _blank(text, place)
        if text[place] == _COMMA:
            place = _blank(text, place + 1)
            if text[place] != _OPEN:
                return -1, count
        elif text[place] != _CLOSE_LIST:
            return -1, count
    return (place + 1, count) if text[place] == _CLOSE_LIST else (-1, count)


@compiled
def _change(text, place, coins, users, rows, count, line):
    """(place behind the brace, new count of rows) of one change; place -1 when not recognised."""
    row = rows[count]
    slot = -1
    side = 0
    oid = -1
    price = -1
    hidden = 0
    diff = -1
    place = _blank(text, place + 1)
    while text[place] == _QUOTE:
        place, key, length = _key(text, place)
        if place < 0:
            return -1, count
        begin = place
        if key == _OID and length == 3:
            place, oid = _whole(text, place)
        elif key == _COIN and length == 4:
            place, slot = _coin(text, place, coins)
        elif key == _SIDE and length == 4:
            place, side = _side(text, place)
        elif key == _USER and length == 4:
            hidden = _is_hidden(text, place, users)
            place = _value(text, place)
        elif key == _PRICE and length == 2:
            price = begin
            place = _value(text, place)
        elif key == _DIFF and length == 13:
            diff = begin
            place = _value(text, place)
        else:
            place = _value(text, place)
        place = _next(text, place)
        if place < 0:
            return -1, count
    if text[place] != _CLOSE or slot < -1 or oid <= 0 or diff < 0 or price < 0:
        return -1, count
    if slot == -1:
        line["others"] += 1
        return place + 1, count
    coin = coins[slot]
    row["order_id"] = oid
    row["market"] = coin["market"]
    row["side"] = side
    row["hidden"] = hidden
    row["padding"] = 0
    fine, row["price_ticks"] = _units(text, price, coin["price_decimals"], TICKS_MAX)
    if fine < 0 or row["price_ticks"] == 0 or _diff(text, diff, coin["size_decimals"], row) < 0:
        return -1, count
    return place + 1, count + 1


@compiled
def _diff(text, place, decimals, row):
    """Writes what became of the order, the value at `place`; -1 when not recognised, else 0."""
    row["before_id"] = 0
    row["size_lots"] = 0
    row["before_lots"] = -1
    if text[place] == _QUOTE:
        row["change"] = _REMOVE
        return 0 if _word_at(text, place + 1, 6) == _KEY_REMOVE and text[place + 7] == _QUOTE else -1
    if text[place] != _OPEN:
        return -1
    place, key, length = _key(text, _blank(text, place + 1))
    if place < 0 or text[place] != _OPEN:
        return -1
    is_new = key == _KEY_NEW and length == 3
    if not is_new and not (key == _KEY_UPDATE and length == 6):
        return -1
    row["change"] = _NEW if is_new else _UPDATE
    place = _blank(text, place + 1)
    has_size = False
    while text[place] == _QUOTE:
        place, key, length = _key(text, place)
        if place < 0:
            return -1
        if (is_new and key == _SIZE and length == 2) or (not is_new and key == _NEW_SIZE and length == 5):
            has_size = True
            place, row["size_lots"] = _units(text, place, decimals, LOTS_MAX)
        elif not is_new and key == _ORIGINAL_SIZE and length == 6:
            place, row["before_lots"] = _units(text, place, decimals, LOTS_MAX)
        elif is_new and key == _INSERT_BEFORE and length == 12 and text[place] != _NULL % 256:
            place, row["before_id"] = _whole(text, place)
        else:
            place = _value(text, place)
        place = _next(text, place)
        if place < 0:
            return -1
    place = _blank(text, place + 1) if text[place] == _CLOSE else -1
    return 0 if place >= 0 and text[place] == _CLOSE and has_size else -1


@compiled
def _blank(text, place):
    while text[place] == _BLANK:
        place += 1
    return place


@compiled
def _next(text, place):
    """The place of the next key or of what closes the object, behind a value that ends at `place`; -1 passes through
    and stands for anything else."""
    if place < 0:
        return -1
    place = _blank(text, place)
    if text[place] == _COMMA:
        place = _blank(text, place + 1)
        return place if text[place] == _QUOTE else -1
    return place if text[place] == _CLOSE else -1


@compiled
def _word_at(text, place, length):
    """Up to seven bytes as one number, the first lowest."""
    word = 0
    for index in range(min(length, 7) - 1, -1, -1):
        word = word * 256 + int(text[place + index])
    return word


@compiled
def _string(text, place):
    """The place behind the quote that closes the plain text whose quote opens at `place`; -1 when it is not plain."""
    if text[place] != _QUOTE:
        return -1
    place += 1
    while text[place] != _QUOTE:
        if text[place] < _BLANK or text[place] > _LAST_PRINTED or text[place] == _BACKSLASH:
            return -1
        place += 1
    return place + 1


@compiled
def _key(text, place):
    """(place of the value, first seven bytes, length) of the key at `place`; place -1 when there is none."""
    behind = _string(text, place)
    if behind < 0:
        return -1, 0, 0
    length = behind - place - 2
    word = _word_at(text, place + 1, length)
    behind = _blank(text, behind)
    if text[behind] != _COLON:
        return -1, 0, 0
    return _blank(text, behind + 1), word, length


@compiled
def _value(text, place):
    """The place behind a value, which is passed over without being judged; -1 when it is not plain or does not end, or
    is nested deeper than anything that a node writes."""
    depth = 0
    if text[place] == _COMMA or text[place] == _COLON or text[place] == _CLOSE or text[place] == _CLOSE_LIST:
        return -1
    while True:
        byte = text[place]
        if byte == _QUOTE:
            place = _string(text, place)
            if place < 0:
                return -1
        elif byte == _OPEN or byte == _OPEN_LIST:
            depth += 1
            place += 1
        elif byte == _CLOSE or byte == _CLOSE_LIST:
            depth -= 1
            place += 1
        elif byte < _BLANK or byte > _LAST_PRINTED or byte == _BACKSLASH:
            return -1
        else:
            place += 1
        byte = text[place]
        if depth < 0 or depth > _NESTING_MAX:
            return -1
        if depth == 0 and (byte == _COMMA or byte == _CLOSE or byte == _CLOSE_LIST):
            return place


@compiled
def _whole(text, place):
    """(place behind it, the whole number at `place`); place -1 when there is none, or too many digits for an int64."""
    value = 0
    start = place
    while _NOUGHT <= text[place] <= _NINE and place - start < _DIGITS_MAX:
        value = value * 10 + int(text[place]) - _NOUGHT
        place += 1
    return (place, value) if place > start and (text[start] != _NOUGHT or place - start == 1) else (-1, 0)


@compiled
def _units(text, place, decimals, maximum):
    """(place behind the closing quote, the quoted decimal number in units of 10^-decimals); place -1 when it has no
    plain form, is finer or above `maximum`."""
    if text[place] != _QUOTE:
        return -1, 0
    start = place + 1
    place = start
    value = 0
    fraction = -1
    while text[place] != _QUOTE:
        digit = int(text[place]) - _NOUGHT
        if 0 <= digit <= 9 and place - start <= _DIGITS_MAX:
            value = value * 10 + digit
            fraction = fraction + 1 if fraction >= 0 else -1
        elif text[place] == _POINT and fraction < 0 and place > start:
            fraction = 0
        else:
            return -1, 0
        place += 1
    digits = place - start - (1 if fraction >= 0 else 0)
    if digits == 0 or digits > _DIGITS_MAX or fraction == 0:
        return -1, 0
    fraction = max(fraction, 0)
    while fraction > decimals:
        if value % 10 != 0:
            return -1, 0
        value //= 10
        fraction -= 1
    while fraction < decimals and value <= maximum:
        value *= 10
        fraction += 1
    return (place + 1, value) if value <= maximum else (-1, 0)


@compiled
def _side(text, place):
    """(place behind it, 1 for "B" or -1 for "A"); place -1 for anything else."""
    if text[place] != _QUOTE or text[place + 2] != _QUOTE:
        return -1, 0
    if text[place + 1] == _LETTER_B:
        return place + 3, 1
    return (place + 3, -1) if text[place + 1] == _LETTER_A else (-1, 0)


@compiled
def _coin(text, place, coins):
    """(place behind it, slot of the coin named at `place`, -1 for one that is not looked for); place -1 when the name
    is not plain or longer than any that is."""
    behind = _string(text, place)
    length = behind - place - 2
    if behind < 0 or length > COIN_BYTES_MAX:
        return -1, -1
    start = place + 1
    code = 0
    for index in range(start, start + length):
        code = (code * 31 + int(text[index])) % _HASH_MODULUS
    mask = len(coins) - 1
    for step in range(len(coins)):
        slot = (code + step) & mask
        coin = coins[slot]
        if coin["length"] == 0:
            break
        if coin["length"] == length:
            same = 0
            while same < length and coin["name"][same] == text[start + same]:
                same += 1
            if same == length:
                return behind, slot
    return behind, -1


@compiled
def _is_hidden(text, place, users):
    """1 when the address at `place` is one of `users`."""
    for row in range(len(users)):
        same = 0
        while same < USER_BYTES and users[row, same] == text[place + 1 + same]:
            same += 1
        if same == USER_BYTES:
            return 1
    return 0


@compiled
def _two_digits(text, place):
    """The number of two digits at `place`, -1 when they are none."""
    tens, ones = int(text[place]) - _NOUGHT, int(text[place + 1]) - _NOUGHT
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -1


@compiled
def _time(text, place):
    """(place behind the closing quote, ns since the epoch) of "2025-10-27T16:59:59.798123456"; place -1 when the value
    is no such time in UTC."""
    start = place + 1
    century, years, month = _two_digits(text, start), _two_digits(text, start + 2), _two_digits(text, start + 5)
    day, hour, minute = _two_digits(text, start + 8), _two_digits(text, start + 11), _two_digits(text, start + 14)
    second = _two_digits(text, start + 17)
    is_formed = text[place] == _QUOTE and text[start + 4] == _MINUS and text[start + 7] == _MINUS
    is_formed = is_formed and text[start + 10] == _LETTER_T and text[start + 13] == _COLON
    is_formed = is_formed and text[start + 16] == _COLON and min(century, years, hour, minute, second) >= 0
    if not is_formed or century < 19 or not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        return -1, 0
    year = century * 100 + years
    days = _days(year, month, day)
    if day < 1 or days < 0 or day > _days(year + month // 12, month % 12 + 1, 1) - _days(year, month, 1):
        return -1, 0
    place = start + 19
    fraction = 0
    if text[place] == _POINT:
        scale = _NS_PER_S
        place += 1
        first = place
        while _NOUGHT <= text[place] <= _NINE and scale > 1:
            scale //= 10
            fraction += (int(text[place]) - _NOUGHT) * scale
            place += 1
        if place == first:
            return -1, 0
    if text[place] == _LETTER_Z:
        place += 1
    time_ns = (days * 86_400 + hour * 3600 + minute * 60 + second) * _NS_PER_S + fraction
    return (place + 1, time_ns) if text[place] == _QUOTE and time_ns < _TIME_NS_MAX else (-1, 0)


@compiled
def _days(year, month, day):
    """Days from 1970-01-01 to a date of the Gregorian calendar."""
    # Years that begin in March end with their leap day.
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719_469
