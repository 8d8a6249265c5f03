"""An engine and its watchdog on a market that moves: it quotes, is filled, agrees with the venue, obeys, and leaves
nothing behind."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import stat
import time
from decimal import Decimal
from pathlib import Path

from hlhft.live.history import HistoryAsker
from hlhft.live.history_files import history_of
from hlhft.report.venue_checks import check
from hlhft.report.venue_records import GRAINS_PER_MICRO
from hlhft.report.venue_split import split
from tests.conformance.desk import ALO, IOC
from tests.endtoend.house import OWNER, House, eventually, run

EMPTY_S = 2.0


def command(house: House, *arguments: str) -> tuple[int, dict[str, object]]:
    """An operator's command as a process: its exit code, and what it answered."""
    done = run(*arguments, "--config", str(house.config), "--json", folder=house.folder)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {"error": done.stderr}


def test_it_quotes_both_sides_of_every_market_and_the_venue_and_it_agree(house: House) -> None:
    began = time.monotonic()
    house.start_watchdog()
    house.start_engine()
    house.quotes_within(30)
    print(f"first quotes after {time.monotonic() - began:.1f} s, compiling included")
    told = house.status()
    assert told is not None
    assert [market.name for market in told.markets] == list(house.coins)
    assert all(market.is_fresh for market in told.markets)


def test_a_fill_moves_the_position_on_both_sides(house: House) -> None:
    def has_traded() -> bool:
        told = house.status()
        house.hit("ETH")
        return told is not None and sum(market.fills for market in told.markets) > 0

    eventually(has_traded, within_s=60)

    def agrees() -> bool:
        told = house.status()
        held = house.positions()
        return told is not None and all(
            Decimal(market.position) == Decimal(held.get(market.name, "0")) for market in told.markets
        )

    eventually(agrees, within_s=10)


def test_orders_of_others_on_the_account_are_never_touched(house: House) -> None:
    other = house.second_client()
    oid = other.rest("ETH", True, 0.05, house.desk.price("ETH", 0.5), ALO)
    code, _ = command(house, "halt", "--reason", "a look around")
    assert code == 0
    eventually(lambda: not house.own_orders(), within_s=EMPTY_S + 3)
    assert other.open_ids() == {oid}
    code, _ = command(house, "resume", "--reason", "nothing was found")
    assert code == 0
    house.quotes_within(30)
    assert oid in other.open_ids()
    other.exchange.cancel("ETH", oid)


def test_a_resume_needs_a_reason_and_a_halt(house: House) -> None:
    code, _ = command(house, "resume")
    assert code == 2
    code, told = command(house, "resume", "--reason", "why not")
    assert code != 0
    assert "nothing to resume" in json.dumps(told)


def test_the_control_socket_is_its_owners(house: House) -> None:
    mode = stat.S_IMODE((house.state / "control.sock").stat().st_mode)
    assert mode == 0o600


def test_a_freeze_makes_a_cancel_of_everything_the_first_thing_that_is_written(house: House) -> None:
    assert house.engine is not None
    house.quotes_within(30)
    before = house.status()
    assert before is not None
    house.engine.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    while time.monotonic() - stopped < 0.3:
        house.desk.now_ms()  # the market goes on meanwhile
    house.engine.signal(signal.SIGCONT)

    def has_paused() -> bool:
        told = house.status()
        return told is not None and any("breaker tick to trade" in happening.text for happening in told.happenings)

    eventually(has_paused, within_s=10)
    after = house.status()
    assert after is not None
    assert after.counters["orders cancelled"] >= before.counters["orders cancelled"] + len(house.coins)
    house.quotes_within(30)


def test_a_flatten_closes_the_positions_and_stays_halted(house: House) -> None:
    code, _ = command(house, "flatten", "--reason", "news")
    assert code == 0
    eventually(lambda: not house.own_orders() and not house.positions(), within_s=30)
    assert house.stage() == "halted"


def test_a_halt_survives_a_restart_until_it_is_resumed(house: House) -> None:
    assert house.engine is not None
    assert house.engine.stop() == 4  # halted, and verified empty
    house.start_engine(until=("halted",))
    assert not house.own_orders()
    code, _ = command(house, "resume", "--reason", "the news was none")
    assert code == 0
    house.quotes_within(60)


def test_a_stop_leaves_nothing_and_says_so(house: House) -> None:
    assert house.engine is not None
    began = time.monotonic()
    code = house.engine.stop()
    assert not house.own_orders()
    assert code == 0, house.engine.output
    print(f"stopped and verified empty in {time.monotonic() - began:.2f} s")


def test_the_venues_own_history_says_who_made_what_to_the_millionth(house: House) -> None:
    """Two sessions, a flatten and other hands on the account: the parts are what the venue says it is worth."""
    other = house.second_client()
    assert "filled" in other.order("ETH", True, 0.05, house.desk.price("ETH", 1.01), IOC)
    told = asyncio.run(HistoryAsker(house.url, weight_per_minute=10**9).run(house.address))
    history = history_of(told)
    made = split(history, {OWNER: "glft"})
    assert check(history, made).kept == ()
    (checked,) = made.checked
    assert checked.residual == 0
    assert set(made.by_strategy) == {"glft", "others"}
    assert sum(one.cloid is None for one in history.fills) >= 1
    house_fills = house.trader.fills()
    assert len(house_fills) == len(history.fills) > 1
    fees = sum(Decimal(one["fee"]) for one in house_fills)
    assert Decimal(-made.attribution.parts.fees - made.attribution.parts.rebates) / GRAINS_PER_MICRO == fees * 10**6


def test_the_journal_of_each_session_replays_to_the_same_commands(house: House) -> None:
    for session in (1, 2):
        done = run("replay", str(house.state / "journal"), "--session", str(session), "--json", folder=house.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["session"] == session and told["steps"] > 20 and told["commands"] > 0
        assert told["difference"] is None


def test_a_flipped_bit_in_a_journal_is_noticed(house: House) -> None:
    folder = house.folder / "flipped"
    shutil.copytree(house.state / "journal", folder)
    (segment,) = folder.glob("s0000000002-*.journal")
    content = bytearray(segment.read_bytes())
    content[len(content.rstrip(b"\0")) // 2] ^= 1
    segment.write_bytes(content)
    done = run("replay", str(folder), "--session", "2", "--json", folder=house.folder)
    assert done.returncode in (3, 7), done.stdout + done.stderr


def test_no_key_is_in_anything_that_it_wrote(house: House) -> None:
    keys = [path.read_text().strip().removeprefix("0x").lower() for path in house.agents]
    written = [path for path in house.state.rglob("*") if path.is_file()]
    assert written
    for path in [*written, *house.folder.glob("*.log")]:
        content = Path(path).read_bytes().lower()
        for key in keys:
            assert key.encode() not in content and bytes.fromhex(key) not in content, path
    for process in (house.engine, house.watchdog):
        assert process is not None
        assert not any(key in process.output.lower() for key in keys)
