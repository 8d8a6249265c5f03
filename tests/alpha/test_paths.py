"""Simulated worlds: what was asked for is what comes out, twice the same, and a backtest can read it."""

from __future__ import annotations

import math
from pathlib import Path as FilePath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.alpha.paths import (
    MARKET,
    PRICE_TICKS,
    TICKS_PER_BP,
    PathError,
    Ranges,
    World,
    recorded,
    simulate,
    simulated,
    write_path,
)
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.events import EventKind

LONG = World(seconds=4000.0, sigma_bp=1.0, intensity_a=2.0, intensity_k=0.7)


def trades(world: World, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Market orders by frame, and how far each printed from that frame's mid, in ticks."""
    path, truth = simulate(world, seed)
    orders = path.events[path.events["kind"] == EventKind.TRADE]
    frame = (orders["ts_exch_ns"] - path.begin_ns) // (world.frame_ms * 1_000_000)
    return orders, (orders["price_ticks"] - truth.mid_ticks[frame]) * orders["side"]


def test_market_orders_come_as_often_and_reach_as_far_as_asked() -> None:
    orders, away = trades(LONG)
    expected = 2.0 * 4000.0
    for side in (1, -1):
        assert np.sum(orders["side"] == side) == pytest.approx(expected, abs=4.0 * math.sqrt(expected))
    for bp in (0.5, 1.0, 2.0):
        share = math.exp(-0.7 * bp)
        error = math.sqrt(share * (1.0 - share) / len(away))
        assert np.mean(away >= bp * TICKS_PER_BP) == pytest.approx(share, abs=4.0 * error)


def test_the_mid_moves_as_much_as_asked_and_nowhere() -> None:
    path, truth = simulate(LONG, 1)
    moves = np.diff(truth.mid_ticks) / TICKS_PER_BP
    per_second = np.sum(moves**2) / 4000.0
    assert per_second == pytest.approx(1.0, abs=4.0 * math.sqrt(2.0 / len(moves)))
    assert abs(moves.mean()) < 4.0 * moves.std() / math.sqrt(len(moves))
    assert path.variance is not None and path.variance[-1] == pytest.approx(4000.0)


def test_two_regimes_take_turns_and_the_variance_knows() -> None:
    world = World(seconds=4000.0, sigma_bp=0.5, sigma_high_bp=2.0, dwell_s=50.0)
    path, truth = simulate(world, 3)
    assert set(truth.regime) == {0, 1}
    assert np.sum(np.diff(truth.regime) != 0) == pytest.approx(80, abs=40)
    np.testing.assert_array_equal(truth.sigma_bp, np.where(truth.regime == 1, 2.0, 0.5))
    assert path.variance is not None
    np.testing.assert_allclose(np.diff(path.variance), (truth.sigma_bp[:-1] ** 2).reshape(-1, 2).mean(axis=1))


def test_a_signal_says_beforehand_what_the_drift_will_do() -> None:
    world = World(seconds=4000.0, sigma_bp=0.2, drift_bp=0.5, drift_half_life_s=5.0)
    path, truth = simulate(world, 2)
    assert (path.signals["kind"] == EventKind.SIGNAL).all() and len(path.signals) == len(truth.mid_ticks)
    expected = path.signals["price_ticks"] * 1e-5
    ahead = 80  # frames, eight half-lives
    moved = (truth.mid_ticks[ahead:] - truth.mid_ticks[:-ahead]) / TICKS_PER_BP
    slope = np.polyfit(expected[:-ahead], moved, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.25)


def test_a_market_order_moves_the_mid_its_way() -> None:
    orders, _ = trades(World(seconds=600.0, sigma_bp=0.0, adverse_bp=0.5))
    _, truth = simulate(World(seconds=600.0, sigma_bp=0.0, adverse_bp=0.5), 1)
    assert truth.mid_ticks[-1] - PRICE_TICKS == pytest.approx(orders["side"].sum() * 0.5 * TICKS_PER_BP, abs=10.0)


def test_equal_seeds_give_equal_paths_and_others_do_not() -> None:
    one, same, other = (simulate(World(seconds=30.0), seed)[0] for seed in (1, 1, 2))
    assert one.rows.tobytes() == same.rows.tobytes() != other.rows.tobytes()


def test_neither_side_ever_crosses() -> None:
    path, _ = simulate(World(seconds=120.0, sigma_bp=4.0), 5)
    bid = ask = 0
    for event in path.events[path.events["kind"] == EventKind.DEPTH_LEVEL]:
        lots = event["size_lots"]
        if event["side"] > 0:
            bid = int(event["price_ticks"]) if lots else 0
        else:
            ask = int(event["price_ticks"]) if lots else 0
        assert not (bid and ask) or ask == bid + 2 * World().touch_ticks


def test_a_path_is_a_recording_of_the_same_rows(tmp_path: FilePath) -> None:
    path, _ = simulate(World(seconds=60.0, feed_ms=30.0), 4)
    write_path(tmp_path / "one.npz", path)
    source = open_source(tmp_path / "one.npz")
    assert source.markets == (MARKET,)
    (read,) = recorded(source, profile="recorded")
    assert read.rows.tobytes() == path.rows.tobytes()
    assert (read.begin_ns, read.end_ns) == (path.begin_ns, path.end_ns)
    assert (read.low_ticks, read.high_ticks, read.variance) == (path.low_ticks, path.high_ticks, None)
    with pytest.raises(PathError, match="is a recording already"):
        write_path(tmp_path / "two.npz", read)


def test_a_recording_is_a_path_a_market() -> None:
    source = open_source(bundled())
    paths = recorded(source, profile="2026")
    assert [path.market for path in paths] == list(source.markets)
    assert all(path.end_ns > path.begin_ns and len(path.rows) for path in paths)


@settings(max_examples=30)
@given(st.integers(0, 2**31))
def test_worlds_are_drawn_within_their_ranges(seed: int) -> None:
    ranges = Ranges(fields={"sigma_bp": (0.5, 2.0), "drift_bp": (0.0, 0.3)})
    world = ranges.draw(seed)
    assert 0.5 <= world.sigma_bp <= 2.0 and 0.0 <= world.drift_bp <= 0.3
    assert world == ranges.draw(seed) and world.intensity_k == World().intensity_k


def test_paths_of_different_seeds_are_of_different_worlds() -> None:
    ranges = Ranges(base=World(seconds=5.0), fields={"sigma_bp": (0.5, 2.0)})
    assert len({path.world.sigma_bp for path in simulated(ranges, range(64)) if path.world}) == 64


def test_what_is_no_world_is_refused() -> None:
    with pytest.raises(PathError, match=r"a world's sigma_bp must lie in 0\.\.50, not 51"):
        World(sigma_bp=51.0)
    with pytest.raises(PathError, match="ranges: colour from 0 to 1 is no range"):
        Ranges(fields={"colour": (0.0, 1.0)})
    with pytest.raises(PathError, match="ranges: sigma_bp from 2 to 1 is no range"):
        Ranges(fields={"sigma_bp": (2.0, 1.0)})
    with pytest.raises(PathError, match="leaves its prices within 86400 s"):
        simulate(World(seconds=86_400.0, frame_ms=10_000, drift_bp=10.0, drift_half_life_s=86_400.0), 1)
