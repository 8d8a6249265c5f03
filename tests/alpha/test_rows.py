"""Rows of recordings: those of a live session over the same events, in any pieces, without anything of the future."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.features import Features
from hlhft.alpha.rows import BAND_TICKS, feature_rows
from hlhft.alpha.schema import FeatureSchema
from hlhft.core.brain import Brain
from hlhft.core.state import BookKind
from hlhft.data.profiles import PROFILES, thinned
from hlhft.data.sources import Source, open_source
from hlhft.events import EventKind
from tests.alpha.feeds import Given, book, frame, level, new_brain, touch, trade
from tests.core.worlds import BUY, MS, SELL, START, event, limits_of

SCHEMA = FeatureSchema(levels=2, half_life_ms=6400)
FRAMES = np.concatenate(
    [
        book(0, [(999, 30), (998, 10)], [(1001, 10), (1003, 30)]),
        touch(10, (999, 20), (1001, 10)),
        touch(20, (999, 20), (1001, 10)),
        trade(30, BUY, 5),
        touch(40, (1000, 20), (1001, 10)),
    ]
)
Rows = tuple[np.ndarray, np.ndarray]


def rows_of(source: Source, schema: FeatureSchema = SCHEMA, profile: str = "recorded", **limits: int) -> Rows:
    found = list(feature_rows(source, schema, profile=profile, **limits))
    heads = [heads for heads, _ in found]
    return np.concatenate(heads) if heads else np.zeros(0), np.concatenate(
        [np.zeros((0, schema.columns), np.float32), *(values for _, values in found)]
    )


def assert_same(one: Rows, other: Rows) -> None:
    assert one[0].tobytes() == other[0].tobytes()
    assert one[1].tobytes() == other[1].tobytes()


@pytest.mark.parametrize("length", [1, 3, 1000])
def test_the_pieces_do_not_matter(length: int) -> None:
    heads, values = rows_of(Given(FRAMES, length=length))
    assert_same((heads, values), rows_of(Given(FRAMES)))
    assert heads["sequence"].tolist() == [1, 2, 3, 4]  # the frame that changed nothing has no row


def test_only_rows_of_the_wanted_time_are_told_and_they_are_warm() -> None:
    whole = rows_of(Given(FRAMES))
    some = rows_of(Given(FRAMES, length=3), begin_ns=START + 10 * MS, end_ns=START + 40 * MS)
    assert_same(some, (whole[0][1:3], whole[1][1:3]))


def test_rows_of_the_venues_side_are_not_seen() -> None:
    hidden = touch(25, (998, 20), (1000, 10))
    hidden["flags"] &= ~np.uint16(2)
    assert_same(rows_of(Given(np.concatenate([FRAMES[:-2], hidden, FRAMES[-2:]]))), rows_of(Given(FRAMES)))


# As live.


def live_rows(brain: Brain, events: np.ndarray, schema: FeatureSchema) -> Rows:
    """The rows of an engine that gets these events, frame by frame."""
    features, heads, values = Features(schema, brain), [], []
    ends = np.flatnonzero(events["flags"] & 4) + 1
    for first, end in zip([0, *ends[:-1]], ends, strict=True):
        rows = events[first:end].copy()
        brain.step(rows, len(rows))
        count = features.update(rows, len(rows))
        heads.append(features.heads[:count].copy())
        values.append(features.values[:count].copy())
    return np.concatenate(heads), np.concatenate(values)


MOVES = st.lists(
    st.tuples(st.integers(0, 900), st.integers(0, 2), st.integers(980, 1020), st.integers(0, 50)), max_size=25
)


def changes(moves: list[tuple[int, int, int, int]]) -> np.ndarray:
    """A stream for a ladder: single levels, best prices and trades."""
    frames, at_ms = [book(0, [(999, 30), (998, 10)], [(1001, 10), (1003, 30)])], 0
    for gap_ms, what, ticks, lots in moves:
        at_ms += gap_ms
        side = BUY if ticks < 1000 else SELL
        frames.append(
            trade(at_ms, side, lots + 1) if what == 0
            else level(at_ms, side, ticks, lots) if what == 1
            else touch(at_ms, (min(ticks, 999), lots + 1), (max(ticks, 1000), lots + 2))
        )  # fmt: skip
    return np.concatenate(frames)


@pytest.mark.parametrize("kind", list(BookKind))
@given(moves=MOVES)
def test_a_recordings_rows_are_those_of_the_engine(kind: BookKind, moves: list[tuple[int, int, int, int]]) -> None:
    events = changes(moves)
    offline = rows_of(Given(events, snapshots_only=kind == BookKind.SNAPSHOT, length=17))
    assert_same(offline, live_rows(new_brain(kind), events, SCHEMA))


def test_a_price_that_wanders_off_takes_the_band_with_it() -> None:
    """Over more than a band's width, in steps that a market takes; the levels beside the touch stay."""
    frames, ticks = [], 1_000_000
    frames.append(book(0, [(ticks, 5), (ticks - 1, 7)], [(ticks + 1, 5)]))
    step = BAND_TICKS // 8
    for place in range(1, 12):
        ticks += step
        frames.append(book(place, [(ticks, 5), (ticks - 1, 7)], [(ticks + 1, 5)]))
    heads, values = rows_of(Given(np.concatenate(frames), snapshots_only=False))
    assert heads["mid_ticks"].tolist() == [1_000_000.5 + step * place for place in range(12)]
    assert np.allclose(values[:, SCHEMA.names.index("bid_size_2")], np.log1p(7 / (17 / 3)))


# Segments.


def test_a_session_that_a_recording_marks_begins_a_segment() -> None:
    cleared = frame(event(EventKind.DEPTH_CLEAR, START + 50 * MS))
    again = touch(60, (999, 20), (1001, 10))
    heads, values = rows_of(Given(np.concatenate([FRAMES, cleared, again])))
    assert [int(flag) & 2 for flag in heads["flags"]] == [2, 0, 0, 0, 2]
    alone = rows_of(Given(again))
    assert values[-1].tobytes() == alone[1][-1].tobytes()


# Nothing of the future.


def perturbed(events: np.ndarray, after_ns: int) -> np.ndarray:
    """The same events up to a time; afterwards other prices, sizes and sides at other times, and one market gone."""
    rows = events.copy()
    later = rows["ts_local_ns"] > after_ns
    rows["price_ticks"][later & (rows["price_ticks"] > 0)] += 3
    rows["size_lots"][later] = rows["size_lots"][later] * 2 + 1
    rows["ts_exch_ns"][later] += 7 * MS
    rows["ts_local_ns"][later] += 11 * MS
    trades = later & (rows["kind"] == int(EventKind.TRADE))
    rows["side"][trades] *= -1
    return rows


def first_look_ahead(compute: Callable[[np.ndarray], Rows], events: np.ndarray, times: list[int]) -> int | None:
    """The first of `times` at which a row up to it changes when what comes later does; None when none ever does."""
    heads, values = compute(events)
    for at_ns in times:
        other_heads, other_values = compute(perturbed(events, at_ns))
        count, other_count = (int((rows["ts_local_ns"] <= at_ns).sum()) for rows in (heads, other_heads))
        if (
            count != other_count
            or heads[:count].tobytes() != other_heads[:count].tobytes()
            or values[:count].tobytes() != other_values[:count].tobytes()
        ):
            return at_ns
    return None


def centred(rows: Rows) -> Rows:
    """A plausible mistake: the mid is smoothed over the rows on both sides."""
    heads, values = rows[0].copy(), rows[1]
    if len(heads) > 2:
        heads["mid_ticks"][1:-1] = (heads["mid_ticks"][:-2] + heads["mid_ticks"][1:-1] + heads["mid_ticks"][2:]) / 3
    return heads, values


def scaled(rows: Rows) -> Rows:
    """Another: values are scaled by all rows."""
    return rows[0], (rows[1] / np.maximum(rows[1].std(axis=0), 1e-6)).astype(np.float32)


@given(moves=MOVES, is_snapshot=st.booleans(), place=st.integers(0, 10_000))
def test_no_row_knows_what_comes_after_it(
    moves: list[tuple[int, int, int, int]], is_snapshot: bool, place: int
) -> None:
    events = changes(moves)
    times = sorted(set(events["ts_local_ns"].tolist()))

    def compute(rows: np.ndarray) -> Rows:
        return rows_of(Given(rows, snapshots_only=is_snapshot))

    assert first_look_ahead(compute, events, [times[place % len(times)]]) is None


@pytest.mark.parametrize("leak", [centred, scaled])
def test_the_same_check_catches_a_leak(leak: Callable[[Rows], Rows]) -> None:
    events = np.concatenate([touch(place, (990 + place, 20), (1001 + place, 10 + place)) for place in range(8)])
    assert first_look_ahead(lambda rows: leak(rows_of(Given(rows))), events, [START + 4 * MS]) == START + 4 * MS
    assert first_look_ahead(lambda rows: rows_of(Given(rows)), events, [START + 4 * MS]) is None


# Recorded order flow.


def beginning(source: Source, count: int) -> np.ndarray:
    """The first whole frames, at most about `count` events."""
    events = next(source.chunks(count)).copy()
    return events[: int(np.flatnonzero(events["flags"] & 4)[-1]) + 1]


@pytest.mark.parametrize(
    ("name", "profile", "is_snapshot"),
    [
        ("hyperliquid/l2_trades_bbo_20250904", "2026", True),
        ("hyperliquid/l2_trades_bbo_20250904", "recorded", True),
        ("binance/usdm_btcusdt_20240808.gz", "recorded", False),
    ],
)
def test_recorded_rows_are_finite_know_no_future_and_are_those_of_the_engine(
    recordings: Path, name: str, profile: str, is_snapshot: bool
) -> None:
    source = open_source(recordings / name)
    events = beginning(source, 20_000)
    schema = FeatureSchema(half_life_ms=3200)

    def compute(rows: np.ndarray) -> Rows:
        given_source = Given(rows, snapshots_only=is_snapshot)
        given_source.markets = source.markets
        return rows_of(given_source, schema, profile)

    heads, values = compute(events)
    assert len(heads) > 500
    assert np.isfinite(values).all()
    assert (heads["flags"] & 1).mean() > 0.5
    times = np.quantile(events["ts_local_ns"].astype(float), [0.3, 0.8]).astype(np.int64).tolist()
    assert first_look_ahead(compute, events, times) is None
    if is_snapshot:
        markets = np.ones(len(source.markets), np.bool_)
        thin = PROFILES[profile]
        shown = [events] if thin is None else list(thinned([events], thin, snapshot_markets=markets))
        seen = np.concatenate(shown)
        seen = seen[(seen["flags"] & 2) != 0]
        records = np.concatenate([market.record() for market in source.markets])
        brain = Brain(records, limits_of(decide_on_frame=0, decide_on_fill=0))
        brain.data.books["kind"] = int(BookKind.SNAPSHOT)
        assert_same((heads, values), live_rows(brain, seen, schema))
