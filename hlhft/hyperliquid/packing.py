"""Commands of the core as one action: its MessagePack, its JSON and the digest to sign, in one compiled call.

`legs` are the core's commands, records of LEG_DTYPE; others with the same fields would be compiled anew. `marks`,
int64[n, 2], holds for each leg the revision of the order and its id at the venue (0 where it is not known or not
needed).

The bytes are those that the official SDK's dictionaries become: keys in the venue's order (venue reference sections 4.1
to 4.3), whole numbers as short as they go, prices and sizes without trailing zeros (5.3), what is false left out where
the venue wants it so. Whether a price lies on the market's grid is for the risk gate to say.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from hlhft.compiled import compiled
from hlhft.hyperliquid.hashing import BLOCK_BYTES, BLOCK_WORDS, LANES, hash_blocks, pad


class ActionKind(IntEnum):
    """Which action."""

    ORDER = 0
    CANCEL_BY_CLOID = 1
    CANCEL = 2  # by the venue's order id
    BATCH_MODIFY = 3
    MODIFY = 4  # of one order; the venue's answer says less than a batch's
    NOOP = 5
    SCHEDULE_CANCEL = 6
    UPDATE_LEVERAGE = 7


class EncodeFault(IntEnum):
    """Why commands are no action."""

    NONE = 0
    MARKET = 1  # no such row
    COMMAND = 2  # another command than the action is made of
    ORDER_ID = 3  # not positive: without it there is no client order id
    REVISION = 4  # outside its range, or modified so often that its next id does not fit
    TARGET = 5  # a cancel by the venue's id has none, or it is negative
    SIDE = 6
    PRICE = 7  # not positive, or beyond what a market carries
    SIZE = 8  # the same
    TIME_IN_FORCE = 9
    EXPIRY = 10  # neither an expiry nor a time that one could be counted from
    MIXED = 11  # post-only orders beside others: both would lose the venue's priority (venue reference section 8)
    COUNT = 12  # no legs, or more than an action may have
    NUMBER = 13  # a nonce, time, leverage or session out of range


class Desk(NamedTuple):
    """What stays the same from action to action, and the room to work in: few arrays, as each costs at every call.

    `memory` holds, from byte 0 on: the block of the agent, the block of the digest, the hash's lanes, the owner of the
    client order ids and the expiry in ns of a placement that names none, the vault's length and content (0, or 1 and
    the 20 bytes of the address that is traded for), and what the client order ids of the action begin with; from
    PACK_AT on one half for MessagePack, one for JSON.
    """

    markets: np.ndarray  # MARKET_DTYPE[M]
    memory: np.ndarray  # uint8
    words: np.ndarray  # uint64: the same memory


# As hlhft.core.state.COMMAND_DTYPE.
LEG_DTYPE = np.dtype(
    [
        ("ts_ns", np.int64),
        ("order_id", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("expires_ns", np.int64),  # 0: the encoder's own expiry, counted from ts_ns
        ("batch_id", np.int64),
        ("market", np.int64),  # row of the desk's markets
        ("kind", np.int64),  # 1 place, 2 cancel, 3 modify
        ("command_class", np.int64),
        ("side", np.int64),  # 1 buy, -1 sell
        ("time_in_force", np.int64),  # 0 ALO, 1 GTC, 2 IOC
        ("reduce_only", np.int64),
    ]
)

AGENT_AT = 64  # where in its block the connection id stands
DIGEST_AT = BLOCK_BYTES + 34  # and the hash of the agent in the digest's
LANES_WORD = 2 * BLOCK_WORDS
OWNER_WORD = LANES_WORD + LANES
EXPIRY_WORD = OWNER_WORD + 1
VAULT_AT = 8 * (EXPIRY_WORD + 1)
PREFIX_AT = VAULT_AT + 24
PACK_AT = PREFIX_AT + 16
LEG_BYTES_MAX = 320  # of one leg, as MessagePack or as JSON
ACTION_BYTES_MAX = 512  # of everything around the legs, and the padding
REVISION_MAX = 255
NO_EXPIRY = -1
NS_PER_MS = 1_000_000
_PRICE_MAX = 2**31 - 1  # hlhft.units.TICKS_MAX
_SIZE_MAX = 2**46 - 1  # hlhft.units.LOTS_MAX
_NEVER = 2**62
_REVISION, _TARGET = 0, 1  # columns of the marks
_PLACE, _CANCEL_COMMAND, _MODIFY_COMMAND = 1, 2, 3
_ALO, _GTC, _IOC = 0, 1, 2
(_ORDER, _CANCEL_BY_CLOID, _CANCEL, _BATCH_MODIFY, _MODIFY, _NOOP, _SCHEDULE_CANCEL) = (0, 1, 2, 3, 4, 5, 6)
_FAULT_MARKET, _FAULT_COMMAND, _FAULT_ORDER_ID, _FAULT_REVISION, _FAULT_TARGET = 1, 2, 3, 4, 5
_FAULT_SIDE, _FAULT_PRICE, _FAULT_SIZE, _FAULT_TIME_IN_FORCE, _FAULT_EXPIRY, _FAULT_MIXED = 6, 7, 8, 9, 10, 11


def _piece(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8)


# MessagePack: 0x80 + n begins a map of n keys, 0xa0 + n a text of n bytes, 0xc2 is false and 0xc3 true.
_P_ORDERS = _piece(b"\x83\xa4type\xa5order\xa6orders")
_P_GROUPING = _piece(b"\xa8grouping\xa2na")
_P_LEG, _P_LEG_CLOID = _piece(b"\x86\xa1a"), _piece(b"\x87\xa1a")
_P_BUY, _P_SELL, _P_SIZE = _piece(b"\xa1b\xc3\xa1p"), _piece(b"\xa1b\xc2\xa1p"), _piece(b"\xa1s")
_P_REDUCE, _P_NO_REDUCE = (
    _piece(b"\xa1r\xc3\xa1t\x81\xa5limit\x81\xa3tif"),
    _piece(b"\xa1r\xc2\xa1t\x81\xa5limit\x81\xa3tif"),
)
_P_ALO, _P_GTC, _P_IOC = _piece(b"\xa3Alo"), _piece(b"\xa3Gtc"), _piece(b"\xa3Ioc")
_P_CLOID, _P_TEXT_CLOID = _piece(b"\xa1c\xd9\x22"), _piece(b"\xd9\x22")
_P_CANCELS, _P_CANCELS_FAST = _piece(b"\x82\xa4type\xa6cancel\xa7cancels"), _piece(b"\x83\xa4type\xa6cancel\xa7cancels")
_P_BY_CLOID = _piece(b"\x82\xa4type\xadcancelByCloid\xa7cancels")
_P_BY_CLOID_FAST = _piece(b"\x83\xa4type\xadcancelByCloid\xa7cancels")
_P_CANCEL, _P_CANCEL_ID = _piece(b"\x82\xa1a"), _piece(b"\xa1o")
_P_CANCEL_CLOID, _P_CANCEL_CLOID_ID = _piece(b"\x82\xa5asset"), _piece(b"\xa5cloid\xd9\x22")
_P_FAST, _P_ALWAYS = _piece(b"\xa1f\xc3"), _piece(b"\xa1a\xc3")
_P_MODIFIES = _piece(b"\x82\xa4type\xabbatchModify\xa8modifies")
_P_MODIFIES_ALWAYS = _piece(b"\x83\xa4type\xabbatchModify\xa8modifies")
_P_MODIFY, _P_MODIFY_ALWAYS = _piece(b"\x83\xa4type\xa6modify"), _piece(b"\x84\xa4type\xa6modify")
_P_MAP_OF_2, _P_TARGET, _P_NEW_ORDER = _piece(b"\x82"), _piece(b"\xa3oid"), _piece(b"\xa5order")
_P_NOOP = _piece(b"\x81\xa4type\xa4noop")
_P_SCHEDULE = _piece(b"\x82\xa4type\xaescheduleCancel\xa4time")
_P_UNSCHEDULE = _piece(b"\x81\xa4type\xaescheduleCancel")
_P_LEVERAGE = _piece(b"\x84\xa4type\xaeupdateLeverage\xa5asset")
_P_CROSS, _P_ISOLATED = _piece(b"\xa7isCross\xc3\xa8leverage"), _piece(b"\xa7isCross\xc2\xa8leverage")

_J_ORDERS, _J_GROUPING = _piece(b'{"type":"order","orders":['), _piece(b'],"grouping":"na"}')
_J_LEG, _J_COMMA, _J_END = _piece(b'{"a":'), _piece(b","), _piece(b"}")
_J_BUY, _J_SELL, _J_SIZE = _piece(b',"b":true,"p":"'), _piece(b',"b":false,"p":"'), _piece(b'","s":"')
_J_REDUCE = _piece(b'","r":true,"t":{"limit":{"tif":"')
_J_NO_REDUCE = _piece(b'","r":false,"t":{"limit":{"tif":"')
_J_ALO, _J_GTC, _J_IOC = _piece(b'Alo"}}'), _piece(b'Gtc"}}'), _piece(b'Ioc"}}')
_J_CLOID, _J_QUOTE_END, _J_QUOTE = _piece(b',"c":"'), _piece(b'"}'), _piece(b'"')
_J_CANCELS = _piece(b'{"type":"cancel","cancels":[')
_J_BY_CLOID = _piece(b'{"type":"cancelByCloid","cancels":[')
_J_CANCEL_ID, _J_CANCEL_CLOID, _J_CANCEL_CLOID_ID = _piece(b',"o":'), _piece(b'{"asset":'), _piece(b',"cloid":"')
_J_CLOSE, _J_CLOSE_FAST, _J_CLOSE_ALWAYS = _piece(b"]}"), _piece(b'],"f":true}'), _piece(b'],"a":true}')
_J_MODIFIES, _J_MODIFY = _piece(b'{"type":"batchModify","modifies":['), _piece(b'{"type":"modify",')
_J_OPEN, _J_TARGET, _J_NEW_ORDER, _J_ALWAYS = (
    _piece(b"{"),
    _piece(b'"oid":'),
    _piece(b',"order":'),
    _piece(b',"a":true}'),
)
_J_NOOP = _piece(b'{"type":"noop"}')
_J_SCHEDULE, _J_UNSCHEDULE = _piece(b'{"type":"scheduleCancel","time":'), _piece(b'{"type":"scheduleCancel"}')
_J_LEVERAGE = _piece(b'{"type":"updateLeverage","asset":')
_J_CROSS, _J_ISOLATED = _piece(b',"isCross":true,"leverage":'), _piece(b',"isCross":false,"leverage":')


@compiled
def _put(out, at, piece):
    for index in range(len(piece)):
        out[at + index] = piece[index]
    return at + len(piece)


@compiled
def _digits_of(value):
    digits = 1
    rest = value // 10
    while rest > 0:
        digits += 1
        rest //= 10
    return digits


@compiled
def _put_last_digits(out, end, value, digits):
    """So many of the last digits of `value`, up to `end`; returns what is left of it."""
    for place in range(end - 1, end - 1 - digits, -1):
        out[place] = 48 + value % 10
        value //= 10
    return value


@compiled
def _put_digits(out, at, value):
    """A whole number, not negative, as decimal text."""
    end = at + _digits_of(value)
    _put_last_digits(out, end, value, end - at)
    return end


@compiled
def _put_decimal(out, at, units, decimals):
    """`units` x 10^-decimals, positive, in plain notation without trailing zeros."""
    while decimals > 0 and units % 10 == 0:
        units //= 10
        decimals -= 1
    if decimals == 0:
        return _put_digits(out, at, units)
    # Only ever divided by ten: dividing by a power that is not known when compiling takes ten times as long.
    whole_digits = max(_digits_of(units) - decimals, 1)
    point = at + whole_digits
    end = point + 1 + decimals
    whole = _put_last_digits(out, end, units, decimals)
    out[point] = 46
    _put_last_digits(out, point, whole, whole_digits)
    return end


@compiled
def _put_hex(out, at, value, width):
    for place in range(width):
        digit = value >> 4 * (width - 1 - place) & 15
        out[at + place] = digit + 48 + 39 * (digit > 9)
    return at + width


@compiled
def _put_prefix(out, at, owner, session):
    """What all client order ids of an action begin with; the layout is that of hlhft.hyperliquid.cloids."""
    out[at] = 48
    out[at + 1] = 120
    at = _put_hex(out, at + 2, owner, 6)
    _put_hex(out, at, session, 8)


@compiled
def _put_cloid(out, at, revision, order_id):
    """The 34 characters of a client order id, after `_put_prefix`."""
    for index in range(16):
        out[at + index] = out[PREFIX_AT + index]
    at = _put_hex(out, at + 16, revision, 2)
    return _put_hex(out, at, order_id, 16)


@compiled
def _put_big_endian(out, at, value, width):
    for place in range(width):
        out[at + place] = value >> 8 * (width - 1 - place) & 255
    return at + width


@compiled
def _put_unsigned(out, at, value):
    """A whole number as MessagePack, as short as it goes."""
    if value < 128:
        out[at] = value
        return at + 1
    width, mark = 8, 0xCF
    if value < 1 << 8:
        width, mark = 1, 0xCC
    elif value < 1 << 16:
        width, mark = 2, 0xCD
    elif value < 1 << 32:
        width, mark = 4, 0xCE
    out[at] = mark
    return _put_big_endian(out, at + 1, value, width)


@compiled
def _put_count(out, at, count):
    """The beginning of a MessagePack array."""
    if count < 16:
        out[at] = 0x90 | count
        return at + 1
    out[at] = 0xDC
    return _put_big_endian(out, at + 1, count, 2)


@compiled
def _copy(out, first, end, at):
    for index in range(end - first):
        out[at + index] = out[first + index]
    return at + end - first


# What follows writes both forms at once: `pack` is where the MessagePack goes on, `text` where the JSON does.


@compiled
def _both(out, pack, text, packed_piece, text_piece):
    return _put(out, pack, packed_piece), _put(out, text, text_piece)


@compiled
def _both_number(out, pack, text, value):
    return _put_unsigned(out, pack, value), _put_digits(out, text, value)


@compiled
def _both_decimal(out, pack, text, units, decimals):
    end = _put_decimal(out, text, units, decimals)
    out[pack] = 0xA0 | end - text
    return _copy(out, text, end, pack + 1), end


@compiled
def _both_cloid(out, pack, text, revision, order_id):
    end = _put_cloid(out, text, revision, order_id)
    return _copy(out, text, end, pack), end


@compiled
def _order(out, pack, text, desk, leg, revision):
    """An order; without an order id it has no client order id."""
    market = desk.markets[leg["market"]]
    order_id = int(leg["order_id"])
    pack, text = _both(out, pack, text, _P_LEG_CLOID if order_id > 0 else _P_LEG, _J_LEG)
    pack, text = _both_number(out, pack, text, int(market["asset_id"]))
    if leg["side"] > 0:
        pack, text = _both(out, pack, text, _P_BUY, _J_BUY)
    else:
        pack, text = _both(out, pack, text, _P_SELL, _J_SELL)
    pack, text = _both_decimal(out, pack, text, int(leg["price_ticks"]), int(market["price_decimals"]))
    pack, text = _both(out, pack, text, _P_SIZE, _J_SIZE)
    pack, text = _both_decimal(out, pack, text, int(leg["size_lots"]), int(market["size_decimals"]))
    if leg["reduce_only"] != 0:
        pack, text = _both(out, pack, text, _P_REDUCE, _J_REDUCE)
    else:
        pack, text = _both(out, pack, text, _P_NO_REDUCE, _J_NO_REDUCE)
    if leg["time_in_force"] == _ALO:
        pack, text = _both(out, pack, text, _P_ALO, _J_ALO)
    elif leg["time_in_force"] == _GTC:
        pack, text = _both(out, pack, text, _P_GTC, _J_GTC)
    else:
        pack, text = _both(out, pack, text, _P_IOC, _J_IOC)
    if order_id == 0:
        return pack, _put(out, text, _J_END)
    pack, text = _both(out, pack, text, _P_CLOID, _J_CLOID)
    pack, text = _both_cloid(out, pack, text, revision, order_id)
    return pack, _put(out, text, _J_QUOTE_END)


@compiled
def _modification(out, pack, text, desk, leg, mark):
    """What is modified and the order in its place, which has the next client order id."""
    revision = int(mark[_REVISION])
    pack, text = _both(out, pack, text, _P_TARGET, _J_TARGET)
    if mark[_TARGET] > 0:
        pack, text = _both_number(out, pack, text, int(mark[_TARGET]))
    else:
        pack, text = _both(out, pack, text, _P_TEXT_CLOID, _J_QUOTE)
        pack, text = _both_cloid(out, pack, text, revision, int(leg["order_id"]))
        text = _put(out, text, _J_QUOTE)
    pack, text = _both(out, pack, text, _P_NEW_ORDER, _J_NEW_ORDER)
    return _order(out, pack, text, desk, leg, revision + 1)


@compiled
def _cancel(out, pack, text, kind, desk, leg, mark):
    asset_id = int(desk.markets[leg["market"]]["asset_id"])
    if kind == _CANCEL:
        pack, text = _both(out, pack, text, _P_CANCEL, _J_LEG)
        pack, text = _both_number(out, pack, text, asset_id)
        pack, text = _both(out, pack, text, _P_CANCEL_ID, _J_CANCEL_ID)
        pack, text = _both_number(out, pack, text, int(mark[_TARGET]))
        return pack, _put(out, text, _J_END)
    pack, text = _both(out, pack, text, _P_CANCEL_CLOID, _J_CANCEL_CLOID)
    pack, text = _both_number(out, pack, text, asset_id)
    pack, text = _both(out, pack, text, _P_CANCEL_CLOID_ID, _J_CANCEL_CLOID_ID)
    pack, text = _both_cloid(out, pack, text, int(mark[_REVISION]), int(leg["order_id"]))
    return pack, _put(out, text, _J_QUOTE_END)


@compiled
def _begin(out, pack, text, kind, flag):
    """What stands before the legs of an action with a list of them."""
    if kind == _ORDER:
        return _both(out, pack, text, _P_ORDERS, _J_ORDERS)
    if kind == _BATCH_MODIFY:
        return _both(out, pack, text, _P_MODIFIES_ALWAYS if flag != 0 else _P_MODIFIES, _J_MODIFIES)
    if kind == _CANCEL:
        return _both(out, pack, text, _P_CANCELS_FAST if flag != 0 else _P_CANCELS, _J_CANCELS)
    return _both(out, pack, text, _P_BY_CLOID_FAST if flag != 0 else _P_BY_CLOID, _J_BY_CLOID)


@compiled
def _end(out, pack, text, kind, flag):
    """And what stands behind them."""
    if kind == _ORDER:
        return _both(out, pack, text, _P_GROUPING, _J_GROUPING)
    if flag == 0:
        return pack, _put(out, text, _J_CLOSE)
    if kind == _BATCH_MODIFY:
        return _both(out, pack, text, _P_ALWAYS, _J_CLOSE_ALWAYS)
    return _both(out, pack, text, _P_FAST, _J_CLOSE_FAST)


@compiled
def _small_action(out, pack, text, kind, flag, value, asset_id):
    """An action without legs."""
    if kind == _NOOP:
        return _both(out, pack, text, _P_NOOP, _J_NOOP)
    if kind == _SCHEDULE_CANCEL and value == 0:
        return _both(out, pack, text, _P_UNSCHEDULE, _J_UNSCHEDULE)
    if kind == _SCHEDULE_CANCEL:
        pack, text = _both(out, pack, text, _P_SCHEDULE, _J_SCHEDULE)
    else:
        pack, text = _both(out, pack, text, _P_LEVERAGE, _J_LEVERAGE)
        pack, text = _both_number(out, pack, text, asset_id)
        if flag != 0:
            pack, text = _both(out, pack, text, _P_CROSS, _J_CROSS)
        else:
            pack, text = _both(out, pack, text, _P_ISOLATED, _J_ISOLATED)
    pack, text = _both_number(out, pack, text, value)
    return pack, _put(out, text, _J_END)


@compiled
def text_at(memory):
    """Where the JSON begins."""
    return PACK_AT + (len(memory) - PACK_AT) // 2


@compiled
def write_action(kind, flag, value, market, session, legs, marks, desk):
    """Writes the action's MessagePack into `desk.memory` from PACK_AT on and its JSON from `text_at` on; returns where
    they end.

    The arguments are those of `encode`; nothing is checked.
    """
    out, pack, text = desk.memory, PACK_AT, text_at(desk.memory)
    if kind >= _NOOP:
        return _small_action(out, pack, text, kind, flag, value, int(desk.markets[market]["asset_id"]))
    _put_prefix(out, PREFIX_AT, np.int64(desk.words[OWNER_WORD]), session)
    if kind == _MODIFY:
        pack, text = _both(out, pack, text, _P_MODIFY_ALWAYS if flag != 0 else _P_MODIFY, _J_MODIFY)
        pack, text = _modification(out, pack, text, desk, legs[0], marks[0])
        if flag != 0:
            return _both(out, pack, text, _P_ALWAYS, _J_ALWAYS)
        return pack, _put(out, text, _J_END)
    pack, text = _begin(out, pack, text, kind, flag)
    pack = _put_count(out, pack, len(legs))
    for index in range(len(legs)):
        if index > 0:
            text = _put(out, text, _J_COMMA)
        if kind == _ORDER:
            pack, text = _order(out, pack, text, desk, legs[index], int(marks[index, _REVISION]))
        elif kind == _BATCH_MODIFY:
            pack, text = _both(out, pack, text, _P_MAP_OF_2, _J_OPEN)
            pack, text = _modification(out, pack, text, desk, legs[index], marks[index])
            text = _put(out, text, _J_END)
        else:
            pack, text = _cancel(out, pack, text, kind, desk, legs[index], marks[index])
    return _end(out, pack, text, kind, flag)


@compiled
def digest_action(desk, end, nonce, expires_ms):
    """The digest to sign (venue reference 5.1) of the action that ends at `end`, into the first four lanes.

    What is hashed after the action overwrites what stands behind it.
    """
    memory, words = desk.memory, desk.words
    lanes = words[LANES_WORD : LANES_WORD + LANES]
    at = _put_big_endian(memory, end, nonce, 8)
    vault_bytes = int(memory[VAULT_AT])
    for index in range(vault_bytes):
        memory[at + index] = memory[VAULT_AT + 1 + index]
    at += vault_bytes
    if expires_ms != NO_EXPIRY:
        memory[at] = 0
        at = _put_big_endian(memory, at + 1, expires_ms, 8)
    blocks = pad(memory, PACK_AT, at - PACK_AT)
    hash_blocks(words, PACK_AT // 8, blocks, lanes)
    for index in range(4):
        words[AGENT_AT // 8 + index] = lanes[index]
    hash_blocks(words, 0, 1, lanes)
    for index in range(32):
        memory[DIGEST_AT + index] = lanes[index // 8] >> np.uint64(8 * (index % 8)) & np.uint64(255)
    hash_blocks(words, BLOCK_WORDS, 1, lanes)


@compiled
def _placement_fault(leg, default_ns):
    if leg["side"] != 1 and leg["side"] != -1:
        return _FAULT_SIDE
    if leg["price_ticks"] < 1 or leg["price_ticks"] > _PRICE_MAX:
        return _FAULT_PRICE
    if leg["size_lots"] < 1 or leg["size_lots"] > _SIZE_MAX:
        return _FAULT_SIZE
    if leg["time_in_force"] < _ALO or leg["time_in_force"] > _IOC:
        return _FAULT_TIME_IN_FORCE
    return 0 if _expires_ns(leg, default_ns) >= NS_PER_MS else _FAULT_EXPIRY


@compiled
def _expires_ns(leg, default_ns):
    """When a placement expires, 0 when nothing says so."""
    if leg["expires_ns"] != 0 or leg["ts_ns"] <= 0:
        return leg["expires_ns"]
    return leg["ts_ns"] + default_ns


@compiled
def _leg_fault(kind, leg, mark, desk):
    if leg["market"] < 0 or leg["market"] >= len(desk.markets):
        return _FAULT_MARKET
    wanted = _PLACE if kind == _ORDER else _MODIFY_COMMAND if kind >= _BATCH_MODIFY else _CANCEL_COMMAND
    if leg["kind"] != wanted:
        return _FAULT_COMMAND
    if kind == _CANCEL:
        return 0 if mark[_TARGET] > 0 else _FAULT_TARGET
    if leg["order_id"] < 1:
        return _FAULT_ORDER_ID
    if mark[_REVISION] < 0 or mark[_REVISION] > REVISION_MAX - (wanted == _MODIFY_COMMAND):
        return _FAULT_REVISION
    if mark[_TARGET] < 0:
        return _FAULT_TARGET
    if wanted == _CANCEL_COMMAND:
        return 0
    return _placement_fault(leg, np.int64(desk.words[EXPIRY_WORD]))


@compiled
def _first_fault(kind, legs, marks, desk):
    """(fault, leg), (0, 0) when there is none."""
    for index in range(len(legs)):
        fault = _leg_fault(kind, legs[index], marks[index], desk)
        if fault != 0:
            return fault, index
        if kind == _ORDER or kind >= _BATCH_MODIFY:
            is_mixed = (legs[index]["time_in_force"] == _ALO) != (legs[0]["time_in_force"] == _ALO)
            if is_mixed:
                return _FAULT_MIXED, index
    return 0, 0


@compiled
def encode(kind, nonce, flag, value, market, session, legs, marks, markets, memory, words):
    """Writes the action, its JSON and its digest; returns (fault, leg at fault, end of the JSON, expiry in ms).

    `kind` is an ActionKind. `flag`: a fast cancel; a modification that places its order even when the old one is gone;
    cross margin. `value`: the time of a scheduled cancel, 0 to take it back; a leverage. `market` is a leverage's. With
    a fault nothing is written. Placements expire when the first of their orders does, rounded down, so that none
    executes later than the core thinks it can; nothing else expires (NO_EXPIRY). `markets`, `memory` and `words` are a
    Desk's: taken one by one they cost a third of what they cost as a tuple.
    """
    desk = Desk(markets, memory, words)
    fault, leg = _first_fault(kind, legs, marks, desk)
    if fault != 0:
        return fault, leg, 0, NO_EXPIRY
    expires_ms = NO_EXPIRY
    if kind in (_ORDER, _BATCH_MODIFY, _MODIFY):
        expires_ns = _NEVER
        default_ns = np.int64(desk.words[EXPIRY_WORD])
        for index in range(len(legs)):
            expires_ns = min(expires_ns, int(_expires_ns(legs[index], default_ns)))
        expires_ms = expires_ns // NS_PER_MS
    end, text_end = write_action(kind, flag, value, market, session, legs, marks, desk)
    digest_action(desk, end, nonce, expires_ms)
    return 0, 0, text_end, expires_ms
