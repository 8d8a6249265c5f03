"""What moved money in or out of an account, from its ledger (venue reference section 3.2, userNonFundingLedgerUpdates).

Shapes as recorded in 2025 for deposits, class and spot transfers; the others are as documented (unverified). An entry
of a kind that is not known here, or that names no amount, has an amount that is unavailable, never 0: whoever counts
equity must say so. Money between the perpetuals and the spot balances of the same account moves nothing.

Needs no compiled code, so that the watchdog may use it.
"""

from __future__ import annotations

import msgspec

from hlhft.hyperliquid.reading import INT64_MAX, MICRO_DECIMALS, TEXT_MAX, TimeMs, whole_units
from hlhft.hyperliquid.wire import ns_of

USDC = "USDC"
# What a kind does to the account, and which of its amounts says so.
_IN = frozenset({"deposit", "vaultWithdraw", "vaultDistribution", "vaultLeaderCommission", "rewardsClaim"})
_OUT = frozenset({"withdraw", "vaultDeposit", "vaultCreate"})
_BY_SIDE = frozenset({"internalTransfer", "subAccountTransfer", "spotTransfer", "send"})
_WITHIN = frozenset({"accountClassTransfer"})


class Transfer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One entry of the ledger. `amount_micro` is what it added to the account, perpetuals and spot together, in
    micro-USDC, cut toward zero and below 0 when money left; None where that is not told. `token` is what was moved, and
    `counterparty` the address at the other end, "" without one."""

    kind: str
    ts_ns: int
    hash: str
    amount_micro: int | None
    token: str
    counterparty: str
    text: str  # as it came, cut to TEXT_MAX characters


class _Delta(msgspec.Struct):
    type: str
    usdc: str | None = None
    amount: str | None = None
    value: str | None = msgspec.field(default=None, name="usdcValue")
    net: str | None = msgspec.field(default=None, name="netWithdrawnUsd")
    token: str | None = None
    user: str | None = None
    destination: str | None = None
    fee: str | None = None


class ToldTransfer(msgspec.Struct):
    """An entry as the venue writes it."""

    time: TimeMs
    hash: str
    delta: msgspec.Raw


_DELTA = msgspec.json.Decoder(_Delta)


def transfer_of(told: ToldTransfer, user: str) -> Transfer:
    """What an entry of the ledger of `user` means for that account. Raises one of `reading.UNDECODABLE`."""
    delta = _DELTA.decode(told.delta)
    own, sender, receiver = user.lower(), (delta.user or "").lower(), (delta.destination or "").lower()
    return Transfer(
        kind=delta.type,
        ts_ns=ns_of(told.time),
        hash=told.hash,
        amount_micro=_amount_micro(delta, is_sender=sender == own, is_receiver=receiver == own),
        token=delta.token or USDC,
        counterparty=receiver if sender == own else sender,
        text=bytes(told.delta)[:TEXT_MAX].decode(errors="replace"),
    )


def _amount_micro(delta: _Delta, *, is_sender: bool, is_receiver: bool) -> int | None:
    """What the entry adds; the sender pays the fee on top (unverified)."""
    if delta.type in _WITHIN:
        return 0
    worth = _worth_micro(delta)
    if worth is None:
        return None
    if delta.type in _IN:
        return worth
    fee = 0 if delta.fee is None else _micro(delta.fee)
    if fee is None:
        return None
    if delta.type in _OUT:
        return -worth - fee
    if delta.type not in _BY_SIDE or not (is_sender or is_receiver):
        return None
    return is_receiver * worth - is_sender * (worth + fee)


def _worth_micro(delta: _Delta) -> int | None:
    """The size of what was moved in micro-USDC, by the venue's own valuation for other tokens."""
    if delta.token in (None, USDC):
        text = next((one for one in (delta.usdc, delta.net, delta.amount) if one is not None), None)
        return None if text is None else _micro(text)
    # A value of nothing is what the venue says of a token that it cannot value.
    worth = None if delta.value is None else _micro(delta.value)
    return worth or None


def _micro(text: str) -> int | None:
    number, fault = whole_units(text, MICRO_DECIMALS, INT64_MAX, cut=True)
    return None if fault else number
