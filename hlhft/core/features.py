"""What the book and the tape say, as numbers a strategy can use; only what it declares is computed.

- micro-price: the touch weighted by the opposite size (Gatheral and Oomen, 2010).
- imbalance: (bid lots - ask lots) / (bid lots + ask lots), cumulative to each level.
- order-flow imbalance: Cont, Kukanov and Stoikov (2014) per level between frames, decayed with a half-life of 1 s.
- trade imbalance: signed over total volume, decayed with a half-life of 5 s.
- volatility: root of the time-weighted EWMA of squared mid moves per second, half-lives 1, 10 and 60 s, in ticks.
- VAMP: prices weighted by the opposite side's size at the same level.
- intensity: trades reaching a distance from the mid, lambda(d) = A exp(-k d), regressed on decayed counts, bounded.

Memory is float64[128] a market, laid out by the constants below; times are kept in seconds since the whole second of
the market's first event, so nothing depends on the epoch. Prices and distances in ticks. No value is ever NaN or
infinite: a feature without data is 0 and its bit of `ready` is not set. Mid and spread come with every feature.
"""

from __future__ import annotations

import math

from hlhft.compiled import compiled
from hlhft.core.state import VIEW_LEVELS

FEATURE_MEMORY = 128
LN2 = 0.6931471805599453
OFI_HALF_LIFE_S = 1.0
TRADE_HALF_LIFE_S = 5.0
INTENSITY_HALF_LIFE_S = 300.0
INTENSITY_BINS = 12
INTENSITY_SECONDS_MIN = 30.0  # exposure before a fit counts
INTENSITY_COUNT_MIN = 3.0  # trades a bin needs to take part
A_MIN, A_MAX = 1e-3, 1e3  # fills per second
K_MIN, K_MAX = 1e-4, 10.0  # per tick
VOLATILITY_SECONDS_MIN = 5.0

_MICRO, _IMBALANCE, _OFI, _TRADES, _VOLATILITY, _VAMP, _INTENSITY = 1, 2, 4, 8, 16, 32, 64

# Layout of the memory.
_STARTED, _ORIGIN_S, _FRAME_S, _MID, _ELAPSED = 0, 1, 2, 3, 4
_VARIANCE = 5  # three
_TRADE_S, _SIGNED, _TOTAL = 8, 9, 10
_OFI_S, _HAS_PREVIOUS = 11, 12
_PREVIOUS = 16  # bid prices, bid lots, ask prices, ask lots: four times VIEW_LEVELS
_INTENSITY_S, _EXPOSURE, _FIT_S = 48, 49, 50
_COUNTS = 52  # INTENSITY_BINS


@compiled
def _seconds(memory, ts_ns):
    """Seconds since the whole second of the market's first event."""
    whole = ts_ns // 1_000_000_000
    fraction = float(ts_ns - whole * 1_000_000_000) * 1e-9
    if memory[_STARTED] == 0.0:
        memory[_STARTED] = 1.0
        memory[_ORIGIN_S] = float(whole)
        memory[_INTENSITY_S] = fraction  # trades are counted from here on, so exposure runs from here on
    return (float(whole) - memory[_ORIGIN_S]) + fraction


@compiled
def decay_over(elapsed_s, half_life_s):
    """What is left of a weight after `elapsed_s`, 0..1; time that runs backwards takes nothing."""
    return math.exp(-LN2 * max(elapsed_s, 0.0) / half_life_s)


@compiled
def on_trade(features, memory, best_bid_ticks, best_ask_ticks, step_ticks, side, ticks, lots, ts_ns, mask):
    """A trade of `lots` at `ticks` by an aggressor on `side`; the touch is the one we believed in when it arrived."""
    now_s = _seconds(memory, ts_ns)
    if mask & _TRADES:
        decay = decay_over(now_s - memory[_TRADE_S], TRADE_HALF_LIFE_S)
        memory[_TRADE_S] = now_s
        memory[_SIGNED] = memory[_SIGNED] * decay + side * float(lots)
        memory[_TOTAL] = memory[_TOTAL] * decay + float(lots)
        if memory[_TOTAL] > 0.0:
            features["trade_imbalance"] = memory[_SIGNED] / memory[_TOTAL]
            features["ready"] |= _TRADES
    if mask & _INTENSITY and best_bid_ticks > 0 and best_ask_ticks > 0:
        _age_intensity(memory, now_s)
        distance = (float(ticks) - 0.5 * float(best_bid_ticks + best_ask_ticks)) * side / float(step_ticks)
        reached = int(min(max(distance + 0.5, 0.0), float(INTENSITY_BINS)))
        for index in range(reached):
            memory[_COUNTS + index] += 1.0


@compiled
def _age_intensity(memory, now_s):
    decay = decay_over(now_s - memory[_INTENSITY_S], INTENSITY_HALF_LIFE_S)
    memory[_INTENSITY_S] = now_s
    # What a second of exposure is worth decays as the trades in it do, within the elapsed time too.
    memory[_EXPOSURE] = memory[_EXPOSURE] * decay + (1.0 - decay) * (INTENSITY_HALF_LIFE_S / LN2)
    for index in range(INTENSITY_BINS):
        memory[_COUNTS + index] *= decay


@compiled
def _fit_intensity(features, memory, step_ticks, now_s):
    """Least squares of ln(count / exposure) on distance; at most once a second."""
    if memory[_EXPOSURE] < INTENSITY_SECONDS_MIN or now_s - memory[_FIT_S] < 1.0:
        return
    memory[_FIT_S] = now_s
    _age_intensity(memory, now_s)
    n = sx = sy = sxx = sxy = 0.0
    for index in range(INTENSITY_BINS):
        count = memory[_COUNTS + index]
        if count < INTENSITY_COUNT_MIN:
            break
        x = (index + 0.5) * float(step_ticks)
        y = math.log(count / memory[_EXPOSURE])
        n += 1.0
        sx += x
        sy += y
        sxx += x * x
        sxy += x * y
    determinant = n * sxx - sx * sx
    if n < 2.0 or determinant <= 0.0:
        return
    slope = (n * sxy - sx * sy) / determinant
    level = min(max((sy - slope * sx) / n, -50.0), 50.0)
    features["intensity_a"] = min(max(math.exp(level), A_MIN), A_MAX)
    features["intensity_k"] = min(max(-slope, K_MIN), K_MAX)
    features["ready"] |= _INTENSITY


@compiled
def averaged(average, value, elapsed_s, half_life_s):
    """A decayed average of what held for `elapsed_s`, after it; it starts from 0."""
    decay = decay_over(elapsed_s, half_life_s)
    return average * decay + value * (1.0 - decay)


@compiled
def deviation(variance, observed_s, half_life_s):
    """The root of an average that started from 0 `observed_s` ago; 0 when nothing was observed."""
    # Dividing by the weight so far takes out the pull toward the zero it started from.
    weight = 1.0 - decay_over(observed_s, half_life_s)
    return math.sqrt(variance / weight) if weight > 0.0 else 0.0


@compiled
def micro_price(bid_ticks, bid_lots, ask_ticks, ask_lots):
    """The touch weighted by the opposite size; the lots of both sides together must be above 0."""
    return (bid_ticks * ask_lots + ask_ticks * bid_lots) / (bid_lots + ask_lots)


@compiled
def _update_volatility(features, memory, mid, now_s):
    elapsed_s = now_s - memory[_FRAME_S]
    before = memory[_MID]
    if before > 0.0 and elapsed_s == 0.0:
        return  # several frames of one time are one move, which the next time sees whole
    memory[_FRAME_S] = now_s
    memory[_MID] = mid
    if before == 0.0 or elapsed_s < 0.0:
        return
    move = mid - before
    rate = move * move / elapsed_s
    memory[_ELAPSED] += elapsed_s
    half_life = 1.0
    for scale in range(3):
        memory[_VARIANCE + scale] = averaged(memory[_VARIANCE + scale], rate, elapsed_s, half_life)
        features["volatility"][scale] = deviation(memory[_VARIANCE + scale], memory[_ELAPSED], half_life)
        half_life = 10.0 if scale == 0 else 60.0
    if memory[_ELAPSED] >= VOLATILITY_SECONDS_MIN:
        features["ready"] |= _VOLATILITY


@compiled
def level_flow(price, lots, before_price, before_lots):
    """Signed change of demand at a level whose price counts upward as better."""
    flow = 0.0
    if price >= before_price:
        flow += lots
    if price <= before_price:
        flow -= before_lots
    return flow


@compiled
def _update_flow(features, memory, bids, asks, depth, now_s):
    decay = decay_over(now_s - memory[_OFI_S], OFI_HALF_LIFE_S)
    memory[_OFI_S] = now_s
    known = memory[_HAS_PREVIOUS]
    for level in range(VIEW_LEVELS):
        at = _PREVIOUS + 4 * level
        flow = 0.0
        if level < depth:
            bid, bid_lots = float(bids[level]["price_ticks"]), float(bids[level]["size_lots"])
            ask, ask_lots = float(asks[level]["price_ticks"]), float(asks[level]["size_lots"])
            if level < known:
                flow = level_flow(bid, bid_lots, memory[at], memory[at + 1])
                flow -= level_flow(-ask, ask_lots, -memory[at + 2], memory[at + 3])
            memory[at], memory[at + 1], memory[at + 2], memory[at + 3] = bid, bid_lots, ask, ask_lots
        features["order_flow_imbalance"][level] = features["order_flow_imbalance"][level] * decay + flow
    memory[_HAS_PREVIOUS] = float(depth)
    if known > 0.0:
        features["ready"] |= _OFI


@compiled
def _update_depth(features, bids, asks, depth, mask):
    bid_total = ask_total = weighted = 0.0
    for level in range(VIEW_LEVELS):
        if level < depth:
            bid_lots, ask_lots = float(bids[level]["size_lots"]), float(asks[level]["size_lots"])
            bid_total += bid_lots
            ask_total += ask_lots
            weighted += float(bids[level]["price_ticks"]) * ask_lots + float(asks[level]["price_ticks"]) * bid_lots
        if mask & _IMBALANCE and bid_total + ask_total > 0.0:
            features["imbalance"][level] = (bid_total - ask_total) / (bid_total + ask_total)
    if bid_total + ask_total > 0.0:
        if mask & _VAMP:
            features["vamp"] = weighted / (bid_total + ask_total)
        features["ready"] |= mask & (_IMBALANCE | _VAMP)


@compiled
def on_frame(features, memory, bids, asks, bid_count, ask_count, step_ticks, ts_ns, mask):
    """The book after a frame: `bids` and `asks` LEVEL_DTYPE arrays from the touch, without our own size.

    A one-sided or crossed book changes nothing but the clock.
    """
    now_s = _seconds(memory, ts_ns)
    if bid_count == 0 or ask_count == 0:
        return
    bid, ask = float(bids[0]["price_ticks"]), float(asks[0]["price_ticks"])
    if bid >= ask:
        return
    bid_lots, ask_lots = float(bids[0]["size_lots"]), float(asks[0]["size_lots"])
    mid = 0.5 * (bid + ask)
    features["mid_price"] = mid
    features["spread_ticks"] = ask - bid
    if mask & _MICRO and bid_lots + ask_lots > 0.0:
        features["micro_price"] = micro_price(bid, bid_lots, ask, ask_lots)
        features["ready"] |= _MICRO
    depth = min(bid_count, ask_count, VIEW_LEVELS)
    if mask & (_IMBALANCE | _VAMP):
        _update_depth(features, bids, asks, depth, mask)
    if mask & _OFI:
        _update_flow(features, memory, bids, asks, depth, now_s)
    if mask & _VOLATILITY:
        _update_volatility(features, memory, mid, now_s)
    if mask & _INTENSITY:
        _age_intensity(memory, now_s)
        _fit_intensity(features, memory, step_ticks, now_s)
