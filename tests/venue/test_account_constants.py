"""Plain constants of compiled code of accounts, prices and the chain stand for what they are named after."""

from __future__ import annotations

from types import ModuleType

import pytest

from hlhft.events import EventFlag, EventKind
from hlhft.units import MarketKind
from hlhft.venue import (
    adl,
    admission,
    chain,
    fee_tiers,
    funding_payments,
    leverage,
    liquidation_round,
    outcomes,
    spot,
    trade_ledger,
    transfers,
    vault,
)
from hlhft.venue.blocks import ActionKind, TimeInForce
from hlhft.venue.chain_state import INSURANCE
from hlhft.venue.liquidation import Condition, IntentKind, LiquidationState
from hlhft.venue.refusals import Refusal
from hlhft.venue.terms import USDC_TOKEN

MODULES = (
    adl, admission, chain, fee_tiers, funding_payments, leverage, liquidation_round, outcomes, spot, trade_ledger,
    transfers, vault,
)  # fmt: skip
RENAMED = {
    "_DONE": Refusal.NONE,
    "_ADMITTED": Refusal.NONE,
    "_FILLED": EventKind.ORDER_FILLED,
    "ACTION_DONE": EventKind.ACTION_DONE,
    "ACTION_REFUSED": EventKind.ACTION_REFUSED,
    "_MAKER": EventFlag.MAKER,
    "VAULT": INSURANCE,
    "_USDC": USDC_TOKEN,
    "_HEALTHY": LiquidationState.HEALTHY,
    "_CROSS": -1,
}
OWN = frozenset({"_TRANSFER_SHARE", "_RATIO_SCALE", "_PROFIT_MAX", "_LEVERAGE_MAX", "_SCALE_E6", "_TIERS", "_REBATES"})
# The enumeration that a name is looked up in, by module where two have it.
ENUMERATIONS = (Refusal, EventKind, MarketKind, Condition, IntentKind, ActionKind, TimeInForce)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_constant_is_the_member_that_it_is_named_after(module: ModuleType):
    names = {name for name in vars(module) if name.startswith("_") and name[1:].isupper() and name not in OWN}
    names |= {name for name in RENAMED if name in vars(module)}
    for name in sorted(names):
        found = RENAMED.get(name)
        if found is None:
            found = next((e[name[1:]] for e in ENUMERATIONS if name[1:] in e.__members__), None)
        assert found is not None, f"{module.__name__}.{name} stands for nothing"
        assert getattr(module, name) == found, f"{module.__name__}.{name}"
