"""Questions to the venue that are asked until they are answered: deadlines, waits that grow, and the weight they cost.

Pure: what is to be asked is fetched with `due`, time is an argument. Answers are told apart by their number, which is
never used again: what comes twice, late, or for a question that was dropped fits none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hlhft.hyperliquid.account_requests import InfoKind, InfoRequest
from hlhft.hyperliquid.backoff import SECOND_NS, WINDOW_NS, BackoffSettings, wait_ns

WEIGHT_PER_MINUTE_MAX = 1_200  # of an IP address, venue reference section 7
QUESTIONS_MAX = 1_000  # at once; markets are at most this many
_BACKOFF = BackoffSettings(longest_ns=10 * SECOND_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSettings:
    """The numbers of asking. Raises ValueError when one is out of range."""

    answer_ns: int = 5 * SECOND_NS  # until an answer counts as lost
    weight_per_minute: int = 600  # our share of what the IP address may spend on questions
    weight_kept: int = 300  # on top, for what must be answered before anything is quoted
    backoff: BackoffSettings = _BACKOFF

    def __post_init__(self) -> None:
        if self.answer_ns <= 0:
            raise ValueError(f"answer_ns of questions is {self.answer_ns}, and must be more than 0")
        if self.weight_kept < 0:
            raise ValueError(f"weight_kept of questions is {self.weight_kept}, and must not be below 0")
        if not 60 <= self.weight_per_minute <= WEIGHT_PER_MINUTE_MAX:
            # The dearest question costs 60.
            raise ValueError(
                f"weight_per_minute of questions is {self.weight_per_minute}: from 60 to {WEIGHT_PER_MINUTE_MAX}"
            )


DEFAULTS = QuestionSettings()


class Weights:
    """What was spent within the last minute, on questions and on what their answers held."""

    __slots__ = ("_spent", "_sum", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._spent: deque[tuple[int, int]] = deque(maxlen=WEIGHT_PER_MINUTE_MAX)
        self._sum = 0

    def used(self, now_ns: int) -> int:
        """The weight that counts now."""
        while self._spent and self._spent[0][0] <= now_ns - WINDOW_NS:
            self._sum -= self._spent.popleft()[1]
        return self._sum

    def wait_ns(self, weight: int, now_ns: int, *, kept: int = 0) -> int:
        """After how long so much fits, 0 for now; `kept` may be used on top of the limit."""
        excess = self.used(now_ns) + weight - self.limit - kept
        for at_ns, spent in self._spent:
            if excess <= 0:
                break
            excess -= spent
            if excess <= 0:
                return at_ns + WINDOW_NS - now_ns
        return 0

    def spend(self, weight: int, now_ns: int) -> None:
        """Counts what is spent now, whether it fits or not."""
        if weight:
            if len(self._spent) == self._spent.maxlen:
                self._sum -= self._spent[0][1]
            self._spent.append((now_ns, weight))
            self._sum += weight


class Question:
    """One question: what is asked, about what (`subject`: a dex, a coin or the beginning of a page), and how often it
    was asked in vain. `is_needed` is False for one that may be given up."""

    __slots__ = ("due_ns", "is_needed", "request", "subject", "tries")

    def __init__(self, request: InfoRequest, subject: str, *, is_needed: bool, due_ns: int) -> None:
        self.request = request
        self.subject = subject
        self.is_needed = is_needed
        self.due_ns = due_ns  # when it is to be asked, or, once it was, when its answer counts as lost
        self.tries = 0

    @property
    def kind(self) -> InfoKind:
        """What is asked."""
        return self.request.kind

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}".strip()


class Questions:
    """The questions of one reader. `weights` counts what all of this process ask."""

    def __init__(self, settings: QuestionSettings, weights: Weights) -> None:
        self.settings = settings
        self.weights = weights
        self._numbers = 0
        self._waiting: list[Question] = []
        self._open: dict[int, Question] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._open)

    def want(self, request: InfoRequest, now_ns: int, *, subject: str = "", is_needed: bool = True) -> None:
        """Asks it from now on."""
        assert len(self) < QUESTIONS_MAX, "questions come one by market at most"
        self._waiting.append(Question(request, subject, is_needed=is_needed, due_ns=now_ns))

    def needed(self) -> int:
        """How many there are that must be answered."""
        return sum(one.is_needed for one in (*self._waiting, *self._open.values()))

    def drop(self) -> list[Question]:
        """Asks nothing any more, and returns what was not answered; answers to it fit no question."""
        dropped = [*self._waiting, *self._open.values()]
        self._waiting.clear()
        self._open.clear()
        return dropped

    def due(self, now_ns: int, *, urgent: bool = False, awaited: bool = False) -> list[tuple[int, Question]]:
        """The questions to be asked now, each with its number. What is `urgent` does not wait for the weight; while
        somebody waits for what must be answered (`awaited`), it may use what is kept for that."""
        asked: list[tuple[int, Question]] = []
        for question in [one for one in self._waiting if one.due_ns <= now_ns]:
            kept = self.settings.weight_kept if awaited and question.is_needed else 0
            wait = 0 if urgent else self.weights.wait_ns(question.request.weight, now_ns, kept=kept)
            if wait:
                question.due_ns = now_ns + wait
                continue
            self._waiting.remove(question)
            self.weights.spend(question.request.weight, now_ns)
            self._numbers += 1
            question.due_ns = now_ns + self.settings.answer_ns
            self._open[self._numbers] = question
            asked.append((self._numbers, question))
        return asked

    def answered(self, number: int) -> Question | None:
        """The question of an answer, which is over; None when the answer fits none."""
        return self._open.pop(number, None)

    def failed(self, question: Question, now_ns: int, draw: int) -> None:
        """Asks it again, after a wait that grows with the tries."""
        question.due_ns = now_ns + wait_ns(question.tries, draw, self.settings.backoff)
        question.tries += 1
        self._waiting.append(question)

    def lost(self, now_ns: int) -> list[Question]:
        """The questions whose answers count as lost now; they are asked no more."""
        numbers = [number for number, question in self._open.items() if question.due_ns <= now_ns]
        return [self._open.pop(number) for number in numbers]

    def next_ns(self) -> int | None:
        """When something is to be done next; None without questions."""
        return min((one.due_ns for one in (*self._waiting, *self._open.values())), default=None)
