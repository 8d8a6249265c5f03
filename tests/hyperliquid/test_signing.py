"""Signing: the venue's vectors, byte equality with the official SDK, and garbage that recovers to an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.signing import (
    CURVE_ORDER,
    UINT64_MAX,
    USER_SIGNED,
    Signature,
    Signer,
    SigningError,
    SigningFault,
    action_hash,
    address_bytes,
    keccak,
    l1_digest,
    recover_address,
    user_signed_digest,
)
from tests.hyperliquid import official

KEY = bytes.fromhex("0123456789012345678901234567890123456789012345678901234567890123")
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
DUMMY = {"type": "dummy", "num": 100000000000}
LIMIT = {"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}
STOP = LIMIT | {"t": {"trigger": {"isMarket": True, "triggerPx": "103", "tpsl": "sl"}}}
SEND = {"destination": "0x5e9ee1089755c3435139848e47e6635505d5a13a", "amount": "1", "time": 1687816341423}
TESTNET = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}


def orders(*wires: dict[str, Any], grouping: Any = "na") -> dict[str, Any]:
    return {"type": "order", "orders": list(wires), "grouping": grouping}


def digest_of(
    action: dict[str, Any], *, mainnet: bool, nonce: int = 0, vault: str | None = None, expires: int | None = None
) -> bytes:
    connection_id = action_hash(action, nonce=nonce, vault_address=vault, expires_after_ms=expires)
    return l1_digest(connection_id, mainnet=mainnet)


# Venue reference 5.5: action, vault, mainnet, r, s, v.
TABLE: list[tuple[dict[str, Any], str | None, bool, str, str, int]] = [
    (
        DUMMY,
        None,
        True,
        "0x53749d5b30552aeb2fca34b530185976545bb22d0b3ce6f62e31be961a59298",
        "0x755c40ba9bf05223521753995abb2f73ab3229be8ec921f350cb447e384d8ed8",
        27,
    ),
    (
        DUMMY,
        None,
        False,
        "0x542af61ef1f429707e3c76c5293c80d01f74ef853e34b76efffcb57e574f9510",
        "0x17b8b32f086e8cdede991f1e2c529f5dd5297cbe8128500e00cbaf766204a613",
        28,
    ),
    (
        DUMMY,
        VAULT,
        True,
        "0x3c548db75e479f8012acf3000ca3a6b05606bc2ec0c29c50c515066a326239",
        "0x4d402be7396ce74fbba3795769cda45aec00dc3125a984f2a9f23177b190da2c",
        28,
    ),
    (
        DUMMY,
        VAULT,
        False,
        "0xe281d2fb5c6e25ca01601f878e4d69c965bb598b88fac58e475dd1f5e56c362b",
        "0x7ddad27e9a238d045c035bc606349d075d5c5cd00a6cd1da23ab5c39d4ef0f60",
        27,
    ),
    (
        orders(LIMIT),
        None,
        True,
        "0xd65369825a9df5d80099e513cce430311d7d26ddf477f5b3a33d2806b100d78e",
        "0x2b54116ff64054968aa237c20ca9ff68000f977c93289157748a3162b6ea940e",
        28,
    ),
    (
        orders(LIMIT),
        None,
        False,
        "0x82b2ba28e76b3d761093aaded1b1cdad4960b3af30212b343fb2e6cdfa4e3d54",
        "0x6b53878fc99d26047f4d7e8c90eb98955a109f44209163f52d8dc4278cbbd9f5",
        27,
    ),
    (
        orders(LIMIT | {"c": "0x00000000000000000000000000000001"}),
        None,
        True,
        "0x41ae18e8239a56cacbc5dad94d45d0b747e5da11ad564077fcac71277a946e3",
        "0x3c61f667e747404fe7eea8f90ab0e76cc12ce60270438b2058324681a00116da",
        27,
    ),
    (
        orders(LIMIT | {"c": "0x00000000000000000000000000000001"}),
        None,
        False,
        "0xeba0664bed2676fc4e5a743bf89e5c7501aa6d870bdb9446e122c9466c5cd16d",
        "0x7f3e74825c9114bc59086f1eebea2928c190fdfbfde144827cb02b85bbe90988",
        28,
    ),
    (
        orders(STOP),
        None,
        True,
        "0x98343f2b5ae8e26bb2587daad3863bc70d8792b09af1841b6fdd530a2065a3f9",
        "0x6b5bb6bb0633b710aa22b721dd9dee6d083646a5f8e581a20b545be6c1feb405",
        27,
    ),
    (
        orders(STOP),
        None,
        False,
        "0x971c554d917c44e0e1b6cc45d8f9404f32172a9d3b3566262347d0302896a2e4",
        "0x206257b104788f80450f8e786c329daa589aa0b32ba96948201ae556d5637eac",
        28,
    ),
    (
        {"type": "scheduleCancel"},
        None,
        True,
        "0x6cdfb286702f5917e76cd9b3b8bf678fcc49aec194c02a73e6d4f16891195df9",
        "0x6557ac307fa05d25b8d61f21fb8a938e703b3d9bf575f6717ba21ec61261b2a0",
        27,
    ),
    (
        {"type": "scheduleCancel", "time": 123456789},
        None,
        True,
        "0x609cb20c737945d070716dcc696ba030e9976fcf5edad87afa7d877493109d55",
        "0x16c685d63b5c7a04512d73f183b3d7a00da5406ff1f8aad33f8ae2163bab758b",
        28,
    ),
    (
        {"type": "createSubAccount", "name": "example"},
        None,
        True,
        "0x51096fe3239421d16b671e192f574ae24ae14329099b6db28e479b86cdd6caa7",
        "0xb71f7d293af92d3772572afb8b102d167a7cef7473388286bc01f52a5c5b423",
        27,
    ),
    (
        {
            "type": "subAccountTransfer",
            "subAccountUser": "0x1d9470d4b963f552e6f671a81619d395877bf409",
            "isDeposit": True,
            "usd": 10,
        },
        None,
        True,
        "0x43592d7c6c7d816ece2e206f174be61249d651944932b13343f4d13f306ae602",
        "0x71a926cb5c9a7c01c3359ec4c4c34c16ff8107d610994d4de0e6430e5cc0f4c9",
        28,
    ),
]


@pytest.mark.parametrize(("action", "vault", "mainnet", "r", "s", "v"), TABLE)
def test_the_table_of_l1_signatures(
    action: dict[str, Any], vault: str | None, mainnet: bool, r: str, s: str, v: int
) -> None:
    digest = digest_of(action, mainnet=mainnet, vault=vault)
    assert Signer(KEY).sign(digest).wire() == {"r": r, "s": s, "v": v}
    assert recover_address(digest, r=int(r, 16), s=int(s, 16), v=v) == ADDRESS


@pytest.mark.parametrize(
    ("kind", "r", "s", "v"),
    [
        (
            "usdSend",
            "0x637b37dd731507cdd24f46532ca8ba6eec616952c56218baeff04144e4a77073",
            "0x11a6a24900e6e314136d2592e2f8d502cd89b7c15b198e1bee043c9589f9fad7",
            27,
        ),
        (
            "withdraw3",
            "0x8363524c799e90ce9bc41022f7c39b4e9bdba786e5f9c72b20e43e1462c37cf9",
            "0x58b1411a775938b83e29182e8ef74975f9054c8e97ebf5ec2dc8d51bfc893881",
            28,
        ),
    ],
)
def test_the_table_of_user_signatures(kind: str, r: str, s: str, v: int) -> None:
    digest = user_signed_digest({"type": kind, **SEND, **TESTNET})
    assert Signer(KEY).sign(digest).wire() == {"r": r, "s": s, "v": v}


@pytest.mark.parametrize(
    ("action", "nonce", "connection_id"),
    [
        (
            orders({"a": 4, "b": True, "p": "1670.1", "s": "0.0147", "r": False, "t": {"limit": {"tif": "Ioc"}}}),
            1677777606040,
            "0fcbeda5ae3c4950a548021552a4fea2226858c4453571bf3f24ba017eac2908",
        ),
        (orders(LIMIT), 0, "884f2c32bb6dbdd65f6033e32fb28c0cb6f5b345db0f6471fd3366d85c9252c1"),
    ],
)
def test_connection_ids(action: dict[str, Any], nonce: int, connection_id: str) -> None:
    assert action_hash(action, nonce=nonce, vault_address=None, expires_after_ms=None).hex() == connection_id


def test_every_recorded_vector(recordings: Path) -> None:
    """All 42, on both networks: hash, digest, signature and who signed."""
    data = json.loads((recordings / "hyperliquid" / "api" / "signing_vectors.json").read_text())
    assert len(data["vectors"]) == 42
    for vector in data["vectors"]:
        signer = Signer(bytes.fromhex(vector.get("private_key", data["private_key"])[2:]))
        for network in ("mainnet", "testnet"):
            if vector["kind"] == "l1":
                connection_id = action_hash(
                    vector["action"],
                    nonce=vector["nonce"],
                    vault_address=vector["vaultAddress"],
                    expires_after_ms=vector["expiresAfter"],
                )
                assert "0x" + connection_id.hex() == vector["connectionId"], vector["name"]
                digest, expected = l1_digest(connection_id, mainnet=network == "mainnet"), vector[network]
            else:
                action = {"type": vector["name"].partition("_")[0], **vector[network]["signed_action"]}
                digest, expected = user_signed_digest(action), vector[network]["signature"]
            assert signer.sign(digest).wire() == expected, (vector["name"], network)
            read = Signature.read(expected)
            assert recover_address(digest, r=read.r, s=read.s, v=read.v) == signer.address


hexes = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
cloids = st.binary(min_size=16, max_size=16).map(lambda raw: "0x" + raw.hex())
numbers = st.from_regex(r"\A(0|[1-9][0-9]{0,8})(\.[0-9]{0,7}[1-9])?\Z")
small = st.integers(0, 2**20)
uint64 = st.integers(0, UINT64_MAX)
ids = st.integers(0, 2**53)
limits = st.sampled_from(["Alo", "Ioc", "Gtc", "FrontendMarket"]).map(lambda tif: {"limit": {"tif": tif}})
triggers = st.builds(
    lambda market, price, kind: {"trigger": {"isMarket": market, "triggerPx": price, "tpsl": kind}},
    st.booleans(),
    numbers,
    st.sampled_from(["tp", "sl"]),
)
wires = st.builds(
    lambda a, b, p, s, r, t, c: {"a": a, "b": b, "p": p, "s": s, "r": r, "t": t} | ({"c": c} if c else {}),
    small,
    st.booleans(),
    numbers,
    numbers,
    st.booleans(),
    limits | triggers,
    st.none() | cloids,
)
modifies = st.builds(lambda oid, order: {"oid": oid, "order": order}, ids | cloids, wires)
groupings = st.sampled_from(["na", "normalTpsl", "positionTpsl"]) | small.map(lambda rate: {"p": rate})


def l1(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


L1_ACTIONS = st.one_of(
    l1("order", orders=st.lists(wires, max_size=20), grouping=groupings),
    l1(
        "order",
        orders=st.lists(wires, max_size=2),
        grouping=groupings,
        builder=st.fixed_dictionaries({"b": hexes, "f": small}),
    ),
    l1("cancel", cancels=st.lists(st.fixed_dictionaries({"a": small, "o": ids}), max_size=20), f=st.just(True)),
    l1("cancelByCloid", cancels=st.lists(st.fixed_dictionaries({"asset": small, "cloid": cloids}), max_size=3)),
    l1("modify", oid=ids | cloids, order=wires),
    l1("batchModify", modifies=st.lists(modifies, max_size=5), a=st.just(True)),
    l1("scheduleCancel", time=uint64),
    l1("noop"),
    l1("updateLeverage", asset=small, isCross=st.booleans(), leverage=st.integers(1, 50)),
    l1("updateIsolatedMargin", asset=small, isBuy=st.booleans(), ntli=st.integers(-(2**53), 2**53)),
    l1("topUpIsolatedOnlyMargin", asset=small, leverage=numbers),
    l1(
        "twapOrder",
        twap=st.fixed_dictionaries(
            {"a": small, "b": st.booleans(), "s": numbers, "r": st.booleans(), "m": small, "t": st.booleans()}
        ),
    ),
    l1("twapCancel", a=small, t=ids),
    l1("reserveRequestWeight", weight=uint64),
    l1("createSubAccount", name=st.text(max_size=40)),
    l1("subAccountTransfer", subAccountUser=hexes, isDeposit=st.booleans(), usd=ids),
    l1("vaultTransfer", vaultAddress=hexes, isDeposit=st.booleans(), usd=ids),
    l1("setReferrer", code=st.text(max_size=300)),
    l1("agentSetAbstraction", abstraction=st.sampled_from(["i", "u", "p"])),
    l1("evmUserModify", usingBigBlocks=st.booleans()),
    l1("other", value=st.floats(allow_nan=False) | st.none() | st.lists(st.integers(-(2**63), UINT64_MAX))),
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=70),
    "uint64": uint64,
    "bool": st.booleans(),
    "address": hexes,
}


@st.composite
def user_signed_actions(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(USER_SIGNED)))
    action: dict[str, Any] = {"type": kind, "signatureChainId": hex(draw(st.integers(0, 2**64)))}
    for field in official.TYPES[kind][1]:
        action[field["name"]] = draw(VALUES[field["type"]])
    return action


@given(L1_ACTIONS, uint64, st.none() | hexes, st.none() | uint64, st.booleans())
@settings(max_examples=500)
def test_l1_digests_are_those_of_the_official_sdk(
    action: dict[str, Any], nonce: int, vault: str | None, expires: int | None, mainnet: bool
) -> None:
    theirs = official.l1_digest(action, nonce=nonce, vault_address=vault, expires_after_ms=expires, mainnet=mainnet)
    assert digest_of(action, nonce=nonce, vault=vault, expires=expires, mainnet=mainnet) == theirs


@given(user_signed_actions())
@settings(max_examples=200)
def test_user_signed_digests_are_those_of_the_official_sdk(action: dict[str, Any]) -> None:
    assert user_signed_digest(action) == official.user_signed_digest(action)


def test_every_user_signed_action_is_compared_with_the_sdk() -> None:
    assert USER_SIGNED.keys() == official.TYPES.keys()


@given(st.binary(min_size=32, max_size=32), L1_ACTIONS, uint64, st.none() | hexes)
@settings(max_examples=25)
def test_signatures_are_those_of_the_official_sdk(
    key: bytes, action: dict[str, Any], nonce: int, vault: str | None
) -> None:
    key = key[:-1] + b"\x01"  # never zero
    key = b"\x7f" + key[1:]  # and below the group's order
    arguments: dict[str, Any] = {"nonce": nonce, "vault_address": vault, "expires_after_ms": None}
    theirs = official.sign_l1(key, action, mainnet=False, **arguments)
    digest = digest_of(action, nonce=nonce, vault=vault, mainnet=False)
    signer = Signer(key)
    made = signer.sign(digest)
    assert made.wire() == theirs and Signature.read(theirs) == made
    assert recover_address(digest, r=made.r, s=made.s, v=made.v) == signer.address


def test_the_order_of_keys_and_every_part_of_the_envelope_count() -> None:
    turned = dict(reversed(DUMMY.items()))
    digests = {
        digest_of(DUMMY, mainnet=True),
        digest_of(DUMMY, mainnet=False),
        digest_of(turned, mainnet=True),
        digest_of(DUMMY, mainnet=True, nonce=1),
        digest_of(DUMMY, mainnet=True, vault=VAULT),
        digest_of(DUMMY, mainnet=True, expires=0),
        digest_of(DUMMY, mainnet=True, vault=VAULT, expires=0),
    }
    assert len(digests) == 7


def test_a_vault_address_is_bytes_so_its_case_does_not_count() -> None:
    upper = "0x" + VAULT[2:].upper()
    assert digest_of(DUMMY, mainnet=True, vault=VAULT) == digest_of(DUMMY, mainnet=True, vault=upper)


def test_an_unnamed_agent_is_signed_with_the_empty_name() -> None:
    action = {"type": "approveAgent", "agentAddress": VAULT, "nonce": 5, **TESTNET}
    named = user_signed_digest({**action, "agentName": ""})
    assert user_signed_digest(action) == user_signed_digest({**action, "agentName": None}) == named
    assert user_signed_digest({**action, "agentName": "a"}) != named


@pytest.mark.parametrize(
    "value",
    [2**64, object(), -(2**63) - 1, "\ud800"],
    ids=["wide", "object", "below", "surrogate"],
)
def test_an_action_that_cannot_be_encoded(value: object) -> None:
    with pytest.raises(SigningError, match="the action cannot be encoded") as caught:
        digest_of({"type": "dummy", "num": value}, mainnet=True)
    assert caught.value.fault is SigningFault.ACTION


def test_an_action_nested_too_deeply_is_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SigningError) as caught:
        digest_of({"type": "dummy", "num": deep}, mainnet=True)
    assert caught.value.fault is SigningFault.ACTION
    while isinstance(deep, list):  # taking it apart by hand keeps the interpreter from doing so recursively
        deep = deep.pop()


@pytest.mark.parametrize(
    ("nonce", "vault", "expires", "fault"),
    [
        (-1, None, None, SigningFault.NUMBER),
        (2**64, None, None, SigningFault.NUMBER),
        (True, None, None, SigningFault.NUMBER),
        (0, None, -1, SigningFault.NUMBER),
        (0, "0x12", None, SigningFault.ADDRESS),
        (0, VAULT[2:], None, SigningFault.ADDRESS),
        (0, VAULT + "\n", None, SigningFault.ADDRESS),
    ],
)
def test_an_envelope_that_cannot_be_encoded(
    nonce: int, vault: str | None, expires: int | None, fault: SigningFault
) -> None:
    with pytest.raises(SigningError) as caught:
        digest_of(DUMMY, mainnet=True, nonce=nonce, vault=vault, expires=expires)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"type": "order"}, SigningFault.TYPE),
        ({"type": None}, SigningFault.TYPE),
        ({"type": ["usdSend"]}, SigningFault.TYPE),
        ({"signatureChainId": None}, SigningFault.FIELD),
        ({"signatureChainId": "421614"}, SigningFault.FIELD),
        ({"signatureChainId": "0x" + 65 * "1"}, SigningFault.FIELD),
        ({"hyperliquidChain": None}, SigningFault.FIELD),
        ({"destination": 5}, SigningFault.FIELD),
        ({"amount": None}, SigningFault.FIELD),
        ({"amount": "\ud800"}, SigningFault.FIELD),
        ({"time": "5"}, SigningFault.FIELD),
        ({"time": True}, SigningFault.FIELD),
        ({"time": -1}, SigningFault.FIELD),
        ({"time": 2**64}, SigningFault.FIELD),
        ({"type": "usdClassTransfer", "toPerp": 1, "nonce": 1}, SigningFault.FIELD),
        ({"type": "tokenDelegate", "validator": "0x1"}, SigningFault.ADDRESS),
        ({"type": "tokenDelegate", "validator": 1}, SigningFault.FIELD),
    ],
)
def test_a_user_signed_action_with_a_wrong_field(change: dict[str, Any], fault: SigningFault) -> None:
    with pytest.raises(SigningError) as caught:
        user_signed_digest({"type": "usdSend", **SEND, **TESTNET, **change})
    assert caught.value.fault is fault


def test_domains_of_many_chains_do_not_pile_up() -> None:
    from hlhft.hyperliquid import signing

    for chain in range(200):
        user_signed_digest({"type": "usdSend", **SEND, **TESTNET, "signatureChainId": hex(chain)})
    assert signing._user_domain.cache_info().currsize == 64


scalars = st.integers(-5, 2**256 + 5) | st.sampled_from([0, 1, CURVE_ORDER - 1, CURVE_ORDER, 2**256 - 1])


@given(st.binary(min_size=32, max_size=32), scalars, scalars, st.integers(-1, 30))
@settings(max_examples=300)
def test_garbage_recovers_to_some_address_or_to_a_named_error(digest: bytes, r: int, s: int, v: int) -> None:
    try:
        found = recover_address(digest, r=r, s=s, v=v)
    except SigningError as error:
        in_range = 0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER and v in (27, 28)
        assert error.fault is (SigningFault.UNRECOVERABLE if in_range else SigningFault.SIGNATURE)
    else:
        assert len(address_bytes(found)) == 20 and found == found.lower() and v in (27, 28)


def test_a_point_that_is_not_on_the_curve_recovers_nobody() -> None:
    """x = 5 is no x-coordinate of secp256k1: 5^3 + 7 = 132 is no square modulo its prime."""
    prime = 2**256 - 2**32 - 977
    assert pow(132, (prime - 1) // 2, prime) == prime - 1
    with pytest.raises(SigningError, match="no key makes this signature") as caught:
        recover_address(bytes(32), r=5, s=1, v=27)
    assert caught.value.fault is SigningFault.UNRECOVERABLE


def test_another_digest_recovers_another_address() -> None:
    digest = digest_of(DUMMY, mainnet=True)
    made = Signer(KEY).sign(digest)
    assert recover_address(digest_of(DUMMY, mainnet=False), r=made.r, s=made.s, v=made.v) != ADDRESS
    assert recover_address(digest, r=made.r, s=made.s, v=55 - made.v) != ADDRESS


def test_a_signature_in_high_s_form_is_the_same_signer_s() -> None:
    digest = digest_of(DUMMY, mainnet=True)
    made = Signer(KEY).sign(digest)
    assert made.s <= CURVE_ORDER // 2
    assert recover_address(digest, r=made.r, s=CURVE_ORDER - made.s, v=55 - made.v) == ADDRESS


@pytest.mark.parametrize(
    "value",
    [
        None,
        "0x1",
        [],
        {},
        {"r": "0x1", "s": "0x1"},
        {"r": "0x1", "s": "0x1", "v": "27"},
        {"r": "0x1", "s": "0x1", "v": True},
        {"r": 1, "s": "0x1", "v": 27},
        {"r": "1", "s": "0x1", "v": 27},
        {"r": "0x", "s": "0x1", "v": 27},
        {"r": "0x1", "s": "0x" + 65 * "1", "v": 27},
        {"r": "0x1", "s": "0x1_1", "v": 27},
        {"r": "0x1", "s": "0xg", "v": 27},
    ],
)
def test_a_signature_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(SigningError) as caught:
        Signature.read(value)
    assert caught.value.fault is SigningFault.SIGNATURE


def test_padded_and_minimal_hex_are_read_alike() -> None:
    padded = {"r": "0x" + 63 * "0" + "1", "s": "0x00A", "v": 28}
    assert Signature.read(padded) == Signature(1, 10, 28)
    assert Signature(1, 10, 28).wire() == {"r": "0x1", "s": "0xa", "v": 28}


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33)])
def test_a_digest_has_32_bytes(digest: bytes) -> None:
    with pytest.raises(SigningError, match="a digest has 32 bytes") as signing:
        Signer(KEY).sign(digest)
    with pytest.raises(SigningError, match="a digest has 32 bytes") as recovering:
        recover_address(digest, r=1, s=1, v=27)
    assert signing.value.fault is recovering.value.fault is SigningFault.DIGEST


@pytest.mark.parametrize("key", [b"", bytes(32), KEY[:31], KEY + b"\x00", CURVE_ORDER.to_bytes(32, "big")])
def test_what_is_no_private_key(key: bytes) -> None:
    with pytest.raises(SigningError) as caught:
        Signer(key)
    assert caught.value.fault is SigningFault.KEY
    assert not key.strip(b"\x00") or key.hex() not in str(caught.value)


def test_a_signer_shows_its_address_and_never_its_key() -> None:
    signer = Signer(KEY)
    assert repr(signer) == str(signer) == f"Signer({ADDRESS})"
    assert KEY.hex() not in repr(signer) and not hasattr(signer, "__dict__")


def test_the_hash_is_ethereum_s() -> None:
    assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
