from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.binance_books import schema_of as books_of
from hlhft.alpha.fi2010 import HORIZONS, INPUTS, ROWS, SECOND_NS, build, inputs_of, parts_of, recognises, schema_of
from hlhft.alpha.splits import split_once
from hlhft.data.errors import DataError

PROTOCOL = ["Train_Dst_NoAuction_ZScore_CF_7.txt", *(f"Test_Dst_NoAuction_ZScore_CF_{day}.txt" for day in (7, 8, 9))]


def table(examples: int, seed: int = 1) -> np.ndarray:
    """float64[149, n] as published: features, then labels 1 to 3."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((ROWS - 5, examples))
    return np.concatenate([features, rng.integers(1, 4, (5, examples))])


def write(path: Path, content: np.ndarray) -> Path:
    """The format that MATLAB wrote: columns of `%.7e` between spaces."""
    lines = ["   " + "   ".join(f"{value:.7e}" for value in row) for row in content]
    path.write_text("\n".join(lines) + "\n")
    return path


def make(folder: Path, paths: list[Path], inputs: int = 144):
    return build(folder / "set", parts_of(paths), name="fi2010", key="k", inputs=inputs)


@pytest.mark.parametrize(("inputs", "width"), [(40, 41), (144, 145)])
def test_columns_and_labels_are_where_they_belong(tmp_path: Path, inputs: int, width: int) -> None:
    content = table(120)
    path = write(tmp_path / "one.txt", content)
    assert recognises(path)
    found = make(tmp_path, [path], inputs)
    content = content.astype(np.float32)
    assert found.values.shape == (120, width) and found.schema.levels == 10
    # Published: ask price, ask size, bid price, bid size of level 1, then of level 2.
    names = found.schema.names
    for name, row in (("ask_price_1", 0), ("ask_size_1", 1), ("bid_price_1", 2), ("bid_size_1", 3), ("bid_price_2", 6),
                      ("ask_size_10", 37)):  # fmt: skip
        assert np.allclose(found.values[:, names.index(name)], content[row], atol=1e-6), name
    assert names[0] == "bid_price_1" and names[20] == "ask_price_1"
    assert np.allclose(found.values[:, 40:-1].T, content[40:inputs], atol=1e-6)
    assert (np.sign(found.values[:, found.schema.imbalance_column]) == np.sign(content[3] - content[1])).all()
    assert (found.classes == (3 - content[144:].T)).all()  # 1 up is 2, 3 down is 0
    assert [label.name for label in found.labels] == ["k10", "k20", "k30", "k50", "k100"]
    assert ((found.end_ns - found.ts_ns[:, None]) == np.array(HORIZONS) * SECOND_NS).all()


def test_the_published_days_are_the_test(tmp_path: Path) -> None:
    for seed, name in enumerate(PROTOCOL):
        write(tmp_path / name, table(600 if name.startswith("Train") else 150, seed))
    write(tmp_path / "Train_Dst_NoAuction_ZScore_CF_3.txt", table(90))  # of another fold
    found = make(tmp_path, sorted(tmp_path.glob("*.txt")), 40)
    assert [found.sources[segment] for segment in found.segments["source"]] == PROTOCOL
    assert (found.segments["end"] - found.segments["first"]).tolist() == [600, 150, 150, 150]
    split = split_once(found, length=10, horizon=0)
    assert split.test.rows.min() >= 600 + 9 and len(split.test.rows) == 3 * 141
    assert split.train.rows.max() < 450 and split.stop.rows.min() > split.train.rows.max()
    assert split.calibrate.rows.max() < 600


def test_a_folder_without_the_whole_protocol_is_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, table(20)) for name in PROTOCOL[:3]]
    with pytest.raises(DataError, match=r"Test_…_CF_9.txt of the published protocol is missing"):
        parts_of(paths)


def bad(change: str) -> np.ndarray:
    content = table(30)
    if change == "nan":
        content[9, 4] = np.nan
    elif change == "label":
        content[146, 2] = 4
    return content


@pytest.mark.parametrize(
    ("change", "words"),
    [("nan", "line 10: example 5 is nan"), ("label", "line 147: example 3 has label 4, expected 1 up")],
)
def test_bad_numbers_are_refused_in_words(tmp_path: Path, change: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make(tmp_path, [write(tmp_path / "one.txt", bad(change))])


def test_bad_shapes_are_refused_in_words(tmp_path: Path) -> None:
    path = write(tmp_path / "one.txt", table(30))
    lines = path.read_text().splitlines()
    for kept, words in (
        (lines[:148], "it has 148 rows, expected 149"),
        ([*lines, lines[0]], "line 150: there are more than 149 rows"),
        (
            [*lines[:5], lines[5].rsplit(maxsplit=1)[0], *lines[6:]],
            "line 6: the row has 29 examples and the first one 30",
        ),
        ([*lines[:7], lines[7].replace("e", "x", 1), *lines[8:]], "line 8: a value is no number"),
    ):
        path.write_text("\n".join(kept) + "\n")
        with pytest.raises(DataError, match=words):
            make(tmp_path, [path])
    assert not (tmp_path / "set").exists()
    with pytest.raises(ValueError, match="40 or 144 inputs"):
        make(tmp_path, [write(path, table(30))], 41)


def test_one_class_or_too_few_examples_cannot_be_split(tmp_path: Path) -> None:
    content = table(400)
    content[144:] = 2.0
    with pytest.raises(DataError, match="every label k10 of the block train is flat"):
        split_once(make(tmp_path, [write(tmp_path / "one.txt", content)]), length=10, horizon=0)
    with pytest.raises(DataError, match="no sample is left in the block stop"):
        split_once(make(tmp_path, [write(tmp_path / "one.txt", table(60))]), length=10, horizon=0)


def test_other_text_is_not_taken_for_it(tmp_path: Path) -> None:
    for text in ("hello world\n", "1,2,3\n" * 9, '{"a": 1}\n', "1.5 2.5\n"):
        (tmp_path / "x.txt").write_text(text)
        assert not recognises(tmp_path / "x.txt")


def test_columns_say_how_many_inputs_they_are_of() -> None:
    assert [inputs_of(schema_of(inputs)) for inputs in INPUTS] == list(INPUTS)
    assert inputs_of(books_of(10)) == inputs_of(None) == 144
