"""Whatever is wrong when an engine starts, or is told while it runs: one sentence that says what, where and what to do,
the exit code, a counter, and nothing of it left at the venue. No message holds a key."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.between import Between
from tests.endtoend.house import House, Process, eventually, free_port, run

FAILURE, USAGE, ORDERS_LEFT = 1, 2, 5
COINS = 'coins = ["BTC", "ETH"]'
WORDS_MIN = 6
SENTENCE_CHARACTERS_MAX = 600


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house without limits: one address begins again and again here."""
    with House(tmp_path_factory.mktemp("bad"), exchange=("--no-limits",)) as there:
        yield there


@pytest.fixture(scope="module")
def between(house: House) -> Iterator[Between]:
    """What says other things than the exchange does."""
    with Between(house.url) as there:
        yield there


def settings(house: House, folder: Path, *changes: tuple[str, str]) -> Path:
    """The house's settings with a state of their own, and something replaced."""
    text = house.config.read_text()
    for old, new in ((f'state_folder = "{house.state}"', f'state_folder = "{folder / "state"}"'), *changes):
        assert old in text
        text = text.replace(old, new)
    path = folder / "config.toml"
    path.write_text(text)
    return path


def key_file(path: Path, content: str, mode: int = 0o600) -> Path:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(content)
    return path


def secrets_of(house: House, folder: Path) -> list[str]:
    """What no message may hold."""
    files = [*house.folder.glob("*.key"), *house.folder.glob("*.secret"), *folder.glob("*.key")]
    found = [path.read_text().strip().removeprefix("0x").lower() for path in files]
    return [text for text in found if len(text) >= 64]


def refused(house: House, folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """A start that comes to nothing: nothing was sent, no session was begun, and nobody learned a key."""
    done = run("run", "--config", str(config), folder=folder)
    assert not house.own_orders()
    assert not (folder / "state" / "journal").exists(), "no session was begun"
    written = (done.stdout + done.stderr).lower()
    assert not any(secret in written for secret in secrets_of(house, folder))
    return done


def sentence_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that it ended with."""
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("hlhft: ") and "Traceback" not in line
    assert len(line.split()) >= WORDS_MIN and len(line) <= SENTENCE_CHARACTERS_MAX
    return line


# Keys.


def no_key(house: House, folder: Path) -> Path:
    return settings(house, folder, (str(house.agents[0]), str(folder / "no.key")))


def key_that_is_none(house: House, folder: Path) -> Path:
    path = key_file(folder / "torn.key", house.agents[0].read_text().strip()[:-2])
    return settings(house, folder, (str(house.agents[0]), str(path)))


def key_for_everybody(house: House, folder: Path) -> Path:
    path = key_file(folder / "open.key", house.agents[0].read_text(), 0o644)
    return settings(house, folder, (str(house.agents[0]), str(path)))


def key_of_nobody(house: House, folder: Path) -> Path:
    path = key_file(folder / "new.key", house.desk.wallet().key.hex())
    return settings(house, folder, (str(house.agents[0]), str(path)))


def account_of_nobody(house: House, folder: Path) -> Path:
    return settings(house, folder, (house.address, house.desk.wallet().address.lower()))


def account_without_funds(house: House, folder: Path) -> Path:
    poor = house.desk.trader(10)
    told = poor.exchange.usd_transfer(10.0, house.address)
    assert told["status"] == "ok", told
    path = key_file(folder / "poor.key", poor.exchange.wallet.key.hex())
    return settings(house, folder, (str(house.agents[0]), str(path)), (house.address, poor.address))


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (no_key, ("no.key", "cannot be read")),
        (key_that_is_none, ("torn.key", "no private key is in this file", "64 hex digits")),
        (key_for_everybody, ("open.key", "others than its owner", "chmod 600")),
        (key_of_nobody, ("does not know the key's address 0x", "approve it as an API wallet of 0x")),
        (account_of_nobody, ("knows no account 0x", "account.address", "deposit")),
        (account_without_funds, ("has no money", "deposit USDC")),
    ],
)
def test_keys_and_accounts(
    house: House, tmp_path: Path, spoil: Callable[[House, Path], Path], parts: tuple[str, ...]
) -> None:
    done = refused(house, tmp_path, spoil(house, tmp_path))
    assert done.returncode == USAGE
    assert all(part in sentence_of(done) for part in parts), done.stderr


def test_a_watchdog_whose_key_could_cancel_nothing(house: House, tmp_path: Path) -> None:
    path = key_file(tmp_path / "new.key", house.desk.wallet().key.hex())
    config = settings(house, tmp_path, (str(house.agents[1]), str(path)))
    done = run("watchdog", "--config", str(config), folder=tmp_path)
    assert done.returncode == USAGE
    assert "this watchdog could cancel nothing" in sentence_of(done) and "approve it" in done.stderr
    assert path.read_text() not in done.stderr


# Settings.


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ((COINS, f"{COINS}\ncoin = 1"), ("config.toml", "section engine has no setting 'coin'")),
        (("segment_mib = 16", "segment_mib = -1"), ("config.toml", "journal.segment_mib")),
        (("[journal]", "[risk]\ndrawdown_share_max = 0.05\n[journal]"), ("risk.drawdown_share_max", "0.03")),
        (("[journal]", "[risk]\ntick_to_trade_ms_max = 151\n[journal]"), ("risk.tick_to_trade_ms_max", "150")),
        ((COINS, 'coins = ["BTC", "ETHH"]'), ("ETHH is no market of the venue", "ETH")),
        ((COINS, "coins = []"), ("engine.coins", "name those to trade")),
    ],
)
def test_settings(house: House, tmp_path: Path, change: tuple[str, str], parts: tuple[str, ...]) -> None:
    done = refused(house, tmp_path, settings(house, tmp_path, change))
    assert done.returncode == USAGE
    assert all(part in sentence_of(done) for part in parts), done.stderr


# What the venue says.


def late(status: dict[str, Any]) -> dict[str, Any]:
    return {**status, "time": status["time"] + 5_000}


def delisted(meta: dict[str, Any]) -> dict[str, Any]:
    first, *others = meta["universe"]
    return {**meta, "universe": [{**first, "isDelisted": True}, *others]}


def worth_nonsense(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "marginSummary": {**state["marginSummary"], "accountValue": "1e5"}}


@pytest.mark.parametrize(
    ("question", "change", "code", "parts"),
    [
        ("exchangeStatus", late, USAGE, ("clock is", "s behind the venue's", "at most 1 s", "time service")),
        ("meta", delisted, USAGE, ("BTC is delisted at the venue, remove it",)),
        ("clearinghouseState", worth_nonsense, FAILURE, ("clearinghouseState", "no plain decimal number")),
        ("", None, FAILURE, ("exchangeStatus", "HTTP 502 (text/html)", "502 Bad Gateway", "account.base_url")),
    ],
)
def test_what_the_venue_says(
    house: House, between: Between, tmp_path: Path, question: str, change: Any, code: int, parts: tuple[str, ...]
) -> None:
    between.instead = {question: change} if question else {}
    between.is_html = not question
    try:
        done = refused(house, tmp_path, settings(house, tmp_path, (house.url, between.url)))
    finally:
        between.instead, between.is_html = {}, False
    assert done.returncode == code
    assert all(part in sentence_of(done) for part in parts), done.stderr


def test_no_exchange_at_all(house: House, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = refused(house, tmp_path, settings(house, tmp_path, (house.url, nowhere)))
    assert done.returncode == FAILURE
    assert all(part in sentence_of(done) for part in (nowhere, "does not answer", "account.base_url")), done.stderr


# While it runs.

GARBAGE = [
    "this is no JSON",
    '{"channel":"l2Book","data":{"coin":"BTC","time":',
    "[" * 5_000,
    '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":"none"}}',
    '{"channel":"bbo","data":{"coin":"BTC","time":1,"bbo":[{"px":"NaN","sz":"1","n":1},{"px":"1e5","sz":"1","n":1}]}}',
    '{"channel":"trades","data":[{"coin":"ETH","side":"?","px":"-1","sz":"x","time":0,"tid":-1}]}',
    '{"channel":"orderUpdates","data":[{"order":{"coin":"BTC"},"status":7}]}',
    b"\xff\xfe\x00 no text",
]


def test_a_running_engine(house: House, between: Between) -> None:
    """Frames that are none are counted and change nothing; while HTML answers, questions go unanswered and are counted,
    and a stop says that nothing could be proven."""
    before = house.config.read_text()
    quick = (COINS, f"{COINS}\nreconcile_ms = 1000\nstop_ms_max = 3000")
    house.config.write_text(before.replace(house.url, between.url).replace(*quick))
    engine = house.start_engine()
    house.quotes_within(30)
    for frame in GARBAGE:
        between.say(frame)
    counted_within(house, "frames that cannot be decoded", len(GARBAGE))
    assert house.stage() == "quoting"
    house.quotes_within(10)
    assert said(house, "a frame cannot be decoded")
    loosened(house)
    between.is_html = True
    counted_within(house, "questions without an answer", 2)
    assert said(house, "a question got no answer: HTTP 502 (text/html)")
    engine.signal(signal.SIGTERM)
    assert engine.ended() == ORDERS_LEFT
    assert "orders of ours may be left at the venue" in engine.output and "hlhft watchdog --sweep" in engine.output
    between.is_html = False
    swept = run("watchdog", "--config", str(house.config), "--sweep", folder=house.folder)
    assert swept.returncode == 0, swept.stderr
    assert not house.own_orders()
    quiet(house, engine)


def said(house: House, text: str) -> bool:
    told = house.status()
    return told is not None and any(text in happening.text for happening in told.happenings)


def counted_within(house: House, counter: str, least: int, seconds: float = 20.0) -> None:
    """Waits until the engine has counted so many."""

    def counted() -> bool:
        told = house.status()
        return told is not None and told.counters.get(counter, 0) >= least

    eventually(counted, within_s=seconds)


def loosened(house: House) -> None:
    """A breaker of the mission cannot be loosened while it runs either."""
    before = house.config.read_text()
    house.config.write_text(before + "\n[risk]\ndrawdown_share_max = 0.5\n")
    done = run(
        "reload", "--config", str(house.config), "--socket", str(house.state / "control.sock"), folder=house.folder
    )
    house.config.write_text(before)
    assert done.returncode != 0 and "risk.drawdown_share_max" in done.stderr, done.stderr
    told = house.status()
    assert told is not None
    (drawdown,) = (breaker for breaker in told.breakers if breaker.name == "drawdown")
    assert drawdown.limit == "3 %", drawdown


def quiet(house: House, engine: Process) -> None:
    """No key is in what it said."""
    assert not any(secret in engine.output.lower() for secret in secrets_of(house, house.folder))
