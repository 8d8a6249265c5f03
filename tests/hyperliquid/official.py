"""The official SDK's way to hash and to sign, as functions of the same arguments as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hyperliquid.utils import signing as sdk

PREFIX = "HyperliquidTransaction:"
CHAIN = {"name": "hyperliquidChain", "type": "string"}
NONCE = {"name": "nonce", "type": "uint64"}
# What the SDK keeps inside its functions, and what only other clients send.
INLINE: dict[str, tuple[str, list[dict[str, str]]]] = {
    "approveAgent": (
        "ApproveAgent",
        [CHAIN, {"name": "agentAddress", "type": "address"}, {"name": "agentName", "type": "string"}, NONCE],
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        [CHAIN, {"name": "maxFeeRate", "type": "string"}, {"name": "builder", "type": "address"}, NONCE],
    ),
    "cDeposit": ("CDeposit", [CHAIN, {"name": "wei", "type": "uint64"}, NONCE]),
    "cWithdraw": ("CWithdraw", [CHAIN, {"name": "wei", "type": "uint64"}, NONCE]),
}
TYPES: dict[str, tuple[str, list[dict[str, str]]]] = {
    "usdSend": ("UsdSend", sdk.USD_SEND_SIGN_TYPES),
    "spotSend": ("SpotSend", sdk.SPOT_TRANSFER_SIGN_TYPES),
    "withdraw3": ("Withdraw", sdk.WITHDRAW_SIGN_TYPES),
    "usdClassTransfer": ("UsdClassTransfer", sdk.USD_CLASS_TRANSFER_SIGN_TYPES),
    "sendAsset": ("SendAsset", sdk.SEND_ASSET_SIGN_TYPES),
    "tokenDelegate": ("TokenDelegate", sdk.TOKEN_DELEGATE_TYPES),
    "userDexAbstraction": ("UserDexAbstraction", sdk.USER_DEX_ABSTRACTION_SIGN_TYPES),
    "userSetAbstraction": ("UserSetAbstraction", sdk.USER_SET_ABSTRACTION_SIGN_TYPES),
    "convertToMultiSigUser": ("ConvertToMultiSigUser", sdk.CONVERT_TO_MULTI_SIG_USER_SIGN_TYPES),
    **INLINE,
}


def digest_of(payload: dict[str, Any]) -> bytes:
    """The 32 bytes that eth_account signs for this typed data."""
    message = encode_typed_data(full_message=payload)
    return bytes(keccak(b"\x19" + message.version + message.header + message.body))


def l1_digest(
    action: Mapping[str, Any], *, nonce: int, vault_address: str | None, expires_after_ms: int | None, mainnet: bool
) -> bytes:
    connection_id = sdk.action_hash(action, vault_address, nonce, expires_after_ms)
    return digest_of(sdk.l1_payload(sdk.construct_phantom_agent(connection_id, mainnet)))


def user_signed_digest(action: Mapping[str, Any]) -> bytes:
    primary, fields = TYPES[action["type"]]
    return digest_of(sdk.user_signed_payload(PREFIX + primary, fields, dict(action)))


def sign_l1(
    key: bytes,
    action: Mapping[str, Any],
    *,
    nonce: int,
    vault_address: str | None,
    expires_after_ms: int | None,
    mainnet: bool,
) -> dict[str, Any]:
    made: dict[str, Any] = sdk.sign_l1_action(
        Account.from_key(key), action, vault_address, nonce, expires_after_ms, mainnet
    )
    return made
