"""The live feed decides: connections and their backoff, what of a stream is believed, and when a book is stale."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hlhft.exchange.flow import live_feed
from hlhft.exchange.flow.background import feed_legs, new_background
from hlhft.exchange.flow.feeding import visible
from hlhft.exchange.flow.live_feed import (
    CONNECTS_PER_MINUTE_MAX,
    MINUTE_NS,
    MS,
    SECOND,
    TRANSITIONS,
    Close,
    Connect,
    FeedSettings,
    Link,
    LiveFeed,
    Send,
    Step,
)
from hlhft.ladder import new_header
from hlhft.venue.blocks import ACTION_DTYPE
from tests.data.making import BTC, ETH
from tests.exchange.flow.host import book_of

BUY, SELL = 1, -1
T = 1_757_000_000_000  # the venue's time, ms
START = 1_000 * SECOND  # ours


def frame(channel: str, data: object) -> str:
    return msgspec.json.encode({"channel": channel, "data": data}).decode()


def levels(*pairs: tuple[int, int]) -> list[dict[str, object]]:
    """Prices in tenths, sizes in 0.001."""
    return [{"px": f"{price / 10}", "sz": f"{size / 1000}", "n": 1} for price, size in pairs]


def picture(time: int, bids: list, asks: list, *, fast: bool = False, coin: str = "BTC") -> str:
    data: dict[str, object] = {"coin": coin, "time": T + time, "levels": [levels(*bids), levels(*asks)]}
    return frame("l2Book", data | ({"fast": True} if fast else {}))


def best(time: int, bid: tuple[int, int], ask: tuple[int, int], coin: str = "BTC") -> str:
    return frame("bbo", {"coin": coin, "time": T + time, "bbo": levels(bid, ask)})


def traded(time: int, side: str, price: int, size: int, tid: int, coin: str = "BTC") -> str:
    trade = {"coin": coin, "side": side, "px": f"{price / 10}", "sz": f"{size / 1000}", "time": T + time, "tid": tid}
    return frame("trades", [trade])


class Told:
    """A feed and a clock of its own; what comes of the rows is followed in a book."""

    def __init__(self, *markets, **settings: int) -> None:
        self.feed = LiveFeed(markets or (BTC,), seed=1, settings=FeedSettings(**settings))
        self.now = START
        self.background = new_background(new_header(1, 2_000), [0, -1][: len(markets) or 1], first_account=1)
        self.trades: list[tuple[int, int, int]] = []

    def up(self) -> Told:
        assert self.feed.tick(self.now) == [Connect()]
        self.feed.opened(self.now)
        return self

    def hear(self, *texts: str, after_ms: int = 0) -> list:
        effects = []
        for text in texts:
            effects += self.feed.received(text, self.now)
        self.now += after_ms * MS
        return effects + self.feed.tick(self.now)

    def take(self, after_ms: int = 100) -> tuple[list, list]:
        """The followed book, in ticks and thousandths, after what was held."""
        self.now += after_ms * MS
        self.feed.tick(self.now)
        rows = self.feed.take_rows()
        if rows is not None:
            rows = visible(rows)
            rows["ts_exch_ns"] = 0
            legs = np.zeros(4_000, ACTION_DTYPE)
            at, cursor = feed_legs(self.background, rows, 0, legs, 0, 1, 0)
            assert cursor == len(rows)
            self.trades += [
                (int(leg["side"]), int(leg["price_ticks"]), int(leg["size_lots"]) // 100)
                for leg in legs[:at]
                if leg["kind"] == 18
            ]
        bids, asks = book_of(self.background.ladders[0], self.background.cells[0], 30)
        return tuple([(price, lots // 100) for price, lots in side] for side in (bids, asks))


# The connection.


def test_no_step_is_left_out_by_accident():
    assert set(TRANSITIONS) == set(Link)
    assert {step for row in TRANSITIONS.values() for step in row} == set(Step)
    with pytest.raises(AssertionError, match="is waiting, where opened cannot happen"):
        LiveFeed([BTC], seed=1).opened(0)


def test_it_connects_and_subscribes_again_each_time():
    told = Told(BTC, ETH)
    assert told.feed.tick(told.now) == [Connect()]
    assert told.feed.tick(told.now) == []
    sent = told.feed.opened(told.now)
    wanted = [msgspec.json.decode(effect.text)["subscription"] for effect in sent]
    assert {one["coin"] for one in wanted} == {"BTC", "ETH"}
    kinds = [(one["type"], one.get("fast")) for one in wanted if one["coin"] == "BTC"]
    assert kinds == [("l2Book", None), ("l2Book", True), ("bbo", None), ("trades", None), ("activeAssetCtx", None)]
    told.feed.closed("Expired", told.now)
    told.now = told.feed.next_deadline_ns()
    assert told.feed.tick(told.now) == [Connect()]
    assert told.feed.opened(told.now) == sent
    assert told.feed.status() == "up, 2 connections, no book of BTC, ETH, last error: Expired"


def waits(seed: int, count: int, **settings: int) -> list[int]:
    """How long it waits after each failure in a row, in ns."""
    feed, now, found = LiveFeed([BTC], seed=seed, settings=FeedSettings(**settings)), START, []
    for _ in range(count):
        assert feed.tick(now) == [Connect()]
        feed.closed("refused", now)
        assert feed.tick(feed.next_deadline_ns() - 1) == []
        found.append(feed.next_deadline_ns() - now)
        now = feed.next_deadline_ns()
    return found


def test_failures_make_it_wait_longer_with_jitter_from_the_seed():
    found = waits(1, 12)
    assert found == waits(1, 12)
    assert found != waits(2, 12)
    for number, wait in enumerate(found):
        whole = min(250 * MS << number, 30 * SECOND)
        assert whole // 2 <= wait <= whole


def test_it_connects_at_most_so_often_a_minute():
    times = [START, *(START + total for total in itertools.accumulate(waits(3, 100, backoff_ns_max=300 * MS)))]
    for first, later in zip(times, times[CONNECTS_PER_MINUTE_MAX:]):
        assert later - first >= MINUTE_NS


def test_a_book_makes_the_next_wait_short_again():
    told = Told()
    for _ in range(6):
        told.now = max(told.feed.next_deadline_ns(), told.now)
        told.feed.tick(told.now)
        told.feed.closed("refused", told.now)
    told.now = told.feed.next_deadline_ns()
    told.up().hear(best(0, (1_000, 1), (1_001, 1)))
    told.feed.closed("Expired", told.now)
    assert told.feed.tick(told.now + 250 * MS) == [Connect()]


def test_it_pings_and_gives_up_a_connection_without_market_data():
    told = Told(ping_ns=20 * SECOND, silent_ns=30 * SECOND).up()
    assert told.hear('{"channel":"pong"}', after_ms=19_999) == []
    assert told.feed.next_deadline_ns() == START + 20 * SECOND
    assert told.hear('{"channel":"pong"}', after_ms=1) == [Send('{"method":"ping"}')]
    assert told.hear('{"channel":"pong"}', after_ms=9_999) == []
    assert told.hear(after_ms=1) == [Close()]
    # What still comes is not looked at.
    assert told.hear(best(0, (1_000, 1), (1_001, 1))) == []
    told.feed.closed("no market data came", told.now)
    assert (told.feed.link, told.feed.tally["connections_silent"], told.take()) == (Link.WAITING, 1, ([], []))


# What is believed.


def test_frames_become_a_book():
    told = Told().up()
    told.hear("Websocket connection established.", frame("subscriptionResponse", {}))
    told.hear(picture(0, [(1_000, 5), (999, 4)], [(1_001, 3), (1_002, 2)]))
    assert told.feed.take_rows() is None
    assert told.take() == ([(1_000, 5), (999, 4)], [(1_001, 3), (1_002, 2)])
    told.hear(best(10, (999, 7), (1_002, 2)))
    assert told.take() == ([(999, 7)], [(1_002, 2)])
    told.hear(picture(20, [(999, 6), (998, 2)], [(1_002, 2)], fast=True))
    assert told.take() == ([(999, 6), (998, 2)], [(1_002, 2)])
    assert told.feed.tally["greetings"] == 1
    assert told.take() == ([(999, 6), (998, 2)], [(1_002, 2)])


def test_a_fast_picture_leaves_what_it_does_not_carry():
    told = Told().up()
    deep = [(1_000 - place, 1) for place in range(8)]
    told.hear(picture(0, deep, [(1_001, 1)]))
    told.hear(picture(5, [(1_000, 9), *deep[1:5]], [(1_001, 1)], fast=True))
    assert told.take()[0] == [(1_000, 9), *deep[1:]]


def test_within_a_block_trades_come_before_what_they_left():
    told = Told().up()
    told.hear(picture(0, [(1_000, 5)], [(1_001, 5)]))
    told.take()
    # The best price of the block tells what its trade left, and arrives first.
    told.hear(best(10, (1_000, 2), (1_001, 5)), after_ms=9)
    told.hear(traded(10, "A", 1_000, 3, 1))
    assert told.take() == ([(1_000, 2)], [(1_001, 5)])
    assert told.trades == [(SELL, 1_000, 3)]


def test_best_prices_that_were_overtaken_are_dropped():
    told = Told().up()
    told.hear(best(10, (1_000, 2), (1_001, 5)))
    told.take()
    told.hear(best(9, (990, 2), (991, 5)))
    assert told.take() == ([(1_000, 2)], [(1_001, 5)])
    assert told.feed.tally["best_prices_overtaken"] == 2


def test_a_picture_that_was_overtaken_does_not_move_the_touch():
    told = Told().up()
    told.hear(best(10, (1_000, 2), (1_003, 5)))
    told.take()
    told.hear(picture(9, [(1_001, 1), (1_000, 9), (998, 3)], [(1_002, 1), (1_004, 6)]))
    assert told.take() == ([(1_000, 2), (998, 3)], [(1_003, 5), (1_004, 6)])


def test_trades_from_before_the_connections_first_book_are_left_out_and_repeated_ones_too():
    told = Told().up()
    told.hear(traded(-500, "B", 1_001, 1, 1), traded(-400, "B", 1_001, 1, 2))
    told.hear(best(0, (1_000, 2), (1_001, 5)), traded(-1, "B", 1_001, 1, 3), traded(0, "B", 1_001, 2, 4))
    told.take()
    told.feed.closed("Expired", told.now)
    told.now = told.feed.next_deadline_ns()
    told.up()
    told.hear(best(900, (1_000, 2), (1_001, 5)), traded(0, "B", 1_001, 2, 4), traded(500, "B", 1_001, 9, 5))
    told.hear(traded(900, "B", 1_001, 1, 6))
    told.take()
    assert told.trades == [(BUY, 1_001, 2), (BUY, 1_001, 1)]
    assert (told.feed.tally["backfill_trades"], told.feed.tally["duplicate_trades"]) == (4, 1)


def test_prices_from_outside_reach_the_exchange():
    told = Told().up()
    context = {"markPx": "100.5", "oraclePx": "100.4", "funding": "0.0000125", "openInterest": "1", "premium": "0"}
    told.hear(frame("activeAssetCtx", {"coin": "BTC", "ctx": context}))
    told.take()
    assert (told.background.followed[0]["mark_ticks"], told.background.followed[0]["oracle_ticks"]) == (1_005, 1_004)


@pytest.mark.parametrize(
    "text",
    [
        "{", '{"channel":1}', '{"channel":"bbo","data":{"coin":"BTC","time":-1,"bbo":[null,null]}}',
        '{"channel":"bbo","data":{"coin":"BTC","time":5,"bbo":[{"px":"x","sz":"1"},null]}}',
        '{"channel":"l2Book","data":{"coin":"BTC","time":5,"levels":[[{"px":"-1","sz":"1"}],[]]}}', "[" * 5_000,
        "{" + "[" * 5_000,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_counted_and_harms_nothing(text):
    told = Told().up()
    told.hear(text, best(0, (1_000, 2), (1_001, 5)))
    assert told.take() == ([(1_000, 2)], [(1_001, 5)])
    assert told.feed.tally["messages_refused"] + told.feed.tally["greetings"] == 1


def test_what_the_venue_complains_of_is_shown():
    told = Told().up()
    told.hear(frame("error", "Already subscribed: {}"), best(0, (1_000, 2), (1_001, 5)))
    assert told.feed.status() == 'up, 1 connection, last error: {"channel":"error","data":"Already subscribed: {}"}'
    assert told.feed.tally["errors"] == 1


# Books that become stale.


def test_a_market_without_a_book_loses_it():
    told = Told(BTC, ETH, stale_ns=15 * SECOND).up()
    told.hear(picture(0, [(1_000, 5), (999, 4)], [(1_001, 3)]), best(0, (100, 1), (101, 1), coin="ETH"))
    assert told.take() == ([(1_000, 5), (999, 4)], [(1_001, 3)])
    told.hear(best(1, (100, 1), (101, 1), coin="ETH"), traded(7, "B", 1_001, 1, 1), after_ms=14_899)
    assert told.take(0)[1] == [(1_001, 2)]
    assert told.feed.next_deadline_ns() == START + 15 * SECOND
    assert told.take(1) == ([], [])
    assert told.feed.stale == [True, False]
    assert told.feed.status() == "up, 1 connection, no book of BTC"
    # No trade is believed without a book, and the next one brings it back.
    told.hear(traded(9_000, "B", 1_001, 1, 2))
    told.hear(picture(10_000, [(1_000, 5)], [(1_001, 3)]), best(2, (100, 1), (101, 1), coin="ETH"))
    assert told.take() == ([(1_000, 5)], [(1_001, 3)])
    assert (told.feed.stale, told.feed.tally["books_stale"], len(told.trades)) == ([False, False], 1, 1)


def test_also_while_nothing_is_connected():
    told = Told().up()
    told.hear(best(0, (1_000, 2), (1_001, 5)))
    told.take()
    told.feed.closed("gone", told.now)
    told.feed.tick(told.now + 14 * SECOND)
    assert told.take(15_000) == ([], [])


def test_too_much_that_waits_is_dropped(monkeypatch):
    monkeypatch.setattr(live_feed, "ROWS_WAITING_MAX", 40)
    told = Told().up()
    told.hear(picture(0, [(1_000, 5), (999, 4)], [(1_001, 3)]))
    told.take()
    for number in range(1, 30):
        told.hear(best(number, (1_000, 100 + number), (1_001, 7)), after_ms=60)
    assert told.feed.tally["overflows"] == 1
    # The last ones that did not fit began the book anew: the level at 999 is no longer known.
    assert told.take() == ([(1_000, 129)], [(1_001, 7)])


def test_books_begin_anew_when_told():
    told = Told().up()
    told.hear(picture(0, [(1_000, 5)], [(1_001, 3)]))
    told.take()
    told.feed.begin_anew()
    assert told.take(0) == ([], [])


# Real frames.


def test_recorded_frames_give_the_recorded_book(recordings: Path):
    path = recordings / "hyperliquid" / "ws_raw_20250126" / "btcusd_20250126.gz"
    told = Told()
    told.background = new_background(new_header(1_000_000, 100_000), [0], first_account=1)
    told.up()
    pictures = 0
    for line in gzip.decompress(path.read_bytes()).splitlines():
        text = line.partition(b" ")[2].decode()
        told.hear(text)
        message = msgspec.json.decode(text)
        shown = told.take(60)
        if message["channel"] == "l2Book":
            pictures += 1
            expected = [
                [(BTC.ticks(level["px"]), BTC.lots(level["sz"]) // 100) for level in side]
                for side in message["data"]["levels"]
            ]
            assert [side[:20] for side in shown] == expected
    assert pictures == 46
    assert len(told.trades) > 5
