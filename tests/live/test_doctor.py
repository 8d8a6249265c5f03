"""Everything that keeps an engine from running well is found, here and at a real exchange, with what to do."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.config.folders import folders_of
from hlhft.config.settings import Config
from hlhft.hyperliquid.signing import Signer
from hlhft.live import doctor
from hlhft.live.asking import Answer
from hlhft.live.doctor import Check, Keys, Level, coverage, look_here, look_there, numbers_of, unseen_there, worst
from hlhft.units import MICRO
from tests.exchange.clients import CHAIN, MILLISECOND_NS, START_MS, Client, small_machine

AGENT, WATCHDOG, HASTY_AGENT = (Signer(bytes([number]) * 32) for number in (0x21, 0x22, 0x23))
DAY_MS = 86_400_000


def config(**sections: dict[str, Any]) -> Config:
    return msgspec.convert(sections, Config)


def key(folder: Path, number: int, *, mode: int = 0o600, text: str = "") -> str:
    path = folder / f"{number}.key"
    path.write_text(text or f"0x{number:02x}" + f"{number:02x}" * 31 + "\n")
    path.chmod(mode)
    return str(path)


def here(folder: Path, **sections: dict[str, Any]) -> tuple[dict[str, Check], Keys]:
    sections["engine"] = {"state_folder": str(folder / "state"), "coins": ["BTC"], **sections.get("engine", {})}
    settings = config(**sections)
    checks, keys = look_here(settings, folders_of(settings, {}), system=folder / "sys")
    found = {check.name: check for check in checks}
    assert len(found) == len(checks), "each thing has one line"
    return found, keys


def processors(folder: Path, *, online: str = "0-3", isolated: str = "") -> None:
    place = folder / "sys" / "devices" / "system" / "cpu"
    place.mkdir(parents=True)
    (place / "online").write_text(online + "\n")
    (place / "isolated").write_text(isolated + "\n")


def test_a_machine_in_order_is_ok_throughout(tmp_path: Path) -> None:
    processors(tmp_path, isolated="2-3")
    found, keys = here(
        tmp_path,
        account={"key_file": key(tmp_path, 0x21)},
        watchdog={"key_file": key(tmp_path, 0x22)},
        engine={"cpu": 3},
        journal={"total_gib_max": 0.001},
    )
    assert {check.level for check in found.values()} == {Level.OK}, found
    assert (keys.engine, keys.watchdog) != (None, None)
    assert AGENT.address in found["engine's key"].found and WATCHDOG.address in found["watchdog's key"].found
    assert "made at the start" in found["state folder"].found
    assert "picows" in found["C libraries"].found


def test_keys_that_are_missing_open_wrong_or_shared(tmp_path: Path) -> None:
    found, keys = here(tmp_path, account={"key_file": str(tmp_path / "none")})
    assert found["engine's key"].level is Level.FAIL and keys.engine is None
    assert found["watchdog's key"].level is Level.WARN and "watchdog.key_file" in found["watchdog's key"].advice
    found, _ = here(tmp_path, account={"key_file": key(tmp_path, 0x21, mode=0o640)})
    assert found["engine's key"].level is Level.FAIL and "chmod 600" in found["engine's key"].found
    secret = "5ecre7" * 11
    found, _ = here(tmp_path, account={"key_file": key(tmp_path, 0x21, text=secret)})
    assert found["engine's key"].level is Level.FAIL and secret not in found["engine's key"].found
    (tmp_path / "same.key").write_text((tmp_path / key(tmp_path, 0x21)).read_text())
    (tmp_path / "same.key").chmod(0o600)
    found, _ = here(
        tmp_path, account={"key_file": key(tmp_path, 0x21)}, watchdog={"key_file": str(tmp_path / "same.key")}
    )
    assert found["watchdog's key"] == Check(
        "watchdog's key", Level.FAIL, "it is the engine's key", "approve a second API wallet and give it that one"
    )


NODE_NS = 1_790_000_000_000_000_000


def node_files(folder: Path, *, streams: int = 3, newest: bytes | None = None) -> dict[str, Any]:
    line = (
        b'{"local_time":"2026-09-21T14:13:20.012000000","block_time":"2026-09-21T14:13:20.000000000",'
        b'"block_number":5,"events":[]}\n'
    )
    for stream in ("node_raw_book_diffs", "node_order_statuses", "node_fills")[:streams]:
        path = folder / "data" / f"{stream}_by_block" / "hourly" / "20260921" / "14"
        path.parent.mkdir(parents=True)
        path.write_bytes(line if newest is None else newest)
    return {"source": "node", "node_folder": str(folder / "data")}


def node_check(folder: Path, section: dict[str, Any], age_ms: int = 0) -> Check:
    settings = config(market_data=section, engine={"state_folder": str(folder / "state"), "coins": ["BTC"]})
    checks, _ = look_here(settings, folders_of(settings, {}), system=folder, now_ns=NODE_NS + age_ms * MILLISECOND_NS)
    return next(check for check in checks if check.name == "node")


@pytest.mark.parametrize(
    ("age_ms", "level"), [(150, Level.OK), (1000, Level.OK), (1001, Level.WARN), (2001, Level.FAIL)]
)
def test_a_node_is_as_good_as_its_newest_block_is_new(tmp_path: Path, age_ms: int, level: Level) -> None:
    check = node_check(tmp_path, node_files(tmp_path), age_ms)
    assert check.level is level
    assert check.found == f"block 5 is {age_ms} ms old, and was written 12 ms after its time"


def test_a_node_that_writes_too_little_is_of_no_use(tmp_path: Path) -> None:
    for name, streams, newest, words in (
        ("none", 0, None, "holds no node_raw_book_diffs"),
        ("some", 2, None, "holds no node_fills"),
        ("plain", 3, b'["0x00",{}]\n', "holds no line that names its block"),
    ):
        check = node_check(tmp_path, node_files(tmp_path / name, streams=streams, newest=newest))
        assert check.level is Level.FAIL and words in check.found and "--batch-by-block" in check.advice


def test_nothing_is_said_of_a_node_that_is_not_asked_for(tmp_path: Path) -> None:
    assert "node" not in here(tmp_path)[0]


def test_folders_that_cannot_be_written_or_that_others_read(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    found, _ = here(tmp_path)
    assert found["state folder"].level is Level.WARN and "chmod 700" in found["state folder"].advice
    file = tmp_path / "file"
    file.touch()
    found, _ = here(tmp_path, engine={"journal_folder": str(file / "journal")})
    assert found["journal folder"].level is Level.FAIL and "engine.journal_folder" in found["journal folder"].advice


@pytest.mark.parametrize(
    ("free_gib", "level", "advice"),
    [(0.5, Level.FAIL, "a full disk halts trading"), (10, Level.WARN, "journal.total_gib_max"), (60, Level.OK, "")],
)
def test_a_disk_with_too_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, level: Level, advice: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=int(free_gib * (1 << 30)))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    disk = here(tmp_path)[0]["disk"]
    assert disk.level is level and advice in disk.advice


@pytest.mark.parametrize(
    ("cpu", "isolated", "level", "word"),
    [
        (-1, "", Level.WARN, "wherever"),
        (7, "2", Level.FAIL, "no processor 7"),
        (1, "2", Level.WARN, "others run on processor 1"),
        (2, "0,2", Level.OK, "the engine's alone"),
        (2, "none", Level.UNSEEN, "does not tell"),
    ],
)
def test_the_processor_is_its_own(tmp_path: Path, cpu: int, isolated: str, level: Level, word: str) -> None:
    processors(tmp_path, isolated=isolated)
    processor = here(tmp_path, engine={"cpu": cpu})[0]["processor"]
    assert processor.level is level and word in processor.found


def test_lists_of_processors(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("0-2,5,7-7\n")
    assert numbers_of(path) == {0, 1, 2, 5, 7}
    path.write_text("\n")
    assert numbers_of(path) == frozenset()
    assert numbers_of(tmp_path / "none") is None


def test_libraries_that_are_missing_or_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "recover_address", lambda *_, **__: "0x" + "0" * 40)
    assert here(tmp_path)[0]["C libraries"].level is Level.FAIL
    monkeypatch.setattr(doctor, "_BACKENDS", ("msgspec", "no_such_library"))
    assert here(tmp_path)[0]["C libraries"].found == "missing: no_such_library"


def test_without_coins_nothing_is_traded(tmp_path: Path) -> None:
    assert here(tmp_path, engine={"coins": []})[0]["coins"].level is Level.FAIL


# The venue: the embedded exchange, asked as over HTTP.


class Hall:
    """An exchange with an account whose API wallets live long, one whose wallet does not, and one without money."""

    def __init__(self) -> None:
        self.machine = small_machine(with_limits=False)
        self.owner, self.hasty, self.poor = (Client(self.machine, number, usdc=0) for number in (1, 2, 3))
        for client in (self.owner, self.hasty):
            self.machine.deposit(client.address, 100_000 * MICRO)
        self.machine.advance(self.machine.time_ns + MILLISECOND_NS)
        approve(self.owner, "engine", AGENT, days=30)
        approve(self.owner, "watchdog", WATCHDOG, days=30)
        approve(self.hasty, "engine", HASTY_AGENT, days=3)


def approve(owner: Client, name: str, signer: Signer, *, days: float) -> None:
    action = {
        "type": "approveAgent", **CHAIN, "agentAddress": signer.address,
        "agentName": f"{name} valid_until {START_MS + int(days * DAY_MS)}", "nonce": 0,
    }  # fmt: skip
    assert owner.send(action)["status"] == "ok"


@functools.cache
def hall() -> Hall:
    return Hall()


class World:
    """How the hall looks to a doctor: its answers, some of them `changed` on their way, after `delay_ms`."""

    def __init__(self, owner: Client | None = None, *, delay_ms: int = 0) -> None:
        self.machine = hall().machine
        self.owner = hall().owner if owner is None else owner
        self.delay_ms = delay_ms
        self.changed: dict[str, Callable[[bytes], bytes | None]] = {}
        self.asked: dict[str, Any] = {}  # the newest question

    def ask(self, body: bytes) -> Answer:
        answer = self.machine.info(body, ("127.0.0.1", "1"), self.machine.time_ns)
        found: bytes | None = answer.body if answer.status == 200 else None
        self.asked = msgspec.json.decode(body)
        change = self.changed.get(self.asked["type"])
        if change is not None:
            found = change(found or b"")
        now_ns = self.machine.time_ns + self.delay_ms * 1_000_000
        return Answer(found, "" if found is not None else "HTTP 500", now_ns, now_ns)

    def look(self, keys: Keys | None = None, **sections: dict[str, Any]) -> dict[str, Check]:
        sections["account"] = {"network": "local", "address": self.owner.address, **sections.get("account", {})}
        sections["engine"] = {"coins": ["BTC", "ETH"], **sections.get("engine", {})}
        checks = look_there(config(**sections), Keys(AGENT, WATCHDOG) if keys is None else keys, self.ask)
        found = {check.name: check for check in checks}
        assert len(found) == len(checks)
        return found


def test_a_venue_in_order() -> None:
    found = World().look(watchdog={"heartbeat": "10.0.0.2:7000"})
    uncovered = found.pop("engine and watchdog die together")
    assert {check.level for check in found.values()} == {Level.OK}, found
    assert uncovered.level is Level.WARN
    assert found["markets"].found == "2 traded there: BTC, ETH"
    assert "is worth 100,000.00 USDC in perpetuals, 0 positions" in found["account"].found
    assert "for 30.0 more days" in found["engine's key at the venue"].found
    assert found["fees"].found == "a maker's fill costs 1.5 bp, a taker's costs 4.5 bp"
    assert "of 10,000 actions are left, 0 USDC were traded" in found["address budget"].found


def test_the_node_itself_is_asked_where_books_come_from_one() -> None:
    world = World()
    assert "node's answers" not in world.look()
    section = {"source": "node", "node_folder": "/node"}
    found = world.look(market_data=section)["node's answers"]
    assert found.level is Level.OK and "http://127.0.0.1:3001 is at a block of" in found.found
    check = doctor._node_answers(config(market_data=section), lambda body: Answer(None, "nobody listens", 0, 0))
    assert check.level is Level.FAIL and "nobody listens" in check.found and "--serve-info" in check.advice


@pytest.mark.parametrize(("delay_ms", "level"), [(100, Level.OK), (800, Level.WARN), (1500, Level.FAIL)])
def test_a_clock_that_is_off(delay_ms: int, level: Level) -> None:
    world = World(delay_ms=delay_ms)
    assert world.look()["clock"].level is level
    world.delay_ms = -delay_ms
    assert world.look()["clock"].level is level


def test_a_venue_that_is_not_reached_leaves_the_rest_unseen() -> None:
    world = World()
    world.changed["exchangeStatus"] = lambda _: b"<html></html>"
    found = world.look()
    assert found["venue"].level is Level.FAIL and "account.base_url" in found["venue"].advice
    unseen = {name for name, check in found.items() if check.level is Level.UNSEEN}
    assert unseen == {
        "clock", "markets", "account", "engine's key at the venue", "watchdog's key at the venue", "abstraction mode",
        "fees", "address budget",
    }  # fmt: skip


def test_a_venue_that_is_special_says_so() -> None:
    world = World()
    status = msgspec.json.encode({"time": world.machine.time_ns // 1_000_000, "specialStatuses": "post-only"})
    world.changed["exchangeStatus"] = lambda _: status
    assert world.look()["venue"].level is Level.WARN


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("meta", "markets"), ("spotMeta", "markets"), ("clearinghouseState", "account"), ("userFees", "fees"),
        ("userRole", "engine's key at the venue"), ("userAbstraction", "abstraction mode"),
        ("userRateLimit", "address budget"),
    ],
)  # fmt: skip
def test_what_the_venue_does_not_answer_is_unseen_and_never_ok(kind: str, name: str) -> None:
    world = World()
    world.changed[kind] = lambda _: None
    check = world.look()[name]
    assert check.level is Level.UNSEEN and "HTTP 500" in check.found


def test_markets_that_are_none() -> None:
    check = World().look(engine={"coins": ["BTC", "BTCC"]})["markets"]
    assert check.level is Level.FAIL and "BTCC is no market of the venue, the nearest is BTC" in check.found
    assert World().look(engine={"coins": []})["markets"].level is Level.UNSEEN


GOLD = b'{"universe":[{"name":"xyz:GOLD","szDecimals":2,"maxLeverage":10}]}'


def test_markets_of_builders_exchanges() -> None:
    world = World()
    world.changed["perpDexs"] = lambda _: b'[null,{"name":"abc"},{"name":"xyz"}]'
    plain = world.changed["meta"] = lambda body: GOLD if world.asked.get("dex") else body
    coins = {"coins": ["BTC", "xyz:GOLD"]}
    assert world.look(engine=coins)["markets"].found == "2 traded there: BTC, xyz:GOLD"
    world.changed["meta"] = lambda body: None if world.asked.get("dex") else body
    assert world.look(engine=coins)["markets"].level is Level.UNSEEN
    world.changed["meta"] = plain
    world.changed["perpDexs"] = lambda _: b"[null]"
    gone = world.look(engine=coins)["markets"]
    assert gone.level is Level.FAIL and "there is no builder's exchange xyz" in gone.found
    world.changed["perpDexs"] = lambda _: None
    assert world.look(engine=coins)["markets"].level is Level.UNSEEN


def test_money_on_the_spot_side() -> None:
    world = World(hall().poor)
    balance = b'{"balances":[{"coin":"USDC","token":0,"hold":"0.0","total":"12.5","entryNtl":"0.0"}]}'
    world.changed["spotClearinghouseState"] = lambda _: balance
    check = world.look(keys=Keys())["account"]
    assert check.level is Level.WARN and "12.50 USDC for spot" in check.found
    world.changed["spotClearinghouseState"] = lambda _: None
    assert world.look(keys=Keys())["account"].level is Level.UNSEEN


def test_an_account_without_money_or_name() -> None:
    assert World(hall().poor).look(keys=Keys())["account"].level is Level.FAIL
    world = World()
    found = world.look(keys=Keys(), account={"address": ""})
    for name in ("account", "engine's key at the venue", "abstraction mode", "fees", "address budget"):
        assert found[name].level is Level.UNSEEN, name


def test_keys_of_another_account_of_the_account_itself_or_that_end_soon() -> None:
    world = World()
    found = world.look(keys=Keys(hall().hasty.signer, None))
    assert found["engine's key at the venue"].level is Level.FAIL
    assert "the venue calls it user" in found["engine's key at the venue"].found
    assert found["watchdog's key at the venue"].level is Level.UNSEEN
    own = world.look(keys=Keys(world.owner.signer, None))["engine's key at the venue"]
    assert own.level is Level.WARN and "withdraw" in own.advice
    soon = World(hall().hasty).look(keys=Keys(HASTY_AGENT))["engine's key at the venue"]
    assert soon.level is Level.WARN and "for 3.0 more days" in soon.found
    world.changed["extraAgents"] = lambda _: b"[]"
    assert "how long is not told" in world.look()["engine's key at the venue"].found


def test_modes_rebates_and_budgets() -> None:
    world = World()
    world.changed["userAbstraction"] = lambda _: b'"unifiedAccount"'
    check = world.look()["abstraction mode"]
    assert check.level is Level.FAIL and "halts before its first quote" in check.found
    world.changed["userAbstraction"] = lambda _: b'"somethingNew"'
    assert "not known" in world.look()["abstraction mode"].found
    world.changed["userFees"] = lambda body: body.replace(b'"0.00015"', b'"-0.00003"')
    assert world.look()["fees"].found.startswith("a maker's fill earns 0.3 bp")
    world.changed["userRateLimit"] = lambda _: msgspec.json.encode(
        {"cumVlm": "1000000.0", "nRequestsUsed": 9_500, "nRequestsCap": 10_000}
    )
    found = world.look(watchdog={"schedule_cancel": "auto"})
    assert found["address budget"].level is Level.FAIL and "500 of 10,000" in found["address budget"].found
    assert found["engine and watchdog die together"].level is Level.OK, "the volume opens the venue's own switch"


def test_real_money_uncovered_is_a_failure() -> None:
    settings = config(account={"network": "mainnet"})
    levels = {check.name: check.level for check in coverage(settings, None)}
    assert levels["the host dies or loses its network"] is Level.FAIL
    assert levels["engine and watchdog die together"] is Level.WARN
    unseen = unseen_there(settings)
    assert unseen[0] == Check("venue", Level.UNSEEN, "https://api.hyperliquid.xyz was not asked")


def test_the_worst_counts() -> None:
    def of(*levels: Level) -> Level:
        return worst([Check("a", level, "") for level in levels])

    assert of() is of(Level.OK) is Level.OK
    assert of(Level.OK, Level.UNSEEN) is of(Level.WARN) is Level.WARN
    assert of(Level.WARN, Level.FAIL, Level.UNSEEN) is Level.FAIL
