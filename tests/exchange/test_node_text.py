"""The files that a node would write tell exactly what the venue did."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.times import utc_ns
from hlhft.exchange.node_text import Layout, NodeBlock, NodeText, Stream, iso, lines_of, path_of
from hlhft.venue.blocks import ActionKind, TriggerKind
from tests.exchange import node_replay
from tests.exchange.hall import ALO, ANN, BOB, BTC, BUY, CAT, GTC, IOC, LISTING, SELL, Hall, address
from tests.exchange.node_sample import LOCAL_DELAY_NS, Sample, write_sample

BLOCK_LAYOUTS = (Layout.BY_BLOCK, Layout.STREAM)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("node"), seed=3, blocks=130)


def events_of(sample: Sample, stream: Stream) -> list[Any]:
    return [
        event for events in node_replay.by_height(sample.folder, stream, sample.layout).values() for event in events
    ]


def assert_books_follow(sample: Sample) -> None:
    """Snapshot and diffs give the kernel's own book after every block, each order in its place."""
    height, books = json.loads(sample.snapshot.read_text())
    assert height == sample.snapshot_height
    queues = node_replay.queues_of(books)
    statuses = node_replay.by_height(sample.folder, Stream.STATUSES, sample.layout)
    diffs = node_replay.by_height(sample.folder, Stream.DIFFS, sample.layout)
    addresses = sample.machine.addresses
    listing = sample.machine.settings.listing
    for number in range(height, sample.heights[-1] + 1):
        if number > height:
            node_replay.apply(queues, statuses.get(number, []), diffs.get(number, []))
        assert node_replay.as_books(queues, listing, addresses.number) == sample.books[number], f"block {number}"


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(1, 2**31 - 1), layout=st.sampled_from(BLOCK_LAYOUTS))
def test_snapshot_and_diffs_give_the_kernels_book_at_every_block(
    tmp_path_factory: pytest.TempPathFactory, seed: int, layout: Layout
) -> None:
    assert_books_follow(
        write_sample(tmp_path_factory.mktemp("node"), layout=layout, seed=seed, blocks=40, snapshot_after=8)
    )


def test_a_longer_run_over_the_hour_gives_it_too(sample: Sample) -> None:
    assert_books_follow(sample)


def test_the_sample_holds_what_books_differ_by(sample: Sample) -> None:
    kinds: Counter[str] = Counter()
    for event in events_of(sample, Stream.DIFFS):
        change = event["raw_book_diff"]
        kinds[change if isinstance(change, str) else next(iter(change))] += 1
        kinds["before another"] += isinstance(change, dict) and "insertBefore" in change.get("new", {})
    assert min(kinds[kind] for kind in ("new", "update", "remove", "before another")) >= 10, kinds
    told = Counter(event["status"] for event in events_of(sample, Stream.STATUSES))
    for status in ("open", "filled", "canceled", "triggered", "minTradeNtlRejected", "badTriggerPxRejected"):
        assert told[status], told


def test_every_block_has_one_line_in_each_file_and_an_hour_a_file(sample: Sample) -> None:
    for stream in Stream:
        made = list(node_replay.lines(sample.folder, stream, sample.layout))
        assert [line["block_number"] for line in made] == sample.heights
        for line in made:
            time_ns = sample.times_ns[line["block_number"]]
            assert utc_ns(line["block_time"]) == time_ns
            assert utc_ns(line["local_time"]) == time_ns + LOCAL_DELAY_NS
        hours = {sample.times_ns[height] // 3_600_000_000_000 for height in sample.heights}
        folder = sample.folder / f"{stream.value}_by_block" / "hourly"
        assert len([path for path in folder.glob("*/*") if path.is_file()]) == len(hours)


@pytest.mark.parametrize("stream", Stream)
def test_a_streamed_line_holds_one_event_and_a_plain_one_is_the_event(stream: Stream) -> None:
    events = [b'{"a":1}', b'{"b":2}']
    block = NodeBlock(height=7, time_ns=10**9, events=dict.fromkeys(Stream, events))
    head = (
        b'{"local_time":"1970-01-01T00:00:02.000000000","block_time":"1970-01-01T00:00:01.000000000","block_number":7,'
    )
    assert lines_of(block, stream, Layout.BY_BLOCK, 2 * 10**9) == [head + b'"events":[{"a":1},{"b":2}]}\n']
    assert lines_of(block, stream, Layout.STREAM, 2 * 10**9) == [
        head + b'"events":[{"a":1}]}\n',
        head + b'"events":[{"b":2}]}\n',
    ]
    time = b'"time":"1970-01-01T00:00:01.000000000",' if stream is Stream.DIFFS else b""
    plain = b"{" + time + b'"a":1}\n{' + time + b'"b":2}\n'
    assert lines_of(block, stream, Layout.HOURLY, 2 * 10**9) == [plain]


def test_a_block_without_events_has_a_line_where_lines_name_blocks() -> None:
    block = NodeBlock(height=7, time_ns=10**9, events={stream: [] for stream in Stream})
    for layout in BLOCK_LAYOUTS:
        (line,) = lines_of(block, Stream.FILLS, layout, 2 * 10**9)
        assert json.loads(line)["events"] == []
    assert lines_of(block, Stream.FILLS, Layout.HOURLY, 2 * 10**9) == []


def test_fills_agree_with_the_ledger(sample: Sample) -> None:
    """Positions move from fill to fill as each says, end where the kernel's are, and what one side buys the other
    sells."""
    machine = sample.machine
    positions: dict[tuple[str, str], int] = {}
    trades: dict[int, list[Any]] = {}
    for user, fill in events_of(sample, Stream.FILLS):
        market = machine.settings.listing.markets[machine.settings.listing.names.index(fill["coin"])].market
        start = market.lots(fill["startPosition"].lstrip("-")) * (-1 if fill["startPosition"].startswith("-") else 1)
        assert positions.get((user, fill["coin"]), start) == start
        positions[user, fill["coin"]] = start + market.lots(fill["sz"]) * (1 if fill["side"] == "B" else -1)
        trades.setdefault(fill["tid"], []).append((user, fill))
    assert positions and trades
    for (user, coin), lots in positions.items():
        account, row = machine.addresses.number(user), machine.settings.listing.row_of(coin)
        assert machine.kernel.chain.exchange.holdings[account, row]["position_lots"] == lots
    for (_, bought), (_, sold) in trades.values():
        assert (bought["side"], sold["side"]) == ("B", "A")
        assert bought["crossed"] != sold["crossed"]
        assert (bought["px"], bought["sz"], bought["time"]) == (sold["px"], sold["sz"], sold["time"])


def test_fills_and_statuses_are_those_that_an_account_is_shown(sample: Sample) -> None:
    records, addresses = sample.machine.records, sample.machine.addresses
    fills, statuses = events_of(sample, Stream.FILLS), events_of(sample, Stream.STATUSES)
    seen = 0
    for account, kept in records.accounts.items():
        user = addresses.address(account)
        assert [fill for one, fill in fills if one == user] == [fill.shape() for fill in kept.fills]
        told = [(event["order"]["oid"], event["status"]) for event in statuses if event["user"] == user]
        # The channels also tell each part that an order is filled, as `open` with the smaller size.
        shown = [(one.order.oid, one.status) for one in kept.statuses]
        assert list(dict.fromkeys(shown)) == list(dict.fromkeys(told))
        assert len(told) <= len(shown)
        seen += len(told)
    assert seen > 50
    for event in statuses:
        assert event["order"]["coin"] in sample.machine.settings.listing.names
        assert event["hash"].startswith("0x") and len(event["hash"]) == 66


def test_every_fill_of_a_resting_order_is_in_the_diffs(sample: Sample) -> None:
    """What makers were filled is what their orders lost in the same block."""
    fills = node_replay.by_height(sample.folder, Stream.FILLS, sample.layout)
    diffs = node_replay.by_height(sample.folder, Stream.DIFFS, sample.layout)
    seen = 0
    for height, events in fills.items():
        for _, fill in events:
            if not fill["crossed"]:
                assert any(diff["oid"] == fill["oid"] for diff in diffs[height])
                seen += 1
    assert seen


def test_our_own_reader_of_fills_reads_them(sample: Sample) -> None:
    from hlhft.data.readers.node_fills import fills_table

    path = next((sample.folder / "node_fills_by_block").rglob("14"))
    rows = sum(batch.num_rows for batch in fills_table(path))
    assert rows == sum(len(json.loads(line)["events"]) for line in path.read_text().splitlines())


def test_the_file_of_an_hour_has_no_leading_zero() -> None:
    nine = utc_ns("2026-04-01T09:59:59.999999999")
    assert path_of(Stream.DIFFS, Layout.BY_BLOCK, nine) == "node_raw_book_diffs_by_block/hourly/20260401/9"
    assert path_of(Stream.FILLS, Layout.HOURLY, nine + 1) == "node_fills/hourly/20260401/10"
    assert path_of(Stream.STATUSES, Layout.STREAM, nine) == "node_order_statuses_streaming/hourly/20260401/9"
    assert iso(nine) == "2026-04-01T09:59:59.999999999"


# By hand.


def taken(hall: Hall, text: NodeText) -> dict[Stream, list[Any]]:
    """What the next block of a hall tells."""
    hall.run()
    return {stream: [json.loads(event) for event in events] for stream, events in text.take(hall.block).events.items()}


def changes(told: dict[Stream, list[Any]]) -> list[tuple[int, Any]]:
    return [(diff["oid"], diff["raw_book_diff"]) for diff in told[Stream.DIFFS]]


def test_an_order_in_its_life_and_who_is_paid_for_it() -> None:
    hall = Hall().mark("80000")
    hall.place(ANN, BUY, "79000", "0.5", ALO, builder=BOB + 1, builder_rate_e9=20_000).run()
    text = NodeText(hall.chain, LISTING, hall.people)  # it rests already: it was never new
    hall.place(ANN, BUY, "79500", "0.2", GTC, builder=CAT + 1, builder_rate_e9=100_000)
    told = taken(hall, text)
    assert changes(told) == [(2, {"new": {"sz": "0.2"}})]
    (status,) = told[Stream.STATUSES]
    assert (status["status"], status["builder"]) == ("open", {"b": address(CAT), "f": 10})
    assert status["user"] == address(ANN) and status["hash"] == hall.block.hashes[0]
    hall.place(BOB, SELL, "79000", "0.3", IOC)
    told = taken(hall, text)
    assert changes(told) == [(2, "remove"), (1, {"update": {"origSz": "0.5", "newSz": "0.4"}})]
    ends = [(one["order"]["oid"], one["status"], one["builder"]) for one in told[Stream.STATUSES]]
    # Of a trade the buyer's side is told first, and with it what becomes of its order.
    assert ends == [(2, "filled", {"b": address(CAT), "f": 10}), (3, "open", None), (3, "filled", None)]
    assert [(user, fill["oid"]) for user, fill in told[Stream.FILLS]] == [
        (address(ANN), 2), (address(BOB), 3), (address(ANN), 1), (address(BOB), 3),
    ]  # fmt: skip
    hall.cancel(ANN, 1)
    told = taken(hall, text)
    assert changes(told) == [(1, "remove")]
    assert told[Stream.STATUSES][0]["builder"] == {"b": address(BOB), "f": 2}
    assert told[Stream.FILLS] == []


def test_an_order_that_paid_stands_before_the_young_that_paid_less() -> None:
    hall = Hall().mark("80000")
    for account, rate in ((ANN, 0), (BOB, 2000), (CAT, 1000)):
        hall.place(account, BUY, "79000", "0.1", ALO, priority_rate_e8=rate)
    text = NodeText(hall.chain, LISTING, hall.people)
    told = taken(hall, text)
    # Each goes ahead of those that pay less, and not of those that pay as much.
    assert changes(told) == [
        (1, {"new": {"sz": "0.1"}}),
        (2, {"new": {"sz": "0.1", "insertBefore": 1}}),
        (3, {"new": {"sz": "0.1", "insertBefore": 1}}),
    ]
    hall.run(after_ns=400_000_000)
    text.take(hall.block)
    hall.place(ANN, BUY, "79000", "0.1", ALO, priority_rate_e8=9000)
    assert changes(taken(hall, text)) == [(4, {"new": {"sz": "0.1"}})], "the others are not young any more"


def test_what_waits_for_a_trigger_has_statuses_and_no_place_in_the_book() -> None:
    hall = Hall().mark("80000")
    text = NodeText(hall.chain, LISTING, hall.people)
    hall.place(ANN, BUY, "79000", "0.1", GTC)
    hall.leg(
        kind=ActionKind.PLACE_TRIGGER, account=ANN, market=BTC, side=SELL, price_ticks=780_000, size_lots=1000,
        trigger_kind=TriggerKind.STOP_LOSS, trigger_ticks=785_000,
    )  # fmt: skip
    told = taken(hall, text)
    assert [(one["order"]["oid"], one["order"]["isTrigger"], one["status"]) for one in told[Stream.STATUSES]] == [
        (1, True, "open"), (2, False, "open"),
    ]  # fmt: skip
    assert changes(told) == [(2, {"new": {"sz": "0.1"}})]
    hall.cancel(ANN, 1)
    told = taken(hall, text)
    assert [one["status"] for one in told[Stream.STATUSES]] == ["canceled"] and changes(told) == []
