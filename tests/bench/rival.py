"""hftbacktest's side of the comparison; runs in that library's own virtual environment.

    rival.py convert RECORDING OUT TICK LOT    recording -> the library's event array (.npz)
    rival.py once EVENTS STRATEGY              one run as a script would do it: load, compile, build, run
    rival.py serve                             one JSON request a line on stdin, one JSON answer a line on stdout

Requests: {"load": npz}, {"run": name, "repeat": n, "records": path|null, ...parameters}. The two strategies
are the ones of tests/bench/strategies, decision for decision; tests/bench/README.md says what both do.
"""

import gzip
import json
import sys
import time

import numpy as np
from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest
from hftbacktest.data.utils import binancefutures
from hftbacktest.data.validation import correct_event_order, correct_local_timestamp, validate_event_order
from hftbacktest.order import GTX, LIMIT
from hftbacktest.types import (
    BUY_EVENT,
    DEPTH_CLEAR_EVENT,
    DEPTH_EVENT,
    DEPTH_SNAPSHOT_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)
from numba import njit

SELL_ID = 1 << 32
COLUMNS = 9


@njit
def run(hbt, interval, lot_size, order_lots, cap_lots, half, skew, grid, levels, records):
    """Steps through the data; writes one record a decision and returns how many."""
    count = 0
    buys = np.zeros(64, np.int64)
    sells = np.zeros(64, np.int64)
    while hbt.elapse(interval) == 0:
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        state = hbt.state_values(0)
        best_bid, best_ask = depth.best_bid_tick, depth.best_ask_tick
        row = records[count]
        row[0] = hbt.current_timestamp
        row[1], row[2] = best_bid, best_ask
        row[3], row[4], row[5] = state.position, state.balance, state.fee
        row[6], row[7], row[8] = state.num_trades, state.trading_volume, state.trading_value
        count += 1
        if best_bid < 0 or best_ask > 2147483647 or best_bid >= best_ask:
            continue
        position = int(np.round(state.position / lot_size))
        centre = 0.5 * (best_bid + best_ask) - skew * (float(position) / float(order_lots))
        bid = min(np.floor((centre - half) / grid) * grid, np.floor(best_bid / grid) * grid)
        ask = max(np.ceil((centre + half) / grid) * grid, np.ceil(best_ask / grid) * grid)
        bids = levels if position < cap_lots else 0
        asks = levels if position > -cap_lots else 0
        for level in range(levels):
            buys[level] = int(bid - level * grid)
            sells[level] = int(ask + level * grid)
        orders = hbt.orders(0)
        values = orders.values()
        while values.has_next():
            order = values.get()
            if not order.cancellable:
                continue
            wanted = False
            if order.side == 1:
                for level in range(bids):
                    wanted = wanted or order.price_tick == buys[level]
            else:
                for level in range(asks):
                    wanted = wanted or order.price_tick == sells[level]
            if not wanted:
                hbt.cancel(0, order.order_id, False)
        size = order_lots * lot_size
        for level in range(bids):
            if buys[level] not in orders:
                hbt.submit_buy_order(0, buys[level], buys[level] * depth.tick_size, size, GTX, LIMIT, False)
        for level in range(asks):
            if sells[level] + SELL_ID not in orders:
                hbt.submit_sell_order(
                    0, sells[level] + SELL_ID, sells[level] * depth.tick_size, size, GTX, LIMIT, False
                )
    return count


def build(request):
    """The library's backtest over the loaded events, with the request's models."""
    asset = (
        BacktestAsset()
        .data(request["events"])
        .linear_asset(1.0)
        .power_prob_queue_model(2.0)
        .no_partial_fill_exchange()
        .trading_value_fee_model(request["maker"], request["taker"])
        .tick_size(request["tick"])
        .lot_size(request["lot"])
        .roi_lb(request["low"] * request["tick"])
        .roi_ub(request["high"] * request["tick"])
        .last_trades_capacity(0)
    )
    if request.get("history") is not None:
        asset = asset.intp_order_latency(request["history"])
    else:
        asset = asset.constant_order_latency(request["entry_ns"], request["reply_ns"])
    return ROIVectorMarketDepthBacktest([asset])


def once(request, records):
    """Runs one backtest; returns (records written, seconds in the event loop)."""
    hbt = build(request)
    start = time.perf_counter()
    count = run(
        hbt,
        request["interval_ns"],
        request["lot"],
        request["order_lots"],
        request["cap_lots"],
        request["half"],
        request["skew"],
        request["grid"],
        request["levels"],
        records,
    )
    elapsed = time.perf_counter() - start
    hbt.close()
    return count, elapsed


def serve():
    """Answers requests until stdin ends."""
    events, records = None, np.zeros((400_000, COLUMNS))
    for line in sys.stdin:
        request = json.loads(line)
        if "load" in request:
            events = np.load(request["load"])["data"]
            answer = {"rows": len(events)}
        else:
            request["events"] = events
            if request.get("history"):
                request["history"] = history_rows(np.load(request["history"])["history"])
            seconds = []
            for _ in range(request["repeat"]):
                count, elapsed = once(request, records)
                seconds.append(elapsed)
            if request.get("records"):
                np.savez_compressed(request["records"], records=records[:count])
            answer = {"seconds": seconds, "records": count}
        print(json.dumps(answer), flush=True)


def single(events, request):
    """One run of a script that a user would start, with its own compilation."""
    request["events"] = events
    records = np.zeros((400_000, COLUMNS))
    count, seconds = once(request, records)
    print(json.dumps({"records": count, "seconds": seconds}))


def history_rows(history):
    """int64[n, 3] (request, exchange, response) as the library's latency rows."""
    rows = np.zeros(len(history), [("req_ts", "i8"), ("exch_ts", "i8"), ("resp_ts", "i8"), ("_padding", "i8")])
    rows["req_ts"], rows["exch_ts"], rows["resp_ts"] = history.T
    return rows


def convert_spot(source, target):
    """Spot streams, which the library's futures converter cannot read: event time where there is no transaction
    time."""
    rows = []
    newest = 0
    with gzip.open(source, "rt") as lines:
        for line in lines:
            local, message = int(line[:19]), json.loads(line[20:])
            data = message.get("data")
            if data is None:
                for side, flag in (("bids", BUY_EVENT), ("asks", SELL_EVENT)):
                    levels = message[side]
                    rows.append((DEPTH_CLEAR_EVENT | flag, newest, local, float(levels[-1][0]), 0, 0, 0, 0))
                    rows.extend(
                        (DEPTH_SNAPSHOT_EVENT | flag, newest, local, float(p), float(q), 0, 0, 0) for p, q in levels
                    )
            elif data.get("e") == "depthUpdate":
                newest = data["E"] * 1_000_000
                for side, flag in (("b", BUY_EVENT), ("a", SELL_EVENT)):
                    rows.extend((DEPTH_EVENT | flag, newest, local, float(p), float(q), 0, 0, 0) for p, q in data[side])
            elif data.get("e") == "trade":
                newest = data["T"] * 1_000_000
                flag = SELL_EVENT if data["m"] else BUY_EVENT
                rows.append((TRADE_EVENT | flag, newest, local, float(data["p"]), float(data["q"]), 0, 0, 0))
    events = np.array([row for row in rows if row[1] > 0], event_dtype)
    events = correct_local_timestamp(events, 0)
    by_exchange = np.argsort(events["exch_ts"], kind="mergesort")
    by_local = np.argsort(events["local_ts"], kind="mergesort")
    events = correct_event_order(events, by_exchange, by_local)
    validate_event_order(events)
    np.savez_compressed(target, data=events)


if __name__ == "__main__":
    if sys.argv[1] == "convert":
        if "spot" in sys.argv[2]:
            convert_spot(sys.argv[2], sys.argv[3])
        else:
            binancefutures.convert(sys.argv[2], sys.argv[3], buffer_size=2_000_000)
    elif sys.argv[1] == "once":
        single(np.load(sys.argv[2])["data"], json.loads(sys.argv[3]))
    else:
        serve()
