"""One line in, one line out; nobody else's user; nothing without a bound; and a sentence when nobody answers."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.live import control
from hlhft.live.control import (
    CONNECTIONS_MAX,
    LINE_BYTES_MAX,
    ControlClient,
    ControlError,
    ControlFault,
    ControlServer,
    answer_to,
)
from tests.live.operated import Engine, serving


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def path(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    place = tmp_path / "state" / "control.sock"
    with serving(ControlServer(place, engine)):
        yield place


def raw(path: Path, *lines: bytes) -> list[bytes]:
    """What comes back for bytes that no client would send."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(10)
        connected.connect(str(path))
        connected.sendall(b"".join(lines))
        connected.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connected.recv(65536), b"")).splitlines()


def test_every_command_reaches_the_engine_and_its_answer_the_client(path: Path, engine: Engine) -> None:
    with ControlClient(path) as client:
        assert client.status() == engine.status()
        engine.fills = 3
        assert client.status().counters == {"fills": 3}, "asked again over the same connection"
        assert client.ask("halt", "  too\twild ") == {"is_done": True, "sentence": "halt done"}
        assert client.ask("resume", "calm")["is_done"]
        assert client.ask("flatten")["sentence"] == "flatten done"
        assert client.ask("reload")["refused"] == ["engine.coins: changes with a restart only"]
    assert engine.told == [("halt", "too wild"), ("resume", "calm"), ("flatten", "")]


def test_a_resume_needs_a_reason(path: Path, engine: Engine) -> None:
    with ControlClient(path) as client, pytest.raises(ControlError, match="a resume needs a reason") as refused:
        client.ask("resume", "  ")
    assert (refused.value.fault, engine.told) == (ControlFault.REFUSED, [])


def test_socket_and_folder_are_its_user_s_alone_and_the_socket_goes_with_the_engine(
    tmp_path: Path, engine: Engine
) -> None:
    place = tmp_path / "state" / "control.sock"
    with serving(ControlServer(place, engine)):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert not place.exists()


def test_another_user_is_refused_whatever_the_modes_say(tmp_path: Path, engine: Engine) -> None:
    place = tmp_path / "control.sock"
    server = ControlServer(place, engine, peer_uid=lambda _: os.getuid() + 1)
    with serving(server), ControlClient(place) as client:
        with pytest.raises(ControlError, match="this engine is another user's") as refused:
            client.status()
        assert (refused.value.fault, server.refused) == (ControlFault.FORBIDDEN, 1)
    with serving(ControlServer(place, engine, peer_uid=lambda _: 0)), ControlClient(place) as client:
        assert client.status().session == 12, "root may"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"status\n", "this is no command"),
        (b'{"command":"buy"}\n', "this is no command"),
        (b'{"command":"halt","size":1}\n', "this is no command"),
        (b'\xff{"command":"halt"}\n', "this is no command"),
        (b'{"command":"halt","reason":"' + b"a" * 501 + b'"}\n', "a reason is a text of at most 500"),
        (b'{"command":"halt","reason":"\\u001b[2J"}\n', "a reason is a text of at most 500"),
    ],
)
def test_what_is_no_command_is_answered_with_a_sentence(path: Path, engine: Engine, line: bytes, sentence: str) -> None:
    answers = raw(path, line, b'{"command":"reload"}\n')
    assert sentence in msgspec.json.decode(answers[0])["error"]
    assert "answer" in msgspec.json.decode(answers[1]), "and the next line is understood"
    assert engine.told == []


def test_a_line_without_end_is_refused_and_the_connection_closed(path: Path) -> None:
    answers = raw(path, b"a" * (LINE_BYTES_MAX * 2) + b"\n", b'{"command":"reload"}\n')
    assert [msgspec.json.decode(one) for one in answers] == [{"error": f"a command is at most {LINE_BYTES_MAX} bytes"}]
    assert raw(path, b'{"command":"reload"}') == [], "half a line is no command"


def test_more_clients_than_its_bound_are_told_so(path: Path) -> None:
    clients = [ControlClient(path) for _ in range(CONNECTIONS_MAX)]
    for client in clients:
        client.status()
    with ControlClient(path) as late, pytest.raises(ControlError, match="16 clients are connected already"):
        late.status()
    for client in clients:
        client.close()


def test_a_client_that_sleeps_is_closed(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_S", 0.01)
    place = tmp_path / "control.sock"
    with serving(ControlServer(place, engine)), socket.socket(socket.AF_UNIX) as sleeper:
        sleeper.settimeout(10)
        sleeper.connect(str(place))
        assert sleeper.recv(1) == b""


@given(st.binary(max_size=200).filter(lambda line: b"\n" not in line))
def test_no_line_breaks_the_engine(line: bytes) -> None:
    assert set(msgspec.json.decode(answer_to(line, Engine()))) <= {"error", "answer"}


def test_a_socket_left_by_a_dead_engine_is_replaced(tmp_path: Path, engine: Engine) -> None:
    place = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    with serving(ControlServer(place, engine)), ControlClient(place) as client:
        assert client.status().session == 12


def test_an_engine_that_answers_is_not_replaced_nor_is_a_file(path: Path, tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(ControlError, match=f"an engine answers at {path} already") as refused:
        asyncio.run(ControlServer(path, engine).start())
    assert refused.value.fault == ControlFault.OCCUPIED
    with ControlClient(path) as client:
        assert client.status().session == 12, "it answers as before"
    file = tmp_path / "notes"
    file.write_text("mine")
    with pytest.raises(ControlError, match="notes is no socket; remove it, or set"):
        asyncio.run(ControlServer(file, engine).start())
    assert file.read_text() == "mine"


def test_a_place_where_no_socket_can_be_is_an_error_of_the_system(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(OSError):
        asyncio.run(ControlServer(tmp_path / ("a" * 120), engine).start())


def test_stopping_leaves_the_socket_of_a_successor(tmp_path: Path, engine: Engine) -> None:
    place = tmp_path / "control.sock"

    async def change() -> None:
        first, second = ControlServer(place, engine), ControlServer(place, engine)
        await first.start()
        place.unlink()
        await second.start()
        await first.stop()
        await first.stop()
        assert place.exists()
        await second.stop()
        assert not place.exists()

    asyncio.run(change())


def test_without_an_engine_the_sentence_says_so(tmp_path: Path) -> None:
    place = tmp_path / "control.sock"
    with ControlClient(place) as client, pytest.raises(ControlError, match="no engine runs here: nobody") as absent:
        client.status()
    assert absent.value.fault == ControlFault.ABSENT
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    with ControlClient(place) as client, pytest.raises(ControlError, match="no engine runs here"):
        client.status()


ANSWERS: dict[str, Callable[[socket.socket], object]] = {
    "nothing": lambda _: None,
    "no JSON": lambda peer: peer.sendall(b"<html>\n"),
    "another shape": lambda peer: peer.sendall(b"[]\n"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_none_is_said_to_be_none(tmp_path: Path, answer: Callable[[socket.socket], object]) -> None:
    place = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                answer(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        with ControlClient(place) as client, pytest.raises(ControlError) as refused:
            client.ask("status")
        thread.join()
    assert refused.value.fault in (ControlFault.SILENT, ControlFault.REFUSED)


def test_an_engine_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        with ControlClient(place, timeout_s=0.01) as client, pytest.raises(ControlError, match="gives no answer"):
            client.status()


def test_a_socket_that_this_user_may_not_open_is_another_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden(socket.socket):
        def connect(self, address: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(control.socket, "socket", Forbidden)
    with (
        ControlClient(tmp_path / "x") as client,
        pytest.raises(ControlError, match="is another user's: run") as refused,
    ):
        client.status()
    assert refused.value.fault == ControlFault.FORBIDDEN
