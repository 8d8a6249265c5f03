"""Entries of the ledger, with the sign of what enters or leaves the account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.hyperliquid.transfers import ToldTransfer, Transfer, transfer_of

MS = 1_770_381_849_546
OWN, OTHER = "0x" + "aB" * 20, "0x" + "cd" * 20


def read(**delta: Any) -> Transfer:
    told = msgspec.json.decode(json.dumps({"time": MS, "hash": "0x1", "delta": delta}), type=ToldTransfer)
    return transfer_of(told, OWN)


def between(kind: str, sender: str, receiver: str, **more: Any) -> int | None:
    return read(type=kind, user=sender, destination=receiver, **more).amount_micro


def test_a_deposit_in_whole() -> None:
    assert read(type="deposit", usdc="12.3456789") == Transfer(
        kind="deposit", ts_ns=MS * 1_000_000, hash="0x1", amount_micro=12_345_678, token="USDC", counterparty="",
        text='{"type": "deposit", "usdc": "12.3456789"}',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("delta", "amount_micro"),
    [
        ({"type": "withdraw", "usdc": "9.0", "nonce": 1, "fee": "1.0"}, -10_000_000),
        ({"type": "accountClassTransfer", "usdc": "12.0", "toPerp": False}, 0),
        ({"type": "vaultDeposit", "vault": OTHER, "usdc": "5.0"}, -5_000_000),
        ({"type": "vaultWithdraw", "requestedUsd": "9.0", "netWithdrawnUsd": "8.5", "user": OWN}, 8_500_000),
        ({"type": "rewardsClaim", "amount": "1.5", "token": "USDC"}, 1_500_000),
        ({"type": "rewardsClaim", "amount": "1.5"}, 1_500_000),
    ],
)
def test_what_enters_and_leaves(delta: dict[str, Any], amount_micro: int) -> None:
    assert read(**delta).amount_micro == amount_micro


@pytest.mark.parametrize("kind", ["internalTransfer", "subAccountTransfer", "spotTransfer", "send"])
def test_the_sender_loses_and_the_receiver_gains(kind: str) -> None:
    amounts = {"usdc": "10.5"} if kind.endswith("alTransfer") else {"token": "USDC", "amount": "10.5"}
    assert between(kind, OWN.lower(), OTHER, fee="1.0", **amounts) == -11_500_000
    assert between(kind, OTHER, OWN.upper().replace("0X", "0x"), fee="1.0", **amounts) == 10_500_000
    assert between(kind, OWN, OWN, fee="1.0", **amounts) == -1_000_000
    assert between(kind, OTHER, OTHER, **amounts) is None, "an entry of somebody else"


def test_other_tokens_are_worth_what_the_venue_says() -> None:
    purr: dict[str, Any] = {"token": "PURR", "amount": "100.0"}
    assert between("spotTransfer", OTHER, OWN, usdcValue="12.5", **purr) == 12_500_000
    assert read(type="spotTransfer", user=OWN, destination=OTHER, usdcValue="1.0", **purr).counterparty == OTHER
    assert read(type="spotTransfer", user=OTHER, destination=OWN, usdcValue="1.0", **purr).counterparty == OTHER
    assert between("spotTransfer", OTHER, OWN, usdcValue="0.0", **purr) is None, "not valued is not 0"
    assert between("spotTransfer", OTHER, OWN, **purr) is None


@pytest.mark.parametrize(
    "delta",
    [
        {"type": "somethingNew", "usdc": "5.0"},
        {"type": "deposit"},
        {"type": "deposit", "usdc": "x"},
        {"type": "deposit", "usdc": "-1"},
        {"type": "withdraw", "usdc": "5.0", "fee": "x"},
    ],
)
def test_an_amount_that_is_not_told_is_not_0(delta: dict[str, Any]) -> None:
    assert read(**delta).amount_micro is None


def test_every_recorded_entry_has_an_amount(recordings: Path) -> None:
    name = "test_user_non_funding_ledger_updates_without_end_time.json"
    cassette = json.loads((recordings / "hyperliquid/api/sdk_cassettes" / name).read_text())
    told = msgspec.json.decode(json.dumps(cassette["response"]), type=list[ToldTransfer])
    amounts = [transfer_of(one, cassette["request"]["user"]).amount_micro for one in told]
    assert amounts == [2_703_997_450_000, 0, -11_500_000, 0, 1_099_994_980_000]
