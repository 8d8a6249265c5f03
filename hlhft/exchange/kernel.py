"""The venue kernel as the exchange drives it: legs and a time in, a block out, and its state as plain bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hlhft.exchange.kernel_state import packed, unpack
from hlhft.exchange.listing import Listed, Listing, MarginMode
from hlhft.exchange.settings import ExchangeSettings
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue.blocks import ACTION_DTYPE
from hlhft.venue.chain_state import Chain, new_chain
from hlhft.venue.handle import ChainHandle
from hlhft.venue.margin import tier_table
from hlhft.venue.terms import new_terms


class Kernel:
    """The chain and the legs of the block that is being put together."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.chain: Chain = new_chain(
            settings.listing.records(),
            settings.rules,
            accounts=settings.accounts_max,
            base_ticks=[max(1, ticks - settings.width_ticks // 2) for ticks in settings.reference_ticks],
            width=settings.width_ticks,
            slots=settings.order_slots,
            start_ns=settings.start_ns,
            waiting=settings.waiting_max,
            tiers=np.array([tier_table(list(_tiers(listed))) for listed in settings.listing.markets]),
            terms=_terms(settings.listing),
            legs_max=settings.legs_max,
        )
        self.handle = ChainHandle(self.chain)
        self.legs = np.zeros(settings.legs_max, ACTION_DTYPE)
        self._leg_bytes = self.legs.view(np.uint8).reshape(settings.legs_max, ACTION_DTYPE.itemsize)
        self.count = 0
        self.actions = 0

    @property
    def room(self) -> int:
        """How many legs the block still has room for."""
        return len(self.legs) - self.count

    def begin_action(self) -> int:
        """The number of the next action."""
        self.actions += 1
        return self.actions

    def add(self, leg: Mapping[str, int], *, action: int, account: int, arrival_ns: int, expires_ns: int = 0) -> int:
        """Adds a leg to the block and returns its row; a leg that names its own account keeps it."""
        row = self.count
        assert row < len(self.legs), "the block has no room for another leg"
        record = self.legs[row]
        record["action"] = action
        record["arrival_ns"] = arrival_ns
        record["expires_ns"] = expires_ns
        record["account"] = account
        for name, value in leg.items():
            record[name] = value
        self.count += 1
        return row

    def run(self, time_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Executes the legs as one block; returns them and the events, copies both, and begins the next block."""
        self.handle.run_block(self.legs, self.count, time_ns)
        engine = self.chain.exchange.engine[0]
        assert engine["dropped"] == 0, "a block had more events than its array holds"
        assert self.chain.state[0]["broken"] == 0, "money was made or lost in a block"
        events = _copied(self.chain.exchange.events[: engine["event_count"]])
        legs = _copied(self.legs[: self.count])
        engine["event_count"] = 0
        self._leg_bytes[: self.count] = 0
        self.count = 0
        return legs, events

    def touch(self) -> np.ndarray:
        """Best bid and ask of each market in ticks, int64[M, 2], 0 for an empty side."""
        ladders = self.chain.exchange.ladders
        touch = np.stack((ladders["best_bid_ticks"], ladders["best_ask_ticks"]), axis=1)
        touch[touch[:, 0] == BID_NONE, 0] = 0
        touch[touch[:, 1] == ASK_NONE, 1] = 0
        return touch

    def state(self) -> dict[str, Any]:
        """All of it as plain values that MessagePack can write. No block is being put together."""
        assert self.count == 0, "a block is being put together"
        arrays = {name: packed(array) for name, array in _arrays(self.chain).items()}
        return {"actions": self.actions, "arrays": arrays}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state` told. Raises ValueError when that was an exchange of another shape."""
        arrays = _arrays(self.chain)
        if set(arrays) != set(state["arrays"]):
            raise ValueError("the state has other parts than this exchange")
        for name, array in arrays.items():
            unpack(state["arrays"][name], array, name)
        self.actions = state["actions"]


def _copied(array: np.ndarray) -> np.ndarray:
    """A copy that cannot be written. numpy copies records field by field, which takes many times as long."""
    return np.frombuffer(array.tobytes(), array.dtype)


def _tiers(listed: Listed) -> tuple[tuple[int, int], ...]:
    return listed.tiers or ((0, listed.market.maximum_leverage),)


def _terms(listing: Listing) -> np.ndarray:
    """What the markets ask for, TERMS_DTYPE[M]."""
    terms = new_terms(listing.records())
    for row, listed in zip(terms, listing.markets):
        row["isolated_only"] = listed.margin_mode is not MarginMode.ANY
        row["strict_isolated"] = listed.margin_mode is MarginMode.STRICT_ISOLATED
        if listed.is_spot:
            row["base_token"], row["quote_token"] = listed.base_token, listed.quote_token
    return terms


def _arrays(chain: Chain) -> dict[str, np.ndarray]:
    """Every array of the chain by its name, without scratch and events."""
    found: dict[str, np.ndarray] = {}
    for name, part in chain._asdict().items():
        if isinstance(part, np.ndarray):
            found[name] = part
        else:
            found |= {f"{name}.{inner}": array for inner, array in part._asdict().items()}
    return {name: array for name, array in found.items() if name not in ("exchange.events", "intents", "order")}
