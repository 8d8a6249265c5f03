"""Fill rates by hand: an order counts once, in the band it joined in, and its share has an honest band."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.report.fill_rates import (
    DISTANCE_LABELS,
    PLACED_DTYPE,
    QUEUE_LABELS,
    FillBand,
    FillRates,
    fill_rates,
    wilson,
)
from hlhft.report.markouts import HORIZONS_NS
from tests.report import sample_run
from tests.report.histories import FINE, PERPETUAL, SECOND, History

USDC = 1_000_000  # PERPETUAL: a lot at a price of so many ticks is one USDC


def order(
    number: int, behind_ticks: int = 0, *, side: int = 1, ahead: float = 0.0, at: int = 0, market: int = 0
) -> tuple:
    """An order at USDC ticks, so far behind the touch of its own side; PLACED_DTYPE's fields in their order."""
    rested_ns = History([PERPETUAL]).start_ns + at
    return (rested_ns, rested_ns, number, USDC, USDC + side * behind_ticks, 1, ahead, 0, market, side)


def rates(made: History, *orders: tuple, later: int = 2 * USDC) -> FillRates:
    found = fill_rates(
        made.markets, np.array(list(orders), PLACED_DTYPE), made.log,
        np.full((len(made.log), len(HORIZONS_NS)), later), np.ones(len(made.log)),
    )  # fmt: skip
    assert found is not None
    return found


def by_label(bands: tuple[FillBand, ...]) -> dict[str, tuple[int, int]]:
    return {one.label: (one.orders, one.filled) for one in bands}


def test_orders_are_counted_by_their_distance_on_either_side() -> None:
    bp = USDC // 10_000
    made = History([PERPETUAL])
    made.wait(3 * SECOND)
    made.fill(1, USDC, 1, order_id=1)
    made.fill(-1, USDC, 1, order_id=4)
    found = rates(
        made, order(1), order(2, -5), order(3, bp // 2), order(4, bp // 2 + 1, side=-1), order(5, 10 * bp),
        order(6, 10 * bp + 1),
    )  # fmt: skip
    assert by_label(found.by_distance) == {
        "better than the touch": (1, 0),
        "at the touch": (1, 1),
        "up to 0.5 bp behind": (1, 0),
        "0.5 to 1 bp behind": (1, 1),
        "5 to 10 bp behind": (1, 0),
        "more than 10 bp behind": (1, 0),
    }
    assert (found.orders, found.filled, found.is_cut) == (6, 2, False)
    assert {one.wait_ns_median for one in found.by_distance if one.filled} == {3 * SECOND}
    assert {one.wait_ns_median for one in found.by_distance if not one.filled} == {None}


def test_orders_are_counted_by_what_was_shown_at_their_price() -> None:
    made = History([PERPETUAL])
    found = rates(
        made, order(1), order(2, ahead=1.0), order(3, ahead=999.0), order(4, ahead=1001.0), order(5, ahead=1e9)
    )
    assert by_label(found.by_queue) == {
        "nothing": (1, 0),
        "up to 1,000": (2, 0),
        "1,000 to 10,000": (1, 0),
        "more than 1,000,000": (1, 0),
    }


def test_what_is_not_known_is_in_no_band() -> None:
    unknown_touch = (*order(1)[:4], 0, *order(1)[5:])
    found = rates(History([PERPETUAL]), unknown_touch, order(2, ahead=-1.0))
    assert by_label(found.by_distance) == {"at the touch": (1, 0)}
    assert by_label(found.by_queue) == {"nothing": (1, 0)}
    assert found.orders == 2


def test_an_order_fills_once_by_its_market_and_id_as_a_maker() -> None:
    made = History([PERPETUAL, FINE])
    for _ in range(3):
        made.wait(SECOND)
        made.fill(1, USDC, 1, order_id=7)
    made.fill(1, USDC, 1, order_id=8, maker=0, reason=4)
    made.fill(1, USDC, 1, order_id=9, market=1)
    made.fill(1, USDC, 1, order_id=0, reason=5, maker=0)
    made.fund(5)
    found = rates(made, order(7), order(7, at=SECOND), order(8), order(9), order(9, market=1))
    assert (found.orders, found.filled) == (4, 2)
    (touch,) = found.by_distance
    assert touch.wait_ns_median == (SECOND + 3 * SECOND) // 2  # of 7 and of FINE's 9


def test_without_the_venues_time_an_order_waits_by_our_own() -> None:
    """It rested a second after the start by our clock, and its fill came a second later than at the venue."""
    made = History([PERPETUAL])
    made.wait(3 * SECOND)
    made.fill(1, USDC, 1, order_id=1)
    made.rows[0]["ts_local_ns"] += SECOND
    (touch,) = rates(made, (0, *order(1, at=SECOND)[1:])).by_distance
    assert touch.wait_ns_median == 3 * SECOND
    (touch,) = rates(made, order(1, at=SECOND)).by_distance
    assert touch.wait_ns_median == 2 * SECOND


def test_the_markout_of_a_band_is_that_of_its_fills() -> None:
    made = History([PERPETUAL])
    for number in range(1, 7):
        made.fill(1, USDC, 1, order_id=number)
        made.wait(40 * SECOND)
    orders = [order(number, 0 if number < 6 else 100) for number in range(1, 7)]
    found = rates(made, *orders, later=2 * USDC + 200)
    touch, behind = found.by_distance
    assert (touch.markout_bp, touch.markout_error_bp) == (pytest.approx(1.0), pytest.approx(0.0))
    assert (behind.markout_bp, behind.markout_error_bp) == (pytest.approx(1.0), None)
    assert rates(made, *orders, later=0).by_distance[0].markout_bp is None


def test_without_orders_there_is_nothing_to_tell() -> None:
    made = History([PERPETUAL])
    nothing = np.zeros((0, len(HORIZONS_NS)), np.int64)
    assert fill_rates(made.markets, np.zeros(0, PLACED_DTYPE), made.log, nothing, np.zeros(0)) is None


@given(st.integers(1, 10_000), st.data())
def test_wilsons_band_holds_the_share_and_is_a_share(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    assert high - low > 0.0
    mirrored = wilson(trials - successes, trials)
    assert mirrored == (pytest.approx(1.0 - high), pytest.approx(1.0 - low))


def test_wilsons_band_by_hand() -> None:
    """5 of 10 with z = 2: centre (0.5 + 0.2) / 1.4 = 0.5, half 2 / 1.4 sqrt(0.025 + 0.01) = 0.26726."""
    assert wilson(5, 10) == (pytest.approx(0.232739, abs=1e-6), pytest.approx(0.767261, abs=1e-6))
    assert wilson(0, 10) == (0.0, pytest.approx(4.0 / 14.0))


def test_labels_are_one_more_than_their_edges() -> None:
    assert len(set(DISTANCE_LABELS)) == len(DISTANCE_LABELS) and len(set(QUEUE_LABELS)) == len(QUEUE_LABELS)
    assert DISTANCE_LABELS[3] == "0.5 to 1 bp behind" and QUEUE_LABELS[-1] == "more than 1,000,000"


def test_a_real_run_knows_the_orders_that_filled() -> None:
    """What fill rates count as filled are the orders of the log that filled as makers."""
    for output in sample_run.backtest().outputs:
        fills = output.fills[(output.fills["kind"] == 18) & (output.fills["maker"] == 1)]
        found = fill_rates(
            sample_run.recording().markets, output.placed, output.fills,
            np.zeros((len(output.fills), len(HORIZONS_NS)), np.int64), np.ones(len(output.fills)),
        )  # fmt: skip
        assert found is not None
        assert found.filled == len(np.unique(fills["order_id"])) > 0
        assert found.orders <= int(output.lanes.lane[0, 0]["placed"])
        assert sum(one.orders for one in found.by_distance) == sum(one.orders for one in found.by_queue) == found.orders
