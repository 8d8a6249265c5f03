"""The synthetic order flow as an exchange hosts it: accounts, money, rebates, and legs each block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hlhft.exchange.flow.draws import ONE
from hlhft.exchange.flow.handle import FlowHandle
from hlhft.exchange.flow.state import ACCOUNTS, MAKERS, MarketFlow, new_flow
from hlhft.exchange.kernel_state import packed, unpack
from hlhft.units import MICRO, Market
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.chain_state import Chain
from hlhft.venue.fee_tiers import fix_rates
from hlhft.venue.handle import ChainHandle

FUNDS_MICRO = 10**9 * MICRO  # of each account of the flow: it is never short of margin
REBATE_E9 = -30_000  # the flow's makers have the highest rebate (venue reference section 10)


class SyntheticFlow:
    """The population of `hlhft.exchange.flow` on accounts first_account .. first_account + ACCOUNTS - 1."""

    kind: ClassVar[str] = "synthetic"

    def __init__(
        self, markets: Sequence[Market], flows: Sequence[MarketFlow], *, first_account: int, seed: int
    ) -> None:
        self.accounts: Sequence[int] = range(first_account, first_account + ACCOUNTS)
        self._flow = new_flow(markets, flows, first_account=first_account, seed=seed, blank=np.zeros(1, ACTION_DTYPE))
        self._handle = FlowHandle(self._flow)
        self._venue: ChainHandle | None = None  # what it was asked about last
        self._is_funded = False

    def legs(self, chain: Chain, legs: np.ndarray, first: int, ts_ns: int) -> int:
        """Writes the legs of the block at `ts_ns` to legs[first:]; returns how many.

        The first block only brings the money, so that nothing is refused for want of it.
        """
        if not self._is_funded:
            self._is_funded = True
            for row, account in enumerate(self.accounts, start=first):
                legs[row]["kind"] = ActionKind.DEPOSIT
                legs[row]["account"] = account
                legs[row]["amount"] = FUNDS_MICRO
                legs[row]["arrival_ns"] = ts_ns
            holdings = chain.exchange.holdings
            for account in self.accounts[:MAKERS]:
                taker_rate_e9 = int(holdings["taker_rate_e9"][account, 0])
                fix_rates(chain.fees, holdings, account, maker_rate_e9=REBATE_E9, taker_rate_e9=taker_rate_e9)
            return len(self.accounts)
        if self._venue is None or self._venue.chain is not chain:
            self._venue = ChainHandle(chain)
        return self._handle.legs(self._venue, legs, first, ts_ns) - first

    def leap(self, market: int, share_e6: int, *, least: int, most: int) -> None:
        """The fair price of the market in that row leaps by this share of it, the other way where it would leave the
        ticks from `least` to `most`; nobody who quotes or takes has heard of it before."""
        state = self._flow.states[market]
        fair = int(state["fair_subticks"])
        step = fair * share_e6 // 1_000_000
        state["fair_subticks"] = fair + step if least * ONE <= fair + step <= most * ONE else fair - step

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as plain values."""
        arrays = {name: packed(array) for name, array in zip(self._flow._fields, self._flow)}
        return {"is_funded": self._is_funded, "arrays": arrays}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state` told. Raises ValueError when that was a flow of another shape."""
        for name, array in zip(self._flow._fields, self._flow):
            unpack(state["arrays"][name], array, name)
        self._is_funded = state["is_funded"]
