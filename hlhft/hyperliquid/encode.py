"""From the core's commands to signed requests: each method makes one action of one class, ready for socket or HTTP.

An action is encoded, hashed and its JSON written in one compiled call (`hlhft.hyperliquid.packing`) and signed by
libsecp256k1; then the body is put together from the same pieces. Every placement carries a client order id that names
owner, session and order (`hlhft.hyperliquid.cloids`) and an expiry: the action expires when its first order does, or
`expires_after_ms` after the command's time where the command names none (venue reference section 5.4).

What is made is final: to send it again, send the same bytes, and never sign the same command anew. Nothing here shows a
signature or a body by accident: an action that was never sent is an order for whoever finds it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hlhft.hyperliquid import cloids
from hlhft.hyperliquid.hashing import BLOCK_BYTES, pad
from hlhft.hyperliquid.packing import (
    ACTION_BYTES_MAX,
    AGENT_AT,
    DIGEST_AT,
    EXPIRY_WORD,
    LANES_WORD,
    LEG_BYTES_MAX,
    LEG_DTYPE,
    NO_EXPIRY,
    NS_PER_MS,
    OWNER_WORD,
    PACK_AT,
    VAULT_AT,
    ActionKind,
    Desk,
    EncodeFault,
    encode,
    text_at,
)
from hlhft.hyperliquid.signing import Signer, action_hash, address_bytes, l1_digest, l1_preimages

LEGS_MAX = 200  # venue reference section 4.1, measured
EXPIRES_AFTER_MS = 3000  # venue reference section 5.4 asks for two to five seconds
NONCE_MAX = 2**63 - 1
# The numbers of a signature are minimal hex, not padded, as the official SDK writes them.
_BODY = b'{"action":%b,"nonce":%d,"signature":{"r":"0x%x","s":"0x%x","v":%d},"vaultAddress":%b,"expiresAfter":%b}'
_FRAME = b'{"method":"post","id":%d,"request":{"type":"action","payload":%b}}'


class EncodeError(ValueError):
    """Commands that are no action: the caller's mistake. `leg` is the place of the command at fault."""

    def __init__(self, fault: EncodeFault, message: str, leg: int = 0) -> None:
        self.fault = fault
        self.leg = leg
        super().__init__(message)


class Signed(NamedTuple):
    """A signed action. `body` is that of `POST /exchange`; its nonce and expiry prove later what became of it."""

    body: bytes
    kind: ActionKind
    nonce: int
    expires_after_ms: int | None
    legs: int

    def __repr__(self) -> str:
        return f"Signed({self.kind.name}, legs={self.legs}, nonce={self.nonce}, expires={self.expires_after_ms})"

    def frame(self, request_id: int) -> bytes:
        """The WebSocket `post` frame that carries the same bytes (venue reference section 6.1)."""
        return _FRAME % (request_id, self.body)


class Encoder:
    """Makes the actions of one signer for one account. All memory is taken at the start; not for several threads.

    Commands are contiguous records of LEG_DTYPE, slices of the core's output as they are; any other layout would be
    compiled anew, which takes seconds. `markets` are MARKET_DTYPE rows, which commands name by their place. `owner` and
    `session` go into client order ids. `vault_address` is the sub-account or vault that is traded for, in lower case.
    Raises ValueError (CloidError, SigningError) on what cannot be, and RuntimeError when the compiled hash does not
    agree with the library's.
    """

    def __init__(
        self,
        markets: np.ndarray,
        signer: Signer,
        *,
        owner: int,
        session: int,
        mainnet: bool,
        vault_address: str | None = None,
        legs_max: int = LEGS_MAX,
        expires_after_ms: int = EXPIRES_AFTER_MS,
    ) -> None:
        cloids.require(owner=owner, session=session)
        if not 1 <= legs_max <= LEGS_MAX:
            raise ValueError(f"an action has 1 to {LEGS_MAX} legs, not {legs_max}")
        if expires_after_ms < 1:
            raise ValueError(f"a placement expires after a millisecond at the earliest, not {expires_after_ms}")
        self.session = session
        self.legs_max = legs_max
        self._signer = signer
        vault = b"\x00" if vault_address is None else b"\x01" + address_bytes(vault_address)
        # The venue hashes the bytes and not the text, so only the text that it sends back would differ.
        self._vault_text = b"null" if vault_address is None else b'"%b"' % vault_address.lower().encode()
        self._markets, self._memory, self._words = new_desk(
            markets, owner=owner, vault=vault, mainnet=mainnet, legs_max=legs_max, expires_after_ms=expires_after_ms
        )
        self._digest = self._words[LANES_WORD : LANES_WORD + 4]
        self._bytes = self._memory.data
        self._text_at = int(text_at(self._memory))
        self._no_legs = np.zeros(0, LEG_DTYPE)
        self._marks = np.zeros((legs_max, 2), np.int64)
        self._no_marks = self._marks.copy()
        self._check(mainnet=mainnet, vault_address=vault_address)

    def __repr__(self) -> str:
        return f"Encoder({self._signer.address}, session={self.session})"

    # Placements.

    def orders(self, commands: np.ndarray, *, nonce: int) -> Signed:
        """`order` of PLACE commands: all of them post-only, or none. Raises EncodeError."""
        return self._legs(ActionKind.ORDER, commands, nonce, None, None, 0, self.session)

    def modifies(
        self,
        commands: np.ndarray,
        *,
        nonce: int,
        revisions: np.ndarray | None = None,
        venue_ids: np.ndarray | None = None,
        always_place: bool = False,
    ) -> Signed:
        """`batchModify` of MODIFY commands. Raises EncodeError.

        The order in place of one of revision n is of revision n + 1: another client order id. `venue_ids` names what
        is modified by the venue's id where it is not 0, else its client order id does. `always_place`: the new order is
        placed even when the old one is gone.
        """
        return self._legs(
            ActionKind.BATCH_MODIFY, commands, nonce, revisions, venue_ids, int(always_place), self.session
        )

    def modify(
        self, command: np.ndarray, *, nonce: int, revision: int = 0, venue_id: int = 0, always_place: bool = False
    ) -> Signed:
        """`modify` of one MODIFY command, shape (1,); the venue answers it without a status, unlike a batch of one.
        Raises EncodeError."""
        if len(command) != 1:
            raise EncodeError(EncodeFault.COUNT, f"a modify has one leg, not {len(command)}")
        revisions, venue_ids = np.array([revision]), np.array([venue_id])
        return self._legs(ActionKind.MODIFY, command, nonce, revisions, venue_ids, int(always_place), self.session)

    # What takes risk away.

    def cancels(
        self,
        commands: np.ndarray,
        *,
        nonce: int,
        revisions: np.ndarray | None = None,
        session: int | None = None,
        fast: bool = True,
    ) -> Signed:
        """`cancelByCloid` of CANCEL commands: orders of `session`, this one if None. Raises EncodeError.

        A fast cancel has the mempool's priority; it is refused for trigger orders (venue reference section 4.2).
        """
        session = self.session if session is None else session
        if not 1 <= session <= cloids.SESSION_MAX:
            raise EncodeError(EncodeFault.NUMBER, f"{session} is no session")
        return self._legs(ActionKind.CANCEL_BY_CLOID, commands, nonce, revisions, None, int(fast), session)

    def cancels_by_id(self, commands: np.ndarray, venue_ids: np.ndarray, *, nonce: int, fast: bool = True) -> Signed:
        """`cancel` of CANCEL commands by the venue's order ids, int64[n]. Raises EncodeError."""
        return self._legs(ActionKind.CANCEL, commands, nonce, None, venue_ids, int(fast), self.session)

    def noop(self, *, nonce: int) -> Signed:
        """`noop`: uses the nonce up, so that nothing else can execute under it any more."""
        return self._small(ActionKind.NOOP, nonce)

    def schedule_cancel(self, time_ms: int | None, *, nonce: int) -> Signed:
        """`scheduleCancel` at a time of the venue's, or the end of it. Raises EncodeError."""
        if time_ms is not None and not 1 <= time_ms <= NONCE_MAX:
            raise EncodeError(EncodeFault.NUMBER, f"{time_ms} is no time in ms")
        return self._small(ActionKind.SCHEDULE_CANCEL, nonce, value=time_ms or 0)

    def update_leverage(self, market: int, leverage: int, *, is_cross: bool, nonce: int) -> Signed:
        """`updateLeverage` of a market, by its row. Raises EncodeError."""
        if not 0 <= market < len(self._markets):
            raise EncodeError(EncodeFault.MARKET, f"there is no market {market}")
        if not 1 <= leverage <= NONCE_MAX:
            raise EncodeError(EncodeFault.NUMBER, f"{leverage} is no leverage")
        return self._small(ActionKind.UPDATE_LEVERAGE, nonce, flag=int(is_cross), value=leverage, market=market)

    # Parts.

    def _legs(
        self,
        kind: ActionKind,
        commands: np.ndarray,
        nonce: int,
        revisions: np.ndarray | None,
        venue_ids: np.ndarray | None,
        flag: int,
        session: int,
    ) -> Signed:
        count = len(commands)
        if not 1 <= count <= self.legs_max:
            raise EncodeError(EncodeFault.COUNT, f"an action has 1 to {self.legs_max} legs, not {count}")
        marks = self._no_marks
        if revisions is not None or venue_ids is not None:
            marks = self._marks
            marks[:count, 0] = 0 if revisions is None else revisions
            marks[:count, 1] = 0 if venue_ids is None else venue_ids
        return self._make(kind, nonce, flag, 0, 0, session, commands, marks)

    def _small(self, kind: ActionKind, nonce: int, *, flag: int = 0, value: int = 0, market: int = 0) -> Signed:
        return self._make(kind, nonce, flag, value, market, 0, self._no_legs, self._no_marks)

    def _make(
        self,
        kind: ActionKind,
        nonce: int,
        flag: int,
        value: int,
        market: int,
        session: int,
        legs: np.ndarray,
        marks: np.ndarray,
    ) -> Signed:
        if not 0 <= nonce <= NONCE_MAX:
            raise EncodeError(EncodeFault.NUMBER, f"{nonce} is no nonce")
        fault, leg, end, expires_ms = encode(
            int(kind), nonce, flag, value, market, session, legs, marks, self._markets, self._memory, self._words
        )
        if fault:
            raise EncodeError(EncodeFault(fault), f"leg {leg}: {EncodeFault(fault).name} cannot be encoded", leg)
        r, s, v = self._signer.sign(self._digest.tobytes())
        expires = None if expires_ms == NO_EXPIRY else expires_ms
        action = self._bytes[self._text_at : end]
        body = _BODY % (action, nonce, r, s, v, self._vault_text, b"null" if expires is None else b"%d" % expires)
        return Signed(body, kind, nonce, expires, len(legs))

    def _check(self, *, mainnet: bool, vault_address: str | None) -> None:
        """Compiles what will be called, and compares one digest with that of the libraries.

        Raises RuntimeError when they differ: nothing signed would then be taken.
        """
        encode(
            int(ActionKind.NOOP), 1, 0, 0, 0, 0, self._no_legs, self._no_marks, self._markets, self._memory, self._words
        )
        connection_id = action_hash({"type": "noop"}, nonce=1, vault_address=vault_address, expires_after_ms=None)
        if self._digest.tobytes() != l1_digest(connection_id, mainnet=mainnet):
            raise RuntimeError("the compiled hash of an action differs from the library's: nothing can be signed")


def new_desk(
    markets: np.ndarray, *, owner: int, vault: bytes, mainnet: bool, legs_max: int, expires_after_ms: int
) -> Desk:
    """Room for actions of up to `legs_max` legs. `vault` is what is hashed for the account: one byte 0, or 1 and an
    address."""
    half = -(-(ACTION_BYTES_MAX + LEG_BYTES_MAX * legs_max) // BLOCK_BYTES) * BLOCK_BYTES
    memory = np.zeros(PACK_AT + 2 * half, np.uint8)
    words = memory.view(np.uint64)
    before_digest, before_agent = l1_preimages(mainnet=mainnet)
    assert len(before_agent) == AGENT_AT, "the connection id follows the agent's type and source"
    assert len(before_digest) == DIGEST_AT - BLOCK_BYTES, "the agent's hash follows the domain"
    for at, content in ((0, before_agent + bytes(32)), (BLOCK_BYTES, before_digest + bytes(32))):
        memory[at : at + len(content)] = np.frombuffer(content, np.uint8)
        pad(memory, at, len(content))
    words[OWNER_WORD], words[EXPIRY_WORD] = owner, expires_after_ms * NS_PER_MS
    memory[VAULT_AT : VAULT_AT + 1 + len(vault)] = np.frombuffer(bytes((len(vault),)) + vault, np.uint8)
    return Desk(markets.copy(), memory, words)
