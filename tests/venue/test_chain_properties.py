"""Random streams of legs of every kind: nothing is made or lost, nobody owes the venue, the same everywhere."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.venue.adl import equity_micro
from hlhft.venue.blocks import ActionKind
from hlhft.venue.liquidation_round import maintenance_of
from hlhft.venue.spot import balance_units, free_units
from tests.venue.chain_desk import ALO, AT, COIN, GTC, IOC, MARKETS, SECOND, SPOT, USDC, ChainDesk

ACCOUNTS = 6
CROSS = -1
KINDS = (
    ActionKind.UPDATE_LEVERAGE, ActionKind.UPDATE_ISOLATED_MARGIN, ActionKind.TRANSFER_COLLATERAL,
    ActionKind.TRANSFER_CLASS, ActionKind.TRANSFER_TOKEN, ActionKind.WITHDRAW, ActionKind.DEPOSIT, ActionKind.NOOP,
)  # fmt: skip


def some_legs(desk: ChainDesk, dice: random.Random, oracles: list[int]) -> None:
    for _ in range(dice.randrange(7)):
        market = dice.randrange(3)
        at = oracles[market]
        desk.place(
            dice.randrange(1, ACCOUNTS), dice.choice([1, -1]), at + dice.randrange(-20, 21),
            dice.randrange(1, 400_000 if market != SPOT else 3_000), dice.choice([ALO, GTC, GTC, IOC]), market,
            reduce_only=int(dice.random() < 0.1), builder=dice.choice([0, 0, 3]), builder_rate_e9=100_000,
        )  # fmt: skip
    if dice.random() < 0.1:
        desk.leg(
            ActionKind.PLACE_TRIGGER, dice.randrange(1, ACCOUNTS), side=dice.choice([1, -1]), price_ticks=oracles[0],
            size_lots=dice.randrange(1, 100_000), trigger_kind=dice.choice([1, 2]), reduce_only=dice.randrange(2),
            trigger_ticks=oracles[0] + dice.randrange(-300, 300), trigger_is_market=1, time_in_force=GTC,
        )  # fmt: skip
    if dice.random() < 0.05:
        desk.leg(
            ActionKind.PLACE_TWAP, dice.randrange(1, ACCOUNTS), side=dice.choice([1, -1]), randomize=1,
            size_lots=dice.randrange(100_000, 900_000), duration_ns=600 * SECOND,
        )  # fmt: skip
    if dice.random() < 0.3:
        kind = dice.choice(KINDS)
        amount = {
            ActionKind.UPDATE_LEVERAGE: dice.randrange(5, 42),
            ActionKind.UPDATE_ISOLATED_MARGIN: dice.randrange(-200, 200) * USDC,
            ActionKind.TRANSFER_TOKEN: dice.randrange(0, 20) * COIN,
        }.get(kind, dice.randrange(0, 100) * USDC)
        desk.leg(
            kind, dice.randrange(1, ACCOUNTS), market=dice.randrange(3), amount=amount, token=dice.randrange(2),
            counterparty=dice.randrange(ACCOUNTS), side=dice.choice([0, 1, -1]) if kind != 8 else dice.randrange(2),
        )  # fmt: skip


def stream(seed: int, blocks: int) -> tuple[ChainDesk, list[bytes], int]:
    """A run; its events and how many liquidations it had. After every block nobody is worth less than nothing."""
    dice = random.Random(seed)
    desk = ChainDesk(accounts=ACCOUNTS)
    desk.exchange.terms["impact_notional_micro"] = 100 * USDC  # the books are thin
    oracles = [AT, AT, AT]
    for account in range(ACCOUNTS):
        desk.deposit(account, 600 * USDC).deposit(account, 500 * COIN, token=1)
    for account in (4, 5):
        for market in range(2):
            desk.leg(ActionKind.UPDATE_LEVERAGE, account, market=market, amount=10)
    desk.run()
    told: list[bytes] = []
    liquidations = 0
    for number in range(blocks):
        if number % 5 == 0:
            for market in range(2):
                step = dice.choice([0, 1, 10, 300, 1_000])
                oracles[market] = min(max(oracles[market] + dice.randrange(-step, step + 1), 7_000), 13_000)
                desk.oracle(oracles[market], market)
        some_legs(desk, dice, oracles)
        desk.run(dice.choice([75_000_000, SECOND, 5 * SECOND, 1200 * SECOND]))
        told.append(desk.raw.tobytes())
        liquidations += len(desk.only(EventKind.LIQUIDATION))
        check(desk)
    return desk, told, liquidations


def check(desk: ChainDesk) -> None:
    venue = desk.exchange
    for account in range(1, ACCOUNTS):
        equity = equity_micro(venue, account, CROSS)
        assert equity >= 0, "nobody owes the venue"
        assert 3 * equity >= 2 * maintenance_of(venue, account, CROSS)
        for market in range(len(MARKETS)):
            if venue.margins[account, market]["isolated"] == 1 and desk.position(account, market) != 0:
                assert 3 * equity_micro(venue, account, market) >= 2 * maintenance_of(venue, account, market) >= 0
        for token in range(2):
            assert balance_units(venue, account, token) >= free_units(venue, account, token)
            assert balance_units(venue, account, token) >= 0
    assert (venue.holdings["position_lots"].sum(axis=0) == 0).all()


@pytest.mark.parametrize("seed", [0, 4, 6, 11])
def test_conservation_and_margin_hold_after_every_block(seed):
    desk, _, liquidations = stream(seed, 250)
    assert liquidations > 0
    assert desk.chain.state[0]["height"] == 251
    assert (desk.exchange.holdings["funding_micro"] != 0).any()


KNOWN_STREAM = """
from tests.venue.test_chain_properties import digest
print(digest(9, 40))
"""


def digest(seed: int, blocks: int) -> str:
    desk, told, _ = stream(seed, blocks)
    state = [np.asarray(part).tobytes() for part in desk.exchange]
    return hashlib.blake2b(b"".join(told + state), digest_size=8).hexdigest()


def test_the_same_legs_give_the_same_bytes_compiled_or_not():
    """Twice here, and in another process with compilation switched the other way and another hash seed."""
    switched = {"NUMBA_DISABLE_JIT": "0" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "1", "PYTHONHASHSEED": "77"}
    other = subprocess.run(
        [sys.executable, "-c", KNOWN_STREAM], env={**os.environ, **switched}, capture_output=True, text=True, check=True
    )
    assert digest(9, 40) == digest(9, 40) == other.stdout.strip()
    assert digest(8, 40) != other.stdout.strip()
