"""Everything that an account does beside its orders, as legs; the table of all actions.

Source: venue reference sections 4.3 and 5.2. An action that means nothing on this exchange is answered as done with
nothing done, or refused in words of our own; the table says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hlhft.exchange import actions
from hlhft.exchange.actions import Action
from hlhft.exchange.addresses import INSURANCE_VAULT
from hlhft.exchange.order_plans import (
    NUMBERS,
    UNKNOWN_ASSET,
    asset_suffix,
    plan_cancels,
    plan_modifies,
    plan_modify,
    plan_orders,
    read_size,
)
from hlhft.exchange.plans import Form, Leg, Plan, Refused, Scope
from hlhft.hyperliquid.wire import MS_MAX, WireError, ns_of, read_number
from hlhft.venue.blocks import ActionKind
from hlhft.venue.refusals import TEXT, Refusal

REQUEST_MICRO = 500  # one request of the address limit costs 0.0005 USDC (venue reference section 4.3)
AMOUNT_MAX = 2**60
TOKEN_DECIMALS = 8  # of the spot ledger's units
USDC_DECIMALS = 6
MINUTE_NS = 60_000_000_000
USDC = "USDC"
SPOT_DEX = "spot"

# Ours where the venue's words are unverified.
NOT_A_SUB_ACCOUNT = "Sub-account {} is not registered."
VAULT_NOT_REGISTERED = "Vault not registered: {}"
NOT_LISTED = "Token {} does not exist."
NO_SUCH_ROUTE = "Cannot send {} from dex {!r} to dex {!r}."
OTHER_ACCOUNT = "An agent can only move funds within its account."
NOT_SUPPORTED = "{} is not supported by this exchange."

Planner = Callable[[Any, Scope], Plan | Refused]


def plan(action: Action, scope: Scope) -> Plan | Refused:
    """The legs of any action, or the words that refuse it as a whole."""
    return PLANNERS[type(action)](action, scope)


def _default(*legs: Leg, after: Callable[[], object] | None = None) -> Plan:
    return Plan(form=Form.DEFAULT, legs=legs, items=range(len(legs)), after=after)


def _nothing(action: Action, scope: Scope) -> Plan:
    return _default({"kind": ActionKind.NOOP})


def _unsupported(action: Action, scope: Scope) -> Refused:
    return Refused(NOT_SUPPORTED.format(type(action).__struct_config__.tag))


def _market_leg(kind: ActionKind, asset: int, scope: Scope, **fields: int) -> Plan | Refused:
    place = scope.listing.row_of_asset(asset)
    if place is None:
        return Refused(UNKNOWN_ASSET.format(asset))
    return _default({"kind": kind, "market": place, **fields})


def _schedule_cancel(action: actions.ScheduleCancel, scope: Scope) -> Plan | Refused:
    # A time of 0 would take the schedule back; whoever sends it meant a time long ago.
    time_ms = 0 if action.time is None else min(max(action.time, 1), MS_MAX)
    return _default({"kind": ActionKind.SCHEDULE_CANCEL, "amount": ns_of(time_ms)})


def _twap_order(action: actions.TwapOrder, scope: Scope) -> Plan | Refused:
    twap = action.twap
    place = scope.listing.row_of_asset(twap.a)
    if place is None:
        return Refused(UNKNOWN_ASSET.format(twap.a))
    lots = read_size(twap.s, scope.listing.markets[place].market)
    if isinstance(lots, str):
        return Plan(form=Form.TWAP_ORDER, items=[asset_suffix(lots, twap.a)])
    leg = {
        "kind": ActionKind.PLACE_TWAP,
        "market": place,
        "side": 1 if twap.b else -1,
        "size_lots": lots,
        "reduce_only": int(twap.r),
        # No duration is so long that it leaves 64 bits and none so long is allowed.
        "duration_ns": min(twap.m, 10**6) * MINUTE_NS,
        "randomize": int(twap.t),
    }
    return Plan(form=Form.TWAP_ORDER, legs=[leg], items=[0], detail=str(twap.m))


def _twap_cancel(action: actions.TwapCancel, scope: Scope) -> Plan | Refused:
    place = scope.listing.row_of_asset(action.a)
    if place is None:
        return Refused(UNKNOWN_ASSET.format(action.a))
    return Plan(
        form=Form.TWAP_CANCEL,
        legs=[{"kind": ActionKind.CANCEL_TWAP, "market": place, "target_id": action.t}],
        items=[0],
    )


def _update_leverage(action: actions.UpdateLeverage, scope: Scope) -> Plan | Refused:
    return _market_leg(
        ActionKind.UPDATE_LEVERAGE, action.asset, scope, amount=action.leverage, side=int(action.is_cross)
    )


def _update_isolated_margin(action: actions.UpdateIsolatedMargin, scope: Scope) -> Plan | Refused:
    return _market_leg(ActionKind.UPDATE_ISOLATED_MARGIN, action.asset, scope, amount=action.ntli)


def _reserve_request_weight(action: actions.ReserveRequestWeight, scope: Scope) -> Plan | Refused:
    address = action.destination.lower() if action.destination is not None else None
    account = scope.account if address is None else scope.addresses.number(address)
    if account is None:
        return Refused(f"Must deposit before performing actions. User: {address}")
    leg = {
        "kind": ActionKind.TRANSFER_COLLATERAL,
        "counterparty": INSURANCE_VAULT,
        "amount": action.weight * REQUEST_MICRO,
    }
    reserve, weight = scope.reserve_requests, action.weight
    return _default(leg, after=lambda: reserve(account, weight))


def _create_sub_account(action: actions.CreateSubAccount, scope: Scope) -> Plan | Refused:
    made = scope.addresses.create_sub_account(scope.signer_account, action.name, volume_micro=scope.volume_micro)
    if isinstance(made, str):
        return Refused(made)
    address = scope.addresses.address(made)
    scope.masters[made] = scope.signer_account
    return Plan(form=Form.CREATE_SUB_ACCOUNT, legs=[{"kind": ActionKind.NOOP}], items=[0], detail=address)


def _sub_account(address: str, scope: Scope) -> int | Refused:
    account = scope.addresses.number(address.lower())
    if account is None or scope.addresses.master(account) != scope.signer_account or account == scope.signer_account:
        return Refused(NOT_A_SUB_ACCOUNT.format(address.lower()))
    return account


def _between(scope: Scope, other: int, *, is_deposit: bool) -> dict[str, int]:
    """Who pays and who receives between a master and its sub-account."""
    master = scope.signer_account
    return {"account": master, "counterparty": other} if is_deposit else {"account": other, "counterparty": master}


def _sub_account_transfer(action: actions.SubAccountTransfer, scope: Scope) -> Plan | Refused:
    other = _sub_account(action.sub_account_user, scope)
    if isinstance(other, Refused):
        return other
    parties = _between(scope, other, is_deposit=action.is_deposit)
    return _default({"kind": ActionKind.TRANSFER_COLLATERAL, **parties, "amount": action.usd})


def _sub_account_spot_transfer(action: actions.SubAccountSpotTransfer, scope: Scope) -> Plan | Refused:
    other = _sub_account(action.sub_account_user, scope)
    if isinstance(other, Refused):
        return other
    parties = _between(scope, other, is_deposit=action.is_deposit)
    return _token_leg(action.token, action.amount, scope, parties)


def _vault_transfer(action: actions.VaultTransfer, scope: Scope) -> Plan | Refused:
    return Refused(VAULT_NOT_REGISTERED.format(action.vault_address.lower()))


def _amount(text: str, decimals: int) -> int | Refused:
    try:
        amount = read_number(text, decimals, maximum=AMOUNT_MAX, rules=NUMBERS)
    except WireError:
        return Refused(TEXT[Refusal.INVALID_AMOUNT])
    return amount if amount > 0 else Refused(TEXT[Refusal.INVALID_AMOUNT])


def _token_leg(token: str, text: str, scope: Scope, parties: Mapping[str, int]) -> Plan | Refused:
    found = next((one for one in scope.listing.tokens if token in (one.name, f"{one.name}:{one.token_id}")), None)
    if found is None:
        return Refused(NOT_LISTED.format(token))
    amount = _amount(text, TOKEN_DECIMALS)
    if isinstance(amount, Refused):
        return amount
    return _default({"kind": ActionKind.TRANSFER_TOKEN, **parties, "token": found.index, "amount": amount})


def _destination(address: str, scope: Scope) -> int | Refused:
    """The account that receives; it is opened when there is none."""
    account = scope.addresses.open(address.lower())
    return Refused(account) if isinstance(account, str) else account


def _usd_leg(kind: ActionKind, text: str, **fields: int) -> Plan | Refused:
    amount = _amount(text, USDC_DECIMALS)
    return amount if isinstance(amount, Refused) else _default({"kind": kind, "amount": amount, **fields})


def _usd_send(action: actions.UsdSend, scope: Scope) -> Plan | Refused:
    destination = _destination(action.destination, scope)
    if isinstance(destination, Refused):
        return destination
    return _usd_leg(ActionKind.TRANSFER_COLLATERAL, action.amount, counterparty=destination)


def _spot_send(action: actions.SpotSend, scope: Scope) -> Plan | Refused:
    destination = _destination(action.destination, scope)
    if isinstance(destination, Refused):
        return destination
    return _token_leg(action.token, action.amount, scope, {"counterparty": destination})


def _withdraw(action: actions.Withdraw, scope: Scope) -> Plan | Refused:
    return _usd_leg(ActionKind.WITHDRAW, action.amount)


def _usd_class_transfer(action: actions.UsdClassTransfer, scope: Scope) -> Plan | Refused:
    amount, separator, address = action.amount.partition(" subaccount:")
    account = _sub_account(address, scope) if separator else scope.account
    if isinstance(account, Refused):
        return account
    return _usd_leg(ActionKind.TRANSFER_CLASS, amount, account=account, side=1 if action.to_perp else -1)


def _send_asset(action: actions.SendAsset | actions.AgentSendAsset, scope: Scope) -> Plan | Refused:
    source = _sub_account(action.from_sub_account, scope) if action.from_sub_account else scope.account
    if isinstance(source, Refused):
        return source
    if isinstance(action, actions.AgentSendAsset):
        owner = scope.addresses.number(action.destination.lower())
        if owner != source:
            return Refused(OTHER_ACCOUNT)
    destination = _destination(action.destination, scope)
    if isinstance(destination, Refused):
        return destination
    route = (action.source_dex, action.destination_dex)
    is_usdc = action.token.partition(":")[0] == USDC
    if route == (SPOT_DEX, SPOT_DEX):
        return _token_leg(action.token, action.amount, scope, {"account": source, "counterparty": destination})
    if is_usdc and route == ("", ""):
        return _usd_leg(ActionKind.TRANSFER_COLLATERAL, action.amount, account=source, counterparty=destination)
    if is_usdc and source == destination and set(route) == {"", SPOT_DEX}:
        side = 1 if route == (SPOT_DEX, "") else -1
        return _usd_leg(ActionKind.TRANSFER_CLASS, action.amount, account=source, side=side)
    return Refused(NO_SUCH_ROUTE.format(action.token, *route))


def _approve_agent(action: actions.ApproveAgent, scope: Scope) -> Plan | Refused:
    refusal = scope.addresses.approve_agent(
        scope.account, action.agent_address.lower(), action.agent_name, scope.now_ms
    )
    return Refused(refusal) if refusal is not None else _default({"kind": ActionKind.NOOP})


def _approve_builder_fee(action: actions.ApproveBuilderFee, scope: Scope) -> Plan | Refused:
    # A builder that a client names by default has long been at the venue; here its account begins with an approval.
    builder = _destination(action.builder, scope)
    if isinstance(builder, Refused):
        return builder
    refusal = scope.addresses.approve_builder_fee(scope.account, action.builder.lower(), action.max_fee_rate)
    return Refused(refusal) if refusal is not None else _default({"kind": ActionKind.NOOP})


# What each action becomes. `_nothing`: answered as done, nothing changes. `_unsupported`: refused.
PLANNERS: Mapping[type, Planner] = {
    actions.PlaceOrders: plan_orders,
    actions.Cancel: plan_cancels,
    actions.CancelByCloid: plan_cancels,
    actions.Modify: plan_modify,
    actions.BatchModify: plan_modifies,
    actions.ScheduleCancel: _schedule_cancel,
    actions.Noop: _nothing,
    actions.TwapOrder: _twap_order,
    actions.TwapCancel: _twap_cancel,
    actions.UpdateLeverage: _update_leverage,
    actions.UpdateIsolatedMargin: _update_isolated_margin,
    actions.TopUpIsolatedOnlyMargin: _unsupported,
    actions.ReserveRequestWeight: _reserve_request_weight,
    actions.CreateSubAccount: _create_sub_account,
    actions.SubAccountTransfer: _sub_account_transfer,
    actions.SubAccountSpotTransfer: _sub_account_spot_transfer,
    actions.VaultTransfer: _vault_transfer,
    actions.SetReferrer: _nothing,
    actions.AgentSetAbstraction: _nothing,
    actions.AgentEnableDexAbstraction: _nothing,
    actions.AgentSendAsset: _send_asset,
    actions.GossipPriorityBid: _unsupported,
    actions.EvmUserModify: _nothing,
    actions.ClaimRewards: _nothing,
    actions.UsdSend: _usd_send,
    actions.SpotSend: _spot_send,
    actions.Withdraw: _withdraw,
    actions.UsdClassTransfer: _usd_class_transfer,
    actions.SendAsset: _send_asset,
    actions.ApproveAgent: _approve_agent,
    actions.ApproveBuilderFee: _approve_builder_fee,
    actions.UserSetAbstraction: _nothing,
    actions.UserDexAbstraction: _nothing,
    actions.TokenDelegate: _unsupported,
}
