"""Lines to parts: rows, repeats, hours that follow each other, gaps; and the same parts as an independent reader."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.manifest import Clock, Gap, Manifest
from hlhft.data.merge import Events, nothing
from hlhft.data.readers.messages import MessageBlock
from hlhft.data.recorder.assembly import AHEAD_NS_MAX, HELD_ROWS_MAX, Assembler
from hlhft.data.recorder.cover import SETTLED_NS
from hlhft.data.recorder.hours import HOUR_NS
from hlhft.data.recorder.marks import Begin, Down, Lost, Odd, Stale, Standing, Up, encoded
from hlhft.data.tally import Tally
from hlhft.events import EventFlag, EventKind
from tests.data.recorder.making import BTC, ETH, MS, START_NS, S, bbo, begin, book, by_key, context, rows_of, trades

T_MS = START_NS // MS  # block times
DELAY_NS = 300 * MS
Line = tuple[int, bytes]
OUTAGE = encoded(Down(reason="1006")), encoded(Up(socket=2))


def at(time_ms: int, text: bytes) -> Line:
    """A line that arrives DELAY_NS after its block."""
    return time_ms * MS + DELAY_NS, text


def assembled(folder: Path, lines: list[Line], mark: Begin | None = None) -> dict[tuple[str, str], Manifest]:
    with Assembler(folder, mark or begin()) as assembler:
        for line in lines:
            assembler.line(*line)
        return by_key(assembler.finish())


def test_each_kind_of_frame_goes_to_its_part(tmp_path: Path) -> None:
    lines = [
        at(T_MS, trades((T_MS - 9000, 7), (T_MS - 8000, 8))), at(T_MS, bbo(T_MS)), at(T_MS, book(T_MS, "ETH")),
        at(T_MS, b'{"channel":"pong"}'), at(T_MS + 75, context()), at(T_MS + 80, trades((T_MS + 75, 9))),
    ]  # fmt: skip
    found = assembled(tmp_path, lines)
    assert {key: manifest.rows for key, manifest in found.items()} == {
        ("bbo", "BTC"): 2, ("book", "ETH"): 8, ("context", "BTC"): 1, ("trade", "BTC"): 3,
    }  # fmt: skip
    trade = found["trade", "BTC"]
    assert (trade.date, trade.name, trade.source) == ("2027-01-15", "recorder-08-081000", "recorder")
    assert trade.covers == ((T_MS - 9000) * MS, (T_MS + 75) * MS + 1) and trade.gaps == ()
    assert trade.clock == Clock("measured", "this recorder") and not trade.snapshots and found["book", "ETH"].snapshots
    assert rows_of(tmp_path, trade)["order_id"].tolist() == [7, 8, 9]
    assert rows_of(tmp_path, found["context", "BTC"])["ts_exch_ns"].tolist() == [T_MS * MS], "of the newest block"


def test_latency_is_measured_but_not_of_backfill(tmp_path: Path) -> None:
    lines = [at(T_MS, trades((T_MS - 9000, 7))), at(T_MS, trades((T_MS, 8))), at(T_MS, bbo(T_MS))]
    found = assembled(tmp_path, lines, begin(offset_ms=-40))
    counts = found["trade", "BTC"].counts
    assert counts["latency_ns_min"] == counts["latency_ns_max"] == DELAY_NS and counts["latency_below_310_ms"] == 1
    assert counts["frames"] == 2 and counts["venue_clock_ahead_ms"] == -40
    assert "venue_clock_ahead_ms" not in assembled(tmp_path, lines)["bbo", "BTC"].counts


def test_an_outage_is_a_gap_of_each_stream_and_its_repeats_are_no_rows(tmp_path: Path) -> None:
    lines = [
        at(T_MS, bbo(T_MS)), at(T_MS, trades((T_MS - 50, 1), (T_MS, 2))), at(T_MS + 500, book(T_MS + 500)),
        *((START_NS + S, text) for text in OUTAGE),
        at(T_MS + 20_000, trades((T_MS, 2), (T_MS + 9_000, 3))), at(T_MS + 20_000, bbo(T_MS + 20_000)),
        at(T_MS + 20_000, book(T_MS + 19_990)),
    ]  # fmt: skip
    found = assembled(tmp_path, lines)
    assert rows_of(tmp_path, found["trade", "BTC"])["order_id"].tolist() == [1, 2, 3]
    assert found["trade", "BTC"].gaps == (), "the trades since are all there"
    assert found["trade", "BTC"].counts["duplicate_trades"] == 1
    assert found["bbo", "BTC"].gaps == (Gap(T_MS * MS + 1, (T_MS + 20_000) * MS, "disconnected"),)
    assert found["book", "BTC"].gaps == (Gap((T_MS + 500) * MS + 1, (T_MS + 19_990) * MS, "disconnected"),)


def test_trades_that_do_not_reach_back_leave_a_gap(tmp_path: Path) -> None:
    lines = [at(T_MS, trades((T_MS, 1))), (START_NS + S, OUTAGE[0]), at(T_MS + 9_500, trades((T_MS + 9_000, 3)))]
    found = assembled(tmp_path, lines)
    assert found["trade", "BTC"].gaps == (Gap(T_MS * MS + 1, (T_MS + 9_000) * MS, "disconnected"),)


def test_a_stale_stream_alone_has_a_gap(tmp_path: Path) -> None:
    stale = encoded(Stale(streams=(("bbo", "BTC"), ("bbo", "ETH"))))
    lines = [at(T_MS, bbo(T_MS)), at(T_MS, book(T_MS)), (START_NS + 5 * S, stale), (START_NS + 6 * S, stale)]
    lines += [at(T_MS + 7_000, book(T_MS + 7_000)), at(T_MS + 7_000, bbo(T_MS + 7_000))]
    found = assembled(tmp_path, lines)
    assert found["bbo", "BTC"].gaps == (Gap(T_MS * MS + 1, (T_MS + 7_000) * MS, "silence"),)
    assert found["book", "BTC"].gaps == ()


def test_dropped_frames_are_a_gap(tmp_path: Path) -> None:
    lines = [at(T_MS, bbo(T_MS)), (START_NS + S, encoded(Lost(frames=9, bytes=9))), at(T_MS + 900, bbo(T_MS + 900))]
    assert assembled(tmp_path, lines)["bbo", "BTC"].gaps == (Gap(T_MS * MS + 1, (T_MS + 900) * MS, "disk-full"),)


def test_the_hour_after_goes_on_where_this_one_ended(tmp_path: Path) -> None:
    with Assembler(tmp_path, begin()) as assembler:
        for line in (at(T_MS, bbo(T_MS)), at(T_MS, trades((T_MS, 1))), at(T_MS + 9_000, bbo(T_MS + 9_000))):
            assembler.line(*line)
        standing, newest_ns = assembler.standing(), assembler.newest_ns
        before = by_key(assembler.finish())
    mark = begin(hour=begin().hour + 1, standing=standing, newest_ns=newest_ns)
    late, again = trades((T_MS, 1)), bbo(T_MS + 8_999)
    local_ns = START_NS + HOUR_NS
    lines = [(local_ns, again), (local_ns, late), (local_ns, context()), at(T_MS + 3_600_000, bbo(T_MS + 3_600_000))]
    after = assembled(tmp_path, lines, mark)
    for kind in ("bbo", "trade"):
        assert after[kind, "BTC"].covers[0] == before[kind, "BTC"].covers[1]
        assert after[kind, "BTC"].gaps == ()
    assert before["trade", "BTC"].covers[1] == (T_MS + 9_000) * MS - SETTLED_NS, "nothing was traded until then"
    assert after["bbo", "BTC"].rows == 2 and after["bbo", "BTC"].counts["rows_of_the_hour_before"] == 2
    assert after["trade", "BTC"].rows == 0 and after["trade", "BTC"].first_exch_ns == 0
    context_row = rows_of(tmp_path, after["context", "BTC"])
    assert context_row["ts_exch_ns"].tolist() == [(T_MS + 9_000) * MS], "the newest block of the hour before"


def test_an_outage_over_the_hour_is_told_by_the_hour_after(tmp_path: Path) -> None:
    with Assembler(tmp_path, begin()) as assembler:
        assembler.line(*at(T_MS, bbo(T_MS)))
        assembler.line(START_NS + S, OUTAGE[0])
        standing, newest_ns = assembler.standing(), assembler.newest_ns
        before = by_key(assembler.finish())
    assert standing == (Standing("bbo", "BTC", T_MS * MS + 1, "disconnected"),)
    assert before["bbo", "BTC"].covers == (T_MS * MS, T_MS * MS + 1)
    mark = begin(hour=begin().hour + 1, standing=standing, newest_ns=newest_ns)
    assert assembled(tmp_path, [(START_NS + HOUR_NS, OUTAGE[1])], mark) == {}, "an hour that knows nothing"
    time_ms = T_MS + 4_000_000
    after = assembled(tmp_path, [at(time_ms, bbo(time_ms))], mark)
    assert after["bbo", "BTC"].gaps == (Gap(T_MS * MS + 1, time_ms * MS, "disconnected"),)


def test_what_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    with Assembler(tmp_path, begin()) as assembler:
        for text in (b"<html>", bbo(T_MS, "SOL"), book(T_MS).replace(b"60001", b"59999")):
            assembler.line(START_NS, text)
        for is_fault in (True, False):
            assembler.line(START_NS, encoded(Odd(text="<html>", is_fault=is_fault)))
        assert (assembler.faults, assembler.frames, assembler.events) == (3, 3, 0)
        assert assembler.finish() == []


def test_a_frame_of_the_far_future_does_not_hide_what_follows(tmp_path: Path) -> None:
    ahead_ms = AHEAD_NS_MAX // MS
    with Assembler(tmp_path, begin()) as assembler:
        for text in (bbo(T_MS), bbo(T_MS + ahead_ms + 1), bbo(T_MS + 75)):
            assembler.line(T_MS * MS, text)
        assert assembler.faults == 1 and assembler.newest_ns == (T_MS + 75) * MS
        (manifest,) = assembler.finish()
    assert manifest.rows == 4 and manifest.covers == (T_MS * MS, (T_MS + 75) * MS + 1)


def test_a_coin_no_longer_recorded_is_forgotten(tmp_path: Path) -> None:
    mark = begin(markets=(BTC,), standing=(Standing("bbo", "ETH", 5),))
    with Assembler(tmp_path, mark) as assembler:
        assert assembler.standing() == ()


def test_leaving_without_finish_leaves_nothing(tmp_path: Path) -> None:
    with Assembler(tmp_path, begin()) as assembler:
        for number in range(HELD_ROWS_MAX):
            assembler.line(START_NS + number, bbo(T_MS + number))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_latencies_are_told_by_kind_over_all_coins(tmp_path: Path) -> None:
    with Assembler(tmp_path, begin()) as assembler:
        for text in (bbo(T_MS), bbo(T_MS, "ETH"), context(), book(T_MS)):
            assembler.line(START_NS + 20 * MS, text)
        assert {kind: told.count for kind, told in assembler.latencies().items()} == {"bbo": 2, "book": 1}


FRAMES = st.lists(
    st.tuples(
        st.sampled_from(["bbo", "fast", "full", "trades", "context", "noise"]), st.sampled_from(["BTC", "ETH"]),
        st.integers(0, 400),
    ),
    max_size=30,
)  # fmt: skip


def lines_of(steps: list[tuple[str, str, int]]) -> list[Line]:
    time_ms, lines = T_MS, []
    for number, (what, coin, later_ms) in enumerate(steps):
        time_ms += later_ms
        made = {
            "bbo": bbo(time_ms, coin, best=60_000 + number),
            "fast": book(time_ms, coin, best=60_000 + number),
            "full": book(time_ms, coin, fast=False, best=60_000 + number),
            "trades": trades((time_ms, 2 * number + 1), (time_ms, 2 * number + 2), coin=coin),
            "context": context(coin, f"{60_000 + number}"),
            "noise": b'{"channel":"subscriptionResponse","data":{}}',
        }  # fmt: skip
        lines.append(at(time_ms, made[what]))
    return lines


def read_independently(lines: list[Line]) -> Events:
    """The events of the same messages by the reader of raw logs, which shares no code with the decoder."""
    block = MessageBlock(Path("lines"), [BTC, ETH], Tally())
    for number, line in enumerate(lines):
        block.add(number, *line)
    return block.events().events


PARTS = {EventKind.BBO: "bbo", EventKind.TRADE: "trade", EventKind.ASSET_CONTEXT: "context"}


@settings(max_examples=25)
@given(FRAMES)
def test_the_rows_are_those_of_an_independent_reader(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    folder, lines = tmp_path_factory.mktemp("catalogue"), lines_of(steps)
    found = assembled(folder, lines)
    expected = read_independently(lines)
    kinds = np.array([PARTS.get(EventKind(kind), "book") for kind in expected["kind"].tolist()])
    for kind in ("book", "bbo", "trade", "context"):
        for place, market in enumerate((BTC, ETH)):
            rows = expected[(kinds == kind) & (expected["market"] == place)] if len(expected) else nothing()
            manifest = found.get((kind, market.name))
            got = rows_of(folder, manifest) if manifest is not None else nothing()
            rows["market"] = 0
            assert got.tolist() == rows.tolist(), (kind, market.name)
            assert len(got) == 0 or got["flags"][-1] & int(EventFlag.FRAME_END)


@settings(max_examples=8)
@given(FRAMES, st.integers(0, 30))
def test_the_same_lines_give_the_same_parts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]], cut: int
) -> None:
    lines = lines_of(steps)
    lines[cut:cut] = [(lines[cut - 1][0], text) for text in OUTAGE] if 0 < cut <= len(lines) else []
    first, second = (assembled(tmp_path_factory.mktemp("catalogue"), lines) for _ in range(2))
    assert msgspec.json.encode(list(first.values())) == msgspec.json.encode(list(second.values()))


@settings(max_examples=30)
@given(FRAMES, st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_damaged_frames_are_counted_and_nothing_else_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]], seed: int, changes: int
) -> None:
    """Bytes of a frame are overwritten, and what it then says is decoded, left out or a fault; its neighbours stand."""
    random = Random(seed)
    lines = lines_of(steps)
    folder = tmp_path_factory.mktemp("catalogue")
    with Assembler(folder, begin()) as assembler:
        for local_ns, text in lines:
            damaged = bytearray(text)
            for _ in range(changes):
                damaged[random.randrange(len(damaged))] = random.choice(b'{}[]",:0123456789.aN\x00\xff')
            before = assembler.faults
            assembler.line(local_ns, bytes(damaged))
            assert assembler.faults in (before, before + 1)
        assert assembler.frames == len(lines)
        assembler.finish()
