"""The exchange as a whole, without a socket: time and bytes in, answers and frames out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.exchange.answers import Answer
from hlhft.exchange.limits import LimitSettings
from hlhft.exchange.machine import EXPIRED, Advanced, Deposited, Machine, OracleMoved, Posted, flow_address
from hlhft.exchange.standing_prices import StandingPrices
from hlhft.units import MICRO
from tests.exchange.clients import (
    CHAIN,
    ETH,
    MILLISECOND_NS,
    START_MS,
    START_NS,
    Client,
    order,
    orders,
    small_machine,
    small_settings,
    stop,
)

SECOND_NS = 1000 * MILLISECOND_NS


@pytest.fixture
def machine() -> Machine:
    return small_machine()


@pytest.fixture
def alice(machine: Machine) -> Client:
    return Client(machine, 1)


def test_an_order_is_in_the_book_when_its_answer_comes(alice: Client) -> None:
    alice.statuses(orders(order()))
    assert alice.machine.kernel.touch()[ETH].tolist() == [399900, 0]
    assert alice.machine.counters["actions taken"] == 1


def test_who_has_nothing_here_is_refused(machine: Machine) -> None:
    nobody = Client(machine, 2, usdc=0)
    assert nobody.refusal(orders(order())) == f"User or API Wallet {nobody.address} does not exist."
    send = {"type": "usdSend", "destination": nobody.address, "amount": "1", "time": 0, **CHAIN}
    assert nobody.refusal(send) == f"Must deposit before performing actions. User: {nobody.address}"


def test_a_nonce_is_taken_once(alice: Client) -> None:
    alice.statuses(orders(order()), nonce=START_MS + 5)
    assert "nonce" in alice.refusal(orders(order()), nonce=START_MS + 5)
    assert "nonce" in alice.refusal(orders(order()), nonce=START_MS - 3 * 86_400_000)
    assert "nonce" in alice.refusal(orders(order()), nonce=START_MS + 2 * 86_400_000)
    # Not in order, and still each once.
    assert alice.statuses(orders(order()), nonce=START_MS + 4) == [{"resting": {"oid": 2}}]


def test_an_action_expires(alice: Client) -> None:
    now_ms = alice.machine.time_ns // MILLISECOND_NS
    assert alice.refusal(orders(order(), order()), expires=now_ms - 1) == EXPIRED
    # A stale action costs five times its orders; a refused nonce was not used.
    assert alice.info("userRateLimit")["nRequestsUsed"] == 10
    assert alice.statuses(orders(order()), expires=now_ms + 1000)


def test_the_budget_of_an_address() -> None:
    alice = Client(small_machine(), 1)
    for _ in range(50):
        alice.statuses({"type": "cancel", "cancels": [{"a": ETH, "o": 9}] * 200})
    assert alice.info("userRateLimit")["nRequestsUsed"] == 10_000
    assert alice.statuses({"type": "cancel", "cancels": [{"a": ETH, "o": 9}]})
    assert alice.refusal(orders(order(), order())) == (
        "Too many cumulative requests sent (10003 > 10000) for cumulative volume traded $0.00."
        " Place taker orders to free up 1 request per USDC traded."
    )
    free = Client(small_machine(with_limits=False), 1)
    for _ in range(51):
        free.statuses({"type": "cancel", "cancels": [{"a": ETH, "o": 9}] * 200})
    assert free.statuses(orders(order(), order()))


def test_the_weight_of_a_client(alice: Client) -> None:
    machine = alice.machine
    body = json.dumps({"type": "userRole", "user": alice.address}).encode()
    answers = [machine.info(body, alice.label, START_NS) for _ in range(21)]
    assert [answer.status for answer in answers] == [200] * 20 + [429]
    assert msgspec.json.decode(answers[-1].body)["code"] == 429
    taken = machine.admit(alice.body({"type": "noop"}), alice.label, START_NS)
    assert isinstance(taken, Answer)
    assert taken.status == 429
    # Another label is another client, and after a minute all is well again.
    assert machine.info(body, ("127.0.0.1", "other"), START_NS).status == 200
    assert machine.info(body, alice.label, START_NS + 61 * SECOND_NS).status == 200


@pytest.mark.parametrize(("weigh", "kinds"), [(False, ["info", "action"]), (True, ["error", "error"])])
def test_posts_do_not_weigh_unless_they_are_said_to(weigh: bool, kinds: list[str]) -> None:
    machine = small_machine(limits=LimitSettings(posts_weigh=weigh))
    alice = Client(machine, 1)
    now_ns = machine.time_ns
    role = json.dumps({"type": "userRole", "user": alice.address}).encode()
    while machine.info(role, alice.label, now_ns).status == 200:
        pass
    opened = machine.sockets.open(alice.label, now_ns)
    assert not isinstance(opened, str)
    frames: list[bytes] = []
    for number, (kind, payload) in enumerate((("info", role), ("action", alice.body({"type": "noop"})))):
        post = {"method": "post", "id": number, "request": {"type": kind, "payload": json.loads(payload)}}
        frames += machine.sockets.receive(opened[0], json.dumps(post).encode(), now_ns)
    frames += [frame for _, frame in machine.advance(now_ns).frames]
    assert [json.loads(frame)["data"]["response"]["type"] for frame in frames] == kinds


def test_bytes_that_are_no_request(alice: Client) -> None:
    assert alice.post(b"{}").status == 422
    assert alice.machine.info(b"{", alice.label, START_NS).status == 422
    assert alice.machine.counters["actions unreadable"] == 1
    assert alice.machine.info(b'{"type":"unheardOf"}', alice.label, START_NS).status == 422


def test_too_many_actions_under_way_are_refused() -> None:
    machine = small_machine(pending_max=2)
    alice = Client(machine, 1)
    taken = [machine.admit(alice.body({"type": "noop"}), alice.label, machine.time_ns) for _ in range(3)]
    assert isinstance(taken[2], Answer)
    assert taken[2].status == 429
    assert machine.counters["actions refused, too many under way"] == 1


def test_a_block_takes_what_it_has_room_for() -> None:
    machine = small_machine(with_limits=False)
    alice = Client(machine, 1)
    body = {"type": "cancel", "cancels": [{"a": ETH, "o": 9}] * 200}
    now_ns = machine.time_ns + MILLISECOND_NS
    tickets = [machine.admit(alice.body(body), alice.label, now_ns) for _ in range(5)]
    answered: list[int] = []
    blocks = 0
    while len(answered) < 5:
        answered += [ticket for ticket, _ in machine.advance(now_ns).answers]
        blocks += 1
    assert answered == tickets
    assert blocks > 1


# Inside a block, and under way to it.


def test_cancels_are_ahead_of_takers(machine: Machine, alice: Client) -> None:
    bob = Client(machine, 2)
    alice.statuses(orders(order(buy=False, price="4000")))
    now_ns = machine.time_ns + MILLISECOND_NS
    taker = machine.admit(bob.body(orders(order(price="4000", tif="Ioc"))), bob.label, now_ns)
    cancel = machine.admit(alice.body({"type": "cancel", "cancels": [{"a": ETH, "o": 1}]}), alice.label, now_ns)
    outcome = machine.advance(now_ns)
    assert len(outcome.blocks) == 1
    answers = dict(outcome.answers)
    assert isinstance(taker, int)
    assert isinstance(cancel, int)
    assert b"success" in answers[cancel].body
    assert b"could not immediately match" in answers[taker].body


def test_a_noop_that_overtakes_an_order_uses_its_nonce_up() -> None:
    machine = small_machine(with_delays=True)
    alice = Client(machine, 1)
    machine.advance(machine.time_ns + SECOND_NS)
    now_ns, nonce = machine.time_ns, START_MS + 77
    order_ticket = machine.admit(alice.body(orders(order(tif="Gtc")), nonce=nonce), alice.label, now_ns)
    noop_ticket = machine.admit(alice.body({"type": "noop"}, nonce=nonce), alice.label, now_ns)
    answers: dict[int, Answer] = {}
    while len(answers) < 2:
        answers.update(machine.advance(machine.next_deadline_ns()).answers)
    assert isinstance(order_ticket, int)
    assert isinstance(noop_ticket, int)
    assert msgspec.json.decode(answers[noop_ticket].body)["status"] == "ok"
    assert "nonce" in msgspec.json.decode(answers[order_ticket].body)["response"]
    assert machine.kernel.touch()[ETH].tolist() == [0, 0]


def test_delays_pass_before_a_block_and_after_it() -> None:
    machine = small_machine(with_delays=True)
    alice = Client(machine, 1)
    machine.advance(machine.time_ns + SECOND_NS)
    opened = machine.sockets.open(alice.label, machine.time_ns)
    assert not isinstance(opened, str)
    machine.sockets.receive(opened[0], subscribe("orderUpdates", user=alice.address), machine.time_ns)
    sent_ns = machine.time_ns
    ticket = machine.admit(alice.body(orders(order(tif="Ioc"))), alice.label, sent_ns)
    told_ns = answered_ns = 0
    while not told_ns:
        now_ns = machine.next_deadline_ns()
        outcome = machine.advance(now_ns)
        if any(answered == ticket for answered, _ in outcome.answers):
            answered_ns = now_ns
        if any(b"orderUpdates" in frame for _, frame in outcome.frames):
            told_ns = now_ns
    assert 90 * MILLISECOND_NS <= answered_ns - sent_ns <= 1500 * MILLISECOND_NS + 215 * MILLISECOND_NS
    assert 100 * MILLISECOND_NS <= told_ns - answered_ns <= 300 * MILLISECOND_NS


def subscribe(kind: str, **more: Any) -> bytes:
    return json.dumps({"method": "subscribe", "subscription": {"type": kind, **more}}).encode()


def test_frames_follow_their_block(machine: Machine, alice: Client) -> None:
    opened = machine.sockets.open(alice.label, machine.time_ns)
    assert not isinstance(opened, str)
    connection = opened[0]
    machine.sockets.receive(connection, subscribe("bbo", coin="ETH"), machine.time_ns)
    machine.sockets.receive(connection, subscribe("orderUpdates", user=alice.address), machine.time_ns)
    now_ns = machine.time_ns + MILLISECOND_NS
    machine.admit(alice.body(orders(order())), alice.label, now_ns)
    frames = [msgspec.json.decode(frame) for to, frame in machine.advance(now_ns).frames if to == connection]
    assert [frame["channel"] for frame in frames] == ["bbo", "orderUpdates"]
    assert frames[0]["data"]["time"] == now_ns // MILLISECOND_NS == frames[1]["data"][0]["statusTimestamp"]


def test_an_action_over_a_socket_is_answered_there(machine: Machine, alice: Client) -> None:
    opened = machine.sockets.open(alice.label, machine.time_ns)
    assert not isinstance(opened, str)
    body = json.loads(alice.body(orders(order())))
    post = {"method": "post", "id": 7, "request": {"type": "action", "payload": body}}
    now_ns = machine.time_ns + MILLISECOND_NS
    assert machine.sockets.receive(opened[0], json.dumps(post).encode(), now_ns) == []
    ((connection, frame),) = machine.advance(now_ns).frames
    assert connection == opened[0]
    response = msgspec.json.decode(frame)["data"]
    assert response["id"] == 7
    assert response["response"]["payload"]["response"]["data"]["statuses"] == [{"resting": {"oid": 1}}]


# Time.


def test_blocks_come_by_the_clock() -> None:
    machine = Machine(small_settings(with_delays=True))
    outcome = machine.advance(START_NS + 60 * SECOND_NS)
    times = [block.time_ns for block in outcome.blocks]
    assert times == sorted(times)
    assert [block.height for block in outcome.blocks] == list(range(1, len(times) + 1))
    # 78 ms on the average, and none 215 ms after the one before it.
    assert 700 < len(times) < 840
    assert machine.next_deadline_ns() > START_NS + 60 * SECOND_NS


def test_who_fell_behind_catches_up_in_parts() -> None:
    machine = Machine(small_settings(with_delays=True, blocks_per_advance_max=10))
    assert len(machine.advance(START_NS + 60 * SECOND_NS).blocks) == 10
    assert machine.next_deadline_ns() < START_NS + 60 * SECOND_NS


def test_prices_stand_still_where_nobody_moves_them(machine: Machine) -> None:
    machine.advance(START_NS + 10 * SECOND_NS)
    assert machine.kernel.chain.exchange.marks.tolist() == list(machine.settings.reference_ticks)


def test_a_stop_that_the_mark_is_far_from_waits(alice: Client) -> None:
    assert alice.statuses(orders(order(buy=False, price="3700", trigger=stop("3800")))) == ["waitingForTrigger"]


def test_an_operator_moves_the_oracle_where_no_flow_does(machine: Machine) -> None:
    assert machine.set_oracle("ETH", "4100.5") is None
    machine.advance(machine.time_ns + MILLISECOND_NS)
    assert machine.kernel.chain.prices["oracle_ticks"].tolist() == [1_100_000, 410_050]
    machine.advance(machine.time_ns + 10 * SECOND_NS)
    assert machine.kernel.chain.prices["oracle_ticks"].tolist() == [1_100_000, 410_050]
    assert machine.set_oracle("GOLD", "1") == "The oracle of GOLD cannot be set."
    assert machine.set_oracle("ETH", "0") == "The oracle of ETH cannot be set."
    assert "is not a number" in str(machine.set_oracle("ETH", "much"))
    assert machine.deposit("0x" + "0" * 40, 5) == "Invalid address 0x" + "0" * 40 + "."


class Absent(StandingPrices):
    """A flow with an account, which does nothing with it."""

    def __init__(self) -> None:
        super().__init__([1_100_000, 400_000], interval_ns=SECOND_NS)
        self.accounts = (1, 2)


def test_the_flow_has_accounts_of_its_own() -> None:
    machine = Machine(small_settings(), flow=Absent())
    assert machine.addresses.number(flow_address(2)) == 2
    assert Client(machine, 1).account == 3


def test_addresses_of_the_flow_have_no_key() -> None:
    assert flow_address(1) != flow_address(2)
    assert len(flow_address(1)) == 42


# Sameness.


def story(machine: Machine) -> list[Any]:
    """A few actions of two clients, and what came of them."""
    alice, bob = Client(machine, 1), Client(machine, 2)
    told: list[Any] = [
        alice.send(orders(order(buy=False, price="4000", size="1", tif="Alo"))),
        bob.send(orders(order(price="4000", size="0.3", tif="Ioc"), order(price="3990", size="0.2"))),
        bob.send({"type": "updateLeverage", "asset": ETH, "isCross": False, "leverage": 7}),
        bob.send({"type": "usdSend", "destination": alice.address, "amount": "5", "time": 0, **CHAIN}),
    ]
    machine.advance(machine.time_ns + 5 * SECOND_NS)
    return [*told, alice.info("clearinghouseState"), bob.info("userFills")]


def test_two_machines_of_one_seed_are_the_same() -> None:
    first, second = small_machine(seed=3), small_machine(seed=3)
    assert story(first) == story(second)
    assert first.digest == second.digest
    other = small_machine(seed=4)
    story(other)
    assert other.digest != first.digest


def test_a_restored_exchange_goes_on() -> None:
    machine = small_machine()
    story(machine)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(machine.state()))
    again = Machine(small_settings())
    again.restore(state, machine.time_ns)
    assert (again.height, again.digest, again.time_ns) == (machine.height, machine.digest, machine.time_ns)
    assert again.kernel.touch().tolist() == machine.kernel.touch().tolist()
    outcomes = []
    for one in (machine, again):
        bob = Client(one, 2, usdc=0)
        bob.nonce += 100
        outcomes.append(
            [
                bob.send(orders(order(price="4000", size="0.1", tif="Ioc", cloid="0x" + "c" * 32))),
                bob.info("clearinghouseState")["marginSummary"],
                bob.info("userRateLimit"),
                bob.info("openOrders"),
                bob.info("userFills"),
                bob.refusal(orders(order()), nonce=START_MS + 2001),
            ]
        )
    assert outcomes[0] == outcomes[1]


def test_another_exchanges_state_is_refused() -> None:
    state = small_machine().state()
    with pytest.raises(ValueError, match="list the same coins"):
        Machine(small_settings()).restore({**state, "coins": ["SOL"]}, START_NS)
    with pytest.raises(ValueError, match="of seed 9: give the same"):
        Machine(small_settings()).restore({**state, "seed": 9}, START_NS)
    with pytest.raises(ValueError, match="whose order flow is a dream: ask for the same"):
        Machine(small_settings()).restore({**state, "flow_kind": "a dream"}, START_NS)
    with pytest.raises(ValueError, match="has shape"):
        Machine(small_settings(accounts_max=8)).restore(state, START_NS)


# Anything.

texts = st.text(max_size=8) | st.sampled_from(["1", "0.1", "-1", "4000", "3999.99", "1e5", "", "0x1", "Gtc", "ETH"])
leaves = st.none() | st.booleans() | st.integers(-5, 2**64 - 1) | st.floats(allow_nan=False) | texts
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
some_orders = st.builds(
    order,
    asset=st.integers(0, 3),
    buy=st.booleans(),
    price=st.sampled_from(["0", "1", "3900", "3999", "4000", "4001", "4100", "100000", "99999999"]),
    size=st.sampled_from(["0", "0.0001", "0.1", "1", "1000000"]),
    tif=st.sampled_from(["Alo", "Gtc", "Ioc", "FrontendMarket"]),
    reduce=st.booleans(),
)
triggers = st.builds(
    lambda made, price, tpsl, market: {
        **made, "t": {"trigger": {"isMarket": market, "triggerPx": price, "tpsl": tpsl}},
    },
    some_orders, st.sampled_from(["3800", "4200", "0"]), st.sampled_from(["tp", "sl"]), st.booleans(),
)  # fmt: skip
entries = some_orders | triggers
some_actions = st.one_of(
    st.builds(lambda each, grouping: orders(*each, grouping=grouping), st.lists(entries, max_size=4),
              st.sampled_from(["na", "normalTpsl", "positionTpsl"]) | st.just({"p": 5})),
    st.builds(lambda ids: {"type": "cancel", "cancels": [{"a": ETH, "o": oid} for oid in ids]},
              st.lists(st.integers(0, 40), max_size=4)),
    st.builds(lambda each, a: {"type": "batchModify", "modifies": each, "a": a},
              st.lists(st.builds(lambda oid, new: {"oid": oid, "order": new}, st.integers(0, 40), entries), max_size=3),
              st.just(True)),
    st.builds(lambda asset, cross, leverage: {"type": "updateLeverage", "asset": asset, "isCross": cross,
              "leverage": leverage}, st.integers(0, 2), st.booleans(), st.integers(0, 60)),
    st.builds(lambda m, s: {"type": "twapOrder", "twap": {"a": ETH, "b": True, "s": s, "r": False, "m": m, "t": True}},
              st.integers(0, 2000), st.sampled_from(["0", "0.01", "5"])),
    st.builds(lambda usd: {"type": "updateIsolatedMargin", "asset": ETH, "isBuy": True, "ntli": usd},
              st.integers(-10 * MICRO, 10 * MICRO)),
    st.builds(lambda kind, more: {"type": kind, **more}, st.sampled_from(["order", "cancel", "modify", "noop"]),
              st.dictionaries(st.sampled_from(["orders", "cancels", "grouping", "a", "order", "oid"]), anything)),
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(1, 2), some_actions), min_size=1, max_size=12))
def test_every_action_gets_an_answer(steps: list[tuple[int, dict[str, Any]]]) -> None:
    machine = small_machine(with_limits=False)
    clients = {number: Client(machine, number) for number in (1, 2)}
    for number, made in steps:
        answer = clients[number].post(clients[number].body(made))
        if answer.status == 200:
            decoded = msgspec.json.decode(answer.body)
            assert decoded["status"] in ("ok", "err")
            data = decoded["response"].get("data", {}) if decoded["status"] == "ok" else {}
            assert all(status in ("success", "waitingForFill", "waitingForTrigger") or len(status) == 1
                       for status in data.get("statuses", ()))  # fmt: skip
        else:
            assert answer.status == 422
    bid, ask = machine.kernel.touch()[ETH].tolist()
    assert not bid or not ask or bid < ask
    assert machine.kernel.chain.state["broken"][0] == 0


def test_a_listener_hears_all_that_changes_the_ledger_before_it_does() -> None:
    machine = small_machine()
    heard: list[object] = []
    machine.heard = heard.append
    client = Client(machine, 1)
    client.send(orders(order(price="3999")))
    client.post(b"{}")
    client.info("openOrders")
    machine.set_oracle("ETH", "4010")
    machine.set_oracle("ETH", "no price")
    assert [type(record) for record in heard] == [Deposited, Advanced, Posted, Advanced, OracleMoved]
    assert heard[0] == Deposited(client.address, 100_000 * MICRO, 0)
