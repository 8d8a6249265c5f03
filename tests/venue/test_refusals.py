"""The refusal codes: complete, stable on disk, and the same numbers wherever compiled code repeats them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from hlhft.core import orders
from hlhft.events import EventFlag, EventKind
from hlhft.venue import (
    blocks,
    event_log,
    liquidation,
    matching,
    placing,
    priority,
    recorded,
    resting,
    rules,
    scheduled_cancel,
    triggers,
    twap,
    validation,
    waiting,
)
from hlhft.venue.queue import QueueModel
from hlhft.venue.refusals import MEANING, TEXT, Refusal, refusals_table


def test_codes_are_append_only():
    """They are written to disk: this list may only grow."""
    assert [refusal.name for refusal in Refusal] == [
        "NONE",
        "TICK",
        "MINIMUM_NOTIONAL",
        "MARGIN",
        "REDUCE_ONLY",
        "BAD_ALO_PRICE",
        "IOC_NO_MATCH",
        "PRICE_BAND",
        "ORDER_TOO_LARGE",
        "ZERO_SIZE",
        "INVALID_PRICE",
        "NEVER_PLACED",
        "CANNOT_MODIFY",
        "ACTION_EXPIRED",
        "TOO_MANY_OPEN_ORDERS",
        "POST_ONLY_WINDOW",
        "NO_LIQUIDITY",
        "SELF_TRADE",
        "REDUCE_ONLY_CANCELLED",
        "MARGIN_CANCELLED",
        "LIQUIDATED",
        "REQUESTED",
        "REQUEST_LOST",
        "FAST_CANCEL_OF_TRIGGER",
        "BAD_TRIGGER_PRICE",
        "TRIGGER_COUNT",
        "SIBLING_FILLED",
        "PARENT_CANCELLED",
        "SCHEDULED_CANCEL",
        "SCHEDULE_VOLUME",
        "SCHEDULE_TOO_SOON",
        "SCHEDULE_TOO_MANY",
        "TWAP_DURATION",
        "TWAP_UNKNOWN",
        "TOO_MANY_TRIGGERS",
        "PRIORITY_NOT_ALLOWED",
        "INVALID_LEVERAGE",
        "LEVERAGE_TYPE_OPEN",
        "NOT_ISOLATED",
        "STRICT_ISOLATED",
        "INSUFFICIENT_MARGIN_TRANSFER",
        "INSUFFICIENT_SPOT_BALANCE",
        "INSUFFICIENT_BALANCE",
        "INVALID_AMOUNT",
        "BUILDER_NOT_APPROVED",
        "POSITION_TIER_LIMIT",
        "ORACLE_DISTANCE",
        "CROSS_NOT_ALLOWED",
        "UNKNOWN_ACTION",
    ]
    assert [refusal.value for refusal in Refusal] == list(range(len(Refusal)))


def test_every_code_has_a_text_and_a_meaning():
    assert set(TEXT) == set(MEANING) == set(Refusal)
    assert all(TEXT[refusal] for refusal in Refusal if refusal is not Refusal.NONE)
    assert len(set(MEANING.values())) == len(Refusal)


def test_the_table_names_every_code_once_in_order():
    head, rule, *rows = refusals_table().splitlines()
    assert head == "| code | name | meaning | the venue's text |"
    assert rule == "| ---: | --- | --- | --- |"
    assert [row.split(" | ")[0:2] for row in rows] == [[f"| {r.value}", f"`{r.name}`"] for r in Refusal]
    assert rows[0] == "| 0 | `NONE` | no refusal |  |"
    assert rows[2] == (
        "| 2 | `MINIMUM_NOTIONAL` | rejected: worth less than the least, and not only closing a position"
        " | `Order must have minimum value of $10.` |"
    )
    assert refusals_table().endswith("|\n")
    assert all(row.count("|") == 5 for row in rows), "a text with a bar would break the table"


# Compiled code repeats the members of these as plain numbers: name of the constant -> what it stands for.
CONSTANTS = {
    event_log: {"_VISIBLE": EventFlag.EXCHANGE_VISIBLE},
    blocks: {
        "_PLACE": blocks.ActionKind.PLACE,
        "_CANCEL": blocks.ActionKind.CANCEL,
        "_MODIFY": blocks.ActionKind.MODIFY,
        "_BACKGROUND_LEVEL": blocks.ActionKind.BACKGROUND_LEVEL,
    },
    priority: {
        "_ALO": blocks.TimeInForce.ALO,
        "_GTC": blocks.TimeInForce.GTC,
        "_PLACE": blocks.ActionKind.PLACE,
    },
    waiting: {
        "_CANCELLED": EventKind.ORDER_CANCELLED,
        "_WAITING": EventKind.ORDER_WAITING,
        "_PARENT_CANCELLED": Refusal.PARENT_CANCELLED,
    },
    resting: {
        "_ACKNOWLEDGED": EventKind.ORDER_ACKNOWLEDGED,
        "_CANCELLED": EventKind.ORDER_CANCELLED,
        "_REDUCE_ONLY_CANCELLED": Refusal.REDUCE_ONLY_CANCELLED,
        "_SIBLING_FILLED": Refusal.SIBLING_FILLED,
    },
    placing: {
        "_REJECTED": EventKind.ORDER_REJECTED,
        "_FILLED": EventKind.ORDER_FILLED,
        "_EXPIRED": EventKind.ORDER_EXPIRED,
        "_VISIBLE": EventFlag.EXCHANGE_VISIBLE,
        "_VISIBLE_MAKER": EventFlag.EXCHANGE_VISIBLE | EventFlag.MAKER,
        "_ALO": blocks.TimeInForce.ALO,
        "_IOC": blocks.TimeInForce.IOC,
        "_MARKET": blocks.TimeInForce.MARKET,
        "_REDUCE_ONLY": Refusal.REDUCE_ONLY,
        "_BAD_ALO": Refusal.BAD_ALO_PRICE,
        "_NO_MATCH": Refusal.IOC_NO_MATCH,
        "_PRICE_BAND": Refusal.PRICE_BAND,
        "_TOO_LARGE": Refusal.ORDER_TOO_LARGE,
        "_INVALID_PRICE": Refusal.INVALID_PRICE,
        "_TOO_MANY": Refusal.TOO_MANY_OPEN_ORDERS,
        "_NO_LIQUIDITY": Refusal.NO_LIQUIDITY,
        "_SELF_TRADE": Refusal.SELF_TRADE,
        "_MARGIN_CANCELLED": Refusal.MARGIN_CANCELLED,
        "_PRIORITY_NOT_ALLOWED": Refusal.PRIORITY_NOT_ALLOWED,
    },
    triggers: {
        "_REJECTED": EventKind.ORDER_REJECTED,
        "_CANCELLED": EventKind.ORDER_CANCELLED,
        "_TRIGGERED": EventKind.ORDER_TRIGGERED,
        "_TICK": Refusal.TICK,
        "_REDUCE_ONLY": Refusal.REDUCE_ONLY,
        "_INVALID_PRICE": Refusal.INVALID_PRICE,
        "_TOO_MANY_OPEN_ORDERS": Refusal.TOO_MANY_OPEN_ORDERS,
        "_REDUCE_ONLY_CANCELLED": Refusal.REDUCE_ONLY_CANCELLED,
        "_BAD_TRIGGER_PRICE": Refusal.BAD_TRIGGER_PRICE,
        "_TRIGGER_COUNT": Refusal.TRIGGER_COUNT,
        "_PARENT_CANCELLED": Refusal.PARENT_CANCELLED,
        "_TOO_MANY_TRIGGERS": Refusal.TOO_MANY_TRIGGERS,
        "_PRIORITY_NOT_ALLOWED": Refusal.PRIORITY_NOT_ALLOWED,
        "_ENDED": placing.ENDED,
        "_RESTS": placing.RESTS,
        "_NORMAL_TPSL": blocks.Grouping.NORMAL_TPSL,
        "_POSITION_TPSL": blocks.Grouping.POSITION_TPSL,
        "_TAKE_PROFIT": blocks.TriggerKind.TAKE_PROFIT,
        "_STOP_LOSS": blocks.TriggerKind.STOP_LOSS,
        "_GTC": blocks.TimeInForce.GTC,
        "_MARKET": blocks.TimeInForce.MARKET,
    },
    matching: {
        "_REJECTED": EventKind.ORDER_REJECTED,
        "_CANCEL_REJECTED": EventKind.CANCEL_REJECTED,
        "_ACTION_DONE": EventKind.ACTION_DONE,
        "_ACTION_REFUSED": EventKind.ACTION_REFUSED,
        "_ALO": blocks.TimeInForce.ALO,
        "_IOC": blocks.TimeInForce.IOC,
        "_NORMAL_TPSL": blocks.Grouping.NORMAL_TPSL,
        "_PLACE": blocks.ActionKind.PLACE,
        "_CANCEL": blocks.ActionKind.CANCEL,
        "_MODIFY": blocks.ActionKind.MODIFY,
        "_PLACE_TRIGGER": blocks.ActionKind.PLACE_TRIGGER,
        "_NOOP": blocks.ActionKind.NOOP,
        "_BACKGROUND_LEVEL": blocks.ActionKind.BACKGROUND_LEVEL,
        "_BACKGROUND_TRADE": blocks.ActionKind.BACKGROUND_TRADE,
        "_NEVER_PLACED": Refusal.NEVER_PLACED,
        "_CANNOT_MODIFY": Refusal.CANNOT_MODIFY,
        "_ACTION_EXPIRED": Refusal.ACTION_EXPIRED,
        "_REQUESTED": Refusal.REQUESTED,
        "_FAST_CANCEL_OF_TRIGGER": Refusal.FAST_CANCEL_OF_TRIGGER,
        "_UNKNOWN_ACTION": Refusal.UNKNOWN_ACTION,
    },
    twap: {
        "_TWAP_STATE": EventKind.TWAP_STATE,
        "_ACTION_REFUSED": EventKind.ACTION_REFUSED,
        "_MARGIN": Refusal.MARGIN,
        "_REDUCE_ONLY": Refusal.REDUCE_ONLY,
        "_ZERO_SIZE": Refusal.ZERO_SIZE,
        "_TWAP_DURATION": Refusal.TWAP_DURATION,
        "_TWAP_UNKNOWN": Refusal.TWAP_UNKNOWN,
        "_TOO_MANY": Refusal.TOO_MANY_TRIGGERS,
        "_IOC": blocks.TimeInForce.IOC,
    },
    scheduled_cancel: {
        "_ACTION_DONE": EventKind.ACTION_DONE,
        "_ACTION_REFUSED": EventKind.ACTION_REFUSED,
        "_SCHEDULED_CANCEL": Refusal.SCHEDULED_CANCEL,
        "_VOLUME": Refusal.SCHEDULE_VOLUME,
        "_TOO_SOON": Refusal.SCHEDULE_TOO_SOON,
        "_FIRED_TOO_OFTEN": Refusal.SCHEDULE_TOO_MANY,
    },
    recorded: {
        "_ACKNOWLEDGED": EventKind.ORDER_ACKNOWLEDGED,
        "_REJECTED": EventKind.ORDER_REJECTED,
        "_FILLED": EventKind.ORDER_FILLED,
        "_CANCELLED": EventKind.ORDER_CANCELLED,
        "_EXPIRED": EventKind.ORDER_EXPIRED,
        "_CANCEL_REJECTED": EventKind.CANCEL_REJECTED,
        "_ALO": blocks.TimeInForce.ALO,
        "_GTC": blocks.TimeInForce.GTC,
        "_IOC": blocks.TimeInForce.IOC,
        "_REFUSED_REDUCE_ONLY": Refusal.REDUCE_ONLY,
        "_REFUSED_ALO": Refusal.BAD_ALO_PRICE,
        "_REFUSED_IOC": Refusal.IOC_NO_MATCH,
        "_NEVER_PLACED": Refusal.NEVER_PLACED,
        "_ACTION_EXPIRED": Refusal.ACTION_EXPIRED,
        "_TOO_MANY": Refusal.TOO_MANY_OPEN_ORDERS,
        "_REDUCE_ONLY_CANCELLED": Refusal.REDUCE_ONLY_CANCELLED,
        "_LIQUIDATED": Refusal.LIQUIDATED,
        "_REQUESTED": Refusal.REQUESTED,
    },
    validation: {
        "_ACCEPTED": Refusal.NONE,
        "_TICK": Refusal.TICK,
        "_MINIMUM_NOTIONAL": Refusal.MINIMUM_NOTIONAL,
        "_PRICE_BAND": Refusal.PRICE_BAND,
        "_ORDER_TOO_LARGE": Refusal.ORDER_TOO_LARGE,
        "_ZERO_SIZE": Refusal.ZERO_SIZE,
        "_INVALID_PRICE": Refusal.INVALID_PRICE,
        "_TOO_MANY_OPEN_ORDERS": Refusal.TOO_MANY_OPEN_ORDERS,
    },
    rules: {"_QUEUE_POWER": QueueModel.POWER, "_QUEUE_RISK_AVERSE": QueueModel.RISK_AVERSE},
    liquidation: {"_CONDITIONS": len(liquidation.Condition)},
    # What the venue tells, as the core reads it.
    orders: {
        "_KIND_ACKNOWLEDGED": EventKind.ORDER_ACKNOWLEDGED,
        "_KIND_REJECTED": EventKind.ORDER_REJECTED,
        "_KIND_FILLED": EventKind.ORDER_FILLED,
        "_KIND_CANCELLED": EventKind.ORDER_CANCELLED,
        "_KIND_EXPIRED": EventKind.ORDER_EXPIRED,
        "_KIND_UNKNOWN": EventKind.ORDER_UNKNOWN,
        "_KIND_CANCEL_REJECTED": EventKind.CANCEL_REJECTED,
        "_MAKER_FLAG": EventFlag.MAKER,
    },
}


@pytest.mark.parametrize("module", CONSTANTS, ids=lambda module: module.__name__)
def test_plain_constants_of_compiled_code_are_the_enumerations(module):
    for name, member in CONSTANTS[module].items():
        if hasattr(module, name):  # a constant that is gone misleads nobody
            assert getattr(module, name) == member, f"{module.__name__}.{name}"


# Those that compiled code is not all of, or that have more of their own than of others.
PARTLY = frozenset({recorded, orders})
OWN = frozenset({"_TICKS_FAR", "_EXACT_MAX", "_E6", "_HYPERLIQUID", "_HFTBACKTEST", "_RATE_E8_MAX", "_E9_PER_E8"})
OF_THE_CLOCK = frozenset({"_LAYER", "_MICROSECOND_NS", "_REACH_DEVIATIONS", "_DAY_NS"})
OF_TWAPS = frozenset({"_RUNNING", "_FINISHED", "_ENDED_BY_OWNER", "_ENDED_BY_VENUE", "_WARM_UP"})


@pytest.mark.parametrize(
    "module", [module for module in CONSTANTS if module not in PARTLY], ids=lambda module: module.__name__
)
def test_no_plain_constant_goes_unchecked(module):
    own = OWN | OF_THE_CLOCK | OF_TWAPS
    constants = {name for name in vars(module) if name.startswith("_") and name[1:].isupper() and name not in own}
    constants = {name for name in constants if not name.startswith("__")}
    assert constants == set(CONSTANTS[module])


ENUMERATIONS = (EventKind, Refusal, blocks.ActionKind, blocks.TimeInForce, blocks.Grouping, blocks.TriggerKind)
COMPILED = sorted(
    f"{folder}.{path.stem}"
    for folder in ("hlhft.venue", "hlhft.exchange.flow")
    for path in Path(importlib.import_module(folder).__path__[0]).glob("*.py")
)


@pytest.mark.parametrize("name", [name for name in COMPILED if name != recorded.__name__])  # it has kinds of its own
def test_a_plain_constant_with_the_name_of_a_member_has_its_value(name):
    """Where two enumerations have a member of one name, either will do."""
    module = importlib.import_module(name)
    for constant, value in vars(module).items():
        if not constant.startswith("_") or type(value) is not int:
            continue
        members = [enumeration[constant[1:]] for enumeration in ENUMERATIONS if constant[1:] in enumeration.__members__]
        assert not members or value in members, f"{name}.{constant} is {value}, not {members}"
