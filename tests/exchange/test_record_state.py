"""The memory as plain values, and back."""

from __future__ import annotations

import msgspec
import numpy as np

from hlhft.events import EventKind
from hlhft.exchange.record_state import restore, state_of
from hlhft.exchange.records import Records
from hlhft.units import MICRO
from hlhft.venue.blocks import ActionKind, Grouping, TriggerKind
from tests.exchange.hall import ALO, ANN, BLOCK_NS, BOB, BTC, BUY, GTC, IOC, LISTING, SELL, Hall, address, event

CLOID = "0x" + "12" * 16
ACCOUNT_REQUESTS = (
    "clearinghouseState",
    "openOrders",
    "frontendOpenOrders",
    "historicalOrders",
    "userFills",
    "userTwapSliceFills",
    "twapHistory",
    "userFunding",
    "userNonFundingLedgerUpdates",
    "userFees",
    "portfolio",
)


def lived() -> Hall:
    """An exchange with orders of every kind, fills, a TWAP that runs, payments, transfers, hours of trades."""
    hall = Hall().mark("80000")
    hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=MICRO)
    hall.place(BOB, SELL, "80000", "50", ALO).place(BOB, BUY, "79990", "50", ALO).run()
    hall.place(ANN, BUY, "80000", "0.5", IOC, cloid=CLOID).place(ANN, BUY, "70000", "0.5", ALO).run()
    hall.place(ANN, BUY, "79000", "1", GTC, grouping=Grouping.NORMAL_TPSL)
    child = {
        "account": ANN,
        "market": BTC,
        "side": SELL,
        "size_lots": 100_000,
        "reduce_only": 1,
        "trigger_is_market": 1,
    }
    for kind, ticks in ((TriggerKind.TAKE_PROFIT, 900_000), (TriggerKind.STOP_LOSS, 700_000)):
        child |= {"trigger_kind": kind, "trigger_ticks": ticks, "price_ticks": ticks, "grouping": Grouping.NORMAL_TPSL}
        hall.leg(same_action=True, kind=ActionKind.PLACE_TRIGGER, **child)
    hall.run()
    twap = {"account": ANN, "market": BTC, "side": BUY, "size_lots": 1_000_000}
    for minutes in (5, 600):
        hall.leg(kind=ActionKind.PLACE_TWAP, duration_ns=minutes * 60 * 10**9, **twap)
    for _ in range(15):
        hall.run(after_ns=60 * 10**9)
    paid = event(EventKind.FUNDING_PAYMENT, account=ANN, aux0=7, aux1=12_500_000, size_lots=4)
    common = {"price_ticks": 800_000, "size_lots": 5, "trade_id": 7777}
    sale = [
        event(EventKind.LIQUIDATION, account=BOB, price_ticks=800_000),
        event(EventKind.ORDER_FILLED, account=ANN, side=1, venue_order_id=70_000, flags=9, **common),
        event(EventKind.ORDER_FILLED, account=BOB, side=-1, venue_order_id=71_000, flags=1, **common),
    ]
    price = hall.chain.prices[BTC]
    price["rate_ns"], price["hourly_rate_e12"] = hall.now_ns, 12_500_000
    hall.take(np.concatenate([paid, *sale]))
    return hall


def again(hall: Hall) -> Records:
    """What a file would bring back."""
    made = Records(LISTING, hall.people)
    restore(made, msgspec.json.decode(msgspec.json.encode(state_of(hall.records))))
    return made


def answers(hall: Hall) -> list[object]:
    shown: list[object] = [
        hall.ask(kind, user=address(account))
        if kind != "userFunding"
        else hall.ask(kind, user=address(account), startTime=0)
        for kind in ACCOUNT_REQUESTS
        for account in (ANN, BOB)
    ]
    shown += [hall.ask("orderStatus", user=address(ANN), oid=oid) for oid in (CLOID, *range(10))]
    shown += [hall.ask("metaAndAssetCtxs"), hall.ask("allMids"), hall.ask("recentTrades", coin="BTC")]
    for interval in ("1m", "1h"):
        shown.append(hall.ask("candleSnapshot", req={"coin": "BTC", "interval": interval, "startTime": 0}))
    shown.append(hall.ask("fundingHistory", coin="BTC", startTime=0))
    shown.append(hall.info.accounts.twap_states(_User()))  # type: ignore[arg-type]
    return shown


class _User:
    user = address(ANN)
    dex = ""


def test_what_was_remembered_is_remembered_again_and_life_goes_on_alike():
    hall = lived()
    before = answers(hall)
    state = state_of(hall.records)
    restored = again(hall)
    assert msgspec.json.encode(state_of(restored)) == msgspec.json.encode(state)
    assert restored.forgotten == hall.records.forgotten
    kept = hall.records
    _use(hall, restored)
    assert answers(hall) == before
    hall.place(ANN, SELL, "79990", "0.25", IOC).cancel(ANN, 4).run(after_ns=BLOCK_NS)
    kept.apply(hall.block, hall.chain.prices)
    after = answers(hall)
    _use(hall, kept)
    assert answers(hall) == after
    assert after != before


def _use(hall: Hall, records: Records) -> None:
    hall.records = records
    hall.info.records = hall.info.markets.records = hall.info.accounts.records = records


def test_an_exchange_that_never_traded_has_a_state_too():
    hall = Hall()
    assert state_of(again(hall)) == state_of(hall.records)
