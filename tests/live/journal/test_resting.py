"""What of ours was in the venue's books, by block, and the books without it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.live.journal.records import RecordKind, pack, records_of
from hlhft.live.journal.resting import OthersOnly, Resting
from tests.core.worlds import BUY, COIN, MS, SELL, START, event, snapshot

MAKER = int(EventFlag.MAKER)
K = EventKind
T = START


def resting(*each: np.ndarray, frames: Iterable[bytes] = ()) -> Resting:
    """What these events of ours, and these frames of the user's channels, say."""
    head = pack(RecordKind.START, b"", sequence=1, ts_ns=T, session=1)
    parts = [(RecordKind.RAW, frame) for frame in frames] + [(RecordKind.INPUTS, rows.tobytes()) for rows in each]
    found = Resting([COIN])
    content = head + b"".join(
        pack(kind, payload, sequence=place + 2, ts_ns=T, session=1) for place, (kind, payload) in enumerate(parts)
    )
    for record in records_of(content):
        found.take(record)
    found.settle()
    return found


def rests(order_id: int, ticks: int, lots: int, *, at_ns: int, side: int = BUY, oid: int = 0) -> np.ndarray:
    return event(K.ORDER_ACKNOWLEDGED, at_ns, order_id=order_id, price_ticks=ticks, size_lots=lots, side=side, aux0=oid)


def fills(order_id: int, ticks: int, lots: int, left: int, *, at_ns: int, side: int = BUY, maker: int = MAKER):
    return event(
        K.ORDER_FILLED, at_ns, order_id=order_id, price_ticks=ticks, size_lots=lots, aux0=left, side=side, flags=maker
    )


def ends(order_id: int, *, at_ns: int) -> np.ndarray:
    return event(K.ORDER_CANCELLED, at_ns, order_id=order_id)


def told(status: str, oid: int, at_ns: int) -> bytes:
    """A frame of orderUpdates."""
    order = {
        "coin": "COIN", "side": "B", "limitPx": "1.0", "sz": "1.0", "oid": oid, "timestamp": at_ns // MS,
        "origSz": "1.0",
    }  # fmt: skip
    update = {"order": order, "status": status, "statusTimestamp": at_ns // MS}
    return msgspec.json.encode({"channel": "orderUpdates", "data": [update]})


def at(found: Resting, ts_ns: int, ticks: int = 1000, side: int = BUY) -> tuple[int, int]:
    return found.at(0, side, ticks, ts_ns)


def test_an_order_rests_from_its_acknowledgement_to_its_end() -> None:
    found = resting(rests(1, 1000, 500, at_ns=T), ends(1, at_ns=T + 10 * MS))
    assert [at(found, T + ms * MS) for ms in (-1, 0, 9, 10)] == [(0, 0), (500, 1), (500, 1), (0, 0)]
    assert at(found, T, ticks=1001) == at(found, T, side=SELL) == (0, 0)


def test_fills_take_it_away_and_the_last_one_ends_it() -> None:
    found = resting(
        rests(1, 1000, 500, at_ns=T), rests(2, 1000, 100, at_ns=T + MS),
        fills(1, 1000, 200, 300, at_ns=T + 2 * MS), fills(1, 1000, 300, 0, at_ns=T + 3 * MS),
    )  # fmt: skip
    assert [at(found, T + ms * MS) for ms in range(4)] == [(500, 1), (600, 2), (400, 2), (100, 1)]


def test_the_users_frames_know_the_block_where_an_answer_does_not() -> None:
    acknowledged, ended = rests(1, 1000, 500, at_ns=T + 5 * MS, oid=77), ends(1, at_ns=T + 30 * MS)
    acknowledged["ts_exch_ns"] = ended["ts_exch_ns"] = 0
    frames = [told("open", 77, T), told("canceled", 77, T + 20 * MS)]
    found = resting(acknowledged, ended, frames=frames)
    assert [at(found, T + ms * MS) for ms in (-1, 0, 19, 20)] == [(0, 0), (500, 1), (500, 1), (0, 0)]
    assert found.opened_ns == {77: T} and found.ended_ns == {77: T + 20 * MS}
    late = resting(acknowledged, ended)
    assert [at(late, T + ms * MS) for ms in (4, 5, 29, 30)] == [(0, 0), (500, 1), (500, 1), (0, 0)], "as it was heard"


def test_a_modified_order_moves_and_one_of_before_was_always_there() -> None:
    adopted = event(K.ORDER_ADOPTED, T, order_id=9, price_ticks=990, size_lots=40, side=BUY, aux0=5)
    found = resting(adopted, rests(1, 1000, 500, at_ns=T, oid=1), rests(1, 999, 500, at_ns=T + 4 * MS, oid=2))
    assert at(found, 1, ticks=990) == (40, 1)
    assert [at(found, T + 4 * MS, ticks=ticks) for ticks in (1000, 999)] == [(0, 0), (500, 1)]


def test_what_is_told_twice_rests_once() -> None:
    found = resting(rests(1, 1000, 500, at_ns=T, oid=1), rests(1, 1000, 500, at_ns=T + MS, oid=1))
    assert at(found, T + 2 * MS) == (500, 1)


def frame(*touches: tuple[int, int, int], at_ns: int = T) -> np.ndarray:
    """A best bid and offer as (side, price, lots)."""
    rows = [event(K.BBO, at_ns, side=side, price_ticks=ticks, size_lots=lots) for side, ticks, lots in touches]
    rows[-1]["flags"] = int(EventFlag.FRAME_END)
    return np.concatenate(rows)


def levels(rows: np.ndarray, side: int) -> list[tuple[int, int]]:
    chosen = rows[(rows["kind"] == int(K.DEPTH_LEVEL)) & (rows["side"] == side)]
    return [(int(one["price_ticks"]), int(one["size_lots"])) for one in chosen]


def picture(at_ns: int = T) -> np.ndarray:
    return snapshot(at_ns, [(1000, 500), (999, 700), (998, 900)], [(1002, 400), (1003, 600), (1004, 800)])


def test_a_picture_is_shown_without_us() -> None:
    found = OthersOnly(resting(rests(1, 999, 100, at_ns=T - MS), rests(2, 1003, 600, at_ns=T - MS, side=SELL)))
    before = picture()
    rows = found.of(before)
    assert levels(rows, BUY) == [(1000, 500), (999, 600), (998, 900)]
    assert levels(rows, SELL) == [(1002, 400), (1004, 800)]
    assert rows["flags"][-1] == int(EventFlag.FRAME_END) and rows["kind"][-1] == int(K.SNAPSHOT_END)
    assert np.array_equal(before, picture()), "what was given is as it was"


def test_a_picture_that_was_full_says_that_it_shows_a_level_less() -> None:
    full = picture()
    full["aux0"][[0, -1]] = 3, 6
    rows = OthersOnly(resting(rests(2, 1003, 600, at_ns=T - MS, side=SELL))).of(full)
    assert (int(rows["aux0"][0]), int(rows["aux0"][-1])) == (2, 5)
    rows = OthersOnly(resting(rests(2, 1003, 600, at_ns=T - MS, side=SELL))).of(picture())
    assert int(rows["aux0"][0]) == 20, "a side that was complete stays so"


def test_a_best_price_that_was_only_ours_becomes_that_of_the_others() -> None:
    ours = resting(rests(1, 1001, 50, at_ns=T))
    rows = OthersOnly(ours).of(np.concatenate([picture(), frame((BUY, 1001, 50), (SELL, 1002, 400), at_ns=T + MS)]))
    assert rows[-2:][["price_ticks", "size_lots"]].tolist() == [(1000, 500), (1002, 400)]
    rows = OthersOnly(ours).of(np.concatenate([picture(), frame((BUY, 1001, 80), (SELL, 1002, 400), at_ns=T + MS)]))
    assert rows[-2]["size_lots"] == 30


def test_a_newer_best_price_of_the_others_counts_more_than_a_picture() -> None:
    ours = resting(rests(1, 1001, 50, at_ns=T + 2 * MS))
    told_before = frame((BUY, 998, 10), (SELL, 1002, 400), at_ns=T + MS)
    rows = OthersOnly(ours).of(
        np.concatenate([picture(), told_before, frame((BUY, 1001, 50), (SELL, 1002, 400), at_ns=T + 2 * MS)])
    )
    assert rows[-2][["price_ticks", "size_lots"]].tolist() == (998, 10)
    better = frame((BUY, 1002, 10), (SELL, 1003, 400), at_ns=T + MS)
    rows = OthersOnly(ours).of(
        np.concatenate([picture(), better, frame((BUY, 1001, 50), (SELL, 1003, 400), at_ns=T + 2 * MS)])
    )
    assert rows[-2][["price_ticks", "size_lots"]].tolist() == (1000, 500), "it is gone, and the picture's next counts"


def test_arrays_hand_on_what_they_knew() -> None:
    others = OthersOnly(resting(rests(1, 1001, 50, at_ns=T)))
    others.of(picture())
    others.of(frame((BUY, 997, 20), (SELL, 1002, 400), at_ns=T))
    rows = others.of(frame((BUY, 1001, 50), (SELL, 1002, 400), at_ns=T + MS))
    assert rows[["price_ticks", "size_lots"]].tolist() == [(997, 20), (1002, 400)]
    again = others.of(frame((BUY, 1001, 50), (SELL, 1002, 400), at_ns=T + MS))
    assert np.array_equal(again, rows)


def test_a_side_of_which_nothing_is_known_is_not_told() -> None:
    others = OthersOnly(resting(rests(1, 1002, 50, at_ns=T, side=SELL)))
    rows = others.of(frame((BUY, 1000, 5), (SELL, 1002, 50), at_ns=T))
    assert rows[["side", "price_ticks", "flags"]].tolist() == [(BUY, 1000, int(EventFlag.FRAME_END))]
    both = OthersOnly(resting(rests(1, 1002, 50, at_ns=T, side=SELL), rests(2, 1000, 5, at_ns=T)))
    assert len(both.of(frame((BUY, 1000, 5), (SELL, 1002, 50), at_ns=T))) == 0


def trade(side: int, ticks: int, lots: int, at_ns: int) -> np.ndarray:
    return event(K.TRADE, at_ns, side=side, price_ticks=ticks, size_lots=lots, flags=int(EventFlag.FRAME_END))


def test_trades_that_we_took_go_and_those_that_took_ours_stay() -> None:
    found = OthersOnly(
        resting(
            rests(1, 1000, 500, at_ns=T), fills(1, 1000, 200, 300, at_ns=T + MS),
            fills(2, 1002, 70, 0, at_ns=T + MS, maker=0),
        )
    )  # fmt: skip
    hit, taken, another = trade(SELL, 1000, 200, T + MS), trade(BUY, 1002, 70, T + MS), trade(BUY, 1002, 71, T + MS)
    rows = found.of(np.concatenate([hit, taken, another]))
    assert rows["size_lots"].tolist() == [200, 71]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 400), st.integers(1, 20)), max_size=8), st.integers(0, 45))
def test_what_is_left_and_what_was_ours_is_what_was_shown(orders: list[tuple[int, int, int]], after_ms: int) -> None:
    parts, expected = [], 0
    for number, (since, lots, length) in enumerate(orders):
        parts += [
            rests(number + 1, 1000, lots, at_ns=T + since * MS),
            ends(number + 1, at_ns=T + (since + length) * MS),
        ]
        expected += lots * (since <= after_ms < since + length)
    found = resting(*parts)
    assert at(found, T + after_ms * MS)[0] == expected
    shown = snapshot(T + after_ms * MS, [(1000, 5000)], [(1002, 400)])
    assert levels(OthersOnly(found).of(shown), BUY) == [(1000, 5000 - expected)]


def test_rows_of_which_nothing_is_ours_are_given_as_they_are() -> None:
    rows = np.concatenate([picture(), frame((BUY, 1000, 5), (SELL, 1002, 50), at_ns=T)])
    assert np.array_equal(OthersOnly(resting()).of(rows), rows)
    assert len(OthersOnly(resting()).of(np.zeros(0, EVENT_DTYPE))) == 0
