"""The estimate is what the list prices say, by hand, and never sounds like less."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hlhft.data.mining.costs import Cost, cost_of, size_text
from hlhft.data.mining.keys import ARCHIVE, NODE, Listed


def test_a_month_by_hand() -> None:
    books = [Listed(ARCHIVE, f"{hour}", 3_000_000, "") for hour in range(1440)]
    fills = [Listed(NODE, f"{hour}", 40_000_000, "") for hour in range(720)]
    # 4.32 GB at 0.09, 28.8 GB at 0.114, 1440 requests at 0.0000004 and 720 at 0.00000037.
    expected = Decimal("0.3888") + Decimal("3.2832") + Decimal("0.000576") + Decimal("0.0002664")
    assert cost_of(books + fills) == Cost(2160, 33_120_000_000, expected)
    assert cost_of(books + fills).text == "$3.68"


def test_the_price_of_a_gigabyte_can_be_given() -> None:
    one = [Listed(ARCHIVE, "x", 10**9, "")]
    assert cost_of(one, Decimal(0)).usd == Decimal("0.0000004")
    assert cost_of(one, Decimal("0.02")).text == "$0.03"


def test_nothing_costs_nothing() -> None:
    assert cost_of([]).text == "$0.00"
    assert cost_of([Listed(ARCHIVE, "x", 1, "")]).text == "$0.01"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_940, "999.9 kB"), (999_960, "1.0 MB"),
     (3_210_000, "3.2 MB"), (999_960_000, "1.0 GB"), (33_120_000_000, "33.1 GB")],
)  # fmt: skip
def test_sizes_read_well(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text
