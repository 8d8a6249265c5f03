"""Heartbeats over datagrams: the engine's sender, the watchdog's receiver (`hlhft.hyperliquid.watchdog_beats`).

An address is the path of a unix socket, or host:port for a watchdog on another host, then over WireGuard: what is sent
is authenticated and not encrypted. The sender never waits and never raises: a watchdog that is not there is no reason
to stop. The receiver reads all that has come before anything else is done, so that a process that stood still does not
take beats that wait for silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hlhft.hyperliquid.watchdog_beats import (
    MESSAGE_BYTES_MAX,
    Beat,
    BeatError,
    BeatFault,
    BeatGate,
    EngineState,
    Hearing,
    encode_beat,
    encode_hearing,
    read_hearing,
    require_secret,
)
from hlhft.hyperliquid.wire import ms_of

DATAGRAMS_MAX = 64  # read in one go; more are a flood, and wait
HEARINGS_MAX = 16  # the same at the sender
HEARD_BEATS = 3  # the latest, of which a watchdog that hears has answered one
WATCHDOGS_MAX = 4  # that one engine beats to
SOCKET_MODE = 0o660  # what is sent is authenticated; a group may be given to engine and watchdog

Target = str | tuple[str, int]


class HeartbeatError(ValueError):
    """An address that is none, or cannot be listened on; the message is one sentence."""


def read_address(text: str) -> Target:
    """The path, or (host, port). Raises HeartbeatError."""
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise HeartbeatError(f"{text!r} is no address for heartbeats; give the path of a unix socket, or host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _resolved(target: tuple[str, int]) -> tuple[socket.AddressFamily, Any]:
    """The address family and address of a host. Raises OSError; a name is looked up once."""
    family, _, _, _, address = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM)[0]
    return family, address


class HeartbeatSender:
    """Sends the beats of one session to each of a few watchdogs: one here, one on another host.

    Raises HeartbeatError or BeatError for an address or secret that is none, and OSError when a host's name cannot be
    resolved; afterwards nothing.
    """

    def __init__(self, addresses: Sequence[str] | str, secret: bytes, *, session: int) -> None:
        self.counters: Counter[str] = Counter()
        self._secret = require_secret(secret)
        self._session = session
        self._sequence = 0
        named = (addresses,) if isinstance(addresses, str) else tuple(addresses)
        if not 1 <= len(named) <= WATCHDOGS_MAX:
            raise HeartbeatError(f"heartbeats go to 1 to {WATCHDOGS_MAX} watchdogs, not {len(named)}")
        targets = [(address, read_address(address)) for address in named]
        self._lines = {address: _Line(target) for address, target in targets}

    def __repr__(self) -> str:
        return f"HeartbeatSender({', '.join(self._lines)}, session={self._session}, sequence={self._sequence})"

    def beat(
        self,
        state: EngineState,
        *,
        now_ns: int,
        breaker: int = 0,
        last_expiry_ms: int = 0,
        expires_after_ms: int = 3000,
        orders: int = -1,
        reconciliation: int = 0,
    ) -> bool:
        """Sends one beat; whether it left for every watchdog. The fields are those of `Beat`. What goes wrong is
        counted, never raised."""
        self._sequence += 1
        beat = Beat(
            session=self._session,
            sequence=self._sequence,
            time_ms=ms_of(now_ns),
            state=state,
            breaker=breaker,
            last_expiry_ms=last_expiry_ms,
            expires_after_ms=expires_after_ms,
            orders=orders,
            reconciliation=reconciliation,
        )
        self._listen()
        try:
            message = encode_beat(beat, self._secret)
        except BeatError:
            self.counters["beats out of range"] += 1
            return False
        left = [self._send(line, message) for line in self._lines.values()]
        return all(left)

    def hearing(self, address: str) -> Hearing | None:
        """What the watchdog at an address answered to one of the latest three beats; None when it did not."""
        self._listen()
        hearing = self._lines[address].hearing
        return hearing if hearing is not None and self._sequence - hearing.sequence < HEARD_BEATS else None

    def heard_at(self) -> frozenset[str]:
        """The addresses whose watchdogs hear."""
        return frozenset(address for address in self._lines if self.hearing(address) is not None)

    def is_heard(self) -> bool:
        """Whether every watchdog hears."""
        return len(self.heard_at()) == len(self._lines)

    def close(self) -> None:
        """Ends it; nothing else must follow."""
        for line in self._lines.values():
            line.socket.close()

    def _send(self, line: _Line, message: bytes) -> bool:
        try:
            line.socket.sendto(message, line.target)
        except OSError as error:
            self.counters[f"beats not sent: {error.strerror}"] += 1
            return False
        self.counters["beats"] += 1
        return True

    def _listen(self) -> None:
        """Reads what the watchdogs have answered."""
        for line in self._lines.values():
            for _ in range(HEARINGS_MAX):
                try:
                    message = line.socket.recv(MESSAGE_BYTES_MAX + 1)
                except OSError:
                    break  # nothing there, or a port that nobody listens on
                read = read_hearing(message, self._secret)
                if isinstance(read, BeatFault):
                    self.counters["hearings refused"] += 1
                elif read.session == self._session:
                    line.hearing = read


class _Line:
    """The way to one watchdog, and what it answered last."""

    __slots__ = ("hearing", "socket", "target")

    def __init__(self, target: Target) -> None:
        self.hearing: Hearing | None = None
        self.target: Any
        family, self.target = (socket.AF_UNIX, target) if isinstance(target, str) else _resolved(target)
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if family is socket.AF_UNIX:
            self.socket.bind("")  # the kernel gives it a name, to which the watchdog answers (unix(7), autobind)


class HeartbeatReceiver:
    """Hears beats on one address and answers them. `on_beat` is called with each that the gate lets through, and
    returns the hearing to answer with."""

    def __init__(
        self,
        address: str,
        secret: bytes,
        *,
        on_beat: Callable[[Beat], Hearing],
        on_refused: Callable[[BeatFault], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.gate = BeatGate(secret)
        self._secret = secret
        self._target = read_address(address)
        self._on_beat = on_beat
        self._on_refused = on_refused
        self._now_ns = now_ns
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; 0 for a unix socket."""
        assert self._socket is not None, "it is open"
        return 0 if isinstance(self._target, str) else int(self._socket.getsockname()[1])

    def open(self) -> None:
        """Listens, in the running loop. Raises HeartbeatError when that is not possible."""
        try:
            if isinstance(self._target, str):
                self._socket = self._open_path(Path(self._target))
            else:
                family, address = _resolved(self._target)
                self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                self._socket.bind(address)
        except OSError as error:
            self.close()
            raise HeartbeatError(f"heartbeats cannot be heard on {self._target}: {error.strerror}") from None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Listens no more."""
        if self._socket is None:
            return
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None
        if isinstance(self._target, str):
            Path(self._target).unlink(missing_ok=True)

    def _open_path(self, path: Path) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._make_room(path, opened)
            opened.bind(str(path))
            os.chmod(path, SOCKET_MODE)
        except (OSError, HeartbeatError):
            opened.close()
            raise
        return opened

    def _make_room(self, path: Path, opened: socket.socket) -> None:
        """Removes a socket that nobody listens on any more. Raises HeartbeatError where something else is."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            return
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise HeartbeatError(f"{path} is no socket; name another place for heartbeats, or remove it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
        raise HeartbeatError(f"another watchdog hears on {path}; one is enough for a host")

    def _read(self) -> None:
        """Reads what has come, as much as there is."""
        assert self._socket is not None, "it is open"
        for _ in range(DATAGRAMS_MAX):
            try:
                message, sender = self._socket.recvfrom(MESSAGE_BYTES_MAX + 1)
            except OSError:
                return  # nothing more is there
            read = self.gate.read(message, ms_of(self._now_ns()))
            if isinstance(read, BeatFault):
                self._on_refused(read)
                continue
            hearing = self._on_beat(read)
            if sender:
                with contextlib.suppress(OSError):
                    self._socket.sendto(encode_hearing(hearing, self._secret), sender)
