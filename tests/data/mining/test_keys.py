"""Keys are written and read back alike, and a day's fills are looked for where they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.data.mining.keys import (
    ARCHIVE,
    FIRST_DATE,
    FIRST_FILLS_DATE,
    HOUR_NS,
    Layout,
    Listed,
    Place,
    What,
    books_folder,
    books_key,
    contexts_key,
    days,
    fills_folder,
    fills_key,
    layouts_on,
    midnight_ns,
    place_of,
)

DAYS = st.dates(FIRST_DATE, date(2030, 1, 1))
HOURS = st.integers(0, 23)


def test_keys_are_the_venues() -> None:
    day = date(2026, 4, 1)
    assert books_key(day, 7, "BTC") == "market_data/20260401/7/l2Book/BTC.lz4"
    assert books_key(day, 7, "BTC").startswith(books_folder(day))
    assert contexts_key(day) == "asset_ctxs/20260401.csv.lz4"
    assert fills_key(day, 23, Layout.BY_BLOCK) == "node_fills_by_block/hourly/20260401/23.lz4"
    assert fills_key(day, 23, Layout.TRADES).startswith(fills_folder(day, Layout.TRADES))


@given(day=DAYS, hour=HOURS, coin=st.sampled_from(["BTC", "kPEPE", "xyz:TSLA", "@107"]), layout=st.sampled_from(Layout))
def test_a_key_reads_back_as_what_it_was_written_for(day: date, hour: int, coin: str, layout: Layout) -> None:
    assert place_of(books_key(day, hour, coin)) == Place(What.BOOKS, day, hour, coin)
    assert place_of(fills_key(day, hour, layout)) == Place(What.FILLS, day, hour, None, layout)
    assert place_of(contexts_key(day)) == Place(What.CONTEXTS, day)


@pytest.mark.parametrize(
    "key",
    [
        "", "market_data/20260401/24/l2Book/BTC.lz4", "market_data/20261301/1/l2Book/BTC.lz4",
        "x/asset_ctxs/20260401.csv.lz4",
        "market_data/20260401/1/trades/BTC.lz4", "market_data/20260401/1/l2Book/a/BTC.lz4",
        "node_fills/hourly/20260401/1.lz4.x",
        "node_fills/hourly/20260401/x.lz4", "explorer_blocks/hourly/20260401/1.lz4",
        "asset_ctxs/20260401.csv.lz4\n",
    ],
)  # fmt: skip
def test_a_key_of_another_form_is_nobodys(key: str) -> None:
    assert place_of(key) is None


@given(day=DAYS, hour=HOURS)
def test_a_place_knows_its_stretch(day: date, hour: int) -> None:
    begin, end = Place(What.BOOKS, day, hour, "BTC").stretch_ns
    assert datetime.fromtimestamp(begin // 10**9, UTC) == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    assert end - begin == HOUR_NS
    assert Place(What.CONTEXTS, day).stretch_ns == (midnight_ns(day), midnight_ns(day + timedelta(days=1)))


@pytest.mark.parametrize(
    ("day", "layouts"),
    [
        (FIRST_FILLS_DATE - timedelta(days=1), []),
        (FIRST_FILLS_DATE, [Layout.TRADES]),
        (date(2025, 5, 15), [Layout.FILLS, Layout.TRADES]),
        (date(2025, 6, 15), [Layout.FILLS]),
        (date(2025, 7, 27), [Layout.BY_BLOCK, Layout.FILLS]),
        (date(2026, 4, 1), [Layout.BY_BLOCK]),
    ],
)
def test_fills_are_looked_for_in_the_better_layout_first(day: date, layouts: list[Layout]) -> None:
    assert layouts_on(day) == layouts


def test_every_day_since_the_first_fills_has_a_layout() -> None:
    assert all(layouts_on(day) for day in days(FIRST_FILLS_DATE, date(2026, 12, 31)))


def test_days_are_inclusive() -> None:
    assert days(date(2026, 2, 28), date(2026, 3, 1)) == [date(2026, 2, 28), date(2026, 3, 1)]
    assert days(date(2026, 3, 1), date(2026, 3, 1)) == [date(2026, 3, 1)]


def test_the_origin_changes_with_the_content() -> None:
    one = Listed(ARCHIVE, "asset_ctxs/20260401.csv.lz4", 5, "abc")
    assert one.url == "s3://hyperliquid-archive/asset_ctxs/20260401.csv.lz4"
    assert one.origin != one._replace(etag="abd").origin
