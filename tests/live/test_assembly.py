"""The parts of an engine from its settings: numbers, shares, halts from the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hlhft.alpha.sockets import EndpointError, new_keys
from hlhft.config.folders import alpha_places_of
from hlhft.config.live_sections import Alpha, MarketData
from hlhft.config.live_sections import Gateway as GatewaySection
from hlhft.config.settings import Config
from hlhft.core.state import BookKind
from hlhft.data.errors import DataError
from hlhft.hyperliquid.messages import Fill, Fills
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.supervisor_events import Halt, HaltCause
from hlhft.live.assembly import (
    Keeping,
    alpha_of,
    begin_session,
    brain_of,
    budgets_of,
    gateway_settings,
    limits_of,
    newest_session,
    node_of,
    observer_of,
    open_journal,
    parts_of,
    schema_of,
    stored_halt,
)
from hlhft.live.clock import Clock
from hlhft.live.http import Http
from hlhft.live.hub import Hub
from hlhft.live.journal.records import Action
from hlhft.live.journal.segments import JournalFull
from hlhft.live.keeper import Keeper
from hlhft.live.node_health import HealthSettings
from hlhft.live.preflight import Found, StartError
from hlhft.live.store import Moved, open_store
from hlhft.live.timers import Timers
from hlhft.strategies import load
from hlhft.units import MICRO, Market

ETH = Market.perpetual("ETH", asset_id=1, size_decimals=4, maximum_leverage=25)
STRATEGY = load("two_sided")
CONFIG = Config()
NOW = 1_790_000_000_000_000_000
ACTION = Action(5, 1, 1, 0, 0, 0, (1,))


def test_limits_are_those_of_the_settings_and_the_strategys_own_interval_unless_set():
    limits = limits_of(Config(), STRATEGY, 3)
    assert limits["tick_to_trade_ns_max"][0] == 150_000_000
    assert limits["clock_step_ns_max"][0] == 60_000_000_000
    assert limits["address_enforced"][0] == 1
    assert limits["markets"][0] == 3
    assert limits["spot_held_only"][0] == 1
    assert limits["interval_ns"][0] == STRATEGY.interval_ns
    config = Config()
    config = Config(strategy=type(config.strategy)(name="two_sided", interval_ms=250))
    assert limits_of(config, STRATEGY, 1)["interval_ns"][0] == 250_000_000


def test_a_brain_quotes_snapshot_books_with_our_own_orders_in_them():
    brain = brain_of(Config(), STRATEGY, (ETH, ETH))
    assert brain.data.books["kind"].tolist() == [BookKind.SNAPSHOT] * 2
    assert brain.data.books["contains_own"].tolist() == [1, 1]
    assert brain.lane.lane["strategy_address"][0] == STRATEGY.address()
    assert brain.lane.lane["connected"][0] == 0


def test_the_legs_of_a_carry_are_told_to_the_brain():
    markets = (
        Market.spot("HYPE/USDC", asset_id=10_107, size_decimals=2),
        Market.perpetual("HYPE", asset_id=159, size_decimals=2),
    )
    brain = brain_of(Config(), load("funding"), markets)
    assert brain.lane.positions["pair"].tolist() == [2, 1]
    assert brain.lane.positions["unhedged_micro_max"].tolist() == [100_000_000] * 2


def test_a_halt_in_the_store_comes_back_with_its_cause(tmp_path: Path):
    store = open_store(tmp_path)
    try:
        assert stored_halt(store) is None
        store.write_halt(latches=4, code=int(HaltCause.BREAKER) << 8 | 2, reason="a loss")
        assert stored_halt(store) == Halt(HaltCause.BREAKER, "a loss", 4, 2)
        store.write_halt(latches=0, code=int(HaltCause.FLATTEN) << 8, reason="news")
        assert stored_halt(store) == Halt(HaltCause.FLATTEN, "news", 0, 0)
        # What the store itself latches when it is in doubt names no cause.
        store.write_halt(latches=1 << 13, code=13, reason="an old copy")
        assert stored_halt(store) == Halt(HaltCause.STATE, "an old copy", 1 << 13, 13)
    finally:
        store.close()


class FullJournal:
    """A journal without room."""

    trouble = "there is no room"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def full(*what: object) -> None:
            self.asked.append(name)
            raise JournalFull("there is no room")

        return full


def test_what_outlives_the_process_is_kept_and_a_full_journal_breaks_nothing(tmp_path: Path):
    async def work() -> None:
        loop = asyncio.get_running_loop()
        store, clock, keeper, journal = open_store(tmp_path), Clock(), Keeper(loop), FullJournal()
        keeping = Keeping(
            store=store,
            keeper=keeper,
            clock=clock,
            signer="0x1",
            journal=journal,  # type: ignore[arg-type]
        )
        assert keeping.halt(Halt(HaltCause.BREAKER, "a loss", 4, 2), "a loss") == ""
        assert stored_halt(store) == Halt(HaltCause.BREAKER, "a loss", 4, 2)
        assert keeping.halt(None, "found and mended") == ""
        assert stored_halt(store) is None
        assert store.halt().reason == "found and mended"
        keeping.mark(5)
        keeping.begin_peaks(3, 4)
        keeping.peak(70)
        keeping.moved(7, 5)
        keeping.fills(Fills(fills=()))
        keeping.fills(Fills(fills=(fill(tid=9, ts_ns=5_000_000),)))
        keeping.watermark(6)
        for work in (
            lambda: keeping.raw(memoryview(b"x"), 1),
            lambda: keeping.action(ACTION),
            keeping.tend,
            keeping.rotate,
            lambda: keeping.note("x"),
        ):
            work()
        assert journal.asked == ["raw", "action", "rotate_if_due", "rotate", "note"]
        assert keeping.trouble() == "there is no room"
        keeper.close()
        assert store.mark("0x1") == 5
        assert (store.peak(clock.now_ns()), store.moved()) == (77, Moved(amount_micro=7, time_ms=5))
        assert store.watermark().time_ms == 6 and store.watermark().tids == {9}
        store.close()

    asyncio.run(work())


@pytest.mark.parametrize("ended_well", [True, False])
def test_the_parts_of_a_session_know_what_the_one_before_left(tmp_path: Path, ended_well: bool):
    """It had 2000 at its best, then 500 were taken out; a loss had halted it."""
    before = open_store(tmp_path / "state", clock_ns=lambda: NOW)
    before.begin_session("key")
    before.begin_peaks(0, 100)
    before.write_peak(2_000 * MICRO, NOW)
    before.write_moved(-500 * MICRO, 150)
    before.write_watermark(170)
    before.write_halt(latches=4, code=int(HaltCause.BREAKER) << 8 | 2, reason="a loss")
    if ended_well:
        before.end_session()
    before.close()

    async def work() -> None:
        clock = Clock(wall_ns=lambda: NOW, monotonic_ns=lambda: 0)
        store, keeper = open_store(tmp_path / "state", clock_ns=lambda: NOW), Keeper(asyncio.get_running_loop())
        signer, brain = Signer(b"\x07" * 32), brain_of(CONFIG, STRATEGY, (ETH, ETH))
        assert begin_session(store, tmp_path / "journal") == 2
        journal = open_journal(
            CONFIG, tmp_path / "journal", brain, session=2, strategy=STRATEGY, markets=(ETH, ETH), shown="x",
            compress=False,
        )  # fmt: skip
        connects, messages = budgets_of(CONFIG)
        async with contextlib.AsyncExitStack() as stack:
            http = Http("http://127.0.0.1:9")
            stack.push_async_callback(http.close)
            timers = Timers(asyncio.get_running_loop(), clock)
            hub = Hub(clock=clock, timers=timers, http=http, keeper=keeper, connects=connects, messages=messages)
            found = Found(
                address=signer.address, markets=(ETH, ETH), asset_ids={"ETH": 1}, base_tokens=(-1, -1), offset_ms=0
            )
            parts = parts_of(
                CONFIG, hub=hub, found=found, signer=signer, nonces=NonceAllocator(0), brain=brain, journal=journal,
                store=store, base_url="http://127.0.0.1:9",
            )  # fmt: skip
            told = parts.reconciliation.settings
            assert (told.watermark_ms, told.transfers_ms) == (170, 150)
            assert (told.peak_micro, told.peak_ns) == (1_500 * MICRO, NOW)
            assert parts.supervisor.halt == Halt(HaltCause.BREAKER, "a loss", 4, 2)
            assert parts.settled_ms == (0 if ended_well else NOW // 1_000_000 + 3_000)
            assert {line.settings.url for line in (parts.feed, *parts.lanes)} == {"ws://127.0.0.1:9/ws"}
            keep = parts.keep
            for step in (keep.tend, keep.rotate, lambda: keep.raw(memoryview(b"{}"), NOW), lambda: keep.note("hello")):
                step()
            keep.action(ACTION)
            assert keep.trouble() == ""
        keeper.close()
        journal.close()
        store.close()

    asyncio.run(work())
    assert newest_session(tmp_path / "journal") == 2


def fill(**changes: Any) -> Fill:
    values: dict[str, Any] = {
        "coin": "ETH", "market": 0, "side": 1, "price_ticks": 1, "size_lots": 1, "start_lots": 0, "fee_micro": 0,
        "closed_micro": 0, "fee_token": "USDC", "oid": 1, "tid": 1, "cloid": None, "is_taker": False,
        "is_liquidation": False, "direction": "", "hash": "", "ts_ns": 1, "price_text": "", "size_text": "",
        "fault": Fault.NONE,
    }  # fmt: skip
    return Fill(**{**values, **changes})


def test_sessions_begin_above_what_store_and_journal_know(tmp_path: Path):
    store = open_store(tmp_path)
    try:
        assert newest_session(tmp_path / "journal") == 0
        assert begin_session(store, tmp_path / "journal") == 1
    finally:
        store.close()


@pytest.mark.parametrize("weight", [60, 1200])
def test_the_gateways_numbers_fit_each_other_whatever_is_granted(weight: int):
    config = Config()
    config = Config(
        limits=type(config.limits)(ip_weight_per_minute=weight, posts_in_flight_max=2),
        gateway=GatewaySection(answer_ms=100, cancel_repeat_ms=60_000, cancel_repeats_max=0),
    )
    settings = gateway_settings(config, "0x" + "ab" * 20)
    assert settings.repeat_ns < settings.answer_ns == 100_000_000
    assert settings.posts_max >= 1 and settings.posts_kept >= 1
    assert settings.asks_per_minute >= 1


def test_budgets_of_an_address_are_shared():
    connects, messages = budgets_of(Config())
    assert connects.limit == 24
    assert messages.limit == 1600


class Mute:
    """Who is told nothing of a node."""

    told = lost = None


def test_a_node_is_made_of_its_settings_where_books_come_from_one(tmp_path: Path):
    async def work() -> None:
        http = Http("http://127.0.0.1:1")
        try:
            assert node_of(CONFIG, (ETH,), http) is None
            data = MarketData(source="node", node_folder=str(tmp_path), node_age_ms_max=500, node_lag_ms_max=700)
            node = node_of(Config(market_data=data), (ETH,), http)
            assert node is not None
            assert (node.folder, node.http) == (tmp_path, http)
            assert node.health == HealthSettings(age_ns_max=500_000_000, lag_ns_max=700_000_000)
            with pytest.raises(DataError, match="there are no book changes of a node"):
                node.reader(Mute())  # type: ignore[arg-type]
        finally:
            await http.close()

    asyncio.run(work())


def test_an_alpha_process_is_talked_to_only_where_the_settings_say_so(tmp_path: Path):
    brain = brain_of(CONFIG, STRATEGY, (ETH,))
    environment = {"STATE_DIRECTORY": str(tmp_path)}
    assert alpha_of(CONFIG, alpha_places_of(CONFIG, environment), STRATEGY, brain, session=3) is None
    config = Config(alpha=Alpha(enabled=True, levels=3, clock_ms=100, models=("00000000000000ff",), move_bp_max=1.5))
    parts = alpha_of(config, alpha_places_of(config, environment), STRATEGY, brain, session=3)
    assert parts is not None and parts.session == 3
    assert parts.rows.schema == schema_of(config) and (parts.rows.schema.levels, parts.rows.schema.clock_ms) == (3, 100)
    settings = parts.settings
    assert (settings.models, settings.move_e9_max, settings.keys) == (frozenset({255}), 150_000, None)
    assert (settings.time_to_live_ns, settings.policy_time_to_live_ns) == (1_000_000_000, 10_000_000_000)
    assert settings.places.features == f"ipc://{tmp_path}/alpha/features.sock"


def test_the_keys_of_an_alpha_process_are_read_from_a_file_of_its_own(tmp_path: Path):
    brain = brain_of(CONFIG, STRATEGY, (ETH,))
    public, secret = new_keys()
    path = tmp_path / "engine.key"
    path.touch(mode=0o600)
    path.write_bytes(secret)
    config = Config(alpha=Alpha(enabled=True, key_file=str(path), peer_key=public.decode()))
    places = alpha_places_of(config, {"STATE_DIRECTORY": str(tmp_path)})
    parts = alpha_of(config, places, STRATEGY, brain, session=1)
    assert parts is not None and parts.settings.keys is not None and parts.settings.keys.peer == public
    wrong = Config(alpha=Alpha(enabled=True, key_file=str(path), peer_key="short"))
    with pytest.raises(EndpointError, match="40 characters"):
        alpha_of(wrong, places, STRATEGY, brain, session=1)


def test_a_policy_is_shown_the_markets_only_where_one_is_served_and_can_be(tmp_path: Path):
    assert observer_of(Config(alpha=Alpha(enabled=True)), load("glft"), brain_of(CONFIG, STRATEGY, (ETH,))) is None
    config = Config(alpha=Alpha(enabled=True, decision_ms=2000))
    glft = load("glft")
    brain = brain_of(config, glft, (ETH,))
    assert int(brain.limits["features"][0]) & 19 == 19
    observer = observer_of(config, glft, brain)
    assert observer is not None
    assert observer.observation(0, NOW) is not None and observer.observation(0, NOW + 1_999_999_999) is None
    with pytest.raises(StartError, match="has no parameter order_notional_usdc"):
        observer_of(config, load("funding"), brain)
