"""All that is compiled is loaded, or compiled, before a market is listened to: the first frame is as fast as the next.

A brain that nobody uses afterwards steps over frames like those to come: books, touches, trades, contexts, a timer and
news of its own orders, decoded from the venue's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from hlhft.core.brain import Brain
from hlhft.data.node.decoding import Decoder as NodeDecoder
from hlhft.data.node.decoding import Stream
from hlhft.data.node.joining import Joiner
from hlhft.events import EventFlag, EventKind, empty
from hlhft.hyperliquid.decode import Decoder
from hlhft.units import TICKS_MAX, Market

NS = 1_000_000_000
ROUNDS = 3
PRICE = 1000  # where the ticks of a market allow it: those of spot are fine
_BOOK = (
    '{"channel":"l2Book","data":{"coin":"%s","time":%d,"levels":[[{"px":"%s","sz":"%s","n":1}],'
    '[{"px":"%s","sz":"%s","n":1}]]%s}}'
)
_BBO = (
    '{"channel":"bbo","data":{"coin":"%s","time":%d,"bbo":[{"px":"%s","sz":"%s","n":1},{"px":"%s","sz":"%s","n":1}]}}'
)
_TRADES = (
    '{"channel":"trades","data":[{"coin":"%s","side":"B","px":"%s","sz":"%s","time":%d,"hash":"0x00","tid":1,'
    '"users":["",""]}]}'
)
_CONTEXT = (
    '{"channel":"activeAssetCtx","data":{"coin":"%s","ctx":{"funding":"0.0000125","openInterest":"1.0",'
    '"oraclePx":"%s","markPx":"%s","premium":"0.0"}}}'
)
_USER = "0x" + 40 * "0"
_NODE_LINE = '{"local_time":"%s.000000001","block_time":"%s.000000000","block_number":%d,"events":[%s]}\n'
_DIFF = f'{{"user":"{_USER}","oid":7,"coin":"%(coin)s","side":"B","px":"%(px)s","raw_book_diff":'
_STATUS = (
    f'{{"time":"1970-01-01T00:00:00.000000000","user":"{_USER}","hash":"0x00","builder":null,"status":"open","order":'
    '{"coin":"%(coin)s","side":"B","limitPx":"%(px)s","sz":"%(sz)s","oid":7,"timestamp":1,"triggerCondition":"N/A",'
    '"isTrigger":false,"triggerPx":"0.0","children":[],"isPositionTpsl":false,"reduceOnly":false,"orderType":"Limit",'
    '"origSz":"%(sz)s","tif":"Alo","cloid":null}}'
)
_FILL = (
    f'["{_USER}",{{"coin":"%(coin)s","px":"%(px)s","sz":"%(sz)s","side":"A","time":1,"startPosition":"0.0","dir":'
    '"Open Short","closedPnl":"0.0","hash":"0x00","oid":8,"crossed":true,"fee":"0.0","tid":1,"feeToken":"USDC"}]'
)
# Three blocks, the same in each file: an order comes, becomes another, and goes with a trade.
_NODE_EVENTS = {
    Stream.DIFFS: (
        _DIFF + '{"new":{"sz":"%(sz)s"}}}',
        _DIFF + '{"update":{"origSz":"%(sz)s","newSz":"%(sz)s"}}}',
        _DIFF + '"remove"}',
    ),
    Stream.STATUSES: (_STATUS, "", ""),
    Stream.FILLS: ("", "", _FILL),
}


def warm(brain: Brain, markets: Sequence[Market], *, now_ns: int) -> int:
    """Steps `brain`, which is thrown away, over frames of the first of `markets`; returns how many commands it led
    to."""
    decoder = Decoder(markets)
    lane = brain.lane.lane
    lane["connected"] = 1
    lane["starting_equity_micro"] = lane["equity_micro"] = 10**15
    lane["address_initial"] = lane["address_allowance"] = 10**9
    commands = 0
    for number in range(ROUNDS):
        at_ns = now_ns + number * NS
        for frame in _frames(markets[0], at_ns // 1_000_000):
            count = decoder.decode(frame.encode(), at_ns)
            assert count > 0, f"this frame is like the venue's: {frame}"
            commands += brain.step(decoder.events, count)
        commands += _news(brain, at_ns + 1)
    brain.next_deadline_ns()
    return commands


def warm_node(markets: Sequence[Market], *, now_ns: int) -> int:
    """Reads lines like a node's of the first of `markets`; returns how many events they told."""
    market, seconds = markets[0], f"{datetime.fromtimestamp(now_ns // NS, UTC):%Y-%m-%dT%H:%M:%S}"
    price, size = _prices(market)[0], market.size_text(1)
    decoder = NodeDecoder(markets)
    joiner = Joiner(markets, Stream, by_block=True, orders_max=64, levels_max=64)
    joiner.begin_empty()
    for stream, told in _NODE_EVENTS.items():
        for height, event in enumerate(told):
            line = _NODE_LINE % (seconds, seconds, height, event % {"coin": market.name, "px": price, "sz": size})
            decoded = decoder.read(stream, line.encode())
            assert not decoded.unreadable, f"this line is like a node's: {line}"
            joiner.add(stream, decoded)
    return len(joiner.take().events)


def _prices(market: Market) -> tuple[str, str]:
    """A price on either side of the middle."""
    middle = min(PRICE * 10**market.price_decimals, TICKS_MAX // 2)
    bid, ask = (market.price_text(market.quantise(middle * far, side=side)) for far, side in ((0.999, 1), (1.001, -1)))
    return bid, ask


def _frames(market: Market, time_ms: int) -> tuple[str, ...]:
    bid, ask = _prices(market)
    size, name = market.size_text(1000 * 10**market.size_decimals), market.name
    return (
        _BOOK % (name, time_ms, bid, size, ask, size, ""),
        _BOOK % (name, time_ms, bid, size, ask, size, ',"fast":true'),
        _BBO % (name, time_ms, bid, size, ask, size),
        _TRADES % (name, ask, size, time_ms),
        _CONTEXT % (name, bid, ask),
    )


def _news(brain: Brain, now_ns: int) -> int:
    """A timer, an action sent, and the fates of whatever orders there are."""
    rows: list[tuple[int, ...]] = [
        (0, now_ns, 0, 0, 1, now_ns - 1000, now_ns, int(EventKind.COMMAND_SENT), 0, 0, 0, 0),
        (0, now_ns, 0, 0, 0, 0, 0, int(EventKind.TIMER), int(EventFlag.FRAME_END), 0, 0, 0),
    ]
    orders = brain.lane.orders[0]
    for order in orders[orders["order_id"] > 0][:2]:
        acknowledged = (int(order["price_ticks"]), int(order["size_lots"]), int(order["order_id"]))
        rows.insert(
            0, (now_ns, now_ns, *acknowledged, 1, 0, int(EventKind.ORDER_ACKNOWLEDGED), 0, 0, int(order["side"]), 0)
        )
    events = empty(len(rows))
    events[:] = np.array(rows, dtype=events.dtype)
    return brain.step(events, len(rows))
