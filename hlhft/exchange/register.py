"""Who is who, and who may still ask for how much: the directory that answers are made from.

Joins the addresses, the client order ids and the limits into what `hlhft.exchange.directory.Directory` asks for.
"""

from __future__ import annotations

from collections.abc import Callable

from hlhft.exchange.addresses import Addresses
from hlhft.exchange.client_ids import ClientIds
from hlhft.exchange.directory import Agent, Budget, SubAccount


class Register:
    """A view of registers that others change: `budget` tells an account's requests, `now_ms` the block's time."""

    def __init__(
        self,
        addresses: Addresses,
        client_ids: ClientIds,
        *,
        budget: Callable[[int], Budget],
        now_ms: Callable[[], int],
    ) -> None:
        self.addresses = addresses
        self.client_ids = client_ids
        self._budget = budget
        self._now_ms = now_ms

    def address_of(self, account: int) -> str:
        """The account's address; accounts of the order flow have one that nobody can sign for."""
        if account < len(self.addresses):
            return self.addresses.address(account)
        return f"0x{account:040x}"

    def account_of(self, address: str) -> int | None:
        """The account of a master or sub-account address; None for every other one, agents included."""
        return self.addresses.number(address)

    def cloid_of(self, client_id: int) -> str | None:
        """The client order id on the wire of the kernel's `client_id`; None for 0 and unknown ones."""
        return self.client_ids.cloid_of(client_id)

    def client_id_of(self, account: int, cloid: int) -> int:
        """The kernel's number of the account's latest order called `cloid`; 0 when there is none."""
        return self.client_ids.find(account, cloid)

    def role_of(self, address: str) -> tuple[str, str | None]:
        """The role of an address, and the address of its user or master."""
        role = self.addresses.role(address, self._now_ms())
        data = role.get("data", {})
        return role["role"], data.get("user") or data.get("master")

    def agents_of(self, account: int, now_ms: int) -> list[Agent]:
        """The account's agents that have not expired, in order of approval."""
        agents = self.addresses.agents(account, now_ms)
        return [Agent(agent.name, agent.address, agent.valid_until_ms) for agent in agents]

    def sub_accounts_of(self, account: int) -> list[SubAccount]:
        """The account's sub-accounts, oldest first."""
        return [SubAccount(one.name, one.address, number) for number, one in self.addresses.sub_accounts(account)]

    def builder_rate_of(self, account: int, builder: str) -> int:
        """The highest fee that the account allows the builder, in tenths of a basis point; 0 none."""
        return self.addresses.builder_rate_max(account, builder)

    def budget_of(self, account: int) -> Budget:
        """The account's requests."""
        return self._budget(account)

    def abstraction_of(self, account: int) -> str:
        """Every account is of the kind that market makers use: its balances are where they were put."""
        return "default"
