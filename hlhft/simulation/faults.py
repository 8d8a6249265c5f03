"""What can go wrong, and the plan of a run: which faults come when, drawn from its seed and from nothing else.

A plan is a list, so a run can be repeated with a part of it. Each run draws its own mix: which kinds come at all, and
how often; rare combinations come up in some runs again and again instead of in all runs hardly ever.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from random import Random
from typing import NamedTuple

import msgspec

from hlhft.simulation.time import MS, SECOND

FAULTS_MAX = 20_000  # of one plan
GAPS_NS = (4 * SECOND, 15 * SECOND, 60 * SECOND)  # mean time between two faults, one of these for a run
KIND_SHARE = 0.4  # of the kinds that a run has


class FaultError(ValueError):
    """A list of faults that cannot be read; the message is one sentence."""


class FaultKind(StrEnum):
    """The kinds; their value is their name on the command line."""

    ENGINE_KILL = "engine-kill"
    ENGINE_KILL_SENDING = "engine-kill-sending"
    ENGINE_POWER_CUT = "engine-power-cut"
    ENGINE_FREEZE = "engine-freeze"
    WATCHDOG_KILL = "watchdog-kill"
    WATCHDOG_FREEZE = "watchdog-freeze"
    EXCHANGE_KILL = "exchange-kill"
    CUT = "cut"
    HALF_OPEN = "half-open"
    PARTITION = "partition"
    MUTE = "mute"
    SLOW_READER = "slow-reader"
    TEARS = "tears"
    REQUESTS_LOST = "requests-lost"
    ANSWERS_LOST = "answers-lost"
    ANSWERS_LATE = "answers-late"
    REQUESTS_TWICE = "requests-twice"
    BUSY_BEFORE = "busy-before"
    BUSY_AFTER = "busy-after"
    BAD_GATEWAY_BEFORE = "bad-gateway-before"
    BAD_GATEWAY_AFTER = "bad-gateway-after"
    BEATS_LOST = "beats-lost"
    ROTATION = "rotation"
    SILENT_ACTIONS = "silent-actions"
    ANSWERS_TWICE = "answers-twice"
    BATCH_ERROR = "batch-error"
    UNKNOWN_STATUS = "unknown-status"
    DISK_FULL = "disk-full"
    DISK_SLOW = "disk-slow"
    CLOCK_STEP = "clock-step"
    CLOCK_DRIFT = "clock-drift"
    CLOCK_BACK = "clock-back"
    OPERATOR_HALT = "operator-halt"
    UPGRADE = "upgrade"
    DELISTING = "delisting"
    PRICE_JUMP = "price-jump"
    PRICE_SHOCK = "price-shock"
    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"
    FUNDING_SPIKE = "funding-spike"
    FEE_TIER = "fee-tier"
    SLOW_CANCELS = "slow-cancels"
    TRANSFER = "transfer"
    HAND_TRADE = "hand-trade"
    FOREIGN_ORDERS = "foreign-orders"
    KEY_REVOKED = "key-revoked"
    CUT_AT = "cut-at"
    PEER_STALLS = "peer-stalls"


class FaultRule(NamedTuple):
    """How long a fault lasts, how large it is, how often beside others it comes, and what it is."""

    weight: int
    shortest_ns: int
    longest_ns: int
    smallest: int
    largest: int
    meaning: str


_MINUTE = 60 * SECOND
RULES: dict[FaultKind, FaultRule] = {
    FaultKind.ENGINE_KILL: FaultRule(6, 50 * MS, 30 * SECOND, 0, 1, "the engine is killed, and started again"),
    FaultKind.ENGINE_KILL_SENDING: FaultRule(
        3,
        50 * MS,
        30 * SECOND,
        0,
        1,
        "the engine is killed just as it sends orders, and started again (1: they are lost)",
    ),
    FaultKind.ENGINE_POWER_CUT: FaultRule(
        2, 2 * SECOND, 60 * SECOND, 0, 0, "its host loses power: what was not flushed to disk is torn"
    ),
    FaultKind.ENGINE_FREEZE: FaultRule(3, 100 * MS, 20 * SECOND, 0, 0, "its process stands still, and goes on"),
    FaultKind.WATCHDOG_KILL: FaultRule(3, 100 * MS, 8 * SECOND, 0, 1, "the watchdog is killed, and started again"),
    FaultKind.WATCHDOG_FREEZE: FaultRule(2, 100 * MS, 20 * SECOND, 0, 0, "its process stands still, and goes on"),
    FaultKind.EXCHANGE_KILL: FaultRule(
        1, 100 * MS, 10 * SECOND, 0, 0, "the exchange goes down: what waited for a block is lost"
    ),
    FaultKind.CUT: FaultRule(4, 0, 0, 1, 1000, "connections are cut; some ends notice it at once (per mille of them)"),
    FaultKind.HALF_OPEN: FaultRule(2, 0, 0, 1, 1000, "connections are cut, and our end does not notice"),
    FaultKind.PARTITION: FaultRule(
        2, 50 * MS, 20 * SECOND, 0, 0, "nothing gets through; what was sent comes afterwards, or its socket is given up"
    ),
    FaultKind.MUTE: FaultRule(2, SECOND, _MINUTE, 0, 5, "one stream says nothing, and its connection stands"),
    FaultKind.SLOW_READER: FaultRule(1, SECOND, 20 * SECOND, 0, 0, "the engine's sockets are not read"),
    FaultKind.TEARS: FaultRule(1, SECOND, _MINUTE, 10, 1000, "messages come in pieces (per mille of them)"),
    FaultKind.REQUESTS_LOST: FaultRule(2, SECOND, _MINUTE, 10, 300, "requests do not arrive (per mille of them)"),
    FaultKind.ANSWERS_LOST: FaultRule(2, SECOND, _MINUTE, 10, 300, "answers do not arrive (per mille of them)"),
    FaultKind.ANSWERS_LATE: FaultRule(2, SECOND, _MINUTE, 100, 9_000, "answers are late (ms)"),
    FaultKind.REQUESTS_TWICE: FaultRule(1, SECOND, _MINUTE, 10, 500, "requests arrive twice (per mille of them)"),
    FaultKind.BUSY_BEFORE: FaultRule(1, SECOND, 10 * SECOND, 0, 0, "HTTP 429, and the exchange hears nothing"),
    FaultKind.BUSY_AFTER: FaultRule(1, SECOND, 10 * SECOND, 0, 0, "HTTP 429, and the exchange has heard it"),
    FaultKind.BAD_GATEWAY_BEFORE: FaultRule(1, SECOND, 10 * SECOND, 0, 0, "HTTP 502, and the exchange hears nothing"),
    FaultKind.BAD_GATEWAY_AFTER: FaultRule(1, SECOND, 10 * SECOND, 0, 0, "HTTP 502, and the exchange has heard it"),
    FaultKind.BEATS_LOST: FaultRule(2, SECOND, _MINUTE, 10, 1000, "heartbeats are lost (per mille of them)"),
    FaultKind.ROTATION: FaultRule(1, 0, 0, 1, 1000, "the exchange closes connections as expired (per mille of them)"),
    FaultKind.SILENT_ACTIONS: FaultRule(
        2, 200 * MS, 10 * SECOND, 0, 1, "actions are executed and never answered; 1: and no stream tells of them"
    ),
    FaultKind.ANSWERS_TWICE: FaultRule(1, SECOND, 20 * SECOND, 0, 0, "actions are answered twice"),
    FaultKind.BATCH_ERROR: FaultRule(1, 200 * MS, 5 * SECOND, 0, 0, "actions with orders are refused as a whole"),
    FaultKind.UNKNOWN_STATUS: FaultRule(1, 200 * MS, 5 * SECOND, 0, 0, "orders rest, told in a word nobody knows"),
    FaultKind.DISK_FULL: FaultRule(1, SECOND, _MINUTE, 0, 0, "no new file, and nothing more in the store"),
    FaultKind.DISK_SLOW: FaultRule(1, SECOND, _MINUTE, 50, 5_000, "a flush takes so long (ms)"),
    FaultKind.CLOCK_STEP: FaultRule(
        1, SECOND, 5 * _MINUTE, -2_000, 2_000, "the engine's wall clock leaps, and is set right again (ms)"
    ),
    FaultKind.CLOCK_DRIFT: FaultRule(1, _MINUTE, 10 * _MINUTE, -200, 200, "the engine's wall clock drifts (ppm)"),
    FaultKind.CLOCK_BACK: FaultRule(
        1,
        20 * MS,
        500 * MS,
        100,
        950,
        "the engine's wall clock is ahead, it is killed just as it sends orders, and starts again with a clock that is "
        "as much behind (ms)",
    ),
    FaultKind.OPERATOR_HALT: FaultRule(1, SECOND, 20 * SECOND, 0, 1, "an operator halts or flattens, and resumes"),
    FaultKind.UPGRADE: FaultRule(
        1, 200 * MS, 10 * SECOND, 5, 60, "the exchange is down, and then takes only post-only orders (for s)"
    ),
    FaultKind.DELISTING: FaultRule(
        1, 100 * MS, 2 * SECOND, 0, 1, "the exchange is down, and a market is not listed any more (which)"
    ),
    FaultKind.PRICE_JUMP: FaultRule(3, 0, 0, -20, 20, "all prices leap (per mille)"),
    FaultKind.PRICE_SHOCK: FaultRule(1, 0, 0, -300, 300, "all prices leap far (per mille)"),
    FaultKind.LIQUIDATION: FaultRule(
        1,
        5 * SECOND,
        _MINUTE,
        100,
        250,
        "the owner takes out what he can, and prices leap against our positions (per mille)",
    ),
    FaultKind.DELEVERAGING: FaultRule(1, 0, 0, 0, 0, "our positions are closed as those who lost to us cannot pay"),
    FaultKind.FUNDING_SPIKE: FaultRule(
        1, _MINUTE, 15 * _MINUTE, -1, 1, "the funding rate is at its cap of 4 % an hour (which sign)"
    ),
    FaultKind.FEE_TIER: FaultRule(1, 10 * SECOND, 10 * _MINUTE, 0, 30, "a maker pays more (tenths of a basis point)"),
    FaultKind.SLOW_CANCELS: FaultRule(2, SECOND, _MINUTE, 100, 3_000, "cancels come so late that fills overtake (ms)"),
    FaultKind.TRANSFER: FaultRule(1, 0, 0, -20_000, 20_000, "the owner pays in, or takes out (USDC)"),
    FaultKind.HAND_TRADE: FaultRule(1, 0, 0, -1_500, 1_500, "the owner buys or sells by hand (USDC)"),
    FaultKind.FOREIGN_ORDERS: FaultRule(1, SECOND, 5 * _MINUTE, 0, 0, "orders of others rest on the account"),
    FaultKind.KEY_REVOKED: FaultRule(
        1, 2 * SECOND, _MINUTE, 0, 0, "the owner takes the engine's key away, and gives it a new one"
    ),
    FaultKind.CUT_AT: FaultRule(
        1,
        100 * MS,
        10 * SECOND,
        0,
        3,
        "connections are cut in the handshake, at the first message, at an action that leaves, or before its answer",
    ),
    FaultKind.PEER_STALLS: FaultRule(1, SECOND, 20 * SECOND, 0, 0, "the exchange does not read what it is sent"),
}


class Fault(msgspec.Struct, frozen=True, order=True):
    """One fault of a plan: when it begins, counted from the start of the run, for how long, and how large."""

    at_ns: int
    kind: FaultKind
    length_ns: int
    size: int

    def __str__(self) -> str:
        at_s, length_s = (f"{Decimal(ns) / SECOND:f}" for ns in (self.at_ns, self.length_ns))
        return f"{at_s}:{self.kind.value}:{length_s}:{self.size}"


def read_plan(text: str) -> tuple[Fault, ...]:
    """The faults of a list as `Fault.__str__` writes each, with commas between; `none` is no fault.

    Raises FaultError.
    """
    if text.strip() == "none":
        return ()
    found = []
    for item in text.split(","):
        parts = item.strip().split(":")
        try:
            at_s, kind, length_s, size = parts
            found.append(Fault(_ns(at_s), FaultKind(kind), _ns(length_s), int(size)))
        except (ValueError, InvalidOperation):
            raise FaultError(
                f"{item!r} is no fault: give SECONDS:KIND:SECONDS:SIZE, as in 12.5:cut:0:500; kinds are "
                f"{', '.join(kind.value for kind in FaultKind)}"
            ) from None
    return tuple(sorted(found))


def _ns(text: str) -> int:
    return int((Decimal(text) * SECOND).to_integral_value())


def plan(seed: int, span_ns: int, kinds: tuple[FaultKind, ...] = tuple(FaultKind)) -> tuple[Fault, ...]:
    """The faults of a run of this seed in a span, in order; `kinds` may be drawn, and not all of them are."""
    random = Random(f"faults of {seed}")  # noqa: S311 - a run is to be repeated
    chosen = [kind for kind in kinds if random.random() < KIND_SHARE] or [random.choice(kinds)]
    weights = [RULES[kind].weight for kind in chosen]
    mean_ns = random.choice(GAPS_NS)
    found: list[Fault] = []
    at_ns = 0
    while len(found) < FAULTS_MAX:
        at_ns += round(random.expovariate(1.0) * mean_ns)
        if at_ns >= span_ns:
            break
        kind = random.choices(chosen, weights)[0]
        rule = RULES[kind]
        length_ns = _between(random, rule.shortest_ns, rule.longest_ns)
        found.append(Fault(at_ns, kind, length_ns, random.randint(rule.smallest, rule.largest)))
    return tuple(found)


def _between(random: Random, shortest_ns: int, longest_ns: int) -> int:
    """Short ones as often as long ones: even over the logarithm."""
    if shortest_ns == longest_ns:
        return shortest_ns
    factor: float = (longest_ns / shortest_ns) ** random.random()
    return round(shortest_ns * factor)


def faults_table() -> str:
    """The kinds as a Markdown table, one line each; the documentation prints it."""
    rows = ["| kind | weight | lasts | size | what it is |", "| --- | ---: | --- | --- | --- |"]
    for kind, rule in RULES.items():
        lasts = (
            "a moment" if rule.longest_ns == 0 else f"{rule.shortest_ns / SECOND:g} to {rule.longest_ns / SECOND:g} s"
        )
        size = "" if rule.smallest == rule.largest else f"{rule.smallest} to {rule.largest}"
        rows.append(f"| {kind.value} | {rule.weight} | {lasts} | {size} | {rule.meaning} |")
    return "\n".join(rows)
