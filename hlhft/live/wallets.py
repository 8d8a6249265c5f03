"""API wallets approved by the account that they trade for, at an exchange of one's own: for rehearsals.

On the real venue a person approves them, with the account's own key, which is never on the machine.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from hlhft.hyperliquid import account as answers
from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid.account_requests import InfoKind
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.signing import Signer, user_signed_digest
from hlhft.live.asking import Venue


class WalletError(Exception):
    """A wallet that the exchange does not approve, or an exchange that does not say; the message is one sentence."""


def is_approved(venue: Venue, owner: str, wallet: str) -> bool:
    """Whether the exchange knows `wallet` as an API wallet of `owner`, both addresses. Raises WalletError."""
    answer = venue.info(requests.of_user(InfoKind.ROLE, wallet.lower()).body)
    role = Fault.UNREADABLE if answer.body is None else answers.role(answer.body)
    if isinstance(role, Fault):
        raise WalletError(f"{venue.base_url} does not say whose wallet {wallet} is: {answer.fault or MEANING[role]}")
    return role.kind == "agent" and (role.of or "").lower() == owner.lower()


def approve(venue: Venue, owner: Signer, name: str, wallet: str) -> None:
    """Approves the address `wallet` as the owner's API wallet of that name, in place of an earlier one of it.

    Raises WalletError.
    """
    nonce = time.time_ns() // 1_000_000
    action: dict[str, Any] = {
        "type": "approveAgent", "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet",
        "agentAddress": wallet, "agentName": name, "nonce": nonce,
    }  # fmt: skip
    signature = owner.sign(user_signed_digest(action)).wire()
    answer = venue.exchange(msgspec.json.encode({"action": action, "nonce": nonce, "signature": signature}))
    told = msgspec.json.decode(answer.body) if answer.body is not None else {"response": answer.fault}
    if told.get("status") != "ok":
        raise WalletError(f"the exchange does not approve the {name}'s API wallet: {told.get('response')}")
