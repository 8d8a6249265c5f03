"""A session beside simulations of its own period: what the market did with its orders, and what a backtest would have.

`hlhft replay` lets the core decide once more on the venue's own answers: it shows that the code is the same. Here the
answers are a queue model's: it shows how far a backtest may be believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hlhft.backtest.mids import mids_at
from hlhft.backtest.recordings import Recording, compile_recording
from hlhft.backtest.runs import empty_log
from hlhft.core.state import CommandKind
from hlhft.events import EventKind
from hlhft.live.journal.recording import JournalSource
from hlhft.live.journal.segments import JournalError
from hlhft.live.session_kept import kept
from hlhft.live.session_report import session_results
from hlhft.live.session_simulated import Simulated, beginning_of, simulate
from hlhft.live.session_told import Told, told
from hlhft.report.attribution import attribute
from hlhft.report.comparison import MARKOUTS_NS, PLACED_DTYPE, Comparison, World, compare
from hlhft.report.metrics import LaneLog
from hlhft.report.numbers import counted, duration
from hlhft.report.results import ScenarioResult

QUEUES = ("risk-averse", "power:2")  # the two ends: behind everybody that was there, and as hftbacktest's users have it
PROFILE = "recorded"  # the journal holds what today's feed sent
LIVE = "live"
CLOCK_NS_MAX = 5_000_000  # times of the venue are whole milliseconds; below it a difference is not worth a word
_FILLED, _POSITION = int(EventKind.ORDER_FILLED), int(EventKind.POSITION_STATE)


def compare_session(
    journal: Path,
    session: int | None = None,
    *,
    queues: Sequence[str] = QUEUES,
    live: ScenarioResult | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compares a session, by default the newest of the folder, with simulations by each of `queues`.

    `live` is what the session made, where that is known already; `progress` is told the simulations done and their
    number. Raises JournalError where the session is not whole, still goes on, or its market data are gone, RecordError
    when a head is of another schema, DataError when it has no price of a market, ModelError for a queue model that is
    none, StrategyError and ReplayError.
    """
    resting = JournalSource(journal, session).resting
    heard = told(journal, resting, session)
    recording = compile_recording(
        JournalSource(journal, session, clock_ns=heard.clock_ns, resting=resting), profile=PROFILE
    )
    made = session_results(journal, session).scenarios[0] if live is None else live
    if made.lane.last_ns != heard.last_ns:
        # Or the simulations would have had more time to fill than the session.
        raise JournalError(
            f"{journal}: the session goes on while it is read, or a part of its journal is missing; compare it once it"
            " has ended, and whole"
        )
    log = made.lane.log.copy()
    log["ts_exch_ns"] += heard.clock_ns
    fills = log[(log["kind"] == _FILLED) & (log["order_id"] > 0)]
    beginning, worlds, keeping = beginning_of(heard), [], []
    for place, queue in enumerate(queues):
        if progress is not None:
            progress(place, len(queues))
        worlds.append(_simulated(heard, recording, simulate(heard, recording, queue, beginning)))
        keeping.append(kept(heard, recording, queue, fills))
    lane = replace(made.lane, log=_with_own_mids(log, recording))
    first = _world(LIVE, lane, heard.commands, recording)
    return compare(first, worlds, kept=keeping, remarks=remarks_of(heard))


def remarks_of(heard: Told) -> tuple[str, ...]:
    """How far a simulation of the session is not the session, in sentences."""
    remarks = []
    if not len(heard.history):
        remarks.append("The session measured no latency: the venue's usual one was simulated.")
    if abs(heard.clock_ns) > CLOCK_NS_MAX:
        which = "behind" if heard.clock_ns > 0 else "ahead of"
        remarks.append(
            f"The venue's clock was {duration(abs(heard.clock_ns))} {which} ours at least: it was set right."
        )
    if heard.was_changed:
        remarks.append("Settings changed during the session: the simulation keeps those that it began with.")
    if heard.adopted:
        remarks.append(
            f"The session took over {counted(heard.adopted, 'order')} of an earlier one, which the simulation has not."
        )
    if (heard.commands["kind"] == int(CommandKind.MODIFY)).any():
        remarks.append("The session modified orders: the simulation cancels and places instead.")
    if not heard.ended:
        remarks.append("The session did not write that it ended: the simulation ends where its records do.")
    return tuple(remarks)


def _simulated(heard: Told, recording: Recording, done: Simulated) -> World:
    """A simulation as a world: a position that was there at the start is an entry of its log, as it is of the live
    one."""
    output = done.output
    opened = _opened(heard)
    records = output.records.copy()
    for entry in opened:
        held = (records["market"] == entry["market"]) & (records["ts_ns"] >= entry["ts_local_ns"])
        records["fills"][held] += 1
    lane = LaneLog(
        markets=heard.start.markets,
        log=_with_own_mids(np.concatenate([opened, output.fills]), recording),
        records=records,
        lane=output.lanes.lane[0],
        positions=output.lanes.positions[0],
        first_ns=output.first_ns,
        last_ns=output.last_ns,
        capital_micro=int(output.lanes.lane[0, 0]["starting_equity_micro"]),
    )
    return _world(done.queue, lane, done.commands, recording)


def _opened(heard: Told) -> np.ndarray:
    """The positions that the session began with, REPLY_DTYPE[n], each bought at its mark and worth nothing there."""
    stated = heard.controls[(heard.controls["kind"] == _POSITION) & (heard.controls["size_lots"] != 0)]
    _, first = np.unique(stated["market"], return_index=True)
    stated = stated[np.sort(first)]
    log = empty_log(len(stated))
    for name in ("ts_exch_ns", "ts_local_ns", "price_ticks", "market"):
        log[name] = stated[name]
    log["kind"], log["maker"], log["placed_ns"] = _FILLED, 1, stated["ts_exch_ns"]
    log["size_lots"], log["side"] = np.abs(stated["size_lots"]), np.sign(stated["size_lots"])
    log["mid_half_ticks"] = 2 * stated["price_ticks"]
    return log


def _world(name: str, lane: LaneLog, commands: np.ndarray, recording: Recording) -> World:
    sent = commands[commands["kind"] == int(CommandKind.PLACE)]
    placed = np.zeros(len(sent), PLACED_DTYPE)
    for field in PLACED_DTYPE.names or ():
        placed[field] = sent[field]
    later = lane.log["ts_exch_ns"][:, np.newaxis] + np.array(MARKOUTS_NS, np.int64)
    return World(
        name=name,
        lane=lane,
        split=attribute(lane.markets, lane.log, lane.records),
        placed=placed,
        mid_half_ticks=_mids(recording, lane.log["market"], later),
    )


def _with_own_mids(log: np.ndarray, recording: Recording) -> np.ndarray:
    """The log with each fill of ours beside the mid that the recorded book had before the fill's block: live fills are
    known later, and a simulation looks within the block; so both are measured alike."""
    log = log.copy()
    ours = (log["kind"] == _FILLED) & (log["order_id"] > 0)
    known = _mids(recording, log["market"][ours], log["ts_exch_ns"][ours][:, np.newaxis] - 1)[:, 0]
    log["mid_half_ticks"][ours] = np.where(known > 0, known, log["mid_half_ticks"][ours])
    return log


def _mids(recording: Recording, market: np.ndarray, at_ns: np.ndarray) -> np.ndarray:
    """Twice the recorded book's mid at times int64[F, H] in the markets int64[F], 0 unknown."""
    found = np.zeros(at_ns.shape, np.int64)
    count = len(recording.markets)
    times = [np.unique(at_ns[market == place]) for place in range(count)]
    if not any(map(len, times)):
        return found
    known = mids_at(recording.markets, recording.streams(), times)
    for place in range(count):
        here = market == place
        found[here] = known[place][np.searchsorted(times[place], at_ns[here])]
    return found
