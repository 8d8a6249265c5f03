"""Files followed while they are written, in a real folder with the system's own notices."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.node import following
from hlhft.data.node.following import Followed, Follower
from hlhft.data.node.joining import Lost
from hlhft.events import EventKind
from tests.data.node.making import BTC, COINS, ETH, FIRST_HEIGHT, Block, Lists, random_blocks
from tests.data.node.test_book import levels_told

MARKETS = [BTC, ETH]
NAMES = {"diffs": "node_raw_book_diffs", "statuses": "node_order_statuses", "fills": "node_fills"}
PATIENCE_S = 20
DAY = "20231114"
SECOND = 1_000_000_000


@dataclass
class Heard:
    """What a follower told."""

    blocks: list[Followed] = field(default_factory=list)
    losses: list[Lost] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def block(self, followed: Followed) -> None:
        self.blocks.append(followed)
        self.changed.set()

    def lost(self, lost: Lost) -> None:
        self.losses.append(lost)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for what is told, not for time."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def height(self, height: int) -> None:
        await self.until(lambda: any(block.height >= height for block in self.blocks))

    def books(self) -> dict:
        held: dict = {}
        for block in self.blocks:
            levels_told(block.events, held)
        return {key: levels for key, levels in held.items() if levels}


def expected(lists: Lists) -> dict:
    found = {
        (place, 1 - 2 * row): lists.levels(coin, side)
        for place, coin in enumerate(COINS)
        for row, side in enumerate("BA")
    }
    return {key: levels for key, levels in found.items() if levels}


class Node:
    """Writes as a node does."""

    def __init__(self, root: Path, suffix: str = "_by_block") -> None:
        self.root, self.suffix = root, suffix
        for name in NAMES.values():
            (root / f"{name}{suffix}" / "hourly").mkdir(parents=True)

    def append(self, what: str, text: bytes, hour: int = 13, day: str = DAY) -> None:
        path = self.root / f"{NAMES[what]}{self.suffix}" / "hourly" / day / str(hour)
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as stream:
            stream.write(text)

    def write(self, blocks: list[Block], hour: int = 13, day: str = DAY) -> None:
        for block in blocks:
            for what in NAMES:
                self.append(what, block.line(getattr(block, what)), hour, day)

    def snapshot(self, lists: Lists) -> Path:
        path = self.root / "snapshot.json"
        path.write_bytes(lists.snapshot())
        return path


def following_with(root: Path, heard: Heard, **options) -> Follower:
    follower = Follower(root, MARKETS, heard.block, on_lost=heard.lost, **options)
    follower.start(asyncio.get_running_loop())
    return follower


def run(case) -> None:
    asyncio.run(asyncio.wait_for(case, PATIENCE_S))


def test_blocks_are_told_as_they_are_written_over_hours_and_midnight(tmp_path):
    async def case() -> None:
        lists, blocks = random_blocks(1, 12)
        node, heard = Node(tmp_path), Heard()
        follower = following_with(tmp_path, heard, begins_empty=True, clock_ns=itertools.count(SECOND, SECOND).__next__)
        for number, (hour, day) in enumerate(((22, DAY), (23, DAY), (0, "20231115"), (1, "20231115"))):
            for block in blocks[3 * number : 3 * number + 3]:
                node.write([block], hour, day)
                await heard.height(block.height)
        assert heard.books() == expected(lists)
        assert [block.height for block in heard.blocks] == [block.height for block in blocks]
        local = [block.local_ns for block in heard.blocks]
        assert local == sorted(local)
        assert {time_ns % SECOND for time_ns in local} == {0}
        assert (heard.losses, follower.backlog_bytes, follower.height) == ([], 0, blocks[-1].height)
        follower.close()

    run(case())


def test_a_line_without_its_newline_waits_for_it(tmp_path):
    async def case() -> None:
        lists, blocks = random_blocks(2, 6)
        node, heard = Node(tmp_path), Heard()
        follower = following_with(tmp_path, heard, begins_empty=True)
        node.write(blocks[:5])
        await heard.height(blocks[4].height)
        line = blocks[5].line(blocks[5].diffs)
        for what in ("statuses", "fills"):
            node.append(what, blocks[5].line(getattr(blocks[5], what)))
        for byte in (line[:10], line[10:-1]):
            node.append("diffs", byte)
            await asyncio.sleep(0)
        assert heard.blocks[-1].height == blocks[4].height
        node.append("diffs", line[-1:])
        await heard.height(blocks[5].height)
        assert heard.books() == expected(lists)
        follower.close()

    run(case())


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.lists(st.integers(20, 3000), min_size=1, max_size=30))
def test_however_the_writes_are_cut_the_books_are_right(tmp_path_factory, seed, cuts):
    async def case() -> None:
        root = tmp_path_factory.mktemp("node")
        lists, blocks = random_blocks(seed, 10)
        node, heard = Node(root), Heard()
        follower = following_with(root, heard, begins_empty=True)
        texts = {what: b"".join(block.line(getattr(block, what)) for block in blocks) for what in NAMES}
        turn = 0
        while any(texts.values()):
            for what in NAMES:
                cut = cuts[turn % len(cuts)]
                turn += 1
                node.append(what, texts[what][:cut])
                texts[what] = texts[what][cut:]
            await asyncio.sleep(0)
        await heard.height(blocks[-1].height)
        assert heard.books() == expected(lists)
        assert heard.losses == []
        follower.close()

    run(case())


def test_a_late_follower_catches_up_from_its_snapshot_in_bounded_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "READ_BYTES", 500)

    async def case() -> None:
        lists, before = random_blocks(3, 30)
        node, heard = Node(tmp_path), Heard()
        for number in range(3):
            node.write(before[10 * number : 10 * number + 10], 11 + number)
        early, _ = random_blocks(3, 14)
        snapshot = node.snapshot(early)
        follower = following_with(tmp_path, heard, since=FIRST_HEIGHT + 13)
        assert follower.load(snapshot)
        await heard.height(before[-1].height)
        assert heard.blocks[0].height == FIRST_HEIGHT + 14
        assert heard.books() == expected(lists)
        follower.close()
        # What comes after it was closed is found by the next one.
        lists, blocks = random_blocks(3, 33)
        node.write(blocks[30:], 14)
        again, early = Heard(), random_blocks(3, 30)[0]
        follower = following_with(tmp_path, again, since=FIRST_HEIGHT + 29)
        assert follower.load(node.snapshot(early))
        await again.height(blocks[-1].height)
        assert again.books() == expected(lists)
        follower.close()

    run(case())


def test_without_a_height_it_begins_at_the_end_and_a_newer_snapshot_meets_it(tmp_path):
    async def case() -> None:
        lists, blocks = random_blocks(4, 12)
        node, heard = Node(tmp_path), Heard()
        node.write(blocks[:8])
        follower = following_with(tmp_path, heard)
        await asyncio.sleep(0)
        node.write(blocks[8:10])
        old, newer = random_blocks(4, 6)[0], random_blocks(4, 9)[0]
        for _ in range(50):
            await asyncio.sleep(0)
        assert follower.backlog_bytes == 0
        assert follower.needs_snapshot
        assert not follower.load(node.snapshot(old))
        assert follower.load(node.snapshot(newer))
        node.write(blocks[10:])
        await heard.height(blocks[-1].height)
        assert [block.height for block in heard.blocks] == [block.height for block in blocks[9:]]
        assert heard.books() == expected(lists)
        follower.close()

    run(case())


def test_a_missing_block_is_told_clears_the_books_and_a_snapshot_goes_on(tmp_path):
    async def case() -> None:
        lists, blocks = random_blocks(5, 14)
        node, heard = Node(tmp_path), Heard()
        follower = following_with(tmp_path, heard, begins_empty=True)
        node.write([*blocks[:5], *blocks[6:9]])
        await heard.until(lambda: bool(heard.losses))
        assert heard.losses[0].message == f"1 blocks from {FIRST_HEIGHT + 5} on are missing"
        assert heard.books() == {}
        assert EventKind(heard.blocks[-1].events["kind"][-1]) is EventKind.DEPTH_CLEAR
        node.write(blocks[9:12])
        assert follower.load(node.snapshot(random_blocks(5, 12)[0]))
        node.write(blocks[12:])
        await heard.height(blocks[-1].height)
        assert heard.books() == expected(lists)
        assert len(heard.losses) == 1
        follower.close()

    run(case())


@pytest.mark.parametrize("fault", ["cut", "torn", "damaged"])
def test_a_file_that_is_not_what_it_was_loses_the_books(tmp_path, fault):
    async def case() -> None:
        _, blocks = random_blocks(6, 8)
        node, heard = Node(tmp_path), Heard()
        follower = following_with(tmp_path, heard, begins_empty=True)
        node.write(blocks[:6])
        await heard.height(blocks[5].height)
        path = tmp_path / "node_raw_book_diffs_by_block" / "hourly" / DAY / "13"
        if fault == "cut":
            with path.open("r+b") as stream:
                stream.truncate(100)
        elif fault == "torn":
            node.append("diffs", b'{"local_time"')
            node.write(blocks[6:7], 14)
        else:
            node.append("diffs", b"nothing of a node's\n")
            node.write(blocks[6:7])
        await heard.until(lambda: bool(heard.losses))
        said = {"cut": "was cut from", "torn": "ends within a line", "damaged": "a line cannot be read"}[fault]
        assert said in heard.losses[0].message
        assert heard.books() == {}
        follower.close()

    run(case())


def test_trades_that_never_come_hold_a_block_back_only_so_long(tmp_path):
    async def case() -> None:
        _, blocks = random_blocks(7, 10)
        node, heard = Node(tmp_path), Heard()
        follower = following_with(tmp_path, heard, begins_empty=True)
        for block in blocks:
            node.append("diffs", block.line(block.diffs))
        await heard.height(blocks[-1 - following.WAIT_BLOCKS].height)
        assert heard.blocks[-1].height == blocks[-1 - following.WAIT_BLOCKS].height
        follower.close()

    run(case())


def test_blocks_in_pieces_are_told_piece_by_piece(tmp_path):
    async def case() -> None:
        lists, blocks = random_blocks(8, 8, steps=4)
        node, heard = Node(tmp_path, "_streaming"), Heard()
        follower = following_with(tmp_path, heard, begins_empty=True)
        for block in blocks:
            for what in ("fills", "statuses", "diffs"):
                for event in getattr(block, what):
                    node.append(what, block.line([event]))
                    await asyncio.sleep(0)
        await heard.until(lambda: heard.books() == expected(lists))
        events = np.concatenate([block.events for block in heard.blocks])
        assert (events["kind"] == int(EventKind.TRADE)).sum() == sum(len(block.fills) for block in blocks) // 2
        follower.close()

    run(case())


def test_after_closing_nothing_is_told(tmp_path):
    async def case() -> None:
        _, blocks = random_blocks(9, 6)
        node, heard = Node(tmp_path), Heard()
        follower = following_with(tmp_path, heard, begins_empty=True)
        node.write(blocks[:3])
        await heard.height(blocks[2].height)
        follower.close()
        node.write(blocks[3:])
        for _ in range(5):
            await asyncio.sleep(0)
        assert heard.blocks[-1].height == blocks[2].height

    run(case())


def test_a_folder_that_is_none_of_a_nodes_is_refused(tmp_path):
    heard = Heard()
    with pytest.raises(DataError, match="there are no book changes of a node"):
        Follower(tmp_path, MARKETS, heard.block, on_lost=heard.lost)
