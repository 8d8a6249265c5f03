"""What a strategy may see, copied out of the state: it never touches the state itself.

Where the book contains our resting orders (live trading) the view shows it without them, so that a strategy sees the
same market in every world and does not lean on itself.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.book import own_lots_at
from hlhft.core.risk import is_stale
from hlhft.core.signals import E6
from hlhft.core.state import VIEW_LEVELS, OrderState
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below, lots_at

_UNKNOWN = int(OrderState.UNKNOWN)


@compiled
def _unknown_orders(orders, active, active_count):
    """How many orders' fates nobody knows."""
    count = 0
    for index in range(active_count):
        if orders[active[index]]["state"] == _UNKNOWN:
            count += 1
    return count


@compiled
def fill_view(data, lane, limits, now_ns):
    """Copies what the strategy may see into `lane.views`, one record a market."""
    mask = limits["features"]
    lane_row = lane.lane[0]
    for index in range(len(data.books)):
        view = lane.views[index]
        book = data.books[index]
        position = lane.positions[index]
        view["now_ns"] = now_ns
        view["best_bid_ticks"] = book["best_bid_ticks"]
        view["best_ask_ticks"] = book["best_ask_ticks"]
        view["best_bid_lots"] = book["best_bid_lots"]
        view["best_ask_lots"] = book["best_ask_lots"]
        view["book_age_ns"] = now_ns - book["time_local_ns"]
        view["depth_age_ns"] = view["book_age_ns"]
        if book["kind"] != 0:
            # Block times: how much older the deep levels are than the newest of the book.
            view["depth_age_ns"] += book["time_exch_ns"] - book["source_time_ns"][0]
        view["position_lots"] = position["position_lots"]
        view["open_buy_lots"] = position["open_buy_lots"]
        view["open_sell_lots"] = position["open_sell_lots"]
        view["working_orders"] = position["active_count"]
        view["mark_ticks"] = book["mark_ticks"]
        view["oracle_ticks"] = book["oracle_ticks"]
        view["funding_rate_e12"] = book["funding_rate_e12"]
        view["funding_known"] = 1 if book["context_time_ns"] != 0 or book["funding_rate_e12"] != 0 else 0
        view["maker_rate_e9"] = position["maker_rate_e9"]
        view["taker_rate_e9"] = position["taker_rate_e9"]
        view["tradable"] = 0 if is_stale(book, limits, now_ns) else 1
        view["unknown_orders"] = _unknown_orders(lane.orders[index], lane.active[index], position["active_count"])
        view["mode"] = lane_row["mode"]
        view["equity_micro"] = lane_row["equity_micro"]
        view["signal_valid"] = 1 if position["signal_until_ns"] > now_ns else 0
        if view["signal_valid"]:
            view["signal_e9"] = position["signal_e9"]
            view["signal_deviation_e9"] = position["signal_deviation_e9"]
        _fill_policy(view, position, now_ns)
        if mask != 0:
            _fill_features(view, data.features[index], data.levels[index, book["front"]])
        if book["contains_own"] != 0:
            _hide_own(data, lane, index, 0, mask)
            _hide_own(data, lane, index, 1, mask)


@compiled
def _fill_policy(view, position, now_ns):
    """The policy that stands, else the neutral one."""
    if position["policy_until_ns"] > now_ns:
        view["policy_valid"] = 1
        view["policy_gamma_e6"] = position["policy_gamma_e6"]
        view["policy_signal_e6"] = position["policy_signal_e6"]
        view["policy_spread_e6"] = position["policy_spread_e6"]
        view["policy_asymmetry_e6"] = position["policy_asymmetry_e6"]
    else:
        view["policy_valid"] = 0
        view["policy_gamma_e6"] = view["policy_signal_e6"] = view["policy_spread_e6"] = E6
        view["policy_asymmetry_e6"] = 0


@compiled
def _fill_features(view, features, levels):
    seen = view["features"]
    seen["ready"] = features["ready"]
    seen["micro_price"] = features["micro_price"]
    seen["mid_price"] = features["mid_price"]
    seen["vamp"] = features["vamp"]
    seen["trade_imbalance"] = features["trade_imbalance"]
    seen["spread_ticks"] = features["spread_ticks"]
    seen["intensity_a"] = features["intensity_a"]
    seen["intensity_k"] = features["intensity_k"]
    for scale in range(3):
        seen["volatility"][scale] = features["volatility"][scale]
    for level in range(VIEW_LEVELS):
        seen["imbalance"][level] = features["imbalance"][level]
        seen["order_flow_imbalance"][level] = features["order_flow_imbalance"][level]
        view["bid_ticks"][level] = levels[0, level]["price_ticks"]
        view["bid_lots"][level] = levels[0, level]["size_lots"]
        view["ask_ticks"][level] = levels[1, level]["price_ticks"]
        view["ask_lots"][level] = levels[1, level]["size_lots"]


@compiled
def _level_after(data, market, row, place, ticks):
    """Price and lots of the level at `place` from the touch, `ticks` being the one before; (0, 0) past the last."""
    book = data.books[market]
    if book["kind"] != 0:
        if place >= (book["bid_count"] if row == 0 else book["ask_count"]):
            return 0, 0
        level = data.levels[market, book["front"], row, place]
        return level["price_ticks"], level["size_lots"]
    ladder, cells = data.ladders[book["ladder_index"]], data.cells[book["ladder_index"]]
    if row == 0:
        ticks = ladder["best_bid_ticks"] if place == 0 else bid_below(ladder, cells, ticks)
    else:
        ticks = ladder["best_ask_ticks"] if place == 0 else ask_above(ladder, cells, ticks)
    if ticks == BID_NONE or ticks == ASK_NONE:
        return 0, 0
    return ticks, lots_at(ladder, cells, row, ticks)


@compiled
def next_free(data, lane, market, row, place, ticks):
    """The first level from `place` on where more rests than ours: (the place behind it, price, lots of others).

    Price 0 when there is none.
    """
    position = lane.positions[market]
    orders, active = lane.orders[market], lane.active[market]
    side = 1 if row == 0 else -1
    while True:
        ticks, lots = _level_after(data, market, row, place, ticks)
        if ticks == 0:
            return place, 0, 0
        place += 1
        lots -= own_lots_at(orders, active, position["active_count"], side, ticks)
        if lots > 0:
            return place, ticks, lots


@compiled
def free_touch_ticks(data, lane, market, row):
    """The best price of a side (row 0 bids, 1 asks) without our resting orders, 0 when the side is empty."""
    _, ticks, _ = next_free(data, lane, market, row, 0, 0)
    return ticks


@compiled
def _hide_own(data, lane, market, row, mask):
    """Shows one side of a book that contains our resting orders without them: touch, and levels if there are any."""
    view = lane.views[market]
    place, ticks, lots = next_free(data, lane, market, row, 0, 0)
    if row == 0:
        view["best_bid_ticks"], view["best_bid_lots"] = ticks, lots
    else:
        view["best_ask_ticks"], view["best_ask_lots"] = ticks, lots
    if mask == 0:
        return
    for level in range(VIEW_LEVELS):
        _show_level(view, row, level, ticks, lots)
        if ticks != 0:
            place, ticks, lots = next_free(data, lane, market, row, place, ticks)


@compiled
def _show_level(view, row, level, ticks, lots):
    if row == 0:
        view["bid_ticks"][level] = ticks
        view["bid_lots"][level] = lots
    else:
        view["ask_ticks"][level] = ticks
        view["ask_lots"][level] = lots
