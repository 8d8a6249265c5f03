"""ZeroMQ sockets between an engine and its alpha process: where they stand, who may talk on them, how they are read.

Endpoints are `ipc:///absolute/path` or `tcp://host:port`. An ipc socket belongs to its user alone: its folder is made
with mode 0700, the socket gets 0600. Over tcp, both sides have a key pair (CURVE) and know the other's public key, and
whoever has another key is turned away; without keys, tcp is for this machine only.

Nothing here waits: sending fails where a queue is full, and reading stops at a bound a turn of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import zmq
from zmq.utils import z85

from hlhft.alpha.wire import MESSAGE_BYTES_MAX

SOCKET_BYTES_MAX = 107  # of the path of a unix socket (unix(7))
KEY_CHARACTERS = 40  # of a key in Z85 (rfc.zeromq.org/spec/32)
READ_PER_TURN = 32
PAUSE_S = 0.002  # before a flood is read on: what else the loop has to do comes first
_ZAP = "inproc://zeromq.zap.01"  # rfc.zeromq.org/spec/27
_ZAP_PARTS, _ZAP_MECHANISM, _ZAP_KEY = 7, 5, 6


class EndpointError(ValueError):
    """A place where no socket may stand, or keys that are none; the message is one sentence."""


class Keys(NamedTuple):
    """A side's own pair, and the public key of the other side: 40 characters of Z85 each."""

    secret: bytes
    public: bytes
    peer: bytes


def keys_of(secret: bytes, peer: str) -> Keys:
    """The keys of a side. Raises EndpointError, which never shows the secret."""
    own = secret.strip()
    if len(own) != KEY_CHARACTERS:
        raise EndpointError(f"the file of the own key holds {KEY_CHARACTERS} characters, as --make-key writes them")
    if len(peer) != KEY_CHARACTERS:
        raise EndpointError(f"the other side's public key has {KEY_CHARACTERS} characters, not {len(peer)}")
    try:
        z85.decode(peer.encode())
        return Keys(own, zmq.curve_public(own), peer.encode())
    except (zmq.ZMQError, ValueError, KeyError, UnicodeError):
        raise EndpointError("the own key or the other side's public key is none in Z85, make both anew") from None


def new_keys() -> tuple[bytes, bytes]:
    """(public, secret) of a new pair."""
    public, secret = zmq.curve_keypair()
    return public, secret


def require_endpoint(endpoint: str, *, has_keys: bool) -> str:
    """The endpoint. Raises EndpointError for one that is none, is too long, or is open to others."""
    scheme, _, place = endpoint.partition("://")
    if scheme == "ipc" and place.startswith("/"):
        if len(place.encode()) > SOCKET_BYTES_MAX:
            raise EndpointError(f"{endpoint}: a socket's path has at most {SOCKET_BYTES_MAX} bytes, name a shorter one")
        return endpoint
    host, _, port = place.rpartition(":")
    if scheme != "tcp" or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise EndpointError(f"{endpoint}: an endpoint is ipc:///absolute/path or tcp://host:port")
    if not has_keys and not _is_loopback(host):
        raise EndpointError(f"{endpoint}: other machines can talk there, so both sides need keys; set key_file")
    return endpoint


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _limit(socket: zmq.Socket, queue: int) -> None:
    """Bounds what waits in it and what it takes, and lets it be closed at once."""
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.SNDHWM, queue)
    socket.set(zmq.RCVHWM, queue)
    socket.set(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)


@contextlib.contextmanager
def held(endpoint: str) -> Iterator[None]:
    """The endpoint is this process's while it is entered, so that it may listen there.

    ZeroMQ replaces whatever unix socket stands at a path, that of a living process too, which would then be heard by
    nobody without ever knowing. A lock beside it dies with its process; the file stays, as removing it would let two
    processes hold two files of that name. A tcp port needs none. Raises EndpointError where another process has it, or
    where no file can be.
    """
    if not endpoint.startswith("ipc://"):
        yield
        return
    path = Path(endpoint.removeprefix("ipc://") + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EndpointError(f"{endpoint}: nothing can listen there: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EndpointError(f"{endpoint}: another process listens there, stop it or name another place") from None
        yield
    finally:
        os.close(descriptor)


def bind(context: zmq.Context, kind: int, endpoint: str, *, queue: int, keys: Keys | None) -> zmq.Socket:
    """A socket that listens there; an ipc socket that a dead process left is replaced. At most `queue` messages wait.

    Raises EndpointError where nothing can listen.
    """
    require_endpoint(endpoint, has_keys=keys is not None)
    socket: zmq.Socket = context.socket(kind)
    _limit(socket, queue)
    if keys is not None and endpoint.startswith("tcp://"):
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, keys.secret)
        socket.set(zmq.CURVE_PUBLICKEY, keys.public)
        socket.set(zmq.ZAP_DOMAIN, b"hlhft")
    try:
        if endpoint.startswith("ipc://"):
            path = Path(endpoint.removeprefix("ipc://"))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            socket.bind(endpoint)
            os.chmod(path, 0o600)
        else:
            socket.bind(endpoint)
    except (zmq.ZMQError, OSError) as error:
        socket.close(0)
        raise EndpointError(f"{endpoint}: nothing can listen there: {error.strerror}") from None
    return socket


def connect(context: zmq.Context, kind: int, endpoint: str, *, queue: int, keys: Keys | None) -> zmq.Socket:
    """A socket that connects there, and goes on doing so; nobody need listen yet. Raises EndpointError."""
    require_endpoint(endpoint, has_keys=keys is not None)
    socket: zmq.Socket = context.socket(kind)
    _limit(socket, queue)
    # Who comes back is found within a tenth of a second, and who never does costs ten attempts a second.
    socket.set(zmq.RECONNECT_IVL, 100)
    if keys is not None and endpoint.startswith("tcp://"):
        socket.set(zmq.CURVE_SERVERKEY, keys.peer)
        socket.set(zmq.CURVE_SECRETKEY, keys.secret)
        socket.set(zmq.CURVE_PUBLICKEY, keys.public)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close(0)
        raise EndpointError(f"{endpoint}: this is no place to connect to: {error.strerror}") from None
    return socket


def send(socket: zmq.Socket, message: bytes) -> bool:
    """Hands the message over; False where the queue is full or the socket does not take it, and it is dropped."""
    try:
        socket.send(message, zmq.NOBLOCK)
    except zmq.ZMQError:
        return False
    return True


class Reader:
    """Reads a socket as messages come, at most READ_PER_TURN of them in a turn of the loop.

    `take(parts)` gets the frames of each message, `drained()` is called after the last of a turn. The socket's
    descriptor tells only that something has changed since it was last read, so it is read until it is empty; `look`
    does so at any other time, and must be called after something was sent on the same socket.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket: zmq.Socket,
        take: Callable[[list[bytes]], None],
        drained: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._socket = socket
        self._take = take
        self._drained = drained
        self._descriptor = int(socket.get(zmq.FD))
        self._later: asyncio.TimerHandle | None = None
        self._is_open = True
        loop.add_reader(self._descriptor, self.look)

    def look(self) -> None:
        """Reads what there is."""
        if not self._is_open or self._later is not None:
            return
        count = 0
        # Asking first costs less than the exception of a socket that has nothing.
        while int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.ZMQError:
                break
            self._take(parts)
            if not self._is_open:
                return
            count += 1
            if count == READ_PER_TURN:
                self._later = self._loop.call_later(PAUSE_S, self._go_on)
                break
        if count:
            self._drained()

    def _go_on(self) -> None:
        self._later = None
        self.look()

    def close(self) -> None:
        """Reads no more, and closes the socket."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._descriptor)
            if self._later is not None:
                self._later.cancel()
            self._socket.close(0)


class Gatekeeper:
    """Lets only the peer's key in, on all sockets of a context that listen with keys (ZAP). Made before they are."""

    def __init__(self, context: zmq.Context, loop: asyncio.AbstractEventLoop, peer: bytes) -> None:
        self.refused = 0
        self._peer = z85.decode(peer)
        self._socket = context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(_ZAP)
        self._reader = Reader(loop, self._socket, self._judge)

    def _judge(self, parts: list[bytes]) -> None:
        is_peer = len(parts) == _ZAP_PARTS and parts[_ZAP_MECHANISM] == b"CURVE" and parts[_ZAP_KEY] == self._peer
        self.refused += not is_peer
        number = parts[1] if len(parts) > 1 else b""
        code, text = (b"200", b"known") if is_peer else (b"400", b"unknown key")
        try:
            self._socket.send_multipart([b"1.0", number, code, text, b"", b""], zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # who asked has gone

    def close(self) -> None:
        """Lets nobody in any more."""
        self._reader.close()


def new_context() -> Any:
    """A context of its own, whose one thread moves the bytes of all its sockets."""
    return zmq.Context(1)
