"""A live scan on real sockets: what is asked, what is watched, and what is kept when a connection ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hlhft.config.settings import Config, Limits, Shares
from hlhft.live import scan as scan_shell
from hlhft.live.preflight import VenueError
from hlhft.live.scan import LiveScan, Share
from hlhft.report.market_scan import MarketScan
from hlhft.report.scan_results import ScanSettings
from tests.live.scanned import scripted, trading_exchange
from tests.live.test_scan_feed import bbo, trade
from tests.live.test_scan_listing import answer

SETTINGS = ScanSettings()
SHARE = Share(messages=100, connects=30, markets=25)
HOUR_NS = 3_600 * 10**9


def live_scan(url: str, *, share: Share = SHARE, duration_ns: int = HOUR_NS) -> LiveScan:
    return LiveScan(url, share, SETTINGS, duration_ns=duration_ns)


def test_a_share_is_what_the_settings_leave_to_tools() -> None:
    assert Share.of(Config()) == Share(messages=100, connects=1, markets=25)
    most = Config(limits=Limits(share=Shares(engine_percent=80, recorder_percent=0, tools_percent=10)))
    assert Share.of(most) == Share(messages=200, connects=3, markets=50)
    none = Config(limits=Limits(share=Shares(tools_percent=0)))
    assert Share.of(none) == Share(messages=1, connects=1, markets=1)


def test_a_lost_connection_is_made_again_and_what_came_before_is_kept() -> None:
    """The venue closes connections by age: the second one's best prices are another session's."""
    first = [bbo(0), trade(10, 1), bbo(2_000)]
    second = [bbo(10_000), trade(10_010, 2), bbo(13_000)]

    async def run() -> tuple[LiveScan, MarketScan, list[dict[str, str]]]:
        async with scripted(answer(("BTC", "5"), ("ETH", "1")), [first, second]) as (url, heard):
            live = live_scan(url)

            def until(done: int, total: int) -> None:
                if live.feed is not None and live.feed.tally["bbo"] == 4:
                    live.stop()

            return live, await live.run((), 1, until), heard

    live, scan, heard = asyncio.run(run())
    assert live.listed_count == 2
    assert [one["subscription"] for one in heard] == 2 * [
        {"type": "bbo", "coin": "BTC"},
        {"type": "trades", "coin": "BTC"},
    ]
    (watched,) = scan.watched
    assert watched.counts["trades"] == 2
    assert watched.watched_ns == (2_000 + 3_000) * 1_000_000
    assert watched.counts["fills_without_a_mid_after_10_s"] == 2
    assert live.feed is not None
    assert "2 connections, last fault" in live.feed.status()


def test_contexts_are_asked_for_again_and_an_answer_that_is_none_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing at the start, one while it runs, and from then on nonsense."""
    monkeypatch.setattr(scan_shell, "CONTEXTS_NS", 0)
    good = answer(("BTC", "5"))

    async def run() -> tuple[LiveScan, MarketScan]:
        async with scripted(good, [[bbo(0), trade(1, 1)]], good, b"{}") as (url, _):
            live = live_scan(url)

            def until(done: int, total: int) -> None:
                if live.feed is not None and live.feed.tally["contexts_missed"]:
                    live.stop()

            return live, await live.run((), 1, until)

    live, scan = asyncio.run(run())
    assert scan.watched[0].funding_rates == (2 * 12_500_000, 2)
    assert live.feed is not None
    assert live.feed.tally["contexts_missed"] == 1


def test_it_ends_when_its_time_is_over_and_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []

    async def run() -> LiveScan:
        async with scripted(answer(("BTC", "5")), [[bbo(0)]]) as (url, _):
            live = live_scan(url, duration_ns=10**8)
            await live.run(("BTC",), 5, lambda done, total: told.append((done, total)))
            return live

    assert not asyncio.run(run()).is_stopped
    assert told[-1] == (0, 0)


def test_no_more_markets_than_the_share_allows() -> None:
    async def run() -> MarketScan:
        async with scripted(answer(("A", "5"), ("B", "9"), ("C", "7")), [[]]) as (url, _):
            live = live_scan(url, share=replace(SHARE, markets=2), duration_ns=10**8)
            return await live.run((), 500, None)

    assert [watched.market.name for watched in asyncio.run(run()).watched] == ["B", "C"]


@pytest.mark.parametrize("listing", [b"{}", b"null", b"<html>"])
def test_a_venue_that_lists_nothing_is_told_so(listing: bytes) -> None:
    async def run() -> None:
        async with scripted(listing, [[]]) as (url, _):
            await live_scan(url).run((), 5, None)

    with pytest.raises(VenueError, match="does not answer metaAndAssetCtxs"):
        asyncio.run(run())


@pytest.mark.processes
def test_an_exchange_that_trades_is_watched(tmp_path: Path) -> None:
    """Until both coins have traded; the order of the venue, no message refused, nothing late."""
    with trading_exchange(tmp_path, "BTC,ETH") as url:
        live = live_scan(url)

        async def run() -> MarketScan:
            def until(done: int, total: int) -> None:
                if live.feed is not None and live.feed.tally["trade_messages"] >= 6 and done >= 2:
                    live.stop()

            return await live.run((), 25, until)

        scan = asyncio.run(run())
    assert sorted(watched.market.name for watched in scan.watched) == ["BTC", "ETH"]
    assert live.feed is not None
    assert {name: live.feed.tally[name] for name in ("messages_refused", "errors", "rows_too_late", "overflows")} == {
        "messages_refused": 0, "errors": 0, "rows_too_late": 0, "overflows": 0,
    }  # fmt: skip
    assert sum(watched.counts["trades"] for watched in scan.watched) > 0
    for watched in scan.watched:
        assert watched.watched_ns > 10**9
        assert watched.funding_rates[1] > 0
