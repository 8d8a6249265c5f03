"""What the soak judges by, and that its strategy moves every order with every wave and none between."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from hlhft.core.state import QUOTE_DTYPE, QUOTES_MAX, VIEW_DTYPE
from hlhft.strategies import load
from tests.bench.soak import QUEUES, STRATEGY, Sample, cpu_s, filled, grows, memory_bytes, missed, tally, waiting_bytes

MARKETS = 50
TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:C350 0100007F:0BB8 01 00000010:00000400 00:00000000 00000000     0        0 2 1 0
   2: 0100007F:C351 0100007F:0BB8 01 00000001:00000002 00:00000000 00000000     0        0 3 1 0
   3: 0100007F:0BB8 0100007F:C350 01 000000FF:000000FF 00:00000000 00000000     0        0 4 1 0
"""


def steady() -> list[Sample]:
    """Ten samples of a run that keeps every promise, a second apart."""
    first = Sample(
        at_s=0.0, cpu_s=10.0, anonymous_bytes=100 << 20, resident_bytes=300 << 20, queues=dict.fromkeys(QUEUES, 3.0),
        latencies_us={"loop lateness": (100.0, 900.0)}, counters={}, quoted=MARKETS, stage="quoting",
    )  # fmt: skip
    return [
        replace(
            first, at_s=float(second), cpu_s=10.0 + 0.4 * second,
            counters={"frames scanned": 1_000 * second, "orders placed": 220 * second},
        )
        for second in range(10)
    ]  # fmt: skip


def test_a_steady_run_misses_nothing() -> None:
    assert missed(steady(), MARKETS) == []
    told = tally(steady(), MARKETS)
    assert "20.0 messages a market" in told and "220.0 orders placed" in told and "40.0% of a core" in told


def test_each_promise_is_judged() -> None:
    good = steady()
    last = good[-1]
    worse = {
        "of a core": replace(last, cpu_s=10.0 + 0.7 * 9),
        "memory grew": replace(last, anonymous_bytes=103 << 20),
        "orders a second": replace(last, counters={**last.counters, "orders placed": 199 * 9}),
        "messages a second": replace(last, counters={**last.counters, "frames scanned": 850 * 9}),
        "p99": replace(last, latencies_us={"loop lateness": (100.0, 2_500.0)}),
        "did not quote": replace(last, stage="halted"),
    }
    for what, sample in worse.items():
        (sentence,) = missed([*good[:-1], sample], MARKETS)
        assert what in sentence
    longer = [replace(sample, queues={**sample.queues, QUEUES[0]: 4.0 * sample.at_s}) for sample in good]
    assert missed(longer, MARKETS) == [f"a queue grows: {QUEUES[0]}"]


def test_memory_is_judged_once_the_tables_are_full() -> None:
    good = steady()
    filling = [replace(sample, anonymous_bytes=(100 + min(second, 3)) << 20) for second, sample in enumerate(good)]
    assert filled(filling) is filling[3], "of nine seconds, a quarter"
    assert missed(filling, MARKETS) == []
    assert "100.0 MiB, +3.00% in the first 3 s, +0.00% in the 6 s since" in tally(filling, MARKETS)
    long = [replace(sample, at_s=100.0 * sample.at_s) for sample in good]
    assert filled(long).at_s == 300.0
    assert filled([replace(sample, at_s=1_000.0 * sample.at_s) for sample in good]).at_s == 1_000.0


def test_a_queue_grows_when_its_end_is_longer_than_its_beginning() -> None:
    assert not grows([5.0] * 9, 0.0)
    assert not grows([1.0, 90.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 90.0], 0.0)
    assert grows([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0], 1.0)
    assert not grows([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0], 2.0)


def test_what_waits_in_the_kernel_is_counted_by_port() -> None:
    assert waiting_bytes(TABLE, 3_000) == (1_026, 17)
    assert waiting_bytes(TABLE, 3_001) == (0, 0)


def test_a_process_is_seen() -> None:
    assert cpu_s(os.getpid()) > 0.0
    assert memory_bytes(os.getpid(), "VmRSS") > memory_bytes(os.getpid(), "RssAnon") > 1 << 20


def test_every_wave_moves_every_order_and_none_moves_between() -> None:
    strategy = load(str(STRATEGY))
    view, quotes = np.zeros(MARKETS, VIEW_DTYPE), np.zeros(QUOTES_MAX, QUOTE_DTYPE)
    view["market"] = np.arange(MARKETS)
    view["best_bid_ticks"], view["best_ask_ticks"] = 1_000_000, 1_000_010
    view["tick_size"], view["lot_size"], view["grid_step_ticks"] = 0.1, 0.001, 1
    params = strategy.params_bytes({})[: strategy.params_dtype.itemsize].view(strategy.params_dtype)[0]
    memory = np.zeros(1, strategy.memory_dtype)[0]
    waves = []
    for now_ns in range(10**9, 3 * 10**9, 10**8):
        view["now_ns"] = now_ns
        count = strategy.quote(view, params, memory, quotes)
        wanted = {(one["market"], one["side"], one["price_ticks"]) for one in quotes[:count]}
        assert len(wanted) == count == QUOTES_MAX
        assert {market for market, _, _ in wanted} == set(range(MARKETS))
        if not waves or wanted != waves[-1]:
            assert not waves or not wanted & waves[-1]
            waves.append(wanted)
    assert len(waves) == 7  # twenty calls, a tenth of a second apart, and a wave with every third
    view["best_ask_ticks"] = 900_000
    count = strategy.quote(view, params, memory, quotes)
    assert 0 < count < QUOTES_MAX
    assert set(quotes["side"][:count].tolist()) == {-1}
