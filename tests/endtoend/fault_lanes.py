"""What is done to whom, and which alerts it must lead to.

Two hosts' words are not the world's: the memory of `sick` is a file in place of the kernel's, as to use up a machine's
is no test, and its process writes a sum that does not add up, as only an error of an engine does. All else happens.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from decimal import Decimal
from typing import Any

from tests.endtoend.faults import Fault
from tests.endtoend.house import eventually, run
from tests.endtoend.stage import MEMORY, SMALL_COINS, SMALL_USDC, Host, Stage

(SMALL_COIN,) = SMALL_COINS
NONSENSE = '{"channel":"l2Book","data":{"coin":"ETH","levels":7}}'
# Good news of no order, which the journal keeps as it came; so many are more than three of its files.
LARGE_FRAME = '{"channel":"orderUpdates","data":[' + " " * (1 << 17) + "]}"
LARGE_FRAMES = 120
WAIT_S = 40.0  # for what a fault needs before it is one, and for what comes after it
LATE_S, FREEZE_S = Decimal("0.075"), 0.1  # from half of what stops an engine to less than that
RESTARTS = 4
DRAWDOWN = Decimal("0.0092")  # of the 0.01 that small may lose, the alert is at 0.008
SHIFT_MS = 600  # of the second that an engine starts with at most
LEFT_USDC = 40  # what small still owns when it cannot pay for an order


def kill(*names: str) -> Any:
    """Kills processes of main."""

    def do(stage: Stage) -> None:
        for name in names:
            stage.main.kill(name)

    return do


def start(*names: str) -> Any:
    """Starts them again."""
    return lambda stage: stage.main.start(*names)


def do_nothing(stage: Stage) -> None:
    """What is over by itself."""


def say_nonsense(stage: Stage) -> None:
    stage.between.say(NONSENSE)


# Main: a venue that has stopped to speak, while orders are on their way to it.


def fall_silent(stage: Stage) -> None:
    """From now on nothing of the venue reaches the engine, while what it sends arrives; one order of each is taken, so
    that it has something to send."""
    stage.between.mutes = lambda text: '"trades"' not in text
    stage.between.is_html = True


def speak_again(stage: Stage) -> None:
    stage.between.mutes = lambda text: False
    stage.between.is_html = False
    stage.between.cut()
    # What was halted for an unknown order begins anew, as its operator would have it.
    stage.main.kill("engine")
    stage.main.start("engine")
    quote_again(stage.main)


def lose_the_recorder(stage: Stage) -> None:
    stage.beside.is_down = True
    stage.beside.cut()


def find_the_recorder(stage: Stage) -> None:
    """The venue is there again. The recorder begins anew, as by itself it would next try within half a minute."""
    stage.beside.is_down = False
    stage.main.kill("recorder")
    stage.main.start("recorder")


# Away.


def make_blind(stage: Stage) -> None:
    stage.far.is_down = True
    stage.far.mutes = lambda text: True


def make_see(stage: Stage) -> None:
    stage.far.is_down = False
    stage.far.mutes = lambda text: False
    stage.far.cut()


def keep_dying(stage: Stage) -> None:
    """Kills the second watchdog again and again, each time once the start of the one before was seen."""
    seen = f'hlhft_process_start_time_seconds{{instance="{stage.away.instance}",process="watchdog"}}'
    up = f'hlhft_process_up{{instance="{stage.away.instance}",process="watchdog"}} == 1'
    for _ in range(RESTARTS):
        before = stage.prometheus.query(seen)
        stage.away.kill("watchdog")
        stage.away.start("watchdog")
        eventually(
            lambda before=before: stage.prometheus.query(up) and _differ(stage.prometheus.query(seen), before),
            within_s=WAIT_S,
        )


def _differ(now: list[Any], before: list[Any]) -> bool:
    return bool(now) and (not before or now[0].value != before[0].value)


# Small.


def operate(host: Host, *words: str) -> None:
    """An operator's command, which is done."""
    done = run(*words, "--config", str(host.file), folder=host.folder)
    assert done.returncode == 0, done.stdout + done.stderr


def quote_again(host: Host) -> None:
    """Waits until an engine quotes, and resumes it where something holds it."""

    def quotes() -> bool:
        if host.stage() == "halted":
            operate(host, "resume", "--reason", "it was a test")
        return host.quotes()

    eventually(quotes, within_s=WAIT_S)


def halt(stage: Stage) -> None:
    operate(stage.small, "halt", "--reason", "a look around")


def resume(stage: Stage) -> None:
    quote_again(stage.small)


def restart(stage: Stage, *changes: tuple[str, str]) -> None:
    """Starts small's engine with something else in its settings."""
    host = stage.small
    process = host.processes["engine"]
    if process.is_running:
        process.stop()  # in order, so that the next one finds nothing to cancel first
    text = host.text
    for old, new in changes:
        assert old in text, (old, text)
        text = text.replace(old, new)
    host.file.write_text(text)
    host.start("engine")


def as_before(stage: Stage) -> None:
    """Starts it with its own settings, and waits until it quotes; what holds it is resumed."""
    restart(stage)
    quote_again(stage.small)


def start_poor_and_off(stage: Stage) -> None:
    """A start with no action of the address to place with, at a venue whose clock is elsewhere; before anything was
    traded, which buys actions."""
    stage.near.instead["exchangeStatus"] = lambda told: {**told, "time": told["time"] + SHIFT_MS}
    told = stage.house.desk.ask({"type": "userRateLimit", "user": stage.poor.address})
    reserve = told["nRequestsCap"] - told["nRequestsUsed"] + 1
    restart(stage, ("address_reserve = 1000", f"address_reserve = {reserve}"))


def start_well(stage: Stage) -> None:
    stage.near.instead.clear()
    as_before(stage)


def stumble(stage: Stage) -> None:
    """Freezes the engine for moments in which it would have reacted."""
    late = (
        f'histogram_quantile(0.99, rate(hlhft_tick_to_trade_seconds_bucket{{instance="{stage.small.instance}"}}[3s]))'
    )

    def take(is_buy: bool) -> None:
        stage.crowd.take(SMALL_COIN, is_buy=is_buy, usdc=100)

    def has_stumbled() -> bool:
        for is_buy in (True, False):
            taking = threading.Thread(target=take, args=(is_buy,))
            taking.start()
            while taking.is_alive():
                stage.small.freeze("engine")
                stood = time.monotonic()
                while time.monotonic() - stood < FREEZE_S:
                    stage.house.desk.now_ms()  # the market goes on meanwhile
                stage.small.thaw("engine")
        found = stage.prometheus.query(late)
        return bool(found) and not found[0].value.is_nan() and found[0].value > LATE_S

    eventually(has_stumbled, within_s=WAIT_S)


def lose_money(stage: Stage) -> None:
    """Lets small buy, and the market fall to just above where it stops."""
    coin = SMALL_COIN
    eventually(stage.small.quotes, within_s=WAIT_S)
    eventually(lambda: stage.crowd.take(coin, is_buy=False, usdc=4_000), within_s=WAIT_S)
    eventually(stage.small.quotes, within_s=WAIT_S)
    held = stage.poor.signed_size(coin)
    assert held > 0
    peak = Decimal(stage.prometheus.value(f'hlhft_equity_peak_usdc{{instance="{stage.small.instance}"}}'))
    lost = peak * DRAWDOWN - (peak - stage.poor.value())
    stage.crowd.move(coin, stage.crowd.prices[coin] - float(lost / held))


def win_it_back(stage: Stage) -> None:
    stage.crowd.move(SMALL_COIN, stage.crowd.first_prices[SMALL_COIN])


def slow_disk(stage: Stage) -> None:
    stage.disk.stand_still()


def fast_disk(stage: Stage) -> None:
    stage.disk.go_on()


def fill_disk(stage: Stage) -> None:
    stage.disk.fill(left_mib=5)


def fill_it_whole(stage: Stage) -> None:
    """No room is left for the journal's next file, and the one after the next is needed."""
    stage.disk.fill(left_mib=0)
    for _ in range(LARGE_FRAMES):
        stage.near.say(LARGE_FRAME)


def give_room(stage: Stage) -> None:
    stage.disk.empty()


def go_on_with_room(stage: Stage) -> None:
    stage.disk.empty()
    as_before(stage)


def become_poor(stage: Stage) -> None:
    """The owner takes the money away while nothing rests and nothing is held, whose margin he could not take: the venue
    refuses what would have to be paid for."""
    operate(stage.small, "flatten", "--reason", "the owner takes money")
    eventually(lambda: not stage.poor.open_orders() and stage.poor.position(SMALL_COIN) is None, within_s=WAIT_S)
    told = stage.poor.exchange.usd_transfer(round(float(stage.poor.value()) - LEFT_USDC, 2), stage.crowd.taker.address)
    assert told["status"] == "ok", told
    operate(stage.small, "resume", "--reason", "money was taken")


def become_rich(stage: Stage) -> None:
    told = stage.crowd.taker.exchange.usd_transfer(float(SMALL_USDC), stage.poor.address)
    assert told["status"] == "ok", told
    as_before(stage)


def keep_cutting(stage: Stage) -> None:
    """Hangs up on small whenever it is there again, until that is noticed."""
    firing = {"alertname": "ReconnectStorm", "instance": stage.small.instance}

    def is_noticed() -> bool:
        if any(connection.state == "live" for connection in _connections(stage)):
            stage.near.cut()
        return any(firing.items() <= found.items() for found in stage.prometheus.alerts())

    eventually(is_noticed, within_s=WAIT_S)


def _connections(stage: Stage) -> list[Any]:
    told = stage.small.status()
    return [] if told is None else [one for one in told.connections if one.name != "alpha"]


# Sick.


def fall_ill(stage: Stage) -> None:
    stage.sick.processes["sick"].signal(signal.SIGUSR1)
    stage.memory.write_text(re.sub(r"(MemAvailable: +)\d+", r"\g<1>1000", MEMORY.read_text()))


def recover(stage: Stage) -> None:
    stage.sick.processes["sick"].signal(signal.SIGUSR2)
    stage.memory.write_text(MEMORY.read_text())


def _of(*names: str, **labels: str) -> tuple[tuple[str, dict[str, str]], ...]:
    return tuple((name, labels) for name in names)


LANES: tuple[tuple[Fault, ...], ...] = (
    (
        Fault(
            name="engine and recorder killed", host="main", do=kill("engine", "recorder"),
            undo=start("engine", "recorder"),
            alerts=_of("ProcessDown", process="engine") + _of("HelperDown", process="recorder") + _of("OrdersLeft"),
        ),
        Fault(
            name="watchdog frozen", host="main", do=lambda stage: stage.main.freeze("watchdog"),
            undo=lambda stage: stage.main.thaw("watchdog"),
            alerts=_of("WatchdogSilent", place="local") + _of("ProcessDown", process="watchdog"),
        ),
        Fault(
            name="alpha process killed", host="main", do=kill("alpha"), undo=start("alpha"),
            alerts=_of("SignalStale", market="ETH") + _of("HelperDown", process="alpha"),
        ),
        Fault(
            name="a frame that is none", host="main", do=say_nonsense, undo=do_nothing, alerts=_of("FramesUnreadable"),
        ),
        Fault(
            name="a venue that falls silent", host="main", do=fall_silent, undo=speak_again,
            alerts=_of("StaleMarket", "UnknownOrder", "NotTrading", "ReconciliationStale"),
        ),
    ),
    (
        Fault(
            name="an operator's halt", host="small", do=halt, undo=resume, alerts=_of("Halted"),
        ),
        Fault(
            name="few actions left, and a clock that is off", host="small", do=start_poor_and_off, undo=start_well,
            alerts=_of("BudgetBelowReserve", budget="address_actions") + _of("ClockDrift"),
        ),
        Fault(
            name="an account without money", host="small", do=become_poor, undo=become_rich,
            alerts=_of("RejectionStorm"),
        ),
        Fault(
            name="an engine that stumbles", host="small", do=stumble, undo=do_nothing,
            alerts=_of("TickToTradeNearLimit"),
        ),
        Fault(
            name="a disk that does not answer", host="small", do=slow_disk, undo=fast_disk, alerts=_of("JournalSlow"),
        ),
        Fault(
            name="a market that falls, while the disk fills",
            host="small",
            do=lambda stage: (fill_disk(stage), lose_money(stage)),
            undo=lambda stage: (give_room(stage), win_it_back(stage)),
            alerts=_of("DrawdownNearLimit") + _of("DiskFull", "DiskLow", folder="journal"),
        ),
        Fault(
            name="a disk that is full", host="small", do=fill_it_whole, undo=go_on_with_room,
            alerts=_of("JournalTrouble"),
        ),
        Fault(
            name="connections that break", host="small", do=keep_cutting, undo=do_nothing, alerts=_of("ReconnectStorm"),
        ),
    ),
    (
        Fault(
            name="a watchdog that does not see", host="away", do=make_blind, undo=make_see, alerts=_of("WatchdogBlind"),
        ),
        Fault(
            name="a watchdog that keeps dying", host="away", do=keep_dying, undo=do_nothing,
            alerts=_of("ProcessRestarting", process="watchdog"),
        ),
        Fault(
            name="the recorder's venue gone", host="main", do=lose_the_recorder, undo=find_the_recorder,
            alerts=_of("RecorderGap"),
        ),
        Fault(
            name="a watchdog that is dead", host="main", do=lambda stage: stage.away.kill("watchdog"),
            undo=lambda stage: stage.away.start("watchdog"),
            alerts=_of("HostLossNotCovered") + _of("WatchdogSilent", place="remote"),
        ),
    ),
    (
        Fault(
            name="a clock that nobody keeps", host="sick", do=lambda stage: stage.clock.say(is_synchronised=False),
            undo=lambda stage: stage.clock.say(is_synchronised=True), alerts=_of("ClockUnsynchronised"),
        ),
        Fault(
            name="exporter killed", host="sick", do=lambda stage: stage.sick.kill("exporter"),
            undo=lambda stage: stage.sick.start("exporter"), alerts=_of("ExporterDown"),
        ),
        Fault(
            name="a process that is ill", host="sick", do=fall_ill, undo=recover,
            alerts=_of("MemoryLow", "ProfitUnexplained") + _of("MemoryGrowth", process="engine"),
        ),
    ),
)  # fmt: skip
