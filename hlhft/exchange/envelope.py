"""The body of `POST /exchange`: decoded, and whose signature is under it.

Source: venue reference sections 1 and 5. The exchange is no mainnet: whoever signs for another base URL signs with
source "b" and the chain "Testnet", and a signature for mainnet recovers to an address that nobody has.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hlhft.exchange import actions
from hlhft.exchange.actions import Action, AddressText, Unsigned63, UserSigned
from hlhft.exchange.answers import Answer, json_answer, unreadable
from hlhft.exchange.statuses import refused
from hlhft.hyperliquid.signing import (
    SigningError,
    action_hash,
    l1_digest,
    recover_address,
    user_signed_digest,
)

UNABLE_TO_RECOVER = "Unable to recover signer."
NONCE_MISMATCH = "Nonce of the request differs from the action's."  # unverified
EXPIRY_NOT_ALLOWED = "expiresAfter is not supported for this action."  # unverified
OTHER_CHAIN = "Invalid hyperliquidChain"  # unverified
CHAIN = "Testnet"

Scalar = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{1,64}$")]


class SignatureShape(msgspec.Struct, forbid_unknown_fields=True):
    """A signature as it is sent: r and s are not padded."""

    r: Scalar
    s: Scalar
    v: int


class Envelope(msgspec.Struct, rename="camel"):
    """What is around the action; the venue's own front end sends more than this."""

    action: msgspec.Raw
    nonce: Unsigned63
    signature: SignatureShape
    vault_address: AddressText | None = None
    expires_after: Unsigned63 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An action and who asks for it. The signer is whoever the signature recovers to, known or not."""

    action: Action
    signer: str
    nonce: int
    vault_address: str | None
    expires_after_ms: int | None
    hash: str

    @property
    def is_user_signed(self) -> bool:
        """Whether only the owner of an account can ask for it."""
        return isinstance(self.action, UserSigned)


_DECODER = msgspec.json.Decoder(Envelope)


def read_request(body: bytes) -> Request | Answer:
    """The request in the body, or the answer to what is none: 422, or the venue's refusal."""
    try:
        envelope = _DECODER.decode(body)
        action = actions.decode_json(bytes(envelope.action))
        content: dict[str, Any] = msgspec.json.decode(envelope.action)  # keys in the order in which they came
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return unreadable(str(error))
    if isinstance(action, UserSigned):
        fault = _user_signed_fault(action, envelope)
        if fault is not None:
            return json_answer(refused(fault))
    try:
        digest = _digest(action, content, envelope)
        r, s = int(envelope.signature.r, 16), int(envelope.signature.s, 16)
        signer = recover_address(digest, r=r, s=s, v=envelope.signature.v)
    except SigningError:
        return json_answer(refused(UNABLE_TO_RECOVER))
    vault = envelope.vault_address
    return Request(
        action=action,
        signer=signer,
        nonce=envelope.nonce,
        vault_address=None if vault is None else vault.lower(),
        expires_after_ms=envelope.expires_after,
        hash="0x" + hashlib.sha256(digest + r.to_bytes(32, "big") + s.to_bytes(32, "big")).hexdigest(),
    )


def _digest(action: Action, content: dict[str, Any], envelope: Envelope) -> bytes:
    if isinstance(action, UserSigned):
        return user_signed_digest(content)
    connection_id = action_hash(
        actions.hashed(content),
        nonce=envelope.nonce,
        vault_address=envelope.vault_address,
        expires_after_ms=envelope.expires_after,
    )
    return l1_digest(connection_id, mainnet=False)


def _user_signed_fault(action: UserSigned, envelope: Envelope) -> str | None:
    if envelope.expires_after is not None:
        return EXPIRY_NOT_ALLOWED
    if action.hyperliquid_chain != CHAIN:
        return OTHER_CHAIN
    signed: object = getattr(action, "time", None) or getattr(action, "nonce", 0)
    return NONCE_MISMATCH if signed != envelope.nonce else None
