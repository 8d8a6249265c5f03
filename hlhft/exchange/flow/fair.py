"""The fair price: what the market is worth, which nobody sees but the informed.

It moves in steps of FAIR_STEP_NS, by a small diffusion and by jumps; part of a jump happens at once, the rest is
followed as `pending` decays. A burst of takers adds to `pending` too: what they knew becomes known. A weak pull holds
it near where it began, so that it stays within the price band of an exchange that runs for days. Its draws do not
depend on the book: whatever else trades, the same seed has the same fair price.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.exchange.flow.draws import next_from, next_number, next_wait_ns

# As in hlhft.exchange.flow.draws and hlhft.exchange.flow.state; the compiled subset wants plain constants.
_ONE = 65_536
_STEP_NS = 25_000_000
_HISTORY = 128
_STEPS_MAX = 4_000  # after a silence only the last hundred seconds are walked
_E12 = 1_000_000_000_000


@compiled
def _jump(flow, market):
    numbers = flow.numbers[market]
    state = flow.states[market]
    draws = flow.price_draws[market]
    size = next_from(draws, flow.exponential) * numbers["jump_subticks"] // _ONE
    if next_number(draws) % 2 == 0:
        size = -size
    at_once = size * numbers["jump_at_once"] // _ONE
    state["fair_subticks"] += at_once
    state["pending_subticks"] += size - at_once
    state["next_jump_ns"] += next_wait_ns(draws, flow.exponential, numbers["jump_wait_ns"])


@compiled
def _step(flow, market):
    numbers = flow.numbers[market]
    state = flow.states[market]
    state["fair_ns"] += _STEP_NS
    moved = next_from(flow.price_draws[market], flow.normal) * numbers["diffusion_subticks"] // _ONE
    followed = state["pending_subticks"] * numbers["follow"] // _ONE
    state["pending_subticks"] -= followed
    # Divided first: the distance times the share would not fit.
    pulled = (numbers["start_subticks"] - state["fair_subticks"]) // 1000 * numbers["pull_e12"] // (_E12 // 1000)
    state["fair_subticks"] = max(state["fair_subticks"] + moved + followed + pulled, _ONE)
    while state["next_jump_ns"] <= state["fair_ns"]:
        _jump(flow, market)
    state["fair_steps"] += 1
    flow.history[market, state["fair_steps"] % _HISTORY] = state["fair_subticks"]


@compiled
def advance_fair(flow, market, ts_ns):
    """Moves the market's fair price on to `ts_ns`."""
    numbers = flow.numbers[market]
    state = flow.states[market]
    draws = flow.price_draws[market]
    if state["fair_ns"] == 0:
        state["fair_ns"] = ts_ns
        state["next_jump_ns"] = ts_ns + next_wait_ns(draws, flow.exponential, numbers["jump_wait_ns"])
    missed = (ts_ns - state["fair_ns"]) // _STEP_NS - _STEPS_MAX
    if missed > 0:
        state["fair_ns"] += missed * _STEP_NS
        state["next_jump_ns"] += missed * _STEP_NS
    while state["fair_ns"] + _STEP_NS <= ts_ns:
        _step(flow, market)


@compiled
def fair_before(flow, market, steps):
    """The fair price in subticks so many steps ago, 0 <= steps < HISTORY."""
    return flow.history[market, (flow.states[market]["fair_steps"] - steps) % _HISTORY]
