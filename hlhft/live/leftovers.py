"""Orders of an earlier session, cancelled by their client order ids: those that nobody in this process answers for.

They are in no table of the core nor of the fates, so the gateway does not know them. Each action is signed once and
sent over HTTP, again with the same bytes after waits that grow, until the venue has answered it: a cancel does no
harm twice, and an overloaded venue is not asked every second. What it led to shows in the next listing, which is what
the reconciliation believes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from hlhft.hyperliquid.backoff import BackoffSettings, wait_ns
from hlhft.hyperliquid.cloids import parse
from hlhft.hyperliquid.nonces import NonceAllocator, NonceRefusal
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reconcile_events import CancelLeftovers
from hlhft.hyperliquid.signing import Signer, action_hash, l1_digest
from hlhft.hyperliquid.wire import cloid_text
from hlhft.live.http import Answer
from hlhft.live.hub import Hub
from hlhft.live.journal.records import HTTP_LANE, Action

OWNER = "leftovers"  # of its timers
WAITING_MAX = 8  # actions without an answer; what is beyond shows in the next listing, and is asked for again
WAITS = BackoffSettings()
NS_PER_MS = 1_000_000


class Leftovers:
    """Cancels leftovers with the nonces of the engine's signer. `record(action)` hears of each request before it is
    sent; `sent(actions)` and `answered(actions)` of each action, and for how many of the address it counts."""

    def __init__(
        self,
        hub: Hub,
        signer: Signer,
        nonces: NonceAllocator,
        *,
        mainnet: bool,
        vault_address: str | None,
        record: Callable[[Action], None],
        sent: Callable[[int], None],
        answered: Callable[[int], None],
    ) -> None:
        self._hub = hub
        self._signer = signer
        self._nonces = nonces
        self._mainnet = mainnet
        self._vault = vault_address
        self._record = record
        self._sent, self._answered = sent, answered
        self._waiting: dict[int, bytes] = {}  # by nonce
        self._actions: dict[int, Action] = {}  # of what waits, as the journal has them
        self._failures: Counter[int] = Counter()  # by nonce, of what waits
        hub.timers.own(OWNER, self._fired)

    def cancel(self, effect: CancelLeftovers) -> None:
        """Cancels these orders, at most what fits one action."""
        if len(self._waiting) >= WAITING_MAX:
            self._hub.counters["cancels of leftovers that wait for the next listing"] += 1
            return
        now_ms = self._hub.clock.now_ns() // NS_PER_MS
        nonce = self._nonces.allocate(now_ms, self._hub.block_ms or now_ms, urgent=True)
        if isinstance(nonce, NonceRefusal):
            self._hub.say(f"leftovers wait for a nonce: {nonce.name}", "warning")
            return
        cancels = [{"asset": one.asset_id, "cloid": cloid_text(one.cloid)} for one in effect.orders]
        action = {"type": "cancelByCloid", "cancels": cancels, "f": True}
        connection_id = action_hash(action, nonce=nonce, vault_address=self._vault, expires_after_ms=None)
        signature = self._signer.sign(l1_digest(connection_id, mainnet=self._mainnet))
        self._waiting[nonce] = msgspec.json.encode(
            {
                "action": action,
                "nonce": nonce,
                "signature": signature.wire(),
                "vaultAddress": self._vault,
                "expiresAfter": None,
            }
        )
        order_ids = tuple(named.order_id for one in effect.orders if (named := parse(one.cloid)) is not None)
        self._actions[nonce] = Action(nonce, 0, 0, 0, int(ActionKind.CANCEL_BY_CLOID), HTTP_LANE, order_ids)
        self._sent(len(order_ids))
        self._post(nonce)

    def _post(self, nonce: int) -> None:
        def told(answer: Answer) -> None:
            if answer.body is None:
                again_ns = wait_ns(self._failures[nonce], self._hub.timers.draw(), WAITS)
                self._failures[nonce] += 1
                self._hub.timers.set(OWNER, str(nonce), self._hub.clock.now_ns() + again_ns)
                return
            self._nonces.answered(nonce)
            self._waiting.pop(nonce)
            self._failures.pop(nonce, None)
            self._answered(len(self._actions.pop(nonce).order_ids))

        self._record(self._actions[nonce])
        self._hub.http.post("/exchange", self._waiting[nonce], told)

    def _fired(self, name: str, draw: int) -> None:
        self._post(int(name))
