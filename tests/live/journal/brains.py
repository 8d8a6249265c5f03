"""A brain that trades in a test: one coin, a book that moves, the engine's calls in the engine's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hlhft.core.brain import Brain
from hlhft.core.state import BookKind
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.live.journal.brains import source_of
from hlhft.live.journal.writer import Journal, JournalSettings
from hlhft.strategies import Strategy, load
from hlhft.units import Market
from tests.core.worlds import COIN, MS, START, limits_of
from tests.live.journal.worlds import SMALL, until

STRATEGY = "two_sided"
SETTINGS = replace(SMALL, checkpoint_steps=10)


def new_brain(strategy: Strategy, market: Market = COIN) -> Brain:
    """One that may trade: a snapshot book, the strategy's defaults, money, a connection."""
    limits = limits_of(
        features=strategy.features, decide_on_fill=int(strategy.on_fill), expires_after_ns=3000 * MS
    )  # fmt: skip
    brain = Brain(np.concatenate([market.record()]), limits)
    brain.data.books["kind"] = int(BookKind.SNAPSHOT)
    brain.data.books["contains_own"] = 1
    lane = brain.lane.lane
    lane["strategy_address"] = strategy.address()
    lane["starting_equity_micro"] = lane["equity_micro"] = 10_000_000_000
    lane["connected"] = 1
    lane["address_allowance"] = lane["address_initial"] = 10_000
    brain.lane.params[:] = strategy.params_bytes({})
    return brain


def frame(now_ns: int, middle: int, *, levels: int = 5) -> np.ndarray:
    """A snapshot of a book around a price, as the decoder gives it."""
    rows = np.zeros(2 * levels + 2, EVENT_DTYPE)
    rows["ts_exch_ns"], rows["ts_local_ns"] = now_ns - 50 * MS, now_ns
    rows["flags"] = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
    rows[0]["kind"], rows[0]["aux0"], rows[0]["aux1"] = int(EventKind.SNAPSHOT_BEGIN), levels, 1
    for level in range(levels):
        for side, place in ((1, level + 1), (-1, levels + level + 1)):
            row = rows[place]
            row["kind"], row["side"] = int(EventKind.DEPTH_LEVEL), side
            row["price_ticks"], row["size_lots"], row["aux0"] = middle - side * (5 + level), 1000 + 10 * level, 1
    rows[-1]["kind"], rows[-1]["aux0"], rows[-1]["aux1"] = int(EventKind.SNAPSHOT_END), levels, 1
    rows[-1]["flags"] |= int(EventFlag.FRAME_END)
    return rows


@dataclass
class Session:
    """A brain with a journal: `run` steps it as an engine does."""

    folder: Path
    session: int = 7
    settings: JournalSettings = SETTINGS
    name: str = STRATEGY
    now_ns: int = START
    commands: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        strategy = load(self.name)
        self.brain = new_brain(strategy)
        self.journal = Journal(
            self.folder,
            self.settings,
            source_of(
                self.brain,
                session=self.session,
                strategy=strategy,
                markets=[COIN],
                configuration='[strategy]\nname = "two_sided"\n',
                checkpoint_steps=self.settings.checkpoint_steps,
            ),
            session=self.session,
            compress=False,
        )

    def step(self, rows: np.ndarray) -> np.ndarray:
        """One call of the core, journalled; returns the commands."""
        self.journal.inputs(rows, len(rows))
        count = self.brain.step(rows, len(rows))
        self.journal.commands(self.brain.commands, count)
        commands = self.brain.commands[:count].copy()
        until(lambda: self.journal._copied is None)  # every checkpoint is made
        if count:
            self.commands.append(commands.tobytes())
        return commands

    def run(self, frames: int, *, seed: int = 1, every_ns: int = 10 * MS) -> None:
        """Books that wander, and each placement acknowledged, each cancel confirmed."""
        for middle in wandering(frames, seed):
            self.now_ns += every_ns
            commands = self.step(frame(self.now_ns, middle))
            if len(commands):
                self.step(answers(commands, self.now_ns + MS))


def wandering(frames: int, seed: int) -> Iterator[int]:
    """Prices of a walk."""
    steps = np.random.default_rng(seed).integers(-3, 4, frames)
    return iter((100_000 + np.cumsum(steps)).tolist())


def answers(commands: np.ndarray, now_ns: int) -> np.ndarray:
    """What the venue says to these commands when it takes them all."""
    rows = np.zeros(len(commands), EVENT_DTYPE)
    rows["ts_exch_ns"], rows["ts_local_ns"] = now_ns, now_ns
    rows["order_id"], rows["market"], rows["side"] = commands["order_id"], commands["market"], commands["side"]
    rows["price_ticks"], rows["size_lots"] = commands["price_ticks"], commands["size_lots"]
    placed = commands["kind"] == 1
    rows["kind"] = np.where(placed, int(EventKind.ORDER_ACKNOWLEDGED), int(EventKind.ORDER_CANCELLED))
    rows["aux0"] = np.where(placed, commands["order_id"] + 1000, 0)
    return rows
