"""What is looked at before an engine starts: markets, whose key it is, money, clocks. Each refusal is one sentence.

Nothing is sent here but questions. What cannot be found out is refused like what is wrong: an engine that does not know
whose account it trades does not trade.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hlhft.config.live_sections import Account as AccountSettings
from hlhft.config.settings import Config, whole
from hlhft.hyperliquid import account as answers
from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid import markets as listing
from hlhft.hyperliquid.account import AccountReader, Agent, Role
from hlhft.hyperliquid.account_requests import InfoKind, InfoRequest
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.live.clock import Clock
from hlhft.live.covers import host_loss_refusal
from hlhft.live.http import Http
from hlhft.live.private_files import read_signer
from hlhft.units import Market

CREDENTIAL = "agent-key"
BLOCK_AGE_MS = 500  # the venue tells the time of its newest block, which is so old at most
TRIES = 3
USDC = "USDC"
_OWNERS = frozenset({"user", "vault", "subAccount"})
NS_PER_MS = 1_000_000
_T = TypeVar("_T")


class StartError(ValueError):
    """Settings, a key or an account with which an engine does not start; the message is one sentence."""


class VenueError(RuntimeError):
    """A venue that does not answer, or answers what is none; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the venue says of the account and the markets."""

    address: str  # whose account is traded
    markets: Sequence[Market]
    asset_ids: Mapping[str, int]  # of all that is listed
    base_tokens: Sequence[int]
    offset_ms: int  # of the venue's clock from ours, as far as its blocks tell


def key_path(account: AccountSettings, environment: Mapping[str, str]) -> Path:
    """The file of the engine's key: the one of the settings, else systemd's credential. Raises StartError."""
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    if account.key_file:
        return Path(account.key_file)
    if folder:
        return Path(folder, CREDENTIAL)
    raise StartError("account.key_file is not set; set it to the file of an API wallet's key")


def signer_of(account: AccountSettings, environment: Mapping[str, str]) -> Signer:
    """The engine's signer. Raises StartError, and PrivateFileError for a file that others may read or no key is in."""
    return read_signer(key_path(account, environment))


def settings_faults(config: Config) -> list[str]:
    """What of the settings an engine cannot start with, though a backtest could; one sentence each."""
    faults = []
    if not config.engine.coins:
        faults.append("engine.coins names no market; name those to trade")
    if config.batch.expires_after_ms == 0:
        faults.append(
            "batch.expires_after_ms is 0: an order without expiry could never be proven dead; set 2000 or more"
        )
    data = config.market_data
    if data.source == "node" and not data.node_folder:
        faults.append("market_data.source is node and market_data.node_folder is not set; name the node's data folder")
    return faults


class Preflight:
    """The questions of one start."""

    def __init__(self, config: Config, signer: Signer, http: Http, clock: Clock) -> None:
        self._config = config
        self._signer = signer
        self._http = http
        self._clock = clock
        account = config.account
        self._master = (account.address or signer.address).lower()
        self._address = (account.vault_address or self._master).lower()

    async def look(self) -> Found:
        """What the venue says. Raises StartError for what is refused, VenueError when it does not say it."""
        offset_ms = await self._offset_ms()
        allowed_ms = whole(self._config, "engine.clock_offset_ms_max") // NS_PER_MS
        if abs(offset_ms) > allowed_ms:
            ahead = "behind" if offset_ms > 0 else "ahead of"
            raise StartError(
                f"this machine's clock is {abs(offset_ms) / 1000:.1f} s {ahead} the venue's, at most "
                f"{allowed_ms / 1000:g} s are allowed; let a time service set it"
            )
        meta = await self._ask(requests.meta(), listing.read_meta)
        spot_meta = await self._ask(requests.spot_meta(), listing.read_spot_meta)
        dexs = await self._dexs()
        markets = listing.markets_of(meta, spot_meta, self._config.engine.coins, dexs)
        await self._relation()
        await self._money(markets)
        await self._host_loss()
        return Found(
            address=self._address,
            markets=markets,
            asset_ids=listing.asset_ids(meta, spot_meta, dexs),
            base_tokens=listing.base_tokens(spot_meta, markets),
            offset_ms=offset_ms,
        )

    # Parts.

    async def _offset_ms(self) -> int:
        """How far the venue's clock is from ours: positive when it is ahead. Half of the way there and back is taken
        off, and what a block may be old at most where that makes it less."""
        before_ns = self._clock.now_ns()
        status = await self._ask(requests.exchange_status(), answers.exchange_status)
        after_ns = self._clock.now_ns()
        offset_ms = status.time_ms - (before_ns + after_ns) // 2 // NS_PER_MS
        return offset_ms if offset_ms > 0 else min(0, offset_ms + BLOCK_AGE_MS)

    async def _dexs(self) -> tuple[listing.Dex, ...]:
        """The builders' exchanges that the coins are of."""
        wanted = sorted({coin.partition(":")[0] for coin in self._config.engine.coins if ":" in coin})
        if not wanted:
            return ()
        names = await self._ask(requests.dexs(), listing.read_dexs)
        found = []
        for name in wanted:
            if name not in names:
                raise StartError(
                    f"the venue has no builder's exchange {name}; name the coins of engine.coins as it does"
                )
            meta = await self._ask(requests.meta(name), listing.read_meta)
            found.append(listing.Dex(name, names.index(name), meta))
        return tuple(found)

    async def _relation(self) -> None:
        """Whether the key may trade for the account."""
        signer = self._signer.address.lower()
        account = await self._ask(requests.of_user(InfoKind.ROLE, self._address), answers.role)
        if account.kind not in _OWNERS:
            raise StartError(
                f"the venue knows no account {self._address} ({account.kind}); see account.address and account.network,"
                " and deposit there"
            )
        if signer in (self._master, self._address):
            return
        role = await self._ask(requests.of_user(InfoKind.ROLE, signer), answers.role)
        refusal = stranger(signer, self._master, role)
        if refusal:
            raise StartError(refusal)
        agents = await self._ask(requests.of_user(InfoKind.AGENTS, self._master), answers.agents)
        self._check_agent(agents, signer)

    def _check_agent(self, agents: Sequence[Agent], signer: str) -> None:
        now_ms = self._clock.now_ns() // NS_PER_MS
        for agent in agents:
            if agent.address.lower() == signer and agent.valid_until_ms <= now_ms:
                raise StartError(f"the API wallet {signer} of {self._master} has expired; approve a new one")

    async def _money(self, markets: Sequence[Market]) -> None:
        reader = AccountReader(markets, user=self._address)
        state = await self._ask(requests.of_user(InfoKind.STATE, self._address), reader.state)
        if state.account_value_micro > 0:
            return
        spot = await self._ask(requests.of_user(InfoKind.SPOT_STATE, self._address), reader.spot_state)
        for balance in spot.balances:
            total, _ = balance.total(6)
            if balance.coin == USDC and total > 0:
                return
        raise StartError(f"the account {self._address} has no money: deposit USDC before it can trade")

    async def _host_loss(self) -> None:
        """Whether something cancels the orders of a host that is lost, where real money trades."""
        if not host_loss_refusal(self._config):
            return
        limit = await self._ask(requests.of_user(InfoKind.RATE_LIMIT, self._address), answers.rate_limit)
        refusal = host_loss_refusal(self._config, volume_micro=limit.volume_micro)
        if refusal:
            raise StartError(refusal)

    async def _ask(self, request: InfoRequest, read: Callable[[bytes], _T | Fault]) -> _T:
        """The answer to a question, asked a few times. Raises VenueError."""
        fault = ""
        for _ in range(TRIES):
            answer = await self._http.ask("/info", request.body)
            if answer.body is None:
                fault = answer.fault
                continue
            told = read(answer.body)
            if not isinstance(told, Fault):
                return told
            fault = MEANING[told]
        raise VenueError(
            f"{self._http.base_url} does not answer {request.kind}: {fault}; see account.base_url and the network"
        )


def stranger(signer: str, master: str, role: Role) -> str:
    """Why a key may not sign for an account, in one sentence, by what the venue says of its address; empty when it may.
    Addresses in small letters."""
    if role.kind == "agent" and (role.of or "").lower() == master:
        return ""
    if role.kind == "missing":
        return f"the venue does not know the key's address {signer}; approve it as an API wallet of {master}"
    of = f" of {role.of}" if role.of else ""
    return f"the key's address {signer} is no API wallet of {master} but {role.kind}{of}; use the right key or account"
