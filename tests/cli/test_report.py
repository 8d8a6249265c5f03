"""`hlhft report`: a journal by any of its folders, a finished run, and sentences for everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft import cli
from hlhft.backtest.runs import FILES
from hlhft.cli.report import journal_of, name_of
from tests.live.journal.brains import Session
from tests.live.test_session_report import session


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of an engine that had a session, number 7."""
    monkeypatch.chdir(tmp_path)
    session(tmp_path / "mine" / "state")
    return tmp_path / "mine" / "state"


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.invoke(["report", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_session_is_reported_from_any_of_its_folders(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = report(capsys, ran)
    assert code == 0 and "session of mine" in said and "runs/mine-session-7/report.html" in said
    written = Path("runs", "mine-session-7")
    assert {path.name for path in written.iterdir()} == set(FILES)
    first = (written / "report.html").read_bytes()
    segment = next((ran / "journal").iterdir())
    for path in (ran.parent, ran / "journal", segment):
        assert report(capsys, path, "--output", "again")[0] == 0
        assert Path("again", "report.html").read_bytes() == first, path


def test_an_engine_that_still_runs_is_reported_as_far_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = Session(tmp_path / "mine" / "state" / "journal")
    made.run(20)
    code, said, _ = report(capsys, tmp_path / "mine", "--json")
    assert code == 0 and json.loads(said)["scenarios"][0]["trading"]["orders_placed"] > 0
    made.run(20, seed=2)
    made.journal.close()
    code, later, _ = report(capsys, tmp_path / "mine", "--json")
    assert code == 0 and json.loads(later)["events"] > json.loads(said)["events"]


def test_the_figures_as_json(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = report(capsys, ran, "--json", "--session", 7, "--output", "figures")
    assert code == 0
    told = json.loads(said)
    assert told == json.loads(Path("figures", "results.json").read_text())
    (one,) = told["scenarios"]
    assert one["fill_rates"]["orders"] > 0 and list(one["profit"]["by_strategy"]) == ["two_sided"]
    assert told["comparison"] is None


def test_a_session_beside_simulations_of_its_time(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = report(capsys, ran, "--compare")
    assert code == 0 and "Deciding anew, a simulation with risk-averse fills " in said
    page = Path("runs", "mine-session-7", "report.html").read_text()
    assert "Beside a simulation of the same time" in page and "Live and simulated by market and side" in page
    told = json.loads(Path("runs", "mine-session-7", "results.json").read_text())["comparison"]
    assert [one["name"] for one in told["simulated"]] == ["risk-averse", "power:2"]
    assert told["live"]["groups"][0]["fills"] == 2 and told["live"]["groups"][0]["orders"] > 0
    code, said, _ = report(capsys, ran, "--compare", "--json", "--output", "again")
    assert code == 0 and json.loads(said)["comparison"] == told


def test_a_finished_run_tells_its_verdict(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, ran, "--output", "run")
    code, said, _ = report(capsys, "run")
    assert code == 0 and "Report: run/report.html" in said and said.startswith("It ")
    code, said, _ = report(capsys, "run", "--json")
    assert code == 0 and json.loads(said) == json.loads(Path("run", "results.json").read_text())
    code, _, refused = report(capsys, "run", "--output", "other")
    assert code == 2 and "leave --session, --output and --compare out" in refused
    assert report(capsys, "run", "--compare")[0] == 2
    Path("run", "results.json").write_text("{}")
    code, _, refused = report(capsys, "run")
    assert code == 3 and "holds no results of a run" in refused


def test_what_is_no_journal_is_refused_in_a_sentence(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, refused = report(capsys, "nowhere")
    assert code == 3 and "there is no such folder or file" in refused
    code, _, refused = report(capsys, ran, "--session", 8)
    assert code == 3 and "nothing of session 8 in this folder; it holds 7" in refused
    Path("empty").mkdir()
    code, _, refused = report(capsys, "empty")
    assert code == 3 and "no journal in this folder" in refused
    Path("a.txt").write_text("")
    code, _, refused = report(capsys, "a.txt")
    assert code == 3 and "this is no file of a journal" in refused
    Path("full").mkdir()
    Path("full", "mine.txt").write_text("kept")
    code, _, refused = report(capsys, ran, "--output", "full")
    assert code == 2 and "mine.txt" in refused and Path("full", "mine.txt").read_text() == "kept"


def test_paths_and_names(ran: Path) -> None:
    assert journal_of(ran) == ran / "journal" == journal_of(ran / "journal")
    assert journal_of(ran.parent) == ran / "journal"
    assert {name_of(path) for path in (ran, ran.parent, ran / "journal", next((ran / "journal").iterdir()))} == {"mine"}
