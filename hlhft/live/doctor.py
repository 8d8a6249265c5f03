"""What keeps an engine from running well here, found before it runs: each thing looked at is ok, a warning, a failure,
or could not be looked at, with what to do about it.

`look_here` needs no network. `look_there` asks the venue, and says of each thing that it did not see why.
"""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from hlhft.config.folders import Folders, base_url
from hlhft.config.settings import Config
from hlhft.hyperliquid import account, account_requests, markets
from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.account_requests import InfoKind, InfoRequest
from hlhft.hyperliquid.markets import Dex
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.signing import Signer, recover_address
from hlhft.live import node_look
from hlhft.live.asking import Answer, Venue
from hlhft.live.covers import covers_of, host_loss_refusal
from hlhft.live.private_files import PrivateFileError, read_signer
from hlhft.units import MICRO

GIB = 1 << 30
DISK_GIB_MIN = 1.0
KEY_DAYS_MIN = 7
MS_PER_DAY = 86_400_000
_BACKENDS = ("coincurve", "Crypto.Hash.keccak", "picows", "uvloop", "msgspec")

Found = TypeVar("Found")


class Level(StrEnum):
    """How something is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNSEEN = "unseen"  # could not be looked at


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    advice: str = ""  # what to do; empty when nothing is to be done


@dataclass(frozen=True, slots=True)
class Keys:
    """The signers of the settings' key files; None where there is none to use."""

    engine: Signer | None = None
    watchdog: Signer | None = None


def look_here(
    config: Config, folders: Folders, *, system: Path = Path("/sys"), now_ns: int | None = None
) -> tuple[list[Check], Keys]:
    """What this machine says: libraries, keys, folders, disk, processor, and the files of a node where books come from
    one. `system` is where Linux tells of them; `now_ns` is the time, None that of this machine."""
    engine_check, engine = _key("engine's key", config.account.key_file, "account.key_file")
    watchdog_check, watchdog = _key("watchdog's key", config.watchdog.key_file, "watchdog.key_file")
    if engine is not None and watchdog is not None and engine.address == watchdog.address:
        watchdog_check = Check(
            "watchdog's key", Level.FAIL, "it is the engine's key", "approve a second API wallet and give it that one"
        )
    checks = [
        _backends(),
        _coins(config),
        engine_check,
        watchdog_check,
        _folder("state folder", folders.state, "engine.state_folder"),
        _folder("journal folder", folders.journal, "engine.journal_folder"),
        _disk(config, folders.journal),
        _processor(config, system),
    ]
    if config.market_data.source == "node":
        checks.append(_node(config, time.time_ns() if now_ns is None else now_ns))
    return checks, Keys(engine, watchdog)


def look_there(config: Config, keys: Keys, ask: Callable[[bytes], Answer] | None = None) -> list[Check]:
    """What the venue says. `ask` posts a body to /info, by default at the settings' venue."""
    url = base_url(config)
    look = _Look(config, keys, Venue(url).info if ask is None else ask)
    reach, offset = look.reach(url)
    if reach.level is Level.FAIL:
        names = ("clock", "markets", "account", "engine's key at the venue", "watchdog's key at the venue",
                 "abstraction mode", "fees", "address budget")  # fmt: skip
        unseen = [Check(name, Level.UNSEEN, "the venue was not reached") for name in names]
        return [reach, *unseen, *coverage(config, None)]
    volume, budget = look.budget()
    checks = [reach, offset, look.markets(), look.account()]
    checks += [look.agent("engine", keys.engine), look.agent("watchdog", keys.watchdog)]
    if config.market_data.source == "node":
        checks.append(_node_answers(config, Venue(config.market_data.node_url).info if ask is None else ask))
    return [*checks, look.mode(), look.fees(), budget, *coverage(config, volume)]


def _node_answers(config: Config, ask: Callable[[bytes], Answer]) -> Check:
    """Whether the node itself answers: books begin with a snapshot that it is asked for."""
    url, name = config.market_data.node_url, "node's answers"
    answer = ask(account_requests.exchange_status().body)
    status = None if answer.body is None else account.exchange_status(answer.body)
    if status is None or isinstance(status, Fault):
        fault = answer.fault if status is None else MEANING[status]
        advice = "start the node with --serve-info, or mend market_data.node_url"
        return Check(name, Level.FAIL, f"{url}: {fault}", advice)
    age_ms = answer.answered_ns / 1e6 - status.time_ms
    return Check(name, Level.OK, f"{url} is at a block of {age_ms:.0f} ms ago")


def unseen_there(config: Config) -> list[Check]:
    """What stands in place of `look_there` when nobody wants to ask."""
    return [Check("venue", Level.UNSEEN, f"{base_url(config)} was not asked"), *coverage(config, None)]


def coverage(config: Config, volume_micro: int | None) -> list[Check]:
    """Which losses are covered, as checks."""
    refusal = host_loss_refusal(config, volume_micro=volume_micro)
    checks = []
    for cover in covers_of(config, volume_micro=volume_micro):
        if cover.is_covered:
            checks.append(Check(cover.loss, Level.OK, f"covered by {cover.by}"))
        elif refusal and "host" in cover.loss:
            checks.append(Check(cover.loss, Level.FAIL, "not covered, and the engine will not start", refusal))
        else:
            checks.append(Check(cover.loss, Level.WARN, "not covered", f"needs {cover.by}"))
    return checks


# Here.


def _backends() -> Check:
    """The libraries in C without which nothing is signed or sent, tried and not only found."""
    missing = []
    for name in _BACKENDS:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        return Check("C libraries", Level.FAIL, f"missing: {', '.join(missing)}", "install hlhft with its dependencies")
    signer, digest = Signer(b"\x01" * 32), b"\x02" * 32
    signature = signer.sign(digest)
    if recover_address(digest, r=signature.r, s=signature.s, v=signature.v) != signer.address:
        return Check("C libraries", Level.FAIL, "a signature does not lead back to its key", "install coincurve anew")
    return Check("C libraries", Level.OK, f"{', '.join(_BACKENDS)}; a signature leads back to its key")


def _coins(config: Config) -> Check:
    if not config.engine.coins:
        return Check("coins", Level.FAIL, "none are named, so nothing is traded", "name them in engine.coins")
    return Check("coins", Level.OK, ", ".join(config.engine.coins))


def _key(name: str, file: str, setting: str) -> tuple[Check, Signer | None]:
    if not file:
        return Check(name, Level.WARN, "no file is named; systemd has to hand one over", f"name it in {setting}"), None
    try:
        signer = read_signer(Path(file))
    except PrivateFileError as error:
        return Check(name, Level.FAIL, str(error), f"mend the file that {setting} names"), None
    return Check(name, Level.OK, f"signs as {signer.address}"), signer


def _folder(name: str, folder: Path, setting: str) -> Check:
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        return Check(name, Level.FAIL, f"{standing} cannot be written", f"name another folder in {setting}")
    if standing == folder and folder.stat().st_mode & 0o077:
        return Check(name, Level.WARN, f"{folder} can be read by others", f"chmod 700 {folder}")
    return Check(name, Level.OK, f"{folder}{'' if standing == folder else ', made at the start'}")


def _disk(config: Config, folder: Path) -> Check:
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(standing).free / GIB
    wanted = config.journal.total_gib_max
    if free < DISK_GIB_MIN:
        return Check(
            "disk", Level.FAIL, f"{free:.2f} GiB are free at {standing}", "make room: a full disk halts trading"
        )
    if free < wanted:
        return Check(
            "disk", Level.WARN, f"{free:.1f} GiB are free at {standing}, the journal may take {wanted:g}",
            "make room, or lower journal.total_gib_max",
        )  # fmt: skip
    return Check("disk", Level.OK, f"{free:.1f} GiB are free at {standing}")


def _processor(config: Config, system: Path) -> Check:
    cpu = config.engine.cpu
    if cpu < 0:
        return Check(
            "processor", Level.WARN, "the engine runs wherever the system likes", "name one for it in engine.cpu"
        )
    online, isolated = (numbers_of(system / "devices" / "system" / "cpu" / name) for name in ("online", "isolated"))
    if online is not None and cpu not in online:
        return Check("processor", Level.FAIL, f"there is no processor {cpu}", "name one that is there in engine.cpu")
    if isolated is None or online is None:
        return Check("processor", Level.UNSEEN, f"{system} does not tell which processors are isolated")
    if cpu not in isolated:
        advice = f"add isolcpus={cpu} nohz_full={cpu} to the kernel's command line"
        return Check("processor", Level.WARN, f"others run on processor {cpu}, too", advice)
    return Check("processor", Level.OK, f"processor {cpu} is the engine's alone")


def numbers_of(path: Path) -> frozenset[int] | None:
    """The processors in a list of Linux, as in 0-3,8; None where it cannot be read."""
    try:
        text = path.read_text().strip()
        found: set[int] = set()
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        return None
    return frozenset(found)


def _node(config: Config, now_ns: int) -> Check:
    """How far the node's files are behind."""
    data = config.market_data
    folder = Path(data.node_folder)
    advice = "start the node with --write-raw-book-diffs, --write-order-statuses, --write-fills and --batch-by-block"
    found = []
    for stream in node_look.STREAMS:
        hourly = node_look.folder_of(folder, stream)
        if hourly is None:
            return Check("node", Level.FAIL, f"{folder} holds no {stream}", advice)
        try:
            newest = node_look.newest(hourly)
        except OSError as error:
            return Check("node", Level.FAIL, f"{hourly} cannot be read ({error.strerror})", "let this user read it")
        if newest is None:
            return Check("node", Level.FAIL, f"{hourly} holds no line that names its block", advice)
        found.append(newest)
    oldest = min(found, key=lambda one: one.block_ns)
    age_ms, lag_ms = (now_ns - oldest.block_ns) / 1e6, (oldest.local_ns - oldest.block_ns) / 1e6
    what = f"block {oldest.height} is {age_ms:.0f} ms old, and was written {lag_ms:.0f} ms after its time"
    if age_ms > data.node_lag_ms_max:
        return Check("node", Level.FAIL, what, "wait until it has caught up, or see why it does not run")
    return Check("node", Level.WARN if age_ms > data.node_lag_ms_max / 2 else Level.OK, what)


# There.


class _Look:
    """Asks the venue about one thing after the other."""

    def __init__(self, config: Config, keys: Keys, ask: Callable[[bytes], Answer]) -> None:
        self._config = config
        self._ask = ask
        owner = keys.engine.address if keys.engine is not None else ""
        self._address = (config.account.vault_address or config.account.address or owner).lower()

    def _read(self, request: InfoRequest, read: Callable[[bytes], Found | Fault]) -> tuple[Found | None, str, Answer]:
        """What the answer says; or None and why there is nothing."""
        answer = self._ask(request.body)
        if answer.body is None:
            return None, answer.fault, answer
        found = read(answer.body)
        if isinstance(found, Fault):
            return None, f"its answer to {request.kind} is none: {MEANING[found]}", answer
        return found, "", answer

    def reach(self, url: str) -> tuple[Check, Check]:
        """Whether it answers, and how far its clock is from ours."""
        status, fault, answer = self._read(account_requests.exchange_status(), account.exchange_status)
        if status is None:
            advice = "look at account.network, account.base_url and the network"
            return Check("venue", Level.FAIL, f"{url}: {fault}", advice), Check("clock", Level.UNSEEN, fault)
        took_ms = (answer.answered_ns - answer.asked_ns) / 1e6
        special = f"; it says: {status.special}" if status.special else ""
        reached = Check("venue", Level.WARN if special else Level.OK, f"{url} answers in {took_ms:.0f} ms{special}")
        offset_ms = (answer.asked_ns + answer.answered_ns) / 2e6 - status.time_ms
        limit_ms = self._config.engine.clock_offset_ms_max
        found = f"{offset_ms:+.0f} ms from the venue's, whose newest block may be some 100 ms old"
        if abs(offset_ms) > limit_ms:
            return reached, Check("clock", Level.FAIL, found, "set this machine's clock, with chrony for one")
        return reached, Check("clock", Level.WARN if abs(offset_ms) > limit_ms / 2 else Level.OK, found)

    def markets(self) -> Check:
        """Whether the coins are traded there."""
        name = "markets"
        if not self._config.engine.coins:
            return Check(name, Level.UNSEEN, "no coins are named")
        meta, fault, _ = self._read(account_requests.meta(), markets.read_meta)
        spot, spot_fault, _ = self._read(account_requests.spot_meta(), markets.read_spot_meta)
        if meta is None or spot is None:
            return Check(name, Level.UNSEEN, fault or spot_fault)
        dexs = self._dexs()
        if isinstance(dexs, Check):
            return dexs
        try:
            found = markets.markets_of(meta, spot, self._config.engine.coins, dexs)
        except markets.MarketError as error:
            return Check(name, Level.FAIL, str(error), "mend engine.coins")
        return Check(name, Level.OK, f"{len(found)} traded there: {', '.join(market.name for market in found)}")

    def _dexs(self) -> list[Dex] | Check:
        """The builders' exchanges that the coins are of, or why they are not known."""
        wanted = sorted({coin.partition(":")[0] for coin in self._config.engine.coins if ":" in coin})
        if not wanted:
            return []
        names, fault, _ = self._read(account_requests.dexs(), markets.read_dexs)
        if names is None:
            return Check("markets", Level.UNSEEN, fault)
        found = []
        for name in wanted:
            if name not in names:
                return Check("markets", Level.FAIL, f"there is no builder's exchange {name}", "mend engine.coins")
            meta, fault, _ = self._read(account_requests.meta(name), markets.read_meta)
            if meta is None:
                return Check("markets", Level.UNSEEN, fault)
            found.append(Dex(name, names.index(name), meta))
        return found

    def account(self) -> Check:
        """Whether the account is there and has money."""
        if not self._address:
            return Check("account", Level.UNSEEN, "no account is named and no key is there", "set account.address")
        request = account_requests.of_user(InfoKind.STATE, self._address)
        state, fault, _ = self._read(request, AccountReader((), user=self._address).state)
        if state is None:
            return Check("account", Level.UNSEEN, fault)
        value = state.account_value_micro / MICRO
        if value <= 0:
            return self._spot_money()
        held = f"{len(state.positions)} positions"
        return Check("account", Level.OK, f"{self._address} is worth {value:,.2f} USDC in perpetuals, {held}")

    def _spot_money(self) -> Check:
        """Whether an account without money in perpetuals has USDC beside."""
        request = account_requests.of_user(InfoKind.SPOT_STATE, self._address)
        spot, fault, _ = self._read(request, AccountReader((), user=self._address).spot_state)
        if spot is None:
            return Check("account", Level.UNSEEN, fault)
        micro = sum(balance.total(6)[0] for balance in spot.balances if balance.coin == "USDC")
        if micro <= 0:
            advice = "deposit, or name the account in account.address"
            return Check("account", Level.FAIL, f"{self._address} has nothing at the venue", advice)
        found = f"{self._address} has {micro / MICRO:,.2f} USDC for spot and none for perpetuals"
        return Check("account", Level.WARN, found, "transfer what perpetuals need as margin")

    def agent(self, whose: str, signer: Signer | None) -> Check:
        """Whether a key may sign for the account, and for how long."""
        name = f"{whose}'s key at the venue"
        if signer is None:
            return Check(name, Level.UNSEEN, "there is no key to ask about")
        if signer.address == self._config.account.address.lower() or not self._config.account.address:
            found = f"{signer.address} is the account's own key"
            return Check(name, Level.WARN, found, "approve an API wallet and use its key: this one can withdraw")
        role, fault, answer = self._read(account_requests.of_user(InfoKind.ROLE, signer.address), account.role)
        if role is None:
            return Check(name, Level.UNSEEN, fault)
        if role.kind != "agent" or role.of != self._config.account.address.lower():
            found = (
                f"{signer.address} is no API wallet of {self._config.account.address}, the venue calls it {role.kind}"
            )
            return Check(name, Level.FAIL, found, "approve it for the account, or mend account.address")
        return self._valid_until(name, signer, answer.answered_ns // 1_000_000)

    def _valid_until(self, name: str, signer: Signer, now_ms: int) -> Check:
        request = account_requests.of_user(InfoKind.AGENTS, self._config.account.address)
        agents, _, _ = self._read(request, account.agents)
        until = next((one.valid_until_ms for one in agents or () if one.address == signer.address), None)
        if until is None:
            return Check(name, Level.OK, f"{signer.address} signs for the account, how long is not told")
        days = (until - now_ms) / MS_PER_DAY
        found = f"{signer.address} signs for the account for {days:.1f} more days"
        if days < KEY_DAYS_MIN:
            return Check(name, Level.WARN, found, "approve a new API wallet before, under another address")
        return Check(name, Level.OK, found)

    def mode(self) -> Check:
        """How the account's balances hang together."""
        if not self._address:
            return Check("abstraction mode", Level.UNSEEN, "no account is named")
        request = account_requests.of_user(InfoKind.ABSTRACTION, self._address)
        mode, fault, _ = self._read(request, account.abstraction)
        if mode is None:
            return Check("abstraction mode", Level.UNSEEN, fault)
        if mode in (account.Abstraction.DEFAULT, account.Abstraction.DISABLED):
            return Check("abstraction mode", Level.OK, mode.value)
        found = f"{mode.value or 'a mode that is not known'}: the engine halts before its first quote"
        advice = "switch the account's abstraction off: balances that hang together are not supported"
        return Check("abstraction mode", Level.FAIL, found, advice)

    def fees(self) -> Check:
        """What a fill costs."""
        if not self._address:
            return Check("fees", Level.UNSEEN, "no account is named")
        request = account_requests.of_user(InfoKind.FEES, self._address)
        fees, fault, _ = self._read(request, account.fees)
        if fees is None:
            return Check("fees", Level.UNSEEN, fault)
        maker, taker = fees.maker_rate_e9 / 1e5, fees.taker_rate_e9 / 1e5
        makes = f"{'costs' if maker > 0 else 'earns'} {abs(maker):g} bp"
        return Check("fees", Level.OK, f"a maker's fill {makes}, a taker's costs {taker:g} bp")

    def budget(self) -> tuple[int | None, Check]:
        """What the account traded, None unknown; and what it may still send."""
        name = "address budget"
        if not self._address:
            return None, Check(name, Level.UNSEEN, "no account is named")
        request = account_requests.of_user(InfoKind.RATE_LIMIT, self._address)
        limit, fault, _ = self._read(request, account.rate_limit)
        if limit is None:
            return None, Check(name, Level.UNSEEN, fault)
        left, reserve = limit.allowed - limit.used, self._config.limits.address_reserve
        found = f"{left:,} of {limit.allowed:,} actions are left, {limit.volume_micro / MICRO:,.0f} USDC were traded"
        if left <= reserve:
            advice = "trade by hand, or buy actions (reserveRequestWeight): the engine keeps these for cancels"
            return limit.volume_micro, Check(name, Level.FAIL, found, advice)
        return limit.volume_micro, Check(name, Level.OK, found)


def worst(checks: Sequence[Check]) -> Level:
    """The gravest of what was found; what could not be looked at is a warning."""
    levels = {check.level for check in checks}
    if Level.FAIL in levels:
        return Level.FAIL
    return Level.WARN if levels & {Level.WARN, Level.UNSEEN} else Level.OK
