"""FI-2010 as its authors publish it (Ntakaris et al., 2018; CC BY 4.0): text files of 149 rows and a column an example.

Rows 1 to 144 are features, of which the first 40 are ten levels of (ask price, ask size, bid price, bid size),
normalised by the authors (use their z-score files); rows 145 to 149 are the labels of k = 10, 20, 30, 50, 100 events: 1
up, 2 stationary, 3 down. Here classes are 2, 1, 0, and the book's columns stand in the order of `FeatureSchema`.

The published protocol trains on days 1 to 7 and tests on days 8 to 10: a folder gives `Train_…_CF_7` and `Test_…_CF_7`,
`_8`, `_9`; one file by itself is split by time. The files carry no time and no price: a row counts as a second, the
test begins a day after the train part, a move is a class of no unit, and of the mid only the sign of its changes means
something (z-score + 1000). The five stocks follow each other within a file without a mark, so a few windows and labels
reach from one into the next, here as in every published figure. Whether k counts events or rows is told in two ways;
for the purge it is rows, the longer life.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hlhft.alpha.dataset import CHUNK_ROWS, Dataset, DatasetWriter, LabelColumns
from hlhft.alpha.foreign_schema import ForeignSchema
from hlhft.alpha.labels import LabelSpec, uniqueness
from hlhft.alpha.schema import FLAG_VALID, ROW_DTYPE
from hlhft.data.errors import DataError
from hlhft.data.files import LineFile

FEATURES, BOOK, LEVELS = 144, 40, 10
HORIZONS = (10, 20, 30, 50, 100)
ROWS = FEATURES + len(HORIZONS)
INPUTS = (BOOK, FEATURES)
COIN = "FI-2010"
VERSION = 1
EXAMPLES_MAX = 4_000_000  # ten times the largest published file
SECOND_NS = 1_000_000_000
START_NS = 1_275_350_400 * SECOND_NS  # 2010-06-01: the days themselves are not published
DAY_NS = 86_400 * SECOND_NS
MID = 1_000.0

_NAME = re.compile(r"(Train|Test)_.*CF_(\d+)\.txt", re.IGNORECASE)
_TRAIN_DAYS, _TEST_DAYS = 7, (7, 8, 9)
_WORD = re.compile(rb"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s")


class Part(NamedTuple):
    """One file and what it is for."""

    path: Path
    is_test: bool


def recognises(path: Path) -> bool:
    """Whether the file is text that begins with numbers, and many of them: no recording of ours does."""
    if path.suffix != ".txt":
        return False
    with path.open("rb") as file:
        head = file.read(4_096)
    words = head.split()
    return _WORD.match(head) is not None and len(words) > 8 and b"," not in head and b"{" not in head


def parts_of(paths: Sequence[Path]) -> list[Part]:
    """The files of the published protocol among these, train first; one file by itself is train.

    Raises DataError when the protocol's files are not all there.
    """
    if len(paths) == 1:
        return [Part(paths[0], False)]
    named = {(found[1].lower(), int(found[2])): path for path in paths if (found := _NAME.fullmatch(path.name))}
    wanted = [("train", _TRAIN_DAYS), *(("test", day) for day in _TEST_DAYS)]
    missing = [f"{kind.capitalize()}_…_CF_{day}.txt" for kind, day in wanted if (kind, day) not in named]
    if missing:
        raise DataError(
            paths[0].parent,
            None,
            f"{', '.join(missing)} of the published protocol is missing beside it, add it or name one file",
        )
    return [Part(named[key], key[0] == "test") for key in wanted]


def schema_of(inputs: int) -> ForeignSchema:
    """The columns for 40 or 144 inputs; the imbalance of the touch is made of the two sizes and adds nothing to them.

    Raises ValueError for another number.
    """
    if inputs not in INPUTS:
        raise ValueError(f"FI-2010 has 40 or 144 inputs, not {inputs}")
    book = [f"{side}_{what}_{level}" for side in ("bid", "ask") for level in range(1, LEVELS + 1)
            for what in ("price", "size")]  # fmt: skip
    others = [f"feature_{number}" for number in range(BOOK + 1, inputs + 1)]
    return ForeignSchema(
        format=f"fi-2010, {inputs} inputs", levels=LEVELS, names=(*book, *others, "imbalance"), imbalance="imbalance",
        version=VERSION,
    )  # fmt: skip


def inputs_of(schema: ForeignSchema | None) -> int:
    """How many inputs give such columns; without a schema of this set, all."""
    return next((inputs for inputs in INPUTS if schema == schema_of(inputs)), FEATURES)


def labels_of() -> tuple[LabelSpec, ...]:
    """The five published labels; the horizon in our words is a second a row."""
    return tuple(LabelSpec(name=f"k{k}", kind="window", horizon_ms=k * 1_000) for k in HORIZONS)


def build(folder: Path, parts: Sequence[Part], *, name: str, key: str, inputs: int) -> Dataset:
    """Builds the dataset in `folder`. Raises DataError for a file that is not as published."""
    schema, labels = schema_of(inputs), labels_of()
    folder.parent.mkdir(parents=True, exist_ok=True)
    test_ns: int | None = None
    start_ns = START_NS
    with (
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fi2010-") as scratch,
        DatasetWriter(
            folder, name=name, key=key, schema=schema, labels=labels, coins=[COIN],
            sources=[part.path.name for part in parts], profile="recorded", test_from_ns=_test_from(parts),
        ) as writer,
    ):  # fmt: skip
        for part in parts:
            if part.is_test and test_ns is None:
                start_ns = test_ns = _TEST_FROM_NS + DAY_NS  # the embargo lies in the day between
            table = _table(part.path, Path(scratch) / "table.f4")
            if not part.is_test and start_ns + (table.shape[1] + max(HORIZONS)) * SECOND_NS >= _TEST_FROM_NS:
                raise DataError(part.path, None, f"{table.shape[1]} examples are more than any published file has")
            writer.append(COIN, *_segment(table, start_ns, inputs), source=part.path.name)
            start_ns += (table.shape[1] + max(HORIZONS)) * SECOND_NS
        return writer.finish()


_TEST_FROM_NS = START_NS + DAY_NS * (EXAMPLES_MAX * SECOND_NS // DAY_NS + 2)


def _test_from(parts: Sequence[Part]) -> int | None:
    return _TEST_FROM_NS if any(part.is_test for part in parts) else None


def _table(path: Path, scratch: Path) -> np.ndarray:
    """float32[149, n], a mapped file: the text read line by line. Raises DataError naming the row."""
    table: np.ndarray | None = None
    number = 0
    for first, lines in LineFile(path).blocks():
        for number, line in enumerate(lines, first):
            if not line.strip():
                number -= 1
                continue
            if number > ROWS:
                raise DataError(path, number, f"there are more than {ROWS} rows, expected a file as published")
            values = _numbers(path, number, line)
            if table is None:
                if not 1 <= len(values) <= EXAMPLES_MAX:
                    raise DataError(path, number, f"the row has {len(values)} examples, at most {EXAMPLES_MAX} fit")
                table = np.memmap(scratch, dtype=np.float32, mode="w+", shape=(ROWS, len(values)))
            if len(values) != table.shape[1]:
                raise DataError(
                    path,
                    number,
                    f"the row has {len(values)} examples and the first one {table.shape[1]}, expected the same in all, "
                    "download it again",
                )
            table[number - 1] = values
    if table is None or number != ROWS:
        raise DataError(
            path,
            None,
            f"it has {number} rows, expected {ROWS}: 144 features and 5 labels, a column an example, download it again",
        )
    return table


def _numbers(path: Path, number: int, line: bytes) -> np.ndarray:
    """The row's numbers. Raises DataError for what is none, is not finite, or is no label where one stands."""
    try:
        values = np.array(line.split(), dtype=np.float64)
    except ValueError as error:
        raise DataError(path, number, f"a value is no number ({error}), download the file again") from None
    if not np.isfinite(values).all():
        place = int(np.argmin(np.isfinite(values)))
        raise DataError(
            path, number, f"example {place + 1} is {values[place]}, expected a finite number, download the file again"
        )
    if number > FEATURES and not np.isin(values, (1.0, 2.0, 3.0)).all():
        place = int(np.argmin(np.isin(values, (1.0, 2.0, 3.0))))
        raise DataError(
            path, number, f"example {place + 1} has label {values[place]:g}, expected 1 up, 2 stationary or 3 down"
        )
    return values


def _segment(table: np.ndarray, start_ns: int, inputs: int) -> tuple[np.ndarray, np.ndarray, LabelColumns]:
    """The file's examples as one segment."""
    count = table.shape[1]
    ts_ns = start_ns + SECOND_NS * np.arange(count, dtype=np.int64)
    heads = np.zeros(count, ROW_DTYPE)
    heads["ts_exch_ns"] = heads["ts_local_ns"] = ts_ns
    heads["sequence"], heads["flags"] = np.arange(1, count + 1), FLAG_VALID
    heads["mid_ticks"] = heads["micro_ticks"] = MID + (table[0].astype(np.float64) + table[2]) / 2
    heads["half_spread_ticks"] = np.maximum(table[0].astype(np.float64) - table[2], 0.0) / 2
    heads["sigma_bp"] = 1.0
    classes = (3 - table[FEATURES:].T).astype(np.int8)
    end_ns = ts_ns[:, None] + SECOND_NS * np.array(HORIZONS, np.int64)
    weights = np.stack([uniqueness(ts_ns, np.ascontiguousarray(column)) for column in end_ns.T], axis=1)
    labels = LabelColumns(classes, end_ns, (classes - 1).astype(np.float32), weights)
    return heads, _values(table, inputs), labels


def _values(table: np.ndarray, inputs: int) -> np.ndarray:
    """float32[n, inputs + 1]: the book by side, the others as they stand, and the imbalance of the touch."""
    places = [4 * level + column for columns in ((2, 3), (0, 1)) for level in range(LEVELS) for column in columns]
    places += list(range(BOOK, inputs))
    values = np.empty((table.shape[1], inputs + 1), np.float32)
    for first in range(0, len(values), CHUNK_ROWS):
        part = slice(first, min(first + CHUNK_ROWS, len(values)))
        values[part, :-1] = table[places, part].T
        values[part, -1] = np.tanh((table[3, part] - table[1, part]) / 2)
    return values
