"""The engine's control socket: one JSON object a line in, one out; and the client of `hlhft status` and its siblings.

    {"command": "halt", "reason": "…"}      ->   {"answer": {…}}   or   {"error": "one sentence"}

A unix socket of mode 0600 in a folder of mode 0700. The kernel says who connects, and whoever is neither this user nor
root is refused, whatever the modes became. Everything is bounded: connections, the length of a line, the time that a
client may take, the length of an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from hlhft.live.view import Status

LINE_BYTES_MAX = 4096  # of a request; a longer one is refused and the connection closed
ANSWER_BYTES_MAX = 4 << 20  # what a client reads at most
REASON_LETTERS_MAX = 500
CONNECTIONS_MAX = 16  # one more is told so and closed
IDLE_S = 30.0  # a client that says nothing for so long is closed
ANSWER_S = 10.0  # a client waits so long for an answer

Command = Literal["status", "halt", "resume", "flatten", "reload"]
_UCRED = struct.Struct("3i")  # pid, uid, gid of the peer (unix(7))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command: whether it was carried out, and one sentence to read."""

    is_done: bool
    sentence: str


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload did: the settings now in force that changed, and those that it left, with the reason of each."""

    is_done: bool
    sentence: str
    applied: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Handler(Protocol):
    """What the engine does for an operator. Each is called on its event loop and answers at once; none may raise."""

    def status(self) -> Status:
        """Everything that an operator sees."""

    def halt(self, reason: str) -> Outcome:
        """Stops quoting and cancels all, until a resume; positions stay."""

    def resume(self, reason: str) -> Outcome:
        """Clears halts and latches; it quotes again once it agrees with the venue."""

    def flatten(self, reason: str) -> Outcome:
        """Cancels all and closes every position at market; halted from then on."""

    def reload(self) -> Reloaded:
        """Reads the configuration again and takes of it what may change while it runs."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a client."""

    command: Command
    reason: str = ""


class ControlFault(IntEnum):
    """Why a client got no answer."""

    ABSENT = 1  # nobody listens there
    FORBIDDEN = 2  # it is another user's
    SILENT = 3  # no answer in time, or a broken one
    REFUSED = 4  # the engine understood and refused
    OCCUPIED = 5  # somebody else listens there, or something else stands in its place


class ControlError(Exception):
    """A control socket that cannot be opened or does not answer; `fault` says in which way."""

    def __init__(self, fault: ControlFault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


_DECODER = msgspec.json.Decoder(Request)
_ENCODE = msgspec.json.Encoder().encode


def answer_to(line: bytes, handler: Handler) -> bytes:
    """The answer to one line, without a line's end. Never raises for whatever the line holds."""
    try:
        request = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _ENCODE({"error": f"this is no command: {error}"})
    reason = " ".join(request.reason.split())
    if len(reason) > REASON_LETTERS_MAX or not reason.isprintable():
        return _ENCODE({"error": f"a reason is a text of at most {REASON_LETTERS_MAX} printable letters"})
    match request.command:
        case "status":
            answer: Any = handler.status()
        case "reload":
            answer = handler.reload()
        case "resume" if not reason:
            return _ENCODE({"error": "a resume needs a reason: what was wrong, and why it is right now"})
        case command:
            answer = {"halt": handler.halt, "resume": handler.resume, "flatten": handler.flatten}[command](reason)
    return _ENCODE({"answer": answer})


class ControlServer:
    """Answers operators for as long as the engine runs. Counts what it refused in `refused`."""

    def __init__(self, path: Path, handler: Handler, *, peer_uid: Callable[[socket.socket], int] | None = None) -> None:
        self.path = path
        self.handler = handler
        self.refused = 0
        self._peer_uid = _peer_uid if peer_uid is None else peer_uid
        self._writers: set[asyncio.StreamWriter] = set()  # of the clients that are served
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Listens. A socket that nobody answers any more is replaced.

        Raises ControlError when somebody answers there, or the path is no socket; OSError when it cannot be made.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear(self.path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The mode is there before anybody could connect: a socket accepts from listen() on.
            listening.bind(str(self.path))
            os.chmod(self.path, 0o600)
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LINE_BYTES_MAX)
        except OSError:
            listening.close()
            raise
        self._inode = self.path.stat().st_ino

    async def stop(self) -> None:
        """Stops listening, ends what is connected, and removes the socket when it is still this one."""
        if self._server is None:
            return
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        self._server = None
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            refusal = self._refusal(writer)
            if refusal:
                self.refused += 1
                writer.write(_ENCODE({"error": refusal}) + b"\n")
                return
            self._writers.add(writer)
            try:
                await self._answer(reader, writer)
            finally:
                self._writers.discard(writer)
        except (ConnectionError, TimeoutError):
            pass  # a client that went away or sleeps wants nothing more
        finally:
            writer.close()

    def _refusal(self, writer: asyncio.StreamWriter) -> str:
        """Why this client is not served; empty when it is."""
        uid = self._peer_uid(writer.get_extra_info("socket"))
        if uid not in (0, os.getuid()):
            return f"this engine is another user's: you are user {uid}, it runs as {os.getuid()}"
        if len(self._writers) >= CONNECTIONS_MAX:
            return f"{CONNECTIONS_MAX} clients are connected already; end one of them"
        return ""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readline()
            except ValueError:
                self.refused += 1
                writer.write(_ENCODE({"error": f"a command is at most {LINE_BYTES_MAX} bytes"}) + b"\n")
                return
            if not line.endswith(b"\n"):
                return
            writer.write(answer_to(line, self.handler) + b"\n")
            async with asyncio.timeout(IDLE_S):
                await writer.drain()


def _peer_uid(peer: Any) -> int:
    """The user at the other end, as the kernel knows it."""
    _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def _clear(path: Path) -> None:
    """Makes room for a socket: removes one that nobody answers. Raises ControlError for anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(
            ControlFault.OCCUPIED, f"{path} is no socket; remove it, or set engine.control_socket to another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trying:
        trying.settimeout(1.0)
        try:
            trying.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise ControlError(ControlFault.OCCUPIED, f"an engine answers at {path} already; stop it first")


@dataclass(slots=True)
class ControlClient:
    """One connection to an engine; for a command, or for a screen that asks again and again."""

    path: Path
    timeout_s: float = ANSWER_S
    _socket: socket.socket | None = None
    _rest: bytes = b""

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves; asking again connects anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket, self._rest = None, b""

    def status(self) -> Status:
        """What the engine says of itself. Raises ControlError."""
        return msgspec.convert(self.ask("status"), Status)

    def ask(self, command: Command, reason: str = "") -> Any:
        """The engine's answer as plain values. Raises ControlError, with one sentence for an operator."""
        line = _ENCODE(Request(command=command, reason=reason)) + b"\n"
        try:
            answer = msgspec.json.decode(self._exchange(line))
        except (TimeoutError, ConnectionError, msgspec.DecodeError) as error:
            self.close()
            what = f"the engine at {self.path} gives no answer ({error})"
            raise ControlError(ControlFault.SILENT, f"{what}; look at its log") from None
        if not isinstance(answer, dict) or "answer" not in answer:
            told = answer.get("error", "nothing") if isinstance(answer, dict) else "nothing"
            fault = ControlFault.FORBIDDEN if "another user's" in str(told) else ControlFault.REFUSED
            raise ControlError(fault, str(told))
        return answer["answer"]

    def _exchange(self, line: bytes) -> bytes:
        connected = self._connect()
        with contextlib.suppress(BrokenPipeError):  # it refused us before it heard us, and its reason can be read
            connected.sendall(line)
        read = self._rest
        while b"\n" not in read:
            piece = connected.recv(1 << 16)
            if not piece or len(read) > ANSWER_BYTES_MAX:
                raise ConnectionResetError("it ended the connection" if not piece else "it says too much")
            read += piece
        answer, _, self._rest = read.partition(b"\n")
        return answer

    def _connect(self) -> socket.socket:
        if self._socket is not None:
            return self._socket
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connecting.settimeout(self.timeout_s)
        try:
            connecting.connect(str(self.path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            connecting.close()
            raise ControlError(
                ControlFault.ABSENT, f"no engine runs here: nobody answers at {self.path}; name another with --socket"
            ) from None
        except PermissionError:
            connecting.close()
            raise ControlError(
                ControlFault.FORBIDDEN, f"{self.path} is another user's: run this as the user that the engine runs as"
            ) from None
        except OSError:
            connecting.close()
            raise
        self._socket = connecting
        return connecting
