"""Liquidation of everybody who is due, as the last thing of a block.

Source: venue reference section 10. What is done to one account, hlhft.venue.liquidation says: market orders into the
book, a fifth of a large position at first, and below two thirds of maintenance margin the take-over by the insurance
vault, account 0, at the mark. An account whose equity is below zero has nothing that could be taken over: its positions
end by auto-deleveraging at the previous mark, and what it still owes the vault bears, of which hlhft.venue.vault tells
more.

Sales and deleveraging move the equity of others, so the take-overs are repeated until none is due or ROUNDS_MAX is
reached. Who is still short then is tried again in the next block.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.adl import INTO_BOOK, TAKEN_OVER, deleverage, equity_micro, move_between
from hlhft.venue.fees import notional_micro
from hlhft.venue.liquidation import ERROR, condition_of, liquidate, take_over_cross, take_over_isolated
from hlhft.venue.margin import APART, ISOLATED, cross_maintenance_micro, maintenance_micro
from hlhft.venue.matching import cancel_all, place_market
from hlhft.venue.outcomes import tell
from hlhft.venue.trade_ledger import book_trades
from hlhft.venue.vault import VAULT, previous_mark, rescue_vault

ROUNDS_MAX = 4

_CROSS = -1
_LIQUIDATION = 55  # hlhft.events.EventKind
_LIQUIDATED = 20  # hlhft.venue.refusals
_MARKET_ORDER, _TAKE_OVER = 1, 2  # hlhft.venue.liquidation.IntentKind
_COVERED, _SHORT = 0, 1  # hlhft.venue.liquidation.Condition
_HEALTHY = 0  # hlhft.venue.liquidation.LiquidationState


@compiled
def maintenance_of(venue, account, bucket):
    """Maintenance margin of the account's cross positions (`bucket` -1) or of an isolated one, by its market."""
    if bucket < 0:
        return cross_maintenance_micro(
            venue.holdings[account], venue.margins[account], venue.markets, venue.marks, venue.tiers
        )
    lots = abs(venue.holdings[account, bucket]["position_lots"])
    return maintenance_micro(venue.tiers[bucket], notional_micro(venue.markets[bucket], venue.marks[bucket], lots))


@compiled
def _cancel_orders(venue, account, bucket, ts_ns):
    if venue.open_orders[account] == 0:
        return
    if bucket >= 0:
        cancel_all(venue, account, bucket, _LIQUIDATED, ts_ns)
        return
    for market in range(len(venue.markets)):
        if venue.margins[account, market]["isolated"] != APART:
            cancel_all(venue, account, market, _LIQUIDATED, ts_ns)


@compiled
def _sell(venue, account, bucket, intent, equity, ts_ns):
    """Sends a market order for the account; returns whether any of it was executed.

    What an isolated position loses beyond its own margin the vault bears, not the account's cross collateral.
    """
    before = venue.collateral[account]
    market, lots = intent["market"], intent["size_lots"]
    held = 1 if intent["side"] < 0 else -1
    row = tell(venue, _LIQUIDATION, account, market, venue.marks[market], 0, INTO_BOOK, equity, ts_ns)
    sold = lots - place_market(venue, account, market, intent["side"], lots, ts_ns)
    if sold == 0 and venue.engine[0]["event_count"] == row + 1:
        venue.engine[0]["event_count"] = row
    else:
        venue.events[row]["size_lots"] = held * sold
    released = venue.collateral[account] - before
    if bucket >= 0 and released < 0:
        venue.collateral[account] -= released
        venue.collateral[VAULT] += released
    return sold > 0


@compiled
def _take_over(chain, account, market, equity, ts_ns):
    """Gives a position to the vault at the mark, or ends it by auto-deleveraging when nothing stands behind it."""
    venue = chain.exchange
    lots = venue.holdings[account, market]["position_lots"]
    if equity < 0:
        book_trades(chain, ts_ns)
        deleverage(chain, account, market, previous_mark(chain, market), ts_ns)
        return
    mark = venue.marks[market]
    tell(venue, _LIQUIDATION, account, market, mark, lots, TAKEN_OVER, equity, ts_ns)
    move_between(venue, account, VAULT, market, mark, abs(lots), ts_ns)


@compiled
def _take_margin(venue, account, bucket, was_negative):
    """Gives the vault what the account is worth after its positions are gone, a debt too; what deleveraging saved stays
    with the account."""
    equity = equity_micro(venue, account, bucket)
    receiver = account if was_negative and equity > 0 else VAULT
    if bucket >= 0:
        take_over_isolated(venue.margins[account, bucket], venue.collateral, receiver, equity)
    elif receiver != account:
        take_over_cross(venue.collateral, account, receiver, equity)


@compiled
def liquidate_bucket(chain, account, bucket, may_sell, ts_ns):
    """Does to the account's cross positions (`bucket` -1) or an isolated one what is due; returns 0 nothing, 1 short
    but nothing could be done, 2 done something.

    Without `may_sell` only take-overs: an account sells once in a block, as what follows a part is for later blocks.
    """
    venue = chain.exchange
    equity = equity_micro(venue, account, bucket)
    maintenance = maintenance_of(venue, account, bucket)
    condition = condition_of(equity, maintenance)
    if condition == _COVERED:
        return 0
    if condition == _SHORT and not may_sell:
        return 1
    record = chain.liquidations[account, bucket if bucket >= 0 else len(venue.markets)]
    count = liquidate(
        record, chain.transitions, equity, maintenance, venue.holdings[account], venue.margins[account], bucket,
        venue.markets, venue.marks, ts_ns, chain.intents,
    )  # fmt: skip
    if count == ERROR:
        chain.state[0]["broken"] += 1
        return 0
    _cancel_orders(venue, account, bucket, ts_ns)
    result = 1
    for row in range(count):
        intent = chain.intents[row]
        if intent["kind"] == _MARKET_ORDER:
            if _sell(venue, account, bucket, intent, equity, ts_ns):
                result = 2
        elif intent["kind"] == _TAKE_OVER:
            _take_over(chain, account, intent["market"], equity, ts_ns)
            result = 2
        else:
            _take_margin(venue, account, bucket, equity < 0)
            # It holds nothing now, so it begins anew.
            record["state"] = _HEALTHY
            result = 2
    return result


@compiled
def liquidate_accounts(chain, ts_ns):
    """Liquidates whoever is due; returns whether somebody stays short."""
    venue = chain.exchange
    short = True
    for number in range(ROUNDS_MAX):
        may_sell = number == 0
        worst = 0
        for account in range(1, len(venue.collateral)):
            worst = max(worst, liquidate_bucket(chain, account, _CROSS, may_sell, ts_ns))
            for market in range(len(venue.markets)):
                margin = venue.margins[account, market]
                if margin["isolated"] == ISOLATED and venue.holdings[account, market]["position_lots"] != 0:
                    worst = max(worst, liquidate_bucket(chain, account, market, may_sell, ts_ns))
        if rescue_vault(chain, ts_ns):
            worst = 2
        book_trades(chain, ts_ns)
        short = worst > 0
        if worst < 2:
            break
    return short
