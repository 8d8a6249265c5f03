"""A node's files on a disk: restarts, snapshots, and what becomes of them when the disk does not take them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hlhft.exchange.machine import Machine
from hlhft.exchange.node_files import NodeFiles
from hlhft.exchange.node_text import Layout, Stream, path_of
from tests.exchange.clients import Client, order, orders, small_machine, small_settings
from tests.exchange.node_sample import snapshot_request
from tests.exchange.test_server import Running

DIFFS = "node_raw_book_diffs_by_block"


@pytest.fixture
def machine() -> Machine:
    return small_machine()


def advance(machine: Machine, files: NodeFiles, *, blocks: int = 1) -> None:
    for _ in range(blocks):
        files.count(machine.advance(machine.next_deadline_ns()))


def files_of(machine: Machine, folder: Path, layout: Layout = Layout.BY_BLOCK) -> NodeFiles:
    return NodeFiles(folder, machine, layout, local_ns=lambda: machine.time_ns)


def lines_below(folder: Path) -> list[str]:
    return [line for path in sorted(folder.rglob("*")) if path.is_file() for line in path.read_text().splitlines()]


def test_files_go_on_where_they_ended_and_a_line_that_was_cut_off_stands_alone(
    machine: Machine, tmp_path: Path
) -> None:
    files = files_of(machine, tmp_path)
    advance(machine, files, blocks=3)
    files.close()
    (path,) = (path for path in (tmp_path / DIFFS).rglob("*") if path.is_file())
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"local_time":"2026')
    files = files_of(machine, tmp_path)
    advance(machine, files)
    files.close()
    lines = path.read_bytes().splitlines()
    assert lines[:3] == whole.splitlines() and lines[3] == b'{"local_time":"2026'
    assert [json.loads(line)["block_number"] for line in lines[4:]] == [machine.height]


def test_a_full_hour_begins_another_file_and_lines_without_events_no_file(tmp_path: Path) -> None:
    hour_ns = 1_790_002_800_000_000_000
    machine = Machine(small_settings(start_ns=hour_ns - 200_000_000))
    by_block, plain = files_of(machine, tmp_path), files_of(machine, tmp_path, Layout.HOURLY)
    before = 0
    for _ in range(6):
        outcome = machine.advance(machine.next_deadline_ns())
        before += sum(block.time_ns < hour_ns for block in outcome.blocks)
        by_block.count(outcome)
        plain.count(outcome)
    counts = {path.name: len(path.read_text().splitlines()) for path in (tmp_path / DIFFS).rglob("*") if path.is_file()}
    assert 0 < before < machine.height and counts == {"14": before, "15": machine.height - before}
    assert [path.name for path in (tmp_path / "node_fills").rglob("*")] == ["hourly"]
    by_block.close()
    plain.close()


def test_orders_that_rest_already_were_never_new(machine: Machine, tmp_path: Path) -> None:
    ann = Client(machine, 1)
    ann.send(orders(order(price="3990", size="1")))
    files = files_of(machine, tmp_path)
    assert files.snapshot(snapshot_request(tmp_path / "out.json")).status == 200
    now_ns = machine.next_deadline_ns()
    machine.admit(ann.body({"type": "cancel", "cancels": [{"a": 1, "o": 1}]}), ann.label, now_ns)
    files.count(machine.advance(now_ns))
    diffs = [event for line in lines_below(tmp_path / DIFFS) for event in json.loads(line)["events"]]
    assert [(diff["oid"], diff["raw_book_diff"]) for diff in diffs] == [(1, "remove")]
    height, books = json.loads((tmp_path / "out.json").read_text())
    assert height == machine.height - 1
    assert [one["oid"] for _, one in dict(books)["ETH"][0]] == [1]


def test_a_disk_that_is_full_ends_the_files_loudly_and_not_the_exchange(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = files_of(machine, tmp_path)
    advance(machine, files)
    height = machine.height
    path = tmp_path / path_of(Stream.DIFFS, Layout.BY_BLOCK, machine.time_ns)
    files.close()
    path.rename(path.with_name("kept"))
    path.symlink_to("/dev/full")
    advance(machine, files)
    words = f"the node's files end with block {height}: No space left on device"
    assert words in files.fault and words in caplog.text
    path.unlink()
    before = lines_below(tmp_path)
    advance(machine, files, blocks=3)
    assert lines_below(tmp_path) == before, "what has a hole is not gone on with"
    assert machine.height == height + 4


def test_a_folder_that_is_a_file_is_an_error_at_once(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        files_of(machine, tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"includeHeightInOutput": False}, 200),
        ({"outPath": "out.json"}, 400),
        ({"outPath": "/etc/out.json"}, 400),
        ({"outPath": "{folder}/../out.json"}, 400),
        ({"outPath": "{folder}"}, 400),
        ({"outPath": "{folder}/absent/out.json"}, 500),
        ({"outPath": ""}, 422),
        ({"outPath": 5}, 422),
        ({"request": {"type": "referrerStates"}}, 422),
    ],
)
def test_snapshots_are_written_below_the_folder_whole_or_not_at_all(
    machine: Machine, tmp_path: Path, change: dict[str, Any], status: int
) -> None:
    folder = tmp_path / "data"
    files = files_of(machine, folder)
    body = {**json.loads(snapshot_request(folder / "out.json")), **change}
    if isinstance(body["outPath"], str):
        body["outPath"] = body["outPath"].format(folder=folder)
    assert files.snapshot(json.dumps(body).encode()).status == status
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == ([folder / "out.json"] if status == 200 else [])
    if status == 200:
        told = json.loads(written[0].read_text())
        books = told[1] if "includeHeightInOutput" not in change else told
        assert books == [["BTC", [[], []]], ["ETH", [[], []]]]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_request_that_is_none_is_refused(machine: Machine, tmp_path: Path, body: bytes) -> None:
    assert files_of(machine, tmp_path).snapshot(body).status == 422


# Over the wire.


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    node = Running(node_folder=tmp_path)
    yield node
    node.stop()


def test_a_snapshot_over_http_is_of_the_block_that_the_files_have_come_to(node: Running, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    while node.blocks < 2:
        assert node.post("/info", {"type": "exchangeStatus"}).status_code == 200
    answer = node.post("/info", snapshot_request(path))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    height = json.loads(path.read_text())[0]
    heights = [json.loads(line)["block_number"] for line in lines_below(tmp_path / DIFFS)]
    assert heights == list(range(heights[0], heights[-1] + 1)) and heights[0] <= height <= heights[-1]


def test_an_exchange_that_is_no_node_has_no_snapshots(tmp_path: Path) -> None:
    running = Running()
    try:
        assert running.post("/info", snapshot_request(tmp_path / "out.json")).status_code == 422
    finally:
        running.stop()
