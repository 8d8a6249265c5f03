"""Readings of the account in rounds, and cancels until it is proven that no own order is left.

A round reads, one after the other: how markets are numbered where that is not known, the account's state with its
block time, and the open orders. What it finds of our owner is cancelled at once by client order id, all batches
together; what outlives that is cancelled by the venue's id without haste, as the venue takes no fast cancel of trigger
orders. Orders of others are never touched.

Empty is only said of a round whose block time, read before the listing, lies past the bound: the last moment at which
the venue may still have executed something that the engine sent. A look reads the listing alone, and only tells. Rounds
never end by themselves: after failures they come more slowly. Pure; `hlhft.hyperliquid.watchdog` says when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple, cast

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.answers import Outcome, action_answer
from hlhft.hyperliquid.backoff import MILLISECOND_NS
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.watchdog_events import Report, ReportCode, WatchdogSettings
from hlhft.hyperliquid.watchdog_flatten import closing_orders
from hlhft.hyperliquid.watchdog_reading import (
    AccountState,
    Asset,
    OpenOrder,
    Position,
    account_state,
    dex_places,
    open_orders,
    perpetuals,
    spot_pairs,
)
from hlhft.hyperliquid.watchdog_requests import (
    LEGS_MAX,
    LIST_WEIGHT,
    READINGS,
    STATE_WEIGHT,
    Finished,
    Pending,
    Purpose,
    Requests,
)
from hlhft.hyperliquid.wire import cloid_text

SURVIVORS_MAX = 10_000  # oids remembered of one round
PATIENT_ROUNDS = 4  # until rounds slow down
DOUBLINGS_MAX = 16
ONCE_MAX = 8  # engines that start and die while what one sent has not expired
FLATTEN_EXPIRES_AFTER_MS = 3000


class Mode(IntEnum):
    """What rounds are for."""

    NONE = 0
    LOOK = 1
    CANCEL = 2


class Found(NamedTuple):
    """A look found this many orders of our owner, and of others."""

    own: int
    others: int


class Proven(NamedTuple):
    """At this block time no order of our owner was left, nor can any appear that was sent before the bound."""

    block_ms: int
    others: int
    positions: int


class Sweep:
    """The rounds of one watchdog. `reports` collects what an operator should know."""

    def __init__(self, settings: WatchdogSettings, requests: Requests) -> None:
        self.mode = Mode.NONE
        self.next_ns: int | None = None  # when the next round begins
        self.reports: list[Report] = []
        self.cancelled = 0  # cancels sent since the sweep began
        self._settings = settings
        self._requests = requests
        self._assets: dict[str, Asset] = {}
        self._dexes: Mapping[str, int] = {"": 0}
        self._number = 0  # of the round; what comes late from one before counts no more
        self._plan: deque[tuple[Purpose, str]] = deque()
        self._bound_ms = 0
        self._flatten = False
        self._is_urgent = True
        self._rounds = 0  # begun in this sweep
        self._paced_ns = 0  # when the next one begins, were nothing heard
        self._look_by_ns = 0  # when one comes in any case, unless more is heard
        self._once_by_ns: list[int] = []  # and when one does whatever is heard, each of these times
        self._failures = 0  # in a row
        self._state: AccountState | None = None
        self._positions: list[Position] = []
        self._block_ms: int | None = None
        self._own: list[OpenOrder] = []
        self._others = 0
        self._tried: set[int] = set()  # oids that a fast cancel was sent for
        self._unanswered = 0  # actions of this round

    # Commands.

    def begin(
        self, mode: Mode, now_ns: int, *, bound_ms: int = 0, flatten: bool = False, is_urgent: bool = True
    ) -> None:
        """Begins, with the first round as soon as the rate limit allows: all of what is the engine's and ours, or our
        part of it when it is not urgent."""
        self.cease()
        self._is_urgent = is_urgent
        self.mode, self._bound_ms, self._flatten = mode, bound_ms, flatten
        self.cancelled = self._rounds = self._failures = self._look_by_ns = 0
        self._tried.clear()
        self._begin_round(now_ns)

    def cease(self) -> None:
        """Ends; answers that are still under way count no more."""
        self.mode, self.next_ns = Mode.NONE, None
        self._number += 1
        self._plan.clear()

    def extend(self, bound_ms: int, *, look_by_ns: int = 0) -> None:
        """More may have been sent: proof takes until this block time at least. However patient the rounds have become,
        one comes by `look_by_ns` (0: none), unless another beat is heard before: what a dead engine sent last is found
        soon."""
        self._bound_ms = max(self._bound_ms, bound_ms)
        self._look_by_ns = max(self._look_by_ns, look_by_ns)
        if look_by_ns and self.next_ns is not None:
            self.next_ns = min(self._paced_ns, look_by_ns, *self._once_by_ns)

    @property
    def once_by_ns(self) -> int | None:
        """The first of the times at which a round or a look begins whatever is heard."""
        return min(self._once_by_ns, default=None)

    def look_once_by(self, by_ns: int) -> None:
        """However patient the rounds have become, one begins at that time, whatever is heard before. Of more than
        ONCE_MAX times the last is put off."""
        del self._once_by_ns[ONCE_MAX - 1 :]
        self._once_by_ns.append(by_ns)
        if self.next_ns is not None:
            self.next_ns = min(self.next_ns, by_ns)

    def forget_assets(self) -> None:
        """Reads anew how markets are numbered: one may have been listed since."""
        self._assets = {}

    # Rounds.

    def due(self, now_ns: int) -> None:
        """Time has come for the next round, if it has."""
        if self.next_ns is not None and self.next_ns <= now_ns:
            self._begin_round(now_ns)

    def _begin_round(self, now_ns: int) -> None:
        self._once_by_ns = [by_ns for by_ns in self._once_by_ns if by_ns > now_ns]
        plan = self._round_plan()
        wait_ns = self._requests.wait_ns(_weight_of(plan), now_ns, is_urgent=self._is_urgent)
        if wait_ns:
            self._report(ReportCode.NO_WEIGHT, f"the next reading waits {wait_ns // MILLISECOND_NS} ms")
            self._wait(wait_ns, now_ns)
            return
        self.next_ns = None
        self._number += 1
        self._rounds += 1
        self._plan = plan
        self._block_ms, self._positions, self._own, self._others, self._unanswered = None, [], [], 0, 0
        self._ask_next(now_ns)

    def _round_plan(self) -> deque[tuple[Purpose, str]]:
        plan: deque[tuple[Purpose, str]] = deque()
        dexes = self._settings.dexes
        if not self._assets:
            if any(dexes):
                plan.append((Purpose.DEXES, ""))
            plan.extend((Purpose.META, dex) for dex in dexes)
            plan.append((Purpose.SPOT_META, ""))
        # The first listing of a sweep cannot prove anything, so nothing is asked before it.
        if self.mode is Mode.CANCEL and self._rounds:
            plan.extend((Purpose.STATE, dex) for dex in dexes)
        plan.extend((Purpose.ORDERS, dex) for dex in dexes)
        return plan

    def _ask_next(self, now_ns: int) -> None:
        purpose, dex = self._plan.popleft()
        body: dict[str, Any] = {"type": str(purpose)}
        if purpose in (Purpose.STATE, Purpose.ORDERS):
            body["user"] = self._settings.account
        if dex:
            body["dex"] = dex
        self._requests.read(purpose, body, now_ns, number=self._number, argument=dex)

    # Answers.

    def finished(self, finished: Finished, draw: int, now_ns: int) -> Found | Proven | None:
        """A request of this sweep has ended; what is known now, None while that is nothing new."""
        pending = finished.pending
        if pending.number != self._number:
            return None
        if pending.purpose not in READINGS:
            self._note_action(finished)
            self._unanswered -= 1
            if not self._unanswered:
                self._next_round(draw, now_ns)
            return None
        if not self._take(finished, now_ns):
            self._fail(draw, now_ns)
            return None
        if self._plan:
            self._ask_next(now_ns)
            return None
        return self._conclude(draw, now_ns)

    def _take(self, finished: Finished, now_ns: int) -> bool:
        """Takes in a reading; whether that was possible."""
        pending, body = finished.pending, finished.body
        if body is None:
            self._report(ReportCode.UNREACHABLE, f"{pending.purpose}: {finished.text}")
            return False
        read = self._read(pending, body)
        if isinstance(read, Fault):
            self._report(ReportCode.UNREADABLE, f"{pending.purpose}: {MEANING[read]}")
            return False
        if isinstance(read, AccountState):
            self._note_state(read, now_ns)
        elif isinstance(read, tuple):
            self._note_orders(read)
        elif pending.purpose is Purpose.DEXES:
            places = cast(Mapping[str, int], read)
            missing = [dex for dex in self._settings.dexes if dex not in places]
            if missing:
                self._report(
                    ReportCode.UNREADABLE, f"{pending.purpose}: there is no dex {missing[0]!r}; mend the settings"
                )
                return False
            self._dexes = places
        else:
            self._assets.update(cast(Mapping[str, Asset], read))
        return True

    def _read(self, pending: Pending, body: bytes) -> object:
        match pending.purpose:
            case Purpose.DEXES:
                return dex_places(body)
            case Purpose.META:
                return perpetuals(body, self._dexes[pending.argument])
            case Purpose.SPOT_META:
                return spot_pairs(body)
            case Purpose.STATE:
                return account_state(body)
        return open_orders(body)

    def _note_orders(self, orders: tuple[OpenOrder, ...]) -> None:
        own = [order for order in orders if self._is_own(order)]
        self._own += own
        self._others += len(orders) - len(own)

    def _note_state(self, state: AccountState, now_ns: int) -> None:
        self._requests.note_block(state.block_ms, now_ns)
        self._positions += state.positions
        self._block_ms = state.block_ms if self._block_ms is None else min(self._block_ms, state.block_ms)

    def _is_own(self, order: OpenOrder) -> bool:
        return order.cloid is not None and order.cloid.owner == self._settings.owner

    def _conclude(self, draw: int, now_ns: int) -> Found | Proven | None:
        """All of a round is read."""
        if self.mode is Mode.LOOK:
            self._failures = 0
            return Found(len(self._own), self._others)
        if self._own:
            self._cancel(draw, now_ns)
            return None
        to_close = self._to_close()
        if to_close:
            self._close(to_close, draw, now_ns)
            return None
        self._failures = 0
        if self._block_ms is not None and self._block_ms >= self._proof_ms():
            return Proven(self._block_ms, self._others, len(self._positions))
        self._next_round(draw, now_ns)
        return None

    def _proof_ms(self) -> int:
        """The block time that a reading needs to prove anything."""
        return self._bound_ms + 1 + self._settings.proof_margin_ms

    def _next_round(self, draw: int, now_ns: int) -> None:
        """The next round comes after a while, or as soon as it may prove something. Rounds that bring nothing new, or
        ever more, slow down, so that the rate limit lasts."""
        wait_ns = backoff.wait_ns(self._failures, draw, self._settings.backoff)
        until_proof_ns = (self._proof_ms() - self._requests.block_ms(now_ns)) * MILLISECOND_NS
        if until_proof_ns > 0:
            # An engine that lives and has nothing there needs the rate limit itself; a round follows its last beat.
            is_heard = self._look_by_ns > now_ns and not self._own
            longest_ns = self._settings.look_ns if is_heard else self._settings.backoff.longest_ns
            doublings = min(max(self._rounds - PATIENT_ROUNDS, 0), DOUBLINGS_MAX)
            wait_ns = max(wait_ns, min(self._settings.round_ns << doublings, longest_ns))
            if not is_heard:
                wait_ns = min(wait_ns, until_proof_ns)
        self._wait(wait_ns, now_ns)

    def _fail(self, draw: int, now_ns: int) -> None:
        """The round has failed; the next comes later than the one before."""
        self._number += 1
        self._plan.clear()
        self._wait(backoff.wait_ns(self._failures, draw, self._settings.backoff), now_ns)
        self._failures += 1

    def _wait(self, wait_ns: int, now_ns: int) -> None:
        """Before the next round; less where it is to come soon after the last beat, and more where much of the rate
        limit is used: a sweep of an engine whose beats alone are lost must leave enough for the one after its death."""
        pause_ns = self._requests.pause_ns(_weight_of(self._round_plan()), now_ns)
        self.next_ns = self._paced_ns = now_ns + max(wait_ns, pause_ns)
        for by_ns in (self._look_by_ns, *self._once_by_ns):
            if by_ns > now_ns:
                self.next_ns = min(self.next_ns, by_ns)

    # Actions.

    def _cancel(self, draw: int, now_ns: int) -> None:
        """Cancels what was found: fast by client order id the first time, else by the venue's id."""
        fast: list[dict[str, Any]] = []
        plain: list[dict[str, Any]] = []
        unknown: list[str] = []
        for order in self._own:
            asset = self._assets.get(order.coin)
            if asset is None:
                unknown.append(order.coin)
            elif order.oid in self._tried:
                plain.append({"a": asset.asset_id, "o": order.oid})
            else:
                fast.append({"asset": asset.asset_id, "cloid": cloid_text(order.cloid_number)})
        self._failures += 1 if plain or unknown or self._rounds > PATIENT_ROUNDS else 0
        known = [order.oid for order in self._own if order.coin in self._assets]
        self._tried = set(known[:SURVIVORS_MAX])
        if unknown:
            self._report(ReportCode.NO_ASSET, ", ".join(sorted(set(unknown))[:8]))
            self.forget_assets()
        for at in range(0, len(fast), LEGS_MAX):
            batch = fast[at : at + LEGS_MAX]
            self._act(Purpose.CANCEL, {"type": "cancelByCloid", "cancels": batch, "f": True}, len(batch), now_ns)
        for at in range(0, len(plain), LEGS_MAX):
            batch = plain[at : at + LEGS_MAX]
            self._act(Purpose.CANCEL, {"type": "cancel", "cancels": batch}, len(batch), now_ns)
        self.cancelled += len(fast) + len(plain)
        self._report(ReportCode.CANCELLED, f"{len(fast)} fast, {len(plain)} again; {self._others} of others stay")
        if not self._unanswered:
            self._next_round(draw, now_ns)

    def _to_close(self) -> list[Position]:
        coins = self._settings.flatten_coins if self._flatten else ()
        return [position for position in self._positions if position.coin in coins]

    def _close(self, positions: list[Position], draw: int, now_ns: int) -> None:
        """Closes positions with orders that cannot rest."""
        legs = closing_orders(positions, self._assets, self._settings.flatten_slippage_bps)
        self._failures += 1
        names = ", ".join(position.coin for position in positions)
        self._report(ReportCode.FLATTENING, names[:200])
        if legs:
            action = {"type": "order", "orders": legs, "grouping": "na"}
            expires_ms = self._requests.block_ms(now_ns) + FLATTEN_EXPIRES_AFTER_MS
            # A lost answer must not hide an execution: proof waits until this has expired as well.
            self.extend(expires_ms)
            self._act(Purpose.FLATTEN, action, len(legs), now_ns, expires_after_ms=expires_ms)
        if not self._unanswered:
            self._next_round(draw, now_ns)

    def _act(
        self,
        purpose: Purpose,
        action: dict[str, Any],
        legs: int,
        now_ns: int,
        *,
        expires_after_ms: int | None = None,
    ) -> None:
        sent = not self._requests.is_full() and self._requests.act(
            purpose, action, now_ns, number=self._number, legs=legs, expires_after_ms=expires_after_ms
        )
        if sent:
            self._unanswered += 1
        else:
            self._report(ReportCode.REFUSED, f"{purpose}: no room or nonce for an action; it comes with the next round")

    def _note_action(self, finished: Finished) -> None:
        """What came of an action is only told: the next reading says what it did."""
        purpose = finished.pending.purpose
        if finished.body is None:
            self._report(ReportCode.UNREACHABLE, f"{purpose}: {finished.text}")
            return
        answer = action_answer(finished.body)
        if isinstance(answer, Fault):
            self._report(ReportCode.UNREADABLE, f"{purpose}: {answer.name}")
            return
        errors = [status.text for status in answer.statuses if status.outcome is Outcome.ERROR]
        if not answer.is_ok:
            errors = [answer.text]
        if errors:
            self._report(ReportCode.REFUSED, f"{purpose}: {len(errors)} times, {errors[0]}")

    def _report(self, code: ReportCode, detail: str) -> None:
        self.reports.append(Report(code, detail))


def _weight_of(plan: deque[tuple[Purpose, str]]) -> int:
    return sum(STATE_WEIGHT if purpose is Purpose.STATE else LIST_WEIGHT for purpose, _ in plan)
