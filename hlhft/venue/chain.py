"""The whole venue, one block at a time.

Source: venue reference section 8, last bullet. A block at time T: oracle prices and the marks that follow from them,
funding when an hour has passed, the other legs by class and then by arrival, what waits for a price or a time, and the
liquidations that all of this makes necessary. Time and actions come in, events go out, in the order of execution;
each leg causes at least one that tells its outcome.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.units import TICKS_MAX
from hlhft.venue.blocks import ActionKind, sort_actions
from hlhft.venue.conservation import is_conserved
from hlhft.venue.fee_tiers import begin_days, update_rates
from hlhft.venue.funding_payments import pay_funding, sample_premiums
from hlhft.venue.leverage import update_isolated_margin, update_leverage
from hlhft.venue.liquidation_round import liquidate_accounts
from hlhft.venue.matching import apply_action
from hlhft.venue.outcomes import tell, tell_outcome
from hlhft.venue.prices import update_mark
from hlhft.venue.scheduled_cancel import fire_schedules, set_schedule
from hlhft.venue.trade_ledger import book_trades
from hlhft.venue.transfers import deposit, transfer_class, transfer_collateral, transfer_token, withdraw
from hlhft.venue.triggers import fire_triggers
from hlhft.venue.twap import cancel_twap, place_twap, run_twaps
from hlhft.venue.vault import close_positions

# As in hlhft.venue.blocks, hlhft.events and hlhft.venue.refusals; the compiled subset wants plain constants.
_PLACE_TRIGGER, _SCHEDULE_CANCEL, _PLACE_TWAP, _CANCEL_TWAP, _NOOP = 3, 4, 5, 6, 7
_UPDATE_LEVERAGE, _UPDATE_ISOLATED_MARGIN, _TRANSFER_COLLATERAL = 8, 9, 10
_TRANSFER_CLASS, _TRANSFER_TOKEN, _DEPOSIT, _WITHDRAW, _ORACLE_PRICE, _EXTERNAL_MARK = 11, 12, 13, 14, 15, 16
_BACKGROUND_LEVEL = 17
_LEDGER_TRANSFER, _LEVERAGE_CHANGE = 49, 52
_INVALID_PRICE, _ACTION_EXPIRED, _UNKNOWN_ACTION = 10, 13, 48

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
    ActionKind.BACKGROUND_LEVEL: {
        "market": "market",
        "side": "side",
        "price_ticks": "price",
        "size_lots": "lots that the feed has at the level",
        "amount": "lots that it had there before",
    },
    ActionKind.BACKGROUND_TRADE: {
        "market": "market",
        "side": "aggressor",
        "price_ticks": "price",
        "size_lots": "size",
        "counterparty": "account that has the recorded levels",
    },
}


@compiled
def _is_price(leg):
    return leg["kind"] == _ORACLE_PRICE or leg["kind"] == _EXTERNAL_MARK


@compiled
def _apply_price(chain, leg, ts_ns):
    """Takes an oracle price or an external mid in; the oracle makes a new mark due."""
    price = chain.prices[leg["market"]]
    ticks = leg["price_ticks"]
    code = 0
    if leg["kind"] == _ORACLE_PRICE:
        if ticks <= 0 or ticks > TICKS_MAX:
            code = _INVALID_PRICE
        else:
            price["oracle_ticks"] = ticks
            price["oracle_ns"] = ts_ns
            price["mark_due"] = 1
    elif ticks < 0 or ticks > TICKS_MAX:
        code = _INVALID_PRICE
    else:
        price["external_ticks"] = ticks
        price["external_ns"] = ts_ns
    tell_outcome(chain.exchange, leg, code, ts_ns)


@compiled
def _update_marks(chain, ts_ns):
    """Makes the marks that are due: with each oracle price, and when the last one is too old."""
    venue = chain.exchange
    for market in range(len(venue.markets)):
        price = chain.prices[market]
        age_ns = ts_ns - price["mark_ns"]
        if price["mark_due"] == 0 and age_ns < chain.parameters[0]["mark_interval_ns"]:
            continue
        price["mark_due"] = 0
        before = venue.marks[market]
        venue.marks[market] = update_mark(price, venue.ladders[market], before, ts_ns)
        if venue.marks[market] != before:
            chain.state[0]["changed"] = 1


@compiled
def _account_code(chain, leg, ts_ns):
    """Executes a leg that is about an account rather than an order; returns its refusal, 0 when it was done."""
    venue, kind, account, amount = chain.exchange, leg["kind"], leg["account"], leg["amount"]
    if kind == _UPDATE_LEVERAGE:
        code = update_leverage(venue, account, leg["market"], amount, leg["side"])
        if code == 0:
            tell(venue, _LEVERAGE_CHANGE, account, leg["market"], 0, 0, amount, leg["side"], ts_ns)
        return code
    if kind == _UPDATE_ISOLATED_MARGIN:
        return update_isolated_margin(venue, account, leg["market"], amount)
    if kind == _TRANSFER_COLLATERAL:
        code = transfer_collateral(venue, account, leg["counterparty"], amount)
        if code == 0:
            tell(venue, _LEDGER_TRANSFER, account, 0, 0, 0, -amount, 0, ts_ns)
            tell(venue, _LEDGER_TRANSFER, leg["counterparty"], 0, 0, 0, amount, 0, ts_ns)
        return code
    if kind == _TRANSFER_CLASS:
        code = transfer_class(venue, account, leg["side"], amount)
        if code == 0:
            tell(venue, _LEDGER_TRANSFER, account, 0, 0, 0, amount if leg["side"] > 0 else -amount, 0, ts_ns)
        return code
    if kind == _TRANSFER_TOKEN:
        return transfer_token(venue, account, leg["counterparty"], leg["token"], amount)
    if kind == _DEPOSIT:
        code = deposit(chain, account, leg["token"], amount)
        if code == 0 and leg["token"] == 0:
            tell(venue, _LEDGER_TRANSFER, account, 0, 0, 0, amount, 0, ts_ns)
        return code
    if kind == _WITHDRAW:
        code = withdraw(chain, account, amount)
        if code == 0:
            tell(venue, _LEDGER_TRANSFER, account, 0, 0, 0, -amount, 0, ts_ns)
        return code
    return _UNKNOWN_ACTION


@compiled
def _apply_account_leg(chain, leg, ts_ns):
    venue, kind = chain.exchange, leg["kind"]
    if leg["expires_ns"] != 0 and ts_ns > leg["expires_ns"]:
        tell_outcome(venue, leg, _ACTION_EXPIRED, ts_ns)
        return
    # Those that wait for a time tell what became of them themselves.
    if kind == _SCHEDULE_CANCEL:
        set_schedule(venue, chain.schedules, leg, chain.fees.traded_micro[leg["account"]], ts_ns)
        return
    if kind == _PLACE_TWAP:
        place_twap(venue, chain.twaps, leg, ts_ns)
        return
    if kind == _CANCEL_TWAP:
        cancel_twap(venue, chain.twaps, leg, ts_ns)
        return
    code = _account_code(chain, leg, ts_ns)
    if code == 0:
        chain.state[0]["changed"] = 1
    tell_outcome(venue, leg, code, ts_ns)


@compiled
def _begin_block(chain, legs, count, ts_ns):
    """Prices, marks, funding and fee tiers: what stands before the actions of clients."""
    venue, state = chain.exchange, chain.state[0]
    state["events_booked"] = venue.engine[0]["event_count"]
    for row in range(count):
        if _is_price(legs[row]):
            venue.engine[0]["leg"] = row
            _apply_price(chain, legs[row], ts_ns)
    venue.engine[0]["leg"] = -1
    _update_marks(chain, ts_ns)
    last_ns = state["time_ns"]
    sample_premiums(venue, chain.prices, chain.funding, last_ns, ts_ns)
    if pay_funding(venue, chain.prices, chain.funding, last_ns, ts_ns):
        state["changed"] = 1
    if begin_days(chain.fees, last_ns, ts_ns):
        update_rates(chain.fees, venue, ts_ns, 0)


@compiled
def _execute_legs(chain, legs, count, ts_ns):
    engine = chain.exchange.engine[0]
    sort_actions(legs, count, chain.order)
    for position in range(count):
        row = chain.order[position]
        leg = legs[row]
        engine["leg"] = row
        if leg["kind"] <= _PLACE_TRIGGER or leg["kind"] == _NOOP or leg["kind"] >= _BACKGROUND_LEVEL:
            apply_action(chain.exchange, leg, ts_ns)
        elif not _is_price(leg):
            _apply_account_leg(chain, leg, ts_ns)
    engine["leg"] = -1


@compiled
def _end_block(chain, ts_ns):
    """Books, liquidates, and checks that nothing was made or lost."""
    venue, state = chain.exchange, chain.state[0]
    if book_trades(chain, ts_ns) > 0:
        state["changed"] = 1
    if state["changed"] != 0:
        state["changed"] = 1 if liquidate_accounts(chain, ts_ns) else 0
    if chain.parameters[0]["fee_tiers_at_once"] != 0:
        update_rates(chain.fees, venue, ts_ns, 1)
    state["time_ns"] = ts_ns
    state["height"] += 1
    if not is_conserved(chain) or venue.engine[0]["dropped"] != 0:
        state["broken"] += 1


@compiled
def run_block(chain, legs, count, ts_ns):
    """Executes legs[:count] (ACTION_DTYPE, in order of arrival, those of one action adjacent) as the block at `ts_ns`.

    `count` is at most the length of `chain.order`, `ts_ns` not before the last block's; accounts and markets of the
    legs exist. The caller drains `chain.exchange.events` after each block by setting `engine["event_count"]` to 0.
    `chain.state[0]["broken"]` stays 0, or the ledger is wrong.
    """
    _begin_block(chain, legs, count, ts_ns)
    _execute_legs(chain, legs, count, ts_ns)
    fire_triggers(chain.exchange, ts_ns)
    run_twaps(chain.exchange, chain.twaps, ts_ns)
    fire_schedules(chain.exchange, chain.schedules, ts_ns)
    if chain.parameters[0]["vault_closes"] != 0:
        close_positions(chain.exchange, ts_ns)
    _end_block(chain, ts_ns)
