"""The whole venue, one block at a time.

Source: venue reference section 8, last bullet. A block at time T: oracle prices and the marks that follow from them,
funding when an hour has passed, the other legs by class and then by arrival, what waits for a price or a time, and the
liquidations that all of this makes necessary. Time and actions come in, events go out, in the order of execution;
each leg causes at least one that tells its outcome.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.blocks import ActionKind, sort_actions
from hlhft.venue.matching import apply_action
from hlhft.venue.outcomes import tell_outcome

# As in hlhft.venue.blocks and hlhft.venue.refusals; the compiled subset wants plain constants.
_MODIFY = 2
_NOOP, _DEPOSIT, _ORACLE_PRICE, _EXTERNAL_MARK = 7, 13, 15, 16
_ACTION_EXPIRED, _INVALID_AMOUNT = 13, 43
_UNITS_PER_MICRO = 100

# What a leg says beside action, arrival_ns, expires_ns, kind and account. A field that is not named is zero.
LEG_FIELDS: dict[ActionKind, dict[str, str]] = {
    ActionKind.PLACE: {
        "market": "market",
        "client_id": "the account's own id, 0 none",
        "side": "side",
        "price_ticks": "limit",
        "size_lots": "size",
        "time_in_force": "hlhft.venue.blocks.TimeInForce",
        "reduce_only": "1: only reduces",
        "priority_rate_e8": "share of the notional paid for priority",
        "builder": "account that gets the builder fee, plus 1; 0 none",
        "builder_rate_e9": "its rate",
        "grouping": "hlhft.venue.blocks.Grouping",
    },
    ActionKind.CANCEL: {
        "market": "market",
        "target_id": "the order meant",
        "target_is_client_id": "1: target_id is the account's own id, 0: the venue's",
        "fast": "1: ahead in the mempool",
    },
    ActionKind.MODIFY: {
        "market": "market",
        "target_id": "the order meant",
        "target_is_client_id": "1: target_id is the account's own id, 0: the venue's",
        "client_id": "the account's own id of the new order, 0 none",
        "side": "side",
        "price_ticks": "limit",
        "size_lots": "size",
        "time_in_force": "hlhft.venue.blocks.TimeInForce",
        "reduce_only": "1: only reduces",
        "always_place": "1: place the new order even when the old one is gone",
    },
    ActionKind.PLACE_TRIGGER: {
        "market": "market",
        "client_id": "the account's own id, 0 none",
        "side": "side",
        "price_ticks": "limit, or the worst price of a market order",
        "size_lots": "size",
        "reduce_only": "1: only reduces",
        "builder": "account that gets the builder fee, plus 1; 0 none",
        "builder_rate_e9": "its rate",
        "grouping": "hlhft.venue.blocks.Grouping",
        "trigger_kind": "hlhft.venue.blocks.TriggerKind",
        "trigger_ticks": "mark price from which it counts",
        "trigger_is_market": "1: as a market order",
    },
    ActionKind.SCHEDULE_CANCEL: {"amount": "when, in ns; 0 takes it back"},
    ActionKind.PLACE_TWAP: {
        "market": "market",
        "side": "side",
        "size_lots": "size",
        "reduce_only": "1: only reduces",
        "duration_ns": "how long",
        "randomize": "1: parts of random size",
    },
    ActionKind.CANCEL_TWAP: {"market": "market", "target_id": "the venue's id of the TWAP"},
    ActionKind.NOOP: {},
    ActionKind.UPDATE_LEVERAGE: {
        "market": "market",
        "amount": "leverage",
        "side": "1 cross, 0 isolated",
    },
    ActionKind.UPDATE_ISOLATED_MARGIN: {"market": "market", "amount": "micro-USDC to add, negative to take out"},
    ActionKind.TRANSFER_COLLATERAL: {"counterparty": "account that receives", "amount": "micro-USDC"},
    ActionKind.TRANSFER_CLASS: {"side": "1 from spot to perpetuals, -1 back", "amount": "micro-USDC"},
    ActionKind.TRANSFER_TOKEN: {"counterparty": "account that receives", "token": "token", "amount": "1e-8 of it"},
    ActionKind.DEPOSIT: {
        "token": "0: collateral; else the token that is credited to the spot balance",
        "amount": "micro-USDC of collateral, or 1e-8 of the token",
    },
    ActionKind.WITHDRAW: {"amount": "micro-USDC of collateral, the fee included"},
    ActionKind.ORACLE_PRICE: {"market": "market", "price_ticks": "price"},
    ActionKind.EXTERNAL_MARK: {"market": "market", "price_ticks": "mid elsewhere; 0: none from now on"},
}


@compiled
def _is_price(leg):
    return leg["kind"] == _ORACLE_PRICE or leg["kind"] == _EXTERNAL_MARK


@compiled
def _apply_price(chain, leg, ts_ns):
    """Takes an oracle price or an external mid in."""
    price = chain.prices[leg["market"]]
    if leg["kind"] == _ORACLE_PRICE:
        price["oracle_ticks"] = leg["price_ticks"]
        price["oracle_ns"] = ts_ns
        chain.exchange.marks[leg["market"]] = leg["price_ticks"]
    else:
        price["external_ticks"] = leg["price_ticks"]
        price["external_ns"] = ts_ns
    tell_outcome(chain.exchange, leg, 0, ts_ns)


@compiled
def _deposit(chain, leg):
    amount = leg["amount"]
    if amount <= 0:
        return _INVALID_AMOUNT
    chain.exchange.collateral[leg["account"]] += amount
    chain.state[0]["external_units"] += amount * _UNITS_PER_MICRO
    return 0


@compiled
def _apply_account_leg(chain, leg, ts_ns):
    """Executes a leg that is about an account rather than an order."""
    code = 0
    if leg["expires_ns"] != 0 and ts_ns > leg["expires_ns"]:
        code = _ACTION_EXPIRED
    elif leg["kind"] == _DEPOSIT:
        code = _deposit(chain, leg)
    tell_outcome(chain.exchange, leg, code, ts_ns)


@compiled
def run_block(chain, legs, count, ts_ns):
    """Executes legs[:count] (ACTION_DTYPE, in order of arrival, those of one action adjacent) as the block at `ts_ns`.

    `count` is at most the length of `chain.order`, and `ts_ns` not before the last block's. The caller drains
    `chain.exchange.events` after each block by setting `engine["event_count"]` to 0.
    """
    venue = chain.exchange
    engine = venue.engine[0]
    for row in range(count):
        if _is_price(legs[row]):
            engine["leg"] = row
            _apply_price(chain, legs[row], ts_ns)
    sort_actions(legs, count, chain.order)
    for position in range(count):
        row = chain.order[position]
        leg = legs[row]
        engine["leg"] = row
        if leg["kind"] <= _MODIFY:
            apply_action(venue, leg, ts_ns)
        elif not _is_price(leg):
            _apply_account_leg(chain, leg, ts_ns)
    engine["leg"] = -1
    chain.state[0]["time_ns"] = ts_ns
    chain.state[0]["height"] += 1
