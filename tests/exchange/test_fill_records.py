"""Fills, trades, payments, and entry prices."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.fill_records import (
    HASH_NONE,
    Entry,
    FillRecord,
    FundingRecord,
    LedgerRecord,
    LiquidationNote,
    TradeRecord,
    TwapRequest,
    TwapStatus,
    direction,
    rate_text,
    trade_id_shown,
)
from tests.exchange.hall import LISTING

BTC = LISTING.markets[0]

# Entry prices.


def test_the_recorded_account_bought_twice_and_paid_the_recorded_average():
    entry = Entry()
    assert entry.fill(1, 839_590, 30) == 0
    assert entry.fill(1, 816_230, 31) == 0
    assert (entry.lots, entry.basis_quanta) == (61, 50_490_830)  # 50.49083 USDC


def test_closing_realises_the_difference_to_the_average():
    entry = Entry(lots=600, basis_quanta=600 * 82_741)  # recorded: 0.6 SILVER, average 82.7415 in thousandths
    entry.basis_quanta += 300
    assert entry.fill(-1, 80_601, 600) == -1_284_300
    assert (entry.lots, entry.basis_quanta) == (0, 0)


def test_closing_a_part_leaves_the_average_as_it_is():
    entry = Entry(lots=-10, basis_quanta=1000)  # short at 100
    assert entry.fill(1, 90, 4) == 40
    assert (entry.lots, entry.basis_quanta) == (-6, 600)


def test_a_flip_closes_first_and_opens_then():
    entry = Entry(lots=10, basis_quanta=1000)
    assert entry.fill(-1, 120, 15) == 200
    assert (entry.lots, entry.basis_quanta) == (-5, 600)


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 10_000), st.integers(1, 500)), max_size=30))
def test_profits_and_basis_are_what_was_paid_and_received(fills):
    entry, cash, profit = Entry(), 0, 0
    for side, ticks, lots in fills:
        cash -= side * ticks * lots
        profit += entry.fill(side, ticks, lots)
        assert entry.basis_quanta >= 0
        assert entry.lots != 0 or entry.basis_quanta == 0
        signed = entry.basis_quanta * (1 if entry.lots > 0 else -1)
        assert cash == profit - signed
    assert entry.lots == sum(side * lots for side, _, lots in fills)


@pytest.mark.parametrize(
    ("lots", "to", "basis"),
    [
        (10, 5, 500),  # half of it went away
        (10, 10, 1000),
        (10, 12, 1000 + 2 * 70),  # two more came at 70
        (10, 0, 0),
        (10, -3, 3 * 70),
        (0, 4, 4 * 70),
    ],
)
def test_what_is_moved_without_a_fill_keeps_its_price_or_has_the_one_given(lots, to, basis):
    entry = Entry(lots=lots, basis_quanta=abs(lots) * 100)
    entry.adjust(to, 70)
    assert (entry.lots, entry.basis_quanta) == (to, basis)


def test_funding_is_counted_for_ever_since_opening_and_since_the_last_change():
    entry = Entry()
    entry.fill(1, 100, 10)
    entry.pay(-7)  # paid 7
    entry.fill(1, 100, 5)
    entry.pay(2)
    assert (entry.funding_paid_micro, entry.funding_since_open_micro, entry.funding_since_change_micro) == (5, 5, -2)
    entry.fill(-1, 100, 20)  # a flip
    assert (entry.funding_paid_micro, entry.funding_since_open_micro, entry.funding_since_change_micro) == (5, 0, 0)


# Texts.


@pytest.mark.parametrize(
    ("start", "side", "lots", "text"),
    [
        (0, 1, 5, "Open Long"),
        (0, -1, 5, "Open Short"),
        (3, 1, 5, "Open Long"),
        (5, -1, 5, "Close Long"),
        (-5, 1, 5, "Close Short"),
        (4, -1, 5, "Long > Short"),
        (-4, 1, 5, "Short > Long"),
    ],
)
def test_a_fill_says_what_it_did_to_the_position(start, side, lots, text):
    assert direction(start, side, lots, is_spot=False) == text


def test_on_spot_a_fill_buys_or_sells():
    assert [direction(3, side, 5, is_spot=True) for side in (1, -1)] == ["Buy", "Sell"]


def test_a_rate_has_ten_decimals_cut_off_toward_zero():
    assert [rate_text(rate) for rate in (12_500_000, -7_950_699, 0, 99, -99)] == [
        "0.0000125",
        "-0.0000079506",
        "0.0",
        "0.0",
        "0.0",
    ]


@given(st.sets(st.integers(1, 2**40), min_size=2, max_size=50))
def test_trade_ids_differ_and_have_fifty_bits(ids):
    shown = {trade_id_shown(number) for number in ids}
    assert len(shown) == len(ids)
    assert all(0 <= number < 2**50 for number in shown)


def fill(**more: object) -> FillRecord:
    fields: dict[str, object] = {
        "account": 1,
        "row": 0,
        "listed": BTC,
        "oid": 7,
        "side": -1,
        "ticks": 666_530,
        "lots": 100,
        "time_ms": 5,
        "start_lots": -2130,
        "closed_quanta": 0,
        "fee_micro": 9997,
        "builder_fee_micro": 0,
        "crossed": False,
        "trade_id": 1,
        "hash": HASH_NONE,
        **more,
    }
    return FillRecord(**fields)  # type: ignore[arg-type]


def test_a_fill_has_the_keys_of_the_recorded_one_in_their_order():
    note = LiquidationNote(user="0x36", mark_text="66607.0", method="market")
    shape = fill(cloid="0xe8", liquidation=note).shape()
    assert list(shape) == [
        "coin",
        "px",
        "sz",
        "side",
        "time",
        "startPosition",
        "dir",
        "closedPnl",
        "hash",
        "oid",
        "crossed",
        "fee",
        "tid",
        "cloid",
        "liquidation",
        "feeToken",
        "twapId",
    ]
    assert (shape["px"], shape["sz"], shape["startPosition"], shape["fee"]) == (
        "66653.0",
        "0.001",
        "-0.0213",
        "0.009997",
    )
    assert shape["liquidation"] == {"liquidatedUser": "0x36", "markPx": "66607.0", "method": "market"}
    assert shape["twapId"] is None


def test_what_does_not_concern_a_fill_is_left_out_and_a_builder_is_named():
    assert not {"cloid", "liquidation", "builderFee"} & set(fill().shape())
    assert fill(builder_fee_micro=1500).shape()["builderFee"] == "0.0015"


def test_a_fill_and_a_trade_are_encoded_once():
    made = fill()
    assert made.json() is made.json()
    assert msgspec.json.decode(bytes(made.json())) == made.shape()
    trade = TradeRecord(
        row=0,
        listed=BTC,
        aggressor=-1,
        ticks=1_285_000,
        lots=42,
        time_ms=3,
        hash=HASH_NONE,
        trade_id=1,
        buyer="0xb",
        seller="0xs",
    )
    assert trade.json() is trade.json()
    assert list(trade.shape()) == ["coin", "side", "px", "sz", "time", "hash", "tid", "users"]
    assert (trade.shape()["side"], trade.shape()["users"]) == ("A", ["0xb", "0xs"])


def test_a_payment_is_shown_flat_or_as_a_delta():
    payment = FundingRecord(listed=BTC, time_ms=9, amount_micro=21, lots=4, rate_e12=-7_950_600)
    flat = {"time": 9, "coin": "BTC", "usdc": "0.000021", "szi": "0.00004", "fundingRate": "-0.0000079506"}
    assert payment.flat() == {**flat, "nSamples": None}
    del flat["time"]
    assert payment.delta() == {"time": 9, "hash": HASH_NONE, "delta": {"type": "funding", **flat, "nSamples": None}}


def test_a_ledger_entry_has_its_time_and_hash():
    assert LedgerRecord(time_ms=1, hash="0x", delta={"type": "deposit"}).shape() == {
        "time": 1,
        "hash": "0x",
        "delta": {"type": "deposit"},
    }


def test_a_twap_tells_how_far_it_is_and_what_became_of_it():
    request = TwapRequest(
        twap_id=4,
        listed=BTC,
        user="0x1",
        side=1,
        lots=1000,
        minutes=5,
        reduce_only=False,
        randomize=True,
        time_ms=1000,
    )
    status = TwapStatus(request=request, time_ms=31_500, state=2, executed_lots=100, executed_micro=66_000_000)
    assert status.history() == {
        "time": 31,
        "state": {
            "coin": "BTC",
            "user": "0x1",
            "side": "B",
            "sz": "0.01",
            "executedSz": "0.001",
            "executedNtl": "66.0",
            "minutes": 5,
            "reduceOnly": False,
            "randomize": True,
            "timestamp": 1000,
        },
        "status": {"status": "terminated"},
        "twapId": 4,
    }
