"""Who is who: numbers, sub-accounts, API wallets and their expiry, who acts for whom, approved builders, state."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange.addresses import (
    DAY_MS,
    INSURANCE_VAULT,
    Actor,
    Addresses,
    AddressSettings,
    AddressState,
    dollars,
    sub_account_address,
)
from hlhft.hyperliquid.wire import ZERO_ADDRESS, read_address
from hlhft.units import MICRO

NOW = 1_770_000_000_000
ENOUGH = 100_000 * MICRO


def some(index: int) -> str:
    """An address of its own for each index."""
    return f"0x{index:040x}"


MASTER, OTHER, STRANGER = some(1), some(2), some(3)
AGENT = some(0xA0)


def register(*, settings: AddressSettings | None = None) -> Addresses:
    """A register with two accounts, 1 at MASTER and 2 at OTHER."""
    made = Addresses(settings or AddressSettings())
    assert made.open(MASTER) == 1 and made.open(OTHER) == 2
    return made


def unknown(address: str) -> str:
    return f"User or API Wallet {address} does not exist."


def test_accounts_are_numbered_densely_from_one_and_the_vault_is_zero() -> None:
    made = register()
    assert made.open(MASTER) == made.number(MASTER) == 1 and len(made) == 3
    assert made.number(STRANGER) is None and made.address(2) == OTHER and made.master(2) == 2
    vault = made.address(INSURANCE_VAULT)
    assert read_address(vault) == vault and made.open(vault) == made.number(vault) == INSURANCE_VAULT


def test_accounts_are_bounded() -> None:
    made = register(settings=AddressSettings(accounts_max=3))
    assert made.open(STRANGER) == "Too many users." and made.number(STRANGER) is None
    assert made.create_sub_account(1, "a", volume_micro=ENOUGH) == "Too many users."
    assert made.open(MASTER) == 1 and list(made.sub_accounts(1)) == []


def test_who_may_act_for_whom() -> None:
    made = register()
    sub = made.create_sub_account(1, "desk", volume_micro=ENOUGH)
    assert sub == 3
    assert made.approve_agent(1, AGENT, None, NOW) is None
    desk = made.address(3)
    assert made.actor(MASTER, None, NOW) == Actor(account=1, master=1, is_agent=False)
    assert made.actor(MASTER, desk, NOW) == Actor(3, 1, False)
    assert made.actor(AGENT, None, NOW) == Actor(1, 1, True)
    assert made.actor(AGENT, desk, NOW) == Actor(3, 1, True)
    assert made.actor(STRANGER, None, NOW) == unknown(STRANGER)
    for vault_address in (OTHER, MASTER, STRANGER, made.address(INSURANCE_VAULT)):
        assert made.actor(MASTER, vault_address, NOW) == f"Vault not registered: {vault_address}"
    assert made.actor(OTHER, desk, NOW) == f"Vault not registered: {desk}"


def test_nobody_signs_as_a_sub_account_or_as_the_insurance_vault() -> None:
    made = register()
    made.create_sub_account(1, "desk", volume_micro=ENOUGH)
    for address in (made.address(3), made.address(INSURANCE_VAULT)):
        assert made.actor(address, None, NOW) == unknown(address)


def test_an_agent_signs_no_user_signed_action() -> None:
    made = register()
    made.approve_agent(1, AGENT, None, NOW)
    assert made.actor(MASTER, None, NOW, user_signed=True) == Actor(1, 1, False)
    for address in (AGENT, STRANGER):
        text = f"Must deposit before performing actions. User: {address}"
        assert made.actor(address, None, NOW, user_signed=True) == text


def test_an_agent_expires_to_the_millisecond() -> None:
    made = register()
    assert made.approve_agent(1, AGENT, f"mm valid_until {NOW + 1000}", NOW) is None
    assert made.actor(AGENT, None, NOW + 999) == Actor(1, 1, True)
    assert made.actor(AGENT, None, NOW + 1000) == unknown(AGENT)
    (agent,) = made.agents(1, NOW)
    assert (agent.name, agent.address, agent.valid_until_ms) == ("mm", AGENT, NOW + 1000)
    assert made.agents(1, NOW + 1000) == [] and made.role(AGENT, NOW + 1000) == {"role": "missing"}


def test_without_an_expiry_an_agent_lives_for_ninety_days() -> None:
    made = register()
    made.approve_agent(1, AGENT, "", NOW)
    (agent,) = made.agents(1, NOW)
    assert agent.valid_until_ms == NOW + 90 * DAY_MS and agent.name == ""


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        (f"mm valid_until {NOW}", "Invalid agent valid_until."),
        (f"mm valid_until {NOW + 180 * DAY_MS + 1}", "Invalid agent valid_until."),
        (f"mm valid_until {NOW + 180 * DAY_MS}", None),
        (f" valid_until {NOW + 1}", None),
        ("x" * 16, None),
        ("x" * 17, "Invalid agent name."),
        ("x" * 17 + f" valid_until {NOW + 1}", "Invalid agent name."),
        ("x" * 16 + f" valid_until {NOW + 1}", None),
        ("valid_until 5", None),
        ("mm valid_until", None),
        ("mm valid_until 99999999999999999", "Invalid agent name."),
    ],
)
def test_names_and_expiries(name: str, refusal: str | None) -> None:
    made = register()
    assert made.approve_agent(1, AGENT, name, NOW) == refusal
    assert isinstance(made.actor(AGENT, None, NOW), str) is (refusal is not None)


@pytest.mark.parametrize("name", ["", "mm"])
def test_a_new_approval_replaces_the_agent_of_that_name_for_ever(name: str) -> None:
    made = register()
    second = some(0xA1)
    assert made.approve_agent(1, AGENT, name, NOW) is None
    assert made.approve_agent(1, second, name, NOW) is None
    assert made.actor(AGENT, None, NOW) == unknown(AGENT) and made.actor(second, None, NOW) == Actor(1, 1, True)
    for account in (1, 2):
        assert made.approve_agent(account, AGENT, "again", NOW) == "Extra agent already used."
        assert made.approve_agent(account, second, "again", NOW) == "Extra agent already used."
    assert made.actor(second, None, NOW) == Actor(1, 1, True), "a refusal changes nothing"


def test_the_zero_address_revokes_the_agent_of_that_name() -> None:
    made = register()
    named = some(0xA1)
    made.approve_agent(1, AGENT, None, NOW)
    made.approve_agent(1, named, "mm", NOW)
    assert made.approve_agent(1, ZERO_ADDRESS, "mm", NOW) is None
    assert made.actor(named, None, NOW) == unknown(named) and made.actor(AGENT, None, NOW) == Actor(1, 1, True)
    assert made.approve_agent(1, ZERO_ADDRESS, "mm", NOW) is None, "revoking nothing does nothing"
    assert made.approve_agent(1, ZERO_ADDRESS, None, NOW) is None
    assert made.agents(1, NOW) == [] and made.actor(AGENT, None, NOW) == unknown(AGENT)
    assert made.approve_agent(1, named, "mm", NOW) == "Extra agent already used."


def test_three_named_agents_and_two_more_for_each_sub_account() -> None:
    made = register()
    assert made.approve_agent(1, some(0xA0), None, NOW) is None
    for index in range(3):
        assert made.approve_agent(1, some(0xB0 + index), f"mm{index}", NOW) is None
    assert made.approve_agent(1, some(0xB9), "mm9", NOW) == "Too many extra agents."
    assert made.approve_agent(1, some(0xB9), "mm1", NOW) is None, "a replacement needs no place"
    assert made.approve_agent(1, some(0xBA), None, NOW) is None, "nor does the unnamed one"
    assert made.approve_agent(2, some(0xBB), "mm9", NOW) is None, "accounts have their own places"
    made.create_sub_account(1, "desk", volume_micro=ENOUGH)
    assert made.named_agents_max(1) == 5
    for index in range(3, 5):
        assert made.approve_agent(1, some(0xC0 + index), f"mm{index}", NOW) is None
    assert made.approve_agent(1, some(0xCF), "mm9", NOW) == "Too many extra agents."
    assert [agent.name for agent in made.agents(1, NOW) if agent.name] == ["mm0", "mm2", "mm1", "mm3", "mm4"]


def test_an_expired_agent_leaves_its_place_but_not_its_address() -> None:
    made = register()
    for index in range(3):
        made.approve_agent(1, some(0xB0 + index), f"mm{index} valid_until {NOW + 10}", NOW)
    assert made.approve_agent(1, some(0xB9), "mm9", NOW + 9) == "Too many extra agents."
    assert made.approve_agent(1, some(0xB9), "mm9", NOW + 10) is None
    assert made.approve_agent(1, some(0xB0), "mm0", NOW + 10) == "Extra agent already used."
    assert [agent.name for agent in made.agents(1, NOW + 10)] == ["mm9"]


def test_an_account_is_no_agent_and_an_agent_gets_no_account() -> None:
    made = register()
    for address in (MASTER, OTHER, made.address(INSURANCE_VAULT)):
        assert made.approve_agent(1, address, None, NOW) == "Cannot use existing user as agent."
    made.approve_agent(1, AGENT, None, NOW)
    assert (
        made.open(AGENT) == f"Invalid address {AGENT}."
        and made.open(ZERO_ADDRESS) == f"Invalid address {ZERO_ADDRESS}."
    )
    made.approve_agent(1, ZERO_ADDRESS, None, NOW)
    assert made.open(AGENT) == f"Invalid address {AGENT}.", "nor does a former one"


def test_former_agents_are_remembered_up_to_a_number() -> None:
    made = register(settings=AddressSettings(retired_agents_max=2))
    for index in range(4):
        assert made.approve_agent(1, some(0xB0 + index), None, NOW) is None
    assert made.retired_forgotten == 1
    assert made.approve_agent(2, some(0xB1), None, NOW) == "Extra agent already used."
    assert made.approve_agent(2, some(0xB0), None, NOW) is None, "the oldest is forgotten, as the venue forgets it"


def test_sub_accounts_need_volume_a_name_and_a_master() -> None:
    made = register(settings=AddressSettings(sub_accounts_max=2))
    short = made.create_sub_account(1, "desk", volume_micro=ENOUGH - 1)
    assert short == ("Cannot create sub-accounts until enough volume traded. Required: $100000. Traded: $99999.99.")
    for name in ("", "x" * 17):
        assert made.create_sub_account(1, name, volume_micro=ENOUGH) == "Invalid sub-account name."
    assert made.create_sub_account(1, "desk", volume_micro=ENOUGH) == 3
    assert made.create_sub_account(3, "below", volume_micro=ENOUGH) == "Sub-accounts cannot create sub-accounts."
    assert made.create_sub_account(1, "second", volume_micro=ENOUGH) == 4
    assert made.create_sub_account(1, "third", volume_micro=ENOUGH) == "Too many sub-accounts."
    assert [(number, account.name) for number, account in made.sub_accounts(1)] == [(3, "desk"), (4, "second")]
    assert made.master(3) == made.master(4) == 1 and list(made.sub_accounts(2)) == []


def test_a_sub_account_s_address_follows_from_its_master_alone() -> None:
    made = register()
    made.create_sub_account(2, "first", volume_micro=ENOUGH)
    made.create_sub_account(1, "first", volume_micro=ENOUGH)
    assert made.address(3) == sub_account_address(OTHER, 1) and made.address(4) == sub_account_address(MASTER, 1)
    assert len({sub_account_address(some(m), c) for m in range(1, 9) for c in range(1, 9)}) == 64
    assert read_address(made.address(3)) == made.address(3)


def test_whoever_takes_a_sub_account_s_next_address_first_gains_nothing() -> None:
    made = register()
    assert made.open(sub_account_address(MASTER, 1)) == 3
    assert made.approve_agent(2, sub_account_address(MASTER, 2), None, NOW) is None
    assert made.approve_agent(2, sub_account_address(MASTER, 3), None, NOW) is None
    assert made.create_sub_account(1, "desk", volume_micro=ENOUGH) == 4
    assert made.address(4) == sub_account_address(MASTER, 4) and made.master(3) == 3


def test_roles() -> None:
    made = register()
    made.create_sub_account(1, "desk", volume_micro=ENOUGH)
    made.approve_agent(1, AGENT, None, NOW)
    assert made.role(MASTER, NOW) == {"role": "user"}
    assert made.role(made.address(3), NOW) == {"role": "subAccount", "data": {"master": MASTER}}
    assert made.role(AGENT, NOW) == {"role": "agent", "data": {"user": MASTER}}
    assert made.role(made.address(0), NOW) == {"role": "vault"} and made.role(STRANGER, NOW) == {"role": "missing"}
    assert made.agents(99, NOW) == []


@pytest.mark.parametrize(
    ("text", "tenths"),
    [("0.001%", 1), ("0.1%", 100), ("0.05%", 50), ("1%", 1000), ("0%", 0), ("0.10%", 100)],
)
def test_builder_rates(text: str, tenths: int) -> None:
    made = register()
    assert made.approve_builder_fee(1, OTHER, text) is None
    assert made.builder_rate_max(1, OTHER) == tenths and made.builder_rate_max(2, OTHER) == 0


@pytest.mark.parametrize("text", ["", "%", "0.001", "1.001%", "0.0001%", "-0.1%", "NaN%", "1e-3%"])
def test_what_is_no_builder_rate(text: str) -> None:
    made = register()
    assert made.approve_builder_fee(1, OTHER, text) == "Invalid builder fee rate."
    assert made.builder_rate_max(1, OTHER) == 0


def test_builders_are_bounded_and_zero_takes_an_approval_back() -> None:
    made = register(settings=AddressSettings(builders_max=2))
    assert made.approve_builder_fee(1, some(0xD0), "0.1%") is None
    assert made.approve_builder_fee(1, some(0xD1), "0.1%") is None
    assert made.approve_builder_fee(1, some(0xD2), "0.1%") == "Too many approved builders."
    assert made.approve_builder_fee(1, some(0xD1), "0.2%") is None and made.builder_rate_max(1, some(0xD1)) == 200
    assert made.approve_builder_fee(1, some(0xD0), "0%") is None and made.builder_rate_max(1, some(0xD0)) == 0
    assert made.approve_builder_fee(1, some(0xD2), "0.1%") is None
    assert made.approve_builder_fee(2, some(0xD0), "0%") is None, "taking back what was never given does nothing"


def test_amounts_in_texts() -> None:
    assert dollars(87_457_460_000) == "87457.46" and dollars(0) == "0.00" and dollars(1_059_999) == "1.05"


def restored(made: Addresses) -> Addresses:
    state = msgspec.json.decode(msgspec.json.encode(made.state()), type=AddressState)
    return Addresses.from_state(state, made.settings)


class Moves:
    """Applies numbered moves to a register, the same ones to any."""

    def __init__(self, made: Addresses) -> None:
        self.made = made

    def apply(self, move: tuple[int, int, int], now_ms: int) -> object:
        kind, first, second = move
        account = 1 + first % (len(self.made) - 1)
        if kind == 0:
            return self.made.open(some(1 + second))
        if kind == 1:
            return self.made.create_sub_account(account, f"sub{second}", volume_micro=ENOUGH)
        if kind == 2:
            return self.made.approve_agent(account, some(0xA0 + second), "mm" * (first % 2), now_ms)
        if kind == 3:
            return self.made.approve_agent(account, some(0xA0 + second), f"n{first} valid_until {now_ms + 3}", now_ms)
        if kind == 4:
            return self.made.approve_agent(account, ZERO_ADDRESS, "mm" * (first % 2), now_ms)
        return self.made.approve_builder_fee(account, some(second), f"0.00{1 + first}%")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 12)), max_size=40), st.integers(0, 40))
@settings(max_examples=60)
def test_a_restored_register_goes_on_as_the_original(moves: list[tuple[int, int, int]], cut: int) -> None:
    """And at every moment: numbers and addresses name each other, and an address is an account or an API wallet."""
    small = AddressSettings(accounts_max=8, retired_agents_max=3, sub_accounts_max=2, builders_max=2)
    made = register(settings=small)
    for place, move in enumerate(moves):
        now_ms = NOW + place
        if place == cut:
            made = restored(made)
        twin = restored(made)
        assert Moves(made).apply(move, now_ms) == Moves(twin).apply(move, now_ms)
        assert made.state() == twin.state()
        for number in range(len(made)):
            assert made.number(made.address(number)) == number
            assert made.master(made.master(number)) == made.master(number)
        assert len(made) <= 8 and len(made.state().retired) <= 3
        agents = {agent.address for agent in made.state().agents}
        assert agents.isdisjoint(account.address for account in made.state().accounts)
        assert agents.isdisjoint(made.state().retired)
        for agent in made.state().agents:
            expected = Actor(agent.master, agent.master, True)
            assert (made.actor(agent.address, None, now_ms) == expected) is (now_ms < agent.valid_until_ms)
