"""Which rows may teach, stop, calibrate and judge: blocks of time that know nothing of each other.

A sample is a row that ends a window and has a label. It lives from the first row of its window to the end of its label,
and its features remember five of their longest half-lives before that. All coins are cut at the same times; of the
samples around a cut only those remain

- before it, whose label has ended by then (purge);
- after it, whose window begins no sooner than the embargo's fixed part: the longest label's life and five half-lives.

So from a cut to a later sample's own row it is at least its window + horizon + 5 x the longest half-life, and no label
that was learnt from lives while a later window does. A block boundary is one moment, so two comparisons a sample do
this, with 32 bytes of memory a sample; a test holds that purgedcv's general purge keeps the same rows, and a
brute-force look at all pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from hlhft.alpha.dataset import CHUNK_ROWS, Dataset
from hlhft.data.errors import DataError

Int64 = NDArray[np.int64]

TRAIN, STOP, CALIBRATE, TEST = "train", "stop", "calibrate", "test"
BLOCKS = (TRAIN, STOP, CALIBRATE, TEST)
SHARES = (0.6, 0.1, 0.1, 0.2)
HALF_LIVES = 5.0
DAY_NS = 86_400_000_000_000
FOLDS_MAX = 400
_SAMPLED_MAX = 4_000_000  # times that quantiles are taken of
_EARLIEST_NS, _LATEST_NS = -(2**63), 2**63 - 1
_CLASS_NAMES = ("down", "flat", "up")


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What samples of one coin live through, both ends included, `ts_local_ns`."""

    coin: str
    from_ns: int  # the first row of the first window
    to_ns: int  # the end of the last label


class Block(NamedTuple):
    """The samples of one purpose; `rows` is sorted, coin after coin, as in the dataset."""

    name: str
    ranges: tuple[Range, ...]
    rows: Int64

    @property
    def size(self) -> int:
        """How many samples there are."""
        return len(self.rows)


class Split(NamedTuple):
    """Four blocks in the order of time. Of `test`, only `hlhft.alpha.trials` gives the rows to who judges by them."""

    train: Block
    stop: Block
    calibrate: Block
    test: Block
    embargo_ns: int  # from the end of a block's ranges to the first moment that a later decision may be judged at
    length: int
    horizon: int | None
    key: str  # 32 hexadecimal digits: the same dataset and the same test block

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All four, in the order of time."""
        return (self.train, self.stop, self.calibrate, self.test)

    @property
    def ranges(self) -> dict[str, tuple[Range, ...]]:
        """The ranges of every block, by its name."""
        return {block.name: block.ranges for block in self.blocks}


class _Lives(NamedTuple):
    """Samples: their rows, when their window begins, when they are decided on, and when their label ends."""

    rows: Int64
    begin_ns: Int64
    ts_ns: Int64
    end_ns: Int64


def split_once(
    dataset: Dataset,
    *,
    length: int,
    horizon: int | None = None,
    shares: Sequence[float] = SHARES,
    half_lives: float = HALF_LIVES,
) -> Split:
    """The dataset in four blocks by time, `shares` of its samples each, before purge and embargo.

    A share of 0 leaves its block empty, without an embargo for it; train and test have one. Where the dataset's
    protocol says when its test begins, the other shares are of what is before. `horizon`: as in `Dataset.ends`. Raises
    ValueError for shares that are none, DataError where a block is left without a sample, or train with labels of one
    class.
    """
    if len(shares) != len(BLOCKS) or min(shares) < 0 or min(shares[0], shares[3]) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares {tuple(shares)} are not four numbers from 0 that make 1, train's and test's above it")
    lives = _lives_of(dataset, length, horizon)
    if dataset.test_from_ns is None:
        cuts = _quantiles(lives.ts_ns, np.cumsum(shares)[:3])
    else:
        before = lives.ts_ns[lives.ts_ns < dataset.test_from_ns]
        cuts = (*_quantiles(before, np.cumsum(shares)[:2] / sum(shares[:3])), dataset.test_from_ns)
    return _split(dataset, lives, cuts, shares, length, horizon, half_lives)


def split_at(
    dataset: Dataset,
    cuts_ns: Sequence[int],
    *,
    length: int,
    horizon: int | None = None,
    half_lives: float = HALF_LIVES,
) -> Split:
    """The dataset in four blocks, cut at three given times; two equal ones leave the block between them empty.

    Raises ValueError for times that decrease, DataError as `split_once`.
    """
    if len(cuts_ns) != len(BLOCKS) - 1 or list(cuts_ns) != sorted(cuts_ns):
        raise ValueError(f"cuts {tuple(cuts_ns)} are not three times, each no earlier than the one before")
    shares = (1.0, *(float(later > earlier) for earlier, later in pairwise(cuts_ns)), 1.0)
    return _split(dataset, _lives_of(dataset, length, horizon), tuple(cuts_ns), shares, length, horizon, half_lives)


def split_within(
    dataset: Dataset,
    ranges: Mapping[str, Sequence[Range]],
    *,
    length: int,
    horizon: int | None = None,
    embargo_ns: int,
) -> Split:
    """The blocks that these ranges, by block, were made of: the samples that live within them. A block may be empty.

    With the same dataset, length and horizon it is the split whose `ranges` they are, its key included. Raises
    DataError when the dataset has no sample at all.
    """
    lives = _lives_of(dataset, length, horizon)
    coins = dataset.segments["coin"][dataset.segment_of(lives.rows)]
    rows = {}
    for name in BLOCKS:
        kept = np.zeros(len(coins), np.bool_)
        for one in ranges.get(name, ()):
            if one.coin in dataset.coins:
                own = coins == dataset.coins.index(one.coin)
                kept |= own & (lives.begin_ns >= one.from_ns) & (lives.end_ns <= one.to_ns)
        rows[name] = Block(name, _ranges(dataset, lives, kept), lives.rows[kept])
    key = _key(dataset, rows[TEST], length, horizon)
    return Split(**rows, embargo_ns=embargo_ns, length=length, horizon=horizon, key=key)


def walk_forward(
    dataset: Dataset,
    *,
    length: int,
    horizon: int | None = None,
    shares: Sequence[float] = (0.75, 0.125, 0.125),
    days_before: int = 1,
    newest: int | None = None,
    half_lives: float = HALF_LIVES,
) -> list[Split]:
    """A split for each day (UTC) but the first `days_before`: the day is the test, all before it are the other blocks.

    A day that is over before its embargo is no test. In order of time; the `newest` so many of them, None: all, at most
    FOLDS_MAX. Each holds its rows, 8 bytes a sample. Raises DataError where there are fewer, where the dataset's
    protocol says what its test is, and as `split_once`.
    """
    if len(shares) != 3 or min(shares) < 0 or shares[0] <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares {tuple(shares)} are not three numbers from 0 that make 1, train's above it")
    if days_before < 1:
        raise ValueError(f"{days_before} days before the first test are too few, expected 1 at least")
    if newest is not None and not 1 <= newest <= FOLDS_MAX:
        raise ValueError(f"{newest} days to walk are not 1 to {FOLDS_MAX}")
    if dataset.test_from_ns is not None:
        raise DataError(
            dataset.name, None, "its protocol says what its test is, so it is split once: do not walk it forward"
        )
    lives = _lives_of(dataset, length, horizon)
    day_of = lives.ts_ns // DAY_NS
    days = np.unique(day_of)
    outlasting = np.unique(day_of[lives.begin_ns >= day_of * DAY_NS + _fixed_ns(dataset, lives, half_lives)])
    tests = np.intersect1d(days[days_before:], outlasting)
    if len(tests) < (newest or 1):
        raise DataError(
            dataset.name,
            None,
            f"it has samples of {len(days)} days, expected {days_before + (newest or 1)} at least to walk forward, and "
            f"{len(tests)} that can be tests: record longer, or walk fewer days",
        )
    splits = []
    for day in tests[-(newest or FOLDS_MAX) :]:
        known = _Lives(*(column[lives.ts_ns < (day + 1) * DAY_NS] for column in lives))
        earlier = known.ts_ns[known.ts_ns < day * DAY_NS]
        cuts = (*_quantiles(earlier, np.cumsum(shares)[:2]), int(day) * DAY_NS)
        splits.append(_split(dataset, known, cuts, (*shares, 1.0), length, horizon, half_lives))
    return splits


def _lives_of(dataset: Dataset, length: int, horizon: int | None) -> _Lives:
    """All samples of the dataset. Raises DataError when there is none."""
    rows = dataset.ends(slice(None), length, horizon)
    if not len(rows):
        raise DataError(
            dataset.name,
            None,
            f"no row ends a window of {length} rows and has a label, give a longer recording or a shorter window",
        )
    ts_ns = dataset.ts_ns
    columns = slice(None) if horizon is None else slice(horizon, horizon + 1)
    begin, own, end = (np.empty(len(rows), np.int64) for _ in range(3))
    for part in _parts(len(rows)):
        index = rows[part]
        own[part], begin[part] = ts_ns[index], ts_ns[index - (length - 1)]
        end[part] = dataset.end_ns[index, columns].max(axis=1)
    return _Lives(rows, begin, own, end)


def _parts(count: int) -> Iterator[slice]:
    return (slice(first, min(first + CHUNK_ROWS, count)) for first in range(0, count, CHUNK_ROWS))


def _quantiles(ts_ns: Int64, levels: NDArray[np.float64]) -> tuple[int, ...]:
    """Times before which these shares of the samples are; the earliest time there is where there are none."""
    if not len(ts_ns):
        return (_EARLIEST_NS,) * len(levels)
    taken = np.sort(ts_ns[:: -(-len(ts_ns) // _SAMPLED_MAX)])
    # The time of a sample, never one between two: the same cut whatever is around it.
    return tuple(int(taken[min(round(level * len(taken)), len(taken) - 1)]) for level in levels)


def _split(
    dataset: Dataset,
    lives: _Lives,
    cuts_ns: tuple[int, ...],
    shares: Sequence[float],
    length: int,
    horizon: int | None,
    half_lives: float,
) -> Split:
    fixed_ns = _fixed_ns(dataset, lives, half_lives)
    bounds = (_EARLIEST_NS, *cuts_ns, _LATEST_NS)
    blocks = []
    has_earlier = False
    for place, name in enumerate(BLOCKS):
        if shares[place] <= 0:
            blocks.append(Block(name, (), np.empty(0, np.int64)))
            continue
        first_ns = bounds[place] + fixed_ns if has_earlier else _EARLIEST_NS
        kept = (lives.begin_ns >= first_ns) & (lives.ts_ns >= bounds[place]) & (lives.end_ns < bounds[place + 1])
        has_earlier = True
        if not kept.any():
            raise DataError(
                dataset.name,
                None,
                f"no sample is left in the block {name}: between blocks, {fixed_ns / 1e9:g} s must pass before "
                f"a window of {length} rows begins ({half_lives:g} half-lives of the longest feature and the longest "
                "label), record longer or choose a shorter half-life, window or horizon",
            )
        blocks.append(Block(name, _ranges(dataset, lives, kept), lives.rows[kept]))
    _check_classes(dataset, blocks[0], horizon)
    embargo_ns = fixed_ns + int((lives.ts_ns - lives.begin_ns).max())
    key = _key(dataset, blocks[-1], length, horizon)
    train, stop, calibrate, test = blocks
    return Split(train, stop, calibrate, test, embargo_ns, length, horizon, key)


def _fixed_ns(dataset: Dataset, lives: _Lives, half_lives: float) -> int:
    """From a cut to the first window after it: the longest label's life and what features remember."""
    if half_lives < 0:
        raise ValueError(f"{half_lives} half-lives are fewer than none")
    return int((lives.end_ns - lives.ts_ns).max()) + round(half_lives * dataset.schema.half_life_ms * 1e6)


def _ranges(dataset: Dataset, lives: _Lives, kept: NDArray[np.bool_]) -> tuple[Range, ...]:
    coins = dataset.segments["coin"][dataset.segment_of(lives.rows[kept])]
    begin, end = lives.begin_ns[kept], lives.end_ns[kept]
    return tuple(
        Range(
            coin=dataset.coins[coin],
            from_ns=int(begin[coins == coin].min()),
            to_ns=int(end[coins == coin].max()),
        )
        for coin in np.unique(coins)
    )


def _check_classes(dataset: Dataset, train: Block, horizon: int | None) -> None:
    """Raises DataError when there is nothing to tell apart."""
    for column in range(len(dataset.labels)) if horizon is None else (horizon,):
        counts = np.zeros(3, np.int64)
        for part in _parts(len(train.rows)):
            counts += np.bincount(dataset.classes[train.rows[part], column], minlength=3)
        if np.count_nonzero(counts) < 2:
            raise DataError(
                dataset.name,
                None,
                f"every label {dataset.labels[column].name} of the block train is "
                f"{_CLASS_NAMES[int(counts.argmax())]}, expected two classes at least, give a longer recording or a "
                "narrower label",
            )


def _key(dataset: Dataset, test: Block, length: int, horizon: int | None) -> str:
    digest = hashlib.blake2b(msgspec.json.encode([dataset.key, test.ranges, length, horizon]), digest_size=16)
    for part in _parts(len(test.rows)):
        digest.update(test.rows[part].astype("<i8").tobytes())
    return digest.hexdigest()
