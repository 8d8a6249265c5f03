"""Which frames a block causes and for whom (venue reference section 6).

Frames come with blocks, also those that come by time: a block is never far, and all frames of one carry its time. What
several connections listen to is encoded once. The order of the channels inside a block is a setting.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from hlhft.exchange import requests as req
from hlhft.exchange.account_answers import FILLS_MAX, merged
from hlhft.exchange.block import Block
from hlhft.exchange.fill_records import FillRecord
from hlhft.exchange.info import Info
from hlhft.exchange.listing import Listed
from hlhft.exchange.market_text import FAST_LEVELS, LEVELS_MAX, Level, Touch
from hlhft.exchange.memory import Changes
from hlhft.exchange.subscriptions import Counting, Subscriptions, Topic, frame
from hlhft.hyperliquid.wire import answer_number

Frame = tuple[int, bytes]  # connection, what to send to it
Told = TypeVar("Told")

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
# As measured: the books' touch first (section 6.2), then what the block traded, then the users (their order among each
# other is unverified).
ORDER = (
    "bbo",
    "l2Book",
    "trades",
    "candle",
    "orderUpdates",
    "userFills",
    "userEvents",
    "notification",
    "userFundings",
    "userNonFundingLedgerUpdates",
    "userHistoricalOrders",
    "userTwapSliceFills",
    "userTwapHistory",
    "timed",
)
_BBO, _BOOKS = frozenset({"bbo"}), frozenset({"l2Book"})
# The kinds that come by time, and the setting that says how often.
_TIMED = {
    "allMids": "state_ns",
    "activeAssetCtx": "context_ns",
    "fastAssetCtxs": "context_ns",
    "allDexsAssetCtxs": "state_ns",
    "activeAssetData": "state_ns",
    "webData3": "state_ns",
    "openOrders": "state_ns",
    "clearinghouseState": "state_ns",
    "spotState": "state_ns",
    "twapStates": "state_ns",
    "allDexsClearinghouseState": "state_ns",
}
_TIMED_KINDS = frozenset(_TIMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """Cadences and orders (venue reference sections 6.2 to 6.4 and appendix D)."""

    book_ns: int = 5_400_000_000
    fast_book_ns: int = 540_000_000
    context_ns: int = SECOND_NS
    state_ns: int = 5 * SECOND_NS
    trades_at_first: int = 30
    order: tuple[str, ...] = ORDER


class Channels:
    """All channels of the exchange. `open` a connection, `subscribe`, then hand in every block with its changes."""

    def __init__(self, info: Info, settings: ChannelSettings | None = None, *, limits: Counting | None = None) -> None:
        """Raises ValueError when the order of channels does not name each of them once."""
        self.info = info
        self.settings = settings or ChannelSettings()
        self.subscriptions = Subscriptions(info.listing, limits)
        self._address_of = info.accounts.directory.address_of
        self._steps: dict[str, Callable[[Block, Changes], list[Frame]]] = {
            "bbo": self._touches,
            "l2Book": self._books,
            "trades": self._trades,
            "candle": self._candles,
            "orderUpdates": self._order_updates,
            "userFills": self._fills,
            "userEvents": self._events,
            "notification": self._notifications,
            "userFundings": self._fundings,
            "userNonFundingLedgerUpdates": self._ledger_updates,
            "userHistoricalOrders": self._history,
            "userTwapSliceFills": self._twap_fills,
            "userTwapHistory": self._twap_history,
            "timed": self._timed,
        }
        if sorted(self.settings.order) != sorted(self._steps):
            raise ValueError(f"the order of channels must name each of {sorted(self._steps)} once")

    # Connections.

    def open(self, connection: int) -> None:
        """A connection begins."""
        self.subscriptions.open(connection)

    def close(self, connection: int) -> None:
        """A connection is gone."""
        self.subscriptions.close(connection)

    def subscribe(self, connection: int, subscription: object, raw: str, now_ns: int) -> list[bytes]:
        """The frames that answer a subscription: its acknowledgement and snapshot, or an error. `raw` is the whole
        message as it came, `now_ns` the latest block's time."""
        topic, answer = self.subscriptions.add(connection, subscription, raw)
        if topic is None:
            return [answer]
        first = self._first(topic, now_ns)
        return [answer] if first is None else [answer, first]

    def unsubscribe(self, connection: int, subscription: object, raw: str) -> list[bytes]:
        """The frames that answer the end of a subscription."""
        return [self.subscriptions.remove(connection, subscription, raw)]

    # Blocks.

    def frames_of(self, block: Block, changes: Changes) -> list[Frame]:
        """All frames of a block, in the order in which they go out."""
        if self.subscriptions.count == 0:
            return []
        frames: list[Frame] = []
        for step in self.settings.order:
            frames += self._steps[step](block, changes)
        return frames

    def _touches(self, block: Block, changes: Changes) -> list[Frame]:
        topics = self.subscriptions.of_kinds(_BBO)
        touches = self.info.markets.touches() if topics else []
        frames: list[Frame] = []
        for topic in topics:
            touch = touches[topic.row]
            if touch != topic.last:
                topic.last = touch
                frames += _to_all(topic, self._touch(topic, touch, changes.time_ms))
        return frames

    def _books(self, block: Block, changes: Changes) -> list[Frame]:
        frames: list[Frame] = []
        for topic in self.subscriptions.of_kinds(_BOOKS):
            if block.time_ns >= topic.due_ns:
                topic.due_ns = block.time_ns + self._book_cadence_ns(topic)
                frames += _to_all(topic, self._book(topic, changes.time_ms))
        return frames

    def _trades(self, block: Block, changes: Changes) -> list[Frame]:
        frames: list[Frame] = []
        for row, trades in changes.trades.items():
            for topic in self.subscriptions.about_market("trades", row):
                frames += _to_all(topic, frame("trades", [trade.json() for trade in trades]))
        return frames

    def _candles(self, block: Block, changes: Changes) -> list[Frame]:
        frames: list[Frame] = []
        for row in changes.trades:
            for topic in self.subscriptions.about_market("candle", row):
                made = self._candle(topic)
                frames += _to_all(topic, made) if made is not None else []
        return frames

    def _order_updates(self, block: Block, changes: Changes) -> list[Frame]:
        return self._to_users(
            "orderUpdates", changes.orders, lambda topic, updates: [update.basic() for update in updates]
        )

    def _history(self, block: Block, changes: Changes) -> list[Frame]:
        return self._to_users(
            "userHistoricalOrders",
            changes.orders,
            lambda topic, updates: {"user": topic.user, "orderHistory": [update.frontend() for update in updates]},
        )

    def _fills(self, block: Block, changes: Changes) -> list[Frame]:
        return self._to_users(
            "userFills",
            changes.fills,
            lambda topic, fills: {"user": topic.user, "fills": _fills_shown(fills, aggregate=topic.aggregate)},
        )

    def _events(self, block: Block, changes: Changes) -> list[Frame]:
        """The channel `user`: fills together, everything else each for itself."""
        frames: list[Frame] = []
        for account in _accounts(changes):
            topics = self.subscriptions.about_user("userEvents", self._address_of(account))
            if not topics:
                continue
            told: list[object] = []
            if account in changes.fills:
                told.append({"fills": [fill.json() for fill in changes.fills[account]]})
            told += [{"funding": payment.flat()} for payment in changes.fundings.get(account, ())]
            told += [{"liquidation": shape} for shape in changes.liquidations.get(account, ())]
            if account in changes.ended:
                told.append({"nonUserCancel": changes.ended[account]})
            for data in told:
                for topic in topics:
                    frames += _to_all(topic, frame("user", data))
        return frames

    def _notifications(self, block: Block, changes: Changes) -> list[Frame]:
        frames: list[Frame] = []
        for account, updates in changes.orders.items():
            topics = self.subscriptions.about_user("notification", self._address_of(account))
            if not topics:
                continue
            filled = {update.order.oid for update in updates if update.status == "filled"}
            for text in _notices(changes.fills.get(account, []), filled):
                for topic in topics:
                    frames += _to_all(topic, frame("notification", {"notification": text}))
        return frames

    def _fundings(self, block: Block, changes: Changes) -> list[Frame]:
        return self._to_users(
            "userFundings",
            changes.fundings,
            lambda topic, paid: {"user": topic.user, "fundings": [payment.flat() for payment in paid]},
        )

    def _ledger_updates(self, block: Block, changes: Changes) -> list[Frame]:
        return self._to_users(
            "userNonFundingLedgerUpdates",
            changes.ledger,
            lambda topic, updates: {
                "user": topic.user,
                "nonFundingLedgerUpdates": [update.shape() for update in updates],
            },
        )

    def _twap_fills(self, block: Block, changes: Changes) -> list[Frame]:
        if not changes.fills:
            return []
        slices = {
            account: [fill for fill in fills if fill.twap_id is not None] for account, fills in changes.fills.items()
        }
        return self._to_users(
            "userTwapSliceFills",
            {account: fills for account, fills in slices.items() if fills},
            lambda topic, fills: {
                "user": topic.user,
                "twapSliceFills": [{"fill": fill.json(), "twapId": fill.twap_id} for fill in fills],
            },
        )

    def _twap_history(self, block: Block, changes: Changes) -> list[Frame]:
        return self._to_users(
            "userTwapHistory",
            changes.twaps,
            lambda topic, statuses: {"user": topic.user, "history": [status.history() for status in statuses]},
        )

    def _timed(self, block: Block, changes: Changes) -> list[Frame]:
        frames: list[Frame] = []
        for topic in self.subscriptions.of_kinds(_TIMED_KINDS):
            if block.time_ns >= topic.due_ns:
                topic.due_ns = block.time_ns + int(getattr(self.settings, _TIMED[topic.kind]))
                made = self._state(topic, changes.time_ms, snapshot=False)
                frames += _to_all(topic, made) if made is not None else []
        return frames

    def _to_users(
        self, kind: str, changed: dict[int, list[Told]], shape: Callable[[Topic, list[Told]], object]
    ) -> list[Frame]:
        """Frames for the topics of `kind` about the accounts that changed."""
        frames: list[Frame] = []
        for account, told in changed.items():
            for topic in self.subscriptions.about_user(kind, self._address_of(account)):
                frames += _to_all(topic, frame(kind, shape(topic, told)))
        return frames

    # What a topic says.

    def _first(self, topic: Topic, now_ns: int) -> bytes | None:
        """The first frame of a subscription; None where there is nothing yet, or never a snapshot."""
        now_ms = now_ns // MILLISECOND_NS
        if topic.kind == "bbo":
            touch = self.info.markets.touches()[topic.row]
            topic.last = touch if topic.last is None else topic.last
            return self._touch(topic, touch, now_ms)
        if topic.kind == "l2Book":
            topic.due_ns = topic.due_ns or now_ns + self._book_cadence_ns(topic)
            return self._book(topic, now_ms)
        if topic.kind == "trades":
            recent = list(self.info.records.markets[topic.row].trades)[-self.settings.trades_at_first :]
            return frame("trades", [trade.json() for trade in recent]) if recent else None
        if topic.kind == "candle":
            return self._candle(topic)
        if topic.kind in _TIMED:
            topic.due_ns = topic.due_ns or now_ns + int(getattr(self.settings, _TIMED[topic.kind]))
            return self._state(topic, now_ms, snapshot=True)
        return self._snapshot(topic, now_ms)

    def _snapshot(self, topic: Topic, now_ms: int) -> bytes | None:
        """What a user's channel begins with, the oldest first as recorded; None for those without a snapshot."""
        account = self.info.accounts.account(topic.user)
        records = self.info.records.account(-1 if account is None else account)
        shown: dict[str, object]
        if topic.kind == "userFills":
            shown = {"fills": _fills_shown(list(records.fills)[-FILLS_MAX:], aggregate=topic.aggregate)}
        elif topic.kind == "userFundings":
            shown = {"fundings": [payment.flat() for payment in list(records.fundings)[-FILLS_MAX:]]}
        elif topic.kind == "userNonFundingLedgerUpdates":
            shown = {"nonFundingLedgerUpdates": [update.shape() for update in records.ledger]}
        elif topic.kind == "userHistoricalOrders":
            shown = {"orderHistory": [update.frontend() for update in records.statuses]}
        elif topic.kind == "userTwapSliceFills":
            slices = [fill for fill in records.fills if fill.twap_id is not None]
            shown = {"twapSliceFills": [{"fill": fill.json(), "twapId": fill.twap_id} for fill in slices[-FILLS_MAX:]]}
        elif topic.kind == "userTwapHistory":
            shown = {"history": [status.history() for status in records.twaps]}
        else:
            return None
        return frame(topic.kind, {"isSnapshot": True, "user": topic.user, **shown})

    def _book_cadence_ns(self, topic: Topic) -> int:
        return self.settings.fast_book_ns if topic.fast else self.settings.book_ns

    def _touch(self, topic: Topic, touch: Touch, time_ms: int) -> bytes:
        listed = self.info.listing.markets[topic.row]
        sides = [_level(listed, level) for level in touch]
        return frame("bbo", {"coin": listed.market.name, "time": time_ms, "bbo": sides})

    def _book(self, topic: Topic, time_ms: int) -> bytes:
        count = FAST_LEVELS if topic.fast else LEVELS_MAX
        shape = self.info.markets.book(
            topic.row, time_ms, figures=topic.figures, mantissa=topic.mantissa, levels_max=count
        )
        if topic.fast:
            shape["fast"] = True
        return frame("l2Book", shape)

    def _candle(self, topic: Topic) -> bytes | None:
        candles = self.info.records.markets[topic.row].candles
        latest = candles.latest(topic.interval)
        return None if latest is None else frame("candle", candles.shape(topic.interval, latest))

    def _state(self, topic: Topic, now_ms: int, *, snapshot: bool) -> bytes | None:
        """A frame of the channels that come by time; None when there is nothing to say."""
        if topic.kind == "fastAssetCtxs":
            return self._fast_contexts(topic, snapshot=snapshot)
        if topic.kind == "activeAssetCtx":
            return self._context(topic, now_ms)
        if topic.kind == "allMids":
            mids = {} if topic.dex else self.info.markets.mids()
            return frame("allMids", {"mids": mids})
        if topic.kind == "allDexsAssetCtxs":
            return frame("allDexsAssetCtxs", {"ctxs": [["", self.info.markets.contexts(now_ms)]]})
        return frame(topic.kind, self._user_state(topic, now_ms))

    def _context(self, topic: Topic, now_ms: int) -> bytes:
        listed = self.info.listing.markets[topic.row]
        if listed.is_spot:
            context = self.info.markets.spot_context(topic.row, now_ms)
            del context["coin"]
            return frame("activeSpotAssetCtx", {"coin": listed.market.name, "ctx": context})
        context = self.info.markets.context(topic.row, now_ms)
        return frame("activeAssetCtx", {"coin": listed.market.name, "ctx": context})

    def _fast_contexts(self, topic: Topic, *, snapshot: bool) -> bytes | None:
        """Marks and mids: all of them at first, later those that changed."""
        now = self.info.markets.marks_and_mids()
        before = topic.last if isinstance(topic.last, dict) and not snapshot else {}
        changed = {}
        for coin, values in now.items():
            differing = {name: text for name, text in values.items() if before.get(coin, {}).get(name) != text}
            if differing:
                changed[coin] = differing
        if not snapshot or topic.last is None:
            topic.last = now
        if not changed:
            return None
        packed = zlib.compressobj(level=6, wbits=-15)
        data = packed.compress(msgspec.json.encode(changed)) + packed.flush()
        return frame("fastAssetCtxs", base64.b64encode(data).decode())

    def _user_state(self, topic: Topic, now_ms: int) -> object:
        accounts = self.info.accounts
        request = req.OfUser(user=topic.user, dex=topic.dex)
        if topic.kind == "activeAssetData":
            coin = self.info.listing.names[topic.row]
            return accounts.active_asset_data(req.OfUserCoin(user=topic.user, coin=coin), now_ms)
        if topic.kind == "clearinghouseState":
            state = accounts.clearinghouse_state(request, now_ms)
            return {"dex": topic.dex, "user": topic.user, "clearinghouseState": state}
        if topic.kind == "openOrders":
            orders = accounts.frontend_open_orders(request, now_ms)
            return {"dex": topic.dex, "user": topic.user, "orders": orders}
        if topic.kind == "spotState":
            return {"user": topic.user, "spotState": accounts.spot_state(request, now_ms)}
        if topic.kind == "twapStates":
            return {"dex": topic.dex, "user": topic.user, "states": accounts.twap_states(request)}
        if topic.kind == "allDexsClearinghouseState":
            state = accounts.clearinghouse_state(request, now_ms)
            return {"user": topic.user, "clearinghouseStates": [["", state]]}
        return accounts.web_data(request, now_ms)


def _accounts(changes: Changes) -> list[int]:
    """The accounts that have something for the channel `user`, in the order of their numbers."""
    return sorted({*changes.fills, *changes.fundings, *changes.liquidations, *changes.ended})


def _to_all(topic: Topic, data: bytes) -> list[Frame]:
    return [(connection, data) for connection in topic.listeners]


def _fills_shown(
    fills: list[FillRecord], *, aggregate: bool
) -> list[msgspec.Raw] | list[msgspec.Raw | dict[str, object]]:
    return merged(fills) if aggregate else [fill.json() for fill in fills]


def _level(listed: Listed, level: Level | None) -> dict[str, object] | None:
    if level is None:
        return None
    ticks, lots, orders = level
    market = listed.market
    return {
        "px": answer_number(ticks, market.price_decimals),
        "sz": answer_number(lots, market.size_decimals),
        "n": orders,
    }


def _notices(fills: Iterable[FillRecord], filled: set[int]) -> list[str]:
    """What is said of the orders that were filled whole: recorded for one that rested, alike for one that took
    (unverified)."""
    of_order: dict[int, list[FillRecord]] = {}
    for fill in fills:
        if fill.oid in filled:
            of_order.setdefault(fill.oid, []).append(fill)
    notices = []
    for parts in of_order.values():
        first = parts[0]
        market = first.listed.market
        lots = sum(part.lots for part in parts)
        average = sum(part.ticks * part.lots for part in parts) // lots
        begin = "Order filled" if first.crossed else "Resting order filled"
        did = "Bought" if first.side > 0 else "Sold"
        notices.append(f"{begin}: {did} {market.size_text(lots)} {market.name} at ${market.price_text(average)}")
    return notices
