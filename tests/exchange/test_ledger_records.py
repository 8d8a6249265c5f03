"""What the ledger says of transfers."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.exchange.ledger_records import ledger_records
from hlhft.units import MICRO
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from tests.exchange.hall import ANN, BOB, LISTING, address


def told(**fields: int) -> list[tuple[int, dict[str, object]]]:
    leg = np.zeros(1, ACTION_DTYPE)[0]
    for name, value in {"account": ANN, "arrival_ns": 5_000_000, **fields}.items():
        leg[name] = value
    made = ledger_records(leg, LISTING, address, time_ms=9, hash_text="0xab", withdrawal_fee_micro=MICRO)
    assert all((record.time_ms, record.hash) == (9, "0xab") for _, record in made)
    return [(account, record.delta) for account, record in made]


@pytest.mark.parametrize(
    ("fields", "delta"),
    [
        (
            {"kind": ActionKind.DEPOSIT, "amount": 2_703_997_450_000},
            {"type": "deposit", "usdc": "2703997.45"},
        ),
        (
            {"kind": ActionKind.DEPOSIT, "amount": 150_000_000, "token": 1},
            {"type": "spotGenesis", "token": "PURR", "amount": "1.5"},
        ),
        (
            {"kind": ActionKind.WITHDRAW, "amount": 10 * MICRO},
            {"type": "withdraw", "usdc": "9.0", "nonce": 5, "fee": "1.0"},
        ),
        (
            {"kind": ActionKind.TRANSFER_CLASS, "amount": 12 * MICRO, "side": -1},
            {"type": "accountClassTransfer", "usdc": "12.0", "toPerp": False},
        ),
        (
            {"kind": ActionKind.TRANSFER_CLASS, "amount": 12 * MICRO, "side": 1},
            {"type": "accountClassTransfer", "usdc": "12.0", "toPerp": True},
        ),
    ],
)
def test_what_concerns_one_account_is_told_to_it(fields, delta):
    assert told(**fields) == [(ANN, delta)]


def test_what_one_sends_to_another_is_told_to_both():
    sent = told(kind=ActionKind.TRANSFER_COLLATERAL, amount=3 * MICRO, counterparty=BOB)
    assert [account for account, _ in sent] == [ANN, BOB]
    assert sent[0][1] == sent[1][1]
    assert sent[0][1] == {
        "type": "internalTransfer",
        "usdc": "3.0",
        "user": address(ANN),
        "destination": address(BOB),
        "fee": "0.0",
    }


@pytest.mark.parametrize(("token", "name", "value"), [(0, "USDC", "10.5"), (1, "PURR", "0.0")])
def test_a_token_has_the_keys_of_the_recorded_transfer(token, name, value):
    sent = told(kind=ActionKind.TRANSFER_TOKEN, amount=1_050_000_000, token=token, counterparty=BOB)
    delta = sent[1][1]
    assert list(delta) == [
        "type",
        "token",
        "amount",
        "usdcValue",
        "user",
        "destination",
        "fee",
        "nativeTokenFee",
        "nonce",
        "feeToken",
    ]
    assert (delta["type"], delta["token"], delta["amount"], delta["usdcValue"]) == ("spotTransfer", name, "10.5", value)


def test_who_sends_to_himself_is_told_once():
    assert len(told(kind=ActionKind.TRANSFER_COLLATERAL, amount=3 * MICRO, counterparty=ANN)) == 1


def test_other_legs_move_no_money():
    assert told(kind=ActionKind.UPDATE_LEVERAGE, amount=3) == []
