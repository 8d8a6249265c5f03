"""The server that answers Prometheus: one page, on one address, with a bound on whatever a client may do to it.

The page is made by prometheus-client's application. Its own server is not used: that one takes any number of clients,
waits for each of them for ever, and shakes hands in the thread that accepts, so that one silent client of TLS would
keep out all others. Here every connection has a thread of its own, CONNECTIONS_MAX at once: one more, and the oldest
is cut, as a scrape is over in milliseconds and whoever holds a connection for longer is not scraping. No connection
lasts longer than CONNECTION_S, and none waits longer than SOCKET_S for a byte. While THREADS_MAX threads have not yet
noticed that they were cut, the next connection waits for one of them, and is refused after ROOM_S.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from hlhft.config.live_sections import Metrics

CONNECTIONS_MAX = 32
THREADS_MAX = 64
CONNECTION_S = 10.0
SOCKET_S = 5.0
ROOM_S = 1.0
BACKLOG = 128  # connections that the kernel holds until they are accepted; more are refused
POLL_S = 0.1
PATH = "/metrics"
_LOG = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ListenError(OSError):
    """An address that cannot be listened on; the message says which and why."""


class TlsError(ValueError):
    """A certificate, key or authority that cannot be used; the message names setting and file."""


class _Handler(WSGIRequestHandler):
    timeout = SOCKET_S

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is http.server's
        """A scrape a second is no news."""


class Server(ThreadingMixIn, WSGIServer):
    """Listens from the start; `serve` answers. Raises ListenError, and ValueError for an address that is all of them.

    `port` 0: one that the system chooses, in `port` afterwards. `context`: for TLS.
    """

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, address: str, port: int, application: Application, context: ssl.SSLContext | None) -> None:
        ip = ipaddress.ip_address(address)
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        if (mapped or ip).is_unspecified:
            raise ValueError(
                f"metrics.address {address} is every address of this host; set one that only friends reach"
            )
        self.address_family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
        self.address = address
        self._context = context
        self._open: dict[socket.socket, float] = {}  # not cut, oldest first, with the time of its begin
        self._serving = 0  # of connections, cut or not
        self._lock = threading.Condition()
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise ListenError(f"{address} port {port} cannot be listened on: {error.strerror}") from None
        self.set_app(_only_here(application))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])

    @property
    def url(self) -> str:
        """What Prometheus asks."""
        host = f"[{self.address}]" if self.address_family == socket.AF_INET6 else self.address
        return f"{'http' if self._context is None else 'https'}://{host}:{self.port}{PATH}"

    def serve(self) -> None:
        """Answers until `stop` is called from another thread."""
        self.serve_forever(POLL_S)

    def stop(self) -> None:
        """Ends `serve`, and waits for that; connections that are open are cut."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                _cut(connection)

    # What socketserver calls.

    def server_bind(self) -> None:
        """Binds. WSGIServer's own asks the domain name service for the host's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.address, self.port
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts; hands are shaken in the connection's own thread."""
        connection, peer = super().get_request()
        connection.settimeout(SOCKET_S)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            if len(self._open) >= CONNECTIONS_MAX:
                oldest = next(iter(self._open))
                del self._open[oldest]
                _cut(oldest)
            self._open[connection] = time.monotonic()
            self._serving += 1
        return connection, peer

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is a thread for this connection; waits for one that was cut."""
        with self._lock:
            return self._lock.wait_for(lambda: self._serving <= THREADS_MAX, ROOM_S)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """One connection, in its thread."""
        if isinstance(request, ssl.SSLSocket):
            request.do_handshake()
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection is over."""
        with self._lock:
            self._open.pop(request, None)
            self._serving -= 1
            self._lock.notify()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cuts what takes too long; called every POLL_S, and after each accept."""
        before_s = time.monotonic() - CONNECTION_S
        with self._lock:
            for connection in [one for one, began_s in self._open.items() if began_s < before_s]:
                del self._open[connection]
                _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or does not speak TLS is its own trouble; anything else is ours."""
        error = sys.exc_info()[1]
        level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR
        _LOG.log(level, "a request was not answered: %s", error, exc_info=None if level == logging.DEBUG else error)


def tls_of(settings: Metrics) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the certificate of the settings; with an authority, for clients alone that show a
    certificate of its. None where the settings name no certificate. Raises TlsError."""
    if not settings.certificate_file:
        if settings.key_file or settings.client_authority_file:
            raise TlsError(
                "metrics.key_file and metrics.client_authority_file are for TLS; set metrics.certificate_file"
            )
        return None
    if not settings.key_file:
        raise TlsError("metrics.certificate_file is shown by whoever has its key; set metrics.key_file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    files = f"metrics.certificate_file {settings.certificate_file} and metrics.key_file {settings.key_file}"
    try:
        context.load_cert_chain(settings.certificate_file, settings.key_file, password=_no_password)
    except OSError as error:
        raise TlsError(f"{files} are no certificate and its key: {_words(error)}") from None
    if settings.client_authority_file:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.client_authority_file)
        except OSError as error:
            raise TlsError(
                f"metrics.client_authority_file {settings.client_authority_file} holds no certificate: {_words(error)}"
            ) from None
    return context


def application_of(collector: Any) -> Application:
    """The page of a collector, in the format that a client asks for: Prometheus's text or OpenMetrics.

    It is not compressed: that would cost more than all the rest, and the way is short.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    made: Application = make_wsgi_app(registry, disable_compression=True)
    return made


def _only_here(application: Application) -> Application:
    """The application at PATH, and nothing anywhere else."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return application(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"here is only {PATH}\n".encode()]

    return answer


def _cut(connection: socket.socket) -> None:
    """Ends a connection under the thread that serves it; TLS's own farewell would be that thread's."""
    with contextlib.suppress(OSError):  # it is gone already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _no_password() -> str:
    """Nobody is there to type one: a key with a password is refused."""
    raise TlsError("metrics.key_file holds a key with a password; give one without, readable by its owner only")


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).rstrip(".")
