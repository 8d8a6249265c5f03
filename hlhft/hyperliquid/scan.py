"""Frames of the hot market channels straight into event records, in one compiled call and without a Python object.

Recognised is what the venue writes today, to the byte: l2Book (default and fast), bbo and trades with their keys in the
venue's order and no blank between them (venue reference sections 6.2 and 6.3). Anything else, a number that is no whole
number of ticks or lots included, is left to the typed decoder, which says what is wrong with it if anything is: what is
recognised here means the same there.

The frame lies in a larger buffer with PADDING bytes behind it. They are zeroed first, and a zero is never what is
expected next, so the scan ends within them whatever the frame holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hlhft.compiled import compiled
from hlhft.units import LOTS_MAX, TICKS_MAX, Market

PADDING = 64
UNRECOGNISED = -1
COIN_BYTES_MAX = 64
COIN_DTYPE = np.dtype(
    [
        ("length", np.int64),  # of the name; 0 is an empty slot
        ("market", np.int64),
        ("price_decimals", np.int64),
        ("size_decimals", np.int64),
        ("name", np.uint8, (COIN_BYTES_MAX,)),
    ]
)
TIME_MS_MAX = 9_000_000_000_000  # the last millisecond that the event record takes for one
NS_PER_MS = 1_000_000
FULL_LEVELS, FAST_LEVELS = 20, 5  # a side, venue reference section 6.2

_HASH_MODULUS = 2**31 - 1
_DIGITS_MAX = 18  # what an int64 holds of any digits
_TIME_DIGITS, _COUNT_DIGITS = 13, 9
_LEVEL, _SNAPSHOT_BEGIN, _SNAPSHOT_END, _BBO, _TRADE = 1, 3, 4, 5, 6
_VISIBLE, _FRAME_END = 3, 4
_BUY, _SELL = 1, -1

_QUOTE, _COMMA, _POINT, _NOUGHT, _BACKSLASH = 34, 44, 46, 48, 92
_COLON, _OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = 58, 91, 93, 123, 125
_LETTER_A, _LETTER_B = 65, 66
_FIRST_PRINTED, _LAST_PRINTED = 32, 126


def _word(text: bytes) -> int:
    """Up to seven bytes as one number, the first lowest."""
    assert len(text) <= 7, "seven bytes stay below the sign of 64 bits"
    return int.from_bytes(text, "little")


# The venue's text between the values, in pieces of seven bytes at most.
_CHANNEL_1, _CHANNEL_2 = _word(b'{"chann'), _word(b'el":"')
_BOOK_1 = _word(b'l2Book"')
_DATA_1, _DATA_2, _DATA_3 = _word(b',"data"'), _word(b':{"coin'), _word(b'":"')
_BBO_1 = _word(b'bbo"')
_TRADES_1, _TRADES_DATA = _word(b'trades"'), _word(b":[")
_TIME = _word(b',"time"')
_LEVELS_1, _LEVELS_2 = _word(b',"level'), _word(b's":[[')
_NEXT_SIDE = _word(b"],[")
_FAST_1, _FAST_2 = _word(b',"fast"'), _word(b":true")
_TOUCH_1 = _word(b',"bbo":')
_NULL = _word(b"null")
_PRICE, _SIZE, _COUNT = _word(b'{"px":"'), _word(b',"sz":"'), _word(b',"n":')
_COIN_1, _COIN_2 = _word(b'{"coin"'), _word(b':"')
_SIDE_1, _SIDE_2 = _word(b',"side"'), _word(b':"')
_TRADE_PRICE = _word(b',"px":"')
_HASH_1, _HASH_2 = _word(b',"hash"'), _word(b':"')
_TID = _word(b',"tid":')
_USERS_1, _USERS_2 = _word(b',"users'), _word(b'":["')
_END_BOOK = _word(b"]]")
_END_2, _END_3 = _word(b"}}"), _word(b"]}}")


def new_coins(markets: Sequence[Market]) -> np.ndarray:
    """The table in which `scan` finds a market by its coin, COIN_DTYPE[slots]; a market's number is its place here.

    A coin whose name is longer than COIN_BYTES_MAX, or not plain ASCII without quotes, is not in it: its frames are
    never recognised. Raises ValueError when two markets have one name.
    """
    if len({market.name for market in markets}) != len(markets):
        raise ValueError("every market needs a name of its own")
    slots = 4
    while slots < 2 * len(markets) + 2:
        slots *= 2
    coins = np.zeros(slots, dtype=COIN_DTYPE)
    for row, market in enumerate(markets):
        name = market.name.encode()
        if not 0 < len(name) <= COIN_BYTES_MAX or any(
            not _FIRST_PRINTED <= byte <= _LAST_PRINTED or byte in b'"\\' for byte in name
        ):
            continue
        slot = 0
        for byte in name:
            slot = (slot * 31 + byte) % _HASH_MODULUS
        while coins[slot % slots]["length"] != 0:
            slot += 1
        entry = coins[slot % slots]
        entry["length"] = len(name)
        entry["name"][: len(name)] = list(name)
        entry["market"] = row
        entry["price_decimals"] = market.price_decimals
        entry["size_decimals"] = market.size_decimals
    return coins


@compiled
def _is_plain(byte):
    """Whether a byte of a text stands for itself: printed ASCII, neither quote nor backslash."""
    return _FIRST_PRINTED <= byte <= _LAST_PRINTED and byte != _QUOTE and byte != _BACKSLASH


@compiled
def _two(frame, place):
    return int(frame[place]) + int(frame[place + 1]) * 256


@compiled
def _three(frame, place):
    return _two(frame, place) + int(frame[place + 2]) * 65_536


@compiled
def _four(frame, place):
    return _two(frame, place) + _two(frame, place + 2) * 65_536


@compiled
def _five(frame, place):
    return _four(frame, place) + int(frame[place + 4]) * 4_294_967_296


@compiled
def _seven(frame, place):
    return _four(frame, place) + _three(frame, place + 4) * 4_294_967_296


@compiled
def _coin(frame, place, coins):
    """(place behind the closing quote, slot of the coin whose name begins at `place`); place -1 when not known."""
    code = 0
    start = place
    while _is_plain(int(frame[place])) and place - start < COIN_BYTES_MAX:
        code = (code * 31 + int(frame[place])) % _HASH_MODULUS
        place += 1
    length = place - start
    if length == 0 or frame[place] != _QUOTE:
        return -1, 0
    mask = len(coins) - 1
    for step in range(len(coins)):
        slot = (code + step) & mask
        coin = coins[slot]
        if coin["length"] == 0:
            return -1, 0
        if coin["length"] == length:
            same = 0
            while same < length and coin["name"][same] == frame[start + same]:
                same += 1
            if same == length:
                return place + 1, slot
    return -1, 0


@compiled
def _units(frame, place, decimals, maximum):
    """(place behind the closing quote, the decimal number at `place` in units of 10^-decimals); place -1 when it has no
    plain form, is finer or above `maximum`."""
    value = 0
    start = place
    digit = int(frame[place]) - _NOUGHT
    while 0 <= digit <= 9 and place - start < _DIGITS_MAX:
        value = value * 10 + digit
        place += 1
        digit = int(frame[place]) - _NOUGHT
    if place == start:
        return -1, 0
    fraction = 0
    if frame[place] == _POINT:
        limit = start + _DIGITS_MAX + 1
        place += 1
        first = place
        digit = int(frame[place]) - _NOUGHT
        while 0 <= digit <= 9 and place < limit:
            value = value * 10 + digit
            place += 1
            digit = int(frame[place]) - _NOUGHT
        fraction = place - first
        if fraction == 0:
            return -1, 0
    if frame[place] != _QUOTE:
        return -1, 0
    while fraction > decimals:
        if value % 10 != 0:
            return -1, 0
        value //= 10
        fraction -= 1
    while fraction < decimals and value <= maximum:
        value *= 10
        fraction += 1
    if value > maximum:
        return -1, 0
    return place + 1, value


@compiled
def _whole(frame, place, digits_max):
    """(place behind it, the whole number at `place`) as JSON writes it; place -1 when there is none or it is longer."""
    value = 0
    start = place
    digit = int(frame[place]) - _NOUGHT
    while 0 <= digit <= 9 and place - start < digits_max:
        value = value * 10 + digit
        place += 1
        digit = int(frame[place]) - _NOUGHT
    if place == start or 0 <= digit <= 9 or (frame[start] == _NOUGHT and place - start > 1):
        return -1, 0
    return place, value


@compiled
def _exch_ns(frame, place):
    """(place behind it, the time in ns) of `,"time":` and milliseconds at `place`; place -1 when there is none."""
    if _seven(frame, place) != _TIME or frame[place + 7] != _COLON:
        return -1, 0
    place, time_ms = _whole(frame, place + 8, _TIME_DIGITS)
    if place < 0 or time_ms == 0 or time_ms >= TIME_MS_MAX:
        return -1, 0
    return place, time_ms * NS_PER_MS


@compiled
def _text(frame, place):
    """The place behind the quote that closes the plain text at `place`; -1 when it is not plain or does not end."""
    while _is_plain(int(frame[place])):
        place += 1
    return place + 1 if frame[place] == _QUOTE else -1


@compiled
def _put(event, kind, market, side, ts_exch_ns, ts_local_ns, ticks, lots, order_id, aux0, aux1):
    """Writes every field of an event that is not the last of its frame."""
    event["ts_exch_ns"] = ts_exch_ns
    event["ts_local_ns"] = ts_local_ns
    event["price_ticks"] = ticks
    event["size_lots"] = lots
    event["order_id"] = order_id
    event["aux0"] = aux0
    event["aux1"] = aux1
    event["kind"] = kind
    event["flags"] = _VISIBLE
    event["market"] = market
    event["side"] = side
    event["padding"] = 0


@compiled
def _level(frame, place, coin):
    """(place behind it, ticks, lots, orders) of the level at `place`; place -1 when it is none."""
    if _seven(frame, place) != _PRICE:
        return -1, 0, 0, 0
    place, ticks = _units(frame, place + 7, coin["price_decimals"], TICKS_MAX)
    if place < 0 or ticks == 0 or _seven(frame, place) != _SIZE:
        return -1, 0, 0, 0
    place, lots = _units(frame, place + 7, coin["size_decimals"], LOTS_MAX)
    if place < 0 or _five(frame, place) != _COUNT:
        return -1, 0, 0, 0
    place, orders = _whole(frame, place + 5, _COUNT_DIGITS)
    if place < 0 or frame[place] != _CLOSE:
        return -1, 0, 0, 0
    return place + 1, ticks, lots, orders


@compiled
def _side(frame, place, coin, side, ts_exch_ns, ts_local_ns, events, count):
    """Writes the levels of one side from events[count] on; (place of the closing bracket, new count), place -1 when it
    is no list of levels from the touch outward, or longer than `events`."""
    if frame[place] == _CLOSE_LIST:
        return place, count
    last = 0
    while True:
        place, ticks, lots, orders = _level(frame, place, coin)
        if place < 0 or count >= len(events) - 1:
            return -1, 0
        if last != 0 and (last - ticks) * side <= 0:
            return -1, 0
        last = ticks
        _put(events[count], _LEVEL, coin["market"], side, ts_exch_ns, ts_local_ns, ticks, lots, 0, orders, 0)
        count += 1
        if frame[place] == _CLOSE_LIST:
            return place, count
        if frame[place] != _COMMA:
            return -1, 0
        place += 1


@compiled
def book(frame: Any, place: Any, ts_local_ns: Any, coins: Any, events: Any) -> Any:
    """(place behind the frame, number of events) of the book whose coin's name begins at `place`; number UNRECOGNISED
    when it is none. The other arguments are those of `scan`; the frame may stand anywhere in a longer text."""
    place, slot = _coin(frame, place, coins)
    if place < 0:
        return 0, UNRECOGNISED
    coin = coins[slot]
    place, ts_exch_ns = _exch_ns(frame, place)
    if place < 0 or _seven(frame, place) != _LEVELS_1 or _five(frame, place + 7) != _LEVELS_2:
        return 0, UNRECOGNISED
    place, asks_from = _side(frame, place + 12, coin, _BUY, ts_exch_ns, ts_local_ns, events, 1)
    if place < 0 or _three(frame, place) != _NEXT_SIDE:
        return 0, UNRECOGNISED
    place, end = _side(frame, place + 3, coin, _SELL, ts_exch_ns, ts_local_ns, events, asks_from)
    if place < 0 or _two(frame, place) != _END_BOOK:
        return 0, UNRECOGNISED
    if 1 < asks_from < end and events[1]["price_ticks"] >= events[asks_from]["price_ticks"]:
        return 0, UNRECOGNISED
    place += 2
    fast = 0
    if _seven(frame, place) == _FAST_1 and _five(frame, place + 7) == _FAST_2:
        fast = 1
        place += 12
    if _two(frame, place) != _END_2:
        return 0, UNRECOGNISED
    levels = FAST_LEVELS if fast == 1 else FULL_LEVELS
    _put(events[0], _SNAPSHOT_BEGIN, coin["market"], 0, ts_exch_ns, ts_local_ns, 0, 0, 0, levels, fast)
    _put(events[end], _SNAPSHOT_END, coin["market"], 0, ts_exch_ns, ts_local_ns, 0, 0, 0, end - 1, fast)
    events[end]["flags"] = _VISIBLE | _FRAME_END
    return place + 2, end + 1


@compiled
def _touch(frame, place, coin, side, ts_exch_ns, ts_local_ns, event):
    """Writes one side of a bbo frame, a level or null; the place behind it, -1 when it is neither."""
    ticks, lots, orders = 0, 0, 0
    if frame[place] == _OPEN:
        place, ticks, lots, orders = _level(frame, place, coin)
    elif _four(frame, place) == _NULL:
        place += 4
    else:
        return -1
    _put(event, _BBO, coin["market"], side, ts_exch_ns, ts_local_ns, ticks, lots, 0, orders, 0)
    return place


@compiled
def _bbo(frame, place, length, ts_local_ns, coins, clock, events):
    place, slot = _coin(frame, place, coins)
    if place < 0:
        return UNRECOGNISED
    coin = coins[slot]
    place, ts_exch_ns = _exch_ns(frame, place)
    if place < 0 or _seven(frame, place) != _TOUCH_1 or frame[place + 7] != _OPEN_LIST:
        return UNRECOGNISED
    place = _touch(frame, place + 8, coin, _BUY, ts_exch_ns, ts_local_ns, events[0])
    if place < 0 or frame[place] != _COMMA:
        return UNRECOGNISED
    place = _touch(frame, place + 1, coin, _SELL, ts_exch_ns, ts_local_ns, events[1])
    if place < 0 or _three(frame, place) != _END_3 or place + 3 != length:
        return UNRECOGNISED
    if 0 < events[1]["price_ticks"] <= events[0]["price_ticks"]:
        return UNRECOGNISED
    events[1]["flags"] = _VISIBLE | _FRAME_END
    clock[0] = max(clock[0], ts_exch_ns)
    return 2


@compiled
def _trade(frame, place, ts_local_ns, coins, event):
    """(place behind it, slot of its coin, its time) of the trade at `place`, in `event`; place -1 when it is none."""
    if _seven(frame, place) != _COIN_1 or _two(frame, place + 7) != _COIN_2:
        return -1, 0, 0
    place, slot = _coin(frame, place + 9, coins)
    if place < 0 or _seven(frame, place) != _SIDE_1 or _two(frame, place + 7) != _SIDE_2:
        return -1, 0, 0
    letter = int(frame[place + 9])
    if (letter != _LETTER_A and letter != _LETTER_B) or frame[place + 10] != _QUOTE:
        return -1, 0, 0
    side = _SELL if letter == _LETTER_A else _BUY
    coin = coins[slot]
    if _seven(frame, place + 11) != _TRADE_PRICE:
        return -1, 0, 0
    place, ticks = _units(frame, place + 18, coin["price_decimals"], TICKS_MAX)
    if place < 0 or ticks == 0 or _seven(frame, place) != _SIZE:
        return -1, 0, 0
    place, lots = _units(frame, place + 7, coin["size_decimals"], LOTS_MAX)
    if place < 0 or lots == 0:
        return -1, 0, 0
    place, ts_exch_ns = _exch_ns(frame, place)
    if place < 0 or _seven(frame, place) != _HASH_1 or _two(frame, place + 7) != _HASH_2:
        return -1, 0, 0
    place = _text(frame, place + 9)
    if place < 0 or _seven(frame, place) != _TID:
        return -1, 0, 0
    place, tid = _whole(frame, place + 7, _DIGITS_MAX)
    if place < 0:
        return -1, 0, 0
    place = _users(frame, place)
    _put(event, _TRADE, coin["market"], side, ts_exch_ns, ts_local_ns, ticks, lots, tid, 0, 0)
    return place, slot, ts_exch_ns


@compiled
def _users(frame, place):
    """The place behind the end of a trade that begins with its two users at `place`; -1 when it is something else."""
    if _seven(frame, place) != _USERS_1 or _four(frame, place + 7) != _USERS_2:
        return -1
    place = _text(frame, place + 11)
    if place < 0 or frame[place] != _COMMA or frame[place + 1] != _QUOTE:
        return -1
    place = _text(frame, place + 2)
    if place < 0 or frame[place] != _CLOSE_LIST or frame[place + 1] != _CLOSE:
        return -1
    return place + 2


@compiled
def _trades(frame, place, length, ts_local_ns, coins, clock, events):
    """Trades of one coin whose times do not fall."""
    count = 0
    first_slot = 0
    newest = 0
    while True:
        if count >= len(events):
            return UNRECOGNISED
        place, slot, ts_exch_ns = _trade(frame, place, ts_local_ns, coins, events[count])
        if place < 0 or ts_exch_ns < newest or (count > 0 and slot != first_slot):
            return UNRECOGNISED
        first_slot = slot
        newest = ts_exch_ns
        count += 1
        if frame[place] != _COMMA:
            break
        place += 1
    if frame[place] != _CLOSE_LIST or frame[place + 1] != _CLOSE or place + 2 != length:
        return UNRECOGNISED
    events[count - 1]["flags"] = _VISIBLE | _FRAME_END
    clock[0] = max(clock[0], newest)
    return count


@compiled
def _names_coin(frame, place):
    """Whether the data that begins at `place` is an object whose first key is the coin."""
    return (
        _seven(frame, place) == _DATA_1 and _seven(frame, place + 7) == _DATA_2 and _three(frame, place + 14) == _DATA_3
    )


@compiled
def scan(frame: Any, length: Any, ts_local_ns: Any, coins: Any, clock: Any, events: Any) -> Any:
    """Writes the events of a frame and returns how many; UNRECOGNISED when it is not of the form described above.

    `frame` uint8[length + PADDING or more], `coins` of `new_coins`, `clock` int64[1] the newest exchange time of any
    recognised frame in ns, raised by this one; `events` EVENT_DTYPE[2 or more], the beginning of which is overwritten
    either way. The last event carries FRAME_END.
    """
    for offset in range(PADDING):
        frame[length + offset] = 0
    if _seven(frame, 0) != _CHANNEL_1 or _five(frame, 7) != _CHANNEL_2:
        return UNRECOGNISED
    channel = _seven(frame, 12)
    if channel == _BOOK_1 and _names_coin(frame, 19):
        place, count = book(frame, 36, ts_local_ns, coins, events)
        if count < 0 or place != length:
            return UNRECOGNISED
        clock[0] = max(clock[0], events[0]["ts_exch_ns"])
        return count
    if _four(frame, 12) == _BBO_1 and _names_coin(frame, 16):
        return _bbo(frame, 33, length, ts_local_ns, coins, clock, events)
    if channel == _TRADES_1 and _seven(frame, 19) == _DATA_1 and _two(frame, 26) == _TRADES_DATA:
        return _trades(frame, 28, length, ts_local_ns, coins, clock, events)
    return UNRECOGNISED
