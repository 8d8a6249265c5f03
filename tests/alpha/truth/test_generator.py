import ast
from dataclasses import replace
from pathlib import Path as File

import numpy as np
import pytest

from hlhft.core.brain import Brain
from hlhft.core.state import LIMITS_DTYPE, BookKind
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.units import Market
from tests.alpha.truth import generator
from tests.alpha.truth.generator import EVENTS_A_ROW, LEVELS, MOVE_SHARE, Path, Plant, World, simulate

ROWS = 6_000
CROSSED, LINEAR, NONE = World(plant=Plant.CROSSED), World(plant=Plant.LINEAR), World(plant=Plant.NONE)


@pytest.fixture(scope="module", params=[CROSSED, LINEAR, NONE], ids=lambda world: world.plant.value)
def path(request: pytest.FixtureRequest) -> Path:
    return simulate(request.param, ROWS, seed=1)


def levels(path: Path, name: str) -> np.ndarray:
    """int64[rows, 2, LEVELS]: bids, then asks."""
    return path.events.reshape(-1, EVENTS_A_ROW)[name][:, 1 : 1 + 2 * LEVELS].reshape(-1, 2, LEVELS)


def test_nothing_of_what_it_judges_is_imported() -> None:
    for module in ("generator.py", "oracle.py"):
        tree = ast.parse((File(generator.__file__).parent / module).read_text())
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        ours = {str(name) for name in names if str(name).startswith(("hlhft", "tests"))}
        assert ours <= {"hlhft.events", "tests.alpha.truth.generator"}


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    first, again, other = simulate(CROSSED, 50, 3), simulate(CROSSED, 50, 3), simulate(CROSSED, 50, 4)
    assert first.events.tobytes() == again.events.tobytes()
    assert first.events.tobytes() != other.events.tobytes()


def test_events_are_whole_frames_in_order_of_arrival(path: Path) -> None:
    assert path.events.dtype == EVENT_DTYPE and len(path.events) == ROWS * EVENTS_A_ROW
    assert (np.diff(path.events["ts_local_ns"]) >= 0).all() and (
        path.events["ts_local_ns"] > path.events["ts_exch_ns"]
    ).all()
    frames = path.events.reshape(-1, EVENTS_A_ROW)
    ends = (frames["flags"] & int(EventFlag.FRAME_END)) != 0
    assert ends[:, -2:].all() and not ends[:, :-2].any()
    assert (frames["kind"][:, 0] == EventKind.SNAPSHOT_BEGIN).all() and (
        frames["kind"][:, -2] == EventKind.SNAPSHOT_END
    ).all()


def test_books_are_ordered_and_every_level_holds_something(path: Path) -> None:
    price, lots = levels(path, "price_ticks"), levels(path, "size_lots")
    assert (np.diff(price[:, 0]) < 0).all() and (np.diff(price[:, 1]) > 0).all()
    assert (price[:, 0, 0] < path.mid_ticks).all() and (path.mid_ticks < price[:, 1, 0]).all()
    assert (lots > 0).all()
    shown = (lots[:, 0] - lots[:, 1]) / (lots[:, 0] + lots[:, 1])
    np.testing.assert_allclose(shown, path.imbalance, atol=0.01)


@pytest.mark.parametrize("shift_row", [None, ROWS // 2])
def test_the_next_move_is_the_class_by_mid_and_by_weighted_mid(path: Path, shift_row: int | None) -> None:
    path = simulate(replace(path.world, shift_row=shift_row), ROWS, 1)
    price, lots = levels(path, "price_ticks")[..., 0], levels(path, "size_lots")[..., 0]
    weighted = (price[:, 0] * lots[:, 1] + price[:, 1] * lots[:, 0]) / lots.sum(axis=1)
    for told in (path.mid_ticks, weighted, price.mean(axis=1)):
        move = np.diff(told) / told[:-1]
        np.testing.assert_array_equal((move > MOVE_SHARE).astype(int) - (move < -MOVE_SHARE) + 1, path.classes[:-1])
    assert path.classes[-1] == -1


def test_classes_come_as_often_as_their_probabilities_say_and_none_is_rare(path: Path) -> None:
    truth, said = path.classes[:-1], path.probabilities[:-1]
    for told in range(3):
        hits = (truth == told) - said[:, told]
        assert abs(hits.sum()) < 4.0 * np.sqrt((said[:, told] * (1.0 - said[:, told])).sum())
        assert 0.1 < (truth == told).mean() < 0.5
    np.testing.assert_allclose(said.sum(axis=1), 1.0)


def test_neither_factor_of_the_crossed_plant_says_anything_alone() -> None:
    path, lag = simulate(CROSSED, 40_000, 2), CROSSED.lag
    move = path.classes[lag:-1].astype(float) - 1.0
    deep = np.sign(path.imbalance[lag:-1, CROSSED.deep_level])
    touch = np.sign(path.imbalance[: -1 - lag, 0])
    # The signs last for some rows, so that a sample says less than its length: 0.03 is four deviations of it.
    assert abs(np.corrcoef(move, deep)[0, 1]) < 0.03
    assert abs(np.corrcoef(move, touch)[0, 1]) < 0.03
    assert np.corrcoef(move, deep * touch)[0, 1] > 0.6
    assert abs(np.corrcoef(move[1:], move[:-1])[0, 1]) < 0.03


def test_without_a_plant_moves_go_with_no_level_of_the_row_before() -> None:
    path = simulate(NONE, 40_000, 2)
    move = path.classes[:-1].astype(float) - 1.0
    for level in range(LEVELS):
        assert abs(np.corrcoef(move, path.imbalance[:-1, level])[0, 1]) < 4.0 / np.sqrt(40_000)


def test_imbalances_last_as_long_as_the_memory_says() -> None:
    sign = np.sign(simulate(replace(NONE, memory=0.9), 40_000, 2).imbalance)
    # Signs of a Gaussian pair agree by its correlation's arc sine.
    for level in range(LEVELS):
        expected = 0.0 if level == NONE.deep_level else 2.0 / np.pi * np.arcsin(0.9)
        assert np.mean(sign[1:, level] * sign[:-1, level]) == pytest.approx(expected, abs=0.03)


def test_trades_follow_the_move_that_they_come_with(path: Path) -> None:
    frames = path.events.reshape(-1, EVENTS_A_ROW)
    moved = path.classes[:-1] != 1
    np.testing.assert_array_equal(frames["side"][:-1, -1][moved], path.classes[:-1][moved] - 1)
    assert (frames["ts_local_ns"][:-1, -1] > frames["ts_local_ns"][:-1, 0]).all()
    assert (frames["ts_local_ns"][:-1, -1] < frames["ts_local_ns"][1:, 0]).all()


def test_a_shift_changes_lots_and_ticks_and_no_class() -> None:
    before = simulate(CROSSED, 2_000, 1)
    after = simulate(replace(CROSSED, shift_row=1_000), 2_000, 1)
    np.testing.assert_array_equal(before.classes, after.classes)
    assert before.events[: 1_000 * EVENTS_A_ROW].tobytes() == after.events[: 1_000 * EVENTS_A_ROW].tobytes()
    lots = levels(after, "size_lots")[1_000:] / levels(before, "size_lots")[1_000:]
    np.testing.assert_allclose(lots, CROSSED.lots_factor, rtol=0.01)
    spread = [np.subtract.reduce(levels(path, "price_ticks")[1_000:, ::-1, 0], axis=1) for path in (after, before)]
    np.testing.assert_array_equal(spread[0], CROSSED.ticks_factor * spread[1])
    np.testing.assert_array_equal(
        np.diff(after.mid_ticks[1_000:]), CROSSED.ticks_factor * np.diff(before.mid_ticks[1_000:])
    )


def test_the_core_reads_the_books_that_were_written() -> None:
    path = simulate(NONE, 40, 1)
    brain = Brain(Market.perpetual("BTC", asset_id=0, size_decimals=5).record().reshape(1), np.zeros(1, LIMITS_DTYPE))
    brain.data.books["kind"] = int(BookKind.SNAPSHOT)
    price = levels(path, "price_ticks")
    for row, frame in enumerate(path.events.reshape(-1, EVENTS_A_ROW)):
        brain.step(frame[:-1], EVENTS_A_ROW - 1)
        book = brain.data.books[0]
        assert (book["best_bid_ticks"], book["best_ask_ticks"]) == tuple(price[row, :, 0])
        assert (book["bid_count"], book["ask_count"]) == (LEVELS, LEVELS)
