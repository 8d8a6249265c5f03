"""A node's files made from a seed, without a process: an embedded exchange runs some blocks and writes them.

    sample = write_sample(folder, layout=Layout.BY_BLOCK, seed=7)

Beside the synthetic flow there trade two clients that do what the flow does not: they pay for priority, modify, leave
stops and reduce-only orders, trade with themselves, place what is refused. The snapshot is that of some block in
between; `sample.books` are the kernel's own books after each block from there on.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hlhft.exchange.machine import Machine
from hlhft.exchange.node_files import NodeFiles
from hlhft.exchange.node_orders import ASKS, BIDS, queue
from hlhft.exchange.node_text import Layout
from hlhft.exchange.opening import open_machine, open_settings
from hlhft.exchange.settings import ExchangeSettings
from hlhft.units import MICRO
from tests.exchange.clients import Client, order, orders, stop

START_NS = 1_790_002_790_000_000_000  # ten seconds before a full hour
LOCAL_DELAY_NS = 1_234_567  # of the node's clock behind the block's


class Rests(NamedTuple):
    """One order of the kernel's book."""

    oid: int
    ticks: int
    lots: int
    placed_ms: int
    account: int


Book = tuple[list[Rests], list[Rests]]  # bids, asks, each as they would be filled


@dataclass(slots=True)
class Sample:
    folder: Path
    layout: Layout
    machine: Machine
    snapshot: Path
    snapshot_height: int = 0
    heights: list[int] = field(default_factory=list)  # of every block in the files
    times_ns: dict[int, int] = field(default_factory=dict)  # by height
    books: dict[int, dict[str, Book]] = field(default_factory=dict)  # by height, from the snapshot on, and coin


def books_of(machine: Machine) -> dict[str, Book]:
    """The kernel's books by coin."""
    chain = machine.kernel.chain
    return {
        name: (_rests(queue(chain, row, BIDS)), _rests(queue(chain, row, ASKS)))
        for row, name in enumerate(machine.settings.listing.names)
    }


def _rests(records: Any) -> list[Rests]:
    return [
        Rests(
            int(one["order_id"]), int(one["price_ticks"]), int(one["remaining_lots"]),
            int(one["placed_ns"]) // 1_000_000, int(one["account"]),
        )
        for one in records
    ]  # fmt: skip


def write_sample(
    folder: Path,
    *,
    layout: Layout = Layout.BY_BLOCK,
    seed: int = 1,
    blocks: int = 150,
    snapshot_after: int = 20,
    coins: tuple[str, ...] = ("BTC", "ETH"),
    start_ns: int = START_NS,
    with_clients: bool = True,
) -> Sample:
    """Writes the files of `blocks` blocks and the snapshot after `snapshot_after` of them."""
    settings = open_settings(list(coins), seed=seed, start_ns=start_ns, with_limits=False, with_delays=False)
    machine = open_machine(settings, synthetic=True)
    clients = [Client(machine, number) for number in (7, 8)]
    for _ in range(2):  # the flow's money, and its first orders
        machine.advance(machine.next_deadline_ns())
    files = NodeFiles(folder, machine, layout, local_ns=lambda: machine.time_ns + LOCAL_DELAY_NS)
    sample = Sample(folder, layout, machine, snapshot=folder / "snapshot.json")
    draw = random.Random(seed)
    for number in range(blocks):
        now_ns = machine.next_deadline_ns()
        if with_clients:
            for client in clients:
                for action in _wishes(client, settings, draw):
                    machine.admit(client.body(action), client.label, now_ns)
        for block in machine.advance(now_ns).blocks:
            files.write(block)
            assert not files.fault, files.fault
            sample.heights.append(block.height)
            sample.times_ns[block.height] = block.time_ns
        if number + 1 == snapshot_after:
            sample.snapshot_height = machine.height
            assert files.snapshot(snapshot_request(sample.snapshot)).status == 200
        if number + 1 >= snapshot_after:
            sample.books[machine.height] = books_of(machine)
    files.close()
    return sample


def snapshot_request(path: Path, *, users: bool = True, triggers: bool = False, height: bool = True) -> bytes:
    request = {"type": "l4Snapshots", "includeUsers": users, "includeTriggerOrders": triggers}
    body = {"type": "fileSnapshot", "request": request, "outPath": str(path), "includeHeightInOutput": height}
    return json.dumps(body).encode()


def _wishes(client: Client, settings: ExchangeSettings, draw: random.Random) -> list[dict[str, Any]]:
    """What a client wants of the next block: nothing, or one of what it can do, near the price."""
    asset = draw.randrange(len(settings.listing.markets))
    market = settings.listing.markets[asset].market
    bid, ask = (int(ticks) for ticks in client.machine.kernel.touch()[asset])
    if not bid or not ask:
        return []
    buy = draw.random() < 0.5
    step = max(1, int(market.grid_step(bid)))
    away = draw.choice((0, 0, 0, 1, 2)) * step
    passive = market.price_text(bid - away if buy else ask + away)
    taking = market.price_text(ask + away if buy else bid - away)
    lots = max(1, 20 * MICRO * draw.randrange(1, 40) // bid)  # 20 to 800 USDC
    size = market.size_text(lots)
    resting = client.machine.records.account(client.machine.addresses.number(client.address) or 0).open
    kind = draw.choice(("alo", "gtc", "ioc", "paid", "paid", "modify", "cancel", "stop", "reduce", "small", "nothing"))
    basic = {"asset": asset, "buy": buy, "size": size}
    if kind == "alo":
        return [orders(order(**basic, price=passive, tif="Alo"))]
    if kind == "gtc":
        return [orders(order(**basic, price=taking, tif="Gtc"))]
    if kind == "ioc":
        return [orders(order(**basic, price=taking, tif="Ioc"))]
    if kind == "paid":
        rate = draw.choice((1000, 2000, 3000))
        return [orders(order(**basic, price=passive, tif="Alo"), grouping={"p": rate})]
    if kind == "stop":
        return [orders(order(**basic, price=passive, trigger=stop(taking, is_market=draw.random() < 0.5)))]
    if kind == "reduce":
        return [orders(order(**basic, price=passive, tif="Gtc", reduce=True))]
    if kind == "small":
        return [orders(order(asset=asset, buy=buy, price=passive, size=market.size_text(1), tif="Gtc"))]
    if kind in ("modify", "cancel") and resting:
        old = draw.choice(list(resting.values()))
        if kind == "cancel":
            return [{"type": "cancel", "cancels": [{"a": old.row, "o": old.oid}]}]
        if old.row == asset:
            return [{"type": "modify", "oid": old.oid, "order": order(**basic, price=passive, tif="Alo")}]
    return []
