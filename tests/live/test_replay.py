"""Replays of journals that a core wrote: equal when nothing was touched, and one flipped bit is enough to differ."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace as changed
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.state import COMMAND_DTYPE
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.live.journal.reader import readings
from hlhft.live.journal.records import (
    Record,
    RecordError,
    RecordKind,
    pack,
    pack_checkpoint,
    pack_start,
    read_checkpoint,
    read_start,
    records_of,
)
from hlhft.live.journal.retention import tidy
from hlhft.live.journal.segments import Form, JournalError, Name, files
from hlhft.live.replay import DIGESTS_MAX, FAULTS_MAX, Replayed, VersionError, replay
from tests.core.worlds import MS
from tests.live.journal.brains import SETTINGS, Session, frame
from tests.live.journal.worlds import until

K = RecordKind
FRAMES = 40


def session(folder: Path, frames: int = FRAMES, **options: int) -> Session:
    """A session that ended."""
    made = Session(folder, **options)
    made.run(frames)
    made.journal.close()
    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of one session's only segment."""
    folder = tmp_path_factory.mktemp("journal")
    session(folder)
    return (folder / Name(7, 0).file(Form.OPEN)).read_bytes()


def put(folder: Path, records: Iterable[Record], number: int = 0) -> Path:
    """A segment of these records with right checksums and sequences."""
    path = folder / Name(7, number).file(Form.OPEN)
    path.write_bytes(
        b"".join(
            pack(record.kind, record.payload, sequence=place + 1, ts_ns=record.ts_ns, session=7, detail=record.detail)
            for place, record in enumerate(records)
        )
    )
    return path


def told_by_models(made: Session, draw: np.random.Generator) -> np.ndarray:
    """Signals and policies, sound ones and others, in one frame that reaches the core now."""
    rows = np.zeros(int(draw.integers(1, 4)), EVENT_DTYPE)
    rows["ts_exch_ns"] = rows["ts_local_ns"] = made.now_ns
    rows["kind"] = draw.choice([int(EventKind.SIGNAL), int(EventKind.POLICY)], len(rows))
    for name in ("price_ticks", "size_lots", "order_id", "aux1"):
        rows[name] = draw.choice([-(2**63), 2**63 - 1, 0, 1_000_000, 400_000, -300_000, 5_000_000], len(rows))
    rows["aux0"] = made.now_ns + draw.integers(-10, 200, len(rows)) * MS
    return rows


def test_a_session_that_models_spoke_in_replays_to_equal_commands_and_states(tmp_path: Path) -> None:
    made, draw = Session(tmp_path, name="glft"), np.random.default_rng(5)
    turned = 0
    for _ in range(FRAMES):
        assert len(made.step(told_by_models(made, draw))) == 0
        made.run(1, seed=int(draw.integers(2**31)))
        turned += int(made.brain.lane.views["policy_valid"][0])
    lane = made.brain.lane.lane[0]
    assert turned > 5
    assert min(lane["policies_clamped"], lane["policies_ignored"], lane["signals_ignored"]) >= 3
    made.journal.close()
    result = replay(tmp_path)
    assert result.is_equal and result.ended and result.checkpoints >= 3
    assert result.commands == sum(map(len, made.commands)) // COMMAND_DTYPE.itemsize > 20


def test_a_session_replays_to_equal_commands_and_states(tmp_path: Path) -> None:
    made = session(tmp_path)
    result = replay(tmp_path)
    assert result.is_equal and result.ended and result.faults == []
    assert (result.session, result.segments, result.steps) == (7, 1, made.journal.step)
    assert result.commands == sum(map(len, made.commands)) // COMMAND_DTYPE.itemsize > 20
    assert result.checkpoints >= 3
    rows = [np.frombuffer(record.payload, EVENT_DTYPE) for record in readings(tmp_path)[0] if record.kind is K.INPUTS]
    assert result.events == sum(map(len, rows))


def test_a_session_of_many_segments_in_every_form(tmp_path: Path) -> None:
    made = Session(tmp_path)
    for _ in range(3):
        made.run(15)
        until(lambda: made.journal.rotate_if_due(0.0))
    made.run(15)
    made.journal.close()
    assert replay(tmp_path).segments == 4
    tidy(tmp_path, Name(7, 2), total_bytes_max=1 << 40, keep_days=10, now_ns=made.now_ns)
    told: list[tuple[int, int]] = []
    result = replay(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert result.is_equal and result.steps == made.journal.step and result.segments == 4
    assert told == [(done, 4) for done in range(5)]
    for dropped in (Name(7, 1), Name(7, 0)):
        (tmp_path / dropped.file(Form.WHOLE)).unlink()
        rest = replay(tmp_path)
        assert rest.is_equal and rest.steps < result.steps, "what was dropped is left out; the rest begins at a head"
        result = rest
    (alone,) = (file.path for file in files(tmp_path) if file.name == Name(7, 3))
    assert replay(alone).is_equal


def test_one_session_of_several(tmp_path: Path) -> None:
    first = session(tmp_path, session=7)
    second = session(tmp_path, 10, session=8)
    assert [replay(tmp_path, number).steps for number in (7, None)] == [first.journal.step, second.journal.step]
    with pytest.raises(JournalError, match="nothing of session 9"):
        replay(tmp_path, 9)


def test_a_killed_engine_s_journal_is_equal_as_far_as_it_goes(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.live.journal.brains import *\n"
        "made = Session(Path(sys.argv[1])); made.run(40)\n"
        "rows = frame(made.now_ns + 10_000_000, 200_000)\n"
        "made.journal.inputs(rows, len(rows)); assert made.brain.step(rows, len(rows)) > 0\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    result = replay(tmp_path)
    assert result.is_equal and not result.ended and result.faults == []
    assert result.steps > FRAMES, "the step whose commands were never sent is decided too"


class Levels:
    """A short session with a checkpoint after each step, and where its levels are."""

    def __init__(self, folder: Path) -> None:
        made = Session(folder, settings=changed(SETTINGS, checkpoint_steps=1))
        made.run(10)
        made.journal.close()
        self.records = list(readings(folder)[0])
        last = max(place for place, record in enumerate(self.records) if record.kind is K.CHECKPOINT)
        step = read_checkpoint(self.records[last].payload).step
        inputs = [place for place, record in enumerate(self.records) if record.kind is K.INPUTS][:step]
        self.places = [(place, int(row)) for place in inputs for row in np.flatnonzero(self.rows(place)["kind"] == 1)]
        assert len(self.places) > 50

    def rows(self, place: int) -> np.ndarray:
        return np.frombuffer(self.records[place].payload, EVENT_DTYPE).copy()

    def __repr__(self) -> str:
        return "Levels"


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Levels:
    return Levels(tmp_path_factory.mktemp("journal"))


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(["price_ticks", "size_lots"]), st.integers(0, 62))
def test_one_flipped_bit_of_an_input_with_a_right_checksum_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, levels: Levels, which: int, field: str, bit: int
) -> None:
    """By a command, or else by the state at the next checkpoint."""
    place, row = levels.places[which % len(levels.places)]
    rows, records = levels.rows(place), levels.records
    rows[row][field] ^= 1 << bit
    folder = tmp_path_factory.mktemp("flipped")
    put(folder, [*records[:place], records[place]._replace(payload=rows.tobytes()), *records[place + 1 :]])
    with np.errstate(all="ignore"):  # a price of 2^62 may overflow where nothing is compiled
        result = replay(folder)
    assert result.difference is not None and result.difference.sequence > place


def test_a_flipped_bit_without_a_new_checksum_is_damage(tmp_path: Path, written: bytes) -> None:
    content = bytearray(written)
    inputs = [record for record in records_of(written) if record.kind is K.INPUTS]
    content[inputs[len(inputs) // 2].offset + 100] ^= 4
    (tmp_path / Name(7, 0).file(Form.OPEN)).write_bytes(content)
    result = replay(tmp_path)
    assert result.is_equal and len(result.faults) == 1 and "are whole" in result.faults[0]
    assert 0 < result.steps < FRAMES * 2


def test_after_damage_it_goes_on_at_the_next_head(tmp_path: Path) -> None:
    made = Session(tmp_path)
    made.run(20)
    until(lambda: made.journal.rotate_if_due(0.0))
    made.run(20)
    made.journal.close()
    path = tmp_path / Name(7, 0).file(Form.OPEN)
    content = bytearray(path.read_bytes())
    middle = next(record for record in records_of(bytes(content)) if record.kind is K.INPUTS)
    content[middle.offset + 50] ^= 4
    path.write_bytes(content)
    result = replay(tmp_path)
    assert result.is_equal and len(result.faults) == 1 and result.segments == 2 and result.ended
    assert result.steps >= 20


def test_a_seal_is_no_end_and_what_it_says_was_lost_is_told(tmp_path: Path, written: bytes) -> None:
    records = list(records_of(written))
    place = next(place for place, record in enumerate(records) if record.kind is K.COMMANDS)
    for is_torn in (False, True):
        path = put(tmp_path, records[:place])  # killed before it wrote what it decided
        path.write_bytes(path.read_bytes() + (b"\1" if is_torn else b""))
        tidy(tmp_path, Name(8, 0), total_bytes_max=1 << 40, keep_days=10, now_ns=0)
        result = replay(tmp_path)
        assert result.is_equal and not result.ended and result.steps == 1
        assert len(result.faults) == is_torn and all("a record is cut off" in fault for fault in result.faults)


def test_a_command_that_differs_is_told_in_words(tmp_path: Path, written: bytes) -> None:
    records = list(records_of(written))
    place = next(place for place, record in enumerate(records) if record.kind is K.COMMANDS)
    commands = np.frombuffer(records[place].payload, COMMAND_DTYPE).copy()
    price = int(commands[0]["price_ticks"])
    commands[0]["price_ticks"] += 1
    path = put(tmp_path, [*records[:place], records[place]._replace(payload=commands.tobytes()), *records[place + 1 :]])
    found = replay(tmp_path).difference
    assert found is not None
    assert (found.file, found.sequence, found.step) == (str(path), place + 1, 1)
    assert f"command 1 of {len(commands)} differs (PLACE order" in found.what
    assert found.what.endswith(f"price_ticks {price + 1} became {price}")


def test_commands_too_many_too_few_or_none(tmp_path: Path, written: bytes) -> None:
    records = list(records_of(written))
    place = next(place for place, record in enumerate(records) if record.kind is K.COMMANDS)
    payload = records[place].payload
    size = COMMAND_DTYPE.itemsize
    count = len(payload) // size
    others = records[:place], records[place + 1 :]
    put(tmp_path, [*others[0], records[place]._replace(payload=payload[:size]), *others[1]])
    found = replay(tmp_path).difference
    assert found is not None and f"has 1 command and the replay decides on {count} commands" in found.what
    put(tmp_path, [*others[0], *others[1]])
    found = replay(tmp_path).difference
    assert found is not None and f"decides on {count} commands and the journal has none: PLACE order" in found.what
    put(tmp_path, [*records[: place + 1], *records[place:]])
    found = replay(tmp_path).difference
    assert found is not None and f"has {count} commands and the replay decides on none" in found.what
    put(tmp_path, [*others[0], records[place]._replace(payload=payload[:-8]), *others[1]])
    with pytest.raises(RecordError, match=f"record {place + 1}: commands have 96 bytes each"):
        replay(tmp_path)
    put(tmp_path, [*records[: place - 1], records[place]._replace(payload=b"x"), *others[1]])
    with pytest.raises(RecordError, match=f"record {place}: commands have 96 bytes each"):
        replay(tmp_path)


def test_commands_that_a_session_which_ended_did_not_write_are_a_difference(tmp_path: Path, written: bytes) -> None:
    records = list(records_of(written))
    place = next(place for place, record in enumerate(records) if record.kind is K.COMMANDS)
    end = records[-1]
    put(tmp_path, [*records[:place], end])
    assert not replay(tmp_path).is_equal
    put(tmp_path, records[:place])
    assert replay(tmp_path).is_equal


def test_a_checkpoint_that_differs(tmp_path: Path, written: bytes) -> None:
    records = list(records_of(written))
    place = next(place for place, record in enumerate(records) if record.kind is K.CHECKPOINT)
    checkpoint = read_checkpoint(records[place].payload)
    other = pack_checkpoint(checkpoint._replace(digest=bytes(16)))
    put(tmp_path, [*records[:place], records[place]._replace(payload=other), *records[place + 1 :]])
    found = replay(tmp_path).difference
    assert found is not None and f"the state at step {checkpoint.step} is not that of the replay" in found.what


def test_states_wait_for_their_checkpoints_in_a_bounded_number(tmp_path: Path) -> None:
    made = Session(tmp_path, settings=changed(SETTINGS, checkpoint_steps=1))
    made.run(DIGESTS_MAX)
    made.journal.close()
    (path,) = (file.path for file in files(tmp_path))
    records = list(records_of(path.read_bytes()))
    checkpoints = [record for record in records if record.kind is K.CHECKPOINT]
    assert checkpoints
    late = [record for record in records if record.kind is not K.CHECKPOINT]
    put(tmp_path, [*late[:-1], *checkpoints, late[-1]])
    result = replay(tmp_path)
    assert result.is_equal and 0 < result.checkpoints <= DIGESTS_MAX


def heads(folder: Path) -> list[Path]:
    return [folder / Name(7, number).file(Form.OPEN) for number in range(2)]


def test_a_head_that_does_not_go_on_where_the_segment_before_it_ended(tmp_path: Path) -> None:
    made = Session(tmp_path)
    made.run(5)
    until(lambda: made.journal.rotate_if_due(0.0))
    made.run(5)
    made.journal.close()
    first, *others = records_of(heads(tmp_path)[1].read_bytes())
    start = read_start(first.payload)
    for change, words in (
        ({"step": start.step + 1}, f"says step {start.step + 1} and the segments before it end with {start.step}"),
        ({"snapshot": bytes(len(start.snapshot))}, "the state at the head of the segment is not that of the replay"),
    ):
        head = first._replace(payload=pack_start(msgspec.structs.replace(start, **change)))
        put(tmp_path, [head, *others], 1)
        found = replay(tmp_path).difference
        assert found is not None and words in found.what and found.file == str(heads(tmp_path)[1])


def test_settings_that_changed_between_two_steps_are_part_of_the_journal(tmp_path: Path) -> None:
    made = Session(tmp_path)
    made.run(20)
    made.brain.limits["order_notional_micro_max"] = 1_000_000
    made.brain.lane.lane["strategy_failures"] += 1
    made.journal.rotate(b"order_notional_usdc_max = 1")
    made.run(20)
    made.journal.close()
    result = replay(tmp_path)
    assert result.is_equal and result.steps == made.journal.step


def test_other_code_is_refused_unless_told(tmp_path: Path, written: bytes) -> None:
    first, *others = records_of(written)
    start = read_start(first.payload)
    for change, words in (
        ({"code_key": "another"}, "code key another"),
        ({"cpu": "another"}, "processor another"),
        ({"versions": {**start.versions, "numba": "0.1"}}, "numba 0.1"),
        ({"versions": {"gone": "1"}}, "gone 1 and here is None"),
    ):
        put(tmp_path, [first._replace(payload=pack_start(msgspec.structs.replace(start, **change))), *others])
        with pytest.raises(VersionError, match=f"written with {words}"):
            replay(tmp_path)
        assert replay(tmp_path, ignore_versions=True).is_equal


def test_a_head_of_another_shape_names_file_and_record(tmp_path: Path, written: bytes) -> None:
    first, *others = records_of(written)
    path = put(tmp_path, [first._replace(payload=b"nothing"), *others])
    with pytest.raises(RecordError, match=f"{path}, record 1: the head of the segment cannot be read"):
        replay(tmp_path)


def test_what_holds_nothing_to_replay_is_refused(tmp_path: Path) -> None:
    path = tmp_path / Name(7, 0).file(Form.OPEN)
    path.write_bytes(bytes(100))
    with pytest.raises(JournalError, match="not one whole record"):
        replay(tmp_path)
    path.unlink()
    session(tmp_path, 5)
    tidy(tmp_path, Name(8, 0), total_bytes_max=1 << 40, keep_days=10, now_ns=1)
    (tmp_path / Name(7, 0).file(Form.WHOLE)).unlink()
    with pytest.raises(JournalError, match="only ledgers are left"):
        replay(tmp_path)


def test_a_frame_larger_than_any_before(tmp_path: Path) -> None:
    made = Session(tmp_path)
    rows = np.concatenate([frame(made.now_ns + 10 * MS, 100_000)] * 200)
    made.step(rows)
    made.journal.close()
    assert replay(tmp_path).events == len(rows) > 1024


def test_faults_are_kept_in_a_bounded_number(tmp_path: Path, written: bytes) -> None:
    for number in range(FAULTS_MAX + 2):
        start = next(records_of(written))
        head = msgspec.structs.replace(read_start(start.payload), number=number)
        path = put(tmp_path, [start._replace(payload=pack_start(head))], number)
        path.write_bytes(path.read_bytes() + b"\1")
    result = replay(tmp_path)
    assert len(result.faults) == FAULTS_MAX and result.segments == FAULTS_MAX + 2


def test_a_result_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Replayed()))["difference"] is None
