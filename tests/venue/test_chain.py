"""One block of the whole venue: what comes first, and that every leg is answered."""

from __future__ import annotations

import numpy as np

from hlhft.events import EventKind
from hlhft.units import Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce
from hlhft.venue.chain import LEG_FIELDS, run_block
from hlhft.venue.chain_state import new_chain

USDC = 1_000_000
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40)
COMMON = {"action", "arrival_ns", "expires_ns", "kind", "account", "block_class"}


def test_every_kind_of_leg_says_what_it_uses():
    assert set(LEG_FIELDS) == set(ActionKind)
    fields = set(ACTION_DTYPE.names or ()) - COMMON
    for kind, row in LEG_FIELDS.items():
        assert set(row) <= fields, kind.name
        assert all(text and text == text.strip() for text in row.values()), kind.name


def test_an_oracle_price_a_deposit_and_an_order_in_one_block():
    chain = new_chain(
        BTC.record(), rule_sets.hyperliquid(), accounts=3, base_ticks=[900_000], width=200_000, slots=64, start_ns=0
    )
    legs = np.zeros(3, ACTION_DTYPE)
    legs["action"] = (1, 2, 3)
    legs["kind"] = (ActionKind.PLACE, ActionKind.DEPOSIT, ActionKind.ORACLE_PRICE)
    legs["account"] = (1, 1, 0)
    legs[0]["side"], legs[0]["price_ticks"], legs[0]["size_lots"] = 1, 999_990, 100_000
    legs[0]["time_in_force"] = TimeInForce.GTC
    legs[1]["amount"] = 1_000_000 * USDC
    legs[2]["price_ticks"] = 1_000_000
    run_block(chain, legs, 3, 10**18)
    count = int(chain.exchange.engine[0]["event_count"])
    events = chain.exchange.events[:count]
    assert [(int(e["kind"]), int(e["leg"])) for e in events] == [
        (EventKind.ACTION_DONE, 2),
        (EventKind.LEDGER_TRANSFER, 1),
        (EventKind.ACTION_DONE, 1),
        (EventKind.ORDER_ACKNOWLEDGED, 0),
    ]
    assert chain.exchange.marks[0] == 1_000_000
    assert chain.exchange.collateral.tolist() == [0, 1_000_000 * USDC, 0]
    assert (int(chain.state[0]["time_ns"]), int(chain.state[0]["height"])) == (10**18, 1)
