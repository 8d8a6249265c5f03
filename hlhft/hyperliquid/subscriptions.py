"""What one socket should be subscribed to, and how far each subscription has come (venue reference section 6).

What is desired is the only truth: from it and from what the venue has answered follows what is to be sent next. At most
one request of a subscription is under way at a time, so that an answer belongs to the latest; each has a deadline.
Answers carry no number: acknowledgements repeat the subscription in the venue's normal form, errors quote it in their
text. Pure: time is an argument, in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from hlhft.hyperliquid.backoff import SECOND_NS, Budget

ALL_MARKETS = -1  # the market of what concerns all of them: the streams of the user
SUBSCRIPTIONS_MAX = 1000  # of one IP address (venue reference section 7)
ERROR_CHARACTERS_MAX = 4096  # of an error's text that are looked at
Item = tuple[str, str | int | float]


class StreamKind(StrEnum):
    """What a stream brings; the value is the venue's name, but for the book of five levels, which has no own."""

    BOOK = "l2Book"
    FAST_BOOK = "l2Book fast"
    BBO = "bbo"
    TRADES = "trades"
    CONTEXT = "activeAssetCtx"
    ORDER_UPDATES = "orderUpdates"
    USER_FILLS = "userFills"
    USER_EVENTS = "userEvents"
    USER_FUNDINGS = "userFundings"
    LEDGER_UPDATES = "userNonFundingLedgerUpdates"
    OPEN_ORDERS = "openOrders"
    ACCOUNT_STATE = "clearinghouseState"
    SPOT_STATE = "spotState"


OF_MARKET = frozenset({StreamKind.BOOK, StreamKind.FAST_BOOK, StreamKind.BBO, StreamKind.TRADES, StreamKind.CONTEXT})
# How old the latest data may become, in three to five of the measured cadences: 5.4 s, 0.54 s and 1 s (venue reference
# sections 6.2 and 6.3). The others come when something happens, and silence says nothing about them.
AGE_NS_MAX: Mapping[StreamKind, int] = {
    StreamKind.BOOK: 16 * SECOND_NS,
    StreamKind.FAST_BOOK: 2 * SECOND_NS,
    StreamKind.CONTEXT: 5 * SECOND_NS,
}
Key = tuple[int, StreamKind]  # market, kind: one stream of each at most


class Stream(Struct, frozen=True):
    """One subscription that is wanted: `subject` is the coin, or the user's address; `market` the row of the coin, or
    ALL_MARKETS for a user's. Data older than `age_ns_max` is stale; 0 where data comes without a cadence."""

    kind: StreamKind
    market: int
    subject: str
    age_ns_max: int = 0

    @property
    def key(self) -> Key:
        """What tells it from the other streams of a socket."""
        return self.market, self.kind

    def subscription(self) -> dict[str, str | bool]:
        """As the venue wants it in a request."""
        if self.kind is StreamKind.FAST_BOOK:
            return {"type": "l2Book", "coin": self.subject, "fast": True}
        return {"type": str(self.kind), "coin" if self.kind in OF_MARKET else "user": self.subject}


def market_stream(kind: StreamKind, market: int, coin: str, *, age_ns_max: int | None = None) -> Stream:
    """A stream of a market; without an age, with that of AGE_NS_MAX."""
    return Stream(kind, market, coin, AGE_NS_MAX.get(kind, 0) if age_ns_max is None else age_ns_max)


def user_stream(kind: StreamKind, address: str) -> Stream:
    """A stream of a user."""
    return Stream(kind, ALL_MARKETS, address.lower())


def normal_form(subscription: Mapping[str, Any]) -> tuple[Item, ...]:
    """Equal for a request and the venue's acknowledgement of it, which fills in defaults: `nSigFigs` null, `fast`
    false, `dex` empty. Addresses are compared in lower case. Values that are no texts or numbers are left out."""
    items = []
    for name, value in sorted(subscription.items()):
        if isinstance(value, (str, int, float)) and value is not False and value != "":
            items.append((name, value.lower() if name == "user" and isinstance(value, str) else value))
    return tuple(items)


class Stage(StrEnum):
    """How far a subscription has come."""

    ABSENT = "absent"
    ASKED = "asked"  # subscribe is under way
    ACTIVE = "active"
    LEAVING = "leaving"  # unsubscribe is under way
    REFUSED = "refused"  # asked again later


class Word(StrEnum):
    """What happens to a subscription."""

    SUBSCRIBE = "subscribe sent"
    UNSUBSCRIBE = "unsubscribe sent"
    SUBSCRIBED = "subscribe acknowledged"
    UNSUBSCRIBED = "unsubscribe acknowledged"
    ALREADY_SUBSCRIBED = "error: already subscribed"
    ALREADY_UNSUBSCRIBED = "error: already unsubscribed"
    REFUSAL = "another error"
    OVERDUE = "deadline"
    OVERDUE_UNWANTED = "deadline of what is wanted no more"
    SOCKET_LOST = "socket lost"


class Verdict(StrEnum):
    """What an error frame was about."""

    SETTLED = "a request whose end is reached already"
    REFUSED = "a subscription that is refused"
    UNKNOWN = "no request that is under way"


TRANSITIONS: dict[tuple[Stage, Word], Stage] = {
    (Stage.ABSENT, Word.SUBSCRIBE): Stage.ASKED,
    # Answers after the deadline tell the truth all the same.
    (Stage.ABSENT, Word.SUBSCRIBED): Stage.ACTIVE,
    (Stage.ABSENT, Word.ALREADY_SUBSCRIBED): Stage.ACTIVE,
    (Stage.ABSENT, Word.UNSUBSCRIBED): Stage.ABSENT,
    (Stage.ABSENT, Word.ALREADY_UNSUBSCRIBED): Stage.ABSENT,
    (Stage.ABSENT, Word.REFUSAL): Stage.ABSENT,
    (Stage.ABSENT, Word.SOCKET_LOST): Stage.ABSENT,
    (Stage.ASKED, Word.SUBSCRIBED): Stage.ACTIVE,
    (Stage.ASKED, Word.ALREADY_SUBSCRIBED): Stage.ACTIVE,
    # Late, of a request before this one.
    (Stage.ASKED, Word.UNSUBSCRIBED): Stage.ASKED,
    (Stage.ASKED, Word.ALREADY_UNSUBSCRIBED): Stage.ASKED,
    (Stage.ASKED, Word.REFUSAL): Stage.REFUSED,
    # Whether it began is found out by asking again; or, when it is wanted no more, by ending it.
    (Stage.ASKED, Word.OVERDUE): Stage.ABSENT,
    (Stage.ASKED, Word.OVERDUE_UNWANTED): Stage.ACTIVE,
    (Stage.ASKED, Word.SOCKET_LOST): Stage.ABSENT,
    (Stage.ACTIVE, Word.UNSUBSCRIBE): Stage.LEAVING,
    (Stage.ACTIVE, Word.SUBSCRIBED): Stage.ACTIVE,
    (Stage.ACTIVE, Word.ALREADY_SUBSCRIBED): Stage.ACTIVE,
    # The venue says that it ended: it is asked for again.
    (Stage.ACTIVE, Word.UNSUBSCRIBED): Stage.ABSENT,
    (Stage.ACTIVE, Word.ALREADY_UNSUBSCRIBED): Stage.ABSENT,
    (Stage.ACTIVE, Word.REFUSAL): Stage.ACTIVE,
    (Stage.ACTIVE, Word.SOCKET_LOST): Stage.ABSENT,
    (Stage.LEAVING, Word.SUBSCRIBED): Stage.LEAVING,
    (Stage.LEAVING, Word.ALREADY_SUBSCRIBED): Stage.LEAVING,
    (Stage.LEAVING, Word.UNSUBSCRIBED): Stage.ABSENT,
    (Stage.LEAVING, Word.ALREADY_UNSUBSCRIBED): Stage.ABSENT,
    # It does not know what to end, or does not tell: whether there is one is found out by asking for it.
    (Stage.LEAVING, Word.REFUSAL): Stage.ABSENT,
    (Stage.LEAVING, Word.OVERDUE): Stage.ABSENT,
    (Stage.LEAVING, Word.OVERDUE_UNWANTED): Stage.ACTIVE,
    (Stage.LEAVING, Word.SOCKET_LOST): Stage.ABSENT,
    (Stage.REFUSED, Word.SUBSCRIBED): Stage.ACTIVE,
    (Stage.REFUSED, Word.ALREADY_SUBSCRIBED): Stage.ACTIVE,
    (Stage.REFUSED, Word.UNSUBSCRIBED): Stage.REFUSED,
    (Stage.REFUSED, Word.ALREADY_UNSUBSCRIBED): Stage.REFUSED,
    (Stage.REFUSED, Word.REFUSAL): Stage.REFUSED,
    (Stage.REFUSED, Word.OVERDUE): Stage.ABSENT,
    (Stage.REFUSED, Word.SOCKET_LOST): Stage.ABSENT,
}

# The errors that say how things are already begin so; all others are refusals (venue reference section 6.1).
_ALREADY = (
    ("Already subscribed", Word.ALREADY_SUBSCRIBED),
    ("Already unsubscribed", Word.ALREADY_UNSUBSCRIBED),
)
_VERDICTS = {Stage.ASKED: Verdict.REFUSED, Stage.LEAVING: Verdict.SETTLED}
_OCCUPYING = frozenset({Stage.ASKED, Stage.ACTIVE, Stage.LEAVING})  # at the venue, or perhaps
_ANSWERS = {"subscribe": Word.SUBSCRIBED, "unsubscribe": Word.UNSUBSCRIBED}


def subscriptions_table() -> str:
    """The transitions as a Markdown table, one line a stage; the documentation prints it."""
    rows = ["| stage | what happens → next stage; anything else is an error |", "| --- | --- |"]
    for stage in Stage:
        cells = ", ".join(f"{word} → {TRANSITIONS[stage, word]}" for word in Word if (stage, word) in TRANSITIONS)
        rows.append(f"| {stage} | {cells} |")
    return "\n".join(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """Deadlines and bounds of the subscriptions of one socket."""

    answer_ns: int = 3 * SECOND_NS  # for one answer
    tries_max: int = 3  # requests of a subscription without an answer; then the socket is given up
    refused_ns: int = 60 * SECOND_NS  # until what was refused is asked for again
    subscriptions_max: int = SUBSCRIPTIONS_MAX
    messages_kept: int = 100  # of the budget of messages, for pings and others that cannot wait

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of the subscriptions is {getattr(self, name)}, and must be more than 0")


DEFAULTS = SubscriptionSettings()


class _Line:
    """One subscription of this socket."""

    __slots__ = ("is_desired", "is_renewed", "stage", "stream", "tries")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.stage = Stage.ABSENT
        self.is_desired = True
        self.is_renewed = False  # to be ended and begun again
        self.tries = 0  # requests since the last answer


def checked(streams: Iterable[Stream], settings: SubscriptionSettings) -> dict[Key, Stream]:
    """By key. Raises ValueError for what no socket can be subscribed to: two streams of one kind and market, too many,
    two users (`orderUpdates` and `userEvents` do not say whose they are), or a market where a user belongs."""
    made: dict[Key, Stream] = {}
    users, forms = set(), set()
    for stream in streams:
        if (stream.kind in OF_MARKET) != (stream.market >= 0) or not stream.subject or stream.age_ns_max < 0:
            raise ValueError(
                f"{stream}: a stream has a coin and its market, or a user and none, and an age of 0 or more"
            )
        if stream.key in made:
            raise ValueError(f"{stream.kind} of {stream.subject} is wanted twice: name each stream of a market once")
        made[stream.key] = stream
        forms.add(normal_form(stream.subscription()))
        if stream.kind not in OF_MARKET:
            users.add(stream.subject)
    if len(forms) < len(made):
        raise ValueError("a coin is wanted for two markets: each coin has one row")
    if len(users) > 1:
        raise ValueError(f"one socket serves one user: give each of {', '.join(sorted(users))} a socket of its own")
    if len(made) > settings.subscriptions_max:
        raise ValueError(f"{len(made)} streams are wanted, and the venue allows {settings.subscriptions_max}")
    return made


class Subscriptions:
    """The subscriptions of one socket; at most twice `subscriptions_max` are known, the wanted and the leaving ones."""

    def __init__(self, messages: Budget, settings: SubscriptionSettings = DEFAULTS) -> None:
        self.settings = settings
        self._messages = messages
        self._lines: dict[Key, _Line] = {}
        self._by_form: dict[tuple[Item, ...], _Line] = {}
        self._desired: dict[Key, Stream] = {}
        self._of_user: tuple[Key, ...] = ()
        self._todo: dict[Key, None] = {}  # for which something is to be sent
        self._deadlines: dict[Key, int] = {}  # in the order of the requests, and so of the deadlines
        self._refusals: dict[Key, int] = {}  # when to ask again, ascending as well
        self._changed: dict[Key, None] = {}  # which became active, or are so no more
        self._blocked_ns: int | None = None  # until the budget has room

    # What is wanted.

    @property
    def desired(self) -> Sequence[Stream]:
        """What is wanted, in the order in which it was told."""
        return tuple(self._desired.values())

    def desire(self, streams: Iterable[Stream]) -> None:
        """From now on exactly these are wanted. Raises ValueError as `checked`, or when a coin changes its market, and
        changes nothing then."""
        wanted = checked(streams, self.settings)
        for stream in wanted.values():
            known = self._by_form.get(normal_form(stream.subscription()))
            if known is not None and known.stream.key != stream.key:
                raise ValueError(f"{stream.subject} was market {known.stream.market}: the row of a coin never changes")
        self._desired = wanted
        self._of_user = tuple(key for key in wanted if key[0] == ALL_MARKETS)
        for key, line in list(self._lines.items()):
            line.is_desired = key in wanted and wanted[key].subscription() == line.stream.subscription()
            if line.is_desired:
                line.stream = wanted[key]
            self._plan(line)
        for stream in wanted.values():
            if stream.key not in self._lines:
                self._add(stream)

    def renew(self, key: Key) -> None:
        """Ends an active subscription and begins it again: what was wrong at the venue may be well then. What is not
        active is being asked for anyway."""
        line = self._lines[key]
        if line.stage is Stage.ACTIVE:
            line.is_renewed = True
            self._plan(line)

    def stage(self, key: Key) -> Stage:
        """How far the subscription that is wanted has come; absent, too, while another subject's is leaving."""
        line = self._lines.get(key)
        return line.stage if line is not None and line.is_desired else Stage.ABSENT

    def stream(self, key: Key) -> Stream:
        """The stream that is wanted. Raises KeyError when none is."""
        return self._desired[key]

    def is_settled(self) -> bool:
        """Whether all that is wanted is active, or of a market and refused, and nothing is under way."""
        return not (self._todo or self._deadlines) and all(
            self.stage(key) is Stage.ACTIVE or (key[0] >= 0 and self.stage(key) is Stage.REFUSED)
            for key in self._desired
        )

    def has_user(self) -> bool:
        """Whether all wanted streams of the user are active."""
        return all(self.stage(key) is Stage.ACTIVE for key in self._of_user)

    def changed(self) -> list[Key]:
        """Which became active or are so no more since the last call; some may have done both."""
        keys = list(self._changed)
        self._changed.clear()
        return keys

    # What is sent.

    def flush(self, now_ns: int) -> list[bytes]:
        """The messages to send now, as far as the budget allows: what ends comes first, then in the order wanted."""
        if not self._todo:
            self._blocked_ns = None
            return []
        if self._blocked_ns is not None and now_ns < self._blocked_ns:
            return []
        sent = []
        self._blocked_ns = None
        keep = min(self.settings.messages_kept, self._messages.limit - 1)
        room = self.settings.subscriptions_max - sum(line.stage in _OCCUPYING for line in self._lines.values())
        for key in sorted(self._todo, key=lambda key: self._lines[key].stage is not Stage.ACTIVE):
            line = self._lines[key]
            ends = line.stage is Stage.ACTIVE
            if not ends and room <= 0:
                break
            wait_ns = self._messages.take(now_ns, keep=keep)
            if wait_ns:
                self._blocked_ns = now_ns + wait_ns
                break
            room -= not ends
            line.tries += 1
            self._deadlines[key] = now_ns + self.settings.answer_ns
            self._move(line, Word.UNSUBSCRIBE if ends else Word.SUBSCRIBE)
            sent.append(message("unsubscribe" if ends else "subscribe", line.stream))
        return sent

    # What comes back.

    def acknowledged(self, method: str, subscription: Mapping[str, Any], now_ns: int) -> bool:
        """Notes a `subscriptionResponse`; whether it was about one that is known here."""
        word = _ANSWERS.get(method)
        line = self._by_form.get(normal_form(subscription))
        if word is None or line is None:
            return False
        self._answer(line, word, now_ns)
        return True

    def error(self, text: str, now_ns: int) -> Verdict:
        """Notes an `error` frame."""
        line = self._named(text[:ERROR_CHARACTERS_MAX])
        if line is None:
            return Verdict.UNKNOWN
        for beginning, word in _ALREADY:
            if text.startswith(beginning):
                self._answer(line, word, now_ns)
                return Verdict.SETTLED
        before = line.stage
        self._answer(line, Word.REFUSAL, now_ns)
        return _VERDICTS.get(before, Verdict.UNKNOWN)

    def overdue(self, now_ns: int) -> list[Stream]:
        """Passes deadlines; the streams whose requests went unanswered too often."""
        exhausted = []
        for deadlines in (self._deadlines, self._refusals):
            while deadlines:
                key, due_ns = next(iter(deadlines.items()))
                if due_ns > now_ns:
                    break
                line = self._lines[key]
                del deadlines[key]
                if deadlines is self._deadlines and line.tries >= self.settings.tries_max:
                    exhausted.append(line.stream)
                self._move(line, Word.OVERDUE if line.is_desired else Word.OVERDUE_UNWANTED)
        return exhausted

    def next_deadline_ns(self) -> int | None:
        """When `overdue` or `flush` has something to do; None when that depends on answers alone."""
        times = [next(iter(each.values())) for each in (self._deadlines, self._refusals) if each]
        if self._blocked_ns is not None:
            times.append(self._blocked_ns)
        return min(times, default=None)

    def lose(self) -> None:
        """The socket is gone, and with it all subscriptions; what is wanted stays."""
        self._deadlines.clear()
        self._refusals.clear()
        self._blocked_ns = None
        for line in list(self._lines.values()):
            line.tries, line.is_renewed = 0, False
            self._move(line, Word.SOCKET_LOST)

    # Inside.

    def _add(self, stream: Stream) -> None:
        line = _Line(stream)
        self._lines[stream.key] = line
        self._by_form[normal_form(stream.subscription())] = line
        self._plan(line)

    def _answer(self, line: _Line, word: Word, now_ns: int) -> None:
        """An answer came; that of the request under way ends its deadline."""
        before = line.stage
        self._move(line, word)
        if line.stage is not before:
            self._deadlines.pop(line.stream.key, None)
            self._refusals.pop(line.stream.key, None)
            line.tries = 0
        if line.stage is Stage.REFUSED and before is not Stage.REFUSED and line.is_desired:
            self._refusals[line.stream.key] = now_ns + self.settings.refused_ns

    def _move(self, line: _Line, word: Word) -> None:
        before = line.stage
        after = TRANSITIONS.get((before, word))
        assert after is not None, f"{line.stream.kind} of {line.stream.subject}: {word} cannot happen when {before}"
        line.stage = after
        line.is_renewed = line.is_renewed and after is Stage.ACTIVE
        if (before is Stage.ACTIVE) != (after is Stage.ACTIVE):
            self._changed[line.stream.key] = None
        self._plan(line)

    def _plan(self, line: _Line) -> None:
        """Whether something is to be sent for it, and whether it is forgotten."""
        key = line.stream.key
        self._todo.pop(key, None)
        if line.stage is Stage.ABSENT and line.is_desired:
            self._todo[key] = None
        elif line.stage is Stage.ACTIVE and (line.is_renewed or not line.is_desired):
            self._todo[key] = None
        elif line.stage in (Stage.ABSENT, Stage.REFUSED) and not line.is_desired:
            self._refusals.pop(key, None)
            del self._lines[key]
            del self._by_form[normal_form(line.stream.subscription())]
            wanted = self._desired.get(key)
            if wanted is not None:
                # Another subject took its place while it was leaving.
                self._add(wanted)

    def _named(self, text: str) -> _Line | None:
        """Which subscription an error is about: the one that it quotes, or the only one it can be about."""
        start = text.find("{")
        if start >= 0:
            return self._by_form.get(_quoted(text[start:]))
        waiting = [self._lines[key] for key in self._deadlines]
        if "user" in text:  # such as: Cannot track more than 15 total users.
            waiting = [line for line in waiting if line.stream.market == ALL_MARKETS]
        return waiting[0] if len(waiting) == 1 else None


def message(method: str, stream: Stream) -> bytes:
    """The text frame that begins or ends a subscription."""
    return msgspec.json.encode({"method": method, "subscription": stream.subscription()})


class _Quoted(Struct):
    """What an error may quote: the whole message, or the subscription alone."""

    subscription: dict[str, Any] | None = None


def _quoted(text: str) -> tuple[Item, ...]:
    """The normal form of what the text quotes; empty when it is cut off or quotes something else."""
    try:
        whole = msgspec.json.decode(text, type=dict[str, Any])
        quoted = msgspec.convert(whole, type=_Quoted).subscription
    except (msgspec.MsgspecError, RecursionError):
        return ()
    return normal_form(whole if quoted is None else quoted)
