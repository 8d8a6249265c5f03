"""The watchdog's requests: written, signed, counted, sent again over the other lane, and matched with their answers.

A request is asked for at most twice, with the very same bytes: first over the socket where there is one, then over
HTTP, or the other way round. So an action never executes twice under two nonces. What it costs is counted against the
watchdog's part of the rate limit: readings wait for it, what takes risk away is counted and sent. Pure.

The nonces are those of a signer that nobody else uses. There is no mark on disk: the first nonce is the clock, near
block time as far as that is known, and should the venue have seen it, it refuses, and the next round takes another.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from hlhft.hyperliquid.backoff import WINDOW_NS
from hlhft.hyperliquid.nonces import NonceAllocator, NonceRefusal
from hlhft.hyperliquid.signing import Signer, action_hash, l1_digest
from hlhft.hyperliquid.watchdog_events import Ask, Lane, RequestKind, WatchdogSettings
from hlhft.hyperliquid.wire import ms_of

PENDING_MAX = 128  # the largest account has 5,000 orders, 25 actions; one more is not sent, and counts as failed
TRIES_MAX = 2
LEGS_MAX = 200  # of an action, venue reference section 4.1
LEGS_PER_WEIGHT = 40  # venue reference section 7
LIST_WEIGHT = 20
STATE_WEIGHT = 2


class Purpose(StrEnum):
    """What a request is for."""

    DEXES = "perpDexs"
    META = "meta"
    SPOT_META = "spotMeta"
    STATE = "clearinghouseState"
    ORDERS = "openOrders"
    CANCEL = "cancel"
    FLATTEN = "flatten"
    SWITCH = "switch"


READINGS = frozenset({Purpose.DEXES, Purpose.META, Purpose.SPOT_META, Purpose.STATE, Purpose.ORDERS})


class Pending(NamedTuple):
    """A request under way. `number` is whatever its owner knows it by, `legs` the parts of an action."""

    purpose: Purpose
    number: int
    argument: str
    kind: RequestKind
    body: bytes
    lane: Lane
    tries: int
    due_ns: int
    nonce: int

    def __repr__(self) -> str:
        return f"Pending({self.purpose}, {self.number}, {self.lane}, tries={self.tries})"


class Finished(NamedTuple):
    """A request that has its answer, or will not get one: then `body` is None and `text` says why."""

    pending: Pending
    body: bytes | None
    text: str


class Weights:
    """What was used of a rate limit within a sliding minute, each use by its weight.

    Keeps one entry a use, `limit` at most: beyond, the oldest is forgotten early, as all of them weigh at least 1."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._uses: deque[tuple[int, int]] = deque(maxlen=limit)  # when, and how much

    def count(self, weight: int, now_ns: int) -> None:
        """Counts a use, whether it fits or not."""
        self._uses.append((now_ns, weight))

    def wait_ns(self, weight: int, now_ns: int, *, keep: int = 0) -> int:
        """How long until so much more fits and `keep` is left; 0 when it does. More than ever fits waits until
        nothing is used."""
        excess = self._used(now_ns) + weight + keep - self.limit
        wait_ns = 0
        for used_ns, used in self._uses:
            if excess <= 0:
                break
            excess -= used
            wait_ns = used_ns + WINDOW_NS - now_ns
        return wait_ns

    def pause_ns(self, weight: int, now_ns: int) -> int:
        """How long after the latest use one more is to wait, so that something of the limit is always left: beyond
        half of it, uses come no faster than a third of it a minute. 0 below that."""
        used = self._used(now_ns)
        if not used or used + weight <= self.limit // 2:
            return 0
        latest_ns, _ = self._uses[-1]
        return max(latest_ns + weight * WINDOW_NS * 3 // self.limit - now_ns, 0)

    def _used(self, now_ns: int) -> int:
        while self._uses and self._uses[0][0] <= now_ns - WINDOW_NS:
            self._uses.popleft()
        return sum(used for _, used in self._uses)


class Requests:
    """All requests of one watchdog. `asks` collects what is to be sent."""

    def __init__(self, settings: WatchdogSettings, signer: Signer) -> None:
        self.asks: list[Ask] = []
        self.is_socket_up = False
        self._settings = settings
        self._signer = signer
        self._nonces = NonceAllocator(0)
        self._weights = Weights(settings.weight_per_minute_max)
        self._pending: dict[int, Pending] = {}
        self._last_id = 0
        self._block: tuple[int, int] | None = None  # a block time in ms, and when it was read

    # Time at the venue.

    def note_block(self, block_ms: int, now_ns: int) -> None:
        """A block time was read."""
        self._block = (block_ms, now_ns)

    def block_ms(self, now_ns: int) -> int:
        """The time at the venue, estimated: our clock until one was read."""
        if self._block is None:
            return ms_of(now_ns)
        block_ms, read_ns = self._block
        return block_ms + ms_of(now_ns - read_ns)

    # Sending.

    def wait_ns(self, weight: int, now_ns: int, *, is_urgent: bool) -> int:
        """How long until a reading of so much weight may be made; 0 when it may. What is urgent draws on the engine's
        part too, which a dead engine does not need."""
        keep = 0 if is_urgent else self._settings.weight_per_minute_max - self._settings.weight_per_minute
        return self._weights.wait_ns(weight, now_ns, keep=keep)

    def pause_ns(self, weight: int, now_ns: int) -> int:
        """How long a reading of so much weight is to wait after others, so that one that is urgent need not wait."""
        return self._weights.pause_ns(weight, now_ns)

    def read(self, purpose: Purpose, body: dict[str, Any], now_ns: int, *, number: int = 0, argument: str = "") -> None:
        """Asks for a reading."""
        weight = STATE_WEIGHT if purpose is Purpose.STATE else LIST_WEIGHT
        self._weights.count(weight, now_ns)
        self._send(purpose, RequestKind.INFO, msgspec.json.encode(body), now_ns, number=number, argument=argument)

    def act(
        self,
        purpose: Purpose,
        action: dict[str, Any],
        now_ns: int,
        *,
        number: int = 0,
        legs: int = 1,
        expires_after_ms: int | None = None,
    ) -> bool:
        """Signs an action and asks for it to be sent; whether there was a nonce for it."""
        nonce = self._nonce(now_ns)
        if nonce is None:
            return False
        self._weights.count(1 + legs // LEGS_PER_WEIGHT, now_ns)
        body = self._signed(action, nonce, expires_after_ms)
        self._send(purpose, RequestKind.ACTION, body, now_ns, number=number, nonce=nonce)
        return True

    def _nonce(self, now_ns: int) -> int | None:
        now_ms, block_ms = ms_of(now_ns), self.block_ms(now_ns)
        mark = self._nonces.reserve(now_ms, block_ms)
        if mark is not None:
            self._nonces.reserved(mark)
        nonce = self._nonces.allocate(now_ms, block_ms, urgent=True)
        return None if isinstance(nonce, NonceRefusal) else nonce

    def _signed(self, action: dict[str, Any], nonce: int, expires_after_ms: int | None) -> bytes:
        vault = self._settings.vault_address
        connection_id = action_hash(action, nonce=nonce, vault_address=vault, expires_after_ms=expires_after_ms)
        digest = l1_digest(connection_id, mainnet=self._settings.mainnet)
        return msgspec.json.encode(
            {
                "action": action,
                "nonce": nonce,
                "signature": self._signer.sign(digest).wire(),
                "vaultAddress": vault,
                "expiresAfter": expires_after_ms,
            }
        )

    def _send(
        self,
        purpose: Purpose,
        kind: RequestKind,
        body: bytes,
        now_ns: int,
        *,
        number: int,
        argument: str = "",
        nonce: int = 0,
    ) -> None:
        lane = Lane.SOCKET if self.is_socket_up else Lane.HTTP
        due_ns = now_ns + self._settings.request_ns
        self._last_id += 1
        self._pending[self._last_id] = Pending(purpose, number, argument, kind, body, lane, 1, due_ns, nonce)
        self.asks.append(Ask(self._last_id, lane, kind, body))

    # Answers.

    def is_full(self) -> bool:
        """Whether no more fit."""
        return len(self._pending) >= PENDING_MAX

    def answered(self, request_id: int, body: bytes | None, text: str, now_ns: int) -> Finished | None:
        """The request that has ended with this; None when it is asked for again, or not waited for any more."""
        pending = self._pending.pop(request_id, None)
        if pending is None:
            return None
        if body is not None:
            self._nonces.answered(pending.nonce)
            return Finished(pending, body, "")
        return self._again(pending, text, now_ns)

    def lost_socket(self, now_ns: int) -> list[Finished]:
        """The socket is gone: what went over it is asked for again over HTTP; what that was not possible for."""
        self.is_socket_up = False
        lost = [number for number, pending in self._pending.items() if pending.lane is Lane.SOCKET]
        return self._end(lost, "the socket was lost", now_ns)

    def due(self, now_ns: int) -> list[Finished]:
        """What has waited too long is asked for again over the other lane; what had been already ends here."""
        late = [number for number, pending in self._pending.items() if pending.due_ns <= now_ns]
        return self._end(late, "no answer in time", now_ns)

    def next_deadline_ns(self) -> int | None:
        """When `due` is to be called."""
        return min((pending.due_ns for pending in self._pending.values()), default=None)

    def _end(self, numbers: list[int], text: str, now_ns: int) -> list[Finished]:
        ended = [self._again(self._pending.pop(number), text, now_ns) for number in numbers]
        return [finished for finished in ended if finished is not None]

    def _again(self, pending: Pending, text: str, now_ns: int) -> Finished | None:
        """Asks for it over the other lane with the same bytes, or ends it."""
        lane = Lane.SOCKET if self.is_socket_up and pending.lane is Lane.HTTP else Lane.HTTP
        if pending.tries >= TRIES_MAX or lane is pending.lane:
            return Finished(pending, None, text)
        again = pending._replace(lane=lane, tries=pending.tries + 1, due_ns=now_ns + self._settings.request_ns)
        self._last_id += 1
        self._pending[self._last_id] = again
        self.asks.append(Ask(self._last_id, lane, again.kind, again.body))
        return None
