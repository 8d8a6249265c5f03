"""The sections that only live trading reads: whose account, what runs, and who watches it.

No key is ever a setting: `key_file` and `secret_file` name files that only their owner may read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from hlhft.config import ports
from hlhft.config.setting import MS, TIME_MS_MAX
from hlhft.config.setting import setting as _setting

OWNER_MAX = 2**24 - 1  # hlhft.hyperliquid.cloids.OWNER_MAX: what fits an order's client id
COINS_MAX = 64
LOCAL_URL = f"http://127.0.0.1:{ports.EXCHANGE}"  # where `hlhft exchange` listens unless told otherwise
# Venue reference section 1.
BASE_URLS = {
    "mainnet": "https://api.hyperliquid.xyz",
    "testnet": "https://api.hyperliquid-testnet.xyz",
    "local": LOCAL_URL,
}

Network = Literal["mainnet", "testnet", "local"]

_ADDRESS = {"pattern": r"^(0x[0-9a-fA-F]{40})?$", "words": "a text, an address of 0x and 40 hex digits or nothing"}
_URL = {"pattern": r"^(https?://[^\s/]+/?)?$", "words": "a text, as in https://host or http://host:port, or nothing"}
_FOLDER = {"pattern": r"^(/[^\0]{0,4095})?$", "words": "a text, an absolute path, or nothing"}
_FILE = {"pattern": r"^(/[^\0]{1,4095})?$", "words": "a text, an absolute path, or nothing"}
# 0.0.0.0 and :: would be everywhere.
_ADDRESS_TO_LISTEN = {
    "pattern": r"^(?!0\.0\.0\.0$)([0-9]{1,3}\.){3}[0-9]{1,3}$|^(?=.*[1-9a-fA-F])[0-9a-fA-F:]{3,39}$",
    "words": "a text, one IP address, never 0.0.0.0 or ::",
}
_HEARTBEAT = {
    "pattern": r"^(/[^\0]{1,106}|[^\s/:]+:[0-9]{1,5}|\[[0-9a-fA-F:.]+\]:[0-9]{1,5})?$",
    "words": "a text, an absolute path, host:port, or nothing",
}
_ENDPOINT = {
    "pattern": r"^(ipc:///[^\0]{1,106}|tcp://[^\s/]+:[0-9]{1,5})?$",
    "words": "a text, ipc:///path or tcp://host:port, or nothing",
}
_MODEL_ID = r"^[0-7][0-9a-f]{15}$"
MODELS_MAX = 16
# The kernel takes 107 bytes for the path of a unix socket (unix(7)).
_SOCKET = {"pattern": r"^(/[^\0]{1,106})?$", "words": "a text, an absolute path of at most 107 letters, or nothing"}


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose orders they are. The key is an API wallet's: the account's own key does not belong on this machine."""

    network: Annotated[Network, _setting("which exchange; local is one that `hlhft exchange` serves")] = "testnet"
    base_url: Annotated[str, _setting("where it is; nothing: where the network's is", **_URL)] = ""
    address: Annotated[
        str, _setting("the account that trades; nothing: the one that the key itself belongs to", **_ADDRESS)
    ] = ""
    vault_address: Annotated[
        str, _setting("a vault or sub-account to trade for in place of the account; nothing: none", **_ADDRESS)
    ] = ""
    key_file: Annotated[
        str,
        _setting(
            "file of the API wallet's private key, readable by its owner only; nothing: the systemd credential "
            "agent-key"
        ),
    ] = ""
    owner: Annotated[
        int,
        _setting(
            "number in every order's client id by which this engine's orders are told from others of the account",
            ge=1,
            le=OWNER_MAX,
        ),
    ] = 1


class Engine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What trades, where it keeps what it must remember, and how it starts and stops."""

    coins: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=40)], ...],
        _setting("markets to trade by the venue's names; none are traded unless named", max_length=COINS_MAX),
    ] = ()
    state_folder: Annotated[
        str,
        _setting(
            "folder of what survives a restart; nothing: systemd's StateDirectory, else $XDG_STATE_HOME/hlhft, else "
            "~/.local/state/hlhft"
        ),
    ] = ""
    journal_folder: Annotated[str, _setting("folder of the journal; nothing: journal in the state folder")] = ""
    control_socket: Annotated[
        str, _setting("socket of the operator's commands; nothing: control.sock in the state folder", **_SOCKET)
    ] = ""
    cpu: Annotated[int, _setting("processor to stay on; -1 wherever the system likes", ge=-1, le=4095)] = -1
    busy_poll: Annotated[
        bool,
        _setting(
            "keep a whole processor turning instead of sleeping between two frames, which reacts a third faster; name "
            "one in engine.cpu that nothing else uses"
        ),
    ] = False
    leftovers: Annotated[
        Literal["cancel", "adopt"], _setting("what becomes of orders of an earlier session that still rest")
    ] = "cancel"
    reconcile_ms: Annotated[
        float,
        _setting("time between two comparisons with the venue's account", ge=1000, le=TIME_MS_MAX, scale=MS),
    ] = 30_000
    clock_offset_ms_max: Annotated[
        float,
        _setting("largest difference from the venue's clock to start with", gt=0, le=10_000, scale=MS),
    ] = 1000
    stop_ms_max: Annotated[
        float,
        _setting("longest time that a stop takes to prove that no order is left", ge=1000, le=300_000, scale=MS),
    ] = 15_000
    accept_host_loss_risk: Annotated[
        bool,
        _setting(
            "trade on mainnet although orders would stay where this host is lost, with neither a watchdog on another "
            "host nor scheduleCancel"
        ),
    ] = False


class MarketData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where books and trades come from. Our own orders and fills, and the marks, are always told by the venue."""

    source: Annotated[
        Literal["websocket", "node"], _setting("the venue's streams, or the files that a node of one's own writes")
    ] = "websocket"
    node_folder: Annotated[
        str,
        _setting("the node's data folder, an absolute path as in /home/node/hl/data", **_FOLDER),
    ] = ""
    node_url: Annotated[
        str,
        _setting("where the node answers: started with --serve-info, it writes the snapshots that books begin with",
                 **_URL),
    ] = LOCAL_URL  # fmt: skip
    # Blocks come every 75 ms, at most 215 ms apart in a recorded thousand; an exporter's alarm is at 1 s of lag (venue
    # reference sections 11 and 12).
    node_age_ms_max: Annotated[
        float,
        _setting("longest silence of the node; then its books are old and quotes are pulled", ge=100, le=60_000,
                 scale=MS),
    ] = 1000  # fmt: skip
    node_lag_ms_max: Annotated[
        float,
        _setting("furthest that a block is read behind its own time; beyond it books are old and quotes are pulled",
                 ge=100, le=60_000, scale=MS),
    ] = 2000  # fmt: skip


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How orders are sent, and what is done when no answer comes."""

    answer_ms: Annotated[
        float,
        _setting("longest wait for an answer before an order's fate is unknown and asked for", ge=100, le=60_000,
                 scale=MS),
    ] = 3000  # fmt: skip
    cancel_repeat_ms: Annotated[
        float,
        _setting("an unanswered cancel is repeated on the other connection after this long", ge=50, le=60_000,
                 scale=MS),
    ] = 250  # fmt: skip
    cancel_repeats_max: Annotated[
        int, _setting("repeats of a cancel before the order itself is asked for", ge=1, le=20)
    ] = 3


class Journal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written of everything that happens, and how long it is kept."""

    segment_mib: Annotated[int, _setting("size of one file, in MiB", ge=4, le=4096)] = 256
    sync_ms: Annotated[
        float, _setting("what is written reaches the disk itself within this time", ge=1, le=1000, scale=MS)
    ] = 20
    total_gib_max: Annotated[
        float, _setting("all files together, in GiB; beyond it, the oldest market data go first", gt=0, le=100_000)
    ] = 50
    keep_days: Annotated[
        int, _setting("days that orders, fills and everything but market data are kept", ge=1, le=36_500)
    ] = 365
    checkpoint_steps: Annotated[
        int, _setting("decisions between two checksums of the whole state", ge=100, le=10_000_000)
    ] = 10_000


class Watchdog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process that cancels for an engine that is gone; it has an API wallet of its own."""

    key_file: Annotated[
        str,
        _setting(
            "file of the watchdog's own private key, never the engine's; nothing: the systemd credential watchdog-key"
        ),
    ] = ""
    heartbeat: Annotated[
        str,
        _setting(
            "where the engine says that it lives: a unix socket, or host:port on another host; nothing: heartbeat.sock "
            "in the state folder",
            **_HEARTBEAT,
        ),
    ] = ""
    remote_heartbeat: Annotated[
        str,
        _setting(
            "host:port of a second watchdog, on another host, that the engine tells the same; nothing: there is none",
            **_HEARTBEAT,
        ),
    ] = ""
    secret_file: Annotated[
        str,
        _setting(
            "file of the secret that both hold, at least 32 bytes, readable by its owner only; nothing: "
            "heartbeat.secret in the state folder, made where there is none"
        ),
    ] = ""
    # At least three beats of 200 ms, as one that is lost or late is no death, and seven by default: what was sent until
    # then expires 3 s later, so that empty is proven within 5 s of a death.
    silence_ms_max: Annotated[
        float, _setting("longest silence of the engine; then its orders are cancelled", ge=600, le=60_000, scale=MS)
    ] = 1500
    start_grace_ms: Annotated[
        float,
        _setting(
            "a watchdog that starts waits this long for a first heartbeat before it cancels what rests",
            ge=1000,
            le=600_000,
            scale=MS,
        ),
    ] = 5000
    breaker_grace_ms: Annotated[
        float,
        _setting(
            "an engine whose breaker tripped has this long to cancel by itself", ge=200, le=60_000, scale=MS
        ),
    ] = 5000  # fmt: skip
    waiting_grace_ms: Annotated[
        float,
        _setting(
            "an engine that lives and does not agree with the venue, as it starts or is cut off, has this long; then "
            "what rests is cancelled for it, and positions stay", ge=1000, le=600_000, scale=MS,
        ),
    ] = 10_000  # fmt: skip
    flatten: Annotated[bool, _setting("whether positions are closed at market, too, for an engine that is gone")] = (
        False
    )
    schedule_cancel: Annotated[
        Literal["auto", "off"],
        _setting("whether the venue is told to cancel everything by itself, where it allows that"),
    ] = "off"
    schedule_cancel_ms: Annotated[
        float,
        _setting("how far ahead it is told to; pushed on at a third of it", ge=6000, le=600_000, scale=MS),
    ] = 30_000


class Recorder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `hlhft record` records into data.catalogue; its part of the limits is limits.share.recorder_percent."""

    coins: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=40)], ...],
        _setting("markets to record by the venue's names; --coins goes before them", max_length=COINS_MAX),
    ] = ()
    base_url: Annotated[str, _setting("which venue", **{**_URL, "pattern": r"^https?://[^\s/]+/?$"})] = BASE_URLS[
        "mainnet"
    ]
    raw: Annotated[
        bool, _setting("keep the frames as they come, too; what a kill interrupts can be completed from them only")
    ] = True
    raw_folder: Annotated[str, _setting("folder of the frames; nothing: raw beside the catalogue")] = ""
    disk_free_gib_min: Annotated[
        float, _setting("free space in GiB below which nothing is written until there is more", ge=0, le=100_000)
    ] = 5
    queue_mib: Annotated[
        int, _setting("what may wait for the disk, in MiB; then frames are dropped and a gap noted", ge=1, le=4096)
    ] = 64


class Metrics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where processes write their numbers, and where `hlhft exporter` shows them."""

    folder: Annotated[
        str,
        _setting(
            "folder of the numbers of all processes of this host; nothing: metrics in the state folder", **_FOLDER
        ),
    ] = ""
    address: Annotated[
        str,
        _setting(
            "address that Prometheus asks: loopback, or one that only friends reach, as WireGuard's; never all of them",
            **_ADDRESS_TO_LISTEN,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, _setting("its port; 0: one that the system chooses, told by --ready-file", ge=0, le=65_535)
    ] = ports.EXPORTER
    processes: Annotated[
        tuple[Literal["engine", "watchdog", "alpha", "recorder"], ...],
        _setting("what runs on this host and is missed when it does not"),
    ] = ("engine", "watchdog")
    certificate_file: Annotated[str, _setting("file of the certificate to show; nothing: no TLS", **_FILE)] = ""
    key_file: Annotated[str, _setting("file of the certificate's key, readable by its owner only", **_FILE)] = ""
    client_authority_file: Annotated[
        str,
        _setting("file of the authority that a client's certificate must be signed by; nothing: any client", **_FILE),
    ] = ""


class Alpha(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process that turns books into signals (`hlhft alpha`): where it is talked to, and what it may say."""

    enabled: Annotated[bool, _setting("tell it rows of features, and listen to its signals")] = False
    features: Annotated[
        str, _setting("where the engine tells rows; nothing: features.sock in alpha in the state folder", **_ENDPOINT)
    ] = ""
    snapshot: Annotated[
        str,
        _setting(
            "where the engine is asked for the newest rows; nothing: snapshot.sock in alpha in the state folder",
            **_ENDPOINT,
        ),
    ] = ""
    signals: Annotated[
        str,
        _setting(
            "where the alpha process tells signals; nothing: signals.sock in alpha in the state folder", **_ENDPOINT
        ),
    ] = ""
    key_file: Annotated[
        str,
        _setting(
            "file of the engine's own key for tcp, readable by its owner only, as hlhft alpha --make-key writes it; "
            "nothing: no keys, and tcp on this machine only"
        ),
    ] = ""
    peer_key: Annotated[
        str, _setting("the alpha process's public key, 40 letters as hlhft alpha --make-key shows it", max_length=40)
    ] = ""
    models: Annotated[
        tuple[Annotated[str, Meta(pattern=_MODEL_ID)], ...],
        _setting("ids of models and policies that are listened to; nothing: all", max_length=MODELS_MAX),
    ] = ()
    time_to_live_ms: Annotated[
        float,
        _setting("a signal counts for so long after the row that it is made of", gt=0, le=60_000, scale=MS),
    ] = 1000
    # The core lets no policy stand for more than a minute (hlhft.core.signals).
    policy_time_to_live_ms: Annotated[
        float,
        _setting("a policy's decision counts for so long after what it was decided on", gt=0, le=60_000, scale=MS),
    ] = 10_000
    horizon_ms: Annotated[
        int,
        _setting(
            "a signal is the move expected in so long, as the model was trained on; its hits are counted by it",
            ge=1, le=3_600_000,
        ),
    ] = 1000  # fmt: skip
    decision_ms: Annotated[
        int,
        _setting("a policy is shown each market so often, as the one that is served was trained; 0: none is served",
                 ge=0, le=60_000),
    ] = 0  # fmt: skip
    move_bp_max: Annotated[
        float, _setting("largest expected move in basis points; a larger one counts as this", gt=0, le=1000)
    ] = 20
    rows_kept: Annotated[
        int, _setting("newest rows of each market that an alpha process can ask for again", ge=1, le=1024)
    ] = 512
    levels: Annotated[int, _setting("levels a side in the rows, as the model was trained on", ge=1, le=20)] = 5
    clock_ms: Annotated[
        int, _setting("at most one row in so many ms; 0: one for every change, as the model was trained on",
                      ge=0, le=60_000),
    ] = 0  # fmt: skip
    half_life_ms: Annotated[
        int, _setting("longest memory of a feature, as the model was trained on", ge=640, le=3_600_000)
    ] = 32_000
