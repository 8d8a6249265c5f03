"""A run on disk is whole or not there, says what it was, and has the same bytes when it is made again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from hlhft.backtest import runs
from hlhft.backtest.recordings import RowFile
from hlhft.backtest.rows import EXCHANGE_BIT, LEVEL, LOCAL_BIT, LOTS_SHIFT, ROW_DTYPE, SELL_BIT
from hlhft.backtest.runs import (
    FILES,
    RunError,
    check_folder,
    empty_log,
    empty_records,
    replace_folder,
    results_of,
    write_run,
)
from hlhft.backtest.session import Backtest, run_backtest
from hlhft.backtest.signals import SignalTrack, TrackMeta
from hlhft.core.signals import POLICY_LIFE_NS_MAX
from hlhft.core.state import new_lanes
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.report.markouts import HORIZONS_NS
from hlhft.report.origins import Origin, Span
from tests.report import sample_run
from tests.report.histories import History


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    write_run(folder, sample_run.results())
    return folder


def test_a_run_made_again_has_the_same_bytes(written: Path, tmp_path: Path) -> None:
    before = sample_run.backtest()
    write_run(tmp_path / "again", results_of(run_backtest(before.settings, before.recording)))
    assert digests(tmp_path / "again") == digests(written)
    assert set(digests(written)) == set(FILES)


def heard_run() -> Backtest:
    """The sample's run as if a signal had stood in the first half of it and a policy in all of it."""
    run = sample_run.backtest()
    output, recording = run.outputs[0], run.recording
    half = (output.first_ns + output.last_ns) // 2
    events = np.zeros(2, EVENT_DTYPE)
    events["kind"] = int(EventKind.SIGNAL), int(EventKind.POLICY)
    events["ts_exch_ns"] = events["ts_local_ns"] = output.first_ns
    events["aux0"] = half, output.last_ns
    learned = Span(coin="BTC", from_ns=output.first_ns, to_ns=half)
    meta = TrackMeta(
        recording=recording.name, fingerprint=recording.fingerprint, profile=recording.profile, model_ids=(5,),
        markets=tuple(market.name for market in recording.markets), compute_ns=1, transport_ns=2, latency="none",
        origins=(Origin(what="model 5", blocks={"train": (learned,)}),),
    )  # fmt: skip
    return replace(run, settings=replace(run.settings, signals=SignalTrack("track", "d" * 32, events, meta)))


def test_what_models_said_and_learned_from_is_part_of_the_results() -> None:
    run = heard_run()
    results = results_of(run)
    assert results.heard is not None
    life = min(POLICY_LIFE_NS_MAX / (run.outputs[0].last_ns - run.outputs[0].first_ns), 1.0)
    assert results.heard.signal_shares == pytest.approx((0.5,), abs=1e-6)
    assert results.heard.policy_shares == pytest.approx((life,), abs=1e-6)
    assert set(results.heard.counters.values()) == {0}
    assert len(results.in_sample) == 1 and results.stamp == results.identity["stamp"] == "IN-SAMPLE"
    clean = sample_run.results()
    assert clean.heard is None and clean.in_sample == () and "stamp" not in clean.identity


def test_the_record_identifies_the_run(written: Path) -> None:
    record = json.loads((written / "run.json").read_text())
    run = sample_run.backtest()
    assert record["data"]["fingerprint"] == run.recording.fingerprint
    assert (record["seed"], record["settings"]["strategy"]) == (1, run.settings.strategy.name)
    assert len(record["code_key"]) == 32
    assert set(record["libraries"]) == {"python", "numpy", "numba", "llvmlite", "plotly", "pyarrow"}


def test_results_and_blotter_agree(written: Path) -> None:
    figures = json.loads((written / "results.json").read_text())
    rows = parquet.read_table(written / "blotter.parquet").to_pydict()
    for one in figures["scenarios"]:
        fees = [fee for fee, name in zip(rows["fee_micro"], rows["scenario"], strict=True) if name == one["name"]]
        assert len(fees) == one["trading"]["fills"] > 0
        parts = one["profit"]["parts"]
        assert sum(fees) / 1e6 == pytest.approx(-parts["fees"] - parts["rebates"])
    assert figures["span_ns"] == sample_run.results().span_ns


def test_every_fill_has_the_mids_of_its_own_market(tmp_path: Path) -> None:
    """Two markets with mids of 100 and 200 whose best bids rise by 1 and 2 after a second, and a fill in each."""
    files = []
    for market, ticks in enumerate((100, 200)):
        rows = np.zeros(6, ROW_DTYPE)
        rows["ts_ns"] = np.repeat([0, 10**9, 10**10], 2)
        rows["price_ticks"] = [ticks - 3, ticks + 3, ticks - 3 + ticks // 100, ticks + 9, ticks - 9, ticks + 9]
        rows["word"] = LEVEL | EXCHANGE_BIT | LOCAL_BIT | 1 << LOTS_SHIFT
        rows["word"][1::2] |= SELL_BIT
        rows.tofile(tmp_path / f"{market}.rows")
        files.append(RowFile(tmp_path / f"{market}.rows", 6, ticks - 9, ticks + 9))
    run = sample_run.backtest()
    market = run.recording.markets[0]
    recording = replace(run.recording, markets=(market, replace(market, name="other")), files=tuple(files))
    made = History(recording.markets, start_ns=10**8)
    made.fill(1, 200, 1, market=1, mid=400)
    made.fill(1, 100, 1, market=0, mid=200)
    output = replace(
        run.outputs[0], fills=made.log, records=made.records, lanes=new_lanes(1, 2), first_ns=0, last_ns=10**10
    )
    two = replace(run, recording=recording, outputs=[output], scenarios=run.scenarios[:1])
    (one,) = results_of(two).scenarios
    # The fills are at 0.1 s: before 1 s nothing has moved, then the bids have, and at 10 s the recording has ended.
    for place, horizon_ns in enumerate(HORIZONS_NS):
        known = [400, 200] if horizon_ns < 9 * 10**8 else [402, 201] if horizon_ns < 10**10 else [0, 0]
        assert one.mid_half_ticks[:, place].tolist() == known, horizon_ns


def test_mids_of_a_real_run_are_near_and_end_with_the_recording() -> None:
    run, found = sample_run.backtest(), sample_run.results()
    for one in found.scenarios:
        assert one.mid_half_ticks.shape == (len(one.lane.log), len(HORIZONS_NS))
        known = one.mid_half_ticks[:, 0] > 0
        assert known.mean() > 0.5
        moved = np.abs(one.mid_half_ticks[known, 0] - one.lane.log["mid_half_ticks"][known])
        assert moved.max() < one.lane.log["mid_half_ticks"].max() * 0.01
        late = one.lane.log["ts_exch_ns"] + HORIZONS_NS[-1] > run.outputs[0].last_ns + 10**10
        assert (one.mid_half_ticks[late, -1] == 0).all()


def empty(run: Backtest) -> Backtest:
    outputs = [replace(output, fills=output.fills[:0], records=output.records[:0]) for output in run.outputs]
    return replace(run, outputs=outputs)


def test_a_run_without_fills_is_a_run(tmp_path: Path) -> None:
    found = results_of(empty(sample_run.backtest()))
    write_run(tmp_path / "run", found)
    assert "did not trade" in (tmp_path / "run" / "report.html").read_text()
    assert "NaN" not in (tmp_path / "run" / "results.json").read_text()


def test_failures_belong_to_the_scenarios_that_failed() -> None:
    run = sample_run.backtest()
    outputs = [
        replace(output, lanes=type(output.lanes)(*(part.copy() for part in output.lanes))) for output in run.outputs
    ]
    outputs[1].lanes.lane["strategy_failures"] = 1
    found = results_of(empty(replace(run, outputs=outputs)), failures=["ValueError: no"])
    assert [one.failures for one in found.scenarios] == [(), ("ValueError: no",), ()]


def test_snapshots_are_handed_on() -> None:
    assert results_of(empty(sample_run.backtest()), snapshots=True).snapshots
    assert not sample_run.results().snapshots


def test_an_earlier_run_is_replaced_when_the_new_one_is_complete(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    write_run(folder, results_of(empty(sample_run.backtest())))
    assert digests(folder) != digests(written)
    write_run(folder, sample_run.results())
    assert digests(folder) == digests(written)
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_run_that_fails_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    write_run(folder, results_of(empty(sample_run.backtest())))
    before = digests(folder)

    def fails(results: object) -> str:
        raise OSError("the disk is full")

    monkeypatch.setattr(runs, "render", fails)
    with pytest.raises(OSError, match="disk is full"):
        write_run(folder, sample_run.results())
    assert digests(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_move_that_fails_puts_the_earlier_one_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "kept").write_text("old")

    def vanishes(fresh: Path) -> None:
        fresh.rmdir()

    with pytest.raises(FileNotFoundError):
        replace_folder(folder, ["kept"], vanishes)
    assert (folder / "kept").read_text() == "old"


def test_what_is_no_run_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="is a file"):
        check_folder(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    check_folder(tmp_path / "folder")
    (tmp_path / "folder" / "run.json").touch()
    check_folder(tmp_path / "folder")
    (tmp_path / "folder" / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"thesis\.tex"):
        check_folder(tmp_path / "folder")
    with pytest.raises(RunError, match=r"thesis\.tex"):
        write_run(tmp_path / "folder", sample_run.results())
    check_folder(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"file/run cannot be written, .*file takes no folder \(Not a directory\)"):
        check_folder(tmp_path / "file" / "run")


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace_folder(tmp_path / "link", ["x"], lambda fresh: (fresh / "x").touch())
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "x").exists()


def test_a_link_to_what_is_no_run_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "thesis.tex").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(RunError, match=r"thesis\.tex"):
        check_folder(tmp_path / "link")


def test_room_for_a_log_and_its_records_is_empty() -> None:
    log, records = empty_log(2), empty_records(3)
    assert (len(log), len(records)) == (2, 3)
    assert not any(log.tobytes()) and not any(records.tobytes())
    assert {"kind", "mid_half_ticks"} <= set(log.dtype.names or ()) and "cash_quanta" in (records.dtype.names or ())
