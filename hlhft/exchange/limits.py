"""What a client and an account may ask for: request weights, sockets, a budget of actions (venue reference section 7).

Pure integer ledgers; time is an argument, in milliseconds, and never runs backwards. A client is an IP address and an
optional label, so that several clients on loopback can be told apart; an account is a number. `LimitSettings` is the
one table of all numbers, from which the documentation is made. With `enabled` off nothing is refused; what an account
has used is counted all the same. Congestion (a share of block space) and the 50,000 actions a day of unified accounts
are not modelled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from hlhft.exchange.addresses import dollars
from hlhft.hyperliquid.wire import answer_number
from hlhft.units import MICRO

MINUTE_MS = 60_000
Client = tuple[str, str]  # IP address, label; without a label the empty one

# Venue reference section 7: the weights of info requests; all others that are documented weigh INFO_WEIGHT.
INFO_WEIGHT = 20
INFO_WEIGHTS: Mapping[str, int] = MappingProxyType(
    {
        "l2Book": 2,
        "allMids": 2,
        "clearinghouseState": 2,
        "orderStatus": 2,
        "spotClearinghouseState": 2,
        "exchangeStatus": 2,
        "userRole": 60,
    }
)
# One more for each of so many items in the answer.
ITEMS_PER_WEIGHT: Mapping[str, int] = MappingProxyType(
    {
        "recentTrades": 20,
        "historicalOrders": 20,
        "userFills": 20,
        "userFillsByTime": 20,
        "fundingHistory": 20,
        "userFunding": 20,
        "userNonFundingLedgerUpdates": 20,
        "twapHistory": 20,
        "userTwapSliceFills": 20,
        "userTwapSliceFillsByTime": 20,
        "delegatorHistory": 20,
        "delegatorRewards": 20,
        "candleSnapshot": 60,
    }
)

REQUESTS_TEXT = (
    "Too many cumulative requests sent ({used} > {cap}) for cumulative volume traded ${volume}. "
    "Place taker orders to free up 1 request per USDC traded."
)
# The documented limit is 10, the 15th was refused with this text (measured, venue reference section 7).
USERS_TEXT = "Cannot track more than {limit} total users."
# Unverified from here on.
CONNECTIONS_TEXT = "Too many websocket connections."
NEW_CONNECTIONS_TEXT = "Too many new websocket connections."
SUBSCRIPTIONS_TEXT = "Cannot have more than {limit} subscriptions."
MESSAGES_TEXT = "Too many websocket messages."
POSTS_TEXT = "Too many inflight posts."
CLIENTS_TEXT = "Too many clients."


def _limit(default: Any, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Every limit, its number and what it counts."""

    enabled: bool = _limit(True, "", "whether anything is refused at all")
    sliding: bool = _limit(True, "", "whether a minute is the last 60 s or the minute of the clock (unverified)")
    clients_max: int = _limit(1024, "clients", "IP addresses and labels remembered at once; idle ones make room")
    weight_per_minute: int = _limit(1200, "weight", "REST requests of a client")
    legs_per_weight: int = _limit(40, "orders", "an action weighs 1 and 1 more for each so many of its orders")
    posts_weigh: bool = _limit(False, "", "whether post requests weigh as REST requests do, too (unverified)")
    connections: int = _limit(10, "connections", "open WebSocket connections of a client")
    new_connections_per_minute: int = _limit(30, "connections", "WebSocket connections that a client opens")
    subscriptions: int = _limit(1000, "subscriptions", "of all connections of a client")
    users: int = _limit(14, "users", "different users in the user channels of a client (documented 10, measured 14)")
    messages_per_minute: int = _limit(2000, "messages", "sent by a client on all its connections")
    posts_in_flight: int = _limit(100, "posts", "post requests of a client without an answer yet")
    requests_initial: int = _limit(10_000, "requests", "actions of an account that has traded nothing")
    volume_per_request_micro: int = _limit(MICRO, "micro-USDC", "traded volume that buys one request more")
    cancels_extra: int = _limit(100_000, "requests", "cancels may go this far beyond the limit, or to twice the limit")
    exhausted_ms: int = _limit(10_000, "ms", "beyond the limit an account may send once in this time")
    exhausted_requests: int = _limit(1, "requests", "how large that one action may be (unverified)")
    stale_factor: int = _limit(5, "times", "what an action costs that arrives after its expiresAfter")


DEFAULTS = LimitSettings()


def limits_table() -> str:
    """The limits as a Markdown table, for the documentation; ends with a newline."""
    rows = ["| limit | default | unit | what it counts |", "| --- | ---: | --- | --- |"]
    for entry in fields(LimitSettings):
        unit, meaning = entry.metadata["unit"], entry.metadata["meaning"]
        rows.append(f"| `{entry.name}` | {str(entry.default).lower()} | {unit} | {meaning} |")
    return "\n".join(rows) + "\n"


def info_weight(request_type: str) -> int:
    """What an info request weighs before its answer is known."""
    return INFO_WEIGHTS.get(request_type, INFO_WEIGHT)


def items_weight(request_type: str, items: int) -> int:
    """What an answer of so many items adds."""
    per = ITEMS_PER_WEIGHT.get(request_type)
    return 0 if per is None else items // per


def exchange_weight(legs: int, settings: LimitSettings = DEFAULTS) -> int:
    """What an action of so many orders or cancels weighs."""
    return 1 + legs // settings.legs_per_weight


class Window:
    """How much was used within a minute, sliding or by the clock. At most two entries for each unit of the limit."""

    __slots__ = ("_entries", "_start_ms", "_used", "limit", "sliding")

    def __init__(self, limit: int, *, sliding: bool) -> None:
        self.limit = limit
        self.sliding = sliding
        self._entries: deque[tuple[int, int]] = deque()  # when, how much
        self._start_ms = 0
        self._used = 0

    def used(self, now_ms: int) -> int:
        """What counts at `now_ms`."""
        self._expire(now_ms)
        return self._used

    def wait_ms(self, amount: int, now_ms: int) -> int:
        """How long until so much more fits, 0 when it does now. What never fits waits a whole minute."""
        self._expire(now_ms)
        excess = self._used + amount - self.limit
        if excess <= 0:
            return 0
        if not self.sliding:
            return self._start_ms + MINUTE_MS - now_ms
        for when_ms, part in self._entries:
            excess -= part
            if excess <= 0:
                return when_ms + MINUTE_MS - now_ms
        return MINUTE_MS

    def add(self, amount: int, now_ms: int) -> None:
        """Counts so much, also beyond the limit."""
        self._expire(now_ms)
        if amount <= 0:
            return
        self._used += amount
        if not self.sliding:
            return
        if self._entries and self._entries[-1][0] == now_ms:
            amount += self._entries.pop()[1]
        self._entries.append((now_ms, amount))

    def _expire(self, now_ms: int) -> None:
        if not self.sliding:
            start_ms = now_ms - now_ms % MINUTE_MS
            if start_ms != self._start_ms:
                self._start_ms, self._used = start_ms, 0
            return
        while self._entries and self._entries[0][0] <= now_ms - MINUTE_MS:
            self._used -= self._entries.popleft()[1]
        assert self._used >= 0, "what leaves the window had entered it"


class _Usage:
    """What one client uses."""

    __slots__ = ("connections", "connects", "messages", "posts", "subscriptions", "users", "weight")

    def __init__(self, settings: LimitSettings) -> None:
        self.weight = Window(settings.weight_per_minute, sliding=settings.sliding)
        self.connects = Window(settings.new_connections_per_minute, sliding=settings.sliding)
        self.messages = Window(settings.messages_per_minute, sliding=settings.sliding)
        self.connections = 0
        self.subscriptions = 0
        self.posts = 0
        self.users: dict[str, int] = {}  # user -> subscriptions

    def is_idle(self, now_ms: int) -> bool:
        """Whether forgetting this client now changes nothing for it."""
        windows = (self.weight, self.connects, self.messages)
        return self.connections == 0 and not any(window.used(now_ms) for window in windows)


class _Connection:
    """What one WebSocket connection has open, to be given back when it closes."""

    __slots__ = ("posts", "subscriptions", "usage", "users")

    def __init__(self, usage: _Usage) -> None:
        self.usage = usage
        self.subscriptions = 0
        self.posts = 0
        self.users: dict[str, int] = {}


class ClientLimits:
    """Limits by IP address and label: REST weight, and everything about WebSockets.

    Connections carry numbers of the caller's. Refusals are the text of the answer; `refused` counts them by limit. Not
    part of a saved state, since connections end with the process. With limits off, connections and subscriptions are
    still counted, but the bound on them is the server's.
    """

    def __init__(self, settings: LimitSettings = DEFAULTS) -> None:
        self.settings = settings
        self.refused: dict[str, int] = {}
        self._usages: dict[Client, _Usage] = {}
        self._connections: dict[int, _Connection] = {}

    def take_weight(self, client: Client, weight: int, now_ms: int) -> int:
        """Counts a REST request and returns 0, or counts nothing and returns how many milliseconds to wait."""
        if not self.settings.enabled:
            return 0
        usage = self._usage(client, now_ms)
        if usage is None:
            return self._wait("clients_max", MINUTE_MS)
        wait_ms = usage.weight.wait_ms(weight, now_ms)
        if wait_ms > 0:
            return self._wait("weight_per_minute", wait_ms)
        usage.weight.add(weight, now_ms)
        return 0

    def add_weight(self, client: Client, weight: int, now_ms: int) -> None:
        """Counts what the answer to a request taken before added to its weight; the next request may have to wait."""
        usage = self._usages.get(client)
        if usage is not None and self.settings.enabled:
            usage.weight.add(weight, now_ms)

    def weight_used(self, client: Client, now_ms: int) -> int:
        """The weight that the client used within the minute."""
        usage = self._usages.get(client)
        return 0 if usage is None else usage.weight.used(now_ms)

    def connect(self, client: Client, connection: int, now_ms: int) -> str | None:
        """Counts a new connection and returns None, or the refusal: it is to be closed at once.

        One that is refused because too many are open counts among the new ones of the minute.
        """
        assert connection not in self._connections, "a connection is opened once"
        usage = self._usage(client, now_ms)
        if usage is None:
            return self._refuse("clients_max", CLIENTS_TEXT)
        settings = self.settings
        if settings.enabled:
            if usage.connects.wait_ms(1, now_ms) > 0:
                return self._refuse("new_connections_per_minute", NEW_CONNECTIONS_TEXT)
            usage.connects.add(1, now_ms)
            if usage.connections >= settings.connections:
                return self._refuse("connections", CONNECTIONS_TEXT)
        usage.connections += 1
        self._connections[connection] = _Connection(usage)
        return None

    def disconnect(self, connection: int) -> None:
        """Gives back all that the connection had open. A connection that was refused or is gone has nothing."""
        gone = self._connections.pop(connection, None)
        if gone is None:
            return
        gone.usage.connections -= 1
        gone.usage.subscriptions -= gone.subscriptions
        gone.usage.posts -= gone.posts
        for user, count in gone.users.items():
            _release(gone.usage.users, user, count)
        assert min(gone.usage.connections, gone.usage.subscriptions, gone.usage.posts) >= 0, (
            "nothing is given back twice"
        )

    def message(self, connection: int, now_ms: int) -> str | None:
        """Counts a message from the client and returns None, or the refusal."""
        if not self.settings.enabled:
            return None
        window = self._connections[connection].usage.messages
        if window.wait_ms(1, now_ms) > 0:
            return self._refuse("messages_per_minute", MESSAGES_TEXT)
        window.add(1, now_ms)
        return None

    def subscribe(self, connection: int, user: str | None) -> str | None:
        """Counts a subscription, to a user channel when `user` is given, and returns None, or the refusal."""
        here = self._connections[connection]
        usage, settings = here.usage, self.settings
        if settings.enabled:
            if usage.subscriptions >= settings.subscriptions:
                return self._refuse("subscriptions", SUBSCRIPTIONS_TEXT.format(limit=settings.subscriptions))
            if user is not None and user not in usage.users and len(usage.users) >= settings.users:
                return self._refuse("users", USERS_TEXT.format(limit=settings.users + 1))
        usage.subscriptions += 1
        here.subscriptions += 1
        if user is not None:
            usage.users[user] = usage.users.get(user, 0) + 1
            here.users[user] = here.users.get(user, 0) + 1
        return None

    def unsubscribe(self, connection: int, user: str | None) -> None:
        """Gives a subscription back that `subscribe` counted with the same arguments."""
        here = self._connections[connection]
        assert here.subscriptions > 0, "what is given back was taken"
        here.subscriptions -= 1
        here.usage.subscriptions -= 1
        if user is not None:
            _release(here.users, user, 1)
            _release(here.usage.users, user, 1)

    def begin_post(self, connection: int) -> str | None:
        """Counts a post request as in flight and returns None, or the refusal."""
        here = self._connections[connection]
        if self.settings.enabled and here.usage.posts >= self.settings.posts_in_flight:
            return self._refuse("posts_in_flight", POSTS_TEXT)
        here.posts += 1
        here.usage.posts += 1
        return None

    def end_post(self, connection: int) -> None:
        """A post request is answered. Nothing happens when the connection is gone."""
        here = self._connections.get(connection)
        if here is not None:
            assert here.posts > 0, "an answer belongs to a request"
            here.posts -= 1
            here.usage.posts -= 1

    def _usage(self, client: Client, now_ms: int) -> _Usage | None:
        """The client's usage, made when it is new; None when there is no room for it."""
        usage = self._usages.get(client)
        if usage is not None:
            return usage
        if len(self._usages) >= self.settings.clients_max:
            for idle in [other for other, found in self._usages.items() if found.is_idle(now_ms)]:
                del self._usages[idle]
            if len(self._usages) >= self.settings.clients_max:
                return None
        return self._usages.setdefault(client, _Usage(self.settings))

    def _refuse(self, limit: str, text: str) -> str:
        self.refused[limit] = self.refused.get(limit, 0) + 1
        return text

    def _wait(self, limit: str, wait_ms: int) -> int:
        self.refused[limit] = self.refused.get(limit, 0) + 1
        return wait_ms


class Budget(Struct):
    """What an account has asked for since its beginning: requests, those bought, and when the last was taken."""

    used: int = 0
    reserved: int = 0
    last_ms: int | None = None


class BudgetState(Struct, frozen=True):
    """What a restart needs."""

    budgets: dict[int, Budget]


class AccountLimits:
    """The budget of actions of each account; sub-accounts have their own. As many budgets as there are accounts.

    An action of n orders or cancels costs n, also when they fail. A refused action costs nothing, unless it came after
    its expiresAfter.
    """

    def __init__(self, settings: LimitSettings = DEFAULTS) -> None:
        self.settings = settings
        self.refused = 0
        self._budgets: dict[int, Budget] = {}

    def cap(self, volume_micro: int) -> int:
        """How many requests an account with this traded volume may send, those bought not counted."""
        return self.settings.requests_initial + volume_micro // self.settings.volume_per_request_micro

    def take(self, account: int, requests: int, *, is_cancel: bool, volume_micro: int, now_ms: int) -> str | None:
        """Counts an action of so many orders or cancels and returns None; or changes nothing and returns the refusal.

        Beyond the limit one action of `exhausted_requests` passes when the last one taken is `exhausted_ms` old.
        """
        settings, budget = self.settings, self._budget(account)
        if settings.enabled:
            bound = self.cap(volume_micro)
            if is_cancel:
                bound = min(bound + settings.cancels_extra, 2 * bound)
            used = max(0, budget.used + requests - budget.reserved)
            is_rested = budget.last_ms is None or now_ms - budget.last_ms >= settings.exhausted_ms
            if used > bound and not (is_rested and requests <= settings.exhausted_requests):
                self.refused += 1
                return REQUESTS_TEXT.format(used=used, cap=bound, volume=dollars(volume_micro))
        budget.used += requests
        budget.last_ms = now_ms
        return None

    def take_stale(self, account: int, requests: int) -> None:
        """Counts an action that is refused because it came after its expiresAfter."""
        self._budget(account).used += self.settings.stale_factor * requests

    def reserve(self, account: int, requests: int) -> None:
        """Adds requests that were bought."""
        self._budget(account).reserved += requests

    def answer(self, account: int | None, volume_micro: int) -> dict[str, Any]:
        """The answer to `userRateLimit`; an account that does not exist has used nothing."""
        budget = Budget() if account is None else self._budgets.get(account, Budget())
        return {
            "cumVlm": answer_number(volume_micro, 6),
            "nRequestsUsed": max(0, budget.used - budget.reserved),
            "nRequestsCap": self.cap(volume_micro),
            "nRequestsSurplus": max(0, budget.reserved - budget.used),
        }

    def state(self) -> BudgetState:
        """A copy of all budgets, for `from_state`."""
        return BudgetState({account: Budget(b.used, b.reserved, b.last_ms) for account, b in self._budgets.items()})

    @classmethod
    def from_state(cls, state: BudgetState, settings: LimitSettings = DEFAULTS) -> AccountLimits:
        """The budgets as they were."""
        made = cls(settings)
        made._budgets = {account: Budget(b.used, b.reserved, b.last_ms) for account, b in state.budgets.items()}
        return made

    def _budget(self, account: int) -> Budget:
        return self._budgets.setdefault(account, Budget())


def _release(counts: dict[str, int], name: str, count: int) -> None:
    counts[name] -= count
    assert counts[name] >= 0, "nothing is given back twice"
    if counts[name] == 0:
        del counts[name]
