"""The actions of `POST /exchange` as types: what deserialises, and what does not.

Source: venue reference sections 4.1 to 4.3. Types are strict, a field that an action does not have is refused, and so
is one that is missing: the venue answers 422 to both (section 1). What a number text means is another module's
business; here it is only kept short.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Unsigned32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Unsigned63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Signed63 = Annotated[int, Meta(ge=-(2**63) + 1, le=2**63 - 1)]
# Plain decimal notation; whether it is in the form that is signed, `hashed` looks at.
NumberText = Annotated[str, Meta(pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$", max_length=48)]
Text = Annotated[str, Meta(max_length=128)]
# Addresses are hashed as they are written, lower-case or not (venue reference section 5.1).
AddressText = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")]
CloidText = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{32}$")]


class Shape(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Part of an action."""


class Signed(Shape, tag_field="type"):
    """An action, told from the others by its `type`."""


class Limit(Shape):
    """How long a limit order lives."""

    tif: Literal["Alo", "Ioc", "Gtc", "FrontendMarket"]


class Trigger(Shape):
    """When an order that waits is executed."""

    is_market: bool
    trigger_px: NumberText
    tpsl: Literal["tp", "sl"]


class OrderType(Shape):
    """Exactly one of the two."""

    limit: Limit | None = None
    trigger: Trigger | None = None

    def __post_init__(self) -> None:
        if (self.limit is None) == (self.trigger is None):
            raise ValueError("expected exactly one of `limit` and `trigger`")


class Order(Shape):
    """One order: asset, side, price, size, reduce-only, type, the client's own id."""

    a: Unsigned32
    b: bool
    p: NumberText
    s: NumberText
    r: bool
    t: OrderType
    c: CloidText | None = None


class Priority(Shape):
    """The rate paid for priority in 1e-8 of the notional (venue reference section 9)."""

    p: Unsigned32


class Builder(Shape):
    """Who gets a builder fee, and its rate in tenths of a basis point."""

    b: AddressText
    f: Unsigned32


class PlaceOrders(Signed, tag="order"):
    """Orders; each gets a status of its own."""

    orders: list[Order]
    grouping: Literal["na", "normalTpsl", "positionTpsl"] | Priority
    builder: Builder | None = None


class CancelTarget(Shape):
    """An order by the venue's id."""

    a: Unsigned32
    o: Unsigned63


class Cancel(Signed, tag="cancel"):
    """Cancels by the venue's ids."""

    cancels: list[CancelTarget]
    f: bool = False


class CloidTarget(Shape):
    """An order by the client's id."""

    asset: Unsigned32
    cloid: CloidText


class CancelByCloid(Signed, tag="cancelByCloid"):
    """Cancels by the client's ids."""

    cancels: list[CloidTarget]
    f: bool = False


class Modification(Shape):
    """Which order, and the one that takes its place."""

    oid: Unsigned63 | CloidText
    order: Order


class Modify(Signed, tag="modify"):
    """One modification."""

    oid: Unsigned63 | CloidText
    order: Order
    a: bool = False


class BatchModify(Signed, tag="batchModify"):
    """Modifications; each gets a status of its own."""

    modifies: list[Modification]
    a: bool = False


class ScheduleCancel(Signed, tag="scheduleCancel"):
    """Cancel everything at `time` in ms; without it, no longer."""

    time: Unsigned63 | None = None


class Noop(Signed, tag="noop"):
    """Uses its nonce up and does nothing else."""


class Twap(Shape):
    """What to execute over `m` minutes."""

    a: Unsigned32
    b: bool
    s: NumberText
    r: bool
    m: Unsigned32
    t: bool


class TwapOrder(Signed, tag="twapOrder"):
    """A TWAP begins."""

    twap: Twap


class TwapCancel(Signed, tag="twapCancel"):
    """A TWAP ends."""

    a: Unsigned32
    t: Unsigned63


class UpdateLeverage(Signed, tag="updateLeverage"):
    """Leverage and kind of margin of one market."""

    asset: Unsigned32
    is_cross: bool
    leverage: Unsigned32


class UpdateIsolatedMargin(Signed, tag="updateIsolatedMargin"):
    """Moves `ntli` micro-USDC, signed, into an isolated position."""

    asset: Unsigned32
    is_buy: bool
    ntli: Signed63


class TopUpIsolatedOnlyMargin(Signed, tag="topUpIsolatedOnlyMargin"):
    """Moves margin into an isolated position until it has the leverage."""

    asset: Unsigned32
    leverage: NumberText


class ReserveRequestWeight(Signed, tag="reserveRequestWeight"):
    """Buys requests of the address limit."""

    weight: Unsigned32
    destination: AddressText | None = None


class CreateSubAccount(Signed, tag="createSubAccount"):
    """A new sub-account."""

    name: Text


class SubAccountTransfer(Signed, tag="subAccountTransfer"):
    """Micro-USDC between an account and its sub-account."""

    sub_account_user: AddressText
    is_deposit: bool
    usd: Unsigned63


class SubAccountSpotTransfer(Signed, tag="subAccountSpotTransfer"):
    """A token between an account and its sub-account."""

    sub_account_user: AddressText
    is_deposit: bool
    token: Text
    amount: NumberText


class VaultTransfer(Signed, tag="vaultTransfer"):
    """Micro-USDC between an account and a vault."""

    vault_address: AddressText
    is_deposit: bool
    usd: Unsigned63


class SetReferrer(Signed, tag="setReferrer"):
    """Names the referrer."""

    code: Text


class AgentSetAbstraction(Signed, tag="agentSetAbstraction"):
    """The account's mode, set by an agent."""

    abstraction: Literal["i", "u", "p"]


class AgentEnableDexAbstraction(Signed, tag="agentEnableDexAbstraction"):
    """An older form of the same."""


class AgentSendAsset(Signed, tag="agentSendAsset"):
    """Funds between the dexs of one account, moved by an agent."""

    destination: AddressText
    source_dex: Text
    destination_dex: Text
    token: Text
    amount: NumberText
    from_sub_account: Text
    nonce: Unsigned63


class GossipPriorityBid(Signed, tag="gossipPriorityBid"):
    """A bid for read priority, which has no meaning here."""

    slot_id: Literal[0, 1]
    ip: Text
    max_gas: Unsigned63


class EvmUserModify(Signed, tag="evmUserModify"):
    """A setting of the venue's other half, which is not here."""

    using_big_blocks: bool


class ClaimRewards(Signed, tag="claimRewards"):
    """Claims referral rewards, of which there are none."""


class UserSigned(Signed):
    """An action that only the owner of the account can sign, never an agent (venue reference section 5.2)."""

    signature_chain_id: Text
    hyperliquid_chain: Text


class UsdSend(UserSigned, tag="usdSend"):
    """USDC to another account."""

    destination: AddressText
    amount: NumberText
    time: Unsigned63


class SpotSend(UserSigned, tag="spotSend"):
    """A token to another account."""

    destination: AddressText
    token: Text
    amount: NumberText
    time: Unsigned63


class Withdraw(UserSigned, tag="withdraw3"):
    """USDC that leaves the exchange."""

    destination: AddressText
    amount: NumberText
    time: Unsigned63


class UsdClassTransfer(UserSigned, tag="usdClassTransfer"):
    """USDC between perpetuals and spot; the amount may name a sub-account."""

    amount: Annotated[str, Meta(min_length=1, max_length=100)]
    to_perp: bool
    nonce: Unsigned63


class SendAsset(UserSigned, tag="sendAsset"):
    """A token between accounts, sub-accounts and dexs."""

    destination: AddressText
    source_dex: Text
    destination_dex: Text
    token: Text
    amount: NumberText
    from_sub_account: Text
    nonce: Unsigned63


class ApproveAgent(UserSigned, tag="approveAgent"):
    """Lets another key act for the account."""

    agent_address: AddressText
    nonce: Unsigned63
    agent_name: Text | None = None


class ApproveBuilderFee(UserSigned, tag="approveBuilderFee"):
    """Lets a builder take a fee of at most this rate, in per cent with its sign."""

    max_fee_rate: Text
    builder: AddressText
    nonce: Unsigned63


class UserSetAbstraction(UserSigned, tag="userSetAbstraction"):
    """The account's mode."""

    user: AddressText
    abstraction: Text
    nonce: Unsigned63


class UserDexAbstraction(UserSigned, tag="userDexAbstraction"):
    """An older form of the same."""

    user: AddressText
    enabled: bool
    nonce: Unsigned63


class TokenDelegate(UserSigned, tag="tokenDelegate"):
    """Staking, which is not here."""

    validator: AddressText
    wei: Unsigned63
    is_undelegate: bool
    nonce: Unsigned63


Action = (
    PlaceOrders
    | Cancel
    | CancelByCloid
    | Modify
    | BatchModify
    | ScheduleCancel
    | Noop
    | TwapOrder
    | TwapCancel
    | UpdateLeverage
    | UpdateIsolatedMargin
    | TopUpIsolatedOnlyMargin
    | ReserveRequestWeight
    | CreateSubAccount
    | SubAccountTransfer
    | SubAccountSpotTransfer
    | VaultTransfer
    | SetReferrer
    | AgentSetAbstraction
    | AgentEnableDexAbstraction
    | AgentSendAsset
    | GossipPriorityBid
    | EvmUserModify
    | ClaimRewards
    | UsdSend
    | SpotSend
    | Withdraw
    | UsdClassTransfer
    | SendAsset
    | ApproveAgent
    | ApproveBuilderFee
    | UserSetAbstraction
    | UserDexAbstraction
    | TokenDelegate
)


def decode(action: dict[str, Any]) -> Action:
    """The action that this JSON object is. Raises msgspec.ValidationError when it is none."""
    decoded: Action = msgspec.convert(action, type=Action)
    return decoded


_DECODER = msgspec.json.Decoder(Action)


def decode_json(action: bytes) -> Action:
    """The same of JSON text. Raises msgspec.DecodeError when it is no JSON, of which ValidationError is a kind."""
    decoded: Action = _DECODER.decode(action)
    return decoded


def legs_of(action: Action) -> int:
    """How many requests the action counts for: its orders or cancels, at least 1 (venue reference section 7)."""
    if isinstance(action, PlaceOrders):
        return max(1, len(action.orders))
    if isinstance(action, Cancel | CancelByCloid):
        return max(1, len(action.cancels))
    if isinstance(action, BatchModify):
        return max(1, len(action.modifies))
    return 1


def block_class(action: Action) -> int:
    """Where a block executes it: 0 no GTC or IOC order in it, 1 cancels, 2 the rest (venue reference section 8)."""
    if isinstance(action, Cancel | CancelByCloid):
        return 1
    orders: list[Order] = []
    if isinstance(action, PlaceOrders):
        orders = action.orders
    elif isinstance(action, Modify):
        orders = [action.order]
    elif isinstance(action, BatchModify):
        orders = [one.order for one in action.modifies]
    return 2 if any(order.t.limit is not None and order.t.limit.tif != "Alo" for order in orders) else 0


def hashed(action: dict[str, Any]) -> dict[str, Any]:
    """The action as the venue hashes it: flags only when they are true, numbers of orders without trailing zeros.

    The venue hashes what it understood, not what was sent, so that an explicit false and "100.0" break the signature
    (venue reference sections 2 and 4.2). `action` is one that `decode` takes; it is not changed.
    """
    kind = action["type"]
    flag = _FLAGS.get(kind)
    if flag is not None and action.get(flag) is False:
        action = {key: value for key, value in action.items() if key != flag}
    if kind == "order":
        return _with(action, "orders", [_plain_order(order) for order in action["orders"]])
    if kind == "modify":
        return _with(action, "order", _plain_order(action["order"]))
    if kind == "batchModify":
        return _with(
            action, "modifies", [_with(one, "order", _plain_order(one["order"])) for one in action["modifies"]]
        )
    return action


def _with(old: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    return old if old[key] == value else {**old, key: value}


def _plain_order(order: dict[str, Any]) -> dict[str, Any]:
    price, size = order["p"], order["s"]
    if _PLAIN.match(price) and _PLAIN.match(size):
        return order
    return {**order, "p": _plain_number(price), "s": _plain_number(size)}


def _plain_number(text: str) -> str:
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return whole + ("." + fraction if fraction else "")


_FLAGS = {"cancel": "f", "cancelByCloid": "f", "modify": "a", "batchModify": "a"}
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]*[1-9])?\Z", re.ASCII)
