"""Frames to events and messages: both ways against each other, recordings, faults, and the embedded exchange."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hlhft.data.markets import known
from hlhft.data.readers.messages import MessageBlock
from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.answers import ActionPosted, Outcome
from hlhft.hyperliquid.decode import EVENTS_MIN, FRAME_BYTES_MAX, MARKETS_MAX, Decoder
from hlhft.hyperliquid.messages import (
    ESTABLISHED_TEXT,
    Acknowledged,
    Complaint,
    Established,
    Fills,
    OrderUpdates,
    Pong,
)
from hlhft.hyperliquid.reading import Fault
from hlhft.units import Market
from tests.exchange.clients import Client, order, orders, small_machine
from tests.hyperliquid.market_frames import (
    BTC,
    MARKETS,
    NOW,
    TIME_MS,
    Row,
    as_live,
    bbo,
    book,
    frame,
    level,
    meaning,
    mutated,
    recorded,
    row,
    rows,
    trade,
    trades,
)

BOOK = book([level("100.5", "1", 3), level("100", "2.00001")], [level("101", "0.5", 12)])
FAST = book([level("100.5", "1", 3)], [], fast=True, coin="SOL")
BBO = bbo(level("100.5", "1", 3), level("101.0", "0.5"))
TRADES = trades(trade("100.5", "0.00002"), trade("101.0", "2.0", side="A", time=TIME_MS + 5))
FRAMES = (BOOK, FAST, BBO, TRADES)
MUTATIONS = 4000
CLOID = "0x" + 31 * "0" + "7"
DEEP = b'{"channel":' + b"[" * 100_000


def typed_decoder(markets: tuple[Market, ...] = MARKETS, **more: Any) -> Decoder:
    """One that never scans."""
    return Decoder(markets, scanned_bytes_max=0, **more)


def outcome(decoder: Decoder, text: bytes, ts_local_ns: int = NOW) -> list[Row] | Fault:
    """The rows of a frame, or why there are none."""
    count = decoder.decode(text, ts_local_ns)
    return rows(decoder.events[:count]) if count >= 0 else Fault(-count)


@pytest.mark.parametrize("text", FRAMES)
def test_both_ways_lead_to_the_same_events(text: bytes) -> None:
    scanning, typing = Decoder(MARKETS), typed_decoder()
    expected = meaning(text)
    assert expected and outcome(scanning, text) == expected == outcome(typing, text)
    assert (scanning.scanned, scanning.typed, typing.scanned, typing.typed) == (1, 0, 0, 1)
    assert scanning.message is None and typing.message is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_frames_of_any_kind_of_bytes(kind: type) -> None:
    for decoder in (Decoder(MARKETS), typed_decoder()):
        assert outcome(decoder, kind(BBO)) == meaning(BBO)


def test_other_forms_of_a_frame_are_decoded_by_their_types() -> None:
    decoder = Decoder(MARKETS)
    spaced = json.dumps(json.loads(BOOK)).encode()
    sorted_keys = json.dumps(json.loads(BBO), sort_keys=True, separators=(",", ":")).encode()
    more = BBO.replace(b'"time"', b'"new":[{}],"time"')
    aggregated = book([level("100", "1")], [], spread="1.0")
    without_counts = bbo({"px": "100", "sz": "1"}, None)
    for text in (spaced, sorted_keys, more, aggregated, without_counts):
        assert outcome(decoder, text) == meaning(text) != []
    assert (decoder.scanned, decoder.typed) == (0, 5)


def test_broken_frames_are_refused_or_mean_the_same_both_ways() -> None:
    seed = 20_261_126
    print("seed", seed)
    draw = random.Random(seed)
    scanning, typing = Decoder(MARKETS), typed_decoder()
    refused = 0
    for _ in range(MUTATIONS):
        text = mutated(draw.choice(FRAMES), draw)
        first = outcome(scanning, text)
        assert first == outcome(typing, text), text
        if scanning.other_channels == typing.other_channels == 0 and scanning.message is None and text.isascii():
            expected = meaning(text)
            assert (None if isinstance(first, Fault) else first) == expected, text
        refused += isinstance(first, Fault)
        scanning.other_channels = typing.other_channels = 0
    assert scanning.faults == typing.faults and sum(scanning.faults) == refused
    assert MUTATIONS // 4 < refused < MUTATIONS
    assert scanning.scanned > MUTATIONS // 20 and scanning.typed > MUTATIONS // 20


def test_no_bytes_raise() -> None:
    seed = 5
    print("seed", seed)
    draw = random.Random(seed)
    decoder = Decoder(MARKETS)
    for _ in range(500):
        text = bytes(draw.choices(range(256), k=draw.randrange(200)))
        assert outcome(decoder, text) is Fault.UNREADABLE
        assert isinstance(outcome(decoder, BBO[: draw.randrange(12, len(BBO))] + text), Fault)


def test_broken_messages_are_refused_or_read_and_never_raise(recordings: Path) -> None:
    seed = 20_261_127
    print("seed", seed)
    draw = random.Random(seed)
    lines = (recordings / "hyperliquid" / "api" / "recorded_messages_2026" / "messages.jsonl").read_text().splitlines()
    told = [json.loads(line)["message"] for line in lines]
    texts = [frame(one["channel"], one.get("data")) for one in told if isinstance(one, dict) and "channel" in one]
    decoder = Decoder(MARKETS)
    outcomes: Counter[str] = Counter()
    for _ in range(MUTATIONS):
        count = decoder.decode(mutated(draw.choice(texts), draw), NOW)
        outcomes["refused" if count < 0 else "market" if count else type(decoder.message).__name__] += 1
    assert outcomes["refused"] == sum(decoder.faults)
    expected = {"ActionPosted", "OrderUpdates", "Fills", "Fundings", "Acknowledged", "Complaint", "Pong", "market"}
    assert expected <= set(outcomes)


def test_every_recorded_frame_decodes_as_the_reader_of_recordings_has_it(recordings: Path) -> None:
    markets = tuple(
        Market.perpetual(coin, asset_id=0, size_decimals=decimals) for coin, decimals in (("BTC", 5), ("SOL", 2))
    )
    live, written, typing = Decoder(markets), Decoder(markets), typed_decoder(markets)
    reader = MessageBlock(Path("recorded"), markets, Counter())
    messages = recorded(recordings)
    for line, (local_ns, text) in enumerate(messages, 1):
        reader.add(line, local_ns, text)
        expected = rows(reader.events().events)
        assert expected and outcome(written, text, local_ns) == expected
        assert outcome(live, as_live(text), local_ns) == expected == outcome(typing, text, local_ns)
    assert len(messages) > 55 and sum(live.faults) == 0
    contexts = sum(b"AssetCtx" in text for _, text in messages)
    # Trades that do not come by time are sorted by the slower way.
    assert live.scanned >= len(messages) - contexts - 2


# Faults.


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", Fault.UNREADABLE),
        (b"<html>", Fault.UNREADABLE),
        (b"null", Fault.UNREADABLE),
        (b'{"data":{}}', Fault.UNREADABLE),
        (b'{"channel":5}', Fault.UNREADABLE),
        (b'{"channel":"\xff","data":{}}', Fault.UNREADABLE),
        (DEEP, Fault.UNREADABLE),
        (ESTABLISHED_TEXT + b".", Fault.UNREADABLE),
        (b'{"channel":"bbo"}', Fault.WRONG_SHAPE),
        (b'{"channel":"post","data":5}', Fault.WRONG_SHAPE),
        (frame("l2Book", {"coin": "BTC", "time": TIME_MS, "levels": [[]]}), Fault.WRONG_SHAPE),
        (bbo(level("1", "1", -1), None), Fault.WRONG_SHAPE),
        (bbo(None, None, time=0), Fault.WRONG_SHAPE),
        (trades(trade("1", "1", side="C")), Fault.WRONG_SHAPE),
        (trades(trade("1", "1", tid=2**63)), Fault.WRONG_SHAPE),
        (bbo(level("1e5", "1"), None), Fault.NO_NUMBER),
        (bbo(level("1", "NaN"), None), Fault.NO_NUMBER),
        (bbo(level("-1", "1"), None), Fault.NEGATIVE),
        (bbo(level("1", "-1"), None), Fault.NEGATIVE),
        (bbo(level("1.05", "1"), None), Fault.TOO_FINE),
        (trades(trade("1", "0.000001")), Fault.TOO_FINE),
        (book([level("1", "0.000001")], []), Fault.TOO_FINE),
        (book([level("0.0", "1")], []), Fault.OUT_OF_RANGE),
        (bbo(level("214748364.8", "1"), None), Fault.OUT_OF_RANGE),
        (trades(trade("1", "0.0")), Fault.OUT_OF_RANGE),
        (book([level("1", "1"), level("2", "1")], []), Fault.DISORDERED),
        (book([], [level("2", "1"), level("2", "1")]), Fault.DISORDERED),
        (book([level("2", "1")], [level("2", "1")]), Fault.DISORDERED),
        (bbo(level("2", "1"), level("1", "1")), Fault.DISORDERED),
        (bbo(level("2", "1"), level("2", "1")), Fault.DISORDERED),
        (frame("activeAssetCtx", {"coin": "BTC", "ctx": {"markPx": "NaN"}}), Fault.NO_NUMBER),
        (frame("activeAssetCtx", {"coin": "BTC", "ctx": {"openInterest": "-1"}}), Fault.NEGATIVE),
        (frame("activeAssetCtx", {"coin": "BTC", "ctx": {"funding": "1" + "0" * 30}}), Fault.OUT_OF_RANGE),
        (frame("activeAssetCtx", {"coin": "BTC"}), Fault.WRONG_SHAPE),
        (b" " * (FRAME_BYTES_MAX + 1), Fault.TOO_LONG),
    ],
)
def test_what_cannot_be_decoded_is_a_fault_with_a_counter(text: bytes, fault: Fault) -> None:
    decoder = Decoder(MARKETS)
    assert outcome(decoder, text) is fault
    assert decoder.faults[fault] == sum(decoder.faults) == 1
    assert (decoder.scanned, decoder.typed, decoder.messages, decoder.message) == (0, 0, 0, None)
    assert outcome(decoder, BBO) == meaning(BBO), "the next frame is as good as ever"


def test_a_frame_becomes_no_more_events_than_there_is_room_for() -> None:
    bids = [level(str(1000 - place), "1") for place in range(EVENTS_MIN)]
    for decoder in (Decoder(MARKETS, events_max=EVENTS_MIN), typed_decoder(events_max=EVENTS_MIN)):
        assert len(outcome(decoder, book(bids[2:], []))) == EVENTS_MIN  # type: ignore[arg-type]
        assert outcome(decoder, book(bids[1:], [])) is Fault.TOO_MANY
        assert len(outcome(decoder, trades(*[trade("1", "1")] * EVENTS_MIN))) == EVENTS_MIN  # type: ignore[arg-type]
        assert outcome(decoder, trades(*[trade("1", "1")] * (EVENTS_MIN + 1))) is Fault.TOO_MANY


def test_what_a_decoder_cannot_be() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        Decoder(MARKETS, events_max=EVENTS_MIN - 1)
    with pytest.raises(ValueError, match="a name of its own"):
        Decoder((BTC, BTC))
    with pytest.raises(ValueError, match="at most 65535 markets, not 65536"):
        Decoder((BTC,) * (MARKETS_MAX + 1))


# Market data.


def test_trades_out_of_order_are_sorted_by_time() -> None:
    decoder = Decoder(MARKETS)
    given = (trade("3", "1", time=TIME_MS + 2, tid=1), trade("1", "1", coin="ETH"), trade("2", "1", coin="SOL", tid=2))
    assert outcome(decoder, trades(*given)) == [
        row(6, 1, 20_000, 100, order_id=2, market=1),
        row(6, 1, 30, 100_000, order_id=1, ms=TIME_MS + 2, end=1),
    ]
    assert (decoder.typed, decoder.other_coins) == (1, 1)
    assert outcome(decoder, trades()) == []
    assert decoder.typed == 1


def test_a_context_has_the_newest_exchange_time_and_whole_units() -> None:
    values = {"funding": "0.0000125", "openInterest": "12.34567", "oraclePx": "100.56", "markPx": "100.54",
              "premium": "-0.00031", "midPx": None, "impactPxs": None}  # fmt: skip
    context = frame("activeAssetCtx", {"coin": "BTC", "ctx": values})
    decoder = Decoder(MARKETS)
    told = (NOW, NOW, 1005, 1_234_567, 1005, 12_500_000, -310_000_000, 7, 7, 0, 0, 0)
    assert outcome(decoder, context) == [told]
    decoder.decode(TRADES, NOW)
    decoder.decode(BOOK, NOW)
    assert outcome(decoder, context) == [((TIME_MS + 5) * 1_000_000, *told[1:])]
    bare = frame("activeSpotAssetCtx", {"coin": "PURR/USDC", "ctx": {"premium": None}})
    assert outcome(typed_decoder(), bare) == [(NOW, NOW, 0, 0, 0, 0, 0, 7, 7, 2, 0, 0)]


def test_other_coins_and_other_channels_are_counted() -> None:
    decoder = Decoder(MARKETS)
    for text in (
        book([], [], coin="ETH"), bbo(None, None, coin="ETH"), trades(trade("1", "1", coin="ETH")),
        frame("activeAssetCtx", {"coin": "ETH", "ctx": {}}),
    ):  # fmt: skip
        assert outcome(decoder, text) == []
    assert (decoder.other_coins, decoder.typed, decoder.other_channels) == (4, 0, 0)
    for channel in ("allMids", "notification", "webData3", "somethingNew"):
        assert outcome(decoder, frame(channel, {"mids": {}})) == []
    assert (decoder.other_channels, decoder.messages, decoder.message) == (4, 0, None)


def test_messages_are_there_until_the_next_frame() -> None:
    decoder = Decoder(MARKETS)
    assert outcome(decoder, b'{"channel":"pong"}') == [] and decoder.message == Pong()
    assert outcome(decoder, ESTABLISHED_TEXT) == [] and decoder.message == Established()
    assert outcome(decoder, frame("error", "no")) == [] and decoder.message == Complaint("no")
    assert decoder.messages == 3
    decoder.decode(BBO, NOW)
    assert decoder.message is None


def test_what_was_decoded_outlives_the_buffer_it_came_in() -> None:
    decoder = Decoder(MARKETS)
    for text in (BBO, json.dumps(json.loads(BOOK)).encode()):
        buffer = bytearray(text)
        count = decoder.decode(memoryview(buffer), NOW)
        buffer[:] = b"?" * len(buffer)
        assert rows(decoder.events[:count]) == meaning(text)


# The embedded exchange.


def test_the_embedded_exchange_is_understood() -> None:
    machine = small_machine()
    ours = tuple(known()[coin] for coin in ("ETH", "BTC"))
    decoder = Decoder(ours)
    alice, bob = Client(machine, 1), Client(machine, 2)
    opened = machine.sockets.open(alice.label, machine.time_ns)
    assert not isinstance(opened, str)
    connection, frames = opened
    wanted: list[dict[str, Any]] = [
        {"type": "bbo", "coin": "ETH"}, {"type": "trades", "coin": "ETH"}, {"type": "l2Book", "coin": "ETH"},
        {"type": "l2Book", "coin": "BTC", "fast": True}, {"type": "activeAssetCtx", "coin": "ETH"},
        {"type": "orderUpdates", "user": alice.address}, {"type": "userFills", "user": alice.address},
        {"type": "userEvents", "user": alice.address}, {"type": "bbo", "coin": "NOBODY"},
    ]  # fmt: skip
    for subscription in wanted:
        text = json.dumps({"method": "subscribe", "subscription": subscription}).encode()
        frames += machine.sockets.receive(connection, text, machine.time_ns)

    def post(client: Client, action: dict[str, Any]) -> None:
        now_ns = machine.time_ns + 75_000_000
        body = {"method": "post", "id": 9, "request": {"type": "action", "payload": json.loads(client.body(action))}}
        frames.extend(machine.sockets.receive(connection, json.dumps(body).encode(), now_ns))
        frames.extend(text for _, text in machine.advance(now_ns).frames)

    post(alice, orders(order(price="3999", size="0.5", cloid=CLOID), order(price="3998.5", size="1")))
    post(bob, orders(order(buy=False, price="3999", size="0.2", tif="Ioc")))
    post(
        alice, {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": name} for name in (CLOID, "0x" + 32 * "f")]}
    )
    frames += [text for _, text in machine.advance(machine.time_ns + 6_000_000_000).frames]

    kinds: Counter[EventKind] = Counter()
    messages: list[Any] = []
    for text in frames:
        count = decoder.decode(text, NOW)
        assert count >= 0, text
        kinds.update(EventKind(int(event["kind"])) for event in decoder.events[:count])
        if count:
            flags = decoder.events["flags"][:count] & int(EventFlag.FRAME_END)
            assert np.flatnonzero(flags).tolist() == [count - 1]
        if decoder.message is not None:
            messages.append(decoder.message)
    assert decoder.typed == kinds[EventKind.ASSET_CONTEXT] > 0, "all but contexts is recognised"
    assert decoder.scanned > 0 and kinds[EventKind.TRADE] == 1 and kinds[EventKind.DEPTH_LEVEL] >= 1
    assert sum(isinstance(message, Acknowledged) for message in messages) == len(wanted) - 1
    assert sum(isinstance(message, Complaint) for message in messages) == 1
    answers = [message.answer.statuses for message in messages if isinstance(message, ActionPosted)]
    assert [[leg.outcome for leg in legs] for legs in answers] == [
        [Outcome.RESTING, Outcome.RESTING], [Outcome.FILLED], [Outcome.SUCCESS, Outcome.ERROR],
    ]  # fmt: skip
    assert answers[0][0].cloid == 7
    fills = [fill for message in messages if isinstance(message, Fills) for fill in message.fills]
    assert {(fill.market, fill.side, fill.price_ticks, fill.size_lots, fill.is_taker) for fill in fills} == {
        (0, 1, ours[0].ticks("3999"), ours[0].lots("0.2"), False)
    }
    updates = [update for message in messages if isinstance(message, OrderUpdates) for update in message.updates]
    assert [update.status for update in updates][:2] == ["open", "open"]
    assert {update.market for update in updates} == {0} and not any(update.fault for update in updates)
