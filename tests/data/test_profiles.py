"""Feed profiles: what reaches us in the cadence and depth of the live feed of 2026."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.data.profiles import LIVE_2026, PROFILES, profile_named, thinned
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from tests.data.making import END, EXCHANGE, LOCAL, bbo, columns, cut, event, joined, rows_of, snapshot, trade

ONE = np.array([True])
MILLISECOND = 1_000_000
BIDS, ASKS = [(100 - place, 1) for place in range(20)], [(101 + place, 2) for place in range(20)]


def ours(arrays: list[Events], markets: np.ndarray = ONE) -> Events:
    rows = joined(thinned(arrays, LIVE_2026, snapshot_markets=markets))
    return rows[(rows["flags"] & LOCAL) != 0]


def book(milliseconds: int, **more: int) -> Events:
    return snapshot(milliseconds * MILLISECOND, BIDS, ASKS, **more)


def test_both_channels_send_the_first_picture_and_the_venue_keeps_it() -> None:
    rows = joined(thinned([book(10_100)], LIVE_2026, snapshot_markets=ONE))
    sent = rows[(rows["flags"] & LOCAL) != 0]
    begins = sent[sent["kind"] == EventKind.SNAPSHOT_BEGIN]
    assert columns(begins, "aux0", "aux1") == [(20, 0), (5, 1)]
    ends = sent[sent["kind"] == EventKind.SNAPSHOT_END]
    assert columns(ends, "aux0", "aux1") == [(40, 0), (10, 1)]
    assert np.flatnonzero(sent["flags"] & END).tolist() == [41, 53]
    fast = sent[42:]
    assert columns(fast[fast["kind"] == EventKind.DEPTH_LEVEL], "side", "price_ticks", "size_lots") == [
        *((1, price, lots) for price, lots in BIDS[:5]), *((-1, price, lots) for price, lots in ASKS[:5]),
    ]  # fmt: skip
    venue = rows[(rows["flags"] & EXCHANGE) != 0]
    expected = book(10_100)
    expected["flags"] = EXCHANGE
    assert venue.tobytes() == expected.tobytes()


def test_channels_keep_their_beat() -> None:
    times = [10_100, 10_300, 10_499, 10_500, 10_999, 11_200, 14_999, 15_001, 15_400]
    begins = ours([book(time) for time in times])
    begins = begins[begins["kind"] == EventKind.SNAPSHOT_BEGIN]
    sent = {channel: (begins["ts_exch_ns"][begins["aux1"] == channel] // MILLISECOND).tolist() for channel in (0, 1)}
    assert sent == {0: [10_100, 15_001], 1: [10_100, 10_500, 11_200, 14_999, 15_001]}


def test_each_market_has_its_own_beat_and_others_pass() -> None:
    rows = ours([book(10_100), book(10_200, market=1), book(10_300, market=2)], np.array([True, True, False]))
    begins = rows[rows["kind"] == EventKind.SNAPSHOT_BEGIN]
    assert columns(begins, "market", "aux1") == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert len(rows[rows["market"] == 2]) == 42


def test_a_recorded_fast_picture_never_stands_for_a_full_one() -> None:
    fast = snapshot(10_100 * MILLISECOND, BIDS[:5], ASKS[:5], levels=5, channel=1)
    begins = ours([fast, book(10_600)])
    begins = begins[begins["kind"] == EventKind.SNAPSHOT_BEGIN]
    assert columns(begins, "ts_exch_ns", "aux0", "aux1") == [
        (10_100 * MILLISECOND, 5, 1), (10_600 * MILLISECOND, 20, 0), (10_600 * MILLISECOND, 5, 1),
    ]  # fmt: skip


def test_a_side_with_fewer_levels_sends_what_it_has() -> None:
    rows = ours([snapshot(10, BIDS[:2], [], levels=20)])
    assert columns(rows[rows["kind"] == EventKind.SNAPSHOT_END], "aux0", "aux1") == [(2, 0), (2, 1)]
    assert columns(rows[rows["kind"] == EventKind.SNAPSHOT_BEGIN], "aux0", "aux1") == [(20, 0), (5, 1)]


def test_an_unchanged_touch_is_not_sent_but_the_venue_keeps_it() -> None:
    touches = [bbo(10, (100, 1), (101, 1)), bbo(20, (100, 1), (101, 1)), bbo(30, (100, 1), (101, 2)),
               bbo(40, (100, 1), (101, 2)), bbo(50, (99, 1), (101, 2))]  # fmt: skip
    rows = joined(thinned(touches, LIVE_2026, snapshot_markets=ONE))
    assert rows["ts_exch_ns"][(rows["flags"] & LOCAL) != 0].tolist() == [10, 10, 30, 30, 50, 50]
    assert rows["ts_exch_ns"][(rows["flags"] & EXCHANGE) != 0].tolist() == [10, 10, 20, 20, 30, 30, 40, 40, 50, 50]
    assert not (rows["flags"][(rows["flags"] & LOCAL) == 0] & END).any()


def test_after_a_clear_the_same_touch_is_sent_again_in_its_market_only() -> None:
    touch = ((100, 1), (101, 1))
    arrays = [bbo(10, *touch), bbo(10, *touch, market=1), event(EventKind.DEPTH_CLEAR, 20), bbo(30, *touch),
              bbo(30, *touch, market=1)]  # fmt: skip
    rows = ours(arrays, np.array([True, True]))
    touches = rows[rows["kind"] == EventKind.BBO]
    assert columns(touches[touches["side"] == 1], "ts_exch_ns", "market") == [(10, 0), (10, 1), (30, 0)]


def test_trades_pass_and_nothing_depends_on_the_cuts() -> None:
    rows = joined([book(10_100), trade(10_200 * MILLISECOND, 1, 101, 1), bbo(10_300 * MILLISECOND, (100, 1), (101, 1)),
                   book(10_600), bbo(10_700 * MILLISECOND, (100, 1), (101, 1))])  # fmt: skip
    whole = joined(thinned([rows], LIVE_2026, snapshot_markets=ONE))
    for step in (1, 7, 50):
        parts = joined(thinned(cut(rows, range(step, len(rows), step)), LIVE_2026, snapshot_markets=ONE))
        assert parts.tobytes() == whole.tobytes()
    assert (whole["kind"] == EventKind.TRADE).sum() == 1


def test_a_picture_without_end_is_an_error() -> None:
    with pytest.raises(DataError, match=r"a snapshot has no end, expected SNAPSHOT_BEGIN and SNAPSHOT_END in pairs"):
        ours([book(10_100)[:-1]])


def test_nothing_in_gives_nothing_out() -> None:
    assert len(ours([])) == 0


def test_profiles_by_name() -> None:
    assert profile_named("recorded") is None
    assert profile_named("2026") is LIVE_2026
    assert set(PROFILES) == {"recorded", "2026"}
    with pytest.raises(ValueError, match=r"feed profile 2027 is not known, expected one of recorded, 2026"):
        profile_named("2027")


def test_a_recorded_book_is_seen_as_the_live_feed_of_2026_sends_it(recordings: Path) -> None:
    source = open_source(recordings / "hyperliquid/l2_trades_bbo_20250904/orderbooks_ETH.csv.gz")
    recorded = rows_of(source)
    recorded = recorded[: np.flatnonzero(recorded["kind"] == EventKind.SNAPSHOT_END)[600] + 1]
    rows = joined(thinned([recorded], LIVE_2026, snapshot_markets=ONE))
    venue = rows[(rows["flags"] & EXCHANGE) != 0]
    before = recorded[(recorded["flags"] & EXCHANGE) != 0]
    names = ("ts_exch_ns", "kind", "side", "price_ticks", "size_lots", "aux0", "aux1")
    assert all((venue[name] == before[name]).all() for name in names)
    sent = rows[(rows["flags"] & LOCAL) != 0]
    assert (np.diff(sent["ts_local_ns"]) >= 0).all()
    begins = sent[sent["kind"] == EventKind.SNAPSHOT_BEGIN]
    steps = {channel: np.diff(begins["ts_exch_ns"][begins["aux1"] == channel]) / 1e9 for channel in (0, 1)}
    assert 4.9 < np.median(steps[0]) < 5.5
    assert 0.5 < np.median(steps[1]) < 0.6
    per_frame = np.diff(np.flatnonzero(sent["kind"] == EventKind.SNAPSHOT_BEGIN))
    assert per_frame.min() >= 12
    touches = sent[(sent["kind"] == EventKind.BBO)]
    assert 0 < len(touches) <= (recorded["kind"] == EventKind.BBO).sum()
