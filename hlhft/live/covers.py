"""Which losses something cancels for us: shown always, and asked for before real money trades."""

from __future__ import annotations

from hlhft.config.settings import Config
from hlhft.live.view import Cover
from hlhft.units import MICRO

# What an account must have traded before the venue offers scheduleCancel (venue reference section 4.2, measured).
SCHEDULE_VOLUME_MICRO = 1_000_000 * MICRO
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")


def covers_of(
    config: Config, *, volume_micro: int | None = None, heard_at: frozenset[str] | None = None
) -> list[Cover]:
    """The losses of an engine with these settings. `volume_micro`: what the account traded, None unknown.

    `heard_at` are the addresses of the settings at which a watchdog answers the engine's heartbeat, "" for the one that
    is named nowhere; None where nobody has asked: then it says what the settings promise.
    """
    schedules = config.watchdog.schedule_cancel == "auto" and (volume_micro or 0) >= SCHEDULE_VOLUME_MICRO
    named = [config.watchdog.heartbeat, *filter(None, [config.watchdog.remote_heartbeat])]
    hearing = [address for address in named if heard_at is None or address in heard_at]
    elsewhere = [address for address in hearing if is_remote(address)]
    remote = bool(elsewhere)
    where = f"the watchdog at {elsewhere[0]}" if remote else "the watchdog on this host"
    by_host = where if remote else "scheduleCancel" if schedules else "a watchdog on another host, or scheduleCancel"
    by_engine = where if hearing else "scheduleCancel" if schedules else "a watchdog, and none answers"
    return [
        Cover(loss="the engine dies or hangs", is_covered=bool(hearing) or schedules, by=by_engine),
        Cover(loss="the host dies or loses its network", is_covered=remote or schedules, by=by_host),
        Cover(
            loss="engine and watchdog die together",
            is_covered=schedules,
            by="scheduleCancel" if schedules else "scheduleCancel, which needs $1,000,000 traded",
        ),
    ]


def host_loss_refusal(config: Config, *, volume_micro: int | None = None) -> str:
    """Why trading real money may not begin, in one sentence; empty when it may.

    Orders of a lost host stay at the venue. On mainnet, a watchdog elsewhere or scheduleCancel has to be there, or
    somebody has to have said that it is accepted.
    """
    if config.account.network != "mainnet" or config.engine.accept_host_loss_risk:
        return ""
    if covers_of(config, volume_micro=volume_micro)[1].is_covered:
        return ""
    return (
        "nothing cancels the orders of this host when it is lost: run a watchdog on another host and name it in "
        "watchdog.remote_heartbeat, or accept it with engine.accept_host_loss_risk = true"
    )


def is_remote(heartbeat: str) -> bool:
    """Whether a heartbeat goes to another host."""
    return bool(heartbeat) and not heartbeat.startswith("/") and not heartbeat.startswith(_LOOPBACK)
