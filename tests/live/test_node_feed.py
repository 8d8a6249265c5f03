"""What a node tells becomes the core's frames, and its silence the end of quoting."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hlhft.data.errors import DataError
from hlhft.data.node.following import Followed
from hlhft.data.node.joining import Lost
from hlhft.events import EventKind, empty
from hlhft.live.http import Answer
from hlhft.live.node_agreement import DIFFERENCES_MAX
from hlhft.live.node_feed import OWNER, SHOWN_EVERY_NS, SNAPSHOT_EVERY_NS, NodeFeed, NodeParts
from hlhft.live.node_health import Health, HealthSettings
from tests.live.test_feed import MARKETS, Desk
from tests.live.test_node_books import events_of

MS = 1_000_000
HEALTH = HealthSettings(age_ns_max=1000 * MS, lag_ns_max=300 * MS)
BTC, ETH = 0, 1


class HandClock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time_ns = 1_790_000_000_000_000_000

    def now_ns(self) -> int:
        return self.time_ns


class HandTimers:
    """Timers that fire when a test says so."""

    def __init__(self, clock: HandClock) -> None:
        self.due: dict[str, int] = {}
        self.fired: Callable[[str, int], None] | None = None
        self._clock = clock

    def own(self, owner: str, fired: Callable[[str, int], None]) -> None:
        assert owner == OWNER
        self.fired = fired

    def set(self, owner: str, name: str, at_ns: int) -> None:
        self.due[name] = at_ns

    def fire(self) -> None:
        """Fires what is due."""
        assert self.fired is not None
        for name in [name for name, at_ns in self.due.items() if at_ns <= self._clock.time_ns]:
            del self.due[name]
            self.fired(name, 0)


class HandReader:
    """A reader without files."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(lines_told_again=2)
        self.started = self.stopped = 0
        self.loaded: list[Path] = []
        self.fits: bool | DataError = True

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.started += 1

    def load(self, snapshot: Path) -> bool:
        self.loaded.append(snapshot)
        if isinstance(self.fits, DataError):
            raise self.fits
        return self.fits

    def close(self) -> None:
        self.stopped += 1


class HandHttp:
    """Answers when a test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.told: Callable[[Answer], None] | None = None

    def post(self, path: str, body: bytes, told: Callable[[Answer], None]) -> None:
        self.asked.append((path, json.loads(body)))
        self.told = told

    def answer(self, answer: Answer) -> None:
        assert self.told is not None
        self.told(answer)


class NodeDesk(Desk):
    """A node's feed between a reader and a core that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.timers = HandTimers(self.clock)
        self.hub.clock = self.clock  # type: ignore[assignment]
        self.hub.timers = self.timers  # type: ignore[assignment]
        self.hub.dispatch._clock = self.clock  # type: ignore[attr-defined]
        self.hub.dispatch.tell = self.tell  # type: ignore[method-assign]
        self.rows: list[list[tuple[int, ...]]] = []
        self.fresh: list[bool] = []
        self.reader, self.http = HandReader(), HandHttp()
        self.node = NodeFeed(
            self.hub,
            NodeParts(
                folder=Path("/node"), health=HEALTH, http=self.http,  # type: ignore[arg-type]
                reader=lambda feed: self.reader,
            ),
            markets=MARKETS,
            pulse=self.pulse,
            fresh=lambda is_fresh: self.fresh.append(is_fresh),
        )  # fmt: skip

    def tell(self, rows: list[tuple[int, ...]]) -> None:
        self.rows.append(rows)

    def kinds(self) -> list[tuple[int, list[str]]]:
        """The frames since the last look: market, kinds."""
        seen = [(frame[0][9], [EventKind(row[7]).name for row in frame]) for frame in self.rows]
        self.rows.clear()
        return seen

    def block(self, *events: tuple[int, np.ndarray], lag_ms: int = 10, height: int = 1) -> int:
        """A block comes; its time."""
        block_ns = self.clock.time_ns - lag_ms * MS
        parts = [part.copy() for _, part in events]
        for (market, _), part in zip(events, parts, strict=True):
            part["market"] = market
        self.node.told(Followed(height, block_ns, self.clock.time_ns, np.concatenate([empty(0), *parts])))
        return block_ns

    def wait(self, wait_ms: float) -> None:
        self.clock.time_ns += int(wait_ms * MS)
        self.timers.fire()


def at_node(work: Callable[[NodeDesk], None]) -> None:
    async def whole() -> None:
        work(NodeDesk())

    asyncio.run(whole())


BOOK = [(1, 399_900, 5, 2), (-1, 400_100, 7, 3)]
PICTURE = ["SNAPSHOT_BEGIN", "DEPTH_LEVEL", "DEPTH_LEVEL", "SNAPSHOT_END"]
EMPTY = ["SNAPSHOT_BEGIN", "SNAPSHOT_END"]


def trade(ticks: int) -> np.ndarray:
    events = events_of((1, ticks, 1, 0))
    events["kind"], events["order_id"] = EventKind.TRADE, 77
    return events


def test_books_are_told_before_the_market_is_fresh_then_what_changes() -> None:
    def work(desk: NodeDesk) -> None:
        block_ns = desk.block((ETH, events_of(*BOOK)))
        assert {row[:2] for row in desk.rows[1]} == {(block_ns, desk.clock.time_ns)}
        assert desk.kinds() == [(BTC, EMPTY), (ETH, PICTURE)]
        assert desk.fresh == [True] and desk.node.health.state is Health.FRESH
        desk.wait(100)
        desk.block((ETH, trade(400_100)), (ETH, events_of((-1, 400_100, 6, 3))), (BTC, trade(1_100_000)), height=2)
        assert desk.kinds() == [(BTC, ["TRADE"]), (ETH, ["TRADE", *PICTURE])]
        assert desk.node.lag.count == 2 and desk.node.lag.maximum == 10 * MS
        assert desk.node.height == 2

    at_node(work)


def test_a_book_that_does_not_change_is_told_again_now_and_then() -> None:
    def work(desk: NodeDesk) -> None:
        desk.block((ETH, events_of(*BOOK)))
        desk.kinds()
        desk.wait(SHOWN_EVERY_NS / MS - 1)
        desk.block()
        assert desk.kinds() == []
        desk.wait(1)
        desk.block()
        assert desk.kinds() == [(BTC, EMPTY), (ETH, PICTURE)]

    at_node(work)


def test_silence_makes_every_market_old_and_the_next_block_shows_all_again() -> None:
    def work(desk: NodeDesk) -> None:
        desk.block((ETH, events_of(*BOOK)))
        desk.wait(999)
        assert desk.fresh == [True]
        desk.wait(1)
        assert desk.fresh == [True, False]
        assert desk.hub.happenings[-1].text == "node: it is silent, quotes are pulled"
        desk.kinds()
        desk.block(height=9)
        assert desk.fresh == [True, False, True]
        assert desk.kinds() == [(BTC, EMPTY), (ETH, PICTURE)]

    at_node(work)


def test_old_blocks_go_into_the_books_and_not_to_the_core() -> None:
    def work(desk: NodeDesk) -> None:
        desk.block((ETH, events_of(*BOOK)), (ETH, trade(400_100)), lag_ms=301)
        assert desk.kinds() == [] and desk.fresh == [False] and desk.node.health.state is Health.BEHIND
        desk.block((ETH, events_of((1, 399_800, 1, 1))), lag_ms=300, height=2)
        assert desk.kinds()[1] == (ETH, [*PICTURE[:-1], "DEPTH_LEVEL", "SNAPSHOT_END"])
        assert desk.node.counters["blocks of the node that were too old"] == 1

    at_node(work)


def test_a_snapshot_is_asked_for_at_the_start_and_where_the_books_are_lost() -> None:
    def work(desk: NodeDesk) -> None:
        desk.node.start()
        assert desk.reader.started == 1 and desk.http.asked == []
        desk.wait(0)
        ((path, body),) = desk.http.asked
        assert (path, body["type"], body["outPath"]) == ("/info", "fileSnapshot", "/node/hlhft-l4-snapshot.json")
        assert body["request"]["type"] == "l4Snapshots" and body["includeHeightInOutput"] is True
        desk.http.answer(Answer(None, "the answer is no JSON but text/plain: ", 200))  # what it says does not matter
        assert desk.reader.loaded == [Path("/node/hlhft-l4-snapshot.json")]
        desk.block((ETH, events_of(*BOOK)))
        desk.kinds()
        clear = empty(1)
        clear["kind"] = EventKind.DEPTH_CLEAR
        desk.block((ETH, clear))
        assert desk.kinds() == [] and desk.fresh == [True], "a clear alone is no block"
        desk.node.lost(Lost(7, "3 blocks are missing"))
        assert desk.fresh == [True, False] and desk.node.losses == 1
        desk.node.wants_snapshot("and again")
        desk.wait(100)
        assert len(desk.http.asked) == 1, "not sooner than every few seconds"
        desk.wait(SNAPSHOT_EVERY_NS / MS)
        assert len(desk.http.asked) == 2

    at_node(work)


@pytest.mark.parametrize(
    ("answer", "fits", "words"),
    [
        (Answer(None, "/info: no answer within 10 s"), True, "no answer within 10 s"),
        (Answer(None, "HTTP 400 (text): no", 400), True, "HTTP 400"),
        (Answer(b"{}", "", 200), False, "does not fit the blocks that were read"),
        (Answer(b"{}", "", 200), DataError(Path("/node/x"), None, "the snapshot cannot be read"), "cannot be read"),
    ],
)
def test_a_snapshot_that_is_of_no_use_is_asked_for_again(answer: Answer, fits: bool | DataError, words: str) -> None:
    def work(desk: NodeDesk) -> None:
        desk.reader.fits = fits
        desk.node.start()
        desk.wait(0)
        desk.http.answer(answer)
        assert words in desk.hub.happenings[-1].text
        assert desk.node.counters["snapshots of the node of no use"] == 1
        desk.wait(SNAPSHOT_EVERY_NS / MS)
        assert len(desk.http.asked) == 2

    at_node(work)


def test_a_book_that_is_not_the_venues_is_not_quoted_on() -> None:
    def work(desk: NodeDesk) -> None:
        block_ms = desk.block((ETH, events_of(*BOOK))) // MS
        desk.wait(10)
        desk.block(height=2)
        for _ in range(DIFFERENCES_MAX):
            desk.node.venue(ETH, block_ms, 399_900, 400_100)
        assert desk.fresh == [True]
        for _ in range(DIFFERENCES_MAX):
            desk.node.venue(ETH, block_ms, 399_900, 400_000)
        assert desk.fresh == [True, False]
        assert any("its best prices of ETH are not the venue's" in one.text for one in desk.hub.happenings)
        desk.node.venue(ETH, block_ms, 399_900, 400_000)
        assert desk.node.losses == 1, "what is not known cannot differ"

    at_node(work)


def test_the_venue_may_be_ahead_of_the_node() -> None:
    def work(desk: NodeDesk) -> None:
        block_ms = desk.block((ETH, events_of(*BOOK))) // MS
        for number in range(DIFFERENCES_MAX):
            desk.node.venue(ETH, block_ms + 10 * number, 1, 2)
            desk.wait(10)
            desk.block(height=2 + number)
        assert desk.fresh == [True, False]

    at_node(work)


def test_nothing_is_done_once_it_is_stopped() -> None:
    def work(desk: NodeDesk) -> None:
        desk.node.start()
        desk.wait(0)
        desk.block()
        desk.node.stop()
        assert desk.reader.stopped == 1
        desk.http.answer(Answer(b"{}", "", 200))
        desk.wait(5000)
        assert desk.reader.loaded == [] and desk.fresh == [True]

    at_node(work)
