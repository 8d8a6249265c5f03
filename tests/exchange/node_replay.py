"""Reads a node's files back by the letter of the reference, as slowly and plainly as can be: what they are held to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hlhft.data.times import utc_ns
from hlhft.exchange.listing import Listing
from hlhft.exchange.node_text import SUFFIX, Layout, Stream
from tests.exchange.node_sample import Rests

Order = dict[str, Any]
Queues = dict[tuple[str, str, str], list[Order]]  # by coin, side and price text; oldest first


def lines(folder: Path, stream: Stream, layout: Layout) -> Iterator[Any]:
    """Every line of a stream, decoded, hour by hour."""
    root = folder / f"{stream.value}{SUFFIX[layout]}" / "hourly"
    for path in sorted(root.glob("*/*"), key=lambda path: (path.parent.name, int(path.name))):
        text = path.read_text()
        assert text.endswith("\n")
        for line in text.splitlines():
            yield json.loads(line)


def by_height(folder: Path, stream: Stream, layout: Layout) -> dict[int, list[Any]]:
    """The events of each block, of the layouts that name them."""
    found: dict[int, list[Any]] = {}
    for line in lines(folder, stream, layout):
        assert list(line) == ["local_time", "block_time", "block_number", "events"]
        found.setdefault(line["block_number"], []).extend(line["events"])
    return found


def queues_of(snapshot: Any) -> Queues:
    """The books of a snapshot with users."""
    queues: Queues = {}
    for coin, sides in snapshot:
        for side in sides:
            for user, order in side:
                queues.setdefault((coin, order["side"], order["limitPx"]), []).append({**order, "user": user})
    return queues


def enters(status: Any) -> bool:
    """Whether an order may enter the book with this status (the rules of the public order book server)."""
    order = status["order"]
    if order["isTrigger"]:
        return bool(status["status"] == "triggered")
    return bool(status["status"] == "open" and order["tif"] != "Ioc")


def apply(queues: Queues, statuses: list[Any], diffs: list[Any]) -> None:
    """One block. Asserts that each diff fits what is there."""
    entering = {status["order"]["oid"]: status for status in statuses if enters(status)}
    for diff in diffs:
        key = (diff["coin"], diff["side"], diff["px"])
        queue = queues.setdefault(key, [])
        change = diff["raw_book_diff"]
        place = next((at for at, order in enumerate(queue) if order["oid"] == diff["oid"]), None)
        if isinstance(change, dict) and "new" in change:
            assert place is None, diff
            status = entering.pop(diff["oid"])
            assert status["user"] == diff["user"]
            order = {**status["order"], "user": diff["user"], "sz": change["new"]["sz"]}
            if order["isTrigger"]:  # it stands in the queue since it was triggered
                order["timestamp"] = utc_ns(status["time"]) // 1_000_000
            ahead_of = change["new"].get("insertBefore")
            at = len(queue) if ahead_of is None else [order["oid"] for order in queue].index(ahead_of)
            queue.insert(at, order)
            continue
        assert place is not None, diff
        assert queue[place]["user"] == diff["user"]
        if change == "remove":
            del queue[place]
        else:
            assert queue[place]["sz"] == change["update"]["origSz"], diff
            queue[place]["sz"] = change["update"]["newSz"]
        if not queue:
            del queues[key]


def as_books(queues: Queues, listing: Listing, account_of: Any) -> dict[str, tuple[list[Rests], list[Rests]]]:
    """The same in the kernel's numbers: best price first, oldest first."""
    books: dict[str, tuple[list[Rests], list[Rests]]] = {name: ([], []) for name in listing.names}
    for (coin, side, price), queue in queues.items():
        row = listing.row_of(coin)
        assert row is not None
        market = listing.markets[row].market
        for order in queue:
            rests = Rests(
                order["oid"], market.ticks(price), market.lots(order["sz"]), order["timestamp"],
                account_of(order["user"]),
            )  # fmt: skip
            books[coin][0 if side == "B" else 1].append(rests)
    for bids, asks in books.values():
        bids.sort(key=lambda rests: -rests.ticks)
        asks.sort(key=lambda rests: rests.ticks)
    return books
