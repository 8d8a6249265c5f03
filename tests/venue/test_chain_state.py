"""What a chain begins with, and what it refuses to begin with."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.units import Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.chain_state import DEFAULT_LEVERAGE, Chain, arrays_of, new_chain, new_parameters
from hlhft.venue.fee_tiers import Fees
from hlhft.venue.funding import RATE_NONE
from hlhft.venue.margin import APART, tier_table
from hlhft.venue.state import Exchange
from hlhft.venue.terms import new_terms
from tests.venue.chain_desk import ChainDesk

USDC = 1_000_000
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40)
SOL = Market.perpetual("SOL", asset_id=1, size_decimals=2, maximum_leverage=20)
HYPE_SPOT = Market.spot("HYPE/USDC", asset_id=10_001, size_decimals=2)
MARKETS = np.concatenate([BTC.record(), SOL.record(), HYPE_SPOT.record()])


def chain(**changes):
    options = dict(accounts=3, base_ticks=[1, 1, 1], width=10, slots=4, start_ns=7)
    return new_chain(MARKETS, rule_sets.hyperliquid(), **{**options, **changes})


def test_a_new_chain_knows_no_price_and_no_rate():
    state = chain()
    assert state.state[0]["time_ns"] == 7
    assert (state.prices["premium_e12"] == RATE_NONE).all()
    assert (state.prices["hourly_rate_e12"] == RATE_NONE).all()
    assert (state.exchange.marks == 0).all()
    assert state.liquidations.shape == (3, 4)
    assert (state.exchange.tiers == [tier_table([(0, leverage)]) for leverage in (40, 20, 1)]).all()


def test_accounts_begin_with_the_default_leverage_or_what_there_is():
    state = chain()
    assert DEFAULT_LEVERAGE == 20
    assert state.exchange.holdings["leverage"].tolist() == [[20, 20, 1]] * 3
    assert state.exchange.margins["isolated"].tolist() == [[0, 0, APART]] * 3


def test_where_only_isolated_margin_is_allowed_accounts_begin_with_it():
    terms = new_terms(MARKETS)
    terms[1]["isolated_only"] = 1
    assert chain(terms=terms).exchange.margins["isolated"].tolist() == [[0, 1, APART]] * 3


def test_what_is_given_is_copied():
    tiers = np.array([tier_table([(0, 10)])] * 3)
    parameters, terms = new_parameters(), new_terms(MARKETS)
    state = chain(tiers=tiers, parameters=parameters, terms=terms)
    tiers["factor"], parameters["mark_interval_ns"], terms["isolated_only"] = 0, 5, 1
    assert (state.exchange.tiers["factor"][:, 0] == 1).all()
    assert state.parameters[0]["mark_interval_ns"] == 3_000_000_000
    assert (state.exchange.terms["isolated_only"] == 0).all()


@pytest.mark.parametrize(
    "changes", [{"tiers": np.array([tier_table([(0, 10)])])}, {"terms": new_terms(MARKETS[:1])}, {"legs_max": 0}]
)
def test_what_does_not_fit_is_refused(changes):
    with pytest.raises(ValueError, match="a chain of 3 markets needs"):
        chain(**changes)


def test_all_arrays_by_name_are_the_whole_chain():
    """A chain whose arrays are filled with those of another goes on like it."""
    first, second = ChainDesk().open(1, 2), ChainDesk()
    first.trade(1, 2, 1_000)
    arrays = arrays_of(second.chain)
    assert {"exchange.orders", "fees.days", "prices"} <= set(arrays)
    assert len(arrays) == len(Chain._fields) - 2 + len(Exchange._fields) + len(Fees._fields)
    for name, array in arrays_of(first.chain).items():
        arrays[name][...] = array
    second.now_ns = first.now_ns
    for desk in (first, second):
        desk.place(1, 1, 9_990, 500).place(2, -1, 9_980, 200).run(3_600 * 10**9)
    assert first.raw.tobytes() == second.raw.tobytes()
    assert all(arrays[name].tobytes() == array.tobytes() for name, array in arrays_of(first.chain).items())
