"""What readings tell the core is told once, and only when it is new."""

from __future__ import annotations

import json

from hlhft.events import EventKind
from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.account_requests import InfoKind
from hlhft.hyperliquid.messages import Funding
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.reconcile_compare import Account
from hlhft.hyperliquid.reconcile_reading import Reading
from hlhft.hyperliquid.reconcile_tidings import Tidings
from hlhft.hyperliquid.transfers import Transfer
from tests.hyperliquid.reconciles import ASSETS, BEGIN_MS, BTC, OWNER, SESSION, SILVER, USER, Venue, held

MARKETS = (BTC, SILVER)
MS = 1_000_000


def tidings() -> Tidings:
    return Tidings(Account(MARKETS, owner=OWNER, session=SESSION, asset_ids=ASSETS))


def reading(venue: Venue, *kinds: InfoKind) -> Reading:
    put = Reading(AccountReader(MARKETS, user=USER))
    for kind in (InfoKind.STATE, *kinds):
        body = venue.answer(json.dumps({"type": str(kind), "user": USER, "coin": "BTC"}).encode())
        assert body is not None and put.take(kind, "", body) is Fault.NONE
    return put


def test_fees_are_told_when_they_change_and_not_of_a_dex() -> None:
    told, venue = tidings(), Venue()
    for _ in range(2):
        rows = told.of_reading(reading(venue, InfoKind.FEES), 5)
    assert rows == []
    venue.maker_rate = "0.0"
    (row,) = told.of_reading(reading(venue, InfoKind.FEES), 5)
    assert (row[7], row[5], row[6], row[9]) == (EventKind.FEE_CHANGE, 0, 450_000, 0)


def test_leverage_is_told_by_positions_and_settings() -> None:
    told, venue = tidings(), Venue()
    venue.positions[""] = [held("BTC", "0.5", leverage=3), held("DOGE", "0.5", leverage=2)]
    (row,) = told.of_reading(reading(venue), 5)
    assert (row[7], row[5], row[6], row[9]) == (EventKind.LEVERAGE_CHANGE, 3, 1, 0)
    venue.positions.clear()
    venue.leverage = 3
    (row,) = told.of_reading(reading(venue, InfoKind.ASSET), 5)
    assert (row[5], row[6]) == (3, 0), "isolated now"
    assert told.of_reading(reading(venue, InfoKind.ASSET), 5) == []


def test_margin_is_told_at_every_reading() -> None:
    told, venue = tidings(), Venue()
    for _ in range(2):
        (row,) = told.of_reading(reading(venue, InfoKind.RATE_LIMIT), 5)
        assert (row[7], row[2]) == (EventKind.ACCOUNT_STATE, 1_000_000_000)


def transfer(amount_micro: int | None, *, ms: int = BEGIN_MS, text: str = "{}") -> Transfer:
    return Transfer(
        kind="deposit", ts_ns=ms * MS, hash="0x1", amount_micro=amount_micro, token="USDC", counterparty="", text=text
    )


def payment(*, ms: int = BEGIN_MS, market: int = 0, fault: Fault = Fault.NONE) -> Funding:
    return Funding(
        coin="BTC",
        market=market,
        amount_micro=-5,
        position_lots=1,
        rate_e12=2,
        ts_ns=ms * MS,
        amount_text="",
        fault=fault,
    )


def test_transfers_are_told_once_after_the_beginning() -> None:
    told = tidings()
    told.begun_ms = BEGIN_MS
    assert told.of_transfers([transfer(5)], 0) == []
    later = [transfer(5, ms=BEGIN_MS + 1), transfer(0, ms=BEGIN_MS + 1, text="within"), transfer(-7, ms=BEGIN_MS + 2)]
    assert [row[5] for row in told.of_transfers([*later, later[0]], 0)] == [5, -7]
    assert told.of_transfers(later, 0) == []
    assert told.of_transfers([transfer(None, ms=BEGIN_MS + 3, text="a gift")], 0) == []
    assert told.unknown == ["a gift"]


def test_payments_are_told_once_after_the_beginning() -> None:
    told = tidings()
    told.begun_ms = BEGIN_MS
    payments = [
        payment(), payment(ms=BEGIN_MS + 1), payment(ms=BEGIN_MS + 2, market=-1, fault=Fault.OTHER_COIN)
    ]  # fmt: skip
    assert [row[0] for row in told.of_fundings(payments, 0)] == [(BEGIN_MS + 1) * MS]
    assert told.of_fundings(payments, 0) == []


def test_what_happened_once_is_taken_out_of_the_reading() -> None:
    venue = Venue()
    venue.transfers = [{"time": BEGIN_MS, "hash": "0x1", "delta": {"type": "deposit", "usdc": "7.0"}}]
    put = reading(venue, InfoKind.TRANSFERS, InfoKind.FUNDINGS)
    (row,) = tidings().of_reading(put, 0)
    assert row[5] == 7_000_000 and put.transfers == [] and put.fundings == []
