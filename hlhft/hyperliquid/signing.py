"""What the venue signs: the digest of an action, the signature under it, and whose it is (venue reference section 5).

An L1 action is hashed as MessagePack with its keys in the order they came in, so dictionaries must not be re-sorted on
their way here; a user-signed action is EIP-712 typed data. Both end in a 32-byte digest, which `Signer` signs and
`recover_address` turns back into the signer's address. Multi-signature actions are not spoken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from coincurve import PrivateKey, PublicKey
from Crypto.Hash import keccak as _keccak

from hlhft.hyperliquid.wire import WireError, read_address

UINT64_MAX = 2**64 - 1
# The order of the group of secp256k1 (SEC 2, section 2.4.1): r and s lie below it.
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
# Chains that wallets sign on are few; what a hostile client makes up pushes out the oldest.
_DOMAINS_MAX = 64

_HEX_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
_ENCODE = msgspec.msgpack.Encoder().encode


class SigningFault(IntEnum):
    """What is wrong with something to be hashed, signed or recovered."""

    ACTION = 1  # cannot be written as MessagePack
    FIELD = 2  # a field of a user-signed action is missing or of the wrong type
    TYPE = 3  # no such user-signed action
    NUMBER = 4  # nonce or expiry outside 64 bits
    ADDRESS = 5  # not 0x and 40 hex digits
    SIGNATURE = 6  # r, s or v malformed or out of range
    DIGEST = 7  # not 32 bytes
    UNRECOVERABLE = 8  # well-formed, but no key signs so
    KEY = 9  # not a private key


class SigningError(ValueError):
    """Something that cannot be hashed, signed or recovered; `fault` says what is wrong with it."""

    def __init__(self, fault: SigningFault, message: str) -> None:
        self.fault = fault
        super().__init__(message)


class Signature(NamedTuple):
    """A signature as the wire carries it: r and s in 1 .. CURVE_ORDER - 1, v 27 or 28."""

    r: int
    s: int
    v: int

    def wire(self) -> dict[str, str | int]:
        """The JSON form; r and s are minimal hex, not padded, as the official SDK writes them."""
        return {"r": hex(self.r), "s": hex(self.s), "v": self.v}

    @classmethod
    def read(cls, value: object) -> Signature:
        """The signature in a request, padded or not. Raises SigningError when it has another shape; `recover_address`
        judges the ranges."""
        if not isinstance(value, Mapping):
            raise SigningError(SigningFault.SIGNATURE, "the signature is no object with r, s and v")
        r, s, v = value.get("r"), value.get("s"), value.get("v")
        if type(v) is not int:
            raise SigningError(SigningFault.SIGNATURE, "the signature's v is no whole number")
        return cls(_scalar("r", r), _scalar("s", s), v)


def keccak(data: bytes) -> bytes:
    """The 32-byte Keccak-256 hash, as Ethereum uses it (not SHA3-256)."""
    return _keccak.new(digest_bits=256, data=data).digest()


def action_hash(
    action: Mapping[str, Any], *, nonce: int, vault_address: str | None, expires_after_ms: int | None
) -> bytes:
    """The connection id of an L1 action: 32 bytes (venue reference 5.1).

    Key order counts, and so does the case of addresses inside the action. Raises SigningError when something does not
    fit the encoding.
    """
    try:
        data = _ENCODE(action)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise SigningError(SigningFault.ACTION, f"the action cannot be encoded: {error}") from None
    data += _eight_bytes("nonce", nonce)
    data += b"\x00" if vault_address is None else b"\x01" + address_bytes(vault_address)
    if expires_after_ms is not None:
        data += b"\x00" + _eight_bytes("expiresAfter", expires_after_ms)
    return keccak(data)


def l1_digest(connection_id: bytes, *, mainnet: bool) -> bytes:
    """The digest to sign for an L1 action: typed data of the phantom agent, source "a" on mainnet, "b" elsewhere."""
    source = _SOURCE_MAINNET if mainnet else _SOURCE_ELSEWHERE
    return keccak(_L1_PREFIX + keccak(_AGENT_TYPE + source + connection_id))


def user_signed_digest(action: Mapping[str, Any]) -> bytes:
    """The digest to sign for a user-signed action, chosen by its `type` (venue reference 5.2).

    `signatureChainId` and `hyperliquidChain` are taken from the action; whether the chain is the right one is the
    caller's to check. An approveAgent without a name is signed with the empty one. Raises SigningError when the type is
    unknown or a field is missing or malformed.
    """
    kind = action.get("type")
    known = USER_SIGNED.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise SigningError(SigningFault.TYPE, f"{str(kind)[:40]!r} is no user-signed action")
    chain = action.get("signatureChainId")
    if not isinstance(chain, str) or not _HEX_NUMBER.match(chain):
        raise SigningError(SigningFault.FIELD, "signatureChainId is no hexadecimal chain id")
    encoded = [known.type_hash]
    for name, type_name in known.fields:
        value = action.get(name)
        if value is None and name == "agentName":
            value = ""
        encoded.append(_encoded(name, type_name, value))
    return keccak(b"\x19\x01" + _user_domain(int(chain, 16)) + keccak(b"".join(encoded)))


def recover_address(digest: bytes, *, r: int, s: int, v: int) -> str:
    """The lower-case address whose key made this signature of `digest`.

    A signature of something else recovers to some other address, not to an error. Raises SigningError when a part is
    malformed or out of range, or when no key can have made it.
    """
    if len(digest) != 32:
        raise SigningError(SigningFault.DIGEST, f"a digest has 32 bytes, not {len(digest)}")
    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER and v in (27, 28)):
        raise SigningError(SigningFault.SIGNATURE, "the signature's r, s or v is out of range")
    compact = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((v - 27,))
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError:
        raise SigningError(SigningFault.UNRECOVERABLE, "no key makes this signature") from None
    return _address_of(key)


class Signer:
    """One private key. Signs digests, knows its address, and never shows the key.

    Signatures are deterministic (RFC 6979) and in low-s form, as the official SDK's are. Raises SigningError when the
    key is not 32 bytes within the group.
    """

    __slots__ = ("_key", "address")

    def __init__(self, key: bytes) -> None:
        if len(key) != 32 or not 0 < int.from_bytes(key, "big") < CURVE_ORDER:
            raise SigningError(SigningFault.KEY, "a private key has 32 bytes, is not 0 and below the group's order")
        self._key = PrivateKey(key)
        self.address = _address_of(self._key.public_key)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def sign(self, digest: bytes) -> Signature:
        """The signature of a 32-byte digest. Raises SigningError when it has another length."""
        if len(digest) != 32:
            raise SigningError(SigningFault.DIGEST, f"a digest has 32 bytes, not {len(digest)}")
        made = self._key.sign_recoverable(digest, hasher=None)
        return Signature(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:64], "big"), made[64] + 27)


def address_bytes(address: str) -> bytes:
    """The 20 bytes of an address of 0x and 40 hex digits, in either case. Raises SigningError on any other text."""
    try:
        return bytes.fromhex(read_address(address)[2:])
    except WireError:
        raise SigningError(SigningFault.ADDRESS, f"{address[:48]!r} is no address of 0x and 40 hex digits") from None


class _Typed(NamedTuple):
    """A user-signed action's EIP-712 type: its hash and its fields in order."""

    type_hash: bytes
    fields: tuple[tuple[str, str], ...]


def _typed(primary: str, fields: str) -> _Typed:
    everything = f"string hyperliquidChain,{fields}"
    pairs = tuple((name, type_name) for type_name, name in (field.split(" ") for field in everything.split(",")))
    return _Typed(keccak(f"HyperliquidTransaction:{primary}({everything})".encode()), pairs)


# Venue reference 5.2; userDexAbstraction as in the official SDK, the staking transfers as in nktkas/hyperliquid.
USER_SIGNED: dict[str, _Typed] = {
    "usdSend": _typed("UsdSend", "string destination,string amount,uint64 time"),
    "spotSend": _typed("SpotSend", "string destination,string token,string amount,uint64 time"),
    "withdraw3": _typed("Withdraw", "string destination,string amount,uint64 time"),
    "usdClassTransfer": _typed("UsdClassTransfer", "string amount,bool toPerp,uint64 nonce"),
    "sendAsset": _typed(
        "SendAsset",
        "string destination,string sourceDex,string destinationDex,string token,string amount,string fromSubAccount,"
        "uint64 nonce",
    ),
    "approveAgent": _typed("ApproveAgent", "address agentAddress,string agentName,uint64 nonce"),
    "approveBuilderFee": _typed("ApproveBuilderFee", "string maxFeeRate,address builder,uint64 nonce"),
    "tokenDelegate": _typed("TokenDelegate", "address validator,uint64 wei,bool isUndelegate,uint64 nonce"),
    "cDeposit": _typed("CDeposit", "uint64 wei,uint64 nonce"),
    "cWithdraw": _typed("CWithdraw", "uint64 wei,uint64 nonce"),
    "userDexAbstraction": _typed("UserDexAbstraction", "address user,bool enabled,uint64 nonce"),
    "userSetAbstraction": _typed("UserSetAbstraction", "address user,string abstraction,uint64 nonce"),
    "convertToMultiSigUser": _typed("ConvertToMultiSigUser", "string signers,uint64 nonce"),
}

_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")


def _domain(name: str, chain_id: int) -> bytes:
    parts = (_DOMAIN_TYPE, keccak(name.encode()), keccak(b"1"), chain_id.to_bytes(32, "big"), bytes(32))
    return keccak(b"".join(parts))


@lru_cache(maxsize=_DOMAINS_MAX)
def _user_domain(chain_id: int) -> bytes:
    return _domain("HyperliquidSignTransaction", chain_id)


_L1_PREFIX = b"\x19\x01" + _domain("Exchange", 1337)
_AGENT_TYPE = keccak(b"Agent(string source,bytes32 connectionId)")
_SOURCE_MAINNET = keccak(b"a")
_SOURCE_ELSEWHERE = keccak(b"b")


def _encoded(name: str, type_name: str, value: object) -> bytes:
    """One field as EIP-712 encodes it, 32 bytes."""
    if type_name == "string" and isinstance(value, str):
        try:
            return keccak(value.encode())
        except UnicodeEncodeError:
            raise SigningError(SigningFault.FIELD, f"{name} is no Unicode text") from None
    if type_name == "uint64" and type(value) is int and 0 <= value <= UINT64_MAX:
        return value.to_bytes(32, "big")
    if type_name == "bool" and isinstance(value, bool):
        return int(value).to_bytes(32, "big")
    if type_name == "address" and isinstance(value, str):
        return bytes(12) + address_bytes(value)
    raise SigningError(SigningFault.FIELD, f"{name} is missing or no {type_name}")


def _eight_bytes(name: str, value: int) -> bytes:
    if type(value) is not int or not 0 <= value <= UINT64_MAX:
        raise SigningError(SigningFault.NUMBER, f"{name} is no whole number of 64 bits")
    return value.to_bytes(8, "big")


def _scalar(name: str, value: object) -> int:
    if not isinstance(value, str) or not _HEX_NUMBER.match(value):
        raise SigningError(SigningFault.SIGNATURE, f"the signature's {name} is not 0x and 1 to 64 hex digits")
    return int(value, 16)


def _address_of(key: PublicKey) -> str:
    return "0x" + keccak(key.format(compressed=False)[1:])[12:].hex()
