"""An exchange that is told everything again is the same exchange, wherever it was killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange import input_log
from hlhft.exchange.input_log import CLIENT, InputLog, Opening, log_of, read_log, recover, replay
from hlhft.exchange.machine import Machine
from hlhft.exchange.state_file import write_state
from tests.exchange.clients import ETH, MILLISECOND_NS, START_NS, Client, order, orders, small_machine, small_settings

BEGAN_NS = START_NS + 1000 * MILLISECOND_NS


def opened(now_ns: int) -> Machine:
    return Machine(small_settings(start_ns=now_ns, with_delays=True))


def used(machine: Machine, steps: list[int]) -> None:
    """A session of orders, money and oracles that somebody watches; each step says what is done, and how long until the
    next."""
    opened_socket = machine.sockets.open(("127.0.0.1", "watcher"), machine.time_ns)
    assert not isinstance(opened_socket, str)
    machine.sockets.receive(
        opened_socket[0], b'{"method":"subscribe","subscription":{"type":"bbo","coin":"ETH"}}', machine.time_ns
    )
    client, now_ns = Client(machine, 7, usdc=0), machine.time_ns
    for place, step in enumerate(steps):
        now_ns += (1 + step) * MILLISECOND_NS
        if step % 4 == 0:
            machine.deposit(client.address, 1_000_000_000)
        elif step % 4 == 1:
            machine.set_oracle("ETH", str(3900 + place))
        else:
            price = str(3990 + step % 7)
            machine.admit(client.body(orders(order(price=price, buy=step % 8 < 4))), client.label, now_ns)
        machine.advance(now_ns)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 150), min_size=1, max_size=30), st.data())
def test_a_log_cut_anywhere_leads_to_the_exchange_of_that_moment(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    machine = opened(START_NS)
    machine.advance(BEGAN_NS)
    state = machine.state()
    log = InputLog(folder / "log", machine)
    used(machine, steps)
    log.close()
    whole = (folder / "log").read_bytes()
    (folder / "log").write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    records = read_log(folder / "log")
    again = opened(state["time_ns"])
    again.restore(state, state["time_ns"])
    replay(again, [record for record in records if not isinstance(record, Opening)])
    # The one that was not killed is told the rest.
    (folder / "log").write_bytes(whole)
    rest = read_log(folder / "log")[max(len(records), 1) :]
    replay(again, [record for record in rest if not isinstance(record, Opening)])
    assert (again.height, again.digest) == (machine.height, machine.digest)


def test_a_killed_exchange_goes_on_from_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "exchange.state"
    machine = opened(START_NS)
    machine.advance(BEGAN_NS)
    write_state(path, machine.state())
    log = InputLog(log_of(path), machine)
    used(machine, [0, 100, 6, 100, 2])
    assert recover(path, opened)["digest"] == machine.digest
    # A log of another state is none of this one.
    write_state(path, machine.state())
    assert recover(path, opened)["digest"] == machine.digest
    log.close()
    log_of(path).unlink()
    assert recover(path, opened)["digest"] == machine.digest


def test_nothing_is_heard_after_the_end_nor_what_changes_nothing(tmp_path: Path) -> None:
    machine = small_machine()
    log = InputLog(tmp_path / "log", machine)
    machine.advance(machine.time_ns)
    machine.admit(b"{}", CLIENT, machine.time_ns)
    machine.set_oracle("NONE", "1")
    log.close()
    log.close()
    machine.deposit("0x" + "1" * 40, 1)
    assert read_log(tmp_path / "log") == [Opening(machine.height, machine.digest)]


def test_a_flipped_bit_ends_the_log(tmp_path: Path) -> None:
    machine = small_machine()
    log = InputLog(tmp_path / "log", machine)
    machine.deposit("0x" + "1" * 40, 1)
    machine.deposit("0x" + "2" * 40, 2)
    log.close()
    content = bytearray((tmp_path / "log").read_bytes())
    content[-1] ^= 4
    (tmp_path / "log").write_bytes(content)
    assert len(read_log(tmp_path / "log")) == 2


def test_a_full_log_stops_the_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = small_machine()
    log = InputLog(tmp_path / "log", machine)
    monkeypatch.setattr(input_log, "LOG_BYTES_MAX", 100)
    with pytest.raises(OSError, match="at most 100 bytes"):
        machine.deposit("0x" + "1" * 40, ETH)
    assert machine.addresses.number("0x" + "1" * 40) is None
    log.close()
