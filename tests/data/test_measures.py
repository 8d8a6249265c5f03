"""Figures of a recording: those of its description, and by hand where a formula could hide a mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.measures import Sample, measure
from hlhft.data.sources import open_source
from tests.data.making import BTC, ETH, SECOND, ListSource, bbo, level, snapshot, trade

MINUTE = 60 * SECOND


def test_by_hand() -> None:
    rows = [
        snapshot(0, [(99, 1), (98, 1)], [(101, 1)], local=2_000_000),
        bbo(SECOND, (99, 1), (101, 1), local=SECOND + 4_000_000),
        trade(2 * SECOND, 1, 101, 50_000, local=MINUTE + 2_000_000),
        trade(2 * SECOND, -1, 99, 50_000, local=MINUTE + 2_000_000, market=1),
    ]
    first, second = measure(ListSource(rows, [BTC, ETH]))
    assert first.kinds == {"depth_level": 3, "snapshot_begin": 1, "snapshot_end": 1, "bbo": 2, "trade": 1}
    assert (first.market, first.rows, first.first_local_ns) == ("BTC", 8, 2_000_000)
    # One minute; 10.1 USDC times half a coin.
    assert first.trades_a_minute == pytest.approx(1.0)
    assert first.notional_a_minute == pytest.approx(10.1 * 0.5)
    assert first.spread is not None
    assert (first.spread.of, first.spread.count, first.spread.mean_bp) == ("pictures", 1, pytest.approx(200.0))
    assert [(one.channel, one.count, one.p50_ms) for one in first.latencies] == [
        ("book", 1, 2.0), ("bbo", 1, 4.0), ("trade", 1, pytest.approx(58_002.0))
    ]  # fmt: skip
    assert (second.spread, second.trades_a_minute, second.rows) == (None, None, 1)


def test_silences_do_not_count_as_minutes() -> None:
    rows = [trade(when, 1, 100, 1, local=when) for when in (0, 30 * SECOND, 10 * MINUTE, 10 * MINUTE + 30 * SECOND)]
    (found,) = measure(ListSource(rows))
    assert found.trades_a_minute == pytest.approx(4.0)


def test_a_side_that_is_not_sent_again_is_still_there() -> None:
    rows = [bbo(1, (99, 1), (101, 1)), bbo(2, (97, 1), (0, 0)), bbo(3, (0, 0), (0, 0))]
    (found,) = measure(ListSource(rows))
    assert found.spread is not None
    assert (found.spread.of, found.spread.count) == ("touches", 2)
    assert found.spread.p95_bp == pytest.approx(np.percentile([200.0, 2e4 * 4 / 198], 95))


def test_levels_alone_have_no_spread() -> None:
    (found,) = measure(ListSource([level(1, 1, 99, 1), level(2, -1, 101, 1)], snapshots_only=False))
    assert found.spread is None
    assert found.kinds == {"depth_level": 2}
    (nothing,) = measure(ListSource([]))
    assert (nothing.rows, nothing.latencies) == (0, ())


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 16))
def test_a_sample_is_bounded_and_evenly_spaced(counts: list[int], maximum: int) -> None:
    sample, given_values = Sample(maximum), 0
    for count in counts:
        sample.add(np.arange(given_values, given_values + count, dtype=np.float64))
        given_values += count
    kept = sample.values()
    assert sample.count == given_values
    assert len(kept) <= maximum
    if len(kept):
        stride = int(kept[1] - kept[0]) if len(kept) > 1 else given_values
        assert kept.tolist() == [float(place * stride) for place in range(len(kept))]
        assert given_values <= max(2 * maximum, 1) * max(stride, 1)


def test_the_figures_of_the_recordings_description(recordings: Path) -> None:
    (found,) = measure(open_source(recordings / "hyperliquid/l2_trades_bbo_20250904/trades_BTC.csv.gz"))
    assert found.spread is not None
    assert [round(value, 3) for value in (found.spread.mean_bp, found.spread.median_bp, found.spread.p95_bp)] == [
        0.117, 0.091, 0.182
    ]  # fmt: skip
    latencies = {one.channel: [round(value) for value in (one.p5_ms, one.p50_ms, one.p95_ms)]
                 for one in found.latencies}  # fmt: skip
    assert latencies["book"] == pytest.approx([295, 396, 646], abs=1)
    assert latencies["bbo"] == pytest.approx([264, 357, 627], abs=1)
    assert found.trades_a_minute == pytest.approx(191, abs=1)
    assert found.notional_a_minute == pytest.approx(1.74e6, rel=0.01)
