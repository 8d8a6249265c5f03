"""`hlhft run` without its command line: the loop, the exchange of a paper run, and what a reload changes."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import uvloop

from hlhft.config.folders import folders_of
from hlhft.config.load import ConfigError, Loaded, load
from hlhft.config.reload import reload_of
from hlhft.config.settings import Config, limit_values
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.supervisor_events import Exit
from hlhft.live import child
from hlhft.live.control import Reloaded
from hlhft.live.engine import Engine
from hlhft.live.http import Http
from hlhft.live.preflight import VenueError
from hlhft.live.process import Orders, paper_key, run
from hlhft.live.status import StatusMaker
from hlhft.strategies import StrategyError, pair_legs
from hlhft.strategies import load as load_strategy

PAPER_FOLDER = "paper"  # in the state folder: paper has a store, a journal and a key of its own
PAPER_USDC = 100_000
EXCHANGE_START_S = 120.0  # the first start compiles
EXCHANGE_STOP_S = 10.0


def run_engine(
    loaded: Loaded,
    environment: Mapping[str, str],
    file: Path | None,
    *,
    is_paper: bool = False,
    on_ready: Callable[[Engine], None] | None = None,
    set_levels: Callable[[Config], None] = lambda config: None,
) -> Exit:
    """Runs an engine with these settings, which came from `file`, until it ends. Raises what keeps it from starting.

    `on_ready` is called once it runs, before it is connected; `set_levels` gives the logs the levels of settings that
    were read again.
    """
    if not is_paper:
        reload = _Reloading(loaded.config, file, environment, set_levels)
        return _run(Orders(loaded=loaded, environment=environment, reload=reload, on_ready=on_ready))
    config = loaded.config
    folder = folders_of(config, environment).state / PAPER_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = paper_key(folder / "agent.key")
    with tempfile.TemporaryDirectory(prefix="hlhft-paper-") as temporary:
        exchange, url = _start_exchange(config, Path(temporary), folder)
        try:
            settings = on_paper(loaded, folder, url, folders_of(config, environment).control_socket)
            _deposit(url, signer)
            return _run(
                Orders(
                    loaded=settings, environment=environment, is_paper=True, signer=signer,
                    reload=_Reloading(settings.config, file, environment, set_levels), on_ready=on_ready,
                )
            )  # fmt: skip
        finally:
            exchange.stop(within_s=EXCHANGE_STOP_S)


def _run(orders: Orders) -> Exit:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(orders))


# Paper.


def on_paper(loaded: Loaded, folder: Path, url: str, control_socket: Path) -> Loaded:
    """The same settings for a paper account on the exchange at `url`, with a folder of its own; operators find it where
    they would find the other."""
    config = loaded.config
    account = msgspec.structs.replace(
        config.account, network="local", base_url=url, address="", vault_address="", key_file=""
    )
    engine = msgspec.structs.replace(
        config.engine, state_folder=str(folder), journal_folder=str(folder / "journal"),
        control_socket=str(control_socket), accept_host_loss_risk=True,
    )  # fmt: skip
    # A node tells the real venue's books, in which the orders of a paper account do not stand.
    data = msgspec.structs.replace(config.market_data, source="websocket")
    return Loaded(msgspec.structs.replace(config, account=account, engine=engine, market_data=data), loaded.origins)


def _start_exchange(config: Config, temporary: Path, folder: Path) -> tuple[child.Child, str]:
    """An exchange that follows the live market, and where it listens. Raises VenueError when it does not come up."""
    ready = temporary / "ready.json"
    arguments = [
        "exchange", "--flow", "live", "--coins", ",".join(config.engine.coins), "--port", "0",
        "--ready-file", str(ready),
    ]  # fmt: skip
    exchange = child.start(arguments, log=folder / "exchange.log", name="exchange")
    if not exchange.wait_for(ready, within_s=EXCHANGE_START_S):
        words = exchange.last_words
        exchange.stop(within_s=EXCHANGE_STOP_S)
        raise VenueError(f"the exchange for paper trading does not come up: {words or 'it says nothing'}")
    return exchange, str(json.loads(ready.read_text())["url"])


def _deposit(url: str, signer: Signer) -> None:
    """Paper money for the account. Raises VenueError."""

    async def work() -> None:
        http = Http(url)
        try:
            body = msgspec.json.encode({"address": signer.address.lower(), "usdc": PAPER_USDC})
            answer = await http.ask("/admin", body)
        finally:
            await http.close()
        if answer.body is None:
            raise VenueError(f"the exchange for paper trading gives no money: {answer.fault}")

    asyncio.run(work())


# Reload.


class _Reloading:
    """Reads the settings again, and puts into a running engine what may change while it runs."""

    def __init__(
        self,
        config: Config,
        file: Path | None,
        environment: Mapping[str, str],
        set_levels: Callable[[Config], None] = lambda config: None,
    ) -> None:
        self._config = config
        self._file = file
        self._environment = environment
        self._set_levels = set_levels

    def __call__(self, engine: Engine) -> Reloaded:
        try:
            fresh = load(self._file, self._environment).config
            changes = reload_of(self._config, _like(self._config, fresh))
            chosen = changes.config.strategy
            strategy = load_strategy(chosen.name)
            params = strategy.params_bytes(chosen.params)
            # The cap on what stands unhedged is a parameter that the core's gate holds.
            pair_legs(strategy, chosen.params, engine.parts.markets, engine.parts.brain.lane.positions)
        except (ConfigError, StrategyError, OSError) as error:
            return Reloaded(is_done=False, sentence=str(error))
        brain = engine.parts.brain
        for name, value in limit_values(changes.config).items():
            brain.limits[name] = value
        brain.lane.params[:] = params
        self._config = changes.config
        self._set_levels(changes.config)
        if isinstance(engine.status_maker, StatusMaker):
            engine.status_maker.config = changes.config
        engine.rotate()
        sentence = f"{len(changes.applied)} settings changed, {len(changes.refused)} need a restart"
        return Reloaded(is_done=True, sentence=sentence, applied=changes.applied, refused=changes.refused)


def _like(running: Config, fresh: Config) -> Config:
    """The fresh settings with account, folders and source of data of the running ones where it is a paper run, which
    made its own."""
    if running.account.network != "local" or fresh.account.network == "local":
        return fresh
    return msgspec.structs.replace(
        fresh, account=running.account, engine=running.engine, market_data=running.market_data
    )
