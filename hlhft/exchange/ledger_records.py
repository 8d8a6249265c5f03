"""What an account's ledger says of transfers (venue reference section 3.2, userNonFundingLedgerUpdates).

Shapes as recorded in August 2025 for deposit, accountClassTransfer and spotTransfer; withdraw, internalTransfer and
subAccountTransfer as the documentation has them (unverified).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hlhft.exchange.fill_records import MICRO_DECIMALS, LedgerRecord
from hlhft.exchange.listing import Listing
from hlhft.hyperliquid.wire import answer_number
from hlhft.venue.blocks import ActionKind

UNITS_DECIMALS = 8


def ledger_records(
    leg: np.void,
    listing: Listing,
    address_of: Callable[[int], str],
    *,
    time_ms: int,
    hash_text: str,
    withdrawal_fee_micro: int,
) -> list[tuple[int, LedgerRecord]]:
    """(account, entry) for everybody whose money a leg that was done moved; empty for other legs."""
    kind, account, counterparty = int(leg["kind"]), int(leg["account"]), int(leg["counterparty"])
    amount, token = int(leg["amount"]), int(leg["token"])
    usdc = answer_number(amount, MICRO_DECIMALS)
    nonce = int(leg["arrival_ns"]) // 1_000_000
    concerned = [account]
    delta: dict[str, object]
    if kind == ActionKind.DEPOSIT:
        delta = {"type": "deposit", "usdc": usdc}
        if token:
            name = listing.tokens[token].name
            delta = {"type": "spotGenesis", "token": name, "amount": answer_number(amount, UNITS_DECIMALS)}
    elif kind == ActionKind.WITHDRAW:
        sent = answer_number(amount - withdrawal_fee_micro, MICRO_DECIMALS)
        fee = answer_number(withdrawal_fee_micro, MICRO_DECIMALS)
        delta = {"type": "withdraw", "usdc": sent, "nonce": nonce, "fee": fee}
    elif kind == ActionKind.TRANSFER_CLASS:
        delta = {"type": "accountClassTransfer", "usdc": usdc, "toPerp": int(leg["side"]) > 0}
    elif kind == ActionKind.TRANSFER_COLLATERAL:
        concerned.append(counterparty)
        delta = {
            "type": "internalTransfer",
            "usdc": usdc,
            "user": address_of(account),
            "destination": address_of(counterparty),
            "fee": "0.0",
        }
    elif kind == ActionKind.TRANSFER_TOKEN:
        concerned.append(counterparty)
        text = answer_number(amount, UNITS_DECIMALS)
        delta = {
            "type": "spotTransfer",
            "token": listing.tokens[token].name,
            "amount": text,
            "usdcValue": text if token == 0 else "0.0",
            "user": address_of(account),
            "destination": address_of(counterparty),
            "fee": "0.0",
            "nativeTokenFee": "0.0",
            "nonce": nonce,
            "feeToken": "",
        }
    else:
        return []
    record = LedgerRecord(time_ms=time_ms, hash=hash_text, delta=delta)
    return [(one, record) for one in dict.fromkeys(concerned)]
