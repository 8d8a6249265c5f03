from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import purgedcv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.alpha.dataset import Dataset
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import BLOCKS, DAY_NS, SHARES, Range, Split, split_at, split_once, split_within, walk_forward
from hlhft.data.errors import DataError
from tests.alpha.datasets import LABELS, SCHEMA, SECOND_NS, START_NS, every, write
from tests.alpha.wrong_splits import random_folds

MEMORY_NS = 5 * SCHEMA.half_life_ms * 1_000_000
LONGEST_NS = max(label.horizon_ms for label in LABELS) * 1_000_000


def lives(dataset: Dataset, row: int, split: Split) -> tuple[int, int, int]:
    """When a sample's window begins, when it is decided on, when its label ends."""
    ends_ns = dataset.end_ns[row] if split.horizon is None else dataset.end_ns[row, [split.horizon]]
    return int(dataset.ts_ns[row - split.length + 1]), int(dataset.ts_ns[row]), int(max(ends_ns))


def check_apart(dataset: Dataset, split: Split) -> None:
    """Every pair of samples of different blocks: the earlier's label is over, with room, before the later begins."""
    for place, earlier in enumerate(split.blocks):
        for later in split.blocks[place + 1 :]:
            for old in earlier.rows.tolist():
                _, _, end_ns = lives(dataset, old, split)
                for new in later.rows.tolist():
                    begin_ns, own_ns, own_end_ns = lives(dataset, new, split)
                    longest_ns = int((dataset.end_ns - dataset.ts_ns[:, None]).max())
                    assert begin_ns - end_ns > MEMORY_NS
                    assert own_ns - end_ns > (own_ns - begin_ns) + (own_end_ns - own_ns) + MEMORY_NS
                    assert own_ns - end_ns <= 2**62 and longest_ns <= LONGEST_NS


@settings(max_examples=12)
@given(
    rows=st.lists(st.integers(30, 70), min_size=1, max_size=3),
    step_ms=st.sampled_from([250, 1_000, 3_000]),
    length=st.integers(1, 6),
    horizon=st.sampled_from([None, 0, 1]),
    seed=st.integers(0, 99),
)
def test_no_label_of_a_block_lives_while_a_later_window_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], step_ms: int, length: int, horizon: int | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    segments = [
        (f"C{place}", np.sort(START_NS + rng.integers(0, 4 * step_ms * 70, count) * 1_000_000))
        for place, count in enumerate(rows)
    ]
    dataset = write(tmp_path_factory.mktemp("set") / "set", segments, seed=seed, missing=0.1)
    try:
        split = split_once(dataset, length=length, horizon=horizon, shares=(0.4, 0.2, 0.2, 0.2))
    except DataError as error:
        assert "no sample is left" in error.message or "no row ends" in error.message or "every label" in error.message
        return
    check_apart(dataset, split)
    for block in split.blocks:
        assert set(block.rows) <= set(dataset.ends(slice(None), length, horizon))
        for found in block.ranges:
            coin = dataset.coins.index(found.coin)
            own = [lives(dataset, row, split) for row in block.rows if dataset.heads["market"][row] == coin]
            assert (found.from_ns, found.to_ns) == (min(life[0] for life in own), max(life[2] for life in own))


def test_the_purge_keeps_what_a_general_purge_keeps(tmp_path: Path) -> None:
    """purgedcv, given the lives of all samples, drops nothing of ours; and what we dropped before the cut, it drops."""
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS // 4, 2_000))], missing=0.1)
    cut_ns = int(dataset.ts_ns[1_200])
    split = split_at(dataset, (cut_ns, cut_ns, cut_ns), length=5, half_lives=0.0)
    # All samples before the cut against a test that begins with it, whether or not its windows do.
    candidates = dataset.ends(slice(None), 5)
    earlier = np.flatnonzero(dataset.ts_ns[candidates] < cut_ns)
    later = np.flatnonzero(dataset.ts_ns[candidates] >= cut_ns)
    start = pd.Series(pd.to_datetime(dataset.ts_ns[candidates]))
    end = pd.Series(pd.to_datetime(dataset.end_ns[candidates].max(axis=1) + 1))
    kept = purgedcv.purge(earlier, later, start, end)
    own = candidates[kept]
    # The first later candidate may stand some rows behind the cut; a label that ends between the two is no matter.
    first_later_ns = int(dataset.ts_ns[candidates[later[0]]])
    differing = sorted(set(own) ^ set(split.train.rows))
    assert all(cut_ns <= dataset.end_ns[row].max() < first_later_ns for row in differing)
    assert 0 < len(candidates[earlier]) - len(split.train.rows) < 20
    again = purgedcv.purge(
        np.searchsorted(candidates, split.train.rows), np.searchsorted(candidates, split.test.rows), start, end
    )
    assert (candidates[again] == split.train.rows).all()


def test_shares_and_order(tmp_path: Path) -> None:
    step_ns = 600 * SECOND_NS // 4_000
    dataset = write(tmp_path / "set", [(coin, every(step_ns, 4_000)) for coin in ("BTC", "ETH")])
    split = split_once(dataset, length=8)
    assert [block.name for block in split.blocks] == list(BLOCKS)
    for block, share in zip(split.blocks, SHARES, strict=True):
        assert {found.coin for found in block.ranges} == {"BTC", "ETH"}
        # 7 s of 600 s are lost at each of three cuts, and a window at the begin.
        assert share * 8_000 - 240 < len(block.rows) <= share * 8_000
        assert (np.diff(block.rows) > 0).all()
    for earlier, later in pairwise(split.blocks):
        assert max(found.to_ns for found in earlier.ranges) < min(found.from_ns for found in later.ranges)
    window_ns = 7 * step_ns
    assert MEMORY_NS + window_ns < split.embargo_ns <= MEMORY_NS + window_ns + LONGEST_NS


def test_an_empty_share_takes_no_embargo(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 200))])
    split = split_once(dataset, length=4, shares=(0.75, 0.0, 0.0, 0.25))
    assert len(split.stop.rows) == len(split.calibrate.rows) == 0 and split.stop.ranges == ()
    check_apart(dataset, split)
    assert 196 - len(split.train.rows) - len(split.test.rows) < 24


def test_a_longer_memory_keeps_blocks_farther_apart(tmp_path: Path) -> None:
    slow = FeatureSchema(levels=1, half_life_ms=10_000)
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 600))], schema=slow)
    split = split_once(dataset, length=4)
    for earlier, later in pairwise(split.blocks):
        assert min(found.from_ns for found in later.ranges) - max(found.to_ns for found in earlier.ranges) > 50 * 10**9
    short = split_once(dataset, length=4, half_lives=1.0)
    assert split.embargo_ns - short.embargo_ns == 40 * SECOND_NS


def test_a_published_test_begins_where_it_begins(tmp_path: Path) -> None:
    from_ns = START_NS + 300 * SECOND_NS
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 600))], test_from_ns=from_ns)
    split = split_once(dataset, length=4)
    assert int(dataset.ts_ns[split.test.rows[0]]) - from_ns < 15 * SECOND_NS and split.test.rows[-1] > 590
    assert 200 < len(split.train.rows) < 6 / 8 * 300


def test_walking_forward_by_day(tmp_path: Path) -> None:
    step_ns = 300 * SECOND_NS
    dataset = write(tmp_path / "set", [("BTC", every(step_ns, 4 * 288))])
    splits = walk_forward(dataset, length=3)
    assert len(splits) == 3
    for number, split in enumerate(splits, 1):
        begin_ns = START_NS + number * DAY_NS
        tested = dataset.ts_ns[split.test.rows]
        assert begin_ns <= tested.min() and tested.max() < begin_ns + DAY_NS
        assert len(split.test.rows) >= 280 - 5
        for block in split.blocks[:3]:
            assert dataset.end_ns[block.rows].max() < begin_ns
        check_apart(dataset, Split(*(block._replace(rows=block.rows[::20]) for block in split.blocks), *split[4:]))
    assert len(splits[2].train.rows) > 2 * len(splits[0].train.rows)
    assert len({split.key for split in splits}) == 3


def test_a_walk_is_of_the_newest_days_that_outlast_their_embargo(tmp_path: Path) -> None:
    days = [("BTC", every(300 * SECOND_NS, 288, START_NS + day * DAY_NS)) for day in range(3)]
    dataset = write(tmp_path / "set", [*days, ("BTC", every(SECOND_NS, 5, START_NS + 3 * DAY_NS))])
    whole = walk_forward(dataset, length=3)
    assert [split.test.ranges[0].from_ns // DAY_NS - START_NS // DAY_NS for split in whole] == [1, 2]
    for newest in (1, 2):
        found = walk_forward(dataset, length=3, newest=newest)
        assert [split.key for split in found] == [split.key for split in whole[-newest:]]
    with pytest.raises(DataError, match="samples of 4 days, expected 4 at least to walk forward, and 2 that can be"):
        walk_forward(dataset, length=3, newest=3)
    with pytest.raises(ValueError, match="0 days to walk are not 1 to"):
        walk_forward(dataset, length=3, newest=0)
    given = write(tmp_path / "given", days, test_from_ns=START_NS + DAY_NS)
    with pytest.raises(DataError, match="its protocol says what its test is"):
        walk_forward(given, length=3)


def test_what_cannot_be_split_says_why(tmp_path: Path) -> None:
    tiny = write(tmp_path / "tiny", [("BTC", every(SECOND_NS, 30))])
    with pytest.raises(DataError, match="no row ends a window of 31 rows"):
        split_once(tiny, length=31)
    with pytest.raises(DataError, match=r"no sample is left in the block stop: .* choose a shorter half-life"):
        split_once(tiny, length=4)
    with pytest.raises(DataError, match="samples of 1 days, expected 2 at least"):
        walk_forward(tiny, length=4)
    for shares in ((0.5, 0.5, 0.0, 0.0), (0.5, 0.2, 0.2, 0.2), (0.8, 0.2), (1.2, -0.4, 0.1, 0.1)):
        with pytest.raises(ValueError, match="not four numbers"):
            split_once(tiny, length=4, shares=shares)
    with pytest.raises(ValueError, match="not three times"):
        split_at(tiny, (3, 2, 4), length=4)
    with pytest.raises(ValueError, match="not three numbers"):
        walk_forward(tiny, length=4, shares=(0.5, 0.6, -0.1))
    with pytest.raises(ValueError, match="before the first test are too few"):
        walk_forward(tiny, length=4, days_before=0)
    with pytest.raises(ValueError, match="fewer than none"):
        split_once(tiny, length=4, half_lives=-1.0)


def test_one_class_teaches_nothing(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 400))])
    dataset.classes = np.where(dataset.classes >= 0, np.int8(1), dataset.classes)
    with pytest.raises(DataError, match="every label short of the block train is flat, expected two classes"):
        split_once(dataset, length=4)


def test_a_random_split_is_seen_to_leak(tmp_path: Path) -> None:
    """What holds for ours does not hold for the wrong one, or the test above would say nothing."""
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 300))])
    splits = random_folds(dataset, length=4, horizon=None)
    tested = np.concatenate([split.test.rows for split in splits])
    assert sorted(tested.tolist()) == dataset.ends(slice(None), 4).tolist()
    for split in splits:
        assert len(set(np.concatenate([block.rows for block in split.blocks]).tolist())) == len(tested)
        with pytest.raises(AssertionError):
            check_apart(dataset, split)


def test_ranges_give_the_blocks_back_that_they_were_made_of(tmp_path: Path) -> None:
    gap = every(SECOND_NS, 300, START_NS + 900 * SECOND_NS)
    dataset = write(
        tmp_path / "set", [("BTC", every(SECOND_NS // 2, 1_600)), ("ETH", every(SECOND_NS, 700)), ("ETH", gap)]
    )
    for horizon in (None, 0, 1):
        split = split_once(dataset, length=4, horizon=horizon)
        again = split_within(dataset, split.ranges, length=4, horizon=horizon, embargo_ns=split.embargo_ns)
        for one, other in zip(split.blocks, again.blocks, strict=True):
            assert one.rows.tolist() == other.rows.tolist() and one.ranges == other.ranges
        assert again.key == split.key and again.embargo_ns == split.embargo_ns
        assert [block.size for block in again.blocks] == [len(block.rows) for block in split.blocks]


def test_ranges_of_other_data_give_empty_blocks(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 400))])
    elsewhere = {"train": [Range(coin="SOL", from_ns=0, to_ns=2**62)], "test": [Range(coin="BTC", from_ns=0, to_ns=9)]}
    found = split_within(dataset, elsewhere, length=4, embargo_ns=1)
    assert [len(block.rows) for block in found.blocks] == [0, 0, 0, 0]
