"""Actions, byte for byte: MessagePack and JSON against the SDK's dictionaries, digests against the library's hash."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from hlhft import units
from hlhft.core.state import COMMAND_DTYPE, CommandKind, TimeInForce
from hlhft.hyperliquid import cloids, packing
from hlhft.hyperliquid.encode import new_desk
from hlhft.hyperliquid.hashing import BLOCK_BYTES
from hlhft.hyperliquid.packing import (
    LANES_WORD,
    LEG_DTYPE,
    NO_EXPIRY,
    PACK_AT,
    ActionKind,
    Desk,
    EncodeFault,
    digest_action,
    encode,
    text_at,
    write_action,
)
from hlhft.hyperliquid.signing import action_hash, l1_digest
from tests.hyperliquid.actions import NOW_MS, OWNER, Case, market_records, random_case, read_action, row, rows

VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
# No command of the core becomes one of these; in batchModify_by_cloid a client order id is used twice.
OTHER_VECTORS = {
    "dummy", "dummy_vault", "order_trigger_sl", "createSubAccount", "subAccountTransfer", "order_with_builder",
    "order_normalTpsl", "order_priority_grouping", "updateIsolatedMargin", "reserveRequestWeight",
    "batchModify_by_cloid",
}  # fmt: skip


def desk_of(*, owner: int = OWNER, vault: str | None = None, mainnet: bool = False, legs_max: int = 200) -> Desk:
    content = b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault[2:])
    return new_desk(
        market_records(), owner=owner, vault=content, mainnet=mainnet, legs_max=legs_max, expires_after_ms=3000
    )


def written(case: Case, desk: Desk) -> tuple[bytes, bytes]:
    """MessagePack and JSON."""
    end, text_end = write_action(*case.arguments, desk)
    return desk.memory[PACK_AT:end].tobytes(), json_of(desk, text_end)


def json_of(desk: Desk, end: int) -> bytes:
    return desk.memory[text_at(desk.memory) : end].tobytes()


def digest(desk: Desk) -> bytes:
    return desk.words[LANES_WORD : LANES_WORD + 4].tobytes()


def test_the_recorded_vectors_that_commands_become(recordings: Path) -> None:
    data = json.loads((recordings / "hyperliquid" / "api" / "signing_vectors.json").read_text())
    others = set()
    desk = desk_of(owner=0)
    for vector in (each for each in data["vectors"] if each["kind"] == "l1"):
        case = read_action(vector["action"])
        if case is None:
            others.add(vector["name"])
            continue
        desk = desk_of(owner=0, vault=vector["vaultAddress"], mainnet=True)
        packed, text = written(case, desk)
        assert packed.hex() == vector["msgpack_hex"], vector["name"]
        assert text == json.dumps(vector["action"], separators=(",", ":")).encode(), vector["name"]
        expires = NO_EXPIRY if vector["expiresAfter"] is None else vector["expiresAfter"]
        digest_action(desk, PACK_AT + len(vector["msgpack_hex"]) // 2, vector["nonce"], expires)
        assert digest(desk) == l1_digest(bytes.fromhex(vector["connectionId"][2:].rjust(64, "0")), mainnet=True)
    assert others == OTHER_VECTORS


def test_ten_thousand_random_actions_are_the_bytes_of_the_sdk() -> None:
    seed = 20260801
    draw, desk = random.Random(seed), desk_of()
    seen = set()
    for number in range(10_000):
        case = random_case(draw)
        seen.add((case.kind, case.flag))
        packed, text = written(case, desk)
        assert packed == msgpack.packb(case.action), f"seed {seed}, action {number}: {case.action}"
        wanted = json.dumps(case.action, separators=(",", ":")).encode()
        assert text == wanted, f"seed {seed}, action {number}: {case.action}"
    assert len(seen) >= 2 * len(ActionKind) - 2


@pytest.mark.parametrize("vault", [None, VAULT])
@pytest.mark.parametrize("mainnet", [False, True])
def test_the_digest_is_that_of_the_libraries(vault: str | None, mainnet: bool) -> None:
    seed = 7
    draw, desk = random.Random(seed), desk_of(vault=vault, mainnet=mainnet)
    for number in range(60):
        case = random_case(draw)
        nonce, expires = draw.getrandbits(draw.choice((1, 40, 63))), draw.choice((None, NOW_MS + number))
        end, _ = write_action(*case.arguments, desk)
        digest_action(desk, end, nonce, NO_EXPIRY if expires is None else expires)
        hashed = action_hash(case.action, nonce=nonce, vault_address=vault, expires_after_ms=expires)
        assert digest(desk) == l1_digest(hashed, mainnet=mainnet), f"seed {seed}, action {number}"


def test_one_call_writes_all_and_says_when_it_expires() -> None:
    desk = desk_of()
    legs = np.concatenate(
        [row(expires_ns=(NOW_MS + 2500) * 1_000_000 + 999_999), row(order_id=9, expires_ns=0), row(order_id=10)]
    )
    marks = np.zeros((3, 2), np.int64)
    fault, leg, end, expires_ms = encode(0, 17, 0, 0, 0, 5, legs, marks, *desk)
    assert (fault, leg, expires_ms) == (0, 0, NOW_MS + 2500), "the first expiry of all, rounded down"
    action = json.loads(json_of(desk, end))
    hashed = action_hash(action, nonce=17, vault_address=None, expires_after_ms=NOW_MS + 2500)
    assert digest(desk) == l1_digest(hashed, mainnet=False)
    assert [order["c"] for order in action["orders"]] == [
        f"0x0a11ce{5:08x}00{order_id:016x}" for order_id in (1025, 9, 10)
    ]
    none = np.zeros(1, LEG_DTYPE)[:0]
    assert encode(5, 17, 0, 0, 0, 0, none, marks, *desk)[3] == NO_EXPIRY
    assert encode(1, 17, 1, 0, 0, 5, rows(2, kind=2), marks, *desk)[3] == NO_EXPIRY
    assert encode(3, 17, 1, 0, 0, 5, rows(2, kind=3, expires_ns=0), marks, *desk)[3] == NOW_MS + 3000


def test_the_largest_numbers_fit_their_room() -> None:
    legs = rows(200, kind=3, price_ticks=units.TICKS_MAX, size_lots=units.LOTS_MAX, market=5, side=-1, reduce_only=1)
    legs["order_id"] = 2**63 - 1
    marks = np.full((200, 2), 254, np.int64)
    marks[:, 1] = 2**63 - 1
    desk = desk_of(owner=cloids.OWNER_MAX)
    fault, _, end, _ = encode(3, 2**63 - 1, 1, 0, 0, cloids.SESSION_MAX, legs, marks, *desk)
    assert fault == 0 and end < len(desk.memory)
    packed_end, _ = write_action(3, 1, 0, 0, cloids.SESSION_MAX, legs, marks, desk)
    assert packed_end + 2 * BLOCK_BYTES < text_at(desk.memory)
    action = json.loads(json_of(desk, end))
    last = action["modifies"][-1]
    assert last["order"]["p"] == "214748.3647" and last["order"]["s"] == "703687441776.63"
    assert last["oid"] == 2**63 - 1 and last["order"]["c"] == "0xffffff" + "ffffffff" + "ff" + "7fffffffffffffff"
    marks[:, 1] = 0
    encode(3, 1, 1, 0, 0, cloids.SESSION_MAX, legs, marks, *desk)
    by_cloid = [{**each, "oid": "0xfffffffffffffffe7fffffffffffffff"} for each in action["modifies"]]
    hashed = action_hash({**action, "modifies": by_cloid}, nonce=1, vault_address=None, expires_after_ms=NOW_MS + 3000)
    assert digest(desk) == l1_digest(hashed, mainnet=False)


PLACE, CANCEL, MODIFY = 1, 2, 3
FAULTS: list[tuple[ActionKind, dict[str, int], tuple[int, int], EncodeFault]] = [
    (ActionKind.ORDER, {"market": -1}, (0, 0), EncodeFault.MARKET),
    (ActionKind.ORDER, {"market": 7}, (0, 0), EncodeFault.MARKET),
    (ActionKind.ORDER, {"kind": CANCEL}, (0, 0), EncodeFault.COMMAND),
    (ActionKind.CANCEL, {"kind": PLACE}, (0, 1), EncodeFault.COMMAND),
    (ActionKind.CANCEL_BY_CLOID, {"kind": MODIFY}, (0, 0), EncodeFault.COMMAND),
    (ActionKind.BATCH_MODIFY, {"kind": PLACE}, (0, 0), EncodeFault.COMMAND),
    (ActionKind.MODIFY, {"kind": CANCEL}, (0, 0), EncodeFault.COMMAND),
    (ActionKind.CANCEL, {"kind": CANCEL}, (0, 0), EncodeFault.TARGET),
    (ActionKind.MODIFY, {"kind": MODIFY}, (0, -1), EncodeFault.TARGET),
    (ActionKind.ORDER, {"order_id": 0}, (0, 0), EncodeFault.ORDER_ID),
    (ActionKind.CANCEL_BY_CLOID, {"kind": CANCEL, "order_id": -1}, (0, 0), EncodeFault.ORDER_ID),
    (ActionKind.ORDER, {}, (-1, 0), EncodeFault.REVISION),
    (ActionKind.ORDER, {}, (256, 0), EncodeFault.REVISION),
    (ActionKind.MODIFY, {"kind": MODIFY}, (255, 0), EncodeFault.REVISION),
    (ActionKind.ORDER, {"side": 0}, (0, 0), EncodeFault.SIDE),
    (ActionKind.ORDER, {"price_ticks": 0}, (0, 0), EncodeFault.PRICE),
    (ActionKind.ORDER, {"price_ticks": 2**31}, (0, 0), EncodeFault.PRICE),
    (ActionKind.ORDER, {"size_lots": 0}, (0, 0), EncodeFault.SIZE),
    (ActionKind.ORDER, {"size_lots": 2**46}, (0, 0), EncodeFault.SIZE),
    (ActionKind.ORDER, {"time_in_force": 3}, (0, 0), EncodeFault.TIME_IN_FORCE),
    (ActionKind.ORDER, {"time_in_force": -1}, (0, 0), EncodeFault.TIME_IN_FORCE),
    (ActionKind.ORDER, {"ts_ns": 0, "expires_ns": 0}, (0, 0), EncodeFault.EXPIRY),
    (ActionKind.ORDER, {"expires_ns": -1}, (0, 0), EncodeFault.EXPIRY),
    (ActionKind.ORDER, {"expires_ns": 999_999}, (0, 0), EncodeFault.EXPIRY),
    (ActionKind.BATCH_MODIFY, {"kind": MODIFY, "side": 2}, (0, 0), EncodeFault.SIDE),
]


@pytest.mark.parametrize(("kind", "values", "marks", "fault"), FAULTS)
def test_what_is_no_action_is_refused(
    kind: ActionKind, values: dict[str, int], marks: tuple[int, int], fault: EncodeFault
) -> None:
    good = {ActionKind.ORDER: PLACE, ActionKind.CANCEL: CANCEL, ActionKind.CANCEL_BY_CLOID: CANCEL}.get(kind, MODIFY)
    legs = np.concatenate([row(kind=good), row(**values)])
    desk = desk_of()
    desk.memory[PACK_AT:] = 7
    both = np.array([[0, 1], marks])
    assert encode(int(kind), 1, 0, 0, 0, 5, legs, both, *desk) == (fault, 1, 0, NO_EXPIRY)
    assert (desk.memory[PACK_AT:] == 7).all(), "nothing is written"


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (2, 0)])
def test_post_only_orders_are_not_mixed_with_others(first: int, second: int) -> None:
    for kind, command in ((ActionKind.ORDER, PLACE), (ActionKind.BATCH_MODIFY, MODIFY)):
        legs = np.concatenate([row(time_in_force=tif, kind=command) for tif in (first, first, second)])
        result = encode(int(kind), 1, 0, 0, 0, 5, legs, np.zeros((3, 2), np.int64), *desk_of())
        assert result[:2] == (EncodeFault.MIXED, 2)
    takers = np.concatenate([row(time_in_force=1), row(time_in_force=2)])
    assert encode(0, 1, 0, 0, 0, 5, takers, np.zeros((2, 2), np.int64), *desk_of())[0] == 0, "one class of the venue's"


def test_plain_constants_are_the_members_of_their_names() -> None:
    def held(prefix: str, members: Any) -> None:
        for member in members:
            value = getattr(packing, f"{prefix}{member.name}", None)
            assert value is None or value == member, member

    held("_", ActionKind)
    held("_FAULT_", EncodeFault)
    held("_", TimeInForce)
    assert tuple(CommandKind)[1:] == (packing._PLACE, packing._CANCEL_COMMAND, packing._MODIFY_COMMAND)
    assert LEG_DTYPE == COMMAND_DTYPE, "the core's commands are taken as they are"
    assert (packing._PRICE_MAX, packing._SIZE_MAX) == (units.TICKS_MAX, units.LOTS_MAX)
    assert packing.REVISION_MAX == cloids.REVISION_MAX
    assert [fault.value for fault in EncodeFault] == list(range(len(EncodeFault)))
    assert all(second - first == 1 for first, second in pairwise(ActionKind))
