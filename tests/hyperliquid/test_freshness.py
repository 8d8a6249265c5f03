"""What makes a market stale, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.backoff import MILLISECOND_NS, SECOND_NS
from hlhft.hyperliquid.freshness import Cause, Freshness, FreshnessSettings
from hlhft.hyperliquid.subscriptions import Stream, StreamKind, market_stream, user_stream

S, MS = SECOND_NS, MILLISECOND_NS
BOOK, FAST, BBO, TRADES, CONTEXT = (
    market_stream(kind, 0, "BTC")
    for kind in (StreamKind.BOOK, StreamKind.FAST_BOOK, StreamKind.BBO, StreamKind.TRADES, StreamKind.CONTEXT)
)
ETH = market_stream(StreamKind.FAST_BOOK, 1, "ETH")
UPDATES = user_stream(StreamKind.ORDER_UPDATES, "0x" + "ab" * 20)


def watched(*streams: Stream, **changes: int) -> Freshness:
    made = Freshness(FreshnessSettings(**changes))
    made.desire(streams)
    for stream in streams:
        made.watch(stream, 0)
    return made


def note(made: Freshness, stream: Stream, now_ns: int, block_ms: int = 0, touch: tuple[int, int] = (10, 11)) -> bool:
    return made.note(stream.key, block_ms, *touch, now_ns)


def test_a_cadenced_stream_is_fresh_from_its_first_frame_until_it_is_silent_for_too_long() -> None:
    made = watched(FAST)
    assert not made.is_fresh(0)
    assert note(made, FAST, S, 1)
    assert made.is_fresh(0)
    assert not note(made, FAST, 2 * S, 2), "nothing new"
    assert made.next_deadline_ns() == 4 * S
    assert made.stale(4 * S - 1) == []
    assert made.stale(4 * S) == [(FAST, Cause.SILENT)]
    assert not made.is_fresh(0)
    assert made.stale(5 * S) == [], "told once"
    assert made.next_deadline_ns() is None
    note(made, FAST, 5 * S, 3)
    assert not made.is_fresh(0), "until it is watched anew"


def test_one_that_is_never_heard_is_silent_too() -> None:
    assert watched(FAST).stale(2 * S) == [(FAST, Cause.SILENT)]


def test_silence_says_nothing_about_streams_without_a_cadence() -> None:
    made = watched(BBO, TRADES, UPDATES)
    assert list(made.markets) == [0, -1]
    assert made.is_fresh(0) and made.is_fresh(-1)
    assert made.next_deadline_ns() is None
    assert made.stale(10**6 * S) == []
    assert not note(made, UPDATES, S)


def test_a_market_is_as_fresh_as_the_worst_of_its_streams() -> None:
    made = watched(FAST, BBO, ETH)
    note(made, FAST, 0, 1)
    note(made, ETH, S, 1)
    assert made.is_fresh(0) and made.is_fresh(1)
    made.unwatch(BBO.key)
    assert not made.is_fresh(0) and made.is_fresh(1)
    assert made.stale(2 * S) == [(FAST, Cause.SILENT)]
    assert made.is_other_flowing(FAST.key)
    assert made.stale(3 * S) == [(ETH, Cause.SILENT)]
    assert not made.is_other_flowing(FAST.key)
    assert made.is_fresh(7), "of which nothing is wanted"


def test_a_stream_that_was_stale_must_come_twice() -> None:
    """The first frame comes with every subscription."""
    made = watched(FAST)
    made.stale(2 * S)
    made.unwatch(FAST.key)
    made.watch(FAST, 3 * S)
    assert not note(made, FAST, 3 * S, 1)
    assert not made.is_fresh(0)
    assert note(made, FAST, 4 * S, 2)
    assert made.is_fresh(0)
    made.lose()
    made.watch(FAST, 5 * S)
    note(made, FAST, 5 * S, 3)
    assert not made.is_fresh(0), "also on another socket"
    made.trust(FAST.key)
    made.watch(FAST, 5 * S)
    note(made, FAST, 5 * S, 3)
    assert made.is_fresh(0)


def test_what_is_not_wanted_is_not_watched() -> None:
    made = watched(FAST)
    made.watch(ETH, 0)
    assert not note(made, ETH, 0, 1)
    made.unwatch(ETH.key)
    older = market_stream(StreamKind.FAST_BOOK, 0, "BTC", age_ns_max=9 * S)
    made.desire([older])
    assert made.next_deadline_ns() == 9 * S
    note(made, FAST, 0, 1)
    made.desire([market_stream(StreamKind.FAST_BOOK, 0, "ETH")])
    assert not made.is_fresh(0), "another coin was watched"
    made.desire([])
    assert made.next_deadline_ns() is None


def quoting(*streams: Stream, **changes: int) -> Freshness:
    """All streams have told the same at block 1000."""
    made = watched(*streams, **changes)
    for stream in streams:
        note(made, stream, 0, 1000)
    return made


@pytest.mark.parametrize("touch", [(9, 11), (10, 12), (0, 11)])
def test_a_book_that_shows_another_touch_and_no_bbo_follows(touch: tuple[int, int]) -> None:
    made = quoting(BBO, FAST)
    assert note(made, FAST, S, 1500, touch)
    assert made.is_fresh(0), "the bbo of that block may be under way"
    assert made.next_deadline_ns() == 2 * S
    assert not note(made, FAST, S + MS, 1600, touch), "suspected already"
    assert made.stale(2 * S) == [(BBO, Cause.TOUCH_BEHIND)]
    assert not made.is_fresh(0)
    assert not note(made, FAST, 2 * S, 1700, touch), "known"


@pytest.mark.parametrize(("block_ms", "touch"), [(1500, (9, 11)), (1600, (8, 11)), (1499, (9, 11))])
def test_a_bbo_that_follows_agrees_or_is_newer(block_ms: int, touch: tuple[int, int]) -> None:
    made = quoting(BBO, FAST)
    note(made, FAST, S, 1500, (9, 11))
    assert not note(made, BBO, S + 5 * MS, block_ms, touch)
    assert made.stale(2 * S) == [] and made.is_fresh(0)


def test_a_bbo_that_is_still_behind_does_not_help() -> None:
    made = quoting(BBO, FAST)
    note(made, FAST, S, 1500, (9, 11))
    note(made, BBO, S, 1400, (8, 11))
    assert made.stale(2 * S) == [(BBO, Cause.TOUCH_BEHIND)]


def test_books_that_come_and_tell_of_the_past() -> None:
    made = quoting(BBO, FAST)
    for step in range(1, 10):
        now_ns = step * S // 2
        note(made, BBO, now_ns, 1000 + 500 * step, (10 + step, 11 + step))
        behind = note(made, FAST, now_ns, 1000, (10, 11))
        assert made.stale(now_ns) == ([(FAST, Cause.BOOK_BEHIND)] if step == 5 else []), "2.5 s are more than 2 s"
        assert not behind, "the bbo was what showed it"


def test_books_of_the_past_at_the_same_touch_are_no_contradiction() -> None:
    made = quoting(BBO, FAST)
    assert not note(made, BBO, S, 99_000)
    note(made, FAST, S, 1000)
    assert made.stale(S) == []


@pytest.mark.parametrize("streams", [(BBO,), (BBO, market_stream(StreamKind.BOOK, 0, "BTC", age_ns_max=0))])
def test_without_a_cadence_no_book_is_behind(streams: tuple[Stream, ...]) -> None:
    made = quoting(*streams)
    assert not note(made, BBO, S, 10**6, (20, 21))
    made = quoting(BBO, FAST)
    made._watches.pop(FAST.key)
    assert not note(made, BBO, S, 10**6, (20, 21))


def traded(made: Freshness, blocks: int, *, every_ms: int = 300, now_ns: int = S) -> list[tuple[Stream, Cause]]:
    for block in range(1, blocks + 1):
        note(made, TRADES, now_ns, 1000 + every_ms * block)
        note(made, TRADES, now_ns, 1000 + every_ms * block)  # twice in a block is once
    return made.stale(now_ns)


def test_trades_while_the_touch_stands_still() -> None:
    assert traded(quoting(BBO, TRADES), 7) == []
    made = quoting(BBO, TRADES)
    assert traded(made, 8) == [(BBO, Cause.TRADES_AHEAD)]
    assert not made.is_fresh(0)
    assert traded(quoting(BBO, TRADES), 8, every_ms=249) == [], "1992 ms are less than 2 s"


def test_a_touch_in_between_begins_the_count_anew() -> None:
    made = quoting(BBO, TRADES)
    traded(made, 7)
    note(made, BBO, S, 3200)
    assert [note(made, TRADES, S, 3300 + 300 * block) for block in range(8)] == [False] * 7 + [True]


def test_trades_of_the_past_count_for_nothing() -> None:
    made = quoting(BBO, TRADES)
    assert [note(made, TRADES, S, block_ms) for block_ms in range(1, 1001, 20)] == [False] * 50
    made = watched(BBO, TRADES)
    assert traded(made, 50) == [], "no touch was told yet"


def test_where_there_is_no_bbo_the_book_may_be_as_old_as_it_may() -> None:
    made = quoting(BOOK, TRADES)
    assert traded(made, 53) == [], "15.9 s"
    assert traded(quoting(BOOK, TRADES), 54) == [(BOOK, Cause.TRADES_AHEAD)]
    assert traded(quoting(BOOK, FAST, TRADES), 8) == [(FAST, Cause.TRADES_AHEAD)]
    made = quoting(FAST, TRADES)
    made._watches.pop(FAST.key)
    assert traded(made, 50) == []


def test_what_a_stream_told_is_forgotten_with_it() -> None:
    made = quoting(BBO, FAST, TRADES)
    note(made, FAST, S, 1500, (9, 11))
    made.unwatch(BBO.key)
    made.watch(BBO, S)
    assert made.stale(2 * S - 1) == []
    note(made, BBO, S, 1500, (9, 11))
    assert made.is_fresh(0)
    made.unwatch(FAST.key)
    made.watch(FAST, S)
    assert not note(made, BBO, S, 99_000, (7, 8)), "no book was told yet"


def test_context_says_nothing_of_touches() -> None:
    made = quoting(BBO, FAST, CONTEXT)
    assert not note(made, CONTEXT, S, 0, (0, 0))
    assert made.is_fresh(0)


@pytest.mark.parametrize("name", FreshnessSettings.__slots__)
def test_numbers_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of the freshness is 0"):
        FreshnessSettings(**{name: 0})


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(-1, 1), st.booleans(), st.integers(0, 300)), max_size=60),
    st.integers(1, 3),
)
def test_a_true_market_is_never_stale(blocks: list[tuple[int, int, bool, int]], book_every: int) -> None:
    """Blocks with a touch that moves and trades in some: a bbo when the touch changed, a book every few blocks, trades,
    each a little late in its own way, and no stream silent for its age."""
    made, bid, frames = quoting(BBO, FAST, TRADES), 10, [(0, FAST, 1000, (10, 11))]
    now_ms = 1000
    for number, (gap_ms, move, trades, late_ms) in enumerate(blocks):
        now_ms += gap_ms
        bid += move
        if move:
            frames.append((now_ms + late_ms, BBO, now_ms, (bid, bid + 1)))
        if number % book_every == 0:
            frames.append((now_ms + 300 - late_ms, FAST, now_ms, (bid, bid + 1)))
        if trades:
            frames.append((now_ms + 150, TRADES, now_ms, (0, 0)))
    for arrival_ms, stream, block_ms, touch in sorted(frames, key=lambda frame: frame[0]):
        assert made.stale(arrival_ms * MS) == []
        note(made, stream, arrival_ms * MS, block_ms, touch)
        assert made.stale(arrival_ms * MS) == []
