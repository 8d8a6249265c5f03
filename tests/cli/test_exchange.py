from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from hlhft.cli import invoke
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.exchange import LINE_EVERY_S, Status, _kept, _save, _serve, status_line
from hlhft.data.samples import BUNDLED_NAME, bundled
from hlhft.exchange.known_account import test_key as key_of
from hlhft.exchange.known_account import test_signer as signer_of
from hlhft.exchange.server import Clock, Server
from hlhft.exchange.state_file import read_state, write_state
from tests.exchange.clients import Client, order, orders, small_machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_time_of_the_exchange_is_now_however_long_it_took_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    monkeypatch.setattr("hlhft.cli.exchange._serve", lambda machine, **_: times.append(machine.time_ns))
    monkeypatch.setattr("hlhft.cli.exchange._run_first", lambda machine, blocks: opened.append(time.time_ns()))
    opened: list[int] = []
    assert invoke(["exchange", "--coins", "ETH", "--flow", "none"]) == ExitCode.OK
    assert opened[0] <= times[0] <= opened[1], "another exchange was opened and run before"


class Visitor(threading.Thread):
    """Waits until the exchange answers, asks for the test account, and sends the process a signal."""

    def __init__(self, port: int, number: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/info"
        self.number = number
        self.user = signer_of(seed).address
        self.state: Any = None

    def run(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                body = {"type": "clearinghouseState", "user": self.user}
                self.state = requests.post(self.url, json=body, timeout=5).json()
                break
            except requests.ConnectionError:
                threading.Event().wait(0.02)
        os.kill(os.getpid(), self.number)


def served(port: int, number: int, *arguments: str, seed: int = 1) -> tuple[int, Any]:
    visitor = Visitor(port, number, seed)
    visitor.start()
    line = ["exchange", "--coins", "ETH", "--flow", "none", "--port", str(port), "--seed", str(seed), *arguments]
    code = invoke(line)
    visitor.join(60)
    return code, visitor.state


def test_a_ready_file_says_where_to_connect_and_as_whom(tmp_path: Path) -> None:
    port, ready = free_port(), tmp_path / "ready.json"
    code, _ = served(port, signal.SIGTERM, "--ready-file", str(ready), seed=5)
    assert code == ExitCode.OK
    assert json.loads(ready.read_text()) == {
        "url": f"http://127.0.0.1:{port}",
        "coins": ["ETH"],
        "test_account": signer_of(5).address,
        "test_key": f"0x{key_of(5).hex()}",
    }
    assert ready.stat().st_mode & 0o777 == 0o600


def test_the_service_manager_is_told_when_it_answers_that_it_lives_and_that_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        assert served(free_port(), signal.SIGTERM)[0] == ExitCode.OK
        heard = []
        while "STOPPING=1" not in heard:
            heard.append(manager.recv(4096).decode())
    assert heard[0] == "READY=1"
    assert heard[1].startswith("WATCHDOG=1\nSTATUS=block ")


def test_the_files_of_a_node_are_written_where_they_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "hl" / "data"
    code, _ = served(free_port(), signal.SIGTERM, "--node-files", str(folder), "--node-layout", "stream")
    assert code == ExitCode.OK
    assert sorted(path.name for path in folder.iterdir()) == [
        "node_fills_streaming",
        "node_order_statuses_streaming",
        "node_raw_book_diffs_streaming",
    ]
    (tmp_path / "file").write_text("")
    assert invoke(["exchange", "--flow", "none", "--node-files", str(tmp_path / "file" / "data")]) == ExitCode.DATA
    assert "no node's files can be written there: Not a directory" in capsys.readouterr().err


def test_an_exchange_is_served_until_a_signal_comes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, state = free_port(), tmp_path / "exchange.state"
    began_ms = time.time_ns() // 1_000_000
    code, told = served(port, signal.SIGTERM, "--state", str(state), seed=5)
    assert code == ExitCode.OK
    assert began_ms < told["time"] < time.time_ns() // 1_000_000
    assert told["marginSummary"]["accountValue"] == "100000.0"
    printed = capsys.readouterr()
    assert f"http://127.0.0.1:{port} " in printed.out
    assert f"0x{key_of(5).hex()}" in printed.out
    assert "NEVER send real money" in printed.out
    assert "limits on, delays on; seed 5, speed 1x" in printed.out
    assert "\nblock " in "\n" + printed.err
    # It goes on with the same account, and not with a second deposit.
    code, told = served(port, signal.SIGINT, "--state", str(state), "--no-limits", "--no-delay", seed=5)
    assert code == ExitCode.INTERRUPTED
    assert told["marginSummary"]["accountValue"] == "100000.0"
    printed = capsys.readouterr()
    assert "limits OFF, delays OFF" in printed.out
    assert f"interrupted; the state is in {state}" in printed.err


def test_a_recording_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    visitor = Visitor(port, signal.SIGTERM, 1)
    visitor.start()
    assert invoke(["exchange", "--flow", str(bundled()), "--once", "--port", str(port)]) == ExitCode.OK
    visitor.join(60)
    assert visitor.state["marginSummary"]["accountValue"] == "100000.0"
    printed = capsys.readouterr()
    assert "Coins         usdm_btcusdt\n" in printed.out
    assert f"{BUNDLED_NAME}: pass 1, " in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--flow", str(bundled()), "--coins", "BTC"], "holds no BTC: there are usdm_btcusdt"),
        (["--flow", "live", "--speed", "2"], "run at their own speed"),
        (["--flow", "live", "--venue", "nowhere"], "--venue 'nowhere' is no base URL of a venue"),
        (["--flow", "some"], "--flow some is none of synthetic, live and none"),
    ],
)
def test_flows_that_cannot_be(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["exchange", *arguments]) == ExitCode.USAGE
    assert words in capsys.readouterr().err


def test_the_streams_of_another_exchange_are_followed(capsys: pytest.CaptureFixture[str]) -> None:
    with Elsewhere() as venue:
        port = free_port()
        visitor = Visitor(port, signal.SIGHUP, 1)
        visitor.start()
        line = ["exchange", "--flow", "live", "--venue", venue.url, "--coins", "ETH", "--port", str(port)]
        assert invoke(line) == ExitCode.OK
        visitor.join(60)
    printed = capsys.readouterr()
    assert "Coins         ETH\n" in printed.out
    assert f"  live from ws://127.0.0.1:{venue.server.port}/ws: " in printed.err


class Elsewhere(threading.Thread):
    """An exchange with a book in ETH, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        machine = small_machine()
        Client(machine, 1).statuses(orders(order(price="3999"), order(buy=False, price="4001")))
        self.server = Server(machine, Clock(machine.time_ns))
        self.listens = threading.Event()
        self.url = ""

    def run(self) -> None:
        async def serve() -> None:
            self.loop, self.is_over = asyncio.get_running_loop(), asyncio.Event()
            await self.server.start()
            self.url = f"http://127.0.0.1:{self.server.port}"
            self.listens.set()
            await self.is_over.wait()
            await self.server.stop()

        asyncio.run(serve())

    def __enter__(self) -> Elsewhere:
        self.start()
        assert self.listens.wait(60)
        return self

    def __exit__(self, *details: object) -> None:
        self.loop.call_soon_threadsafe(self.is_over.set)
        self.join(60)


def test_an_exchange_that_breaks_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine, state = small_machine(), tmp_path / "state"
    machine.kernel.chain.state["broken"] = 1
    height = machine.height
    with pytest.raises(CommandError, match="the exchange broke and was stopped"), _kept(machine, state):
        _serve(machine, clock=Clock(machine.time_ns), host="127.0.0.1", port=0)
    # It can begin again as it began; what it heard since is set aside, for whoever wants to know why.
    assert read_state(state)["height"] == height
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state", "state.broken"]
    assert "TEST KEY" in capsys.readouterr().out


def test_what_cannot_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["exchange", "--coins", "btc"]) == ExitCode.USAGE
    assert "the nearest is BTC" in capsys.readouterr().err
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"nothing")
    assert invoke(["exchange", "--coins", "ETH", "--flow", "none", "--state", str(damaged)]) == ExitCode.DATA
    assert "give another file" in capsys.readouterr().err
    other = tmp_path / "other"
    write_state(other, small_machine().state())
    assert invoke(["exchange", "--coins", "ETH", "--flow", "none", "--state", str(other)]) == ExitCode.DATA
    assert "list the same coins" in capsys.readouterr().err


def test_a_state_that_cannot_be_saved_is_told_at_once_where_it_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "none" / "state"
    assert invoke(["exchange", "--coins", "ETH", "--flow", "none", "--state", str(nowhere)]) == ExitCode.DATA
    assert f"{nowhere}: no state can be saved there: No such file" in capsys.readouterr().err
    with pytest.raises(CommandError, match="the state is not saved: Is a directory"):
        _save(small_machine(), tmp_path)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert invoke(["exchange", "--coins", "ETH", "--flow", "none", "--port", str(port)]) == ExitCode.FAILURE
    assert "address already in use" in capsys.readouterr().err


def test_the_status_says_what_happens() -> None:
    machine = small_machine()
    status = Status(machine)
    alice, bob = Client(machine, 1), Client(machine, 2)
    alice.statuses(orders(order(buy=False, price="4000")))
    now_ns = machine.time_ns + 1_000_000
    machine.admit(bob.body(orders(order(price="4000", size="0.05"))), bob.label, now_ns)
    status.count(machine.advance(now_ns))
    line = status.line()
    assert "BTC -/-  ETH -/4000  0 sockets  2 actions  1 trades" in line
    assert line.startswith(f"block {machine.height}  ")


def test_lines_come_now_and_then_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("hlhft.cli.exchange.time.monotonic", lambda: now[0])
    with status_line() as show:
        for text in ("first", "second"):
            show(text)
        now[0] += LINE_EVERY_S
        show("third")
    assert capsys.readouterr().err == "first\nthird\n"


def test_a_terminal_shows_one_line_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        encoding = "utf-8"

        def __init__(self) -> None:
            self.written = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            self.written += text
            return len(text)

        def flush(self) -> None:
            pass

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with status_line() as show:
        show("first")
        show("second")
    assert "first" in terminal.written
    assert "second" in terminal.written
