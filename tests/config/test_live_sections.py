"""What live trading reads has safe defaults, and holds no key."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.config.live_sections import BASE_URLS, Account, Alpha, Engine, Gateway, Journal, Watchdog
from hlhft.config.setting import MS
from hlhft.config.settings import LEGS, Config, fields, limit_values, whole
from hlhft.hyperliquid.fates_records import FateSettings


def test_nothing_is_traded_and_no_real_money_is_reached_unless_said() -> None:
    config = Config()
    assert (config.engine.coins, config.account.network, config.engine.accept_host_loss_risk) == ((), "testnet", False)
    assert (config.engine.leftovers, config.watchdog.flatten, config.watchdog.schedule_cancel) == (
        "cancel", False, "off",
    )  # fmt: skip
    assert set(BASE_URLS) == {"mainnet", "testnet", "local"}


def test_no_setting_is_a_key_itself() -> None:
    secrets = [field.path for field in fields() if "key" in field.path.split(".")[1] or "secret" in field.path]
    public = ["alpha.peer_key"]
    assert [path for path in secrets if path not in public] == [
        "account.key_file", "watchdog.key_file", "watchdog.secret_file", "alpha.key_file", "metrics.key_file",
    ]  # fmt: skip


def test_a_cancel_is_repeated_long_before_its_order_is_asked_for_and_stops_outlast_an_expiry() -> None:
    config = Config()
    assert config.gateway.cancel_repeat_ms * config.gateway.cancel_repeats_max < config.gateway.answer_ms
    expiry_ns = limit_values(config)["expires_after_ns"] + FateSettings().margin_ms * MS
    assert whole(config, "engine.stop_ms_max") > expiry_ns
    assert config.batch.legs_max == LEGS


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (Account, {"network": "mainet"}),
        (Account, {"owner": 0}),
        (Account, {"owner": 2**24}),
        (Account, {"address": "0x" + "g" * 40}),
        (Account, {"base_url": "ftp://host"}),
        (Engine, {"coins": ["A"] * 65}),
        (Engine, {"coins": [""]}),
        (Engine, {"cpu": -2}),
        (Engine, {"control_socket": "relative.sock"}),
        (Engine, {"leftovers": "keep"}),
        (Gateway, {"answer_ms": 99}),
        (Journal, {"segment_mib": 3}),
        (Watchdog, {"heartbeat": "host"}),
        (Watchdog, {"heartbeat": "relative/path.sock"}),
        (Watchdog, {"schedule_cancel": "on"}),
        (Alpha, {"features": "tcp://host"}),
        (Alpha, {"signals": "ipc://relative"}),
        (Alpha, {"models": ["8000000000000000"]}),
        (Alpha, {"models": ["1234"]}),
        (Alpha, {"time_to_live_ms": 0}),
        (Alpha, {"rows_kept": 1025}),
        (Alpha, {"peer_key": "k" * 41}),
    ],
)
def test_what_is_out_of_bounds_is_refused(section: type[msgspec.Struct], values: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, section)


@pytest.mark.parametrize("place", ["/run/hlhft/beat.sock", "10.1.0.2:7001", "watch.example.org:7001", "[fd00::1]:7001"])
def test_a_heartbeat_goes_to_a_socket_or_another_host(place: str) -> None:
    assert msgspec.convert({"heartbeat": place}, Watchdog).heartbeat == place


def test_no_signal_is_listened_to_unless_said() -> None:
    alpha = Config().alpha
    assert not alpha.enabled
    assert (alpha.key_file, alpha.peer_key, alpha.models) == ("", "", ())
    assert msgspec.convert({"models": ["0123456789abcdef"], "features": "tcp://[::1]:5555"}, Alpha).models
