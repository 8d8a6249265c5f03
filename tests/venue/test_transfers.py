"""Money that comes in, leaves, or goes from one ledger to another: amounts, limits, and who refuses what."""

from __future__ import annotations

import pytest

from hlhft.events import EventKind
from hlhft.venue.blocks import ActionKind
from hlhft.venue.refusals import Refusal
from hlhft.venue.spot import free_units
from hlhft.venue.transfers import AMOUNT_MAX, UNITS_MAX, account_withdrawable_micro
from tests.venue.chain_desk import ALO, AT, BUY, COIN, PERP, SELL, SPOT, USDC, ChainDesk

NONE, INVALID = Refusal.NONE, Refusal.INVALID_AMOUNT
NO_MARGIN, NO_BALANCE = Refusal.INSUFFICIENT_MARGIN_TRANSFER, Refusal.INSUFFICIENT_BALANCE
TRANSFER, CLASS, TOKEN = ActionKind.TRANSFER_COLLATERAL, ActionKind.TRANSFER_CLASS, ActionKind.TRANSFER_TOKEN


def told(desk: ChainDesk) -> list[tuple[int, int]]:
    return [(int(e["account"]), int(e["aux0"])) for e in desk.only(EventKind.LEDGER_TRANSFER)]


# Deposits.


@pytest.mark.parametrize(
    ("amount", "token", "expected"),
    [(0, 0, INVALID), (-1, 0, INVALID), (1, 0, NONE), (AMOUNT_MAX, 0, NONE), (AMOUNT_MAX + 1, 0, INVALID),
     (UNITS_MAX, 1, NONE), (UNITS_MAX + 1, 1, INVALID), (1, 2, INVALID), (1, -1, INVALID)],
)  # fmt: skip
def test_what_can_be_deposited(amount, token, expected):
    desk = ChainDesk()
    assert desk.do(ActionKind.DEPOSIT, 1, amount=amount, token=token) is expected
    paid = amount if expected is NONE else 0
    assert desk.collateral(1) == (paid if token == 0 else 0)
    assert desk.exchange.tokens[1, 1] == (paid if token == 1 else 0)
    assert desk.chain.outside.tolist() == ([100 * paid, 0] if token == 0 else [0, paid])
    assert told(desk) == ([(1, amount)] if expected is NONE and token == 0 else [])


# Withdrawals.


def test_a_withdrawal_takes_its_fee_out_of_the_amount():
    desk = ChainDesk().open(1, micro=100 * USDC)
    assert desk.do(ActionKind.WITHDRAW, 1, amount=30 * USDC) is NONE
    assert told(desk) == [(1, -30 * USDC)]
    assert desk.collateral(1) == 70 * USDC
    assert desk.chain.outside[0] == 100 * (100 - 29) * USDC
    assert desk.chain.state[0]["fees_micro"] == USDC
    assert desk.do(ActionKind.WITHDRAW, 1, amount=70 * USDC + 1) is NO_MARGIN
    assert desk.do(ActionKind.WITHDRAW, 1, amount=USDC) is INVALID, "nothing would arrive"
    assert desk.do(ActionKind.WITHDRAW, 1, amount=-5) is INVALID
    assert desk.do(ActionKind.WITHDRAW, 1, amount=70 * USDC) is NONE
    assert desk.collateral(1) == 0


def test_what_may_leave_is_above_the_initial_margin_and_a_tenth_of_the_notional():
    """1,000 of collateral and a position of 4,000 USDC: at 40x its margin is 100, but a tenth, 400, stays. An order of
    another 4,000 at 5x and the position need 1,600. The fee was 0.6."""
    desk = ChainDesk().open(1, 2)
    desk.do(ActionKind.UPDATE_LEVERAGE, 1, market=PERP, amount=40, side=1)
    desk.trade(1, 2, 400_000)
    assert account_withdrawable_micro(desk.exchange, 1) == 600 * USDC - 600_000
    desk.do(ActionKind.UPDATE_LEVERAGE, 1, market=PERP, amount=9, side=1)
    desk.place(1, BUY, AT, 400_000, ALO).run()
    # 8,000 / 9 = 888.888888, cut.
    assert account_withdrawable_micro(desk.exchange, 1) == 1_000 * USDC - 600_000 - 888_888_888
    desk.mark(9_000).run()
    assert account_withdrawable_micro(desk.exchange, 1) == 0, "never below nothing"
    desk.do(TRANSFER, 1, counterparty=2, amount=1)
    assert desk.refusals() == [NO_MARGIN]


def test_unrealised_profit_may_leave():
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, 100_000)
    desk.mark(11_000).run()
    # 1,000 - 0.15 + 100 of profit less a tenth of 1,100.
    assert account_withdrawable_micro(desk.exchange, 1) == (1_000 + 100 - 110) * USDC - 150_000


# Between accounts.


def test_collateral_goes_to_another_account():
    desk = ChainDesk().open(1)
    assert desk.do(TRANSFER, 1, counterparty=3, amount=400 * USDC) is NONE
    assert told(desk) == [(1, -400 * USDC), (3, 400 * USDC)]
    assert (desk.collateral(1), desk.collateral(3)) == (600 * USDC, 400 * USDC)
    assert desk.do(TRANSFER, 1, counterparty=3, amount=600 * USDC + 1) is NO_MARGIN
    for amount, receiver in ((0, 3), (-1, 3), (1, -1), (1, 5)):
        assert desk.do(TRANSFER, 1, counterparty=receiver, amount=amount) is INVALID
    assert (desk.collateral(1), desk.collateral(3)) == (600 * USDC, 400 * USDC)


# Between perpetuals and spot.


def test_dollars_go_to_spot_and_back():
    desk = ChainDesk().open(1)
    assert desk.do(CLASS, 1, side=-1, amount=300 * USDC) is NONE
    assert told(desk) == [(1, -300 * USDC)]
    assert (desk.collateral(1), int(desk.exchange.tokens[1, 0])) == (700 * USDC, 300 * COIN)
    assert desk.do(CLASS, 1, side=-1, amount=700 * USDC + 1) is NO_MARGIN
    assert desk.do(CLASS, 1, side=1, amount=300 * USDC + 1) is NO_BALANCE
    assert desk.do(CLASS, 1, side=1, amount=0) is INVALID
    assert desk.do(CLASS, 1, side=1, amount=100 * USDC) is NONE
    assert told(desk) == [(1, 100 * USDC)]
    assert (desk.collateral(1), int(desk.exchange.tokens[1, 0])) == (800 * USDC, 200 * COIN)


def test_what_orders_hold_cannot_leave():
    desk = ChainDesk().open(1)
    desk.do(CLASS, 1, side=-1, amount=100 * USDC)
    desk.place(1, BUY, AT, 500_000, ALO, SPOT).run()
    # 50 USDC and the fee on them, 0.0225.
    assert free_units(desk.exchange, 1, 0) == 50 * COIN - 2_250_000
    assert desk.do(CLASS, 1, side=1, amount=49_977_501) is NO_BALANCE
    assert desk.do(CLASS, 1, side=1, amount=49_977_500) is NONE


# Tokens.


def test_tokens_go_to_another_account():
    desk = ChainDesk().open(1)
    desk.deposit(1, 10 * COIN, 1).run()
    desk.place(1, SELL, AT + 5, 400, ALO, SPOT).run()
    assert desk.do(TOKEN, 1, counterparty=2, token=1, amount=6 * COIN + 1) is NO_BALANCE
    assert desk.do(TOKEN, 1, counterparty=2, token=1, amount=6 * COIN) is NONE
    assert desk.exchange.tokens[:, 1].tolist() == [0, 4 * COIN, 6 * COIN, 0, 0]
    for amount, token, receiver in ((0, 1, 2), (1, 2, 2), (1, -1, 2), (1, 1, 5), (1, 1, -1), (UNITS_MAX + 1, 1, 2)):
        assert desk.do(TOKEN, 1, counterparty=receiver, token=token, amount=amount) is INVALID
    assert desk.chain.outside[1] == 10 * COIN
