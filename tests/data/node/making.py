"""Random order flow, a plain book of lists that follows it, and the lines that a node would write of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hlhft.data.markets import find

BTC, ETH = find("BTC"), find("ETH")
COINS = {"BTC": BTC, "ETH": ETH}
FIRST_HEIGHT = 1_000
FIRST_MS = 1_700_000_000_000
BLOCK_MS = 75
DELAY_NS = 300_000_123
USERS = tuple(f"0x{number:040x}" for number in range(1, 5))


def iso(time_ns: int) -> str:
    """A time as the node writes it."""
    seconds = np.datetime64(time_ns // 1_000_000_000, "s")
    return f"{seconds}.{time_ns % 1_000_000_000:09d}"


def block_ms(height: int) -> int:
    """When a block was."""
    return FIRST_MS + (height - FIRST_HEIGHT) * BLOCK_MS


@dataclass
class Order:
    """A resting order; `placed_ms` is that of the order it was let in before, where that is earlier."""

    oid: int
    user: str
    coin: str
    side: str
    ticks: int
    lots: int
    placed_ms: int


@dataclass
class Block:
    """What one block did, in the node's words."""

    height: int
    diffs: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    fills: list[list[Any]] = field(default_factory=list)

    def line(self, events: list[Any]) -> bytes:
        time_ns = block_ms(self.height) * 1_000_000 + 456_789
        block = {"local_time": iso(time_ns + DELAY_NS), "block_time": iso(time_ns), "block_number": self.height}
        return json.dumps(block | {"events": events}, separators=(",", ":")).encode() + b"\n"


class Lists:
    """Books as lists of orders, and what the node writes of what happens to them."""

    def __init__(self) -> None:
        self.queues: dict[tuple[str, str, int], list[Order]] = {}
        self.next_id = 1_000_001
        self.block = Block(FIRST_HEIGHT)

    def orders(self) -> list[Order]:
        return [order for queue in self.queues.values() for order in queue]

    def _diff(self, order: Order, what: Any) -> None:
        market = COINS[order.coin]
        self.block.diffs.append(
            {"user": order.user, "oid": order.oid, "coin": order.coin, "side": order.side,
             "px": market.price_text(order.ticks), "raw_book_diff": what}
        )  # fmt: skip

    def size(self, order: Order, lots: int | None = None) -> str:
        return COINS[order.coin].size_text(order.lots if lots is None else lots)

    def best(self, coin: str, side: str) -> int | None:
        prices = [ticks for (c, s, ticks), queue in self.queues.items() if (c, s) == (coin, side) and queue]
        return None if not prices else max(prices) if side == "B" else min(prices)

    def place(self, coin: str, side: str, ticks: int, lots: int, user: str, before: Order | None = None) -> Order:
        """A new order that takes first what it crosses."""
        order = Order(self.next_id, user, coin, side, ticks, lots, block_ms(self.block.height))
        self.next_id += 1
        market = COINS[coin]
        self.block.statuses.append(
            {"time": iso(block_ms(self.block.height) * 1_000_000), "user": user, "status": "open",
             "order": {"coin": coin, "side": side, "limitPx": market.price_text(ticks), "sz": self.size(order),
                       "oid": order.oid, "timestamp": order.placed_ms, "triggerCondition": "N/A", "isTrigger": False,
                       "triggerPx": "0.0", "children": [], "tif": "Gtc", "cloid": None}}
        )  # fmt: skip
        while order.lots and (touch := self.best(coin, "A" if side == "B" else "B")) is not None:
            if (touch > ticks) if side == "B" else (touch < ticks):
                break
            self._match(order, self.queues[coin, "A" if side == "B" else "B", touch])
        if order.lots:
            queue = self.queues.setdefault((coin, side, ticks), [])
            what: dict[str, Any] = {"sz": self.size(order)}
            if before is not None and before in queue:
                what["insertBefore"] = before.oid
                order.placed_ms = min(order.placed_ms, before.placed_ms)
                queue.insert(queue.index(before), order)
            else:
                queue.append(order)
            self._diff(order, {"new": what})
        return order

    def _match(self, taker: Order, queue: list[Order]) -> None:
        maker = queue[0]
        lots = min(taker.lots, maker.lots)
        taker.lots -= lots
        maker.lots -= lots
        market, tid = COINS[taker.coin], 5_000_000 + len(self.block.fills) + self.block.height * 1000
        for order, crossed in (taker, True), (maker, False):
            self.block.fills.append(
                [order.user,
                 {"coin": order.coin, "px": market.price_text(maker.ticks), "sz": market.size_text(lots),
                  "side": order.side, "time": block_ms(self.block.height), "oid": order.oid, "crossed": crossed,
                  "tid": tid, "hash": "0x0", "fee": "0.0"}]
            )  # fmt: skip
        if maker.lots:
            was = self.size(maker, maker.lots + lots)
            self._diff(maker, {"update": {"origSz": was, "newSz": self.size(maker)}})
        else:
            queue.pop(0)
            self._diff(maker, "remove")

    def cancel(self, order: Order) -> None:
        self.queues[order.coin, order.side, order.ticks].remove(order)
        self._diff(order, "remove")

    def shrink(self, order: Order, lots: int) -> None:
        """A modify that keeps its place."""
        was = self.size(order)
        order.lots = lots
        self._diff(order, {"update": {"origSz": was, "newSz": self.size(order)}})

    def end_block(self) -> Block:
        done, self.block = self.block, Block(self.block.height + 1)
        return done

    def levels(self, coin: str, side: str) -> dict[int, tuple[int, int]]:
        """(lots, orders) by ticks."""
        return {
            ticks: (sum(order.lots for order in queue), len(queue))
            for (c, s, ticks), queue in self.queues.items()
            if (c, s) == (coin, side) and queue
        }

    def snapshot(self) -> bytes:
        """The answer to fileSnapshot after the newest block that ended."""
        books = []
        for coin in COINS:
            sides = []
            for side in "BA":
                prices = sorted((t for c, s, t in self.queues if (c, s) == (coin, side)), reverse=side == "B")
                sides.append([self._rests(order) for ticks in prices for order in self.queues[coin, side, ticks]])
            books.append([coin, sides])
        return json.dumps([self.block.height - 1, books]).encode()

    def _rests(self, order: Order) -> list[Any]:
        price = COINS[order.coin].price_text(order.ticks)
        return [order.user, {"coin": order.coin, "side": order.side, "limitPx": price, "sz": self.size(order),
                             "oid": order.oid, "timestamp": order.placed_ms, "isTrigger": False,
                             "tif": "Alo"}]  # fmt: skip


def random_blocks(seed: int, blocks: int, steps: int = 6, coins: tuple[str, ...] = ("BTC", "ETH")) -> tuple[
    Lists, list[Block]
]:  # fmt: skip
    """(books after it, blocks) of random flow around a fixed price; the same for the same seed."""
    generator = np.random.default_rng(seed)
    lists, out = Lists(), []
    for _ in range(blocks):
        for _ in range(int(generator.integers(0, steps + 1))):
            random_step(lists, generator, coins)
        out.append(lists.end_block())
    return lists, out


def random_step(lists: Lists, generator: np.random.Generator, coins: tuple[str, ...]) -> None:
    """One thing that somebody does."""
    what, coin = int(generator.integers(0, 10)), coins[int(generator.integers(0, len(coins)))]
    resting = lists.orders()
    user = USERS[int(generator.integers(0, len(USERS)))]
    chosen = resting[int(generator.integers(0, len(resting)))] if resting else None
    lots = int(generator.integers(1, 20)) * 100
    side = "B" if generator.integers(0, 2) else "A"
    middle = 600_000 if coin == "BTC" else 30_000
    away = int(generator.integers(0, 6))
    if what < 5 or chosen is None:
        lists.place(coin, side, middle - away if side == "B" else middle + 1 + away, lots, user)
    elif what == 5:
        lists.place(coin, side, middle + away if side == "B" else middle - away, lots, user)
    elif what == 6:
        lists.place(chosen.coin, chosen.side, chosen.ticks, lots, user, before=chosen)
    elif what == 7 and chosen.lots > 1:
        lists.shrink(chosen, int(generator.integers(1, chosen.lots)))
    else:
        lists.cancel(chosen)


def text_of(blocks: list[Block], what: str) -> bytes:
    """The lines of one stream ("diffs", "statuses" or "fills"), a block each."""
    return b"".join(block.line(getattr(block, what)) for block in blocks)
