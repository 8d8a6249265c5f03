"""Writes the book changes of a node as it writes them by block, seeded: orders that come and go around a price.

Twenty changes a block of two coins: half of them new orders within forty steps of the middle, most others taken away
again, some made smaller; nobody ever crosses. Equal arguments give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hlhft.data.markets import find
from tests.bench.archived import LATENCY_NS, MILLISECOND_NS, PRICES, clock_text

COINS = ("BTC", "ETH")
FIRST_HEIGHT, FIRST_MS, BLOCK_MS = 900_000_000, 1_775_001_600_000, 75
CHANGES_A_BLOCK = 20
RESTING = 3_000  # orders of both coins that rest on average
STEPS = 40
SHRINKS = 0.06  # of the changes


def change_lines(blocks: int, *, seed: int = 1) -> Iterator[bytes]:
    """`blocks` lines of node_raw_book_diffs_by_block, the first of a book without an order."""
    random = np.random.default_rng(seed)
    markets = {coin: find(coin) for coin in COINS}
    resting: list[tuple[int, str, str, str, int]] = []  # order id, coin, side, price, lots
    next_id = 1_000_000
    for number in range(blocks):
        shape = CHANGES_A_BLOCK
        draws, places = random.random(shape).tolist(), random.random(shape).tolist()
        away, lots = random.integers(1, STEPS, shape).tolist(), random.integers(2, 5_000, shape).tolist()
        changes = []
        for draw, place, steps, size in zip(draws, places, away, lots, strict=True):
            at = int(place * len(resting))
            if len(resting) < 20 or draw < 0.5 + 0.25 * (RESTING - len(resting)) / RESTING:
                coin, side = COINS[next_id % 2], "BA"[int(place * 1e6) % 2]
                first, step = PRICES[coin]
                ticks = first - steps * step if side == "B" else first + steps * step
                price = markets[coin].price_text(ticks)
                resting.append((next_id, coin, side, price, size))
                what = f'{{"new":{{"sz":"{markets[coin].size_text(size)}"}}}}'
                changes.append(_change(resting[-1], what))
                next_id += 1
            elif draw > 1 - SHRINKS and resting[at][4] > 1:
                order = resting[at]
                resting[at] = (*order[:4], order[4] // 2)
                was, now = (markets[order[1]].size_text(held) for held in (order[4], order[4] // 2))
                changes.append(_change(order, f'{{"update":{{"origSz":"{was}","newSz":"{now}"}}}}'))
            else:
                order = resting[at]
                resting[at] = resting[-1]
                resting.pop()
                changes.append(_change(order, '"remove"'))
        at_ns = (FIRST_MS + number * BLOCK_MS) * MILLISECOND_NS + 456_789
        yield (
            f'{{"local_time":"{clock_text(at_ns + LATENCY_NS)}","block_time":"{clock_text(at_ns)}",'
            f'"block_number":{FIRST_HEIGHT + number},"events":[{",".join(changes)}]}}\n'
        ).encode()


def _change(order: tuple[int, str, str, str, int], what: str) -> str:
    number, coin, side, price, _ = order
    return (
        f'{{"user":"0x{number % 997:040x}","oid":{number},"coin":"{coin}","side":"{side}","px":"{price}",'
        f'"raw_book_diff":{what}}}'
    )
