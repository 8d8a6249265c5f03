"""Files of an engine: the settings first, systemd's folder before the user's, and no path that the system refuses."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hlhft.config.folders import alpha_places_of, base_url, folders_of
from hlhft.config.load import ConfigError
from hlhft.config.settings import Config


def config(**sections: dict[str, object]) -> Config:
    return msgspec.convert(sections, Config)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HOME": "/home/a"}, "/home/a/.local/state/hlhft"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, "/s/hlhft"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "relative"}, "/home/a/.local/state/hlhft"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/s", "STATE_DIRECTORY": "/var/lib/hlhft:/var/lib/b"}, "/var/lib/hlhft"),
    ],
)
def test_the_folder_of_state_is_systemd_s_before_the_user_s(environment: dict[str, str], folder: str) -> None:
    found = folders_of(Config(), environment)
    assert found.state == Path(folder)
    assert found.journal == Path(folder, "journal")
    assert found.control_socket == Path(folder, "control.sock")
    assert found.heartbeat == f"{folder}/heartbeat.sock"
    assert found.secret_file == Path(folder, "heartbeat.secret")


def test_what_the_settings_name_goes_before_everything() -> None:
    engine = {"state_folder": "/a", "journal_folder": "/b", "control_socket": "/c.sock"}
    watchdog = {"heartbeat": "10.0.0.2:7000", "secret_file": "/d"}
    found = folders_of(config(engine=engine, watchdog=watchdog), {"STATE_DIRECTORY": "/s"})
    assert (found.state, found.journal, found.control_socket) == (Path("/a"), Path("/b"), Path("/c.sock"))
    assert (found.heartbeat, found.secret_file) == ("10.0.0.2:7000", Path("/d"))


def test_a_relative_folder_is_under_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folders_of(config(engine={"state_folder": "x"}), {}).journal == tmp_path / "x" / "journal"


def test_a_path_too_long_for_a_socket_is_refused_by_the_setting_to_change() -> None:
    with pytest.raises(ConfigError, match=r"is longer than the 107 bytes of a socket's path; set engine\.control_sock"):
        folders_of(config(engine={"state_folder": "/" + "a" * 120}), {})
    with pytest.raises(ConfigError, match=r"set watchdog\.heartbeat to a shorter one"):
        folders_of(config(engine={"state_folder": "/" + "a" * 120, "control_socket": "/c"}), {})
    assert folders_of(config(watchdog={"heartbeat": f"{'h' * 120}:7000"}), {"HOME": "/a"}).heartbeat.endswith(":7000")


def test_without_a_home_the_setting_to_give_is_said() -> None:
    with pytest.raises(ConfigError, match=r"as HOME is not set; set engine\.state_folder"):
        folders_of(Config(), {})


def test_the_exchange_is_the_network_s_unless_named() -> None:
    assert base_url(Config()) == "https://api.hyperliquid-testnet.xyz"
    assert base_url(config(account={"network": "mainnet"})) == "https://api.hyperliquid.xyz"
    assert base_url(config(account={"network": "local", "base_url": "http://127.0.0.1:7/"})) == "http://127.0.0.1:7"


def test_engine_and_alpha_process_meet_in_the_state_folder_unless_told_where() -> None:
    found = alpha_places_of(config(alpha={"signals": "tcp://10.0.0.3:5557"}), {"STATE_DIRECTORY": "/s"})
    assert (found.features, found.snapshot) == ("ipc:///s/alpha/features.sock", "ipc:///s/alpha/snapshot.sock")
    assert found.signals == "tcp://10.0.0.3:5557"
