"""From settings and environment to a watchdog: its numbers, its key, its secret, its places. Nothing of the engine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from hlhft.config.folders import base_url, folders_of
from hlhft.config.load import ConfigError
from hlhft.config.settings import Config, whole
from hlhft.hyperliquid import account as answers
from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid.account_requests import InfoKind
from hlhft.hyperliquid.backoff import MILLISECOND_NS
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.watchdog_events import LOOK_WEIGHT_MIN, WatchdogSettings
from hlhft.live.http import Http, HttpSettings
from hlhft.live.preflight import stranger
from hlhft.live.private_files import read_or_make_secret, read_signer
from hlhft.live.watchdog import WatchdogPlace

CREDENTIAL = "watchdog-key"
PUSHES = 3  # of the dead man's switch within the time that it is set ahead
_LOG = logging.getLogger(__name__)
_ASKING = HttpSettings(timeout_s=2.0, connect_s=1.0)  # orders may stand meanwhile


def settings_of(config: Config) -> WatchdogSettings:
    """The watchdog's numbers. Raises ConfigError when the settings do not say whose orders they are, and ValueError
    when they do not fit each other."""
    account = config.account
    address = account.vault_address or account.address
    if not address:
        raise ConfigError(
            ("account.address is not set, and the watchdog's key does not tell whose orders to watch; set it",)
        )
    share, weight = config.limits.share, config.limits.ip_weight_per_minute
    part = max(weight * share.watchdog_percent // 100, LOOK_WEIGHT_MIN)
    switch_ns = whole(config, "watchdog.schedule_cancel_ms")
    defaults = WatchdogSettings(account=address, owner=account.owner, mainnet=False)
    return WatchdogSettings(
        account=address.lower(),
        owner=account.owner,
        mainnet=account.network == "mainnet",
        vault_address=account.vault_address.lower() or None,
        dexes=("", *sorted({coin.partition(":")[0] for coin in config.engine.coins if ":" in coin})),
        silence_ns=whole(config, "watchdog.silence_ms_max"),
        start_ns=whole(config, "watchdog.start_grace_ms"),
        halt_grace_ns=whole(config, "watchdog.breaker_grace_ms"),
        waiting_grace_ns=whole(config, "watchdog.waiting_grace_ms"),
        # 0 is for placements that never expire; the engine never sends such.
        expires_after_ms=whole(config, "batch.expires_after_ms") // MILLISECOND_NS or defaults.expires_after_ms,
        weight_per_minute=part,
        weight_per_minute_max=max(weight * (share.watchdog_percent + share.engine_percent) // 100, part),
        flatten_coins=config.engine.coins if config.watchdog.flatten else (),
        switch=config.watchdog.schedule_cancel == "auto",
        switch_ns=switch_ns,
        push_ns=switch_ns // PUSHES,
    )


def signer_of(config: Config, environment: Mapping[str, str]) -> Signer:
    """The watchdog's own API wallet: the file that the settings name, else systemd's credential.

    Raises ConfigError where neither is, and PrivateFileError.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    if config.watchdog.key_file:
        path = Path(config.watchdog.key_file)
    elif folder:
        path = Path(folder, CREDENTIAL)
    else:
        raise ConfigError(("watchdog.key_file is not set; set it to the file of an API wallet's key for the watchdog",))
    return read_signer(path)


async def key_refusal(config: Config, signer: Signer) -> str:
    """Why the venue would refuse this key's cancels, in one sentence; empty when it would take them.

    Also empty when the venue does not say so within two seconds: that it is down is no reason not to watch.
    """
    master, address = config.account.address.lower(), signer.address.lower()
    if address == master or not master:
        return ""
    http = Http(base_url(config), _ASKING)
    try:
        answer = await http.ask("/info", requests.of_user(InfoKind.ROLE, address).body)
    finally:
        await http.close()
    role = Fault.UNREADABLE if answer.body is None else answers.role(answer.body)
    if isinstance(role, Fault):
        _LOG.warning(
            "the venue does not say whether it takes this watchdog's cancels: %s", answer.fault or MEANING[role]
        )
        return ""
    return stranger(address, master, role)


def place_of(config: Config, environment: Mapping[str, str], *, hears: bool) -> WatchdogPlace:
    """Where venue and engine are; a secret is made where there is none. With `hears` false no engine is heard, and no
    file is touched. Raises ConfigError and PrivateFileError."""
    if not hears:
        return WatchdogPlace(url=base_url(config), heartbeat=None)
    folders = folders_of(config, environment)
    return WatchdogPlace(
        url=base_url(config), heartbeat=folders.heartbeat, secret=read_or_make_secret(folders.secret_file)
    )
