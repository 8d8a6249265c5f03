"""A lost host is covered by what is elsewhere only; real money does not begin without, unless somebody said so."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import msgspec
import pytest

from hlhft.config.settings import Config
from hlhft.exchange.settings import ExchangeSettings
from hlhft.hyperliquid.signing import Signer
from hlhft.live.asking import Answer
from hlhft.live.clock import Clock
from hlhft.live.covers import SCHEDULE_VOLUME_MICRO, covers_of, host_loss_refusal, is_remote
from hlhft.live.preflight import Preflight, StartError


def config(network: str = "mainnet", **watchdog: Any) -> Config:
    return msgspec.convert({"account": {"network": network}, "watchdog": watchdog}, Config)


def covered(settings: Config, volume_micro: int | None = None) -> list[bool]:
    return [one.is_covered for one in covers_of(settings, volume_micro=volume_micro)]


def test_a_watchdog_here_covers_the_engine_only() -> None:
    assert covered(config()) == [True, False, False]
    assert covered(config(heartbeat="/run/hlhft/beat.sock")) == [True, False, False]
    assert covered(config(heartbeat="127.0.0.1:7000")) == [True, False, False]
    assert "not" not in covers_of(config())[0].by


def test_a_watchdog_elsewhere_covers_the_host_and_the_venue_s_switch_covers_both() -> None:
    assert covered(config(heartbeat="10.9.0.2:7000")) == [True, True, False]
    assert covers_of(config(heartbeat="10.9.0.2:7000"))[1].by == "the watchdog at 10.9.0.2:7000"
    assert covered(config(schedule_cancel="auto"), SCHEDULE_VOLUME_MICRO) == [True, True, True]
    assert covered(config(schedule_cancel="auto"), SCHEDULE_VOLUME_MICRO - 1) == [True, False, False]
    assert covered(config(schedule_cancel="auto")) == [True, False, False], "an unknown volume is none"
    assert covered(config(schedule_cancel="off"), SCHEDULE_VOLUME_MICRO) == [True, False, False]


def test_a_second_watchdog_elsewhere_covers_the_host() -> None:
    settings = config(remote_heartbeat="10.9.0.2:7000")
    assert covered(settings) == [True, True, False]
    assert host_loss_refusal(settings) == ""


def test_a_watchdog_that_does_not_answer_covers_nothing() -> None:
    settings = config(heartbeat="/a", remote_heartbeat="10.9.0.2:7000")

    def heard(*addresses: str) -> list[bool]:
        return [one.is_covered for one in covers_of(settings, heard_at=frozenset(addresses))]

    assert heard() == [False, False, False]
    assert heard("/a") == [True, False, False]
    assert heard("10.9.0.2:7000") == heard("/a", "10.9.0.2:7000") == [True, True, False]
    assert covers_of(settings, heard_at=frozenset())[0].by == "a watchdog, and none answers"
    assert covers_of(config(), heard_at=frozenset([""]))[0].is_covered, "the one in the state folder"
    switched = config(schedule_cancel="auto")
    silent = covers_of(switched, heard_at=frozenset(), volume_micro=SCHEDULE_VOLUME_MICRO)
    assert [(one.is_covered, one.by) for one in silent[:1]] == [(True, "scheduleCancel")]


def test_real_money_does_not_begin_uncovered_unless_accepted() -> None:
    assert "watchdog on another host" in host_loss_refusal(config())
    assert host_loss_refusal(config(heartbeat="watch.example.org:7000")) == ""
    assert host_loss_refusal(config("testnet")) == host_loss_refusal(config("local")) == ""
    accepted = msgspec.convert({"account": {"network": "mainnet"}, "engine": {"accept_host_loss_risk": True}}, Config)
    assert host_loss_refusal(accepted) == ""


@pytest.mark.parametrize(
    ("heartbeat", "expected"),
    [("", False), ("/a", False), ("localhost:1", False), ("[::1]:1", False), ("[fd00::2]:1", True), ("b.c:1", True)],
)
def test_what_is_another_host(heartbeat: str, expected: bool) -> None:
    assert is_remote(heartbeat) is expected


def test_the_volume_is_the_one_that_the_exchange_asks_for() -> None:
    (asked,) = (
        field.default for field in dataclasses.fields(ExchangeSettings) if field.name == "schedule_volume_micro"
    )
    assert asked == SCHEDULE_VOLUME_MICRO


class Told:
    """Answers every question with what the account traded."""

    base_url = "http://venue"

    def __init__(self, volume_usdc: int) -> None:
        self.volume_usdc = volume_usdc
        self.asked = 0

    async def ask(self, path: str, body: bytes) -> Answer:
        self.asked += 1
        told = {"cumVlm": f"{self.volume_usdc}.0", "nRequestsUsed": 1, "nRequestsCap": 10_000}
        return Answer(msgspec.json.encode(told), "", 0, 0)


def look(settings: Config, told: Told) -> None:
    asyncio.run(Preflight(settings, Signer(b"\x05" * 32), told, Clock())._host_loss())  # type: ignore[arg-type]


def test_an_engine_does_not_start_on_mainnet_uncovered() -> None:
    told = Told(999_999)
    with pytest.raises(StartError, match="nothing cancels the orders of this host"):
        look(config(), told)
    with pytest.raises(StartError, match="nothing cancels the orders of this host"):
        look(config(schedule_cancel="auto"), told)
    look(config(schedule_cancel="auto"), Told(1_000_000))
    assert told.asked == 2
    look(config("testnet"), told)
    assert told.asked == 2, "elsewhere nothing is asked"
