"""What a recording and a live feed have in common as an exchange hosts them: accounts, money, rows into legs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hlhft.data.merge import Events, nothing
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.exchange.flow.background import (
    ACCOUNTS,
    FOLLOWED_DTYPE,
    NOT_LISTED,
    Background,
    feed_legs,
    new_background,
    price_legs,
)
from hlhft.exchange.kernel_state import packed, unpack
from hlhft.ladder import LADDER_DTYPE
from hlhft.units import MICRO, Market
from hlhft.venue.blocks import ActionKind
from hlhft.venue.chain_state import Chain

FUNDS_MICRO = 10**9 * MICRO  # of either account: the background is never short of margin


def places_of(feed: Sequence[Market], listed: Sequence[Market]) -> list[int]:
    """The place among the `listed` markets of each market of the feed, by name; NOT_LISTED where there is none.

    Raises ValueError when a market is listed with other decimals, or when none of the feed's is listed.
    """
    by_name = {market.name: place for place, market in enumerate(listed)}
    places = [by_name.get(market.name, NOT_LISTED) for market in feed]
    for market, place in zip(feed, places):
        if place == NOT_LISTED:
            continue
        wanted, found = (
            (each.price_decimals, each.size_decimals, each.grid_rule, each.kind) for each in (market, listed[place])
        )
        if wanted != found:
            raise ValueError(
                f"market {market.name} is listed with decimals and grid {found}, but its feed has {wanted}"
            )
    if all(place == NOT_LISTED for place in places):
        raise ValueError(
            f"the feed has the markets {', '.join(market.name for market in feed)}, and none of them is listed"
        )
    return places


def visible(events: Events) -> Events:
    """The rows that happened at the venue, a copy of one size for all."""
    return np.ascontiguousarray(events[(events["flags"] & int(EventFlag.EXCHANGE_VISIBLE)) != 0])


def cleared(markets: Sequence[int], ts_ns: int) -> Events:
    """One row a market of the feed, at `ts_ns`: its book is gone."""
    rows = np.zeros(len(markets), EVENT_DTYPE)
    rows["ts_exch_ns"] = rows["ts_local_ns"] = ts_ns
    rows["kind"] = int(EventKind.DEPTH_CLEAR)
    rows["flags"] = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.SYNTHETIC)
    rows["market"] = markets
    return rows


class FeedFlow(ABC):
    """An order flow whose legs come of event rows: accounts first_account .. first_account + ACCOUNTS - 1."""

    kind: ClassVar[str]

    def __init__(self, feed: Sequence[Market], listed: Sequence[Market], *, first_account: int) -> None:
        """Raises ValueError as `places_of`."""
        self.accounts: Sequence[int] = range(first_account, first_account + ACCOUNTS)
        self.places = places_of(feed, listed)
        self._background: Background | None = None
        self._rows: Events = nothing()
        self._cursor = 0

    @abstractmethod
    def _next_rows(self, ts_ns: int) -> Events | None:
        """More rows, their ts_exch_ns in the exchange's time and none earlier than those before; None without any."""

    @abstractmethod
    def status(self) -> str:
        """One line for people."""

    @property
    def background(self) -> Background | None:
        """What is known of the feed's books; None before the first block."""
        return self._background

    @property
    def followed(self) -> np.ndarray:
        """What was taken in, FOLLOWED_DTYPE by market of the exchange; empty before the first block."""
        return np.zeros(0, FOLLOWED_DTYPE) if self._background is None else self._background.followed

    def legs(self, chain: Chain, legs: np.ndarray, first: int, ts_ns: int) -> int:
        """Writes the legs of the block at `ts_ns` to legs[first:]; returns how many. The first block brings the money.

        `ts_ns` never decreases.
        """
        if self._background is None:
            self._background = new_background(chain.exchange.ladders, self.places, first_account=self.accounts[0])
            return self._deposit(legs, first, ts_ns)
        action = int(legs[first - 1]["action"]) + 1 if first > 0 else 1
        at = first
        while True:
            if self._cursor == len(self._rows):
                rows = self._next_rows(ts_ns)
                if rows is None:
                    break
                self._rows, self._cursor = rows, 0
            at, cursor = feed_legs(self._background, self._rows, self._cursor, legs, at, action, ts_ns)
            at, self._cursor = int(at), int(cursor)
            if self._cursor < len(self._rows):
                break
        return int(price_legs(self._background, legs, at, action + 1, ts_ns)) - first

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as plain values."""
        if self._background is None:
            return {"arrays": None}
        return {"arrays": {name: packed(array) for name, array in zip(self._background._fields, self._background)}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state` told. Raises ValueError when that was a flow of another shape."""
        arrays = state["arrays"]
        if arrays is None:
            return
        ladders = np.zeros(arrays["ladders"][0], LADDER_DTYPE)
        unpack(arrays["ladders"], ladders, "ladders")
        background = new_background(ladders, self.places, first_account=self.accounts[0])
        for name, array in zip(background._fields, background):
            unpack(arrays[name], array, name)
        if background.places.tolist() != self.places:
            raise ValueError("the state's order flow has other markets")
        self._background = background

    def _deposit(self, legs: np.ndarray, first: int, ts_ns: int) -> int:
        rows = legs[first : first + ACCOUNTS]
        rows["kind"] = ActionKind.DEPOSIT
        rows["account"] = self.accounts
        rows["amount"] = FUNDS_MICRO
        rows["arrival_ns"] = ts_ns
        return ACCOUNTS
