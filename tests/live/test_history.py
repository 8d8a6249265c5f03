"""An account's past is asked for whole: page by page, within the weight, again when the venue is busy, and what the
venue does not tell is said. Against a venue that tells pages, and against the exchange that traded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hyperliquid.utils.types import Cloid as SdkCloid
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.backoff import SECOND_NS, WINDOW_NS
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.wire import WireError, cloid_text
from hlhft.live.history import HistoryAsker, Weights
from hlhft.live.history_files import Saved, history_of, merged, time_of
from hlhft.live.preflight import VenueError
from hlhft.report.venue_checks import check
from hlhft.report.venue_records import GRAINS_PER_MICRO, HistoryError
from hlhft.report.venue_split import split
from tests.conformance.desk import ALO, IOC, Desk, Trader, eventually
from tests.conformance.process import COMMAND, FREE, ExchangeProcess
from tests.live.told import ADDRESS, START_MS, Teller, fill, payment, state, telling

MANY = 10**9


def ask(teller: Teller, *, weight: int = MANY, **options: Any) -> Saved:
    async def asked() -> Saved:
        async with telling(teller) as url:
            return await HistoryAsker(url, weight_per_minute=weight).run(ADDRESS, **options)

    return asyncio.run(asked())


def times(saved: Saved, name: str = "fills") -> list[int]:
    return [time_of(line) for line in saved.of(name)]


@pytest.mark.parametrize("page", [500, 1_999, 2_000])
def test_pages_are_joined_without_a_record_lost_or_doubled(page: int) -> None:
    # Three fills each millisecond, so that pages end within one.
    fills = [fill(number, at_ms=START_MS + number // 3) for number in range(4_000)]
    saved = ask(Teller(fills=fills, pages={"userFillsByTime": page}))
    assert times(saved) == [one["time"] for one in fills]
    assert len(set(saved.of("fills"))) == len(fills)
    assert saved.manifest.is_whole
    assert saved.manifest.is_from_the_beginning
    assert saved.manifest.cuts == ()


def test_what_the_venue_no_longer_has_is_said() -> None:
    fills = [fill(number) for number in range(10_050)]
    saved = ask(Teller(fills=fills))
    assert len(saved.of("fills")) == 10_000
    (cut,) = saved.manifest.cuts
    assert "last 10000 fills" in cut
    assert str(START_MS + 50_000) in cut
    assert not saved.manifest.is_from_the_beginning


def test_more_of_one_millisecond_than_a_page_holds_is_said() -> None:
    paid = [payment(number, START_MS) for number in range(502)] + [payment(600, START_MS + 5)]
    saved = ask(Teller(fundings=paid), from_ms=START_MS)
    (cut,) = saved.manifest.cuts
    assert f"of {START_MS} (ms) there are more fundings than the 500" in cut
    assert times(saved, "fundings") == [START_MS] * 500 + [START_MS + 5]


def test_an_account_that_is_unknown_or_unified_is_said() -> None:
    assert "API wallet" in ask(Teller()).manifest.cuts[0]
    assert "unified" in ask(Teller(fills=[fill(0)], abstraction="unifiedAccount")).manifest.cuts[0]


def test_until_a_time_nothing_is_asked_of_now() -> None:
    teller = Teller(fills=[fill(0), fill(100)])
    saved = ask(teller, from_ms=START_MS - 5, to_ms=START_MS + 50_000)
    assert times(saved) == [START_MS]
    assert saved.of("readings") == ()
    assert not saved.manifest.is_from_the_beginning
    assert "clearinghouseState" not in {body["type"] for body in teller.asked}


def test_candles_are_as_fine_as_the_time_allows_and_asked_for_each_market() -> None:
    teller = Teller(fills=[fill(0), fill(1, coin="GONE")], state=state("0.0", START_MS + 3 * 86_400_000))
    saved = ask(teller)
    wanted = [body["req"] for body in teller.asked if body["type"] == "candleSnapshot"]
    assert [(one["coin"], one["interval"]) for one in wanted] == [("BTC", "1m"), ("GONE", "1m")]
    assert len(saved.of("candles")) == 2
    teller.state, teller.asked = state("0.0", START_MS + 30 * 86_400_000), []
    ask(teller)
    assert {body["req"]["interval"] for body in teller.asked if body["type"] == "candleSnapshot"} == {"15m"}


def test_a_busy_venue_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    left = {"userFunding": [429, 503], "clearinghouseState": [502]}

    def fails(body: dict[str, Any]) -> int | None:
        queue = left.get(body["type"])
        return queue.pop() if queue else None

    monkeypatch.setattr("hlhft.live.history.wait_ns", lambda *_: SECOND_NS // 1_000)
    saved = ask(Teller(fills=[fill(0)], fails=fails))
    assert times(saved) == [START_MS]
    assert left == {"userFunding": [], "clearinghouseState": []}


def test_a_venue_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(VenueError, match="does not answer clearinghouseState: HTTP 422"):
        ask(Teller(fails=lambda body: 422))
    with pytest.raises(WireError):
        asyncio.run(HistoryAsker("http://127.0.0.1:1", weight_per_minute=5).run("0x12"))


def test_candles_that_are_refused_are_said_and_the_rest_is_kept() -> None:
    saved = ask(Teller(fills=[fill(0)], fails=lambda body: 500 if body["type"] == "candleSnapshot" else None))
    assert "no candles of BTC" in saved.manifest.cuts[0]
    assert times(saved) == [START_MS]


def test_nonsense_is_an_error() -> None:
    class Nonsense(Teller):
        def answer(self, body: dict[str, Any]) -> Any:
            return {} if body["type"] == "userFunding" else super().answer(body)

    with pytest.raises(HistoryError, match="userFunding is no list"):
        ask(Nonsense(fills=[fill(0)]))


def test_stopped_early_what_was_told_is_kept_and_marked() -> None:
    async def stopped() -> Saved:
        teller = Teller(fills=[fill(number) for number in range(3_000)])
        async with telling(teller) as url:
            asker = HistoryAsker(url, weight_per_minute=MANY, progress=lambda name, count: asker.stop())
            return await asker.run(ADDRESS)

    saved = asyncio.run(stopped())
    assert len(times(saved)) == 2_000
    assert not saved.manifest.is_whole
    assert not saved.manifest.is_from_the_beginning
    assert "interrupted" in saved.manifest.cuts[0]


def test_it_waits_for_weight_and_a_stop_ends_the_wait() -> None:
    third = asyncio.Event()

    class Third(Teller):
        def answer(self, body: dict[str, Any]) -> Any:
            if len(self.asked) == 3:
                third.set()
            return super().answer(body)

    async def stopped() -> tuple[Saved, int]:
        teller = Third(fills=[fill(0)])
        async with telling(teller) as url:
            asker = HistoryAsker(url, weight_per_minute=45)
            asking = asyncio.create_task(asker.run(ADDRESS))
            await third.wait()
            asker.stop()
            return await asking, len(teller.asked)

    saved, asked = asyncio.run(stopped())
    assert asked == 3, "2 for the state, 20 each for mode and fills: the fourth has to wait a minute"
    assert not saved.manifest.is_whole


@given(st.lists(st.tuples(st.integers(0, 70 * SECOND_NS), st.integers(1, 60)), max_size=60))
def test_no_minute_has_more_weight_than_its_limit(chosen: list[tuple[int, int]]) -> None:
    weights, now_ns, used = Weights(60), 0, []
    for pause_ns, weight in chosen:
        now_ns += pause_ns
        now_ns += weights.wait_ns(weight, now_ns)
        assert weights.wait_ns(weight, now_ns) == 0
        weights.use(weight, now_ns)
        used.append((now_ns, weight))
        assert sum(more for at_ns, more in used if at_ns > now_ns - WINDOW_NS) <= 60


def test_more_than_the_limit_goes_when_nothing_else_counts() -> None:
    weights = Weights(10)
    assert weights.wait_ns(25, 0) == 0
    weights.use(25, 0)
    assert weights.wait_ns(1, 5) == WINDOW_NS - 5
    with pytest.raises(ValueError, match="at least 1"):
        Weights(0)


# The exchange itself.


@pytest.fixture(scope="module")
def fast_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An exchange of which an hour takes nine seconds."""
    running = ExchangeProcess([*COMMAND, *FREE, "--speed", "400"], tmp_path_factory.mktemp("fast"))
    yield Desk(running.url())
    assert running.stop() == 0


def owned(number: int) -> SdkCloid:
    return SdkCloid(cloid_text(Cloid(7, 3, number).number()))


def trade(desk: Desk, maker: Trader, taker: Trader) -> None:
    """Opens, adds, closes in part, turns, with both fees; transfers; and waits for the hour."""
    price = desk.price("ETH")
    for number, (is_buy, size, away) in enumerate(
        [(True, 1.37, 0), (True, 0.5, 2), (False, 0.9, 5), (False, 2.1, 1), (True, 0.4, -3)], 1
    ):
        maker.rest("ETH", is_buy, size, price + away, ALO, cloid=owned(number) if number % 2 else None)
        assert "filled" in taker.order("ETH", not is_buy, size, price + away, IOC)
    whole = desk.price("BTC")
    taker.rest("BTC", False, 0.1, whole + 5, ALO)
    assert "filled" in maker.order("BTC", True, 0.1, whole + 5, IOC)
    maker.exchange.usd_class_transfer(1_000, False)
    maker.exchange.usd_transfer(12.5, taker.address)
    taker.rest("ETH", True, 50, price - 20, ALO)
    desk.trader().rest("ETH", False, 50, price + 20, ALO)
    eventually(lambda: desk.info.user_funding_history(maker.address, 0), within_s=60.0)


@pytest.mark.processes
def test_the_past_of_who_traded_at_the_exchange_is_its_own_ledger(fast_desk: Desk, tmp_path: Path) -> None:
    desk = fast_desk
    maker, taker = desk.trader(), desk.trader()
    trade(desk, maker, taker)
    for trader in (maker, taker):
        saved = asyncio.run(HistoryAsker(desk.url, weight_per_minute=MANY).run(trader.address))
        history = history_of(saved)
        made = split(history, {7: "glft"})
        assert check(history, made).kept == ()
        (checked,) = made.checked
        assert checked.residual == 0
        # The ledger as the SDK tells it, later: only funding and the mark may have moved it since.
        fills = trader.fills()
        fees = sum(Decimal(one["fee"]) for one in fills)
        parts = made.attribution.parts
        assert Decimal(-(parts.fees + parts.rebates)) / GRAINS_PER_MICRO == fees * 10**6
        until_ms = saved.manifest.until_ms
        paid = desk.info.user_funding_history(trader.address, 0, until_ms)
        funding = sum(Decimal(one["delta"]["usdc"]) for one in paid)
        assert paid
        assert Decimal(parts.funding) / GRAINS_PER_MICRO == funding * 10**6
        given = Decimal(1_000_000) + (Decimal("-12.5") if trader is maker else Decimal("12.5"))
        assert Decimal(made.flows) / GRAINS_PER_MICRO == given * 10**6
        assert len(history.fills) == len(fills) == 6
        assert set(made.by_strategy) == ({"glft", "others"} if trader is maker else {"others"})
        assert history.opening is not None
        assert history.opening.cash == 0


@pytest.mark.processes
def test_a_second_look_goes_on_where_the_first_ended(fast_desk: Desk) -> None:
    desk = fast_desk
    maker, taker = desk.trader(), desk.trader()
    price = desk.price("SOL")
    maker.rest("SOL", True, 5, price, ALO)
    taker.order("SOL", False, 5, price, IOC)
    asker = HistoryAsker(desk.url, weight_per_minute=MANY)
    first = asyncio.run(asker.run(maker.address))
    maker.rest("SOL", False, 2, price + 1, ALO)
    taker.order("SOL", True, 2, price + 1, IOC)
    again = HistoryAsker(desk.url, weight_per_minute=MANY)
    second = asyncio.run(again.run(maker.address, from_ms=first.manifest.until_ms))
    both = history_of(merged(second, first))
    made = split(both)
    assert (len(both.fills), len(made.checked)) == (2, 2)
    assert [one.residual for one in made.checked] == [0, 0]
    assert check(both, made).kept == ()
