"""`hlhft report --venue` and `--history`: asked, saved, reported again offline, added to, and refused in sentences."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hlhft.cli import invoke as run
from hlhft.cli.report_venue import _weight as weight_of
from hlhft.config.settings import Config
from tests.live.told import ADDRESS, START_MS, Teller, fill, state, telling

LATER_MS = START_MS + 100_000


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """All the weight there is, and short waits between tries."""
    monkeypatch.setattr("hlhft.cli.report_venue._weight", lambda config: 10**6)
    monkeypatch.setattr("hlhft.live.history.wait_ns", lambda *_: 1_000_000)


def teller(**changes: Any) -> Teller:
    """Two buys, and a deposit."""
    deposit = {"time": START_MS - 1_000, "hash": "0x1", "delta": {"type": "deposit", "usdc": "100.0"}}
    facts = {
        "fills": [fill(0, cloid="0x00000700000003000000000000000001"), fill(1)], "transfers": [deposit],
        "state": state("100.02", LATER_MS, "0.0002", "20.02", "0.02"),
    }  # fmt: skip
    return Teller(**{**facts, **changes})


@contextmanager
def served(told: Teller) -> Iterator[str]:
    """Serves it in a thread of its own, as the command has a loop of its own."""
    loop, ready, urls = asyncio.new_event_loop(), threading.Event(), []
    done = asyncio.Event()

    async def serve() -> None:
        async with telling(told) as url:
            urls.append(url)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10.0)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10.0)
        loop.close()


def asked(url: str, folder: Path, *more: str) -> int:
    address = () if "--address" in more else ("--address", ADDRESS)
    return run(["report", "--venue", *address, "--base-url", url, "--output", str(folder), "--json", *more])


def test_an_account_is_asked_for_and_reported_again_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "past"
    with served(teller()) as url:
        assert asked(url, folder, "--owner", "7=glft") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["past"]["checked"] == [
        {"ts_ns": LATER_MS * 10**6, "equity_change": "0.02", "parts": "0.02", "residual": "0"}
    ]
    assert told["past"]["findings"] == []
    assert set(told["scenarios"][0]["profit"]["by_strategy"]) == {"glft", "others"}
    assert (folder / "report.html").stat().st_size > 1_000_000
    assert run(["report", "--history", str(folder), "--owner", "7=glft", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    other = tmp_path / "again"
    assert run(["report", "--history", str(folder), "--output", str(other)]) == 0
    assert "made money" in capsys.readouterr().out
    assert (other / "history.json").is_file()


def test_asked_again_what_is_new_is_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, told = tmp_path / "past", teller()
    with served(told) as url:
        assert asked(url, folder) == 0
        told.fills = [*told.fills, fill(200)]
        told.state = state("100.03", START_MS + 300_000, "0.0003", "30.03", "0.03")
        told.asked.clear()
        capsys.readouterr()
        assert asked(url, folder) == 0
    starts = [body["startTime"] for body in told.asked if body["type"] == "userFunding"]
    assert starts[0] == LATER_MS - 3_600_000
    past = json.loads(capsys.readouterr().out)["past"]
    assert [one["residual"] for one in past["checked"]] == ["0", "0"]
    assert len((folder / "fills.jsonl").read_bytes().splitlines()) == 3


def test_another_account_does_not_go_into_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "past"
    with served(teller()) as url:
        assert asked(url, folder) == 0
        assert asked(url, folder, "--address", "0x" + 40 * "1") == 2
    assert f"holds the past of {ADDRESS}" in capsys.readouterr().err


def test_the_settings_name_account_owner_and_venue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(teller()) as url:
        settings = tmp_path / "live.toml"
        settings.write_text(
            f'[account]\nnetwork = "local"\nbase_url = "{url}"\naddress = "{ADDRESS}"\nowner = 7\n'
            '[strategy]\nname = "two_sided"\n'
        )
        line = ["report", "--venue", "--config", str(settings), "--output", str(tmp_path / "past"), "--json"]
        assert run(line) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["scenarios"][0]["profit"]["by_strategy"]) == {"two_sided", "others"}


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["--venue"], 2, "needs --address"),
        (["--venue", "--address", "0x12"], 2, "--address"),
        (["--venue", "--address", ADDRESS, "--base-url", "venue"], 2, "no URL of a venue"),
        (["--venue", "--address", ADDRESS, "--from", "yesterday"], 2, "--from yesterday is no time"),
        (["--venue", "--address", ADDRESS, "--to", "2026-13-01"], 2, "--to 2026-13-01 is no time"),
        (["--venue", "--address", ADDRESS, "--owner", "glft"], 2, "no NUMBER=NAME"),
        (["--venue", "--history", "x"], 2, "leave one of them out"),
        (["--venue", "x"], 2, "leave PATH"),
        (["--history", "x", "--compare"], 2, "--compare out"),
        (["--history", "nowhere"], 3, "give a folder that --venue wrote"),
        ([], 2, "Missing argument"),
        (["x", "--from", "2026-04-01"], 2, "go with --venue or --history"),
        (["--venue", "--address", ADDRESS, "--base-url", "http://127.0.0.1:1"], 1, "does not answer"),
    ],
)
def test_what_is_wrong_is_said(
    line: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["report", *line]) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_a_changed_file_of_a_history_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "past"
    with served(teller()) as url:
        assert asked(url, folder) == 0
    (folder / "fills.jsonl").write_bytes(b"")
    assert run(["report", "--history", str(folder)]) == 3
    assert "not what history.json says" in capsys.readouterr().err


def test_times_are_asked_for_in_utc(tmp_path: Path) -> None:
    told = teller()
    with served(told) as url:
        assert asked(url, tmp_path / "past", "--from", "2025-10-09T09:00", "--to", "2025-10-10") == 0
    (body,) = [one for one in told.asked if one["type"] == "userFunding"][:1]
    assert (body["startTime"], body["endTime"]) == (1_760_000_400_000, 1_760_054_400_000)


def test_ctrl_c_reports_what_was_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Interrupting(Teller):
        def answer(self, body: dict[str, Any]) -> Any:
            if body["type"] == "userFillsByTime":
                os.kill(os.getpid(), signal.SIGINT)
            return super().answer(body)

    folder = tmp_path / "past"
    with served(Interrupting(fills=[fill(0), fill(1)])) as url:
        assert asked(url, folder) == 130
    assert "is of what was told until then" in capsys.readouterr().err
    told = json.loads((folder / "results.json").read_text())
    assert told["interrupted"]
    assert not told["past"]["is_checked"]
    assert len((folder / "fills.jsonl").read_bytes().splitlines()) == 2


def test_tools_have_their_share_of_the_weight() -> None:
    assert weight_of(Config()) == 1_200 * 5 // 100
