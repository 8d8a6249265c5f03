"""`hlhft dask`: closed unless it is opened, encrypted where it is asked for, and what works in it is ours."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.dask import PROCESSES_MAX
from hlhft.cli.errors import ExitCode
from hlhft.config import ports
from tests.monitor.test_exporter import Authority

Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 60.0


@contextmanager
def cluster(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The command as a process, and the file of what it says."""
    said = folder / f"{arguments[0]}-{time.monotonic_ns()}.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "hlhft", "dask", *arguments]
    with said.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, text=True, env=environment, cwd=folder)
    try:
        yield process, said
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(WITHIN_S)
        finally:
            process.kill()


def within(process: subprocess.Popen[str], said: Path, words: str) -> str:
    """The line with the words, once it is said."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        for line in said.read_text().splitlines():
            if words in line:
                return line
        assert process.poll() is None and time.monotonic() < deadline, said.read_text()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scheduler", "--host", "10.100.0.3"], "lets whoever reaches the port run code"),
        (["scheduler", "--host", "0.0.0.0"], "lets whoever reaches the port run code"),
        (["scheduler", "--host", "research"], "--host research is no address"),
        (["scheduler", "--tls-ca", "a.pem"], "together and without --plain"),
        (["scheduler", "--plain", "--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"], "without --plain"),
        (["worker", "127.0.0.1:8786"], "is not tcp://HOST:PORT"),
        (["worker", "tls://127.0.0.1:8786"], "is not tcp://HOST:PORT"),
        (["worker", "tcp://h:1", "--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"], "is not tls://HOST:PORT"),
        (["worker", "tcp://127.0.0.1:8786", "--processes", str(PROCESSES_MAX + 1)], "'--processes'"),
    ],
)
def test_what_would_be_open_or_is_half_said_is_refused(arguments: list[str], words: str, capsys: Captured) -> None:
    assert invoke(["dask", *arguments]) == ExitCode.USAGE
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_key_that_others_may_read_is_refused(tmp_path: Path, capsys: Captured) -> None:
    certificate, key = Authority(tmp_path, "ours").issue("host")
    key.chmod(0o644)
    tls = ["--tls-ca", str(tmp_path / "ours.pem"), "--tls-cert", str(certificate), "--tls-key", str(key)]
    assert invoke(["dask", "scheduler", *tls]) == ExitCode.USAGE
    assert "chmod 600" in capsys.readouterr().err


def test_every_process_of_a_host_has_its_ports() -> None:
    assert PROCESSES_MAX == ports.NANNY_LAST - ports.NANNY_FIRST + 1 == 64
    assert ports.NANNY_FIRST == ports.WORKER_LAST + 1


@pytest.mark.processes
def test_with_certificates_only_their_holders_are_heard(tmp_path: Path) -> None:
    """A scheduler and a worker of ours, a client with a certificate of theirs, and one with another authority's."""
    from distributed import Client, Security

    ours = Authority(tmp_path, "ours")
    certificate, key = ours.issue("host")
    tls = ["--tls-ca", str(ours.file), "--tls-cert", str(certificate), "--tls-key", str(key)]
    with cluster(tmp_path, "scheduler", "--port", "0", *tls) as (scheduler, said):
        found = re.search(r"tls://127\.0\.0\.1:\d+", within(scheduler, said, "Scheduler at:"))
        assert found is not None
        address = found[0]
        begun = ["worker", address, "--processes", "1", "--any-port", "--folder", str(tmp_path / "spill"), *tls]
        with cluster(tmp_path, *begun) as (worker, spoken):
            within(worker, spoken, "Registered to:")
            security = Security(
                tls_ca_file=str(ours.file), tls_client_cert=str(certificate), tls_client_key=str(key),
                require_encryption=True,
            )  # fmt: skip
            with Client(address, security=security, timeout=WITHIN_S) as client:
                (details,) = client.scheduler_info()["workers"].values()
                assert details["nthreads"] == 1
                assert client.submit(os.getpid, pure=False).result(WITHIN_S) != os.getpid()
            other = Authority(tmp_path, "theirs").issue("stranger")
            port = int(address.rpartition(":")[2])
            assert is_heard(port, ours.file, (certificate, key))
            assert not is_heard(port, ours.file, other)
        worker.wait(WITHIN_S)
    assert scheduler.returncode == 0


def is_heard(port: int, authority: Path, own: tuple[Path, Path]) -> bool:
    """Whether the scheduler says anything to whoever has this certificate and key."""
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(*own)
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                return encrypted.recv(1) != b""
        except (ssl.SSLError, ConnectionResetError):
            return False
