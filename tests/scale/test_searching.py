"""The seed decides a search, wherever it runs and however often it was interrupted."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from hlhft.backtest.parameter_sets import SweepError, parse_axis
from hlhft.backtest.recordings import Recording
from hlhft.scale import searching
from hlhft.scale.backends import InProcess
from hlhft.scale.compiling import put_here
from hlhft.scale.running import Ran
from hlhft.scale.searching import Found, SearchError, opened, search
from hlhft.scale.storage import Storage
from hlhft.scale.sweeping import Sweeper, Table
from hlhft.strategies import StrategyError
from tests.backtest.sweep_recording import recording, settings, wandering
from tests.scale.made import busy

AXES = [parse_axis(text) for text in ("half=0:4", "skew=0,1", "order_lots=100:500:log")]
SETS = 12


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recording(tmp_path_factory.mktemp("rows"), wandering(3))


@pytest.fixture(autouse=True)
def _short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BATCH", 5)


@contextlib.contextmanager
def sweeper(small: Recording, storage: Storage) -> Iterator[Sweeper]:
    with InProcess(storage, 2) as backend:
        yield Sweeper(settings(), [put_here(small, storage)], backend, storage)


def asked(found: Found) -> list[tuple[tuple[str, float], ...]]:
    return [tuple(values.items()) for values in found.parameters.sets]


def test_the_seed_decides_it_and_what_it_found_is_a_sweep(small: Recording, tmp_path: Path) -> None:
    storage = Storage(tmp_path / "store")
    with sweeper(small, storage) as made:
        seen: list[tuple[int, int]] = []
        usual = {"cap_lots": 900.0}
        first = search(
            made, AXES, tmp_path / "a", sets=SETS, seed=3, usual=usual, progress=lambda *how: seen.append(how)
        )
        again = search(made, AXES, tmp_path / "b", sets=SETS, seed=3, usual=usual)
        other = search(made, AXES, tmp_path / "c", sets=SETS, seed=4, usual=usual)
        result = made.result(first.parameters, first.table)
    assert asked(first) == asked(again) != asked(other) and seen == [(5, 12), (10, 12), (12, 12)]
    assert len(first.parameters.sets) + first.parameters.repeated == SETS and first.parameters.method == "optuna"
    for values in first.parameters.sets:
        assert list(values) == ["cap_lots", "half", "skew", "order_lots"] and values["cap_lots"] == 900
        assert 0 <= values["half"] <= 4 and values["skew"] in (0, 1) and 100 <= values["order_lots"] <= 500
        assert float(f"{values['half']:.6g}") == values["half"]
    assert len(result.finished) == len(first.parameters.sets) and not result.interrupted
    with opened(tmp_path / "a", searching._name(made, AXES, usual, 3)) as study:
        told = [trial.value for trial in study.get_trials()]
    assert max(told) == result.figures["profit_micro"][:, 0].max() / 1e6 and len(told) == SETS


@pytest.mark.parametrize("stopped_at", [0, 1, 2])
def test_one_that_was_interrupted_goes_on_as_if_it_had_not_been(
    small: Recording, tmp_path: Path, stopped_at: int
) -> None:
    storage = Storage(tmp_path / "store")
    with sweeper(small, storage) as made:
        whole = search(made, AXES, tmp_path / "whole", sets=SETS, seed=3)
        runs = 0

        def stops(sets: Sequence[Mapping[str, float]]) -> tuple[Table, Ran]:
            nonlocal runs
            runs += 1
            if runs > stopped_at:
                return Table(), Ran(tasks=[busy()], storage=storage, keys=[busy().key], interrupted=True)
            return made.run(sets)

        part = search(made, AXES, tmp_path / "cut", sets=SETS, seed=3, run=stops)
        assert part.interrupted and len(part.parameters.sets) <= 5 * stopped_at
        assert asked(part) == asked(whole)[: len(part.parameters.sets)]
        rest = search(made, AXES, tmp_path / "cut", sets=SETS, seed=3)
    assert not rest.interrupted
    assert asked(rest) == asked(whole)


def test_a_study_that_somebody_else_asks_is_refused(small: Recording, tmp_path: Path) -> None:
    storage = Storage(tmp_path / "store")
    with sweeper(small, storage) as made:
        name = searching._name(made, AXES, {}, 1)

        def run(sets: Sequence[Mapping[str, float]]) -> tuple[Table, Ran]:
            with opened(tmp_path / "study", name) as study:
                study.ask()
            return made.run(sets)

        with pytest.raises(SearchError, match="is used by somebody else"):
            search(made, AXES, tmp_path / "study", sets=SETS, seed=1, run=run)


def test_another_search_is_another_study(small: Recording, tmp_path: Path) -> None:
    with sweeper(small, Storage(tmp_path)) as made:
        names = {
            searching._name(made, axes, usual, seed)
            for axes, usual, seed in ((AXES, {}, 1), (AXES[:2], {}, 1), (AXES, {"cap_lots": 1.0}, 1), (AXES, {}, 2))
        }
    assert len(names) == 4


def test_what_cannot_be_searched_is_refused_before_anything_runs(small: Recording, tmp_path: Path) -> None:
    with sweeper(small, Storage(tmp_path)) as made:
        with pytest.raises(SweepError, match="nothing to search among"):
            search(made, [], tmp_path / "study", sets=1, seed=1)
        with pytest.raises(SweepError, match="5000 sets cannot be searched"):
            search(made, AXES, tmp_path / "study", sets=5000, seed=1)
        with pytest.raises(StrategyError, match="no parameter 'gama'"):
            search(made, [parse_axis("gama=1:2")], tmp_path / "study", sets=1, seed=1)


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ("mysql://host/base", "mysql://… holds no study"),
        ("postgresql://me:word@host/base", "the study at host holds a password"),
        ("postgresql://host/base?password=word", "the study at host holds a password"),
        ("postgresql://nobody@127.0.0.1:1/base", "cannot be used .*refused"),
    ],
)
def test_a_study_that_cannot_be_opened_says_why_and_shows_no_password(study: str, sentence: str) -> None:
    with pytest.raises(SearchError, match=sentence) as found, opened(study, "name"):
        raise AssertionError
    assert "word" not in str(found.value).replace("password", "")


PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.mark.processes
def test_a_study_in_postgresql_is_the_same(small: Recording, tmp_path: Path) -> None:
    """A server of its own in a folder, reached over a Unix socket by a user without a password."""
    if not PROGRAMS:
        pytest.skip("NOT TESTED: a study in PostgreSQL, whose programs are not installed")
    place, sockets = tmp_path / "data", Path(os.environ.get("TMPDIR", "/tmp"), f"hlhft-pg-{os.getpid()}")
    sockets.mkdir(mode=0o777)
    sockets.chmod(0o777)
    as_user: list[str] = []
    if os.getuid() == 0:  # the server refuses root
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        place = sockets / "data"
    bin_folder = PROGRAMS[-1].parent
    try:
        call = partial(subprocess.run, check=True, cwd=sockets, capture_output=True)
        call([*as_user, bin_folder / "initdb", "-D", place, "-U", "nobody", "-A", "trust", "-N"])
        options = f"-k {sockets} -c listen_addresses= -c fsync=off"
        control = [*as_user, bin_folder / "pg_ctl", "-D", place, "-w", "-l", sockets / "log"]
        # Its output is not read: the server would hold the pipe open.
        call([*control, "-o", options, "start"], capture_output=False, stdout=subprocess.DEVNULL)
        try:
            with sweeper(small, Storage(tmp_path / "store")) as made:
                here = search(made, AXES, tmp_path / "journal", sets=SETS, seed=3)
                there = search(made, AXES, f"postgresql://nobody@/postgres?host={sockets}", sets=SETS, seed=3)
        finally:
            call([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    assert asked(here) == asked(there)
