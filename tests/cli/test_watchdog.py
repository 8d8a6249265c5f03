"""`hlhft watchdog`: processes that are killed, an operator's sweep, and one sentence for everything that is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.monitor.block import block_path, read_block
from hlhft.monitor.metrics import Source
from tests.conformance.process import COMMAND, FREE, ExchangeProcess
from tests.live.watched import OTHER, OWNER, WITHIN_S, Account, signer_of

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
SILENCE_MS, EXPIRES_AFTER_MS = 600, 500


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    running = ExchangeProcess([*COMMAND, *FREE], tmp_path_factory.mktemp("exchange"))
    yield running.url()
    assert running.stop() == 0


class Watched:
    """An account, the settings of its watchdog in a folder, and the processes around them."""

    def __init__(self, url: str, number: int, folder: Path) -> None:
        self.account = Account(url, number)
        self.account.approve(self.account.agent)
        self.folder = folder
        self.number = number
        key = folder / "watchdog.key"
        key.write_text(signer_of(255 - number)._key.secret.hex())
        key.chmod(0o600)
        self.settings = folder / "settings.toml"
        self.settings.write_text(
            f'[account]\nnetwork = "local"\nbase_url = "{url}"\naddress = "{self.account.address}"\nowner = {OWNER}\n'
            f'[engine]\nstate_folder = "{folder}"\n'
            f"[batch]\nexpires_after_ms = {EXPIRES_AFTER_MS}\n"
            f'[watchdog]\nkey_file = "{key}"\nsilence_ms_max = {SILENCE_MS}\nstart_grace_ms = 1000\n'
        )

    def watchdog(self) -> Process:
        return Process(["-m", "hlhft", "watchdog", "--config", str(self.settings)])

    def engine(self, session: int) -> Process:
        secret, heartbeat = self.folder / "heartbeat.secret", self.folder / "heartbeat.sock"
        arguments = [self.account.url, str(heartbeat), str(secret), str(self.number), str(session)]
        return Process(["-m", "tests.live.stand_in", *arguments])


class Process:
    """A process whose output goes to a file, so that it never waits for a reader."""

    def __init__(self, arguments: list[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HLHFT_LOG": "info"}
        self.process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []

    def until(self, word: str, *, is_log: bool = False) -> None:
        """Reads its output up to a line with this word."""
        stream = self.process.stderr if is_log else self.process.stdout
        assert stream is not None
        for line in stream:
            self.lines.append(line)
            if word in line:
                return
        raise AssertionError(f"it ended before it said {word!r}:\n{''.join(self.lines)}{self.process.communicate()}")

    def end(self, number: int) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        output, log = self.process.communicate(timeout=WITHIN_S)
        self.lines += [output, log]
        assert "Traceback" not in "".join(self.lines), "".join(self.lines)
        return self.process.returncode


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Keys that no other test of this module uses."""
    return iter(range(1, 100))


@pytest.fixture
def watched(url: str, tmp_path: Path, numbers: Iterator[int]) -> Watched:
    return Watched(url, next(numbers), tmp_path)


def test_a_killed_engine_leaves_nothing(watched: Watched) -> None:
    others = {watched.account.place(owner=OTHER), watched.account.place(owner=None)}
    block = block_path(watched.folder / "metrics", Source.WATCHDOG)
    watchdog = watched.watchdog()
    watchdog.until("Heartbeat")
    engine = watched.engine(session=1)
    watchdog.until("the engine is heard", is_log=True)
    engine.until("trading")
    watched.account.eventually(lambda: len(watched.account.open_ids()) >= 10)
    numbers = read_block(block)
    assert numbers.pid == watchdog.process.pid and numbers.labels == {"account": watched.account.address.lower()}
    assert engine.end(signal.SIGKILL) == -signal.SIGKILL
    killed = time.monotonic()
    watchdog.until("proven: no own order is left", is_log=True)
    took_s = time.monotonic() - killed
    assert watched.account.open_ids() == others
    # Until silence was noticed an order may have been sent, which then had its time; the rest is this machine's.
    assert (SILENCE_MS + EXPIRES_AFTER_MS) / 1000 - 0.5 < took_s < (SILENCE_MS + EXPIRES_AFTER_MS) / 1000 + 5
    again = watched.engine(session=2)
    watchdog.until("the engine has reconciled", is_log=True)
    again.until("trading")
    assert watched.account.open_ids() > others
    assert again.end(signal.SIGTERM) == 0
    watchdog.until("proven: no own order is left", is_log=True)
    assert watched.account.open_ids() == others
    assert watchdog.end(signal.SIGTERM) == 0
    assert read_block(block).is_closed
    text = "".join(watchdog.lines)
    assert (watched.folder / "heartbeat.secret").read_text().strip() not in text
    assert signer_of(255 - watched.number)._key.secret.hex() not in text


def test_a_killed_watchdog_is_started_again_and_does_not_disturb(watched: Watched) -> None:
    watchdog = watched.watchdog()
    watchdog.until("Heartbeat")
    engine = watched.engine(session=1)
    engine.until("trading")
    watchdog.until("the engine is heard", is_log=True)
    watchdog.end(signal.SIGKILL)
    watchdog = watched.watchdog()
    watchdog.until("the engine is heard", is_log=True)
    resting = len(watched.account.open_ids())
    watched.account.eventually(lambda: len(watched.account.open_ids()) >= resting + 10)
    watchdog.end(signal.SIGKILL)
    engine.end(signal.SIGKILL)
    # Both are gone: the next one finds orders and no beat.
    watchdog = watched.watchdog()
    watchdog.until("own orders stand and no engine is heard", is_log=True)
    watchdog.until("proven: no own order is left", is_log=True)
    assert not watched.account.open_ids()
    assert watchdog.end(signal.SIGINT) == 0


def test_leaving_before_the_proof_has_its_own_exit_code(watched: Watched) -> None:
    watched.account.place()
    watched.settings.write_text(watched.settings.read_text().replace(f"= {EXPIRES_AFTER_MS}", "= 60000"))
    watchdog = watched.watchdog()
    watchdog.until("cancels sent", is_log=True)
    assert watchdog.end(signal.SIGTERM) == ExitCode.ORDERS_LEFT
    assert "orders of the engine may be left at the venue" in watchdog.lines[-1]


def test_an_operators_sweep(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    watched.account.place()
    other = watched.account.place(owner=OTHER)
    assert invoke(["watchdog", "--config", str(watched.settings), "--sweep"]) == ExitCode.OK
    assert watched.account.open_ids() == {other}
    output = capsys.readouterr().out
    assert f"orders of owner {OWNER} of {watched.account.address} at" in output
    assert "cancels sent: 1 fast" in output and "proven: no own order is left" in output
    assert not (watched.folder / "heartbeat.secret").exists() and not (watched.folder / "metrics").exists()


def test_a_sweep_that_cannot_be_proven(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    text = watched.settings.read_text().replace(watched.account.url, "http://127.0.0.1:9")
    watched.settings.write_text(text)
    assert invoke(["watchdog", "--config", str(watched.settings), "--sweep", "--seconds", "1"]) == ExitCode.ORDERS_LEFT
    captured = capsys.readouterr()
    assert "it was not proven that there are none" in captured.err
    assert "the venue does not answer" in captured.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("address = ", "addres = "), "did you mean 'address'?"),
        (("address = ", "# "), "account.address is not set"),
        (("key_file = ", "# "), "watchdog.key_file is not set"),
        ((f"silence_ms_max = {SILENCE_MS}", "silence_ms_max = 599"), "watchdog.silence_ms_max must be"),
    ],
)
def test_wrong_settings_are_one_sentence(
    watched: Watched, capsys: pytest.CaptureFixture[str], change: tuple[str, str], words: str
) -> None:
    watched.settings.write_text(watched.settings.read_text().replace(*change))
    assert invoke(["watchdog", "--config", str(watched.settings)]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1


def test_a_key_that_others_may_read_is_refused(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    (watched.folder / "watchdog.key").chmod(0o644)
    assert invoke(["watchdog", "--config", str(watched.settings)]) == ExitCode.USAGE
    assert "chmod 600 it" in capsys.readouterr().err


def test_a_second_watchdog_at_one_place_is_refused(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    watchdog = watched.watchdog()
    watchdog.until("Heartbeat")
    watched.account.eventually((watched.folder / "heartbeat.sock").exists)
    assert invoke(["watchdog", "--config", str(watched.settings)]) == ExitCode.USAGE
    assert "another watchdog hears on" in capsys.readouterr().err
    assert watchdog.end(signal.SIGTERM) == 0


def test_it_needs_neither_numba_nor_the_core() -> None:
    """What takes the engine down must not take its watchdog down: a fresh interpreter that has loaded all of it."""
    script = (
        "import sys, json\n"
        "import hlhft.cli.watchdog, hlhft.live.watchdog, hlhft.live.watchdog_setup, hlhft.live.heartbeat\n"
        "import hlhft.live.clock, hlhft.config.load, hlhft.log\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    loaded: list[Any] = json.loads(output)
    ours = ("hlhft.core", "hlhft.compiled", "hlhft.venue", "hlhft.exchange")
    assert not [name for name in loaded if name.startswith(("numba", "llvmlite", "picows", "uvloop", *ours))]
    assert "hlhft.hyperliquid.watchdog" in loaded and "websockets" in loaded
