"""`hlhft replay` as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from hlhft import cli
from hlhft.cli.errors import ExitCode
from hlhft.data.sources import open_source
from hlhft.live.journal.recording import JournalSource
from hlhft.live.journal.records import RecordKind, pack, pack_start, read_start, records_of
from hlhft.live.journal.segments import Form, Name
from tests.live.journal.brains import Session

OPEN = Name(7, 0).file(Form.OPEN)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("journal")
    made = Session(folder)
    made.run(20)
    made.journal.close()
    return (folder / OPEN).read_bytes()


@pytest.fixture
def journal(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / OPEN).write_bytes(content)
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.invoke(["replay", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_an_equal_replay(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, journal)
    assert (code, err) == (ExitCode.OK, "")
    assert out.startswith("session 7: ") and out.endswith("states compared: equal\n")
    code, out, _ = call(capsys, journal / OPEN, "--json")
    found = json.loads(out)
    assert code == ExitCode.OK and found["difference"] is None and found["ended"] and found["commands"] > 0


def test_a_session_that_was_killed_is_equal_and_says_so(
    journal: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    end = list(records_of(content))[-1]
    (journal / OPEN).write_bytes(content[: end.offset] + bytes(500))
    code, out, _ = call(capsys, journal)
    assert code == ExitCode.OK and out.endswith("equal; the session did not write that it ended\n")


def test_a_difference_has_an_exit_code_of_its_own(
    journal: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [record for record in records_of(content) if record.kind is not RecordKind.COMMANDS]
    (journal / OPEN).write_bytes(
        b"".join(
            pack(record.kind, record.payload, sequence=place + 1, ts_ns=0, session=7)
            for place, record in enumerate(records)
        )
    )
    code, out, err = call(capsys, journal)
    assert code == ExitCode.DIFFERS and "DIFFERENT" in out
    assert err.startswith(f"hlhft: {journal / OPEN}, record 3, step 1: the replay decides on ") and err.count("\n") == 1
    code, out, _ = call(capsys, journal, "--json")
    assert code == ExitCode.DIFFERS and json.loads(out)["difference"]["step"] == 1


def test_damage_is_bad_data(journal: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (journal / OPEN).write_bytes(content[:-40] + b"\1" * 40)
    code, out, err = call(capsys, journal)
    assert code == ExitCode.DATA and ": equal" in out and "are whole" in err


def test_other_versions_are_refused_unless_told(
    journal: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = records_of(content)
    start = msgspec.structs.replace(read_start(first.payload), code_key="another")
    head = pack(RecordKind.START, pack_start(start), sequence=1, ts_ns=0, session=7)
    (journal / OPEN).write_bytes(head + content[others[0].offset :])
    code, _, err = call(capsys, journal)
    assert code == ExitCode.DATA and "code key another" in err and "--ignore-versions" in err
    assert call(capsys, journal, "--ignore-versions")[0] == ExitCode.OK


def test_a_journal_becomes_a_recording(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = journal / "session.events.npz"
    code, out, _ = call(capsys, journal, "--export", target)
    events = sum(map(len, JournalSource(journal).chunks()))
    assert code == ExitCode.OK and out == f"{target}: {events} events\n"
    assert sum(map(len, open_source(target).chunks())) == events <= 240, "without its own orders"
    code, out, _ = call(capsys, journal, "--export", target, "--json")
    assert json.loads(out) == {"file": str(target), "events": events}
    code, _, err = call(capsys, journal, "--export", journal / "session.parquet")
    assert code == ExitCode.USAGE and "--export writes .npz files" in err


def test_what_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, tmp_path / "nothing")
    assert code == ExitCode.DATA and "there is no such journal" in err
    code, _, err = call(capsys, tmp_path)
    assert code == ExitCode.DATA and "there is no journal in this folder" in err
    code, _, err = call(capsys, tmp_path, "--session", "0")
    assert code == ExitCode.USAGE


def test_what_a_session_made_is_written_as_a_run(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = journal / "report"
    code, out, err = call(capsys, journal, "--report", folder)
    assert (code, err) == (ExitCode.OK, "")
    assert "It did not trade at all" in out and str(folder / "report.html") in "".join(out.split("\n"))
    assert {path.name for path in folder.iterdir()} >= {"run.json", "results.json", "report.html"}
    code, out, _ = call(capsys, journal, "--report", folder, "--json")
    assert code == ExitCode.OK and json.loads(out)["scenarios"][0]["name"].startswith("session 7, ")
    code, _, err = call(capsys, journal, "--report", folder, "--export", journal / "a.npz")
    assert code == ExitCode.USAGE and "choose one of them" in err
