"""Whether the venue and we think the same of the account: a pure machine, `on(event, now_ns)` gives effects in order.

A round reads states, then open orders, then fills: what is asked after a state's answer is no older than that state's
block, so all fills up to it are known when both are compared, and so are those of what the listing does not show. Our
own side is asked for only after listing and fills have been handed to the fates, and fills after the block are taken
off again. What is under way is told apart from a disagreement by reading again, each time at a later block: only what
differs at every reading, over a time in which news arrives, disagrees.

- The first agreement of a session tells the core what it starts from. It needs two readings whose listings show the
  same orders of ours (none, or those adopted): then nothing of ours was filled between, where the state was read.
- Every Begin is answered by one Agreed or Disagreed; rounds of the slow lane go on for ever and tell only Disagreed.
- Orders of ours that nobody answers for are cancelled until they are gone, those of somebody else never touched.
- Empty is told only of a listing later than the last possible expiry.

It never gives up: what is not answered is asked again, after waits that grow. The transitions are a table
(`hlhft.hyperliquid.reconcile_table`): a missing entry is an error of the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from hlhft.hyperliquid import account_requests as requests
from hlhft.hyperliquid import reconcile_rows as rows
from hlhft.hyperliquid.account import Abstraction, AccountReader
from hlhft.hyperliquid.account_requests import InfoKind, answer_weight
from hlhft.hyperliquid.connection_table import ImpossibleEvent
from hlhft.hyperliquid.messages import Fills, Fundings, Transfers
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.reconcile_compare import Account, Comparison, Difference, FillMemory, Policy
from hlhft.hyperliquid.reconcile_events import (
    Adopt,
    Agreed,
    Answer,
    Ask,
    AskOwn,
    Begin,
    BeginPeaks,
    BeginSession,
    CancelLeftovers,
    Code,
    CorePositions,
    Disagreed,
    Effect,
    Empty,
    FillsRead,
    Input,
    Leftover,
    NotEmpty,
    ProveEmpty,
    Reason,
    Report,
    ReportCode,
    Row,
    SetTimer,
    Tell,
    TellFills,
    TellListing,
    TimerName,
    Told,
    Watermark,
)
from hlhft.hyperliquid.reconcile_questions import Question, Questions, Weights
from hlhft.hyperliquid.reconcile_reading import Reading
from hlhft.hyperliquid.reconcile_settings import ReconcileSettings
from hlhft.hyperliquid.reconcile_standing import Standings
from hlhft.hyperliquid.reconcile_table import TRANSITIONS, Event, State, Step
from hlhft.hyperliquid.reconcile_tidings import Tidings
from hlhft.hyperliquid.wire import ms_of
from hlhft.units import MarketKind

CANCELS_MAX = 200  # of one action, venue reference section 4.2
DETAIL_CHARACTERS_MAX = 400  # of a report or a sentence; the rest is cut off
FOREIGN_MAX = 4_096  # orders of others that are remembered as reported; beyond, one may be reported again
FILLS_MAX = 8_192  # fills remembered
STUCK_READINGS = 10  # each so many that end in waiting are reported
DERIVED_MAX = 4  # events that one event may lead to
_SUPPORTED = frozenset({Abstraction.DEFAULT, Abstraction.DISABLED})
_DUE = {
    TimerName.QUESTIONS: Event.QUESTIONS_DUE,
    TimerName.WAIT: Event.WAIT_DUE,
    TimerName.ROUND: Event.ROUND_DUE,
    TimerName.PROOF: Event.PROOF_DUE,
}


class Reconciliation:
    """The reconciliation of one account. `weights` counts what all of this process ask of the venue."""

    def __init__(
        self, settings: ReconcileSettings, account: Account, *, user: str, weights: Weights | None = None
    ) -> None:
        self.settings = settings
        self.account = account
        self.state = State.OFF
        self.counters: Counter[str] = Counter()
        self.is_seeded = False
        self._user = user
        self._reader = AccountReader(account.markets, user=user)
        shared = Weights(settings.questions.weight_per_minute) if weights is None else weights
        self.weights = shared
        self._questions = Questions(settings.questions, shared)
        self._reading = Reading(self._reader)
        self._memory = FillMemory(account.markets, FILLS_MAX)
        self._tidings = Tidings(account)
        self._foreign: dict[int, None] = {}
        self._foreign_positions: tuple[str, ...] = ()
        self._asset_row = 0  # whose leverage is read next
        self._fills_from_ms = self._side_from_ms = settings.watermark_ms
        self._fills_asked_ms = 0
        self._is_whole = False  # whether all fills since then were told
        self._peak_micro = settings.peak_micro
        self._rounds = 0
        self._mode = Abstraction.UNRECOGNISED
        self._begin = Begin(0, Reason.SLOW)
        self._is_gating = False  # whether somebody waits for this round
        self._is_first_reading = False  # of such a round; further ones take the time that they take
        self._wave = 0
        self._standing = Standings(settings)
        self._before: frozenset[tuple[int, int]] | None = None  # adoptable orders of the reading before
        self._comparison = Comparison({}, {}, (), frozenset(), (), ())
        self._own = CorePositions(0, (), (), ())
        self._asked_own = 0
        self._ending = Difference(Code.UNSTABLE, "")
        self._proof = ProveEmpty(0, 0, 0)
        self._proof_count: int | None = None
        self._due: dict[TimerName, int] = {}
        self._armed: dict[TimerName, int] = {}
        self._effects: list[Effect] = []
        self._said: Event | None = None  # an event that follows from the present one
        self._now_ns = 0
        self._draw = 0
        self._steps: dict[Step, Callable[[Input], None]] = {
            step: getattr(self, f"_{step.name.lower()}") for step in Step
        }

    @property
    def begun_ms(self) -> int:
        """The block that the session began with, 0 before it did."""
        return self._tidings.begun_ms

    def forget_peak(self) -> None:
        """An operator resumed: what earlier sessions reached counts no more."""
        self._peak_micro = 0

    def on(self, event: Input, now_ns: int) -> list[Effect]:
        """The effects of what happened, to be performed in their order. Raises ImpossibleEvent for what cannot happen
        in this state."""
        assert now_ns >= self._now_ns, "time does not run backwards"
        self._now_ns = now_ns
        kind = self._kind(event)
        if kind is None:
            self.counters["timers too early"] += 1
        else:
            self._run(kind, event)
            derived = 0
            while self._said is not None:
                derived += 1
                assert derived <= DERIVED_MAX, "a reconciliation settles after a few transitions"
                kind, self._said = self._said, None
                self._run(kind, event)
        self._arm()
        effects, self._effects = self._effects, []
        return effects

    # Events.

    def _kind(self, event: Input) -> Event | None:
        """What the event is to the table; None for a timer that is not due."""
        if isinstance(event, Begin):
            return Event.BEGIN
        if isinstance(event, ProveEmpty):
            return Event.PROVE
        if isinstance(event, Told):
            return Event.TOLD
        if isinstance(event, CorePositions):
            is_awaited = self.state is State.COMPARING and event.number == self._asked_own
            return Event.OWN if is_awaited else Event.OUT_OF_DATE
        self._draw = event.draw
        if isinstance(event, Answer):
            return self._answer_kind(event)
        self._armed.pop(event.name, None)
        due_ns = self._due.get(event.name)
        if due_ns is None or due_ns > self._now_ns:
            return None
        del self._due[event.name]
        return _DUE[event.name]

    def _answer_kind(self, event: Answer) -> Event:
        question = self._questions.answered(event.request_id)
        if question is None:
            return Event.OUT_OF_DATE
        self._question = question
        if event.body is None:
            self._report(ReportCode.UNANSWERED, f"{question}: no answer, or a refusal")
            return Event.FAILED
        fault = self._reading.take(question.kind, question.subject, event.body)
        if fault is Fault.NONE:
            return Event.ANSWERED
        shown = event.body[:60].decode(errors="replace")
        self._report(ReportCode.UNREADABLE, f"{question}: {MEANING[fault]}; it begins with {shown!r}")
        return Event.FAILED

    def _run(self, kind: Event, event: Input) -> None:
        row = TRANSITIONS.get((self.state, kind))
        if row is None:
            raise ImpossibleEvent(f"{kind} cannot happen to a reconciliation that is {self.state}")
        self.state, steps = row
        for step in steps:
            self._steps[step](event)

    def _arm(self) -> None:
        """Asks what is due, and sets the timers that are missing or changed."""
        is_proving = self.state is State.PROVING
        for number, question in self._questions.due(self._now_ns, urgent=is_proving, awaited=self._is_first_reading):
            self._effects.append(Ask(number, question.request.body, question.request.weight))
        next_ns = self._questions.next_ns()
        if next_ns is None:
            self._due.pop(TimerName.QUESTIONS, None)
        else:
            self._due[TimerName.QUESTIONS] = next_ns
        for name, due_ns in self._due.items():
            if self._armed.get(name) != due_ns:
                self._armed[name] = due_ns
                self._effects.append(SetTimer(name, due_ns))

    def _report(self, code: ReportCode, detail: str = "") -> None:
        self.counters[code.name] += 1
        self._effects.append(Report(code, detail[:DETAIL_CHARACTERS_MAX]))

    # Steps: rounds.

    def _begin_round(self, event: Input) -> None:
        assert isinstance(event, Begin), "the step of one event"
        self._begin = event
        self._is_gating = self._is_first_reading = True
        self._start()

    def _begin_slow(self, event: Input) -> None:
        self._is_gating = self._is_first_reading = False
        self._start()

    def _start(self) -> None:
        self._due.clear()
        self._standing.clear()
        self._before = None
        self._reading = Reading(self._reader, self._now_ns)
        self._want_states()
        self._want_aside()
        self._rounds += 1

    def _read_again(self, event: Input) -> None:
        self._is_first_reading = False
        # What was asked aside is not asked again, and what it said still holds.
        self._reading.states.clear()
        self._reading.orders.clear()
        self._reading.fills.clear()
        if not self.is_seeded:
            self._reading.transfers.clear()
        self._want_states()

    def _want_states(self) -> None:
        self._wave = 1
        self._questions.drop()
        for dex in self.account.dexs:
            self._want(requests.of_user(InfoKind.STATE, self._user, dex=dex), subject=dex)
        self._want(requests.of_user(InfoKind.SPOT_STATE, self._user), is_needed=self._needs_all)

    @property
    def _needs_all(self) -> bool:
        """Whether a round can do without nothing: the first one, and where there are balances to compare."""
        return self.account.has_spot or not self.is_seeded

    def _want_aside(self) -> None:
        """What is read once a round, or seldom."""
        is_needed = not self.is_seeded
        self._want(requests.of_user(InfoKind.RATE_LIMIT, self._user), is_needed=is_needed)
        self._want_assets()
        if self.is_seeded and self._mode in _SUPPORTED and self._rounds % self.settings.seldom_rounds:
            return
        self._want(requests.of_user(InfoKind.ABSTRACTION, self._user), is_needed=is_needed)
        self._want(requests.of_user(InfoKind.FEES, self._user), is_needed=is_needed)
        if self.is_seeded:
            self._want_since(InfoKind.TRANSFERS, self._side_from_ms, is_needed=False)
        self._want_since(InfoKind.FUNDINGS, self._side_from_ms, is_needed=is_needed)

    def _want_since(self, kind: InfoKind, from_ms: int, *, is_needed: bool) -> None:
        if from_ms:
            start = max(from_ms - self.settings.overlap_ms, 0)
            self._want(requests.of_time(kind, self._user, start), subject=str(start), is_needed=is_needed)

    def _want_assets(self) -> None:
        """The leverage of a few markets, one after the other."""
        markets = self.account.markets
        for _ in range(min(self.settings.assets_per_round, len(markets))):
            market = markets[self._asset_row]
            self._asset_row = (self._asset_row + 1) % len(markets)
            if market.kind is not MarketKind.SPOT:
                self._want(requests.asset_data(self._user, market.name), subject=market.name, is_needed=False)

    def _want(self, request: requests.InfoRequest, *, subject: str = "", is_needed: bool = True) -> None:
        self._questions.want(request, self._now_ns, subject=subject, is_needed=is_needed)

    # Steps: answers.

    def _take(self, event: Input) -> None:
        kind, subject = self._question.kind, self._question.subject
        self._questions.weights.spend(answer_weight(kind, self._reading.items(kind)), self._now_ns)
        page_ms = self._reading.next_page_ms(kind, subject)
        if page_ms is not None:
            request = requests.of_time(kind, self._user, page_ms)
            self._want(request, subject=str(page_ms), is_needed=self._question.is_needed)
        self._advance()

    def _ask_again(self, event: Input) -> None:
        self._fail(self._question)
        self._advance()

    def _fail(self, question: Question) -> None:
        """Asks again later, or gives up what the round can do without."""
        if not question.is_needed and question.tries + 1 >= self.settings.tries_needless:
            self._report(ReportCode.GIVEN_UP, str(question))
            return
        if question.tries + 1 == self.settings.tries_reported:
            self._report(ReportCode.STUCK, f"{question} was asked {self.settings.tries_reported} times in vain")
        self._questions.failed(question, self._now_ns, self._draw)

    def _ask(self, event: Input) -> None:
        for question in self._questions.lost(self._now_ns):
            self._report(ReportCode.UNANSWERED, f"{question}: no answer in time")
            self._fail(question)
        self._advance()

    def _advance(self) -> None:
        """The next questions when all are answered, or the end of the reading. Where somebody waits, what the round can
        do without is not waited for."""
        if self._questions.needed() if self._is_gating else len(self._questions):
            return
        if self._wave == 1:
            self._wave = 2
            for dex in self.account.dexs:
                self._want(requests.of_user(InfoKind.OPEN_ORDERS, self._user, dex=dex), subject=dex)
            return
        if self._wave == 2 and self.state is State.READING:
            self._wave = 3
            self._want_fills()
            return
        for question in self._questions.drop():
            self._report(ReportCode.GIVEN_UP, str(question))
        self._said = Event.READ

    def _want_fills(self) -> None:
        """Once the listings are there: what is not on them may have been filled until they were made."""
        block_ms = self._reading.block_ms
        start_ms = max(min(self._fills_from_ms or block_ms, block_ms) - self.settings.overlap_ms, 0)
        self._fills_asked_ms, self._reading.listed_ns = start_ms, self._now_ns
        self._want(requests.of_time(InfoKind.FILLS, self._user, start_ms), subject=str(start_ms))
        if not self.is_seeded and block_ms > self._begin.settled_ms:
            # After the state, too: what its equity holds is to be known. No session begins earlier.
            self._want_since(InfoKind.TRANSFERS, self.settings.transfers_ms, is_needed=True)

    def _count(self, event: Input) -> None:
        self.counters["events out of date"] += 1

    # Steps: what was read.

    def _hand_over(self, event: Input) -> None:
        """Listing and fills to the fates first, so that our own side knows all of both."""
        reading = self._reading
        fills = tuple(reading.fills)
        self._memory.note(fills)
        self._effects.append(TellFills(Fills(fills=fills, is_snapshot=True, user=self._user)))
        self._effects.append(TellListing(reading.listing(), reading.block_ms, reading.listed_ns))
        self._is_whole = InfoKind.FILLS not in reading.beyond
        for kind in reading.beyond:
            self._report(ReportCode.FILLS_BEYOND, f"{kind}: more pages than the venue tells")
        reading.beyond.clear()
        if self.is_seeded:
            self._tell(self._tidings.of_reading(reading, self._now_ns))
        self._fills_from_ms = reading.block_ms
        self._asked_own += 1
        self._effects.append(AskOwn(self._asked_own))

    def _tell(self, told: list[Row]) -> None:
        if told:
            self._effects.append(Tell(told, self._reading.begun_ns))
        for text in self._tidings.unknown:
            self._report(ReportCode.TRANSFER_UNKNOWN, text)
        self._tidings.unknown.clear()

    def _note(self, event: Input) -> None:
        assert isinstance(event, Told), "the step of one event"
        message = event.message
        if isinstance(message, Fills):
            self._memory.note(message.fills)
        elif self.is_seeded and isinstance(message, Transfers):
            self._tell(self._tidings.of_transfers(message.transfers, self._now_ns))
        elif self.is_seeded and isinstance(message, Fundings):
            self._tell(self._tidings.of_fundings(message.payments, self._now_ns))

    # Steps: comparing.

    def _compare(self, event: Input) -> None:
        assert isinstance(event, CorePositions), "the step of one event"
        self._own = event
        # Before a session begins there is nothing to hold against the venue's positions, and orders can be adopted.
        policy = Policy.CANCEL if self.is_seeded else self.settings.policy
        memory = self._memory if self.is_seeded else None
        found = self.account.compare(self._reading, event, memory, policy=policy)
        self._comparison = found
        self._report_foreign(found)
        standing = self._standing.read(found.differences, self._reading.block_ms)
        self._cancel(found.leftovers)
        self._said = self._verdict(found, standing)

    def _verdict(self, found: Comparison, standing: Difference | None) -> Event:
        """What the comparison means."""
        if self._reading.mode is not None:
            self._mode = self._reading.mode
        if self._mode not in _SUPPORTED:
            self._ending = Difference(
                Code.MODE,
                f"the account is in mode {self._mode or 'unrecognised'}, and only default and disabled (Manual,"
                " Standard) are supported, as balances of the others hang together otherwise; switch it at the venue",
            )
            return Event.DISAGREES
        if standing is not None:
            self._ending = standing
            return Event.DISAGREES
        if found.differences:
            self._before = None
            self._report(ReportCode.DIFFERS, "; ".join(one.sentence for one in found.differences.values()))
            return Event.DIFFERS
        unsettled = self._unsettled(found) if self._is_gating or not self.is_seeded else ()
        if unsettled:
            if self._standing.readings % STUCK_READINGS == 0:
                self._report(ReportCode.STUCK, "; ".join(unsettled))
            return Event.DIFFERS
        if self.is_seeded:
            return Event.AGREES
        present = frozenset((order.oid, order.left_lots) for order in found.adoptable)
        is_same, self._before = present == self._before, present
        return Event.SEEDS if is_same else Event.CONFIRM

    def _unsettled(self, found: Comparison) -> tuple[str, ...]:
        """What is waited for, without an end: evidence comes, or somebody must look."""
        block_ms = self._reading.block_ms
        waited = found.unsettled
        if block_ms <= self._begin.settled_ms:
            waited += (f"orders of an earlier session may arrive until block {self._begin.settled_ms}",)
        if not self.is_seeded:
            equity = self.account.equity_micro(self._reading, self._own.marks_ticks)
            waited += (equity,) if isinstance(equity, str) else ()
        return waited

    def _cancel(self, leftovers: Mapping[str, tuple[Leftover, bool]]) -> None:
        """Cancels what nobody answers for: at once when it is of an earlier session, else when it still stands, as news
        of its end may be under way."""
        orders = [
            leftover
            for subject, (leftover, is_earlier) in leftovers.items()
            if leftover.asset_id >= 0 and (is_earlier or self._standing.count(subject) > 1)
        ]
        if orders:
            self._report(ReportCode.LEFTOVERS, f"{len(orders)} orders, the first in {orders[0].coin}")
        for start in range(0, len(orders), CANCELS_MAX):
            self._effects.append(CancelLeftovers(tuple(orders[start : start + CANCELS_MAX])))

    def _report_foreign(self, found: Comparison) -> None:
        """Each order and set of positions of somebody else once."""
        new = [oid for oid in sorted(found.foreign_orders) if oid not in self._foreign]
        if new:
            self._report(ReportCode.FOREIGN_ORDERS, f"{len(found.foreign_orders)} open, the newest {new[-1]}")
            self._foreign |= dict.fromkeys(new)
            for oid in list(self._foreign)[:-FOREIGN_MAX]:
                del self._foreign[oid]
        if found.foreign_positions and found.foreign_positions != self._foreign_positions:
            self._report(ReportCode.FOREIGN_POSITIONS, ", ".join(found.foreign_positions))
        self._foreign_positions = found.foreign_positions

    # Steps: ends of a round.

    def _seed(self, event: Input) -> None:
        reading, block_ms, now_ns = self._reading, self._reading.block_ms, self._now_ns
        transferred = self._transferred_micro(block_ms)
        self._effects.append(BeginPeaks(transferred, block_ms))
        self._tidings.begun_ms = block_ms
        told = self._tidings.of_reading(reading, now_ns)
        for row in range(len(self.account.markets)):
            lots, _ = self.account.venue_lots(row, reading)
            mark = (reading.mark_ticks(row) or self._own.marks_ticks[row]) if lots else 0
            told.append(rows.position_state(row, lots, mark, block_ms, now_ns))
        # Before the equity: beside it, a peak that does not know of a withdrawal is a loss.
        if self._peak_micro and self._peak_micro + transferred > 0:
            told.append(rows.restored_peak(self._peak_micro + transferred, self.settings.peak_ns, block_ms, now_ns))
        told.append(self._equity_row(rows.START))
        self._tell(told)
        if self._comparison.adoptable:
            # Before the fills that were told since: some may be of these orders, and count for nobody's else.
            self._report(ReportCode.ADOPTED, f"{len(self._comparison.adoptable)} orders")
            self._effects.append(Adopt(self._comparison.adoptable, block_ms))
        self._effects.append(BeginSession(block_ms))

    def _transferred_micro(self, block_ms: int) -> int:
        """What was moved up to the block that the session begins with, and is not in the earlier sessions' peak."""
        known_ms, total = self.settings.transfers_ms, 0
        for transfer in {(one.ts_ns, one.hash, one.text): one for one in self._reading.transfers}.values():
            if not 0 < known_ms < ms_of(transfer.ts_ns) <= block_ms:
                continue
            if transfer.amount_micro is None:
                self._report(ReportCode.TRANSFER_UNKNOWN, transfer.text)
            else:
                total += transfer.amount_micro
        return total

    def _equity_row(self, which: int) -> Row:
        equity = self.account.equity_micro(self._reading, self._own.marks_ticks)
        assert isinstance(equity, int), "equity is told once it is known"
        return rows.equity_state(equity, which, self._reading.block_ms, self._now_ns)

    def _agree(self, event: Input) -> None:
        reading = self._reading
        is_first, self.is_seeded = not self.is_seeded, True
        if not is_first and reading.spot is not None:
            equity = self.account.equity_micro(reading, self._own.marks_ticks)
            if isinstance(equity, int):
                self._tell([rows.equity_state(equity, rows.CHECK, reading.block_ms, self._now_ns)])
        if is_first or all(map(reading.was_read, (InfoKind.TRANSFERS, InfoKind.FUNDINGS))):
            self._side_from_ms = reading.block_ms
        if self._is_whole:
            # Not before it agrees: by the fills up to a listing the fates bury what is not on it, and what counts as
            # resting and is not listed is asked about first.
            self._effects.append(FillsRead(self._fills_asked_ms, reading.block_ms, reading.listed_ns))
        self._effects.append(Watermark(reading.block_ms))
        self._report(ReportCode.AGREED, f"after {self._standing.readings} readings, at block {reading.block_ms}")
        if self._is_gating:
            self._effects.append(Agreed(self._begin.number, reading.block_ms))

    def _disagree(self, event: Input) -> None:
        told = self._ending.sentence[:DETAIL_CHARACTERS_MAX]
        self._effects.append(Disagreed(self._begin.number, told, self._ending.code))

    def _wait(self, event: Input) -> None:
        waits = self.settings.waits
        tries = min(self._standing.readings - 1, waits.longest_ns.bit_length())
        self._due[TimerName.WAIT] = self._now_ns + min(waits.first_ns << tries, waits.longest_ns)

    def _rest(self, event: Input) -> None:
        self._questions.drop()
        self._due[TimerName.ROUND] = self._now_ns + self.settings.round_ns

    # Steps: proof.

    def _begin_proof(self, event: Input) -> None:
        assert isinstance(event, ProveEmpty), "the step of one event"
        self._proof = event
        self._proof_count = None
        self._due = {TimerName.PROOF: event.deadline_ns}
        self._standing.clear()
        self._reading = Reading(self._reader)
        self._want_proof()

    def _prove_again(self, event: Input) -> None:
        self._reading.states.clear()
        self._reading.orders.clear()
        self._want_proof()

    def _want_proof(self) -> None:
        self._wave = 1
        self._questions.drop()
        for dex in self.account.dexs:
            self._want(requests.of_user(InfoKind.STATE, self._user, dex=dex), subject=dex)

    def _judge(self, event: Input) -> None:
        """Whether a listing that no order can come after shows none of ours; what stands in two is cancelled."""
        own = [order for order in self._reading.listing() if self.account.is_own(order)]
        self._proof_count = len(own)
        self._effects.append(TellListing(self._reading.listing(), self._reading.block_ms, self._now_ns))
        if not own and self._reading.block_ms > self._proof.expiry_ms:
            self._said = Event.PROVEN
            return
        leftovers = {f"leftover {order.oid}": (self.account.leftover(order), False) for order in own}
        differences = {subject: Difference(Code.LEFTOVERS, one.coin) for subject, (one, _) in leftovers.items()}
        self._standing.read(differences, self._reading.block_ms)
        self._cancel(leftovers)
        self._said = Event.UNPROVEN

    def _tell_empty(self, event: Input) -> None:
        self._effects.append(Empty(self._proof.number, self._reading.block_ms))

    def _tell_not_empty(self, event: Input) -> None:
        self._effects.append(NotEmpty(self._proof.number, self._proof_count))

    def _stop(self, event: Input) -> None:
        self._questions.drop()
        self._due.clear()
