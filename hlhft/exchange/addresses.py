"""Who is who: addresses and account numbers, masters and their sub-accounts, API wallets, approved builders.

Inside, an account is a dense number: 0 is the insurance vault, others are given in order of creation. Addresses here
are lower-case text (`hlhft.hyperliquid.wire.read_address`). Refusals are returned as the venue's text where the
reference has one (sections 4.3 and 4.4); the other texts are unverified.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from msgspec import Struct

from hlhft.hyperliquid.signing import address_bytes, keccak
from hlhft.hyperliquid.wire import PADDED, ZERO_ADDRESS, WireError, read_number
from hlhft.units import MICRO
from hlhft.venue.chain_state import INSURANCE

DAY_MS = 86_400_000
INSURANCE_VAULT = INSURANCE  # its number

UNKNOWN_TEXT = "User or API Wallet {address} does not exist."
MUST_DEPOSIT_TEXT = "Must deposit before performing actions. User: {address}"
VAULT_TEXT = "Vault not registered: {address}"
# Unverified from here on.
AGENT_USED_TEXT = "Extra agent already used."
AGENT_IS_USER_TEXT = "Cannot use existing user as agent."
AGENT_COUNT_TEXT = "Too many extra agents."
AGENT_NAME_TEXT = "Invalid agent name."
AGENT_EXPIRY_TEXT = "Invalid agent valid_until."
ACCOUNTS_TEXT = "Too many users."
ADDRESS_TEXT = "Invalid address {address}."
SUB_ACCOUNT_VOLUME_TEXT = (
    "Cannot create sub-accounts until enough volume traded. Required: ${required}. Traded: ${traded}."
)
SUB_ACCOUNT_COUNT_TEXT = "Too many sub-accounts."
SUB_ACCOUNT_NAME_TEXT = "Invalid sub-account name."
SUB_ACCOUNT_MASTER_TEXT = "Sub-accounts cannot create sub-accounts."
BUILDER_RATE_TEXT = "Invalid builder fee rate."
BUILDER_COUNT_TEXT = "Too many approved builders."

_VALID_UNTIL = re.compile(r"(.*) valid_until ([0-9]{1,16})\Z", re.ASCII | re.DOTALL)
_RATE_DECIMALS = 3  # "0.001%" is one tenth of a basis point, the unit of an order's builder fee


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSettings:
    """The greatest numbers of everything, and what an API wallet may be called and how long it lives."""

    accounts_max: int = 4096  # the insurance vault and sub-accounts count
    named_agents_max: int = 3
    named_agents_per_sub_account: int = 2
    agent_ms_default: int = 90 * DAY_MS
    agent_ms_max: int = 180 * DAY_MS
    name_characters_max: int = 16  # of agents and sub-accounts; believed, unverified
    retired_agents_max: int = 65_536  # addresses of former agents, the oldest forgotten first
    sub_accounts_max: int = 10  # of one master; unverified
    sub_account_volume_micro: int = 100_000 * MICRO
    builders_max: int = 10  # approved by one account; unverified
    builder_rate_max: int = 1000  # tenths of a basis point: 1 %, the bound on spot
    vault_address: str = "0x" + keccak(b"insurance vault")[12:].hex()


DEFAULTS = AddressSettings()


class Actor(NamedTuple):
    """Who acts for whom: `account` is acted for, `master` is the signer's own account or that of its API wallet."""

    account: int
    master: int
    is_agent: bool


class Agent(Struct, frozen=True):
    """An API wallet of the account `master`; without a name it has the empty one. Valid before `valid_until_ms`."""

    address: str
    master: int
    name: str
    valid_until_ms: int


class Account(Struct, frozen=True):
    """An account; `master` is its own number unless it is a sub-account, which has a name."""

    address: str
    master: int
    name: str = ""


class AddressState(Struct, frozen=True):
    """What a restart needs."""

    accounts: list[Account]
    agents: list[Agent]
    retired: list[str]
    retired_forgotten: int
    builders: dict[int, dict[str, int]]


class Addresses:
    """The register of an exchange. Pure: time is an argument, addresses of sub-accounts follow from their master's."""

    def __init__(self, settings: AddressSettings = DEFAULTS) -> None:
        self.settings = settings
        self.retired_forgotten = 0
        self._accounts = [Account(settings.vault_address, INSURANCE_VAULT)]
        self._numbers = {settings.vault_address: INSURANCE_VAULT}
        self._sub_accounts: dict[int, list[int]] = {}
        self._agents: dict[str, Agent] = {}
        self._agents_of: dict[int, dict[str, str]] = {}  # master -> name -> address
        self._retired: dict[str, None] = {}
        self._builders: dict[int, dict[str, int]] = {}

    # Accounts.

    def __len__(self) -> int:
        return len(self._accounts)

    def number(self, address: str) -> int | None:
        """The account at this address; None when there is none."""
        return self._numbers.get(address)

    def address(self, account: int) -> str:
        """The account's address."""
        return self._accounts[account].address

    def master(self, account: int) -> int:
        """The account's master, itself unless it is a sub-account."""
        return self._accounts[account].master

    def open(self, address: str) -> int | str:
        """The account at this address, created when there is none, as by a deposit; or the refusal.

        The zero address and addresses of API wallets, present or former, get no account.
        """
        found = self._numbers.get(address)
        if found is not None:
            return found
        if address == ZERO_ADDRESS or address in self._agents or address in self._retired:
            return ADDRESS_TEXT.format(address=address)
        return self._add(Account(address, len(self._accounts)))

    def create_sub_account(self, master: int, name: str, *, volume_micro: int) -> int | str:
        """A new sub-account of `master`, which has traded `volume_micro`; or the refusal."""
        settings = self.settings
        if self.master(master) != master:
            return SUB_ACCOUNT_MASTER_TEXT
        if not 0 < len(name) <= settings.name_characters_max:
            return SUB_ACCOUNT_NAME_TEXT
        if volume_micro < settings.sub_account_volume_micro:
            return SUB_ACCOUNT_VOLUME_TEXT.format(
                required=settings.sub_account_volume_micro // MICRO, traded=dollars(volume_micro)
            )
        siblings = self._sub_accounts.get(master, [])
        if len(siblings) >= settings.sub_accounts_max:
            return SUB_ACCOUNT_COUNT_TEXT
        counter = len(siblings) + 1
        address = sub_account_address(self.address(master), counter)
        # Anyone can work the next address out and take it first, by a transfer to it or as an API wallet. Each step
        # costs them an account or an approval, both of which are bounded.
        while address in self._numbers or address in self._agents or address in self._retired:
            counter += 1
            address = sub_account_address(self.address(master), counter)
        return self._add(Account(address, master, name))

    def sub_accounts(self, master: int) -> Iterator[tuple[int, Account]]:
        """Number and account of each sub-account of `master`, in order of creation."""
        return ((number, self._accounts[number]) for number in self._sub_accounts.get(master, ()))

    # Who acts.

    def actor(self, signer: str, vault_address: str | None, now_ms: int, *, user_signed: bool = False) -> Actor | str:
        """Who acts for whom when `signer` signed at block time `now_ms`; or the refusal.

        An API wallet acts for its master in all but user-signed actions, and both for the master's sub-accounts with
        `vault_address`. The insurance vault and sub-accounts have no key, so nobody signs as them.
        """
        found = self._numbers.get(signer)
        is_agent = False
        if found is None or self._accounts[found].master != found or found == INSURANCE_VAULT:
            agent = None if user_signed else self._valid_agent(signer, now_ms)
            if agent is None:
                return (MUST_DEPOSIT_TEXT if user_signed else UNKNOWN_TEXT).format(address=signer)
            found, is_agent = agent.master, True
        if vault_address is None:
            return Actor(found, found, is_agent)
        account = self._numbers.get(vault_address)
        if account is None or account == found or self.master(account) != found:
            return VAULT_TEXT.format(address=vault_address)
        return Actor(account, found, is_agent)

    # API wallets.

    def approve_agent(self, master: int, address: str, name: str | None, now_ms: int) -> str | None:
        """Makes `address` the API wallet of `master` under this name, in the place of any other; or returns the
        refusal.

        No name, or an empty one, is the unnamed API wallet. ` valid_until <ms>` at the end of the name sets the expiry;
        the zero address revokes. An address is an API wallet once: its nonces are forgotten some day, and old actions
        would be valid again.
        """
        parsed = self._name_and_expiry(name or "", now_ms)
        if isinstance(parsed, str):
            return parsed
        base, valid_until_ms = parsed
        self._retire_expired(master, now_ms)
        if address == ZERO_ADDRESS:
            self._retire(master, base)
            return None
        if address in self._numbers:
            return AGENT_IS_USER_TEXT
        if address in self._agents or address in self._retired:
            return AGENT_USED_TEXT
        names = self._agents_of.get(master, {})
        if base and base not in names and sum(1 for other in names if other) >= self.named_agents_max(master):
            return AGENT_COUNT_TEXT
        self._retire(master, base)
        self._agents[address] = Agent(address, master, base, valid_until_ms)
        self._agents_of.setdefault(master, {})[base] = address
        return None

    def named_agents_max(self, master: int) -> int:
        """How many named API wallets the account may have."""
        settings = self.settings
        return settings.named_agents_max + settings.named_agents_per_sub_account * len(
            self._sub_accounts.get(master, ())
        )

    def agents(self, master: int, now_ms: int) -> list[Agent]:
        """The account's valid API wallets in order of approval, the unnamed one included."""
        found = (self._agents[address] for address in self._agents_of.get(master, {}).values())
        return [agent for agent in found if now_ms < agent.valid_until_ms]

    def role(self, address: str, now_ms: int) -> dict[str, Any]:
        """The answer to `userRole`."""
        account = self._numbers.get(address)
        if account == INSURANCE_VAULT:
            return {"role": "vault"}
        if account is not None:
            master = self.master(account)
            if master != account:
                return {"role": "subAccount", "data": {"master": self.address(master)}}
            return {"role": "user"}
        agent = self._valid_agent(address, now_ms)
        if agent is not None:
            return {"role": "agent", "data": {"user": self.address(agent.master)}}
        return {"role": "missing"}

    # Builders.

    def approve_builder_fee(self, account: int, builder: str, rate_text: str) -> str | None:
        """Lets `builder` charge the account up to this rate, text like "0.001%"; "0%" takes it back. Returns None, or
        the refusal."""
        rate = _rate(rate_text, self.settings.builder_rate_max)
        if rate is None:
            return BUILDER_RATE_TEXT
        approved = self._builders.get(account, {})
        if rate == 0:
            approved.pop(builder, None)
            return None
        if builder not in approved and len(approved) >= self.settings.builders_max:
            return BUILDER_COUNT_TEXT
        self._builders.setdefault(account, {})[builder] = rate
        return None

    def builder_rate_max(self, account: int, builder: str) -> int:
        """The answer to `maxBuilderFee`: the highest approved rate in tenths of a basis point, 0 when none is."""
        return self._builders.get(account, {}).get(builder, 0)

    # State.

    def state(self) -> AddressState:
        """A copy of the register, for `from_state`."""
        return AddressState(
            accounts=list(self._accounts),
            agents=list(self._agents.values()),
            retired=list(self._retired),
            retired_forgotten=self.retired_forgotten,
            builders={account: dict(approved) for account, approved in self._builders.items() if approved},
        )

    @classmethod
    def from_state(cls, state: AddressState, settings: AddressSettings = DEFAULTS) -> Addresses:
        """The register as it was."""
        made = cls(settings)
        made._accounts, made._numbers = [], {}
        for account in state.accounts:
            made._register(account)
        for agent in state.agents:
            made._agents[agent.address] = agent
            made._agents_of.setdefault(agent.master, {})[agent.name] = agent.address
        made._retired = dict.fromkeys(state.retired)
        made.retired_forgotten = state.retired_forgotten
        made._builders = {account: dict(approved) for account, approved in state.builders.items()}
        return made

    def _add(self, account: Account) -> int | str:
        if len(self._accounts) >= self.settings.accounts_max:
            return ACCOUNTS_TEXT
        return self._register(account)

    def _register(self, account: Account) -> int:
        number = len(self._accounts)
        assert account.address not in self._numbers, "an address has one account"
        assert account.master <= number, "a master is older than its sub-accounts"
        self._accounts.append(account)
        self._numbers[account.address] = number
        if account.master != number:
            self._sub_accounts.setdefault(account.master, []).append(number)
        return number

    def _valid_agent(self, address: str, now_ms: int) -> Agent | None:
        agent = self._agents.get(address)
        return agent if agent is not None and now_ms < agent.valid_until_ms else None

    def _name_and_expiry(self, name: str, now_ms: int) -> tuple[str, int] | str:
        settings = self.settings
        base, valid_until_ms = name, now_ms + settings.agent_ms_default
        match = _VALID_UNTIL.match(name)
        if match:
            base, valid_until_ms = match[1], int(match[2])
        if len(base) > settings.name_characters_max:
            return AGENT_NAME_TEXT
        if not now_ms < valid_until_ms <= now_ms + settings.agent_ms_max:
            return AGENT_EXPIRY_TEXT
        return base, valid_until_ms

    def _retire_expired(self, master: int, now_ms: int) -> None:
        names = self._agents_of.get(master, {})
        for name in [name for name, address in names.items() if self._agents[address].valid_until_ms <= now_ms]:
            self._retire(master, name)

    def _retire(self, master: int, name: str) -> None:
        """Ends the API wallet of this name, if there is one; its address is never an API wallet again."""
        address = self._agents_of.get(master, {}).pop(name, None)
        if address is None:
            return
        del self._agents[address]
        self._retired[address] = None
        if len(self._retired) > self.settings.retired_agents_max:
            del self._retired[next(iter(self._retired))]
            self.retired_forgotten += 1


def sub_account_address(master: str, counter: int) -> str:
    """The address of a master's sub-account: it follows from the master's address and the count of its sub-accounts."""
    return "0x" + keccak(address_bytes(master) + counter.to_bytes(8, "big"))[12:].hex()


def dollars(micro: int) -> str:
    """Micro-USDC as the venue's texts show them: two decimals, cut."""
    return f"{micro // MICRO}.{micro % MICRO // 10_000:02d}"


def _rate(text: str, maximum: int) -> int | None:
    """A rate like "0.001%" in tenths of a basis point, 0 .. `maximum`; None for anything else."""
    if not text.endswith("%"):
        return None
    try:
        return read_number(text[:-1], _RATE_DECIMALS, maximum=maximum, rules=PADDED)
    except WireError:
        return None
