"""The replay loop: who knows what when, in which order, and where it ends. Times in milliseconds, money by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest import replay as replays
from hlhft.backtest.latency import constant
from hlhft.backtest.replay import ReplayError, run
from hlhft.core.risk import Breaker
from hlhft.core.state import Feature, Mode, OrderState
from hlhft.events import EVENT_DTYPE, EventKind
from tests.backtest.scenarios import (
    ALO,
    BLOCKS,
    BOOK,
    BUY,
    CROSSED,
    GTC,
    HOUR_MS,
    IOC,
    LIVELY,
    MS,
    ORIGIN_NS,
    QUEUE,
    SELL,
    TAKER,
    THROUGH,
    Fill,
    Order,
    Pieces,
    Scenario,
    bytes_of,
    fills_of,
    memory,
    ns,
    position,
    random_events,
    seen_apart,
)

# Latency.


def test_an_order_does_not_meet_what_happens_before_it_arrives():
    """Sent at 0, it arrives at 2: the trade at 1 passes, the one at 3 fills it, and we know at 3 + 4 = 7."""
    table = f"{BOOK}\n 1 trade sell 100 1\n 3 trade sell 100 1\n 20 level buy 99.9 4"
    output = Scenario(tables=[table], scripts=[[Order(0, 10, BUY, "100", "1")]], entry_ms=2, reply_ms=4).run()
    # 100 USDC x 1.5 bp = 0.015 USDC.
    assert fills_of(output) == [Fill(3, 7, BUY, "100", "1", 15_000, QUEUE)]


def test_we_act_when_the_feed_reaches_us_and_not_when_it_happens():
    """The book is ours at 50, so the order is at the venue at 52: a trade at 51 passes, one at 53 does not."""
    table = f"{BOOK}\n 51 trade sell 100 1\n 53 trade sell 100 1"
    output = Scenario(tables=[table], scripts=[[Order(0, 90, BUY, "100", "1")]], delay_ms=50, entry_ms=2).run()
    assert [fill.at_ms for fill in fills_of(output)] == [53]
    assert memory(output)[1] == 50


def test_data_at_the_very_moment_of_arrival_comes_before_the_order():
    """The order arrives at 2 with a trade at 2: recorded data of one moment comes first."""
    table = f"{BOOK}\n 2 trade sell 100 1\n 3 trade sell 100 0.4"
    output = Scenario(tables=[table], scripts=[[Order(0, 10, BUY, "100", "1")]], entry_ms=2).run()
    assert [(fill.at_ms, fill.size) for fill in fills_of(output)] == [(3, "0.4")]


def test_a_cancel_under_way_loses_the_race():
    """No longer wanted from 30 on; the cancel reaches the venue at 35, after the trade at 33 has filled the order."""
    table = f"{BOOK}\n 30 level buy 99.9 4\n 33 trade sell 100 1\n 60 level buy 99.9 3"
    output = Scenario(tables=[table], scripts=[[Order(0, 25, BUY, "100", "1")]], entry_ms=5, reply_ms=5).run()
    assert fills_of(output) == [Fill(33, 38, BUY, "100", "1", 15_000, QUEUE)]
    assert output.lanes.lane[0, 0]["cancelled"] == 1
    assert output.lanes.positions[0, 0]["active_count"] == 0
    assert output.lanes.lane[0, 0]["illegal_transitions"] == 0


def test_a_cancel_that_arrives_first_saves_us():
    table = f"{BOOK}\n 30 level buy 99.9 4\n 36 trade sell 100 1\n 60 level buy 99.9 3"
    output = Scenario(tables=[table], scripts=[[Order(0, 25, BUY, "100", "1")]], entry_ms=5, reply_ms=5).run()
    assert fills_of(output) == []
    assert output.lanes.positions[0, 0]["open_buy_lots"] == 0


def test_an_answer_wakes_us_only_where_the_strategy_asks_for_it():
    """Filled at 3 and told at 7. Woken, it is asked at 0, at 6 (acknowledged) and 7, and quotes anew; else at 0 and
    20."""
    table = f"{BOOK}\n 3 trade sell 100 1\n 20 level buy 99.9 4\n 40 level buy 99.9 5"
    script = [[Order(0, 15, BUY, "100", "1")]]
    woken = Scenario(tables=[table], scripts=script, entry_ms=2, reply_ms=4).run()
    asleep = Scenario(tables=[table], scripts=script, entry_ms=2, reply_ms=4, limits={"decide_on_fill": 0}).run()
    assert woken.lanes.lane[0, 0]["placed"] == 2
    assert asleep.lanes.lane[0, 0]["placed"] == 1
    assert fills_of(woken) == fills_of(asleep)
    assert memory(asleep)[0] == 3  # at 0, 3 and 20; at 40 there is nothing left to come


# Fills.


def test_a_queue_is_used_up_by_trades_before_we_are_reached():
    """3 lie ahead: a trade of 2 leaves 1, the next of 2 takes it and 1 of ours; then the rest is cancelled."""
    table = f"{BOOK}\n 0 level buy 99.95 3\n 10 trade sell 99.95 2\n 20 trade sell 99.95 2\n 30 trade sell 99.95 0.5"
    output = Scenario(tables=[table], scripts=[[Order(0, 15, BUY, "99.95", "1.5")]], limits={"decide_on_fill": 0}).run()
    # 99.95 x 1 x 1.5 bp = 14,992.5, truncated.
    first = Fill(20, 20, BUY, "99.95", "1", 14_992, QUEUE)
    assert fills_of(output) == [first]
    assert output.fills[["front_at_entry", "front"]].tolist() == [(3000.0, 1000.0)]


def test_a_trade_through_our_price_fills_at_our_price():
    """A seller reaches 99.8, so he must have met our bid at 99.95, for no more than he sold."""
    table = f"{BOOK}\n 0 level buy 99.95 3\n 10 trade sell 99.8 0.7\n 20 level buy 99.9 5"
    output = Scenario(tables=[table], scripts=[[Order(0, 15, BUY, "99.95", "1")]], limits={"decide_on_fill": 0}).run()
    # 99.95 x 0.7 x 1.5 bp = 10,494.75.
    assert fills_of(output) == [Fill(10, 10, BUY, "99.95", "0.7", 10_494, THROUGH)]


def test_the_other_side_coming_to_rest_at_our_price_fills_us():
    table = f"{BOOK}\n 10 level sell 100 0.4\n 20 level buy 99.9 4"
    output = Scenario(tables=[table], scripts=[[Order(0, 5, BUY, "100", "1")]], limits={"decide_on_fill": 0}).run()
    assert fills_of(output) == [Fill(10, 10, BUY, "100", "0.4", 6_000, CROSSED)]


def test_a_taker_walks_the_book_and_pays_the_taker_rate():
    """1 at 100.1 and 1 of 2 at 100.2: 100.1 x 4.5 bp = 0.045045 and 100.2 x 4.5 bp = 0.04509 USDC."""
    table = "0 level buy 99.9 5\n0 level sell 100.1 1\n0 level sell 100.2 2\n20 level buy 99.9 4"
    output = Scenario(tables=[table], scripts=[[Order(0, 5, BUY, "100.2", "2", IOC)]], limits={"decide_on_fill": 0})
    done = output.run()
    assert fills_of(done) == [
        Fill(0, 0, BUY, "100.1", "1", 45_045, TAKER),
        Fill(0, 0, BUY, "100.2", "1", 45_090, TAKER),
    ]
    row = done.lanes.positions[0, 0]
    assert (row["cash_quanta"], row["taker_quanta"], row["fee_micro"]) == (-200_300_000, 200_300_000, 90_135)


def test_a_post_only_order_never_takes():
    table = f"{BOOK}\n 0 level sell 100.05 1\n 20 level buy 99.9 4"
    output = Scenario(tables=[table], scripts=[[Order(0, 5, BUY, "100.05", "1", ALO)]]).run()
    assert fills_of(output) == []
    assert output.lanes.lane[0, 0]["orders_open"] == 0


def test_a_good_till_cancelled_order_takes_what_it_reaches_and_rests_with_the_rest():
    table = f"{BOOK}\n 0 level sell 100.05 0.5\n 10 trade sell 100.05 0.2\n 20 level buy 99.9 4"
    scenario = Scenario(tables=[table], scripts=[[Order(0, 15, BUY, "100.05", "1", GTC)]])
    # 100.05 x 0.5 x 4.5 bp = 22,511.25 as taker; 100.05 x 0.2 x 1.5 bp = 3,001.5 as maker.
    assert fills_of(scenario.run()) == [
        Fill(0, 0, BUY, "100.05", "0.5", 22_511, TAKER),
        Fill(10, 10, BUY, "100.05", "0.2", 3_001, QUEUE),
    ]


def test_a_reduce_only_order_closes_and_never_turns():
    """Long 1 and asked to sell 3 reduce-only: 1 is sold."""
    table = f"{BOOK}\n 5 trade sell 100 1\n 20 level buy 99.9 4\n 30 level buy 99.9 3"
    script = [Order(0, 6, BUY, "100", "1"), Order(15, 25, SELL, "99.9", "3", IOC, reduce_only=True)]
    output = Scenario(tables=[table], scripts=[script]).run()
    assert [(fill.side, fill.size) for fill in fills_of(output)] == [(BUY, "1"), (SELL, "1")]
    assert position(output) == 0


def test_a_lane_pays_its_own_fees():
    """The same fill of 100 USDC at +1.5 bp, at nothing and at a rebate of 0.3 bp."""
    table = f"{BOOK}\n 3 trade sell 100 1\n 20 level buy 99.9 4"
    scenario = Scenario(tables=[table], scripts=[[Order(0, 2, BUY, "100", "1")]] * 3)
    output = scenario.run(fees_e9=[(150_000, 450_000), (0, 280_000), (-30_000, 240_000)])
    assert [fills_of(output, lane=lane)[0].fee_micro for lane in range(3)] == [15_000, 0, -3_000]
    assert output.lanes.positions["fee_micro"][:, 0].tolist() == [15_000, 0, -3_000]


# Drawdown, batches.


def test_a_drawdown_closes_the_position_at_market():
    """5 bought at 100 with 1000 USDC; at a mark of 93 equity is 1000 - 35 - 0.075: 3.5 % below its peak of 1000."""
    table = f"""{BOOK}
        5 trade sell 100 5
        20 context 100 100 0
        30 level buy 92.9 20
        30 clear buy 99
        30 context 93 93 0
        40 level buy 92.9 19
        50 trade sell 92.9 1
        60 level buy 92.9 20"""
    scenario = Scenario(
        tables=[table],
        scripts=[[Order(0, 10, BUY, "100", "5")]],
        limits={"drawdown_e6_max": 30_000},
        plan={"capital_micro": 1_000_000_000, "enforce_margin": False},
    )
    output = scenario.run()
    # 92.9 x 5 x 4.5 bp = 0.209025 USDC.
    assert fills_of(output)[-1] == Fill(30, 30, SELL, "92.9", "5", 209_025, TAKER)
    lane = output.lanes.lane[0, 0]
    assert (lane["mode"], lane["halt_code"]) == (Mode.HALTED, Breaker.DRAWDOWN)
    assert position(output) == 0
    assert lane["placed"] == 3  # the first, the one that followed its fill, and the close


def test_placements_wait_for_the_answer_to_the_one_before_at_most_a_window():
    """One at 0 is answered at 10, so we know that answers take 10. Those of 20 and 21 are one action that leaves at 20
    and the next, held back until 21 + 4."""
    table = f"{BOOK}\n 20 level buy 99.9 4\n 21 level buy 99.9 3\n 60 level buy 99.9 2"
    script = [Order(0, 90, BUY, "99.5", "1"), Order(19, 90, BUY, "99.4", "1"), Order(20.5, 90, BUY, "99.3", "1")]
    replay = Scenario(
        tables=[table],
        scripts=[script],
        entry_ms=5,
        reply_ms=5,
        limits={"batch_window_ns": 4 * MS, "batch_busy_ns_max": 1000 * MS},
    ).prepared()
    run(replay)
    sent = replay.bus.requests[0, : replay.bus.lines[0]["request_tail"]]["sent_ns"]
    assert ((sent - ORIGIN_NS) / MS).tolist() == [0, 20, 25]


def test_what_still_waits_when_a_lane_ends_does_not_hold_up_the_others():
    """The first lane's third order waits until the answer to the second is due, at 30; that is its end, as the rows are
    over. The second lane's answer comes at 31, and the run must get there."""
    table = f"{BOOK}\n 20 level buy 99.9 4\n 21 level buy 99.9 3"
    waiting = [Order(0, 1e6, BUY, "99.5", "1"), Order(19, 1e6, BUY, "99.4", "1"), Order(20.5, 1e6, BUY, "99.3", "1")]
    output = Scenario(
        tables=[table],
        scripts=[waiting, [Order(19, 1e6, BUY, "99.2", "1"), Order(20.5, 1e6, BUY, "99.1", "1")]],
        entry_ms=5,
        reply_ms=5,
        limits={"batch_window_ns": 40 * MS, "batch_busy_ns_max": 1000 * MS},
    ).run()
    assert output.lanes.lane[:, 0]["waiting_count"].tolist() == [1, 0]
    assert output.lanes.orders["state"][1, 0].tolist().count(OrderState.OPEN) == 2


# Timers, records, the end.


def test_a_timer_decides_at_its_own_beat():
    """Rows from 0 to 95: asked at 10, 20 … 90, and not at 100, when nothing is left to come."""
    table = BOOK + "\n".join(f"{at} level buy 99.9 {4 + at % 2}" for at in range(5, 96, 10))
    scenario = Scenario(
        tables=[table], limits={"interval_ns": 10 * MS, "decide_on_frame": 0}, plan={"record_interval_ns": 30 * MS}
    )
    output = scenario.run()
    assert memory(output) == (9, 10, 90)
    assert ((output.records["ts_ns"] - ORIGIN_NS) / MS).tolist() == [10, 40, 70, 95]
    assert (output.first_ns, output.last_ns) == (ns(0), ns(95))


def test_the_last_record_is_the_final_state_of_each_lane():
    """The trade at 30 fills the first lane; it learns that at 40, after the last row."""
    table = f"{BOOK}\n 25 level buy 99.9 4\n 30 trade sell 100 1"
    output = Scenario(tables=[table], scripts=[[Order(0, 90, BUY, "100", "1")], []], reply_ms=10).run()
    last = {int(row["lane"]): row for row in output.records}
    assert (last[0]["ts_ns"], last[0]["position_lots"], last[0]["fee_micro"]) == (ns(40), 1000, 15_000)
    assert (last[1]["ts_ns"], last[1]["position_lots"]) == (ns(30), 0)
    assert output.last_ns == ns(30)


def test_an_endless_quarrel_after_the_last_row_ends():
    """Two post-only orders that are refused for ever: when one's refusal arrives, the other's attempt is under way, so
    the lane would never be at its end. Ten minutes after the last row nobody decides any more."""
    script = [Order(0, 1e9, BUY, "100.1", "1"), Order(15, 1e9, SELL, "99.9", "1")]
    table = f"{BOOK}\n 20 level buy 99.9 4\n 30 level buy 99.9 3"
    output = Scenario(tables=[table], scripts=[script], entry_ms=3000, reply_ms=3000).run()
    assert fills_of(output) == []
    assert 590_000 < memory(output)[2] <= 30 + 600_000 + 6_000
    assert output.lanes.lane[0, 0]["orders_open"] == 0
    assert output.last_ns == ns(30)


def test_a_recording_without_rows_is_over_at_once():
    output = Scenario(events=[np.zeros(0, EVENT_DTYPE)]).run()
    assert (output.first_ns, output.last_ns, len(output.fills)) == (0, 0, 0)
    assert output.records["lane"].tolist() == [0]


@pytest.mark.parametrize("wakes", [{"decide_on_frame": 0}, {"decide_on_frame": 0, "decide_on_fill": 0}])
def test_a_strategy_that_only_answers_is_never_asked_and_the_run_ends(wakes):
    output = Scenario(tables=[f"{BOOK}\n 10 trade sell 100 1"], limits=wakes, plan={"pay_funding": False}).run()
    assert memory(output)[0] == 0
    assert output.last_ns == ns(10)


def test_the_end_is_the_last_row_and_not_the_hour_that_was_waited_for():
    output = Scenario(tables=[f"{BOOK}\n 10 trade sell 100 1"], limits={"decide_on_frame": 0}).run()
    assert output.last_ns == ns(10)


def test_uptime_counts_the_time_with_both_sides_working():
    """Both orders work from the decision at 10 to the one at 40."""
    table = BOOK + "\n".join(f"{at} level buy 99.9 {at}" for at in (10, 20, 30, 40, 50))
    script = [Order(10, 35, BUY, "99.5", "1"), Order(10, 35, SELL, "100.5", "1")]
    output = Scenario(tables=[table], scripts=[script], limits={"decide_on_fill": 0}).run()
    assert output.lanes.positions[0, 0]["quoted_ns"] == 30 * MS


# No look-ahead.


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    cut=st.integers(2, 38),
    change=st.sampled_from(["other", "gone", "sizes"]),
    decides=st.sampled_from([{}, {"decide_on_fill": 0}, {"interval_ns": 30 * MS, "decide_on_frame": 0}]),
)
def test_nothing_before_a_moment_depends_on_what_comes_after_it(seed, cut, change, decides):
    """Rows after the cut are replaced, dropped or resized: everything logged before the cut stays byte for byte."""
    events = random_events(seed)
    kept = events[:cut]
    after = {"other": random_events(seed + 1)[cut:], "gone": events[:0], "sizes": events[cut:].copy()}[change]
    if change == "sizes":
        after["size_lots"] += 700
        after["ts_local_ns"] += 1 * MS
    scenario = {"scripts": [LIVELY], "latency": BLOCKS, "limits": decides}
    whole = Scenario(events=[events], **scenario).run()
    other = Scenario(events=[np.concatenate([kept, after])], **scenario).run()
    # The first that may differ is what the venue sees at the first changed row, and a run that is over has no timers.
    until = min(int(events[cut]["ts_exch_ns"]), whole.last_ns, other.last_ns)
    for name, clock in (("fills", "ts_exch_ns"), ("records", "ts_ns")):
        first, second = (getattr(one, name) for one in (whole, other))
        # The last record is the end's, wherever that is.
        ended = {int(one.records["ts_ns"][-1]) for one in (whole, other)}
        first, second = (log[(log[clock] < until) & ~np.isin(log[clock], list(ended))] for log in (first, second))
        assert first.tobytes() == second.tobytes()


def test_a_decision_sees_only_rows_that_have_reached_us():
    """A row that the venue sees at 10 and we at 500 changes nothing that we see before 500."""
    table = f"{BOOK}\n 10+490 level buy 99.95 9\n 600 level buy 99.9 4"
    early = f"{BOOK}\n 10+490 level buy 99.94 1\n 600 level buy 99.9 4"
    script = [[Order(20, 490, BUY, "99.5", "1")]]
    limits = {"interval_ns": 50 * MS, "decide_on_frame": 0}
    first, second = (Scenario(tables=[one], scripts=script, limits=limits).run() for one in (table, early))
    before = [log[log["ts_ns"] < ns(500)] for log in (first.records, second.records)]
    assert len(before[0]) == 9
    assert before[0].tobytes() == before[1].tobytes()
    assert first.records["best_bid_ticks"].tolist() != second.records["best_bid_ticks"].tolist()


# Several markets.


def test_markets_are_walked_in_one_order_of_time():
    """Fills at 10 in the first market, at 12 in the second and at 14 in the first, told after 5 each, in that order,
    whether or not anybody is woken by them."""
    first = f"{BOOK}\n 10 trade sell 100 0.5\n 14 trade sell 100 0.5\n 40 level buy 99.9 4"
    second = f"{BOOK}\n 12 trade buy 100 1\n 50 level buy 99.9 4"
    script = [Order(0, 90, BUY, "100", "1"), Order(0, 90, SELL, "100", "1", market=1)]
    for limits in ({"decide_on_fill": 1}, {"decide_on_fill": 0}):
        output = Scenario(tables=[first, second], scripts=[script], reply_ms=5, limits=limits).run()
        assert [(fill.at_ms, fill.learned_ms, fill.side) for fill in fills_of(output)] == [
            (10, 15, BUY),
            (12, 17, SELL),
            (14, 19, BUY),
        ]
        assert output.fills["market"].tolist() == [0, 1, 0]
    assert output.lanes.positions["position_lots"][0].tolist() == [1000, -1000]


def test_a_silent_market_holds_up_nobody():
    """The second market has two rows at the start and none after."""
    first = f"{BOOK}\n 10 trade sell 100 1\n 40 level buy 99.9 4\n 60 level buy 99.9 3"
    output = Scenario(
        tables=[first, BOOK], scripts=[[Order(0, 5, BUY, "100", "1"), Order(0, 90, SELL, "100", "1", market=1)]]
    )
    done = output.run()
    assert [fill.at_ms for fill in fills_of(done)] == [10]
    assert done.lanes.positions["open_sell_lots"][0].tolist() == [0, 1000]
    assert done.last_ns == ns(60)


def test_each_market_has_its_own_records():
    output = Scenario(tables=[BOOK, "0 level buy 49.9 5\n0 level sell 50.1 5\n10 level buy 49.9 4"]).run()
    last = output.records[-2:]
    assert last["market"].tolist() == [0, 1]
    assert last["best_bid_ticks"].tolist() == [99_900, 49_900]


def test_an_order_in_one_market_does_not_see_the_other():
    """Both markets have the same prices; the trade is in the second, the order in the first."""
    second = f"{BOOK}\n 10 trade sell 100 1\n 50 level buy 99.9 4"
    output = Scenario(tables=[BOOK, second], scripts=[[Order(0, 90, BUY, "100", "1")]]).run()
    assert fills_of(output) == []


@settings(max_examples=6)
@given(seed=st.integers(0, 1000))
def test_a_market_is_the_same_alone_and_in_company(seed):
    """A lane that only trades in the first market fares as if the second were not there."""
    events = random_events(seed)
    beside = random_events(seed + 1, market=1)
    limits = {"decide_on_frame": 0, "interval_ns": 25 * MS}
    alone = Scenario(events=[events], scripts=[LIVELY], entry_ms=7, reply_ms=11, limits=limits).run()
    company = Scenario(events=[events, beside], scripts=[LIVELY], entry_ms=7, reply_ms=11, limits=limits).run()
    assert company.fills.tobytes() == alone.fills.tobytes()
    assert position(company) == position(alone)


# Lanes.


BEATS = [
    {},
    {"decide_on_fill": 0},
    {"interval_ns": 30 * MS, "decide_on_frame": 0},
    {"batch_window_ns": 40 * MS, "batch_busy_ns_max": 90 * MS},
]


@pytest.mark.parametrize("decides", BEATS)
def test_a_lane_does_not_notice_its_neighbours(decides):
    """Eight different lanes in one run are byte for byte eight runs of one, on data that each side sees apart."""
    events = seen_apart(23)
    prices = [f"{99.9 + step / 50:.2f}" for step in range(8)]
    scripts = [[Order(0, 700, BUY, price, "0.7"), *LIVELY[: lane % 5]] for lane, price in enumerate(prices)]
    shared = {"latency": BLOCKS, "limits": {**decides, "features": int(Feature.ALL)}}
    together = Scenario(events=[events], scripts=scripts, **shared).run()
    assert len(together.fills) > 8
    for lane, script in enumerate(scripts):
        alone = Scenario(events=[events], scripts=[script], **shared).run()
        part = together.lane(lane)
        assert bytes_of(part) == bytes_of(alone), f"lane {lane}"
        assert (part.first_ns, part.last_ns) == (alone.first_ns, alone.last_ns)


def test_the_venue_and_the_lane_agree_at_the_end():
    events = random_events(31)
    output = Scenario(events=[events], scripts=[LIVELY, LIVELY[:2]], latency=BLOCKS).run()
    assert len(output.fills) > 3
    for name in ("position_lots", "cash_quanta", "fee_micro", "funding_micro", "maker_quanta", "taker_quanta", "fills"):
        assert output.holdings[name].tolist() == output.lanes.positions[name].tolist(), name
    signed = output.fills["side"] * output.fills["size_lots"]
    for lane in range(2):
        assert position(output, lane) == signed[output.fills["lane"] == lane].sum()


def test_an_hour_without_anything_else_passes():
    """Nothing but two rows two hours apart: the funding hours between them are visited, and nothing is paid."""
    output = Scenario(tables=[f"{BOOK}\n {2 * HOUR_MS + 5} level buy 99.9 4"]).run()
    assert output.fills["kind"].tolist() == []
    assert output.last_ns == ns(2 * HOUR_MS + 5)
    assert EventKind.FUNDING_PAYMENT == 50


# Rows in pieces.


@pytest.fixture
def cramped(monkeypatch):
    """Windows of eight rows, and logs that are full after a few entries."""
    monkeypatch.setattr(replays, "WINDOW_ROWS", 8)
    monkeypatch.setattr(replays, "FILL_ROWS", 1026)
    monkeypatch.setattr(replays, "RECORD_ROWS", 1)


@pytest.mark.parametrize(("decides", "size"), list(zip(BEATS, (1, 5, 1, 5), strict=True)))
def test_windows_and_logs_of_any_size_give_the_same_run(decides, size, cramped):
    """Six lanes whose fills crowd the log, over two markets, in pieces of `size` rows and from whole arrays."""
    events = [seen_apart(47), seen_apart(53, market=1)]
    scripts = [LIVELY[: 2 + lane % 4] for lane in range(6)]
    scenario = Scenario(events=events, scripts=scripts, latency=BLOCKS, limits=decides)
    streams = [Pieces(rows, size) for rows in scenario.rows()]
    pieces = scenario.run(streams=streams)
    with pytest.MonkeyPatch.context() as roomy:
        roomy.setattr(replays, "WINDOW_ROWS", 65_536)
        roomy.setattr(replays, "FILL_ROWS", 65_536)
        roomy.setattr(replays, "RECORD_ROWS", 65_536)
        whole = scenario.run()
    assert len(whole.fills) > 16
    assert bytes_of(pieces) == bytes_of(whole)
    assert (pieces.first_ns, pieces.last_ns) == (whole.first_ns, whole.last_ns)


@pytest.mark.parametrize("wakes", [{}, {"decide_on_frame": 0}, {"decide_on_frame": 0, "decide_on_fill": 0}])
def test_a_window_in_which_we_see_nothing_is_passed(wakes, cramped):
    """Thirty rows of the venue alone come before the first that reaches us, in pieces of three."""
    table = BOOK.replace("level", "!level") + "\n".join(f"{at} !level buy 99.5 {1 + at % 3}" for at in range(1, 30))
    table += "\n40 level buy 99.9 4\n 50 level sell 100.1 4\n60 level buy 99.9 3"
    scenario = Scenario(tables=[table], limits=wakes, plan={"pay_funding": False})
    pieces = scenario.run(streams=[Pieces(rows, 3) for rows in scenario.rows()])
    assert bytes_of(pieces) == bytes_of(scenario.run())
    assert pieces.last_ns == ns(60)
    assert pieces.venue_rows == 34


def test_a_market_whose_rows_are_missing_is_waited_for(cramped):
    """The second market's window ends with rows of ours alone: the venue must not fill the first market's order at 10
    before it knows of the trade at 9, which we learn of at 14."""
    first = BOOK + "\n".join(f"{at} trade sell 100 0.1" for at in range(10, 30))
    second = BOOK + "\n".join(f"{at} ?level buy 99.9 {at}" for at in range(6, 14))
    second += "\n9+5 trade buy 100 0.1\n30 bbo buy 99.9 1"
    script = [Order(0, 90, BUY, "100", "1"), Order(0, 90, SELL, "100", "1", market=1)]
    scenario = Scenario(tables=[first, second], scripts=[script], limits={"interval_ns": 5 * MS, "decide_on_frame": 0})
    pieces = scenario.run(streams=[Pieces(rows, 4) for rows in scenario.rows()])
    assert [fill.at_ms for fill in fills_of(pieces)][:3] == [9, 10, 11]
    assert bytes_of(pieces) == bytes_of(scenario.run())


LOST = [("bus", "overflow", "BUS_FULL"), ("venue", "dropped", "REPLIES_LOST")]


@pytest.mark.parametrize(("part", "field", "said"), LOST)
def test_a_lost_message_stops_the_run(part, field, said):
    """The rings hold more than can be under way; were one to overflow, an order's fate would be unknown."""
    replay = Scenario(tables=[f"{BOOK}\n 10 trade sell 100 1"]).prepared()
    getattr(getattr(replay, part), part)[field] = 1
    with pytest.raises(ReplayError, match=said):
        run(replay)


# Funding, margin: the amounts are the business of test_accounts.


def test_a_lane_at_its_end_pays_no_funding_that_its_neighbour_waits_for():
    """All rows are over before the hour; the second lane's cancel is answered after it."""
    table = f"""0 context 100 100 100000000
        {HOUR_MS - 50} level buy 99.9 5
        {HOUR_MS - 50} level sell 100.1 5
        {HOUR_MS - 40} trade sell 100 1
        {HOUR_MS - 30} level buy 99.9 4
        {HOUR_MS - 20} level buy 99.9 3"""
    start, end = HOUR_MS - 50, HOUR_MS - 39
    other = [Order(start, HOUR_MS - 35, BUY, "99.5", "1")]
    scripts = [[Order(start, end, BUY, "100", "1")], [Order(start, end, BUY, "100", "1"), *other]]
    latency = constant(entry_ns=MS, reply_ns=MS, cancel_entry_ns=60_000 * MS)
    shared = {"tables": [table], "latency": latency, "limits": {"decide_on_fill": 0}}
    together = Scenario(scripts=scripts, **shared).run()
    alone = Scenario(scripts=scripts[:1], **shared).run()
    assert bytes_of(together.lane(0)) == bytes_of(alone)
    payments = together.fills[together.fills["kind"] == EventKind.FUNDING_PAYMENT]
    assert payments["lane"].tolist() == [1]


def test_a_lane_at_its_end_is_not_judged_while_its_neighbour_waits():
    """The last row of all takes the mark from under the first lane, which has nothing under way: alone it would be over
    then. The second lane's order is still on its way."""
    table = f"{BOOK}\n 5 trade sell 100 9\n 12 level buy 92.9 9\n 220 context 93 93 0"
    scripts = [[Order(0, 4, BUY, "100", "9")], [Order(215, 1e6, BUY, "99.5", "1")]]
    shared = {
        "tables": [table],
        "latency": constant(entry_ns=MS, reply_ns=100 * MS),
        "limits": {"interval_ns": MS, "decide_on_frame": 0, "decide_on_fill": 0},
        "plan": {"capital_micro": 10**8},
    }
    together, alone = Scenario(scripts=scripts, **shared).run(), Scenario(scripts=scripts[:1], **shared).run()
    assert position(together) == 9000
    assert together.lanes.lane[1, 0]["decisions"] > alone.lanes.lane[0, 0]["decisions"]
    assert bytes_of(together.lane(0)) == bytes_of(alone)


def test_a_liquidated_lane_halts_when_it_hears_of_it():
    """9 units at 100 with 100 USDC; at a mark of 93 they are sold, which the lane learns 30 later and then quotes no
    more. Its neighbour with nothing goes on."""
    table = f"""{BOOK}
        5 trade sell 100 9
        20 context 93 93 0
        30 level buy 92.9 20
        60 level buy 92.9 19
        80 trade sell 92.9 1"""
    script = [Order(0, 4, BUY, "100", "9"), Order(15, 90, BUY, "95", "0.5")]
    scenario = Scenario(tables=[table], scripts=[script, script[1:]], reply_ms=30, limits={"decide_on_fill": 0})
    output = scenario.run(capital_micro=10**8)
    modes = output.lanes.lane[:, 0]["mode"].tolist()
    assert modes == [Mode.HALTED, Mode.ACTIVE]
    assert output.lanes.lane[0, 0]["halt_code"] == Breaker.MARGIN_DISTANCE
    assert (output.liquidations, output.lane(0).liquidations, output.lane(1).liquidations) == (1, 1, 0)


def test_the_margin_breaker_reads_what_the_core_knows():
    """5 at 100 with 1000 USDC and a mark of 50: worth 750 less the fee, and 12.5 needed; 80 times that is more.

    So the breaker closes at 99.9: 1000 - 0.075 maker fee - 0.5 lost - 499.5 x 4.5 bp = 999.200225, and nothing needed.
    """
    table = f"{BOOK}\n 5 trade sell 100 5\n 20 context 50 50 0\n 30 level buy 99.9 4\n 40 level buy 99.9 5"
    scenario = Scenario(
        tables=[table],
        scripts=[[Order(0, 4, BUY, "100", "5")]],
        limits={"decide_on_fill": 0, "margin_distance_e6_min": 80_000_000},
        plan={"capital_micro": 10**9},
    )
    lane = scenario.run().lanes.lane[0, 0]
    assert (lane["maintenance_micro"], lane["margin_value_micro"]) == (0, 999_200_225)
    assert (lane["mode"], lane["halt_code"]) == (Mode.HALTED, Breaker.MARGIN_DISTANCE)


def test_a_replay_pauses_before_its_next_moment_and_lanes_have_heard_what_came_before():
    told = np.zeros(2, EVENT_DTYPE)
    told["kind"], told["ts_local_ns"], told["price_ticks"] = int(EventKind.SIGNAL), [ns(1), ns(15)], [7, 8]
    table = BOOK + "".join(f"\n {at} level buy 99.9 4" for at in (10, 20, 30))
    replay = Scenario(tables=[table], scripts=[[], []]).prepared(signals=told)
    for until, moves in ((12, [[7], [7]]), (20, [[8], [8]])):
        assert replays.Drive(replay).run_until(ns(until))
        assert replay.lanes.positions["signal_e9"].tolist() == moves
