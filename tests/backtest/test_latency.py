"""Latency models: by hand, against whole-number arithmetic, and what lanes have in common."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest.latency import (
    MINUTE_NS,
    QUANTILES,
    LatencyKind,
    block_quantiles,
    blocks,
    constant,
    empirical_quantiles,
    entry_delay,
    interpolated,
    lognormal_quantiles,
    new_lines,
    reply_delay,
    sampled,
)

MS = 1_000_000
START_NS = 1_757_000_000_123_456_789
COUNTING = np.arange(QUANTILES, dtype=np.int64)  # shows which quantile was drawn


def entry(model, line, ts_ns, *, cancel=False):
    return int(entry_delay(line, model[0][0], model[1], ts_ns, cancel))


def reply(model, line, ts_ns, *, fill=False):
    return int(reply_delay(line, model[0][0], model[1], ts_ns, fill))


class TestConstant:
    def test_each_kind_of_message_has_its_figure(self):
        model = constant(entry_ns=10, reply_ns=20, cancel_entry_ns=3, fill_reply_ns=40)
        line = new_lines(1, 1)[0]
        assert (entry(model, line, 5), entry(model, line, 5, cancel=True)) == (10, 3)
        assert (reply(model, line, 5), reply(model, line, 5, fill=True)) == (20, 40)

    def test_cancels_and_fills_take_as_long_as_the_rest_unless_told(self):
        model = constant(entry_ns=10, reply_ns=20)
        line = new_lines(1, 1)[0]
        assert (entry(model, line, 5, cancel=True), reply(model, line, 5, fill=True)) == (10, 20)
        assert LatencyKind(int(model[0]["kind"][0])) is LatencyKind.CONSTANT

    @pytest.mark.parametrize("name", ["entry_ns", "reply_ns", "cancel_entry_ns", "fill_reply_ns"])
    def test_no_figure_may_be_negative(self, name):
        figures = {"entry_ns": 1, "reply_ns": 1, "cancel_entry_ns": 1, "fill_reply_ns": 1}
        constant(**{**figures, name: 0})
        with pytest.raises(ValueError, match="must not be negative"):
            constant(**{**figures, name: -1})


class TestQuantiles:
    def test_the_lognormal_has_its_median_and_its_hundredth_above(self):
        table = lognormal_quantiles(200 * MS, 900 * MS)
        assert table.dtype == np.int64 and len(table) == QUANTILES
        assert (np.diff(table) >= 0).all() and table[0] > 0
        assert np.interp(0.5, (COUNTING + 0.5) / QUANTILES, table) == pytest.approx(200 * MS, rel=1e-5)
        assert np.interp(0.99, (COUNTING + 0.5) / QUANTILES, table) == pytest.approx(900 * MS, rel=1e-4)

    def test_without_a_tail_it_is_constant(self):
        assert set(lognormal_quantiles(5 * MS, 5 * MS)) == {5 * MS}

    @pytest.mark.parametrize(("median", "p99"), [(0, 5), (-1, 5), (5, 4)])
    def test_a_lognormal_that_there_is_not(self, median, p99):
        with pytest.raises(ValueError, match="0 < median <= p99"):
            lognormal_quantiles(median, p99)

    def test_measured_figures_come_back_in_their_shares(self):
        table = empirical_quantiles(np.array([30, 10, 20, 10], np.int64))
        assert {int(value): int((table == value).sum()) for value in (10, 20, 30)} == {10: 2048, 20: 1024, 30: 1024}
        assert set(empirical_quantiles(np.array([7], np.int64))) == {7}

    @pytest.mark.parametrize("samples", [[], [1, -1]])
    def test_nothing_measured_or_a_negative_figure(self, samples):
        with pytest.raises(ValueError, match="at least one figure, none negative"):
            empirical_quantiles(np.array(samples, np.int64))

    def test_block_spacing_is_normal_and_clipped(self):
        table = block_quantiles(mean_ns=78 * MS, deviation_ns=30 * MS, minimum_ns=MS, maximum_ns=150 * MS)
        assert (table.min(), table.max()) == (MS, 150 * MS)
        assert table.mean() == pytest.approx(78 * MS, rel=0.01)
        assert table.std() == pytest.approx(30 * MS, rel=0.03)
        steady = block_quantiles(mean_ns=75, deviation_ns=0, minimum_ns=75, maximum_ns=75)
        assert set(steady) == {75}

    @pytest.mark.parametrize(("least", "mean", "most"), [(0, 5, 9), (6, 5, 9), (1, 5, 4)])
    def test_a_block_spacing_that_there_is_not(self, least, mean, most):
        with pytest.raises(ValueError, match="0 < minimum <= mean <= maximum"):
            block_quantiles(mean_ns=mean, deviation_ns=1, minimum_ns=least, maximum_ns=most)


class Lecuyer:
    """L'Ecuyer's combined generator of 1988 in Python's own whole numbers: s1 - s2, in 1 .. 2147483562."""

    def __init__(self, first: int, second: int) -> None:
        self.first, self.second = first, second

    def draw(self) -> int:
        self.first = 40014 * self.first % 2147483563
        self.second = 40692 * self.second % 2147483399
        z = self.first - self.second
        return z if z >= 1 else z + 2147483562


class TestSampled:
    def test_the_draws_are_those_of_the_published_generator(self):
        for seed in (0, 1, 2**40, 987654321):
            lines = new_lines(1, seed)
            own = Lecuyer(int(lines[0]["random_a"]), int(lines[0]["random_b"]))
            model = sampled(COUNTING, COUNTING, seed=seed)
            drawn = [(entry if index % 2 else reply)(model, lines[0], START_NS) for index in range(400)]
            # The published number is 1 .. 2147483562; the last stands for 0 here.
            assert drawn == [own.draw() % 2147483562 % QUANTILES for _ in range(400)]
            assert (int(lines[0]["random_a"]), int(lines[0]["random_b"])) == (own.first, own.second)

    def test_the_published_generator_reaches_its_published_period_parts(self):
        """Each part has the full period: its multiplier is a primitive root, so no power of it is 1 too early."""
        for modulus, factor in ((2147483563, 40014), (2147483399, 40692)):
            rest, primes = modulus - 1, []
            for prime in range(2, 50_000):
                if rest % prime == 0:
                    primes.append(prime)
                while rest % prime == 0:
                    rest //= prime
            primes.append(rest)
            assert pow(factor, modulus - 1, modulus) == 1
            assert all(pow(factor, (modulus - 1) // prime, modulus) != 1 for prime in primes if prime > 1)

    def test_every_quantile_is_as_likely_as_the_others(self):
        line = new_lines(1, 5)[0]
        model = sampled(COUNTING, COUNTING, seed=5)
        drawn = np.array([entry(model, line, START_NS) for _ in range(4096)])
        shares = np.bincount(drawn // 512, minlength=8) / len(drawn)
        assert shares == pytest.approx([1 / 8] * 8, abs=0.02)

    def test_each_kind_of_message_has_its_table(self):
        tables = [np.full(QUANTILES, value, np.int64) for value in (10, 20, 3, 40)]
        model = sampled(tables[0], tables[1], seed=1, cancel_entry=tables[2], fill_reply=tables[3])
        line = new_lines(1, 1)[0]
        assert (entry(model, line, 5), entry(model, line, 5, cancel=True)) == (10, 3)
        assert (reply(model, line, 5), reply(model, line, 5, fill=True)) == (20, 40)
        plain = sampled(tables[0], tables[1], seed=1)
        assert (entry(plain, line, 5, cancel=True), reply(plain, line, 5, fill=True)) == (10, 20)

    def test_lanes_draw_the_same_and_seeds_do_not(self):
        model = sampled(COUNTING, COUNTING, seed=3)
        lines = new_lines(3, 3)
        drawn = [[entry(model, line, START_NS) for _ in range(20)] for line in lines]
        assert drawn[0] == drawn[1] == drawn[2]
        other = new_lines(1, 4)[0]
        assert [entry(model, other, START_NS) for _ in range(20)] != drawn[0]


class TestLines:
    def test_a_seed_gives_both_generators_their_start(self):
        (line,) = new_lines(1, 3)
        assert (line["random_a"], line["random_b"]) == (4, 3 * 7919 + 1)
        assert (line["block_seed_a"], line["block_seed_b"]) == (3 * 104_729, 3 * 1_299_709)
        assert line["block_minute"] == -1
        assert sampled(COUNTING, COUNTING, seed=3)[0]["seed"] == 3

    @pytest.mark.parametrize("seed", [0, 1, 2147483562, 2147483398, 2**63, 10**30])
    def test_no_seed_leaves_a_generator_where_it_would_stand_still(self, seed):
        (line,) = new_lines(1, seed)
        assert 0 < line["random_a"] < 2147483563 and 0 < line["random_b"] < 2147483399
        assert 0 <= line["block_seed_a"] < 2147483562 and 0 <= line["block_seed_b"] < 2147483398


SPACING = block_quantiles(mean_ns=78 * MS, deviation_ns=30 * MS, minimum_ns=MS, maximum_ns=215 * MS)
NOTHING = np.zeros(QUANTILES, np.int64)
AT_ONCE = blocks(NOTHING, NOTHING, SPACING, mean_ns=78 * MS, seed=7)


def block_after(line, ts_ns: int) -> int:
    return ts_ns + entry(AT_ONCE, line, ts_ns)


class TestBlocks:
    def test_a_request_waits_for_the_first_block_at_or_after_its_arrival(self):
        line = new_lines(1, 7)[0]
        first = block_after(line, START_NS)
        assert START_NS <= first < START_NS + 215 * MS
        assert block_after(line, first) == first
        second = block_after(line, first + 1)
        assert first + MS <= second <= first + 215 * MS
        # The clock does not turn back: what comes later is not executed earlier.
        assert block_after(line, START_NS) == second

    def test_the_way_there_comes_before_the_block(self):
        there, back = np.full(QUANTILES, 40 * MS, np.int64), np.full(QUANTILES, 5 * MS, np.int64)
        every = np.full(QUANTILES, 100 * MS, np.int64)
        model = blocks(there, back, every, mean_ns=1, seed=7, cancel_entry=NOTHING)
        # Blocks every 100 ms, the first of a minute with the minute.
        minute = START_NS // MINUTE_NS * MINUTE_NS
        assert entry(model, new_lines(1, 7)[0], minute + 70 * MS) == 130 * MS
        assert entry(model, new_lines(1, 7)[0], minute + 70 * MS, cancel=True) == 30 * MS
        assert reply(model, new_lines(1, 7)[0], minute) == 5 * MS

    def test_the_first_block_of_a_minute_lies_anywhere_in_a_spacing(self):
        line, within = new_lines(1, 7)[0], []
        for minute in range(200):
            within.append(block_after(line, minute * MINUTE_NS) - minute * MINUTE_NS)
        assert min(within) < 5 * MS and 73 * MS < max(within) < 78 * MS

    def test_spacing_has_its_mean_across_minutes(self):
        line = new_lines(1, 7)[0]
        times, ts_ns = [], START_NS
        while ts_ns < START_NS + 3 * MINUTE_NS:
            ts_ns = block_after(line, ts_ns) + 1
            times.append(ts_ns)
        gaps = np.diff(times)
        assert gaps.mean() == pytest.approx(78 * MS, rel=0.03)
        assert gaps.max() <= 215 * MS + 78 * MS  # where a minute was wound up
        assert len(set(gaps.tolist())) > 1000

    @settings(max_examples=30)
    @given(st.lists(st.integers(0, 4 * MINUTE_NS), min_size=1, max_size=8).map(sorted), st.integers(0, 2**40))
    def test_every_lane_meets_the_same_blocks_whatever_it_did_before(self, offsets, seed):
        early = new_lines(1, seed)[0]
        for offset in offsets:
            fresh = new_lines(2, seed)[1]
            assert block_after(early, START_NS + offset) == block_after(fresh, START_NS + offset)

    def test_minutes_and_seeds_do_not_repeat_each_other(self):
        def distances(seed: int, minute: int) -> list[int]:
            line, ts_ns, times = new_lines(1, seed)[0], minute * MINUTE_NS, []
            for _ in range(6):
                ts_ns = block_after(line, ts_ns) + 1
                times.append(ts_ns)
            return [late - soon for soon, late in pairwise(times)]

        seen = [tuple(distances(seed, minute)) for seed in (1, 2) for minute in range(20)]
        assert len(set(seen)) == len(seen)

    def test_time_zero_has_blocks_too(self):
        assert 0 <= block_after(new_lines(1, 1)[0], 0) < 78 * MS


# Request, exchange, response; the third request was lost and that was known at 420.
HISTORY = np.array([(100, 150, 180), (200, 270, 330), (300, 0, 420), (400, 460, 500)], np.int64)


class TestInterpolated:
    @pytest.mark.parametrize(
        ("ts_ns", "delay"),
        [
            (1, 50),  # before the first: as the first
            (100, 50),
            (150, 60),  # half-way from 50 to 70
            (199, 69),  # 69.8, truncated
            (250, -125),  # lost: known half-way from 130 to 120 later
            (350, -110),  # lost: half-way from 120 to 100
            (400, 60),
            (9999, 60),
        ],
    )
    def test_the_way_there_by_hand(self, ts_ns, delay):
        assert entry(interpolated(HISTORY), new_lines(1, 1)[0], ts_ns) == delay

    @pytest.mark.parametrize(
        ("ts_ns", "delay"),
        [
            (1, 30),
            (150, 30),
            (210, 45),  # half-way from 30 to 60
            (365, 50),  # half-way from 60 to 40: the lost request has no say
            (460, 40),
            (9999, 40),
        ],
    )
    def test_the_way_back_by_hand(self, ts_ns, delay):
        model = interpolated(HISTORY)
        assert reply(model, new_lines(1, 1)[0], ts_ns) == delay
        assert reply(model, new_lines(1, 1)[0], ts_ns, fill=True) == delay

    def test_one_line_reads_on_where_it_was(self):
        model, line = interpolated(HISTORY), new_lines(1, 1)[0]
        assert [entry(model, line, ts_ns) for ts_ns in (1, 150, 199, 250, 350, 500)] == [50, 60, 69, -125, -110, 60]
        assert [reply(model, line, ts_ns) for ts_ns in (1, 210, 365, 500)] == [30, 45, 50, 40]

    def test_a_history_that_begins_and_ends_with_a_loss(self):
        model = interpolated(np.array([(100, 0, 190), (200, 250, 280), (300, -1, 360)], np.int64))
        line = new_lines(1, 1)[0]
        assert entry(model, line, 50) == -90
        assert entry(model, line, 300) == -60
        assert [reply(model, new_lines(1, 1)[0], ts_ns) for ts_ns in (10, 250, 900)] == [30, 30, 30]

    @pytest.mark.parametrize(
        ("history", "sentence"),
        [
            ([[1, 2]], "three columns"),
            ([1, 2, 3], "three columns"),
            (np.zeros((0, 3)), "at least one row"),
            ([(5, 6, 7), (5, 8, 9)], "request times must increase"),
            ([(5, 6, 7), (8, 7, 9)], "row 2 has it not"),  # at the venue before it was sent
            ([(5, 6, 5)], "row 1 has it not"),  # answered before it arrived
            ([(5, 6, 7), (9, 0, 9)], "row 2 has it not"),  # a loss known at once
            ([(5, 0, 7), (9, 0, 10)], "all exchange times are missing"),
        ],
    )
    def test_a_history_that_is_none(self, history, sentence):
        with pytest.raises(ValueError, match=sentence):
            interpolated(np.array(history, np.int64))
