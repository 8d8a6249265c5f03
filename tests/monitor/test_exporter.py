"""The server answers whoever asks as Prometheus does, and nobody else keeps it from that."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hlhft.config.live_sections import Metrics
from hlhft.monitor import exporter
from hlhft.monitor.exporter import CONNECTIONS_MAX, ListenError, Server, TlsError, application_of, tls_of
from tests.monitor.blocks import all_written, collector_of, parsed, series

WITHIN_S = 30.0


@contextlib.contextmanager
def served(folder: Path, settings: Metrics | None = None) -> Iterator[Server]:
    """A server of the blocks in a folder."""
    server = Server("127.0.0.1", 0, application_of(collector_of(folder)), tls_of(settings or Metrics()))
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(WITHIN_S)
    assert not thread.is_alive()


def fetched(url: str, *, context: ssl.SSLContext | None = None, **headers: str) -> tuple[str, str]:
    """Content type and body."""
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=WITHIN_S, context=context) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_it_shows_what_processes_write(tmp_path: Path) -> None:
    all_written(tmp_path)
    with served(tmp_path) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/metrics"
        kind, page = fetched(server.url)
    assert kind.startswith("text/plain; version=0.0.4")
    assert parsed(page)[series("process_up", process="engine")] == 1
    assert parsed(page)[series("watchdog_beats_total", account="0x" + "ab" * 20)] == 2.5


def test_it_speaks_open_metrics_to_whoever_prefers_it(tmp_path: Path) -> None:
    all_written(tmp_path)
    with served(tmp_path) as server:
        # What Prometheus asks for (scrape/scrape.go).
        accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75"
        kind, page = fetched(server.url, Accept=f"{accept},text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert page.endswith("# EOF\n")
    families = {family.name: family.type for family in text_string_to_metric_families(page)}
    assert families["hlhft_fills"] == "counter"
    assert families["hlhft_tick_to_trade_seconds"] == "histogram"


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/more"])
def test_there_is_nothing_else(tmp_path: Path, path: str) -> None:
    with served(tmp_path) as server, pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(f"http://127.0.0.1:{server.port}{path}")


def test_nothing_can_be_posted(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        request = urllib.request.Request(server.url, data=b"x" * 1000)
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(request, timeout=WITHIN_S)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0", "0:0:0::0"])
def test_it_does_not_listen_everywhere(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match=r"metrics\.address .* is every address of this host"):
        Server(address, 0, application_of(collector_of(tmp_path)), None)


def test_it_listens_where_it_is_told_to_alone(tmp_path: Path) -> None:
    with served(tmp_path) as server, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), WITHIN_S)


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with served(tmp_path) as server, pytest.raises(ListenError, match=f"127.0.0.1 port {server.port} cannot be"):
        Server("127.0.0.1", server.port, application_of(collector_of(tmp_path)), None)


# Clients that hurt.


@pytest.mark.parametrize("words", [b"", b"GET /metrics HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 60_000])
def test_a_hundred_clients_that_do_not_go_on_keep_nobody_out(tmp_path: Path, words: bytes) -> None:
    with served(tmp_path) as server, contextlib.ExitStack() as stack:
        held = []
        for _ in range(100):
            held.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), WITHIN_S)))
            with contextlib.suppress(ConnectionError):  # the oldest are cut
                held[-1].sendall(words)
        for _ in range(20):
            assert "hlhft_process_up" in fetched(server.url)[1]
        # One more than are held at once: the first is the one that was cut.
        held[0].settimeout(WITHIN_S)
        with contextlib.suppress(ConnectionError):
            assert held[0].recv(100_000) is not None
        assert len(server._open) <= CONNECTIONS_MAX


def is_held(slow: socket.socket) -> bool:
    """Whether a connection still stands after a byte more and a wait."""
    try:
        slow.sendall(b"G")
        return bool(slow.recv(1000))
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_what_takes_too_long_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a byte now and then is never silent, and still not served for ever."""
    monkeypatch.setattr(exporter, "CONNECTION_S", 0.5)
    began = time.monotonic()
    with served(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), 0.05) as slow:
        while is_held(slow):
            assert time.monotonic() < began + WITHIN_S


def test_a_reader_that_stops_holds_one_thread_and_no_scrape(tmp_path: Path) -> None:
    all_written(tmp_path)
    with served(tmp_path) as server:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        for _ in range(10):
            assert "hlhft_process_up" in fetched(server.url)[1]
        slow.close()


def test_more_threads_than_are_allowed_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "THREADS_MAX", 0)
    monkeypatch.setattr(exporter, "ROOM_S", 0.01)
    with served(tmp_path) as server, pytest.raises((ConnectionError, urllib.error.URLError)):
        fetched(server.url)


# TLS.


class Authority:
    """Somebody who signs certificates for 127.0.0.1, into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        certificate = self._signed(self.name, self.key, is_authority=True)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, password: bytes | None = None) -> tuple[Path, Path]:
        """The files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(self._signed(subject, key, is_authority=False).public_bytes(serialization.Encoding.PEM))
        how = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))
        key_file.chmod(0o600)
        return certificate, key_file

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(here, critical=False)
            .sign(self.key, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def trusting(authority: Authority, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if shown is not None:
        context.load_cert_chain(*shown)
    return context


def test_tls_shows_the_certificate_of_the_settings(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("exporter")
    settings = Metrics(certificate_file=str(certificate), key_file=str(key))
    with served(tmp_path, settings) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert "hlhft_process_up" in fetched(server.url, context=trusting(authority))[1]
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            fetched(server.url.replace("https", "http"))
        (tmp_path / "others").mkdir()
        other = Authority(tmp_path / "others", "other")
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            fetched(server.url, context=trusting(other))


def test_a_silent_client_of_tls_keeps_nobody_out(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("exporter")
    settings = Metrics(certificate_file=str(certificate), key_file=str(key))
    with served(tmp_path, settings) as server, contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), WITHIN_S))
        assert "hlhft_process_up" in fetched(server.url, context=trusting(authority))[1]


def test_with_an_authority_only_its_clients_are_answered(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("exporter")
    (tmp_path / "others").mkdir()
    other = Authority(tmp_path / "others", "other")
    settings = Metrics(certificate_file=str(certificate), key_file=str(key), client_authority_file=str(authority.file))
    with served(tmp_path, settings) as server:
        for shown in (None, other.issue("prometheus")):
            # TLS 1.3 refuses after the handshake, so that what is seen may be a connection that ends.
            with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
                fetched(server.url, context=trusting(authority, shown))
        context = trusting(authority, authority.issue("prometheus"))
        assert "hlhft_process_up" in fetched(server.url, context=context)[1]


def test_no_certificate_is_no_tls() -> None:
    assert tls_of(Metrics()) is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"certificate_file": "exporter.pem"}, "set metrics.key_file"),
        ({"key_file": "exporter.key"}, "set metrics.certificate_file"),
        ({"client_authority_file": "authority.pem"}, "set metrics.certificate_file"),
        ({"certificate_file": "absent.pem", "key_file": "exporter.key"}, "No such file"),
        ({"certificate_file": "exporter.pem", "key_file": "other.key"}, "no certificate and its key"),
        ({"certificate_file": "locked.pem", "key_file": "locked.key"}, "a key with a password"),
        (
            {"certificate_file": "exporter.pem", "key_file": "exporter.key", "client_authority_file": "exporter.key"},
            "holds no certificate",
        ),
    ],
)
def test_tls_that_cannot_be_is_a_sentence(authority: Authority, settings: dict[str, str], sentence: str) -> None:
    for name in ("exporter", "other"):
        authority.issue(name)
    authority.issue("locked", b"secret")
    files = {name: str(authority.folder / file) for name, file in settings.items()}
    with pytest.raises(TlsError, match=sentence):
        tls_of(Metrics(**files))
