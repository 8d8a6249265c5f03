"""Where a running engine keeps its files: what the settings say, else what systemd gives, else the user's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hlhft.config.live_sections import BASE_URLS
from hlhft.config.load import ConfigError
from hlhft.config.settings import Config

SOCKET_BYTES_MAX = 107  # of the path of a unix socket (unix(7))


@dataclass(frozen=True, slots=True)
class Folders:
    """Absolute paths; nothing of them need exist."""

    state: Path
    journal: Path
    control_socket: Path
    heartbeat: str  # a unix socket's path, or host:port
    secret_file: Path


def folders_of(config: Config, environment: Mapping[str, str]) -> Folders:
    """The files of an engine with these settings; `environment` is asked for what the settings leave open.

    Raises ConfigError where no folder can be named, or a socket's path is longer than the system takes.
    """
    engine, watchdog = config.engine, config.watchdog
    state = Path(engine.state_folder).absolute() if engine.state_folder else _default_state(environment)
    socket = Path(engine.control_socket) if engine.control_socket else state / "control.sock"
    heartbeat = watchdog.heartbeat or str(state / "heartbeat.sock")
    for path, key in ((str(socket), "engine.control_socket"), (heartbeat, "watchdog.heartbeat")):
        if path.startswith("/") and len(path.encode()) > SOCKET_BYTES_MAX:
            raise ConfigError(
                (f"{path} is longer than the {SOCKET_BYTES_MAX} bytes of a socket's path; set {key} to a shorter one",)
            )
    return Folders(
        state=state,
        journal=Path(engine.journal_folder).absolute() if engine.journal_folder else state / "journal",
        control_socket=socket,
        heartbeat=heartbeat,
        secret_file=Path(watchdog.secret_file).absolute() if watchdog.secret_file else state / "heartbeat.secret",
    )


@dataclass(frozen=True, slots=True)
class AlphaPlaces:
    """Where engine and alpha process talk; each is ipc:///path or tcp://host:port."""

    features: str  # the engine tells rows
    snapshot: str  # the engine is asked for the newest rows
    signals: str  # the alpha process tells signals


def alpha_places_of(config: Config, environment: Mapping[str, str]) -> AlphaPlaces:
    """What the settings say, and for what they leave open, sockets in a folder of the state folder. Raises ConfigError
    as `folders_of` does."""
    alpha = config.alpha
    folder = folders_of(config, environment).state / "alpha"
    return AlphaPlaces(
        features=alpha.features or f"ipc://{folder}/features.sock",
        snapshot=alpha.snapshot or f"ipc://{folder}/snapshot.sock",
        signals=alpha.signals or f"ipc://{folder}/signals.sock",
    )


def metrics_folder_of(config: Config, environment: Mapping[str, str]) -> Path:
    """Where every process of this host writes its numbers. Raises ConfigError as `folders_of` does."""
    folder = config.metrics.folder
    return Path(folder) if folder else folders_of(config, environment).state / "metrics"


def _default_state(environment: Mapping[str, str]) -> Path:
    """systemd's StateDirectory, the first of several, else the user's folder of state. Raises ConfigError."""
    given = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given).absolute()
    # A relative XDG_STATE_HOME is to be ignored (XDG Base Directory Specification).
    if environment.get("XDG_STATE_HOME", "").startswith("/"):
        return Path(environment["XDG_STATE_HOME"], "hlhft")
    if environment.get("HOME"):
        return Path(environment["HOME"], ".local", "state", "hlhft").absolute()
    raise ConfigError(("there is no folder for what survives a restart, as HOME is not set; set engine.state_folder",))


def base_url(config: Config) -> str:
    """Where the exchange of the settings is, without a slash at the end."""
    return (config.account.base_url or BASE_URLS[config.account.network]).rstrip("/")
