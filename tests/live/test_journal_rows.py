"""Rows from a journal are those that the session had, whatever became of the journal's files meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hlhft.alpha.features import Features
from hlhft.alpha.schema import FeatureSchema
from hlhft.events import EventKind
from hlhft.live.alpha_rows import AlphaRows
from hlhft.live.dispatch import Dispatch
from hlhft.live.journal.segments import Name, files
from hlhft.live.journal_rows import journal_rows
from hlhft.live.timers import Timers
from tests.core.worlds import MS
from tests.live.journal.brains import Session, answers, frame, wandering
from tests.live.journal.worlds import until
from tests.live.test_dispatch import Soon

SCHEMA = FeatureSchema(levels=5, half_life_ms=640)
Rows = list[tuple[np.ndarray, np.ndarray]]


class Watched(Session):
    """A session that computes its rows after what a frame led to has left, as an engine does."""

    rows: Rows

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rows = []
        self.features = Features(SCHEMA, self.brain)

    def step(self, rows: np.ndarray) -> np.ndarray:
        commands = super().step(rows)
        made = self.features.update(rows, len(rows))
        if made:
            self.rows.append((self.features.heads[:made].copy(), self.features.values[:made].copy()))
        return commands


def own_books(session: Session, frames: int) -> None:
    """Books that hold our own resting orders, as those of the venue do."""
    for middle in wandering(frames, 3):
        session.now_ns += 10 * MS
        rows = frame(session.now_ns, middle)
        orders, active = session.brain.lane.orders[0], session.brain.lane.active[0]
        for slot in active[: session.brain.lane.positions[0]["active_count"]]:
            same = (rows["kind"] == 1) & (rows["price_ticks"] == orders[slot]["price_ticks"])
            rows["size_lots"][same] += orders[slot]["remaining_lots"]
        session.step(rows)


def read(folder: Path) -> tuple[Rows, bool]:
    found: Rows = []
    result = journal_rows(folder, SCHEMA, lambda heads, values: found.append((heads, values)))
    return found, result.is_equal


def as_bytes(rows: Rows) -> tuple[bytes, bytes]:
    return b"".join(heads.tobytes() for heads, _ in rows), b"".join(values.tobytes() for _, values in rows)


def test_they_are_the_live_ones_to_the_byte(tmp_path: Path) -> None:
    live = Watched(tmp_path)
    live.run(60)
    own_books(live, 40)
    live.journal.close()
    found, is_equal = read(tmp_path)
    assert is_equal
    assert len(found) > 80
    assert live.brain.lane.lane["placed"][0] > 10
    assert as_bytes(found) == as_bytes(live.rows)


def test_they_go_on_from_segment_to_segment(tmp_path: Path) -> None:
    live = Watched(tmp_path)
    for _ in range(3):
        live.run(20)
        until(lambda: live.journal.rotate_if_due(0.0))
    live.run(20)
    live.journal.close()
    assert as_bytes(read(tmp_path)[0]) == as_bytes(live.rows)


def test_a_lost_segment_begins_a_new_one_of_rows(tmp_path: Path) -> None:
    live = Watched(tmp_path)
    for _ in range(2):
        live.run(20)
        until(lambda: live.journal.rotate_if_due(0.0))
    live.run(20)
    live.journal.close()
    (middle,) = (file.path for file in files(tmp_path) if file.name == Name(7, 1))
    middle.unlink()
    found, _ = read(tmp_path)
    resets = [int(heads["ts_local_ns"][0]) for heads, _ in found if heads["flags"][0] & 2]
    assert len(resets) == 2
    count = sum(int(heads["ts_local_ns"][0]) < resets[1] for heads, _ in found)
    assert 0 < count < len(found)
    assert as_bytes(found[:count]) == as_bytes(live.rows[:count])


class Engine:
    """The core's way with a journal: actions are sent in the call of the frame, answered later; feeds fall silent."""

    def __init__(self, folder: Path) -> None:
        self.session = Session(folder)
        self.loop = Soon()
        self.rows: Rows = []
        self.placed: list[np.ndarray] = []
        self.live = AlphaRows(self.session.brain, SCHEMA, kept=8)
        self.dispatch = Dispatch(
            self.session.brain, journal=self.session.journal, send=self.send, listener=self,
            timers=Timers(self.loop, self.loop.clock), clock=self.loop.clock,  # type: ignore[arg-type]
            loop=self.loop, after=self.after,  # type: ignore[arg-type]
        )  # fmt: skip

    def send(self, commands: np.ndarray, received_ns: int) -> None:
        self.placed.append(commands.copy())
        now_ns = self.loop.now_ns
        self.dispatch.tell([(0, now_ns, 0, 0, 0, now_ns, now_ns, int(EventKind.COMMAND_SENT), 2, 0, 0, 0)])

    def after(self, events: np.ndarray, count: int) -> None:
        heads, values = self.live.rows(events, count)
        if len(heads):
            self.rows.append((heads.copy(), values.copy()))

    def tripped(self, latches: int, breaker: int) -> None: ...
    def journal_full(self, sentence: str) -> None: ...
    def ticked(self, halt_code: int) -> None: ...

    def run(self, frames: int) -> None:
        for number, middle in enumerate(wandering(frames, 5)):
            self.loop.now_ns += 10 * MS
            rows = frame(self.loop.now_ns, middle)
            self.dispatch.frame(rows, len(rows), self.loop.now_ns)
            while self.placed:
                self.loop.now_ns += MS
                told = answers(self.placed.pop(), self.loop.now_ns)
                self.dispatch.tell([tuple(row) for row in told.tolist()])
            if number % 20 == 19:
                state = (0, self.loop.now_ns, 0, 0, 0, number % 40 // 20, 0, int(EventKind.MARKET_STATE), 2, 0, 0, 0)
                self.dispatch.tell([state])
            until(lambda: self.session.journal._copied is None)


def test_rows_made_behind_the_orders_are_found_again_though_more_was_stepped_over_before_them(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.run(70)
    engine.session.journal.close()
    assert engine.session.brain.lane.lane["placed"][0] > 10
    found, is_equal = read(tmp_path)
    assert is_equal
    assert as_bytes(found) == as_bytes(engine.rows)
    assert sum(int(heads["flags"][0]) & 2 for heads, _ in found) == 2 * 4, "each change of state begins a segment"
