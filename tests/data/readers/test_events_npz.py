"""Our own container: what a source gave comes back as it was."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hlhft.data.errors import DataError
from hlhft.data.feed import replay_events
from hlhft.data.files import ProgressMeter
from hlhft.data.npz import write
from hlhft.data.readers.events_npz import open_events, write_events
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.events import EVENT_DTYPE
from tests.data.making import BTC, ETH, ListSource, bbo, fault_of, joined, rows_of, snapshot, trade
from tests.data.making import write as write_lines  # fmt: skip
from tests.data.synthetic import clean_log

ROWS = joined([snapshot(10, [(100, 5)], [(101, 5)]), bbo(20, (100, 5), (101, 5), market=1), trade(30, 1, 101, 1)])


def written(folder: Path, rows: np.ndarray = ROWS, **changed: object) -> Path:
    """A container with these rows; `changed` are its specification's fields."""
    path = folder / "a.events.npz"
    write_events(path, [rows], ListSource([], [BTC, ETH]))
    if changed:
        with zipfile.ZipFile(path) as archive:
            contents = json.loads(archive.read("markets.json"))
        write(path, "events", [rows], EVENT_DTYPE, texts={"markets.json": {**contents, **changed}})
    return path


def test_rows_markets_and_kind_of_book_come_back(tmp_path: Path) -> None:
    source = open_events(written(tmp_path), None, {})
    assert rows_of(source).tobytes() == ROWS.tobytes()
    assert (source.markets, source.snapshot_markets, source.ordered) == ((BTC, ETH), (True, True), False)
    ((path, (events, places)),) = source.numbered(ProgressMeter(None, 1))
    assert (path.name, events.tobytes(), places.tolist()) == ("a.events.npz", ROWS.tobytes(), list(range(len(ROWS))))
    assert source.unit == "row"


def test_a_recording_replays_as_before(tmp_path: Path) -> None:
    source = open_source(write_lines(tmp_path / "log", clean_log(9)))
    path = tmp_path / "log.events.npz"
    assert write_events(path, source.chunks(), source) == len(rows_of(source))
    again = open_source(path)
    assert joined(replay_events(again)).tobytes() == joined(replay_events(source)).tobytes()


def test_markets_with_and_without_pictures_keep_apart(tmp_path: Path) -> None:
    source = open_source([write_lines(tmp_path / "log", clean_log(9)), bundled()])
    write_events(tmp_path / "a.events.npz", [], source)
    assert open_events(tmp_path / "a.events.npz", None, {}).snapshot_markets == (True, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("market", 2), ("kind", 15), ("side", 2), ("side", -2), ("ts_exch_ns", -1), ("ts_local_ns", 2**62)],
)
def test_a_row_that_no_source_gives_is_named_after_those_before_it(tmp_path: Path, field: str, value: int) -> None:
    rows = ROWS.copy()
    rows[field][4] = value
    found, error = fault_of(open_events(written(tmp_path, rows), None, {}))
    assert str(error).endswith("a.events.npz, row 4: its market, kind, side or time is unknown, write the file again")
    assert found.tobytes() == ROWS[:4].tobytes()


def test_options_and_a_market_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(DataError, match=r"the reader of event containers has no option coins, leave it out"):
        open_events(path, None, {"coins": []})
    with pytest.raises(DataError, match=r"a container says itself which markets it holds, leave the market out"):
        open_events(path, BTC, {})


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"version": 2}, "version 2 is not 1, convert the data again"),
        ({"snapshot_markets": [True]}, "version 1 is not 1"),
        ({"markets": [{"name": "BTC"}]}, "missing required field `asset_id`"),
        ({"more": 1}, "unknown field `more`"),
        ({"ordered": "x"}, "Expected `bool`, got `str`"),
    ],
)
def test_a_damaged_specification_is_one_sentence(tmp_path: Path, changed: dict[str, object], problem: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        open_events(written(tmp_path, **changed), None, {})
    assert caught.value.line == "member markets.json"


def test_a_container_without_specification_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "a.events.npz", "events", [ROWS], EVENT_DTYPE)
    with pytest.raises(DataError, match=r"there is no member markets.json, expected it beside the array"):
        open_events(tmp_path / "a.events.npz", None, {})
