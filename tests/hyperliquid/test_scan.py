"""What the scanner recognises, and that whatever it recognises means the same when told again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hlhft.events import EVENT_DTYPE
from hlhft.hyperliquid import reading, wire
from hlhft.hyperliquid.scan import COIN_BYTES_MAX, NS_PER_MS, PADDING, TIME_MS_MAX, UNRECOGNISED, new_coins, scan
from hlhft.units import Market
from tests.hyperliquid.market_frames import (
    BTC,
    HASH,
    MARKETS,
    NOW,
    TIME_MS,
    USERS,
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
FAST = book([level("100.5", "1", 3)], [level("101.0", "0.5")], fast=True)
BBO = bbo(level("100.5", "1", 3), level("101.0", "0.5"))
TRADES = trades(trade("100.5", "0.00002", tid=833120162794147), trade("101.0", "2.0", side="A", time=TIME_MS + 5))
FRAMES = (BOOK, FAST, BBO, TRADES, bbo(None, level("101.0", "0.5")), book([], []), trades(trade("1.0", "1.0")))
MUTATIONS = 4000


class Scanner:
    """What `scan` needs, allocated once; everything in it is filled with remains of earlier frames first."""

    def __init__(self, markets: tuple[Market, ...] = MARKETS, *, events: int = 64) -> None:
        self.coins = new_coins(markets)
        self.clock = np.zeros(1, dtype=np.int64)
        self.events = np.zeros(events, dtype=EVENT_DTYPE)
        self.events.view(np.uint8)[:] = 77
        self.frame = np.full((1 << 14) + PADDING, ord("1"), dtype=np.uint8)

    def __call__(self, text: bytes) -> list[Row] | None:
        """The rows, or None where the frame is not recognised."""
        self.frame[: len(text)] = np.frombuffer(text, dtype=np.uint8)
        count = int(scan(self.frame, len(text), NOW, self.coins, self.clock, self.events))
        return None if count == UNRECOGNISED else rows(self.events[:count])


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner()


def test_a_book_becomes_its_levels_between_two_marks(scanner: Scanner) -> None:
    assert scanner(BOOK) == [
        row(3, aux0=20), row(1, 1, 1005, 100_000, aux0=3), row(1, 1, 1000, 200_001, aux0=1),
        row(1, -1, 1010, 50_000, aux0=12), row(4, aux0=3, end=1),
    ]  # fmt: skip


def test_a_fast_book_says_so(scanner: Scanner) -> None:
    assert scanner(FAST) == [
        row(3, aux0=5, aux1=1), row(1, 1, 1005, 100_000, aux0=3), row(1, -1, 1010, 50_000, aux0=1),
        row(4, aux0=2, aux1=1, end=1),
    ]  # fmt: skip


def test_an_empty_book_is_two_marks(scanner: Scanner) -> None:
    assert scanner(book([], [], coin="SOL")) == [row(3, aux0=20, market=1), row(4, market=1, end=1)]
    one_sided = [row(3, aux0=20), row(1, 1, 10, 0, aux0=1), row(4, aux0=1, end=1)]
    assert scanner(book([level("1.0", "0.0")], [])) == one_sided


def test_a_book_of_one_side_is_held_against_nothing(scanner: Scanner) -> None:
    assert scanner(book([], [level("101", "0.5")])) == [
        row(3, aux0=20),
        row(1, -1, 1010, 50_000, aux0=1),
        row(4, aux0=1, end=1),
    ]
    scanner(book([level("1", "1")], [level("2", "1")]))
    assert scanner(book([level("3", "1")], [])) == [
        row(3, aux0=20),
        row(1, 1, 30, 100_000, aux0=1),
        row(4, aux0=1, end=1),
    ]


def test_a_touch_is_two_rows_also_where_a_side_is_empty(scanner: Scanner) -> None:
    assert scanner(BBO) == [row(5, 1, 1005, 100_000, aux0=3), row(5, -1, 1010, 50_000, aux0=1, end=1)]
    assert scanner(bbo(None, level("101.0", "0.5"))) == [row(5, 1), row(5, -1, 1010, 50_000, aux0=1, end=1)]
    assert scanner(bbo(None, None)) == [row(5, 1), row(5, -1, end=1)]


def test_trades_keep_side_id_and_time(scanner: Scanner) -> None:
    assert scanner(TRADES) == [
        row(6, 1, 1005, 2, order_id=833120162794147),
        row(6, -1, 1010, 200_000, order_id=7, ms=TIME_MS + 5, end=1),
    ]


def test_the_clock_is_the_newest_time_of_a_recognised_frame() -> None:
    scanner = Scanner()
    times = []
    for text in (TRADES, BBO, bbo(None, None, time=TIME_MS + 9), bbo(None, {}, time=TIME_MS + 99), BOOK):
        scanner(text)
        times.append(int(scanner.clock[0]) // 1_000_000 - TIME_MS)
    assert times == [5, 5, 9, 9, 9]


@pytest.mark.parametrize(
    ("coin", "price", "size", "ticks", "lots"),
    [
        ("BTC", "214748364.7", "703687441.77663", 2**31 - 1, 2**46 - 1),
        ("BTC", "0.1", "0.00000", 1, 0),
        ("BTC", "0000100.50000000", "1.000000000000000", 1005, 100_000),
        ("SOL", "128.5", "36.93", 1_285_000, 3693),
        ("PURR/USDC", "0.12345678", "7", 12_345_678, 7),
    ],
)
def test_numbers_are_exact(scanner: Scanner, coin: str, price: str, size: str, ticks: int, lots: int) -> None:
    made = scanner(bbo(level(price, size), None, coin=coin))
    assert made is not None and made[0][2:4] == (ticks, lots)


@pytest.mark.parametrize(
    "text",
    [
        "0", "0.0", "-1", "1e2", "NaN", "", ".", "1.", ".5", "+1", " 1", "1.05", "214748364.8", "12a", "1.x",
        "1" * 19, "0." + 18 * "0", 5, None, "\u0661",
    ],
)  # fmt: skip
def test_what_is_no_price_of_the_market_is_not_recognised(scanner: Scanner, text: Any) -> None:
    assert scanner(bbo(level(text, "1"), None)) is None
    assert scanner(trades(trade(text, "1"))) is None


@pytest.mark.parametrize("text", ["-1", "1e2", "0.000001", "703687441.77664", "9" * 18, None])
def test_what_is_no_size_of_the_market_is_not_recognised(scanner: Scanner, text: Any) -> None:
    assert scanner(bbo(level("1", text), None)) is None
    assert scanner(trades(trade("1", text))) is None


def test_a_trade_of_nothing_is_not_recognised(scanner: Scanner) -> None:
    assert scanner(trades(trade("1", "0.0"))) is None


@pytest.mark.parametrize("orders", [-1, 1.5, 1e3, "1", True, None, 1_000_000_000])
def test_a_count_of_orders_is_a_whole_number_of_nine_digits(scanner: Scanner, orders: Any) -> None:
    assert scanner(bbo(level("1", "1", orders), None)) is None
    assert scanner(BBO.replace(b'"n":3', b'"n":03')) is None
    assert scanner(BBO.replace(b'"n":3', b'"n":0')) is not None


@pytest.mark.parametrize("time", [0, -1, 9_000_000_000_000, 10**13, 1.5, "1", None])
def test_times_are_milliseconds(scanner: Scanner, time: Any) -> None:
    assert scanner(bbo(None, None, time=time)) is None
    assert scanner(trades(trade("1", "1", time=time))) is None
    assert scanner(frame("l2Book", {"coin": "BTC", "time": time, "levels": [[], []]})) is None


@pytest.mark.parametrize(
    "text",
    [
        book([level("100", "1"), level("100.5", "1")], []),
        book([level("100", "1"), level("100", "1")], []),
        book([], [level("100.5", "1"), level("100", "1")]),
        book([level("100", "1")], [level("100", "1")]),
        book([level("100", "1")], [level("99", "1")]),
        bbo(level("100", "1"), level("100", "1")),
        trades(trade("1", "1", time=TIME_MS), trade("1", "1", time=TIME_MS - 1)),
        trades(trade("1", "1"), trade("1", "1", coin="SOL")),
        trades(),
    ],
)
def test_what_is_out_of_order_is_not_recognised(scanner: Scanner, text: bytes) -> None:
    assert scanner(text) is None


@pytest.mark.parametrize("coin", ["ETH", "", "BT", "BTCC", 'B"', "B\\", "\u00e9", "x" * 64, "x" * 65, "btc"])
def test_other_coins_are_not_recognised(scanner: Scanner, coin: str) -> None:
    for text in (bbo(None, None, coin=coin), book([], [], coin=coin), trades(trade("1", "1", coin=coin))):
        assert scanner(text) is None


def test_every_market_is_found_and_none_else() -> None:
    markets = tuple(
        Market.perpetual(name, asset_id=0, size_decimals=row % 6)
        for row, name in enumerate([*(f"C{number}" for number in range(300)), "x" * COIN_BYTES_MAX, "xyz:SILVER"])
    )
    scanner = Scanner(markets)
    for place, market in enumerate(markets):
        expected = [row(5, 1, market=place), row(5, -1, market=place, end=1)]
        assert scanner(bbo(None, None, coin=market.name)) == expected
    assert scanner(bbo(None, None, coin="C300")) is None


def test_a_name_that_cannot_stand_between_quotes_is_left_out_and_a_second_one_refused() -> None:
    odd = tuple(Market.perpetual(name, asset_id=0, size_decimals=0) for name in ('a"', "", "\u00e9", "y" * 65, "b"))
    scanner = Scanner(odd)
    assert [scanner(bbo(None, None, coin=market.name)) is None for market in odd] == [True, True, True, True, False]
    with pytest.raises(ValueError, match="a name of its own"):
        new_coins((BTC, BTC))


def test_times_end_where_they_end_for_messages() -> None:
    assert TIME_MS_MAX == reading.TIME_MS_MAX and NS_PER_MS == wire.NS_PER_MS


def test_a_full_table_of_the_wrong_names_ends_the_search() -> None:
    scanner = Scanner()
    scanner.coins["length"] = 3
    assert scanner(bbo(None, None, coin="ABC")) is None


def test_more_than_the_events_hold_is_not_recognised() -> None:
    scanner = Scanner(events=6)
    bids = [level(str(100 - place), "1") for place in range(5)]
    assert [len(scanner(book(bids[:count], [])) or ()) for count in range(6)] == [2, 3, 4, 5, 6, 0]
    assert [len(scanner(book([], bids[count - 1 :: -1])) or ()) for count in range(4, 6)] == [6, 0]
    assert [len(scanner(trades(*[trade("1", "1")] * count)) or ()) for count in (5, 6, 7)] == [5, 6, 0]


@pytest.mark.parametrize("text", FRAMES)
def test_a_frame_that_ends_early_or_late_is_not_recognised(scanner: Scanner, text: bytes) -> None:
    assert scanner(text) == meaning(text)
    for length in range(len(text)):
        assert scanner(text[:length]) is None, text[:length]
    assert scanner(text + b" ") is None and scanner(text + text) is None and scanner(b" " + text) is None


@pytest.mark.parametrize("text", FRAMES)
def test_every_byte_counts(scanner: Scanner, text: bytes) -> None:
    """No byte can be another without the frame meaning something else, or nothing: but in the texts passed over."""
    passed_over = (HASH.encode(), *(user.encode() for user in USERS))
    masked = bytearray(text)
    for part in passed_over:
        for begin in range(len(text)):
            if text.startswith(part, begin):
                masked[begin : begin + len(part)] = bytes(len(part))
    before = scanner(text)
    for place in range(len(text)):
        for byte in b'#"\x00':
            changed = scanner(text[:place] + bytes([byte]) + text[place + 1 :])
            if byte == ord("#") and not masked[place]:
                assert changed == before, "a hash is passed over"
            else:
                assert changed is None or text[place] == byte, text[:place]


def test_whatever_is_recognised_means_the_same_when_told_again(scanner: Scanner) -> None:
    seed = 20_261_125
    print("seed", seed)
    draw = random.Random(seed)
    recognised = 0
    for _ in range(MUTATIONS):
        text = mutated(draw.choice(FRAMES), draw)
        made = scanner(text)
        recognised += made is not None
        assert made is None or made == meaning(text), text
    assert recognised > MUTATIONS // 20, "mutations must leave something to recognise"


def test_every_recorded_frame_is_recognised_as_the_venue_writes_it(recordings: Path) -> None:
    scanner = Scanner(events=1024)
    channels = 0
    for _, text in recorded(recordings):
        live = as_live(text)
        expected = meaning(live)
        if expected is not None and expected[-1][7] != 6:
            channels += 1
            assert scanner(live) == expected
        elif expected is not None:
            made = scanner(live)
            assert made is None or made == expected
    assert channels > 40
