"""All that is compiled is loaded, or compiled, before a market is listened to: the first frame is as fast as the next.

A brain that nobody uses afterwards steps over frames like those to come: books, touches, trades, contexts, a timer and
news of its own orders, decoded from the venue's text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hlhft.core.brain import Brain
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


def _frames(market: Market, time_ms: int) -> tuple[str, ...]:
    middle = min(PRICE * 10**market.price_decimals, TICKS_MAX // 2)
    bid, ask = (market.price_text(market.quantise(middle * far, side=side)) for far, side in ((0.999, 1), (1.001, -1)))
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
