"""From the core's commands to signed actions on two trading connections, and what follows, as a pure machine.

`send` is the hot path: the commands of one decision in, posts out. `on(event, now_ns)` is everything else. Nothing here
knows a clock, a socket or randomness: time is an argument in nanoseconds that never runs backwards. What holds:

- Each action has one nonce, is signed once and is never signed again; what is posted again are the very same bytes. Its
  life is a table (`hlhft.hyperliquid.gateway_table`).
- Placements leave only while the gate is open, a trading connection is up, no send buffer holds anything and the venue
  is well; otherwise they are refused, with a code, and never wait. What takes risk away leaves by any way there is.
- No answer in time, or its connection gone: the fates are told that nobody knows. An order that adds risk is voided by
  a `noop` on its nonce; one that takes risk away is posted again while it has not expired, a cancel always. A cancel
  without an answer is also repeated under a new nonce, on the other connection.
- Orders in doubt are asked about until proven, within a rate. Nothing is ever given up silently.

Timers out of date are harmless, so none is ever cancelled; one of a name replaces the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.answers import ActionAnswer, ActionPosted, Outcome, action_answer
from hlhft.hyperliquid.backoff import Budget
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.encode import Encoder
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.gateway_asks import Questions
from hlhft.hyperliquid.gateway_events import (
    AnsweredElsewhere,
    BlockTime,
    BudgetTold,
    CancelOwn,
    Deadman,
    Effect,
    FillsRead,
    Found,
    Gate,
    HttpAnswered,
    Input,
    LaneDown,
    LaneUp,
    Listed,
    MarkFailed,
    MarkWritten,
    NonceEvidence,
    NotWritten,
    Posted,
    Pressure,
    ReportCode,
    Resume,
    SentElsewhere,
    SetTimer,
    Start,
    StatusRead,
    Tell,
    Timer,
    TimerName,
    Told,
    WriteMark,
    Written,
)
from hlhft.hyperliquid.gateway_flights import NEVER_NS, Flight, Request
from hlhft.hyperliquid.gateway_mode import Mode
from hlhft.hyperliquid.gateway_send import CANCELS, STALE_CHARGE, Sender, address_actions
from hlhft.hyperliquid.gateway_settings import GatewaySettings
from hlhft.hyperliquid.gateway_table import TRANSITIONS, Event, ImpossibleEvent, State, Step
from hlhft.hyperliquid.gateway_verdict import POST_ONLY_WORDS, WITHOUT_NONCE, Verdict, budget_of, is_used, verdict
from hlhft.hyperliquid.messages import Fills, OrderUpdates
from hlhft.hyperliquid.nonces import NonceAllocator, NonceState
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.reading import Fault

DETOURS_MAX = 3  # other ways of a cancel that does not leave
HTTP_BUSY, HTTP_BROKEN = 429, 500
_LOCAL = int(EventFlag.LOCAL_VISIBLE)
_SENT, _VENUE_MODE = int(EventKind.COMMAND_SENT), int(EventKind.VENUE_MODE)
# Posted again as they are, however late: doing them late or twice does no harm.
_IDEMPOTENT = CANCELS | {ActionKind.NOOP}


class Gateway:
    """One signer's way to the venue. `messages` counts what is sent over all sockets of the IP address, `requests` the
    weight of what goes over HTTP; both are shared with others (`hlhft.hyperliquid.backoff`)."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        encoder: Encoder,
        nonces: NonceAllocator,
        fates: Fates,
        messages: Budget,
        requests: Budget,
    ) -> None:
        self.settings = settings
        self._sender = Sender(
            settings, encoder=encoder, nonces=nonces, fates=fates, messages=messages, requests=requests
        )
        self._fates = fates
        self._nonces = nonces
        self._flights = self._sender.flights
        self._mode = self._sender.mode
        self._questions = Questions(settings, fates)
        self._is_primed = False
        self._draw = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            Start: self._start, LaneUp: self._lane_up, LaneDown: self._lane_down, Pressure: self._pressure,
            Written: self._written, NotWritten: self._not_written, Posted: self._posted,
            HttpAnswered: self._http_answered, Told: self._told, BlockTime: self._block_time,
            MarkWritten: self._mark_written, MarkFailed: self._mark_failed, NonceEvidence: self._evidence,
            Resume: self._resume, StatusRead: self._status_read, Listed: self._listed,
            FillsRead: self._fills_read, Gate: self._gate, CancelOwn: self._cancel_own,
            SentElsewhere: self._sent_elsewhere, AnsweredElsewhere: self._answered_elsewhere,
            Deadman: self._deadman, Timer: self._timer,
        }  # fmt: skip
        self._timers: dict[TimerName, Callable[[], None]] = {
            TimerName.WATCH: self._watch, TimerName.ASK: self._ask, TimerName.MARK: self._mark,
            TimerName.MODE: self._end_mode,
        }  # fmt: skip
        self._steps: dict[Step, Callable[[Flight, ActionAnswer | None], None]] = {
            step: getattr(self, f"_do_{step.name.lower()}") for step in Step
        }

    def send(self, commands: np.ndarray, received_ns: int, now_ns: int) -> list[Effect]:
        """What leaves at once of the commands of one decision: LEG_DTYPE[n], n at least 1, as the core gave them.

        `received_ns` is when the frame that led to them was received. Each pair of batch and kind becomes one action.
        What cannot leave is refused as a whole action: COMMAND_REFUSED for each of its orders.
        """
        sender = self._sender
        assert now_ns >= sender.now_ns, "time does not run backwards"
        sender.now_ns = now_ns
        sender.send(commands, received_ns)
        return self._flush()

    def on(self, event: Input, now_ns: int) -> list[Effect]:
        """The effects of what happened, to be performed in their order: what is to be sent before what is to be told.
        Raises ImpossibleEvent for what cannot happen, NonceError for a mark that was not asked for, and EncodeError for
        a Deadman that is no time."""
        assert now_ns >= self._sender.now_ns, "time does not run backwards"
        self._sender.now_ns = now_ns
        self._handlers[type(event)](event)
        self._sender.effects += [Found(report) for report in self._fates.take_reports()]
        return self._flush()

    @property
    def is_quiet(self) -> bool:
        """Whether no action waits for an answer or for its nonce to be settled. Orders may still be in doubt: that is
        for the fates to say."""
        return all(flight.state is State.LANDED for flight in self._flights)

    @property
    def counters(self) -> Counter[str]:
        """How often what happened."""
        return self._sender.counters

    @property
    def mode(self) -> Mode:
        """What the venue takes."""
        return self._mode.mode

    @property
    def gate(self) -> Gate:
        """What may leave."""
        return self._sender.gate

    @property
    def posts_in_flight(self) -> int:
        """Posts on sockets that nobody answered."""
        return self._flights.posts

    def uncounted(self, since_ns: int, now_ns: int) -> list[Row]:
        """Tells the core of actions that the venue may not have counted in what it told of that time, by our clock."""
        return address_actions(self._flights.actions_since(since_ns), now_ns)

    def weight_used(self, now_ns: int) -> int:
        """What its questions of the last minute cost the IP address."""
        return self._questions.weight_used(now_ns)

    def carried(self, request_id: int) -> tuple[Flight, Request] | None:
        """The action that a Post or PostHttp carries, and the request; None once it is settled."""
        return self._flights.find(request_id)

    def _flush(self) -> list[Effect]:
        sender = self._sender
        effects, sender.effects = sender.effects, []
        if sender.rows:
            effects.append(Tell(sender.rows))
            sender.rows = []
        return effects

    # The connections.

    def _lane_up(self, event: LaneUp) -> None:
        if self._sender.lanes.sockets[event.lane]:
            self._cut(event.lane)
        self._sender.lanes.up(event.lane, event.socket)
        for flight in self._flights:
            if flight.state is State.SILENT:
                flight.due_ns = self._sender.now_ns
        self._prime()
        self._look()

    def _lane_down(self, event: LaneDown) -> None:
        self._sender.lanes.down(event.lane)
        self._cut(event.lane)
        self._look()

    def _cut(self, lane: int) -> None:
        for flight in self._flights.cut(lane):
            self._happen(flight, Event.UNANSWERED)

    def _pressure(self, event: Pressure) -> None:
        self._sender.lanes.press(event.lane, event.is_waiting)

    def _written(self, event: Written) -> None:
        found = self._flights.find(event.request_id)
        if found is None:
            return
        flight = found[0]
        if flight.batch_id and flight.requests[0] == event.request_id:
            now_ns = self._sender.now_ns
            self._sender.rows.append(
                (0, now_ns, 0, 0, flight.batch_id, flight.received_ns, event.at_ns, _SENT, _LOCAL, 0, 0, 0)
            )

    def _not_written(self, event: NotWritten) -> None:
        found = self._flights.find(event.request_id)
        if found is None:
            return
        flight, request = found
        self._flights.close(event.request_id)
        if flight.requests[-1] != event.request_id:
            return
        if flight.signed.kind in CANCELS and flight.state is State.FLYING and flight.failures < DETOURS_MAX:
            lane = self._sender.way(request.lane, flight.signed.legs)
            if lane is not None:
                flight.failures += 1
                self._flights.forget(flight, event.request_id)
                self._sender.post(flight, flight.signed, lane)
                return
        self._happen(flight, Event.NOT_WRITTEN)
        self._look()

    # Answers.

    def _posted(self, event: Posted) -> None:
        message = event.message
        found = self._flights.find(message.id)
        if found is None:
            self._late()
            return
        self._flights.close(message.id)
        if isinstance(message, ActionPosted):
            self._answered(found[0], message.id, message.answer, is_noop=found[1].is_noop)
        else:
            self._troubled(found[0], message.id, Event.TROUBLED, message.text)

    def _http_answered(self, event: HttpAnswered) -> None:
        found = self._flights.find(event.request_id)
        if found is None:
            self._late()
            return
        flight, request = found
        self._flights.close(event.request_id)
        if event.body is None:
            self._troubled(flight, event.request_id, Event.UNANSWERED, "no answer over HTTP")
            return
        answer = action_answer(event.body)
        if isinstance(answer, Fault) or event.status == HTTP_BUSY or event.status >= HTTP_BROKEN:
            self._troubled(flight, event.request_id, Event.TROUBLED, f"HTTP status {event.status}")
            return
        self._answered(flight, event.request_id, answer, is_noop=request.is_noop)

    def _late(self) -> None:
        self._sender.counters["answers too late"] += 1
        self._sender.report(ReportCode.LATE_ANSWER)

    def _troubled(self, flight: Flight, request_id: int, event: Event, text: str) -> None:
        """An answer that is none: nobody knows what became of the action, and the venue may be in trouble."""
        self._sender.report(ReportCode.TROUBLE, text)
        if self._mode.trouble(self._sender.now_ns, self._draw):
            self._tell_mode()
        if self._mode.due_ns is not None:
            self._sender.effects.append(SetTimer(TimerName.MODE, self._mode.due_ns))
        # What became of an older request says nothing of the newest.
        if flight.requests[-1] == request_id:
            self._happen(flight, event)
            self._look()

    def _answered(self, flight: Flight, request_id: int, answer: ActionAnswer, *, is_noop: bool) -> None:
        """The venue answered the action itself, or a noop under its nonce."""
        if self._mode.good():
            self._tell_mode()
        if answer.is_ok:
            for status in answer.statuses:
                if status.outcome is Outcome.ERROR and POST_ONLY_WORDS in status.text.lower():
                    self._post_only()
                    break
            self._happen(flight, Event.VOIDED if is_noop else Event.TOLD, answer)
            return
        reason = verdict(answer.text)
        self._note(reason, flight, answer.text)
        if reason is Verdict.NONCE:
            self._happen(flight, Event.USED, answer)
        elif is_noop or flight.copies > 1:
            # One of several copies was refused; another may have been taken.
            if flight.requests[-1] == request_id:
                self._happen(flight, Event.TROUBLED)
        else:
            self._happen(flight, Event.TOLD, answer)
        self._look()

    def _note(self, reason: Verdict, flight: Flight, text: str) -> None:
        """What a refusal of a whole action says beside what becomes of the action."""
        sender = self._sender
        sender.counters[f"actions refused: {reason.name}"] += 1
        if reason is Verdict.EXPIRED:
            sender.counters["actions charged for expiry"] += STALE_CHARGE * flight.legs
            sender.surcharge_expiry(flight)
            sender.report(ReportCode.EXPIRED, text)
        elif reason is Verdict.ADDRESS:
            budget = budget_of(text)
            if budget is not None:
                sender.effects.append(BudgetTold(*budget))
            sender.report(ReportCode.ADDRESS_EXHAUSTED, text)
        elif reason is Verdict.USER:
            sender.report(ReportCode.UNKNOWN_USER, text)
        elif reason is Verdict.POST_ONLY:
            self._post_only()
        elif reason is Verdict.REFUSED:
            sender.report(ReportCode.ACTION_REFUSED, text)

    def _post_only(self) -> None:
        if self._mode.post_only(self._sender.now_ns):
            self._tell_mode()
        assert self._mode.due_ns is not None, "a post-only window ends"
        self._sender.effects.append(SetTimer(TimerName.MODE, self._mode.due_ns))

    def _tell_mode(self) -> None:
        sender, mode = self._sender, self._mode.mode
        codes = {
            Mode.NORMAL: ReportCode.VENUE_BACK,
            Mode.POST_ONLY: ReportCode.POST_ONLY,
            Mode.DOWN: ReportCode.VENUE_DOWN,
        }
        sender.report(codes[mode])
        sender.rows.append((0, sender.now_ns, 0, 0, 0, int(mode), 0, _VENUE_MODE, _LOCAL, 0, 0, 0))

    def _end_mode(self) -> None:
        if self._mode.pass_time(self._sender.now_ns):
            self._tell_mode()
        elif self._mode.due_ns is not None:
            self._sender.effects.append(SetTimer(TimerName.MODE, self._mode.due_ns))

    # The life of an action.

    def _happen(self, flight: Flight, event: Event, answer: ActionAnswer | None = None) -> None:
        row = TRANSITIONS.get((flight.state, event))
        if row is None:
            raise ImpossibleEvent(f"{event} cannot happen to an action that is {flight.state}")
        flight.state, steps = row
        for step in steps:
            self._steps[step](flight, answer)
        if flight.state is State.SETTLED:
            self._flights.settle(flight, self._sender.now_ns)

    def _look(self) -> None:
        """Does what is due, and has the rest looked at in time."""
        now_ns = self._sender.now_ns
        for flight in self._flights:
            if flight.repeat_ns <= now_ns:
                self._sender.repeat(flight)
            # At most three times: what is probed is due later, and what has landed is settled.
            while flight.due_ns <= now_ns and flight.state is not State.SETTLED:
                self._happen(flight, Event.DUE)
        self._sender.wake(self._flights.next_ns)

    def _do_tell(self, flight: Flight, answer: ActionAnswer | None) -> None:
        assert answer is not None, "the step of an answer"
        sender, nonce = self._sender, flight.nonce
        if not flight.rows:
            if flight.signed.kind is ActionKind.SCHEDULE_CANCEL:
                sender.report(ReportCode.DEADMAN_SET if answer.is_ok else ReportCode.DEADMAN_REFUSED, answer.text)
        elif answer.is_ok:
            sender.rows += self._fates.answered(nonce, answer, sender.now_ns)
        else:
            sender.rows += self._fates.refused(nonce, answer.text, sender.now_ns)

    def _do_settle_nonce(self, flight: Flight, answer: ActionAnswer | None) -> None:
        assert answer is not None, "the step of an answer"
        if answer.is_ok or verdict(answer.text) not in WITHOUT_NONCE:
            self._nonces.answered(flight.nonce)
        else:
            self._nonces.lost(flight.nonce)

    def _do_nonce_taken(self, flight: Flight, answer: ActionAnswer | None) -> None:
        self._nonces.answered(flight.nonce)

    def _do_nonce_lost(self, flight: Flight, answer: ActionAnswer | None) -> None:
        self._nonces.lost(flight.nonce)

    def _do_blame(self, flight: Flight, answer: ActionAnswer | None) -> None:
        assert answer is not None, "the step of an answer"
        if is_used(answer.text):
            self._nonces.refused_as_used(flight.nonce)
            self._sender.report(ReportCode.NONCE_USED, answer.text)
        else:
            self._nonces.lost(flight.nonce)
            self._sender.report(ReportCode.ACTION_REFUSED, answer.text)

    def _do_silence(self, flight: Flight, answer: ActionAnswer | None) -> None:
        flight.repeat_ns = NEVER_NS
        self._sender.counters["actions unanswered"] += 1
        self._sender.report(ReportCode.UNANSWERED, f"{flight.signed!r}")
        if flight.rows:
            self._sender.rows += self._fates.silent(flight.nonce, self._sender.now_ns)

    def _do_never_left(self, flight: Flight, answer: ActionAnswer | None) -> None:
        if not flight.rows:
            if flight.signed.kind is ActionKind.NOOP:
                self._is_primed = False  # the first of this run: it is sent again
            else:
                self._sender.report(ReportCode.DEADMAN_REFUSED, "it never left")
            return
        self._sender.rows += self._fates.never_left(flight.nonce, self._sender.now_ns)

    def _do_void(self, flight: Flight, answer: ActionAnswer | None) -> None:
        self._sender.report(ReportCode.VOIDED, f"{flight.signed!r}")
        if flight.signed.expires_after_ms is not None:
            # It may have come too late, or will: nobody listens for that any more.
            self._sender.surcharge_expiry(flight)
        if flight.rows:
            self._sender.rows += self._fates.voided(flight.nonce, self._sender.now_ns)
        else:
            assert flight.signed.kind is ActionKind.SCHEDULE_CANCEL, "a noop is posted again and not voided"
            self._sender.report(ReportCode.DEADMAN_REFUSED, "voided, for want of an answer")

    def _do_plan(self, flight: Flight, answer: ActionAnswer | None) -> None:
        """At once, unless the venue is in trouble; then after waits that grow."""
        wait_ns = backoff.wait_ns(flight.failures - 1, self._draw, self.settings.backoff) if flight.failures else 0
        flight.failures += 1
        flight.due_ns = max(self._sender.now_ns + wait_ns, self._mode.hold_ns)

    def _do_probe(self, flight: Flight, answer: ActionAnswer | None) -> None:
        sender, signed = self._sender, flight.signed
        flight.due_ns = sender.now_ns + self.settings.answer_ns
        lane = sender.way(flight.lane, flight.legs)
        if lane is None:
            # Nothing was sent: the next try comes as after an answer that is missing, only sooner.
            flight.due_ns = sender.now_ns + self.settings.repeat_ns
            return
        expires_ms = signed.expires_after_ms
        is_early = expires_ms is not None and sender.block_estimate_ms() + self.settings.resend_margin_ms <= expires_ms
        if signed.kind in _IDEMPOTENT or (is_early and flight.copies == 1 and flight.reduces):
            flight.copies += 1
            sender.surcharge(flight, flight.legs)
            self._fates.reposted(flight.nonce)
            sender.post(flight, signed, lane)
        else:
            sender.void(flight, lane)

    def _do_linger(self, flight: Flight, answer: ActionAnswer | None) -> None:
        flight.due_ns = self._sender.now_ns + self.settings.late_ns
        self._sender.report(ReportCode.LANDED, f"{flight.signed!r}")
        if flight.signed.kind is ActionKind.SCHEDULE_CANCEL:
            self._sender.report(ReportCode.DEADMAN_UNKNOWN)

    def _watch(self) -> None:
        self._sender.watch_ns = NEVER_NS
        self._look()

    # Orders in doubt.

    def _ask(self) -> None:
        sender = self._sender
        sender.effects += self._questions.look(sender.now_ns, sender.block_ms, self._draw)
        sender.effects.append(SetTimer(TimerName.ASK, sender.now_ns + self.settings.ask_ns))

    def _status_read(self, event: StatusRead) -> None:
        block_ms = event.block_ms or self._questions.asked_ms(event.order_id, event.revision)
        self._sender.rows += self._fates.status_read(
            event.order_id, event.status, block_ms, self._sender.now_ns, revision=event.revision
        )

    def _fills_read(self, event: FillsRead) -> None:
        read = self._fates.fills_read(event.from_ms, event.through_ms, event.asked_ns, self._sender.now_ns)
        self._sender.rows += read

    def _listed(self, event: Listed) -> None:
        self._sender.rows += self._fates.listed(event.open_orders, event.block_ms, event.come_ns, self._sender.now_ns)

    def _told(self, event: Told) -> None:
        message, now_ns = event.message, self._sender.now_ns
        if isinstance(message, OrderUpdates):
            self._sender.rows += self._fates.updated(message, now_ns)
        elif isinstance(message, Fills):
            self._sender.rows += self._fates.filled(message, now_ns)
        else:
            self._sender.rows += self._fates.ended(message, now_ns)

    def _block_time(self, event: BlockTime) -> None:
        self._sender.block_time(event.ms)

    # Nonces.

    def _start(self, event: Start) -> None:
        self._mark()
        self._ask()

    def _mark(self) -> None:
        sender = self._sender
        mark = self._nonces.reserve(sender.now_ms, sender.block_estimate_ms())
        if mark is not None:
            sender.effects.append(WriteMark(mark))
        sender.effects.append(SetTimer(TimerName.MARK, sender.now_ns + self.settings.mark_ns))

    def _mark_written(self, event: MarkWritten) -> None:
        self._nonces.reserved(event.mark)
        self._prime()

    def _mark_failed(self, event: MarkFailed) -> None:
        self._nonces.not_reserved()
        self._sender.report(ReportCode.MARK_FAILED)

    def _evidence(self, event: NonceEvidence) -> None:
        before = self._nonces.state
        if self._nonces.evidence(event.newest) is NonceState.ROLLED_BACK and before is not NonceState.ROLLED_BACK:
            self._sender.report(ReportCode.NONCE_ROLLED_BACK, str(event.newest))
        self._prime()

    def _resume(self, event: Resume) -> None:
        if self._nonces.state is NonceState.ROLLED_BACK:
            self._nonces.resume()
        self._prime()

    def _prime(self) -> None:
        """The first nonce of this run goes to a noop: placements wait until one was answered, and a key that the venue
        does not know is found out before the first order."""
        is_ready = self._nonces.state is NonceState.PROVEN and self._nonces.mark > self._nonces.last
        if is_ready and not self._is_primed and self._sender.lanes.is_up:
            self._is_primed = self._sender.noop()

    # What is wanted.

    def _gate(self, event: Gate) -> None:
        self._sender.gate = event

    def _cancel_own(self, event: CancelOwn) -> None:
        self._sender.cancel_own(event.market, replaced=event.replaced)

    def _sent_elsewhere(self, event: SentElsewhere) -> None:
        self._flights.elsewhere += event.actions
        self._sender.count(event.actions)

    def _answered_elsewhere(self, event: AnsweredElsewhere) -> None:
        self._flights.elsewhere -= event.actions
        self._flights.settled(event.actions, self._sender.now_ns)

    def _deadman(self, event: Deadman) -> None:
        if not self._sender.schedule_cancel(event.time_ms):
            self._sender.report(ReportCode.DEADMAN_REFUSED, "nothing could be sent")

    def _timer(self, event: Timer) -> None:
        self._draw = event.draw
        self._timers[event.name]()
