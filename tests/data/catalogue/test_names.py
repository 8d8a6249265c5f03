from __future__ import annotations

import pytest

from hlhft.data.catalogue.layout import DAY_NS, day_ns
from hlhft.data.catalogue.names import HOUR_NS, days, wanted

APRIL = day_ns("2026-04-01")


@pytest.mark.parametrize(
    ("name", "coins", "begin_ns", "end_ns"),
    [
        ("2026-04-01/BTC", ("BTC",), APRIL, APRIL + DAY_NS),
        ("2026-04-01..2026-04-30/BTC,ETH", ("BTC", "ETH"), APRIL, APRIL + 30 * DAY_NS),
        ("2026-04-01T07/BTC", ("BTC",), APRIL + 7 * HOUR_NS, APRIL + 8 * HOUR_NS),
        ("2026-04-01T23..2026-04-02T00/BTC", ("BTC",), APRIL + 23 * HOUR_NS, APRIL + 25 * HOUR_NS),
        ("2026-04-01T12..2026-04-01/BTC", ("BTC",), APRIL + 12 * HOUR_NS, APRIL + DAY_NS),
        ("2026-04-01/PURR/USDC", ("PURR/USDC",), APRIL, APRIL + DAY_NS),
        ("2026-04-01/xyz:GOLD", ("xyz:GOLD",), APRIL, APRIL + DAY_NS),
    ],
)
def test_a_name_is_coins_and_whole_days_or_hours(name: str, coins: tuple[str, ...], begin_ns: int, end_ns: int) -> None:
    assert wanted(name) == (coins, begin_ns, end_ns)


@pytest.mark.parametrize(
    "name", ["BTC", "2026-04-01", "2026-04-01/", "2026-4-1/BTC", "data/2026-04-01/BTC", "a..b/BTC"]
)
def test_other_names_are_none(name: str) -> None:
    assert wanted(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2026-02-30/BTC", "there is no date 2026-02-30"),
        ("2026-04-01T24/BTC", "there is no hour 24"),
        ("2026-04-02..2026-04-01/BTC", "runs backwards"),
        ("2026-04-02..2026-04-01T12/BTC", "runs backwards"),
        ("2026-04-01/BTC,BTC", "names no coin, one twice"),
        ("2026-04-01/,", "names no coin, one twice"),
    ],
)
def test_what_cannot_be_meant_is_said(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wanted(name)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("2026-04-01/BTC,ETH", ["2026-04-01/BTC,ETH"]),
        ("2026-02-27..2026-03-01/BTC", ["2026-02-27/BTC", "2026-02-28/BTC", "2026-03-01/BTC"]),
        ("2026-04-01T23..2026-04-02/BTC", ["2026-04-01T23..2026-04-01T23/BTC", "2026-04-02/BTC"]),
        ("2026-04-01T07/BTC", ["2026-04-01T07..2026-04-01T07/BTC"]),
    ],
)
def test_a_name_is_its_days_which_are_names_themselves(name: str, found: list[str]) -> None:
    assert list(days(name)) == found
    asked, parts = wanted(name), [wanted(day) for day in found]
    assert asked is not None and all(part is not None and part.coins == asked.coins for part in parts)
    bounds = [time for part in parts if part is not None for time in part[1:]]
    assert (bounds[0], bounds[-1]) == asked[1:] and bounds[1:-1:2] == bounds[2::2], "nothing is left out in between"


def test_what_is_no_name_has_no_days() -> None:
    with pytest.raises(ValueError, match="names nothing of a catalogue"):
        days("BTC")
