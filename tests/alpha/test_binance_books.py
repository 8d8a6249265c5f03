from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.binance_books import HORIZONS, SMOOTHED, TICK, build, columns_of, recognises
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.splits import split_once
from hlhft.data.errors import DataError

MS = 1_000_000
START_MS = 1_673_302_660_000  # 2023-01-09 22:17:40


def books(rows: int, *, levels: int = 10, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Times in milliseconds, and [n, 2, L, 2] books around a walk of ticks."""
    rng = np.random.default_rng(seed)
    mid = 17_000.0 + TICK * np.cumsum(rng.integers(-3, 4, rows))
    away = TICK * (0.5 + np.arange(levels))
    price = np.stack([mid[:, None] - away, mid[:, None] + away], axis=1).round(2)
    return START_MS + 250 * np.arange(rows), np.stack([price, rng.uniform(0.1, 9.0, price.shape).round(3)], axis=-1)


def published(path: Path, ts_ms: np.ndarray, book: np.ndarray, *, index: bool = True) -> Path:
    """As published: row, epoch, date and time, bids, asks; the header is numbers that say nothing."""
    count = 42 + index
    rows = [",".join(["", *map(str, range(count - 1))])] if index else []
    for number, (at, sides) in enumerate(zip(ts_ms, book, strict=True)):
        when = np.datetime64(int(at), "ms").item().isoformat(sep=" ")
        values = [f"{value:.3f}" for side in sides for level in side for value in level]
        rows.append(",".join([*([str(number)] if index else []), str(at), when, *values]))
    text = "\n".join(rows) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def make(tmp_path: Path, *paths: Path) -> Dataset:
    return build(tmp_path / "set", list(paths), name="books", key="k")


@pytest.mark.parametrize(("name", "index"), [("a.csv", True), ("a.csv.gz", True), ("b.csv", False)])
def test_the_published_set_is_read(tmp_path: Path, name: str, index: bool) -> None:
    ts_ms, book = books(400)
    path = published(tmp_path / name, ts_ms, book, index=index)
    assert recognises(path)
    found = make(tmp_path, path)
    assert (found.ts_ns == ts_ms * MS).all() and found.segments.tolist() == [(0, 400, 0, 0)]
    mid = book[:, :, 0, 0].mean(axis=1)
    assert np.allclose(found.heads["mid_ticks"] * TICK, mid)
    assert np.allclose(found.heads["half_spread_ticks"], 0.5)
    names = found.schema.names
    assert np.allclose(found.values[:, names.index("ask_bp_3")], (book[:, 1, 2, 0] / mid - 1) * 1e4, atol=1e-3)
    bid, ask = book[:, 0, 0, 1], book[:, 1, 0, 1]
    assert np.allclose(found.values[:, found.schema.imbalance_column], (bid - ask) / (bid + ask), atol=1e-5)
    assert np.isfinite(found.values).all() and (found.heads["sigma_bp"][50:] > 0).all()


def test_labels_are_those_that_were_published(tmp_path: Path) -> None:
    ts_ms, book = books(700)
    found = make(tmp_path, published(tmp_path / "a.csv", ts_ms, book))
    mid = book[:, :, 0, 0].mean(axis=1)
    for column, rows in enumerate(HORIZONS):
        means = {row: mid[row - SMOOTHED + 1 : row + 1].mean() for row in range(SMOOTHED - 1, 700)}
        changes = {row: means[row + rows] / means[row] - 1 for row in range(SMOOTHED - 1, 700 - rows)}
        limit = np.mean([abs(change) for row, change in changes.items() if row < 420]) / 2
        for row in range(700):
            label = int(found.classes[row, column])
            if row not in changes:
                assert (label, int(found.end_ns[row, column])) == (-1, -1)
                continue
            if abs(abs(changes[row]) - limit) > 1e-12:
                assert label == (2 if changes[row] > limit else 0 if changes[row] < -limit else 1)
            assert found.end_ns[row, column] == found.ts_ns[row + rows]


def test_the_future_changes_no_feature_and_no_threshold(tmp_path: Path) -> None:
    ts_ms, book = books(700)
    whole = make(tmp_path, published(tmp_path / "a.csv", ts_ms, book))
    changed = book.copy()
    changed[600:, :, :, 0] += 50.0
    changed[600:, :, :, 1] *= 3.0
    (tmp_path / "other").mkdir()
    other = make(tmp_path / "other", published(tmp_path / "b.csv", ts_ms, changed))
    assert (whole.values[:600] == other.values[:600]).all() and (whole.heads[:600] == other.heads[:600]).all()
    assert (whole.classes[: 600 - HORIZONS[-1]] == other.classes[: 600 - HORIZONS[-1]]).all()


def test_pieces_and_files_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ts_ms, book = books(900)
    whole = make(tmp_path, published(tmp_path / "a.csv", ts_ms, book))
    monkeypatch.setattr("hlhft.alpha.binance_books.BLOCK_BYTES", 20_000)
    parts = [
        published(tmp_path / f"p{n}.csv", ts_ms[s], book[s]) for n, s in enumerate([slice(0, 500), slice(500, 900)])
    ]
    (tmp_path / "other").mkdir()
    other = make(tmp_path / "other", *parts)
    assert (whole.heads == other.heads).all() and (whole.classes == other.classes).all()
    assert np.allclose(whole.values, other.values, rtol=1e-6)


def test_a_gap_ends_a_segment(tmp_path: Path) -> None:
    ts_ms, book = books(300)
    ts_ms[120:] += 61_000
    found = make(tmp_path, published(tmp_path / "a.csv", ts_ms, book))
    assert found.segments["end"].tolist() == [120, 300]
    assert (found.classes[110:120] == -1).all() and (found.classes[115, 0], found.classes[135, 0]) != (0, -1)


@pytest.mark.parametrize(
    "names",
    [
        [f"{side}_{what}_{level}" for side in ("bid", "ask") for level in (1, 2) for what in ("price", "size")],
        [f"{side}s[{level}].{what}" for level in (0, 1) for side in ("ask", "bid") for what in ("amount", "price")],
        [f"{prefix}{side}{level}" for level in (1, 2) for side in ("sell", "buy") for prefix in ("", "v")],
    ],
)
def test_names_say_what_columns_are(names: list[str]) -> None:
    found = columns_of([",".join(["Timestamp", *names, "note"]).encode()])
    assert found is not None and (found.time, found.levels, found.has_header) == (0, 2, True)
    for side, words in enumerate((("bid", "buy"), ("ask", "sell"))):
        for level, places in enumerate(found.book[side]):
            for what, place in enumerate(places):
                name = names[place - 1]
                assert any(word in name for word in words) and str(level + int("0" not in "".join(names))) in name
                assert (what == 1) == any(word in name for word in ("size", "amount", "v"))


def test_other_tables_are_not_taken_for_it(tmp_path: Path) -> None:
    ours = "timestamp,sequence,exchange_timestamp,bid_price_0,bid_size_0,ask_price_0,ask_size_0"
    for head in (ours, "timestamp,price,size,side", "timestamp,bid_price_1,bid_size_1,ask_price_1", "a,b,c", ""):
        path = tmp_path / "x.csv"
        path.write_text(head + "\n1,2,3,4\n" if head else "\n")
        assert not recognises(path)
    assert not recognises(published(tmp_path / "x.dat", *books(3)))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [((7, 0, 0, 1), 0.0, "row 8 of the set: this is no book"), ((9, 0, 0, 0), 99_999.0, "row 10 of the set"),
     ((5, 1, 3, 0), np.nan, "row 6 of the set")],
)  # fmt: skip
def test_bad_rows_are_refused_in_words(tmp_path: Path, place: tuple[int, ...], value: float, words: str) -> None:
    ts_ms, book = books(50)
    book[place] = value
    with pytest.raises(DataError, match=words):
        make(tmp_path, published(tmp_path / "a.csv", ts_ms, book))


def test_bad_files_are_refused_in_words(tmp_path: Path) -> None:
    ts_ms, book = books(50)
    path = published(tmp_path / "a.csv", ts_ms[::-1], book)
    with pytest.raises(DataError, match="row 2 of the set: it is earlier than the row before it"):
        make(tmp_path, path)
    published(path, ts_ms, book)
    path.write_text(path.read_text().replace("17000", "many", 1))
    with pytest.raises(DataError, match="cannot be read as a table of numbers"):
        make(tmp_path, path)
    published(path, ts_ms, book)
    path.write_text("\n".join(path.read_text().splitlines()[:20]) + "\n1,2,3\n")
    with pytest.raises(DataError, match="cannot be read as a table of numbers"):
        make(tmp_path, path)
    with pytest.raises(DataError, match="no row ends a window"):
        split_once(make(tmp_path, published(path, *books(50))), length=20)
