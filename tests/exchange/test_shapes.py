"""Our answers and frames have the keys and the formats of the recorded ones of 2025 and 2026.

Every recorded file is read. What is compared is the shape: of an object its keys and their shapes, of a list the union
of its elements, of a text what it is a text of (a number, a hash, an address, anything else).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.units import MICRO
from hlhft.venue.adl import INTO_BOOK
from hlhft.venue.blocks import ActionKind
from tests.exchange.clients import Client, order, orders, small_machine
from tests.exchange.hall import ALO, ANN, BOB, BUY, CAT, ETH, GTC, IOC, PURR, SELL, address, event
from tests.exchange.test_channels import Lounge

API = "hyperliquid/api"
FORMS = (
    ("number", re.compile(r"-?(0|[1-9]\d*)\.\d+")),
    ("hash", re.compile(r"0x[0-9a-f]{64}")),
    ("address", re.compile(r"0x[0-9a-f]{40}")),
    ("cloid", re.compile(r"0x[0-9a-f]{32}")),
)

# Keys that only some recorded objects of their kind have: they may be missing on either side.
SOMETIMES = frozenset(
    {"cloid", "liquidation", "builderFee", "reduceOnly", "rawUsd", "isSnapshot", "spread", "fast"}  # of the wire
    | {"onlyIsolated", "marginMode", "isDelisted", "growthMode", "lastGrowthModeChangeTime"}  # flags of a market
)

# Where ours differ, and why.
MEANT = {
    "userRateLimit: we alone have nRequestsSurplus": "added after August 2025 (venue reference section 3.2)",
    "post spotMeta: we alone have tokens": "the recorder cut its message",
}

# Recorded answers of actions, over HTTP and over the socket.
OF_ACTIONS = frozenset(
    {
        "json_action_cancel",
        "json_action_order",
        "json_cancel_order_ack",
        "json_create_order_ack",
        "json_modify_order_ack",
    }
)
# What this exchange has nothing of: its answer is the empty one.
EMPTY_HERE = frozenset({"delegatorHistory", "userVaultEquities", "userTwapSliceFills"})


def shape(value: object) -> Any:
    """What a value looks like: a dict of shapes, ("list", shape), or the set of what scalars it can be."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        whole: Any = None
        for one in value:
            whole = shape(one) if whole is None else merged(whole, shape(one))
        return ("list", whole)
    if isinstance(value, str):
        return {next((name for name, form in FORMS if form.fullmatch(value)), "text")}
    return {"null" if value is None else type(value).__name__}


def merged(one: Any, other: Any) -> Any:
    """The shape of what looks like either."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return {
            key: merged(one[key], other[key]) if key in one and key in other else (one.get(key) or other[key])
            for key in keys
        }
    if isinstance(one, tuple) and isinstance(other, tuple):
        return ("list", merged(one[1], other[1]) if one[1] is not None and other[1] is not None else one[1] or other[1])
    if isinstance(one, set) and isinstance(other, set):
        return one | other
    return one if isinstance(one, (dict, tuple)) else other  # null or an object: the object


def differences(recorded: Any, ours: Any, where: str) -> Iterator[str]:
    """How two shapes differ."""
    if recorded is None or ours is None or recorded == {"null"} or ours == {"null"}:
        return
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in recorded:
            if key in ours:
                yield from differences(
                    recorded[key], ours[key], f"{where}.{key}" if "." in where else f"{where}: {key}."
                )
            elif key not in SOMETIMES:
                yield f"{where}: recorded alone has {key}"
        for key in ours:
            if key not in recorded and key not in SOMETIMES:
                yield f"{where}: we alone have {key}"
    elif isinstance(recorded, tuple) and isinstance(ours, tuple):
        yield from differences(recorded[1], ours[1], where)
    elif isinstance(recorded, set) and isinstance(ours, set):
        if not ours - {"null"} <= recorded | {"null"}:
            yield f"{where}: recorded {sorted(recorded)}, ours {sorted(ours)}"
    else:
        yield f"{where}: not of one kind"


def assert_alike(recorded: object, ours: object, what: str) -> None:
    found = [line for line in differences(shape(recorded), shape(ours), what) if line not in MEANT]
    assert not found, found


# What we say.


@pytest.fixture(scope="module")
def lounge() -> Lounge:
    """An exchange on which everything has happened once."""
    made = Lounge()
    hall = made.hall
    hall.mark("2000", ETH)
    hall.chain.exchange.marks[PURR] = 2000
    hall.chain.exchange.tokens[CAT, 0] = 10**12
    hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=MICRO)
    hall.leg(kind=ActionKind.TRANSFER_CLASS, account=ANN, amount=MICRO, side=-1)
    hall.leg(kind=ActionKind.TRANSFER_TOKEN, account=ANN, counterparty=BOB, token=0, amount=10**7).run()
    cloid = "0x" + "ab" * 16
    for account, side, price, size, tif in (
        (BOB, SELL, "80000", "1", ALO),
        (ANN, BUY, "80000", "0.5", IOC),
        (ANN, SELL, "80100", "0.1", ALO),
        (ANN, BUY, "70000", "1", GTC),
        (ANN, BUY, "70000", "1", IOC),
        (BOB, BUY, "79000", "1", ALO),
        (BOB, SELL, "79000", "0.25", ALO),
    ):
        hall.place(account, side, price, size, tif, cloid=cloid)
        hall.run()
    sale = {"price_ticks": 800_000, "size_lots": 5, "trade_id": 77}
    hall.take(
        np.concatenate(
            [
                event(EventKind.FUNDING_PAYMENT, account=ANN, aux0=7, aux1=12_500_000, size_lots=4),
                event(EventKind.LIQUIDATION, account=ANN, aux0=INTO_BOOK, price_ticks=800_000),
                event(EventKind.ORDER_FILLED, account=BOB, side=1, venue_order_id=70, flags=9, **sale),
                event(EventKind.ORDER_FILLED, account=ANN, side=-1, venue_order_id=71, flags=1, **sale),
            ]
        )
    )
    return made


def frames_of(lounge: Lounge) -> dict[str, list[Any]]:
    """Frames by channel, of new subscriptions and of one more block."""
    lounge.channels.close(1)
    lounge.channels.open(1)
    frames: list[dict[str, Any]] = []
    for kind in ("bbo", "l2Book", "trades", "activeAssetCtx"):
        frames += lounge.listen(kind, connection=1, coin="BTC")
    for kind in ("userFills", "userFundings", "orderUpdates", "userEvents", "notification"):
        frames += lounge.listen(kind, connection=1, user=address(BOB if kind == "notification" else ANN))
    frames += lounge.listen("allDexsAssetCtxs", connection=1)
    hall = lounge.hall
    hall.place(BOB, SELL, "79500", "0.1", ALO).place(ANN, BUY, "79500", "0.1", GTC, cloid="0x" + "cd" * 16)
    changes = hall.run()
    frames += [msgspec.json.decode(data) for to, data in lounge.channels.frames_of(hall.block, changes) if to == 1]
    changes = hall.take(event(EventKind.FUNDING_PAYMENT, account=ANN, aux0=7, aux1=12_500_000, size_lots=4))
    frames += [msgspec.json.decode(data) for to, data in lounge.channels.frames_of(hall.block, changes) if to == 1]
    channels: dict[str, list[Any]] = {}
    for frame in frames:
        channels.setdefault(frame["channel"], []).append(frame["data"])
    return channels


def recorded_messages(recordings: Path) -> list[dict[str, Any]]:
    lines = (recordings / API / "recorded_messages_2026/messages.jsonl").read_text().splitlines()
    return [msgspec.json.decode(line) for line in lines]


def user_parts(told: list[Any]) -> dict[str, Any]:
    """The messages of the channel `user` by what they are about."""
    return {key: value for data in told for key, value in data.items()}


def test_every_recorded_message_of_the_socket_looks_like_ours(recordings, lounge):
    ours = frames_of(lounge)
    compared = set()
    for line in recorded_messages(recordings):
        message = line["message"]
        channel = message.get("channel") if isinstance(message, dict) else None
        if channel not in ours:
            continue
        recorded = message["data"]
        mine: Any = ours[channel]
        if channel == "user":
            mine = [{key: user_parts(mine)[key] for key in recorded}]
        for one in mine:
            assert_alike(recorded, one, channel)
        compared.add(channel)
    assert compared == set(ours) - {"allDexsAssetCtxs"}


def test_the_recorded_contexts_of_all_dexs_look_like_ours(recordings, lounge):
    recorded = msgspec.json.decode((recordings / API / "nautilus_fixtures/ws_all_dexs_asset_ctxs.json").read_bytes())
    (ours,) = frames_of(lounge)["allDexsAssetCtxs"]
    dexs = dict(recorded["data"]["ctxs"])
    assert_alike(dexs[""], ours["ctxs"][0][1], "allDexsAssetCtxs")


def test_a_recorded_fill_of_a_liquidation_looks_like_ours(recordings, lounge):
    path = recordings / API / "nautilus_fixtures/ws_user_fill_liquidation.json"
    (recorded,) = msgspec.json.decode(path.read_bytes())["data"]["fills"]
    ours = next(fill for fill in lounge.hall.ask("userFills", user=address(ANN)) if "liquidation" in fill)
    assert_alike(recorded, ours, "fill")
    path = recordings / API / "nautilus_fixtures/http_user_fills_dust_conversion.json"
    assert_alike(msgspec.json.decode(path.read_bytes()), [ours], "userFills")


ASKED = {
    "json_get_clearing_house_state_ack": ("clearinghouseState", ANN),
    "json_get_open_orders_ack": ("openOrders", ANN),
    "json_get_spot_clearing_house_state_ack": ("spotClearinghouseState", ANN),
    "json_get_user_fills_ack": ("userFills", ANN),
}


def test_every_recorded_answer_looks_like_ours(recordings, lounge):
    compared = set()
    for line in recorded_messages(recordings):
        if line["source"] in ASKED:
            kind, account = ASKED[line["source"]]
            assert_alike(line["message"], lounge.hall.ask(kind, user=address(account)), kind)
            compared.add(line["source"])
        if line["source"] == "json_spot_meta":
            payload = line["message"]["data"]["response"]["payload"]
            assert_alike(payload["data"], lounge.hall.ask("spotMeta"), "post spotMeta")
    assert compared == set(ASKED)


def test_no_recorded_message_is_left_out(recordings, lounge):
    """Acknowledgement and error are compared byte for byte, the answers of actions but for their numbers."""
    rest = {"json_subscription_response", "json_error", "json_pong", "json_spot_meta"}
    channels = set(frames_of(lounge))
    for line in recorded_messages(recordings):
        channel = line["message"].get("channel") if isinstance(line["message"], dict) else None
        assert line["source"] in OF_ACTIONS | rest | set(ASKED) or channel in channels, line["source"]


def test_recorded_acknowledgements_and_errors_are_ours_to_the_byte(recordings):
    lines = {line["source"]: line["message"] for line in recorded_messages(recordings)}
    made = Lounge()
    made.hall.info.listing._row_of_name["SOL"] = 0
    ack, _ = made.channels.subscribe(0, {"type": "bbo", "coin": "SOL"}, "", 0)
    del made.hall.info.listing._row_of_name["SOL"]
    assert msgspec.json.decode(ack) == lines["json_subscription_response"]
    raw = '{"method":"subscribe","xsubscription":{"type":"bbo","coin":"SOL"}}'
    (error,) = made.channels.subscribe(0, None, raw, 0)
    assert msgspec.json.decode(error) == lines["json_error"]


def cassettes(recordings: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    for path in sorted((recordings / API / "sdk_cassettes").glob("*.json")):
        cassette = msgspec.json.decode(path.read_bytes())
        if " 2025 " in cassette["date"]:
            yield cassette["request"], cassette["response"]


def test_every_cassette_of_2025_is_answered_alike(recordings, lounge):
    kinds = set()
    for request, response in cassettes(recordings):
        kind = request["type"]
        kinds.add(kind)
        ours = lounge.hall.ask(kind, **_for_ann(request))
        if kind in EMPTY_HERE:
            assert ours == []
            continue
        if kind == "userNonFundingLedgerUpdates":
            theirs = {one["delta"]["type"]: one for one in response}
            mine = {one["delta"]["type"]: one for one in ours}
            assert set(theirs) <= set(mine)
            for name, one in theirs.items():
                assert_alike(one, mine[name], name)
            continue
        if kind == "portfolio":
            assert [period for period, _ in ours] == [period for period, _ in response]
            response, ours = [data for _, data in response], [data for _, data in ours]
        assert_alike(response, ours, kind)
    assert len(kinds) == 9


def _for_ann(request: dict[str, Any]) -> dict[str, Any]:
    """The request of a cassette for our account, at any time."""
    asked = {key: value for key, value in request.items() if key not in ("type", "user", "startTime", "endTime")}
    return {**asked, "user": address(ANN)}


def test_every_older_cassette_is_a_request_that_we_answer(recordings, lounge):
    for path in sorted((recordings / API / "sdk_cassettes").glob("*.json")):
        request = msgspec.json.decode(path.read_bytes())["request"]
        if request.get("coin") or request.get("req"):
            continue  # of markets that are not listed here
        kind = request.pop("type")
        lounge.hall.ask(kind, **request)


def test_the_recorded_markets_look_like_ours(recordings, lounge):
    folder = recordings / API / "recorded_messages_2026"
    assert_alike(msgspec.json.decode((folder / "meta_testnet.json").read_bytes()), lounge.hall.ask("meta"), "meta")
    recorded = msgspec.json.decode(gzip.decompress((folder / "spotMeta_testnet.json.gz").read_bytes()))
    assert_alike(recorded, lounge.hall.ask("spotMeta"), "spotMeta")
    dexs = msgspec.json.decode((folder / "perpDexs_testnet.json").read_bytes())
    assert lounge.hall.ask("perpDexs") == dexs[:1] == [None]


# Answers of actions.


def answered() -> list[dict[str, Any]]:
    """What a machine answers to what the recorder did: orders that rest, fill and are refused, cancels, a modify."""
    machine = small_machine()
    alice, bob = Client(machine, 1), Client(machine, 2)
    cloid = "0x" + "0f" * 16
    refused = orders(order(buy=False, price="4000", size="1"))
    return [
        alice.send(orders(order(cloid=cloid))),
        alice.send({"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": cloid}]}),
        alice.send({"type": "cancel", "cancels": [{"a": ETH, "o": 1}]}),
        bob.send(refused),
        alice.send(orders(order(price="4000", tif="Ioc", cloid=cloid))),
        alice.send(orders(order(price="3990", tif="Ioc"))),
        alice.send(orders(order(size="0.0001"))),
        alice.send(orders(order(size="900", price="3980"))),
        alice.send(orders(order(price="100"))),
        alice.send(orders(order(size="100000", price="3999"))),
        alice.send({"type": "batchModify", "modifies": [{"oid": 2, "order": order(tif="Ioc")}]}),
        Client(machine, 3, usdc=0).send(orders(order())),
    ]


def without_numbers(message: Any) -> Any:
    """The message with the numbers of its texts put away: markets, addresses, limits and ids."""
    if isinstance(message, dict):
        return {key: without_numbers(value) for key, value in message.items()}
    if isinstance(message, list):
        return [without_numbers(value) for value in message]
    if isinstance(message, str):
        return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "#", message)
    return "#" if isinstance(message, int) else message


def test_every_recorded_answer_of_an_action_is_one_of_ours_but_for_its_numbers(recordings):
    ours = [without_numbers(message) for message in answered()]
    compared = set()
    for line in recorded_messages(recordings):
        if line["source"] not in OF_ACTIONS:
            continue
        message = line["message"]
        if "channel" in message:
            assert set(message["data"]) == {"id", "response"}
            message = message["data"]["response"]["payload"]
        assert without_numbers(message) in ours, (line["source"], line["case"])
        compared.add(line["source"])
    assert compared == OF_ACTIONS


# The comparison itself.


@pytest.mark.parametrize(
    ("recorded", "ours", "found"),
    [
        ({"a": 1}, {"a": 2}, []),
        ({"a": 1}, {}, ["x: recorded alone has a"]),
        ({}, {"a": 1}, ["x: we alone have a"]),
        ({"a": "1.0"}, {"a": "1"}, ["x: a.: recorded ['number'], ours ['text']"]),
        ({"a": 1}, {"a": "1.0"}, ["x: a.: recorded ['int'], ours ['number']"]),
        ([{"a": 1}, {"a": None}], [{"a": 5}], []),
        ([], [{"a": 5}], []),
        ({"a": []}, {"a": 5}, ["x: a.: not of one kind"]),
        ({"cloid": "0x"}, {}, []),
    ],
)
def test_a_difference_is_found(recorded, ours, found):
    assert list(differences(shape(recorded), shape(ours), "x")) == found


def test_every_meant_difference_is_there(recordings, lounge):
    """An entry that no longer differs has to go."""
    found: set[str] = set()
    for request, response in cassettes(recordings):
        if request["type"] == "userRateLimit":
            ours = lounge.hall.ask("userRateLimit", **_for_ann(request))
            found |= set(differences(shape(response), shape(ours), "userRateLimit"))
    for line in recorded_messages(recordings):
        if line["source"] == "json_spot_meta":
            data = line["message"]["data"]["response"]["payload"]["data"]
            found |= set(differences(shape(data), shape(lounge.hall.ask("spotMeta")), "post spotMeta"))
    assert found == set(MEANT)
