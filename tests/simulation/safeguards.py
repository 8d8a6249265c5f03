"""The mutations: each takes one safeguard out of the package, and names the promises that may then break."""

from __future__ import annotations

from typing import NamedTuple

from hlhft.simulation.judge import Promise


class Edit(NamedTuple):
    """In this file of the package, a text that is there once becomes another."""

    file: str
    old: str
    new: str


class Mutation(NamedTuple):
    """One safeguard less. `is_compiled` when compiled code changes, which is compiled anew."""

    name: str
    safeguard: str
    promises: frozenset[Promise]
    edits: tuple[Edit, ...]
    is_compiled: bool = False


def _one(
    name: str, safeguard: str, promises: set[Promise], file: str, old: str, new: str, *, compiled: bool = False
) -> Mutation:
    return Mutation(name, safeguard, frozenset(promises), (Edit(file, old, new),), compiled)


MUTATIONS: tuple[Mutation, ...] = (
    _one(
        "nonce-mark", "the high-water mark of nonces on disk", {Promise.NONCE},
        "live/store.py",
        'return self._number("SELECT max(mark) FROM nonce_mark WHERE signer IN (?, ?)", _address(signer), ANYBODY)',
        "return 0",
    ),
    _one(
        "unknown-exposure", "an order of unknown fate counts as exposure",
        {Promise.EXPOSURE, Promise.PROOF, Promise.AGREES, Promise.BOOKS, Promise.SLOT},
        "hyperliquid/fates_life.py", "Told.UNKNOWN: _unknown,", "Told.UNKNOWN: _cancelled,",
    ),
    Mutation(
        "reconcile",
        "no quotes before the account was read and agrees",
        frozenset({Promise.READ}),
        (
            Edit(
                "hyperliquid/supervisor.py",
                "return self._is_fed and self._is_agreed and any(self._lanes)",
                "return self._is_fed and any(self._lanes)",
            ),
            Edit(
                "live/engine.py",
                "        self.accounts.demand(demand)\n",
                "        self.accounts.demand(demand)\n        self.loop.call_soon(self._reconciled, demand.number)\n",
            ),
        ),
    ),
    _one(
        "cancel-reserve", "placements leave a part of each budget to cancels", {Promise.BUDGETS},
        "core/budgets.py", "if urgency == 0:\n        weight_e3", "if urgency < 0:\n        weight_e3", compiled=True,
    ),
    _one(
        "empty-proof", "empty is only said of a block past the last expiry", {Promise.EMPTY, Promise.OWNED},
        "hyperliquid/watchdog_sweep.py",
        "if self._block_ms is not None and self._block_ms >= self._proof_ms():",
        "if self._block_ms is not None:",
    ),
    _one(
        "fills-once", "each fill counts once, by its trade id",
        {Promise.BOOKS, Promise.AGREES, Promise.ALIVE, Promise.EXPOSURE},
        "hyperliquid/fates_fills.py", "if key in self._seen:\n            return Verdict.KNOWN",
        "if not key:\n            return Verdict.KNOWN",
    ),
    _one(
        "journal-first", "what is sent is recorded before", {Promise.JOURNAL},
        "live/orders.py",
        "        self._record_action(effect.request_id)\n        line = self.lines[effect.lane]\n"
        "        if not line.transport.send(effect.socket, effect.payload):",
        "        line = self.lines[effect.lane]\n"
        "        is_sent = line.transport.send(effect.socket, effect.payload)\n"
        "        self._record_action(effect.request_id)\n        if not is_sent:",
    ),
    _one(
        "journal-inputs", "all that the core is told is recorded", {Promise.REPLAY},
        "live/dispatch.py", "        self._record(events, count)\n        commands =",
        "        if count > 1:\n            self._record(events, count)\n        commands =",
    ),
    _one(
        "halt-gate", "a halt closes the gate to placements", {Promise.HALTED},
        "hyperliquid/supervisor_table.py", "_HALT = (_D.REDUCE_GATE, ", "_HALT = (_D.OPEN_GATE, ",
    ),
    _one(
        "halt-on-disk", "a halt is on disk before anything else happens", {Promise.LATCH},
        "live/engine.py", "fault = self.parts.keep.halt(effect.halt, effect.reason)", 'fault = ""',
    ),
    _one(
        "expiry-margin", "absence proves nothing before the expiry", {Promise.PROOF, Promise.BOOKS, Promise.ALIVE},
        "hyperliquid/fates_readings.py",
        "return block_ms > placement.expires_ms + self._settings.margin_ms", "return True",
    ),
    _one(
        "silence-proves-nothing", "no answer is no proof that nothing was done",
        {Promise.PROOF, Promise.BOOKS, Promise.ALIVE},
        "hyperliquid/gateway.py",
        "self._sender.rows += self._fates.silent(flight.nonce, self._sender.now_ns)",
        "self._sender.rows += self._fates.never_left(flight.nonce, self._sender.now_ns)",
    ),
    _one(
        "fills-before-end", "an order is over once its fills have come",
        {Promise.EXPOSURE, Promise.BOOKS, Promise.AGREES, Promise.ALIVE},
        "hyperliquid/fates_life.py",
        "if placement.end_lots == NOT_TOLD or placement.filled_lots < placement.end_lots:",
        "if placement.end_lots == NOT_TOLD:",
    ),
    _one(
        "watchdog-silence", "the watchdog takes silence for death", {Promise.OWNED},
        "hyperliquid/watchdog.py",
        "def _watch(self) -> None:\n        self._due[TimerName.SILENCE] = self._now_ns + self.settings.silence_ns",
        "def _watch(self) -> None:\n"
        "        self._due[TimerName.SILENCE] = self._now_ns + 1000 * self.settings.silence_ns",
    ),
    _one(
        "cancel-repeat", "a cancel without an answer is sent again on the other connection",
        {Promise.CANCELS},
        "hyperliquid/gateway_send.py",
        "repeat_ns = now_ns + settings.repeat_ns if repeats < settings.repeats_max else NEVER_NS",
        "repeat_ns = NEVER_NS",
    ),
    _one(
        "own-actions", "what the gateway sends by itself counts with the actions of the address", {Promise.BUDGETS},
        "hyperliquid/gateway_send.py", "        if not flight.batch_id:\n            self.count(",
        "        if flight.batch_id < 0:\n            self.count(",
    ),
    # The watchdog cancels for an engine that does not come to agree, as one with leftovers does not: both are out.
    Mutation(
        "leftovers",
        "orders of earlier sessions are cancelled at the start, by the engine or by the watchdog that waits for it",
        frozenset({Promise.OWNED, Promise.CONVERGES, Promise.BOOKS}),
        (
            Edit("live/leftovers.py", "if len(self._waiting) >= WAITING_MAX:", "if len(self._waiting) >= 0:"),
            Edit(
                "hyperliquid/watchdog_events.py",
                "waiting_grace_ns: int = 10 * SECOND_NS",
                "waiting_grace_ns: int = 10_000 * SECOND_NS",
            ),
        ),
    ),
    # Of a book that has come to a stop its silence says so, and a touch that is newer: both are out.
    Mutation(
        "old-data",
        "quotes of a market whose book has come to a stop are pulled, as it is silent or the touch is newer",
        frozenset({Promise.STALE}),
        (
            Edit(
                "hyperliquid/freshness.py",
                "silent_ns = self.last_ns + self.stream.age_ns_max if self.stream.age_ns_max else None",
                "silent_ns = None",
            ),
            Edit(
                "hyperliquid/freshness.py",
                "if book_watch is None or not 0 < book_watch.stream.age_ns_max < age_ns:",
                "if book_watch is None or age_ns > 0:",
            ),
        ),
    ),
    _one(
        "budget-checks", "nothing is placed beyond a budget", {Promise.BUDGETS, Promise.RULES},
        "core/budgets.py",
        '    if limits["address_enforced"] == 0:\n        return 0\n    if address_room',
        '    if legs > 0:\n        return 0\n    if address_room',
        compiled=True,
    ),
    _one(
        "address-reserve", "placements leave a part of the actions of the address to cancels", {Promise.BUDGETS},
        "core/budgets.py",
        'return allowance - limits["address_reserve"] - lane["address_actions"]',
        'return allowance - lane["address_actions"]',
        compiled=True,
    ),
    _one(
        "fee-once", "the fee of a fill counts once in the parts of the profit", {Promise.PROFIT},
        "live/engine.py", "fee_micro=row[6], is_maker", "fee_micro=2 * row[6], is_maker",
    ),
    _one(
        "funding-counts", "each payment of funding counts", {Promise.PROFIT},
        "hyperliquid/reconcile_tidings.py",
        "if is_new and ms_of(payment.ts_ns) > self.begun_ms and not payment.fault:",
        "if is_new and ms_of(payment.ts_ns) < self.begun_ms and not payment.fault:",
    ),
)  # fmt: skip
