"""`hlhft exporter`: it answers until it is told to stop, and what keeps it from that is one sentence."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.monitor.metrics import Source
from tests.monitor.blocks import parsed, series, written

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 60.0


def settings_in(folder: Path, *lines: str) -> Path:
    """A file of settings; the port is the system's choice unless a line says another."""
    path = folder / "settings.toml"
    port = [] if any(line.startswith("port") for line in lines) else ["port = 0"]
    path.write_text("\n".join([f'[engine]\nstate_folder = "{folder}"\n[metrics]', *port, *lines]) + "\n")
    return path


class Process:
    """A running exporter; a context manager that leaves nothing of it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.ready = folder / "ready.json"
        arguments = ["exporter", "--config", str(folder / "settings.toml"), "--ready-file", str(self.ready)]
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "hlhft", *arguments], cwd=folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.communicate()

    def url(self) -> str:
        """Where it answers, once it does."""
        deadline = time.monotonic() + WITHIN_S
        while not self.ready.exists():
            assert self.popen.poll() is None, self.popen.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        url: str = json.loads(self.ready.read_text())["url"]
        return url

    def end(self, number: int) -> int:
        """Its exit code after a signal; what it said is in `output`."""
        self.popen.send_signal(number)
        self.output, self.errors = self.popen.communicate(timeout=WITHIN_S)
        return self.popen.returncode


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    settings_in(tmp_path, 'processes = ["watchdog", "recorder"]')
    with Process(tmp_path) as running:
        url = running.url()
        assert parsed(page(url))[series("process_up", process="watchdog")] == 0
        made = written(tmp_path / "metrics", Source.WATCHDOG)
        found = parsed(page(url))
        assert found[series("process_up", process="watchdog")] == 1
        assert found[series("process_up", process="recorder")] == 0
        assert series("disk_free_bytes", folder="state") in found
        made.close()
        assert parsed(page(url))[series("process_up", process="watchdog")] == 0
        with socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])), WITHIN_S):
            assert running.end(number) == ExitCode.OK, "whoever holds a connection does not keep it"
    assert running.errors == ""
    assert running.output == f"Numbers of    watchdog, recorder, in {tmp_path}/metrics\nMetrics       {url}\n"


@pytest.mark.processes
def test_it_tells_the_service_manager_how_it_is(tmp_path: Path) -> None:
    settings_in(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WITHIN_S)
        with Process(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="300000") as running:
            url = running.url()
            told = [manager.recv(1000).decode() for _ in range(3)]
            assert told == ["READY=1", *[f"WATCHDOG=1\nSTATUS=answers at {url}"] * 2]
            assert running.end(signal.SIGTERM) == ExitCode.OK


@pytest.mark.processes
def test_a_killed_one_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    settings_in(tmp_path)
    with Process(tmp_path) as running:
        url = running.url()
        page(url)
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
    settings_in(tmp_path, f"port = {url.split(':')[2].split('/')[0]}")
    running.ready.unlink()
    with Process(tmp_path) as running:
        assert running.url() == url
        assert "hlhft_process_up" in page(url)


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and the one sentence of an exporter that does not start."""
    code = invoke(["exporter", "--config", str(folder / "settings.toml")])
    (sentence,) = capsys.readouterr().err.splitlines()
    return code, sentence


def test_a_port_in_use_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings_in(tmp_path, f"port = {port}")
        code, sentence = refused(tmp_path, capsys)
    assert code == ExitCode.FAILURE
    assert sentence == f"hlhft: 127.0.0.1 port {port} cannot be listened on: Address already in use"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0", "::ffff:0:0", "300.1.1.1"])
def test_every_address_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    settings_in(tmp_path, f'address = "{address}"')
    code, sentence = refused(tmp_path, capsys)
    assert code == ExitCode.USAGE
    assert "metrics.address" in sentence or "address" in sentence


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.monitor.test_exporter import Authority

    certificate, key = Authority(tmp_path, "authority").issue("exporter")
    key.chmod(0o644)
    settings_in(tmp_path, f'certificate_file = "{certificate}"', f'key_file = "{key}"')
    code, sentence = refused(tmp_path, capsys)
    assert code == ExitCode.USAGE
    assert sentence.startswith(f"hlhft: {key}: others than its owner may use this file")


def test_it_needs_no_compiler() -> None:
    """It starts at once, and no fault of what is compiled is one of it."""
    code = (
        "import sys; import hlhft.monitor.exporter, hlhft.monitor.collecting, hlhft.monitor.host, hlhft.cli.exporter;"
        "import hlhft.live.private_files, hlhft.live.notify, hlhft.data.writing;"
        "assert not {'numba', 'hlhft.core'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=WITHIN_S, check=True)
