"""Readings as rows of events: each field where the event record has it."""

from __future__ import annotations

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid import reconcile_rows as rows
from hlhft.hyperliquid.account import AccountState, Fees, RateLimit
from hlhft.hyperliquid.messages import Funding
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.reconcile_events import Row
from tests.hyperliquid.reconciles import BTC, PURR

BLOCK_MS, NOW_NS = 1_790_000_000_000, 1_790_000_000_200_000_000
BLOCK_NS = BLOCK_MS * 1_000_000
FEES = Fees(
    maker_rate_e9=1, taker_rate_e9=2, spot_maker_rate_e9=3, spot_taker_rate_e9=4, referral_discount_text="0",
    staking_discount_text=None,
)  # fmt: skip


def state(**values: int) -> AccountState:
    fields = {name: 0 for name in AccountState.__struct_fields__ if name != "positions"}
    return AccountState(positions=(), **{**fields, **values})


PAYMENT = Funding(
    coin="BTC", market=2, amount_micro=-5, position_lots=7, rate_e12=9, ts_ns=BLOCK_NS + 1, amount_text="",
    fault=Fault.NONE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("row", "kind", "expected"),
    [
        (
            rows.account_state(
                [
                    state(account_value_micro=10, margin_used_micro=20, maintenance_micro=30),
                    state(account_value_micro=1, margin_used_micro=2, maintenance_micro=3),
                ],
                RateLimit(used=4, allowed=5, surplus=None, volume_micro=0), BLOCK_MS, NOW_NS,
            ),
            EventKind.ACCOUNT_STATE, (BLOCK_NS, 11, 22, 33, 4, 5, 0),
        ),
        (rows.fee_change(2, BTC, FEES, BLOCK_MS, NOW_NS), EventKind.FEE_CHANGE, (BLOCK_NS, 0, 0, 0, 1, 2, 2)),
        (rows.fee_change(2, PURR, FEES, BLOCK_MS, NOW_NS), EventKind.FEE_CHANGE, (BLOCK_NS, 0, 0, 0, 3, 4, 2)),
        (
            rows.leverage_change(2, 20, True, BLOCK_MS, NOW_NS),
            EventKind.LEVERAGE_CHANGE, (BLOCK_NS, 0, 0, 0, 20, 1, 2),
        ),
        (rows.position_state(2, -5, 7, BLOCK_MS, NOW_NS), EventKind.POSITION_STATE, (BLOCK_NS, 7, -5, 0, 0, 0, 2)),
        (rows.equity_state(5, 1, BLOCK_MS, NOW_NS), EventKind.EQUITY_STATE, (BLOCK_NS, 0, 0, 0, 5, 1, 0)),
        (rows.restored_peak(5, 9, BLOCK_MS, NOW_NS), EventKind.RESTORED, (BLOCK_NS, 0, 5, 9, 0, 0, 0)),
        (rows.ledger_transfer(-5, BLOCK_NS + 1, NOW_NS), EventKind.LEDGER_TRANSFER, (BLOCK_NS + 1, 0, 0, 0, -5, 0, 0)),
        (rows.funding_payment(PAYMENT, NOW_NS), EventKind.FUNDING_PAYMENT, (BLOCK_NS + 1, 0, 7, 0, -5, 9, 2)),
    ],
)  # fmt: skip
def test_a_row_has_its_kinds_fields(row: Row, kind: EventKind, expected: tuple[int, ...]) -> None:
    ts_exch, ts_local, price, size, order_id, aux0, aux1, told, flags, market, side, padding = row
    assert (told, flags, ts_local, side, padding) == (kind, 3, NOW_NS, 0, 0)
    assert (ts_exch, price, size, order_id, aux0, aux1, market) == expected
