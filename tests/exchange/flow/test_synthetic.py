"""The whole flow, block by block: deterministic, two-sided, never crossed, honest in its legs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hlhft.compiled import JIT_DISABLED
from hlhft.data.markets import find
from hlhft.events import EventKind
from hlhft.exchange.flow.draws import ONE
from hlhft.exchange.flow.legs import CLIENT_ID_BASE, add_take
from hlhft.exchange.flow.parameters import shipped
from hlhft.exchange.flow.rehearsal import START_NS, new_rehearsal
from hlhft.exchange.flow.state import ACCOUNTS, INFORMED, MOMENTUM, NOISE, legs_max
from hlhft.exchange.flow.synthetic import flow_legs
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue.blocks import ActionKind, TimeInForce
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import new_chain
from hlhft.venue.refusals import Refusal
from hlhft.venue.rules import hyperliquid
from tests.exchange.flow.stage import CALM, STEP, Legs, changed, execute, settle, stage

POSITION_USDC_MAX = 150e6  # of a billion that each account of the flow has

LIVELY = changed(CALM, jumps_per_minute=120.0, bursts_per_minute=300.0, improves_per_s=20.0, joins_per_s=30.0)


def digest(seed: int, blocks: int = 80) -> str:
    """Of every leg of so many blocks of two markets."""
    rehearsal = stage(LIVELY, seed=seed, markets=2)
    found = hashlib.blake2b(digest_size=16)
    for block in range(blocks):
        ts_ns = START_NS + block * 75_000_000
        count = flow_legs(rehearsal.venue, rehearsal.flow, rehearsal.legs, 0, ts_ns)
        found.update(rehearsal.legs[:count].tobytes())
        orders = rehearsal.legs[:count][rehearsal.legs["kind"][:count] <= ActionKind.MODIFY]
        rehearsal.venue.marks[:] = 1_000_000
        execute(rehearsal, orders, ts_ns)
    return found.hexdigest()


def test_a_seed_says_all_with_and_without_compilation():
    switched = {"NUMBA_DISABLE_JIT": "0" if JIT_DISABLED else "1", "PYTHONHASHSEED": "77"}
    program = "from tests.exchange.flow.test_synthetic import digest; print(digest(4))"
    root = Path(__file__).resolve().parents[3]
    other = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, **switched},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert other.stdout.strip() == digest(4)
    assert digest(4) != digest(5)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_book_is_whole_two_sided_and_never_crossed(seed):
    rehearsal = stage(LIVELY, seed=seed)
    blocks = 60 if JIT_DISABLED else 500
    for block in range(blocks):
        settle(rehearsal, 0.08 * (block + 1))
        ladder = rehearsal.venue.ladders[0]
        assert BID_NONE < ladder["best_bid_ticks"] < ladder["best_ask_ticks"] < ASK_NONE
    counts = rehearsal.tape.counts[0]
    assert counts["one_sided"] == 0
    assert counts["trades"] > blocks // 4
    assert rehearsal.venue.engine[0]["dropped"] == 0
    assert rehearsal.venue.engine[0]["resting"] == (rehearsal.venue.orders["order_id"] != 0).sum()
    assert (rehearsal.venue.holdings["position_lots"].sum(axis=0) == 0).all()


def test_after_a_huge_taker_the_book_is_there_and_comes_back():
    rehearsal = stage(CALM)
    settle(rehearsal, 3.0)
    ladder = rehearsal.venue.ladders[0]
    before = int(ladder["best_ask_ticks"])
    legs = Legs()
    # Thirty million dollars at once, the largest market order of the venue.
    execute(rehearsal, legs.take(add_take(rehearsal.flow, legs.rows, 0, 0, 0, 1, 1_100_000, 30_000_000, 1)), 1)
    assert before < ladder["best_ask_ticks"] < ASK_NONE
    settle(rehearsal, 6.0)
    assert ladder["best_ask_ticks"] - ladder["best_bid_ticks"] <= 3 * STEP
    assert abs(int(ladder["best_ask_ticks"]) * ONE - int(rehearsal.flow.states[0]["fair_subticks"])) < 6 * STEP * ONE


def test_legs_are_what_the_venue_takes():
    rehearsal = stage(LIVELY)
    kinds: set[int] = set()
    refused = done = 0
    for block in range(60):
        ts_ns = START_NS + block * 75_000_000
        rehearsal.legs["action"][0] = 55
        count = flow_legs(rehearsal.venue, rehearsal.flow, rehearsal.legs, 1, ts_ns)
        legs = rehearsal.legs[1:count]
        assert list(legs["action"]) == list(range(56, 55 + count))
        assert (legs["arrival_ns"] == ts_ns).all()
        assert count - 1 <= legs_max(1)
        kinds |= set(legs["kind"])
        orders = legs[legs["kind"] <= ActionKind.MODIFY]
        assert ((orders["account"] >= 1) & (orders["account"] <= ACCOUNTS)).all()
        placed = orders[orders["kind"] != ActionKind.CANCEL]
        rests = placed["time_in_force"] == TimeInForce.ALO
        assert (placed["client_id"][rests] >= CLIENT_ID_BASE).all()
        assert (placed["client_id"][~rests] == 0).all()
        assert (placed["size_lots"] >= 12).all()
        rehearsal.venue.marks[:] = 1_000_000
        events = execute(rehearsal, orders, ts_ns)
        refused += int(np.isin(events["kind"], [EventKind.ORDER_REJECTED, EventKind.CANCEL_REJECTED]).sum())
        done += len(orders)
    assert kinds >= {ActionKind.PLACE, ActionKind.CANCEL, ActionKind.MODIFY, ActionKind.ORACLE_PRICE}
    assert refused < done / 5


def test_it_opens_with_money_and_leverage_for_everybody():
    rehearsal = stage(CALM, markets=2)
    for ts_ns in (START_NS, START_NS + 75_000_000):
        count = flow_legs(rehearsal.venue, rehearsal.flow, rehearsal.legs, 0, ts_ns)
        legs = rehearsal.legs[:count]
        deposits = legs[legs["kind"] == ActionKind.DEPOSIT]
        leverages = legs[legs["kind"] == ActionKind.UPDATE_LEVERAGE]
        if ts_ns == START_NS:
            assert list(deposits["account"]) == list(range(1, ACCOUNTS + 1))
            assert set(deposits["amount"]) == {10**15}
            assert len(set(zip(leverages["account"], leverages["market"]))) == 2 * ACCOUNTS
            assert set(leverages["amount"]) == {40}
            assert legs["kind"][0] == ActionKind.DEPOSIT
        else:
            assert len(deposits) == len(leverages) == 0


def test_the_whole_venue_takes_it():
    """With margin, marks, funding and liquidation: nobody is refused for margin or liquidated, and money adds up."""
    quiet = stage(LIVELY, markets=2)
    chain = new_chain(
        quiet.venue.markets,
        hyperliquid(),
        accounts=ACCOUNTS + 1,
        base_ticks=[int(ladder["base_ticks"]) for ladder in quiet.venue.ladders],
        width=quiet.venue.cells.shape[2],
        slots=2_048,
        start_ns=START_NS,
        legs_max=legs_max(2),
    )
    told: set[int] = set()
    for block in range(40 if JIT_DISABLED else 400):
        ts_ns = START_NS + (block + 1) * 75_000_000
        count = flow_legs(chain.exchange, quiet.flow, quiet.legs, 0, ts_ns)
        run_block(chain, quiet.legs, count, ts_ns)
        engine = chain.exchange.engine[0]
        events = chain.exchange.events[: engine["event_count"]]
        told |= set(events["kind"])
        rejected = events[events["kind"] == EventKind.ORDER_REJECTED]
        assert set(rejected["aux0"]) <= {Refusal.BAD_ALO_PRICE, Refusal.IOC_NO_MATCH}
        engine["event_count"] = 0
        assert chain.state[0]["broken"] == 0
    assert {EventKind.ORDER_FILLED, EventKind.ACTION_DONE} <= told
    assert told.isdisjoint({EventKind.ACTION_REFUSED, EventKind.LIQUIDATION})
    fair = quiet.flow.states["fair_subticks"] / ONE
    assert (np.abs(chain.exchange.marks / fair - 1) < 1e-3).all()


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "WLFI"])
def test_for_days_nobodys_position_wanders_off(coin):
    """Coarse: a block a second, so that days pass in seconds."""
    market, numbers = find(coin), shipped()[coin]
    rehearsal = new_rehearsal([market], [numbers], seed=7, seconds=100.0)
    rehearsal.spacings[:] = 10**9
    lot_usdc = numbers.start_price / 10**market.size_decimals
    # What follows from the leaning: so many largest orders of a taker, so many mean orders of the informed.
    most = np.full(ACCOUNTS, POSITION_USDC_MAX)
    most[INFORMED], most[MOMENTUM] = 2 * 40 * numbers.informed_usdc, 21 * numbers.order_usdc_max
    most[NOISE] = 16 * numbers.order_usdc_max
    for quarter in range(1, 2 if JIT_DISABLED else 9):
        settle(rehearsal, 40.0 if JIT_DISABLED else 21_600.0 * quarter)
        rehearsal.tape.counts["touches"] = rehearsal.tape.counts["trades"] = rehearsal.tape.counts["depths"] = 0
        positions = np.abs(rehearsal.venue.holdings["position_lots"][1:, 0]) * lot_usdc
        assert (positions <= most).all(), positions
        fair = int(rehearsal.flow.states[0]["fair_subticks"]) / ONE / 10**market.price_decimals
        assert 0.7 < fair / numbers.start_price < 1.4


def test_prices_from_outside_come_every_three_seconds():
    rehearsal = stage(CALM, markets=2)
    found = []
    for block in range(90):
        ts_ns = START_NS + block * 100_000_000
        count = flow_legs(rehearsal.venue, rehearsal.flow, rehearsal.legs, 0, ts_ns)
        for leg in rehearsal.legs[:count]:
            if leg["kind"] in (ActionKind.ORACLE_PRICE, ActionKind.EXTERNAL_MARK):
                fair = int(rehearsal.flow.states[leg["market"]]["fair_subticks"])
                assert leg["price_ticks"] == (fair + ONE // 2) // ONE
                found.append((int(leg["market"]), ActionKind(int(leg["kind"])), block))
    kinds = (ActionKind.ORACLE_PRICE, ActionKind.EXTERNAL_MARK)
    assert sorted(found) == sorted((m, kind, b) for m in (0, 1) for kind in kinds for b in (0, 30, 60))


def test_what_a_visitor_does_does_not_move_the_fair_price():
    alone, visited = stage(CALM), stage(CALM)
    legs = Legs()
    settle(visited, 1.0)
    execute(visited, legs.take(add_take(visited.flow, legs.rows, 0, 0, 0, 1, 1_010_000, 300_000, 1)), 1)
    settle(alone, 4.0)
    settle(visited, 4.0)
    assert alone.flow.states[0]["fair_subticks"] == visited.flow.states[0]["fair_subticks"]
    assert alone.flow.history.tobytes() == visited.flow.history.tobytes()
    assert alone.flow.book_draws.tobytes() != visited.flow.book_draws.tobytes()
