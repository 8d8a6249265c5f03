"""One connection in virtual time: what it does, exactly."""

from __future__ import annotations

import dataclasses

import pytest

from hlhft.hyperliquid.backoff import DRAWS, MILLISECOND_NS, Budget
from hlhft.hyperliquid.connection import PING, ConnectionSettings
from hlhft.hyperliquid.connection_events import (
    Acknowledged,
    Close,
    Closed,
    Data,
    Desire,
    ErrorFrame,
    Input,
    MarketFresh,
    MarketStale,
    Open,
    Pong,
    PullQuotes,
    Reconcile,
    Reconciled,
    ReconcileReason,
    Report,
    ReportCode,
    Send,
    Start,
    Stop,
    Timer,
    TimerName,
    TransportUp,
    Upgraded,
)
from hlhft.hyperliquid.connection_table import ImpossibleEvent, State
from hlhft.hyperliquid.subscriptions import ALL_MARKETS, Stream, StreamKind, message, user_stream
from tests.hyperliquid.connections import (
    BBO,
    CONTEXT,
    ETH,
    EVENTS,
    FAST,
    TRADES,
    UPDATES,
    URL,
    S,
    Shell,
    at,
    bring_up,
    live,
    subscribe,
    unsubscribe,
)

CONNECTED = ReconcileReason.CONNECTED
MS = MILLISECOND_NS


def test_from_start_to_live() -> None:
    shell = Shell(UPDATES, FAST, BBO)
    assert shell.connection.state is State.IDLE
    assert shell.tell(Start()) == [MarketStale(ALL_MARKETS), MarketStale(0), Open(URL, 1)]
    assert shell.timers == {TimerName.PHASE: 5 * S}
    assert shell.tell(TransportUp(1)) == []
    assert shell.connection.state is State.HANDSHAKING
    assert shell.tell(Upgraded(1)) == [subscribe(1, UPDATES), subscribe(1, FAST), subscribe(1, BBO)]
    assert shell.acknowledge(FAST, BBO) == []
    assert shell.data(FAST) == []
    assert shell.connection.state is State.SUBSCRIBING
    assert shell.acknowledge(UPDATES) == [Reconcile(CONNECTED, 1)]
    assert shell.connection.state is State.RECONCILING
    assert not shell.connection.is_fresh(0)
    fresh = [MarketFresh(ALL_MARKETS), MarketFresh(0)]
    assert shell.tell(Reconciled(1)) == [Report(ReportCode.LIVE), *fresh]
    assert shell.connection.state is State.LIVE
    assert shell.connection.is_fresh(0) and not shell.connection.is_fresh(7)
    assert shell.data(FAST) == []


def test_a_trading_connection_has_nothing_to_subscribe_to() -> None:
    shell = Shell()
    assert shell.tell(Start()) == [Open(URL, 1)]
    assert shell.open() == [Reconcile(CONNECTED, 1)]
    assert shell.tell(Reconciled(1)) == [Report(ReportCode.LIVE)]
    assert shell.tell(Closed(1, 0)) == [Report(ReportCode.LOST, "1006")]


def test_a_market_that_was_not_heard_yet_waits() -> None:
    shell = Shell(FAST, ETH)
    shell.tell(Start())
    shell.open()
    shell.acknowledge(FAST, ETH)
    shell.data(ETH)
    assert shell.reconcile() == [Report(ReportCode.LIVE), MarketFresh(1)]
    assert shell.connection.state is State.STALE
    assert shell.data(FAST) == [MarketFresh(0)]
    assert shell.connection.state is State.LIVE


def test_a_silent_stream_pulls_quotes_then_resubscribes_then_reconnects() -> None:
    """The whole way: 2 s of silence, and another 2 s after the stream was begun anew."""
    shell = live(FAST, CONTEXT, ping_ns=20 * S)
    shell.now_ns = S
    shell.data(CONTEXT)
    assert shell.until(2 * S) == [
        MarketStale(0),
        PullQuotes(0),
        Report(ReportCode.STREAM_STALE, "l2Book fast of BTC: silent"),
        unsubscribe(1, FAST),
    ]
    assert shell.connection.state is State.STALE
    assert shell.connection.is_stream_fresh(CONTEXT.key) and not shell.connection.is_stream_fresh(FAST.key)
    assert shell.acknowledge(FAST, method="unsubscribe") == [subscribe(1, FAST)]
    assert shell.acknowledge(FAST) == []
    assert shell.until(4 * S - 1) == []
    shell.data(CONTEXT)
    assert shell.until(4 * S) == [
        Report(ReportCode.STREAM_STALE, "l2Book fast of BTC: silent"),
        Report(ReportCode.STREAM_DEAD, "l2Book fast of BTC"),
        Close(1, 4000),
    ]
    assert shell.connection.state is State.BACKING_OFF
    assert shell.until(4 * S + 125 * MS) == [Open(URL, 2)]


def test_a_stream_that_comes_back_is_fresh_after_its_second_frame() -> None:
    shell = live(FAST, BBO, ping_ns=20 * S)
    shell.until(2 * S)
    shell.acknowledge(FAST, method="unsubscribe")
    shell.acknowledge(FAST)
    assert shell.data(FAST, 3000) == [], "the first comes with every subscription"
    shell.until(2 * S + 500 * MS)
    assert shell.data(FAST, 3500) == [MarketFresh(0)]
    for step in range(6, 40):
        assert shell.until(step * S // 2) == []
        shell.data(FAST, 3000 + 500 * step)
    assert shell.until(21 * S + S // 2) == [
        Send(1, PING),
        MarketStale(0),
        PullQuotes(0),
        Report(ReportCode.STREAM_STALE, "l2Book fast of BTC: silent"),
        unsubscribe(1, FAST),
    ], "it is renewed before the socket is blamed, as before"


def test_a_stream_whose_renewal_is_not_answered() -> None:
    shell = live(FAST, ETH, ping_ns=20 * S)
    for second in range(1, 10):
        assert Close(1, 4000) not in shell.until(second * S - 1)
        shell.data(ETH, 1000 + 1000 * second)
    asked = [effect for _, effect in shell.history if effect in (unsubscribe(1, FAST), subscribe(1, FAST))]
    assert asked == [subscribe(1, FAST), unsubscribe(1, FAST), subscribe(1, FAST), subscribe(1, FAST)]
    assert shell.until(9 * S) == [
        MarketStale(1),
        PullQuotes(1),
        Report(ReportCode.STREAM_DEAD, "l2Book fast of BTC"),
        Close(1, 4000),
    ], "2 s silent, and 7 s to come back"


def test_one_dead_stream_takes_the_socket_down_once_while_others_flow() -> None:
    shell = live(FAST, ETH, ping_ns=20 * S, stable_ns=S)
    closes = []
    for step in range(1, 200):
        for effect in shell.until(step * S // 2 - 1):
            if isinstance(effect, Close):
                closes.append(shell.now_ns)
            if isinstance(effect, Open):
                shell.open()
                shell.acknowledge(FAST, ETH)
                shell.reconcile()
            if isinstance(effect, Send) and effect.payload == PING:
                shell.tell(Pong(effect.socket))
            elif isinstance(effect, Send) and b"unsubscribe" in effect.payload:
                shell.acknowledge(FAST, method="unsubscribe")
                shell.acknowledge(FAST)
        if shell.connection.state in (State.LIVE, State.STALE):
            shell.data(ETH, 1000 + 500 * step)
    assert len(closes) == 1
    assert shell.connection.is_fresh(1) and not shell.connection.is_fresh(0)
    reports = [effect for _, effect in shell.history if effect == Report(ReportCode.STREAM_DEAD, "l2Book fast of BTC")]
    assert len(reports) > 5, "it goes on being told"


def test_a_silent_socket_is_given_up_without_blame() -> None:
    """When nothing flows the socket is at fault: its streams are trusted on the next one."""
    shell = live(FAST, ETH, ping_ns=20 * S)
    effects = shell.until(9 * S + 200 * MS)
    assert effects[:4] == [MarketStale(0), PullQuotes(0), MarketStale(1), PullQuotes(1)]
    assert effects[-3:] == [
        Report(ReportCode.STREAM_DEAD, "l2Book fast of BTC; l2Book fast of ETH"),
        Close(1, 4000),
        Open(URL, 2),
    ]
    bring_up(shell, FAST, ETH)
    assert shell.connection.state is State.LIVE, "one frame is enough"


def test_a_touch_that_stands_still_pulls_quotes_at_once() -> None:
    shell = live(BBO, FAST, TRADES, ping_ns=20 * S)
    shell.until(S)
    for block in range(1, 8):
        assert shell.data(TRADES, 1000 + 400 * block) == []
    assert shell.data(TRADES, 4200) == [
        MarketStale(0),
        PullQuotes(0),
        Report(ReportCode.STREAM_STALE, "bbo of BTC: trades, and the touch stands still"),
        unsubscribe(1, BBO),
    ]


def test_a_bbo_that_contradicts_the_book_pulls_quotes_in_a_second() -> None:
    shell = live(BBO, FAST, ping_ns=20 * S)
    shell.until(S)
    assert shell.data(FAST, 2000, (8, 11)) == []
    assert shell.until(2 * S) == [
        MarketStale(0),
        PullQuotes(0),
        Report(ReportCode.STREAM_STALE, "bbo of BTC: the book shows another touch"),
        unsubscribe(1, BBO),
    ]
    shell.acknowledge(BBO, method="unsubscribe")
    assert shell.acknowledge(BBO) == [MarketFresh(0)], "nothing speaks against it now"
    shell.data(BBO, 1000, (10, 11))
    assert shell.data(FAST, 2500, (8, 11)) == []
    assert shell.until(3 * S) == [
        MarketStale(0),
        PullQuotes(0),
        Report(ReportCode.STREAM_STALE, "bbo of BTC: the book shows another touch"),
        Report(ReportCode.STREAM_DEAD, "bbo of BTC"),
        Close(1, 4000),
    ], "it was begun anew, and is no better"


def test_a_book_of_the_past_that_was_renewed_waits_for_its_timer() -> None:
    """Data brings no random number, so what ends the socket is the timer that the data sets."""
    shell = live(BBO, FAST, ping_ns=20 * S)
    shell.data(BBO, 9000, (20, 21))
    shell.acknowledge(FAST, method="unsubscribe")
    shell.acknowledge(FAST)
    text = "l2Book fast of BTC: the touch is newer than the book"
    assert shell.data(FAST, 1001) == [Report(ReportCode.STREAM_STALE, text)]
    assert shell.timers[TimerName.WATCH] == shell.now_ns
    assert shell.fire() == [Report(ReportCode.STREAM_DEAD, "l2Book fast of BTC"), Close(1, 4000)]


def test_a_healthy_renewed_stream_is_trusted_again() -> None:
    shell = live(BBO, FAST, ping_ns=20 * S)
    shell.data(BBO, 9000, (20, 21))
    shell.acknowledge(FAST, method="unsubscribe")
    shell.acknowledge(FAST)
    for step in range(1, 20):
        assert all(isinstance(effect, MarketFresh) for effect in shell.until(step * S // 2))
        shell.data(FAST, 9000 + 500 * step, (20, 21))
    assert shell.connection.state is State.LIVE
    shell.tell(Closed(1, 0))
    shell.until(shell.now_ns + S)
    bring_up(shell, BBO, FAST)
    assert shell.connection.state is State.LIVE, "one frame is enough"


def test_pings_go_on_and_an_unanswered_one_ends_the_socket() -> None:
    shell = live()
    assert shell.until(10 * S) == [Send(1, PING)]
    assert shell.tell(Pong(1)) == []
    assert shell.until(20 * S) == [Send(1, PING)]
    assert shell.until(25 * S) == [Report(ReportCode.PONG_MISSING), Close(1, 4000)]
    assert shell.until(25 * S + 125 * MS) == [Open(URL, 2)]


def test_there_is_one_ping_at_a_time() -> None:
    shell = live(ping_ns=5 * S, pong_ns=5 * S)
    shell.until(5 * S)
    shell.now_ns = 10 * S
    assert shell.tell(Timer(TimerName.PING, 0)) == []
    shell.timers.pop(TimerName.PING)
    assert shell.tell(Timer(TimerName.PONG, 0)) == [Report(ReportCode.PONG_MISSING), Close(1, 4000)]


def test_a_ping_waits_for_the_budget_of_messages() -> None:
    messages = Budget(1)
    shell = live(messages=messages)
    messages.take(9 * S)
    assert shell.until(70 * S - 1) == []
    assert shell.until(70 * S) == [Send(1, PING)]


def test_pongs_do_not_keep_data_fresh() -> None:
    shell = live(FAST, ping_ns=S, pong_ns=S)
    shell.until(S)
    assert shell.tell(Pong(1)) == []
    assert MarketStale(0) in shell.until(2 * S)


def test_rotation_is_routine() -> None:
    shell = live(FAST)
    shell.now_ns = 40 * S
    effects = shell.tell(Closed(1, DRAWS - 1, 1000, "Expired"))
    assert effects == [MarketStale(0), PullQuotes(0), Report(ReportCode.ROTATED)]
    assert shell.timers[TimerName.BACKOFF] == 40 * S + 250 * MS


@pytest.mark.parametrize(("code", "reason"), [(1000, "Inactive"), (1006, ""), (1008, "Expired"), (1000, "x" * 999)])
def test_any_other_end_is_alarming(code: int, reason: str) -> None:
    shell = live(FAST)
    *_, report = shell.tell(Closed(1, 0, code, reason))
    assert report == Report(ReportCode.LOST, f"{code} {reason}".rstrip()[:256])


def test_after_a_reconnect_it_is_reconciled_before_it_is_live() -> None:
    shell = live(UPDATES, FAST)
    shell.now_ns = S
    assert shell.tell(Closed(1, 0)) == [
        MarketStale(ALL_MARKETS),
        PullQuotes(ALL_MARKETS),
        MarketStale(0),
        PullQuotes(0),
        Report(ReportCode.LOST, "1006"),
    ]
    assert shell.until(S + 125 * MS) == [Open(URL, 2)]
    assert shell.open() == [subscribe(2, UPDATES), subscribe(2, FAST)]
    assert shell.acknowledge(UPDATES, FAST) == [Reconcile(CONNECTED, 2)]
    shell.data(FAST)
    assert shell.tell(Reconciled(1)) == [], "that was of the socket before"
    assert shell.connection.state is State.RECONCILING
    assert shell.tell(Reconciled(2)) == [Report(ReportCode.LIVE), MarketFresh(ALL_MARKETS), MarketFresh(0)]


def test_a_reconciliation_that_does_not_come_is_asked_for_again() -> None:
    shell = Shell(ping_ns=20 * S, pong_ns=20 * S)
    shell.tell(Start())
    shell.open()
    assert shell.until(30 * S) == [Send(1, PING), Report(ReportCode.RECONCILE_LATE), Reconcile(CONNECTED, 1)]
    assert shell.tell(Reconciled(1)) == [Report(ReportCode.LIVE)]
    assert shell.tell(Reconciled(1)) == [], "twice is once"


def test_waits_grow_until_a_socket_was_up_for_a_while() -> None:
    shell = Shell(draw=DRAWS - 1)
    shell.tell(Start())
    waits_ms = []
    for _ in range(9):
        shell.tell(Closed(shell.socket, DRAWS - 1))
        before_ns = shell.now_ns
        while shell.connection.state is not State.CONNECTING:
            shell.fire()
        waits_ms.append((shell.now_ns - before_ns) // MS)
    assert waits_ms == [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]
    shell.open()
    shell.now_ns += 30 * S - 1
    shell.tell(Closed(shell.socket, DRAWS - 1))
    assert shell.timers[TimerName.BACKOFF] == shell.now_ns + 30 * S
    shell.until(shell.now_ns + 30 * S)
    shell.open()
    shell.now_ns += 30 * S
    shell.tell(Closed(shell.socket, DRAWS - 1))
    assert shell.timers[TimerName.BACKOFF] == shell.now_ns + 250 * MS


@pytest.mark.parametrize("is_up", [False, True])
def test_what_does_not_open_in_time_is_dropped(is_up: bool) -> None:
    shell = Shell()
    shell.tell(Start())
    shell.now_ns = 4 * S
    if is_up:
        shell.tell(TransportUp(1))
    code = ReportCode.HANDSHAKE_LATE if is_up else ReportCode.CONNECT_LATE
    late_ns = (9 if is_up else 5) * S
    assert shell.until(late_ns - 1) == []
    assert shell.until(late_ns) == [Report(code), Close(1, 4000)]
    assert shell.tell(Upgraded(1)) == [] and shell.connection.counters["events out of date"] == 1


def test_what_cannot_be_opened_is_tried_again() -> None:
    shell = Shell()
    shell.tell(Start())
    shell.tell(TransportUp(1))
    assert shell.tell(Closed(1, 0, 1006, "HTTP 502")) == [Report(ReportCode.LOST, "1006 HTTP 502")]
    assert shell.fire() == [Open(URL, 2)]
    assert shell.tell(Closed(2, 0, 1000, "Expired")) == [Report(ReportCode.ROTATED)]


def test_connects_of_a_minute_are_shared() -> None:
    connects = Budget(3)
    shells = [Shell(connects=connects) for _ in range(2)]
    assert [shell.tell(Start()) for shell in shells] == [[Open(URL, 1)], [Open(URL, 1)]]
    for shell in shells:
        shell.tell(Closed(1, 0))
    assert shells[0].fire() == [Open(URL, 2)]
    assert shells[1].fire() == [Report(ReportCode.CONNECTS_EXHAUSTED)]
    assert shells[1].timers == {TimerName.PHASE: 5 * S, TimerName.BACKOFF: 61 * S}
    assert shells[1].until(61 * S) == [Open(URL, 2)]


def test_two_connections_share_nothing_else() -> None:
    one, other = live(FAST), live(FAST)
    one.tell(Closed(1, 0))
    assert other.data(FAST) == [] and other.connection.state is State.LIVE


def test_a_subscription_that_is_refused_keeps_its_market_stale() -> None:
    shell = Shell(BBO, ETH)
    shell.tell(Start())
    shell.open()
    shell.acknowledge(ETH)
    text = "Invalid subscription " + message("subscribe", BBO).decode()
    assert shell.tell(ErrorFrame(1, text)) == [
        Report(ReportCode.SUBSCRIPTION_REFUSED, text),
        Reconcile(CONNECTED, 1),
    ]
    shell.data(ETH)
    assert shell.reconcile() == [Report(ReportCode.LIVE), MarketFresh(1)]
    assert shell.connection.state is State.STALE
    assert shell.tell(ErrorFrame(1, "Something new")) == [Report(ReportCode.ERROR_UNMATCHED, "Something new")]
    shell.tell(Desire((ETH,)))
    assert shell.connection.state is State.LIVE


def test_already_subscribed_is_no_alarm() -> None:
    shell = Shell(BBO)
    shell.tell(Start())
    shell.open()
    assert shell.tell(ErrorFrame(1, 'Already subscribed: {"type":"bbo","coin":"BTC"}')) == [Reconcile(CONNECTED, 1)]


def test_an_acknowledgement_of_nothing_known_is_counted() -> None:
    shell = live(BBO)
    assert shell.tell(Acknowledged(1, "subscribe", {"type": "bbo", "coin": "X"})) == []
    assert shell.connection.counters["acknowledgements of nothing known"] == 1


def test_subscriptions_without_an_answer_end_the_socket() -> None:
    shell = Shell(BBO, FAST)
    shell.tell(Start())
    shell.open()
    shell.acknowledge(FAST)
    for second in range(1, 9):
        assert shell.until(second * S) == ([subscribe(1, BBO)] if second in (3, 6) else [])
        shell.data(FAST)
    assert shell.until(9 * S) == [Report(ReportCode.SUBSCRIPTION_UNANSWERED, "bbo of BTC"), Close(1, 4000)]


def test_subscriptions_are_paced() -> None:
    """100 messages are left to pings and others that cannot wait."""
    streams = [Stream(StreamKind.BBO, row, f"C{row}") for row in range(11)]
    shell = Shell(*streams, messages=Budget(108))
    shell.tell(Start())
    assert shell.open() == [subscribe(1, stream) for stream in streams[:8]]
    shell.acknowledge(*streams[:8])
    sent = []
    for second in range(1, 125):
        for effect in shell.until(second * S):
            if effect == Send(1, PING):
                shell.tell(Pong(1))
            else:
                sent.append((second, effect))
                shell.acknowledge(streams[8 + len(sent) - 1])
    # Six pings of the last 61 s count as well.
    assert sent == [(61, subscribe(1, streams[8])), (61, subscribe(1, streams[9])), (122, subscribe(1, streams[10]))]


def test_a_market_that_is_wanted_later() -> None:
    shell = live(FAST)
    assert shell.tell(Desire((FAST, ETH))) == [MarketStale(1), subscribe(1, ETH)]
    assert shell.connection.state is State.STALE
    assert shell.connection.is_fresh(0)
    shell.acknowledge(ETH)
    assert shell.data(ETH) == [MarketFresh(1)]


def test_a_market_that_is_wanted_no_more() -> None:
    shell = live(FAST, ETH)
    assert shell.tell(Desire((ETH,))) == [MarketStale(0), PullQuotes(0), unsubscribe(1, FAST)]
    assert shell.connection.state is State.LIVE
    assert shell.acknowledge(FAST, method="unsubscribe") == []
    shell.tell(Closed(1, 0))
    assert shell.tell(Desire(())) == []


def test_another_stream_of_a_fresh_market_closes_it_for_a_moment() -> None:
    shell = live(FAST)
    assert shell.tell(Desire((FAST, BBO))) == [MarketStale(0), PullQuotes(0), subscribe(1, BBO)]
    assert shell.acknowledge(BBO) == [MarketFresh(0)]
    assert shell.tell(Desire((FAST,))) == [unsubscribe(1, BBO)], "one less leaves it fresh"


def test_a_user_that_is_wanted_later_is_reconciled() -> None:
    shell = live(FAST)
    assert shell.tell(Desire((FAST, UPDATES))) == [
        MarketStale(0),
        PullQuotes(0),
        MarketStale(ALL_MARKETS),
        subscribe(1, UPDATES),
    ]
    assert shell.connection.state is State.SUBSCRIBING
    assert shell.acknowledge(UPDATES) == [Reconcile(ReconcileReason.RESUBSCRIBED, 2)]
    fills = user_stream(StreamKind.USER_FILLS, UPDATES.subject)
    assert shell.tell(Desire((FAST, UPDATES, fills))) == [subscribe(1, fills)]
    assert shell.tell(Reconciled(2)) == [], "something was missed since"
    assert shell.acknowledge(fills) == [Reconcile(ReconcileReason.RESUBSCRIBED, 3)]
    assert shell.reconcile() == [Report(ReportCode.LIVE), MarketFresh(0), MarketFresh(ALL_MARKETS)]


def test_a_users_stream_that_is_renewed_is_reconciled() -> None:
    state = Stream(StreamKind.ACCOUNT_STATE, ALL_MARKETS, UPDATES.subject, 2 * S)
    shell = live(state, FAST, ping_ns=20 * S)
    shell.now_ns = S
    shell.data(FAST)
    assert shell.until(2 * S) == [
        MarketStale(ALL_MARKETS),
        PullQuotes(ALL_MARKETS),
        Report(ReportCode.STREAM_STALE, f"clearinghouseState of {UPDATES.subject}: silent"),
        unsubscribe(1, state),
        MarketStale(0),
        PullQuotes(0),
    ]
    assert shell.connection.state is State.SUBSCRIBING
    shell.acknowledge(state, method="unsubscribe")
    assert shell.acknowledge(state) == [Reconcile(ReconcileReason.RESUBSCRIBED, 2)]


def test_what_no_socket_can_fulfil_changes_nothing() -> None:
    shell = live(FAST)
    with pytest.raises(ValueError, match="wanted twice"):
        shell.tell(Desire((BBO, BBO)))
    assert shell.data(FAST) == [] and shell.connection.state is State.LIVE


@pytest.mark.parametrize("state", State)
def test_closed_is_for_good(state: State) -> None:
    shell = at(state)
    effects = shell.tell(Stop())
    assert shell.connection.state is State.CLOSED
    if state is State.LIVE:
        assert effects == [MarketStale(0), PullQuotes(0), Close(1, 1000), Report(ReportCode.STOPPED)]
    elif state is State.CLOSED:
        assert effects == []
    else:
        assert effects[-1] == Report(ReportCode.STOPPED)
    assert shell.until(1000 * S) == []
    for event in EVENTS:
        assert shell.tell(event) == []
    assert shell.next_ns() is None
    with pytest.raises(ImpossibleEvent, match="start cannot happen to a connection that is closed"):
        shell.tell(Start())


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.LIVE, Start()),
        (State.LIVE, Upgraded(1)),
        (State.CONNECTING, Upgraded(1)),
        (State.CONNECTING, Data(1, StreamKind.BBO, 0)),
        (State.HANDSHAKING, TransportUp(1)),
        (State.HANDSHAKING, Pong(1)),
    ],
)
def test_what_cannot_happen_is_an_error(state: State, event: Input) -> None:
    shell = at(state)
    with pytest.raises(ImpossibleEvent, match=f"cannot happen to a connection that is {state}"):
        shell.tell(event)
    assert shell.connection.state is state


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(AssertionError):
        live().connection.on(Pong(1), -1)


def test_a_timer_out_of_date_does_no_harm() -> None:
    shell = live(FAST)
    shell.now_ns = S
    for name in TimerName:
        shell.timers.pop(name, None)
        assert shell.tell(Timer(name, 0)) == []
    assert shell.timers == {TimerName.PING: 10 * S, TimerName.WATCH: 2 * S}, "set again"
    assert shell.connection.counters["timers too early"] == 6


def test_a_connection_that_would_not_settle_is_a_broken_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hlhft.hyperliquid.connection.DERIVED_MAX", 0)
    with pytest.raises(AssertionError, match="settles"):
        Shell(FAST)


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(ConnectionSettings) if field.name.endswith("_ns")]
)
def test_numbers_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of the connection is 0"):
        ConnectionSettings(url=URL, **{name: 0})


@pytest.mark.parametrize(("ping_ns", "pong_ns"), [(20 * S + 1, S), (S, S + 1)])
def test_pings_that_are_too_rare_are_refused(ping_ns: int, pong_ns: int) -> None:
    with pytest.raises(ValueError, match="ping_ns is"):
        ConnectionSettings(url=URL, ping_ns=ping_ns, pong_ns=pong_ns)
