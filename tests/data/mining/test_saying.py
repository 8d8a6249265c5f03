"""What a plan says to people and to programs."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal

import msgspec

from hlhft.data.mining.costs import PRICES_OF
from hlhft.data.mining.miner import Report
from hlhft.data.mining.saying import (
    LINES_MAX,
    NAMES_LENGTH_MAX,
    joined,
    missing_lines,
    plan_lines,
    plan_plain,
    report_lines,
    report_plain,
)
from tests.data.mining.test_plan import books, fills, planned, whole_day, wish

DAY = date(2026, 4, 1)


def test_a_plan_says_what_is_fetched_and_what_it_costs() -> None:
    wished = wish("BTC", "ETH")
    lines = plan_lines(wished, planned(wished, whole_day("BTC", "ETH")))
    assert lines == [
        "From 2026-04-01 to 2026-04-01, BTC, ETH:",
        "  books          48 objects      4.8 kB  about $0.01",
        "  fills          24 objects     24.0 kB  about $0.01",
        "  contexts        1 objects    10 bytes  about $0.01",
        "  all            73 objects     28.8 kB  about $0.01",
        f"  ({PRICES_OF}; the bill is AWS's and goes to your account)",
    ]
    assert "  ($0.02 a gigabyte, as given; the bill is AWS's and goes to your account)" in plan_lines(
        wished, planned(wished, whole_day("BTC", "ETH")), Decimal("0.02")
    )


def test_a_plan_says_what_is_there_already_and_what_is_not_there_at_all() -> None:
    wished = wish("BTC", "SOL", contexts=False)
    gone = (books(DAY, 3, "BTC"), books(DAY, 4, "BTC"), fills(DAY, 9))
    listed = [one for one in whole_day("BTC") if one not in gone]
    plan = planned(wished, listed)
    assert plan_lines(wished, plan)[5:] == [
        "The archive lacks 3 hours of these, then gaps of the catalogue:",
        "  book     BTC      2026-04-01T03:00Z to 2026-04-01T05:00Z",
        "  trade    BTC      2026-04-01T09:00Z to 2026-04-01T10:00Z",
        "The archive has no books of SOL in this stretch: left out.",
    ]
    held = {part: task.listed.origin for task in plan.tasks for part in task.parts}
    again = plan_lines(wished, planned(wished, listed, held))
    assert again[:2] == [
        "From 2026-04-01 to 2026-04-01 there is nothing to fetch.",
        "In the catalogue already, and not fetched again: 45 parts.",
    ]


def test_before_march_2025_it_says_that_there_are_books_only() -> None:
    first = date(2025, 2, 28)
    wished = wish(first=first, last=date(2025, 3, 1), contexts=False)
    lines = plan_lines(wished, planned(wished, [books(first, hour, "BTC") for hour in range(24)]))
    assert any(
        line.startswith("From 2025-02-28 to 2025-02-28 there will be BOOKS ONLY: fills are archived since 2025-03-01")
        for line in lines
    )


def test_coins_that_nobody_specified_are_named() -> None:
    wished = wish("ALL")
    lines = plan_lines(wished, planned(wished, whole_day("BTC", "kPEPE", "DOGE")))
    assert lines[-1].startswith("2 coins are not in the market specification and left out: DOGE, kPEPE (--markets")


def test_stretches_that_follow_one_another_are_joined_and_the_rest_is_counted() -> None:
    wished = wish("BTC", trades=False, contexts=False)
    plan = planned(wished, [books(DAY, hour, "BTC") for hour in (0, 5, 6, 23)])
    hour = 3_600_000_000_000
    assert [(begin // hour % 24, end // hour % 24) for _, _, begin, end in joined(plan.missing)] == [(1, 5), (7, 23)]
    odd = planned(wished, [books(DAY, hour, "BTC") for hour in range(0, 24, 2)])
    odd_lines = missing_lines(odd.missing)
    assert len(odd_lines) == 1 + LINES_MAX
    days = [date(2026, 4, day) for day in (1, 2)]
    wished = wish("BTC", first=days[0], last=days[1], trades=False, contexts=False)
    more = planned(wished, [books(day, hour, "BTC") for day in days for hour in range(0, 24, 2)])
    assert missing_lines(more.missing)[-1] == f"  and {24 - LINES_MAX} stretches more (--json names all)"


def test_plain_values_are_json() -> None:
    wished = wish("BTC", "SOL")
    plan = planned(wished, [one for one in whole_day("BTC") if one != books(DAY, 3, "BTC")])
    found = msgspec.json.decode(msgspec.json.encode(plan_plain(wished, plan)))
    assert found["costs"]["all"] == {"objects": 48, "bytes": 23 * 100 + 24 * 1000 + 10, "usd": 0.000021}
    assert found["missing"] == [{"kind": "book", "coin": "BTC", "from": "2026-04-01T03:00Z", "to": "2026-04-01T04:00Z"}]
    assert (found["parts"], found["parts_held"], found["absent"]) == (48, 0, ["SOL"])


def test_an_outcome_names_every_failure() -> None:
    report = Report(
        2, 3, 4_000, Counter(torn_last_line=1), [f"s3://b/{number}: bad" for number in range(LINES_MAX + 2)]
    )
    lines = report_lines(report)
    assert lines[0] == "2 objects became 3 parts with 4,000 rows."
    assert lines[1] == "The last line was torn in 1 part and left out."
    assert lines[2] == "  s3://b/0: bad"
    assert lines[-1] == "  and 2 more (--json names all)"
    assert len(report_plain(report)["failures"]) == LINES_MAX + 2
    assert report_plain(report)["counts"] == {"torn_last_line": 1}


def test_an_outcome_without_faults_is_one_line() -> None:
    assert report_lines(Report(1, 1, 10)) == ["1 object became 1 part with 10 rows."]


def test_a_list_of_names_is_cut() -> None:
    coins = [f"COIN{number:03d}" for number in range(100)]
    wished = wish("ALL")
    last = plan_lines(wished, planned(wished, whole_day("BTC", *coins)))[-1]
    assert last.startswith("100 coins are not in") and "… (--markets" in last and len(last) < NAMES_LENGTH_MAX + 150
