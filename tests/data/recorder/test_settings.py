"""The recorder's part of the limits, and what fits into it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from hlhft.config.settings import Config
from hlhft.data.recorder.settings import (
    KINDS,
    ShareError,
    connection_settings,
    share_of,
    streams_of,
    websocket_url,
)
from hlhft.hyperliquid.backoff import CONNECTS_PER_MINUTE_MAX
from hlhft.units import Market


def config(percent: int) -> Config:
    limits = Config().limits
    return Config(limits=replace(limits, share=replace(limits.share, recorder_percent=percent)))


def markets(count: int) -> list[Market]:
    return [Market.perpetual(f"C{place}", asset_id=place, size_decimals=1) for place in range(count)]


def test_the_default_share_is_a_twentieth_and_fits_beside_the_others() -> None:
    share = share_of(Config())
    assert (share.subscriptions, share.connects.limit, share.messages.limit) == (50, 2, 100)
    others = 30 * 80 // 100 + 30 * 10 // 100 + 30 * 5 // 100
    assert share.connects.limit + others <= CONNECTS_PER_MINUTE_MAX


def test_the_least_share_can_still_reconnect() -> None:
    share = share_of(config(1))
    assert (share.subscriptions, share.connects.limit, share.messages.limit) == (10, 2, 20)


def test_no_share_is_refused() -> None:
    with pytest.raises(ShareError, match="recorder_percent is 0"):
        share_of(config(0))


def test_each_market_has_both_books_touch_trades_and_context() -> None:
    streams = streams_of(markets(2), share_of(Config()))
    assert len(streams) == 2 * len(KINDS)
    forms = [stream.subscription() for stream in streams if stream.subject == "C1"]
    assert forms == [
        {"type": "l2Book", "coin": "C1", "fast": True}, {"type": "bbo", "coin": "C1"},
        {"type": "trades", "coin": "C1"}, {"type": "l2Book", "coin": "C1"}, {"type": "activeAssetCtx", "coin": "C1"},
    ]  # fmt: skip


def test_more_than_fits_is_refused_with_the_numbers() -> None:
    assert len(streams_of(markets(10), share_of(Config()))) == 50
    with pytest.raises(ShareError, match="11 coins need 55 subscriptions and the recorder's share is 50"):
        streams_of(markets(11), share_of(Config()))


@pytest.mark.parametrize("percent", [1, 5, 100])
def test_the_connection_leaves_room_for_pings(percent: int) -> None:
    share = share_of(config(percent))
    made = connection_settings("ws://127.0.0.1/ws", share)
    assert 0 < made.subscriptions.messages_kept < share.messages.limit
    assert made.subscriptions.subscriptions_max == share.subscriptions


def test_urls() -> None:
    assert websocket_url("https://api.hyperliquid.xyz/") == "wss://api.hyperliquid.xyz/ws"
    assert websocket_url("http://127.0.0.1:3001") == "ws://127.0.0.1:3001/ws"
    for wrong in ("ftp://host", "host", "http://", ""):
        with pytest.raises(ValueError, match="no base URL"):
            websocket_url(wrong)
