"""Finding a node's files and snapshots."""

from __future__ import annotations

import pytest

from hlhft.data.errors import DataError
from hlhft.data.node.decoding import Stream
from hlhft.data.node.layout import Layout, folder_at, found_in, height_of, snapshots_in


def hour(root, name, date="20260610", number="13", text=b""):
    path = root / name / "hourly" / date / number
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path


@pytest.mark.parametrize("below", ["", "data", "hl/data"])
@pytest.mark.parametrize("layout", list(Layout))
def test_the_data_folder_is_found_from_where_people_name_it(tmp_path, below, layout):
    root = tmp_path / below
    for name in ("node_raw_book_diffs", "node_fills"):
        hour(root, f"{name}{layout.value}")
    found = folder_at(tmp_path)
    assert (found.root, found.layout, set(found.streams)) == (root, layout, {Stream.DIFFS, Stream.FILLS})


def test_of_several_layouts_the_one_by_block_is_taken(tmp_path):
    for layout in (Layout.PLAIN, Layout.STREAMING):
        hour(tmp_path, f"node_raw_book_diffs{layout.value}")
    assert folder_at(tmp_path).layout is Layout.STREAMING
    hour(tmp_path, "node_raw_book_diffs_by_block")
    assert folder_at(tmp_path).layout is Layout.BY_BLOCK


def test_hours_are_in_the_order_of_time_and_nothing_else_is_one(tmp_path):
    name = "node_raw_book_diffs_by_block"
    for date, number in (("20260611", "0"), ("20260610", "9"), ("20260610", "10"), ("20260610", "23.lz4"), ("x", "1"),
                         ("20260610", "24"), ("20260610", ".12.writing"), ("20260610", "12.txt")):  # fmt: skip
        hour(tmp_path, name, date, number)
    hours = folder_at(tmp_path).hours(Stream.DIFFS)
    assert [entry[:2] for entry in hours] == [("20260610", 9), ("20260610", 10), ("20260610", 23), ("20260611", 0)]


def test_a_folder_without_book_changes_is_none_of_a_nodes(tmp_path):
    hour(tmp_path, "node_fills_by_block")
    assert found_in(tmp_path) is None
    with pytest.raises(DataError, match="run the node with --write-raw-book-diffs"):
        folder_at(tmp_path)


def test_snapshots_are_those_that_begin_with_a_height(tmp_path, monkeypatch):
    (tmp_path / "snapshots").mkdir()
    for name, text in (("l4_snapshot.json", b" [ 12 , []]"), ("snapshots/9.json", b"[9,[]]"), ("other.json", b"[1,[]]"),
                       ("snapshot-without.json", b"[[]]"), ("snapshot.json", b"")):  # fmt: skip
        (tmp_path / name).write_bytes(text)
    expected = [(9, tmp_path / "snapshots" / "9.json"), (12, tmp_path / "l4_snapshot.json")]
    assert snapshots_in(tmp_path) == expected
    with pytest.raises(DataError, match="cannot be read"):
        height_of(tmp_path / "missing.json")
    monkeypatch.setattr("hlhft.data.node.layout.SNAPSHOTS_MAX", 1)
    with pytest.raises(DataError, match="more than 1 snapshots"):
        snapshots_in(tmp_path)
