"""What answers need to know of who is who and of limits, whoever keeps it."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Agent(NamedTuple):
    """An API wallet."""

    name: str  # of the unnamed one the empty text
    address: str
    valid_until_ms: int


class SubAccount(NamedTuple):
    """A sub-account of a master."""

    name: str
    address: str
    account: int


class Budget(NamedTuple):
    """An account's requests: used, allowed, bought besides, and the volume they come of in micro-USDC."""

    used: int
    allowed: int
    surplus: int
    volume_micro: int


class Directory(Protocol):
    """Addresses, agents, sub-accounts, approvals and budgets. Addresses are lower-case texts."""

    def address_of(self, account: int) -> str:
        """The account's address."""

    def account_of(self, address: str) -> int | None:
        """The account of a master or sub-account address; None for every other one, agents included."""

    def cloid_of(self, client_id: int) -> str | None:
        """The client order id on the wire of the kernel's `client_id`; None for 0 and unknown ones."""

    def client_id_of(self, account: int, cloid: int) -> int:
        """The kernel's number of the account's latest order called `cloid`; 0 when there is none."""

    def role_of(self, address: str) -> tuple[str, str | None]:
        """("user", None), ("agent", address of its user), ("subAccount", address of its master), ("vault", None) or
        ("missing", None)."""

    def agents_of(self, account: int, now_ms: int) -> list[Agent]:
        """The account's agents that have not expired, in order of approval."""

    def sub_accounts_of(self, account: int) -> list[SubAccount]:
        """The account's sub-accounts, oldest first."""

    def builder_rate_of(self, account: int, builder: str) -> int:
        """The highest fee that the account allows the builder, in tenths of a basis point; 0 none."""

    def budget_of(self, account: int) -> Budget:
        """The account's requests."""

    def abstraction_of(self, account: int) -> str:
        """The account's abstraction mode on the wire, "default" unless it chose one."""
