"""From settings and environment to a watchdog, and every way in which that is not possible."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.config.load import ConfigError
from hlhft.config.settings import Config
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.watchdog_events import WatchdogSettings
from hlhft.live.private_files import PrivateFileError
from hlhft.live.watchdog_setup import CREDENTIAL, key_refusal, place_of, settings_of, signer_of
from tests.live.engines import Exchange
from tests.live.watched import Account
from tests.live.watched import signer_of as named

ADDRESS = "0x" + "Ab" * 20
VAULT = "0x" + "Cd" * 20
KEY = bytes(range(1, 33))


def config(**sections: dict[str, Any]) -> Config:
    sections = {**sections, "account": {"address": ADDRESS, **sections.get("account", {})}}
    return msgspec.convert(sections, Config)


def key_file(folder: Path, name: str = "key") -> Path:
    path = folder / name
    path.write_text(KEY.hex())
    path.chmod(0o600)
    return path


def test_the_defaults_make_a_watchdog() -> None:
    made = settings_of(config())
    assert isinstance(made, WatchdogSettings)
    assert (made.account, made.owner, made.mainnet, made.vault_address) == (ADDRESS.lower(), 1, False, None)
    assert made.expires_after_ms == 3000
    assert (made.weight_per_minute, made.weight_per_minute_max) == (120, 1080)
    assert (made.switch, made.flatten_coins, made.dexes) == (False, (), ("",))


def test_settings_become_whole_numbers() -> None:
    made = settings_of(
        config(
            account={"network": "mainnet", "vault_address": VAULT, "owner": 9},
            engine={"coins": ["ETH", "xyz:GOLD", "abc:X", "xyz:OIL"]},
            batch={"expires_after_ms": 2000.0},
            watchdog={
                "silence_ms_max": 1200.0,
                "start_grace_ms": 4000.0,
                "breaker_grace_ms": 700.0,
                "flatten": True,
                "schedule_cancel": "auto",
                "schedule_cancel_ms": 60_000.0,
            },
        )
    )
    assert (made.account, made.vault_address, made.owner, made.mainnet) == (VAULT.lower(), VAULT.lower(), 9, True)
    assert (made.silence_ns, made.start_ns, made.halt_grace_ns) == (1_200_000_000, 4_000_000_000, 700_000_000)
    assert made.expires_after_ms == 2000
    assert (made.switch, made.switch_ns, made.push_ns) == (True, 60_000_000_000, 20_000_000_000)
    assert made.flatten_coins == ("ETH", "xyz:GOLD", "abc:X", "xyz:OIL")
    assert made.dexes == ("", "abc", "xyz")


def test_a_small_part_of_the_rate_limit_still_reads_the_account() -> None:
    made = settings_of(config(limits={"ip_weight_per_minute": 10}))
    assert made.weight_per_minute == made.weight_per_minute_max == 60


def test_placements_without_expiry_have_the_engines_own() -> None:
    assert settings_of(config(batch={"expires_after_ms": 0.0})).expires_after_ms == 3000


def test_without_an_address_nobody_is_watched() -> None:
    with pytest.raises(ConfigError, match=r"account.address is not set"):
        settings_of(Config())


def test_the_key_comes_from_the_settings_else_from_systemd(tmp_path: Path) -> None:
    address = Signer(KEY).address
    named = config(watchdog={"key_file": str(key_file(tmp_path))})
    assert signer_of(named, {}).address == address
    key_file(tmp_path, CREDENTIAL)
    assert signer_of(config(), {"CREDENTIALS_DIRECTORY": str(tmp_path)}).address == address
    with pytest.raises(ConfigError, match=r"watchdog.key_file is not set"):
        signer_of(config(), {})
    with pytest.raises(PrivateFileError):
        signer_of(config(), {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")})


def refusal(url: str, account: Account, signer: Signer) -> str:
    return asyncio.run(
        key_refusal(config(account={"network": "local", "base_url": url, "address": account.address}), signer)
    )


def test_a_key_whose_cancels_the_venue_would_refuse(exchange: Exchange) -> None:
    account, other = Account(exchange.url, 1), Account(exchange.url, 2)
    account.approve(account.agent)
    other.approve(other.agent)
    assert refusal(exchange.url, account, account.agent) == ""
    assert refusal(exchange.url, account, account.signer) == ""
    assert "does not know the key's address" in refusal(exchange.url, account, named(99))
    assert f"but agent of {other.address.lower()}" in refusal(exchange.url, account, other.agent)


def test_a_venue_that_is_down_is_no_reason_not_to_watch(exchange: Exchange, caplog: pytest.LogCaptureFixture) -> None:
    account = Account(exchange.url, 3)
    assert refusal("http://127.0.0.1:1", account, named(99)) == ""
    assert "does not say whether it takes this watchdog's cancels: /info" in caplog.text


def test_a_place_has_a_secret_that_is_made_once(tmp_path: Path) -> None:
    settings = config(account={"network": "local"}, engine={"state_folder": str(tmp_path)})
    place = place_of(settings, {}, hears=True)
    assert place.url == "http://127.0.0.1:3001"
    assert place.heartbeat == str(tmp_path / "heartbeat.sock")
    assert place_of(settings, {}, hears=True).secret == place.secret
    assert (tmp_path / "heartbeat.secret").read_bytes().strip() == place.secret


def test_a_sweep_touches_no_file(tmp_path: Path) -> None:
    settings = config(account={"network": "local"}, engine={"state_folder": str(tmp_path)})
    assert place_of(settings, {}, hears=False).heartbeat is None
    assert not list(tmp_path.iterdir())
