"""One step of the brain: events in, commands out.

`step` takes the events of one received frame, applies them, and decides once, after the last. `decide` is the decision
alone: risk first, then the strategy's quotes, the gate, the match against working orders, the batch. The replay calls
`decide` directly, after it has moved the books by its own compact rows; both give the same commands (tests/core).
"""

from __future__ import annotations

from hlhft.compiled import call_strategy, compiled
from hlhft.core.amend import amend_order
from hlhft.core.batch import collect, release_due, withdraw
from hlhft.core.book import apply_event, read_levels, refresh_touch, without_own
from hlhft.core.budgets import on_account, on_actions, on_answer, on_refused
from hlhft.core.budgets import refresh as refresh_budgets
from hlhft.core.closing import close_all
from hlhft.core.commands import cancel_order, place_order, refuse
from hlhft.core.features import on_frame, on_trade
from hlhft.core.opening import adopt, restore, state_equity, state_position
from hlhft.core.orders import answered_batch, may_cancel
from hlhft.core.orders import apply as apply_order
from hlhft.core.quotes import near_quote, resting_quote, validate, works_at
from hlhft.core.risk import (
    assess,
    check_answers,
    exposure_micro,
    is_stale,
    on_rejection,
    on_sent,
    resume,
    strategy_failed,
    trip,
)
from hlhft.core.signals import KIND_POLICY, KIND_SIGNAL, hear
from hlhft.core.state import VIEW_LEVELS, OrderState
from hlhft.core.view import fill_view, free_touch_ticks
from hlhft.units import grid_step

_IOC = 2
_ACTION_CANCEL_ALL, _ACTION_CLOSE, _ACTION_NO_QUOTES, _ACTION_KEEP = 1, 2, 4, 8
_FAULT_EXCEPTION = 1
_MARKET_KINDS = 8  # event kinds below this are market data
_ORDER_KINDS_FIRST, _ORDER_KINDS_LAST = 16, 34
_KIND_SENT, _KIND_SEND_FAILED, _KIND_TIMER = 32, 33, 65
_KIND_ADOPTED, _KIND_MARKET_STATE = 26, 70
_UNKNOWN, _CANCEL_SENT = int(OrderState.UNKNOWN), int(OrderState.CANCEL_SENT)


@compiled
def prepare_view(data, lane):
    """Writes what never changes during a run into the view: indices, grids and unit sizes."""
    for index in range(len(data.books)):
        view = lane.views[index]
        market = data.markets[index]
        view["market"] = index
        view["tick_size"] = market["tick_size"]
        view["lot_size"] = market["lot_size"]
        view["grid_rule"] = market["grid_rule"]
        view["grid_step_ticks"] = market["grid_step_ticks"]
        view["whole_unit_ticks"] = market["whole_unit_ticks"]
        view["kind"] = market["kind"]
        view["minimum_notional_micro"] = market["minimum_notional_micro"]


@compiled
def update_features(data, lane, market, scratch, mask, ts_ns):
    """Features of a market after a frame, from the book without our own orders.

    Also leaves the first VIEW_LEVELS levels of a ladder book in its level buffer, where the view reads them.
    """
    book = data.books[market]
    bids, asks = scratch[0], scratch[1]
    bid_count = read_levels(data, market, 0, bids)
    ask_count = read_levels(data, market, 1, asks)
    if book["contains_own"] != 0:
        position = lane.positions[market]
        orders, active = lane.orders[market], lane.active[market]
        bid_count = without_own(bids, bid_count, orders, active, position["active_count"], 1)
        ask_count = without_own(asks, ask_count, orders, active, position["active_count"], -1)
    if book["kind"] == 0:
        _show_levels(data.levels[market, book["front"]], bids, asks, bid_count, ask_count)
    step_ticks = step_at(data.markets[market], bids[0]["price_ticks"] if bid_count > 0 else 0)
    on_frame(
        data.features[market], data.feature_memory[market], bids, asks, bid_count, ask_count, step_ticks, ts_ns, mask
    )


@compiled
def _show_levels(front, bids, asks, bid_count, ask_count):
    for level in range(VIEW_LEVELS):
        front[0, level]["price_ticks"] = bids[level]["price_ticks"] if level < bid_count else 0
        front[0, level]["size_lots"] = bids[level]["size_lots"] if level < bid_count else 0
        front[1, level]["price_ticks"] = asks[level]["price_ticks"] if level < ask_count else 0
        front[1, level]["size_lots"] = asks[level]["size_lots"] if level < ask_count else 0


@compiled
def step_at(market, ticks):
    """The market's grid step at a price in ticks (any price below one tick counts as one)."""
    return grid_step(max(ticks, 1), market["grid_rule"], market["grid_step_ticks"], market["whole_unit_ticks"])


@compiled
def _cancel_market(lane, limits, market, out, count):
    position = lane.positions[market]
    active = lane.active[market]
    for index in range(position["active_count"]):
        count = cancel_order(lane, limits, market, active[index], out, count)
    return count


@compiled
def _near(quotes, count, market, order, limits, orders, active, active_count):
    """The place of a quote that the order holds although it stands elsewhere, -1 when none is near enough.

    An order that is on its way out, or that nobody knows of, holds none.
    """
    state = order["state"]
    if state == _UNKNOWN or state == _CANCEL_SENT or order["time_in_force"] == _IOC:
        return -1
    distance = order["price_ticks"] * limits["requote_e6_min"] // 1_000_000
    place = near_quote(
        quotes, count, market, order["side"], order["price_ticks"], distance, orders, active, active_count
    )
    if place >= 0:
        quotes[place]["size_lots"] = -quotes[place]["size_lots"]
    return place


@compiled
def requote(data, lane, limits, count, now_ns, out, commands):
    """Turns the first `count` quotes into commands: cancels first, then placements.

    Matched by price: an order at a wanted price is never touched, so it keeps its place in the queue; a price that an
    order of ours still occupies, whatever its state, gets no second one. A move by `requote_e6_min` or less is not
    worth its action: the order stays. Quotes that an order holds already have their sizes turned negative on the way.
    """
    quotes = lane.quotes
    following = 0
    for market in range(len(data.books)):
        position = lane.positions[market]
        stale = is_stale(data.books[market], limits, now_ns)
        orders, active = lane.orders[market], lane.active[market]
        for index in range(position["active_count"]):
            slot = active[index]
            order = orders[slot]
            ticks = order["price_ticks"] if order["replacement_ticks"] == 0 else order["replacement_ticks"]
            place = resting_quote(quotes, count, following, market, order["side"], ticks)
            if place >= 0:
                quotes[place]["size_lots"] = -abs(quotes[place]["size_lots"])
                following = place + 1
            elif limits["requote_e6_min"] > 0:
                place = _near(quotes, count, market, order, limits, orders, active, position["active_count"])
            if place < 0 and limits["amend"] != 0 and not stale:
                before = commands
                commands = amend_order(data, lane, limits, market, slot, count, now_ns, out, commands)
                if commands > before:
                    continue
            if (stale or place < 0) and may_cancel(orders, slot):
                commands = cancel_order(lane, limits, market, slot, out, commands)
    for index in range(count):
        quote = quotes[index]
        market = quote["market"]
        if quote["size_lots"] <= 0:
            continue
        position = lane.positions[market]
        if works_at(
            lane.orders[market], lane.active[market], position["active_count"], quote["side"], quote["price_ticks"]
        ):
            continue
        if is_stale(data.books[market], limits, now_ns):
            refuse(lane.lane[0], 12)
            continue
        commands = place_order(
            data, lane, limits, market, quote["side"], quote["price_ticks"], quote["size_lots"],
            quote["time_in_force"], quote["reduce_only"], now_ns, out, commands,
        )  # fmt: skip
    return commands


@compiled
def decide(data, lane, limits, now_ns, out):
    """One decision of one lane at `now_ns`: commands into `out`, COMMAND_DTYPE[n]; returns how many.

    The books' touch must be current. Runs the breakers, asks the strategy, lets go or takes back what waited, passes
    the quotes through the gate and matches them with the working orders.
    """
    lane_row = lane.lane[0]
    lane_row["decisions"] += 1
    if limits["address_enforced"] != 0:
        refresh_budgets(lane_row, limits, now_ns)
    if limits["unknown_age_ns_max"] > 0 or limits["acknowledgement_ns_max"] > 0:
        for market in range(len(data.books)):
            count = lane.positions[market]["active_count"]
            check_answers(lane_row, lane.orders[market], lane.active[market], count, limits, now_ns)
    actions = assess(lane_row, lane.positions, data.books, data.markets, limits, now_ns)
    quotes = 0
    if actions == 0:
        fill_view(data, lane, limits, now_ns)
        answered = call_strategy(lane_row["strategy_address"], lane.views, lane.params, lane.memory, lane.quotes)
        fault = _FAULT_EXCEPTION if answered == 0 else validate(lane.quotes, answered - 1, len(data.books))
        if fault != 0:
            lane_row["quote_fault"] = fault
            if fault != _FAULT_EXCEPTION:
                refuse(lane_row, 13)
            strategy_failed(lane_row)
            actions = _ACTION_CANCEL_ALL | _ACTION_NO_QUOTES
        else:
            quotes = answered - 1
    released = 0
    if lane_row["waiting_count"] > 0:
        withdraw(lane, data.books, limits, quotes if actions == 0 else -1, now_ns)
        released = release_due(lane, limits, out, now_ns)
    if limits["exposure_micro_max"] > 0:
        lane_row["exposure_micro"] = exposure_micro(lane.positions, data.books, data.markets)
    fresh = out[released:]
    commands = 0
    if actions & _ACTION_CANCEL_ALL:
        for market in range(len(data.books)):
            commands = _cancel_market(lane, limits, market, fresh, commands)
        if actions & _ACTION_CLOSE:
            commands = close_all(data, lane, limits, now_ns, fresh, commands)
    elif actions & _ACTION_KEEP == 0:
        commands = requote(data, lane, limits, quotes, now_ns, fresh, commands)
    if commands == 0:
        return released
    return released + collect(lane, limits, fresh, commands, now_ns)


@compiled
def apply_account_event(lane, limits, event):
    """Applies an event that is not market data to one lane."""
    lane_row = lane.lane[0]
    kind = int(event["kind"])
    market = int(event["market"])
    position = lane.positions[market]
    if kind == _KIND_SENT:
        on_sent(lane_row, limits, event["aux0"], event["aux1"])
    elif kind == _KIND_SEND_FAILED and event["aux0"] == 1:
        _fail_batch(lane, limits, event["order_id"], event["ts_local_ns"])
    elif kind == _KIND_ADOPTED:
        adopt(
            lane_row, position, lane.orders[market], lane.active[market], event["order_id"], int(event["side"]),
            event["price_ticks"], event["size_lots"], event["aux0"], event["aux1"], event["ts_local_ns"],
        )  # fmt: skip
    elif kind >= _ORDER_KINDS_FIRST and kind <= _ORDER_KINDS_LAST:
        apply_order_news(
            lane, limits, market, kind, event["order_id"], int(event["side"]), event["price_ticks"], event["size_lots"],
            event["aux0"], event["aux1"], 1 if event["flags"] & 8 else 0, event["ts_local_ns"],
        )  # fmt: skip
    elif kind == 48:
        lane_row["margin_value_micro"] = event["price_ticks"]
        lane_row["margin_used_micro"] = event["size_lots"]
        lane_row["maintenance_micro"] = event["order_id"]
        on_account(lane_row, event["aux0"], event["aux1"])
    elif kind == 49:
        lane_row["transfers_micro"] += event["aux0"]
    elif kind == 50:
        position["funding_micro"] += event["aux0"]
    elif kind == 51:
        position["maker_rate_e9"] = event["aux0"]
        position["taker_rate_e9"] = event["aux1"]
    elif kind == 56:
        on_actions(lane_row, event["aux0"])
    elif kind == KIND_SIGNAL or kind == KIND_POLICY:
        hear(lane_row, position, event)
    elif kind == 66:
        lane_row["connected"] = 1
    elif kind == 67:
        if lane_row["connected"] > 0:
            lane_row["connected"] = -1
    elif kind == 68:
        lane_row["venue_mode"] = event["aux0"]
    elif kind == 69:
        _operator(lane_row, event["aux0"], event["ts_local_ns"])
    elif kind == 71:
        state_position(lane_row, position, event["size_lots"], event["price_ticks"])
    elif kind == 72:
        state_equity(lane_row, event["aux0"], event["aux1"] != 0)
    elif kind == 73:
        restore(lane_row, event["aux0"], event["aux1"], event["size_lots"], event["order_id"], event["side"] > 0)


@compiled
def _operator(lane_row, command, now_ns):
    if command == 1:
        resume(lane_row, now_ns)
    elif command == 3:
        strategy_failed(lane_row)
    elif command == 4:
        # No latch: the next session may begin.
        lane_row["stopping"] = 1
    else:
        trip(lane_row, 13, True)
        if command == 2:
            lane_row["must_be_flat"] = 1


@compiled
def apply_order_news(lane, limits, market, kind, order_id, side, ticks, lots, aux0, aux1, maker, ts_ns):
    """What the venue or the gateway said about one order: table, position, budgets and the rejection count."""
    lane_row = lane.lane[0]
    batch_id = answered_batch(lane.orders[market], kind, order_id, aux0)
    if batch_id != 0:
        _land(lane, limits, batch_id)
    apply_order(
        lane_row, lane.positions[market], lane.orders[market], lane.active[market], kind, order_id, side, ticks, lots,
        aux0, aux1, maker, ts_ns,
    )  # fmt: skip
    if kind == 17:
        on_rejection(lane_row, limits, aux0, ts_ns)
    elif kind == 34:
        on_refused(lane_row, limits)


@compiled
def _land(lane, limits, batch_id):
    """The first answer about any order of an action ends its flight: the venue answers an action as a whole."""
    on_answer(lane.lane[0], limits)
    for market in range(len(lane.positions)):
        for index in range(lane.positions[market]["active_count"]):
            order = lane.orders[market, lane.active[market, index]]
            if order["batch_id"] == batch_id:
                order["batch_id"] = 0


@compiled
def _fail_batch(lane, limits, batch_id, ts_ns):
    """A whole action never left, and so none of its commands; without one in flight under this number nothing is."""
    lane_row = lane.lane[0]
    failed = False
    for market in range(len(lane.positions)):
        position, orders, active = lane.positions[market], lane.orders[market], lane.active[market]
        # Backwards: an order that ends takes its entry out of the list.
        for index in range(position["active_count"] - 1, -1, -1):
            order = orders[active[index]]
            if order["batch_id"] == batch_id:
                order["batch_id"] = 0
                failed = True
                apply_order(
                    lane_row, position, orders, active, _KIND_SEND_FAILED, order["order_id"], 0, 0, 0, 0, 0, 0, ts_ns
                )
    if failed:
        on_answer(lane_row, limits)


@compiled
def step(data, lane, limits, scratch, events, count, out):
    """Applies the first `count` events of one frame atomically and decides once; returns the number of commands.

    `limits` LIMITS_DTYPE[1], `scratch` LEVEL_DTYPE[2, LEVELS], `events` EVENT_DTYPE, `out` COMMAND_DTYPE. A decision
    is due when the frame holds market data and `decide_on_frame` is set, an order's fate and `decide_on_fill` is set, a
    timer, a change of connection, venue mode or a market's state, an operator's command, what a session starts from, or
    an action that was sent too late: a stop does not wait for the market. An event of a market that the state does not
    have is a fault, which halts; what a model says of one is only counted.
    """
    rules = limits[0]
    now_ns = 0
    due = False
    touched = -1
    for index in range(count):
        event = events[index]
        kind = int(event["kind"])
        now_ns = max(now_ns, event["ts_local_ns"])
        market = int(event["market"])
        if market >= len(data.books) and (kind == KIND_SIGNAL or kind == KIND_POLICY):
            lane.lane[0]["signals_ignored"] += 1
        elif market >= len(data.books):
            lane.lane[0]["illegal_transitions"] += 1
            due = True
        elif kind < _MARKET_KINDS:
            if kind == 6:
                _note_trade(data, lane, market, event, rules["features"])
            apply_event(data, market, event)
            if touched >= 0 and touched != market:
                _finish_frame(data, lane, touched, scratch, rules["features"], event["ts_local_ns"])
            touched = market
            due = due or rules["decide_on_frame"] != 0
        else:
            if kind == _KIND_MARKET_STATE:
                data.books[market]["market_state"] = event["aux0"]
            apply_account_event(lane, rules, event)
            due = (
                due
                or (kind >= _KIND_TIMER and kind != KIND_POLICY)
                or (kind < _KIND_SENT and rules["decide_on_fill"] != 0)
            )
            due = due or (kind == _KIND_SENT and lane.lane[0]["pause_until_ns"] > event["ts_local_ns"])
    if touched >= 0:
        _finish_frame(data, lane, touched, scratch, rules["features"], now_ns)
    if not due:
        return 0
    return decide(data, lane, rules, now_ns, out)


@compiled
def _note_trade(data, lane, market, event, mask):
    if mask == 0:
        return
    book = data.books[market]
    bid, ask = book["best_bid_ticks"], book["best_ask_ticks"]
    if book["contains_own"] != 0:
        bid, ask = free_touch_ticks(data, lane, market, 0), free_touch_ticks(data, lane, market, 1)
    on_trade(
        data.features[market], data.feature_memory[market], bid, ask, step_at(data.markets[market], bid), event["side"],
        event["price_ticks"], event["size_lots"], event["ts_local_ns"], mask,
    )  # fmt: skip


@compiled
def _finish_frame(data, lane, market, scratch, mask, ts_ns):
    book = data.books[market]
    if book["kind"] == 0:
        refresh_touch(book, data.ladders, data.cells)
    if mask != 0:
        update_features(data, lane, market, scratch, mask, ts_ns)
