"""Each thing that may be wrong with a past is found, named and sized; what is right of real users is found right."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hlhft.report.attribution import HOUR_NS
from hlhft.report.venue_checks import FINDINGS_MAX, MEANING, Finding, Kind, check, differ, gaps
from hlhft.report.venue_records import GRAINS_PER_UNIT, UNIT, Held, History, PastFill, is_spot, read_fill
from hlhft.report.venue_split import split
from hlhft.units import Market
from tests.report.pasts import MICRO, MINUTE, MS, Account

BLOCKS = "hyperliquid/node_fills_by_block_20251027/node_fills_by_block_777010829_777011828.jsonl.gz"


def traded() -> Account:
    """Six fills in BTC that open, add, close in part and turn, over two hours, and a look at both ends."""
    made = Account()
    made.look()
    for side, lots, away in (
        (1, 4_000, -3),
        (1, 2_000, 5),
        (-1, 3_000, 9),
        (-1, 7_000, 2),
        (1, 1_000, -8),
        (-1, 500, 1),
    ):
        made.fill(0, side, lots, away)
        made.wait(20 * MINUTE)
    made.wait(5 * MINUTE)
    made.look()
    return made


def found(history: History) -> tuple[Finding, ...]:
    return check(history, split(history)).kept


def with_fill(number: int, **changes: Any) -> History:
    made = traded()
    made.fills[number] = replace(made.fills[number], **changes)
    return made.history()


def kinds(findings: tuple[Finding, ...]) -> set[Kind]:
    return {one.kind for one in findings}


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert found(traded().history()) == ()
    assert set(MEANING) == set(Kind)


def test_a_lost_fill_is_missed_where_the_next_begins() -> None:
    made = traded()
    lost = made.fills.pop(2)
    (one,) = [one for one in found(made.history()) if one.kind is Kind.POSITION]
    assert (one.coin, one.tid, one.size) == ("BTC", made.fills[2].tid, -lost.size)
    assert "0.03 between them" in one.sentence


def test_the_last_fill_lost_is_missed_at_the_end() -> None:
    made = traded()
    lost = made.fills.pop()
    (one,) = [one for one in found(made.history()) if one.kind is Kind.END]
    assert (one.coin, one.size) == ("BTC", -lost.size)


def test_a_doubled_fill() -> None:
    made = traded()
    made.fills.insert(3, made.fills[2])
    (one,) = [one for one in found(made.history()) if one.kind is Kind.DOUBLED]
    assert (one.tid, one.size) == (made.fills[2].tid, made.fills[2].change)


def test_what_was_no_trade_is_doubled_only_where_all_of_it_is() -> None:
    made = traded()
    dust = replace(made.fills[0], tid=0, start=0)
    history = made.history()
    both = replace(history, fills=(dust, replace(dust, oid=dust.oid + 1)))
    assert not [one for one in found(both) if one.kind is Kind.DOUBLED]
    assert [one for one in found(replace(history, fills=(dust, dust))) if one.kind is Kind.DOUBLED]


def test_a_turned_fill_contradicts_its_direction() -> None:
    history = with_fill(2, direction="Close Long", side=1)
    (one,) = [one for one in found(history) if one.kind is Kind.DIRECTION]
    assert (one.tid, one.size) == (history.fills[2].tid, 2 * history.fills[2].size)


def test_fills_of_one_transaction_at_two_times() -> None:
    made = traded()
    made.fills[1] = replace(made.fills[1], hash=made.fills[0].hash)
    assert Kind.TIME in kinds(found(made.history()))
    twap = "0x" + 64 * "0"
    made.fills[:2] = [replace(one, hash=twap) for one in made.fills[:2]]
    assert Kind.TIME not in kinds(found(made.history()))


@pytest.mark.parametrize(
    ("number", "changes", "kind"),
    [
        (0, {"price": 9_000 * UNIT}, Kind.CLOSED),  # the close after it says another profit
        (2, {"price": 9_000 * UNIT}, Kind.CLOSED),
        (2, {"closed": 5 * UNIT}, Kind.CLOSED),
        (0, {"closed": UNIT}, Kind.CLOSED),  # it opened
        (5, {"price": 9_000 * UNIT}, Kind.UNREALISED),  # nothing closed after it
    ],
)
def test_a_wrong_price_or_profit(number: int, changes: dict[str, int], kind: Kind) -> None:
    findings = [one for one in found(with_fill(number, **changes)) if one.kind is kind]
    assert [one.coin for one in findings] == ["BTC"], findings
    assert findings[0].grains


def test_a_close_is_wrong_by_what_it_is_wrong() -> None:
    right = traded().fills[2].closed
    (one,) = [one for one in found(with_fill(2, closed=right + 3 * UNIT)) if one.kind is Kind.CLOSED]
    assert one.grains is not None
    assert abs(one.grains - 3 * UNIT * GRAINS_PER_UNIT) <= UNIT // 100 * GRAINS_PER_UNIT  # a tick of 0.03 BTC


def test_a_taker_that_is_paid() -> None:
    (one,) = [one for one in found(with_fill(1, is_taker=True)) if one.kind is Kind.FEE_SIGN]
    assert one.tid == 3 - 1 + traded().fills[0].tid - 1


def test_a_fee_unlike_the_others_of_its_day() -> None:
    fee = traded().fills[3].fee
    (one,) = [one for one in found(with_fill(3, fee=fee + 7_000 * MICRO)) if one.kind is Kind.FEE]
    assert one.tid == traded().fills[3].tid
    assert one.grains is not None
    assert abs(one.grains - 7_000 * MICRO * GRAINS_PER_UNIT) <= MICRO * GRAINS_PER_UNIT


def test_a_fee_in_a_token_that_was_not_traded() -> None:
    (one,) = [one for one in found(with_fill(3, fee_token="HYPE")) if one.kind is Kind.FOREIGN_FEE]
    assert "HYPE" in one.sentence


def changed_funding(change: Callable[[Account], None]) -> tuple[Finding, ...]:
    made = traded()
    assert len(made.fundings) == 2
    change(made)
    return found(made.history())


def test_funding_that_is_lost_between_others() -> None:
    made = traded()
    made.wait(HOUR_NS)
    made.look()
    lost = made.fundings.pop(1)
    (one,) = [one for one in found(made.history()) if one.kind is Kind.FUNDING_MISSING]
    assert (one.coin, one.ts_ns, one.size) == ("BTC", lost.ts_ns - 59 * MS, lost.position)


def test_funding_that_is_doubled_turned_or_on_another_position() -> None:
    def double(made: Account) -> None:
        made.fundings.append(made.fundings[0])

    def turn(made: Account) -> None:
        made.fundings[0] = replace(made.fundings[0], amount=-made.fundings[0].amount)

    def other(made: Account) -> None:
        made.fundings[0] = replace(made.fundings[0], position=made.fundings[0].position + UNIT)

    def more(made: Account) -> None:
        made.fundings[0] = replace(made.fundings[0], amount=2 * made.fundings[0].amount)

    assert Kind.DOUBLED in kinds(changed_funding(double))
    assert Kind.FUNDING_SIGN in kinds(changed_funding(turn))
    (one,) = [one for one in changed_funding(other) if one.kind is Kind.FUNDING_POSITION]
    assert one.size == UNIT
    assert Kind.FUNDING_AMOUNT in kinds(changed_funding(more))


def test_a_transfer_doubled_or_of_unknown_worth() -> None:
    made = traded()
    made.transfer(5_000_000)
    made.look()
    made.flows.append(made.flows[0])
    (one,) = [one for one in found(made.history()) if one.kind is Kind.DOUBLED]
    assert one.grains == 5 * UNIT * GRAINS_PER_UNIT
    made.flows[:] = [replace(made.flows[0], amount=None)]
    assert {Kind.TRANSFER, Kind.EQUITY} == kinds(found(made.history()))


def test_money_that_no_record_tells_is_told_where_it_came() -> None:
    made = traded()
    made.cash += 3 * UNIT
    made.wait(MINUTE)
    made.look()
    made.look()
    (one,) = found(made.history())
    assert (one.kind, one.grains, one.ts_ns) == (Kind.EQUITY, 3 * UNIT * GRAINS_PER_UNIT, made.readings[2].ts_ns)
    assert "changed by 3 USDC" in one.sentence
    assert gaps([one]) == (one,)


def test_what_the_venue_no_longer_has_is_said_and_is_no_gap() -> None:
    history = replace(traded().history(), cuts=("the venue tells the last 10000 fills only",))
    (one,) = found(history)
    assert (one.kind, one.sentence) == (Kind.CUT, history.cuts[0])
    assert gaps([one]) == ()


def test_a_token_without_a_price() -> None:
    made = traded()
    last = replace(made.readings[-1], held={**made.readings[-1].held, "ODD/?": Held(size=UNIT)})
    made.readings[-1] = last
    assert {Kind.PRICE, Kind.END} == kinds(found(made.history()))


def test_positions_are_compared_as_the_venue_writes_them() -> None:
    assert not differ(3130537_600000000100, 3130537_600000000000)
    assert differ(3130537_600001000000, 3130537_600000000000)
    assert not differ(5, 5)
    assert differ(5, 6)


def test_findings_are_bounded_and_counted() -> None:
    made = Account()
    made.look()
    for _ in range(FINDINGS_MAX + 5):
        made.fill(0, 1, 5)
        made.fills[-1] = replace(made.fills[-1], start=7 * UNIT)
    history = made.history()
    told = check(history, split(history))
    assert len(told.of(Kind.POSITION)) == FINDINGS_MAX
    assert told.left_out[Kind.POSITION] == 5 - 1 + 1


def users(recordings: Path) -> tuple[dict[str, list[PastFill]], dict[str, Market]]:
    """The fills by user, and the perpetuals, of which the sizes show how many decimals they have."""
    by_user: dict[str, list[PastFill]] = defaultdict(list)
    decimals: dict[str, int] = defaultdict(int)
    with gzip.open(recordings / BLOCKS) as lines:
        for number, line in enumerate(lines, 1):
            for user, fill in json.loads(line)["events"]:
                by_user[user].append(read_fill(json.dumps(fill).encode(), f"line {number}"))
                seen = len(fill["sz"].rstrip("0").partition(".")[2])
                decimals[fill["coin"]] = max(decimals[fill["coin"]], seen)
    perpetuals = {coin: count for coin, count in decimals.items() if not is_spot(coin)}
    markets = {coin: Market.perpetual(coin, asset_id=0, size_decimals=count) for coin, count in perpetuals.items()}
    return by_user, markets


def test_the_recorded_users_of_a_thousand_blocks(recordings: Path) -> None:
    """Everybody who traded in 81 seconds: chains of positions are whole, closes say what the entries say, fees are of
    one rate; and trading sums to what was paid, received and is held, at the last price."""
    by_user, markets = users(recordings)
    closes = 0
    for user, fills in by_user.items():
        history = History(address=user, fills=fills, markets=markets)
        made = split(history, points=1)
        assert check(history, made).kept == (), user
        for coin, own in made.fills.items():
            parts = next(one.parts for one in made.attribution.markets if one.market == coin)
            paid = sum(one.side * one.price * one.size for one in own)
            value = made.ends[coin] * own[-1].price - made.starts[coin] * own[0].price
            in_coin = sum(one.fee * one.price for one in own if one.is_fee_in_coin)
            assert (parts.spread, parts.inventory) == (0, 2 * (value - paid + in_coin))
            closes += sum(one.start * one.side < 0 for one in own) if coin in markets else 0
    assert (len(by_user), sum(map(len, by_user.values()))) == (899, 7282)
    assert closes == 3_447


def test_a_recorded_user_with_one_record_changed_is_found_out(recordings: Path) -> None:
    by_user, markets = users(recordings)
    fills = max(by_user.values(), key=lambda own: len({one.coin for one in own}) == 1 and len(own))
    assert len(fills) > 50
    middle = len(fills) // 2
    changed = {
        Kind.POSITION: fills[:middle] + fills[middle + 1 :],
        Kind.DOUBLED: [*fills, fills[middle]],
    }
    for kind, records in changed.items():
        assert kind in kinds(found(History(address="0x", fills=records, markets=markets)))
