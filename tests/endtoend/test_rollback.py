"""A switch and its rollback while quoting, as the appliance's unit does both: one engine is stopped by SIGTERM, and the
next, with other settings, begins on the same state. No order is without an engine at any time, and no nonce is signed
for two actions, both by the exchange's own books. The same bytes may come more than once: an engine that misses the
answer to a cancel sends it again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from eth_account import Account

from hlhft.exchange.actions import Noop
from hlhft.exchange.envelope import Request, read_request
from hlhft.exchange.input_log import log_of, read_log
from hlhft.exchange.machine import Posted
from hlhft.hyperliquid.cloids import parse
from tests.endtoend.house import NONCE_USED, House, eventually

FORMER = '[strategy]\nname = "two_sided"\nparams = { half_spread_bp = 5 }\n'
CHANGED = '[strategy]\nname = "glft"\n'
QUOTING_S = 60.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one market, whose watchdog looks on all the time, as a switch leaves it alone."""
    options = ("--no-limits",)
    with House(tmp_path_factory.mktemp("rollback"), coins=("BTC",), exchange=options, settings=FORMER) as there:
        there.start_watchdog()
        yield there


def sessions_of_orders(house: House) -> set[int]:
    """Which sessions the account's open orders are of; 0 for one that is nobody's."""
    marks = [parse(int(order["cloid"], 16)) if order.get("cloid") else None for order in house.trader.open_orders()]
    return {0 if mark is None else mark.session for mark in marks}


def quotes(house: House, strategy: str) -> int:
    """Starts the engine and waits until it quotes under the watchdog's eyes; the session's number."""
    house.start_engine()
    house.quotes_within(QUOTING_S)
    eventually(lambda: (told := house.status()) is not None and told.covers[0].is_covered, within_s=QUOTING_S)
    told = house.status()
    assert told is not None
    assert (told.strategy, told.halt) == (strategy, "")
    assert sessions_of_orders(house) == {told.session}
    assert NONCE_USED not in told.counters
    return told.session


def switched(house: House, before: str, after: str) -> None:
    """What a switch does to the engine: it stops, and proves that nothing is left; then the settings are others."""
    assert house.engine is not None
    assert house.engine.stop() == 0, house.engine.output
    assert house.own_orders() == []
    text = house.config.read_text()
    assert before in text
    house.config.write_text(text.replace(before, after))


def test_a_switch_and_its_rollback_leave_no_order_and_sign_no_nonce_twice(house: House) -> None:
    first = quotes(house, "two_sided")
    switched(house, FORMER, CHANGED)
    second = quotes(house, "glft")
    switched(house, CHANGED, FORMER)
    third = quotes(house, "two_sided")
    assert first < second < third
    assert house.engine is not None
    assert house.engine.stop() == 0
    assert house.own_orders() == []
    # The exchange keeps every action that it took, in their order.
    signer = Account.from_key(house.agents[0].read_text().strip()).address.lower()
    taken = [read_request(entry.body) for entry in read_log(log_of(house.folder / "exchange.state"))
             if isinstance(entry, Posted)]  # fmt: skip
    own = [request for request in taken if isinstance(request, Request) and request.signer == signer]
    # A noop takes the nonce of an order that is in doubt on purpose, so that only one of them can execute.
    actions = {(request.nonce, request.hash) for request in own if not isinstance(request.action, Noop)}
    nonces = list(dict.fromkeys(request.nonce for request in own))
    assert len(nonces) >= 6, "each of three engines placed and cancelled"
    assert len({nonce for nonce, _ in actions}) == len(actions), actions
    late = sum(b < a for a, b in pairwise(nonces))
    print(f"{len(own)} requests, {len(nonces)} nonces of three engines, {late} overtaken on their way")
