"""The identities: they hold, and each ledger that is changed by itself breaks one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import Chain
from hlhft.venue.conservation import is_balanced, is_conserved, total_units
from tests.venue.chain_desk import ALO, AT, BUY, COIN, GTC, PERP, SELL, SPOT, USDC, ChainDesk


def busy() -> ChainDesk:
    """Positions, fees of all kinds, an isolated bucket, spot dollars and tokens."""
    desk = ChainDesk().open(1, 2, 3)
    desk.leg(ActionKind.UPDATE_LEVERAGE, 1, market=PERP, amount=5).run()
    desk.place(1, BUY, AT, 10_000, ALO, builder=4, builder_rate_e9=100_000).place(2, SELL, AT, 10_000, GTC).run()
    desk.leg(ActionKind.TRANSFER_CLASS, 1, side=-1, amount=50 * USDC).deposit(2, 50 * COIN, 1).run()
    desk.place(1, BUY, AT, 1_000, ALO, SPOT).place(2, SELL, AT, 1_000, GTC, SPOT).run()
    desk.leg(ActionKind.WITHDRAW, 3, amount=100 * USDC).run()
    return desk


def test_all_that_is_inside_came_from_outside():
    """3,000 came in, 99 left; builders were given a tenth of a promille of 100 USDC."""
    desk = busy()
    assert is_conserved(desk.chain)
    assert total_units(desk.chain) == desk.chain.outside[0] == (3_000 - 99) * COIN
    assert desk.chain.state[0]["builder_fees_micro"] == 10_000 == desk.exchange.builder_fees.sum()
    assert desk.chain.state[0]["trading_fees_micro"] == desk.exchange.engine[0]["fees_micro"]
    assert desk.chain.outside[1] == 50 * COIN
    assert all(is_balanced(desk.chain, market) for market in range(3))


def _collateral(chain: Chain) -> None:
    chain.exchange.collateral[2] += 1


def _bucket(chain: Chain) -> None:
    chain.exchange.margins[1, PERP]["bucket_micro"] -= 1


def _funding(chain: Chain) -> None:
    chain.exchange.holdings[1, PERP]["funding_micro"] += 1


def _fee(chain: Chain) -> None:
    chain.exchange.holdings[1, PERP]["fee_micro"] += 1


def _trading_fees(chain: Chain) -> None:
    chain.state[0]["trading_fees_micro"] += 1


def _builder_fees(chain: Chain) -> None:
    chain.state[0]["builder_fees_micro"] -= 1


def _fees(chain: Chain) -> None:
    chain.state[0]["fees_micro"] -= 1


def _dollars(chain: Chain) -> None:
    chain.exchange.tokens[1, 0] += 1


def _tokens(chain: Chain) -> None:
    chain.exchange.tokens[1, 1] += 1


def _lots(chain: Chain) -> None:
    chain.exchange.holdings[2, PERP]["position_lots"] += 1


def _quanta(chain: Chain) -> None:
    chain.exchange.holdings[2, SPOT]["cash_quanta"] += 1


def _outside(chain: Chain) -> None:
    chain.outside[0] += 1


CHANGES = (
    _collateral, _bucket, _funding, _fee, _trading_fees, _builder_fees, _fees, _dollars, _tokens, _lots, _quanta,
    _outside,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_ledger_that_changes_by_itself_breaks_the_sum(change: Callable[[Chain], None]):
    desk = busy()
    change(desk.chain)
    assert not is_conserved(desk.chain)
    before = int(desk.chain.state[0]["broken"])
    run_block(desk.chain, np.zeros(1, ACTION_DTYPE), 0, desk.now_ns + 1)
    assert desk.chain.state[0]["broken"] == before + 1


def test_events_without_room_are_a_defect_too():
    desk = busy()
    desk.exchange.engine[0]["dropped"] = 1
    run_block(desk.chain, np.zeros(1, ACTION_DTYPE), 0, desk.now_ns + 1)
    assert desk.chain.state[0]["broken"] == 1
