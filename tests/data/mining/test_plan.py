"""What is fetched follows from what is wished, listed and held; every hour is fetched, held, or a gap."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.layout import PartKey
from hlhft.data.markets import known
from hlhft.data.mining.errors import WishError
from hlhft.data.mining.keys import (
    ARCHIVE,
    HOUR_NS,
    NODE,
    Layout,
    Listed,
    What,
    books_key,
    contexts_key,
    fills_key,
    midnight_ns,
)
from hlhft.data.mining.plan import DAYS_MAX, Plan, Wish, arrange, folders, wish_of
from hlhft.units import Market

DAY = date(2026, 4, 1)
TODAY = date(2026, 5, 1)
LATER_NS = midnight_ns(TODAY)


def wish(*coins: str, first: date = DAY, last: date = DAY, **options: bool) -> Wish:
    return wish_of(first, last, coins or ("BTC",), known(), today=TODAY, **options)


def books(day: date, hour: int, coin: str, etag: str = "1") -> Listed:
    return Listed(ARCHIVE, books_key(day, hour, coin), 100, etag)


def fills(day: date, hour: int, layout: Layout = Layout.BY_BLOCK, etag: str = "1") -> Listed:
    return Listed(NODE, fills_key(day, hour, layout), 1000, etag)


def whole_day(*coins: str, day: date = DAY) -> list[Listed]:
    hours = [books(day, hour, coin) for hour in range(24) for coin in coins] + [fills(day, hour) for hour in range(24)]
    return [*hours, Listed(ARCHIVE, contexts_key(day), 10, "1")]


def planned(
    wished: Wish,
    listed: list[Listed],
    held: Mapping[PartKey, str] | None = None,
    *,
    markets: Mapping[str, Market] | None = None,
    now_ns: int = LATER_NS,
) -> Plan:
    return arrange(wished, listed, (held or {}).get, markets or known(), now_ns=now_ns)


def origins(plan: Plan) -> dict[PartKey, str]:
    return {part: task.listed.origin for task in plan.tasks for part in task.parts} | {
        missing.part: missing.origin for missing in plan.missing
    }


@pytest.mark.parametrize(
    ("first", "last", "coins", "says"),
    [
        (DAY, date(2026, 3, 31), ("BTC",), "2026-03-31 is before the start date 2026-04-01: give them the other way"),
        (DAY, date(2026, 5, 2), ("BTC",), "2026-05-02 is in the future: give 2026-05-01 or earlier"),
        (date(2023, 4, 14), DAY, ("BTC",), "the archive begins on 2023-04-15"),
        (date(2023, 4, 15), date(2023, 4, 15), (), "no coin was given"),
        (DAY, DAY, ("BTCC",), "market BTCC is not in the specification; the nearest known market is BTC"),
    ],
)
def test_what_cannot_be_had_is_refused(first: date, last: date, coins: tuple[str, ...], says: str) -> None:
    with pytest.raises(WishError, match=says):
        wish_of(first, last, coins, known(), today=TODAY)


def test_too_many_days_are_refused() -> None:
    with pytest.raises(WishError, match=f"more than {DAYS_MAX} days"):
        wish_of(date(2023, 4, 15), date(2033, 4, 15), ["BTC"], known(), today=date(2040, 1, 1))


def test_coins_are_named_as_the_market_is_and_once() -> None:
    assert wish("btc", "ETH", "BTC").coins == ("BTC", "ETH")
    assert wish("ETH", "ALL").coins == ()


def test_each_folder_that_could_serve_is_listed() -> None:
    found = folders(wish(first=date(2025, 7, 27), last=date(2025, 7, 28)))
    assert len(found) == len(set(found)) == 2 * (1 + 1 + 2)
    assert (NODE, "node_fills_by_block/hourly/20250727/") in found
    assert (NODE, "node_fills/hourly/20250728/") in found
    assert (ARCHIVE, "asset_ctxs/20250727.csv.lz4") in found
    assert (ARCHIVE, "market_data/20250728/") in found
    assert folders(wish(trades=False, contexts=False)) == [(ARCHIVE, "market_data/20260401/")]
    assert any(bucket == NODE for bucket, _ in folders(wish(trades=False, fills=True, contexts=False)))


def test_a_day_of_two_coins() -> None:
    plan = planned(wish("BTC", "ETH"), whole_day("BTC", "ETH", "DOGE"))
    assert [task.place.what for task in plan.tasks].count(What.BOOKS) == 48
    (hour,) = (task for task in plan.tasks if task.place.what is What.FILLS and task.place.hour == 7)
    # One download serves both coins.
    assert hour.parts == (
        PartKey("trade", "BTC", "2026-04-01", "fills-07"),
        PartKey("trade", "ETH", "2026-04-01", "fills-07"),
    )
    assert plan.tasks[0].parts == (
        PartKey("context", "BTC", "2026-04-01", "archive-day"),
        PartKey("context", "ETH", "2026-04-01", "archive-day"),
    )
    assert PartKey("book", "ETH", "2026-04-01", "archive-23") in origins(plan)
    assert (plan.missing, plan.parts_held, plan.absent, plan.unspecified, plan.without_fills) == ((), 0, (), (), None)


def test_every_fill_is_wished_apart() -> None:
    plan = planned(wish(fills=True, contexts=False), whole_day("BTC"))
    kinds = {part.kind for task in plan.tasks for part in task.parts}
    assert kinds == {"book", "trade", "fill"}
    assert {
        part.kind for task in planned(wish(trades=False, contexts=False), whole_day("BTC")).tasks for part in task.parts
    } == {"book"}


def test_what_is_held_is_not_fetched_again_unless_it_changed() -> None:
    first = planned(wish("BTC", "ETH"), whole_day("BTC", "ETH"))
    held = origins(first)
    again = planned(wish("BTC", "ETH"), whole_day("BTC", "ETH"), held)
    assert (again.tasks, again.parts_held) == ((), 2 * (1 + 24 + 24))
    changed = [one for one in whole_day("BTC", "ETH") if one != books(DAY, 7, "ETH")] + [books(DAY, 7, "ETH", "2")]
    assert [task.listed.etag for task in planned(wish("BTC", "ETH"), changed, held).tasks] == ["2"]


def test_only_the_parts_that_lack_are_made_of_an_object() -> None:
    held = origins(planned(wish("BTC"), whole_day("BTC", "ETH")))
    plan = planned(wish("BTC", "ETH"), whole_day("BTC", "ETH"), held)
    assert {part.coin for task in plan.tasks for part in task.parts} == {"ETH"}


def test_an_hour_that_is_not_there_is_a_gap_and_said_once() -> None:
    listed = [one for one in whole_day("BTC") if one not in (books(DAY, 3, "BTC"), fills(DAY, 5))]
    plan = planned(wish("BTC"), listed)
    begin = midnight_ns(DAY)
    assert [(missing.part.kind, missing.part.name, missing.stretch_ns) for missing in plan.new_missing] == [
        ("book", "archive-03", (begin + 3 * HOUR_NS, begin + 4 * HOUR_NS)),
        ("trade", "fills-05", (begin + 5 * HOUR_NS, begin + 6 * HOUR_NS)),
    ]
    assert plan.new_missing[0].url == "s3://hyperliquid-archive/market_data/20260401/3/l2Book/BTC.lz4"
    again = planned(wish("BTC"), listed, origins(plan))
    assert (again.missing, again.new_missing, again.tasks) == (plan.missing, (), ())


def test_a_gap_is_filled_when_the_object_appears_and_nothing_good_is_lost_when_one_goes() -> None:
    listed = [one for one in whole_day("BTC") if one != books(DAY, 3, "BTC")]
    held = origins(planned(wish("BTC"), listed))
    filled = planned(wish("BTC"), whole_day("BTC"), held)
    assert [task.listed for task in filled.tasks] == [books(DAY, 3, "BTC")]
    held |= origins(filled)
    gone = planned(wish("BTC"), listed, held)
    assert (gone.tasks, gone.missing, gone.parts_held) == ((), (), 1 + 24 + 24)


def test_hours_that_have_not_ended_are_no_gaps() -> None:
    plan = planned(wish("BTC"), [books(DAY, 0, "BTC")], now_ns=midnight_ns(DAY) + 2 * HOUR_NS + 1)
    assert len(plan.tasks) == 1
    assert {(missing.part.kind, missing.part.name) for missing in plan.missing} == {
        ("book", "archive-01"), ("trade", "fills-00"), ("trade", "fills-01"),
    }  # fmt: skip


def test_the_better_layout_serves_an_hour_that_both_have() -> None:
    day = date(2025, 7, 28)
    listed = [books(day, hour, "BTC") for hour in range(24)]
    listed += [fills(day, hour, Layout.FILLS) for hour in range(20)]
    listed += [fills(day, hour, Layout.BY_BLOCK) for hour in range(10, 22)]
    plan = planned(wish(first=day, last=day, contexts=False), listed)
    by_hour = {task.place.hour: task.place.layout for task in plan.tasks if task.place.what is What.FILLS}
    assert by_hour == {**dict.fromkeys(range(10), Layout.FILLS), **dict.fromkeys(range(10, 22), Layout.BY_BLOCK)}
    assert {missing.part.name for missing in plan.missing} == {"fills-22", "fills-23"}


def test_before_the_first_fills_there_are_books_only_and_it_is_said() -> None:
    first, last = date(2025, 2, 27), date(2025, 3, 1)
    listed = [books(day, hour, "BTC") for day in (first, date(2025, 2, 28), last) for hour in range(24)]
    plan = planned(wish(first=first, last=last, contexts=False), listed)
    assert plan.without_fills == (first, date(2025, 2, 28))
    assert {missing.part.date for missing in plan.missing} == {"2025-03-01"}  # there fills would be
    assert planned(wish(first=first, last=last, trades=False, contexts=False), listed).without_fills is None


def test_all_are_those_that_archive_and_specification_have() -> None:
    plan = planned(wish("ALL"), whole_day("SOL", "BTC", "kPEPE"))
    assert {part.coin for part in origins(plan)} == {"BTC", "SOL"}
    assert plan.unspecified == ("kPEPE",)


def test_a_coin_without_any_object_is_said_and_makes_no_gaps() -> None:
    plan = planned(wish("BTC", "SOL"), whole_day("BTC"))
    assert plan.absent == ("SOL",)
    assert {part.coin for part in origins(plan)} == {"BTC"}


@pytest.mark.parametrize(
    ("coins", "listed", "says"),
    [
        (("BTC",), [], "the archive has no books on 2026-04-01: it is written about once a month"),
        (("SOL",), whole_day("BTC"), "the archive has no books of SOL on 2026-04-01: it has 1 other coins"),
        (("ALL",), whole_day("kPEPE"), "has none of the 1 coins that the archive has on 2026-04-01"),
    ],
)
def test_nothing_to_mine_is_a_sentence(coins: tuple[str, ...], listed: list[Listed], says: str) -> None:
    with pytest.raises(WishError, match=says):
        planned(wish(*coins), listed)


@settings(max_examples=30)
@given(
    hours=st.sets(st.integers(0, 23), min_size=1),
    filled=st.sets(st.integers(0, 23)),
    done=st.sets(st.integers(0, 47)),
    stale=st.sets(st.integers(0, 47)),
)
def test_every_hour_is_fetched_held_or_a_gap(
    hours: set[int], filled: set[int], done: set[int], stale: set[int]
) -> None:
    listed = [books(DAY, hour, "BTC") for hour in hours] + [fills(DAY, hour) for hour in filled]
    whole = origins(planned(wish(contexts=False), whole_day("BTC")))
    parts = sorted(whole)
    held = {part: whole[part] for index, part in enumerate(parts) if index in done}
    held |= {part: "something else" for index, part in enumerate(parts) if index in stale}
    plan = planned(wish(contexts=False), listed, held)
    made = [part for task in plan.tasks for part in task.parts]
    gaps = [missing.part for missing in plan.missing]
    assert len(made) + len(gaps) + plan.parts_held == 48
    assert len({*made, *gaps}) == len(made) + len(gaps)
    # Nothing that is held with this origin is made again, and nothing good becomes a gap.
    assert all(held.get(part) != whole[part] for part in made)
    assert all(part not in held for part in gaps)
