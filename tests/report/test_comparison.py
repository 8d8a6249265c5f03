"""Live against simulated, to the cent as computed by hand."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.report.comparison import (
    ALL,
    BOTH,
    BUY,
    MARKOUTS_NS,
    POINTS_MAX,
    SELL,
    SPANS_MAX,
    Comparison,
    Figures,
    WorldFigures,
    compare,
)
from hlhft.report.matching import Kept, Matched
from hlhft.report.numbers import DASH, MINUS
from tests.report.histories import SECOND
from tests.report.worlds import COIN, OTHER, START, Hand

HOUR = 3600 * SECOND


def live() -> Hand:
    """Four orders, of which two fill: one USDC bought at 1.000, half of it sold two hours later at 1.002."""
    made = Hand("live")
    made.order(1, 1, 1000, 1000)
    made.order(2, -1, 1002, 500)
    made.order(3, 1, 990, 1000)
    made.history.wait(2 * SECOND)
    made.fill(1, 1, 1000, 1000, later=(2002, 2004), fee=15)
    made.history.wait(2 * HOUR)
    made.fill(2, -1, 1002, 500, later=(2000, 2000), fee=8, maker=0)
    made.order(4, -1, 1010, 500)
    return made


def simulated(name: str = "risk-averse") -> Hand:
    """Three orders; both fills of the live one, the second in part, and one that it has not."""
    made = Hand(name)
    made.order(1, 1, 1000, 1000)
    made.order(2, -1, 1002, 500)
    made.order(3, 1, 990, 1000)
    made.history.wait(1 * SECOND)
    made.fill(1, 1, 1001, 1000, later=(1998, 1996), fee=15)
    made.history.wait(2 * HOUR + 5 * SECOND)
    made.fill(2, -1, 1002, 250, later=(2000, 2000), fee=4)
    made.fill(3, 1, 990, 1000, later=(1976, 0), fee=15)
    return made


@pytest.fixture(name="found", scope="module")
def _found() -> Comparison:
    return compare(live().world(), [simulated().world()], remarks=["A remark."])


def group(one: WorldFigures, market: str = ALL, side: str = BOTH) -> Figures:
    return next(each for each in one.groups if (each.market, each.side) == (market, side))


def test_orders_fills_and_volumes(found: Comparison) -> None:
    ours, theirs = found.live.total, found.simulated[0].total
    assert (ours.orders, ours.fills, ours.fill_rate) == (4, 2, 2 / 4)
    assert ours.volume_usdc == pytest.approx(1.0 + 0.501)
    assert (theirs.orders, theirs.fills, theirs.fill_rate) == (3, 3, 1.0)
    assert theirs.volume_usdc == pytest.approx(1.001 + 0.2505 + 0.99)
    assert ours.maker_share == pytest.approx(1.0 / 1.501) and theirs.maker_share == 1.0
    assert ours.wait_ns == (2 * SECOND + 2 * HOUR + 2 * SECOND) // 2


def test_fills_of_a_book_that_moved_through_are_told_apart() -> None:
    made, market = Hand("power:2"), Hand("live")
    for number, reason in enumerate((1, 2, 3, 3)):
        made.fill(number + 1, 1, 1000, 100, reason=reason)
        market.fill(number + 1, 1, 1000, 100, reason=0)
    found = compare(market.world(), [made.world()])
    assert (found.live.total.crossed_share, found.simulated[0].total.crossed_share) == (None, 1 / 2)
    assert dict(found.rows())["by a book that moved through"] == (DASH, "50.0 %", DASH)
    assert "; 50 % of its own came of a book that moved through their price; " in found.verdicts[0]


def test_sides_and_markets_add_up(found: Comparison) -> None:
    for one in (found.live, *found.simulated):
        buys, sells, both = (group(one, "COIN", side) for side in (BUY, SELL, BOTH))
        assert buys.fills + sells.fills == both.fills == one.total.fills
        assert buys.orders + sells.orders == one.total.orders
        assert buys.profit_usdc + sells.profit_usdc == pytest.approx(one.total.profit_usdc)
    assert group(found.live, "COIN", BUY).fills == 1 and group(found.live, "COIN", SELL).orders == 2


def test_the_profit_is_that_of_each_world(found: Comparison) -> None:
    ours, theirs = found.live.total, found.simulated[0].total
    # Bought 1000 lots at 1000, sold 500 at 1002, 500 left at the mark of 1000, fees of 23 micro-USDC.
    assert ours.profit_usdc == pytest.approx((500 * 2 - 23) / 1e6)
    assert theirs.profit_usdc == pytest.approx((-1000 + 250 * 2 + 1000 * 10 - 34) / 1e6)
    assert ours.parts["fees"] == pytest.approx(-23e-6)


def test_markouts_are_weighted_by_value(found: Comparison) -> None:
    after_1_s, after_10_s = found.live.total.markouts
    assert [one.horizon_s for one in (after_1_s, after_10_s)] == [horizon / 1e9 for horizon in MARKOUTS_NS] == [1, 10]
    bought, sold = 1.0 / 1000 * 1e4, 2.0 / 1002 * 1e4  # half a tick more than it paid; it sold two ticks above the mid
    assert after_1_s.mean_bp == pytest.approx((bought * 1.0 + sold * 0.501) / 1.501)
    assert after_1_s.error_bp is None, "two fills have no band"
    unknown = found.simulated[0].total.markouts[1]
    assert unknown.fills == 2, "the mid ten seconds after the last one is not known"


def test_what_both_have_is_counted(found: Comparison) -> None:
    (match,) = found.matches
    assert (match.pairs, match.of_live, match.of_simulated) == (1, 1 / 2, 1 / 3), "the second comes four seconds later"
    assert found.orders_shared == (3 / 4,)


def test_hours_and_days_hold_everything(found: Comparison) -> None:
    for one in (found.live, *found.simulated):
        assert [span.first_ns - START for span in one.hours] == [0, 2 * HOUR]
        assert len(one.days) == 1
        for spans in (one.hours, one.days):
            assert sum(span.fills for span in spans) == one.total.fills
            assert sum(span.volume_usdc for span in spans) == pytest.approx(one.total.volume_usdc)
            assert sum(span.profit_usdc for span in spans) == pytest.approx(one.total.profit_usdc)


def test_the_difference_is_simulated_less_live(found: Comparison) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(found.plain()))
    (one,) = plain["simulated"]
    less = one["difference"][0]
    assert (less["market"], less["side"], less["orders"], less["fills"]) == ("all", "both", -1, 1)
    assert less["volume_usdc"] == pytest.approx(2.2415 - 1.501)
    assert less["profit_usdc"] == pytest.approx(found.simulated[0].total.profit_usdc - found.live.total.profit_usdc)
    assert sum(less["parts"].values()) == pytest.approx(less["profit_usdc"])
    assert plain["remarks"] == ["A remark."] and one["matched"]["pairs"] == 1
    assert plain["live"]["groups"][0]["profit_usdc"] == pytest.approx(977e-6)


def test_the_table_has_a_text_for_each_column(found: Comparison) -> None:
    assert found.columns == ("live", "risk-averse", "difference")
    assert found.groups == ((ALL, BOTH), ("COIN", BOTH), ("COIN", BUY), ("COIN", SELL))
    for market, side in found.groups:
        for label, texts in found.rows(market, side):
            assert len(texts) == len(found.columns), label
    rows = dict(found.rows())
    assert rows["orders"] == ("4", "3", f"{MINUS}1") and rows["fills"] == ("2", "3", "+1")
    assert rows["orders that filled"] == ("50.0 %", "100.0 %", "+50.0")
    assert rows["decision to fill"] == ("1 h", "1 h 20 min", "+1,202.333 s")
    assert rows["live fills that it has"] == (DASH, "50.0 %", DASH)
    assert rows["its fills that were live"] == (DASH, "33.3 %", DASH)
    with pytest.raises(KeyError):
        found.rows("NOTHING")


def test_the_page_gets_its_sentence_and_tables(found: Comparison) -> None:
    assert found.sentence == f"{found.verdicts[0]} A remark."
    everything, sides, hours = found.grids()
    assert everything.heads == ("", "live", "risk-averse", "difference")
    assert ("fills", "2", "3", "+1") in everything.rows
    assert sides.heads[2:4] == ("live: fills", "risk-averse: fills")
    assert [row[:4] for row in sides.rows] == [
        ("COIN", "both", "2", "3"), ("COIN", "buy", "1", "2"), ("COIN", "sell", "1", "1"),
    ]  # fmt: skip
    assert hours.title == "Live and simulated by hour"
    assert [row[:3] for row in hours.rows] == [("2023-11-14 00:00", "1", "1"), ("2023-11-14 02:00", "1", "2")]


def test_what_a_queue_model_makes_of_the_sessions_own_orders(found: Comparison) -> None:
    match = Matched(pairs=1, of_live=1 / 2, of_simulated=1.0, volume_of_live=0.6, volume_of_simulated=1.0)
    kept = Kept(
        queue="risk-averse", fills=1, volume_usdc=1.501 * 1.1, orders_filled=1, orders_live=2, orders_both=1,
        matched=match,
    )  # fmt: skip
    both = compare(live().world(), [simulated().world()], kept=[kept])
    assert both.verdicts[0] == (
        "Of the session's own orders the queue model risk-averse fills 10 % more than the market did, and 50 % of the"
        f" live fills are among its. {found.verdicts[0]}"
    )
    table = both.grids()[0]
    assert table.heads == ("", "live", "risk-averse")
    assert table.rows[:4] == (
        ("fills", "2", "1"), ("volume, USDC", "2", "2"), ("orders that filled", "2", "1"),
        ("of these in both", DASH, "1"),
    )  # fmt: skip
    assert both.plain()["kept"][0]["matched"]["of_live"] == 1 / 2 and found.plain()["kept"] == []
    none = compare(Hand("live").world(), [simulated().world()], kept=[kept])
    assert none.verdicts[0].startswith(
        "Of the session's own orders the queue model risk-averse fills 1 part, the market filled 0. Deciding anew"
    )


def test_more_hours_than_fit_are_shown_as_days() -> None:
    made = Hand("live")
    for number in range(SPANS_MAX + 1):
        made.history.wait(HOUR)
        made.fill(number + 1, 1, 1000, 1)
    table = compare(made.world(), [Hand("power:2").world()]).grids()[-1]
    assert table.title == "Live and simulated by day"
    assert [row[0] for row in table.rows] == ["2023-11-14", "2023-11-15", "2023-11-16"]
    assert sum(int(row[1]) for row in table.rows) == SPANS_MAX + 1


def test_the_figure_holds_the_volume_of_each_world() -> None:
    many = Hand("live")
    for number in range(3000):
        many.history.wait(SECOND)
        many.fill(number + 1, 1, 1000, 1)
    found = compare(many.world(), [simulated().world(), simulated("power:2").world()])
    figure = found.figure()
    assert figure is not None
    assert [trace["name"] for trace in figure["data"]] == ["live", "risk-averse", "power:2"]
    assert len(figure["data"][0]["x"]) <= POINTS_MAX
    assert figure["data"][0]["y"][-1] == pytest.approx(3.0)
    assert figure["data"][1]["y"] == [1.0, 1.25, 2.24]
    assert msgspec.json.encode(figure)


def test_without_any_fill_there_is_no_figure() -> None:
    assert compare(Hand("live").world(), [Hand("power:2").world()]).figure() is None


def test_two_markets_stay_apart() -> None:
    worlds = []
    for name in ("live", "power:2"):
        made = Hand(name, COIN, OTHER)
        made.order(1, 1, 1000, 100)
        made.order(1, -1, 1002, 200, market=1)
        made.history.wait(SECOND)
        made.fill(1, 1, 1000, 100)
        made.fill(1, -1, 1002, 200, market=1)
        worlds.append(made.world())
    found = compare(worlds[0], worlds[1:])
    assert found.matches[0].of_live == found.matches[0].of_simulated == found.orders_shared[0] == 1.0
    assert [(one.market, one.side, one.fills) for one in found.live.groups] == [
        (ALL, BOTH, 2), ("COIN", BOTH, 1), ("COIN", BUY, 1), ("COIN", SELL, 0), ("OTHER", BOTH, 1), ("OTHER", BUY, 0),
        ("OTHER", SELL, 1),
    ]  # fmt: skip
    assert group(found.live, "OTHER", SELL).wait_ns == SECOND


def test_a_position_of_before_is_no_fill() -> None:
    made = Hand("live")
    made.fill(0, 1, 1000, 1000)
    assert compare(made.world(), [made.world()]).live.total.fills == 0


def verdict(ours: Hand, theirs: Hand) -> str:
    return compare(ours.world(), [theirs.world()]).verdicts[0]


def quoted(name: str, fills: int, *, lots: int = 1000, gain: int = 0) -> Hand:
    """A buy every minute, after which the mid moves by `gain` half ticks, give or take one."""
    made = Hand(name)
    for number in range(fills):
        made.order(number + 1, 1, 1000, lots)
        made.history.wait(60 * SECOND)
        made.fill(number + 1, 1, 1000, lots, later=(0, 2000 + gain + number % 3 - 1))
    return made


def test_the_verdict_says_which_way_the_simulation_errs() -> None:
    nothing, ten = Hand("live"), quoted("live", 10)
    assert verdict(nothing, Hand("power:2")) == (
        "Deciding anew, a simulation with power:2 fills nothing, and neither did the market."
    )
    assert verdict(nothing, quoted("power:2", 2)).endswith("has 2 fills where the market had none: it flatters.")
    assert verdict(ten, Hand("power:2")).endswith("has no fill where the market had 10 fills: it is too strict.")
    assert (
        "fills as much as the market did, and has 100 % of the live fills; 10 s later its fills are worth the same"
        in (verdict(ten, quoted("power:2", 10)))
    )
    assert "fills 20 % more than the market did" in verdict(ten, quoted("power:2", 12))
    assert "fills 50 % less than the market did, and has 50 % of the live fills" in verdict(ten, quoted("power:2", 5))
    assert verdict(ten, quoted("power:2", 10, gain=40)).endswith("more: it flatters by as much.")
    assert verdict(ten, quoted("power:2", 10, gain=-40)).endswith("less: it is too strict by as much.")
    assert "a fill of it is worth 200.00 bp" in verdict(ten, quoted("power:2", 10, gain=40))
    assert verdict(quoted("live", 2), quoted("power:2", 2)).endswith(
        "there are too few fills to say whether they are worth the same."
    )
