"""The embedded exchange as a pure whole: requests and time in, answers and frames out.

No clock, socket, file, randomness or logger: a shell (`hlhft.exchange.server`, or a simulation) hands in bytes with the
time at which they came, asks for the next deadline, and delivers what comes out. Two machines with the same settings
and the same calls give the same bytes.

A request to act is decoded and its signer recovered when it arrives; everything that depends on the state of the
exchange (who may act for whom, nonces, expiry, limits, what the action means) is decided in the block that includes
it, actions in the order in which that block executes them. So a `noop` that overtakes an order uses its nonce up.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np

from hlhft.exchange import account_plans, record_state
from hlhft.exchange.actions import block_class, legs_of
from hlhft.exchange.addresses import Actor, Addresses, AddressSettings, AddressState
from hlhft.exchange.answers import Answer, client_fault, json_answer
from hlhft.exchange.block import Block
from hlhft.exchange.channels import Channels
from hlhft.exchange.client_ids import ClientIds
from hlhft.exchange.delays import DelayDraws
from hlhft.exchange.directory import Budget
from hlhft.exchange.envelope import Request, read_request
from hlhft.exchange.info import Info
from hlhft.exchange.kernel import Kernel
from hlhft.exchange.limits import (
    AccountLimits,
    BudgetState,
    Client,
    ClientLimits,
    exchange_weight,
    info_weight,
    items_weight,
)
from hlhft.exchange.nonces import Nonces, NonceState
from hlhft.exchange.order_plans import LEGS_MAX
from hlhft.exchange.plans import Plan, Refused, Scope
from hlhft.exchange.records import Records
from hlhft.exchange.register import Register
from hlhft.exchange.settings import ExchangeSettings
from hlhft.exchange.sockets import Close, Frame, Sockets, request_type
from hlhft.exchange.standing_prices import StandingPrices
from hlhft.exchange.statuses import Answering, answer_of, group_by_leg, refused
from hlhft.hyperliquid.signing import keccak
from hlhft.hyperliquid.wire import ms_of
from hlhft.units import UnitsError
from hlhft.venue.blocks import ActionKind, new_clock, next_block_time, spacing_quantiles
from hlhft.venue.chain_state import Chain

EXPIRED = "Action already expired"
TOO_MANY_REQUESTS = "Too many requests."  # the venue's body is unverified
CANCELS = 1  # the class of a block that holds them
BUSY = "Too many actions are waiting for a block."
NO_ORACLE = "The oracle of {} cannot be set."
LEGS_OF_ITEM_MAX = 2  # a waiting order is modified by a cancel and a placement
LEGS_OF_ACTION_MAX = LEGS_OF_ITEM_MAX * LEGS_MAX


class Flow(Protocol):
    """Who else trades, on accounts of its own: consecutive ones from 1 on, or none."""

    kind: ClassVar[str]  # what people call it
    accounts: Sequence[int]

    def legs(self, chain: Chain, legs: np.ndarray, first: int, ts_ns: int) -> int:
        """Writes legs for the block at `ts_ns`, from row `first` on; the number of rows written."""

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as plain values."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state` told."""


@dataclass(slots=True)
class Outcome:
    """What `advance` brought: answers by ticket, frames by connection, in the order in which they go out, and the
    connections to close after them."""

    answers: list[tuple[int, Answer]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)


class Posted(msgspec.Struct, frozen=True, tag="posted"):
    """An action was taken; its signer is found again in its body."""

    body: bytes
    now_ns: int


class Deposited(msgspec.Struct, frozen=True, tag="deposited"):
    """Money was credited."""

    address: str
    amount: int
    token: int


class OracleMoved(msgspec.Struct, frozen=True, tag="oracle"):
    """An oracle was moved."""

    coin: str
    price: str


class Advanced(msgspec.Struct, frozen=True, tag="advanced"):
    """Blocks were due."""

    now_ns: int


Heard = Posted | Deposited | OracleMoved | Advanced  # all that changes the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """An action under way to its block."""

    ticket: int
    request: Request
    arrival_ns: int
    block_class: int


@dataclass(slots=True, kw_only=True)
class _Planned:
    """An action in the block that is being put together: rows first, first + 1, … are its legs."""

    pending: _Pending
    plan: Plan
    account: int
    first: int


class Machine:
    """One exchange. `flow` is who else trades there; nobody, at prices that stand still, when it is None."""

    def __init__(self, settings: ExchangeSettings, *, flow: Flow | None = None) -> None:
        self.settings = settings
        self.kernel = Kernel(settings)
        self.addresses = Addresses(AddressSettings(accounts_max=settings.accounts_max))
        self.nonces = Nonces()
        self.client_ids = ClientIds(maximum=settings.client_ids_max)
        self.flow: Flow = (
            StandingPrices(settings.reference_ticks, interval_ns=settings.oracle_interval_ns) if flow is None else flow
        )
        limits = replace(settings.limits, enabled=settings.with_limits)
        self.client_limits = ClientLimits(limits)
        self.account_limits = AccountLimits(limits)
        self.register = Register(
            self.addresses, self.client_ids, budget=self._budget, now_ms=lambda: ms_of(self.time_ns)
        )
        self.records = Records(settings.listing, self.register, settings.records)
        self.answers = Info(self.kernel.chain, self.records, self.register)
        self.channels = Channels(self.answers, settings.channels, limits=self.client_limits)
        self.sockets = Sockets(
            settings,
            self.channels,
            self.client_limits,
            admit=partial(self.admit, weighed=limits.posts_weigh),
            info=partial(self.info, weighed=limits.posts_weigh),
            block_ns=lambda: self.time_ns,
        )
        for account in self.flow.accounts:
            opened = self.addresses.open(flow_address(account))
            assert opened == account, "the flow's accounts are numbered from 1 on"
        self.records.ignore(self.flow.accounts)
        self.counters: Counter[str] = Counter()
        # Hears all that changes the ledger before it does: told the same again, from the same state, a machine becomes
        # the same.
        self.heard: Callable[[Heard], None] | None = None
        self.digest = hashlib.sha256(b"hlhft event log").digest()
        self.height = 0
        self.time_ns = settings.start_ns
        self._clock = new_clock(start_ns=settings.start_ns, seed=settings.seed)
        rules = settings.rules[0]
        self._spacing = spacing_quantiles(
            mean_ns=int(rules["block_ns"]),
            deviation_ns=int(rules["block_deviation_ns"]),
            ns_min=int(rules["block_ns_min"]),
            ns_max=int(rules["block_ns_max"]),
        )
        self._next_block_ns = int(next_block_time(self._clock[0], self._spacing))
        self._delays = DelayDraws(settings.delays, seed=settings.seed)
        self._tickets = 0
        self._pending: list[tuple[int, int, _Pending]] = []  # a heap by inclusion, then ticket
        self._admin: deque[dict[str, int]] = deque()
        self._outbox: deque[tuple[int, list[Frame]]] = deque()

    # Requests.

    def admit(self, body: bytes, client: Client, now_ns: int, *, weighed: bool = True) -> int | Answer:
        """Takes the body of `POST /exchange`: a ticket, whose answer a later `advance` brings, or an answer at once.

        With `weighed` it counts as a REST request of the client.
        """
        if len(self._pending) >= self.settings.pending_max:
            self.counters["actions refused, too many under way"] += 1
            return client_fault(429, BUSY)
        request = read_request(body)
        if isinstance(request, Answer):
            self.counters["actions unreadable" if request.status != 200 else "actions refused on arrival"] += 1
            return request
        weight = exchange_weight(legs_of(request.action)) if weighed else 0
        if weight and self.client_limits.take_weight(client, weight, ms_of(now_ns)):
            return client_fault(429, TOO_MANY_REQUESTS)
        self._hear(Posted(bytes(body), now_ns))
        self._tickets += 1
        pending = _Pending(
            ticket=self._tickets,
            request=request,
            arrival_ns=now_ns,
            block_class=block_class(request.action),
        )
        delay_ns = self._delays.inclusion_ns(request.action) if self.settings.with_delays else 0
        heapq.heappush(self._pending, (now_ns + delay_ns, self._tickets, pending))
        self.counters["actions taken"] += 1
        return self._tickets

    def info(self, body: bytes, client: Client, now_ns: int, *, weighed: bool = True) -> Answer:
        """The answer to the body of `POST /info`, as of the latest block. `weighed` as of `admit`."""
        kind = request_type(body)
        now_ms = ms_of(now_ns)
        if weighed and self.client_limits.take_weight(client, info_weight(kind), now_ms):
            return client_fault(429, TOO_MANY_REQUESTS)
        self.counters["info requests"] += 1
        answer = self.answers.answer_bytes(body, ms_of(self.time_ns))
        if weighed:
            self.client_limits.add_weight(client, items_weight(kind, answer.items), now_ms)
        return Answer(answer.status, answer.body, is_json=not answer.is_text)

    def volume_micro(self, account: int) -> int:
        """What the account has traded since it was opened."""
        return int(self.kernel.chain.fees.traded_micro[account])

    def _budget(self, account: int) -> Budget:
        volume_micro = self.volume_micro(account)
        told = self.account_limits.answer(account, volume_micro)
        return Budget(told["nRequestsUsed"], told["nRequestsCap"], told["nRequestsSurplus"], volume_micro)

    # What comes from outside without a signature.

    def deposit(self, address: str, amount: int, *, token: int = 0) -> int | str:
        """Credits micro-USDC, or 1e-8 of another token, to the lower-case address in the next block, and opens its
        account; returns the account, or the refusal."""
        self._hear(Deposited(address, amount, token))
        account = self.addresses.open(address)
        if isinstance(account, int):
            self._admin.append({"kind": ActionKind.DEPOSIT, "account": account, "amount": amount, "token": token})
        return account

    def set_oracle(self, coin: str, price: str) -> str | None:
        """Moves the oracle of a coin from the next block on, where prices stand still; returns the refusal."""
        place = self.settings.listing.row_of(coin)
        if place is None or not isinstance(self.flow, StandingPrices):
            return NO_ORACLE.format(coin)
        try:
            ticks = self.settings.listing.markets[place].market.ticks(price)
        except UnitsError as error:
            return str(error)
        if ticks == 0:
            return NO_ORACLE.format(coin)
        self._hear(OracleMoved(coin, price))
        self.flow.reference_ticks[place] = ticks
        self._admin.append({"kind": ActionKind.ORACLE_PRICE, "account": 0, "market": place, "price_ticks": ticks})
        return None

    # Time.

    def next_deadline_ns(self) -> int:
        """When `advance` has something to do at the latest; it may be called at any time."""
        deadline = min(self._next_block_ns, self.sockets.next_deadline_ns())
        if self._outbox:
            deadline = min(deadline, self._outbox[0][0])
        if self._pending and not self.settings.with_delays:
            deadline = min(deadline, self._pending[0][0])
        return deadline

    def advance(self, now_ns: int) -> Outcome:
        """Executes the blocks that are due, the oldest first and at most `blocks_per_advance_max`."""
        outcome = Outcome()
        if self._next_block_ns <= now_ns or self._has_work(now_ns):
            self._hear(Advanced(now_ns))
        for _ in range(self.settings.blocks_per_advance_max):
            if self._next_block_ns > now_ns:
                break
            self._run_block(self._next_block_ns, outcome)
            self._next_block_ns = int(next_block_time(self._clock[0], self._spacing))
        if not self.settings.with_delays and self._has_work(now_ns) and now_ns < self._next_block_ns:
            self._run_block(max(now_ns, self.time_ns), outcome)
        while self._outbox and self._outbox[0][0] <= now_ns:
            outcome.frames += self._outbox.popleft()[1]
        outcome.frames += self._frames_of_answers(outcome.answers)
        for connection, _ in outcome.frames:
            self.sockets.sent(connection, now_ns)
        outcome.closes = self.sockets.due(now_ns)
        return outcome

    def _frames_of_answers(self, answers: Sequence[tuple[int, Answer]]) -> list[Frame]:
        """The answers to what came over sockets."""
        frames = (self.sockets.answered(ticket, answer) for ticket, answer in answers)
        return [frame for frame in frames if frame is not None]

    def _has_work(self, now_ns: int) -> bool:
        return bool(self._admin) or bool(self._pending and self._pending[0][0] <= now_ns)

    def _hear(self, record: Heard) -> None:
        if self.heard is not None:
            self.heard(record)

    # State.

    def state(self) -> dict[str, Any]:
        """Everything but what is under way, as plain values for `restore`: actions that wait for a block are lost, as
        with a venue that goes down."""
        return {
            "coins": list(self.settings.listing.names),
            "seed": self.settings.seed,
            "height": self.height,
            "time_ns": self.time_ns,
            "digest": self.digest,
            "next_block_ns": self._next_block_ns,
            "clock": [int(self._clock[name][0]) for name in ("height", "seed_1", "seed_2")],
            "delays": self._delays.state(),
            "kernel": self.kernel.state(),
            "addresses": msgspec.to_builtins(self.addresses.state(), str_keys=True),
            "budgets": msgspec.to_builtins(self.account_limits.state(), str_keys=True),
            "nonces": msgspec.to_builtins(self.nonces.state()),
            "client_ids": self.client_ids.state(),
            "flow_kind": self.flow.kind,
            "flow": self.flow.state(),
            "memory": record_state.state_of(self.records),
        }

    def restore(self, state: Mapping[str, Any], now_ns: int) -> None:
        """Becomes what `state` told, at `now_ns`, which is not earlier. Raises ValueError when that was an exchange of
        other coins, another seed, another flow or another size."""
        if list(self.settings.listing.names) != state["coins"]:
            raise ValueError(f"the state is of an exchange of {', '.join(state['coins'])}: list the same coins")
        if self.settings.seed != state["seed"]:
            raise ValueError(f"the state is of an exchange of seed {state['seed']}: give the same")
        if self.flow.kind != state["flow_kind"]:
            raise ValueError(f"the state is of an exchange whose order flow is {state['flow_kind']}: ask for the same")
        self.kernel.restore(state["kernel"])
        self.flow.restore(state["flow"])
        self.addresses = Addresses.from_state(
            msgspec.convert(state["addresses"], AddressState, strict=False), self.addresses.settings
        )
        self.nonces = Nonces.from_state(msgspec.convert(state["nonces"], NonceState), self.nonces.settings)
        self.client_ids = ClientIds.from_state(state["client_ids"], maximum=self.settings.client_ids_max)
        self.account_limits = AccountLimits.from_state(
            msgspec.convert(state["budgets"], BudgetState, strict=False), self.account_limits.settings
        )
        self.register.addresses, self.register.client_ids = self.addresses, self.client_ids
        self.height, self.digest = state["height"], state["digest"]
        self.time_ns = max(now_ns, state["time_ns"])
        self._clock["height"][0], self._clock["seed_1"][0], self._clock["seed_2"][0] = state["clock"]
        self._delays.restore(state["delays"])
        record_state.restore(self.records, state["memory"])
        self._admin.clear()
        # The next block was drawn already; after a longer pause blocks go on from now.
        self._next_block_ns = self._clock["time_ns"][0] = max(state["next_block_ns"], self.time_ns)

    # One block.

    def _run_block(self, time_ns: int, outcome: Outcome) -> None:
        planned: list[_Planned] = []
        while self._admin and self.kernel.room:
            leg = self._admin.popleft()
            self.kernel.add(leg, action=self.kernel.begin_action(), account=leg["account"], arrival_ns=time_ns)
        for pending in self._due(time_ns):
            plan, account = self._plan(pending, time_ns)
            if isinstance(plan, Refused):
                self.counters["actions refused"] += 1
                outcome.answers.append((pending.ticket, json_answer(refused(plan.text))))
            elif not plan.legs:
                planned.append(_Planned(pending=pending, plan=plan, account=account, first=self.kernel.count))
            else:
                planned.append(self._add(pending, plan, account))
        own = self.kernel.count
        self.kernel.count += self.flow.legs(self.kernel.chain, self.kernel.legs, own, time_ns)
        legs, events = self.kernel.run(time_ns)
        self.height += 1
        self.time_ns = time_ns
        block = Block(height=self.height, time_ns=time_ns, legs=legs, hashes=self._hashes(planned, legs), events=events)
        self._log(block)
        frames = self.channels.frames_of(block, self.records.apply(block, self.kernel.chain.prices))
        if frames:
            self._publish(frames, time_ns)
        outcome.answers += self._answers(planned, block, own)
        outcome.blocks.append(block)

    def _publish(self, frames: list[Frame], time_ns: int) -> None:
        """Frames go out some time after their block, and never before those of an earlier one."""
        due_ns = time_ns + (self._delays.publish_ns() if self.settings.with_delays else 0)
        if self._outbox:
            due_ns = max(due_ns, self._outbox[-1][0])
        self._outbox.append((due_ns, frames))

    def _due(self, time_ns: int) -> list[_Pending]:
        """The actions that this block includes, in the order in which it executes them (venue reference section 8)."""
        due = []
        room = self.kernel.room // 2  # the other half is left to the flow
        while self._pending and self._pending[0][0] <= time_ns and room >= LEGS_OF_ACTION_MAX:
            due.append(heapq.heappop(self._pending)[2])
            room -= LEGS_OF_ITEM_MAX * legs_of(due[-1].request.action)
        return sorted(due, key=lambda pending: pending.block_class)

    def _plan(self, pending: _Pending, time_ns: int) -> tuple[Plan | Refused, int]:
        """What the action becomes in the block at `time_ns`, and for which account."""
        request = pending.request
        now_ms = ms_of(time_ns)
        actor = self._actor(request, now_ms)
        if isinstance(actor, str):
            return Refused(actor), 0
        if request.expires_after_ms is not None and request.expires_after_ms < now_ms:
            self.account_limits.take_stale(actor.account, legs_of(request.action))
            return Refused(EXPIRED), actor.account
        fault = self.nonces.check(request.signer, request.nonce, now_ms)
        fault = fault or self._over_budget(request, actor.account, now_ms)
        fault = fault or self.nonces.use(request.signer, request.nonce, now_ms)
        if fault is not None:
            return Refused(fault), actor.account
        scope = Scope(
            listing=self.settings.listing,
            addresses=self.addresses,
            client_ids=self.client_ids,
            account=actor.account,
            signer_account=actor.master,
            now_ms=now_ms,
            volume_micro=self.volume_micro(actor.master),
            masters=self.kernel.chain.fees.master,
            reserve_requests=self.account_limits.reserve,
            post_only=time_ns < self.settings.post_only_until_ns,
        )
        return account_plans.plan(request.action, scope), actor.account

    def _over_budget(self, request: Request, account: int, now_ms: int) -> str | None:
        """Counts the action in the account's budget, or tells why it is refused, which costs nothing."""
        return self.account_limits.take(
            account,
            legs_of(request.action),
            is_cancel=block_class(request.action) == CANCELS,
            volume_micro=self.volume_micro(account),
            now_ms=now_ms,
        )

    def _actor(self, request: Request, now_ms: int) -> Actor | str:
        return self.addresses.actor(
            request.signer,
            None if request.is_user_signed else request.vault_address,
            now_ms,
            user_signed=request.is_user_signed,
        )

    def _add(self, pending: _Pending, plan: Plan, account: int) -> _Planned:
        first = self.kernel.count
        action = self.kernel.begin_action()
        for leg in plan.legs:
            self.kernel.add(leg, action=action, account=account, arrival_ns=pending.arrival_ns)
        return _Planned(pending=pending, plan=plan, account=account, first=first)

    def _hashes(self, planned: Sequence[_Planned], legs: np.ndarray) -> tuple[str, ...]:
        """The hash of each leg's action; legs that nobody signed are numbered."""
        hashes = [f"0x{self.height:032x}{row:032x}" for row in range(len(legs))]
        for one in planned:
            for row in range(one.first, one.first + len(one.plan.legs)):
                hashes[row] = one.pending.request.hash
        return tuple(hashes)

    def _answers(self, planned: Sequence[_Planned], block: Block, own: int) -> list[tuple[int, Answer]]:
        if not planned:
            return []
        answering = Answering(
            listing=self.settings.listing,
            client_ids=self.client_ids,
            rules=self.settings.rules,
            scheduled_volume_micro=self.settings.schedule_volume_micro,
            asset_suffix=self.settings.asset_suffix,
        )
        by_leg = group_by_leg(block.events, own)
        answers = []
        for one in planned:
            rows = slice(one.first, one.first + len(one.plan.legs))
            volume_micro = self.volume_micro(one.account)
            body = answer_of(one.plan, block.legs[rows], by_leg[rows], answering, volume_micro=volume_micro)
            if body["status"] == "ok" and one.plan.after is not None:
                one.plan.after()
            answers.append((one.pending.ticket, json_answer(body)))
        return answers

    def _log(self, block: Block) -> None:
        """Goes on with the digest of all that was executed and all that came of it."""
        running = hashlib.sha256(self.digest)
        running.update(np.array([block.height, block.time_ns, len(block.legs), len(block.events)]).tobytes())
        running.update(block.legs.tobytes())
        running.update(block.events.tobytes())
        self.digest = running.digest()


def flow_address(account: int) -> str:
    """The address of an account of the order flow, which nobody has a key for."""
    return "0x" + keccak(b"order flow " + str(account).encode())[12:].hex()
