"""An account's past splits into parts that close to the last grain, and a record that is lost, doubled, turned, moved
or altered leaves just its own worth, which the report says, and where."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.cloids import Cloid
from hlhft.report.attribution import HOUR_NS, PART_NAMES, Parts
from hlhft.report.venue_checks import Kind, check
from hlhft.report.venue_records import GRAINS_PER_MICRO, UNIT, Flow, History, PastFill, PastFunding, Reading
from hlhft.report.venue_split import CARRIED, OTHERS, Split, in_chain_order, split, strategy_of
from tests.report.pasts import BTC, DOGE, HYPE, MARKETS, MINUTE, MS, OWNERS, Account, price_unit, size_unit

GRAINS = 10**6 * GRAINS_PER_MICRO
Record = PastFill | PastFunding | Flow
place = st.integers(0, 2)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("fill"), place, st.sampled_from([1, -1]), st.integers(1, 9_000), st.integers(-500, 500),
            st.booleans(), st.sampled_from([0, 7, 8, 9]),
        ),
        st.tuples(st.just("quote"), place, st.integers(-9_000, 9_000), st.integers(-50, 50)),
        st.tuples(st.just("wait"), st.integers(0, 3 * HOUR_NS)),
        st.tuples(st.just("transfer"), st.integers(-(10**9), 10**9)),
        st.tuples(st.just("receive"), st.integers(1, 5_000)),
        st.tuples(st.just("look")),
    ),
    max_size=25,
)  # fmt: skip
carried = st.tuples(st.integers(-5_000, 5_000), st.integers(-5_000, 5_000), st.integers(0, 5_000))


def past(chosen: list[tuple], held: tuple[int, int, int]) -> History:
    """An account that does these steps, with positions carried in, looked at before and after."""
    made = Account()
    for market, lots in enumerate(held):
        made.carry(market, lots, made.ticks[market] + 17)
    made.look()
    for name, *values in chosen:
        if name == "fill":
            market, side, lots, away, taker, owner = values
            made.fill(market, side, lots, away, taker=taker, owner=owner)
        elif name == "quote":
            market, moved, over = values
            made.quote(market, max(made.ticks[market] + moved, 1_000), over)
        elif name == "look":
            made.look()
        else:
            getattr(made, name)(*values)
    made.wait(2 * MINUTE)
    made.look()
    return made.history()


def worth(record: Record, reading: Reading, history: History) -> int:
    """What a record adds to the account's worth at a reading, in grains, transfers not taken out."""
    if record.ts_ns > reading.ts_ns:
        return 0
    if isinstance(record, PastFunding):
        return record.amount * 2 * UNIT
    held = reading.held.get(record.coin)
    mark = held.mark_double if held is not None else history.mids[record.coin].at(reading.ts_ns) if record.coin else 0
    if isinstance(record, Flow):
        return (record.amount or 0) * 2 * UNIT + record.size * mark
    fee = 0 if record.fee_token == "HYPE" else record.fee
    return record.change * mark - 2 * record.side * record.size * record.price - fee * 2 * UNIT


@settings(max_examples=60)
@given(steps, carried)
def test_every_past_closes_and_nothing_is_found(chosen: list[tuple], held: tuple[int, int, int]) -> None:
    history = past(chosen, held)
    made = split(history, OWNERS)
    assert [one.residual for one in made.checked] == [0] * len(history.readings)
    assert check(history, made).kept == ()
    parts = made.attribution.parts
    assert parts.total == made.checked[-1].parts
    assert parts.fees <= 0 <= parts.rebates
    assert parts.funding == sum(one.amount for one in history.fundings) * 2 * UNIT
    sides = made.attribution.by_side["buy"] + made.attribution.by_side["sell"]
    assert sides.values()[:5] == parts.values()[:5]
    for sums in (
        made.attribution.by_hour,
        made.by_strategy,
        {one.market: one.parts for one in made.attribution.markets},
    ):
        assert sum(sums.values(), Parts()) == parts
    assert set(made.by_strategy) <= {"glft", "carry", OTHERS, CARRIED}


@settings(max_examples=60)
@given(steps, carried, st.data())
def test_one_wrong_record_leaves_its_own_worth_and_is_named(
    chosen: list[tuple], held: tuple[int, int, int], data: st.DataObject
) -> None:
    history = past([*chosen, ("fill", 0, 1, 5, 3, False, 7), ("transfer", 5)], held)
    name = data.draw(st.sampled_from([one for one in ("fills", "fundings", "flows") if getattr(history, one)]))
    records: list[Record] = list(getattr(history, name))
    number = data.draw(st.integers(0, len(records) - 1))
    record = records[number]
    how = data.draw(st.sampled_from(sorted(CHANGES[type(record)])))
    after = CHANGES[type(record)][how](record)
    records[number : number + 1] = after
    changed = replace(history, **{name: tuple(records)})
    made = split(changed, OWNERS)
    gaps = [
        worth(record, reading, history) - sum(worth(one, reading, history) for one in after)
        for reading in history.readings
    ]
    assert [one.residual for one in made.checked] == gaps
    found = check(changed, made)
    told = sum(one.grains or 0 for one in found.of(Kind.EQUITY))
    assert told == gaps[-1]
    if isinstance(record, PastFill) and how != "late":
        named = [one for one in found.kept if one.coin == record.coin or one.tid == record.tid]
        assert named or how in ("fee", "price"), found
        assert named or gaps[-1] or record.coin == HYPE.name
    if how == "twice":
        assert [one.ts_ns for one in found.of(Kind.DOUBLED)] == [record.ts_ns]


def _turned(record: PastFill) -> list[Record]:
    return [replace(record, side=-record.side)]


CHANGES: dict[type, dict] = {
    PastFill: {
        "lost": lambda one: [],
        "twice": lambda one: [one, one],
        "turned": _turned,
        "price": lambda one: [replace(one, price=one.price + 7_000 * price_unit(BTC))],
        "size": lambda one: [replace(one, size=one.size + 3 * UNIT)],
        "late": lambda one: [replace(one, ts_ns=one.ts_ns + 90 * MINUTE)],
        "fee": lambda one: [replace(one, fee=one.fee + 7_000_000)],
    },
    PastFunding: {
        "lost": lambda one: [],
        "twice": lambda one: [one, one],
        "turned": lambda one: [replace(one, amount=-one.amount)],
        "amount": lambda one: [replace(one, amount=one.amount + 1_000_000)],
        "late": lambda one: [replace(one, ts_ns=one.ts_ns + 90 * MINUTE)],
    },
    Flow: {
        "lost": lambda one: [],
        "twice": lambda one: [one, one],
        "turned": lambda one: [replace(one, amount=-one.amount, size=-one.size)],
        "amount": lambda one: [replace(one, amount=one.amount + 1_000_000)],
        "late": lambda one: [replace(one, ts_ns=one.ts_ns + 90 * MINUTE)],
    },
}


def usdc(made: Split, name: str) -> Fraction:
    return Fraction(getattr(made.attribution.parts, name), GRAINS)


def test_each_part_by_hand() -> None:
    """Two BTC at 10,000.0: bought 5 below the mid, the mid rises by 20, the mark stands 3 above it."""
    made = Account()
    made.look()
    made.fill(0, 1, 200_000, -50, owner=7)
    made.quote(0, 100_200, 30)
    made.wait(HOUR_NS)
    made.look()
    found = split(made.history(), OWNERS)
    assert usdc(found, "spread") == 10
    assert usdc(found, "inventory") == 40
    assert usdc(found, "basis") == 6
    assert usdc(found, "fees") == 0
    assert usdc(found, "rebates") == Fraction("0.59970")  # 19,990 at 0.3 bp
    assert usdc(found, "funding") == Fraction("-0.25050")  # 20,040 at 1/80,000
    assert found.by_strategy == {"glft": found.attribution.parts}


def test_hours_and_strategies_have_what_happened_in_them() -> None:
    made = Account()
    made.look()
    made.fill(0, 1, 100_000, owner=7, free=True)
    made.fill(0, -1, 300_000, owner=8, free=True)
    made.wait(HOUR_NS)
    made.quote(0, 100_100)
    made.fill(0, 1, 200_000, free=True)
    made.look()
    found = split(made.history(), OWNERS)
    first, second = sorted(found.attribution.by_hour)
    assert found.attribution.by_hour[first] == Parts()
    assert {name: Fraction(one.inventory, GRAINS) for name, one in found.by_strategy.items()} == {
        "glft": 10, "carry": -30, OTHERS: 0,
    }  # fmt: skip
    paid = {name: Fraction(one.funding, GRAINS) for name, one in found.by_strategy.items()}
    assert paid == {"glft": Fraction("-0.125"), "carry": Fraction("0.375"), OTHERS: 0}
    assert second - first == HOUR_NS


def test_a_fee_in_the_token_is_worth_its_mid() -> None:
    made = Account()
    made.look()
    made.fill(2, 1, 10_000)  # 100 of them at 25, 1.5 bp: 0.015 less
    made.quote(2, 26_000_000)
    made.look()
    found = split(made.history())
    assert found.ends[HYPE.name] == Fraction("99.985") * UNIT
    assert usdc(found, "fees") == Fraction("-0.375")
    assert usdc(found, "inventory") == Fraction("99.985")
    assert found.checked[-1].residual == 0


def test_without_mids_trading_is_one_figure_and_closes_all_the_same() -> None:
    made = Account()
    made.look()
    made.fill(0, 1, 100_000, -30)
    made.wait(MINUTE)
    made.fill(0, -1, 100_000, 50)
    made.look()
    history = made.history(with_mids=False)
    found = split(history)
    assert found.trading_only == ("BTC",)
    assert (usdc(found, "spread"), usdc(found, "inventory")) == (0, 8)
    assert found.checked[-1].residual == 0


def test_without_an_opening_nothing_is_proven_and_the_first_fill_says_what_was_held() -> None:
    made = Account()
    made.carry(0, 500_000, 90_000)
    made.fill(0, -1, 100_000)
    made.quote(0, 100_010)
    made.look()
    history = replace(made.history(), opening=None, readings=tuple(made.readings))
    found = split(history)
    assert found.starts == {"BTC": 5 * UNIT}
    assert found.checked == ()
    assert Fraction(found.by_strategy[CARRIED].inventory, GRAINS) == 5
    assert Fraction(found.by_strategy[OTHERS].inventory, GRAINS) == -1
    assert found.attribution.residual == 0
    assert check(history, found).kept == ()


def test_fills_of_one_block_follow_each_other_by_their_positions() -> None:
    made = Account()
    for side, lots in ((1, 5), (-1, 2), (-1, 4), (1, 9)):
        made.fill(0, side, lots)
    block = [replace(one, ts_ns=made.fills[0].ts_ns) for one in made.fills]
    shuffled = [block[2], block[0], block[3], block[1]]
    assert in_chain_order(shuffled) == tuple(block)
    broken = [replace(block[2], start=99 * UNIT), block[0]]
    assert in_chain_order(broken) == tuple(broken)


def test_both_sides_of_a_trade_with_oneself_are_no_double() -> None:
    made = Account()
    made.look()
    made.fill(0, 1, 5, free=True)
    made.fill(0, -1, 5, taker=True, free=True)
    buy, sell = made.fills
    made.fills[1] = replace(sell, tid=buy.tid, hash=buy.hash, ts_ns=buy.ts_ns)
    made.look()
    history = made.history()
    found = split(history)
    assert found.checked[-1].residual == 0
    assert check(history, found).kept == ()


@pytest.mark.parametrize(
    ("cloid", "owners", "whose"),
    [
        (None, {}, OTHERS),
        (Cloid(7, 3, 12).number(), {7: "glft"}, "glft"),
        (Cloid(9, 3, 12).number(), {7: "glft"}, OTHERS),
        (Cloid(9, 3, 12).number(), {}, "owner 9"),
        (0xE8D5FD7EBBB4C3CFF4D1803472A11463, {}, OTHERS),  # recorded, another program's
        (1, {}, OTHERS),
    ],
)
def test_whose_an_order_is(cloid: int | None, owners: dict[int, str], whose: str) -> None:
    assert strategy_of(cloid, owners) == whose


def test_paths_of_all_markets_have_the_same_times_and_end_where_the_parts_do() -> None:
    history = past([("fill", 0, 1, 50, 3, False, 7), ("wait", HOUR_NS), ("fill", 1, 1, 50, 3, False, 7)], (0, 5, 7))
    made = split(history)
    assert set(made.paths) == {market.name for market in MARKETS}
    assert len({tuple(point.ts_ns for point in points) for points in made.paths.values()}) == 1
    for one in made.attribution.markets:
        assert tuple(one.path.parts[:, -1]) == one.parts.values()
    assert len(PART_NAMES) == 6
    assert size_unit(DOGE) == UNIT
    assert MS * 60_000 == MINUTE


def test_an_account_without_any_record_has_an_empty_split() -> None:
    made = split(History(address="0x", fills=()))
    assert (made.attribution.parts, made.by_strategy, made.paths, made.checked) == (Parts(), {}, {}, ())
    assert made.attribution.by_side == {"buy": Parts(), "sell": Parts()}


def test_a_payment_on_nothing_that_is_held_belongs_to_nobody() -> None:
    made = Account()
    made.look()
    made.fill(0, 1, 100_000, owner=7)
    made.wait(HOUR_NS)
    made.look()
    history = replace(made.history(), fills=())
    found = split(history, OWNERS)
    assert found.by_strategy[OTHERS].funding == made.fundings[0].amount * 2 * UNIT
    assert found.starts == {"BTC": 0}


def test_without_an_opening_a_payment_may_say_first_what_was_held() -> None:
    made = Account()
    made.carry(0, 300_000, 90_000)
    made.wait(HOUR_NS)
    made.fill(0, -1, 100_000)
    history = History(address="0x", fills=tuple(made.fills), fundings=tuple(made.fundings))
    assert split(history).starts == {"BTC": 3 * UNIT}
    assert split(replace(history, fills=())).starts == {"BTC": 3 * UNIT}
