"""What a recorder may use of the venue's limits, from the settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hlhft.config.settings import Config
from hlhft.hyperliquid.backoff import CONNECTS_PER_MINUTE_MAX, Budget
from hlhft.hyperliquid.connection import ConnectionSettings
from hlhft.hyperliquid.subscriptions import SUBSCRIPTIONS_MAX, Stream, StreamKind, SubscriptionSettings, market_stream
from hlhft.units import Market

KINDS = (StreamKind.FAST_BOOK, StreamKind.BBO, StreamKind.TRADES, StreamKind.BOOK, StreamKind.CONTEXT)
GIB = 1 << 30
_MESSAGES_KEPT_SHARE = 4  # a quarter of the messages stays for pings


class ShareError(ValueError):
    """The recorder's share of the venue's limits is too small for what it is to record."""


@dataclass(frozen=True, slots=True)
class Share:
    """The recorder's part of what one IP address may do."""

    subscriptions: int
    connects: Budget
    messages: Budget


def share_of(config: Config) -> Share:
    """The part that `limits.share` gives. Raises ShareError when that is none."""
    percent = config.limits.share.recorder_percent
    if percent == 0:
        raise ShareError("limits.share.recorder_percent is 0: a recorder needs a part of the limits; give it 5")
    # Rounded up, as of one connect a minute a lost socket would have to wait for the next minute.
    connects = max(-(-CONNECTS_PER_MINUTE_MAX * percent // 100), 2)
    return Share(
        subscriptions=max(SUBSCRIPTIONS_MAX * percent // 100, 1),
        connects=Budget(connects),
        messages=Budget(max(config.limits.messages_per_minute * percent // 100, 1)),
    )


def streams_of(markets: list[Market], share: Share) -> tuple[Stream, ...]:
    """What is subscribed to: both books, touch, trades and context of each market. Raises ShareError when the share
    does not hold them."""
    streams = tuple(market_stream(kind, row, market.name) for row, market in enumerate(markets) for kind in KINDS)
    if len(streams) > share.subscriptions:
        raise ShareError(
            f"{len(markets)} coins need {len(streams)} subscriptions and the recorder's share is {share.subscriptions};"
            " raise limits.share.recorder_percent or name fewer"
        )
    return streams


def connection_settings(url: str, share: Share) -> ConnectionSettings:
    """Those of the recorder's connection."""
    kept = max(share.messages.limit // _MESSAGES_KEPT_SHARE, 1)
    return ConnectionSettings(
        url=url,
        subscriptions=SubscriptionSettings(subscriptions_max=share.subscriptions, messages_kept=kept),
    )


def websocket_url(base_url: str) -> str:
    """Where a venue at this base URL has its WebSocket. Raises ValueError for one that is not http or https."""
    scheme, found, rest = base_url.rstrip("/").partition("://")
    if not found or scheme not in ("http", "https") or not rest:
        raise ValueError(f"{base_url!r} is no base URL of a venue, expected one like https://host or http://host:port")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws"
