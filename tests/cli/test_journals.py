"""A journal in place of a recording: found by any of its folders, replayed without its own orders."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from hlhft import cli
from hlhft.cli.backtest import profile_for
from hlhft.cli.errors import ExitCode
from hlhft.cli.journals import is_journal, journal_source
from hlhft.config.settings import Config
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from tests.live.journal.brains import Session
from tests.privileges import as_nobody


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of an engine that had a session, number 7."""
    folder = tmp_path_factory.mktemp("house") / "mine" / "state"
    made = Session(folder / "journal")
    made.run(30, every_ns=100_000_000)
    made.journal.close()
    return folder


def test_it_is_found_by_any_of_its_folders(state: Path) -> None:
    segment = next((state / "journal").iterdir())
    for path in (state, state.parent, state / "journal", segment):
        source = journal_source([path])
        assert source is not None and source.name == "mine-session-7" and is_journal(source)
    assert source.snapshot_markets == (True,)


def test_what_is_no_journal_is_left_to_the_readers(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_text("a,b\n")
    for paths in ([], [bundled()], [tmp_path], [tmp_path / "book.csv"], [Path("2026-04-01/BTC")]):
        assert journal_source(paths) is None
    assert not is_journal(open_source(bundled()))


def test_a_folder_that_cannot_be_read_is_left_to_them_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    Path("sealed").mkdir(mode=0)
    with as_nobody():
        assert journal_source([Path("sealed")]) is None


def test_it_stands_alone(state: Path) -> None:
    with pytest.raises(click.UsageError, match="is a journal, give it alone"):
        journal_source([bundled(), state])


def test_its_feed_is_not_thinned_unless_somebody_says_so(state: Path) -> None:
    source = journal_source([state])
    assert source is not None
    assert profile_for(source, {"feed_profile": None}, Config()) == "recorded"
    assert profile_for(source, {"feed_profile": "2026"}, Config()) == "2026"


def test_it_is_backtested_and_looked_at_like_a_recording(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = cli.invoke(["backtest", str(state), "--strategy", "two_sided", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == ExitCode.OK and told["title"] == "mine-session-7" and told["events"] > 100
    assert Path("runs", "mine-session-7", "report.html").is_file()
    assert told["scenarios"][0]["trading"]["orders_placed"] > 0
    assert cli.invoke(["data", "check", str(state)]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("mine-session-7: ")
