"""What an engine tells an alpha process, and what it believes of what comes back, over real sockets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from hlhft.alpha.sockets import EndpointError, bind, connect, keys_of, new_context, new_keys, send
from hlhft.alpha.wire import (
    Flag,
    Heartbeat,
    Reason,
    Request,
    Rows,
    decode,
    encode_heartbeat,
    encode_request,
    encode_signal,
    hash_bytes,
)
from hlhft.config.folders import AlphaPlaces
from hlhft.events import EventKind
from hlhft.live.alpha_link import ANSWERS_PER_SECOND, E9_OF_BP, SILENCE_NS
from tests.alpha.linked import SCHEMA, Linked, on_loop, until
from tests.alpha.test_sockets import free_port
from tests.alpha.wired import SESSION, signal_of

HASH = hash_bytes(SCHEMA.hash)
LATEST = 9


class Peer:
    """Somebody who talks to a link: an alpha process, or one who pretends to be."""

    def __init__(self, places: AlphaPlaces, keys: Any = None) -> None:
        self.context = new_context()
        self.signals = bind(self.context, zmq.PUB, places.signals, queue=100_000, keys=keys)
        self.rows = connect(self.context, zmq.SUB, places.features, queue=1000, keys=keys)
        self.rows.subscribe(b"")
        self.asks = connect(self.context, zmq.DEALER, places.snapshot, queue=1000, keys=keys)

    def say(self, **changes: Any) -> None:
        now_ns = time.time_ns()
        told = {"schema": HASH, "sequence": LATEST, "data_ns": now_ns, "sent_ns": now_ns, **changes}
        send(self.signals, encode_signal(signal_of(**told)))

    def received(self, socket: zmq.Socket) -> list[Any]:
        found = []
        while socket.get(zmq.EVENTS) & zmq.POLLIN:
            found.append(decode(socket.recv()))
        return found

    def close(self) -> None:
        self.context.destroy(0)


async def met(linked: Linked) -> Peer:
    """A peer that the link hears."""
    peer = Peer(linked.places)
    beat = encode_heartbeat(Heartbeat(HASH, SESSION, 1, 77, 0, time.time_ns(), 0, 0, 0, 0))

    def is_heard() -> bool:
        send(peer.signals, beat)
        return linked.link.is_heard

    await until(is_heard)
    linked.publish((0, LATEST), (1, LATEST))
    return peer


def run(folder: Path, work: Any, **changes: Any) -> None:
    async def both() -> None:
        linked = Linked(folder, **changes)
        peer = await met(linked)
        try:
            await work(linked, peer)
        finally:
            peer.close()
            linked.close()

    on_loop(both)


def kinds(linked: Linked) -> list[tuple[int, int, int]]:
    return [(row[7], row[9], row[2]) for row in linked.core.rows]


def test_rows_reach_who_listens_and_nobody_is_waited_for(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        seen: list[Any] = []
        number = LATEST

        def hears() -> bool:
            nonlocal number
            number += 1
            linked.publish((0, number), (1, number))
            seen.extend(peer.received(peer.rows))
            return len(seen) > 4

        await until(hears)
        assert all(isinstance(rows, Rows) and rows.schema == HASH and rows.session == SESSION for rows in seen)
        assert {rows.coin for rows in seen} == {"BTC", "ETH"} and {len(rows.heads) for rows in seen} == {1}
        first = seen[0]
        expected = linked.rows.row(first.market, int(first.heads["sequence"][0]))[1]
        assert (first.values == expected).all()
        peer.close()
        began = time.perf_counter()
        for more in range(2000):
            linked.publish((0, number + more))
        assert time.perf_counter() - began < 5.0

    run(tmp_path, work)


def test_the_newest_rows_are_told_on_request(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        for number in range(LATEST + 1, LATEST + 6):
            linked.publish((1, number))
        answers: list[Any] = []
        send(peer.asks, encode_request(Request(HASH, SESSION, 1, "ETH", 3)))
        send(peer.asks, encode_request(Request(HASH, SESSION, 0, "BTC", 1000)))
        await until(lambda: answers.extend(peer.received(peer.asks)) or len(answers) == 2)
        assert [list(rows.heads["sequence"]) for rows in answers] == [[12, 13, 14], [9]]
        assert all(rows.is_snapshot for rows in answers)

    run(tmp_path, work)


def test_questions_that_are_none_are_counted_and_too_many_are_not_answered(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        counters = linked.link.counters
        for message in (
            b"nonsense",
            encode_signal(signal_of()),
            encode_request(Request(b"x" * 16, SESSION, 0, "BTC", 1)),
            encode_request(Request(HASH, SESSION + 1, 0, "BTC", 1)),
            encode_request(Request(HASH, SESSION, 2, "BTC", 1)),
        ):
            send(peer.asks, message)
        await until(lambda: sum(counters[name] for name in counters if name.startswith("questions refused")) == 5)
        assert counters["questions refused: of another schema or session"] == 2
        for _ in range(3 * ANSWERS_PER_SECOND):
            send(peer.asks, encode_request(Request(HASH, SESSION, 0, "BTC", 1)))
        refused = "questions refused: too many in a second"
        await until(lambda: counters["snapshots told"] + counters[refused] == 3 * ANSWERS_PER_SECOND)
        assert counters["snapshots told"] < 2 * ANSWERS_PER_SECOND

    run(tmp_path, work)


def test_a_signal_counts_for_its_time_from_its_data_on(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        data_ns = time.time_ns() - 300_000_000
        peer.say(data_ns=data_ns, mu_e9=12_345)
        await until(lambda: linked.core.rows)
        (row,) = linked.core.rows
        assert row[0] == data_ns and row[1] >= data_ns
        assert row[2:7] == (12_345, 100_000, LATEST, data_ns + 1_000_000_000, 77)
        assert row[7] == EventKind.SIGNAL and row[9] == 0
        assert linked.link.age.count == 1

    run(tmp_path, work)


def test_a_move_beyond_the_bound_is_cut(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        peer.say(mu_e9=-(2**63), market=0)
        peer.say(mu_e9=2**63 - 1, market=1)
        await until(lambda: len(linked.core.rows) == 2)
        assert sorted(row[2] for row in linked.core.rows) == [-20 * E9_OF_BP, 20 * E9_OF_BP]
        assert linked.link.counters["signals whose move was cut"] == 2

    run(tmp_path, work)


OLD_NS = 1_500_000_000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schema": b"x" * 16}, "of another feature schema"),
        ({"session": SESSION + 1}, "of another session"),
        ({"market": 2}, "of a market that is not ours"),
        ({"sequence": LATEST + 1}, "made of a row that was never told"),
        ({"model_id": 78}, "of a model that is not listened to"),
        ({"up": 0.6}, "whose numbers are none"),
        ({"sigma_e9": 2**62}, "whose numbers are none"),
        ({"data_ns": 2**63 - 1}, "made of data of later than now"),
        ({"data_ns": 0}, "made of data that is too old"),
        ({"sigma_e9": -1}, "it holds a number that is none, or out of its range"),
    ],
)
def test_what_is_not_to_be_believed_is_counted_and_goes_no_further(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        peer.say(**changes)
        send(peer.signals, b"nonsense" * 20)
        peer.signals.send_multipart([b"two", b"parts"])
        peer.say(market=1)
        await until(lambda: linked.core.rows)
        assert [row[9] for row in linked.core.rows] == [1]
        assert linked.link.counters[f"signals refused: {why}"] == 1

    run(tmp_path, work, models=frozenset({77}))


def test_an_overtaken_signal_is_refused_and_an_abstention_ends_the_one_that_stands(tmp_path: Path) -> None:
    abstains = {"flags": int(Flag.ABSTAINS), "reason": int(Reason.GAP), "mu_e9": 0, "sigma_e9": 0}

    async def work(linked: Linked, peer: Peer) -> None:
        peer.say(**abstains)
        peer.say(market=1)
        await until(lambda: linked.core.rows)
        assert kinds(linked) == [(EventKind.SIGNAL, 1, 20_000)]  # nothing stood of market 0
        peer.say(sequence=LATEST)
        await until(lambda: len(linked.core.rows) == 2)
        peer.say(sequence=LATEST - 1)
        await until(lambda: linked.link.counters["signals refused: overtaken by a newer one"] == 1)
        peer.say(**abstains)
        await until(lambda: len(linked.core.rows) == 3)
        assert linked.core.rows[-1][2:7] == (0, 0, LATEST, 0, 0)
        assert linked.link.counters["signals ended"] == 1

    run(tmp_path, work)


def test_a_flood_is_read_in_parts_and_the_newest_of_each_market_counts(tmp_path: Path) -> None:
    """Of thousands that come at once, few reach the core, the last is the last that it hears, and nothing stops."""

    async def work(linked: Linked, peer: Peer) -> None:
        for number in range(5_000):
            peer.say(mu_e9=number % 1000)
        said = 0

        def is_last() -> bool:
            nonlocal said
            said += 1
            peer.say(mu_e9=1_000 + said)
            return bool(linked.core.rows) and linked.core.rows[-1][2] > 1_000

        await until(is_last)
        assert all(len(frame) == 1 for frame in linked.core.frames)
        assert linked.link.counters["signals"] < 2_500

    run(tmp_path, work)


class Observer:
    """Shows a policy every row."""

    layout = b"o" * 16

    def observation(self, market: int, now_ns: int) -> np.ndarray | None:
        return np.full(3, float(market), np.float32) if market == 0 else None


POLICY = {"flags": int(Flag.POLICY), "policy_id": 5, "action_e6": (2_000_000, 1_500_000, 900_000, -100_000)}


def test_a_policy_is_shown_what_it_decides_on_and_its_decision_told(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        seen: list[Any] = []
        await until(lambda: linked.publish((0, 10), (1, 10)) or seen.extend(peer.received(peer.rows)) or len(seen) > 3)
        shown = {rows.market: rows for rows in seen}
        assert list(shown[0].observation) == [0, 0, 0] and shown[0].observation_hash == b"o" * 16
        assert len(shown[1].observation) == 0
        peer.say(**POLICY)
        await until(lambda: linked.core.rows)
        row = linked.core.rows[-1]
        assert (row[7], row[9]) == (EventKind.POLICY, 0)
        assert row[2:5] == (2_000_000, 1_500_000, 900_000) and row[6] == -100_000
        assert 9_000_000_000 < row[5] - time.time_ns() <= 10_000_000_000
        peer.say(market=1, **POLICY)
        await until(lambda: linked.link.counters["decisions refused: on nothing that a policy was shown"] == 1)

    run(tmp_path, work, observer=Observer())


def test_a_policy_that_is_not_listened_to_is_refused_and_so_is_an_old_decision(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        peer.say(**POLICY)
        counters = linked.link.counters
        await until(lambda: counters["decisions refused: of a policy that is not listened to"] == 1)
        peer.say(**{**POLICY, "policy_id": 77})
        await until(lambda: counters["decisions refused: on what is too old"] == 1)
        assert {row[7] for row in linked.core.rows} == {EventKind.SIGNAL}

    run(tmp_path, work, observer=Observer(), models=frozenset({77}), policy_time_to_live_ns=1)


def test_silence_is_said_once_and_so_is_life(tmp_path: Path) -> None:
    async def work(linked: Linked, peer: Peer) -> None:
        linked.link.tend()
        assert linked.link.is_heard and linked.said == ["the alpha process lives, its model is 000000000000004d"]
        beat = Heartbeat(HASH, SESSION, 2, 78, 0, time.time_ns(), 0, 0, 0, 0)
        send(peer.signals, encode_heartbeat(beat))
        before = linked.link.counters["heartbeats"]
        await until(lambda: linked.link.counters["heartbeats"] > before)
        linked.link.tend()
        linked.link.tend()
        assert linked.said[1:] == ["the alpha process has another model, 000000000000004e"]
        linked.link.heard_ns -= SILENCE_NS + 1
        linked.link.tend()
        linked.link.tend()
        assert not linked.link.is_heard
        assert linked.said[2:] == ["the alpha process is silent: trading goes on without its signals"]
        assert linked.link.counters["times the alpha process fell silent"] == 1

    run(tmp_path, work)


def test_with_keys_strangers_are_turned_away(tmp_path: Path) -> None:
    (engine_public, engine_secret), (alpha_public, alpha_secret), (_, stranger_secret) = (new_keys() for _ in range(3))
    ports = [free_port() for _ in range(3)]
    places = AlphaPlaces(*(f"tcp://127.0.0.1:{port}" for port in ports))

    async def work() -> None:
        linked = Linked(tmp_path, keys=keys_of(engine_secret, alpha_public.decode()), places=places)
        stranger = new_context()
        asks = connect(
            stranger, zmq.DEALER, places.snapshot, queue=10, keys=keys_of(stranger_secret, engine_public.decode())
        )
        send(asks, encode_request(Request(HASH, SESSION, 0, "BTC", 1)))
        await until(lambda: linked.link.tend() or linked.link.counters["connections with an unknown key"] > 0)
        peer = Peer(places, keys_of(alpha_secret, engine_public.decode()))
        answers: list[Any] = []
        linked.publish((0, LATEST))
        send(peer.asks, encode_request(Request(HASH, SESSION, 0, "BTC", 1)))
        await until(lambda: answers.extend(peer.received(peer.asks)) or answers)

        def believes() -> bool:
            peer.say()
            return bool(linked.core.rows)

        await until(believes)
        assert linked.link.counters["snapshots told"] == 1
        peer.close()
        stranger.destroy(0)
        linked.close()

    on_loop(work)


def test_it_does_not_begin_where_it_cannot_listen(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(EndpointError, match="both sides need keys"):
            Linked(tmp_path, places=AlphaPlaces("tcp://0.0.0.0:5555", f"ipc://{tmp_path}/a", f"ipc://{tmp_path}/b"))

    on_loop(work)
