"""A brain through the journal's head and back: it decides as the one it was made from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from hlhft.core.state import STATE_SCHEMA
from hlhft.live.journal.brains import brain_of, processor, source_of, state, strategy_of, versions
from hlhft.live.journal.records import RecordError, Start, pack_start, read_start
from hlhft.strategies import load
from tests.core.worlds import COIN, MS
from tests.live.journal.brains import STRATEGY, Session, frame, new_brain, wandering


def head(session: Session) -> Start:
    described = session.journal._source.describe(3, 9)
    assert read_start(pack_start(described)) == described
    return described


def test_a_brain_made_from_a_head_decides_as_the_one_it_describes(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.run(30)
    start = head(session)
    assert (start.session, start.number, start.step, start.strategy) == (7, 3, 9, STRATEGY)
    assert start.versions == versions() and start.versions.keys() >= {"hlhft", "python", "numpy", "numba", "llvmlite"}
    again = brain_of(start)
    assert state(again) == state(session.brain)
    decided = 0
    for place, middle in enumerate(wandering(30, 9)):
        rows = frame(session.now_ns + (place + 1) * 10 * MS, middle)
        count = session.brain.step(rows, len(rows))
        assert again.step(rows, len(rows)) == count
        assert again.commands[:count].tobytes() == session.brain.commands[:count].tobytes()
        decided += count
    assert decided > 0
    assert state(again) == state(session.brain)
    session.journal.close()


@pytest.mark.parametrize("schema", [1, STATE_SCHEMA + 1])
def test_a_state_of_another_schema_is_not_read_as_ours(tmp_path: Path, schema: int) -> None:
    session = Session(tmp_path)
    other = msgspec.structs.replace(head(session), state_schema=schema)
    with pytest.raises(RecordError, match=f"state has schema {schema} and this version of hlhft decides with schema"):
        brain_of(other)
    session.journal.close()


def test_a_state_does_not_depend_on_where_its_strategy_lies_and_copies(tmp_path: Path) -> None:
    brain = new_brain(load(STRATEGY))
    before = state(brain)
    address = int(brain.lane.lane["strategy_address"][0])
    brain.lane.lane["strategy_address"] = address + 64
    assert state(brain) == before
    brain.lane.lane["equity_micro"] += 1
    assert state(brain) != before
    assert int(brain.lane.lane["strategy_address"][0]) == address + 64, "the brain keeps its own"


def test_a_head_reads_limits_and_state_when_it_is_asked(tmp_path: Path) -> None:
    brain = new_brain(load(STRATEGY))
    source = source_of(
        brain, session=1, strategy=load(STRATEGY), markets=[COIN], configuration="", checkpoint_steps=10
    )  # fmt: skip
    before = source.describe(0, 0)
    brain.limits["order_notional_micro_max"] = 5
    after = source.describe(1, 0)
    assert after.limits == brain.limits.tobytes() != before.limits
    assert source.state() == state(brain)


def test_a_user_s_strategy_comes_from_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(Path("tests/core/scripted.py").read_text())
    strategy = load(str(path))
    brain = new_brain(strategy)
    source = source_of(brain, session=1, strategy=strategy, markets=[COIN], configuration="", checkpoint_steps=10)
    start = source.describe(0, 0)
    assert (start.strategy, start.strategy_source) == ("mine.py", path.read_bytes())
    path.unlink()
    loaded = strategy_of(start)
    assert loaded.name == "scripted" and loaded.fingerprint == start.strategy_source
    assert state(brain_of(start)) == state(brain)


@pytest.mark.parametrize("change", [{"limits": b""}, {"markets": []}, {"snapshot": b"short"}])
def test_a_head_of_another_shape_is_refused(tmp_path: Path, change: dict) -> None:
    session = Session(tmp_path)
    start = head(session)
    session.journal.close()
    with pytest.raises(RecordError, match="not"):
        brain_of(msgspec.structs.replace(start, **change))


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nmodel name\t: Some CPU\nmodel name\t: another\n")
    assert processor(listed) == "Some CPU"
    assert processor(tmp_path / "nothing")


def test_states_are_arrays_of_the_brain_s_size(tmp_path: Path) -> None:
    brain = new_brain(load(STRATEGY))
    assert len(state(brain)) == sum(len(buffer) for buffer in brain.buffers)
    assert np.frombuffer(state(brain), np.uint8).any()
