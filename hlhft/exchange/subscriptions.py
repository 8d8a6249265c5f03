"""Who listens to what: subscriptions normalised, acknowledged, limited, and found again by what they are about.

Source: venue reference sections 6.1 to 6.4 and 7. A topic is one normalised subscription, shared by all who have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, ClassVar, Protocol

import msgspec
from msgspec import Meta, Struct

from hlhft.exchange.candles import INTERVAL_MS
from hlhft.exchange.listing import Listing
from hlhft.exchange.requests import Address, Coin, Dex

ALREADY = "Already subscribed: "
NOT_SUBSCRIBED = "Already unsubscribed: "
UNREADABLE = "Error parsing JSON into valid websocket request: "
INVALID = "Invalid subscription "


class About(Enum):
    """What a subscription is about."""

    EVERYTHING = 0
    MARKET = 1
    USER = 2


class _Base(Struct, rename="camel"):
    about: ClassVar[About] = About.EVERYTHING


class _Plain(_Base):
    pass


class _OfDex(_Base, omit_defaults=True):
    dex: Dex | None = None


class _OfCoin(_Base):
    about: ClassVar[About] = About.MARKET
    coin: Coin


class _Book(_Base):
    about: ClassVar[About] = About.MARKET
    coin: Coin
    n_sig_figs: Annotated[int, Meta(ge=2, le=5)] | None = None
    mantissa: int | None = None
    fast: bool | None = False


class _Candle(_Base):
    about: ClassVar[About] = About.MARKET
    coin: Coin
    interval: str


class _OfUser(_Base):
    about: ClassVar[About] = About.USER
    user: Address


class _Fills(_Base):
    about: ClassVar[About] = About.USER
    user: Address
    aggregate_by_time: bool | None = False


class _OfUserDex(_Base):
    about: ClassVar[About] = About.USER
    user: Address
    dex: Dex | None = ""


class _OfUserCoin(_Base):
    about: ClassVar[About] = About.USER
    user: Address
    coin: Coin


_SHAPES: dict[str, type[_Base]] = {
    "allMids": _OfDex,
    "fastAssetCtxs": _Plain,
    "allDexsAssetCtxs": _Plain,
    "l2Book": _Book,
    "bbo": _OfCoin,
    "trades": _OfCoin,
    "candle": _Candle,
    "activeAssetCtx": _OfCoin,
    "activeAssetData": _OfUserCoin,
    "userEvents": _OfUser,
    "userFills": _Fills,
    "orderUpdates": _OfUser,
    "userFundings": _OfUser,
    "userNonFundingLedgerUpdates": _OfUser,
    "notification": _OfUser,
    "webData3": _OfUser,
    "openOrders": _OfUserDex,
    "clearinghouseState": _OfUserDex,
    "spotState": _OfUser,
    "twapStates": _OfUserDex,
    "userHistoricalOrders": _OfUser,
    "userTwapSliceFills": _OfUser,
    "userTwapHistory": _OfUser,
    "allDexsClearinghouseState": _OfUser,
}
KINDS = tuple(_SHAPES)
# Documented, but refused on live connections (venue reference section 6.4).
REFUSED_KINDS = frozenset({"webData2"})


@dataclass(slots=True, eq=False)
class Topic:
    """One normalised subscription and who has it."""

    kind: str
    about: About
    ack: msgspec.Raw  # the normalised subscription as JSON
    row: int = -1  # market
    user: str = ""
    dex: str = ""
    interval: str = ""
    figures: int = 0
    mantissa: int = 1
    fast: bool = False
    aggregate: bool = False
    due_ns: int = 0  # the next frame of those that come by time
    last: object = None  # what was told last, where only changes are told
    listeners: dict[int, None] = field(default_factory=dict)  # connections, in the order in which they came


class Counting(Protocol):
    """Who counts subscriptions and tracked users of a client, and refuses too many."""

    def subscribe(self, connection: int, user: str | None) -> str | None:
        """Counts a subscription, to a user's channel when `user` is given, and returns None, or the refusal."""

    def unsubscribe(self, connection: int, user: str | None) -> None:
        """Gives one back."""


class Subscriptions:
    """All topics by connection, market and user. Connections are numbers that the shell chooses."""

    def __init__(self, listing: Listing, limits: Counting | None = None) -> None:
        """Without `limits` nothing is refused for being too much."""
        self._listing = listing
        self._limits = limits
        self._topics: dict[bytes, Topic] = {}
        self._of_connection: dict[int, dict[bytes, Topic]] = {}
        self._by_subject: dict[tuple[str, int | str], dict[bytes, Topic]] = {}
        self._of_kinds: dict[frozenset[str], list[Topic]] = {}  # as they were asked for since the last change

    def open(self, connection: int) -> None:
        """A connection begins."""
        self._of_connection[connection] = {}

    def close(self, connection: int) -> None:
        """A connection is gone, and with it what it had subscribed; its limits end with it, too."""
        for key, topic in self._of_connection.pop(connection, {}).items():
            self._leave(key, topic, connection)

    def add(self, connection: int, subscription: object, raw: str) -> tuple[Topic | None, bytes]:
        """The topic that the connection now has and the acknowledgement, or None and the error; `raw` is the whole
        message as it came."""
        topic = self._read(subscription, raw)
        if isinstance(topic, str):
            return None, error(topic)
        key = bytes(topic.ack)
        topic = self._topics.get(key, topic)
        had = self._of_connection[connection]
        if key in had:
            return None, error(ALREADY + key.decode())
        refusal = None if self._limits is None else self._limits.subscribe(connection, topic.user or None)
        if refusal is not None:
            return None, error(refusal)
        if key not in self._topics:
            self._topics[key] = topic
            self._of_kinds.clear()
            self._by_subject.setdefault(_subject(topic), {})[key] = topic
        had[key] = topic
        topic.listeners[connection] = None
        return topic, acknowledgement("subscribe", topic)

    def remove(self, connection: int, subscription: object, raw: str) -> bytes:
        """Takes a subscription back; the acknowledgement, or the error."""
        topic = self._read(subscription, raw)
        if isinstance(topic, str):
            return error(topic)
        key = bytes(topic.ack)
        found = self._of_connection[connection].pop(key, None)
        if found is None:
            return error(NOT_SUBSCRIBED + key.decode())
        if self._limits is not None:
            self._limits.unsubscribe(connection, found.user or None)
        self._leave(key, found, connection)
        return acknowledgement("unsubscribe", found)

    def about_market(self, kind: str, row: int) -> list[Topic]:
        """The topics of a kind about a market."""
        return list(self._by_subject.get((kind, row), {}).values())

    def about_user(self, kind: str, user: str) -> list[Topic]:
        """The topics of a kind about a user."""
        return list(self._by_subject.get((kind, user), {}).values())

    def of_kinds(self, kinds: frozenset[str]) -> Sequence[Topic]:
        """All topics of some kinds, the oldest first. Whoever asks does so again and again, for one of a few sets."""
        found = self._of_kinds.get(kinds)
        if found is None:
            found = [topic for topic in self._topics.values() if topic.kind in kinds]
            self._of_kinds[kinds] = found
        return found

    @property
    def count(self) -> int:
        """How many topics there are."""
        return len(self._topics)

    def _leave(self, key: bytes, topic: Topic, connection: int) -> None:
        del topic.listeners[connection]
        if not topic.listeners:
            del self._topics[key]
            self._of_kinds.clear()
            subject = self._by_subject[_subject(topic)]
            del subject[key]
            if not subject:
                del self._by_subject[_subject(topic)]

    def _read(self, subscription: object, raw: str) -> Topic | str:
        """A new topic of the subscription, or what is wrong with it."""
        kind = subscription.get("type") if isinstance(subscription, dict) else None
        if isinstance(kind, str) and kind in REFUSED_KINDS:
            return INVALID + raw
        shape = _SHAPES.get(kind) if isinstance(kind, str) else None
        if shape is None or not isinstance(kind, str):
            return UNREADABLE + raw
        try:
            read = msgspec.convert(subscription, type=shape)
        except msgspec.ValidationError:
            return UNREADABLE + raw
        return self._topic(kind, read) or INVALID + raw

    def _topic(self, kind: str, read: _Base) -> Topic | None:
        """The topic of what was read; None when it names what does not exist."""
        topic = Topic(kind=kind, about=read.about, ack=msgspec.Raw(b""))
        if isinstance(read, (_OfUser, _Fills, _OfUserDex, _OfUserCoin)):
            read.user = read.user.lower()
            topic.user = read.user
        if isinstance(read, (_OfCoin, _Book, _Candle, _OfUserCoin)):
            row = self._listing.row_of(read.coin)
            if row is None:
                return None
            topic.row = row
        if isinstance(read, _Candle):
            if read.interval not in INTERVAL_MS:
                return None
            topic.interval = read.interval
        if isinstance(read, _Fills):
            topic.aggregate = read.aggregate_by_time = bool(read.aggregate_by_time)
        if isinstance(read, (_OfUserDex, _OfDex)):
            topic.dex = read.dex or ""
        if isinstance(read, _OfUserDex):
            read.dex = topic.dex
        if isinstance(read, _Book):
            if read.mantissa is not None and (read.n_sig_figs != 5 or read.mantissa not in (2, 5)):
                return None
            read.fast = bool(read.fast)
            topic.figures, topic.mantissa, topic.fast = read.n_sig_figs or 0, read.mantissa or 1, read.fast
        topic.ack = msgspec.Raw(msgspec.json.encode({"type": kind, **msgspec.to_builtins(read)}))
        return topic


def _subject(topic: Topic) -> tuple[str, int | str]:
    return topic.kind, topic.user if topic.about is About.USER else topic.row


def frame(channel: str, data: object) -> bytes:
    """A message of the server."""
    return msgspec.json.encode({"channel": channel, "data": data})


def error(text: str) -> bytes:
    """An error frame."""
    return frame("error", text)


def acknowledgement(method: str, topic: Topic) -> bytes:
    """The answer to a subscription or its end."""
    return frame("subscriptionResponse", {"method": method, "subscription": topic.ack})
