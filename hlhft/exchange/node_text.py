"""What a node writes of each block: the fills, the statuses of every order, the changes of the order-level book.

Sources: venue reference sections 11 and 12. Pure text: blocks in, lines out; `hlhft.exchange.node_files` writes them.

An event is JSON, three kinds of it, every account's:

- fill: `[user, fill]`, both sides of a trade, the buyer's first;
- status: `{"time","user","hash","builder","status","order"}`, when an order begins to rest or wait (`open`), is
  `triggered`, and when it ends: `filled`, `canceled` or why else, or a refusal by the venue's name. What is filled in
  part has no status;
- diff: `{"user","oid","coin","side","px","raw_book_diff"}`, with `{"new":{"sz"}}`, `{"update":{"origSz","newSz"}}` or
  `"remove"`. A new order goes to the end of its level, one that paid for priority directly ahead of the order that
  `insertBefore` names. What waits for a trigger has none until it rests.

And each in one of three layouts, all below `{stream}/hourly/{YYYYMMDD}/{H}`, the hour without a leading zero:

- HOURLY, `node_fills`: one event a line; a diff has the block's `time` first;
- BY_BLOCK, `node_fills_by_block`: one line a block, `{"local_time","block_time","block_number","events"}`, also of one
  without events;
- STREAM, `node_fills_streaming`: the same lines with one event each; a block without events has one line (the suffix
  is that of public readers of such files, the documentation is silent; the empty line is unverified).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.exchange.block import Block
from hlhft.exchange.fill_records import HASH_NONE, FillRecord, TradeRecord
from hlhft.exchange.listing import Listing
from hlhft.exchange.memory import Names, RecordSettings
from hlhft.exchange.node_orders import ASKS, BIDS, queue, records_of
from hlhft.exchange.order_records import SIDE_TEXT, OrderUpdate
from hlhft.exchange.records import Records
from hlhft.hyperliquid.wire import answer_number
from hlhft.venue.blocks import ActionKind
from hlhft.venue.chain_state import Chain

SECOND_NS = 1_000_000_000
# What is remembered of each account beside its open orders: nobody asks, the lines are all there is.
_FORGETFUL = RecordSettings(
    statuses_max=1, orders_finished_max=16, fills_max=1, payments_max=1, ledger_updates_max=1, twap_statuses_max=1,
    trades_max=1, rates_max=1, candles_max=1, tells_partial_fills=False,
)  # fmt: skip
_DIFF_FIELDS = ["kind", "flags", "account", "market", "side", "price_ticks", "size_lots", "aux0", "venue_order_id"]
_DIFF_FIELDS += ["leg", "ts_exch_ns"]
_ACKNOWLEDGED, _FILLED, _CANCELLED = (
    int(kind) for kind in (EventKind.ORDER_ACKNOWLEDGED, EventKind.ORDER_FILLED, EventKind.ORDER_CANCELLED)
)
_ORDER_LEGS = (int(ActionKind.PLACE), int(ActionKind.MODIFY), int(ActionKind.PLACE_TRIGGER))
_encode = msgspec.json.Encoder().encode


class Stream(Enum):
    """What is written; the value is the name of its folder."""

    FILLS = "node_fills"
    STATUSES = "node_order_statuses"
    DIFFS = "node_raw_book_diffs"


class Layout(Enum):
    """How it is written; the value is what people call it."""

    HOURLY = "hourly"
    BY_BLOCK = "by-block"  # --batch-by-block
    STREAM = "stream"  # --stream-with-block-info


SUFFIX: Mapping[Layout, str] = {Layout.HOURLY: "", Layout.BY_BLOCK: "_by_block", Layout.STREAM: "_streaming"}


@dataclass(slots=True, kw_only=True, eq=False)
class NodeBlock:
    """One block's events as JSON, in the order in which they happened."""

    height: int
    time_ns: int
    events: dict[Stream, list[bytes]]


@dataclass(slots=True, kw_only=True, eq=False)
class _Standing:
    """An order of the book."""

    place: tuple[int, int, int]  # row of its market, side, price in ticks
    lots: int
    rate_e8: int  # what it paid for priority
    placed_ns: int


@dataclass(slots=True, eq=False)
class _Heard:
    """What the memory tells of one block: as hlhft.exchange.memory.Listener."""

    statuses: list[tuple[OrderUpdate, int]] = field(default_factory=list)
    fills: list[FillRecord] = field(default_factory=list)

    def order(self, update: OrderUpdate, leg: int) -> None:
        """An order reached a status."""
        self.statuses.append((update, leg))

    def fill(self, fill: FillRecord) -> None:
        """One side of a trade."""
        self.fills.append(fill)

    def trade(self, trade: TradeRecord) -> None:
        """A trade, which its two sides tell as well."""


class NodeText:
    """Makes the events of one block after the other, from the state of an exchange on."""

    def __init__(self, chain: Chain, listing: Listing, names: Names) -> None:
        """`chain` is read here only: what rests and waits in it was never new."""
        self._listing = listing
        self._names = names
        self._heard = _Heard()
        self._records = Records(listing, names, _FORGETFUL, listener=self._heard)
        self._builders: dict[int, dict[str, object]] = {}  # of open orders that pay one
        self._priority_window_ns = int(chain.exchange.rules[0]["priority_window_ns"])
        self._standing: dict[int, _Standing] = {}
        self._levels: dict[tuple[int, int, int], dict[int, None]] = {}  # ids in the order of the queue
        for record in records_of(chain, listing, names).values():
            self._records.remember(record)
        for row in range(len(listing.markets)):
            for side in (BIDS, ASKS):
                for order in queue(chain, row, side):
                    self._seat(order)

    def _seat(self, order: np.void) -> None:
        oid, place = int(order["order_id"]), (int(order["market"]), int(order["side"]), int(order["price_ticks"]))
        self._standing[oid] = _Standing(
            place=place,
            lots=int(order["remaining_lots"]),
            rate_e8=int(order["priority_rate_e8"]),
            placed_ns=int(order["placed_ns"]),
        )
        self._levels.setdefault(place, {})[oid] = None
        if order["builder"]:
            self._builders[oid] = self._builder(order)

    def take(self, block: Block) -> NodeBlock:
        """The events of the block that comes next."""
        heard = self._heard
        heard.statuses.clear()
        heard.fills.clear()
        self._records.apply(block)
        time_text = iso(block.time_ns)
        return NodeBlock(
            height=block.height,
            time_ns=block.time_ns,
            events={
                Stream.FILLS: [_encode([self._names.address_of(fill.account), fill.json()]) for fill in heard.fills],
                Stream.STATUSES: [self._status(update, leg, block, time_text) for update, leg in heard.statuses],
                Stream.DIFFS: [_encode(diff) for diff in self._diffs(block)],
            },
        )

    # Statuses.

    def _status(self, update: OrderUpdate, leg: int, block: Block, time_text: str) -> bytes:
        order = update.order
        if leg >= 0 and order.oid not in self._builders:
            row = block.legs[leg]
            if row["builder"] and int(row["account"]) == order.account and int(row["kind"]) in _ORDER_LEGS:
                self._builders[order.oid] = self._builder(row)
        builder = self._builders.get(order.oid)
        if update.status not in ("open", "triggered"):
            self._builders.pop(order.oid, None)
        return _encode(
            {
                "time": time_text,
                "user": self._names.address_of(order.account),
                "hash": block.hashes[leg] if leg >= 0 else HASH_NONE,
                "builder": builder,
                "status": update.status,
                "order": order.frontend(update.lots),
            }
        )

    def _builder(self, record: np.void) -> dict[str, object]:
        """The builder of an order or a leg, and its fee in tenths of a basis point, as an action names them."""
        return {"b": self._names.address_of(int(record["builder"]) - 1), "f": int(record["builder_rate_e9"]) // 10_000}

    # Diffs.

    def _diffs(self, block: Block) -> list[dict[str, object]]:
        diffs: list[dict[str, object]] = []
        events = block.events
        kinds = events["kind"]
        is_maker = (events["flags"] & int(EventFlag.MAKER)) != 0
        told = (kinds == _ACKNOWLEDGED) | (kinds == _CANCELLED) | ((kinds == _FILLED) & is_maker)
        for kind, _, account, row, side, ticks, lots, left, oid, leg, time_ns in events[told][_DIFF_FIELDS].tolist():
            standing = self._standing.get(oid)
            if standing is None:
                if kind != _ACKNOWLEDGED:
                    continue  # it waited, or the venue made it for a fill off the book
                change: Any = {
                    "new": self._new(oid, (row, side, ticks), lots, self._rate(block, account, leg), time_ns)
                }
            else:
                now = {_ACKNOWLEDGED: lots, _FILLED: left, _CANCELLED: 0}[kind]
                ticks = standing.place[2]
                change = self._change(oid, standing, now)
            market = self._listing.markets[row].market
            diffs.append(
                {
                    "user": self._names.address_of(account),
                    "oid": oid,
                    "coin": market.name,
                    "side": SIDE_TEXT[side],
                    "px": answer_number(ticks, market.price_decimals),
                    "raw_book_diff": change,
                }
            )
        return diffs

    def _size(self, row: int, lots: int) -> str:
        return answer_number(lots, self._listing.markets[row].market.size_decimals)

    @staticmethod
    def _rate(block: Block, account: int, leg: int) -> int:
        """What a new order of the leg pays for priority."""
        if leg < 0:
            return 0
        row = block.legs[leg]
        is_its = int(row["kind"]) == ActionKind.PLACE and int(row["account"]) == account
        return int(row["priority_rate_e8"]) if is_its else 0

    def _new(self, oid: int, place: tuple[int, int, int], lots: int, rate_e8: int, time_ns: int) -> dict[str, object]:
        """Seats a new order at the end of its level, or ahead of the young ones there that pay less (section 9)."""
        level = self._levels.setdefault(place, {})
        self._standing[oid] = _Standing(place=place, lots=lots, rate_e8=rate_e8, placed_ns=time_ns)
        behind: list[int] = []
        for other in reversed(level) if rate_e8 else ():
            standing = self._standing[other]
            if standing.rate_e8 >= rate_e8 or time_ns - standing.placed_ns >= self._priority_window_ns:
                break
            behind.append(other)
        level[oid] = None
        for other in reversed(behind):
            del level[other]
            level[other] = None
        new: dict[str, object] = {"sz": self._size(place[0], lots)}
        if behind:
            new["insertBefore"] = behind[-1]
        return new

    def _change(self, oid: int, standing: _Standing, lots: int) -> object:
        """An order of the book has `lots` left; at 0 it is gone."""
        before, standing.lots = standing.lots, lots
        if lots:
            row = standing.place[0]
            return {"update": {"origSz": self._size(row, before), "newSz": self._size(row, lots)}}
        del self._standing[oid]
        level = self._levels[standing.place]
        del level[oid]
        if not level:
            del self._levels[standing.place]
        return "remove"


# Lines.


def iso(time_ns: int) -> str:
    """A time in UTC as a node writes it: nine decimals, no zone."""
    seconds, rest = divmod(time_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}"


def path_of(stream: Stream, layout: Layout, time_ns: int) -> str:
    """The file of the hour of a block, below the node's data folder."""
    when = datetime.fromtimestamp(time_ns // SECOND_NS, UTC)
    return f"{stream.value}{SUFFIX[layout]}/hourly/{when:%Y%m%d}/{when.hour}"


def lines_of(block: NodeBlock, stream: Stream, layout: Layout, local_ns: int) -> list[bytes]:
    """What is to be written of a block, one write each: whole lines. `local_ns` is the node's own clock."""
    events = block.events[stream]
    if layout is Layout.HOURLY:
        if stream is Stream.DIFFS:
            head = f'{{"time":"{iso(block.time_ns)}",'.encode()
            events = [head + event[1:] for event in events]
        return [b"\n".join(events) + b"\n"] if events else []
    head = (
        f'{{"local_time":"{iso(local_ns)}","block_time":"{iso(block.time_ns)}","block_number":{block.height},"events":['
    ).encode()
    if layout is Layout.STREAM and events:
        return [head + event + b"]}\n" for event in events]
    return [head + b",".join(events) + b"]}\n"]
