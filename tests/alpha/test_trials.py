from __future__ import annotations

import json
import os
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hlhft
from hlhft.alpha import trials
from hlhft.alpha.splits import Block, Split
from hlhft.alpha.trials import LINE_BYTES_MAX, Begun, OpenedTwice, Sealed, TrialLog, TrialLogError

NOTHING = np.empty(0, np.int64)


def split_of(key: str) -> Split:
    empty = [Block(name, (), NOTHING) for name in ("train", "stop", "calibrate")]
    return Split(*empty, Block("test", (), np.arange(7)), embargo_ns=0, length=1, horizon=None, key=key)


def facts_of(log: TrialLog) -> object:
    return (log.head, dict(log.trials), {trial: dict(log.scores(trial)) for trial in log.trials},
            [log.openings(split_of(key)) for key in ("a", "b")])  # fmt: skip


def filled(path: Path) -> TrialLog:
    log = TrialLog(path, clock=lambda: 5)
    for number in range(3):
        trial = log.begin({"command": "train", "seed": number})
        log.score(trial, "nll", 1.0 + number / 10)
    log.open_test(split_of("a"), 2)
    return log


def test_a_test_block_is_opened_once_a_trial(tmp_path: Path) -> None:
    log = filled(tmp_path / "trials.jsonl")
    assert log.open_test(split_of("a"), 1).tolist() == list(range(7))
    for again in (log, TrialLog(tmp_path / "trials.jsonl")):
        with pytest.raises(OpenedTwice, match="trial 1 has seen this test block already"):
            again.open_test(split_of("a"), 1)
    assert log.open_test(split_of("b"), 1).tolist() == list(range(7))
    assert log.openings(split_of("a")) == (2, 1) and log.openings(split_of("c")) == ()
    with pytest.raises(TrialLogError, match="no trial 9"):
        log.open_test(split_of("a"), 9)


def test_the_log_reads_back(tmp_path: Path) -> None:
    log = filled(tmp_path / "trials.jsonl")
    assert facts_of(TrialLog(log.path)) == facts_of(log)
    assert [begun.facts["seed"] for begun in log.trials.values()] == [0, 1, 2] and log.scores(3) == {"nll": 1.2}
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["type"] for line in lines] == ["begun", "scored"] * 3 + ["opened"]
    assert lines[0]["before"] == "0" * 32 and len({line["before"] for line in lines}) == 7


def test_two_writers_share_a_log(tmp_path: Path) -> None:
    one, two = TrialLog(tmp_path / "trials.jsonl"), TrialLog(tmp_path / "trials.jsonl")
    assert [log.begin({}) for log in (one, two, one, two)] == [1, 2, 3, 4]
    two.open_test(split_of("a"), 1)
    with pytest.raises(OpenedTwice):
        one.open_test(split_of("a"), 1)
    assert facts_of(TrialLog(one.path)) == facts_of(two)


def test_processes_share_a_log(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            log = TrialLog(path)
            for _ in range(25):
                log.score(log.begin({"pid": os.getpid()}), "nll", 1.0)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    log = TrialLog(path)
    assert sorted(log.trials) == list(range(1, 101)) and all(log.scores(trial) for trial in log.trials)


@settings(max_examples=15)
@given(place=st.integers(0, 6), position=st.integers(0, 10_000), byte=st.integers(0, 255), cuts=st.booleans())
def test_a_change_in_the_middle_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, position: int, byte: int, cuts: bool
) -> None:
    """A byte that is another one, or a line that is gone: refused; only the last line has nothing behind it."""
    log = filled(tmp_path_factory.mktemp("log") / "trials.jsonl")
    lines = log.path.read_bytes().splitlines(keepends=True)
    if cuts:
        del lines[place]
    else:
        position %= len(lines[place])
        if lines[place][position] == byte:
            return
        lines[place] = lines[place][:position] + bytes([byte]) + lines[place][position + 1 :]
    log.path.write_bytes(b"".join(lines))
    try:
        found = TrialLog(log.path)
    except TrialLogError as error:
        assert "so the log was changed" in str(error)
    else:
        assert place == 6 and found.head != log.head


@settings(max_examples=15)
@given(kept=st.integers(0, 400))
def test_a_torn_line_is_sealed_and_nothing_whole_is_lost(tmp_path_factory: pytest.TempPathFactory, kept: int) -> None:
    """The file is cut anywhere in its last two lines, as a kill may leave it; the log goes on."""
    log = filled(tmp_path_factory.mktemp("log") / "trials.jsonl")
    whole = log.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    first = len(b"".join(lines[:-2]))
    end = first + kept % (len(whole) - first + 1)
    log.path.write_bytes(whole[:end])
    counted = whole[:end].count(b"\n") + (whole[end : end + 1] == b"\n")

    reader = TrialLog(log.path)
    assert len(reader.trials) == 3 and log.path.read_bytes() == whole[:end]
    writer = TrialLog(log.path)
    assert writer.begin({"after": True}) == 4
    found = TrialLog(log.path)
    assert facts_of(found) == facts_of(writer)
    assert (0.2 in [round(found.scores(3).get("nll", 0) - 1, 9)]) == (counted >= 6)
    assert (found.openings(split_of("a")) == (2,)) == (counted == 7)
    assert log.path.read_bytes().startswith(whole[:end])
    kinds = [b'"type":"sealed"' in line for line in log.path.read_bytes().splitlines()]
    assert sum(kinds) == (whole[:end] != b"".join(lines[:counted]) and not whole[:end].endswith(b"}"))


def test_a_seal_that_is_torn_is_sealed(tmp_path: Path) -> None:
    log = filled(tmp_path / "trials.jsonl")
    log.path.write_bytes(log.path.read_bytes() + b'{"type":"beg\n{"type":"sea')
    again = TrialLog(log.path)
    assert again.begin({}) == 4
    assert facts_of(TrialLog(log.path)) == facts_of(again)
    # What was torn is covered by the chain too.
    log.path.write_bytes(log.path.read_bytes().replace(b'{"type":"beg\n', b'{"type":"bag\n'))
    with pytest.raises(TrialLogError, match="so the log was changed"):
        TrialLog(log.path)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"x" * (LINE_BYTES_MAX + 10))
    with pytest.raises(TrialLogError, match="this is no log of trials"):
        TrialLog(path)
    log = TrialLog(tmp_path / "other.jsonl")
    with pytest.raises(ValueError, match="longer than"):
        log.begin({"long": "x" * LINE_BYTES_MAX})
    with pytest.raises(ValueError, match="more than the 64"):
        log.begin({str(number): 0 for number in range(65)})
    trial = log.begin({})
    with pytest.raises(ValueError, match="no figure of a trial"):
        log.score(trial, "nll", float("nan"))


def test_alike_trials_count_for_fewer(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    walk, noise = TrialLog(tmp_path / "walk.jsonl"), TrialLog(tmp_path / "noise.jsonl")
    assert walk.effective_trials("sharpe") == 1
    values = rng.standard_normal(60)
    for slow, fast in zip(np.cumsum(values), values, strict=True):
        walk.score(walk.begin({}), "sharpe", float(slow))
        noise.score(noise.begin({}), "sharpe", float(fast))
    assert 1 <= walk.effective_trials("sharpe") < 30 < noise.effective_trials("sharpe") <= 60
    before = walk.effective_trials("sharpe")
    walk.begin({})  # it told nothing, so it counts for itself
    assert walk.effective_trials("sharpe") == before + 1
    assert walk.effective_trials("other") == 61


def test_nothing_else_reads_the_rows_of_a_test_block() -> None:
    """Whoever judges asks the log; only the split that makes the block, and the log that gives it, know its rows."""
    package = Path(hlhft.__file__).parent
    readers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\btest\.rows\b", path.read_text())
    }
    assert readers == {"alpha/splits.py", "alpha/trials.py"}


def test_a_full_log_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(tmp_path / "trials.jsonl")
    monkeypatch.setattr(trials, "LINES_MAX", 7)
    before = log.path.read_bytes()
    with pytest.raises(TrialLogError, match="it has 7 lines, which is its limit"):
        log.begin({})
    assert log.path.read_bytes() == before


@pytest.mark.parametrize(
    ("torn", "line"),
    [
        (b'{"type":"beg\n', Sealed(before="", time_ns=5, bytes=99)),  # seals another line than that before it
        (b"", Begun(before="", time_ns=5, trial=9, facts={})),  # leaves trials out
        (b"", Sealed(before="", time_ns=5, bytes=0)),  # seals what is whole
    ],
)
def test_a_line_with_the_right_hash_must_fit_all_the_same(tmp_path: Path, torn: bytes, line: Sealed | Begun) -> None:
    log = filled(tmp_path / "trials.jsonl")
    log.path.write_bytes(log.path.read_bytes() + torn)
    forged = msgspec.structs.replace(line, before=TrialLog(log.path).head)
    log.path.write_bytes(log.path.read_bytes() + msgspec.json.encode(forged) + b"\n")
    with pytest.raises(TrialLogError, match="so the log was changed"):
        TrialLog(log.path)
