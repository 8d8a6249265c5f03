from __future__ import annotations

from hlhft.exchange.addresses import Addresses
from hlhft.exchange.client_ids import ClientIds
from hlhft.exchange.directory import Agent, Budget, SubAccount
from hlhft.exchange.register import Register

ALICE, AGENT, BUILDER = ("0x" + digit * 40 for digit in "123")


def test_what_answers_ask_for() -> None:
    addresses, client_ids = Addresses(), ClientIds()
    register = Register(addresses, client_ids, budget=lambda account: Budget(account, 2, 3, 4), now_ms=lambda: 1000)
    alice = addresses.open(ALICE)
    assert isinstance(alice, int)
    assert addresses.approve_agent(alice, AGENT, "bot", 1000) is None
    assert addresses.approve_builder_fee(alice, BUILDER, "0.02%") is None
    other = addresses.create_sub_account(alice, "two", volume_micro=10**12)
    assert isinstance(other, int)
    number = client_ids.use(alice, 5)

    assert (register.address_of(alice), register.account_of(ALICE), register.account_of(AGENT)) == (ALICE, alice, None)
    assert register.address_of(99) == "0x" + "0" * 38 + "63"
    assert register.cloid_of(number) == "0x" + "0" * 31 + "5"
    assert (register.client_id_of(alice, 5), register.client_id_of(alice, 6)) == (number, 0)
    assert register.role_of(ALICE) == ("user", None)
    assert register.role_of(AGENT) == ("agent", ALICE)
    assert register.role_of(addresses.address(other)) == ("subAccount", ALICE)
    assert register.role_of(BUILDER) == ("missing", None)
    (agent,) = register.agents_of(alice, 1000)
    assert agent == Agent("bot", AGENT, agent.valid_until_ms)
    assert register.sub_accounts_of(alice) == [SubAccount("two", addresses.address(other), other)]
    assert register.builder_rate_of(alice, BUILDER) == 20
    assert register.budget_of(alice) == Budget(alice, 2, 3, 4)
    assert register.abstraction_of(alice) == "default"
